//! Shows which clients are on this machine, and what is in their configuration.

use serde_json::Value;

use crate::install::client::CLIENTS;
use crate::install::{Client, ConfigFile, Entry, Found, Machine};
use crate::redact::without_secrets;
use crate::setup::SetupError;
use crate::terminal::{self, Style};

/// Shows every client.
///
/// # Errors
/// The system does not say where its folders are.
pub(super) fn list() -> Result<(), SetupError> {
    let machine = Machine::this();
    let mut text = String::new();
    let mut absent = Vec::new();
    for client in CLIENTS {
        let in_use = machine.files(client)?.into_iter().filter(|found| found.is_in_use);
        let in_use: Vec<Found> = in_use.collect();
        if in_use.is_empty() {
            absent.push(client.names[0]);
            continue;
        }
        let name = Style::of_stdout().bold(client.names[0]);
        text.push_str(&format!("{name} ({})\n", client.title));
        for found in in_use {
            text.push_str(&describe(client, found));
        }
    }
    if text.is_empty() {
        text.push_str("No client that mcpline knows was found on this machine.\n");
    }
    if !absent.is_empty() {
        text.push_str(&format!("Not found on this machine: {}\n", absent.join(", ")));
    }
    terminal::print(&text)
}

/// The file, and each of its entries on a line of its own.
fn describe(client: &Client, found: Found) -> String {
    let mut text = format!("    {}", found.file.display());
    let file = match ConfigFile::read(found.file) {
        Ok(file) => file,
        Err(why) => return format!("{text}\n        {why}\n"),
    };
    if !file.is_there() {
        return text + " (not there yet)\n";
    }
    text.push('\n');
    let document = match file.document(client.format) {
        Ok(document) => document,
        Err(why) => return format!("{text}        {why}\n"),
    };
    let entries = document.entries(client.path);
    if entries.is_empty() {
        text.push_str("        no servers\n");
    }
    for (name, entry) in &entries {
        text.push_str(&format!("        {name}: {}\n", summary(entry)));
    }
    text
}

/// The program that is started, and the address that it or the client itself connects to.
fn summary(entry: &Value) -> String {
    let is_address = |text: &&str| text.contains("://");
    let Some(started) = Entry::read(entry) else {
        let mut urls =
            ["httpUrl", "serverUrl", "url"].iter().filter_map(|name| entry[*name].as_str());
        return without_secrets(urls.next().unwrap_or("in a form that mcpline does not know"));
    };
    let address = started.args.iter().map(String::as_str).find(is_address);
    let address = address.map(without_secrets).unwrap_or_default();
    format!("{} {address}", started.command).trim_end().to_owned()
}
