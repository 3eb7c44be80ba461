//! amoCRM: credentials, the catalogue, and what else can be set.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::amocrm::{Generation, Options, Refusal};
use crate::support::{Amocrm, INITIALIZE, Line, call, request};

const KEY: &str = "k3y-of-amo";

const ALL: [Generation; 6] = [
    Generation::EarlyRest,
    Generation::SmartRest,
    Generation::StreamlessRest,
    Generation::CurrentRest,
    Generation::Sessionless,
    Generation::Streamed,
];

fn guarded(generation: Generation) -> Amocrm {
    Amocrm::with(generation, Options { key: Some(KEY), ..Options::default() })
}

#[test]
fn the_key_opens_every_variant_and_is_never_written() {
    for generation in ALL {
        let server = guarded(generation);
        let mut line = Line::to(&server.base())
            .args("--kind amocrm --log-level trace")
            .env("MCPLINE_API_KEY", KEY)
            .ready();
        line.send(request(1, "tools/list", "{}"));
        let mut shown = line.recv_id("1").text;
        line.send(call(2, "create_lead", r#"{"name":"Шланги"}"#));
        let reply = line.recv_id("2");
        assert_ne!(reply.result()["isError"], true, "{generation:?}: {reply}");
        shown += &reply.text;
        server.refuse("leads create", &Refusal::Unreachable, 1);
        line.send(call(3, "create_lead", r#"{"name":"Шланги"}"#));
        shown += &line.recv_id("3").text;
        line.close_stdin();
        shown += &line.wait().stderr;
        assert!(!shown.contains(KEY), "{generation:?}");
        assert!(shown.contains("TRACE") || shown.contains("DEBUG"), "no log to look at");
    }
}

#[test]
fn the_key_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key of mine.txt");
    fs::write(&file, format!("{KEY}\r\n")).unwrap();
    let server = guarded(Generation::CurrentRest);
    let mut line =
        Line::to(&server.base()).args("--kind amocrm").arg("--api-key-file").arg(&file).ready();
    line.send(call(1, "get_users", "{}"));
    assert_ne!(line.recv_id("1").result()["isError"], true);
    line.finish_with_nothing_left();
}

#[test]
fn the_token_opens_the_variant_that_wants_one() {
    let options = Options { bearer: Some("t0ken-of-amo"), ..Options::default() };
    let server = Amocrm::with(Generation::StreamlessRest, options);
    let mut line = Line::to(&server.base())
        .args("--kind amocrm")
        .env("MCPLINE_BEARER", "t0ken-of-amo")
        .ready();
    line.send(call(1, "get_users", "{}"));
    assert_ne!(line.recv_id("1").result()["isError"], true);
    line.finish_with_nothing_left();

    let mut line = Line::to(&server.base()).args("--kind amocrm").spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    reply.failure(-33005);
    assert!(reply.error_text().contains("Missing Bearer token"), "{reply}");
    line.finish_with_nothing_left();
}

/// A catalogue with one tool that is new and one that is there already.
fn catalogue() -> Value {
    let tool = |name: &str, path: &str| {
        json!({
            "name": name,
            "description_ru": "Из файла.",
            "description_en": "From the file.",
            "inputSchema": {
                "type": "object",
                "properties": { "kind": { "type": "string" }, "limit": { "type": "integer" } },
                "required": ["kind"],
            },
            "annotations": { "readOnlyHint": true, "idempotentHint": true },
            "request": {
                "method": "GET",
                "path": path,
                "query": { "limit": { "$arg": "limit", "$default": 5 } },
                "body": null,
            },
            "origin": "mine",
        })
    };
    json!([
        tool("get_custom_fields", "/api/custom_fields/{kind}"),
        tool("get_users", "/api/custom_fields/{kind}"),
    ])
}

#[test]
fn a_catalogue_of_ones_own_adds_tools_and_replaces_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("мой каталог.json");
    fs::write(&file, catalogue().to_string()).unwrap();
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line =
        Line::to(&server.base()).args("--kind amocrm").arg("--catalogue").arg(&file).ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    let tools = reply.result()["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 25);
    for name in ["get_custom_fields", "get_users"] {
        let mut found = tools.iter().filter(|tool| tool["name"] == name);
        let (Some(tool), None) = (found.next(), found.next()) else {
            panic!("not one {name}: {reply}");
        };
        let description = tool["description"].as_str().unwrap_or_default();
        assert!(["Из файла.", "From the file."].iter().any(|said| description.contains(said)));
        assert_eq!(tool["inputSchema"]["required"], json!(["kind"]));
    }
    for (id, name) in [(2, "get_custom_fields"), (3, "get_users")] {
        line.send(call(id, name, "{}"));
        assert_eq!(line.recv_id(&id.to_string()).error_code(), -32602, "{name}");
    }
    line.send(call(4, "get_custom_fields", r#"{"kind":"мои сделки"}"#));
    assert_ne!(line.recv_id("4").result()["isError"], true);
    line.send(call(5, "get_users", r#"{"kind":"leads"}"#));
    assert_ne!(line.recv_id("5").result()["isError"], true);
    line.finish_with_nothing_left();
    let calls: Vec<String> = server.calls().into_iter().map(|(request, _)| request).collect();
    assert_eq!(
        calls,
        [
            "GET /api/custom_fields/%D0%BC%D0%BE%D0%B8%20%D1%81%D0%B4%D0%B5%D0%BB%D0%BA%D0%B8?limit=5",
            "GET /api/custom_fields/leads?limit=5",
        ]
    );
}

#[test]
fn a_catalogue_that_cannot_be_read_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("none.json", None), ("bad.json", Some("[{")), ("odd.json", Some("{}"))] {
        let file = folder.path().join(name);
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let line = Line::to("http://127.0.0.1:9")
            .args("--kind amocrm")
            .arg("--catalogue")
            .arg(&file)
            .spawn();
        let ended = line.wait();
        assert_eq!(ended.status.code(), Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
}

#[test]
fn any_request_at_all_is_offered_only_when_asked_for() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = Line::to(&server.base()).args("--kind amocrm --with request-tool").ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    let tools = reply.result()["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 25);
    let tool = tools.iter().find(|tool| tool["name"] == "amocrm_request").expect("the tool");
    assert_ne!(tool["annotations"]["readOnlyHint"], true, "it may write");
    assert_ne!(tool["annotations"]["idempotentHint"], true, "it may write");
    assert!(tool["inputSchema"]["properties"]["method"].is_object(), "{tool}");
    line.send(call(2, "amocrm_request", r#"{"method":"GET","path":"leads/pipelines"}"#));
    let reply = line.recv_id("2");
    assert_ne!(reply.result()["isError"], true, "{reply}");
    line.finish_with_nothing_left();
    let calls = server.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].0.starts_with("GET /api/v4-proxy/"), "{calls:?}");
    assert!(calls[0].0.contains("leads/pipelines"), "{calls:?}");
}

#[test]
fn the_pace_is_kept() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = Line::to(&server.base()).args("--kind amocrm --rate 2").ready();
    let begun = Instant::now();
    for id in 0..6 {
        line.send(call(id, "get_users", "{}"));
    }
    for id in 0..6 {
        line.recv_id(&id.to_string());
    }
    // Two at once, and then two a second at most.
    assert!(begun.elapsed() >= Duration::from_millis(1400), "{:?}", begun.elapsed());
    line.finish_with_nothing_left();
    assert_eq!(server.asked("GET /api/users"), 6);
}
