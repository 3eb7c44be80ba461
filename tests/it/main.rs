//! Runs the built binary between a driven MCP client and a scriptable upstream. Each module holds
//! the promises about one family of behaviour; each test is named after the promise that it keeps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancel;
mod demo;
mod ending;
mod errors;
mod handshake;
mod http_sse;
mod notifications;
mod replies;
mod session;
mod settings;
mod stdin;
mod streams;
mod support;
