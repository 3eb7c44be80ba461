//! The arguments of a call, from words of a shell: `KEY=VALUE` by the tool's schema, `KEY:=JSON` as it
//! stands, a JSON object, or `-` for a JSON object on stdin.

use std::io;

use serde_json::Value;

use crate::cli::nearest;
use crate::jsonrpc::to_json;
use crate::setup::SetupError;
use crate::terminal;
use crate::upstream::Object;

/// How deep a schema is followed: one that refers to itself has no end.
const MAX_DEPTH: usize = 8;

/// The schema of a tool's arguments.
#[derive(Debug, Default)]
pub(super) struct Schema {
    root: Value,
}

/// What the person has given, before anybody knows the tool.
#[derive(Debug)]
pub(super) struct Given {
    /// A JSON object, as it was written.
    whole: Option<String>,
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Pair {
    key: String,
    value: String,
    /// Whether the value is JSON.
    is_json: bool,
}

impl Given {
    /// Reads the words behind the tool's name; `stdin` reads the standard input.
    ///
    /// # Errors
    /// A word is of none of the forms.
    pub(super) fn read(
        words: &[String],
        stdin: impl FnOnce() -> io::Result<String>,
    ) -> Result<Self, SetupError> {
        let mut given = Self { whole: None, pairs: Vec::new() };
        let mut stdin = Some(stdin);
        for word in words {
            let is_whole = word == "-" || word.trim_start().starts_with('{');
            if is_whole && given.whole.is_some() {
                return Err(
                    SetupError::usage("two JSON objects are given").hint("put all into one")
                );
            }
            if let Some(read) = stdin.take_if(|_| word == "-") {
                let text = read().map_err(|why| {
                    SetupError::usage(format!("the arguments on standard input: {why}"))
                })?;
                given.whole = Some(object(&text, "standard input")?);
            } else if is_whole {
                given.whole = Some(object(word, "the argument")?);
            } else {
                given.pairs.push(Pair::read(word)?);
            }
        }
        Ok(given)
    }

    /// The arguments as JSON text that fits `schema`, which is that of `tool`.
    ///
    /// # Errors
    /// A value does not fit, or an argument is missing or unknown.
    pub(super) fn fitted(&self, tool: &str, schema: &Schema) -> Result<String, SetupError> {
        let whole = self.whole.as_deref().unwrap_or("{}");
        let mut object = Object::read(whole).unwrap_or_default();
        let mut typed: Vec<(&str, Vec<String>)> = Vec::new();
        for Pair { key, value, is_json } in &self.pairs {
            if !is_json && let Some(meant) = schema.nearest(key) {
                let (key, meant) = (terminal::plain(key), terminal::plain(meant));
                let message = format!("{tool} has no argument `{key}`");
                let hint = format!("did you mean `{meant}`? `{key}:=JSON` sends it all the same");
                return Err(SetupError::usage(message).hint(hint));
            }
            let json = if *is_json { Ok(value.clone()) } else { schema.typed(key, value) };
            let json = json.map_err(|wanted| {
                let (key, value) = (terminal::plain(key), terminal::plain(value));
                let message = format!("`{key}` of {tool} is {wanted}, not `{value}`");
                SetupError::usage(message).hint(format!("`{key}:=JSON` gives any value"))
            })?;
            match typed.iter_mut().find(|(known, _)| known == key) {
                Some((_, values)) => values.push(json),
                None => typed.push((key, vec![json])),
            }
        }
        for (key, values) in typed {
            let value = match <[String; 1]>::try_from(values) {
                Ok([value]) => value,
                Err(values) if schema.is_list(key) => joined(&values),
                Err(_) => {
                    let key = terminal::plain(key);
                    return Err(SetupError::usage(format!("`{key}` is given more than once")));
                }
            };
            object.set(key, value);
        }
        schema.check(tool, &object)?;
        Ok(object.changed().unwrap_or_else(|| whole.to_owned()))
    }
}

/// The arrays `values` as one.
fn joined(values: &[String]) -> String {
    let inner = |value: &String| {
        let inner = value.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.unwrap_or(value).trim().to_owned()
    };
    let inner: Vec<_> = values.iter().map(inner).filter(|inner| !inner.is_empty()).collect();
    format!("[{}]", inner.join(","))
}

/// `text`, if it is a JSON object.
fn object(text: &str, place: &str) -> Result<String, SetupError> {
    let text = text.trim().trim_start_matches('\u{feff}').trim();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(text.to_owned()),
        Ok(_) => Err(SetupError::usage(format!("{place} is JSON, but no object"))
            .hint("write {\"KEY\": VALUE}")),
        Err(why) => {
            let mut error = SetupError::usage(format!("{place} is not JSON ({why})"));
            // PowerShell and cmd take the quotes out.
            if !text.contains('"') {
                error = error.hint(
                    "the shell may have taken the quotes: use KEY=VALUE, or `-` and \
                                    the JSON on standard input",
                );
            }
            Err(error)
        }
    }
}

