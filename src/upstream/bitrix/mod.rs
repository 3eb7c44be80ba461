//! The Bitrix24 server b24-mcp (`--kind bitrix`): JSON-RPC by `POST <base>/mcp`, or for older
//! servers the REST trio under `/mcp`.
//!
//! The event stream of the server broadcasts the answers for all clients, so we open it only on
//! request and take no answers from it. `faults` reads the server's errors, `resources` translates
//! its resources, `session` is a conversation, `rest` is the older variant. Another MCP server of
//! Bitrix24 at the URL, such as Bitrix24's own, is spoken to as any (`plain` of the parent), with
//! repairs.

mod faults;
mod resources;
mod rest;
mod session;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use url::Url;

use self::rest::IndexSession;
use self::session::BitrixSession;
use super::json::Object;
use super::local;
use super::plain::{Plain, hint_not_here, may_be_elsewhere};
use super::refusal::{may_be_http_sse, may_refuse_posts};
use super::repair::{SchemaRepairs, Uris};
use super::repaired::{OfSchema, Repaired};
use super::settings::{KindSettings, With};
use super::streamable::Streamable;
use super::variant::Variant;
use super::{Greeting, Opened, Pending, Request, Upstream};
use crate::failure::{Class, Failure};
use crate::hint::{Hint, Words};
use crate::http::{self, Endpoint, Http};
use crate::jsonrpc::Message;
use crate::mcp::{CallParams, Revision, method};
use crate::upstream::Client;

/// Time for an answer at an address that the user did not give.
const GUESS_PATIENCE: Duration = Duration::from_secs(2);

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

/// What to do about a server that is none of the variants.
const NOT_HERE: Hint = Hint::both(
    "No MCP answers at this URL, and neither `/mcp` nor `/mcp/index` of b24-mcp is below it. For \
     b24-mcp give the root of the server, as in MCP_PROXY_BASE_URL; for another MCP server give \
     its MCP endpoint, with `--kind mcp`.",
    "По этому адресу MCP не отвечает, и ниже него нет ни `/mcp`, ни `/mcp/index` сервера b24-mcp. Для b24-mcp укажите корень сервера, как в MCP_PROXY_BASE_URL, для другого сервера MCP — его точку входа и `--kind mcp`.",
);

/// A b24-mcp server.
pub(super) struct Bitrix {
    server: Arc<Server>,
    /// Where JSON-RPC may be answered, the likeliest place first.
    places: Vec<Endpoint>,
    /// The URL as it was given, where another server may answer.
    given: Plain,
    /// Whether the URL is one of the places.
    is_place: bool,
    /// Whether another server has answered.
    is_other: AtomicBool,
    /// Whether another server was found at the URL as it was given.
    is_at_given: AtomicBool,
    variant: Variant,
}

/// What every request needs.
#[derive(Clone)]
struct Server {
    http: Arc<Http>,
    base: Url,
    rpc: Endpoint,
    schema: Arc<SchemaRepairs>,
    opens_stream: bool,
}

impl Bitrix {
    pub(super) fn new(http: Arc<Http>, url: &Url, settings: &KindSettings) -> Self {
        let base = super::base_url(url, &["/mcp/index", "/mcp/sse", "/mcp"]);
        let rpc = super::endpoint_at(&base, "/mcp");
        let given = Endpoint::new(url.clone());
        let is_place = url.path().trim_end_matches('/') == rpc.url.path();
        let mut places = vec![rpc.clone()];
        if is_place && url.path().ends_with('/') {
            // The slash is the user's, and some servers insist on it.
            places.insert(0, given.clone());
        }
        let uris = Uris::of("bitrix24", settings);
        let schema = Arc::new(SchemaRepairs::new("Bitrix24", uris));
        let opens_stream = settings.does(With::Stream);
        Self {
            given: Plain::new(http.clone(), given),
            server: Arc::new(Server { http, base, rpc, schema, opens_stream }),
            places,
            is_place,
            is_other: AtomicBool::new(false),
            is_at_given: AtomicBool::new(false),
            variant: Variant::default(),
        }
    }

    /// Whether the called tool is known to only read.
    pub(super) fn is_repeatable(&self, message: &Message) -> bool {
        // Of the tools of another server nothing is known, whatever their names.
        !self.is_other.load(Ordering::Relaxed)
            && message.method() == method::TOOLS_CALL
            && message
                .read_params()
                .is_some_and(|CallParams { name, .. }| READING_TOOLS.contains(&name.as_ref()))
    }

    /// Takes over from a session that was opened with b24-mcp at `rpc`, as with any server.
    pub(super) fn adopt(
        &self,
        rpc: Endpoint,
        initialize: &Message,
        client: &Client,
        opened: Opened,
    ) -> Opened {
        let Opened { session, response } = opened;
        session.ended().cancel();
        self.is_other.store(false, Ordering::Relaxed);
        self.variant.found(Words::both(
            "the server is b24-mcp; its stream, which broadcasts all answers, stays closed",
            "сервер — b24-mcp; его поток, который рассылает всем все ответы, остаётся закрытым",
        ));
        let server = Arc::new(Server { rpc, ..(*self.server).clone() });
        let session = BitrixSession::new(server, client);
        let response = self.server.schema.response(initialize, response);
        Opened { session: Arc::new(session), response }
    }

