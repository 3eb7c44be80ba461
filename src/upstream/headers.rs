//! The header fields that MCP's HTTP transports share.

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// The header fields of a session (Streamable HTTP, "Session Management" and "Protocol Version
/// Header").
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The header fields of every POST (Streamable HTTP, "Sending Messages to the Server").
pub(super) fn post_headers() -> HeaderMap {
    // Room for what the session, the credentials and HTTP itself add.
    let mut headers = HeaderMap::with_capacity(12);
    // Keeps its place: each request has its own length, and a copy of a map has no room to grow.
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers
}

/// The header fields of every GET for an event stream.
pub(super) fn stream_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers
}
