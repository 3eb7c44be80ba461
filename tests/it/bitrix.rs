//! Bitrix24: what the current server sends comes out as an MCP client wants it, and what it sends
//! to others does not come out at all.

use crate::support::{Bitrix, Line, Message, Reply, bitrix, call, notification, request};

const IN_NOVEMBER: &str =
    r#"{"filter":{">=DATE_CREATE":"2026-11-01","<=DATE_CREATE":"2026-11-21"}}"#;

/// The ways to this server: the kind given or found, the URL with or without its path.
fn ways(server: &Bitrix) -> Vec<(&'static str, String)> {
    vec![
        ("bitrix", server.base()),
        ("bitrix", server.url_of("/")),
        ("bitrix", server.url_of("/mcp")),
        ("bitrix", server.url_of("/mcp/")),
        ("auto", server.base()),
        ("auto", server.url_of("/mcp")),
    ]
}

/// A line of this kind to the server's base URL, handshake done.
fn line_to(server: &Bitrix, options: &str) -> Line {
    Line::to(&server.base()).args("--kind bitrix").args(options).ready()
}

#[test]
fn the_handshake_passes_whole() {
    for number in 0..6 {
        let server = Bitrix::current();
        let (kind, url) = &ways(&server)[number];
        let mut line = Line::to(url).args(&format!("--kind {kind}")).spawn();
        let reply = line.handshake();
        let given = Message::parse(&bitrix::handshake_result()).unwrap();
        let got = Message::parse(reply.raw_result()).unwrap();
        for member in [
            "protocolVersion",
            "serverInfo",
            "instructions",
            "structuredInstructions",
            "instructionNotes",
            "tools",
        ] {
            assert_eq!(got.raw(member), given.raw(member), "{kind} {url}: {member}");
        }
        let resources = got.value["resources"].as_array().map_or(0, Vec::len);
        assert_eq!(resources, 14, "{kind} {url}");
        for capability in ["tools", "resources"] {
            assert!(got.value["capabilities"][capability].is_object(), "{kind} {url}: {got}");
        }
        line.finish_with_nothing_left();
        if *kind == "bitrix" {
            // The server redirects from the address with a slash, which is kept.
            let times = if url.ends_with("/mcp/") { 2 } else { 1 };
            assert_eq!(server.count("initialize"), times, "{url}");
        }
    }
}

