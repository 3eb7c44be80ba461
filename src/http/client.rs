//! Sends requests and waits for the heads of their answers.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
    SET_COOKIE, USER_AGENT,
};
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

use super::auth::{Authorization, Credentials, Denial, Granted};
use super::body::Answer;
use super::connect::{ConnectSettings, Connections};
use super::cookies::Jar;
use super::failure;
use super::journal::{Entry, Head, Journal, Met, Stage};
use super::keeping::Keeping;
use super::peer::Peer;
use super::protocol::Question;
use super::proxy::{self, Proxy};
use super::redirects::{Moved, is_elsewhere, moves_all, target_within_origin};
use crate::attended::is_attended;
use crate::failure::{Cause, Class, Failure};
use crate::oauth::Verdict;
use crate::patience::within;
use crate::redact::{self, Origin, Secrets};
use crate::setup::SetupError;

/// How we name ourselves.
pub(super) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mcpline/", env!("CARGO_PKG_VERSION")));

/// The coding that [`super::coding`] reads best.
const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 5;

/// How often one request is sent again with other credentials: a token may end, and the next one lack
/// a scope.
const MAX_REFUSALS: usize = 3;

/// How to reach an upstream.
#[derive(Clone)]
pub struct HttpSettings {
    /// The user's own header fields, for the upstream's origin alone.
    pub headers: HeaderMap,
    /// The source of `Authorization`.
    pub authorization: Authorization,
    /// What must not be shown, to which session ids are added as they come.
    pub secrets: Arc<Secrets>,
    /// How connections are made.
    pub connect: ConnectSettings,
    /// Bound on the time without any sign of life from the upstream during a request.
    pub idle_timeout: Duration,
    /// Bound on the time for reading on where an answer broke off.
    pub retry_for: Duration,
    /// Bound on a decompressed body or event, in bytes.
    pub max_body: usize,
}

impl fmt::Debug for HttpSettings {
    /// Without the values of headers, which may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        formatter
            .debug_struct("HttpSettings")
            .field("headers", &headers)
            .field("authorization", &self.authorization)
            .field("secrets", &self.secrets)
            .field("connect", &self.connect)
            .field("idle_timeout", &self.idle_timeout)
            .field("retry_for", &self.retry_for)
            .field("max_body", &self.max_body)
            .finish()
    }
}

/// A URL to send requests to, with the text that errors name it by.
#[derive(Clone)]
pub struct Endpoint {
    /// The URL.
    pub url: Url,
    /// The URL as it may be shown.
    pub shown: Arc<str>,
    /// `Host`, which would otherwise be put together for each request.
    host: Option<HeaderValue>,
}

impl fmt::Debug for Endpoint {
    /// Without credentials and query, which hold keys and session ids.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

impl Endpoint {
    /// The endpoint at `url`.
    pub fn new(url: Url) -> Self {
        let shown = redact::shown(&url).into();
        let host = url.host_str().map(|host| match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        let host = host.and_then(|host| HeaderValue::try_from(host).ok());
        Self { url, shown, host }
    }

    /// Adds to `headers` what every request to this endpoint says. The client does so for each
    /// request that lacks it; a session that sends the same header fields again and again does it
    /// once.
    pub(crate) fn complete(&self, headers: &mut HeaderMap) {
        let own = [(HOST, self.host.clone()), (USER_AGENT, Some(AGENT))];
        for (name, value) in own.into_iter().chain([(ACCEPT_ENCODING, Some(ACCEPTED))]) {
            if let Some(value) = value {
                headers.entry(name).or_insert(value);
            }
        }
    }
}

/// An HTTP client for one upstream.
#[derive(Debug)]
pub struct Http {
    connections: Connections,
    keeping: Keeping,
    moved: Moved,
    protocol: Question,
    journal: Option<Arc<Journal>>,
    credentials: Credentials,
    jar: Mutex<Jar>,
    secrets: Arc<Secrets>,
    idle_timeout: Duration,
    retry_for: Duration,
    max_body: usize,
}

impl Http {
    /// Builds the client for `upstream`.
    ///
    /// # Errors
    /// The proxy or a header field is unusable.
    pub fn new(settings: &HttpSettings, upstream: &Url) -> Result<Self, SetupError> {
        let HttpSettings { headers, authorization, secrets, connect, .. } = settings.clone();
        let HttpSettings { idle_timeout, retry_for, max_body, .. } = *settings;
        let connections = Connections::new(connect, upstream)?;
        let credentials = Credentials::new(upstream.clone(), headers, authorization)?;
        Ok(Self {
            connections,
            keeping: Keeping::default(),
            moved: Moved::default(),
            protocol: Question::default(),
            journal: None,
            credentials,
            jar: Mutex::default(),
            secrets,
            idle_timeout,
            retry_for,
            max_body,
        })
    }

