//! A bearer token in a file that another program may replace at any time.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use reqwest::header::HeaderValue;

use super::charset::decode_file;
use crate::redact::{Origin, Secrets};

/// The token in a file, read again whenever the file has changed.
pub struct TokenFile {
    path: PathBuf,
    secrets: Arc<Secrets>,
    latest: Mutex<Latest>,
}

struct Latest {
    state: Option<State>,
    /// `Authorization`
    value: HeaderValue,
}

impl TokenFile {
    /// The file at `path`, from which the token in `value` was just read.
    pub(crate) fn new(path: PathBuf, value: HeaderValue, secrets: Arc<Secrets>) -> Self {
        let state = state(&path);
        Self { path, secrets, latest: Mutex::new(Latest { state, value }) }
    }

    /// The value of `Authorization`. A file that is being replaced, or holds nothing, leaves the
    /// token that was read last.
    ///
    /// Costs one look at the file's time and length while these stay the same.
    pub(super) async fn value(&self) -> HeaderValue {
        let state = state(&self.path);
        if state.is_some() && state != self.latest().state {
            self.read(state).await;
        }
        self.latest().value.clone()
    }

    /// Whether the file holds another token than `sent`, whatever its time and length say.
    pub(super) async fn differs_from(&self, sent: Option<&HeaderValue>) -> bool {
        self.read(state(&self.path)).await;
        Some(&self.latest().value) != sent
    }

    async fn read(&self, state: Option<State>) {
        let path = self.path.clone();
        let bytes = tokio::task::spawn_blocking(move || fs::read(path)).await;
        let text = bytes.ok().and_then(Result::ok).as_deref().and_then(decode_file);
        let token = text.as_deref().and_then(bearer);
        let mut latest = self.latest();
        latest.state = state;
        match token {
            Some((_, value)) if value == latest.value => {}
            Some((token, value)) => {
                tracing::info!("the file with the bearer token has changed");
                self.secrets.add_of(Origin::Token, token);
                latest.value = value;
            }
            None => tracing::warn!("the file with the bearer token holds none"),
        }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a file was written last, and its length: clocks of file systems can be coarse.
type State = (SystemTime, u64);

fn state(path: &Path) -> Option<State> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The token in `text`, and the value of `Authorization` with it.
fn bearer(text: &str) -> Option<(&str, HeaderValue)> {
    let token = bare_token(text);
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some((token, value))
}

/// The token in `text`, which people also paste with quotes, with its scheme, or with the name of
/// its header: `Authorization: Bearer TOKEN`.
pub(crate) fn bare_token(text: &str) -> &str {
    let mut token = text.trim_start_matches('\u{feff}').trim();
    loop {
        let mut rest = unquoted(token);
        if let Some(after) = without_prefix(rest, "authorization").map(str::trim_start) {
            rest = after.strip_prefix([':', '=']).unwrap_or(rest);
        }
        if let Some(after) = without_prefix(rest, "bearer")
            && (after.is_empty() || after.starts_with([' ', '\t', ':', '=']))
        {
            rest = after.trim_start().trim_start_matches([':', '=']);
        }
        rest = rest.trim();
        if rest == token {
            return token;
        }
        token = rest;
    }
}

/// `text` without the quotes around it.
pub(crate) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = ['"', '\'', '`']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote).and_then(|text| text.strip_suffix(*quote)));
    inner.unwrap_or(text).trim()
}

/// What follows `prefix` in `text`, in whatever case it is written.
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl fmt::Debug for TokenFile {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TokenFile").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_token_is_found() {
        for text in [
            "xyz",
            "\u{feff}xyz\r\n",
            " \"xyz\"\n",
            "Bearer xyz",
            "bearer: xyz",
            "BEARER   xyz\n",
            "Authorization: Bearer xyz",
            "'authorization: bearer \"xyz\"'",
        ] {
            assert_eq!(bare_token(text), "xyz", "{text}");
        }
        for token in ["bearerxyz", "authorization-xyz", "second and longer", "a=b:c=="] {
            assert_eq!(bare_token(token), token);
        }
        assert_eq!(bare_token("Bearer "), "");
    }
}
