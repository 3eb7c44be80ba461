//! The MCP variant without sessions: `POST /mcp/messages`, where only `tools/list` and `tools/call`
//! exist, and a stream with a single event, the greeting.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::SERVER_NAME;
use crate::failure::{Class, Failure};
use crate::http::{self, Endpoint, Http};
use crate::jsonrpc::{Message, Response, to_json};
use crate::mcp::{
    Implementation, InitializeResult, Part, Revision, ServerCapabilities, asked_revision, method,
};
use crate::upstream::Client;
use crate::upstream::json::Object;
use crate::upstream::local::{self, sole_response};
use crate::upstream::{
    Pending, Request, Session, empty_success, mentions_session, own_error, post_headers,
};

/// The revision that the server speaks.
const REVISION: Revision = Revision::V2024_11_05;

/// The `params` of the greeting, where the first event is one.
pub(super) fn greeting(data: &Bytes) -> Option<String> {
    let event = Object::read(local::text(data))?;
    let is_greeting = event.string("method")? == method::INITIALIZE;
    is_greeting.then(|| event.get("params").unwrap_or("{}").to_owned())
}

/// The answer to `initialize`, from the greeting.
pub(super) fn initialize(greeting: &str, initialize: &Message) -> Response {
    let greeting = Object::read(greeting).unwrap_or_default();
    let ours = Implementation { name: SERVER_NAME, version: "unknown", description: None };
    local::result(to_json(&InitializeResult {
        protocol_version: asked_revision(initialize).unwrap_or(REVISION).as_str(),
        capabilities: Part::Ours(ServerCapabilities::of(&["tools"])),
        server_info: Part::object_or(greeting.get("serverInfo"), ours),
        instructions: None,
    }))
}

/// A conversation without a session at the server.
pub(super) struct SessionlessSession {
    http: Arc<Http>,
    messages: Endpoint,
    client: Client,
    ended: CancellationToken,
}

impl SessionlessSession {
    pub(super) fn new(http: Arc<Http>, messages: Endpoint, client: Client) -> Self {
        Self { http, messages, client, ended: CancellationToken::new() }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        match request.message.method() {
            method::PING => return Ok(local::pong()),
            method::TOOLS_LIST | method::TOOLS_CALL => {}
            method => return Ok(local::method_not_found(method)),
        }
        let (is_repeatable, body) = (request.is_repeatable(), request.body.clone());
        let answer = self
            .http
            .post_if_repeatable(is_repeatable, &self.messages, post_headers(), body)
            .await?;
        if !answer.status().is_success() {
            let refusal = answer.refusal().await;
            if let Some(response) = own_error(&refusal.body, None) {
                return Ok(response);
            }
            let failure = refusal.failure();
            let is_gone = matches!(refusal.status.as_u16(), 404 | 405);
            return Err(if is_gone || mentions_session(&refusal.body) {
                let why = "the route is gone or wants a session: another generation runs there now";
                failure.reclassed(Class::SessionLost, why)
            } else {
                failure
            });
        }
        let url = answer.url().clone();
        let response = sole_response(answer, &self.client, http::excerpt).await?;
        response.ok_or_else(|| empty_success(&url))
    }
}

impl Session for SessionlessSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