    /// Has the client note in `journal` what it meets.
    pub(crate) fn noting_in(self, journal: Arc<Journal>) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// The proxy that leads to the upstream, if any.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.connections.proxy()
    }

    /// The certificate that the upstream has shown, if it has.
    pub(crate) fn peer(&self) -> Option<Peer> {
        self.connections.peer()
    }

    /// Bound on the time without any sign of life.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Time for reading on where an answer broke off.
    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    /// Keeps `value` out of logs and error texts: an id that is as good as a password.
    pub(crate) fn conceal(&self, value: &str) {
        self.secrets.add_of(Origin::Session, value);
    }

    /// The cookies that the user wants sent, for kinds that send cookies of their own.
    pub(crate) fn cookie(&self) -> Option<&HeaderValue> {
        self.credentials.headers().get(COOKIE)
    }

    /// Posts `body` and waits for the head of the answer.
    ///
    /// # Errors
    /// No connection, no answer in time, or the connection broke.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        headers: impl Borrow<HeaderMap>,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        self.post_if_repeatable(false, endpoint, headers, body).await
    }

    /// As [`Http::post`]. What `is_repeatable`, because a second run does no harm, may go on a
    /// connection of which it is not known yet whether the upstream keeps it open.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub async fn post_if_repeatable(
        &self,
        is_repeatable: bool,
        endpoint: &Endpoint,
        headers: impl Borrow<HeaderMap>,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let outline = Outline::new(Method::POST, endpoint, headers.borrow(), Some(body));
        self.send(Outline { is_repeatable, ..outline }).await
    }

    /// Gets `endpoint` and waits for the head of the answer.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub async fn get(
        &self,
        endpoint: &Endpoint,
        headers: impl Borrow<HeaderMap>,
    ) -> Result<Answer, Failure> {
        self.send(Outline::new(Method::GET, endpoint, headers.borrow(), None)).await
    }

    /// As [`Http::get`], for what no request of the client waits for: no person is asked to sign in.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub(crate) async fn get_in_background(
        &self,
        endpoint: &Endpoint,
        headers: impl Borrow<HeaderMap>,
    ) -> Result<Answer, Failure> {
        let outline = Outline::new(Method::GET, endpoint, headers.borrow(), None);
        self.send(Outline { may_ask: false, ..outline }).await
    }

    /// Deletes `endpoint` and waits for the status.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub async fn delete(
        &self,
        endpoint: &Endpoint,
        headers: impl Borrow<HeaderMap>,
    ) -> Result<StatusCode, Failure> {
        let outline = Outline::new(Method::DELETE, endpoint, headers.borrow(), None);
        let answer = self.send(outline).await?;
        Ok(answer.status())
    }

    /// Sends a request of any method and waits for the head of the answer.
    ///
    /// # Errors
    /// As for [`Http::post`]; `method` is not an HTTP method.
    pub async fn request(
        &self,
        method: &str,
        endpoint: &Endpoint,
        headers: impl Borrow<HeaderMap>,
        body: Option<Bytes>,
    ) -> Result<Answer, Failure> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| {
            Failure::new(Class::Final, Cause::Refused, format!("`{method}` is not an HTTP method"))
        })?;
        self.send(Outline::new(method, endpoint, headers.borrow(), body)).await
    }

    /// Sends a request. Follows redirects within the origin, and repeats the request if it was refused
    /// with credentials that have changed meanwhile.
    async fn send(&self, outline: Outline<'_>) -> Result<Answer, Failure> {
        let endpoint = outline.endpoint;
        let shown = &endpoint.shown;
        let remembered = self.moved.target(&endpoint.url);
        let mut is_remembered = remembered.is_some();
        let mut url = remembered.map_or(Cow::Borrowed(&endpoint.url), Cow::Owned);
        let mut redirects = 0;
        let mut is_for_all = true;
        let mut refusals = 0;
        loop {
            let begun = self.journal.is_some().then(Instant::now);
            let granted = self.credentials.for_url(&url).await;
            let is_pooled = outline.is_repeatable || self.keeping.is_trusted();
            let client =
                if is_pooled { self.connections.client() } else { self.connections.unpooled() };
            // Not built in a `let`: this future would hold the request, which is large.
            let sending = client.execute(self.assemble(&outline, &url, granted.as_ref()));
            let response = match within(self.idle_timeout, pin!(sending)).await {
                Some(Ok(response)) => response,
                Some(Err(error)) => {
                    self.moved.forget(&endpoint.url);
                    if is_pooled && !error.is_connect() {
                        self.keeping.note_broken();
                    }
                    let (failure, stage) = Box::pin(self.not_answered(&error, endpoint)).await;
                    self.note(&outline, begun, || Met::Failure(stage));
                    return Err(failure);
                }
                None => {
                    self.moved.forget(&endpoint.url);
                    self.note(&outline, begun, || Met::Failure(Stage::Answer));
                    return Err(failure::timed_out(shown, self.idle_timeout));
                }
            };
            self.note(&outline, begun, || Met::Head(Head::of(&response)));
            if is_pooled {
                self.keeping.note_answer(&response);
            }
            if !outline.keeps_cookies {
                self.take_cookies(&response, &url);
            }
            self.look_after_connections(&response, &url);
            let status = response.status();
            if status.is_redirection()
                && let Some(target) = target_within_origin(&response, &url, &outline.method)
                && redirects < MAX_REDIRECTS
            {
                redirects += 1;
                is_for_all &= moves_all(status);
                url = Cow::Owned(target);
            } else if is_remembered && is_elsewhere(status) {
                self.moved.forget(&endpoint.url);
                is_remembered = false;
                url = Cow::Borrowed(&endpoint.url);
            } else if refusals < MAX_REFUSALS
                && self.is_worth_repeating(&response, granted.as_ref(), &outline).await?
            {
                refusals += 1;
            } else {
                if status.is_success() {
                    self.credentials.accepted(granted.as_ref());
                }
                self.protocol.settle();
                if redirects > 0 && is_for_all && status.is_success() {
                    self.moved.remember(&endpoint.url, &url);
                }
                if status.is_server_error() {
                    self.moved.forget(&endpoint.url);
                }
                return Answer::new(response, shown.clone(), self.idle_timeout, self.max_body);
            }
        }
    }

    /// Whether `response` refuses credentials that have changed since they were sent.
    ///
    /// # Errors
    /// It does, and there is more to say about it than what the upstream says.
    async fn is_worth_repeating(
        &self,
        response: &Response,
        granted: Option<&Granted<'_>>,
        outline: &Outline<'_>,
    ) -> Result<bool, Failure> {
        let status = response.status();
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(false);
        }
        let sent = granted.and_then(|granted| granted.authorization.as_ref());
        let (headers, may_ask) = (response.headers(), outline.may_ask && is_attended());
        let denial = Denial { status, headers, sent, may_ask };
        match Box::pin(self.credentials.refused(denial)).await {
            Verdict::Repeat => Ok(true),
            Verdict::Refused => Ok(false),
            Verdict::Failed(failure) => Err(failure),
        }
    }

    /// Gives up idle connections after a 500 over plain HTTP. A Python server closes its connection
    /// after a 500 without announcing it, and the next call on that connection would be lost. With
    /// TLS there is a proxy in front of such servers, which keeps its connections open.
    fn look_after_connections(&self, response: &Response, url: &Url) {
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR && url.scheme() == "http" {
            self.connections.give_up_idle();
        }
    }

    /// The request to `url`, which has the origin of the endpoint.
    fn assemble(&self, outline: &Outline<'_>, url: &Url, granted: Option<&Granted<'_>>) -> Request {
        let mut request = Request::new(outline.method.clone(), url.clone());
        let headers = request.headers_mut();
        headers.clone_from(outline.headers);
        // Servers that pack an event stream hold its events back until they have a block.
        if outline.method == Method::GET
            && headers.get(ACCEPT).is_some_and(|accept| accept == "text/event-stream")
        {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if !headers.contains_key(HOST) {
            outline.endpoint.complete(headers);
        }
        if let Some(granted) = granted {
            granted.add_to(headers);
            if !outline.keeps_cookies {
                self.jar().add_to(headers, url);
            }
        }
        if headers.get(COOKIE).is_some_and(HeaderValue::is_empty) {
            headers.remove(COOKIE);
        }
        if let Some(body) = outline.body.clone() {
            headers.insert(CONTENT_LENGTH, body.len().into());
            *request.body_mut() = Some(body.into());
        }
        request
    }

    /// Keeps the cookies that the upstream's own origin sets.
    fn take_cookies(&self, response: &Response, url: &Url) {
        if response.headers().contains_key(SET_COOKIE) && self.credentials.are_for(url) {
            let conceal = |value: &str| self.secrets.add_of(Origin::Cookie, value);
            self.jar().take(response.headers(), url, conceal);
        }
    }

    /// Every update is complete, so the jar behind a poisoned lock is sound.
    fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a request has met, if somebody wants to know.
    fn note(&self, outline: &Outline<'_>, begun: Option<Instant>, met: impl FnOnce() -> Met) {
        if let (Some(journal), Some(begun)) = (&self.journal, begun) {
            let (method, url) = (outline.method.to_string(), outline.endpoint.shown.clone());
            journal.note(Entry { method, url, elapsed: begun.elapsed(), met: met() });
        }
    }

    /// Why a request got no answer, and how far it came.
    async fn not_answered(&self, error: &reqwest::Error, endpoint: &Endpoint) -> (Failure, Stage) {
        let proxy = self.connections.proxy();
        if let Some(proxy) = proxy.filter(|_| failure::is_refused_tunnel(error)) {
            let refusal = proxy::refusal(proxy, &endpoint.url).await;
            return (failure::of_tunnel(proxy, refusal, &endpoint.shown), Stage::Proxy);
        }
        let url = &endpoint.url;
        if proxy.is_none()
            && failure::may_be_another_protocol(error)
            && let Some(other) =
                self.protocol.ask(url, self.connections.tls(), &endpoint.shown).await
        {
            return (other, Stage::Tls);
        }
        (failure::of_request(error, url, proxy), failure::stage(error, url, proxy))
    }
}

/// The parts of a request, which may be sent several times.
struct Outline<'a> {
    method: Method,
    endpoint: &'a Endpoint,
    headers: &'a HeaderMap,
    body: Option<Bytes>,
    /// Whether a second run does no harm.
    is_repeatable: bool,
    /// Whether a person may be asked to sign in for it.
    may_ask: bool,
    /// Whether the kind looks after the upstream's cookies by itself: it names cookies in the
    /// request, be it none by an empty header.
    keeps_cookies: bool,
}

impl<'a> Outline<'a> {
    fn new(
        method: Method,
        endpoint: &'a Endpoint,
        headers: &'a HeaderMap,
        body: Option<Bytes>,
    ) -> Self {
        let is_repeatable = method == Method::GET || method == Method::DELETE;
        let may_ask = method != Method::DELETE;
        let keeps_cookies = headers.contains_key(COOKIE);
        Self { method, endpoint, headers, body, is_repeatable, may_ask, keeps_cookies }
    }
}
