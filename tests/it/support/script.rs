//! The parts of an upstream that a test about something else does not want to write.

use super::exchange::{Answered, Exchange};
use super::http::Reply;
use super::message::initialize_result;

/// A server without sessions that does the handshake, answers `ping`, has no listening stream, and
/// leaves every other POST to the script.
pub(crate) fn after_handshake(
    script: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static {
    move |exchange: &mut Exchange<'_>| {
        if exchange.request.method != "POST" {
            return exchange.status(405);
        }
        match exchange.name().as_str() {
            "initialize" | "notifications/initialized" => handshake(exchange, None),
            "ping" => exchange.result("{}"),
            _ => script(exchange),
        }
    }
}

/// Answers one of the two steps of the handshake, the first with a session id where there is one.
pub(crate) fn handshake(exchange: &mut Exchange<'_>, session: Option<&str>) -> Answered {
    if exchange.name() == "notifications/initialized" {
        return exchange.accepted();
    }
    let version = exchange.rpc().value["params"]["protocolVersion"].clone();
    let result = initialize_result(version.as_str().unwrap_or("2025-11-25"));
    let reply = Reply::json(exchange.result_text(&result));
    match session {
        Some(session) => exchange.send(&reply.header("Mcp-Session-Id", session)),
        None => exchange.send(&reply),
    }
}