impl Pair {
    fn read(word: &str) -> Result<Self, SetupError> {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            let message = format!("`{}` is no argument of a tool", terminal::plain(word));
            return Err(SetupError::usage(message)
                .hint("write KEY=VALUE, KEY:=JSON, a JSON object, or `-` to read one"));
        };
        let (key, is_json) = match key.strip_suffix(':') {
            Some(key) if !key.is_empty() => (key, true),
            _ => (key, false),
        };
        if is_json && let Err(why) = serde_json::from_str::<serde::de::IgnoredAny>(value) {
            let message = format!("`{}` is not JSON ({why})", terminal::plain(value));
            return Err(SetupError::usage(message).hint(format!("`{key}=VALUE` takes any text")));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned(), is_json })
    }
}

impl Schema {
    /// Reads the schema of a tool; one that is no JSON says nothing.
    pub(super) fn read(text: &str) -> Self {
        Self { root: serde_json::from_str(text).unwrap_or_default() }
    }

    fn property(&self, key: &str) -> Option<&Value> {
        self.root.get("properties")?.get(key)
    }

    fn is_list(&self, key: &str) -> bool {
        self.property(key).is_some_and(|schema| self.types(schema, 0).contains(&"array"))
    }

    /// The text `value` for the argument `key` as JSON. Where the schema does not say what it is, a
    /// number, `true`, `false`, `null`, an array or an object is what it looks like.
    fn typed(&self, key: &str, value: &str) -> Result<String, String> {
        match self.property(key) {
            Some(schema) => self.fit(schema, value),
            None => Ok(guess(value)),
        }
    }

    fn fit(&self, schema: &Value, text: &str) -> Result<String, String> {
        let types = self.types(schema, 0);
        if types.is_empty() {
            return Ok(guess(text));
        }
        // The stricter ones first.
        for kind in ["null", "integer", "number", "boolean", "array", "object"] {
            if types.contains(&kind)
                && let Some(json) = self.fit_type(kind, schema, text, types.contains(&"string"))
            {
                return Ok(json);
            }
        }
        if types.contains(&"string") {
            return Ok(to_json(&text));
        }
        let wanted: Vec<_> = types.iter().map(|kind| described(kind)).collect();
        Err(wanted.join(" or "))
    }

