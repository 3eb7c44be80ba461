//! Writes an entry for this program into a client's configuration, or removes one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use url::{Host, Url};

use super::{installed, take_over};
use crate::cli::{Changes, Cli, Install, Uninstall};
use crate::config::{Target, UpstreamSettings, Written};
use crate::install::{Client, ConfigFile, Entry, Found, Machine, client, diff};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal;
use crate::upstream::Kind;

/// Writes the server that the command line names into a client's configuration.
///
/// # Errors
/// The settings cannot be used, or the file cannot be changed.
pub(super) fn install(
    cli: &Cli,
    arguments: &Install,
    secrets: &Arc<Secrets>,
) -> Result<(), SetupError> {
    if let Some(name) = &arguments.take_over {
        return take_over::run(cli, arguments, name);
    }
    let Some(client) = arguments.client.as_ref().filter(|_| !arguments.list) else {
        return installed::list();
    };
    let client = client::find(client)?;
    let (name, entry) = entry(cli, arguments, secrets)?;
    let mut edits = Vec::new();
    for file in files(client, &arguments.changes)? {
        let mut document = file.document(client.format)?;
        let old = document.entries(client.path).get(&name).cloned();
        document
            .set(client.path, &name, &entry.members(&client.shape))
            .map_err(|why| file.unusable(&why.to_string()))?;
        let text = document.text();
        let replaces = old.is_some() && text != file.text;
        edits.push(Edit {
            file,
            text,
            asks: replaces.then(|| format!("Replace its entry `{name}`?")),
        });
    }
    apply(client, &name, "written", edits, &arguments.changes)
}

/// Removes an entry from a client's configuration.
///
/// # Errors
/// There is no such entry, or the file cannot be changed.
pub(super) fn uninstall(arguments: &Uninstall) -> Result<(), SetupError> {
    let client = client::find(&arguments.client)?;
    let name = &arguments.name;
    let mut edits = Vec::new();
    let mut known = Vec::new();
    for file in files(client, &arguments.changes)? {
        let mut document = file.document(client.format)?;
        let entries = document.entries(client.path);
        known.extend(entries.keys().cloned());
        let Some(entry) = entries.get(name) else { continue };
        document.remove(client.path, name);
        let is_ours =
            Entry::read(entry).is_some_and(|entry| take_over::own_arguments(&entry).is_some());
        let asks = format!("Its entry `{name}` does not start mcpline. Remove it?");
        edits.push(Edit { text: document.text(), file, asks: (!is_ours).then_some(asks) });
    }
    if edits.is_empty() {
        let message = format!("{} has no entry `{name}`", client.title);
        let hint = if known.is_empty() {
            "it has no entries at all".to_owned()
        } else {
            format!("its entries are {}", known.join(", "))
        };
        return Err(SetupError::failed(message).hint(hint));
    }
    apply(client, name, "removed", edits, &arguments.changes)
}

/// A file, its new text, and what to ask first.
pub(super) struct Edit {
    pub(super) file: ConfigFile,
    pub(super) text: String,
    pub(super) asks: Option<String>,
}

/// Shows or makes the edits.
pub(super) fn apply(
    client: &Client,
    name: &str,
    done: &str,
    edits: Vec<Edit>,
    changes: &Changes,
) -> Result<(), SetupError> {
    let shown = |edit: &Edit| {
        let masked = masked(client, &[&edit.file.text, &edit.text]);
        let path = edit.file.path.display().to_string();
        masked.redact(&diff(&path, &edit.file.text, &edit.text)).into_owned()
    };
    let mut report = String::new();
    let (same, edits): (Vec<_>, Vec<_>) =
        edits.into_iter().partition(|edit| edit.text == edit.file.text);
    for edit in same {
        let path = edit.file.path.display();
        report.push_str(&format!("{}: `{name}` is already so in {path}\n", client.title));
    }
    if changes.dry_run {
        for edit in &edits {
            report.push_str(&shown(edit));
        }
        report.push_str("Nothing has been changed (--dry-run).\n");
        return terminal::tell(&report);
    }
    for edit in edits.iter().filter(|_| !changes.yes) {
        let Some(question) = &edit.asks else { continue };
        let question = format!("{}{}: {question}", shown(edit), edit.file.path.display());
        match terminal::confirm(&question) {
            Some(true) => {}
            Some(false) => return Err(SetupError::failed("nothing has been changed")),
            None => {
                let question = edit.asks.as_deref().unwrap_or_default();
                let place = edit.file.path.display();
                return Err(SetupError::failed(format!(
                    "{place}: {question} Nobody can be asked here, so nothing has been changed"
                ))
                .hint("add --yes to do it, or --dry-run to see what would change"));
            }
        }
    }
    let has_edits = !edits.is_empty();
    for edit in edits {
        let path = edit.file.path.display();
        let copy = edit.file.replace(&edit.text)?;
        report.push_str(&format!("{}: `{name}` is {done} in {path}\n", client.title));
        if let Some(copy) = copy {
            report.push_str(&format!("The file as it was is {}\n", copy.display()));
        }
    }
    if has_edits {
        report.push_str(&format!("Next: {}\n", client.next));
    }
    terminal::tell(&report)
}

/// The secrets in texts of `client`'s file.
fn masked(client: &Client, texts: &[&str]) -> Secrets {
    let secrets = Secrets::default();
    for text in texts {
        let Ok(document) = crate::install::Document::parse(text, client.format) else { continue };
        for entry in document.entries(client.path).values() {
            for secret in crate::install::secrets(entry) {
                secrets.add(&secret);
                // As it stands in the file, and each of several headers.
                let written = Value::from(&secret[..]).to_string();
                written.trim_matches('"').split("\\n").for_each(|line| secrets.add(line));
            }
        }
    }
    secrets
}

