//! Reads and checks catalogues: the embedded ones, and those that people write.

use std::sync::atomic::AtomicBool;

use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;

use super::schema::variables;
use super::{Catalogue, Resource, Tool};
use crate::upstream::json::{Object, compact};

/// Why a catalogue cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CatalogueError {
    /// Its text has another shape.
    #[error("not an array of objects: {0}")]
    Shape(#[from] serde_json::Error),
    /// A tool has a mistake, and no name.
    #[error("tool number {number}: {mistake}")]
    Nameless { number: usize, mistake: String },
    /// A tool has a mistake.
    #[error("tool `{name}`: {mistake}")]
    Tool { name: String, mistake: String },
}

impl Catalogue {
    /// The catalogue that comes with the program.
    ///
    /// # Errors
    /// Never with data files that pass the tests.
    pub(in crate::upstream::amocrm) fn embedded() -> Result<Self, CatalogueError> {
        let mut catalogue = Self {
            tools: Vec::new(),
            resources: Vec::new(),
            takes_one_object: AtomicBool::new(false),
            composite: Mutex::new(()),
        };
        catalogue.extend(include_str!("tools.json"))?;
        for entry in entries(include_str!("resources.json"))? {
            let listed = ["uri", "name", "title", "description", "mimeType"];
            catalogue.resources.push(Resource {
                uri: text(&entry, "uri"),
                listing: listing(&entry, &listed),
                request: value(&entry, "request"),
            });
        }
        Ok(catalogue)
    }

    /// Adds `amocrm_request`, with which an agent can do anything that amoCRM allows.
    pub(in crate::upstream::amocrm) fn with_request_tool(&mut self) -> Result<(), CatalogueError> {
        self.extend(include_str!("request-tool.json"))
    }

    /// Adds the tools of `json`, an array as in `tools.json`. A tool replaces an earlier one of the
    /// same name.
    ///
    /// # Errors
    /// The mistake, with the name of the tool. Nothing has been added then.
    pub(in crate::upstream::amocrm) fn extend(&mut self, json: &str) -> Result<(), CatalogueError> {
        let tools = entries(json)?
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                Tool::read(entry).map_err(|mistake| match text(entry, "name") {
                    name if name.is_empty() => {
                        CatalogueError::Nameless { number: index + 1, mistake }
                    }
                    name => CatalogueError::Tool { name, mistake },
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        for tool in tools {
            match self.tools.iter_mut().find(|other| other.name == tool.name) {
                Some(other) => *other = tool,
                None => self.tools.push(tool),
            }
        }
        Ok(())
    }
}

impl Tool {
    /// Reads a tool; the error is its mistake in words.
    fn read(entry: &Object<'_>) -> Result<Self, String> {
        let name = text(entry, "name");
        let schema = value(entry, "inputSchema");
        let request = value(entry, "request");
        let mut fallback = value(entry, "fallback");
        let annotations = value(entry, "annotations");
        let hint = |name| annotations.get(name) == Some(&Value::Bool(true));
        if name.is_empty() {
            return Err("`name` is missing".to_owned());
        }
        if schema["type"] != "object" {
            return Err("`inputSchema` must be a schema with `\"type\": \"object\"`".to_owned());
        }
        if !(annotations.is_null() || annotations.is_object()) {
            return Err("`annotations` must be an object".to_owned());
        }
        let steps = match fallback.get_mut("steps").map(Value::take) {
            Some(Value::Array(steps)) if !steps.is_empty() => steps,
            None if fallback.is_null() => Vec::new(),
            _ => return Err("`fallback` must have `steps`, an array".to_owned()),
        };
        let mut checker = Checker { schema: &schema, steps: Vec::new() };
        checker.request(&request).map_err(|why| format!("request: {why}"))?;
        for step in &steps {
            let name = step["as"].as_str().ok_or("a step of `fallback` has no name, `as`")?;
            let outcome = checker.request(step).and_then(|()| checker.template(&step["when"]));
            outcome.map_err(|why| format!("step `{name}`: {why}"))?;
            checker.steps.push(name);
        }
        checker.template(&fallback["result"]).map_err(|why| format!("result: {why}"))?;
        Ok(Self {
            listing: listing(
                entry,
                &["name", "title", "description", "inputSchema", "annotations"],
            ),
            is_repeatable: hint("readOnlyHint") || hint("idempotentHint"),
            result: fallback.get_mut("result").map(Value::take).unwrap_or_default(),
            route_is_absent: AtomicBool::new(false),
            name,
            schema,
            request,
            steps,
        })
    }
}

/// Checks templates, so that mistakes in them show when the program starts.
struct Checker<'a> {
    schema: &'a Value,
    /// The steps that references can name.
    steps: Vec<&'a str>,
}

impl Checker<'_> {
    fn request(&self, request: &Value) -> Result<(), String> {
        if !(request["method"].is_string() || request["method"].is_object()) {
            return Err("`method` is missing".to_owned());
        }
        let path = request["path"].as_str().filter(|path| path.starts_with('/'));
        let path = path.ok_or("`path` is missing or does not begin with `/`")?;
        for (name, _) in variables(path) {
            self.argument(name)?;
        }
        if !(request["query"].is_null() || request["query"].is_object()) {
            return Err("`query` must be an object".to_owned());
        }
        ["method", "query", "body"].into_iter().try_for_each(|part| self.template(&request[part]))
    }

