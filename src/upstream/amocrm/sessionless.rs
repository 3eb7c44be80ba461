//! The variant before sessions: `POST /mcp/messages`, where only `tools/list` and `tools/call`
//! exist, and a stream that greets and says nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::SERVER_NAME;
use super::rest::{Api, resource};
use super::results::Results;
use crate::failure::{Class, Failure};
use crate::http::{self, Endpoint, Http};
use crate::jsonrpc::{Message, Response};
use crate::upstream::Client;
use crate::upstream::json::Object;
use crate::upstream::local::{self, asked_revision, mended, sole_response};
use crate::upstream::{
    Pending, Request, Session, mentions_session, own_error, post_headers, repair, says_nothing,
};

/// The revision that the server speaks.
const REVISION: &str = "2024-11-05";

/// The `params` of the greeting, if that is what the first event holds.
pub(super) fn greeting(data: &Bytes) -> Option<String> {
    let event = Object::read(local::text(data))?;
    let is_greeting = event.string("method")? == "initialize";
    is_greeting.then(|| event.get("params").unwrap_or("{}").to_owned())
}

/// The answer to `initialize`, from the greeting.
pub(super) fn initialize(greeting: &str, initialize: &Message) -> Response {
    let greeting = Object::read(greeting).unwrap_or_default();
    let mut result = Object::default();
    result.set_string("protocolVersion", asked_revision(initialize).unwrap_or(REVISION));
    result.set("capabilities", r#"{"tools":{}}"#.to_owned());
    let info = greeting.get("serverInfo").filter(|info| info.starts_with('{'));
    let info = info.map_or_else(
        || format!(r#"{{"name":"{SERVER_NAME}","version":"unknown"}}"#),
        str::to_owned,
    );
    result.set("serverInfo", info);
    local::result(result.text())
}

/// A conversation without any session behind it.
pub(super) struct SessionlessSession {
    http: Arc<Http>,
    messages: Endpoint,
    client: Client,
    requests: AtomicU64,
    results: Results,
    /// For the resources, where they are wanted.
    api: Option<Arc<Api>>,
    ended: CancellationToken,
}

impl SessionlessSession {
    pub(super) fn new(
        http: Arc<Http>,
        messages: Endpoint,
        client: Client,
        results: Results,
        api: Option<Arc<Api>>,
    ) -> Self {
        let requests = AtomicU64::new(1);
        Self { http, messages, client, requests, results, api, ended: CancellationToken::new() }
    }

    async fn exchange(&self, message: &Message) -> Result<Response, Failure> {
        if let Some(api) = &self.api
            && let Some(outcome) = resource(api, message).await
        {
            return outcome;
        }
        match message.method() {
            "ping" => Ok(local::pong()),
            "tools/list" => {
                let response = self.post(message).await?;
                Ok(mended(response, |result| repair::list(result, "tools", |_| {})))
            }
            "tools/call" => {
                self.results.of_call(message, self.post(message).await?, &self.messages.shown)
            }
            method => Ok(local::method_not_found(method)),
        }
    }

    async fn post(&self, message: &Message) -> Result<Response, Failure> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let params = local::params(message);
        let mended = local::without_null(params);
        let request = local::request(number, message, mended.as_deref().unwrap_or(params));
        let answer = self.http.post(&self.messages, post_headers(), request.body).await?;
        if !answer.status().is_success() {
            let refusal = answer.refusal().await;
            if let Some(response) = own_error(&refusal.body, None) {
                return Ok(response);
            }
            let mut failure = refusal.failure();
            // The route is gone, or wants a session: another generation runs there now, and nothing
            // was carried out.
            let wants_session = mentions_session(&refusal.body);
            if matches!(refusal.status.as_u16(), 404 | 405) || wants_session {
                failure.class = Class::SessionLost;
            }
            return Err(failure);
        }
        let url = answer.url().clone();
        let response = sole_response(answer, &self.client, http::excerpt).await?;
        response.ok_or_else(|| says_nothing(&url))
    }
}

impl Session for SessionlessSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(&request.message))
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
