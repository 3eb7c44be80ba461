//! A configuration file as text that can be edited: JSON with comments, or TOML. What is not changed
//! stays as it is written.

use std::fmt;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::diff::unchanged;
use super::entry::STARTS;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON, with comments and commas at the end where the person has written them.
    Json,
    /// TOML.
    Toml,
}

/// Why a file cannot be edited.
#[derive(Debug)]
pub(crate) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text of a file, parsed.
#[derive(Debug)]
pub(crate) enum Document {
    /// JSON.
    Json(CstRootNode),
    /// TOML, and the text that was parsed: its line ends are lost in parsing.
    Toml(Box<DocumentMut>, String),
}

impl Document {
    /// Parses `text`; an empty text is an empty document.
    ///
    /// # Errors
    /// It is broken; the reason names line and column.
    pub(crate) fn parse(text: &str, format: Format) -> Result<Self, Unusable> {
        match format {
            Format::Json => {
                let options = ParseOptions {
                    allow_comments: true,
                    allow_trailing_commas: true,
                    allow_loose_object_property_names: false,
                    allow_missing_commas: false,
                    allow_single_quoted_strings: false,
                    allow_hexadecimal_numbers: false,
                    allow_unary_plus_numbers: false,
                    allow_bare_decimal_point_numbers: false,
                    allow_non_finite_numbers: false,
                    allow_extended_string_escapes: false,
                };
                CstRootNode::parse(text, &options).map(Self::Json).map_err(|error| {
                    let (line, column) = (error.line_display(), error.column_display());
                    Unusable(format!("line {line}, column {column}: {}", error.kind()))
                })
            }
            Format::Toml => match text.parse() {
                Ok(document) => Ok(Self::Toml(Box::new(document), text.to_owned())),
                Err(error) => Err(Unusable(explain_toml(&error, text))),
            },
        }
    }

    /// Every entry of the object at `path`, by name.
    pub(crate) fn entries(&self, path: &[&str]) -> Map<String, Value> {
        let mut value = match self {
            Self::Json(root) => root.to_serde_value().unwrap_or_default(),
            Self::Toml(document, _) => table_value(document.as_table()),
        };
        for name in path {
            value = value.get_mut(name).map(Value::take).unwrap_or_default();
        }
        match value {
            Value::Object(entries) => entries,
            _ => Map::new(),
        }
    }

    /// Adds the entry `name` to the object at `path`, or replaces what an entry of that name starts.
    ///
    /// # Errors
    /// Something else than an object stands there.
    pub(crate) fn set(
        &mut self,
        path: &[&str],
        name: &str,
        members: &[(String, Value)],
    ) -> Result<(), Unusable> {
        let leaves = |known: &&str| !members.iter().any(|(member, _)| member == known);
        let leaving = || STARTS.iter().filter(|known| leaves(known));
        match self {
            Self::Json(root) => {
                let mut object = match root.value() {
                    None => root.object_value_or_set(),
                    Some(value) => value.as_object().ok_or_else(|| not_an_object("its top"))?,
                };
                for name in path.iter().chain([&name]) {
                    object = json_object(&object, name)?;
                }
                leaving().filter_map(|name| object.get(name)).for_each(CstObjectProp::remove);
                for (name, value) in members {
                    match object.get(name) {
                        Some(member) => member.set_value(json_input(value)),
                        None => drop(object.append(name, json_input(value))),
                    }
                }
            }
            Self::Toml(document, _) => {
                let mut table: &mut dyn TableLike = document.as_table_mut();
                for (depth, name) in path.iter().chain([&name]).enumerate() {
                    let is_entry = depth == path.len();
                    table = toml_table(table, name, !is_entry)?;
                }
                leaving().for_each(|name| drop(table.remove(name)));
                for (name, value) in members {
                    // In place, so that a comment stays with its member.
                    match table.get_mut(name) {
                        Some(member) => {
                            let decor = member.as_value().map(|value| value.decor().clone());
                            *member = Item::Value(toml_input(value));
                            if let (Some(value), Some(decor)) = (member.as_value_mut(), decor) {
                                *value.decor_mut() = decor;
                            }
                        }
                        None => drop(table.insert(name, Item::Value(toml_input(value)))),
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes the entry `name` from the object at `path`. Whether it was there.
    pub(crate) fn remove(&mut self, path: &[&str], name: &str) -> bool {
        match self {
            Self::Json(root) => {
                let mut object = root.object_value();
                for name in path {
                    object = object.and_then(|object| object.object_value(name));
                }
                let Some(entry) = object.and_then(|object| object.get(name)) else { return false };
                entry.remove();
                true
            }
            Self::Toml(document, _) => {
                let mut table: &mut dyn TableLike = document.as_table_mut();
                for name in path {
                    let Some(inner) = table.get_mut(name).and_then(Item::as_table_like_mut) else {
                        return false;
                    };
                    table = inner;
                }
                table.remove(name).is_some()
            }
        }
    }

    /// The text, with the changes.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Json(root) => {
                let text = root.to_string();
                if text.ends_with('\n') || text.is_empty() { text } else { ended(text, root) }
            }
            Self::Toml(document, original) => with_line_ends_of(original, &document.to_string()),
        }
    }
}

/// A file that had no line end at its end keeps that; a new one gets it.
fn ended(text: String, root: &CstRootNode) -> String {
    if root.children().len() == 1 && root.single_indent_text().is_none() {
        text + "\n"
    } else {
        text
    }
}

fn not_an_object(what: &str) -> Unusable {
    Unusable(format!("{what} is not an object"))
}

/// The object `name` in `object`, made if there is none.
fn json_object(object: &CstObject, name: &str) -> Result<CstObject, Unusable> {
    match object.get(name).and_then(|member| member.value()) {
        Some(value) if value.as_null_keyword().is_none() => {
            value.as_object().ok_or_else(|| not_an_object(&format!("`{name}`")))
        }
        _ => Ok(object.object_value_or_set(name)),
    }
}

fn json_input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(json_input).collect()),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), json_input(value)));
            CstInputValue::Object(members.collect())
        }
    }
}

