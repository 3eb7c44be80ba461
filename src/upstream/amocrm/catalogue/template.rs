//! Templates: JSON in which forms stand for values, to make requests and results from.
//!
//! | form | value |
//! | --- | --- |
//! | `{"$arg":"n","$default":v}` | argument `n`, else `v`; without both the member or element disappears |
//! | `{"$unix":"n"}` | argument `n` as Unix seconds |
//! | `{"$if":"n","$then":T}` | `T` when argument `n` is given and neither `false` nor `""` |
//! | `"$merge":"n"` in an object | the members of the object argument `n`, laid over the others |
//! | `{"$ref":"step#/pointer"}` | a value from the answer to an earlier step |
//! | `{"$exists":"step#/pointer"}` | whether there is such a value |
//! | `{"$first":["step#/pointer","$arg:n"]}` | the first that there is |
//!
//! In the path of a request `{n}` is argument `n` as one segment, `{+n}` as several. A step with a
//! condition, `when`, runs only if the condition holds:
//!
//! | condition | holds |
//! | --- | --- |
//! | `{"$exists":"step#/pointer"}`, `{"$absent":…}` | when there is, or is not, such a value |
//! | `{"$no_arg":"n"}` | when argument `n` is not given |
//! | `{"$arg_true":"n","$default":b}` | when argument `n`, else `b`, is `true` |
//! | `{"$all":[…]}` | when all of these do |
//!
//! An object or array whose members all disappear disappears as well; an empty one stays.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::time::unix_seconds;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path whose slashes stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The values for templates. The arguments must have passed [`super::schema`].
pub(super) struct Scope<'a> {
    pub(super) arguments: Map<String, Value>,
    /// The answers to the steps so far, by the steps' names.
    pub(super) answers: Vec<(&'a str, Value)>,
}

/// A REST request whose body may still change.
pub(super) struct RestRequest {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) body: Option<Value>,
}

impl RestRequest {
    /// The operation of `POST /api/entities` (`get`, `create`, …), or the HTTP method.
    pub(super) fn operation(&self) -> &str {
        self.of_entity("method").unwrap_or(&self.method)
    }

    /// The kind of entity that this request creates.
    pub(super) fn creates(&self) -> Option<&str> {
        if self.operation() == "create" { self.of_entity("entity_type") } else { None }
    }

    /// Whether the request only reads.
    pub(super) fn is_read(&self) -> bool {
        self.operation().eq_ignore_ascii_case("get")
    }

    /// The body on the wire.
    pub(super) fn payload(&self) -> Option<Bytes> {
        self.body.as_ref().map(|body| body.to_string().into())
    }

    fn of_entity(&self, member: &str) -> Option<&str> {
        self.body.as_ref()?.get(member)?.as_str()
    }
}

