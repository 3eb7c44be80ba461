//! A legacy client before an upstream that speaks the stateless revision alone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{
    ASKS_FOR_ROOTS, Stream, acknowledge, answer_question, modern_alone, refuse_legacy, said,
};
use crate::support::{
    INITIALIZE, Line, Message, Reply, Upstream, after_handshake, call, notification, request,
};

fn meta(message: &Message) -> &serde_json::Value {
    &message.value["params"]["_meta"]
}

#[test]
fn the_handshake_is_answered_from_the_discovery() {
    let upstream = modern_alone(|exchange| exchange.result(&said("done")));
    let mut line = Line::to(&upstream.url()).spawn();
    let reply = line.handshake();
    let asked = Message::parse(INITIALIZE).unwrap().value["params"].clone();
    assert_eq!(reply.result()["protocolVersion"], asked["protocolVersion"]);
    assert_eq!(reply.result()["serverInfo"]["name"], "modern");
    assert_eq!(reply.result()["instructions"], "be kind");
    assert_eq!(reply.result()["capabilities"]["tools"]["listChanged"], true);
    for member in ["resultType", "supportedVersions", "ttlMs", "cacheScope"] {
        assert!(reply.result()[member].is_null(), "{member}");
    }
    line.send(call(1, "any", r#"{"x":1.0}"#));
    let reply = line.recv_id("1");
    assert_eq!(reply.raw_result(), r#"{"content":[{"type":"text","text":"done"}]}"#);
    let got = upstream.message("tools/call");
    assert_eq!(meta(&got)["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta(&got)["io.modelcontextprotocol/clientInfo"], asked["clientInfo"]);
    assert!(meta(&got)["io.modelcontextprotocol/clientCapabilities"].is_object());
    assert!(got.text.contains(r#""arguments":{"x":1.0}"#), "{got}");
    line.finish_with_nothing_left();
    let posted = upstream.posted();
    assert_eq!(posted[..2], ["initialize", "server/discover"]);
}

#[test]
fn every_way_of_refusing_the_handshake_leads_to_the_discovery() {
    let error = |code: i64, message: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":0,"error":{{"code":{code},"message":"{message}"}}}}"#)
    };
    let ways = [
        Reply::json(error(-32601, "Method not found: initialize")),
        Reply::json(error(-32602, "Missing _meta")),
        Reply::status(400).body("application/json", error(-32602, "Missing _meta")),
        Reply::status(400).body("application/json", error(-32020, "Missing MCP-Protocol-Version")),
        Reply::status(404).body("application/json", error(-32601, "Method not found")),
        Reply::status(400),
        Reply::status(400).body("text/plain", "Bad Request"),
        Reply::json(
            r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2026-07-28","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}"#,
        ),
    ];
    crate::support::at_once(ways, |way| {
        let shown = format!("{way:?}");
        let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
            "initialize" => {
                let id = exchange.rpc().id().to_owned();
                let body = String::from_utf8(way.body.clone()).unwrap();
                let mut own = way.clone();
                own.body = body.replace(r#""id":0"#, &format!(r#""id":{id}"#)).into();
                exchange.send(&own)
            }
            "server/discover" => exchange.result(super::DISCOVERED),
            "tools/call" => exchange.result(&said("done")),
            _ => exchange.status(405),
        });
        let mut line = Line::to(&upstream.url()).spawn();
        assert_eq!(line.handshake().result()["serverInfo"]["name"], "modern", "{shown}");
        line.send(call(1, "any", "{}"));
        assert!(line.recv_id("1").result()["content"].is_array(), "{shown}");
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("initialize"), 1, "{shown}");
    });
}

#[test]
fn a_refusal_that_no_discovery_explains_is_told_as_it_came() {
    let upstream = Upstream::serve(|exchange| {
        let id = exchange.rpc().id().to_owned();
        exchange.json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":"no licence left"}}}}"#
        ))
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(INITIALIZE);
    assert_eq!(line.recv().error_text(), "no licence left");
    line.finish_with_nothing_left();
}

#[test]
fn what_the_modern_era_does_not_have_is_answered_here() {
    let upstream = modern_alone(|exchange| exchange.result(&said("done")));
    let mut line = Line::to(&upstream.url()).ready();
    line.send(request(1, "ping", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.send(request(2, "logging/setLevel", r#"{"level":"error"}"#));
    assert_eq!(line.recv_id("2").raw_result(), "{}");
    line.send(request(3, "logging/setLevel", r#"{"level":"loud"}"#));
    assert_eq!(line.recv_id("3").error_code(), -32602);
    line.send(request(4, "tasks/list", "{}"));
    assert_eq!(line.recv_id("4").error_code(), -32601);
    line.send(notification("notifications/roots/list_changed", "{}"));
    line.send(call(5, "any", "{}"));
    line.recv_id("5");
    let got = upstream.message("tools/call");
    assert_eq!(meta(&got)["io.modelcontextprotocol/logLevel"], "error");
    line.finish();
    for method in ["ping", "logging/setLevel", "tasks/list", "notifications/roots/list_changed"] {
        assert_eq!(upstream.count(method), 0, "{method}");
    }
}

#[test]
fn questions_become_requests_and_the_state_goes_back_byte_for_byte() {
    const STATE: &str = r#""a\u00e9\/\"☃ =""#;
    let upstream = modern_alone(|exchange| {
        let rpc = exchange.rpc();
        let params = Message::parse(rpc.raw("params").unwrap()).unwrap();
        if params.raw("requestState") == Some(STATE) {
            let answers = params.raw("inputResponses").unwrap().to_owned();
            return exchange.result(&format!(
                r#"{{"resultType":"complete","content":[],"structuredContent":{answers}}}"#
            ));
        }
        assert!(params.raw("inputResponses").is_none());
        exchange.result(&format!(
            r#"{{"resultType":"input_required","requestState":{STATE},"inputRequests":{{"who":{{"method":"elicitation/create","params":{{"mode":"url","message":"?","url":"https://x/"}}}},"where":{{"method":"roots/list"}}}}}}"#
        ))
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", r#"{"n":1.0}"#));
    for _ in 0..2 {
        let question = line.recv_where("a question", Message::is_request);
        let id = question.id();
        if question.method() == "roots/list" {
            line.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[]}}}}"#));
        } else {
            assert!(question.value["params"]["elicitationId"].is_string(), "{question}");
            line.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept"}}}}"#));
        }
    }
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["structuredContent"]["who"]["action"], "accept");
    assert!(reply.result()["structuredContent"]["where"]["roots"].is_array());
    let ids: Vec<_> =
        (1..=2).map(|nth| upstream.nth("tools/call", nth).rpc().id().to_owned()).collect();
    assert_ne!(ids[0], ids[1]);
    line.finish_with_nothing_left();
}

#[test]
fn a_question_that_the_client_refuses_fails_the_call() {
    let upstream = modern_alone(|exchange| exchange.result(ASKS_FOR_ROOTS));
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    answer_question(&mut line, r#""error":{"code":-32601,"message":"no roots here"}"#);
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32601);
    assert!(reply.error_text().contains("no roots here"));
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 1);
}

#[test]
fn a_server_that_asks_for_ever_is_given_up() {
    let upstream = modern_alone(|exchange| exchange.result(ASKS_FOR_ROOTS));
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    let mut asked = 0;
    let reply = loop {
        let message = line.recv();
        if message.is_reply() {
            break message;
        }
        asked += 1;
        let id = message.id();
        line.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[]}}}}"#));
    };
    assert_eq!(reply.error_code(), -32603);
    assert!(asked < 100, "{asked}");
    line.finish_with_nothing_left();
}

#[test]
fn cancelling_takes_open_questions_back() {
    let upstream = modern_alone(|exchange| exchange.result(ASKS_FOR_ROOTS));
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    let id = line.recv_where("a question", Message::is_request).id().to_owned();
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    let taken_back = line.recv_method("notifications/cancelled");
    assert_eq!(
        Message::parse(taken_back.raw("params").unwrap()).unwrap().raw("requestId"),
        Some(&*id)
    );
    line.finish_with_nothing_left();
}

#[test]
fn subscriptions_become_one_stream_that_is_opened_again_as_they_change() {
    let upstream = modern_alone(|exchange| {
        if exchange.name() != "subscriptions/listen" {
            return exchange.result(&said("done"));
        }
        let life = exchange.life();
        let has_uri = exchange.rpc().text.contains("resourceSubscriptions");
        acknowledge(exchange, |tell| {
            if has_uri {
                life.pass("update")?;
                tell("notifications/resources/updated", r#""uri":"a:1","#)?;
            } else {
                tell("notifications/tools/list_changed", "")?;
            }
            life.pass("never")
        })
    });
    let mut line = Line::to(&upstream.url()).ready();
    let changed = line.recv_method("notifications/tools/list_changed");
    assert!(!changed.text.contains("subscriptionId"), "{changed}");
    line.send(request(1, "resources/subscribe", r#"{"uri":"a:1"}"#));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    let second = upstream.nth("subscriptions/listen", 2).rpc();
    let filter = &second.value["params"]["notifications"];
    assert_eq!(filter["toolsListChanged"], true);
    assert_eq!(filter["resourceSubscriptions"], serde_json::json!(["a:1"]));
    upstream.open("update");
    let updated = line.recv_method("notifications/resources/updated");
    assert_eq!(updated.raw("params"), Some(r#"{"uri":"a:1"}"#));
    line.send(request(2, "resources/unsubscribe", r#"{"uri":"a:1"}"#));
    line.recv_id("2");
    let third = upstream.nth("subscriptions/listen", 3).rpc();
    assert!(third.value["params"]["notifications"]["resourceSubscriptions"].is_null());
    line.finish();
}

#[test]
fn a_subscription_that_the_upstream_refuses_leaves_the_others_as_they_are() {
    let refusals = AtomicUsize::new(0);
    let upstream = modern_alone(move |exchange| {
        if exchange.name() != "subscriptions/listen" {
            return exchange.result(&said("done"));
        }
        let rpc = exchange.rpc();
        if rpc.text.contains("a:2") {
            let error = r#"{"code":-32602,"message":"no a:2 here"}"#;
            let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, rpc.id());
            // In either status.
            let status = if refusals.fetch_add(1, Ordering::SeqCst) == 0 { 200 } else { 400 };
            return exchange.send(&Reply::status(status).body("application/json", body));
        }
        let life = exchange.life();
        let has_uri = rpc.text.contains("a:1");
        acknowledge(exchange, |tell| {
            if has_uri {
                life.pass("update")?;
                tell("notifications/resources/updated", r#""uri":"a:1","#)?;
            }
            life.pass("never")
        })
    });
    let subscribe =
        |id: u64, uri: &str| request(id, "resources/subscribe", &format!(r#"{{"uri":"{uri}"}}"#));
    let mut line = Line::to(&upstream.url()).ready();
    line.send(subscribe(1, "a:1"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    for id in 2..4 {
        line.send(subscribe(id, "a:2"));
        assert_eq!(line.recv_id(&id.to_string()).error_text(), "no a:2 here");
    }
    // The stream of before is the one that tells.
    upstream.open("update");
    let updated = line.recv_method("notifications/resources/updated");
    assert_eq!(updated.raw("params"), Some(r#"{"uri":"a:1"}"#));
    assert_eq!(upstream.count("subscriptions/listen"), 4);
    line.send(subscribe(5, "a:3"));
    assert_eq!(line.recv_id("5").raw_result(), "{}");
    let filter = &upstream.nth("subscriptions/listen", 5).rpc().value["params"]["notifications"];
    assert_eq!(filter["resourceSubscriptions"], serde_json::json!(["a:1", "a:3"]));
    line.finish();
}

#[test]
fn a_resource_that_the_upstream_does_not_agree_to_tell_of_is_refused() {
    let upstream = modern_alone(|exchange| {
        if exchange.name() != "subscriptions/listen" {
            return exchange.result(&said("done"));
        }
        let life = exchange.life();
        let granted = r#"{"toolsListChanged":true,"resourceSubscriptions":["a:1"]}"#;
        let mut stream = Stream::acknowledge_only(exchange, granted)?;
        life.pass("update")?;
        stream.tell("notifications/resources/updated", r#""uri":"a:1","#)?;
        life.pass("never")
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(request(1, "resources/subscribe", r#"{"uri":"a:1"}"#));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.send(request(2, "resources/subscribe", r#"{"uri":"a:2"}"#));
    let refused = line.recv_id("2");
    assert!(refused.error_text().contains("a:2"), "{refused}");
    // What the upstream has agreed to goes on.
    upstream.open("update");
    let updated = line.recv_method("notifications/resources/updated");
    assert_eq!(updated.raw("params"), Some(r#"{"uri":"a:1"}"#));
    line.finish();
}

#[test]
fn errors_have_the_codes_of_the_clients_era() {
    let upstream = modern_alone(|exchange| {
        let id = exchange.rpc().id().to_owned();
        // In either status.
        let status = if exchange.name() == "resources/read" { 400 } else { 200 };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":"Resource not found","data":{{"uri":"a:1"}}}}}}"#
        );
        exchange.send(&Reply::status(status).body("application/json", body))
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(request(1, "resources/read", r#"{"uri":"a:1"}"#));
    assert_eq!(line.recv_id("1").error_code(), -32002);
    line.send(call(2, "any", "{}"));
    assert_eq!(line.recv_id("2").error_code(), -32602);
    line.finish_with_nothing_left();
}

#[test]
fn a_line_from_a_shell_works_as_well() {
    let upstream = modern_alone(|exchange| exchange.result(&said("done")));
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"content":[{"type":"text","text":"done"}]}"#);
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("subscriptions/listen"), 0);
}

#[test]
fn an_upgrade_behind_the_same_url_is_noticed_once() {
    static UPGRADED: AtomicBool = AtomicBool::new(false);
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let legacy = after_handshake(|exchange| exchange.result(r#"{"content":[]}"#));
    let upstream = Upstream::serve(move |exchange| {
        if !UPGRADED.load(Ordering::SeqCst) {
            return legacy(exchange);
        }
        if exchange.request.header("mcp-protocol-version") != Some("2026-07-28") {
            return refuse_legacy(exchange);
        }
        match exchange.name().as_str() {
            "server/discover" => exchange.result(super::DISCOVERED),
            "subscriptions/listen" => exchange.status(404),
            _ => {
                CALLS.fetch_add(1, Ordering::SeqCst);
                exchange.result(&said("upgraded"))
            }
        }
    });
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    line.recv_id("1");
    UPGRADED.store(true, Ordering::SeqCst);
    for id in 2..5 {
        line.send(call(id, "any", "{}"));
        let reply = line.recv_id(&id.to_string());
        assert_eq!(reply.result()["content"][0]["text"], "upgraded", "{reply}");
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), 3);
    assert_eq!(upstream.count("server/discover"), 1);
    line.finish();
}
