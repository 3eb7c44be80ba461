//! Calls that wait for the client's answers. The state that the client gets for one is a random name
//! of it: it is good once, for the same request, for a limited time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use tokio::task::AbortHandle;

use super::Inner;
use super::exchange::Call;
use crate::background;

/// How long a call waits: a person may have to read a page first.
const PATIENCE: Duration = Duration::from_mins(10);

/// Calls that wait at once. The oldest upstream connection of so many is of no use to anybody.
const MAX_HELD: usize = 1024;

/// A call, and the session that it is made in.
type Owned = (Arc<Inner>, Arc<Call>);

/// The calls that wait.
pub(super) struct Held {
    /// By the state that the client has for each.
    entries: Mutex<HashMap<String, Entry>>,
    /// As many may wait at once.
    max: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self::up_to(MAX_HELD)
    }
}

struct Entry {
    call: Owned,
    binding: Binding,
    expiry: AbortHandle,
}

/// What a call was asked for, in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binding([u8; 32]);

impl Binding {
    /// A request of `method` with `params`, without what says how it is asked.
    pub(super) fn of(method: &str, params: &str) -> Self {
        let mut params: Value = serde_json::from_str(params).unwrap_or_default();
        if let Some(params) = params.as_object_mut() {
            params.remove("_meta");
        }
        // The members of objects are in order there.
        let text = format!("{method} {params}");
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }
}

impl Held {
    /// Room for `max` calls.
    pub(super) fn up_to(max: usize) -> Self {
        Self { entries: Mutex::default(), max }
    }

    /// Keeps `call` and returns the state for it. When nobody comes back in time, `give_up` runs.
    ///
    /// Where as many calls wait as may, there is no state: `give_up` runs at once, and nobody is to be
    /// asked for answers that nothing would take.
    pub(super) fn put(
        self: &Arc<Self>,
        call: Owned,
        binding: Binding,
        give_up: impl Future<Output = ()> + Send + 'static,
    ) -> Option<String> {
        let mut entries = self.entries();
        if entries.len() >= self.max {
            tracing::warn!("too many calls wait for answers");
            background::spawn(give_up);
            return None;
        }
        let state = random_name();
        let (held, name) = (self.clone(), state.clone());
        let expiry = background::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if held.entries().remove(&name).is_some() {
                tracing::info!("the client has not come back with answers; a call is given up");
                give_up.await;
            }
        });
        entries.insert(state.clone(), Entry { call, binding, expiry: expiry.abort_handle() });
        Some(state)
    }

    /// The call that waits for the answers to the request of `binding` with this `state`.
    ///
    /// # Errors
    /// There is none: the state is unknown, used, expired, or belongs to another request.
    pub(super) fn take(&self, state: &str, binding: &Binding) -> Result<Owned, &'static str> {
        let mut entries = self.entries();
        match entries.get(state) {
            None => {
                Err("`requestState` is not known: it was used before, has expired, or was changed")
            }
            Some(entry) if entry.binding != *binding => {
                Err("`requestState` belongs to another request")
            }
            Some(_) => {
                let entry = entries.remove(state).ok_or("`requestState` is not known")?;
                entry.expiry.abort();
                Ok(entry.call)
            }
        }
    }

    /// Every update is a single call, so a panic elsewhere breaks nothing.
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that nobody can guess.
fn random_name() -> String {
    let mut name = [0; 24];
    if SystemRandom::new().fill(&mut name).is_err() {
        // Systems without randomness have no TLS either.
        name.fill_with(|| fastrand::u8(..));
    }
    BASE64_URL_SAFE_NO_PAD.encode(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_the_request_and_not_how_it_is_written() {
        let one = Binding::of("tools/call", r#"{"name":"a","arguments":{"x":1,"y":2}}"#);
        let same = r#"{ "arguments": {"y":2,"x":1}, "name":"a", "_meta":{"progressToken":3} }"#;
        assert_eq!(one, Binding::of("tools/call", same));
        assert_ne!(one, Binding::of("tools/call", r#"{"name":"a","arguments":{"x":1,"y":3}}"#));
        assert_ne!(one, Binding::of("prompts/get", r#"{"name":"a","arguments":{"x":1,"y":2}}"#));
    }

    #[test]
    fn a_name_is_long_and_its_own() {
        let (one, other) = (random_name(), random_name());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
