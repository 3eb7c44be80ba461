//! A session of any transport with the repairs of a named kind: what a kind does in a conversation
//! that is not in a protocol of its own.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::json::Object;
use super::local::{self, repaired};
use super::{Opened, Pending, Request, Session, Wire, repair};
use crate::failure::Failure;
use crate::jsonrpc::{Message, Response};
use crate::mcp::{CallParams, Revision, asked_revision, method};

/// The revision where neither side states one that is known.
const UNKNOWN: Revision = Revision::V2025_06_18;

/// What a kind changes in a conversation. By itself, nothing but what strict clients refuse.
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

    /// The answer to `request` as the client must get it.
    ///
    /// # Errors
    /// The answer stands for a failure that may be retried.
    fn incoming(&self, request: &Message, response: Response) -> Result<Response, Failure> {
        Ok(by_schema(request, response))
    }

    /// Whether the server may get this notification of the client.
    fn passes(&self, _notification: &Message) -> bool {
        true
    }
}

/// The repairs that every server gets whose answers are those of MCP.
pub(super) struct OfSchema;

impl Repairs for OfSchema {}

/// `response` to `request` as strict clients take it.
pub(super) fn by_schema(request: &Message, response: Response) -> Response {
    let list = |member: &'static str| {
        move |result: &str| repair::list(result, member, |_: &mut Object<'_>| {})
    };
    match request.method() {
        method::INITIALIZE => {
            let revision = asked_revision(request).unwrap_or(UNKNOWN).as_str();
            repaired(response, |result| repair::initialize_result(result, revision))
        }
        method::TOOLS_LIST => repaired(response, list("tools")),
        method::PROMPTS_LIST => repaired(response, list("prompts")),
        method::RESOURCES_LIST => repaired(response, list("resources")),
        method::RESOURCE_TEMPLATES_LIST => repaired(response, list("resourceTemplates")),
        method::TOOLS_CALL => {
            repaired(response, |result| repair::call_result(result, &name(request)))
        }
        method::PROMPTS_GET => {
            repaired(response, |result| repair::prompt_result(result, &name(request)))
        }
        method::RESOURCES_READ => {
            repaired(response, |result| repair::read_result(result, local::uri(request).as_deref()))
        }
        _ => response,
    }
}

/// The name of the tool or prompt that a request asks for.
fn name(request: &Message) -> String {
    let named: Option<CallParams<'_>> = request.read_params();
    named.map_or_else(String::new, |named| named.name.into_owned())
}

/// A session, and what is repaired in it.
pub(super) struct Repaired {
    inner: Arc<dyn Session>,
    repairs: Arc<dyn Repairs>,
}

impl Repaired {
    /// Wraps the session that `initialize` has opened.
    pub(super) fn wrap(opened: Opened, initialize: &Message, repairs: Arc<dyn Repairs>) -> Opened {
        let Opened { session: inner, response } = opened;
        let response = by_schema(initialize, response);
        Opened { session: Arc::new(Self { inner, repairs }), response }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        if let Some(outcome) = self.repairs.answer(message).await {
            return outcome;
        }
        let response = match self.repairs.outgoing(request) {
            Some(request) => self.inner.exchange(&request).await?,
            None => self.inner.exchange(request).await?,
        };
        self.repairs.incoming(message, response)
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
