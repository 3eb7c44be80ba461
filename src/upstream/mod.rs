//! The kinds of upstream: how each is spoken to on the wire.
//!
//! A kind opens a [`Session`] with the client's own `initialize`. A session takes one message at
//! a time and hands over what the upstream sends in answer, in order. Kinds know wire formats and
//! nothing of stdin, of retrying, or of when a session is opened again: that is [`crate::link`]'s.

mod amocrm;
mod auto;
mod bitrix;
mod http_sse;
mod json;
mod local;
mod onec;
mod repair;
mod settings;
mod streamable;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::Client;
use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Answer, Endpoint, Http, Refusal};
use crate::jsonrpc::{FromUpstream, Message, RequestId, Response, Unusable, from_upstream};

pub(crate) use self::amocrm::check_catalogue;
pub(crate) use self::local::asked_revision;
pub(crate) use self::onec::MAX_IN_FLIGHT as ONEC_MAX_IN_FLIGHT;
pub(crate) use self::settings::{Keep, KindSettings, LeadDefaults, With};

/// A future that a kind returns.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The header fields of a session (Streamable HTTP, "Session Management" and "Protocol Version
/// Header").
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// What servers write when they do not know a session, in small letters. The bare word is too
/// common: a cash register has sessions too.
const SESSION_UNKNOWN: [&str; 9] = [
    "session id",
    "session-id",
    "sessionid",
    "session not found",
    "session expired",
    "session has expired",
    "unknown session",
    "invalid session",
    "not initialized",
];

/// Whether the body of a refusal says that the session is not known.
fn names_session(body: &[u8]) -> bool {
    let body = &body[..body.len().min(4096)];
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    SESSION_UNKNOWN.iter().any(|phrase| text.contains(phrase))
}

/// How an upstream is reached (`--kind`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`
    #[default]
    Auto,
    /// An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE
    Mcp,
    /// An MCP server on HTTP+SSE (revision 2024-11-05)
    Sse,
    /// An HTTP service of 1C:Enterprise; the URL is the infobase's or the service's
    #[value(name = "1c", alias = "onec")]
    OneC,
    /// The Bitrix24 server b24-mcp
    #[value(alias = "bitrix24")]
    Bitrix,
    /// The amoCRM server mcp-amocrm-server, over MCP or its REST API
    Amocrm,
}

impl Kind {
    /// The kind that a URL gives away by itself.
    pub(crate) fn at(self, url: &Url) -> Self {
        if self == Self::Auto && onec::is_service(url) { Self::OneC } else { self }
    }
}

/// The upstream at `url`.
///
/// # Errors
/// A setting of the kind cannot be used, in words.
pub(crate) fn upstream(
    http: Arc<Http>,
    url: Url,
    settings: &KindSettings,
) -> Result<Box<dyn Upstream>, String> {
    let endpoint = Endpoint::new(url);
    Ok(match settings.kind {
        Kind::Auto => Box::new(auto::Auto::new(http, endpoint, Some(settings))),
        Kind::Mcp => Box::new(auto::Auto::new(http, endpoint, None)),
        Kind::Sse => Box::new(http_sse::HttpSse::new(http, endpoint)),
        Kind::OneC => Box::new(onec::OneC::new(http, &endpoint.url, settings)),
        Kind::Bitrix => Box::new(bitrix::Bitrix::new(http, &endpoint.url, settings)),
        Kind::Amocrm => Box::new(amocrm::Amocrm::new(http, &endpoint.url, settings)?),
    })
}

/// `url` without the first of `endings` that its path has, and without a slash at its end. Its
/// query stays: keys stand there.
fn base_url(url: &Url, endings: &[&str]) -> Url {
    let mut base = url.clone();
    base.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = endings.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    base.set_path(path.trim_end_matches('/'));
    base
}

/// The endpoint at `target`, a path with or without a query, below `base`.
fn endpoint_at(base: &Url, target: &str) -> Endpoint {
    let mut url = base.clone();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}{path}"));
    let queries: Vec<_> = query.into_iter().chain(base.query()).collect();
    url.set_query((!queries.is_empty()).then(|| queries.join("&")).as_deref());
    Endpoint::new(url)
}

