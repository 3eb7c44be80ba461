//! JSON-RPC 2.0 messages: the text that arrived, and its envelope.
//!
//! A relay must not change what it carries, so a message is kept as text. Only its envelope is
//! parsed: `jsonrpc`, `id`, `method`, and where `params`, `result` and `error` lie. Nothing in here
//! performs I/O or knows MCP.

mod broken;
mod envelope;
mod error;
mod id;
mod message;
mod response;

pub(crate) use broken::{goes_on, open_brackets};
pub use envelope::one_line;
pub use error::{ErrorObject, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR};
pub use id::RequestId;
pub use message::{Kind, Message, Parsed, Rejection, from_client, peek_oversized};
pub(crate) use message::{of_json, to_json};
pub use response::{FromUpstream, OutLine, Response, Unusable, from_upstream};
