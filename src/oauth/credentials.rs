//! The token that is in use, and what is kept of it for other processes and for the next one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::client::Client;
use super::clock::unix_time;
use super::grant::Tokens;
use super::metadata::Server;
use super::problem::Problem;
use super::record::{Record, Section};
use super::store::Store;
use crate::redact::{Origin, Secrets};

/// A token that was given this recently and is refused is refused for good, in seconds.
const FRESH: u64 = 60;

/// The token that is in use.
#[derive(Clone)]
pub(crate) struct Held {
    /// `Authorization`
    pub(super) header: HeaderValue,
    pub(super) scopes: Vec<String>,
    /// Whether there is a refresh token that has not been refused.
    pub(super) can_renew: bool,
    expires_at: Option<u64>,
    renew_at: Option<u64>,
    /// When it was got, if that was in this process.
    got: Option<(Instant, u64)>,
    /// Whether the store has it.
    is_kept: bool,
    /// Whether the upstream has taken it.
    was_accepted: Arc<AtomicBool>,
}

impl Held {
    /// Whether it should be renewed before it is used.
    pub(super) fn is_due(&self) -> bool {
        self.renew_at.is_some_and(|at| at <= unix_time())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= unix_time())
    }

    /// Whether it was got a moment ago and has never been taken.
    pub(super) fn is_fresh(&self) -> bool {
        let is_new = self.got.is_some_and(|(got, limit)| got.elapsed().as_secs() < limit);
        is_new && !self.has_ended() && !self.was_accepted.load(Ordering::Relaxed)
    }
}

/// What an authorization server gave, with what it takes to use it.
pub(super) struct Got<'a> {
    pub(super) server: &'a Server,
    pub(super) client: &'a Client,
    pub(super) resource: Option<&'a str>,
    pub(super) tokens: &'a Tokens,
}

/// The token in memory and its store.
pub(super) struct Credentials {
    pub(super) store: Store,
    secrets: Arc<Secrets>,
    /// The upstream as it may be shown.
    shown: String,
    held: Mutex<Option<Arc<Held>>>,
    loading: Once,
    /// Whether the token crosses the network unencrypted, and nobody has been told yet.
    is_in_clear: AtomicBool,
}

impl Credentials {
    pub(super) fn new(store: Store, secrets: Arc<Secrets>, shown: String, in_clear: bool) -> Self {
        let is_in_clear = AtomicBool::new(in_clear);
        Self { store, secrets, shown, held: Mutex::default(), loading: Once::new(), is_in_clear }
    }

