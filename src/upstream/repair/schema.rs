//! JSON Schemas of tools. One of them that is malformed makes a client drop the whole list, and a
//! model API refuse the whole conversation.

use super::fit::{Context, Fit, embedded, fit_items, map};
use super::scalar;
use crate::jsonrpc::to_json;
use crate::upstream::json::{Object, items, string};

/// Below this depth a schema stays as it is: each level is read once more.
const MAX_DEPTH: usize = 32;

/// What the value of a keyword must be.
enum Keyword {
    /// The name of a type, or several.
    Type,
    /// A schema, or a boolean.
    Schema,
    /// A schema, a boolean, or a list of schemas.
    Items,
    /// A list of schemas.
    Schemas,
    /// An object of schemas.
    Properties,
    /// A list of names.
    Names,
    /// A list of values.
    Values,
    Text,
    /// A number, or in old drafts a boolean.
    Number,
    Count,
    Flag,
    /// Anything.
    Any,
}

/// The keywords of JSON Schema (drafts 4 to 2020-12) whose values have a form.
static KEYWORDS: [(&str, Keyword); 47] = [
    ("type", Keyword::Type),
    ("properties", Keyword::Properties),
    ("required", Keyword::Names),
    ("items", Keyword::Items),
    ("enum", Keyword::Values),
    ("title", Keyword::Text),
    ("description", Keyword::Text),
    ("format", Keyword::Text),
    ("pattern", Keyword::Text),
    ("minimum", Keyword::Number),
    ("maximum", Keyword::Number),
    ("exclusiveMinimum", Keyword::Number),
    ("exclusiveMaximum", Keyword::Number),
    ("multipleOf", Keyword::Number),
    ("minLength", Keyword::Count),
    ("maxLength", Keyword::Count),
    ("minItems", Keyword::Count),
    ("maxItems", Keyword::Count),
    ("minProperties", Keyword::Count),
    ("maxProperties", Keyword::Count),
    ("minContains", Keyword::Count),
    ("maxContains", Keyword::Count),
    ("uniqueItems", Keyword::Flag),
    ("readOnly", Keyword::Flag),
    ("writeOnly", Keyword::Flag),
    ("deprecated", Keyword::Flag),
    ("additionalProperties", Keyword::Schema),
    ("additionalItems", Keyword::Schema),
    ("propertyNames", Keyword::Schema),
    ("contains", Keyword::Schema),
    ("not", Keyword::Schema),
    ("if", Keyword::Schema),
    ("then", Keyword::Schema),
    ("else", Keyword::Schema),
    ("anyOf", Keyword::Schemas),
    ("oneOf", Keyword::Schemas),
    ("allOf", Keyword::Schemas),
    ("prefixItems", Keyword::Schemas),
    ("patternProperties", Keyword::Properties),
    ("$defs", Keyword::Properties),
    ("definitions", Keyword::Properties),
    ("$schema", Keyword::Text),
    ("$id", Keyword::Text),
    ("$ref", Keyword::Text),
    ("$comment", Keyword::Text),
    ("default", Keyword::Any),
    ("examples", Keyword::Any),
];

/// The types of JSON Schema, and what services write for them.
const TYPES: [(&str, &[&str]); 7] = [
    ("string", &["str", "text", "date", "datetime", "uuid", "строка", "дата"]),
    ("number", &["float", "double", "decimal", "число"]),
    ("integer", &["int", "long"]),
    ("boolean", &["bool", "булево"]),
    ("object", &["dict", "map", "структура", "соответствие"]),
    ("array", &["list", "массив"]),
    ("null", &["none", "неопределено"]),
];

fn type_name(text: &str) -> Option<&'static str> {
    let small = text.trim().to_lowercase();
    let known = TYPES.iter().find(|(name, others)| *name == small || others.contains(&&*small));
    known.map(|(name, _)| *name)
}

/// `inputSchema`: the schema of an object, which says something.
pub(super) fn input(value: &str) -> Fit {
    root(value, false)
}

/// `outputSchema`, which in the stateless revisions may have any type.
pub(super) fn output(value: &str, context: &Context<'_>) -> Fit {
    match root(value, true) {
        Fit::Unfit if context.is_modern() => schema(value, 0),
        fit => fit,
    }
}

fn root(value: &str, must_be_object: bool) -> Fit {
    let owned = match value.as_bytes().first() {
        Some(b'"') => embedded(value, '{').or_else(|| properties_in(&embedded(value, '[')?)),
        Some(b'[') => match items(value).as_deref() {
            Some([only]) if is_schema(only) => Some((*only).to_owned()),
            _ => properties_in(value),
        },
        Some(b'{') => bare_properties(value),
        _ => return Fit::Unfit,
    };
    let text = owned.as_deref().unwrap_or(value);
    let Some(mut schema) = Object::read(text).filter(|schema| !schema.is_empty()) else {
        return Fit::Unfit;
    };
    settle(&mut schema, 0);
    match schema.string("type").as_deref() {
        Some("object") => {}
        Some(_) if must_be_object => return Fit::Unfit,
        _ => schema.set_string("type", "object"),
    }
    let fit = schema.changed().map_or(Fit::Fits, Fit::Becomes);
    if let Some(text) = owned { fit.instead(text) } else { fit }
}

