//! Listings, and the mistakes in catalogues that people write.

use serde_json::{Value, json};

use super::{Catalogue, Script, block_on, catalogue, table};
use crate::upstream::amocrm::catalogue::{CatalogueError, Defaults};

#[test]
fn the_tools_are_listed_as_they_are_written() {
    let catalogue = Catalogue::embedded().unwrap();
    let bytes = catalogue.tools_list();
    let listed: Value = serde_json::from_slice(&bytes).unwrap();
    let written = table(include_str!("../tools.json"));
    let tools = listed["tools"].as_array().unwrap();
    assert_eq!((tools.len(), written.len()), (24, 24));
    for (tool, written) in tools.iter().zip(&written) {
        let line = |member| written[member].as_str().unwrap();
        assert_eq!(
            *tool,
            json!({
                "name": written["name"],
                "description": format!("{}\n{}", line("description_ru"), line("description_en")),
                "inputSchema": written["inputSchema"],
                "annotations": written["annotations"],
            })
        );
        let is_repeatable = written["annotations"]["readOnlyHint"] == true
            || written["annotations"]["idempotentHint"] == true;
        assert_eq!(catalogue.is_repeatable(line("name"), &json!({})), is_repeatable);
    }
    // Clients show arguments in the order of the schema, which is not alphabetical.
    let text = std::str::from_utf8(&bytes).unwrap();
    let position = |text: &str, part| text.find(part).unwrap();
    let create_task = &text[position(text, r#"{"name":"create_task","description":"#)..];
    assert!(position(create_task, "\"text\":{") < position(create_task, "\"complete_till\":{"));
    assert!(!text.contains("amocrm_request"));
}

#[test]
fn the_request_tool_is_repeatable_when_it_gets() {
    let catalogue = catalogue();
    let repeatable = |arguments| catalogue.is_repeatable("amocrm_request", &arguments);
    assert!(repeatable(json!({"path": "leads"})));
    assert!(repeatable(json!({"path": "leads", "method": "GET"})));
    assert!(!repeatable(json!({"path": "leads", "method": "POST"})));
    assert!(!repeatable(json!({"method": "GET"})));
    assert!(!catalogue.is_repeatable("nope", &json!({})));
}

#[test]
fn a_persons_tools_are_added_and_replace() {
    let mut catalogue = Catalogue::embedded().unwrap();
    catalogue.extend(include_str!("additions.json")).unwrap();
    let listed: Value = serde_json::from_slice(&catalogue.tools_list()).unwrap();
    let tools = listed["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 26);
    let replaced = tools.iter().find(|tool| tool["name"] == "get_users").unwrap();
    assert_eq!(replaced["description"], "Users of one group");
    assert_eq!(
        tools[24],
        json!({
            "name": "get_notes",
            "title": "Notes",
            "description": "",
            "inputSchema": {
                "type": "object",
                "properties": { "type": { "type": "string" }, "id": { "type": "string" } },
            },
        })
    );
    let set = |body| json!({"method": "POST", "target": "/api/set", "body": body});
    let calls = [
        // An empty value in the template is sent; a value that becomes empty is not.
        ("set_field", json!({}), set(json!({"filter": {}, "tags": []}))),
        (
            "set_field",
            json!({"value": null, "any": null, "more": {"a": []}, "id": 0}),
            set(json!({
                "value": null, "any": null, "filter": {}, "tags": [], "ids": [[0]], "only": {"a": []}
            })),
        ),
        ("get_users", json!({}), json!({"method": "GET", "target": "/api/users?group=5"})),
        (
            "get_notes",
            json!({"type": "leads", "id": "а/б ?"}),
            json!({"method": "GET", "target": "/api/notes/leads/%D0%B0%2F%D0%B1%20%3F"}),
        ),
    ];
    for (tool, arguments, exchange) in calls {
        let script = Script::of(&json!([exchange]));
        block_on(catalogue.call(tool, &arguments, &Defaults::default(), &script)).unwrap();
        script.ends();
    }
    for id in [json!(null), json!(""), json!("..")] {
        let arguments = json!({"type": "leads", "id": id});
        let script = Script::default();
        let defaults = Defaults::default();
        let refused = block_on(catalogue.call("get_notes", &arguments, &defaults, &script));
        assert!(format!("{refused:?}").contains("InvalidArgument(\"the argument `id`"));
    }
}

#[test]
fn a_mistake_is_named_with_its_tool_and_nothing_is_added() {
    let mut catalogue = Catalogue::embedded().unwrap();
    let before = catalogue.tools_list();
    let good = &table(include_str!("additions.json"))[0];
    for case in table(include_str!("mistakes.json")) {
        let mut tool = table(include_str!("additions.json"))[1].clone();
        for (member, value) in case["with"].as_object().unwrap() {
            tool[member] = value.clone();
        }
        let why = catalogue.extend(&json!([good, tool]).to_string()).unwrap_err();
        assert_eq!(why.to_string(), case["why"].as_str().unwrap());
    }
    for text in ["{}", "[{\"name\""] {
        let why = catalogue.extend(text).unwrap_err();
        assert!(matches!(why, CatalogueError::Shape(_)), "{why}");
        assert!(why.to_string().starts_with("not an array of objects: "), "{why}");
    }
    assert_eq!(catalogue.tools_list(), before);
}
