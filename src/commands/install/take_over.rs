//! Has this program do what an entry of a client does with another program.

use serde_json::Value;

use super::asked::program;
use super::edits::{Edit, apply, files};
use crate::cli::{Cli, Install};
use crate::config::{self, Translated, Written};
use crate::install::client::{self, CLIENTS};
use crate::install::{Client, Entry, Machine};
use crate::setup::SetupError;
use crate::terminal;

/// What an entry does, in our words.
struct TakenOver {
    args: Vec<String>,
    /// Its environment, which stays.
    env: Vec<(String, String)>,
    /// What is lost.
    warnings: Vec<String>,
}

/// The files of scripts that need to be told the kind of service.
const SCRIPTS: [(&str, &str); 1] = [("mcp_stdio_proxy", "bitrix")];

/// Takes the entry `name` over, in the client that the command line names or in every one that has it.
///
/// # Errors
/// There is no such entry, we cannot do what it does, or a file cannot be changed.
pub(super) fn run(cli: &Cli, arguments: &Install, name: &str) -> Result<(), SetupError> {
    let changes = &arguments.changes;
    let clients: Vec<&Client> = match &arguments.client {
        Some(client) => vec![client::find(client)?],
        None => {
            CLIENTS.iter().filter(|client| !changes.project || client.project.is_some()).collect()
        }
    };
    let machine = Machine::this();
    let mut has_found = false;
    for client in clients {
        let mut edits = Vec::new();
        // With every client in question, those that are not there do not count.
        let is_there =
            || Ok::<_, SetupError>(machine.files(client)?.iter().any(|found| found.is_in_use));
        if arguments.client.is_none() && !changes.project && !is_there()? {
            continue;
        }
        for file in files(client, changes)? {
            let mut document = file.document(client.format)?;
            let Some(old) = document.entries(client.path).get(name).cloned() else { continue };
            let entry = taken_over(cli, name, &old)?;
            document
                .set(client.path, name, &entry.members(&client.shape))
                .map_err(|why| file.unusable(&why.to_string()))?;
            // The person has named the entry, so nothing is asked.
            edits.push(Edit { text: document.text(), file, asks: None });
        }
        if !edits.is_empty() {
            has_found = true;
            apply(client, name, "taken over", edits, changes)?;
        }
    }
    if has_found {
        return Ok(());
    }
    let of_whom = arguments.client.as_deref().unwrap_or("no client here");
    Err(SetupError::failed(format!("there is no entry `{name}` to take over ({of_whom})"))
        .hint("`mcpline install --list` shows every entry"))
}

/// The entry that does what `old` does.
fn taken_over(cli: &Cli, name: &str, old: &Value) -> Result<Entry, SetupError> {
    let TakenOver { args, env, warnings } = in_our_words(old).ok_or_else(|| {
        SetupError::failed(format!("the entry `{name}` does not forward to a server on HTTP in a way that mcpline knows"))
            .hint("it can take over mcp-remote, supergateway, mcp-proxy, a URL, and the scripts for 1C, Bitrix24 and amoCRM; the file has not been changed")
    })?;
    for warning in warnings {
        terminal::complain(&format!("{name}: {warning}"));
    }
    // What the entry says of itself is filled in: some clients fill `${NAME}` in from elsewhere.
    let filled = |word: &String| {
        env.iter()
            .fold(word.clone(), |word, (name, value)| word.replace(&format!("${{{name}}}"), value))
    };
    let args: Vec<String> = args.iter().map(filled).collect();
    let mut written = Written { args: Vec::new(), env: env.clone() };
    let translated = Written::arguments(&args).and(Written::options(&cli.options)?);
    for (name, value) in &translated.env {
        written.set(name, value);
    }
    Ok(Entry { command: program()?, args: translated.args, env: written.env })
}

/// What `old` does; `None` if it is nothing that we could do.
fn in_our_words(old: &Value) -> Option<TakenOver> {
    let Some(entry) = Entry::read(old) else { return remote(old) };
    let words = words_of(&entry);
    let Entry { env, .. } = &entry;
    if let Some(args) = own_arguments(&entry) {
        return Some(TakenOver { args, env: entry.env, warnings: Vec::new() });
    }
    if let Some(Translated { args, warnings, secrets, variables }) =
        config::translated(&words, &config::command())
    {
        let renamed = |(name, value): &(String, String)| {
            let ours = variables.iter().find(|(theirs, _)| theirs == name);
            (ours.map_or(name.clone(), |(_, ours)| (*ours).to_owned()), value.clone())
        };
        let mut env: Vec<_> = env.iter().map(renamed).collect();
        env.extend(secrets.into_iter().map(|(name, secret)| (name.to_owned(), secret)));
        let has_url = args.iter().any(|word| word.contains("://"));
        return has_url.then_some(TakenOver { args, env, warnings });
    }
    // Our program reads the variables of the scripts by itself.
    let is_script =
        |word: &String| SCRIPTS.iter().find(|(name, _)| config::program_name(word) == *name);
    let script = words.iter().find_map(is_script);
    if env.iter().any(|(name, _)| config::names_service(name)) {
        return Some(TakenOver { args: Vec::new(), env: entry.env, warnings: Vec::new() });
    }
    let (_, kind) = script?;
    let args = vec!["--kind".to_owned(), (*kind).to_owned()];
    Some(TakenOver { args, env: entry.env, warnings: Vec::new() })
}

fn words_of(entry: &Entry) -> Vec<String> {
    [std::slice::from_ref(&entry.command), &entry.args].concat()
}

/// The arguments of an entry that starts this program, by itself or through another such as `npx`.
pub(super) fn own_arguments(entry: &Entry) -> Option<Vec<String>> {
    let words = words_of(entry);
    let is_ours = |word: &String| config::program_name(word) == "mcpline";
    // `cmd /c npx -y mcpline` is the longest way.
    let at = words.iter().take(5).position(is_ours)?;
    Some(words[at + 1..].to_vec())
}

/// What an entry does whose client connects by itself.
fn remote(old: &Value) -> Option<TakenOver> {
    let url = ["url", "serverUrl", "httpUrl"].iter().find_map(|name| old[*name].as_str())?;
    let kind = ["type", "transport"].iter().find_map(|name| old[*name].as_str());
    let mut args = Vec::new();
    if kind == Some("sse") {
        args.extend(["--kind".to_owned(), "sse".to_owned()]);
    }
    for name in ["headers", "http_headers"] {
        for (name, value) in old[name].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            args.extend(["--header".to_owned(), format!("{name}:{value}")]);
        }
    }
    args.push(url.to_owned());
    let lost = ["bearer_token_env_var", "oauth"].iter().filter(|name| old.get(**name).is_some());
    let lost = lost.map(|name| format!("`{name}` is left out: put a token into MCPLINE_BEARER"));
    Some(TakenOver { args, env: Vec::new(), warnings: lost.collect() })
}
