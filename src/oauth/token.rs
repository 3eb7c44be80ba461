//! The token that is in use: taking it from the store, and renewing it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::client::Client;
use super::discovery::Found;
use super::flow::resource_for;
use super::grant::{NoToken, TokenRequest, Tokens};
use super::metadata::Server;
use super::problem::Problem;
use super::store::{Record, Section};
use super::{SignIn, Stage, unix_time};
use crate::redact::Origin;

/// A token that was given this recently and is refused is refused for good.
const FRESH: Duration = Duration::from_mins(1);

/// The token that is in use.
pub(crate) struct Held {
    /// `Authorization`
    pub(super) header: HeaderValue,
    pub(super) scopes: Vec<String>,
    expires_at: Option<u64>,
    renew_at: Option<u64>,
    /// When it was got, if that was in this process.
    got: Option<Instant>,
}

impl Held {
    /// Whether it should be renewed before it is used.
    pub(super) fn is_due(&self) -> bool {
        self.renew_at.is_some_and(|at| at <= unix_time())
    }

    fn has_ended(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= unix_time())
    }

    /// Whether it was got a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        self.got.is_some_and(|got| got.elapsed() < FRESH)
    }
}

fn header(access: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {access}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A program that signs in by itself has to be known to the server.
pub(super) fn no_own_client() -> Problem {
    Problem::new(
        "--oauth-grant client-credentials needs a client id",
        "Set MCPLINE_OAUTH_CLIENT_ID, and MCPLINE_OAUTH_CLIENT_SECRET or MCPLINE_OAUTH_CLIENT_KEY_FILE.",
    )
}

impl SignIn {
    /// The token that is in use. The first call looks into the store.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        if self.is_loaded.swap(true, Ordering::Relaxed) {
            return self.state().held.clone();
        }
        match self.store.load() {
            Ok(Some(record)) => self.adopt(record.tokens()?, false),
            Ok(None) => {}
            Err(problem) => tracing::warn!("{}", problem.text(&self.shown)),
        }
        self.state().held.clone()
    }

    /// Whether there is another token than `sent`.
    pub(super) fn differs_from(&self, sent: Option<&HeaderValue>) -> bool {
        self.held().is_some_and(|held| Some(&held.header) != sent)
    }

    /// Takes the token in the store, if another process has put another one than `sent` there.
    pub(super) fn reload(&self, sent: Option<&HeaderValue>) -> Result<bool, Problem> {
        let record = self.store.load()?;
        let tokens = record.as_ref().and_then(Record::tokens);
        let Some(tokens) = tokens.filter(|tokens| header(&tokens.access).as_ref() != sent) else {
            return Ok(false);
        };
        self.adopt(tokens, false);
        Ok(true)
    }

    /// Uses `tokens` from now on, which were got now (`is_new`) or taken from the store.
    pub(super) fn adopt(&self, tokens: &Tokens, is_new: bool) {
        let Some(header) = header(&tokens.access) else {
            tracing::warn!("the token holds characters that a header cannot carry");
            return;
        };
        for secret in [Some(&tokens.access), tokens.refresh.as_ref()].into_iter().flatten() {
            self.secrets.add_of(Origin::Token, secret);
        }
        let held = Held {
            header,
            scopes: tokens.scopes.clone(),
            expires_at: tokens.expires_at,
            renew_at: tokens.renew_at.filter(|_| tokens.refresh.is_some()),
            got: is_new.then(Instant::now),
        };
        let mut state = self.state();
        state.held = Some(Arc::new(held));
        drop(state);
        self.changed.send_replace(());
    }

    /// Renews `held`, which is due: in the background while it is still good.
    pub(crate) async fn renew_ahead(self: &Arc<Self>, held: &Arc<Held>) {
        let (this, due) = (self.clone(), held.clone());
        let renewing = tokio::spawn(async move {
            let _turn = if due.has_ended() {
                this.turn.lock().await
            } else {
                let Ok(turn) = this.turn.try_lock() else { return };
                turn
            };
            if this.differs_from(Some(&due.header)) {
                return;
            }
            match this.renew(None).await {
                Ok(true) => {}
                // Refused: what the upstream says of the old token counts from here on.
                Ok(false) => this.give_up_renewing(&due, None),
                Err(problem) => {
                    tracing::warn!("the token is not renewed yet: {}", problem.what());
                    this.give_up_renewing(&due, Some(30));
                }
            }
        });
        if held.has_ended() {
            let _ = renewing.await;
        }
    }

    /// Renews `held` not before `pause` seconds from now, or not ahead of a refusal at all.
    fn give_up_renewing(&self, held: &Arc<Held>, pause: Option<u64>) {
        let mut state = self.state();
        if state.held.as_ref().is_some_and(|current| Arc::ptr_eq(current, held)) {
            let later = Held {
                header: held.header.clone(),
                scopes: held.scopes.clone(),
                expires_at: held.expires_at,
                renew_at: pause.map(|pause| unix_time() + pause),
                got: held.got,
            };
            state.held = Some(Arc::new(later));
        }
    }

    /// Renews the token with the refresh token in the store, at `server` as it was just found or as
    /// it is stored. False if there is none, or it is not good any more.
    ///
    /// # Errors
    /// The authorization server cannot be reached, or is not well.
    pub(super) async fn renew(&self, server: Option<&Server>) -> Result<bool, Problem> {
        let _lock = self.store.lock().await;
        let Some(mut record) = self.store.load()? else { return Ok(false) };
        let Some(mut section) = record.current().cloned() else { return Ok(false) };
        let Some(tokens) = section.tokens.take() else { return Ok(false) };
        // Another process has been faster.
        let held = self.held();
        let is_other = header(&tokens.access).as_ref() != held.as_ref().map(|held| &held.header);
        let is_good = tokens.renew_at.is_none_or(|at| at > unix_time());
        if is_other && is_good {
            self.adopt(&tokens, false);
            return Ok(true);
        }
        let Some(refresh) = &tokens.refresh else { return Ok(false) };
        let server = match server {
            Some(server) => server.clone(),
            None => {
                let issuer = section.server.issuer.clone();
                Server::check(section.server.clone(), &issuer, &self.reach)?
            }
        };
        let request = TokenRequest {
            web: &self.web,
            server: &server,
            client: &section.client.clone().with_key(&self.settings),
            resource: section.resource.as_deref(),
            scopes: &tokens.scopes,
        };
        match request.refresh(refresh).await {
            Ok(new) => {
                tracing::debug!("the token is renewed");
                section.server = server.document().clone();
                self.keep(&mut record, server.issuer(), section, &new);
                Ok(true)
            }
            Err(NoToken::Failed(failure)) => Err(Problem::of_failure(&failure)),
            Err(NoToken::Impossible(problem)) => Err(problem),
            Err(NoToken::Refused(refusal)) => {
                tracing::info!("the token cannot be renewed: {}", refusal.said());
                self.state().distrusts_client |= refusal.is_of_client();
                Ok(false)
            }
        }
    }

    /// Writes `tokens` down, then uses them.
    pub(super) fn keep(
        &self,
        record: &mut Record,
        issuer: &str,
        section: Section,
        tokens: &Tokens,
    ) {
        for (_, other) in record.servers.iter_mut().filter(|(known, _)| *known != issuer) {
            other.tokens = None;
        }
        record.set(issuer, Section { tokens: Some(tokens.clone()), ..section });
        if let Err(problem) = self.store.save(record) {
            tracing::warn!("{}", problem.text(&self.shown));
        }
        self.adopt(tokens, true);
    }

    /// Asks for a token that belongs to the client itself.
    pub(super) async fn ask_for_itself(&self, found: &Found) -> Result<(), Problem> {
        let Some(client) = Client::given(&self.settings, &found.server) else {
            return Err(no_own_client());
        };
        let resource = resource_for(found);
        let request = TokenRequest {
            web: &self.web,
            server: &found.server,
            client: &client,
            resource: resource.as_deref(),
            scopes: &found.scopes,
        };
        let tokens = request.client_credentials().await;
        let tokens = tokens.map_err(|why| why.to_problem(found.server.issuer()))?;
        let _lock = self.store.lock().await;
        let mut record = self.store.load()?.unwrap_or_default();
        let server = found.server.document().clone();
        let section = Section { server, client, resource, tokens: None };
        self.keep(&mut record, found.server.issuer(), section, &tokens);
        self.set_stage(Stage::Idle);
        Ok(())
    }
}
