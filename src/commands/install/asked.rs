//! The entry that a command line asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::{Host, Url};

use crate::cli::{Cli, Install};
use crate::config::{NO_URL, Options, Target, UpstreamSettings, Written};
use crate::hint::{Words, words};
use crate::http::{PROXY_VARIABLES, is_loopback};
use crate::install::Entry;
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal;
use crate::upstream::Kind;

/// The entry that the command line asks for, and its name.
pub(super) fn entry(
    cli: &Cli,
    arguments: &Install,
    secrets: &Arc<Secrets>,
) -> Result<(String, Entry), SetupError> {
    let section = cli.section.as_deref();
    let url = cli.url.as_deref();
    let Some(server) = section.or(url) else {
        return Err(SetupError::usage(NO_URL)
            .hint("`mcpline install CLIENT [NAME] URL`, or `demo` as the URL"));
    };
    let name = arguments.target.first().map(String::as_str).or(section);
    let name = name.map(checked).transpose()?;
    let name = if server == crate::cli::DEMO {
        name.unwrap_or_else(|| server.to_owned())
    } else {
        let target = Target::new(url, cli.options.server.kind, secrets)?;
        let name = name.unwrap_or_else(|| name_of(target.kind, &target.url));
        warn_of_proxy(&cli.options, &target.url);
        // What cannot be used is refused here, and not when the client starts it.
        let settings = UpstreamSettings::new(&cli.options, target, secrets)?;
        for warning in &settings.warnings {
            terminal::warn(&secrets.redact(warning));
        }
        name
    };
    for warning in &cli.warnings {
        terminal::warn(&secrets.redact(warning));
    }
    let mut written = Written::options(&cli.options)?.with_server(server)?;
    if let Some(user) = Written::user_without_password(&cli.options) {
        let question =
            words!("Password of {user} (Enter for none)", "Пароль для {user} (Enter — без пароля)");
        let typed =
            terminal::ask_secret(question.for_person()).filter(|password| !password.is_empty());
        match typed {
            Some(password) => written.set("MCPLINE_PASSWORD", &password),
            None => terminal::warn(
                words!(
                    "the entry has no password for {user}: if the server wants one, set MCPLINE_PASSWORD \
                     and run this again",
                    "в записи нет пароля для {user}: если сервер его требует, задайте MCPLINE_PASSWORD и \
                     выполните команду ещё раз",
                )
                .for_person(),
            ),
        }
    }
    Ok((name, Entry { command: program()?, args: written.args, env: written.env }))
}

/// Warns of a proxy that is used here and would not be by the client.
fn warn_of_proxy(options: &Options, url: &Url) {
    let set = PROXY_VARIABLES
        .iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if let Some(name) = set.filter(|_| !options.has_proxy() && !is_loopback(url)) {
        let told = words!(
            "{name} is set here, and clients do not pass it on: if the server needs a proxy, add --proxy URL",
            "здесь задана {name}, а клиенты её не передают: если серверу нужен прокси, добавьте --proxy АДРЕС",
        );
        terminal::warn(told.for_person());
    }
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
        let told = Words::both(
            "this program is in the cache of npx, which may be cleared: install it, and then run this again",
            "программа лежит в кэше npx, который могут очистить: установите её и выполните команду ещё раз",
        );
        terminal::warn(told.for_person());
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
