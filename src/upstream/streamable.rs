//! Streamable HTTP of the legacy revisions, 2025-03-26 to 2025-11-25 (Transports, "Streamable
//! HTTP"): one POST a message, answered with JSON or an event stream; a session id; a standalone
//! GET stream; resumption.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Opened, PROTOCOL_VERSION, Pending, Request, SESSION_ID, Session, Upstream, accepted, deliver,
    post_headers, refused, stream_headers, unusable,
};
use crate::client::Client;
use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Answer, Endpoint, Http, StreamBroke};
use crate::jsonrpc::{FromUpstream, Message, Response, Unusable, from_upstream};
use crate::retry::Backoff;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Attempts in a row to reopen the stream of an answer before it is given up.
const MAX_FAILED_RESUMPTIONS: u32 = 5;

/// The wait before a stream is opened again when the upstream named none.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// The standalone stream, for which nobody waits, is opened again within so much more: every
/// desktop of this upstream may have lost it at the same moment.
const LISTEN_SPREAD: Duration = Duration::from_secs(4);

/// The shortest wait before a stream is opened again, whatever the upstream asks for.
const MIN_RETRY: Duration = Duration::from_millis(100);

/// The longest wait before the standalone stream is opened again.
const MAX_LISTEN_WAIT: Duration = Duration::from_mins(1);

/// The longest wait that an upstream can ask for before its standalone stream is opened again.
const MAX_ASKED_WAIT: Duration = Duration::from_hours(1);

/// A standalone stream that was open for this long was a stream.
const LIVED: Duration = Duration::from_secs(10);

/// An MCP server on Streamable HTTP.
pub(super) struct Streamable {
    http: Arc<Http>,
    endpoint: Endpoint,
}

impl Streamable {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint) -> Self {
        Self { http, endpoint }
    }

    pub(super) async fn open(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let mut session = StreamableSession::new(self.http.clone(), self.endpoint.clone(), client);
        let answer = session.post(initialize).await?;
        if let Some(id) = answer.headers().get(&SESSION_ID) {
            let mut id = id.clone();
            id.set_sensitive(true);
            self.http.conceal(id.to_str().unwrap_or_default());
            session.has_session = true;
            session.add_header(&SESSION_ID, &id);
        }
        let response = session.read(answer, initialize).await?;
        let result = accepted(&response, &self.endpoint.shown)?;
        if let Some(version) = negotiated_version(result) {
            session.add_header(&PROTOCOL_VERSION, &version);
        }
        Ok(Opened { session: Arc::new(session), response })
    }
}

/// Something to listen to the standalone stream of `endpoint` with, outside of any session.
pub(super) fn listener(http: Arc<Http>, endpoint: Endpoint, client: &Client) -> Arc<dyn Session> {
    Arc::new(StreamableSession::new(http, endpoint, client))
}

/// `protocolVersion` of an `initialize` result, as the header that later requests carry.
fn negotiated_version(result: &[u8]) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InitializeResult {
        protocol_version: String,
    }
    let result: InitializeResult = serde_json::from_slice(result).ok()?;
    HeaderValue::from_str(&result.protocol_version).ok()
}

impl Upstream for Streamable {
    fn open<'a>(
        &'a self,
        initialize: &'a Request,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(initialize, client))
    }
}

impl Session for StreamableSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(async { self.read(self.post(request).await?, request).await })
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(self.send(message))
    }

    fn listen(&self) {
        let session = self.clone();
        tokio::spawn(async move {
            let ended = session.ended.clone();
            ended.run_until_cancelled(session.listen()).await;
        });
    }

    fn has_id(&self) -> bool {
        self.has_session
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn close(&self) -> Pending<'_, ()> {
        self.ended.cancel();
        Box::pin(self.delete())
    }
}

/// What every request of a session needs; clones belong to the same session.
#[derive(Clone)]
struct StreamableSession {
    http: Arc<Http>,
    endpoint: Endpoint,
    post_headers: HeaderMap,
    stream_headers: HeaderMap,
    /// Whether the upstream has given a session id.
    has_session: bool,
    client: Client,
    /// Cancelled when the session is gone or closed; ends the standalone stream.
    ended: CancellationToken,
}

impl StreamableSession {
    fn new(http: Arc<Http>, endpoint: Endpoint, client: &Client) -> Self {
        Self {
            http,
            endpoint,
            post_headers: post_headers(),
            stream_headers: stream_headers(),
            has_session: false,
            client: client.clone(),
            ended: CancellationToken::new(),
        }
    }

    /// This session, for whoever has to answer in it.
    fn handle(&self) -> Arc<dyn Session> {
        Arc::new(self.clone())
    }

    fn add_header(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.post_headers.insert(name, value.clone());
        self.stream_headers.insert(name, value.clone());
    }

