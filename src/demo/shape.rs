//! JSON that is put together from shapes standing in data files, and the ways of writing it.

use serde_json::{Map, Value};

/// Reads a data file. What cannot be read is null, which the tests of its owner notice.
pub(super) fn load(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

/// Fills a shape with values, which are the members of an object.
///
/// A text `$name` becomes the value of that name, `$name/member` a member of it. Where there is
/// none or it is null, the member or element of the shape disappears, and so does what loses all
/// of its members; `$$name` stays null instead. `{"$text": […]}` becomes a text of all the parts,
/// and disappears when one of them does.
pub(super) fn fill(shape: &Value, values: &Value) -> Value {
    match shape {
        Value::String(text) => match text.strip_prefix('$') {
            Some(path) => {
                let mut steps = path.trim_start_matches('$').split('/');
                let found = steps.try_fold(values, |value, step| value.get(step));
                found.cloned().unwrap_or_default()
            }
            None => shape.clone(),
        },
        Value::Array(parts) => {
            let mut filled = Vec::new();
            for part in parts {
                filled.extend(kept(part, values));
            }
            if filled.is_empty() && !parts.is_empty() { Value::Null } else { filled.into() }
        }
        Value::Object(parts) => {
            if let Some(parts) = parts.get("$text") {
                let filled = fill(parts, values);
                let text: String = items(&filled).iter().map(text).collect();
                let whole = items(&filled).len() == items(parts).len();
                return if whole { text.into() } else { Value::Null };
            }
            let mut filled = Map::new().into();
            for (name, part) in parts {
                if let Some(value) = kept(part, values) {
                    set(&mut filled, name, value);
                }
            }
            let emptied = !parts.is_empty() && members(&filled).next().is_none();
            if emptied { Value::Null } else { filled }
        }
        _ => shape.clone(),
    }
}

fn kept(part: &Value, values: &Value) -> Option<Value> {
    let value = fill(part, values);
    let stays = part.is_null() || part.as_str().is_some_and(|text| text.starts_with("$$"));
    (stays || !value.is_null()).then_some(value)
}

/// Sets a member of an object.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// An object of one member, for names that are known only at run time.
pub(super) fn object(name: &str, value: Value) -> Value {
    let mut members = Map::new();
    members.insert(name.to_owned(), value);
    members.into()
}

pub(super) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as it stands in a query or in a sentence: a text without quotes, no booleans.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => u8::from(*yes).to_string(),
        other => write(other, Style::Compact),
    }
}

/// Where white space stands between tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Compact,
    /// After commas and colons, as Python's `json.dumps` has it.
    Spaced,
    /// Lines with an indentation of two, as `json.dumps` with `indent=2`.
    Lines,
}

pub(super) fn write(value: &Value, style: Style) -> String {
    let mut out = String::new();
    append(&mut out, value, style, 0);
    out
}

fn append(out: &mut String, value: &Value, style: Style, depth: usize) {
    let colon = if style == Style::Compact { ":" } else { ": " };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => append_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index, style, depth + 1);
                append(out, item, style, depth + 1);
            }
            close(out, items.is_empty(), style, depth);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                separate(out, index, style, depth + 1);
                append_text(out, name);
                out.push_str(colon);
                append(out, member, style, depth + 1);
            }
            close(out, members.is_empty(), style, depth);
            out.push('}');
        }
    }
}

fn append_text(out: &mut String, text: &str) {
    // A text can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn separate(out: &mut String, index: usize, style: Style, depth: usize) {
    if index > 0 {
        out.push_str(if style == Style::Spaced { ", " } else { "," });
    }
    close(out, false, style, depth);
}

/// A new line, except in what is empty.
fn close(out: &mut String, empty: bool, style: Style, depth: usize) {
    if style == Style::Lines && !empty {
        out.push('\n');
        for _ in 0..depth {
            out.push_str("  ");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_are_filled() {
        let shape = json!({"id": "$$id", "a": ["$one", "$none", "as is"], "b": {"c": "$none"},
            "d": {"e": "$null"}, "f": null, "g": {}, "h": [], "i": "$two", "j": "$two/x",
            "k": "$two/y", "l": {"$text": ["<", "$one", ">", "$two"]}, "m": {"$text": ["$none"]}});
        let values = json!({"one": 1, "two": {"x": []}, "null": null});
        assert_eq!(
            fill(&shape, &values),
            json!({"id": null, "a": [1, "as is"], "f": null, "g": {}, "h": [], "i": {"x": []},
                "j": [], "l": "<1>{\"x\":[]}"})
        );
        let values = json!({"id": "$id"});
        assert_eq!(fill(&json!({"id": "$$id"}), &values), values, "values are no shapes");
    }

    #[test]
    fn styles_differ_in_white_space_only() {
        let value =
            json!({"a": [1, {"b, c: {": null}, [], {}], "d": "\"[,:\\\n", "e": 1.5, "f": true});
        let compact = r#"{"a":[1,{"b, c: {":null},[],{}],"d":"\"[,:\\\n","e":1.5,"f":true}"#;
        assert_eq!(write(&value, Style::Compact), compact);
        assert_eq!(
            write(&value, Style::Spaced),
            r#"{"a": [1, {"b, c: {": null}, [], {}], "d": "\"[,:\\\n", "e": 1.5, "f": true}"#
        );
        assert_eq!(
            write(&value, Style::Lines),
            r#"{
  "a": [
    1,
    {
      "b, c: {": null
    },
    [],
    {}
  ],
  "d": "\"[,:\\\n",
  "e": 1.5,
  "f": true
}"#
        );
        assert_eq!(write(&json!({}), Style::Lines), "{}");
    }

    #[test]
    fn values_in_sentences() {
        for (value, expected) in
            [(json!("а"), "а"), (json!(false), "0"), (json!(12), "12"), (json!(null), "null")]
        {
            assert_eq!(text(&value), expected);
        }
    }
}