/// Whether `value` is an object with a keyword.
fn is_schema(value: &str) -> bool {
    Object::read(value).is_some_and(|object| object.has("type") && !object.has("name"))
}

/// The schema that a list of parameters stands for.
fn properties_in(list: &str) -> Option<String> {
    if items(list)?.is_empty() {
        return None;
    }
    let properties = match map(list, |value| property(value, 1)) {
        Fit::Becomes(properties) => properties,
        Fit::Fits | Fit::Unfit => return None,
    };
    Some(format!(r#"{{"type":"object","properties":{properties}}}"#))
}

/// The schema that an object stands for whose members are parameters, not keywords.
fn bare_properties(value: &str) -> Option<String> {
    let object = Object::read(value).filter(|object| !object.is_empty())?;
    let is_parameter = |(name, value): (&str, &str)| {
        value.starts_with('{') && !name.starts_with('$') && KEYWORDS.iter().all(|(k, _)| *k != name)
    };
    object
        .members()
        .all(is_parameter)
        .then(|| format!(r#"{{"type":"object","properties":{value}}}"#))
}

/// A schema inside of another: an object, or a boolean.
fn schema(value: &str, depth: usize) -> Fit {
    if depth > MAX_DEPTH {
        return Fit::Fits;
    }
    match value.as_bytes().first() {
        Some(b't' | b'f') => Fit::Fits,
        Some(b'{') => match Object::read(value) {
            Some(mut schema) => {
                settle(&mut schema, depth);
                schema.changed().map_or(Fit::Fits, Fit::Becomes)
            }
            None => Fit::Unfit,
        },
        Some(b'"') => {
            if let Some(json) = embedded(value, '{') {
                return schema(&json, depth).instead(json);
            }
            let text = string(value).unwrap_or_default();
            match type_name(&text) {
                Some(name) => Fit::Becomes(format!(r#"{{"type":"{name}"}}"#)),
                None if text.trim().is_empty() => Fit::Unfit,
                None => Fit::Becomes(format!(r#"{{"description":{value}}}"#)),
            }
        }
        _ => Fit::Unfit,
    }
}

/// The schema of a property, which some clients want as an object. A property stays whatever its
/// schema is: it has a name.
fn property(value: &str, depth: usize) -> Fit {
    match (value, schema(value, depth)) {
        ("true", _) | (_, Fit::Unfit) => Fit::Becomes("{}".to_owned()),
        ("false", _) => Fit::Becomes(r#"{"not":{}}"#.to_owned()),
        (_, fit) => fit,
    }
}

/// Makes each keyword fit.
fn settle(schema: &mut Object<'_>, depth: usize) {
    for (name, keyword) in &KEYWORDS {
        let Some(value) = schema.get(name) else { continue };
        match fit(value, keyword, depth + 1) {
            Fit::Fits => {}
            Fit::Becomes(value) => schema.set(name, value),
            Fit::Unfit if matches!(keyword, Keyword::Properties) => {
                schema.set(name, "{}".to_owned());
            }
            Fit::Unfit => schema.remove(name),
        }
    }
}

fn fit(value: &str, keyword: &Keyword, depth: usize) -> Fit {
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let is_flag = matches!(value, "true" | "false");
    match keyword {
        Keyword::Type => types(value),
        Keyword::Items if value.starts_with('[') => fit_items(value, |value| schema(value, depth)),
        Keyword::Items | Keyword::Schema => schema(value, depth),
        Keyword::Schemas if value.starts_with('[') => {
            let fit = fit_items(value, |value| schema(value, depth));
            let is_empty = |text: &str| items(text).is_none_or(|items| items.is_empty());
            match &fit {
                Fit::Fits if is_empty(value) => Fit::Unfit,
                Fit::Becomes(text) if is_empty(text) => Fit::Unfit,
                _ => fit,
            }
        }
        Keyword::Properties => map(value, |value| property(value, depth)),
        Keyword::Names => names(value),
        Keyword::Values => match items(value) {
            Some(items) if items.is_empty() => Fit::Unfit,
            Some(_) => Fit::Fits,
            None if is_number || scalar::name(value) == Fit::Fits => {
                Fit::Becomes(format!("[{value}]"))
            }
            None => Fit::Unfit,
        },
        Keyword::Text if value.starts_with('"') => Fit::Fits,
        Keyword::Schemas | Keyword::Text => Fit::Unfit,
        Keyword::Number if is_number || is_flag => Fit::Fits,
        Keyword::Number => number(value),
        Keyword::Count => scalar::count(value),
        Keyword::Flag => scalar::flag(value),
        Keyword::Any => Fit::Fits,
    }
}

/// A number that is written as a string.
fn number(value: &str) -> Fit {
    let text = string(value).unwrap_or_default();
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Fit::Becomes(number.to_string()),
        _ => Fit::Unfit,
    }
}

fn types(value: &str) -> Fit {
    if let Some(text) = string(value) {
        return match type_name(&text) {
            Some(name) if name == text => Fit::Fits,
            Some(name) => Fit::Becomes(to_json(&name)),
            None => Fit::Unfit,
        };
    }
    match fit_items(value, types) {
        Fit::Becomes(text) if text == "[]" => Fit::Unfit,
        Fit::Fits if items(value).is_some_and(|items| items.is_empty()) => Fit::Unfit,
        fit => fit,
    }
}

/// The names of required properties.
fn names(value: &str) -> Fit {
    match string(value) {
        Some(text) => {
            let names = text.split([',', ';', '\n']).map(str::trim).filter(|name| !name.is_empty());
            match names.collect::<Vec<_>>().as_slice() {
                [] => Fit::Unfit,
                names => embedded(value, '[').map_or_else(
                    || Fit::Becomes(to_json(&names)),
                    |json| names_in(&json).instead(json),
                ),
            }
        }
        None => names_in(value),
    }
}

fn names_in(value: &str) -> Fit {
    fit_items(value, |name| if name.starts_with('"') { Fit::Fits } else { Fit::Unfit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_in_another_form_becomes_one() {
        let properties =
            |properties: &str| format!(r#"{{"type":"object","properties":{properties}}}"#);
        for (value, expected) in [
            (r#""{\"type\":\"object\",\"properties\":{\"a\":{}}}""#, properties(r#"{"a":{}}"#)),
            (r#"[{"name":"a","type":"Строка"}]"#, properties(r#"{"a":{"type":"string"}}"#)),
            (r#"["a","b"]"#, properties(r#"{"a":{},"b":{}}"#)),
            (r#"{"a":{"type":"int"}}"#, properties(r#"{"a":{"type":"integer"}}"#)),
            (r#"{"type":"object","properties":["a"]}"#, properties(r#"{"a":{}}"#)),
            (
                r#"{"type":"object","properties":{"a":"string"}}"#,
                properties(r#"{"a":{"type":"string"}}"#),
            ),
            (
                r#"{"type":"object","properties":{"a":"Склад"}}"#,
                properties(r#"{"a":{"description":"Склад"}}"#),
            ),
            (
                r#"{"type":"object","properties":{"a":null,"b":true}}"#,
                properties(r#"{"a":{},"b":{}}"#),
            ),
            (r#"{"type":"object","properties":[]}"#, properties("{}")),
            (r#"{"type":"object","properties":null}"#, properties("{}")),
            (r#"{"type":"object","properties":{},"required":null}"#, properties("{}")),
            (r#"{"type":"object","properties":{},"required":""}"#, properties("{}")),
            (r#"{"type":"object","properties":{},"enum":[],"anyOf":[]}"#, properties("{}")),
            (
                r#"{"type":"object","required":"a, b"}"#,
                r#"{"type":"object","required":["a","b"]}"#.to_owned(),
            ),
            (
                r#"{"type":"object","properties":{"a":{"description":null,"items":{"type":"x","enum":"y"}}}}"#,
                properties(r#"{"a":{"items":{"enum":["y"]}}}"#),
            ),
        ] {
            assert_eq!(input(value), Fit::Becomes(expected), "{value}");
        }
        for value in ["null", "{}", "[]", "5", "true", r#""""#, r#""x""#] {
            assert_eq!(input(value), Fit::Unfit, "{value}");
            assert_eq!(root(value, true), Fit::Unfit, "{value}");
        }
        assert_eq!(root(r#"{"type":"array"}"#, true), Fit::Unfit);
    }

    #[test]
    fn a_schema_in_order_stays() {
        let schema = r##"{"type": "object", "properties":{"a":{"type":["string","null"],"enum":["x",null],"default":null,
            "minimum":1.0,"items":{"$ref":"#/$defs/b"}},"b":{"anyOf":[{"type":"null"},{"const":{"type":5}}]}},
            "required":["a"],"additionalProperties":false,"$defs":{"b":{"exclusiveMinimum":true}},"x-order":[1]}"##;
        assert_eq!(input(schema), Fit::Fits);
    }

    #[test]
    fn a_schema_of_any_depth_takes_no_time() {
        let deep =
            format!("{}{}", r#"{"items":"#.repeat(20_000), "null".to_owned() + &"}".repeat(20_000));
        assert!(matches!(input(&deep), Fit::Becomes(_)));
    }
}
