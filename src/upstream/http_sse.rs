//! HTTP+SSE of revision 2024-11-05 (Transports, "HTTP with SSE"): one event stream for all that
//! the server sends, and POSTs to the endpoint that the stream names first.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::headers::{post_headers, stream_headers};
use super::reading::{Asker, Inbox, awaited};
use super::refusal::{Standing, accepted, lost_by_error, refused, unusable};
use super::{Client, Greeting, Opened, Pending, Request, Session, Upstream, Wire};
use crate::background;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Words;
use crate::http::{self, Endpoint, Events, Http, Refusal, StreamBroke};
use crate::jsonrpc::{Message, RequestId, Response, Unusable};
use crate::mcp::method;
use crate::patience::within;
use crate::redact;

/// Bound on the wait for the `endpoint` event, which servers send at once.
pub(super) const ENDPOINT_PATIENCE: Duration = Duration::from_secs(15);

/// An MCP server on HTTP+SSE.
pub(super) struct HttpSse {
    http: Arc<Http>,
    stream: Endpoint,
}

impl HttpSse {
    pub(super) fn new(http: Arc<Http>, stream: Endpoint) -> Self {
        Self { http, stream }
    }

    pub(super) async fn open(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let beginning = self.begin(ENDPOINT_PATIENCE).await?;
        self.open_on(beginning, initialize, client).await
    }

    /// Opens a session on a stream that has begun. Where the endpoint that it names is not found,
    /// the same one below the stream's own prefix is tried once: a reverse proxy may publish the
    /// server below a path that the server itself does not know.
    pub(super) async fn open_on(
        &self,
        beginning: Beginning,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let endpoint = self.endpoint(&beginning)?;
        let is_below = self.below_prefix(&endpoint.url).is_some();
        let refusal = match self.open_at(beginning, endpoint, initialize, client).await {
            Err(failure) if failure.status == Some(404) && is_below => failure,
            outcome => return outcome,
        };
        let beginning = self.begin(ENDPOINT_PATIENCE).await?;
        let Some(endpoint) = self.below_prefix(&self.endpoint(&beginning)?.url) else {
            return Err(refusal);
        };
        tracing::info!("the endpoint is not where the stream says; trying {}", endpoint.shown);
        match self.open_at(beginning, endpoint, initialize, client).await {
            Err(failure) if failure.class() == Class::Final => Err(refusal.hint(
                "The stream names an address at which nothing is served: the server does not know \
                 the path below which a proxy publishes it, and must be told its public address.",
            )),
            outcome => outcome,
        }
    }

    /// The endpoint below the part of the stream's path that `endpoint` lacks, if it lacks one.
    fn below_prefix(&self, endpoint: &Url) -> Option<Endpoint> {
        let (folder, _) = self.stream.url.path().rsplit_once('/')?;
        let folder: Vec<_> = folder.split('/').skip(1).collect();
        let path: Vec<_> = endpoint.path().split('/').skip(1).collect();
        let shared = (0..=folder.len().min(path.len()))
            .rev()
            .find(|count| folder[folder.len() - count..] == path[..*count])?;
        let prefix = &folder[..folder.len() - shared];
        if prefix.is_empty() {
            return None;
        }
        let mut url = endpoint.clone();
        url.set_path(&format!("/{}{}", prefix.join("/"), endpoint.path()));
        Some(Endpoint::new(url))
    }

    /// Opens the stream and waits for its first event, at most for `patience`.
    ///
    /// # Errors
    /// There is no stream, or it says nothing.
    pub(super) async fn begin(&self, patience: Duration) -> Result<Beginning, Failure> {
        let started = Instant::now();
        let answer = self.http.get(&self.stream, stream_headers());
        let answer = within(patience, pin!(answer))
            .await
            .ok_or_else(|| http::timed_out(&self.stream.shown, patience))??;
        let url = answer.url().clone();
        if !answer.status().is_success() {
            return Err(answer.refusal().await.failure());
        }
        if !answer.is_event_stream() {
            return Err(unusable(format!("{url} answered GET without an event stream")));
        }
        let (idle_timeout, base) = (answer.idle_timeout(), answer.final_url().clone());
        let mut events = answer.listening();
        let left = patience.saturating_sub(started.elapsed()).min(idle_timeout);
        let first = within(left, pin!(events.next())).await;
        let first = first.ok_or_else(|| no_endpoint(&url, "none came in time"))?;
        let first = first.map_err(|broke| match broke {
            StreamBroke::Ended => no_endpoint(&url, "the stream ended"),
            StreamBroke::Failed(failure) => failure,
        })?;
        Ok(Beginning { url, base, events, first, idle_timeout })
    }

