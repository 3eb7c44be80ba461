//! The current variant: HTTP+SSE with a session, in which each answer comes twice, in the body of
//! the POST and on the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::SERVER_NAME;
use super::rest::{Api, resource};
use super::results::Results;
use crate::failure::Failure;
use crate::jsonrpc::{Message, RequestId, Response};
use crate::upstream::local::{self, mended};
use crate::upstream::{Pending, Request, Session, repair};

/// Far from any id that a client gives: `initialize` may have travelled with the client's own, and
/// its second copy may come late.
const FIRST_ID: u64 = 1 << 32;

/// A session of HTTP+SSE with what this server needs besides.
pub(super) struct StreamedSession {
    inner: Arc<dyn Session>,
    /// Ids of ours: a second copy that comes late must not meet a new request of the same id.
    requests: AtomicU64,
    results: Results,
    /// For the resources, where they are wanted.
    api: Option<Arc<Api>>,
}

impl StreamedSession {
    pub(super) fn new(inner: Arc<dyn Session>, results: Results, api: Option<Arc<Api>>) -> Self {
        Self { inner, requests: AtomicU64::new(FIRST_ID), results, api }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        if let Some(api) = &self.api
            && let Some(outcome) = resource(api, message).await
        {
            return outcome;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let response = self.inner.exchange(&own_request(number, message)).await?;
        match message.method() {
            "tools/list" => Ok(mended(response, |result| repair::list(result, "tools", |_| {}))),
            "tools/call" => self.results.of_call(message, response, SERVER_NAME),
            _ => Ok(response),
        }
    }
}

/// The client's request with an integer of ours for its id. The server trips over `params` that
/// are `null`, and over calls without any.
pub(super) fn own_request(number: u64, message: &Message) -> Request {
    let id = RequestId::number(number);
    let params = message.params().map(local::text).filter(|params| *params != "null");
    if params.is_some() || message.method() == "tools/call" {
        let params = params.unwrap_or("{}");
        let mended = local::without_null(params);
        return local::request(number, message, mended.as_deref().unwrap_or(params));
    }
    let method = message.method();
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{}}}"#, crate::jsonrpc::to_json(&method));
    Request { message: message.clone(), wire_id: id, body: body.into() }
}

impl Session for StreamedSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    /// The server answers other notifications with errors and acts on none; what has no id and is
    /// no notification it would carry out.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        if message.method() == "notifications/initialized" {
            return self.inner.send(message);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn listen(&self) {
        self.inner.listen();
    }

    fn ended(&self) -> &CancellationToken {
        self.inner.ended()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.inner.close()
    }
}
