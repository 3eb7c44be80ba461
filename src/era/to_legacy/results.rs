//! Results and errors of a legacy upstream as a modern client takes them.

use crate::jsonrpc::{ErrorObject, Response, to_json};
use crate::mcp::{STATELESS_REVISION, code, meta, method};
use crate::upstream::json::Object;
use crate::upstream::local;

/// The answer to `server/discover`, from the answer to `initialize`.
pub(in crate::era) fn discover(initialize: &Response) -> Response {
    let result = initialize.result().map_or("{}", local::text);
    let mut result = Object::read(result).unwrap_or_default();
    let mut capabilities = result.get("capabilities").and_then(Object::read).unwrap_or_default();
    // The tasks of 2025-11-25 are not those of the modern era.
    capabilities.remove("tasks");
    let capabilities = capabilities.text();
    let info = result.get("serverInfo").filter(|info| info.starts_with('{')).map(str::to_owned);
    let given = result.get("_meta").unwrap_or("{}").to_owned();
    let mut given = Object::read(&given).unwrap_or_default();
    if let Some(info) = info {
        given.set(meta::SERVER_INFO, info);
    }
    let given = given.text();
    result.remove("protocolVersion");
    result.remove("serverInfo");
    result.set("supportedVersions", to_json(&[STATELESS_REVISION]));
    result.set("capabilities", capabilities);
    result.set("_meta", given);
    complete(&mut result, method::DISCOVER);
    local::result(result.text())
}

/// `response` to a request of `method` as a modern client takes it.
pub(super) fn response(method: &str, response: Response) -> Response {
    if response.error().is_some() {
        return local::repaired_error(response, modern_error);
    }
    completed(method, response)
}

/// `response` to a request of `method`, with what each result of the modern era says.
pub(in crate::era) fn completed(method: &str, response: Response) -> Response {
    local::repaired(response, |result| {
        let mut result = Object::read(result)?;
        complete(&mut result, method);
        result.changed()
    })
}

fn complete(result: &mut Object<'_>, method: &str) {
    if result.get("resultType").is_none() {
        result.set_string("resultType", "complete");
    }
    if method::is_cacheable(method) {
        if result.get("ttlMs").is_none() {
            result.set("ttlMs", "0".to_owned());
        }
        if result.get("cacheScope").is_none() {
            result.set_string("cacheScope", "private");
        }
    }
}

/// An error with the code that the modern era has for it.
fn modern_error(error: &str) -> Option<String> {
    let mut error = Object::read(error)?;
    if error.get("code")? != code::RESOURCE_NOT_FOUND.to_string() {
        return None;
    }
    error.set("code", code::INVALID_PARAMS.to_string());
    error.changed()
}

/// The error for a request in a `version` that is not ours.
pub(super) fn unsupported(version: &str) -> Response {
    let data = format!(
        r#"{{"supported":{},"requested":{}}}"#,
        to_json(&[STATELESS_REVISION]),
        to_json(&version)
    );
    error_with(code::UNSUPPORTED_VERSION, "Unsupported protocol version", &data)
}

/// The error for a request that needs the `capabilities`, which are JSON text.
pub(super) fn missing(capabilities: &str) -> Response {
    let data = format!(r#"{{"requiredCapabilities":{capabilities}}}"#);
    let why = "The server asks something that the client has not said it can answer";
    error_with(code::MISSING_CAPABILITY, why, &data)
}

fn error_with(code: i64, why: &str, data: &str) -> Response {
    let data = serde_json::from_str(data).ok();
    Response::with_error(to_json(&ErrorObject { data, ..ErrorObject::new(code, why) }).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::schema;

    /// The members of results that only the legacy era has, and what becomes of them.
    const MEMBERS: [(&str, &str); 8] = [
        ("protocolVersion", "left out: each request names its own"),
        ("serverInfo", "moved into `_meta`"),
        ("capabilities", "passed, without those for tasks"),
        ("instructions", "passed"),
        ("_meta", "passed"),
        ("task", "of tasks, which no client of the modern era starts"),
        ("tasks", "of tasks"),
        ("nextCursor", "passed"),
    ];

    #[test]
    fn every_member_that_only_legacy_results_have_has_a_row() {
        let known = schema::members(|revision| !schema::is_legacy(revision));
        for (result, member) in schema::members(schema::is_legacy) {
            let has_row = MEMBERS.iter().any(|(name, _)| *name == member);
            assert!(
                has_row || known.contains(&(result.clone(), member.clone())),
                "{result}.{member}"
            );
        }
    }

    #[test]
    fn the_discovery_is_answered_from_the_handshake() {
        let initialize = local::result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{}},"serverInfo":{"name":"s","version":"1"},"instructions":"i"}"#,
        );
        assert_eq!(
            local::text(discover(&initialize).result().unwrap()),
            r#"{"capabilities":{"tools":{}},"instructions":"i","supportedVersions":["2026-07-28"],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
        );
    }

    #[test]
    fn a_result_says_what_it_is_and_how_long_it_keeps() {
        let of = |method: &str, result: &str| {
            local::text(response(method, local::result(result)).result().unwrap()).to_owned()
        };
        assert_eq!(
            of("tools/call", r#"{"content":[ 1.0 ]}"#),
            r#"{"content":[ 1.0 ],"resultType":"complete"}"#
        );
        assert_eq!(
            of("tools/list", r#"{"tools":[]}"#),
            r#"{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
        );
        let missing = local::error(-32002, "Resource not found");
        assert_eq!(response("resources/read", missing).error_code(), Some(-32602));
    }
}
