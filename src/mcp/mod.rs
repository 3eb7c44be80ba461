//! MCP's words: its methods and what is true of each, its revisions, and the params and results
//! that we author ourselves. Nothing in here performs I/O.

pub(crate) mod method;
mod results;
mod revision;

pub(crate) use self::results::{
    CallParams, CallToolResult, CancelledParams, Empty, Implementation, InitializeParams,
    InitializeResult, ListCapability, Part, ProgressParams, ReadResourceResult, ResourceParams,
    ServerCapabilities, TextContent, empty_list,
};
pub(crate) use self::revision::{Revision, asked_revision};