    /// The session of another server.
    fn other(&self, opened: Opened, initialize: &Message) -> Opened {
        self.is_other.store(true, Ordering::Relaxed);
        self.variant.found(Words::both(
            "another MCP server than b24-mcp answers here: it is spoken to as with `--kind mcp`, \
             and its answers are repaired",
            "здесь отвечает другой сервер MCP, не b24-mcp: обмен идёт как с `--kind mcp`, ответы исправляются",
        ));
        Repaired::wrap(opened, initialize, self.server.schema.clone(), Arc::new(OfSchema))
    }

    /// Whether `/mcp/index` answers here: current servers have it as well.
    pub(super) async fn is_here(&self) -> bool {
        rest::index(&self.server, true).await.is_ok()
    }

    /// Opens a session where b24-mcp has its endpoint, or with the older variant.
    pub(super) async fn open_own(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let message = &initialize.message;
        let mut refusal = None;
        for place in &self.places {
            let server = Streamable::new(self.server.http.clone(), place.clone());
            match server.open(initialize, client).await {
                Ok(opened) => {
                    return Ok(match own_endpoint(&opened, place) {
                        Some(rpc) => self.adopt(rpc, message, client, opened),
                        None => self.other(opened, message),
                    });
                }
                Err(failure) if may_be_elsewhere(&failure) => {
                    refusal.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let index = tokio::time::timeout(GUESS_PATIENCE, rest::index(&self.server, false)).await;
        let index =
            index.unwrap_or_else(|_| Err(http::timed_out(&self.server.rpc.shown, GUESS_PATIENCE)));
        match (index, refusal) {
            (Ok(index), _) => {
                self.variant.found(Words::both(
                    "an older b24-mcp: /mcp/index, /mcp/tool/call, /mcp/resource/query",
                    "старый b24-mcp: /mcp/index, /mcp/tool/call, /mcp/resource/query",
                ));
                self.is_other.store(false, Ordering::Relaxed);
                let response = rest::initialize(&index, message);
                let response = self.server.schema.response(message, response);
                let session = IndexSession::new(self.server.clone());
                Ok(Opened { session: Arc::new(session), response })
            }
            (Err(failure), refusal) => {
                tracing::debug!("no older variant either: {}", failure.summary());
                Err(refusal.unwrap_or(failure))
            }
        }
    }

    /// Opens a session with b24-mcp, or with the other server that answers at the URL: a kind that
    /// is named must not be worse than `--kind mcp`.
    async fn open_any(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let message = &initialize.message;
        if self.is_at_given.load(Ordering::Relaxed) {
            return Ok(self.other(self.given.open(initialize, client).await?, message));
        }
        let mut own = pin!(self.open_own(initialize, client));
        let refusal = match self.in_time(&mut own).await {
            Some(Err(failure)) if failure.class() != Class::NotSent && failure.answer.is_none() => {
                Some(failure)
            }
            Some(outcome) => return outcome,
            None => None,
        };
        let opened = match &refusal {
            Some(refusal) if self.is_place => {
                if !may_be_http_sse(refusal) && !may_refuse_posts(refusal) {
                    return Err(hint_not_here(refusal.clone(), NOT_HERE));
                }
                self.given.open_http_sse(refusal.clone(), initialize, client).await
            }
            _ => self.given.open(initialize, client).await,
        };
        match (opened.map_err(Failure::from), refusal) {
            (Ok(opened), _) => {
                self.is_at_given.store(true, Ordering::Relaxed);
                Ok(self.other(opened, message))
            }
            (Err(_), None) => own.await,
            (Err(failure), Some(refusal)) => {
                tracing::debug!("nothing at the URL as given: {}", failure.summary());
                Err(match (may_be_elsewhere(&refusal), may_be_elsewhere(&failure)) {
                    (true, true) => hint_not_here(failure, NOT_HERE),
                    (true, false) => failure,
                    (false, _) => refusal,
                })
            }
        }
    }

    /// What comes of opening a session where b24-mcp would be; `None` when no answer comes for a
    /// while at an address that is only a guess.
    async fn in_time<T>(&self, opening: impl Future<Output = T>) -> Option<T> {
        if self.is_place {
            return Some(opening.await);
        }
        tokio::time::timeout(GUESS_PATIENCE, opening).await.ok()
    }
}

/// Where b24-mcp answers, if it has opened this session at `given`: it answers a POST with plain
/// JSON, has no sessions, and announces calls of its own, by which its resources are read. A stream
/// of it that names the endpoint names no session either.
pub(super) fn own_endpoint(opened: &Opened, given: &Endpoint) -> Option<Endpoint> {
    let wire = opened.session.wire();
    let result = Object::read(local::text(opened.response.result()?))?;
    let capabilities = Object::read(result.get("capabilities")?)?;
    let announces = |capability: &str, call: &str| {
        capabilities.get(capability).and_then(Object::read).is_some_and(|calls| calls.has(call))
    };
    let is_own = wire.is_in_body
        && !opened.session.has_id()
        && announces("resources", "query")
        && announces("tools", "call");
    match wire.messages {
        _ if !is_own => None,
        None => Some(given.clone()),
        Some(url) => url.query().is_none().then(|| Endpoint::new(url.clone())),
    }
}

impl Upstream for Bitrix {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open_any(greeting.initialize(), client))
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        self.is_repeatable(message)
    }

    fn variant(&self) -> Option<Words> {
        self.variant.get()
    }
}

/// The header fields of a request for JSON.
fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}
