//! Reads what an upstream sends, a body or events, in one way for all kinds: side messages go to
//! the client, responses to what they answer, and what cannot be parsed is logged and remembered.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::refusal::unusable;
use super::{Client, Request, Session, onec, parsing};
use crate::failure::Failure;
use crate::http::{self, Answer, StreamBroke, sse};
use crate::jsonrpc::{FromUpstream, Message, RequestId, Response, Unusable, from_upstream};
use crate::mcp::method;

/// A session that the client's answers can be sent to.
pub(super) trait Asker: Sync {
    /// The session.
    fn handle(&self) -> Arc<dyn Session>;
}

/// Finds what a body says to a person, for an error; the second argument is its `Content-Type`.
pub(super) type Excerpt = fn(&[u8], Option<&str>) -> String;

/// Sorts messages from an upstream.
#[derive(Clone, Copy)]
pub(super) struct Inbox<'a> {
    client: &'a Client,
    /// `None` for a service without sessions, which can ask a client nothing.
    asker: Option<&'a dyn Asker>,
    /// Whether it reads a stream that belongs to no request. Progress on it may belong to a request
    /// that is over, on which clients close the connection.
    is_shared: bool,
    /// The request in whose answer it reads.
    during: Option<&'a RequestId>,
}

impl<'a> Inbox<'a> {
    pub(super) fn new(client: &'a Client, asker: Option<&'a dyn Asker>) -> Self {
        Self { client, asker, is_shared: false, during: None }
    }

    /// The same for a stream that belongs to no request.
    pub(super) fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Reads the JSON text of one message or of a batch, delivers the requests and notifications
    /// in it to the client, and returns its responses.
    ///
    /// # Errors
    /// The text is not JSON-RPC.
    pub(super) async fn sort(&self, text: &Bytes) -> Result<Vec<Response>, Unusable> {
        self.sort_declared(text, None).await
    }

    /// As [`Inbox::sort`], for a body that came with `content_type`.
    async fn sort_declared(
        &self,
        text: &Bytes,
        content_type: Option<&str>,
    ) -> Result<Vec<Response>, Unusable> {
        let mut responses = Vec::with_capacity(1);
        let messages = match from_upstream(text) {
            Err(unusable) if self.client.has_careless_upstream() => {
                parsing::messages(text, content_type, unusable)?
            }
            messages => messages?,
        };
        for message in messages {
            match message {
                FromUpstream::Response(response) => responses.push(response),
                FromUpstream::Message(message) => Box::pin(self.deliver(message)).await,
            }
        }
        Ok(responses)
    }

    /// As [`Inbox::sort`], for the data of an event.
    ///
    /// # Errors
    /// As for [`Inbox::sort`]; the reason has been logged.
    pub(super) async fn sort_event(&self, event: &sse::Event) -> Result<Vec<Response>, Unusable> {
        if event.name != "message" {
            tracing::debug!(event = event.name, "event of an unknown type ignored");
            return Ok(Vec::new());
        }
        let sorted = self.sort(&event.data).await;
        sorted.inspect_err(|Unusable(why)| {
            self.client.warn_of_malformed(why);
        })
    }

    /// Delivers what the upstream sent of its own accord, and sends back the refusal of a question
    /// that the client cannot answer any more.
    async fn deliver(&self, message: Message) {
        let name = message.method();
        if method::is_clients_own(name) {
            tracing::warn!(method = name, "what only clients send came from the upstream");
            return;
        }
        tracing::debug!(method = name, "upstream sends");
        if message.id().is_none() {
            if self.is_shared && self.client.is_stray_progress(&message) {
                tracing::debug!("progress for a request that is not in flight is dropped");
                return;
            }
            return self.client.notify_during(message, self.during).await;
        }
        let Some(asker) = self.asker else {
            tracing::warn!(method = name, "a request of a service without sessions is dropped");
            return;
        };
        let session = asker.handle();
        if let Some(refusal) = self.client.deliver(message, &session, self.during).await
            && let Err(failure) = session.send(&refusal).await
        {
            tracing::debug!("refusing the upstream's request failed: {}", failure.summary());
        }
    }
}

/// Which response is the answer to an exchange.
#[derive(Clone, Copy)]
pub(super) enum Awaited<'a> {
    /// The one with the request's id. Some servers send others' answers too.
    Of(&'a Request),
    /// The first: what comes can only answer this exchange, whatever its id.
    First,
}