/// The table `name` in `table`, made if there is none; without a header of its own if it `is_implicit`.
fn toml_table<'a>(
    table: &'a mut dyn TableLike,
    name: &str,
    is_implicit: bool,
) -> Result<&'a mut dyn TableLike, Unusable> {
    if !table.contains_key(name) {
        let mut made = Table::new();
        made.set_implicit(is_implicit);
        table.insert(name, Item::Table(made));
    }
    let found = table.get_mut(name).and_then(Item::as_table_like_mut);
    found.ok_or_else(|| Unusable(format!("`{name}` is not a table")))
}

fn toml_input(value: &Value) -> toml_edit::Value {
    match value {
        Value::Null => "".into(),
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => value.as_i64().unwrap_or_default().into(),
        Value::String(value) => value.as_str().into(),
        Value::Array(items) => items.iter().map(toml_input).collect(),
        Value::Object(members) => {
            let mut table = toml_edit::InlineTable::new();
            for (name, value) in members {
                table.insert(name, toml_input(value));
            }
            table.into()
        }
    }
}

fn table_value(table: &dyn TableLike) -> Value {
    Value::Object(table.iter().map(|(name, item)| (name.to_owned(), item_value(item))).collect())
}

fn item_value(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return table_value(table);
    }
    match item.as_value() {
        Some(toml_edit::Value::Array(items)) => {
            items.iter().map(|item| item_value(&Item::Value(item.clone()))).collect()
        }
        Some(toml_edit::Value::String(text)) => text.value().as_str().into(),
        Some(toml_edit::Value::Integer(number)) => (*number.value()).into(),
        Some(toml_edit::Value::Boolean(value)) => (*value.value()).into(),
        Some(toml_edit::Value::Float(number)) => (*number.value()).into(),
        _ => Value::Null,
    }
}

