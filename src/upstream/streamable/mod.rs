//! Streamable HTTP of the legacy revisions, 2025-03-26 to 2025-11-25 (Transports, "Streamable
//! HTTP"): one POST a message, answered with JSON or an event stream; a session id; resumption of
//! an answer's stream (`resumable`); a listening stream (`listen`), on which answers may come
//! (`late`).

mod late;
mod listen;
mod resumable;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::late::LateResponses;
use self::resumable::Resumable;
use super::headers::{PROTOCOL_VERSION, SESSION_ID, post_headers, stream_headers};
use super::reading::{Asker, Awaited, Inbox, Reading};
use super::refusal::{
    Explain, Standing, accepted, empty_success, lost_by_error, other_transport, refused, unusable,
};
use super::{Client, Greeting, Opened, Pending, Request, Session, Upstream, Wire};
use crate::background;
use crate::failure::Failure;
use crate::hint::Words;
use crate::http::{self, Answer, Endpoint, Http, Refusal};
use crate::jsonrpc::{Message, Response, of_json};
use crate::mcp::method;
use crate::patience::within;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// An MCP server on Streamable HTTP.
pub(super) struct Streamable {
    http: Arc<Http>,
    endpoint: Endpoint,
    explain: Explain,
    /// Header fields that every request carries.
    headers: HeaderMap,
}

impl Streamable {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint) -> Self {
        Self { http, endpoint, explain: Refusal::failure, headers: HeaderMap::new() }
    }

    /// The same, whose refusals a kind explains.
    pub(super) fn explaining(self, explain: Explain) -> Self {
        Self { explain, ..self }
    }

    /// The same, with `headers` in every request.
    pub(super) fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    fn connection(&self, client: &Client) -> Connection {
        let connection = Connection::new(self.http.clone(), self.endpoint.clone(), client);
        let mut connection = Connection { explain: self.explain, ..connection };
        for (name, value) in &self.headers {
            connection.add_header(name, value);
        }
        connection
    }

    pub(super) async fn open(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let connection = self.connection(client);
        let answer = connection.post(initialize).await?;
        self.opened(connection, answer, initialize).await
    }

    /// Opens a session of which `answer`, a success, is the answer to `initialize`.
    pub(super) async fn open_with(
        &self,
        answer: Answer,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        self.opened(self.connection(client), answer, initialize).await
    }

    async fn opened(
        &self,
        mut connection: Connection,
        answer: Answer,
        initialize: &Request,
    ) -> Result<Opened, Failure> {
        if let Some(id) = answer.headers().get(&SESSION_ID) {
            let mut id = id.clone();
            id.set_sensitive(true);
            self.http.conceal(id.to_str().unwrap_or_default());
            connection.has_session = true;
            connection.add_header(&SESSION_ID, &id);
        }
        connection.answers_in_body = !answer.is_event_stream();
        let opening = StreamableSession(Arc::new(connection.clone()));
        let read = opening.read(answer, initialize, Instant::now()).await;
        let accepted = read.and_then(|response| {
            let version = negotiated_version(accepted(&response, &self.endpoint.shown)?);
            Ok((response, version))
        });
        let (response, version) = match accepted {
            Ok(accepted) => accepted,
            Err(failure) => {
                // A session that is not used must not stay behind.
                connection.delete().await;
                return Err(failure);
            }
        };
        if let Some(version) = version {
            connection.add_header(&PROTOCOL_VERSION, &version);
        }
        connection.is_open = true;
        Ok(Opened { session: Arc::new(StreamableSession(Arc::new(connection))), response })
    }
}

/// A session that only listens to the stream of `endpoint`.
pub(super) fn listener(http: Arc<Http>, endpoint: Endpoint, client: &Client) -> Arc<dyn Session> {
    Arc::new(StreamableSession(Arc::new(Connection::new(http, endpoint, client))))
}

/// `protocolVersion` of an `initialize` result, as the header that later requests carry.
fn negotiated_version(result: &[u8]) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InitializeResult {
        protocol_version: String,
    }
    let result: InitializeResult = of_json(result)?;
    HeaderValue::from_str(&result.protocol_version).ok()
}

impl Upstream for Streamable {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(greeting.initialize(), client))
    }

    fn variant(&self) -> Option<Words> {
        Some(Words::both("an MCP server on Streamable HTTP", "сервер MCP на Streamable HTTP"))
    }
}

/// A session; clones belong to the same one.
#[derive(Clone)]
struct StreamableSession(Arc<Connection>);

impl Session for StreamableSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(async {
            let sent = Instant::now();
            let answer = self.0.post(request).await?;
            self.unless_lost(self.read(answer, request, sent).await?)
        })
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(self.0.send(message))
    }

    fn listen(&self) {
        let session = self.clone();
        background::spawn(async move {
            let ended = session.0.ended.clone();
            ended.run_until_cancelled(session.keep_listening()).await;
        });
    }

    fn has_id(&self) -> bool {
        self.0.has_session
    }

    fn wire(&self) -> Wire<'_> {
        Wire { is_in_body: self.0.answers_in_body, messages: None }
    }

    fn ended(&self) -> &CancellationToken {
        &self.0.ended
    }

    fn close(&self) -> Pending<'_, ()> {
        self.0.ended.cancel();
        Box::pin(self.0.delete())
    }
}

impl Asker for StreamableSession {
    fn handle(&self) -> Arc<dyn Session> {
        Arc::new(self.clone())
    }
}