impl Scope<'_> {
    /// The request that `template` describes.
    pub(super) fn request(&self, template: &Value) -> RestRequest {
        let method = self.render(&template["method"]);
        let mut target = self.path(template["path"].as_str().unwrap_or_default());
        if let Some(query) = self.render(&template["query"]) {
            let mut pairs = Vec::new();
            query_pairs("", &query, &mut pairs);
            if !pairs.is_empty() {
                target = format!("{target}?{}", pairs.join("&"));
            }
        }
        RestRequest {
            method: method.as_ref().and_then(Value::as_str).unwrap_or("GET").to_owned(),
            target,
            body: self.render(&template["body"]).filter(|body| !body.is_null()),
        }
    }

    /// Whether the condition `when` of a step holds; a step without one always runs.
    pub(super) fn holds(&self, when: &Value) -> bool {
        let text = |form| when.get(form).and_then(Value::as_str);
        if let Some(conditions) = when.get("$all").and_then(Value::as_array) {
            conditions.iter().all(|condition| self.holds(condition))
        } else if let Some(reference) = text("$absent") {
            self.answered(reference).is_none()
        } else if let Some(reference) = text("$exists") {
            self.answered(reference).is_some()
        } else if let Some(name) = text("$no_arg") {
            !self.arguments.contains_key(name)
        } else if let Some(name) = text("$arg_true") {
            self.arguments.get(name).or(when.get("$default")) == Some(&Value::Bool(true))
        } else {
            true
        }
    }

    /// Fills `template`; `None` when it disappears.
    pub(super) fn render(&self, template: &Value) -> Option<Value> {
        match template {
            Value::Object(object) => self.render_object(object),
            Value::Array(elements) => {
                let filled: Vec<_> = elements.iter().filter_map(|one| self.render(one)).collect();
                (elements.is_empty() || !filled.is_empty()).then_some(Value::Array(filled))
            }
            value => Some(value.clone()),
        }
    }

    fn render_object(&self, object: &Map<String, Value>) -> Option<Value> {
        let text = |form| object.get(form).and_then(Value::as_str);
        if let Some(name) = text("$arg") {
            return self.arguments.get(name).or(object.get("$default")).cloned();
        }
        if let Some(name) = text("$unix") {
            return self.arguments.get(name).and_then(unix_seconds).map(Value::from);
        }
        if let Some(name) = text("$if") {
            let value = self.arguments.get(name)?;
            let counts = *value != false && *value != "";
            return if counts { self.render(object.get("$then")?) } else { None };
        }
        if let Some(reference) = text("$ref") {
            return self.answered(reference).cloned();
        }
        if let Some(reference) = text("$exists") {
            return Some(self.answered(reference).is_some().into());
        }
        if let Some(choices) = object.get("$first").and_then(Value::as_array) {
            let choice = |choice: &str| match choice.strip_prefix("$arg:") {
                Some(name) => self.arguments.get(name),
                None => self.answered(choice),
            };
            return choices.iter().filter_map(Value::as_str).find_map(choice).cloned();
        }
        let mut filled: Map<String, Value> = object
            .iter()
            .filter(|(name, _)| *name != "$merge")
            .filter_map(|(name, value)| Some((name.clone(), self.render(value)?)))
            .collect();
        let merged = text("$merge").and_then(|name| self.arguments.get(name)?.as_object());
        for (name, value) in merged.into_iter().flatten() {
            match (filled.get_mut(name), value) {
                (Some(Value::Array(ours)), Value::Array(theirs))
                    if name == "custom_fields_values" =>
                {
                    ours.extend_from_slice(theirs);
                }
                _ => {
                    filled.insert(name.clone(), value.clone());
                }
            }
        }
        (object.is_empty() || !filled.is_empty()).then_some(Value::Object(filled))
    }

    /// The value at `step#/pointer`. Skipped steps have no answers, and `null` is not a value.
    fn answered(&self, reference: &str) -> Option<&Value> {
        let (step, pointer) = reference.split_once('#')?;
        let (_, answer) = self.answers.iter().find(|(name, _)| *name == step)?;
        answer.pointer(pointer).filter(|value| !value.is_null())
    }

    /// Puts the arguments into `path`: `{n}` as one segment, `{+n}` as several.
    fn path(&self, path: &str) -> String {
        let mut filled = String::new();
        let mut rest = path;
        while let Some((before, variable, after)) = next_variable(rest) {
            filled.push_str(before);
            let text = |name| self.arguments.get(name).map(plain).unwrap_or_default();
            match variable.strip_prefix('+') {
                Some(name) => {
                    filled.extend(utf8_percent_encode(segments(&text(name)), RESERVED_IN_PATH));
                }
                None => filled.extend(utf8_percent_encode(&text(variable), RESERVED)),
            }
            rest = after;
        }
        filled + rest
    }
}

/// The first `{variable}` of a path, with what stands before and after it.
pub(super) fn next_variable(path: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = path.split_once('{')?;
    let (variable, after) = rest.split_once('}')?;
    Some((before, variable, after))
}

/// The argument `{+n}` of a path without the prefix that the template adds: models tend to write
/// amoCRM's paths in full.
pub(super) fn segments(text: &str) -> &str {
    let text = text.trim_matches('/');
    text.strip_prefix("api/v4/").unwrap_or(text)
}

/// A scalar as text for a path or a query.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes `value` as the query parameter `name`. Objects and arrays take the form of PHP, which
/// amoCRM reads: `filter[id][0]=11`.
fn query_pairs(name: &str, value: &Value, pairs: &mut Vec<String>) {
    let below = |key: &str| match name {
        "" => key.to_owned(),
        _ => format!("{name}[{key}]"),
    };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| query_pairs(&below(key), value, pairs));
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                query_pairs(&below(&index.to_string()), value, pairs);
            }
        }
        Value::Null => {}
        scalar => pairs.push(format!(
            "{}={}",
            utf8_percent_encode(name, RESERVED),
            utf8_percent_encode(&plain(scalar), RESERVED)
        )),
    }
}
