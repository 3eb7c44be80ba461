//! Which arguments of which tools are repeated in header fields, as the latest listing says
//! (2026-07-28, Streamable HTTP, "Custom Headers from Tool Parameters").

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::jsonrpc::{Message, Response};
use crate::upstream::json::{Object, items};
use crate::upstream::local;

/// The annotation of a parameter.
const ANNOTATION: &str = "x-mcp-header";

/// More tools than this are not kept in mind.
const MAX_TOOLS: usize = 4096;

/// What has been learned of the tools.
#[derive(Default)]
pub(super) struct Tools(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The tools with annotations.
    annotated: HashMap<String, Vec<Repeated>>,
    /// The tools that have been warned of.
    left_out: HashSet<String>,
}

/// An argument that is repeated.
#[derive(Debug, PartialEq)]
struct Repeated {
    header: HeaderName,
    /// The names of the properties that lead to it.
    path: Vec<String>,
}

impl Tools {
    /// The header fields for `arguments` of the tool `name`.
    pub(super) fn repeated(&self, name: &str, arguments: &str) -> Vec<(HeaderName, String)> {
        let known = self.known();
        let Some(repeated) = known.annotated.get(name) else { return Vec::new() };
        let of = |one: &Repeated| Some((one.header.clone(), at(arguments, &one.path)?));
        repeated.iter().filter_map(of).collect()
    }

    /// Learns from `response` to `request`, which lists tools, and leaves the tools out whose
    /// annotations are invalid.
    pub(super) fn learn(&self, request: &Message, response: Response) -> Response {
        #[derive(Deserialize)]
        struct ListParams<'a> {
            #[serde(borrow)]
            cursor: Option<&'a RawValue>,
        }
        let params: Option<ListParams<'_>> = request.read_params();
        let mut known = self.known();
        if params.is_none_or(|params| params.cursor.is_none()) {
            known.annotated.clear();
        }
        let result = response.result().map_or("", local::text);
        if memchr::memmem::find(result.as_bytes(), ANNOTATION.as_bytes()).is_none() {
            return response;
        }
        local::repaired(response, |result| {
            let mut result = Object::read(result)?;
            let tools = items(result.get("tools")?)?;
            let valid: Vec<_> = tools.iter().copied().filter(|tool| known.take(tool)).collect();
            if valid.len() == tools.len() {
                return None;
            }
            let valid = format!("[{}]", valid.join(","));
            result.set("tools", valid);
            result.changed()
        })
    }

    /// Every update leaves it complete, so a panic elsewhere breaks nothing.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Learns from one listed tool; returns whether it may be used.
    fn take(&mut self, tool: &str) -> bool {
        let Some(tool) = Object::read(tool) else { return true };
        let (Some(name), Some(schema)) = (tool.string("name"), tool.get("inputSchema")) else {
            return true;
        };
        let Ok(schema) = serde_json::from_str::<Value>(schema) else { return true };
        match annotated(&schema) {
            Ok(repeated) => {
                self.annotated.remove(&name);
                if !repeated.is_empty() && self.annotated.len() < MAX_TOOLS {
                    self.annotated.insert(name, repeated);
                }
                true
            }
            Err(why) => {
                if self.left_out.len() < MAX_TOOLS && self.left_out.insert(name.clone()) {
                    tracing::warn!("the tool {name:?} is left out of tools/list: {why}");
                }
                false
            }
        }
    }
}

/// The annotated parameters of a tool with the input schema `schema`.
///
/// # Errors
/// An annotation is invalid, and with it the tool.
fn annotated(schema: &Value) -> Result<Vec<Repeated>, String> {
    let mut found = Vec::new();
    walk(schema, Some(&[]), &mut found)?;
    for (at, one) in found.iter().enumerate() {
        if found[..at].iter().any(|other| other.header == one.header) {
            return Err(format!("two parameters have the header {}", one.header));
        }
    }
    Ok(found)
}

