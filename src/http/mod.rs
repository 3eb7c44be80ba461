//! HTTP as the upstream kinds see it. The only place that knows `reqwest`: building the client,
//! headers, TLS, redirects, limits on bodies, event streams, and the classing of failures.

mod body;
mod charset;
mod client;
mod excerpt;
mod failure;
pub mod sse;
mod token;

pub use body::{Answer, Events, Refusal, StreamBroke};
pub(crate) use charset::{decode, to_windows_1251};
pub(crate) use client::PROXY_VARIABLES;
pub(crate) use client::is_loopback;
pub use client::{Endpoint, Http, HttpSettings, Tls};
pub(crate) use excerpt::{excerpt, shorten, without_tags};
pub(crate) use failure::{offered_schemes, stream_lost, timed_out};
pub use token::TokenFile;
