//! A request for notifications, kept alive until the client takes it back or the server ends it
//! (2026-07-28, Subscriptions). The client sees one acknowledgement, however often the stream drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{StatelessSession, headers, refusal};
use crate::failure::{Class, Failure};
use crate::http;
use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::mcp::{ResourceParams, meta, method, subscription_ended};
use crate::retry::Listening;
use crate::upstream::json::{Object, items, string};
use crate::upstream::reading::{Awaited, Inbox, Reading};
use crate::upstream::refusal::empty_success;
use crate::upstream::{Client, Pending, Request, Sink, local};

/// How one stream ended.
enum Ended {
    /// With a response: the server has ended the subscription, or refused it.
    Answered(Response),
    /// It dropped, and the upstream asked for a delay or not.
    Dropped { lived: Duration, retry: Option<Duration> },
}

impl StatelessSession {
    /// Keeps a stream open for `request` until there is a response.
    pub(super) async fn keep_listening(&self, request: &Request) -> Result<Response, Failure> {
        let subscription = Arc::new(Subscription {
            client: self.client.clone(),
            id: request.message.id().unwrap_or(&request.wire_id).clone(),
            keeps_id: AtomicBool::new(request.message.id() == Some(&request.wire_id)),
            was_acknowledged: AtomicBool::new(false),
            has_spoken: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let through = self.client.through(OfSubscription(subscription.clone()));
        let mut listening = Listening::default();
        let mut current = request.clone();
        loop {
            let delay = match self.listen_once(&current, &through).await {
                Ok(Ended::Answered(response)) => return Ok(subscription.own(response)),
                Ok(Ended::Dropped { .. }) if subscription.is_over.load(Ordering::Relaxed) => {
                    return Ok(Response::with_result(subscription_ended(&subscription.id)));
                }
                Ok(Ended::Dropped { lived, retry }) => {
                    tracing::debug!("a stream of notifications dropped; opening it again");
                    listening.after_end(lived, subscription.was_acknowledged(), retry)
                }
                // The client has no acknowledgement yet: this is the answer to its request.
                Err(failure) if !subscription.was_acknowledged() => return Err(failure),
                Err(failure) if failure.class() == Class::Final => return Err(failure),
                Err(failure) => {
                    tracing::debug!("no stream of notifications yet: {}", failure.summary());
                    listening.after_refusal(&failure)
                }
            };
            tokio::time::sleep(delay).await;
            subscription.keeps_id.store(false, Ordering::Relaxed);
            current = Request::new(request.message.clone(), self.server.own_id());
        }
    }

    async fn listen_once(&self, request: &Request, client: &Client) -> Result<Ended, Failure> {
        let headers = headers::of(request, &self.server.common, &self.server.tools);
        let (http, endpoint) = (&self.server.http, &self.server.endpoint);
        let answer = http.post(endpoint, headers, request.body.clone()).await?;
        if !answer.status().is_success() {
            return Err(refusal(answer, request).await);
        }
        let mut reading = Reading::new(Awaited::Of(request), Inbox::new(client, None));
        if !answer.is_event_stream() {
            let read = reading.body(answer, http::excerpt).await?;
            return read.map(Ended::Answered).ok_or_else(|| empty_success(&endpoint.shown));
        }
        let opened = Instant::now();
        let mut events = answer.listening();
        while let Ok(event) = events.next().await {
            if let Some(response) = reading.event(&event).await {
                events.finish();
                return Ok(Ended::Answered(response));
            }
        }
        Ok(Ended::Dropped { lived: opened.elapsed(), retry: events.retry() })
    }
}

/// One subscription of the client.
struct Subscription {
    client: Client,
    /// The client's own id for it.
    id: RequestId,
    /// Whether the server knows it by the same id.
    keeps_id: AtomicBool,
    was_acknowledged: AtomicBool,
    /// Whether anything has come but the acknowledgement. A gap in a stream that carried nothing is
    /// no news.
    has_spoken: AtomicBool,
    /// Whether the server has said that it ends the subscription.
    is_over: AtomicBool,
}

/// Takes what comes on the streams of a subscription.
struct OfSubscription(Arc<Subscription>);

impl Sink for OfSubscription {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        Box::pin(self.0.take(message))
    }
}

impl Subscription {
    fn was_acknowledged(&self) -> bool {
        self.was_acknowledged.load(Ordering::Relaxed)
    }

    async fn take(&self, message: Message) {
        if message.method() == method::CANCELLED {
            self.is_over.store(true, Ordering::Relaxed);
            let params = format!(r#"{{"requestId":{}}}"#, self.id);
            return self.client.notify(Message::notification(method::CANCELLED, &params)).await;
        }
        if message.method() != method::ACKNOWLEDGED {
            self.has_spoken.store(true, Ordering::Relaxed);
        } else if self.was_acknowledged.swap(true, Ordering::Relaxed) {
            if self.has_spoken.load(Ordering::Relaxed) {
                self.tell_possible_changes(&message).await;
            }
            return;
        }
        let own = self.renamed(local::params(&message));
        let message = match own {
            Some(params) => Message::notification(message.method(), &params),
            None => message,
        };
        self.client.notify(message).await;
    }

    /// Tells the client of everything that may have changed while there was no stream; `message`
    /// acknowledges the new one.
    async fn tell_possible_changes(&self, message: &Message) {
        let granted = Object::read(local::params(message));
        let granted =
            granted.as_ref().and_then(|params| Object::read(params.get("notifications")?));
        let Some(granted) = granted else { return };
        let tag = format!(r#""_meta":{{"{}":{}}}"#, meta::SUBSCRIPTION_ID, self.id);
        for list in &method::CHANGING_LISTS {
            if granted.get(list.filter) == Some("true") {
                let message = Message::notification(list.changed, &format!("{{{tag}}}"));
                self.client.notify(message).await;
            }
        }
        let uris = granted.get(method::RESOURCE_FILTER).and_then(items).unwrap_or_default();
        for uri in uris.into_iter().filter_map(string) {
            let uri = to_json(&ResourceParams { uri });
            let params = format!("{},{tag}}}", uri.trim_end_matches('}'));
            let message = Message::notification(method::RESOURCE_UPDATED, &params);
            self.client.notify(message).await;
        }
    }

    /// `response` with the client's own id for the subscription.
    fn own(&self, response: Response) -> Response {
        local::repaired(response, |result| self.renamed(result))
    }

    /// `object` with the client's own id for the subscription in its `_meta`; `None` where it stands
    /// there already.
    fn renamed(&self, object: &str) -> Option<String> {
        if self.keeps_id.load(Ordering::Relaxed) {
            return None;
        }
        let mut object = Object::read(object)?;
        let mut meta = Object::read(object.get("_meta")?)?;
        meta.get(meta::SUBSCRIPTION_ID)?;
        meta.set(meta::SUBSCRIPTION_ID, self.id.to_string());
        let meta = meta.text();
        object.set("_meta", meta);
        object.changed()
    }
}
