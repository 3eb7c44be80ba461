//! A bearer token in a file that another program may replace at any time.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        let text = tokio::task::spawn_blocking(move || fs::read_to_string(path)).await;
        let text = text.ok().and_then(Result::ok);
        let token = text.as_deref().and_then(bearer);
        let mut latest = self.latest();
        latest.state = state;
        match token {
            Some((_, value)) if value == latest.value => {}
            Some((token, value)) => {
                tracing::info!("the file with the bearer token has changed");
                self.secrets.add(token);
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
