//! Resources of b24-mcp, which a query reads.

use serde::Serialize;

use crate::jsonrpc::to_json;
use crate::mcp::{Empty, Part, ReadResourceResult};
use crate::upstream::json::compact;

/// The params of `resources/query` for the server's own `uri`.
pub(super) fn query(uri: &str) -> String {
    #[derive(Serialize)]
    struct QueryParams<'a> {
        uri: &'a str,
        arguments: Empty,
    }
    to_json(&QueryParams { uri, arguments: Empty {} })
}

/// The result of `resources/read` from the result of the query.
pub(super) fn contents(uri: &str, result: &str) -> String {
    to_json(&ReadResourceResult::json(uri, Part::Ours(&compact(result))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_hold_the_result_as_text() {
        assert_eq!(
            contents("u", "{ \"data\" : [null, 1.0] }"),
            r#"{"contents":[{"uri":"u","mimeType":"application/json","text":"{\"data\":[null,1.0]}"}]}"#
        );
    }
}
