//! A modern client before an upstream of the legacy era.

use super::{META, SUBSCRIPTION_ID, answered, modern, modern_call};
use crate::support::{
    Line, Message, Reply, Upstream, after_handshake, call, handshake, notification, request,
};

#[test]
fn the_discovery_is_answered_from_a_handshake() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "server/discover", ""));
    let reply = line.recv_id("1");
    let result = reply.result();
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["supportedVersions"], serde_json::json!(["2026-07-28"]));
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&0.into(), &"private".into()));
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string());
    assert!(result["capabilities"].is_object());
    let asked = upstream.message("initialize");
    assert_eq!(asked.value["params"]["protocolVersion"], "2025-11-25");
    assert_eq!(asked.value["params"]["clientInfo"]["name"], "it");
    assert!(asked.value["params"]["capabilities"]["elicitation"].is_object());
    line.send(modern(2, "tools/list", ""));
    let listed = line.recv_id("2");
    assert_eq!(listed.result()["resultType"], "complete");
    assert_eq!(listed.result()["ttlMs"], 0);
    line.send(modern_call(3, "echo", r#"{"x":1.0}"#));
    let reply = line.recv_id("3");
    assert!(reply.text.contains(r#""structuredContent":{"x":1.0}"#), "{reply}");
    assert_eq!(reply.result()["resultType"], "complete");
    let got = upstream.message("tools/call");
    assert!(!got.text.contains("_meta"), "{got}");
    line.finish_with_nothing_left();
    assert_eq!(
        upstream.posted()[..3],
        ["server/discover", "initialize", "notifications/initialized"]
    );
}

#[test]
fn a_version_that_we_do_not_know_is_refused_with_ours() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "server/discover", "").replace("2026-07-28", "2099-01-01"));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32022);
    assert_eq!(reply.error()["data"]["supported"], serde_json::json!(["2026-07-28"]));
    assert_eq!(reply.error()["data"]["requested"], "2099-01-01");
    line.finish_with_nothing_left();
}

#[test]
fn a_call_as_the_first_message_is_carried_out_once() {
    for method in ["with sessions", "without"] {
        let sessions = (method == "with sessions").then_some("s");
        let upstream = Upstream::serve(move |exchange| {
            let name = exchange.name();
            match name.as_str() {
                "initialize" | "notifications/initialized" => handshake(exchange, sessions),
                "tools/call" if sessions.is_some() && exchange.request.header("mcp-session-id").is_none() => {
                    exchange.send(&Reply::status(400).body(
                        "application/json",
                        r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#,
                    ))
                }
                "tools/call" => exchange.result(r#"{"content":[]}"#),
                _ => exchange.status(405),
            }
        });
        let mut line = Line::to(&upstream.url()).spawn();
        line.send(modern_call(1, "any", "{}"));
        let reply = line.recv_id("1");
        assert_eq!(reply.raw_result(), r#"{"content":[],"resultType":"complete"}"#, "{method}");
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("tools/call"), if sessions.is_some() { 2 } else { 1 });
    }
}

#[test]
fn a_silent_server_is_taken_for_one_that_wants_a_handshake() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "server/discover" => exchange.pass("never"),
        "initialize" | "notifications/initialized" => handshake(exchange, None),
        _ => exchange.status(405),
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "server/discover", ""));
    assert!(line.recv_id("1").result()["capabilities"].is_object());
    line.finish_with_nothing_left();
}

