//! Bitrix24: older servers, which have REST endpoints only, look like the current one.

use serde_json::{Value, json};

use crate::support::{
    Bitrix, Line, Message, Reply, Request, Rpc, bitrix, call, notification, request,
};

const IN_NOVEMBER: &str = r#"{"filter":{">=DATE_CREATE":"2026-11-01","n":1.0,"empty":[ ]}}"#;

fn line_to(server: &Bitrix) -> Line {
    Line::to(&server.base()).args("--kind bitrix").ready()
}

/// The bodies that have been posted to this path.
fn posted_to(server: &Bitrix, path: &str) -> Vec<Message> {
    let requests = server.requests();
    let posts = requests.iter().filter(|given| given.method == "POST" && given.path == path);
    posts.map(Request::rpc).collect()
}

/// The handshake's result, and a call that works.
fn handshake_with(server: &Bitrix, kind: &str, url: &str) -> Value {
    let mut line = Line::to(url).args(&format!("--kind {kind}")).spawn();
    let result = line.handshake().result().clone();
    line.send(call(1, "getDeals", IN_NOVEMBER));
    assert_eq!(line.recv_id("1").raw_result(), bitrix::deals(), "{kind} {url}");
    line.finish_with_nothing_left();
    assert_eq!(server.asked("getDeals"), 1, "{kind} {url}");
    result
}

#[test]
fn the_rest_variant_is_found_and_announces_what_it_has() {
    for rpc in [Rpc::Refused(404), Rpc::Refused(405), Rpc::Circular, Rpc::Misunderstood] {
        for path in ["", "/", "/mcp", "/mcp/"] {
            let index = json!({ "resources": bitrix::resources(), "tools": bitrix::tools() });
            let server = Bitrix::with(rpc, &index);
            let result = handshake_with(&server, "bitrix", &server.url_of(path));
            // That of the server's own script, or the one that the client has asked for.
            let version = result["protocolVersion"].as_str();
            assert!(matches!(version, Some("2025-06-18" | "2025-11-25")), "{result}");
            assert_eq!(result["capabilities"], json!({ "tools": {}, "resources": {} }));
            assert_eq!(result["serverInfo"]["name"], "bitrix24-mcp");
            assert_eq!(result["serverInfo"]["version"], "1.0.0");
        }
    }
}

#[test]
fn the_rest_variant_is_found_without_being_named() {
    for refusal in [404, 405] {
        for path in ["", "/mcp"] {
            let index = json!({ "resources": bitrix::resources(), "tools": bitrix::tools() });
            let server = Bitrix::with(Rpc::Refused(refusal), &index);
            let result = handshake_with(&server, "auto", &server.url_of(path));
            assert_eq!(result["capabilities"], json!({ "tools": {}, "resources": {} }));
        }
    }
}

#[test]
fn what_the_index_says_of_itself_is_the_handshake() {
    let index = json!({
        "protocolVersion": "2025-03-26",
        "serverInfo": { "name": "Портал", "version": "9" },
        "capabilities": { "tools": { "listChanged": false }, "resources": {} },
        "resources": [],
        "tools": bitrix::tools(),
    });
    let server = Bitrix::with(Rpc::Refused(404), &index);
    let result = handshake_with(&server, "bitrix", &server.base());
    assert_eq!(result["protocolVersion"], "2025-03-26");
    assert_eq!(result["serverInfo"], index["serverInfo"]);
    assert!(result["capabilities"]["tools"].is_object(), "{result}");
}

#[test]
fn tools_are_listed_from_the_index_and_called_in_its_form() {
    let server = Bitrix::rest_only();
    let mut line = line_to(&server);
    line.send(request(1, "tools/list", "{}"));
    assert_eq!(line.recv_id("1").result()["tools"], bitrix::tools());
    line.send(call(2, "getDeals", IN_NOVEMBER));
    assert_eq!(line.recv_id("2").raw_result(), bitrix::deals());
    line.send(call(3, "getDeals", r#"{"filter":{}}"#));
    assert_eq!(line.recv_id("3").raw_result(), bitrix::warned());
    line.finish_with_nothing_left();
    let sent = &posted_to(&server, "/mcp/tool/call")[0];
    assert_eq!(sent.value["tool"], "getDeals");
    assert_eq!(sent.raw("params"), Some(IN_NOVEMBER));
    assert_eq!(server.asked("getDeals"), 2);
}

#[test]
fn a_call_without_arguments_is_sent_with_none() {
    let server = Bitrix::rest_only();
    let mut line = line_to(&server);
    line.send(request(1, "tools/call", r#"{"name":"getUsers"}"#));
    line.recv_id("1").result();
    line.finish_with_nothing_left();
    let sent = &posted_to(&server, "/mcp/tool/call")[0];
    assert_eq!(sent.value, json!({ "tool": "getUsers", "params": {} }));
}

#[test]
fn a_body_that_is_no_result_becomes_one_text() {
    const BODY: &str = r#"{"result":[{"ID":"1","SUM":1.0}],"total":1}"#;
    let server = Bitrix::rest_only();
    server.once("getDeals", Reply::json(BODY));
    let mut line = line_to(&server);
    line.send(call(1, "getDeals", IN_NOVEMBER));
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["content"], json!([{ "type": "text", "text": BODY }]));
    assert_ne!(reply.result()["isError"], true);
    line.finish_with_nothing_left();
}

#[test]
fn resources_are_listed_from_the_index_and_read_in_its_form() {
    let server = Bitrix::rest_only();
    let mut line = line_to(&server);
    line.send(request(1, "resources/list", "{}"));
    let listed = line.recv_id("1").result()["resources"].clone();
    assert_eq!(listed[0]["uri"], "bitrix24:///crm/deals");
    assert_eq!(listed.as_array().unwrap().len(), 14);
    line.send(request(2, "resources/read", r#"{"uri":"bitrix24:///tasks/statuses"}"#));
    let reply = line.recv_id("2");
    assert_eq!(
        reply.result()["contents"],
        json!([{
            "uri": "bitrix24:///tasks/statuses",
            "mimeType": "application/json",
            "text": bitrix::resource("tasks/statuses"),
        }])
    );
    line.send(request(3, "resources/read", r#"{"uri":"bitrix24:///none"}"#));
    assert_eq!(line.recv_id("3").error_code(), -32002);
    line.finish_with_nothing_left();
    let sent = &posted_to(&server, "/mcp/resource/query")[0];
    assert_eq!(sent.value["resource"], "tasks/statuses");
    assert_eq!(sent.value["params"], json!({}));
}

#[test]
fn what_the_rest_variant_does_not_know_is_answered_without_it() {
    let server = Bitrix::rest_only();
    let mut line = line_to(&server);
    let before = server.requests().len();
    line.send(notification("notifications/cancelled", r#"{"requestId":9}"#));
    line.send(request(1, "ping", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.send(request(2, "completion/complete", "{}"));
    assert_eq!(line.recv_id("2").error_code(), -32601);
    line.finish_with_nothing_left();
    assert_eq!(server.requests().len(), before, "{:?}", server.names());
}
