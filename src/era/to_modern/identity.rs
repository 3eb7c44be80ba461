//! What the client has said of itself in the handshake, as each request says it to a modern upstream.

use crate::jsonrpc::{Message, to_json};
use crate::mcp::{Implementation, STATELESS_REVISION, meta};
use crate::upstream::json::Object;
use crate::upstream::local;

/// The client, as JSON texts.
pub(super) struct Identity {
    info: String,
    capabilities: String,
}

impl Identity {
    /// What `initialize` says.
    pub(super) fn of(initialize: &Message) -> Self {
        let params = Object::read(local::params(initialize)).unwrap_or_default();
        let info = params.get("clientInfo").filter(|info| info.starts_with('{'));
        let info = info.map_or_else(|| to_json(&Implementation::OURS), str::to_owned);
        let capabilities = params.get("capabilities").and_then(modern_capabilities);
        Self { info, capabilities: capabilities.unwrap_or_else(|| "{}".to_owned()) }
    }

    /// `params` with what the modern era asks for in `_meta`, and the `level` of log messages if one
    /// is wanted. What the client has put there stays.
    pub(super) fn added_to(&self, params: &str, level: Option<&str>) -> String {
        let mut params = Object::read(params).unwrap_or_default();
        let given = params.get("_meta").unwrap_or("{}").to_owned();
        let mut given = Object::read(&given).unwrap_or_default();
        given.set_string(meta::PROTOCOL_VERSION, STATELESS_REVISION);
        given.set(meta::CLIENT_INFO, self.info.clone());
        given.set(meta::CLIENT_CAPABILITIES, self.capabilities.clone());
        if let Some(level) = level {
            given.set_string(meta::LOG_LEVEL, level);
        }
        let given = given.text();
        params.set("_meta", given);
        params.text()
    }
}

/// A legacy client's capabilities as the modern era has them.
fn modern_capabilities(capabilities: &str) -> Option<String> {
    let mut capabilities = Object::read(capabilities)?;
    // Nobody is told of changes to roots any more, and tasks are an extension of another kind.
    if capabilities.has("roots") {
        capabilities.set("roots", "{}".to_owned());
    }
    capabilities.remove("tasks");
    Some(capabilities.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::RequestId;

    #[test]
    fn a_request_gains_what_the_handshake_said() {
        let params = r#"{"protocolVersion":"2025-06-18","capabilities":{"roots":{"listChanged":true},"sampling":{},"tasks":{}},"clientInfo":{"name":"n","version":"1.0"}}"#;
        let initialize = Message::request(RequestId::number(1), "initialize", params);
        let identity = Identity::of(&initialize);
        assert_eq!(
            identity.added_to(r#"{"name":"x","_meta":{"progressToken":7.0}}"#, Some("info")),
            r#"{"name":"x","_meta":{"progressToken":7.0,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"n","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{"roots":{},"sampling":{}},"io.modelcontextprotocol/logLevel":"info"}}"#
        );
    }
}
