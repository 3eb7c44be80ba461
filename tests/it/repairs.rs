//! What each named kind repairs in the answers of any server. The single members are in a table test
//! beside the code, and go through real clients in `scripts/e2e`.

use serde_json::{Value, json};

use crate::support::{Line, Reply, Upstream, at_once, call, initialize_result, request};

const KINDS: [&str; 3] = ["1c", "bitrix", "amocrm"];

/// A server that answers by JSON wherever it is asked, each method with a result of these.
fn serve(results: &'static [(&'static str, &'static str)]) -> Upstream {
    Upstream::serve(move |exchange| {
        if exchange.request.method != "POST" {
            return exchange.status(405);
        }
        if !exchange.rpc().is_request() {
            return exchange.accepted();
        }
        let method = exchange.name();
        let handshake = initialize_result("2025-06-18");
        let found = results.iter().find(|(name, _)| method.starts_with(name));
        let result = found.map_or(handshake.as_str(), |(_, result)| result);
        let answer = exchange.result_text(result);
        exchange.send(&Reply::json(answer))
    })
}

fn line(kind: &str, upstream: &Upstream) -> Line {
    let path = if kind == "1c" { "/base/hs/mcp" } else { "/mcp" };
    Line::to(&upstream.url_of(path)).args(&format!("--kind {kind}")).ready()
}

/// The params of the last request of `method` that the server got.
fn asked(upstream: &Upstream, method: &str) -> Value {
    let bodies = upstream.requests().into_iter().filter(|request| request.method == "POST");
    let mut messages =
        bodies.map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    messages.rfind(|message| message["method"] == method).unwrap()["params"].clone()
}

#[test]
fn uris_that_clients_refuse_are_offered_in_another_form_and_translated_back() {
    at_once(KINDS, |kind| {
        let upstream = serve(&[
            ("resources/list", r#"{"resources":[{"uri":"1c://metadata","name":"a"}]}"#),
            ("resources/read", r#"{"contents":[{"uri":"1c://metadata","text":"read"}]}"#),
            ("resources/subscribe", "{}"),
            (
                "tools/call",
                r#"{"content":[{"type":"resource_link","uri":"Справочник.Валюты","name":"a"}]}"#,
            ),
        ]);
        let mut line = line(kind, &upstream);
        line.send(request(1, "resources/list", "{}"));
        let listed = line.recv_id("1");
        let uri = listed.result()["resources"][0]["uri"].clone();
        let scheme = match kind {
            "1c" => "onec",
            "bitrix" => "bitrix24",
            _ => "amocrm",
        };
        assert_eq!(uri, format!("{scheme}:///1c://metadata"), "{kind}");
        for (id, method) in [("2", "resources/read"), ("3", "resources/subscribe")] {
            line.send(request(id, method, &json!({ "uri": uri }).to_string()));
            let reply = line.recv_id(id);
            assert_eq!(asked(&upstream, method)["uri"], "1c://metadata", "{kind} {reply}");
            if method == "resources/read" {
                assert_eq!(reply.result()["contents"][0]["uri"], uri, "{kind}");
            }
        }
        line.send(request(4, "resources/read", r#"{"uri":"1c://metadata"}"#));
        line.recv_id("4");
        assert_eq!(asked(&upstream, "resources/read")["uri"], "1c://metadata", "{kind}");
        line.send(call(5, "t", "{}"));
        let linked = line.recv_id("5").result()["content"][0]["uri"].clone();
        line.send(request(6, "resources/read", &json!({ "uri": linked }).to_string()));
        line.recv_id("6");
        assert_eq!(asked(&upstream, "resources/read")["uri"], "Справочник.Валюты", "{kind}");
        line.finish_with_nothing_left();
    });
}

#[test]
fn uris_stay_where_the_user_wants_that() {
    at_once(KINDS, |kind| {
        let upstream =
            serve(&[("resources/list", r#"{"resources":[{"uri":"1c://metadata","name":"a"}]}"#)]);
        let path = if kind == "1c" { "/base/hs/mcp" } else { "/mcp" };
        let args = format!("--kind {kind} --keep uris");
        let mut line = Line::to(&upstream.url_of(path)).args(&args).ready();
        line.send(request(1, "resources/list", "{}"));
        assert_eq!(line.recv_id("1").result()["resources"][0]["uri"], "1c://metadata", "{kind}");
        line.finish_with_nothing_left();
    });
}

#[test]
fn half_of_a_character_costs_no_more_than_itself() {
    at_once(KINDS, |kind| {
        let upstream = serve(&[
            (
                "tools/call",
                r#"{"content":[{"type":"text","text":"Отчёт \ud83d"}],"x":"\uDE00 \ud83d\ude00"}"#,
            ),
            (
                "prompts/get",
                r#"{"messages":[{"role":"user","content":{"type":"text","text":"\ud83d"}}]}"#,
            ),
        ]);
        let mut line = line(kind, &upstream);
        line.send(call(1, "t", "{}"));
        let reply = line.recv_id("1");
        assert_eq!(reply.result()["content"][0]["text"], "Отчёт \u{fffd}", "{kind}");
        assert_eq!(reply.result()["x"], "\u{fffd} \u{1f600}", "{kind}");
        line.send(request(2, "prompts/get", r#"{"name":"p"}"#));
        let reply = line.recv_id("2");
        assert_eq!(reply.result()["messages"][0]["content"]["text"], "\u{fffd}", "{kind}");
        line.finish_with_nothing_left();
    });
}

#[test]
fn a_handshake_that_clients_refuse_becomes_one_that_they_take() {
    at_once(KINDS, |kind| {
        let upstream = serve(&[
            (
                "initialize",
                r#"{"protocolVersion":1,"capabilities":null,"serverInfo":{"name":"n","version":1,"title":null},"instructions":null}"#,
            ),
            ("tools/list", r#"{"tools":null,"_meta":null}"#),
            ("tools/call", r#""Ок""#),
        ]);
        let path = if kind == "1c" { "/base/hs/mcp" } else { "/mcp" };
        let mut line = Line::to(&upstream.url_of(path)).args(&format!("--kind {kind}")).spawn();
        let reply = line.handshake();
        let expected = json!({
            "protocolVersion": reply.result()["protocolVersion"].as_str().unwrap(),
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "n", "version": "1" },
        });
        assert_eq!(*reply.result(), expected, "{kind}");
        line.send(request(1, "tools/list", "{}"));
        assert_eq!(*line.recv_id("1").result(), json!({ "tools": [] }), "{kind}");
        line.send(call(2, "t", "{}"));
        let content = json!([{ "type": "text", "text": "Ок" }]);
        assert_eq!(line.recv_id("2").result()["content"], content, "{kind}");
        line.finish_with_nothing_left();
    });
}