    fn fit_type(&self, kind: &str, schema: &Value, text: &str, or_text: bool) -> Option<String> {
        let trimmed = text.trim();
        let json: Option<Value> = serde_json::from_str(trimmed).ok();
        let as_written = |fits: bool| fits.then(|| trimmed.to_owned());
        match kind {
            "null" => as_written(trimmed == "null"),
            "integer" => as_written(is_whole_number(trimmed)),
            "number" => as_written(json.is_some_and(|json| json.is_number())),
            "boolean" if or_text => as_written(matches!(trimmed, "true" | "false")),
            "boolean" => boolean(trimmed).map(|value| value.to_string()),
            "object" => as_written(json.is_some_and(|json| json.is_object())),
            "array" if json.as_ref().is_some_and(Value::is_array) => as_written(true),
            // Separated by commas, as people write lists.
            "array" if !or_text => {
                let item = |text: &str| match schema.get("items") {
                    Some(items) => self.fit(items, text.trim()).ok(),
                    None => Some(guess(text.trim())),
                };
                let parts = trimmed.split(',').filter(|_| !trimmed.is_empty());
                let items: Option<Vec<_>> = parts.map(item).collect();
                items.map(|items| format!("[{}]", items.join(",")))
            }
            _ => None,
        }
    }

    /// The types that `schema` allows; empty where it does not say.
    fn types<'a>(&'a self, schema: &'a Value, depth: usize) -> Vec<&'a str> {
        if depth == MAX_DEPTH {
            return Vec::new();
        }
        if let Some(target) = schema["$ref"].as_str() {
            let target = target.strip_prefix('#').and_then(|path| self.root.pointer(path));
            return target.map(|target| self.types(target, depth + 1)).unwrap_or_default();
        }
        let named = match &schema["type"] {
            Value::String(name) => vec![name.as_str()],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !named.is_empty() {
            return named;
        }
        let choices =
            ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array());
        let mut all: Vec<&'a str> =
            choices.flatten().flat_map(|choice| self.types(choice, depth + 1)).collect();
        let values = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
        all.extend(values.map(type_of));
        all
    }

    /// The argument that was probably meant by `key`, where the schema neither has it nor says whether it
    /// takes others.
    fn nearest(&self, key: &str) -> Option<&str> {
        let known = self.root["properties"].as_object()?;
        let is_told = self.root.get("additionalProperties").is_some();
        let unknown = !is_told && !known.contains_key(key);
        unknown.then(|| nearest(key, known.keys().map(String::as_str)))?
    }

    /// Checks that nothing is missing, and nothing is there that the tool refuses.
    fn check(&self, tool: &str, arguments: &Object<'_>) -> Result<(), SetupError> {
        let required = self.root["required"].as_array().into_iter().flatten();
        let missing: Vec<_> = required
            .filter_map(Value::as_str)
            .filter(|name| arguments.get(name).is_none())
            .map(|name| format!("`{}`", terminal::plain(name)))
            .collect();
        if !missing.is_empty() {
            let message = format!("{tool} needs {}", missing.join(" and "));
            return Err(SetupError::usage(message).hint("write KEY=VALUE for each"));
        }
        if self.root["additionalProperties"] != Value::Bool(false) {
            return Ok(());
        }
        let unknown = arguments.members().find(|(name, _)| self.property(name).is_none());
        let Some((name, _)) = unknown else { return Ok(()) };
        let known = self.root["properties"].as_object();
        let known: Vec<_> = known.into_iter().flat_map(|known| known.keys()).cloned().collect();
        let message = format!("{tool} has no argument `{}`", terminal::plain(name));
        let hint = if known.is_empty() {
            "it takes none".to_owned()
        } else {
            format!("it has {}", terminal::plain(&known.join(", ")))
        };
        Err(SetupError::usage(message).hint(hint))
    }
}

/// `text` as the JSON that it looks like, else as a string.
fn guess(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::String(_)) | Err(_) => to_json(&text),
        Ok(_) => text.to_owned(),
    }
}

fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number && (digits == "0" || !digits.starts_with('0'))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "да" => Some(true),
        "false" | "no" | "off" | "0" | "нет" => Some(false),
        _ => None,
    }
}

