//! How text becomes a value: variables, times, sizes, URLs, headers, files. The options and the
//! variables of other programs ([`super::drop_in`]) are read by the same rules.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use url::Url;

use crate::http::{decode_file, unquoted};
use crate::redact::{self, Secrets};
use crate::setup::{SetupError, unreadable};

/// A year: a longer time means "for ever", and the clock cannot add it.
const MAX_TIME: Duration = Duration::from_hours(8760);

/// Whether a variable counts as unset: it is empty, or holds a placeholder that the client did
/// not fill in, as clients do for optional fields.
pub(crate) fn is_unset(value: &OsStr) -> bool {
    value.is_empty() || value.to_string_lossy().starts_with("${")
}

/// The environment variable `name`, if it is set.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !is_unset(value.as_ref()))
}

/// A bound in seconds; 0 stands for none.
pub(super) fn bound(text: &str) -> Result<Duration, SetupError> {
    seconds(text).map(|time| if time.is_zero() { MAX_TIME } else { time })
}

/// A time in seconds, with or without a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, SetupError> {
    let seconds: f64 =
        text.trim().parse().map_err(|_| SetupError::usage("not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time <= MAX_TIME)
        .ok_or_else(|| SetupError::usage("not a possible time in seconds"))
}

/// A size in bytes, or with a unit.
pub(super) fn size(text: &str) -> Result<usize, SetupError> {
    let text = text.trim();
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit: usize = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        unit => {
            let message = format!("`{unit}` is not a unit");
            return Err(SetupError::usage(message).hint("use KiB, MiB or GiB"));
        }
    };
    let number: usize = digits.parse().map_err(|_| SetupError::usage("not a number of bytes"))?;
    number
        .checked_mul(unit)
        .filter(|size| *size > 0)
        .ok_or_else(|| SetupError::usage("not a possible size"))
}

/// `text` with each `${NAME}` filled in from the environment, or with the default in
/// `${NAME:-default}` where that is not set or empty, as shells have it. `what` names the place in an error;
/// `found` hears of each value and of the text in front of it.
pub(super) fn filled_in(
    text: &str,
    what: &str,
    mut found: impl FnMut(&str, &str),
) -> Result<String, SetupError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(SetupError::usage(format!("{what} has a `${{` without its `}}`")));
        };
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        // As VS Code and Cursor write it.
        let name = name.strip_prefix("env:").unwrap_or(name);
        let set = std::env::var(name).ok();
        let set = set.filter(|value| default.is_none() || !value.is_empty());
        let value = set.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            SetupError::usage(format!(
                "{what} needs the environment variable {name}, which is not set"
            ))
            .hint("put it into the `env` part of the client's configuration")
        })?;
        // People write variables as they write lines of a shell, and files that end with a newline.
        let value = unquoted(&value);
        filled.push_str(before);
        found(&filled, value);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// [`filled_in`] for a URL. A value is a secret unless it is the address, or a part of it.
pub(super) fn filled_in_url(
    text: &str,
    what: &str,
    secrets: &Secrets,
) -> Result<String, SetupError> {
    filled_in(text, what, |before, value| {
        let authority = before.split_once("://").map(|(_, authority)| authority);
        let is_behind_host = authority.is_some_and(|authority| authority.contains(['/', '?']));
        let in_front_of_at = text.contains('@') && !before.contains('@') && authority.is_some();
        if is_behind_host || in_front_of_at {
            secrets.add(value);
            secrets.add(&percent_encoding::utf8_percent_encode(value, UNRESERVED).to_string());
        }
    })
}

/// What a URL may hold as it is (RFC 3986).
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL of an upstream.
pub(super) fn upstream_url(text: &str) -> Result<Url, SetupError> {
    let text = text.trim();
    let refuse = |why: &str| {
        let message = format!("`{}` {why}", redact::without_secrets(text));
        let hint = "give the address in full, for example https://mcp.example.com/mcp";
        Err(SetupError::usage(message).hint(hint))
    };
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => refuse("is not an http:// or https:// URL"),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            refuse("is not a URL, because https:// or http:// in front is missing")
        }
        Err(why) => refuse(&format!("is not a URL ({why})")),
    }
}

/// The URL of a proxy.
pub(super) fn proxy_url(text: &str) -> Result<Url, SetupError> {
    // People write HOST:PORT, which parses as a URL with the scheme HOST.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).map_err(|why| {
        let shown = redact::without_secrets(&text);
        SetupError::usage(format!("`{shown}` is not a proxy's URL ({why})"))
    })?;
    match url.scheme() {
        "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h" => Ok(url),
        scheme => {
            Err(SetupError::usage(format!("a proxy is http, https or socks5, not `{scheme}`")))
        }
    }
}

/// The name and the value in `NAME:VALUE`, which stands at `place`.
pub(super) fn header_line<'a>(
    text: &'a str,
    place: &str,
) -> Result<(&'a str, &'a str), SetupError> {
    text.split_once(':')
        .map(|(name, value)| (name.trim(), value.trim()))
        .ok_or_else(|| SetupError::usage(format!("{place}: no colon; write NAME:VALUE")))
}

/// `text` with each `%XX` decoded as UTF-8, as URLs write user names and passwords.
pub(super) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The text in the file that `option` names.
pub(super) fn read_text(path: &Path, option: &str) -> Result<String, SetupError> {
    let unusable = |why| SetupError::usage(format!("{option} {} {why}", path.display()));
    let bytes = fs::read(path).map_err(|why| unusable(unreadable(path, &why)))?;
    decode_file(&bytes).ok_or_else(|| {
        unusable("is neither UTF-8 nor UTF-16 text".to_owned()).hint("save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read() {
        assert_eq!(seconds("0.3"), Ok(Duration::from_millis(300)));
        assert!(seconds("1e19").is_err());
        assert!(seconds("-1").is_err() && seconds("1m").is_err() && seconds("inf").is_err());
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("2 MiB"), Ok(2 << 20));
        assert_eq!(size("64k"), Ok(64 << 10));
        assert!(size("0").is_err() && size("x").is_err() && size("5 parsecs").is_err());
    }
}
