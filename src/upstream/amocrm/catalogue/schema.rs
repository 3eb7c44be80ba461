//! Checks arguments against a tool's `inputSchema`, before anything is sent.

use serde_json::{Map, Value};

use super::template::{next_variable, plain, segments};
use super::time::unix_seconds;

/// The arguments of a call as templates take them. The error names the wrong argument. `null`
/// counts as not given unless the schema allows it: some clients set every optional argument to it.
///
/// `templates` are all templates that the call may fill. Arguments that they take as times or put
/// into paths are checked as well, so that no later step can fail on them.
pub(super) fn checked(
    arguments: &Value,
    schema: &Value,
    templates: &[&Value],
) -> Result<Map<String, Value>, String> {
    let none = Map::new();
    let given = match arguments {
        Value::Object(given) => given,
        Value::Null => &none,
        _ => return Err("the arguments must be an object".to_owned()),
    };
    let mut times = Vec::new();
    for template in templates {
        times_in(template, &mut times);
    }
    let mut checked = Map::new();
    for (name, value) in given {
        let property = &schema["properties"][name];
        if property.is_null() && schema["additionalProperties"] == false {
            return Err(unknown(name, schema));
        }
        if value.is_null() && !property["type"].is_null() && !has_type(value, property) {
            continue;
        }
        if times.contains(&name.as_str()) {
            if unix_seconds(value).is_none() {
                return Err(unlike(name, "an ISO 8601 date or date-time or Unix seconds", value));
            }
        } else if !fits(value, property) {
            return Err(unlike(name, &wanted(property), value));
        }
        checked.insert(name.clone(), as_integer(value, property).unwrap_or_else(|| value.clone()));
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let in_paths = templates.iter().filter_map(|template| template["path"].as_str());
    for name in required.chain(in_paths.clone().flat_map(variables).map(|(name, _)| name)) {
        if !checked.contains_key(name) {
            let wanted = wanted(&schema["properties"][name]);
            return Err(format!("the argument `{name}` is missing; it must be {wanted}"));
        }
    }
    for (name, is_long) in in_paths.flat_map(variables) {
        if strays(&plain(&checked[name]), is_long) {
            return Err(unlike(name, "a path without query, `.` and `..`", &checked[name]));
        }
    }
    Ok(checked)
}

/// Whether `text` in a path would lead to another route of the server.
fn strays(text: &str, is_long: bool) -> bool {
    let is_relative = |part: &str| matches!(part, "" | "." | "..");
    if is_long {
        text.contains(['?', '#']) || segments(text).split('/').any(is_relative)
    } else {
        is_relative(text)
    }
}

fn unknown(name: &str, schema: &Value) -> String {
    let known = schema["properties"].as_object().into_iter().flat_map(Map::keys);
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { " none".to_owned() } else { format!(": {known}") };
    format!("there is no argument `{name}`; the tool takes{known}")
}

/// The arguments in `path`, each with whether it may have slashes.
pub(super) fn variables(path: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (_, variable, after) = next_variable(rest)?;
        rest = after;
        Some((variable.trim_start_matches('+'), variable.starts_with('+')))
    })
}

fn unlike(name: &str, wanted: &str, value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(60).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("the argument `{name}` must be {wanted}, not {short}{more}")
}

/// Collects the names of the arguments that `template` takes as times.
fn times_in<'a>(template: &'a Value, names: &mut Vec<&'a str>) {
    match template {
        Value::Object(members) => {
            names.extend(members.get("$unix").and_then(Value::as_str));
            members.values().for_each(|member| times_in(member, names));
        }
        Value::Array(elements) => elements.iter().for_each(|element| times_in(element, names)),
        _ => {}
    }
}

/// The types that `property` allows; an empty list means all.
fn types(property: &Value) -> Vec<&str> {
    match &property["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The largest integer that a float holds exactly, with all before it.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

fn has_type(value: &Value, property: &Value) -> bool {
    let types = types(property);
    types.is_empty()
        || types.into_iter().any(|name| match name {
            "string" => value.is_string(),
            "integer" => {
                value.is_i64()
                    || value.is_u64()
                    || value
                        .as_f64()
                        .is_some_and(|number| number.fract() == 0.0 && number.abs() <= MAX_EXACT)
            }
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "null" => value.is_null(),
            _ => true,
        })
}

/// `5.0` as `5` where the schema wants an integer: JSON does not distinguish them, amoCRM does.
fn as_integer(value: &Value, property: &Value) -> Option<Value> {
    let is_wanted = value.is_f64() && property["type"] == "integer";
    #[expect(clippy::cast_possible_truncation)]
    if is_wanted { Some((value.as_f64()? as i64).into()) } else { None }
}

fn fits(value: &Value, property: &Value) -> bool {
    let limit = |name| property[name].as_f64();
    let number = value.as_f64();
    has_type(value, property)
        && property["enum"].as_array().is_none_or(|values| values.contains(value))
        && number.zip(limit("minimum")).is_none_or(|(number, least)| number >= least)
        && number.zip(limit("maximum")).is_none_or(|(number, most)| number <= most)
        && !(value == "" && property["minLength"].as_u64() > Some(0))
}

/// What `property` wants, in words.
fn wanted(property: &Value) -> String {
    if let Some(values) = property["enum"].as_array() {
        let values: Vec<_> = values.iter().map(Value::to_string).collect();
        return format!("one of {}", values.join(", "));
    }
    let mut wanted = match types(property)[..] {
        [] => "given".to_owned(),
        ["integer"] => "an integer".to_owned(),
        ["object"] => "an object".to_owned(),
        ["array"] => "an array".to_owned(),
        ref types => format!("a {}", types.join(" or ")),
    };
    match (property["minimum"].as_f64(), property["maximum"].as_f64()) {
        (Some(least), Some(most)) => wanted.push_str(&format!(" from {least} to {most}")),
        (Some(least), None) => wanted.push_str(&format!(" of at least {least}")),
        (None, Some(most)) => wanted.push_str(&format!(" of at most {most}")),
        (None, None) => {}
    }
    if property["minLength"].as_u64() > Some(0) {
        wanted.push_str(" that is not empty");
    }
    wanted
}