/// The reading of one answer.
pub(super) struct Reading<'a> {
    awaited: Awaited<'a>,
    inbox: Inbox<'a>,
    /// A response that answers something else.
    other: Option<RequestId>,
    /// The latest event that could not be parsed.
    garbage: Option<Unusable>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(awaited: Awaited<'a>, mut inbox: Inbox<'a>) -> Self {
        if let Awaited::Of(request) = awaited {
            inbox.during = Some(&request.wire_id);
        }
        Self { awaited, inbox, other: None, garbage: None }
    }

    /// Reads the whole body of `answer`; `None` when it is empty.
    ///
    /// # Errors
    /// The body breaks off, is not JSON-RPC, or holds no response to this exchange.
    pub(super) async fn body(
        mut self,
        mut answer: Answer,
        excerpt: Excerpt,
    ) -> Result<Option<Response>, Failure> {
        let body = answer.read().await?;
        if is_blank(&body) {
            return Ok(None);
        }
        let sorted = self.inbox.sort_declared(&body, answer.content_type()).await;
        let responses = sorted.map_err(|Unusable(why)| {
            let (url, status, content_type) =
                (answer.url(), http::Named(answer.status()), answer.content_type());
            let said = excerpt(&body, content_type);
            let shows_onec = onec::is_page(&body, content_type);
            let content_type = content_type.unwrap_or("no content type");
            let mut failure = unusable(format!(
                "the answer of {url} (HTTP {status}, {content_type}) cannot be used: {why}; it \
                 says: {said}"
            ));
            failure.shows_onec = shows_onec;
            failure
        })?;
        let url = answer.url();
        self.pick(responses, true).map(Some).ok_or_else(|| {
            unusable(match (&self.other, self.awaited) {
                (Some(id), Awaited::Of(Request { wire_id, .. })) => {
                    format!("{url} answered another request ({id} instead of {wire_id})")
                }
                _ => format!("the answer of {url} holds no response"),
            })
        })
    }

    /// Reads `answer` as an event stream that cannot be resumed, up to the response.
    ///
    /// # Errors
    /// The stream ends without the response, or breaks off.
    pub(super) async fn events(mut self, answer: Answer) -> Result<Response, Failure> {
        let url = answer.url().clone();
        let mut events = answer.events();
        loop {
            match events.next().await {
                Ok(event) => {
                    if let Some(response) = self.event(&event).await {
                        events.finish();
                        return Ok(response);
                    }
                }
                Err(StreamBroke::Ended) => return Err(self.ended_without_response(&url)),
                Err(StreamBroke::Failed(failure)) => return Err(failure),
            }
        }
    }

    /// Reads one event; returns the response if it holds it.
    pub(super) async fn event(&mut self, event: &sse::Event) -> Option<Response> {
        match self.inbox.sort_event(event).await {
            Ok(responses) => self.pick(responses, false),
            Err(garbage) => {
                self.garbage = Some(garbage);
                None
            }
        }
    }

    /// The failure of a stream that ended in good order without the response. What could not be
    /// parsed will have been it.
    pub(super) fn ended_without_response(&mut self, url: &str) -> Failure {
        match self.garbage.take() {
            Some(Unusable(why)) => unusable(format!("an event of {url} cannot be used: {why}")),
            None => http::stream_lost(url),
        }
    }

    /// The response to this exchange among those of one body or event. An id of 0 counts in the
    /// only response of a body, which can answer nothing else: some servers write nothing else.
    fn pick(&mut self, responses: Vec<Response>, is_body: bool) -> Option<Response> {
        let mut answer = None;
        let is_only = is_body && responses.len() == 1;
        for response in responses {
            let is_meant = match self.awaited {
                Awaited::Of(request) => {
                    request.is_answered_by(&response) || is_only && has_id_zero(&response)
                }
                Awaited::First => true,
            };
            if is_meant && answer.is_none() {
                answer = Some(response);
            } else {
                tracing::debug!(id = ?response.id(), "a response to another request is dropped");
                self.other = response.id();
            }
        }
        answer
    }
}

/// The request among `waiting` that `response` answers: the one with this very id, else one whose id means the
/// same, else the only one that it can be meant for.
pub(super) fn awaited<T>(
    waiting: &HashMap<RequestId, T>,
    response: &Response,
) -> Option<RequestId> {
    let only = |mut candidates: Vec<&RequestId>| match candidates.len() {
        1 => candidates.pop().cloned(),
        _ => None,
    };
    let Some(id) = response.id() else {
        // An error without an id: the server could not read what it was sent.
        return response.error().and_then(|_| only(waiting.keys().collect()));
    };
    if waiting.contains_key(&id) {
        return Some(id);
    }
    waiting
        .keys()
        .find(|key| key.matches(&id))
        .cloned()
        .or_else(|| only(waiting.keys().filter(|key| key.is_echoed_by(&id)).collect()))
}

fn has_id_zero(response: &Response) -> bool {
    response.id().is_some_and(|id| matches!(id.as_json().as_ref(), b"0" | b"\"0\""))
}

/// Whether a body says nothing at all; some services send a byte order mark or a NUL and nothing more.
pub(super) fn is_blank(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    text.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}