/// Looks for annotations in `schema`; `path` leads to it if it does so through `properties` alone.
fn walk(schema: &Value, path: Option<&[String]>, found: &mut Vec<Repeated>) -> Result<(), String> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Array(schemas) => {
            return schemas.iter().try_for_each(|schema| walk(schema, None, found));
        }
        _ => return Ok(()),
    };
    if let Some(name) = members.get(ANNOTATION) {
        let path = path.filter(|path| !path.is_empty()).ok_or_else(|| {
            format!("{ANNOTATION} {name} stands where no argument can be found by its name")
        })?;
        found.push(Repeated { header: header(name, members.get("type"))?, path: path.to_vec() });
    }
    for (name, value) in members {
        match (name.as_str(), value) {
            // Data, not schemas.
            ("const" | "enum" | "default" | "examples", _) => {}
            ("properties", Value::Object(properties)) => {
                for (property, schema) in properties {
                    let path = path.map(|path| [path, std::slice::from_ref(property)].concat());
                    walk(schema, path.as_deref(), found)?;
                }
            }
            ("patternProperties" | "dependentSchemas" | "$defs" | "definitions", named) => {
                for schema in named.as_object().into_iter().flat_map(|named| named.values()) {
                    walk(schema, None, found)?;
                }
            }
            (_, schema) => walk(schema, None, found)?,
        }
    }
    Ok(())
}

/// The header field for a parameter of `kind` that is annotated with `name`.
fn header(name: &Value, kind: Option<&Value>) -> Result<HeaderName, String> {
    let is_primitive = |kind: &str| matches!(kind, "string" | "integer" | "boolean");
    let fits = match kind {
        Some(Value::String(kind)) => is_primitive(kind),
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.clone().count() == 1 && kinds.all(is_primitive)
        }
        _ => false,
    };
    if !fits {
        return Err(format!("{ANNOTATION} {name} is not on a string, an integer or a boolean"));
    }
    name.as_str()
        .filter(|name| !name.is_empty())
        .and_then(|name| HeaderName::try_from(format!("mcp-param-{name}")).ok())
        .ok_or_else(|| format!("{ANNOTATION} {name} is not the name of a header field"))
}

/// The argument at `path` as the text of a header field; `None` where there is none.
fn at(arguments: &str, path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let object = Object::read(arguments)?;
    let value = object.get(first)?;
    if !rest.is_empty() {
        return at(value, rest);
    }
    match serde_json::from_str(value).ok()? {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        // Also where it is written as `42.0` or `4.2e1`.
        Value::Number(number) if number.is_f64() => {
            number.as_f64().filter(|value| value.fract() == 0.0).map(|value| format!("{value:.0}"))
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_found_through_properties_alone() {
        let on = |name: &str| json!({"type": "string", "x-mcp-header": name});
        let nested = json!({"type": "object", "properties": {
            "a": {"type": "object", "properties": {"b": on("Deep")}},
            "x-mcp-header": {"type": "string"},
            "c": {"type": "string", "default": {"x-mcp-header": 1}},
        }});
        let found = annotated(&nested).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, ["a", "b"]);
        assert_eq!(at(r#"{"a":{"b":"x"}}"#, &found[0].path).as_deref(), Some("x"));
        for schema in [
            json!({"x-mcp-header": "Root", "type": "string"}),
            json!({"properties": {"a": {"type": "array", "items": on("Item")}}}),
            json!({"properties": {"a": {"anyOf": [on("Any")]}}}),
            json!({"if": {"properties": {"a": on("If")}}}),
            json!({"$defs": {"a": on("Def")}}),
        ] {
            assert!(annotated(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn an_annotation_has_a_name_and_a_type_that_fit() {
        let one = |name: Value, kind: Value| {
            annotated(&json!({"properties": {"a": {"type": kind, "x-mcp-header": name}}}))
        };
        for kind in [json!("string"), json!("integer"), json!("boolean"), json!(["string", "null"])]
        {
            assert!(one(json!("Name"), kind).is_ok());
        }
        for kind in [json!("number"), json!("object"), json!("array"), json!("null"), json!(null)] {
            assert!(one(json!("Name"), kind).is_err());
        }
        for name in [json!(""), json!("a b"), json!("a:b"), json!("é"), json!("a\n"), json!(5)] {
            assert!(one(name, json!("string")).is_err());
        }
        let twice = json!({"properties": {
            "a": {"type": "string", "x-mcp-header": "One"},
            "b": {"type": "string", "x-mcp-header": "ONE"},
        }});
        assert!(annotated(&twice).is_err());
    }

    #[test]
    fn an_argument_is_written_as_its_type_asks() {
        let at = |value: &str| at(&format!(r#"{{"a":{value}}}"#), &["a".to_owned()]);
        for (value, text) in
            [("\"x\"", "x"), ("42", "42"), ("42.0", "42"), ("-7", "-7"), ("true", "true")]
        {
            assert_eq!(at(value).as_deref(), Some(text), "{value}");
        }
        for value in ["null", "[]", "{}", "1.5"] {
            assert_eq!(at(value), None, "{value}");
        }
    }
}
