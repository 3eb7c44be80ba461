//! What b24-mcp says: its handshake, results and errors.

use serde_json::{Value, json};

use crate::support::Reply;
use crate::support::json::{compact, json_reply};

/// Its result of `initialize`, which holds all tools and resources.
const HANDSHAKE: &str = include_str!("handshake.json");
/// A tool's result, and that of a call without a range of dates.
const DEALS: &str = include_str!("deals.json");
const WARNED: &str = include_str!("warned.json");
/// The result of a resource query.
const RESOURCE: &str = include_str!("resource.json");

/// All that the handshake's result holds, as the server writes it.
pub(crate) fn handshake_result() -> String {
    compact(HANDSHAKE)
}

pub(crate) fn tools() -> Value {
    handshake_member("tools")
}

pub(crate) fn resources() -> Value {
    handshake_member("resources")
}

fn handshake_member(name: &str) -> Value {
    let mut handshake: Value = serde_json::from_str(HANDSHAKE).unwrap();
    handshake[name].take()
}

/// The result of every tool that is called with a range of dates.
pub(crate) fn deals() -> String {
    compact(DEALS)
}

/// The result of a listing without a range of dates.
pub(crate) fn warned() -> String {
    compact(WARNED)
}

/// The result of a resource query.
pub(crate) fn resource(uri: &str) -> String {
    compact(RESOURCE).replace("RESOURCE", uri)
}

/// What it says when Bitrix24 has refused with `status` and this error.
pub(crate) fn upstream_error(status: u16, error: &str) -> Reply {
    let payload = json!({ "error": error, "error_description": "said by Bitrix24" });
    let message = format!("Bitrix returned HTTP {status}");
    let detail = json!({ "type": "upstream_error", "message": message, "payload": payload });
    json_reply(502, &json!({ "detail": detail }))
}

/// What it says when Bitrix24's answer was lost or cannot be read.
pub(crate) fn upstream_lost() -> Reply {
    let detail = json!({
        "type": "upstream_error",
        "message": "Bitrix returned non-JSON response"
    });
    json_reply(502, &json!({ "detail": detail }))
}

/// What it says when a tool fails in any other way.
pub(crate) fn internal_error() -> Reply {
    Reply::status(500).body("text/plain; charset=utf-8", "Internal Server Error")
}

pub(super) fn not_found(what: &str, message: &str) -> Reply {
    let detail = json!({ "type": what, "message": message });
    json_reply(404, &json!({ "detail": detail }))
}

pub(super) fn detail(status: u16, detail: &str) -> Reply {
    json_reply(status, &json!({ "detail": detail }))
}

/// The result of a resource query, or its refusal.
pub(super) fn query(uri: &str) -> Result<String, Reply> {
    let known = resources().as_array().unwrap().iter().any(|known| known["uri"] == uri);
    if known {
        return Ok(resource(uri));
    }
    Err(not_found("resource_not_found", &format!("Resource '{uri}' is not registered.")))
}