fn explain_toml(error: &toml_edit::TomlError, text: &str) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let Some(span) = error.span() else { return message };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// `edited` with the line ends of `original`: lines that are still there keep theirs, and new ones
/// get those of most others.
fn with_line_ends_of(original: &str, edited: &str) -> String {
    let old: Vec<&str> = original.split_inclusive('\n').collect();
    let new: Vec<&str> = edited.split_inclusive('\n').collect();
    let has_cr = |line: &&&str| line.ends_with("\r\n");
    let with_cr = old.iter().filter(has_cr).count();
    if with_cr == 0 {
        return edited.to_owned();
    }
    let content = |lines: &[&str]| -> Vec<String> {
        lines.iter().map(|line| line.trim_end_matches(['\r', '\n']).to_owned()).collect()
    };
    let (old_content, new_content) = (content(&old), content(&new));
    let (start, end) = unchanged(&old_content, &new_content);
    let is_crlf = with_cr * 2 >= old.len();
    let mut text = String::new();
    for (at, line) in new.iter().enumerate() {
        let kept = if at < start {
            Some(old[at])
        } else if at >= new.len() - end {
            Some(old[at + old.len() - new.len()])
        } else {
            None
        };
        match kept {
            Some(kept) if kept.ends_with('\n') == line.ends_with('\n') => text.push_str(kept),
            _ => {
                text.push_str(&new_content[at]);
                if line.ends_with('\n') {
                    text.push_str(if is_crlf { "\r\n" } else { "\n" });
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<(String, Value)> {
        vec![
            ("command".to_owned(), "/bin/mcpline".into()),
            ("args".to_owned(), vec!["http://srv/base"].into()),
        ]
    }

    /// `text` after an entry was added to the object `s`.
    fn edited(text: &str, format: Format) -> String {
        let mut document = Document::parse(text, format).unwrap();
        document.set(&["s"], "x", &members()).unwrap();
        document.text()
    }

    #[test]
    fn an_entry_is_added_and_the_rest_stays_as_it_is_written() {
        for (format, before, after) in [
            (
                Format::Json,
                "",
                "{\n  \"s\": {\n    \"x\": {\n      \"command\": \"/bin/mcpline\",\n      \"args\": [\"http://srv/base\"]\n    }\n  }\n}\n",
            ),
            (
                Format::Json,
                "{\r\n\t// kept\r\n\t\"z\": 1.0, /* and this */\r\n\t\"s\": {\r\n\t\t\"a\": {\"command\":\"c\"} // one\r\n\t},\r\n}\r\n",
                "{\r\n\t// kept\r\n\t\"z\": 1.0, /* and this */\r\n\t\"s\": {\r\n\t\t\"a\": {\"command\":\"c\"}, // one\r\n\t\t\"x\": {\r\n\t\t\t\"command\": \"/bin/mcpline\",\r\n\t\t\t\"args\": [\"http://srv/base\"]\r\n\t\t}\r\n\t},\r\n}\r\n",
            ),
            (Format::Toml, "", "[s.x]\ncommand = \"/bin/mcpline\"\nargs = [\"http://srv/base\"]\n"),
            (
                Format::Toml,
                "# kept\r\nmodel = 'a'   # and this\r\n\r\n[s.a]\r\ncommand = 'c'\r\n",
                "# kept\r\nmodel = 'a'   # and this\r\n\r\n[s.a]\r\ncommand = 'c'\r\n\r\n[s.x]\r\ncommand = \"/bin/mcpline\"\r\nargs = [\"http://srv/base\"]\r\n",
            ),
        ] {
            assert_eq!(edited(before, format), after, "{before}");
            // What was added can be taken away again.
            let mut document = Document::parse(after, format).unwrap();
            assert!(document.remove(&["s"], "x") && !document.remove(&["s"], "x"));
            let left = document.text();
            assert!(!left.contains("mcpline"), "{left}");
            assert!(before.lines().all(|line| left.contains(line.trim_end_matches(','))), "{left}");
        }
    }

    #[test]
    fn an_entry_is_replaced_and_what_it_does_not_start_stays() {
        for (format, before, after) in [
            (
                Format::Json,
                r#"{"s": {"x": {"url": "http://old", "timeout": 9, "command": "old", "env": {"A": "b"}}, "y": {}}}"#,
                r#""timeout": 9"#,
            ),
            (
                Format::Toml,
                "[s.x]\nurl = 'http://old'\ntimeout = 9 # why\ncommand = 'old' # here\n[s.x.env]\nA = 'b'\n[s.y]\n",
                "timeout = 9 # why\ncommand = \"/bin/mcpline\" # here",
            ),
            (
                Format::Toml,
                "s = { x = { url = 'http://old', timeout = 9 }, y = {} }\n",
                "timeout = 9",
            ),
        ] {
            let text = edited(before, format);
            assert!(text.contains(after), "{text}");
            assert!(!text.contains("old") && !text.contains("env"), "{text}");
            let entries = Document::parse(&text, format).unwrap().entries(&["s"]);
            assert_eq!(entries["x"]["args"][0], "http://srv/base");
            assert!(entries["y"].is_object());
        }
    }

    #[test]
    fn a_broken_text_is_refused_with_line_and_column() {
        for (format, text, place) in [
            (Format::Json, "{\n  \"s\": {\n    \"x\" 1\n}}", "line 3, column "),
            (Format::Json, "{\n  \"s\": 1 \"t\": 2}", "line 2, column "),
            (Format::Json, "{ \"s\": {", "line 1, column "),
            (Format::Toml, "a = 1\nb = = 2\n", "line 2, column 5"),
        ] {
            let why = Document::parse(text, format).unwrap_err().to_string();
            assert!(why.starts_with(place), "{why}");
        }
    }

    #[test]
    fn what_is_no_object_is_not_replaced() {
        for (format, text) in [
            (Format::Json, "[]"),
            (Format::Json, r#"{"s": []}"#),
            (Format::Json, r#"{"s": {"x": 1}}"#),
            (Format::Toml, "s = 1"),
            (Format::Toml, "[[s]]"),
        ] {
            let mut document = Document::parse(text, format).unwrap();
            assert!(document.set(&["s"], "x", &members()).is_err(), "{text}");
        }
        let mut document = Document::parse(r#"{"s": null}"#, Format::Json).unwrap();
        document.set(&["s"], "x", &members()).unwrap();
    }
}