    /// Opens a session on a stream that has begun, posting to `endpoint`.
    async fn open_at(
        &self,
        beginning: Beginning,
        endpoint: Endpoint,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let Beginning { url, events, idle_timeout, .. } = beginning;
        let mut headers = post_headers();
        endpoint.complete(&mut headers);
        let session = HttpSseSession {
            http: self.http.clone(),
            endpoint,
            stream_url: url,
            headers,
            patience: idle_timeout,
            client: client.clone(),
            waiters: Arc::new(Mutex::new(Some(HashMap::new()))),
            life: Arc::default(),
            answers_in_body: Arc::default(),
            ended: CancellationToken::new(),
        };
        session.clone().read_in_background(events);
        let response = match session.exchange(initialize).await {
            Ok(response) => response,
            Err(failure) => {
                session.ended.cancel();
                return Err(if failure.class() == Class::SessionLost {
                    let why = "no session was open: the endpoint is not where the stream says";
                    failure.reclassed(Class::Final, why)
                } else {
                    failure
                });
            }
        };
        accepted(&response, &session.stream_url).inspect_err(|_| session.ended.cancel())?;
        Ok(Opened { session: Arc::new(session), response })
    }

    /// The endpoint that the stream's first event names.
    ///
    /// # Errors
    /// It names none, or one of another host.
    fn endpoint(&self, beginning: &Beginning) -> Result<Endpoint, Failure> {
        let Beginning { url, base, first, .. } = beginning;
        if first.name != "endpoint" {
            let mut failure = no_endpoint(url, "the stream began with something else");
            if first.data.starts_with(b"{") {
                failure = failure.hint(
                    "The server speaks MCP over HTTP in a way of its own: if it is the amoCRM \
                     server, use `--kind amocrm`.",
                );
            }
            return Err(failure);
        }
        let named = String::from_utf8_lossy(&first.data);
        let endpoint = base.join(named.trim()).map_err(|error| {
            no_endpoint(url, &format!("what the stream names is not a URL ({error})"))
        })?;
        // An attacker in control of the stream must not get our headers sent elsewhere.
        if endpoint.origin() != self.stream.url.origin() {
            let shown = redact::shown(&endpoint);
            let why = format!("{shown} is on another host");
            return Err(no_endpoint(url, &why).hint(
                "The server must be told its public address, so that its stream names that instead \
                 of an internal one.",
            ));
        }
        Ok(Endpoint::new(endpoint))
    }
}

/// A stream with its first event read.
pub(super) struct Beginning {
    url: Arc<str>,
    /// What a relative endpoint is relative to.
    base: Url,
    events: Events,
    pub(super) first: http::sse::Event,
    idle_timeout: Duration,
}

fn no_endpoint(url: &str, why: &str) -> Failure {
    unusable(format!("{url} opened a stream but named no endpoint to post to: {why}"))
}

impl Upstream for HttpSse {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(greeting.initialize(), client))
    }

    fn variant(&self) -> Option<Words> {
        Some(Words::both(
            "an MCP server on HTTP+SSE (revision 2024-11-05)",
            "сервер MCP на HTTP+SSE (версия 2024-11-05)",
        ))
    }
}

/// The requests whose responses are awaited on the stream, by the ids they travel with. `None`
/// once the stream is gone.
type Waiters = Option<HashMap<RequestId, oneshot::Sender<Response>>>;

/// A session lives as long as its stream; clones belong to the same one.
#[derive(Clone)]
struct HttpSseSession {
    http: Arc<Http>,
    endpoint: Endpoint,
    stream_url: Arc<str>,
    headers: HeaderMap,
    /// Bound on the time without an event while a request waits.
    patience: Duration,
    client: Client,
    waiters: Arc<Mutex<Waiters>>,
    /// Notified whenever anything comes on the stream.
    life: Arc<Notify>,
    /// Whether a POST was answered in its body, be it on the stream as well.
    answers_in_body: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl HttpSseSession {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_in_background(self, mut events: Events) {
        events.notify_of_life(self.life.clone());
        background::spawn(async move {
            let ended = self.ended.clone();
            ended.run_until_cancelled(self.read(events)).await;
            // The waiting requests learn that no response will come.
            *self.waiters() = None;
            self.ended.cancel();
        });
    }

    async fn read(&self, mut events: Events) {
        let broke = loop {
            match events.next().await {
                Ok(event) => self.take_event(event).await,
                Err(broke) => break broke,
            }
        };
        tracing::info!("the upstream's stream ended: {broke}");
    }

    async fn take_event(&self, event: http::sse::Event) {
        // What cannot be parsed has been logged.
        let responses = self.inbox().shared().sort_event(&event).await.unwrap_or_default();
        for response in responses {
            self.hand_over(response);
        }
    }

    fn inbox(&self) -> Inbox<'_> {
        Inbox::new(&self.client, Some(self))
    }

