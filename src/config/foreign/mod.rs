//! The command lines of other programs that forward to an MCP server on HTTP, as data, and how they are
//! translated into ours. A client's configuration then needs no other change than the command.

mod programs;
mod sign_in;

use clap::Command;

use self::programs::{MCP_REMOTE, Meaning, PROGRAMS, Program, Why};
use self::sign_in::{ClientInfo, ClientMetadata, Part, Redirect};

/// What starts other programs: their names may stand in front of one.
const STARTERS: [&str; 14] = [
    "npx", "bunx", "pnpx", "uvx", "pipx", "pnpm", "bun", "uv", "node", "cmd", "dlx", "x", "run",
    "exec",
];

/// The variable for the secret of a client.
const CLIENT_SECRET: &str = "MCPLINE_OAUTH_CLIENT_SECRET";

/// A command line of another program in our words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    /// Our arguments.
    pub(crate) args: Vec<String>,
    /// What the person should hear: what has no counterpart.
    pub(crate) warnings: Vec<String>,
    /// Secrets on the command line, and our variables for them.
    pub(crate) secrets: Vec<(&'static str, String)>,
    /// Variables of the program, and what they are called here.
    pub(crate) variables: &'static [(&'static str, &'static str)],
}

/// `words` without the program that they start and what stands in front of it, in our words; `None` if they
/// start none that we know. `ours` has our options.
pub(crate) fn translated(words: &[String], ours: &Command) -> Option<Translated> {
    let (program, rest) = started(words, ours)?;
    Some(translate(program, rest, ours))
}

/// The arguments of a command line of this program, in which options of `mcp-remote` are replaced by
/// ours. Its name may stand in front, and what starts it.
pub(crate) fn like_mcp_remote(arguments: &[String], ours: &Command) -> Translated {
    let arguments = match started(arguments, ours) {
        Some((program, rest)) if program.name == MCP_REMOTE.name => rest,
        _ => arguments,
    };
    translate(&MCP_REMOTE, arguments, ours)
}

/// The program that `words` start, and its arguments.
fn started<'a>(words: &'a [String], ours: &Command) -> Option<(&'static Program, &'a [String])> {
    for (at, word) in words.iter().enumerate() {
        let name = program_name(word);
        if let Some(program) = PROGRAMS.iter().find(|program| program.name == name) {
            return Some((program, &words[at + 1..]));
        }
        let is_in_front = (word.starts_with('-') && !is_ours(word, ours))
            || word.eq_ignore_ascii_case("/c")
            || STARTERS.contains(&name.as_str());
        if !is_in_front {
            return None;
        }
    }
    None
}

/// `mcp-remote` for `mcp-remote@latest`, `C:\…\mcp-remote.cmd` and `…/mcp-remote/dist/proxy.js`.
pub(crate) fn program_name(word: &str) -> String {
    let parts: Vec<&str> = word.split(['/', '\\']).collect();
    let of_package = parts.iter().position(|part| *part == "dist").and_then(|at| at.checked_sub(1));
    let name = match of_package {
        Some(at) => parts[at],
        None => parts.last().copied().unwrap_or_default(),
    };
    let name = name.split('@').next().unwrap_or_default();
    let suffix =
        [".exe", ".cmd", ".js", ".mjs", ".py"].iter().find_map(|suffix| name.strip_suffix(suffix));
    suffix.unwrap_or(name).to_ascii_lowercase()
}

