//! Streamable HTTP of the legacy revisions, 2025-03-26 to 2025-11-25 (Transports, "Streamable
//! HTTP"): one POST a message, answered with JSON or an event stream; a session id; a standalone
//! GET stream; resumption.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{
    Opened, Pending, Request, Session, Upstream, deliver, post_headers, stream_headers, unusable,
};
use crate::client::Client;
use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Answer, Endpoint, Http, StreamBroke};
use crate::jsonrpc::{FromUpstream, METHOD_NOT_FOUND, Message, Response, Unusable, from_upstream};
use crate::retry::Backoff;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Attempts in a row to reopen the stream of an answer before it is given up.
const MAX_FAILED_RESUMPTIONS: u32 = 5;

/// The wait before a stream is opened again when the upstream named none.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// An MCP server on Streamable HTTP.
pub(super) struct Streamable {
    http: Arc<Http>,
    endpoint: Endpoint,
}

impl Streamable {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint) -> Self {
        Self { http, endpoint }
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let mut session = StreamableSession {
            http: self.http.clone(),
            endpoint: self.endpoint.clone(),
            post_headers: post_headers(),
            stream_headers: stream_headers(),
            has_session: false,
            client: client.clone(),
            ended: CancellationToken::new(),
        };
        let answer = session.post(initialize).await?;
        if let Some(id) = answer.headers().get(&SESSION_ID) {
            let mut id = id.clone();
            id.set_sensitive(true);
            session.has_session = true;
            session.add_header(&SESSION_ID, &id);
        }
        let response = session.read(answer, initialize).await?;
        let Some(result) = response.result() else {
            let what = format!("{} refused `initialize`", self.endpoint.shown);
            let mut failure = Failure::new(Class::Final, Cause::Refused, what);
            failure.answer = Some(Box::new(response));
            return Err(failure);
        };
        if let Some(version) = negotiated_version(result) {
            session.add_header(&PROTOCOL_VERSION, &version);
        }
        Ok(Opened { session: Arc::new(session), response })
    }
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
    fn add_header(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.post_headers.insert(name, value.clone());
        self.stream_headers.insert(name, value.clone());
    }

    /// Posts `request` and takes the head of a successful answer.
    async fn post(&self, request: &Request) -> Result<Answer, Failure> {
        let headers = self.post_headers.clone();
        let answer = self.http.post(&self.endpoint, headers, request.body.clone()).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let mut refusal = self.refusal(answer).await;
        // Only an error that answers this very request may stand for the failure.
        refusal.answer = refusal.answer.filter(|answer| request.is_answered_by(answer));
        Err(refusal)
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let headers = self.post_headers.clone();
        let answer = self.http.post(&self.endpoint, headers, message.text().clone()).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        if answer.is_event_stream() {
            answer.events(None).finish();
        } else {
            // Read to keep the connection; nothing in it may reach the client.
            let _ = answer.bytes().await;
        }
        Ok(())
    }

    /// The failure for an answer that is no success.
    async fn refusal(&self, answer: Answer) -> Failure {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let url = answer.url().clone();
        let body = answer.bytes().await.unwrap_or_default();
        let mut failure = http::refused(status, &headers, &body, &url);
        let own_error = from_upstream(&body).ok().and_then(|mut messages| {
            match (messages.pop()?, messages.is_empty()) {
                (FromUpstream::Response(response), true) if response.error().is_some() => {
                    Some(response)
                }
                _ => None,
            }
        });
        if self.has_session && is_session_gone(status, &body, own_error.as_ref()) {
            failure.class = Class::SessionLost;
        } else if failure.class == Class::Final && status != StatusCode::UNAUTHORIZED {
            failure.answer = own_error.map(Box::new);
        }
        failure
    }

    /// Reads the answer to `request`.
    async fn read(&self, answer: Answer, request: &Request) -> Result<Response, Failure> {
        if answer.is_event_stream() {
            return self.read_stream(answer, request).await;
        }
        request.answer_in(answer, self, &self.client).await
    }

    /// Reads events until the response to `request` comes, resuming the stream where it breaks
    /// off ("Resumability and Redelivery").
    async fn read_stream(&self, answer: Answer, request: &Request) -> Result<Response, Failure> {
        let url = answer.url().clone();
        let patience = answer.idle_timeout();
        let mut events = answer.events(Some(patience));
        let mut resume_from: Option<String> = None;
        let mut garbage = None;
        loop {
            let broke = match events.next().await {
                Ok(event) => match self.take_event(event, Some(request)).await {
                    Ok(Some(response)) => {
                        events.finish();
                        return Ok(response);
                    }
                    Ok(None) => continue,
                    Err(why) => {
                        garbage = Some(why);
                        continue;
                    }
                },
                Err(broke) => broke,
            };
            let why = match (broke, garbage.take()) {
                // What could not be read will have been the answer.
                (StreamBroke::Ended, Some(Unusable(why))) => {
                    return Err(unusable(format!("an event of {url} cannot be used: {why}")));
                }
                (StreamBroke::Ended, None) => "the stream ended without it".to_owned(),
                (StreamBroke::Failed(failure), _) if failure.cause == Cause::Interrupted => {
                    failure.what
                }
                (StreamBroke::Failed(failure), _) => return Err(failure),
            };
            if let Some(id) = events.last_event_id() {
                resume_from = Some(id.to_owned());
            }
            let lost = || {
                let what = format!("the answer of {url} was lost: {why}");
                Failure::new(Class::Ambiguous, Cause::Interrupted, what).hint(
                    "The server or a proxy in between closed the connection: look at the \
                     server's log.",
                )
            };
            let Some(id) = &resume_from else {
                return Err(lost());
            };
            tracing::debug!(id = %request.wire_id, "the answer's stream broke off; resuming it");
            let answer = self.resume(id, events.retry()).await.map_err(|failure| {
                let mut lost = lost();
                lost.what = format!("{}; resuming it failed: {}", lost.what, failure.what);
                lost
            })?;
            events = answer.events(Some(patience));
        }
    }

    /// Opens the stream that `last_event_id` belongs to again, after the wait that the upstream
    /// asked for.
    async fn resume(
        &self,
        last_event_id: &str,
        retry: Option<Duration>,
    ) -> Result<Answer, Failure> {
        let mut backoff = Backoff::default();
        let mut wait = retry.unwrap_or(DEFAULT_RETRY);
        let mut failed = 0;
        loop {
            tokio::time::sleep(wait).await;
            match self.open_stream(Some(last_event_id)).await {
                Err(failure)
                    if failure.class != Class::Final && failed < MAX_FAILED_RESUMPTIONS =>
                {
                    if failure.class == Class::SessionLost {
                        self.ended.cancel();
                        return Err(failure);
                    }
                    failed += 1;
                    wait = retry.unwrap_or_default().max(backoff.next_delay());
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
            return Err(self.refusal(answer).await);
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
                FromUpstream::Message(message) => deliver(message, self, &self.client).await,
                FromUpstream::Response(response) => match request {
                    Some(request) if answer.is_none() && request.is_answered_by(&response) => {
                        answer = Some(response);
                    }
                    _ => {
                        tracing::warn!(id = ?response.id(), "response to nobody's request dropped");
                    }
                },
            }
        }
        Ok(answer)
    }

    /// Reads the standalone stream ("Listening for Messages from the Server") until the upstream
    /// offers none, or the session is gone.
    async fn listen(self) {
        let mut backoff = Backoff::default();
        let mut resume_from: Option<String> = None;
        let mut was_open = false;
        loop {
            let mut wait = None;
            match self.open_stream(resume_from.as_deref()).await {
                Ok(answer) => {
                    if was_open && resume_from.is_none() {
                        self.client.note_gap();
                    }
                    was_open = true;
                    backoff = Backoff::default();
                    let mut events = answer.events(None);
                    let broke = loop {
                        match events.next().await {
                            // What cannot be read has been logged.
                            Ok(event) => drop(self.take_event(event, None).await),
                            Err(broke) => break broke,
                        }
                    };
                    tracing::debug!("the standalone stream broke off: {broke:?}");
                    resume_from = events.last_event_id().map(str::to_owned).or(resume_from);
                    wait = Some(events.retry().unwrap_or(DEFAULT_RETRY));
                }
                Err(failure) if failure.class == Class::SessionLost => {
                    tracing::info!("the upstream has forgotten the session");
                    self.ended.cancel();
                    return;
                }
                // A place in the stream that the upstream has forgotten: begin anew.
                Err(failure) if failure.class == Class::Final && resume_from.is_some() => {
                    tracing::debug!("the stream cannot be resumed: {}", failure.summary());
                    resume_from = None;
                }
                Err(failure) if failure.class == Class::Final => {
                    tracing::debug!("no standalone stream: {}", failure.summary());
                    return;
                }
                Err(failure) => tracing::debug!("no standalone stream yet: {}", failure.summary()),
            }
            tokio::time::sleep(wait.unwrap_or_else(|| backoff.next_delay())).await;
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

/// Whether an answer within a session means that the session is gone: 404 ("Session Management",
/// item 3), or what servers in the field send instead: 410, or a 400 that names the session.
fn is_session_gone(status: StatusCode, body: &[u8], error: Option<&Response>) -> bool {
    match status.as_u16() {
        // A known session with an unknown method is another thing.
        404 => !error.is_some_and(|error| !error.has_no_id() && code(error) == METHOD_NOT_FOUND),
        410 => true,
        400 => {
            let text = String::from_utf8_lossy(body).to_ascii_lowercase();
            text.contains("session") || text.contains("not initialized")
        }
        _ => false,
    }
}

fn code(response: &Response) -> i64 {
    #[derive(Deserialize)]
    struct Code {
        code: i64,
    }
    let error = response.error().map(|error| serde_json::from_slice::<Code>(error));
    error.and_then(Result::ok).map_or(0, |error| error.code)
}
