//! What a person is told who mistypes an option or a variable.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::{Presets, SECRET_VARIABLES, is_unset};
use crate::redact::without_secrets;
use crate::setup::SetupError;

const BEARER: &str =
    "set MCPLINE_BEARER or use `--bearer-file FILE`: other people see a command line";
const PASSWORD: &str =
    "set MCPLINE_PASSWORD or use `--password-file FILE`: other people see a command line";
const API_KEY: &str =
    "set MCPLINE_API_KEY or use `--api-key-file FILE`: other people see a command line";

/// Options of other programs, and what does the same here.
const ELSEWHERE: [(&[&str], &str); 16] = [
    (&["--bearer", "--bearer-token", "--token", "--access-token", "--auth-token"], BEARER),
    (&["--oauth2-bearer"], BEARER),
    (&["--password", "--pass", "--passwd", "-p"], PASSWORD),
    (&["--api-key", "--apikey", "--x-api-key"], API_KEY),
    (&["-H", "--headers"], "use `--header NAME:VALUE`"),
    (&["-v", "-vv", "-d", "--verbose", "--debug"], "use `--log-level debug`"),
    (&["-q", "-s", "--quiet", "--silent"], "use `--log-level off`"),
    (&["-u", "--username", "--login"], "use `--user NAME`"),
    (&["-k", "--no-verify", "--no-check-certificate"], "use `--insecure`"),
    (&["-x", "--http-proxy", "--https-proxy"], "use `--proxy URL`"),
    (&["--url", "--server", "--endpoint", "--sse-url"], "the URL stands by itself: `mcpline URL`"),
    (&["--cacert", "--ca", "--ca-cert", "--cafile"], "use `--ca-file FILE`"),
    (&["--cert", "-E"], "use `--client-cert FILE`"),
    (&["--transport", "-t"], "use `--kind mcp` or `--kind sse`"),
    (&["--retry", "--retries"], "use `--retry-for SECONDS` or `--no-retry`"),
    (&["--read-timeout", "--request-timeout", "-m"], "use `--timeout SECONDS`"),
];

/// `error` on one line: a client's log shows lines, not screens.
pub(super) fn explain(
    error: &clap::Error,
    command: &clap::Command,
    arguments: &[OsString],
    presets: Option<&Presets>,
) -> SetupError {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    let of_command = command_in(command, arguments);
    let help = of_command.map_or_else(String::new, |name| format!(" {name}"));
    let may_be_mistyped = match error.kind() {
        ErrorKind::UnknownArgument => of_command.is_none(),
        ErrorKind::ArgumentConflict => true,
        _ => false,
    };
    if may_be_mistyped && let Some((typed, meant)) = mistyped_command(command, arguments) {
        let message = format!("there is no command `{typed}`");
        return SetupError::usage(message).hint(format!("did you mean `mcpline {meant}`?"));
    }
    if error.kind() == ErrorKind::UnknownArgument && argument.starts_with('-') {
        let name = argument.split('=').next().unwrap_or_default();
        let message = format!("there is no option `{name}`");
        let own = of_command.and_then(|name| command.find_subcommand(name));
        let options =
            command.get_arguments().chain(own.into_iter().flat_map(clap::Command::get_arguments));
        let hint = hint_for(name, options.filter_map(|arg| arg.get_long()));
        return SetupError::usage(message)
            .hint(hint.unwrap_or_else(|| format!("see `mcpline{help} --help`")));
    }
    let text = error.to_string();
    let text = text.split("Usage:").next().unwrap_or(&text);
    // Lines of their own, and of use to nobody who writes a configuration.
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("tip:"));
    let text = without_secrets(&lines.collect::<Vec<_>>().join(" "));
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.trim_end_matches(" For more information, try '--help'.");
    let preset = || presets?.place(option_in(argument).strip_prefix("--")?);
    let text = match variable_behind(argument, command, arguments).or_else(preset) {
        Some(name) => text.replace(&format!("'{argument}'"), name),
        None => text.to_owned(),
    };
    let usage = error.to_string();
    let usage = usage.split_once("Usage: ").and_then(|(_, usage)| usage.lines().next());
    match usage.filter(|_| error.kind() == ErrorKind::MissingRequiredArgument) {
        Some(usage) => SetupError::usage(format!("{text}: `{usage}`; see `mcpline{help} --help`")),
        None => SetupError::usage(format!("{text}; see `mcpline{help} --help`")),
    }
}