    /// Posts `request` and takes the head of a successful answer.
    async fn post(&self, request: &Request) -> Result<Answer, Failure> {
        let headers = &self.post_headers;
        let answer = self.http.post(&self.endpoint, headers, request.body.clone()).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Box::pin(self.refusal(answer, Some(request))).await)
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let headers = &self.post_headers;
        let answer = self.http.post(&self.endpoint, headers, message.text().clone()).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer, None).await);
        }
        if answer.is_event_stream() {
            answer.events(None).finish();
        } else {
            // Read to keep the connection; nothing in it may reach the client.
            let _ = answer.bytes().await;
        }
        Ok(())
    }

    /// The failure for an answer that is no success, to `request` if it was one.
    async fn refusal(&self, answer: Answer, request: Option<&Request>) -> Failure {
        refused(&answer.refusal().await, request, self.has_session)
    }

    /// Reads the answer to `request`.
    async fn read(&self, answer: Answer, request: &Request) -> Result<Response, Failure> {
        if answer.is_event_stream() {
            return Box::pin(self.read_stream(answer, request)).await;
        }
        request.answer_in(answer, || self.handle(), &self.client).await
    }

    /// Reads events until the response to `request` comes, resuming the stream where it breaks
    /// off ("Resumability and Redelivery").
    async fn read_stream(&self, answer: Answer, request: &Request) -> Result<Response, Failure> {
        let url = answer.url().clone();
        let patience = answer.idle_timeout();
        let mut events = answer.events(Some(patience));
        let mut resume_from: Option<String> = None;
        let mut last_life = Instant::now();
        let mut backoff = Backoff::default();
        // Set while nothing has come since the stream was last opened again.
        let mut is_fruitless = false;
        let mut garbage = None;
        loop {
            let broke = match events.next().await {
                Ok(event) => {
                    last_life = Instant::now();
                    is_fruitless = false;
                    match self.take_event(event, Some(request)).await {
                        Ok(Some(response)) => {
                            events.finish();
                            return Ok(response);
                        }
                        Ok(None) => {}
                        Err(why) => garbage = Some(why),
                    }
                    continue;
                }
                Err(broke) => broke,
            };
            let why = match (broke, garbage.take()) {
                // What could not be read will have been the answer.
                (StreamBroke::Ended, Some(Unusable(why))) => {
                    return Err(unusable(format!("an event of {url} cannot be used: {why}")));
                }
                (StreamBroke::Ended, None) => http::stream_lost(&url).what,
                (StreamBroke::Failed(failure), _) if failure.cause == Cause::Interrupted => {
                    failure.what
                }
                (StreamBroke::Failed(failure), _) => return Err(failure),
            };
            // An event without data is a sign of life as well: it moves the place to resume from.
            if let Some(id) = events.last_event_id()
                && resume_from.as_deref() != Some(id)
            {
                resume_from = Some(id.to_owned());
                last_life = Instant::now();
                is_fruitless = false;
            }
            let lost = |what: &str| {
                Failure::new(Class::Ambiguous, Cause::Interrupted, what).hint(
                    "The server or a proxy in between closed the connection: look at the \
                     server's log.",
                )
            };
            let Some(id) = &resume_from else { return Err(lost(&why)) };
            tracing::debug!("the answer's stream broke off; resuming it");
            let mut wait = events.retry().unwrap_or(DEFAULT_RETRY);
            if std::mem::replace(&mut is_fruitless, true) {
                wait = wait.max(backoff.next_delay()).max(MIN_RETRY);
            }
            let resumed = self.resume(id, wait, &mut backoff);
            let left = patience.saturating_sub(last_life.elapsed());
            let for_retries = self.http.retry_for().saturating_sub(last_life.elapsed());
            events = match tokio::time::timeout(left.min(for_retries), resumed).await {
                Ok(Ok(answer)) => answer.events(Some(patience)),
                Ok(Err(failure)) => {
                    return Err(lost(&format!("{why}; resuming it failed: {}", failure.what)));
                }
                Err(_) if for_retries < left => {
                    return Err(lost(&format!("{why}; it could not be read on in time")));
                }
                Err(_) => return Err(http::timed_out(&url, patience)),
            };
        }
    }

    /// Opens the stream that `last_event_id` belongs to again, after `wait`.
    async fn resume(
        &self,
        last_event_id: &str,
        mut wait: Duration,
        backoff: &mut Backoff,
    ) -> Result<Answer, Failure> {
        let mut failed = 0;
        loop {
            tokio::time::sleep(wait).await;
            match self.open_stream(Some(last_event_id)).await {
                Err(failure) if failure.class == Class::SessionLost => {
                    self.ended.cancel();
                    return Err(failure);
                }
                Err(failure)
                    if failure.class != Class::Final && failed < MAX_FAILED_RESUMPTIONS =>
                {
                    failed += 1;
                    wait = backoff.next_delay().max(failure.wait_after(failed)).max(MIN_RETRY);
                }
                outcome => return outcome,
            }
        }
    }

    /// Gets the MCP endpoint as an event stream.
    async fn open_stream(&self, last_event_id: Option<&str>) -> Result<Answer, Failure> {
        let mut headers = self.stream_headers.clone();
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        let answer = self.http.get(&self.endpoint, headers).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer, None).await);
        }
        if !answer.is_event_stream() {
            return Err(unusable(format!("{} answered GET without an event stream", answer.url())));
        }
        Ok(answer)
    }

    /// Handles one event. Returns the response to `request` if that is what it holds; a response
    /// to anything else is never delivered: some servers broadcast other clients' answers.
    async fn take_event(
        &self,
        event: http::sse::Event,
        request: Option<&Request>,
    ) -> Result<Option<Response>, Unusable> {
        if event.name != "message" {
            tracing::debug!(event = event.name, "event of an unknown type ignored");
            return Ok(None);
        }
        let messages = from_upstream(&event.data).inspect_err(|Unusable(why)| {
            tracing::warn!("an event from the upstream is ignored: {why}");
        })?;
        let mut answer = None;
        for message in messages {
            match message {
                FromUpstream::Message(message) => {
                    deliver(message, self.handle(), &self.client).await;
                }
                FromUpstream::Response(response) => match request {
                    Some(request) if answer.is_none() && request.is_answered_by(&response) => {
                        answer = Some(response);
                    }
                    _ => {
                        tracing::debug!(id = ?response.id(), "response to nobody's request dropped");
                    }
                },
            }
        }
        Ok(answer)
    }

    /// Reads the standalone stream ("Listening for Messages from the Server") until the upstream
    /// offers none, or the session is gone.
    async fn listen(self) {
        let mut backoff = Backoff::up_to(MAX_LISTEN_WAIT);
        let mut resume_from: Option<String> = None;
        let mut was_open = false;
        loop {
            let wait = match self.open_stream(resume_from.as_deref()).await {
                Ok(answer) => {
                    if was_open && resume_from.is_none() {
                        self.client.note_gap();
                    }
                    was_open = true;
                    let opened = Instant::now();
                    let mut events = answer.events(None);
                    let mut has_spoken = false;
                    let broke = loop {
                        match events.next().await {
                            Ok(event) => {
                                has_spoken = true;
                                // What cannot be read has been logged.
                                drop(self.take_event(event, None).await);
                            }
                            Err(broke) => break broke,
                        }
                    };
                    tracing::debug!("the standalone stream ended: {broke}");
                    resume_from = events.last_event_id().map(str::to_owned).or(resume_from);
                    // A server that hangs up at once is asked less and less often.
                    if has_spoken || opened.elapsed() >= LIVED {
                        backoff = Backoff::up_to(MAX_LISTEN_WAIT);
                    }
                    match events.retry() {
                        Some(asked) => backoff.next_delay_after(asked),
                        None => (DEFAULT_RETRY + LISTEN_SPREAD.mul_f64(fastrand::f64()))
                            .max(backoff.next_delay()),
                    }
                }
                Err(failure) if failure.class == Class::SessionLost => {
                    tracing::info!("the upstream has forgotten the session");
                    self.ended.cancel();
                    return;
                }
                Err(failure) if offers_no_stream(&failure, was_open) => {
                    tracing::debug!("no standalone stream: {}", failure.summary());
                    return;
                }
                Err(failure) => {
                    tracing::debug!("no standalone stream yet: {}", failure.summary());
                    // A place in the stream that the upstream has forgotten: begin anew.
                    if failure.class == Class::Final {
                        resume_from = None;
                    }
                    backoff.next_delay_after(failure.wait_after(1).min(MAX_ASKED_WAIT))
                }
            };
            tokio::time::sleep(wait.max(MIN_RETRY)).await;
        }
    }

    /// Ends the session ("Session Management", item 5); 405 means that the upstream does not care.
    async fn delete(&self) {
        if !self.has_session {
            return;
        }
        match self.http.delete(&self.endpoint, self.stream_headers.clone()).await {
            Ok(status) => tracing::debug!(%status, "session ended"),
            Err(failure) => tracing::debug!("the session was not ended: {}", failure.summary()),
        }
    }
}

/// Whether a refused GET means that there is no standalone stream at all. Once it has been open,
/// the upstream must say so in words: a 409 or 500 may come from a proxy, or from a server that
/// has not noticed yet that the old stream is gone.
fn offers_no_stream(failure: &Failure, was_open: bool) -> bool {
    failure.class == Class::Final
        && (!was_open || matches!(failure.status, Some(401 | 403 | 404 | 405)))
}
