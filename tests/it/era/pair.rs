//! A modern client and a modern upstream: what they say passes, and the transport's rules are kept.

use super::{DISCOVERED, acknowledge, modern, modern_alone, modern_call, said};
use crate::support::{Line, Reply, Upstream, notification, request};

#[test]
fn one_request_of_the_client_is_one_request_upstream() {
    let upstream = modern_alone(|exchange| exchange.result(&said("done")));
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "server/discover", ""));
    assert_eq!(line.recv_id("1").raw_result(), DISCOVERED);
    line.send(modern_call(2, "any", "{}"));
    assert_eq!(line.recv_id("2").raw_result(), said("done"));
    line.finish_with_nothing_left();
    assert_eq!(upstream.posted(), ["server/discover", "tools/call"]);
}

#[test]
fn the_body_passes_untouched_and_the_headers_repeat_it() {
    let upstream = modern_alone(|exchange| exchange.result(&said("done")));
    let mut line = Line::to(&upstream.url()).spawn();
    for (id, method, params, name) in [
        (
            1,
            "tools/call",
            r#""name":"отчёт","arguments":{"x":1.0,"y":[ 2 ]}"#,
            Some("=?base64?0L7RgtGH0ZHRgg==?="),
        ),
        (2, "resources/read", r#""uri":"a:b c""#, Some("a:b c")),
        (3, "prompts/get", r#""name":" p""#, Some("=?base64?IHA=?=")),
        (4, "tools/list", r#""cursor":"2""#, None),
        (5, "vendor/thing", r#""name":"n""#, None),
    ] {
        let sent = modern(id, method, params);
        line.send(&sent);
        line.recv_id(&id.to_string());
        let got = upstream.nth(method, 1);
        assert_eq!(String::from_utf8_lossy(&got.body), sent);
        assert_eq!(got.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(got.header("mcp-method"), Some(method));
        assert_eq!(got.header("mcp-name"), name, "{method}");
        assert_eq!(got.header("mcp-session-id"), None);
    }
    line.finish_with_nothing_left();
}

const ANNOTATED: &str = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":[{"name":"sql","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}},{"name":"bad","inputSchema":{"type":"object","properties":{"a":{"type":"number","x-mcp-header":"A"}}}},{"name":"plain","inputSchema":{"type":"object"}}]}"#;

#[test]
fn annotated_arguments_are_repeated_and_invalid_tools_are_left_out_with_a_warning() {
    let upstream = modern_alone(|exchange| match exchange.name().as_str() {
        "tools/list" => exchange.result(ANNOTATED),
        _ => exchange.result(&said("done")),
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "tools/list", ""));
    let tools = line.recv_id("1").result()["tools"].as_array().unwrap().clone();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sql", "plain"]);
    line.send(modern_call(2, "sql", r#"{"region":"Hello, 世界","deep":{"n":42}}"#));
    line.recv_id("2");
    let got = upstream.nth("tools/call", 1);
    assert_eq!(got.header("mcp-param-region"), Some("=?base64?SGVsbG8sIOS4lueVjA==?="));
    assert_eq!(got.header("mcp-param-n"), Some("42"));
    line.send(modern_call(3, "sql", r#"{"region":null}"#));
    line.recv_id("3");
    assert_eq!(upstream.nth("tools/call", 2).header("mcp-param-region"), None);
    line.close_stdin();
    let ended = line.wait();
    assert!(ended.stderr.contains(r#""bad""#), "{}", ended.stderr);
}

fn mismatch(exchange: &mut crate::support::Exchange<'_>) -> crate::support::Answered {
    let id = exchange.rpc().id().to_owned();
    let error = r#"{"code":-32020,"message":"Header mismatch"}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
    exchange.send(&Reply::status(400).body("application/json", body))
}

#[test]
fn a_header_mismatch_lists_the_tools_again_and_tries_once_more() {
    let upstream = modern_alone(|exchange| match exchange.name().as_str() {
        "tools/list" => exchange.result(ANNOTATED),
        _ if exchange.request.header("mcp-param-region").is_none() => mismatch(exchange),
        _ => exchange.result(&said("done")),
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern_call(1, "sql", r#"{"region":"eu"}"#));
    assert_eq!(line.recv_id("1").raw_result(), said("done"));
    assert_eq!(upstream.posted(), ["tools/call", "tools/list", "tools/call"]);
    // What stays wrong is told as it is.
    line.send(modern_call(2, "plain", "{}"));
    assert_eq!(line.recv_id("2").error_code(), -32020);
    assert_eq!(upstream.count("tools/call"), 4);
    line.finish_with_nothing_left();
}

#[test]
fn cancelling_closes_the_stream_and_says_nothing_else() {
    let upstream = modern_alone(|exchange| {
        let gate = exchange.life();
        let events = exchange.events()?;
        gate.pass("begun")?;
        events.until_closed()?;
        gate.pass("closed")
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern_call(1, "slow", "{}"));
    upstream.wait_at("begun", 1);
    upstream.open("begun");
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    upstream.wait_at("closed", 1);
    upstream.open("closed");
    line.finish_with_nothing_left();
    assert_eq!(upstream.posted(), ["tools/call"]);
}

#[test]
fn a_subscription_survives_drops_with_one_acknowledgement() {
    let upstream = modern_alone(|exchange| {
        let life = exchange.life();
        acknowledge(exchange, |tell| {
            tell("notifications/tools/list_changed", "")?;
            life.pass("drop")
        })
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(7, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#));
    let acknowledged = line.recv_method("notifications/subscriptions/acknowledged");
    let tag = |message: &crate::support::Message| {
        message.value["params"]["_meta"][super::SUBSCRIPTION_ID].clone()
    };
    assert_eq!(tag(&acknowledged), 7);
    assert_eq!(tag(&line.recv()), 7);
    upstream.wait_at("drop", 1);
    upstream.open("drop");
    // The stream is gone and comes back: what may have been missed is told, then what comes.
    for _ in 0..2 {
        let told = line.recv();
        assert_eq!(told.method(), "notifications/tools/list_changed");
        assert_eq!(tag(&told), 7, "{told}");
    }
    let ids: Vec<_> = (1..=2)
        .map(|nth| upstream.nth("subscriptions/listen", nth).rpc().id().to_owned())
        .collect();
    assert_ne!(ids[0], ids[1]);
    line.send(notification("notifications/cancelled", r#"{"requestId":7}"#));
    line.close_stdin();
    assert!(line.finish().iter().all(crate::support::Message::is_notification));
}

#[test]
fn a_subscription_ends_in_good_order_with_the_input() {
    let upstream = modern_alone(|exchange| {
        let life = exchange.life();
        acknowledge(exchange, |_| life.pass("never"))
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#));
    line.recv_method("notifications/subscriptions/acknowledged");
    line.close_stdin();
    let last = line.recv_id("1");
    assert_eq!(last.result()["resultType"], "complete");
    assert_eq!(last.result()["_meta"][super::SUBSCRIPTION_ID], 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_version_that_the_server_does_not_know_is_told_by_the_server() {
    let upstream = Upstream::serve(|exchange| {
        let id = exchange.rpc().id().to_owned();
        let error = r#"{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2027-01-01"],"requested":"2026-07-28"}}"#;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
        exchange.send(&Reply::status(400).body("application/json", body))
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "tools/list", ""));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32022);
    assert_eq!(reply.error()["data"]["supported"][0], "2027-01-01");
    line.finish_with_nothing_left();
    assert_eq!(upstream.posted(), ["tools/list"]);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_another_id() {
    let upstream = modern_alone(|exchange| {
        if exchange.rpc().id() == "1" {
            return exchange.raw_and_reset("");
        }
        exchange.result(r#"{"resultType":"complete","tools":[]}"#)
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(0, "server/discover", ""));
    line.recv_id("0");
    line.send(modern(1, "tools/list", ""));
    assert!(line.recv_id("1").result()["tools"].is_array());
    line.send(modern_call(1, "any", "{}"));
    // A call may have run.
    assert_eq!(line.recv_id("1").error_code(), -33002);
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 1);
}

#[test]
fn the_discovery_is_answered_in_time_without_a_server_and_what_follows_tells_the_reason() {
    let mut line = Line::to("http://127.0.0.1:9/mcp").env("MCPLINE_START_TIMEOUT", "0.2").spawn();
    line.send(modern(1, "server/discover", ""));
    let discovered = line.recv_id("1");
    assert_eq!(discovered.result()["supportedVersions"][0], "2026-07-28");
    line.send(modern(2, "tools/list", ""));
    assert_eq!(line.recv_id("2").error_code(), -33001);
    line.finish_with_nothing_left();
}

#[test]
fn a_modern_server_is_forced_by_an_option() {
    let upstream = modern_alone(|exchange| exchange.result(&said("done")));
    let mut line = Line::to(&upstream.url()).args("--upstream-era modern").ready();
    line.send(request(1, "tools/call", r#"{"name":"any"}"#));
    assert!(line.recv_id("1").result()["content"].is_array());
    line.finish_with_nothing_left();
    assert_eq!(upstream.posted()[0], "server/discover");
    assert_eq!(upstream.count("initialize"), 0);
}