/// A service that messages are forwarded to.
pub trait Upstream: Send + Sync {
    /// Opens a session with `initialize`.
    ///
    /// # Errors
    /// No session; [`Failure::answer`] holds the upstream's own error when it refused.
    fn open<'a>(
        &'a self,
        initialize: &'a Request,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>>;

    /// Whether the kind knows that doing `message` twice does no more than doing it once, although
    /// nothing that the upstream says of its tools tells so.
    fn is_repeatable(&self, _message: &Message) -> bool {
        false
    }
}

/// What [`Upstream::open`] gives.
pub struct Opened {
    /// The session, in which `notifications/initialized` has not been sent.
    pub session: Arc<dyn Session>,
    /// The answer to `initialize`: a result.
    pub response: Response,
}

/// One session with an upstream, from `initialize` to its end.
pub trait Session: Send + Sync {
    /// Sends a request and waits for its response. What else the upstream sends meanwhile is
    /// delivered to the client before that.
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>>;

    /// Sends a notification or a response; whatever the upstream answers is nobody's concern.
    ///
    /// A service without sessions has nothing to be told.
    fn send<'a>(&'a self, _message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Starts to listen for what the upstream sends outside of any exchange, where the kind
    /// knows such a thing. Called once, after `notifications/initialized`.
    fn listen(&self) {}

    /// Whether the upstream has given the session an id, by which alone it knows us.
    fn has_id(&self) -> bool {
        false
    }

    /// Cancelled once the session is closed, or turns out to be gone while nobody was asking;
    /// cancelling it stops what the session does in the background.
    fn ended(&self) -> &CancellationToken;

    /// Tells the upstream, if it is to know, that the session is not needed any more.
    fn close(&self) -> Pending<'_, ()> {
        self.ended().cancel();
        Box::pin(std::future::ready(()))
    }
}

/// A request on its way to an upstream.
#[derive(Debug, Clone)]
pub struct Request {
    /// The client's message.
    pub message: Message,
    /// The id that the upstream sees: the client's own where that can travel.
    pub wire_id: RequestId,
    /// The client's text with that id.
    pub body: Bytes,
}

impl Request {
    /// A request that travels with `wire_id`.
    pub fn new(message: Message, wire_id: RequestId) -> Self {
        let body = message.text_with_id(&wire_id);
        Self { message, wire_id, body }
    }

    /// Whether `response` answers this request. An upstream that could not read the id writes
    /// none, or `null`.
    fn is_answered_by(&self, response: &Response) -> bool {
        response.has_no_id() || response.id().is_some_and(|id| self.wire_id.is_echoed_by(&id))
    }

    /// Reads the body of `answer`, which is to answer this request, delivering what else it holds.
    async fn answer_in(
        &self,
        answer: Answer,
        session: impl Fn() -> Arc<dyn Session>,
        client: &Client,
    ) -> Result<Response, Failure> {
        let (url, status) = (answer.url().clone(), answer.status());
        let content_type = answer.headers().get(CONTENT_TYPE).cloned();
        let content_type = || content_type.as_ref()?.to_str().ok();
        let body = answer.bytes().await?;
        if body.trim_ascii().is_empty() {
            return Err(unusable(format!("{url} answered with HTTP {status} and an empty body")));
        }
        let messages = from_upstream(&body).map_err(|Unusable(why)| {
            let said = http::excerpt(&body, content_type());
            let kind = content_type().unwrap_or("no content type");
            unusable(format!("the answer of {url} ({kind}) cannot be used: {why}; it says: {said}"))
        })?;
        let (mut answer, mut other) = (None, None);
        for message in messages {
            match message {
                FromUpstream::Message(message) => {
                    Box::pin(deliver(message, session(), client)).await;
                }
                FromUpstream::Response(response) => {
                    if answer.is_none() && self.is_answered_by(&response) {
                        answer = Some(response);
                    } else {
                        other = response.id();
                    }
                }
            }
        }
        answer.ok_or_else(|| {
            unusable(match other {
                Some(id) => {
                    format!("{url} answered another request ({id} in place of {})", self.wire_id)
                }
                None => format!("the answer of {url} holds no response"),
            })
        })
    }
}

