//! A session of any transport with the repairs of a named kind: what a kind does in a conversation
//! that is not in a protocol of its own.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::repair::SchemaRepairs;
use super::{Opened, Pending, Request, Session, Wire};
use crate::failure::Failure;
use crate::jsonrpc::{Message, Response};

/// What a kind changes in a conversation, besides what strict clients refuse.
pub(super) trait Repairs: Send + Sync {
    /// The answer to a request that the server is not asked; `None` for the others.
    fn answer<'a>(
        &'a self,
        _request: &'a Message,
    ) -> Pending<'a, Option<Result<Response, Failure>>> {
        Box::pin(std::future::ready(None))
    }

    /// The request as the server must get it, where that is another than the client's.
    fn outgoing(&self, _request: &Request) -> Option<Request> {
        None
    }

    /// The answer to `request` as the client must get it. Strict clients can read it already.
    ///
    /// # Errors
    /// The answer stands for a failure that may be retried.
    fn incoming(&self, _request: &Message, response: Response) -> Result<Response, Failure> {
        Ok(response)
    }

    /// Whether the server may get this notification of the client.
    fn passes(&self, _notification: &Message) -> bool {
        true
    }
}

/// Nothing besides what strict clients refuse.
pub(super) struct OfSchema;

impl Repairs for OfSchema {}

/// A session, and what is repaired in it.
pub(super) struct Repaired {
    inner: Arc<dyn Session>,
    schema: Arc<SchemaRepairs>,
    repairs: Arc<dyn Repairs>,
}

impl Repaired {
    /// Wraps the session that `initialize` has opened.
    pub(super) fn wrap(
        opened: Opened,
        initialize: &Message,
        schema: Arc<SchemaRepairs>,
        repairs: Arc<dyn Repairs>,
    ) -> Opened {
        let Opened { session: inner, response } = opened;
        let response = schema.response(initialize, response);
        Opened { session: Arc::new(Self { inner, schema, repairs }), response }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        if let Some(outcome) = self.repairs.answer(message).await {
            return outcome;
        }
        let own = self.schema.params(message).map(|params| request.with_params(&params));
        let request = own.as_ref().unwrap_or(request);
        let response = match self.repairs.outgoing(request) {
            Some(request) => self.inner.exchange(&request).await?,
            None => self.inner.exchange(request).await?,
        };
        self.repairs.incoming(message, self.schema.response(message, response))
    }
}

impl Session for Repaired {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        if self.repairs.passes(message) {
            return self.inner.send(message);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn listen(&self) {
        self.inner.listen();
    }

    fn has_id(&self) -> bool {
        self.inner.has_id()
    }

    fn wire(&self) -> Wire<'_> {
        self.inner.wire()
    }

    fn ended(&self) -> &CancellationToken {
        self.inner.ended()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.inner.close()
    }
}
