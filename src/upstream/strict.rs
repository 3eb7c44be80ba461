//! What strict clients and models' APIs refuse in a list of tools, in words. One tool of that kind
//! costs a client the whole list, or a conversation.

use super::json::Object;
use super::onec::is_plain_name;
use super::repair::SchemaRepairs;
use crate::hint::{Words, words};
use crate::jsonrpc::{Message, RequestId};
use crate::mcp::method;

/// The longest name of an argument that models' APIs take.
const MAX_ARGUMENT: usize = 64;

/// Why clients may refuse `tool`, an item of a list of tools; empty where they take it.
pub(crate) fn refused_in_tool(tool: &str) -> Vec<Words> {
    let Some(object) = Object::read(tool) else {
        return vec![Words::both("it is no object", "это не объект")];
    };
    let mut why = Vec::new();
    match object.string("name") {
        None => why.push(Words::both("it has no name", "у него нет имени")),
        Some(name) if !is_plain_name(&name) => why.push(Words::both(
            "its name has other characters than A-Z, a-z, 0-9, _ and -, or more than 64",
            "в имени не только знаки A-Z, a-z, 0-9, _ и -, или их больше 64",
        )),
        Some(_) => {}
    }
    let list = format!(r#"{{"tools":[{tool}]}}"#);
    let request = Message::request(RequestId::number(1), method::TOOLS_LIST, "{}");
    if let Some(repaired) = SchemaRepairs::new("", None).result(&request, &list) {
        let repaired = Object::read(&repaired);
        let schema = |tool: &Object<'_>| tool.get("inputSchema").map(str::to_owned);
        let after = repaired.as_ref().and_then(|list| {
            let tools = list.get("tools")?.trim_start_matches('[').trim_end_matches(']');
            schema(&Object::read(tools)?)
        });
        why.push(if after == schema(&object) {
            Words::both(
                "a member of it is not of the type that MCP's schema says",
                "тип одного из полей не такой, как в схеме MCP",
            )
        } else {
            Words::both(
                "its inputSchema is not a schema of type \"object\" in order",
                "inputSchema — не правильная схема типа \"object\"",
            )
        });
    }
    if let Some(schema) = object.get("inputSchema").and_then(Object::read) {
        let parts = ["anyOf", "oneOf", "allOf"];
        if let Some(part) = parts.into_iter().find(|part| schema.has(part)) {
            why.push(words!(
                "its inputSchema has {part} at the top",
                "в inputSchema на верхнем уровне есть {part}",
            ));
        }
        let properties = schema.get("properties").and_then(Object::read).unwrap_or_default();
        let refused: Vec<_> = properties.members().filter(|(name, _)| !is_argument(name)).collect();
        if let Some((name, _)) = refused.first() {
            let count = refused.len();
            why.push(words!(
                "{count} of its arguments have names such as `{name}`",
                "аргументов с такими именами, как `{name}`: {count}",
            ));
        }
    }
    why
}

/// Whether models' APIs take an argument of this name.
fn is_argument(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_ARGUMENT).contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_refuse_is_told_and_nothing_else() {
        let cases = [
            (r#"{"name":"a","inputSchema":{"type":"object","properties":{"b":{}}}}"#, ""),
            (r#"{"name":"a"}"#, "inputSchema"),
            (r#"{"name":"a","inputSchema":{"type":"array"}}"#, "inputSchema"),
            (r#"{"name":"a","title":null,"inputSchema":{"type":"object"}}"#, "a member"),
            (r#"{"name":"Остатки","inputSchema":{"type":"object"}}"#, "its name"),
            (r#"{"inputSchema":{"type":"object"}}"#, "no name"),
            (r#"{"name":"a","inputSchema":{"type":"object","oneOf":[]}}"#, "oneOf"),
            (
                r#"{"name":"a","inputSchema":{"type":"object","properties":{"Имя":{}}}}"#,
                "such as `Имя`",
            ),
            ("5", "no object"),
        ];
        for (tool, told) in cases {
            let why: Vec<_> = refused_in_tool(tool).iter().map(ToString::to_string).collect();
            let why = why.join("; ");
            assert!(why.contains(told) && why.is_empty() == told.is_empty(), "{tool}: {why}");
        }
    }
}
