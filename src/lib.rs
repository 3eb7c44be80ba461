//! `mcpline` is a line between an MCP client on stdin/stdout and an MCP server on HTTP.
//!
//! A request's way through the files (`docs/architecture.md` has more):
//!
//! ```text
//! stdin ─▶ stdio::reader ─▶ conversation ─▶ conversation::request ─▶ upstream kind ─▶ http ─▶ network
//!          (framing)         (order,          (retry)   ▲            (wire format)     │
//!                             cancelling)               │ session                      │
//!                                                      link                            │
//! stdout ◀─ stdio::writer ◀─ conversation::reply ◀── response ◀── upstream::reading ◀──┤
//!                       ▲                                                              │
//!                       └── upstream::client ◀── notifications, upstream's requests ◀──┘
//! ```
//!
//! **Invariants.** Where we forward, only `stdio` touches stdin and stdout. Only `http` knows
//! `reqwest` beyond its header types. Kinds know nothing of stdin or of retries. Only `conversation` decides order. A
//! [`conversation`] reply is a value that answers when it is dropped. Payloads are never parsed into
//! a tree on their way through: `jsonrpc` looks at envelopes only. All delays are in [`retry`].

mod attended;
mod background;
mod cli;
mod commands;
mod config;
pub mod conversation;
mod demo;
mod era;
pub mod failure;
pub mod hint;
pub mod http;
mod install;
pub mod jsonrpc;
mod link;
mod logging;
mod loopback;
mod mcp;
mod oauth;
mod patience;
mod redact;
pub mod retry;
mod setup;
mod signals;
pub mod stdio;
mod terminal;
mod upstream;

pub use cli::{Cli, NoCommand};
pub use commands::run;
pub use oauth::fuzzing as sign_in_fuzzing;
pub use setup::SetupError;
pub use terminal::complain;
