//! Streamable HTTP of the stateless revision, 2026-07-28: one POST a request, answered with JSON or
//! with a stream that holds nothing else; header fields that repeat parts of the body (`headers`,
//! `tools`); no session, and a stream of notifications for a request that asks for them (`listen`).

mod headers;
mod listen;
mod tools;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderMap;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::tools::Tools;
use super::json::Object;
use super::reading::{Awaited, Inbox, Reading};
use super::refusal::{Standing, empty_success, refused};
use super::{Client, Pending, Request, Session, local};
use crate::failure::{Class, Failure};
use crate::http::{self, Answer, Endpoint, Http, Refusal};
use crate::jsonrpc::{Message, RequestId, Response, of_json};
use crate::mcp::code::{HEADER_MISMATCH, UNSUPPORTED_VERSION};
use crate::mcp::{RequestMeta, STATELESS_REVISION, method};

/// Pages of tools that are read for the header fields of one call.
const MAX_PAGES: usize = 100;

/// Ids of requests whose answer was lost that are kept in mind: the latest.
const MAX_SPENT: usize = 256;

/// A server of the stateless revision.
pub(crate) struct Stateless(Arc<Server>);

/// What is known of the server, whatever happens to the client's sessions.
struct Server {
    http: Arc<Http>,
    endpoint: Endpoint,
    /// The header fields that all requests have in common.
    common: HeaderMap,
    tools: Tools,
    /// Ids of requests whose answer was lost: the next attempt needs another one.
    spent: Mutex<VecDeque<RequestId>>,
    ids_given: AtomicU64,
}

impl Stateless {
    /// The server at `url`.
    pub(crate) fn new(http: Arc<Http>, url: Url) -> Self {
        let endpoint = Endpoint::new(url);
        Self(Arc::new(Server {
            http,
            common: headers::common(&endpoint),
            endpoint,
            tools: Tools::default(),
            spent: Mutex::default(),
            ids_given: AtomicU64::new(0),
        }))
    }

    /// The server's URL as it may be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.0.endpoint.shown
    }

    /// The server for `client`. There is nothing to open.
    pub(crate) fn session(&self, client: &Client) -> Arc<dyn Session> {
        let (server, client) = (self.0.clone(), client.clone());
        Arc::new(StatelessSession { server, client, ended: CancellationToken::new() })
    }
}

struct StatelessSession {
    server: Arc<Server>,
    client: Client,
    ended: CancellationToken,
}

