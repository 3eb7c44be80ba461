//! The secrets in an entry of any client, so that what is shown of a change can be masked.

use serde_json::Value;
use url::Url;

use super::entry::{Entry, text};
use crate::redact;

/// Members whose every value may be a secret, whatever its name.
const HOLDERS: [&str; 4] = ["env", "environment", "headers", "http_headers"];

/// What the name of a secret has in it, of letters and digits only.
const SECRET: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "bearer",
    "authorization",
    "apikey",
    "accesskey",
    "clientinfo",
];

/// Names of secrets that are too short to be looked for within others.
const SHORT: [&str; 4] = ["key", "auth", "pass", "xkey"];

/// How the name of something ends that only leads to a secret, or goes with one.
const NO_SECRET: [&str; 9] =
    ["file", "path", "url", "uri", "endpoint", "envvar", "timeout", "type", "environment"];

/// Options with a header: `NAME:VALUE`, or the two as arguments of their own.
const HEADER: [&str; 3] = ["--header", "-H", "--headers"];

/// Options with `NAME:PASSWORD`.
const LOGIN: [&str; 3] = ["--user", "-u", "--login"];

/// The texts of an entry that may be secrets, as they stand there: in its environment, its headers, its
/// arguments, its URLs, and in any member with the name of a secret.
pub(crate) fn secrets(entry: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for holder in HOLDERS {
        let members = entry[holder].as_object().into_iter().flatten();
        let members = members.filter(|(name, _)| !is_harmless(name));
        found.extend(members.filter_map(|(_, value)| text(value)));
    }
    in_members(entry, &mut found);
    if let Some(Entry { args, .. }) = Entry::read(entry) {
        in_arguments(&args, &mut found);
    }
    found
}

/// Those in URLs, and in members with the name of a secret, at any depth.
fn in_members(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => in_text(text, found),
        Value::Array(items) => items.iter().for_each(|item| in_members(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.extend(text(value).filter(|_| is_secret(name)));
                in_members(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Those of a command line.
fn in_arguments(args: &[String], found: &mut Vec<String>) {
    for (at, argument) in args.iter().enumerate() {
        // `--option=value`, and `NAME=value` for a program in between.
        let inline = argument.split_once('=').filter(|(name, _)| !name.contains([':', '/']));
        let next = || args.get(at + 1).filter(|next| !next.starts_with('-'));
        let (name, value) = match inline {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), next().map(String::as_str)),
        };
        let Some(value) = value else { continue };
        if HEADER.contains(&name) {
            let own = args.get(at + 2).filter(|_| inline.is_none());
            let secret = value.split_once(':').map(|(_, secret)| secret);
            found.extend(secret.or(own.map(String::as_str)).map(|secret| secret.trim().to_owned()));
        } else if LOGIN.contains(&name) {
            found.extend(value.split_once(':').map(|(_, password)| password.to_owned()));
        } else if is_secret(name)
            && (inline.is_some() || name.starts_with('-'))
            && !value.contains("://")
        {
            found.push(value.to_owned());
        }
    }
}

/// Those of a text that may be or hold a URL, or JSON.
fn in_text(text: &str, found: &mut Vec<String>) {
    if text.starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return in_members(&value, found);
    }
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let scheme = scheme.rsplit(['=', ' ', ':']).next().unwrap_or_default();
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = before_query.split('/').next().unwrap_or_default();
    if let Some((login, _)) = authority.rsplit_once('@') {
        // A login without a password mostly is a token.
        found.push(login.split_once(':').map_or(login, |(_, password)| password).to_owned());
    }
    for pair in query.split('#').next().unwrap_or_default().split('&') {
        found.extend(pair.split_once('=').map(|(_, value)| value.to_owned()));
    }
    if let Ok(url) = Url::parse(&format!("{scheme}://{before_query}")) {
        found.extend(redact::secrets_in_path(&url).map(str::to_owned));
    }
}

/// Whether a variable, an option, a member or a header with this name holds a secret.
fn is_secret(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    let is_named = SECRET.iter().any(|secret| plain.contains(secret));
    let leads_there = NO_SECRET.iter().any(|end| plain.ends_with(end));
    SHORT.contains(&plain.as_str()) || is_named && !leads_there
}

/// Whether a variable holds a setting of ours that is no secret.
fn is_harmless(name: &str) -> bool {
    const SECRET: [&str; 8] =
        ["PASSWORD", "BEARER", "API_KEY", "HEADER", "PROXY", "URL", "LOGIN", "SECRET"];
    let name =
        name.strip_prefix("MCPLINE_").map(|name| name.strip_suffix("_FILE").map_or(name, |_| ""));
    name.is_some_and(|name| !SECRET.contains(&name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_secret_is_shown() {
        let entry = json!({
            "command": "uvx",
            "args": [
                "mcp-proxy", "--token-url", "https://login/token", "--bearer-file", "/home/me/token",
                "--user", "me", "--auth-timeout", "6000", "--pass-environment", "--client-id", "public",
                "-H", "X-Name", "value", "https://host/hs/mcp",
            ],
            "bearer_token_env_var": "MY_TOKEN",
            "env": {"MCPLINE_TIMEOUT": "6000", "MCPLINE_BEARER_FILE": "/home/me/token"},
        });
        assert_eq!(secrets(&entry), ["value"]);
    }
}