#[test]
fn tools_are_listed_and_called_by_every_way() {
    for number in 0..6 {
        let server = Bitrix::current();
        let (kind, url) = &ways(&server)[number];
        let mut line = Line::to(url).args(&format!("--kind {kind}")).ready();
        line.send(request(1, "tools/list", "{}"));
        assert_eq!(line.recv_id("1").result()["tools"], bitrix::tools(), "{kind} {url}");
        line.send(call(r#""a\u0041""#, "getDeals", IN_NOVEMBER));
        let reply = line.recv();
        assert_eq!(reply.id(), r#""a\u0041""#, "{kind} {url}");
        assert_eq!(reply.raw_result(), bitrix::deals(), "{kind} {url}");
        line.finish_with_nothing_left();
        assert_eq!(server.asked("getDeals"), 1, "{kind} {url}");
    }
}

#[test]
fn what_is_said_about_notifications_stays_unsaid() {
    let server = Bitrix::current();
    let mut line = line_to(&server, "");
    line.send(notification("notifications/roots/list_changed", "{}"));
    line.send(notification("notifications/cancelled", r#"{"requestId":77}"#));
    line.send(call(1, "getDeals", IN_NOVEMBER));
    assert_eq!(line.recv().id(), "1");
    line.finish_with_nothing_left();
}

#[test]
fn a_ping_is_answered_without_the_server() {
    for (kind, path) in [("bitrix", ""), ("auto", "/mcp")] {
        let server = Bitrix::current();
        let mut line = Line::to(&server.url_of(path)).args(&format!("--kind {kind}")).ready();
        line.send(request(7, "ping", "{}"));
        assert_eq!(line.recv_id("7").raw_result(), "{}", "{kind}");
        line.finish_with_nothing_left();
        assert_eq!(server.count("ping"), 0, "{kind}");
    }
}

#[test]
fn the_stream_is_not_opened() {
    for number in 0..6 {
        let server = Bitrix::current();
        let (kind, url) = &ways(&server)[number];
        let mut line = Line::to(url).args(&format!("--kind {kind}")).ready();
        for id in 0..3 {
            line.send(call(id, "getDeals", IN_NOVEMBER));
            line.recv_id(&id.to_string());
        }
        line.finish_with_nothing_left();
        assert_eq!(server.streams(), 0, "{kind} {url}");
        assert_eq!(server.count("DELETE"), 0, "{kind} {url}: there are no sessions to end");
    }
}

/// What other clients of the server are told, as its stream repeats it.
fn strangers(id: &str) -> [String; 5] {
    [
        format!(r#"{{"jsonrpc": "2.0", "id": {id}, "result": {{"content": [], "secret": true}}}}"#),
        format!(r#"{{"jsonrpc": "2.0", "id": {id}, "error": {{"code": -32601, "message": "x"}}}}"#),
        r#"{"jsonrpc": "2.0", "method": "tools/call", "params": {"result": {"content": []}}}"#
            .into(),
        r#"{"jsonrpc": "2.0", "method": "resources/query", "params": {"result": {}}}"#.into(),
        r#"{"jsonrpc": "2.0", "method": "initialize", "params": {"serverInfo": {}}}"#.into(),
    ]
}

/// Something that may pass, by which a test sees that all before it has been read.
const MARK: &str = r#"{"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}"#;

/// A call is in flight when the stream brings strangers' answers, some with its very id.
fn strangers_are_not_heard(server: &Bitrix, options: &str) {
    for message in strangers(r#""init""#).into_iter().chain(strangers("1")) {
        server.broadcast(message);
    }
    let mut line = Line::to(&server.url()).args(options).ready();
    server.wait_for_stream();
    line.send(call(1, "getDeals", r#"{"gate":"deals","filter":{">=DATE_CREATE":"2026-11-01"}}"#));
    server.wait_at("deals", 1);
    let wire_id = server.message("tools/call").id().to_owned();
    for message in strangers(&wire_id).into_iter().chain(strangers("1")) {
        server.broadcast(message);
    }
    server.broadcast(MARK);
    assert_eq!(line.recv().method(), "notifications/message");
    server.open("deals");
    let reply = line.recv();
    assert_eq!(reply.raw_result(), bitrix::deals(), "{options}");
    // Its own copy on the stream, and the end of that.
    server.broadcast(MARK);
    assert_eq!(line.recv().method(), "notifications/message");
    line.finish_with_nothing_left();
}

#[test]
fn nothing_meant_for_others_comes_from_the_stream_when_it_is_asked_for() {
    strangers_are_not_heard(&Bitrix::current(), "--kind bitrix --with stream");
}

#[test]
fn nothing_meant_for_others_comes_from_the_stream_when_the_kind_is_mcp() {
    strangers_are_not_heard(&Bitrix::current(), "--kind mcp");
}

#[test]
fn resources_have_uris_with_a_scheme_that_lead_back() {
    let server = Bitrix::current();
    let mut line = line_to(&server, "");
    line.send(request(1, "resources/list", "{}"));
    let listed = line.recv_id("1").result()["resources"].clone();
    let mut expected = bitrix::resources();
    for resource in expected.as_array_mut().unwrap() {
        resource["uri"] = format!("bitrix24:///{}", resource["uri"].as_str().unwrap()).into();
    }
    assert_eq!(listed, expected);
    for (id, asked, meant) in [
        (2, "bitrix24:///crm/deals", "crm/deals"),
        (3, "crm/deals", "crm/deals"),
        (4, "bitrix24:///bitrix24_leads_guide", "bitrix24_leads_guide"),
    ] {
        line.send(request(id, "resources/read", &format!(r#"{{"uri":"{asked}"}}"#)));
        let reply = line.recv_id(&id.to_string());
        let contents = reply.result()["contents"].as_array().unwrap();
        assert_eq!(contents.len(), 1, "{reply}");
        assert_eq!(contents[0]["uri"], asked, "{reply}");
        assert_eq!(contents[0]["mimeType"], "application/json", "{reply}");
        // Nulls, spelling of numbers and order included.
        assert_eq!(contents[0]["text"], bitrix::resource(meant), "{reply}");
    }
    line.finish_with_nothing_left();
    let first = server.nth("resources/query", 1).rpc().value;
    assert_eq!(first["params"]["uri"], "crm/deals");
    assert_eq!(first["params"]["arguments"], serde_json::json!({}));
    assert_eq!(server.count("resources/read"), 0);
}

#[test]
fn resources_may_keep_their_uris() {
    let server = Bitrix::current();
    let mut line = line_to(&server, "--keep uris");
    line.send(request(1, "resources/list", "{}"));
    assert_eq!(line.recv_id("1").result()["resources"], bitrix::resources());
    line.send(request(2, "resources/read", r#"{"uri":"tasks/statuses"}"#));
    let reply = line.recv_id("2");
    assert_eq!(reply.result()["contents"][0]["uri"], "tasks/statuses");
    line.finish_with_nothing_left();
}

#[test]
fn an_unknown_resource_is_not_found() {
    let server = Bitrix::current();
    let mut line = line_to(&server, "");
    line.send(request(1, "resources/read", r#"{"uri":"bitrix24:///crm/none"}"#));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32002, "{reply}");
    assert!(reply.error_text().contains("crm/none"), "{reply}");
    line.finish_with_nothing_left();
    assert_eq!(server.count("resources/query"), 1);
}

#[test]
fn lists_that_the_server_does_not_know_are_empty() {
    let server = Bitrix::current();
    let mut line = line_to(&server, "");
    line.send(request(1, "prompts/list", "{}"));
    assert_eq!(line.recv_id("1").result()["prompts"], serde_json::json!([]));
    line.send(request(2, "resources/templates/list", "{}"));
    assert_eq!(line.recv_id("2").result()["resourceTemplates"], serde_json::json!([]));
    line.send(request(3, "logging/setLevel", r#"{"level":"info"}"#));
    assert_eq!(line.recv_id("3").error_code(), -32601);
    line.finish_with_nothing_left();
}

#[test]
fn warnings_reach_the_client_byte_for_byte_and_the_call_is_not_repeated() {
    for (kind, path) in [("bitrix", ""), ("auto", "/mcp")] {
        let server = Bitrix::current();
        let mut line = Line::to(&server.url_of(path)).args(&format!("--kind {kind}")).ready();
        line.send(call(1, "getDeals", r#"{"filter":{}}"#));
        let reply = line.recv_id("1");
        assert_eq!(reply.raw_result(), bitrix::warned(), "{kind}");
        assert_eq!(reply.result()["isError"], true);
        line.finish_with_nothing_left();
        assert_eq!(server.asked("getDeals"), 1, "{kind}");
    }
}

#[test]
fn arguments_reach_the_server_byte_for_byte() {
    const ARGUMENTS: &str =
        r#"{"filter":{">=DATE_CREATE":"2026","n":1.0,"n2":9007199254740993 },"a":[ ]}"#;
    let server = Bitrix::current();
    let mut line = line_to(&server, "");
    line.send(call(1, "getDeals", ARGUMENTS));
    line.recv_id("1");
    let sent = server.message("tools/call");
    let params = Message::parse(sent.raw("params").unwrap()).unwrap();
    assert_eq!(params.raw("arguments"), Some(ARGUMENTS));
    line.finish_with_nothing_left();
}

#[test]
fn one_piped_request_works_without_a_handshake() {
    let server = Bitrix::current();
    let mut line = Line::to(&server.base()).args("--kind bitrix").spawn();
    line.send(request(1, "tools/list", "{}"));
    let replies = line.finish();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert_eq!(replies[0].result()["tools"], bitrix::tools());
}

#[test]
fn what_only_clients_send_never_comes_out() {
    let said = format!(
        r#"{{"jsonrpc":"2.0","method":"initialize","params":{}}}"#,
        bitrix::handshake_result()
    );
    let server = Bitrix::current();
    server.always("callBitrixMethod", Reply::json(said));
    let mut line = line_to(&server, "--no-retry");
    line.send(call(1, "callBitrixMethod", r#"{"method":"crm.deal.add"}"#));
    let reply = line.recv();
    assert_eq!(reply.id(), "1", "{reply}");
    reply.failure(reply.error_code());
    line.expect_nothing();
    line.finish_with_nothing_left();
}
