//! amoCRM by MCP: failures that come as successes are told to be failures, and what amoCRM has
//! refused for the moment is tried again.

use serde_json::{Value, json};

use crate::support::amocrm::{Generation, text_result};
use crate::support::{Amocrm, Line, Message, at_once, call, spaced};

fn line_to(server: &Amocrm, options: &str) -> Line {
    Line::to(&server.base()).args("--kind amocrm").args(options).ready()
}

/// A result with this as its only text.
fn with_text(text: &str) -> String {
    json!({ "content": [{ "type": "text", "text": text }] }).to_string()
}

/// The result in the end when the server gives this one.
fn passed_through(line: &mut Line, server: &Amocrm, result: &str) -> Message {
    server.answer("get_account", result);
    line.send(call(1, "get_account", "{}"));
    Message::parse(line.recv_id("1").raw_result()).unwrap()
}

fn failures() -> Vec<Value> {
    vec![
        json!({ "title": "Unauthorized", "type": "https://httpstatus.es/401", "status": 401 }),
        json!({ "title": "Not Found", "status": 404, "detail": "" }),
        json!({ "status": 400 }),
        json!({ "status": 500, "hint": "x" }),
        json!({ "code": 403, "text": "<html>…" }),
        json!({ "code": 400 }),
        json!({ "error": "Unknown tool: nope" }),
        json!({ "error": "500: Ошибка запроса к AmoCRM", "status": "error" }),
    ]
}

#[test]
fn a_failure_that_looks_like_a_success_is_marked_and_nothing_else_is_changed() {
    for generation in [Generation::Sessionless, Generation::Streamed] {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "");
        for failure in failures() {
            let given = text_result(&failure);
            let got = passed_through(&mut line, &server, &given);
            let mut expected: Value = serde_json::from_str(&given).unwrap();
            expected["isError"] = true.into();
            assert_eq!(got.value, expected, "{generation:?} {failure}");
            let content = Message::parse(&given).unwrap().raw("content").unwrap().to_owned();
            let kept = got.raw("content").unwrap();
            assert!([content.clone(), spaced(&content)].contains(&kept.to_owned()), "{got}");
        }
        line.finish_with_nothing_left();
    }
}

#[test]
fn what_is_no_failure_passes_byte_for_byte() {
    let bodies = [
        json!({ "status": 399 }),
        json!({ "status": 200, "detail": "fine" }),
        json!({ "code": 204, "status": "no_content" }),
        json!({ "status": "success" }),
        json!({ "status": "error" }),
        json!({ "status": "404" }),
        json!({ "code": "403" }),
        json!({ "error": null }),
        json!({ "error": { "code": 500 } }),
        json!({ "id": 11, "status": 500 }),
        json!({ "id": 11, "error": "a field of a form" }),
        json!({ "_embedded": { "leads": [] }, "status": 500 }),
        json!({ "status_id": 500 }),
        json!({ "response": { "status": 500, "error": "deeper" } }),
        json!([{ "status": 500, "error": "x" }]),
        json!(500),
        json!("error"),
        Value::Null,
    ];
    let mut results: Vec<String> = bodies.iter().map(text_result).collect();
    results.extend([
        with_text("error: status 500"),
        with_text("{\"status\": 500"),
        with_text(""),
        r#"{"content":[]}"#.to_owned(),
        r#"{"content":[{"type":"image","data":"AA==","mimeType":"image/png"}]}"#.to_owned(),
        r#"{"content":[{"type":"text","text":"{\"status\":500}"},{"type":"text","text":"{}"}]}"#
            .to_owned(),
        r#"{"content":[{"type":"text","text":"{\"status\":500}"}],"isError":false}"#.to_owned(),
        r#"{"content":[{"type":"text","text":"{\"n\":1.0}"}],"structuredContent":{"n":1.0}}"#
            .to_owned(),
    ]);
    for generation in [Generation::Sessionless, Generation::Streamed] {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "");
        for given in &results {
            let got = passed_through(&mut line, &server, given);
            assert!([given.clone(), spaced(given)].contains(&got.text), "{given} became {got}");
        }
        line.finish_with_nothing_left();
    }
}

#[test]
fn failures_may_be_kept_as_they_come() {
    for generation in [Generation::Sessionless, Generation::Streamed] {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "--keep errors");
        for failure in failures() {
            let given = text_result(&failure);
            let got = passed_through(&mut line, &server, &given);
            assert!([given.clone(), spaced(&given)].contains(&got.text), "{given} became {got}");
        }
        line.finish_with_nothing_left();
    }
}

fn too_many_requests() -> String {
    text_result(&json!({
        "title": "Too Many Requests",
        "type": "https://httpstatus.es/429",
        "status": 429,
        "detail": "",
    }))
}

#[test]
fn what_amocrm_refuses_for_the_moment_is_tried_again() {
    at_once([Generation::Sessionless, Generation::Streamed], |generation| {
        let server = Amocrm::of(generation);
        server.answer("search_contacts", too_many_requests());
        server.answer("create_lead", too_many_requests());
        let mut line = line_to(&server, "");
        line.send(call(1, "search_contacts", r#"{"query":"Иван"}"#));
        line.send(call(2, "create_lead", r#"{"name":"Шланги"}"#));
        assert!(line.recv_id("1").text.contains("Иван Петров"), "{generation:?}");
        let reply = line.recv_id("2");
        assert_ne!(reply.result()["isError"], true, "{generation:?}: {reply}");
        line.finish_with_nothing_left();
        assert_eq!(server.runs("search_contacts"), 2, "{generation:?}");
        assert_eq!(server.runs("create_lead"), 2, "{generation:?}");
        assert_eq!(server.created("leads"), 1, "{generation:?}");
    });
}

#[test]
fn what_amocrm_refuses_for_long_is_a_failure() {
    at_once([Generation::Sessionless, Generation::Streamed], |generation| {
        let server = Amocrm::of(generation);
        for _ in 0..200 {
            server.answer("create_lead", too_many_requests());
        }
        let mut line = line_to(&server, "--retry-for 3");
        line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
        let reply = line.recv_id("1");
        match reply.value.get("result") {
            Some(result) => assert_eq!(result["isError"], true, "{reply}"),
            None => assert!(reply.failure(-33010).get("mayHaveRun").is_none(), "{reply}"),
        }
        line.finish_with_nothing_left();
        assert!(server.runs("create_lead") >= 2, "{generation:?}");
        assert_eq!(server.created("leads"), 0, "{generation:?}");
    });
}

#[test]
fn what_amocrm_forbids_is_not_tried_again() {
    for generation in [Generation::Sessionless, Generation::Streamed] {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "");
        for (id, said) in
            [json!({ "status": 403 }), json!({ "code": 403, "text": "<html>" })].iter().enumerate()
        {
            for (number, tool) in ["get_account", "create_lead"].into_iter().enumerate() {
                server.answer(tool, text_result(said));
                let id = 10 * id + number;
                line.send(call(id, tool, r#"{"name":"Шланги"}"#));
                let reply = line.recv_id(&id.to_string());
                assert_eq!(reply.result()["isError"], true, "{generation:?}: {reply}");
            }
        }
        line.finish_with_nothing_left();
        assert_eq!(server.runs("get_account"), 2, "{generation:?}");
        assert_eq!(server.runs("create_lead"), 2, "{generation:?}");
        assert_eq!(server.created("leads"), 0, "{generation:?}");
    }
}
