//! What an entry says: which program a client starts, with which arguments and environment.

use serde_json::{Map, Value};

use super::client::Shape;

/// What a client starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The program's full path.
    pub(crate) command: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// What is added to its environment, in this order.
    pub(crate) env: Vec<(String, String)>,
}

/// Members that say what a client starts or connects to. One that an entry of ours does not have is
/// removed when it replaces another; all other members of that one stay.
pub(super) const STARTS: [&str; 13] = [
    "command",
    "args",
    "env",
    "environment",
    "envFile",
    "type",
    "transport",
    "url",
    "serverUrl",
    "httpUrl",
    "headers",
    "http_headers",
    "bearer_token_env_var",
];

impl Entry {
    /// The members of the entry, in the order in which they are written.
    pub(crate) fn members(&self, shape: &Shape) -> Vec<(String, Value)> {
        let constant = shape.constant.iter().map(|(name, value)| {
            ((*name).to_owned(), serde_json::from_str(value).unwrap_or_default())
        });
        let mut members: Vec<_> = constant.collect();
        let list = |items: &[String]| Value::from(items);
        if shape.is_one_array {
            let whole = [std::slice::from_ref(&self.command), &self.args].concat();
            members.push(("command".to_owned(), list(&whole)));
        } else {
            members.push(("command".to_owned(), self.command.clone().into()));
            members.push(("args".to_owned(), list(&self.args)));
        }
        if !self.env.is_empty() {
            let env = self.env.iter().cloned().map(|(name, value)| (name, value.into()));
            members.push((shape.env.to_owned(), Value::Object(env.collect::<Map<_, _>>())));
        }
        members
    }

    /// Reads an entry of any client; `None` if it starts no program.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(text).collect()
        };
        let mut args = texts(&value["args"]);
        // Zed once had an object here.
        let command = value["command"].get("path").unwrap_or(&value["command"]);
        let command = match text(command) {
            Some(command) => command,
            None => {
                let mut whole = texts(command);
                if whole.is_empty() {
                    return None;
                }
                let command = whole.remove(0);
                args.splice(0..0, whole);
                command
            }
        };
        let env = ["env", "environment"].iter().find_map(|name| value[name].as_object());
        let env = env.into_iter().flatten();
        let env = env.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
        Some(Self { command, args, env })
    }
}

/// A value as an environment or a command line has it.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
