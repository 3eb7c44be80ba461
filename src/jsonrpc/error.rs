//! Error objects that we write ourselves (JSON-RPC 2.0 section 5.1).

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::RequestId;

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not a request, notification or response.
pub const INVALID_REQUEST: i64 = -32600;
/// The method does not exist.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// An unexpected failure.
pub const INTERNAL_ERROR: i64 = -32603;

/// An error object: `{"code", "message", "data"?}`.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorObject {
    /// One of JSON-RPC's codes, or one of those listed in [`crate::failure`].
    pub code: i64,
    /// A sentence that stands alone: many clients show nothing else.
    pub message: String,
    /// Details for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl ErrorObject {
    /// An error object without `data`.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The error response for `id` as one line; `None` gives `"id":null`.
    pub fn to_line(&self, id: Option<&RequestId>) -> Bytes {
        let mut line = Vec::with_capacity(96 + self.message.len());
        line.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        line.extend_from_slice(id.map_or(b"null", |id| id.as_json()));
        line.extend_from_slice(b",\"error\":");
        if serde_json::to_writer(&mut line, self).is_err() {
            // Cannot happen: a code, a string and JSON text always serialize.
            line.extend_from_slice(b"{\"code\":-32603,\"message\":\"internal error\"}");
        }
        line.push(b'}');
        Bytes::from(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_the_id_as_written() {
        let id = RequestId::from_json(Bytes::from_static(b"9007199254740993")).unwrap();
        let error = ErrorObject::new(INVALID_REQUEST, "two\nlines");
        assert_eq!(
            error.to_line(Some(&id)),
            r#"{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32600,"message":"two\nlines"}}"#
        );
        assert!(error.to_line(None).starts_with(br#"{"jsonrpc":"2.0","id":null,"#));
    }
}