/// The files of `client` that are to be changed.
pub(super) fn files(client: &Client, changes: &Changes) -> Result<Vec<ConfigFile>, SetupError> {
    let found = match (changes.project, client.project) {
        (true, Some(file)) => vec![Found { file: file.into(), is_in_use: true }],
        (true, None) => {
            return Err(SetupError::usage(format!("{} has no files of projects", client.title))
                .hint("leave --project out"));
        }
        (false, _) => Machine::this().files(client)?,
    };
    found.into_iter().map(|found| ConfigFile::read(found.file)).collect()
}

/// The entry that the command line asks for, and its name.
fn entry(
    cli: &Cli,
    arguments: &Install,
    secrets: &Arc<Secrets>,
) -> Result<(String, Entry), SetupError> {
    let (name, url) = match arguments.target.as_slice() {
        [] => (None, cli.url.as_deref()),
        // A name is no address.
        [one] if cli.url.is_some() && !one.contains(['/', ':']) => (Some(one), cli.url.as_deref()),
        [one] => (None, Some(one.as_str())),
        [url, name] if url.contains("://") && !name.contains("://") => {
            (Some(name), Some(url.as_str()))
        }
        [name, url, ..] => (Some(name), Some(url.as_str())),
    };
    let url = url.ok_or_else(|| {
        SetupError::usage("no URL given")
            .hint("`mcpline install CLIENT [NAME] URL`, or `demo` as the URL")
    })?;
    let name = name.map(|name| checked(name)).transpose()?;
    let name = if url == "demo" {
        name.unwrap_or_else(|| url.to_owned())
    } else {
        let target = Target::new(Some(url), cli.options.server.kind, secrets)?;
        let name = name.unwrap_or_else(|| name_of(target.kind, &target.url));
        // What cannot be used is refused here, and not when the client starts it.
        let settings = UpstreamSettings::new(&cli.options, target, secrets)?;
        for warning in &settings.warnings {
            terminal::complain(&secrets.redact(warning));
        }
        name
    };
    for warning in &cli.warnings {
        terminal::complain(&secrets.redact(warning));
    }
    let Written { args, env } = Written::options(&cli.options)?.with_server(url)?;
    Ok((name, Entry { command: program()?, args, env }))
}

/// `name`, if every client keeps it as it is.
fn checked(name: &str) -> Result<String, SetupError> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(name.to_owned());
    }
    Err(SetupError::usage(format!("`{name}` cannot be the name of a server in every client"))
        .hint("use Latin letters, digits, - and _ only, for example `crm`"))
}

/// A short name for the server at `url`.
fn name_of(kind: Kind, url: &Url) -> String {
    let of_kind = match kind {
        Kind::OneC => Some("1c"),
        Kind::Bitrix => Some("bitrix24"),
        Kind::Amocrm => Some("amocrm"),
        Kind::Auto | Kind::Mcp | Kind::Sse => None,
    };
    if let Some(name) = of_kind {
        return name.to_owned();
    }
    let Some(Host::Domain(host)) = url.host() else { return "mcpline".to_owned() };
    let labels: Vec<&str> = host.split('.').collect();
    let is_telling = |label: &&&str| !matches!(**label, "mcp" | "www" | "api");
    // The last label of several is a country or the like.
    let telling = labels[..labels.len().saturating_sub(1).max(1)].iter().find(is_telling);
    let name = telling.or(labels.first()).copied().unwrap_or("mcpline");
    if name.starts_with("xn--") { "mcpline".to_owned() } else { name.to_owned() }
}

/// The full path of this program: as it was called, so that the path outlives an update, else the file
/// that runs.
pub(super) fn program() -> Result<String, SetupError> {
    let unknown = |why: &dyn std::fmt::Display| {
        SetupError::failed(format!("the full path of this program is not known: {why}"))
    };
    let running = std::env::current_exe().map_err(|error| unknown(&error))?;
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let is_running = |path: &Path| same_file::is_same_file(path, &running).unwrap_or(false);
    let path = if called.components().count() > 1 {
        std::path::absolute(&called).ok()
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let called = std::env::split_paths(&folders).map(|folder| folder.join(&called));
        called.filter(|path| path.is_absolute()).find(|path| is_running(path))
    };
    let path = path.filter(|path| is_running(path)).unwrap_or(running);
    if path.components().any(|part| part.as_os_str() == "_npx") {
        terminal::complain(
            "this program is in the cache of npx, which may be cleared: install it, and then run this again",
        );
    }
    path.into_os_string()
        .into_string()
        .map_err(|path| unknown(&format!("{} is not Unicode", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_name_gets_a_short_one() {
        for (kind, url, name) in [
            (Kind::OneC, "http://srv/base/hs/mcp", "1c"),
            (Kind::Bitrix, "http://crm.local:8000", "bitrix24"),
            (Kind::Auto, "https://mcp.example.com/mcp", "example"),
            (Kind::Auto, "https://crm.firm.ru/mcp", "crm"),
            (Kind::Auto, "http://localhost:3000/mcp", "localhost"),
            (Kind::Auto, "http://10.0.0.5/mcp", "mcpline"),
            (Kind::Auto, "http://фирма.рф/mcp", "mcpline"),
            (Kind::Auto, "https://mcp.com/", "mcp"),
        ] {
            assert_eq!(name_of(kind, &Url::parse(url).unwrap()), name, "{url}");
            assert!(checked(name).is_ok());
        }
        for name in ["", "моя база", "my crm", "a.b"] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
