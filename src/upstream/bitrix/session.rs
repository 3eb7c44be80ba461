//! A conversation with a current b24-mcp: one POST a request, and what becomes of each message.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Server, faults, resources};
use crate::failure::Failure;
use crate::http;
use crate::jsonrpc::{Message, Response};
use crate::mcp::method;
use crate::upstream::local::{self, repaired, sole_response};
use crate::upstream::{
    Client, Pending, Request, Session, empty_success, post_headers, repair, streamable,
};

/// A conversation with a current server, which has no sessions.
pub(super) struct BitrixSession {
    server: Arc<Server>,
    client: Client,
    /// Listens to the stream, where the user asks for it.
    listener: Option<Arc<dyn Session>>,
    ended: CancellationToken,
}

impl BitrixSession {
    pub(super) fn new(server: Arc<Server>, client: &Client) -> Self {
        let listener = server
            .opens_stream
            .then(|| streamable::listener(server.http.clone(), server.rpc.clone(), client));
        Self { server, client: client.clone(), listener, ended: CancellationToken::new() }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        match message.method() {
            method::PING => return Ok(local::pong()),
            method::RESOURCES_READ => return self.read_resource(request).await,
            method @ (method::PROMPTS_LIST | method::RESOURCE_TEMPLATES_LIST) => {
                return Ok(empty_or_unknown(method));
            }
            _ => {}
        }
        let params = message.params().map_or("", local::text);
        let params = self.server.schema.params(message).or_else(|| local::without_null(params));
        let response = match params {
            Some(params) => {
                let request =
                    Request::rewritten(message, request.wire_id.clone(), message.method(), &params);
                self.server.post_rpc(&request, &self.client).await?
            }
            None => self.server.post_rpc(request, &self.client).await?,
        };
        Ok(self.server.repaired(message, response))
    }

    /// Calls the server's own method `resources/query` instead of MCP's.
    async fn read_resource(&self, request: &Request) -> Result<Response, Failure> {
        let Some(uri) = local::uri(&request.message) else {
            return Ok(local::error(local::INVALID_PARAMS, "`uri` is missing"));
        };
        let own = self.server.schema.original(&uri);
        let query = resources::query(own.as_deref().unwrap_or(&uri));
        let query = Request::rewritten(
            &request.message,
            request.wire_id.clone(),
            method::RESOURCES_QUERY,
            &query,
        );
        let response = self.server.post_rpc(&query, &self.client).await?;
        Ok(repaired(response, |result| Some(resources::contents(&uri, result))))
    }
}

/// The answer to a method that the server does not have: an empty list, or an error.
pub(super) fn empty_or_unknown(method: &str) -> Response {
    local::empty_list(method).unwrap_or_else(|| local::method_not_found(method))
}

impl Server {
    /// Posts a JSON-RPC request and reads its answer, which may have any id.
    async fn post_rpc(&self, request: &Request, client: &Client) -> Result<Response, Failure> {
        let method = request.message.method();
        let body = request.body.clone();
        let is_repeatable = request.is_repeatable();
        let answer =
            self.http.post_if_repeatable(is_repeatable, &self.rpc, post_headers(), body).await?;
        if !answer.status().is_success() {
            return faults::answer(&answer.refusal().await, method);
        }
        let url = answer.url().clone();
        let response = sole_response(answer, client, http::excerpt).await?;
        let response = response.ok_or_else(|| empty_success(&url))?;
        faults::reject_rate_limited(response, &url)
    }

    /// `response` as strict clients take it.
    pub(super) fn repaired(&self, message: &Message, response: Response) -> Response {
        let response = match message.method() {
            method::TOOLS_CALL => repaired(response, repair::stray_result),
            _ => response,
        };
        self.schema.response(message, response)
    }
}

impl Session for BitrixSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async {
            let Server { http, rpc, .. } = &*self.server;
            let answer = http.post(rpc, post_headers(), message.text().clone()).await?;
            if !answer.status().is_success() {
                return Err(answer.refusal().await.failure());
            }
            // Read to keep the connection: some versions answer notifications.
            let _ = answer.bytes().await;
            Ok(())
        })
    }

    fn listen(&self) {
        if let Some(listener) = &self.listener {
            listener.listen();
        }
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn close(&self) -> Pending<'_, ()> {
        self.ended.cancel();
        if let Some(listener) = &self.listener {
            listener.ended().cancel();
        }
        Box::pin(std::future::ready(()))
    }
}
