//! Calls one tool of a server: `mcpline call`.

mod arguments;

use std::io::Read;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use self::arguments::Schema;
use super::Form;
use super::local_client::LocalClient;
use super::server::Server;
use crate::cli::{self, CallArguments, Cli};
use crate::jsonrpc::{METHOD_NOT_FOUND, to_json};
use crate::mcp::method;
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal;
use crate::upstream::Object;

/// Calls the tool and prints what it answers.
///
/// # Errors
/// The arguments cannot be used, the server cannot be asked, or the call failed.
pub(super) async fn run(
    cli: &Cli,
    arguments: &CallArguments,
    secrets: &Arc<Secrets>,
) -> Result<(), SetupError> {
    let [tool, words @ ..] = &arguments.words[..] else {
        return Err(SetupError::usage("no tool given")
            .hint("`mcpline call URL TOOL KEY=VALUE`; `mcpline tools URL` lists them"));
    };
    let form = Form::of(&arguments.output);
    // Before the server is asked: a mistake in them needs no server.
    let given = arguments::Given::read(words, read_stdin)?;
    let server = Server::new(cli, secrets).await?;
    server.warn();
    let mut client = LocalClient::start(&server)?;
    let called = call(&mut client, tool, &given, form).await;
    client.end().await;
    let (name, result) = called?;
    print(&name, &result, form)
}

/// Calls `tool`, and returns the name by which the server knows it and the result.
async fn call(
    client: &mut LocalClient,
    tool: &str,
    given: &arguments::Given,
    form: Form,
) -> Result<(String, String), SetupError> {
    let tools = match client.list(method::TOOLS_LIST, "tools").await {
        Ok(tools) => Some(tools),
        // It may answer calls all the same.
        Err(error) if error.code == METHOD_NOT_FOUND => None,
        Err(error) => return Err(form.failed(&error)),
    };
    let (name, schema) = match &tools {
        Some(tools) => find(tools, tool)?,
        None => (tool.to_owned(), Schema::default()),
    };
    let arguments = given.fitted(&name, &schema)?;
    let meta = if client.is_watched() { r#","_meta":{"progressToken":1}"# } else { "" };
    let params = format!(r#"{{"name":{},"arguments":{arguments}{meta}}}"#, to_json(&name));
    let result = client.request(method::TOOLS_CALL, &params).await;
    let result = result.map_err(|error| form.failed(&error))?;
    Ok((name, result))
}

/// The tool that a person means by `asked`: by its name, else by its title, which is where a tool in
/// Cyrillic has its own name.
fn find(tools: &[Box<RawValue>], asked: &str) -> Result<(String, Schema), SetupError> {
    let tools: Vec<_> = tools.iter().filter_map(|tool| Object::read(tool.get())).collect();
    let by = |member: &str, is_same: fn(&str, &str) -> bool| {
        let mut found = tools
            .iter()
            .filter(|tool| tool.string(member).is_some_and(|name| is_same(&name, asked)));
        found.next().filter(|_| found.next().is_none())
    };
    let same = |name: &str, asked: &str| name == asked;
    let alike = |name: &str, asked: &str| name.to_lowercase() == asked.to_lowercase();
    let found = by("name", same).or_else(|| by("title", same)).or_else(|| by("name", alike));
    if let Some(tool) = found {
        let schema = tool.get("inputSchema").map(Schema::read).unwrap_or_default();
        return Ok((tool.string("name").unwrap_or_default(), schema));
    }
    let names: Vec<_> = tools.iter().filter_map(|tool| tool.string("name")).collect();
    let message = format!("the server has no tool `{}`", terminal::plain(asked));
    let hint = match cli::nearest(asked, names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean `{}`?", terminal::plain(name)),
        None if names.is_empty() => "it has none at all".to_owned(),
        None => "`mcpline tools URL` lists the tools that it has".to_owned(),
    };
    Err(SetupError::usage(message).hint(hint))
}

fn read_stdin() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// Prints the result of the call of the tool `name`; one that tells of a failure is an error.
fn print(name: &str, result: &str, form: Form) -> Result<(), SetupError> {
    let value: Value = serde_json::from_str(result).unwrap_or_default();
    let is_error = value["isError"] == true;
    if form == Form::Json {
        terminal::print(&format!("{result}\n"))?;
    }
    let text = readable(&value);
    if is_error {
        let why = if text.trim().is_empty() { "it does not say why" } else { text.trim() };
        let name = terminal::plain(name);
        return Err(SetupError::failed(format!("the tool {name} failed: {why}")));
    }
    if form == Form::Text {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        terminal::print(&format!("{text}{end}"))?;
    }
    Ok(())
}

/// A result as a person reads it: its texts, and a line for what is no text.
fn readable(result: &Value) -> String {
    let parts: Vec<_> = result["content"].as_array().into_iter().flatten().map(shown).collect();
    let structured = &result["structuredContent"];
    let text = if parts.is_empty() && !structured.is_null() {
        serde_json::to_string_pretty(structured).unwrap_or_default()
    } else {
        parts.join("\n")
    };
    terminal::plain(&text)
}

fn shown(item: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match item["type"].as_str() {
        Some("text") => text(&item["text"]),
        Some(kind @ ("image" | "audio")) => {
            format!("[{kind}: {}, {}]", text(&item["mimeType"]), size(&item["data"]))
        }
        Some("resource") => {
            let resource = &item["resource"];
            match resource["text"].as_str() {
                Some(text) => text.to_owned(),
                None => {
                    let (uri, kind) = (text(&resource["uri"]), text(&resource["mimeType"]));
                    format!("[{uri}: {kind}, {}]", size(&resource["blob"]))
                }
            }
        }
        Some("resource_link") => format!("[{}: {}]", text(&item["name"]), text(&item["uri"])),
        _ => item.to_string(),
    }
}

/// About how many bytes the Base64 text stands for.
fn size(data: &Value) -> String {
    let bytes = data.as_str().unwrap_or_default().len() / 4 * 3;
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
