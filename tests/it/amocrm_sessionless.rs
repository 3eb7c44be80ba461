//! amoCRM by MCP without sessions, where only `tools/list` and `tools/call` exist.

use serde_json::json;

use crate::support::amocrm::Generation;
use crate::support::{Amocrm, INITIALIZE, Line, call, notification, request};

fn server() -> Amocrm {
    Amocrm::of(Generation::Sessionless)
}

fn line_to(server: &Amocrm) -> Line {
    Line::to(&server.base()).args("--kind amocrm").ready()
}

/// The handshake, a listing and a call by this way.
fn converses(kind: &str, path: &str) {
    let server = server();
    let mut line = Line::to(&server.url_of(path)).args(&format!("--kind {kind}")).spawn();
    let reply = line.handshake();
    let result = reply.result();
    assert_eq!(result["capabilities"], json!({ "tools": {} }), "{kind} {path}");
    let info = json!({ "name": "amocrm-mcp-server", "version": "3.0.0" });
    assert_eq!(result["serverInfo"], info, "{kind} {path}");
    assert!(result["protocolVersion"].is_string(), "{kind} {path}");
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv();
    assert_eq!(reply.result()["tools"].as_array().map(Vec::len), Some(9), "{kind} {path}");
    line.send(call(r#""a\u0041""#, "create_lead", r#"{"name":"Шланги"}"#));
    assert_eq!(line.recv().id(), r#""a\u0041""#, "{kind} {path}");
    line.finish_with_nothing_left();
    assert_eq!(server.created("leads"), 1, "{kind} {path}");
    assert_eq!(server.messages(), ["tools/list", "tools/call"], "{kind} {path}");
}

#[test]
fn every_form_of_the_url_leads_there() {
    for path in ["", "/", "/mcp", "/mcp/", "/mcp/sse", "/mcp/messages"] {
        converses("amocrm", path);
    }
}

#[test]
fn the_server_is_found_without_being_named() {
    for path in ["", "/mcp", "/mcp/sse"] {
        converses("auto", path);
    }
}

#[test]
fn only_what_the_server_knows_is_sent_to_it() {
    let server = server();
    let mut line = line_to(&server);
    line.send(notification("notifications/cancelled", r#"{"requestId":9}"#));
    line.send(notification("tools/call", r#"{"name":"create_lead","arguments":{"name":"x"}}"#));
    line.send(request(1, "ping", "{}"));
    assert_eq!(line.recv().raw_result(), "{}");
    for (id, method) in [(2, "prompts/list"), (3, "resources/list"), (4, "logging/setLevel")] {
        line.send(request(id, method, "{}"));
        assert_eq!(line.recv_id(&id.to_string()).error_code(), -32601, "{method}");
    }
    line.send(call(5, "get_account", "{}"));
    assert!(line.recv_id("5").result().is_object());
    line.finish_with_nothing_left();
    assert_eq!(server.messages(), ["tools/call"]);
    assert_eq!(server.created("leads"), 0);
}

#[test]
fn the_stream_is_closed_after_its_first_event() {
    let server = server();
    let mut line = line_to(&server);
    server.wait_for_closed(1);
    line.send(call(1, "search_contacts", r#"{"query":"Иван"}"#));
    assert!(line.recv_id("1").text.contains("Иван Петров"));
    line.finish_with_nothing_left();
    assert_eq!(server.streams(), 1);
}

#[test]
fn the_kind_is_named_to_those_who_ask_for_plain_sse() {
    let server = server();
    let mut line = Line::to(&server.url_of("/mcp/sse")).args("--kind sse").spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    reply.failure(-33004);
    assert!(reply.error_text().contains("--kind amocrm"), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn an_error_of_the_server_passes_as_it_is() {
    let server = server();
    let mut line = line_to(&server);
    line.send(call(1, "create_lead", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32603);
    assert!(reply.error_text().contains("'name'"), "{reply}");
    line.finish_with_nothing_left();
    assert_eq!(server.runs("create_lead"), 1);
}

#[test]
fn a_call_that_breaks_may_have_run_and_is_not_repeated() {
    let server = server();
    let mut line = line_to(&server);
    server.break_post("create_lead");
    line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
    assert_eq!(line.recv_id("1").failure(-33002)["mayHaveRun"], true);
    server.break_post("get_contacts");
    line.send(call(2, "get_contacts", "{}"));
    assert!(line.recv_id("2").result().is_object());
    line.finish_with_nothing_left();
    assert_eq!(server.runs("create_lead"), 1);
    assert_eq!(server.created("leads"), 1);
    assert_eq!(server.runs("get_contacts"), 2);
}