fn translate(program: &Program, words: &[String], ours: &Command) -> Translated {
    let mut args: Vec<String> = Vec::new();
    let mut without: Vec<(Why, String)> = Vec::new();
    let mut kind = None;
    let mut redirect = Redirect::default();
    let mut secrets = Vec::new();
    let mut follows_url = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let known = program.options.iter().find(|(names, _)| names.contains(&name));
        let Some((_, meaning)) = known
            .filter(|(_, meaning)| matches!(meaning, Meaning::Same(_)) || !is_ours(name, ours))
        else {
            let is_port = follows_url && word.bytes().all(|byte| byte.is_ascii_digit());
            if is_port && program.name == MCP_REMOTE.name {
                redirect.set(Part::Port, word.clone());
                continue;
            }
            follows_url = word.contains("://") && !word.starts_with('-');
            args.push(word.clone());
            // Its value is no option.
            if inline.is_none() && takes_value(name, ours) {
                args.extend(words.next().cloned());
            }
            continue;
        };
        follows_url = false;
        let mut value = || inline.clone().or_else(|| words.next().cloned());
        match meaning {
            Meaning::Same(ours) => {
                args.push(format!("--{ours}"));
                args.extend(value());
            }
            Meaning::ByValue(meanings) => {
                let value = value().unwrap_or_default();
                match meanings.iter().find(|(known, _)| *known == value) {
                    Some((_, ours)) if ours.first() == Some(&"--kind") => kind = Some(*ours),
                    Some((_, ours)) => args.extend(ours.iter().map(|&word| word.to_owned())),
                    None => without.push((Why::Other, format!("{name} {value}"))),
                }
            }
            Meaning::Flag(ours) => args.extend(ours.iter().map(|&word| word.to_owned())),
            Meaning::Always(count) => {
                if inline.is_none() {
                    for _ in words.by_ref().take(*count) {}
                }
            }
            Meaning::Redirect(part) => redirect.set(*part, value().unwrap_or_default()),
            Meaning::ClientInfo => match value().as_deref().and_then(sign_in::read) {
                Some(ClientInfo { client_id, client_secret }) => {
                    args.extend(["--oauth-client-id".to_owned(), client_id]);
                    secrets.extend(client_secret.map(|secret| (CLIENT_SECRET, secret)));
                }
                None => without.push((Why::SignIn, name.to_owned())),
            },
            Meaning::ClientMetadata => match value().as_deref().and_then(sign_in::read) {
                Some(ClientMetadata { scope }) => args.extend(["--oauth-scope".to_owned(), scope]),
                None => without.push((Why::SignIn, name.to_owned())),
            },
            Meaning::Bearer => args.extend([
                "--header".to_owned(),
                format!("Authorization:Bearer {}", value().unwrap_or_default()),
            ]),
            Meaning::HeaderPair => {
                let header = value().unwrap_or_default();
                let header = format!("{header}:{}", words.next().map_or("", String::as_str));
                args.extend(["--header".to_owned(), header]);
            }
            Meaning::Address => {
                if name == "--sse" {
                    kind = Some(&["--kind", "sse"]);
                }
                args.extend(value());
            }
            Meaning::Without(count, why) => {
                if inline.is_none() {
                    for _ in words.by_ref().take(*count) {}
                }
                without.push((*why, name.to_owned()));
            }
        }
    }
    let has_kind = args.iter().any(|word| word == "--kind" || word.starts_with("--kind="));
    if let Some(kind) = kind.filter(|_| !has_kind) {
        args.splice(0..0, kind.iter().map(|&word| word.to_owned()));
    }
    if let Some(uri) = redirect.uri() {
        args.extend(["--oauth-redirect".to_owned(), uri]);
    }
    for once in ["--log-level", "--oauth-resource", "--oauth-grant"] {
        only_last(&mut args, once);
    }
    let warnings = warnings(program, &without);
    Translated { args, warnings, secrets, variables: program.variables }
}

/// One sentence for each reason.
fn warnings(program: &Program, without: &[(Why, String)]) -> Vec<String> {
    let sentence = |why: Why| {
        let mut names: Vec<&str> = Vec::new();
        for (_, name) in without.iter().filter(|(of, _)| *of == why) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let program = program.name;
        (!names.is_empty())
            .then(|| format!("{} of {program} has no effect: {}", names.join(", "), why.text()))
    };
    Why::ALL.into_iter().filter_map(sentence).collect()
}

/// Removes all but the last of an option that may be given once: theirs may be given twice, and may be set in two
/// ways.
fn only_last(args: &mut Vec<String>, option: &str) {
    while let (Some(first), Some(last)) =
        (args.iter().position(|word| word == option), args.iter().rposition(|word| word == option))
        && first != last
    {
        args.drain(first..(first + 2).min(args.len()));
    }
}

/// The option of ours that `name` names.
pub(super) fn option<'a>(name: &str, ours: &'a Command) -> Option<&'a clap::Arg> {
    let long = name.strip_prefix("--")?;
    ours.get_arguments().find(|arg| arg.get_long() == Some(long))
}

fn is_ours(name: &str, ours: &Command) -> bool {
    option(name, ours).is_some()
}