impl Session for StatelessSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        if request.message.method() == method::LISTEN {
            return Box::pin(self.keep_listening(request));
        }
        Box::pin(self.exchange(request))
    }

    /// Cancelling is hanging up, and the revision knows no other notification or response.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        let method = message.method();
        if method.is_empty() || matches!(method, method::CANCELLED | method::INITIALIZED) {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(self.notify(message))
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl StatelessSession {
    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let renewed = self.server.renewed(request);
        let request = renewed.as_ref().unwrap_or(request);
        let outcome = self.attempt(request).await;
        let outcome = match error_code(&outcome) {
            Some(code @ (HEADER_MISMATCH | UNSUPPORTED_VERSION)) => {
                Box::pin(self.corrected(request, code, outcome)).await
            }
            _ => outcome,
        };
        if outcome.as_ref().is_err_and(|failure| failure.class() == Class::Ambiguous) {
            self.server.spend(request.wire_id.clone());
        }
        outcome
    }

    /// Sends `request` and reads its answer.
    async fn attempt(&self, request: &Request) -> Result<Response, Failure> {
        let headers = headers::of(request, &self.server.common, &self.server.tools);
        let (http, endpoint) = (&self.server.http, &self.server.endpoint);
        let answer = http.post(endpoint, headers, request.body.clone()).await?;
        if !answer.status().is_success() {
            return Err(Box::pin(refusal(answer, request)).await);
        }
        let reading = Reading::new(Awaited::Of(request), Inbox::new(&self.client, None));
        let response = if answer.is_event_stream() {
            Box::pin(reading.events(answer)).await?
        } else {
            let read = reading.body(answer, http::excerpt).await?;
            read.ok_or_else(|| empty_success(&endpoint.shown))?
        };
        if request.message.method() == method::TOOLS_LIST && response.result().is_some() {
            return Ok(self.server.tools.learn(&request.message, response));
        }
        Ok(response)
    }

    /// What becomes of `request` after the refusal `outcome`, which came before the server acted on
    /// it: sent once more, if it can be put right.
    async fn corrected(
        &self,
        request: &Request,
        code: i64,
        outcome: Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let (version, is_call) = {
            let version = RequestMeta::of(&request.message).protocol_version;
            (version.unwrap_or_default(), request.message.method() == method::TOOLS_CALL)
        };
        let is_worth_it = match code {
            HEADER_MISMATCH => is_call,
            // In the middle of an upgrade, the next server may know the version that this one names.
            _ => supported_versions(&outcome).iter().any(|known| *known == version),
        };
        if !is_worth_it {
            return outcome;
        }
        if code == HEADER_MISMATCH {
            tracing::info!(
                "the header fields of a call do not fit its tool; listing the tools again"
            );
            self.list_tools(request).await;
        }
        self.attempt(request).await
    }

    /// Lists the tools again, so that the header fields for the call `request` can be known.
    async fn list_tools(&self, request: &Request) {
        let meta = Object::read(local::params(&request.message)).and_then(|params| {
            let mut meta = Object::read(params.get("_meta")?)?;
            meta.remove("progressToken");
            Some(meta.text())
        });
        let meta = meta.unwrap_or_else(|| "{}".to_owned());
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let id = self.server.own_id();
            let params = format!(r#"{{{cursor}"_meta":{meta}}}"#);
            let list = Message::request(id.clone(), method::TOOLS_LIST, &params);
            let listed = match self.attempt(&Request::new(list, id)).await {
                Ok(listed) => listed,
                Err(failure) => {
                    tracing::info!("the tools could not be listed again: {}", failure.summary());
                    return;
                }
            };
            let next = listed.result().map(local::text).and_then(Object::read).and_then(|result| {
                result.get("nextCursor").filter(|next| next.starts_with('"')).map(str::to_owned)
            });
            match next {
                Some(next) => cursor = format!(r#""cursor":{next},"#),
                None => return,
            }
        }
    }

    async fn notify(&self, message: &Message) -> Result<(), Failure> {
        let id = self.server.own_id();
        let request = Request::new(message.clone(), id);
        let headers = headers::of(&request, &self.server.common, &self.server.tools);
        let (http, endpoint) = (&self.server.http, &self.server.endpoint);
        // Nothing in the answer may reach the client.
        let _ = http.post(endpoint, headers, message.text().clone()).await?.bytes().await;
        Ok(())
    }
}

impl Server {
    /// An id that is free.
    fn own_id(&self) -> RequestId {
        let number = self.ids_given.fetch_add(1, Ordering::Relaxed);
        RequestId::of_ours_for("again", number)
    }

    /// `request` with another id, where the answer to its own was lost: the server may still be at
    /// work on that.
    fn renewed(&self, request: &Request) -> Option<Request> {
        {
            let mut spent = self.spent();
            let at = spent.iter().position(|id| *id == request.wire_id)?;
            spent.remove(at);
        }
        Some(Request::new(request.message.clone(), self.own_id()))
    }

    fn spend(&self, id: RequestId) {
        let mut spent = self.spent();
        if spent.len() == MAX_SPENT {
            spent.pop_front();
        }
        spent.push_back(id);
    }

    /// Every update leaves it complete, so a panic elsewhere breaks nothing.
    fn spent(&self) -> MutexGuard<'_, VecDeque<RequestId>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failure for an answer that is not a success.
async fn refusal(answer: Answer, request: &Request) -> Failure {
    refused(&answer.refusal().await, Refusal::failure, Some(request), Standing::Stateless)
}

/// What the upstream itself has answered in `outcome`.
pub(crate) fn answer_in(outcome: &Result<Response, Failure>) -> Option<&Response> {
    match outcome {
        Ok(response) => Some(response),
        Err(failure) => failure.answer.as_deref(),
    }
}

fn error_code(outcome: &Result<Response, Failure>) -> Option<i64> {
    let response = answer_in(outcome)?;
    response.error()?;
    response.error_code()
}

/// The versions that the refusal of a version names as supported.
pub(crate) fn supported_versions(outcome: &Result<Response, Failure>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Error {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        supported: Vec<String>,
    }
    answer_in(outcome)
        .and_then(|response| of_json(response.error()?))
        .map(|Error { data: Data { supported } }| supported)
        .unwrap_or_default()
}

/// Whether `versions` has the one that we speak.
pub(crate) fn has_ours(versions: &[String]) -> bool {
    versions.iter().any(|version| version == STATELESS_REVISION)
}
