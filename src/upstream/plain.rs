//! An MCP server on one of the two transports (`--kind mcp`): Streamable HTTP, falling back to
//! HTTP+SSE (revision 2025-11-25, Transports, "Backwards Compatibility"). The client's own
//! `initialize` is the probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::http_sse::{Beginning, ENDPOINT_PATIENCE, HttpSse};
use super::refusal::{may_be_http_sse, may_refuse_posts};
use super::streamable::Streamable;
use super::{Client, Greeting, Opened, Pending, Request, Upstream};
use crate::failure::{Class, Failure};
use crate::hint::{Hint, Words};
use crate::http::{Endpoint, Http};

/// Time for the beginning of a stream where the refusal of the POST does not point to one.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// An MCP server at one URL.
pub(super) struct Plain {
    streamable: Streamable,
    http_sse: HttpSse,
    /// Which transport has answered, kept for the life of the process.
    is_http_sse: AtomicBool,
}

/// Why no session was opened.
pub(super) struct NoSession {
    /// The failure that tells most of it.
    pub(super) failure: Failure,
    /// Whether no MCP endpoint is at the URL, so that one may be elsewhere on the server.
    pub(super) is_elsewhere: bool,
}

impl From<NoSession> for Failure {
    fn from(NoSession { failure, .. }: NoSession) -> Self {
        failure
    }
}

impl Plain {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint) -> Self {
        Self {
            streamable: Streamable::new(http.clone(), endpoint.clone()),
            http_sse: HttpSse::new(http, endpoint),
            is_http_sse: AtomicBool::new(false),
        }
    }

    /// Whether the server has answered on HTTP+SSE.
    pub(super) fn is_http_sse(&self) -> bool {
        self.is_http_sse.load(Ordering::Relaxed)
    }

    pub(super) async fn open(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, NoSession> {
        let stays = |failure| NoSession { failure, is_elsewhere: false };
        if self.is_http_sse() {
            return self.http_sse.open(initialize, client).await.map_err(stays);
        }
        match self.streamable.open(initialize, client).await {
            Err(refusal) if may_be_http_sse(&refusal) => {
                self.open_http_sse(refusal, initialize, client).await
            }
            Err(refusal) if may_refuse_posts(&refusal) => {
                match self.http_sse.begin(PROBE_PATIENCE).await {
                    Ok(beginning) if beginning.first.name == "endpoint" => {
                        let opened = self.open_on(beginning, initialize, client).await;
                        opened.map_err(stays)
                    }
                    _ => Err(stays(refusal)),
                }
            }
            outcome => outcome.map_err(stays),
        }
    }

    /// Opens a session on HTTP+SSE where Streamable HTTP was refused with `refusal`.
    pub(super) async fn open_http_sse(
        &self,
        refusal: Failure,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, NoSession> {
        tracing::debug!("no Streamable HTTP here ({}); trying HTTP+SSE", refusal.summary());
        let elsewhere = |failure| NoSession { failure, is_elsewhere: true };
        let no_stream = match self.http_sse.begin(ENDPOINT_PATIENCE).await {
            Ok(beginning) if beginning.first.name == "endpoint" => {
                // From here on the stream's failure tells more than the probe's.
                let opened = self.open_on(beginning, initialize, client).await;
                return opened.map_err(elsewhere);
            }
            Ok(_) => "its event stream does not begin with an endpoint".to_owned(),
            Err(failure) => failure.what,
        };
        tracing::debug!("no HTTP+SSE either: {no_stream}");
        Err(elsewhere(refusal))
    }

    /// Opens a session on the stream of HTTP+SSE that has begun.
    async fn open_on(
        &self,
        beginning: Beginning,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let opened = self.http_sse.open_on(beginning, initialize, client).await?;
        tracing::info!("the upstream speaks HTTP+SSE (revision 2024-11-05)");
        self.is_http_sse.store(true, Ordering::Relaxed);
        Ok(opened)
    }
}

/// Whether a refusal of `initialize` may come from what is not the MCP endpoint, and another address
/// or variant of the server would do.
pub(super) fn may_be_elsewhere(refusal: &Failure) -> bool {
    refusal.class() == Class::Final && refusal.answer.is_none() && !is_about_credentials(refusal)
}

pub(super) fn is_about_credentials(failure: &Failure) -> bool {
    matches!(failure.status, Some(401 | 403))
}

/// `failure` with the hint of a kind that has found nothing in its places either. A redirect, or a
/// refusal for another reason than the address, has a better one.
pub(super) fn hint_not_here(failure: Failure, hint: Hint) -> Failure {
    match failure.status {
        None | Some(404 | 405 | 410) => failure.hint(hint),
        _ => failure,
    }
}

impl Upstream for Plain {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(async { Ok(self.open(greeting.initialize(), client).await?) })
    }

    fn variant(&self) -> Option<Words> {
        if self.is_http_sse() { self.http_sse.variant() } else { self.streamable.variant() }
    }
}
