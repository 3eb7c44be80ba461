//! A request on its way to an upstream.

use bytes::Bytes;

use crate::jsonrpc::{Message, RequestId, Response};
use crate::mcp::method;

/// A request of the client as the upstream gets it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The client's message.
    pub message: Message,
    /// The id that the upstream sees: the client's own where that can travel.
    pub wire_id: RequestId,
    /// What is sent: the client's text, with that id.
    pub body: Bytes,
}

impl Request {
    /// A request that travels as the client wrote it, with `wire_id`.
    pub fn new(message: Message, wire_id: RequestId) -> Self {
        let body = message.text_with_id(&wire_id);
        Self { message, wire_id, body }
    }

    /// The client's `message` as a request of `method` with `params`, which is JSON text.
    pub fn rewritten(message: &Message, wire_id: RequestId, method: &str, params: &str) -> Self {
        let body = Message::request(wire_id.clone(), method, params).text().clone();
        Self { message: message.clone(), wire_id, body }
    }

    /// The same request with other params, which are JSON text.
    pub fn with_params(&self, params: &str) -> Self {
        let id = self.message.id().cloned().unwrap_or_else(|| self.wire_id.clone());
        let message = Message::request(id, self.message.method(), params);
        Self::new(message, self.wire_id.clone())
    }

    /// Whether a second run does no harm, by the method alone.
    pub fn is_repeatable(&self) -> bool {
        method::is_safe(self.message.method())
    }

    /// Whether `response` answers this request. An upstream that could not read the id writes
    /// none, or `null`.
    pub fn is_answered_by(&self, response: &Response) -> bool {
        response.has_no_id() || response.id().is_some_and(|id| self.wire_id.is_echoed_by(&id))
    }
}
