//! What a check knows: the server, the session that it has opened, and how far that came.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::pasted;
use super::report::Finding;
use crate::commands::local_client::{LocalClient, RequestError};
use crate::commands::server::Server;
use crate::config::IDLE_TIMEOUT;
use crate::hint::Words;
use crate::http::{Entry, Head, Http, Journal, Met, Stage};
use crate::oauth::Survey;
use crate::retry::Policy;
use crate::setup::SetupError;

/// Time without a sign of life, where the person has not chosen one: somebody waits for the check.
const PATIENCE: Duration = Duration::from_mins(1);

/// Longer than everything that bounds the opening of a session.
const NO_BOUND: Duration = Duration::from_hours(1);

/// A check under way.
pub(super) struct Checkup {
    pub(super) server: Server,
    pub(super) http: Arc<Http>,
    pub(super) journal: Arc<Journal>,
    pub(super) client: LocalClient,
    /// The outcome of `initialize`, once it was asked for.
    opened: Option<Result<String, RequestError>>,
    /// What a sign-in rests on, once it was looked at.
    pub(super) survey: Option<Survey>,
}

/// Where the opening of the session has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broke {
    /// Nothing was sent there.
    Address,
    Name,
    Proxy,
    Connection,
    Tls,
    Http,
    SignIn,
    Handshake,
}

impl Checkup {
    /// A check of `server`. It sends nothing yet.
    ///
    /// # Errors
    /// A part cannot be set up.
    pub(super) fn new(mut server: Server) -> Result<Self, SetupError> {
        if server.upstream.http.idle_timeout == IDLE_TIMEOUT {
            server.upstream.http.idle_timeout = PATIENCE;
        }
        // The first failure is what the person wants to know.
        server.conversation.policy = Policy { enabled: false, ..server.conversation.policy };
        server.conversation.start_timeout = NO_BOUND;
        let journal = Arc::<Journal>::default();
        let http = Http::new(&server.upstream.http, &server.upstream.endpoint.url)?;
        let http = Arc::new(http.noting_in(journal.clone()));
        let client = LocalClient::start_over(http.clone(), &server)?;
        Ok(Self { server, http, journal, client, opened: None, survey: None })
    }

    pub(super) fn url(&self) -> &Url {
        &self.server.upstream.endpoint.url
    }

    /// The outcome of opening the session, which is opened at the first call.
    pub(super) async fn opened(&mut self) -> &Result<String, RequestError> {
        if self.opened.is_none() {
            self.opened = Some(self.client.initialize().await);
        }
        self.opened.get_or_insert_with(|| Ok(String::new()))
    }

    /// Where opening the session failed, if it did.
    pub(super) async fn broke(&mut self) -> Option<(Broke, RequestError)> {
        let error = self.opened().await.as_ref().err()?.clone();
        Some((self.place_of(&error), error))
    }

    /// The finding of the step to which `place` belongs, if the opening failed there.
    pub(super) async fn failed_at(&mut self, place: Broke) -> Option<Finding> {
        let (broke, error) = self.broke().await?;
        (broke == place).then(|| self.finding(&error))
    }

    /// `error` as the finding of a step.
    pub(super) fn finding(&self, error: &RequestError) -> Finding {
        let own = error.hint.clone();
        let pasted = pasted::recognised(self.url()).map(|(_, hint)| hint);
        let hint = match (pasted, own) {
            (Some(pasted), Some(own)) if pasted.is_in(&own) => Some(own.into()),
            // The error's own words are in the person's language already.
            (Some(pasted), Some(own)) => Some(pasted.map(|pasted| format!("{pasted} {own}"))),
            (pasted, own) => pasted.or(own.map(Words::from)),
        };
        let finding = Finding::failed(error.what().to_owned(), hint).fact("code", error.code);
        match error.status {
            Some(status) => finding.fact("httpStatus", status),
            None => finding,
        }
    }

    /// The request and the head that tell most: of the answer with `status`, else of what opened the
    /// session, else of the last answer.
    pub(super) fn head(&self, status: Option<u16>) -> Option<(String, Duration, Head)> {
        let head = |Entry { method, url, elapsed, met }| {
            let Met::Head(head) = met else { return None };
            Some((format!("{method} {url}"), elapsed, head))
        };
        let heads: Vec<_> = self.journal.entries().into_iter().filter_map(head).collect();
        let is_open = matches!(self.opened, Some(Ok(_)));
        let opens = |head: &Head| is_open && (200..300).contains(&head.status);
        let told = heads.iter().rfind(|(_, _, head)| Some(head.status) == status);
        told.or_else(|| heads.iter().find(|(_, _, head)| opens(head))).or(heads.last()).cloned()
    }

    fn place_of(&self, error: &RequestError) -> Broke {
        let met = self.journal.entries().pop().map(|entry| entry.met);
        if error.is_ours
            && error.status.is_none()
            && let Some(Met::Failure(stage)) = met
        {
            return match stage {
                Stage::Name => Broke::Name,
                Stage::Proxy => Broke::Proxy,
                Stage::Connection => Broke::Connection,
                Stage::Tls => Broke::Tls,
                Stage::Answer => Broke::Http,
            };
        }
        if error.is_ours && met.is_none() {
            return Broke::Address;
        }
        let status = error.status.or_else(|| Some(self.head(None)?.2.status));
        match status {
            Some(407) => Broke::Proxy,
            Some(401 | 403) => Broke::SignIn,
            Some(status) if error.status.is_some() && !(200..300).contains(&status) => Broke::Http,
            _ => Broke::Handshake,
        }
    }

    /// Ends the session.
    pub(super) async fn end(&mut self) {
        self.client.end().await;
    }
}