fn type_of(value: &Value) -> &str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A type in words.
fn described(kind: &str) -> &str {
    match kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a JSON object",
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{"type":"object","properties":{
        "text":{"type":"string"},"count":{"type":"integer"},"price":{"type":"number"},
        "flag":{"type":"boolean"},"ids":{"type":"array","items":{"type":"integer"}},
        "any":{},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},
        "either":{"type":["string","number"]},"sort":{"enum":["a","b"]},
        "linked":{"$ref":"#/$defs/count"},"loop":{"$ref":"#/properties/loop"},
        "filter":{"type":"object"},"lists":{"type":"array"}},
        "$defs":{"count":{"type":"integer"}},"additionalProperties":false}"##;

    fn fitted(words: &[&str]) -> Result<String, SetupError> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let given = Given::read(&words, || Ok("\u{feff}{\"text\": \"in\"}\r\n".to_owned()))?;
        given.fitted("tool", &Schema::read(SCHEMA))
    }

    #[test]
    fn a_value_is_what_the_schema_says() {
        let cases: [(&[&str], &str); 22] = [
            (&[], "{}"),
            (&["text=5"], r#"{"text":"5"}"#),
            (&["text=a=b"], r#"{"text":"a=b"}"#),
            (&["text="], r#"{"text":""}"#),
            (&["count=-5"], r#"{"count":-5}"#),
            (
                &["count=123456789012345678901234567890"],
                r#"{"count":123456789012345678901234567890}"#,
            ),
            (&["price=1.50"], r#"{"price":1.50}"#),
            (&["flag=да", "count=0"], r#"{"flag":true,"count":0}"#),
            (&["ids=1,2, 3"], r#"{"ids":[1,2,3]}"#),
            (&["ids=[1,2]"], r#"{"ids":[1,2]}"#),
            (&["ids=1", "ids=2"], r#"{"ids":[1,2]}"#),
            (&["ids="], r#"{"ids":[]}"#),
            (&["lists=a,1"], r#"{"lists":["a",1]}"#),
            (&["any=007", "maybe=null"], r#"{"any":"007","maybe":null}"#),
            (&["any=7"], r#"{"any":7}"#),
            (&["either=7"], r#"{"either":7}"#),
            (&["either=seven", "sort=a"], r#"{"either":"seven","sort":"a"}"#),
            (&["linked=3", "loop=x"], r#"{"linked":3,"loop":"x"}"#),
            (&[r#"filter={"a": 1}"#], r#"{"filter":{"a": 1}}"#),
            (&["text:=null"], r#"{"text":null}"#),
            (&["-"], r#"{"text": "in"}"#),
            (&[r#"{"text": "x", "count": 1e2}"#, "text=y"], r#"{"text":"y","count":1e2}"#),
        ];
        for (words, expected) in cases {
            assert_eq!(fitted(words).unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let cases: [(&[&str], &str); 12] = [
            (&["count=ten"], "is a whole number, not `ten`"),
            (&["count=1.5"], "is a whole number"),
            (&["price=1,5"], "is a number"),
            (&["flag=maybe"], "`true` or `false`"),
            (&["ids=1,x"], "is a list"),
            (&["filter=x"], "is a JSON object"),
            (&["count=1", "count=2"], "more than once"),
            (&["word"], "KEY=VALUE"),
            (&["=5"], "KEY=VALUE"),
            (&["text:=x"], "is not JSON"),
            (&["{text:5}"], "the shell may have taken the quotes"),
            (&["texts=5"], "no argument `texts`: it has any, count"),
        ];
        for (words, told) in cases {
            let error = fitted(words).unwrap_err();
            assert_eq!(error.status(), 2, "{words:?}");
            assert!(error.to_string().contains(told), "{words:?}: {error}");
        }
        let needy = Schema::read(r#"{"required":["a","b"]}"#);
        let given = Given::read(&["b=1".to_owned()], || Ok(String::new())).unwrap();
        let error = given.fitted("tool", &needy).unwrap_err();
        assert!(error.to_string().starts_with("tool needs `a`"), "{error}");
    }
}