/// The command that `arguments` name.
fn command_in<'a>(command: &'a clap::Command, arguments: &[OsString]) -> Option<&'a str> {
    let named = |argument: &OsString| {
        command.get_subcommands().map(clap::Command::get_name).find(|name| argument == name)
    };
    arguments.iter().skip(1).find_map(named)
}

/// The first word, if it was probably meant to be a command, and the command.
fn mistyped_command<'a>(
    command: &'a clap::Command,
    arguments: &'a [OsString],
) -> Option<(&'a str, &'a str)> {
    let typed = arguments.get(1)?.to_str().filter(|word| !word.starts_with('-'))?;
    let names = command.get_subcommands().map(clap::Command::get_name);
    Some((typed, nearest(typed, names)?))
}

/// What to use instead of the option `name`, where `options` are ours.
fn hint_for<'a>(name: &str, options: impl Iterator<Item = &'a str>) -> Option<String> {
    let is_short =
        |known: &str| known.len() == 2 && !name.starts_with("--") && name.starts_with(known);
    let elsewhere = ELSEWHERE
        .iter()
        .find(|(names, _)| names.contains(&name))
        .or_else(|| ELSEWHERE.iter().find(|(names, _)| names.iter().any(|known| is_short(known))));
    if let Some((_, hint)) = elsewhere {
        return Some((*hint).to_owned());
    }
    let meant = nearest(name.trim_start_matches('-'), options);
    meant.map(|option| format!("did you mean `--{option}`?"))
}

/// The variable that gave `argument`, as clap names it, its value.
fn variable_behind<'a>(
    argument: &str,
    command: &'a clap::Command,
    arguments: &[OsString],
) -> Option<&'a str> {
    let name = option_in(argument);
    let arg = command.get_arguments().find(|arg| match arg.get_long() {
        Some(long) => name.strip_prefix("--") == Some(long),
        None => false,
    })?;
    let is_typed = arguments.iter().any(|typed| {
        let typed = typed.to_string_lossy();
        typed == name || typed.starts_with(&format!("{name}="))
    });
    let variable = arg.get_env().and_then(|variable| variable.to_str())?;
    (!is_typed && std::env::var_os(variable).is_some()).then_some(variable)
}

/// The option in `argument`, as clap names it, its value.
fn option_in(argument: &str) -> &str {
    argument.split([' ', '=', '[']).next().unwrap_or_default()
}

/// What to warn of: variables that look like ours and are none.
pub(super) fn unknown_variables(command: &clap::Command) -> Vec<String> {
    let of_options = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let known: Vec<&str> = of_options.chain(SECRET_VARIABLES.map(|(_, name)| name)).collect();
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("MCPLINE_"))?;
        (!is_unset(&value) && !known.contains(&name.as_str())).then_some(name)
    });
    let mut warnings: Vec<String> = Vec::new();
    for name in ours {
        let warning = match nearest(&name, known.iter().copied()) {
            Some(meant) => format!("{name} has no effect; did you mean {meant}?"),
            None => format!("{name} has no effect: mcpline has no such variable"),
        };
        warnings.insert(warnings.partition_point(|other| *other < warning), warning);
    }
    warnings
}

/// The name among `known` that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let tail = |name: &str| name.trim_start_matches("MCPLINE_").to_lowercase().replace('_', "-");
    let typed = tail(name);
    let limit = 1 + typed.len() / 4;
    known
        .map(|known| (distance(&typed, &tail(known)), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, left) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, right) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
