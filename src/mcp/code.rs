//! The codes of MCP's errors, beside those of JSON-RPC.

/// The `params` are wrong (JSON-RPC 2.0 section 5.1).
pub(crate) const INVALID_PARAMS: i64 = -32602;
/// There is no such resource (revisions up to 2025-11-25; later ones use [`INVALID_PARAMS`]).
pub(crate) const RESOURCE_NOT_FOUND: i64 = -32002;
/// The person must open a page first (2025-11-25 alone).
pub(crate) const URL_ELICITATION_REQUIRED: i64 = -32042;
/// The header fields do not fit the body (2026-07-28, Overview, "Error Codes").
pub(crate) const HEADER_MISMATCH: i64 = -32020;
/// The request needs a capability that the client does not have.
pub(crate) const MISSING_CAPABILITY: i64 = -32021;
/// The request is written in a revision that the server does not speak.
pub(crate) const UNSUPPORTED_VERSION: i64 = -32022;

/// Whether only a server of a stateless revision gives this code.
pub(crate) fn is_of_stateless(code: i64) -> bool {
    matches!(code, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
}