/// What every request of a session needs.
#[derive(Clone)]
struct Connection {
    http: Arc<Http>,
    endpoint: Endpoint,
    post_headers: HeaderMap,
    stream_headers: HeaderMap,
    /// Whether the upstream has given a session id.
    has_session: bool,
    /// Whether `initialize` was answered with JSON instead of events.
    answers_in_body: bool,
    /// Whether the handshake is over.
    is_open: bool,
    /// Whether the upstream has a listening stream for us.
    listens: Arc<AtomicBool>,
    late: Arc<LateResponses>,
    client: Client,
    explain: Explain,
    /// Cancelled when the session is gone or closed; ends the listening stream.
    ended: CancellationToken,
}

impl Connection {
    fn new(http: Arc<Http>, endpoint: Endpoint, client: &Client) -> Self {
        let mut post_headers = post_headers();
        endpoint.complete(&mut post_headers);
        Self {
            http,
            endpoint,
            post_headers,
            stream_headers: stream_headers(),
            has_session: false,
            answers_in_body: false,
            is_open: false,
            listens: Arc::default(),
            late: Arc::default(),
            client: client.clone(),
            explain: Refusal::failure,
            ended: CancellationToken::new(),
        }
    }

    fn add_header(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.post_headers.insert(name, value.clone());
        self.stream_headers.insert(name, value.clone());
    }

    /// Posts `request` and takes the head of a successful answer.
    async fn post(&self, request: &Request) -> Result<Answer, Failure> {
        let (headers, body) = (&self.post_headers, request.body.clone());
        let is_repeatable = request.is_repeatable();
        let answer =
            self.http.post_if_repeatable(is_repeatable, &self.endpoint, headers, body).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Box::pin(self.refusal(answer, Some(request))).await)
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let (headers, body) = (&self.post_headers, message.text().clone());
        let is_repeatable = message.method() == method::INITIALIZED;
        let answer =
            self.http.post_if_repeatable(is_repeatable, &self.endpoint, headers, body).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer, None).await);
        }
        if answer.is_event_stream() {
            answer.listening().finish();
        } else {
            // Read to keep the connection; nothing in it may reach the client.
            let _ = answer.bytes().await;
        }
        Ok(())
    }

    /// The failure for an answer that is not a success, to `request` if it was one.
    async fn refusal(&self, answer: Answer, request: Option<&Request>) -> Failure {
        let standing = match (self.is_open, self.has_session) {
            (false, _) => Standing::New,
            (true, false) => Standing::Sessionless,
            (true, true) => Standing::Session,
        };
        refused(&answer.refusal().await, self.explain, request, standing)
    }

    /// Gets the MCP endpoint as an event stream.
    async fn open_stream(&self, last_event_id: Option<&str>) -> Result<Answer, Failure> {
        let mut headers = self.stream_headers.clone();
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        let answer = self.http.get_in_background(&self.endpoint, headers).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer, None).await);
        }
        if !answer.is_event_stream() {
            return Err(unusable(format!("{} answered GET without an event stream", answer.url())));
        }
        Ok(answer)
    }

    /// Waits on the listening stream for the response to a request whose POST was only accepted.
    async fn late(&self, request: &Request, sent: Instant) -> Result<Response, Failure> {
        let (url, patience) = (&self.endpoint.shown, self.http.idle_timeout());
        let late = self.late.take(request, sent);
        match self.ended.run_until_cancelled(within(patience, pin!(late))).await {
            Some(Some(response)) => Ok(response),
            // The upstream may be at work.
            Some(None) => Err(http::timed_out(url, patience)),
            None => Err(http::stream_lost(url)),
        }
    }

    /// Ends the session ("Session Management", item 5); 405 means that the upstream does not care.
    async fn delete(&self) {
        if !self.has_session {
            return;
        }
        match self.http.delete(&self.endpoint, &self.stream_headers).await {
            Ok(status) => tracing::debug!(%status, "session ended"),
            Err(failure) => tracing::debug!("the session was not ended: {}", failure.summary()),
        }
    }
}

impl StreamableSession {
    fn inbox(&self) -> Inbox<'_> {
        Inbox::new(&self.0.client, Some(self))
    }

    /// `response`, unless it is an error that tells of a lost session.
    fn unless_lost(&self, response: Response) -> Result<Response, Failure> {
        if response.error().is_some()
            && self.0.has_session
            && let Some(lost) = lost_by_error(&response, &self.0.endpoint.shown)
        {
            return Err(lost);
        }
        Ok(response)
    }

    /// Reads the answer to `request`, which was sent at `sent`.
    async fn read(
        &self,
        answer: Answer,
        request: &Request,
        sent: Instant,
    ) -> Result<Response, Failure> {
        let reading = Reading::new(Awaited::Of(request), self.inbox());
        if answer.is_event_stream() {
            return Box::pin(self.read_events(answer, reading)).await;
        }
        let is_accepted = answer.status() == StatusCode::ACCEPTED;
        match reading.body(answer, http::excerpt).await? {
            Some(response) => Ok(response),
            None if is_accepted && self.0.listens.load(Ordering::Relaxed) => {
                Box::pin(self.0.late(request, sent)).await
            }
            None => Err(empty_success(&self.0.endpoint.shown)),
        }
    }

    /// Reads the answer as events.
    async fn read_events(
        &self,
        answer: Answer,
        mut reading: Reading<'_>,
    ) -> Result<Response, Failure> {
        let mut stream = Resumable::new(&self.0, answer);
        loop {
            let event = stream.next(&mut reading).await?;
            if event.name == "endpoint" && !self.0.is_open {
                return Err(other_transport(&self.0.endpoint.shown));
            }
            if let Some(response) = reading.event(&event).await {
                stream.finish();
                return Ok(response);
            }
        }
    }
}
