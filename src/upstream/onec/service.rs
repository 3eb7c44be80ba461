//! The service on the wire: one POST for each call, in a session of the platform, and the manifest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, COOKIE, HeaderMap, HeaderValue};
use tokio::task::JoinSet;

use super::address::Address;
use super::faults;
use super::reuse::ReuseWatch;
use super::sessions::{Place, Sessions};
use crate::background::boxed;
use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Answer, Http, Refusal};
use crate::jsonrpc::{Message, RequestId, Response};
use crate::mcp::method;
use crate::upstream::local::{self, sole_response};
use crate::upstream::{Client, Request};
use crate::upstream::{
    PROTOCOL_VERSION, SESSION_ID, is_session_gone, own_error, parsing, post_headers,
};

/// Time for the manifest.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(5);

/// Time for the platform to start a session: tens of seconds after a pause in heavy configurations.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// Time for the platform to end a session.
const FINISH_PATIENCE: Duration = Duration::from_millis(500);

/// A published HTTP service.
pub(super) struct Service {
    http: Arc<Http>,
    /// Where the service may be.
    pub(super) places: Vec<Address>,
    /// The place where it was found.
    found: OnceLock<usize>,
    sessions: Sessions,
    /// Numbers the calls: services expect an integer as the id, and some answer with another id.
    calls: AtomicU64,
    reuse: ReuseWatch,
    has_no_health: AtomicBool,
}

/// How a service received `initialize`.
pub(super) enum Greeted {
    /// It answered.
    Answered(Answered),
    /// It opened a session of MCP's own transport, or answers with an event stream.
    Streams {
        answer: Answer,
        request: Request,
        /// What keeps a load balancer at the same server.
        cookies: HeaderMap,
    },
}

/// What came of sending a call.
enum Sent<'a> {
    Taken(Answer, Place<'a>),
    Refused(Refusal, Option<Response>),
}

/// The answer of a service to a call.
pub(super) struct Answered {
    /// `None` for success with an empty body: the handler does nothing.
    pub(super) response: Option<Response>,
    /// The id that a service with sessions of MCP gave.
    pub(super) session_id: Option<HeaderValue>,
}

/// What is posted.
struct Post<'a> {
    address: &'a Address,
    body: Bytes,
    /// Whether it asks for a new session.
    starts: bool,
    /// Whether it may be sent twice.
    is_repeatable: bool,
}

impl Service {
    pub(super) fn new(http: Arc<Http>, places: Vec<Address>, managed: Option<usize>) -> Self {
        let sessions = Sessions::new(managed, http.cookie());
        let (calls, has_no_health) = (AtomicU64::new(1), AtomicBool::new(false));
        let found = OnceLock::new();
        let reuse = ReuseWatch::default();
        Self { http, places, found, sessions, calls, reuse, has_no_health }
    }

    /// Where the service is, or where it is looked for first.
    pub(super) fn address(&self) -> &Address {
        &self.places[self.found.get().copied().unwrap_or(0)]
    }

    /// Whether the service has answered before.
    pub(super) fn is_found(&self) -> bool {
        self.found.get().is_some()
    }

    /// Notes that the service is at the place `at`.
    pub(super) fn note_found(&self, at: usize) {
        if self.found.set(at).is_ok() && at > 0 {
            tracing::info!("the 1C service is at {}", self.address().rpc.shown);
        }
    }

    /// The HTTP client.
    pub(super) fn http(&self) -> Arc<Http> {
        self.http.clone()
    }

    /// Sends `initialize` with `params` to `address`.
    ///
    /// # Errors
    /// As for [`Service::call`].
    pub(super) async fn greet(
        &self,
        address: &Address,
        initialize: &Request,
        params: &str,
        client: &Client,
    ) -> Result<Greeted, Failure> {
        let request = self.request(&initialize.message, params);
        let sent = self.send(address, &request, &HeaderMap::new()).await?;
        match sent {
            Sent::Taken(answer, place) => {
                let streams =
                    answer.is_event_stream() || answer.headers().contains_key(&SESSION_ID);
                // The platform's sessions that we manage take one call at a time.
                if streams && !self.sessions.are_managed() {
                    let mut cookies = HeaderMap::new();
                    place.leave();
                    self.sessions.enter().await.write(&mut cookies, false);
                    if cookies.get(COOKIE).is_some_and(HeaderValue::is_empty) {
                        cookies.remove(COOKIE);
                    }
                    return Ok(Greeted::Streams { answer, request, cookies });
                }
                Ok(Greeted::Answered(self.read(answer, place, client).await?))
            }
            Sent::Refused(refusal, own_error) => {
                refused(&refusal, own_error, false).map(Greeted::Answered)
            }
        }
    }

