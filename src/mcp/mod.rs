//! MCP's words: its methods and what is true of each, its revisions, the codes of its errors, and
//! the params and results that we author ourselves. Nothing in here performs I/O.

pub(crate) mod code;
pub(crate) mod meta;
pub(crate) mod method;
mod results;
mod revision;

pub(crate) use self::meta::RequestMeta;
pub(crate) use self::results::{
    CallParams, CallToolResult, CancelledParams, Empty, Implementation, InitializeParams,
    InitializeResult, ListCapability, Part, ProgressParams, ReadResourceResult, ResourceParams,
    ServerCapabilities, TextContent, empty_list, subscription_ended,
};
pub(crate) use self::revision::{
    Revision, STATELESS_REVISION, asked_revision, is_stateless_version,
};
