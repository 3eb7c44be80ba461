//! What both MCP variants need besides their transport: ids of ours, repaired results, and on
//! request the resources of the REST API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::rest::{Api, resource};
use super::results;
use crate::failure::Failure;
use crate::jsonrpc::{Message, Response};
use crate::mcp::method;
use crate::upstream::local;
use crate::upstream::repair::SchemaRepairs;
use crate::upstream::{Opened, Pending, Request, Session};

/// Far from any id that a client gives: `initialize` may have travelled with the client's own, and
/// the second copy of its answer may come late.
const FIRST_ID: u64 = 1 << 32;

/// A session of an MCP variant, as clients take it.
pub(super) struct RepairedSession {
    inner: Arc<dyn Session>,
    /// Ids of ours: a late second copy of an answer must not meet a new request with the same id.
    requests: AtomicU64,
    keeps_errors: bool,
    schema: Arc<SchemaRepairs>,
    /// Set when the resources of the REST API are offered as well.
    api: Option<Arc<Api>>,
}

impl RepairedSession {
    /// Wraps the session in `opened`.
    pub(super) fn wrap(
        opened: Opened,
        initialize: &Message,
        schema: Arc<SchemaRepairs>,
        keeps_errors: bool,
        api: Option<Arc<Api>>,
    ) -> Opened {
        let Opened { session: inner, response } = opened;
        let response = schema.response(initialize, response);
        let response = if api.is_some() { results::with_resources(response) } else { response };
        let requests = AtomicU64::new(FIRST_ID);
        let session = Self { inner, requests, keeps_errors, schema, api };
        Opened { session: Arc::new(session), response }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        if let Some(api) = &self.api
            && let Some(outcome) = resource(api, message).await
        {
            return outcome;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let response = self.inner.exchange(&self.own_request(number, message)).await?;
        let response = self.schema.response(message, response);
        match message.method() {
            method::TOOLS_CALL => results::repair_call(response, self.keeps_errors),
            _ => Ok(response),
        }
    }
}

impl RepairedSession {
    fn own_request(&self, number: u64, message: &Message) -> Request {
        match self.schema.params(message) {
            Some(params) => local::request(number, message, &params),
            None => own_request(number, message),
        }
    }
}

/// The client's request with an integer of ours as its id. The server fails on `params` that are
/// `null`, and on calls without any.
pub(super) fn own_request(number: u64, message: &Message) -> Request {
    let params = local::params(message);
    let repaired = local::without_null(params);
    local::request(number, message, repaired.as_deref().unwrap_or(params))
}

impl Session for RepairedSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    /// The server answers other notifications with errors and acts on none. A request without an
    /// id, however, it would carry out.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        if message.method() == method::INITIALIZED {
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