    /// The token that is in use. The first call reads it from the store.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.loading.call_once(|| match self.store.load() {
            Ok(Some(record)) => {
                if let Some(tokens) = record.tokens() {
                    self.adopt(tokens, false, true);
                }
            }
            Ok(None) => {}
            Err(problem) => self.warn(&problem),
        });
        self.slot().clone()
    }

    /// Whether there is another token than `sent`.
    pub(super) fn differs_from(&self, sent: Option<&HeaderValue>) -> bool {
        self.held().is_some_and(|held| Some(&held.header) != sent)
    }

    /// Takes the token in the store, if another process has put another one than `sent` there.
    pub(super) fn reload(&self, sent: Option<&HeaderValue>) -> Result<bool, Problem> {
        let record = self.store.load()?;
        let tokens = record.as_ref().and_then(Record::tokens);
        let Some(tokens) = tokens.filter(|tokens| tokens.header().as_ref() != sent) else {
            return Ok(false);
        };
        self.adopt(tokens, false, true);
        Ok(true)
    }

    /// Uses `tokens` from now on, which were got now (`is_new`) or by another process.
    pub(super) fn adopt(&self, tokens: &Tokens, is_new: bool, is_kept: bool) {
        let Some(header) = tokens.header() else {
            tracing::warn!("the token holds characters that a header cannot carry");
            return;
        };
        self.conceal(&tokens.access);
        if let Some(refresh) = &tokens.refresh {
            self.conceal(refresh);
        }
        if self.is_in_clear.swap(false, Ordering::Relaxed) {
            let shown = &self.shown;
            tracing::warn!("the token for {shown} crosses the network unencrypted: use https://");
        }
        let life = tokens.expires_at.map_or(u64::MAX, |at| at.saturating_sub(unix_time()));
        let held = Held {
            header,
            scopes: tokens.scopes.clone(),
            can_renew: tokens.refresh.is_some(),
            expires_at: tokens.expires_at,
            renew_at: tokens.renew_at,
            got: is_new.then(|| (Instant::now(), FRESH.min(life / 2))),
            is_kept,
            was_accepted: Arc::default(),
        };
        *self.slot() = Some(Arc::new(held));
    }

    /// The upstream has taken `sent`.
    pub(super) fn note_accepted(&self, sent: &HeaderValue) {
        let slot = self.slot();
        let held = slot.as_ref().filter(|held| held.header == sent);
        if let Some(held) = held {
            held.was_accepted.store(true, Ordering::Relaxed);
        }
    }

    /// Renews `held` not before `pause` seconds from now, or not ahead of a refusal at all.
    pub(super) fn postpone(&self, held: &Arc<Held>, pause: Option<u64>) {
        self.change(held, |held| held.renew_at = pause.map(|pause| unix_time() + pause));
    }

    /// The refresh token that belongs to `held` is not good any more.
    pub(super) fn note_unrenewable(&self, held: &Arc<Held>) {
        self.change(held, |held| {
            held.can_renew = false;
            held.renew_at = None;
        });
    }

    fn change(&self, held: &Arc<Held>, change: impl FnOnce(&mut Held)) {
        let mut slot = self.slot();
        if let Some(current) = slot.as_mut().filter(|current| current.header == held.header) {
            let mut changed = Held::clone(current);
            change(&mut changed);
            *current = Arc::new(changed);
        }
    }

    /// The store has no token any more: somebody has signed out.
    pub(super) fn forget_kept(&self) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|held| held.is_kept) {
            *slot = None;
        }
    }

    /// Writes down what was `got`, then uses it. Waits for the lock of the store.
    pub(super) async fn keep(&self, got: &Got<'_>) {
        // What was got is not lost because it cannot be written.
        let lock = self.store.lock().await.inspect_err(|problem| self.warn(problem));
        let record = self.store.load().inspect_err(|problem| self.warn(problem));
        self.keep_in(&mut record.ok().flatten().unwrap_or_default(), got);
        drop(lock);
    }

    /// As [`Credentials::keep`], in the `record` that was just read, under the lock of the store.
    pub(super) fn keep_in(&self, record: &mut Record, got: &Got<'_>) {
        let issuer = got.server.issuer();
        // Tokens of one issuer are of no use once another one is in charge.
        for (_, other) in record.servers.iter_mut().filter(|(known, _)| *known != issuer) {
            other.tokens = None;
        }
        let section = Section {
            server: got.server.document().clone(),
            client: got.client.to_keep(),
            resource: got.resource.map(str::to_owned),
            tokens: Some(got.tokens.clone()),
        };
        record.set(issuer, section);
        if !self.store.is_lasting() {
            tracing::warn!(
                "the sign-in to {} ends with this process: this system names no folder to keep it in; set \
                 MCPLINE_STATE_DIR",
                self.shown
            );
        }
        let saved = self.store.save(record).inspect_err(|problem| self.warn(problem));
        self.adopt(got.tokens, true, saved.is_ok() && self.store.is_lasting());
    }

    /// Keeps `secret` out of what is shown.
    pub(super) fn conceal(&self, secret: &str) {
        self.secrets.add_of(Origin::Token, secret);
    }

    /// `text` without secrets.
    pub(super) fn redacted(&self, text: &str) -> String {
        self.secrets.redact(text).into_owned()
    }

    /// Tells `problem` in the log.
    pub(super) fn warn(&self, problem: &Problem) {
        tracing::warn!("{}", problem.text(&self.shown));
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn slot(&self) -> MutexGuard<'_, Option<Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Settings;

    #[test]
    fn a_token_is_fresh_until_it_is_taken_or_half_of_its_life_is_over() {
        let store = Store::new(&Settings::default());
        let credentials = Credentials::new(store, Arc::default(), String::new(), false);
        // Seconds that the token lives, and whether it is then fresh.
        for (life, is_fresh) in
            [(Some(3600), true), (None, true), (Some(1), false), (Some(0), false)]
        {
            let tokens = Tokens {
                access: "some-token".into(),
                refresh: None,
                obtained_at: None,
                expires_at: life.map(|life| unix_time() + life),
                renew_at: None,
                scopes: Vec::new(),
            };
            credentials.adopt(&tokens, true, false);
            let held = credentials.held().unwrap();
            assert_eq!(held.is_fresh(), is_fresh, "{life:?}");
            credentials.note_accepted(&held.header);
            assert!(!held.is_fresh());
            credentials.adopt(&tokens, false, false);
            assert!(!credentials.held().unwrap().is_fresh(), "another process has got it");
        }
    }
}
