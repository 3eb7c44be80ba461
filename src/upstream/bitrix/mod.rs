//! The Bitrix24 server b24-mcp (`--kind bitrix`): JSON-RPC by `POST <base>/mcp`, or for older
//! servers the REST trio under `/mcp`.
//!
//! The event stream of the server broadcasts the answers for all clients, so we open it only on
//! request and take no answers from it. `faults` reads the server's errors, `resources` translates
//! its resources, `rest` is the older variant.

mod faults;
mod resources;
mod rest;

use std::sync::Arc;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::rest::IndexSession;
use super::local::{self, repaired, sole_response};
use super::settings::{Keep, KindSettings, With};
use super::variant::Variant;
use super::{
    Greeting, Opened, Pending, Request, Session, Upstream, accepted, empty_success, post_headers,
    repair, streamable,
};
use crate::failure::{Class, Failure};
use crate::http::{self, Endpoint, Http};
use crate::jsonrpc::{Message, Response};
use crate::mcp::{CallParams, Revision, asked_revision, method};
use crate::upstream::Client;

/// What the server calls itself in `serverInfo`.
pub(super) const SERVER_NAME: &str = "Bitrix24 MCP Server";

/// The revision that we assume of servers that do not state one.
const DEFAULT_REVISION: Revision = Revision::V2025_06_18;

/// The tools that only read. The server gives no hints, and `callBitrixMethod` can do anything.
const READING_TOOLS: [&str; 8] = [
    "getDeals",
    "getLeads",
    "getContacts",
    "getUsers",
    "getTasks",
    "getCompanies",
    "getCompany",
    "getLeadCalls",
];

/// A b24-mcp server.
pub(super) struct Bitrix {
    server: Arc<Server>,
    variant: Variant,
}

/// What every request needs.
#[derive(Clone)]
struct Server {
    http: Arc<Http>,
    base: Url,
    rpc: Endpoint,
    keeps_uris: bool,
    opens_stream: bool,
}

impl Bitrix {
    pub(super) fn new(http: Arc<Http>, url: &Url, settings: &KindSettings) -> Self {
        let base = super::base_url(url, &["/mcp/index", "/mcp/sse", "/mcp"]);
        let rpc = super::endpoint_at(&base, "/mcp");
        let keeps_uris = settings.keeps(Keep::Uris);
        let opens_stream = settings.does(With::Stream);
        let server = Arc::new(Server { http, base, rpc, keeps_uris, opens_stream });
        Self { server, variant: Variant::default() }
    }

    /// Whether the called tool only reads.
    pub(super) fn is_repeatable(message: &Message) -> bool {
        message.method() == method::TOOLS_CALL
            && message
                .read_params()
                .is_some_and(|CallParams { name, .. }| READING_TOOLS.contains(&name.as_ref()))
    }

    /// Takes over a server that has answered `initialize` at `rpc`.
    pub(super) fn adopt(
        &self,
        rpc: Endpoint,
        initialize: &Message,
        client: &Client,
        response: Response,
    ) -> Opened {
        self.variant
            .found("the server is b24-mcp; its stream, which broadcasts all answers, stays closed");
        let server = Arc::new(Server { rpc, ..(*self.server).clone() });
        let listener = server
            .opens_stream
            .then(|| streamable::listener(server.http.clone(), server.rpc.clone(), client));
        let session = BitrixSession {
            server,
            client: client.clone(),
            listener,
            ended: CancellationToken::new(),
        };
        // Early versions give an object of numbers as the revision.
        let revision = asked_revision(initialize).unwrap_or(DEFAULT_REVISION).as_str();
        let response = repaired(response, |result| repair::initialize_result(result, revision));
        Opened { session: Arc::new(session), response }
    }

    /// Whether `/mcp/index` answers here: current servers have it as well.
    pub(super) async fn is_here(&self) -> bool {
        rest::index(&self.server, true).await.is_ok()
    }

    pub(super) async fn open(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let refusal = match self.server.post_rpc(initialize, client).await {
            Ok(response) => {
                accepted(&response, &self.server.rpc.shown)?;
                let rpc = self.server.rpc.clone();
                return Ok(self.adopt(rpc, &initialize.message, client, response));
            }
            Err(failure) => failure,
        };
        let is_other_variant = refusal.class() == Class::Final
            && !matches!(refusal.status, Some(401 | 403))
            && refusal.answer.is_none();
        if !is_other_variant {
            return Err(refusal);
        }
        match rest::index(&self.server, false).await {
            Ok(index) => {
                self.variant
                    .found("an older b24-mcp: /mcp/index, /mcp/tool/call, /mcp/resource/query");
                let response = rest::initialize(&index, &initialize.message);
                let session = IndexSession::new(self.server.clone());
                Ok(Opened { session: Arc::new(session), response })
            }
            Err(failure) => {
                let hint = "Neither the MCP endpoint `/mcp` nor `/mcp/index` of b24-mcp answers \
                            here: check the address (the root of the server, as in \
                            MCP_PROXY_BASE_URL). Another MCP server needs `--kind mcp`.";
                tracing::debug!("no older variant either: {}", failure.summary());
                Err(refusal.hint(hint))
            }
        }
    }
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
}

impl Upstream for Bitrix {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(greeting.initialize(), client))
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        Self::is_repeatable(message)
    }

    fn variant(&self) -> Option<String> {
        self.variant.get()
    }
}

/// A conversation with a current server, which has no sessions.
struct BitrixSession {
    server: Arc<Server>,
    client: Client,
    /// Listens to the stream, where the user asks for it.
    listener: Option<Arc<dyn Session>>,
    ended: CancellationToken,
}

impl BitrixSession {
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
        let response = match local::without_null(params) {
            Some(params) => {
                let request = with_params(request, message.method(), &params);
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
        let query = resources::query(&uri);
        let query = with_params(request, method::RESOURCES_QUERY, &query);
        let response = self.server.post_rpc(&query, &self.client).await?;
        Ok(repaired(response, |result| Some(resources::contents(&uri, result))))
    }
}

/// The answer to a method that the server does not have: an empty list, or an error.
fn empty_or_unknown(method: &str) -> Response {
    local::empty_list(method).unwrap_or_else(|| local::method_not_found(method))
}

/// `request` with another method and other params.
fn with_params(request: &Request, method: &str, params: &str) -> Request {
    let body = Message::request(request.wire_id.clone(), method, params).text().clone();
    Request { body, ..request.clone() }
}

impl Server {
    /// `response` as strict clients take it.
    fn repaired(&self, message: &Message, response: Response) -> Response {
        match message.method() {
            method::TOOLS_LIST => {
                repaired(response, |result| repair::list(result, "tools", |_| {}))
            }
            method::RESOURCES_LIST => repaired(response, |result| {
                repair::list(result, "resources", |item| {
                    if !self.keeps_uris {
                        resources::offer(item);
                    }
                })
            }),
            method::TOOLS_CALL => repaired(repaired(response, repair::stray_result), |result| {
                let call: Option<CallParams<'_>> = message.read_params();
                repair::call_result(result, call.as_ref().map_or("", |call| &call.name))
            }),
            _ => response,
        }
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

/// The header fields of a request for JSON.
fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}
