//! Lists the tools of a server: `mcpline tools`.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::Form;
use super::local_client::{LocalClient, RequestError};
use super::server::Server;
use crate::cli::{Cli, ToolsArguments};
use crate::mcp::method;
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal::{self, Style};
use crate::upstream::Object;

/// Asks the server for its tools and prints them.
///
/// # Errors
/// The server cannot be asked, or the answer is an error.
pub(super) async fn run(
    cli: &Cli,
    arguments: &ToolsArguments,
    secrets: &Arc<Secrets>,
) -> Result<(), SetupError> {
    let server = Server::new(cli, secrets).await?;
    server.warn();
    let mut client = LocalClient::start(&server)?;
    let listed = client.list(method::TOOLS_LIST, "tools").await;
    client.end().await;
    let form = Form::of(&arguments.output);
    let tools = listed.map_err(|error| form.failed(&error))?;
    if form == Form::Json {
        let tools: Vec<_> = tools.iter().map(|tool| tool.get()).collect();
        return terminal::print(&format!("{{\"tools\":[{}]}}\n", tools.join(",")));
    }
    let style = Style::of_stdout();
    let tools: Vec<_> = tools.iter().map(|tool| described(tool, style)).collect();
    let count = match tools.len() {
        0 => "This server has no tools.\n".to_owned(),
        1 => "1 tool".to_owned(),
        count => format!("{count} tools"),
    };
    if tools.is_empty() {
        return terminal::print(&count);
    }
    let named = cli.url.as_deref().map_or_else(|| "URL".to_owned(), |url| server.redacted(url));
    terminal::print(&format!(
        "{}\n{count}. Call one: mcpline call {named} TOOL KEY=VALUE\n",
        tools.join("\n")
    ))
}

impl Form {
    /// Shows `error`, which ends a command.
    pub(super) fn failed(self, error: &RequestError) -> SetupError {
        if self == Self::Json
            && let Err(error) = terminal::print(&format!("{{\"error\":{}}}\n", error.json))
        {
            return error;
        }
        SetupError::failed(terminal::plain(&error.message))
    }
}

/// A tool for a person: its name and title, what it does, and its arguments.
fn described(tool: &RawValue, style: Style) -> String {
    let tool = Object::read(tool.get()).unwrap_or_default();
    let name = tool.string("name").unwrap_or_default();
    let mut text = style.bold(&terminal::plain(&name));
    if let Some(title) = tool.string("title").filter(|title| !title.is_empty()) {
        text.push_str(&format!("  {}", terminal::plain(&title)));
    }
    if let Some(effect) = tool.get("annotations").and_then(effect) {
        text.push_str(&style.dim(&format!("  ({effect})")));
    }
    text.push('\n');
    let description = tool.string("description").unwrap_or_default();
    for line in terminal::plain(&description).lines().filter(|line| !line.trim().is_empty()) {
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    let rows = tool.get("inputSchema").map(rows).unwrap_or_default();
    let width = |of: fn(&[String; 3]) -> &String| {
        rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default()
    };
    let (names, types) = (width(|row| &row[0]), width(|row| &row[1]));
    for [name, kind, about] in &rows {
        let line = format!("    {name:names$}  {kind:types$}  {about}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What the tool says of its effects.
fn effect(annotations: &str) -> Option<&'static str> {
    let annotations = Object::read(annotations)?;
    match (annotations.get("readOnlyHint"), annotations.get("destructiveHint")) {
        (Some("true"), _) => Some("only reads"),
        (_, Some("true")) => Some("changes or deletes data"),
        (Some("false"), _) => Some("changes data"),
        _ => None,
    }
}

/// The arguments in a schema: name, type, and what they are.
fn rows(schema: &str) -> Vec<[String; 3]> {
    let Some(schema) = Object::read(schema) else { return Vec::new() };
    let required: Vec<String> = schema
        .get("required")
        .and_then(|names| serde_json::from_str(names).ok())
        .unwrap_or_default();
    let properties = schema.get("properties").and_then(Object::read).unwrap_or_default();
    let row = |(name, property): (&str, &str)| {
        let property = Object::read(property).unwrap_or_default();
        let mut about = property.string("description").unwrap_or_default();
        let mut note = |text: String| {
            let gap = if about.is_empty() { "" } else { "; " };
            about.push_str(&format!("{gap}{text}"));
        };
        let values = property.get("enum").map(serde_json::from_str::<Vec<&RawValue>>);
        if let Some(Ok(values)) = values {
            let values: Vec<_> = values.iter().map(|value| value.get().trim_matches('"')).collect();
            note(format!("one of {}", values.join(", ")));
        }
        if let Some(default) = property.get("default").filter(|default| *default != "null") {
            note(format!("default {default}"));
        }
        let mark = if required.iter().any(|one| one == name) { "*" } else { "" };
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        [format!("{name}{mark}"), kind(&property), about].map(|cell| terminal::plain(&cell))
    };
    properties.members().map(row).collect()
}

/// The type of a value as its schema names it.
fn kind(schema: &Object<'_>) -> String {
    let Some(kind) = schema.get("type") else { return String::new() };
    let names = kind.replace(['[', ']', '"', ' '], "").replace(',', " or ");
    let items = schema.get("items").and_then(Object::read).map(|items| self::kind(&items));
    match items.filter(|items| !items.is_empty()) {
        Some(items) if names == "array" => format!("array of {items}"),
        _ => names,
    }
}
