//! Repairs what strict clients refuse. One malformed tool, item or member makes them drop the whole
//! message, so the named kinds pass every result through here. What is in order is not touched. Each
//! function returns `None` where nothing needs a repair. Kind `mcp` passes bytes as they come.

use super::json::{Object, edit_items, string};
use crate::jsonrpc::to_json;

/// Members that must not be `null` where they are optional.
const NEVER_NULL: [&str; 4] = ["title", "description", "annotations", "arguments"];

/// The result of a list method; `edit` may change each item as well.
pub(super) fn list(
    result: &str,
    member: &str,
    mut edit: impl FnMut(&mut Object<'_>),
) -> Option<String> {
    let mut result = Object::read(result)?;
    result.remove_null("nextCursor");
    result.edit(member, |items| {
        edit_items(items, |item| {
            let mut item = Object::read(item)?;
            for name in NEVER_NULL {
                item.remove_null(name);
            }
            if member == "tools" {
                input_schema(&mut item);
            }
            edit(&mut item);
            item.changed()
        })
    });
    result.changed()
}

/// `inputSchema` must be an object of type `object` (schema, `Tool.inputSchema`).
fn input_schema(tool: &mut Object<'_>) {
    let repaired = match tool.get("inputSchema").and_then(Object::read) {
        Some(mut schema) if !schema.is_empty() => {
            if schema.get("properties") == Some("null") {
                schema.set("properties", "{}".to_owned());
            }
            if schema.string("type").as_deref() != Some("object") {
                schema.set_string("type", "object");
            }
            schema.changed()
        }
        _ => Some(r#"{"type":"object","properties":{}}"#.to_owned()),
    };
    if let Some(schema) = repaired {
        tool.set("inputSchema", schema);
    }
}

/// The members of a `tools/call` result (schema, `CallToolResult`).
const RESULT_MEMBERS: [&str; 4] = ["content", "structuredContent", "isError", "_meta"];

/// The result of a call of the tool `name`.
pub(super) fn call_result(result: &str, name: &str) -> Option<String> {
    let mut result = Object::read(result)?;
    match result.get("content") {
        Some(content) if content.starts_with('[') => {
            let repaired = edit_items(content, |item| content_item(item, name));
            if let Some(repaired) = repaired {
                result.set("content", repaired);
            }
        }
        Some(content) if content != "null" => {
            let item = content_item(content, name).unwrap_or_else(|| content.to_owned());
            result.set("content", format!("[{item}]"));
        }
        _ => result.set("content", "[]".to_owned()),
    }
    if result.get("structuredContent").is_some_and(|content| !content.starts_with('{')) {
        result.remove("structuredContent");
    }
    result.changed()
}

/// The result of a call whose answer is in members that clients ignore, with all of it as a text as
/// well.
pub(super) fn stray_result(whole: &str) -> Option<String> {
    let mut result = Object::read(whole)?;
    let is_empty = result.get("content").is_none_or(|content| content == "[]");
    if !is_empty || !result.holds_other_than(&RESULT_MEMBERS) {
        return None;
    }
    let text = text_item(&super::json::compact(whole));
    result.set("content", format!("[{text}]"));
    result.changed()
}

/// One item of `content` in a form that strict clients take. `name` is that of the tool or prompt.
fn content_item(text: &str, name: &str) -> Option<String> {
    let warn = |kind: &str| {
        tracing::warn!(
            "`{name}` answers with content of the unknown type `{kind}`: passed on as text"
        );
    };
    let Some(mut item) = Object::read(text) else {
        warn("none");
        let text = string(text).unwrap_or_else(|| text.to_owned());
        return Some(text_item(&text));
    };
    let kind = item.string("type");
    match kind.as_deref() {
        Some("text") => {
            if item.string("text").is_none() {
                let text = item.get("text").unwrap_or_default();
                let text = if text == "null" { String::new() } else { text.to_owned() };
                item.set_string("text", &text);
            }
        }
        Some("image" | "audio") => item.edit("data", without_white_space),
        Some("resource") => item.edit("resource", |resource| contents_item(resource, None)),
        Some("resource_link") => {}
        kind => {
            warn(kind.unwrap_or("none"));
            return Some(unknown_item(text, &item));
        }
    }
    item.remove_null("annotations");
    item.changed()
}

/// An item of a type that MCP does not know: as a resource if it has data and a media type, else as
/// text.
fn unknown_item(text: &str, item: &Object<'_>) -> String {
    let data = item.string("blob").or_else(|| item.string("data"));
    match (data, item.string("mimeType"), item.string("text")) {
        (_, _, Some(text)) => text_item(&text),
        (Some(data), Some(media_type), None) => {
            let blob: String = data.split_whitespace().collect();
            format!(
                r#"{{"type":"resource","resource":{{"uri":"mcpline:///content","mimeType":{},"blob":{}}}}}"#,
                to_json(&media_type),
                to_json(&blob)
            )
        }
        _ => text_item(&super::json::compact(text)),
    }
}

/// A text item.
pub(super) fn text_item(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, to_json(&text))
}

/// The result of `initialize`, whose revision must be a string: `revision` replaces other values.
pub(super) fn initialize_result(result: &str, revision: &str) -> Option<String> {
    let mut result = Object::read(result)?;
    if result.string("protocolVersion").is_none() {
        result.set_string("protocolVersion", revision);
    }
    result.changed()
}

/// The result of `resources/read` for `uri`.
pub(super) fn read_result(result: &str, uri: Option<&str>) -> Option<String> {
    let mut result = Object::read(result)?;
    result.edit("contents", |contents| edit_items(contents, |item| contents_item(item, uri)));
    result.changed()
}

/// One item of `contents`: it needs its URI, and `text` or `blob`.
fn contents_item(text: &str, uri: Option<&str>) -> Option<String> {
    let mut item = Object::read(text)?;
    if !item.has("uri") {
        item.set_string("uri", uri.unwrap_or("mcpline:///content"));
        item.remove("type");
    }
    item.remove_null("mimeType");
    item.edit("blob", without_white_space);
    if !item.has("blob") && item.string("text").is_none() {
        let text = item.get("text").filter(|text| *text != "null").unwrap_or_default().to_owned();
        item.set_string("text", &text);
    }
    item.changed()
}

/// The result of `prompts/get` for the prompt `name`: messages come from `user` or `assistant`.
pub(super) fn prompt_result(result: &str, name: &str) -> Option<String> {
    let mut result = Object::read(result)?;
    result.remove_null("description");
    result.edit("messages", |messages| {
        edit_items(messages, |message| {
            let mut message = Object::read(message)?;
            message.edit("content", |content| content_item(content, name));
            let role = message.string("role").unwrap_or_default();
            if !matches!(role.as_str(), "user" | "assistant") {
                message.set_string("role", "user");
            }
            if !matches!(role.as_str(), "user" | "assistant" | "") {
                message.edit("content", |content| {
                    let mut content = Object::read(content)?;
                    let text = content.string("text")?;
                    content.set_string("text", &format!("[{role}] {text}"));
                    content.changed()
                });
            }
            message.changed()
        })
    });
    result.changed()
}

/// Base64 without the line breaks that some services put in.
fn without_white_space(text: &str) -> Option<String> {
    let data = string(text)?;
    let whole: String = data.split_whitespace().collect();
    (whole.len() != data.len()).then(|| to_json(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_gets_a_schema_that_clients_take() {
        let schema = |tool: &str| {
            let result = format!(r#"{{"tools":[{tool}],"x": 1.0}}"#);
            list(&result, "tools", |_| {}).unwrap_or(result)
        };
        let cases = [
            (r#"{"name":"a"}"#, r#"{"name":"a","inputSchema":{"type":"object","properties":{}}}"#),
            (
                r#"{"name":"a","inputSchema":{}}"#,
                r#"{"name":"a","inputSchema":{"type":"object","properties":{}}}"#,
            ),
            (
                r#"{"name":"a","inputSchema":null,"description":null}"#,
                r#"{"name":"a","inputSchema":{"type":"object","properties":{}}}"#,
            ),
            (
                r#"{"name":"a","inputSchema":{"properties":{"p": 1}}}"#,
                r#"{"name":"a","inputSchema":{"properties":{"p": 1},"type":"object"}}"#,
            ),
            (
                r#"{"name":"a","inputSchema":{"type":"object","properties":null}}"#,
                r#"{"name":"a","inputSchema":{"type":"object","properties":{}}}"#,
            ),
        ];
        for (tool, repaired) in cases {
            assert_eq!(schema(tool), format!(r#"{{"tools":[{repaired}],"x":1.0}}"#), "{tool}");
        }
        let fine = r#"{"name": "a", "inputSchema": {"type":"object"}}"#;
        assert_eq!(schema(fine), format!(r#"{{"tools":[{fine}],"x": 1.0}}"#));
    }

    #[test]
    fn content_becomes_what_clients_take() {
        let repaired = |content: &str| {
            let result = format!(r#"{{"content":{content},"isError":false}}"#);
            call_result(&result, "t")
        };
        let content = |content: &str| Some(format!(r#"{{"content":{content},"isError":false}}"#));
        assert_eq!(repaired(r#"[{"type":"text", "text":"x"}]"#), None);
        assert_eq!(repaired(r#""x""#), content(r#"[{"type":"text","text":"x"}]"#));
        assert_eq!(
            repaired(r#"{"type":"text","text":"x"}"#),
            content(r#"[{"type":"text","text":"x"}]"#)
        );
        assert_eq!(
            repaired(r#"[{"type":"table","rows":[ 1 ]}]"#),
            content(r#"[{"type":"text","text":"{\"type\":\"table\",\"rows\":[1]}"}]"#)
        );
        assert_eq!(
            repaired(r#"[{"type":"json","text":"x"}]"#),
            content(r#"[{"type":"text","text":"x"}]"#)
        );
        assert_eq!(
            repaired(r#"[{"type":"blob","blob":"AA\r\nBB","mimeType":"a/b"}]"#),
            content(
                r#"[{"type":"resource","resource":{"uri":"mcpline:///content","mimeType":"a/b","blob":"AABB"}}]"#
            )
        );
        assert_eq!(
            repaired(r#"[{"type":"image","data":"AA\r\nBB","mimeType":"image/png"}]"#),
            content(r#"[{"type":"image","data":"AABB","mimeType":"image/png"}]"#)
        );
        assert_eq!(repaired("null"), content("[]"));
        let odd = r#"{"metadata": {"a":1},"result":[ 1 ]}"#;
        assert_eq!(
            stray_result(odd).unwrap(),
            r#"{"metadata":{"a":1},"result":[ 1 ],"content":[{"type":"text","text":"{\"metadata\":{\"a\":1},\"result\":[1]}"}]}"#
        );
        let structured = r#"{"content":[],"structuredContent":[1]}"#;
        assert_eq!(call_result(structured, "t").unwrap(), r#"{"content":[]}"#);
    }

    #[test]
    fn contents_get_the_uri_that_was_asked_for() {
        let result = r#"{"contents":[{"type":"text","text":"x"},{"uri":"b","blob":"A A"},{"uri":"c","text":"y"}]}"#;
        assert_eq!(
            read_result(result, Some("a")).unwrap(),
            r#"{"contents":[{"text":"x","uri":"a"},{"uri":"b","blob":"AA"},{"uri":"c","text":"y"}]}"#
        );
        assert_eq!(read_result(r#"{"contents":[{"uri":"c","text":"y"}]}"#, None), None);
    }

    #[test]
    fn a_system_prompt_becomes_the_users() {
        let result =
            r#"{"messages":[{"role":"system","content":{"type":"text","text":"be brief"}}]}"#;
        assert_eq!(
            prompt_result(result, "p").unwrap(),
            r#"{"messages":[{"role":"user","content":{"type":"text","text":"[system] be brief"}}]}"#
        );
    }
}