#[test]
fn a_question_becomes_a_result_that_asks_for_input() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let arguments = r#"{"method":"elicitation/create"}"#;
    line.send(modern_call(1, "ask", arguments));
    let asked = line.recv_id("1");
    assert_eq!(asked.result()["resultType"], "input_required");
    let questions = asked.result()["inputRequests"].as_object().unwrap();
    let question = questions.values().next().unwrap();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["n"], 1.0);
    line.send(answered(2, "ask", arguments, &asked, r#"{"action":"accept","content":{"x":1.0}}"#));
    let reply = line.recv_id("2");
    assert_eq!(reply.result()["structuredContent"]["result"]["action"], "accept");
    assert_eq!(reply.result()["resultType"], "complete");
    assert_eq!(upstream.executions("ask"), 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_state_is_good_once_and_for_its_own_request() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let arguments = r#"{"method":"roots/list"}"#;
    line.send(modern_call(1, "ask", arguments));
    let asked = line.recv_id("1");
    let right = answered(2, "ask", arguments, &asked, r#"{"roots":[]}"#);
    let state = asked.result()["requestState"].as_str().unwrap();
    assert!(state.len() >= 32, "{state}");
    // Altered, and for another request: neither spoils the true one.
    line.send(right.replace(state, &format!("{state}x")).replace(r#""id":2"#, r#""id":3"#));
    assert_eq!(line.recv_id("3").error_code(), -32602);
    line.send(answered(4, "ask", r#"{"method":"roots/list","gate":"x"}"#, &asked, "{}"));
    assert_eq!(line.recv_id("4").error_code(), -32602);
    line.send(answered(5, "echo", arguments, &asked, "{}"));
    assert_eq!(line.recv_id("5").error_code(), -32602);
    // Answers without what they belong to are no new call.
    let written = format!(r#""requestState":"{state}""#);
    for (id, altered) in [
        (7, r#""requestState":7"#.to_owned()),
        (8, r#""requestState":null"#.to_owned()),
        (9, r#""requestState":"""#.to_owned()),
        (10, format!(r#""requestState":["{state}"]"#)),
        (11, r#""x":1"#.to_owned()),
    ] {
        let altered = right.replace(&written, &altered);
        line.send(altered.replace(r#""id":2"#, &format!(r#""id":{id}"#)));
        assert_eq!(line.recv_id(&id.to_string()).error_code(), -32602, "{altered}");
    }
    line.send(&right);
    assert!(line.recv_id("2").result()["content"].is_array());
    // Replayed.
    line.send(right.replace(r#""id":2"#, r#""id":6"#));
    assert_eq!(line.recv_id("6").error_code(), -32602);
    line.finish_with_nothing_left();
    assert_eq!(upstream.executions("ask"), 1);
    assert_eq!(upstream.executions("echo"), 0);
}

#[test]
fn a_question_that_the_client_cannot_answer_is_refused_for_it() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let plain = META.replace(r#""elicitation":{},"sampling":{},"roots":{}"#, "");
    line.send(request(
        1,
        "tools/call",
        &format!(r#"{{"name":"ask","arguments":{{}},"_meta":{{{plain}}}}}"#),
    ));
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["structuredContent"]["error"]["code"], -32601);
    line.finish_with_nothing_left();
}

#[test]
fn more_capabilities_open_a_session_that_has_them() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let plain = META.replace(r#""elicitation":{},"sampling":{},"roots":{}"#, "");
    line.send(request(1, "tools/list", &format!(r#"{{"_meta":{{{plain}}}}}"#)));
    line.recv_id("1");
    line.send(request(2, "tools/list", &format!(r#"{{"_meta":{{{plain}}}}}"#)));
    line.recv_id("2");
    assert_eq!(upstream.count("initialize"), 1);
    line.send(modern_call(3, "ask", r#"{"method":"roots/list"}"#));
    assert_eq!(line.recv_id("3").result()["resultType"], "input_required");
    assert_eq!(upstream.count("initialize"), 2);
    // Less than that is no reason for another one.
    line.send(request(4, "tools/list", &format!(r#"{{"_meta":{{{plain}}}}}"#)));
    line.recv_id("4");
    assert_eq!(upstream.count("initialize"), 2);
    line.finish();
}

#[test]
fn a_call_that_waits_for_an_answer_outlives_the_session_that_more_capabilities_open() {
    // The stream, which all answers come on, is the session.
    let upstream = Upstream::http_sse();
    let mut line = Line::to(&upstream.url()).args("--kind sse").spawn();
    let rooted = |line: String| line.replace(r#""elicitation":{},"sampling":{},"#, "");
    let arguments = r#"{"method":"roots/list"}"#;
    line.send(rooted(modern_call(1, "ask", arguments)));
    let asked = line.recv_id("1");
    line.send(rooted(modern_call(2, "slow", r#"{"gate":"slow"}"#)));
    upstream.wait_at("slow", 1);
    line.send(modern_call(3, "echo", "{}"));
    assert_eq!(line.recv_id("3").result()["resultType"], "complete");
    assert_eq!(upstream.count("initialize"), 2);
    line.send(answered(4, "ask", arguments, &asked, r#"{"roots":[]}"#));
    let reply = line.recv_id("4");
    assert!(reply.result()["structuredContent"]["result"]["roots"].is_array(), "{reply}");
    upstream.open("slow");
    assert_eq!(line.recv_id("2").result()["resultType"], "complete");
    assert_eq!((upstream.executions("ask"), upstream.executions("slow")), (1, 1));
    line.finish_with_nothing_left();
}

#[test]
fn cancelling_reaches_the_call_that_the_upstream_knows() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern_call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    let got = upstream.message("notifications/cancelled");
    assert_eq!(got.value["params"]["requestId"], 1);
    upstream.open("slow");
    line.finish_with_nothing_left();
}

#[test]
fn log_messages_come_for_the_requests_that_ask_for_them() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        match exchange.name().as_str() {
            "logging/setLevel" => return exchange.result("{}"),
            "server/discover" => return exchange.status(400),
            _ => {}
        }
        let reply = exchange.result_text(r#"{"content":[]}"#);
        let mut events = exchange.events()?;
        for level in ["info", "error"] {
            events.message(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":"{level}"}}}}"#
            ))?;
        }
        events.message(reply)?;
        events.end()
    }));
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(0, "server/discover", ""));
    line.recv_id("0");
    line.send(modern_call(1, "any", "{}"));
    assert!(line.recv().is_reply());
    let wants = |id: u64, level: &str| {
        let level = format!(r#""_meta":{{"io.modelcontextprotocol/logLevel":"{level}","#);
        modern_call(id, "any", "{}").replace(r#""_meta":{"#, &level)
    };
    line.send(wants(2, "warning"));
    assert_eq!(line.recv().value["params"]["data"], "error");
    assert!(line.recv().is_reply());
    line.send(wants(3, "loud"));
    assert_eq!(line.recv_id("3").error_code(), -32602);
    line.finish_with_nothing_left();
}

#[test]
fn a_subscription_is_acknowledged_tagged_and_outlives_the_session() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let filter = r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a:1"]}"#;
    line.send(modern(r#""s""#, "subscriptions/listen", filter));
    let acknowledged = line.recv_method("notifications/subscriptions/acknowledged");
    let tag = |message: &Message| message.value["params"]["_meta"][SUBSCRIPTION_ID].clone();
    assert_eq!(tag(&acknowledged), "s");
    let granted = &acknowledged.value["params"]["notifications"];
    assert_eq!(granted["toolsListChanged"], true);
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let changed = line.recv_method("notifications/tools/list_changed");
    assert_eq!(tag(&changed), "s");
    // The upstream restarts and forgets everything.
    upstream.forget_sessions();
    line.send(modern_call(1, "echo", "{}"));
    line.recv_id("1");
    line.recv_where("news after the gap", |message| {
        message.method() == "notifications/tools/list_changed" && tag(message) == "s"
    });
    let (_, subscriptions) = upstream.session_settings();
    assert_eq!(granted["resourceSubscriptions"], serde_json::json!(["a:1"]));
    assert_eq!(subscriptions, ["a:1"]);
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    assert_eq!(tag(&line.recv_method("notifications/tools/list_changed")), "s");
    line.close_stdin();
    assert_eq!(line.recv_id(r#""s""#).result()["resultType"], "complete");
    assert!(
        line.finish()
            .iter()
            .all(|message| message.method() != "notifications/subscriptions/acknowledged")
    );
}

#[test]
fn a_resource_that_is_not_there_has_the_code_of_the_clients_era() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let id = exchange.rpc().id().to_owned();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32002,"message":"Resource not found"}}}}"#
        );
        exchange.send(&Reply::status(400).body("application/json", body))
    }));
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "server/discover", ""));
    line.recv_id("1");
    line.send(modern(2, "resources/read", r#""uri":"a:1""#));
    assert_eq!(line.recv_id("2").error_code(), -32602);
    line.send(modern(3, "ping", ""));
    assert_eq!(line.recv_id("3").error_code(), -32601);
    line.finish_with_nothing_left();
}

#[test]
fn pages_that_must_be_opened_first_are_asked_for() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        if exchange.name() != "tools/call" {
            return exchange.result("{}");
        }
        if exchange.rpc().id() == "2" {
            let id = exchange.rpc().id().to_owned();
            return exchange.json(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32042,"message":"open","data":{{"elicitations":[{{"mode":"url","elicitationId":"e","url":"https://x/","message":"?"}}]}}}}}}"#
            ));
        }
        exchange.result(r#"{"content":[]}"#)
    }));
    let mut line = Line::to(&upstream.url()).spawn();
    let with_url =
        |line: String| line.replace(r#""elicitation":{}"#, r#""elicitation":{"url":{}}"#);
    line.send(with_url(modern(1, "tools/list", "")));
    line.recv_id("1");
    line.send(with_url(modern_call(2, "any", "{}")));
    let asked = line.recv_id("2");
    let questions = asked.result()["inputRequests"].as_object().unwrap();
    let params = &questions.values().next().unwrap()["params"];
    assert_eq!(params["url"], "https://x/");
    assert!(params["elicitationId"].is_null());
    line.send(with_url(answered(3, "any", "{}", &asked, r#"{"action":"accept"}"#)));
    assert!(line.recv_id("3").result()["content"].is_array());
    line.finish_with_nothing_left();
}

#[test]
fn the_legacy_era_is_forced_by_an_option() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).env("MCPLINE_UPSTREAM_ERA", "legacy").spawn();
    line.send(modern_call(1, "echo", "{}"));
    assert_eq!(line.recv_id("1").result()["resultType"], "complete");
    line.finish_with_nothing_left();
    assert_eq!(upstream.posted()[0], "initialize");
}

#[test]
fn without_retries_the_other_era_is_still_found() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--no-retry").spawn();
    line.send(modern(1, "server/discover", ""));
    assert!(line.recv_id("1").result()["capabilities"].is_object());
    line.finish_with_nothing_left();
}

#[test]
fn a_client_that_gives_the_discovery_up_may_make_a_handshake() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(r#""probe""#, "server/discover", ""));
    line.recv_id(r#""probe""#);
    assert!(line.handshake().result()["serverInfo"].is_object());
    line.send(call(1, "echo", "{}"));
    assert!(line.recv_id("1").result()["resultType"].is_null());
    line.finish_with_nothing_left();
}