/// The result of `initialize`, or the upstream's own error as the failure.
fn accepted<'a>(response: &'a Response, url: &str) -> Result<&'a Bytes, Failure> {
    response.result().ok_or_else(|| {
        let what = format!("{url} refused `initialize`");
        let mut failure = Failure::new(Class::Final, Cause::Refused, what);
        failure.answer = Some(Box::new(response.clone()));
        failure
    })
}

/// Success without a word, which answers nothing.
fn says_nothing(url: &str) -> Failure {
    unusable(format!("{url} answered with success and an empty body, which is no answer"))
}

/// An answer that is none.
fn unusable(what: String) -> Failure {
    Failure::new(Class::Final, Cause::Unusable, what)
        .hint("Check that the URL is the MCP endpoint itself, and look at the server's log.")
}

/// Methods that no server sends to a client. Some servers tell everybody on their streams what
/// others have asked.
const CLIENTS_OWN: [&str; 11] = [
    "initialize",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/read",
    "resources/query",
    "resources/subscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
];

/// The JSON-RPC error that `body` holds, unless it answers something else than `request`.
fn own_error(body: &Bytes, request: Option<&Request>) -> Option<Response> {
    let mut messages = from_upstream(body).ok()?;
    let FromUpstream::Response(response) = messages.pop()? else { return None };
    let is_the_answer = messages.is_empty()
        && response.is_genuine_error()
        && request.is_none_or(|request| request.is_answered_by(&response));
    is_the_answer.then_some(response)
}

/// The failure for a refusal of `request`, if it was one, within a session or without.
fn refused(refusal: &Refusal, request: Option<&Request>, has_session: bool) -> Failure {
    let mut failure = refusal.failure();
    let own_error = own_error(&refusal.body, request);
    // An error with the request's own id comes from a server that knew what it was asked.
    let knew = own_error.as_ref().is_some_and(|error| !error.has_no_id());
    if has_session && is_session_gone(refusal.status, &refusal.body, knew) {
        failure.class = Class::SessionLost;
    }
    let says_it_better =
        failure.class == Class::Final && refusal.status != StatusCode::UNAUTHORIZED;
    if says_it_better || failure.class == Class::SessionLost {
        failure.answer = own_error.map(Box::new);
    }
    failure
}

/// Whether an answer within a session means that the session is gone: 404 ("Session Management",
/// item 3), or what servers in the field send instead: 410, or a 400 that names the session. A
/// server that `knew` what it was asked has the session, unless it says otherwise.
fn is_session_gone(status: StatusCode, body: &[u8], knew: bool) -> bool {
    match status.as_u16() {
        404 | 410 => !knew || names_session(body),
        400 => names_session(body),
        _ => false,
    }
}

/// Delivers what the upstream sent of its own accord, and sends back the refusal of a question
/// that nobody can answer any more.
async fn deliver(message: Message, session: Arc<dyn Session>, client: &Client) {
    if CLIENTS_OWN.contains(&message.method()) {
        tracing::warn!(method = message.method(), "what only clients send came from the upstream");
        return;
    }
    tracing::debug!(method = message.method(), "upstream sends");
    if let Some(refusal) = client.deliver(message, session.clone()).await
        && let Err(failure) = session.send(&refusal).await
    {
        tracing::debug!("refusing the upstream's request failed: {}", failure.summary());
    }
}

/// The header fields of every POST (Streamable HTTP, "Sending Messages to the Server").
fn post_headers() -> HeaderMap {
    // Room for what the session, the credentials and HTTP itself add.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers
}

/// The header fields of every GET for an event stream.
fn stream_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers
}