    fn template(&self, template: &Value) -> Result<(), String> {
        match template {
            Value::Object(members) => {
                members.iter().try_for_each(|(name, value)| self.member(name, value))
            }
            Value::Array(elements) => elements.iter().try_for_each(|one| self.template(one)),
            _ => Ok(()),
        }
    }

    fn member(&self, name: &str, value: &Value) -> Result<(), String> {
        let text = || value.as_str().ok_or_else(|| format!("`{name}` must be a string"));
        match name {
            "$arg" | "$unix" | "$if" | "$merge" | "$no_arg" | "$arg_true" => self.argument(text()?),
            "$ref" | "$exists" | "$absent" => self.reference(text()?),
            "$first" => {
                let choices = value.as_array().ok_or("`$first` must be an array")?;
                choices.iter().try_for_each(|choice| {
                    let choice = choice.as_str().unwrap_or_default();
                    match choice.strip_prefix("$arg:") {
                        Some(argument) => self.argument(argument),
                        None => self.reference(choice),
                    }
                })
            }
            "$default" => Ok(()),
            "$then" | "$all" => self.template(value),
            _ if name.starts_with('$') => Err(format!("there is no form `{name}`")),
            _ => self.template(value),
        }
    }

    fn argument(&self, name: &str) -> Result<(), String> {
        match self.schema["properties"].get(name) {
            Some(_) => Ok(()),
            None => Err(format!("`inputSchema` has no property `{name}`")),
        }
    }

    fn reference(&self, reference: &str) -> Result<(), String> {
        let (step, pointer) = reference.split_once('#').unwrap_or_default();
        if self.steps.contains(&step) && (pointer.is_empty() || pointer.starts_with('/')) {
            return Ok(());
        }
        Err(format!("`{reference}` must be an earlier step, `#` and a JSON pointer"))
    }
}

/// The objects of a catalogue as text, because listings keep the order of members.
fn entries(json: &str) -> Result<Vec<Object<'_>>, CatalogueError> {
    Ok(serde_json::from_str(json.trim_start_matches('\u{feff}'))?)
}

fn value(entry: &Object<'_>, member: &str) -> Value {
    entry.get(member).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn text(entry: &Object<'_>, member: &str) -> String {
    entry.string(member).unwrap_or_default()
}

/// The object that lists `entry`: `members` as written, with both descriptions joined.
fn listing(entry: &Object<'_>, members: &[&str]) -> String {
    let mut listed = Object::default();
    for member in members {
        if let Some(value) = entry.get(member).filter(|value| *value != "null") {
            listed.set(member, compact(value));
        } else if *member == "description" {
            let lines = ["description_ru", "description_en"].map(|member| text(entry, member));
            listed.set_string(member, lines.join("\n").trim());
        }
    }
    listed.text()
}
