//! `mcpline demo`: what a new user runs first.

use serde_json::{Value, json};

use crate::support::{Line, Message, call, request};

fn is_cyrillic(text: &str) -> bool {
    text.chars().any(|one| matches!(one, 'а'..='я' | 'А'..='Я'))
}

#[test]
fn the_demo_answers_as_a_small_1c_service() {
    let mut line = Line::run("demo").spawn();
    let reply = line.handshake();
    assert!(reply.result()["serverInfo"]["name"].is_string(), "{reply}");

    line.send(request(1, "resources/list", "{}"));
    line.send(request(2, "prompts/list", "{}"));
    line.send(request(3, "tools/list", "{}"));
    let resources = line.recv_id("1").result()["resources"].clone();
    assert_eq!(resources.as_array().map(Vec::len), Some(2), "{resources}");
    let prompts = line.recv_id("2").result()["prompts"].clone();
    assert_eq!(prompts.as_array().map(Vec::len), Some(1), "{prompts}");
    let tools = line.recv_id("3");
    let tools = tools.result()["tools"].as_array().unwrap().clone();
    assert!(tools.len() >= 2, "{tools:?}");

    for resource in resources.as_array().unwrap() {
        let params = json!({ "uri": resource["uri"] }).to_string();
        line.send(request(4, "resources/read", &params));
        let read = line.recv_id("4");
        assert!(read.result()["contents"][0]["uri"].is_string(), "{read}");
    }

    // Every tool that needs no arguments.
    let mut said = String::new();
    for tool in tools.iter().filter(|tool| needs_nothing(tool)) {
        let params = json!({ "name": tool["name"], "arguments": {} }).to_string();
        line.send(request(5, "tools/call", &params));
        let reply = line.recv_id("5");
        assert_ne!(reply.result()["isError"], true, "{reply}");
        said += &reply.result()["content"].to_string();
    }
    assert!(is_cyrillic(&said), "no Russian name in {said}");
    let rest = line.finish();
    assert!(rest.iter().all(Message::is_notification), "{rest:?}");
}

fn needs_nothing(tool: &Value) -> bool {
    let required = tool["inputSchema"]["required"].as_array();
    required.is_none_or(Vec::is_empty)
}

#[test]
fn one_piped_request_shows_a_reply() {
    let mut line = Line::run("demo").spawn();
    line.send(request(1, "tools/list", "{}"));
    let replies = line.finish();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].result()["tools"].is_array());
}

#[test]
fn an_unknown_tool_of_the_demo_is_an_error_for_that_call() {
    let mut line = Line::run("demo").spawn();
    line.handshake();
    line.send(call(1, "no such tool", "{}"));
    let reply = line.recv_id("1");
    let refused = reply.value.get("error").is_some() || reply.result()["isError"] == true;
    assert!(refused, "{reply}");
    line.finish();
}

#[test]
fn the_stock_of_an_article_can_be_read_without_russian() {
    for way in ["demo", "demo --kind 1c", "--kind auto demo"] {
        let mut line = Line::run(way).ready();
        line.send(call(1, "get_stock", r#"{"query":"SH-025"}"#));
        let reply = line.recv_id("1");
        let text = reply.result()["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("garden hose") && text.contains("SH-025"), "{text}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn the_demo_has_no_other_kind() {
    for kind in ["mcp", "sse", "bitrix", "amocrm"] {
        let ended = Line::run("demo --kind").arg(kind).spawn().wait();
        assert_eq!(ended.status.code(), Some(2), "{kind}");
        assert!(ended.stderr.contains("leave --kind out"), "{kind}: {}", ended.stderr);
    }
}