    /// `message` as the service gets it.
    fn request(&self, message: &Message, params: &str) -> Request {
        local::request(self.calls.fetch_add(1, Ordering::Relaxed), message, params)
    }

    /// Calls the method of `message` with `params`, which is JSON text.
    ///
    /// # Errors
    /// No answer, or one that cannot be used.
    pub(super) async fn call(
        &self,
        message: &Message,
        params: &str,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<Answered, Failure> {
        let request = self.request(message, params);
        match self.send(self.address(), &request, headers).await? {
            Sent::Taken(answer, place) => self.read(answer, place, client).await,
            Sent::Refused(refusal, own_error) => {
                refused(&refusal, own_error, headers.contains_key(&SESSION_ID))
            }
        }
    }

    /// Posts `request` to `address`, in a session of the platform.
    async fn send(
        &self,
        address: &Address,
        request: &Request,
        headers: &HeaderMap,
    ) -> Result<Sent<'_>, Failure> {
        let may_start = may_start_session(request.message.method());
        let is_repeatable = method::is_safe(request.message.method());
        let mut place = self.sessions.enter().await;
        let mut is_retry = false;
        loop {
            if place.needs_start() && !may_start {
                self.start_session(&mut place).await?;
            }
            let starts = place.needs_start();
            let had_session = place.has_session();
            let posted = Instant::now();
            let post = Post { address, body: request.body.clone(), starts, is_repeatable };
            let answer = self.post(&mut place, headers.clone(), post).await?;
            if answer.status().is_success() {
                if !had_session && !self.sessions.are_managed() {
                    self.reuse.note(request.message.method(), posted.elapsed());
                }
                return Ok(Sent::Taken(answer, place));
            }
            let refusal = answer.refusal().await;
            // A JSON-RPC error comes from the handler, so the call may have run.
            let own_error = own_error(&refusal.body, None).or_else(|| {
                let body = parsing::rewritten(&refusal.body, refusal.content_type())?;
                own_error(&body, None)
            });
            let may_retry = had_session && !is_retry && own_error.is_none();
            if may_retry && faults::is_session_gone(&refusal) {
                tracing::info!("the 1C session is gone; retrying in a new one");
                place.forget();
                is_retry = true;
                continue;
            }
            place.leave();
            return Ok(Sent::Refused(refusal, own_error));
        }
    }

    /// Posts in `place`.
    async fn post(
        &self,
        place: &mut Place<'_>,
        mut headers: HeaderMap,
        post: Post<'_>,
    ) -> Result<Answer, Failure> {
        let Post { address, body, starts, is_repeatable } = post;
        headers.extend(post_headers());
        place.write(&mut headers, starts);
        let answer =
            self.http.post_if_repeatable(is_repeatable, &address.rpc, headers, body).await?;
        self.take_cookies(place, &answer, starts);
        Ok(answer)
    }

    /// Reads the successful answer to a call.
    async fn read(
        &self,
        answer: Answer,
        place: Place<'_>,
        client: &Client,
    ) -> Result<Answered, Failure> {
        let session_id = answer.headers().get(&SESSION_ID).cloned();
        if let Some(id) = session_id.as_ref().and_then(|id| id.to_str().ok()) {
            self.http.conceal(id);
        }
        let (status, is_page) = (answer.status(), is_page(&answer));
        let response = sole_response(answer, client, faults::message).await;
        let response = response.map_err(|mut failure| {
            if is_page && failure.cause == Cause::Unusable {
                failure.status = Some(status.as_u16());
            }
            failure
        });
        // A body that was read to its end ended the call, even if it cannot be used.
        if response.as_ref().err().is_none_or(|failure| failure.cause == Cause::Unusable) {
            place.leave();
        }
        Ok(Answered { response: response?, session_id })
    }

    /// Starts a managed session for a call with side effects: if the call itself started it, a
    /// failure would not tell which of the two failed. Without `/health` a list starts it.
    async fn start_session(&self, place: &mut Place<'_>) -> Result<(), Failure> {
        let starting = async {
            let mut headers = HeaderMap::new();
            place.write(&mut headers, true);
            if !self.has_no_health.load(Ordering::Relaxed) {
                let answer = self.http.get(&self.address().health, headers.clone()).await?;
                if !matches!(answer.status().as_u16(), 404 | 405) {
                    return Ok(answer);
                }
                self.has_no_health.store(true, Ordering::Relaxed);
            }
            headers.extend(post_headers());
            let list = Message::request(RequestId::number(1), method::TOOLS_LIST, "{}");
            self.http.post(&self.address().rpc, headers, list.text().clone()).await
        };
        let timed_out = |_| Err(http::timed_out(&self.address().health.shown, START_PATIENCE));
        let answer = tokio::time::timeout(START_PATIENCE, starting).await;
        let answer = answer.unwrap_or_else(timed_out).map_err(Failure::before_call)?;
        self.take_cookies(place, &answer, true);
        if place.needs_start() && !answer.status().is_success() {
            return Err(faults::failure(&answer.refusal().await).before_call());
        }
        // Read to keep the connection.
        let _ = answer.bytes().await;
        Ok(())
    }

