//! HTTP as the upstream kinds see it. The only place that knows `reqwest`: connections, TLS,
//! credentials, redirects, limits on bodies, event streams, and the classing of failures.

mod auth;
mod body;
mod certificates;
mod challenge;
mod charset;
mod client;
mod coding;
mod connect;
mod cookies;
mod der;
mod excerpt;
mod failure;
mod handshake;
mod journal;
mod keeping;
mod peer;
mod protocol;
mod proxy;
mod redirects;
mod sayings;
pub mod sse;
mod status;
mod system_proxy;
mod tls;
mod token;
mod web;

pub use auth::Authorization;
pub use body::{Answer, Events, Refusal, StreamBroke};
pub use certificates::certificates_in;
pub(crate) use certificates::private_key;
pub use challenge::{Challenge, challenges, parse as parse_challenges};
pub(crate) use charset::{decode, decode_file, to_windows_1251};
pub use client::{Endpoint, Http, HttpSettings};
pub use connect::ConnectSettings;
pub(crate) use der::numbers as der_numbers;
pub(crate) use excerpt::{excerpt, shorten, without_tags};
pub(crate) use failure::{stream_lost, timed_out};
pub(crate) use journal::{ClockDifference, Entry, Head, Journal, Met, Stage};
pub(crate) use peer::TrustedBy;
pub(crate) use proxy::{PROXY_VARIABLES, address as proxy_address, is_loopback};
pub(crate) use status::{Named, OFFERED, offered_schemes};
pub use tls::Tls;
pub use token::TokenFile;
pub(crate) use token::{bare_token, unquoted};
pub(crate) use web::{Form, Page, Web};
