//! Keeps secrets out of logs and error texts, by value. Every text that leaves the process, except
//! the request itself, goes through [`Secrets::redact`].

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use url::Url;

/// Shorter values are not masked: they occur in ordinary words.
const MIN_LENGTH: usize = 4;

/// The number of values: an upstream may send a new session id with every answer, and each value
/// makes every line slower.
const MAX_SECRETS: usize = 256;

/// Stands for a secret.
const MASK: &str = "***";

/// The secret values of this process: passwords, tokens, header values. A token may be replaced
/// while the process runs.
#[derive(Default)]
pub struct Secrets {
    /// Longest first, so that a secret that contains another is masked whole.
    values: RwLock<Vec<String>>,
}

impl Secrets {
    /// Adds a value that must never be shown. Very short ones are left out.
    pub fn add(&self, value: &str) {
        let value = value.trim();
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let has_room = values.len() < MAX_SECRETS;
        if has_room && value.len() >= MIN_LENGTH && !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
            values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        }
    }

    fn values(&self) -> RwLockReadGuard<'_, Vec<String>> {
        self.values.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `text` with every known secret masked.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in self.values().iter() {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), MASK));
            }
        }
        text
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({} values)", self.values().len())
    }
}

/// A URL as it may be shown: without its credentials, and without its query, which may hold API
/// keys and session ids.
pub(crate) fn shown(url: &Url) -> String {
    let mut safe = url.clone();
    // Neither can fail for a URL that has a host, and only such URLs are accepted.
    let _ = safe.set_username("");
    let _ = safe.set_password(None);
    safe.set_fragment(None);
    if safe.query().is_some() {
        safe.set_query(Some("…"));
        return safe.to_string().replace("%E2%80%A6", "…");
    }
    safe.into()
}

/// A text with malformed URLs, without the parts of them that may be secret: what stands in front
/// of an `@`, and what follows a `?`.
pub fn without_secrets(text: &str) -> String {
    let safe = |word: &str| {
        let word = word.rsplit_once('@').map_or(word, |(_, rest)| rest);
        match word.split_once('?') {
            Some((url, query)) if !query.is_empty() => format!("{url}?…"),
            _ => word.to_owned(),
        }
    };
    text.split_whitespace().map(safe).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_every_place() {
        let secrets = Secrets::default();
        for value in ["token", "token-long", "abc"] {
            secrets.add(value);
        }
        assert_eq!(secrets.redact("a token-long b token abc"), "a *** b *** abc");
        assert_eq!(format!("{secrets:?}"), "Secrets(2 values)");
    }

    #[test]
    fn a_malformed_url_shows_no_secret_either() {
        let cases = [
            ("user:pw@host/mcp is", "host/mcp is"),
            ("'http://u:p@h:99999/x?key=1' found", "h:99999/x?… found"),
            ("what is this? nothing", "what is this? nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_secrets(text), expected);
        }
    }

    #[test]
    fn a_shown_url_has_no_credentials_and_no_query() {
        let shown = |url: &str| shown(&Url::parse(url).unwrap());
        assert_eq!(shown("http://user:pw@host/mcp?key=1#x"), "http://host/mcp?…");
        assert_eq!(shown("https://host:8443/a"), "https://host:8443/a");
    }
}