    /// Gives `response` to the request that waits for it. A second copy finds none, and is dropped.
    fn hand_over(&self, response: Response) {
        let mut waiters = self.waiters();
        let Some(waiters) = &mut *waiters else { return };
        match awaited(waiters, &response).and_then(|key| waiters.remove(&key)) {
            // A waiter that has given up meanwhile has told its client so.
            Some(waiter) => drop(waiter.send(response)),
            None => tracing::debug!(id = ?response.id(), "response that nobody waits for dropped"),
        }
    }

    /// Posts `body`, which is that of `request` if it is one, and takes the body of the answer.
    async fn post(&self, body: Bytes, request: Option<&Request>) -> Result<Bytes, Failure> {
        let is_repeatable = request.is_some_and(Request::is_repeatable);
        let answer = self
            .http
            .post_if_repeatable(is_repeatable, &self.endpoint, &self.headers, body)
            .await?;
        if answer.status().is_success() {
            return answer.bytes().await;
        }
        let mut failure =
            refused(&answer.refusal().await, Refusal::failure, request, Standing::Session);
        failure.what.push_str(&format!(" (the endpoint of {})", self.stream_url));
        Err(failure)
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let response = self.response_to(request).await?;
        // `initialize` opens the session.
        if response.error().is_some()
            && request.message.method() != method::INITIALIZE
            && let Some(lost) = lost_by_error(&response, &self.stream_url)
        {
            return Err(lost);
        }
        Ok(response)
    }

    async fn response_to(&self, request: &Request) -> Result<Response, Failure> {
        let (sender, mut response) = oneshot::channel();
        match &mut *self.waiters() {
            Some(waiting) => waiting.insert(request.wire_id.clone(), sender),
            None => return Err(self.stream_gone(Class::SessionLost)),
        };
        let _registration = Registration { session: self, id: &request.wire_id };
        match self.post(request.body.clone(), Some(request)).await {
            Ok(body) => {
                if let Some(response) = self.answer_in_body(&body, request).await {
                    self.answers_in_body.store(true, Ordering::Relaxed);
                    return Ok(response);
                }
            }
            // The upstream may have got it: the stream will tell, or break too.
            // What does no harm when it is done twice is not worth the wait.
            Err(failure)
                if failure.cause == Cause::Interrupted
                    && !method::is_safe(request.message.method()) =>
            {
                tracing::debug!(id = %request.wire_id, "{}; waiting for the stream", failure.what);
            }
            Err(failure) => return Err(failure),
        }
        loop {
            let sign_of_life = async {
                tokio::select! {
                    response = &mut response => Some(response),
                    () = self.life.notified() => None,
                }
            };
            match within(self.patience, pin!(sign_of_life)).await {
                Some(Some(response)) => {
                    return response.map_err(|_| self.stream_gone(Class::Ambiguous));
                }
                Some(None) => {}
                None => return Err(http::timed_out(&self.stream_url, self.patience)),
            }
        }
    }

    /// The answer in the body of a POST: most servers answer on the stream alone, some in the body,
    /// some in both. The copy on the stream then finds no waiter.
    async fn answer_in_body(&self, body: &Bytes, request: &Request) -> Option<Response> {
        let responses = match self.inbox().sort(body).await {
            Ok(responses) => responses,
            // Servers confirm a POST with words such as `Accepted`.
            Err(Unusable(why)) => {
                tracing::debug!("the body of the POST's answer is ignored: {why}");
                return None;
            }
        };
        let mut answer = None;
        for response in responses {
            // The body belongs to this request, so an error without an id is its own.
            let is_meant = if response.has_no_id() {
                response.error().is_some()
            } else {
                request.is_answered_by(&response)
            };
            match answer {
                None if is_meant => answer = Some(response),
                _ => self.hand_over(response),
            }
        }
        answer
    }

    fn stream_gone(&self, class: Class) -> Failure {
        let what = format!("the event stream of {} ended", self.stream_url);
        Failure::new(class, Cause::Interrupted, what).hint(
            "The server was restarted, or a proxy in between closed the stream: look at the \
             server's log.",
        )
    }
}

/// Forgets a request when its exchange ends in whatever way.
struct Registration<'a> {
    session: &'a HttpSseSession,
    id: &'a RequestId,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &mut *self.session.waiters() {
            waiting.remove(self.id);
        }
    }
}

impl Asker for HttpSseSession {
    fn handle(&self) -> Arc<dyn Session> {
        Arc::new(self.clone())
    }
}

impl Session for HttpSseSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { self.post(message.text().clone(), None).await.map(drop) })
    }

    fn wire(&self) -> Wire<'_> {
        let is_in_body = self.answers_in_body.load(Ordering::Relaxed);
        Wire { is_in_body, messages: Some(&self.endpoint.url) }
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