/// Whether the option `name` is ours and its value is the next argument.
pub(super) fn takes_value(name: &str, ours: &Command) -> bool {
    option(name, ours)
        .is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_command_line_of_mcp_remote_is_translated() {
        for (theirs, ours, without) in [
            ("https://h/mcp", "https://h/mcp", ""),
            (
                "https://h/mcp 3334 --host 127.0.0.1 --auth-timeout 60",
                "https://h/mcp --oauth-redirect http://127.0.0.1:3334/oauth/callback",
                "",
            ),
            (
                "https://h/mcp 3334",
                "https://h/mcp --oauth-redirect http://localhost:3334/oauth/callback",
                "",
            ),
            (
                "https://h/mcp --callback-path /back --host=localhost",
                "https://h/mcp --oauth-redirect http://localhost/back",
                "",
            ),
            (
                "https://h/mcp --device-code --authorize-param audience=x",
                "https://h/mcp --oauth-grant device --oauth-param audience=x",
                "",
            ),
            (
                "https://h/mcp --disable-resource-parameter --client-credentials",
                "https://h/mcp --oauth-resource none --oauth-grant client-credentials",
                "",
            ),
            (
                r#"https://h/mcp --static-oauth-client-metadata {"scope":"a"}"#,
                "https://h/mcp --oauth-scope a",
                "",
            ),
            (
                "npx -y mcp-remote@latest https://h/sse --transport sse-only",
                "--kind sse https://h/sse",
                "",
            ),
            (
                "mcp-remote https://h/mcp --transport=http-only --allow-http",
                "--kind mcp https://h/mcp",
                "",
            ),
            ("https://h/mcp --transport http-first --enable-proxy", "https://h/mcp", ""),
            ("https://h/mcp --kind 1c --transport sse-only", "https://h/mcp --kind 1c", ""),
            ("https://h/mcp --silent --debug", "https://h/mcp --log-level debug", ""),
            (
                "https://h/mcp --header X:1 --header Y:2",
                "https://h/mcp --header X:1 --header Y:2",
                "",
            ),
            ("https://h/mcp --body-timeout 0", "https://h/mcp --timeout 0", ""),
            (
                "https://h/mcp --ignore-tool delete* --ignore-tool x",
                "https://h/mcp",
                "--ignore-tool",
            ),
            (
                "https://h/mcp --static-oauth-client-info {} --resource https://r/",
                "https://h/mcp --oauth-resource https://r/",
                "--static-oauth-client-info",
            ),
            (
                "https://h/mcp --transport carrier-pigeon",
                "https://h/mcp",
                "--transport carrier-pigeon",
            ),
            (
                "--log-level 3334 --header --debug https://h/mcp",
                "--log-level 3334 --header --debug https://h/mcp",
                "",
            ),
            ("https://h/mcp --transport sse", "--kind sse https://h/mcp", ""),
            ("--insecure https://h/mcp", "--insecure https://h/mcp", ""),
            ("call https://h/mcp tool 5", "call https://h/mcp tool 5", ""),
            ("demo --kind 1c", "demo --kind 1c", ""),
        ] {
            let Translated { args, warnings, .. } =
                like_mcp_remote(&words(theirs), &Cli::command());
            assert_eq!(args, words(ours), "{theirs}");
            assert_eq!(warnings.len(), usize::from(!without.is_empty()), "{theirs}: {warnings:?}");
            assert!(
                warnings
                    .iter()
                    .all(|warning| warning.starts_with(&format!("{without} of mcp-remote"))),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn a_secret_of_a_command_line_goes_into_its_variable() {
        let theirs =
            r#"https://h/mcp --static-oauth-client-info {"client_id":"x","client_secret":"y"}"#;
        let Translated { args, secrets, warnings, .. } =
            like_mcp_remote(&words(theirs), &Cli::command());
        assert_eq!(args, words("https://h/mcp --oauth-client-id x"));
        assert_eq!(secrets, [(CLIENT_SECRET, "y".to_owned())]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn command_lines_of_other_programs_are_translated() {
        for (theirs, ours) in [
            ("npx -y supergateway --sse https://h/sse", "--kind sse https://h/sse"),
            (
                "npx -y supergateway --streamableHttp https://h/mcp --oauth2Bearer T",
                "https://h/mcp --header|Authorization:Bearer T",
            ),
            (
                "uvx mcp-proxy --headers X-Key k --transport streamablehttp https://h/mcp",
                "--kind mcp --header X-Key:k https://h/mcp",
            ),
            (r"C:\nodejs\npx.cmd -y mcp-remote https://h/mcp", "https://h/mcp"),
            ("node /opt/node_modules/mcp-remote/dist/proxy.js https://h/mcp", "https://h/mcp"),
            ("cmd /c npx -y mcp-remote https://h/mcp", "https://h/mcp"),
        ] {
            let translated = translated(&words(theirs), &Cli::command()).unwrap();
            assert_eq!(translated.args.join(" "), ours.replace('|', " "), "{theirs}");
            assert!(translated.warnings.is_empty(), "{theirs}");
        }
        for other in [
            "npx -y @modelcontextprotocol/server-filesystem /",
            "python server.py",
            "/bin/mcpline https://h",
        ] {
            assert_eq!(translated(&words(other), &Cli::command()), None, "{other}");
        }
    }
}