    /// Takes over what an answer sets, and keeps the id of the session out of logs and errors: the
    /// id alone opens the session.
    fn take_cookies(&self, place: &mut Place<'_>, answer: &Answer, started: bool) {
        // A page of the web server says nothing of the service's sessions.
        let is_success = answer.status().is_success() && !is_page(answer);
        place.take_cookies(answer.headers(), started, is_success);
        if let Some(id) = place.session_id() {
            self.http.conceal(id);
        }
    }

    /// Passes a notification on and drops what the service answers.
    pub(super) async fn notify(
        &self,
        message: &Message,
        headers: &HeaderMap,
    ) -> Result<(), Failure> {
        // It names the client's id of a request, but the request travels with an id of ours.
        if message.method() == method::CANCELLED {
            return Ok(());
        }
        let mut place = self.sessions.enter().await;
        let (address, body) = (self.address(), message.text().clone());
        let post = Post { address, body, starts: false, is_repeatable: false };
        let answer = self.post(&mut place, headers.clone(), post).await?;
        let outcome = if answer.status().is_success() {
            // Read to keep the connection.
            let _ = answer.bytes().await;
            Ok(())
        } else {
            Err(faults::failure(&answer.refusal().await))
        };
        place.leave();
        outcome
    }

    /// The manifest, where there is one: early versions have it, and some others.
    pub(super) async fn manifest(&self) -> Option<Bytes> {
        let read = async {
            let mut place = self.sessions.enter().await;
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            place.write(&mut headers, false);
            let answer = self.http.get(&self.address().manifest, headers).await.ok()?;
            self.take_cookies(&mut place, &answer, false);
            place.leave();
            if !answer.status().is_success() {
                tracing::debug!(status = %answer.status(), "no manifest");
                return None;
            }
            answer.bytes().await.ok()
        };
        let body = tokio::time::timeout(MANIFEST_PATIENCE, read).await.ok()??;
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body).trim_ascii();
        text.starts_with(b"{").then(|| body.slice_ref(text))
    }

    /// Ends the sessions, so that no licence stays taken. `headers` may name a session of MCP.
    pub(super) async fn finish(&self, headers: &HeaderMap) {
        let mut finishing = JoinSet::new();
        for headers in self.sessions.take_open() {
            let (http, health) = (self.http.clone(), self.address().health.clone());
            finishing.spawn(boxed(async move {
                tell_of_end(&http.get(&health, headers).await.map(|_| ()));
            }));
        }
        if headers.contains_key(&SESSION_ID) {
            let (http, rpc) = (self.http.clone(), self.address().rpc.clone());
            let headers = headers.clone();
            finishing.spawn(boxed(async move {
                tell_of_end(&http.delete(&rpc, headers).await.map(|_| ()));
            }));
        }
        let all = async { while finishing.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FINISH_PATIENCE, all).await;
    }
}

fn tell_of_end(outcome: &Result<(), Failure>) {
    tracing::debug!(?outcome, "session ended");
}

/// The header fields that a service with MCP's own transport wants after the handshake.
pub(super) fn session_headers(id: Option<HeaderValue>, version: Option<HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fields = [(SESSION_ID, id), (PROTOCOL_VERSION, version)];
    headers.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
    headers
}

/// Whether an answer claims to be a web page.
fn is_page(answer: &Answer) -> bool {
    answer.content_type().is_some_and(|value| value.to_ascii_lowercase().contains("html"))
}

/// Methods without side effects: a failure of theirs cannot hide a finished call.
fn may_start_session(method: &str) -> bool {
    matches!(
        method,
        method::INITIALIZE
            | method::TOOLS_LIST
            | method::RESOURCES_LIST
            | method::RESOURCE_TEMPLATES_LIST
            | method::PROMPTS_LIST
    )
}

/// The outcome of a call that the service refused, by an error of its own or in an error page.
fn refused(
    refusal: &Refusal,
    own_error: Option<Response>,
    has_mcp_session: bool,
) -> Result<Answered, Failure> {
    if has_mcp_session && is_session_gone(refusal.status, &refusal.body, own_error.is_some()) {
        let why = "the refusal tells that the session is gone";
        return Err(faults::failure(refusal).reclassed(Class::SessionLost, why));
    }
    match own_error {
        Some(_) => Ok(Answered { response: own_error, session_id: None }),
        None => Err(faults::failure(refusal)),
    }
}
