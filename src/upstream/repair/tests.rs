//! The documents of `tests/repairs` and their neighbours; the same are served to SDKs by
//! `scripts/e2e`.

use serde_json::{Map, Value, json};

use super::{SchemaRepairs, Uris};
use crate::jsonrpc::{Message, RequestId};

/// A well-formed result of each method, with every member that the schema knows.
const DOCUMENTS: &str = include_str!("../../../tests/repairs/documents.json");

/// What becomes of a member of these that is something else.
const CASES: &str = include_str!("../../../tests/repairs/cases.json");

fn repairs() -> SchemaRepairs {
    SchemaRepairs::new("Сервис", Some(Uris::new("onec")))
}

fn request(method: &str) -> Message {
    let params = match method {
        "initialize" => r#"{"protocolVersion":"2025-06-18","capabilities":{}}"#,
        "resources/read" => r#"{"uri":"file:///asked"}"#,
        _ => r#"{"name":"get_stock"}"#,
    };
    Message::request(RequestId::number(1), method, params)
}

/// `result` of `method` as a client gets it.
fn repaired(method: &str, result: &str) -> String {
    repairs().result(&request(method), result).unwrap_or_else(|| result.to_owned())
}

fn documents() -> Map<String, Value> {
    serde_json::from_str(DOCUMENTS).unwrap()
}

/// `document` with `value` at `pointer`, or with nothing there.
fn with(document: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut document = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let name = name.replace("~1", "/");
    match (document.pointer_mut(parent).unwrap(), value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name, value)),
        (Value::Object(members), None) => drop(members.remove(&name)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        (Value::Array(items), None) => drop(items.remove(name.parse().unwrap())),
        _ => panic!("nothing at {pointer}"),
    }
    document
}

/// The pointers to all members and items of `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(number, value)| (number.to_string(), value)).collect()
        }
        _ => return,
    };
    for (name, value) in children {
        let pointer = format!("{at}/{name}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

#[test]
fn what_is_in_order_is_not_touched() {
    for (method, document) in documents() {
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            assert_eq!(repairs().result(&request(&method), &text), None, "{method}");
        }
    }
}

#[test]
fn each_case_becomes_what_it_must() {
    let documents = documents();
    let cases: Map<String, Value> = serde_json::from_str(CASES).unwrap();
    let mut wrong = Vec::new();
    for (method, cases) in &cases {
        for case in cases.as_array().unwrap() {
            let broken = match case["at"].as_str().unwrap() {
                "" => case["is"].clone(),
                at => with(&documents[method], at, case.get("is").cloned()),
            };
            let repaired: Value =
                serde_json::from_str(&repaired(method, &broken.to_string())).unwrap();
            for (pointer, expected) in case["then"].as_object().unwrap() {
                let found = repaired.pointer(pointer).cloned().unwrap_or(json!("(absent)"));
                if found != *expected {
                    wrong.push(format!("{method} {case}\n    {pointer} is {found}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_stateless_revisions_allow_more() {
    let params = r#"{"name":"a","task":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    for (method, result) in [
        ("tools/call", r#"{"resultType":"complete","content":[],"structuredContent":[1]}"#),
        (
            "tools/list",
            r#"{"resultType":"complete","tools":[{"name":"a","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}],"ttlMs":0,"cacheScope":"private"}"#,
        ),
        ("tools/call", r#"{"resultType":"input_required","inputRequests":{},"requestState":"x"}"#),
        ("tools/call", r#"{"task":{"taskId":"1"}}"#),
    ] {
        let request = Message::request(RequestId::number(1), method, params);
        assert_eq!(repairs().result(&request, result), None, "{method}");
    }
}

#[test]
fn a_repaired_document_needs_no_repair() {
    let wrong = [
        Some(json!(null)),
        Some(json!("")),
        Some(json!({})),
        Some(json!([])),
        Some(json!("x")),
        Some(json!(5)),
        Some(json!(true)),
        Some(json!("true")),
        None,
    ];
    for (method, document) in documents() {
        let mut all = Vec::new();
        pointers(&document, "", &mut all);
        let neighbours = all
            .iter()
            .flat_map(|pointer| wrong.iter().map(|value| with(&document, pointer, value.clone())));
        let whole = wrong.iter().flatten().cloned();
        for neighbour in neighbours.chain(whole) {
            let once = repaired(&method, &neighbour.to_string());
            let parsed: Value = serde_json::from_str(&once).unwrap();
            assert!(parsed.is_object(), "{method} {neighbour}");
            assert_eq!(repairs().result(&request(&method), &once), None, "{method} {neighbour}");
        }
    }
}
