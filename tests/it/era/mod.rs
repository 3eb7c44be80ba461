//! Any era to any era: a client of either before an upstream of either.

mod hostile;
mod pair;
mod to_legacy;
mod to_legacy_kinds;
mod to_modern;

use crate::support::{Answered, Exchange, Reply, Upstream, request};

/// What a modern client says of itself in each request.
pub(crate) const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{},"roots":{}}"#;

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// A request of a modern client; `params` are the members beside `_meta`.
pub(crate) fn modern(id: impl std::fmt::Display, method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    request(id, method, &format!(r#"{{{params}{comma}"_meta":{{{META}}}}}"#))
}

/// A call by a modern client.
pub(crate) fn modern_call(id: impl std::fmt::Display, tool: &str, arguments: &str) -> String {
    modern(id, "tools/call", &format!(r#""name":"{tool}","arguments":{arguments}"#))
}

/// The result of `server/discover`.
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"instructions":"be kind","ttlMs":1,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"modern","version":"2"}}}"#;

/// How a server of the stateless revision alone refuses what comes without it.
fn refuse_legacy(exchange: &mut Exchange<'_>) -> Answered {
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2026-07-28"],"requested":""}}}"#;
    exchange.send(&Reply::status(400).body("application/json", body))
}

/// A server of the stateless revision alone, which leaves all but `server/discover` to the script.
pub(crate) fn modern_alone(
    script: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> Upstream {
    Upstream::serve(move |exchange| {
        if exchange.request.method != "POST" {
            return exchange.status(405);
        }
        if exchange.request.header("mcp-protocol-version") != Some("2026-07-28") {
            return refuse_legacy(exchange);
        }
        if exchange.name() == "server/discover" {
            return exchange.result(DISCOVERED);
        }
        script(exchange)
    })
}

/// A complete result of `tools/call` that says `text`.
pub(crate) fn said(text: &str) -> String {
    format!(r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#)
}

/// Answers `subscriptions/listen`: acknowledges what it asks for, and gives the events to `rest`.
pub(crate) fn acknowledge(
    exchange: &mut Exchange<'_>,
    rest: impl FnOnce(&mut dyn FnMut(&str, &str) -> std::io::Result<()>) -> std::io::Result<()>,
) -> Answered {
    let rpc = exchange.rpc();
    let params = crate::support::Message::parse(rpc.raw("params").unwrap()).unwrap();
    let filter = params.raw("notifications").unwrap().to_owned();
    let tag = format!(r#""_meta":{{"{SUBSCRIPTION_ID}":{}}}"#, rpc.id());
    let mut events = exchange.events()?;
    let mut tell = |method: &str, more: &str| {
        events
            .message(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{more}{tag}}}}}"#))
    };
    tell("notifications/subscriptions/acknowledged", &format!(r#""notifications":{filter},"#))?;
    rest(&mut tell)
}
