//! Results and errors of a modern upstream as a legacy client takes them.

use crate::jsonrpc::{Message, Response, to_json};
use crate::mcp::{Implementation, Revision, asked_revision, code, meta, method};
use crate::upstream::json::{Object, edit_items};
use crate::upstream::local;

/// What becomes of a member of a result that only the modern era has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// It is taken off every result.
    TakenOff,
    /// It is taken off the answer to `initialize`, and stays elsewhere.
    OfDiscovery,
    /// It becomes requests to the client, and their answers (`rounds`).
    Unfolded,
    /// It stays: the legacy era knows it, or lets it pass.
    Kept,
}

/// The members of results that only the modern era has.
const MEMBERS: [(&str, Member); 9] = [
    ("resultType", Member::TakenOff),
    ("supportedVersions", Member::OfDiscovery),
    ("ttlMs", Member::OfDiscovery),
    ("cacheScope", Member::OfDiscovery),
    ("inputRequests", Member::Unfolded),
    ("requestState", Member::Unfolded),
    ("capabilities", Member::Kept),
    ("instructions", Member::Kept),
    ("_meta", Member::Kept),
];

/// The answer to `initialize`, from the result of `server/discover`.
pub(super) fn initialize(initialize: &Message, discovered: &str) -> Response {
    let mut result = Object::read(discovered).unwrap_or_default();
    let given = result.get("_meta").and_then(Object::read);
    let info = given.as_ref().and_then(|given| given.get(meta::SERVER_INFO));
    // Servers of before the release write it beside the capabilities.
    let info = info.or_else(|| result.get("serverInfo")).filter(|info| info.starts_with('{'));
    let info = info.map_or_else(|| to_json(&Implementation::OURS), str::to_owned);
    for (member, fate) in MEMBERS {
        if matches!(fate, Member::TakenOff | Member::OfDiscovery) {
            result.remove(member);
        }
    }
    let version = asked_revision(initialize).unwrap_or(Revision::LATEST);
    result.set_string("protocolVersion", version.as_str());
    if !result.has("capabilities") {
        result.set("capabilities", "{}".to_owned());
    }
    result.set("serverInfo", info);
    local::result(result.text())
}

/// `response` to a request of `method` as a legacy client takes it.
pub(super) fn response(method: &str, response: Response) -> Response {
    if response.error().is_some() {
        return local::repaired_error(response, |error| legacy_error(method, error));
    }
    local::repaired(response, |result| legacy_result(method, result))
}

/// A result without what legacy clients refuse. Members that they do not know stay.
fn legacy_result(method: &str, result: &str) -> Option<String> {
    let mut result = Object::read(result)?;
    for (member, fate) in MEMBERS {
        if fate == Member::TakenOff {
            result.remove(member);
        }
    }
    match method {
        // Up to 2025-11-25 both are objects, and clients refuse the whole answer otherwise.
        method::TOOLS_CALL
            if result.get("structuredContent").is_some_and(|content| !content.starts_with('{')) =>
        {
            result.remove("structuredContent");
        }
        method::TOOLS_LIST => result.edit("tools", |tools| edit_items(tools, legacy_tool)),
        _ => {}
    }
    result.changed()
}

fn legacy_tool(tool: &str) -> Option<String> {
    let mut tool = Object::read(tool)?;
    let schema = tool.get("outputSchema")?;
    let is_of_object = Object::read(schema)
        .is_some_and(|schema| schema.string("type").as_deref() == Some("object"));
    if is_of_object {
        return None;
    }
    tool.remove("outputSchema");
    tool.changed()
}

/// An error with the code that the legacy era has for it.
fn legacy_error(method: &str, error: &str) -> Option<String> {
    let mut error = Object::read(error)?;
    // The params are wrong in other ways too; a resource that is not there is named.
    let names_resource =
        error.get("data").and_then(Object::read).is_some_and(|data| data.has("uri"))
            || error.string("message").is_some_and(|message| {
                let message = message.to_ascii_lowercase();
                message.contains("resource")
                    && (message.contains("not found") || message.contains("unknown"))
            });
    if method != method::RESOURCES_READ
        || error.get("code") != Some(code::INVALID_PARAMS.to_string().as_str())
        || !names_resource
    {
        return None;
    }
    error.set("code", code::RESOURCE_NOT_FOUND.to_string());
    error.changed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::schema;
    use crate::jsonrpc::RequestId;

    #[test]
    fn the_handshake_is_answered_from_the_discovery() {
        let params = r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{}}"#;
        let ask = Message::request(RequestId::number(1), "initialize", params);
        let discovered = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"instructions":"i","ttlMs":1,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"2"}}}"#;
        assert_eq!(
            local::text(initialize(&ask, discovered).result().unwrap()),
            r#"{"capabilities":{"tools":{"listChanged":true}},"instructions":"i","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"2"}},"protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"2"}}"#
        );
    }

    #[test]
    fn every_member_that_only_modern_results_have_has_a_row() {
        let known = schema::members(schema::is_legacy);
        for (result, member) in schema::members(|revision| !schema::is_legacy(revision)) {
            let has_row = MEMBERS.iter().any(|(name, _)| *name == member);
            assert!(
                has_row || known.contains(&(result.clone(), member.clone())),
                "{result}.{member}"
            );
        }
    }

    #[test]
    fn only_what_legacy_clients_refuse_is_taken_off() {
        let of = |method: &str, result: &str| {
            let legacy = response(method, local::result(result));
            local::text(legacy.result().unwrap()).to_owned()
        };
        assert_eq!(
            of("tools/call", r#"{"resultType":"complete","content":[],"structuredContent":[1]}"#),
            r#"{"content":[]}"#
        );
        assert_eq!(
            of("tools/call", r#"{"content":[ ],"structuredContent":{"a":1.0},"x":1}"#),
            r#"{"content":[ ],"structuredContent":{"a":1.0},"x":1}"#
        );
        assert_eq!(
            of(
                "tools/list",
                r#"{"resultType":"complete","tools":[{"name":"a","outputSchema":{"type":"array"}},{"name":"b","outputSchema":{"type":"object"}}],"ttlMs":5}"#
            ),
            r#"{"tools":[{"name":"a"},{"name":"b","outputSchema":{"type":"object"}}],"ttlMs":5}"#
        );
        let missing = local::error(-32602, "Resource not found: a:1");
        assert_eq!(response("resources/read", missing.clone()).error_code(), Some(-32002));
        assert_eq!(response("prompts/get", missing).error_code(), Some(-32602));
    }
}
