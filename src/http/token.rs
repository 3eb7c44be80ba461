//! A bearer token in a file, which whoever renews it may replace at any time.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use reqwest::header::HeaderValue;

use crate::redact::Secrets;

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
    /// The file at `path`, which held the token in `value` a moment ago.
    pub(crate) fn new(path: PathBuf, value: HeaderValue, secrets: Arc<Secrets>) -> Self {
        let state = state(&path);
        Self { path, secrets, latest: Mutex::new(Latest { state, value }) }
    }

    /// The value of `Authorization`. A file that is being replaced, or holds nothing, leaves the
    /// token that was read last.
    pub(super) fn current(&self) -> HeaderValue {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state(&self.path);
        if state.is_some() && state != latest.state {
            match fs::read_to_string(&self.path).ok().as_deref().and_then(bearer) {
                Some((token, value)) => {
                    tracing::info!("the file with the bearer token has changed");
                    self.secrets.add(token);
                    *latest = Latest { state, value };
                }
                None => {
                    tracing::warn!("the file with the bearer token holds none");
                    latest.state = state;
                }
            }
        }
        latest.value.clone()
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
    let token = text.trim_start_matches('\u{feff}').trim();
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some((token, value))
}

impl fmt::Debug for TokenFile {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TokenFile").field(&self.path).finish()
    }
}
