//! The amoCRM server mcp-amocrm-server in its generations (`--kind amocrm`).
//!
//! Each opening of a session finds out which generation answers: MCP on an event stream with
//! sessions (`http_sse` of the parent), MCP by POST without sessions (`sessionless`), or the REST
//! API alone, for which the tools come from our own catalogue (`rest`, `catalogue`). `repairs` has
//! what changes in the two MCP variants, and `results` repairs what these answer. Another MCP server
//! of amoCRM at the URL is spoken to as any (`plain` of the parent), with repairs.

mod catalogue;
mod documents;
mod repairs;
mod rest;
mod results;
mod sessionless;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use url::Url;

use self::catalogue::{Catalogue, CatalogueError};
use self::documents::Documents;
use self::repairs::{OfOthers, OfVariants, own_request};
use self::rest::{Api, CatalogueSession};
use self::sessionless::SessionlessSession;
use super::http_sse::HttpSse;
use super::json::Object;
use super::local;
use super::plain::{Plain, hint_not_here, is_about_credentials, may_be_elsewhere};
use super::repair::{SchemaRepairs, Uris};
use super::repaired::Repaired;
use super::settings::{Keep, KindSettings, With};
use super::variant::Variant;
use super::{Greeting, Opened, Pending, Request, Upstream, base_url, endpoint_at, unusable};
use crate::failure::{Cause, Class, Failure};
use crate::hint::{Hint, Words, words};
use crate::http::{Endpoint, Http};
use crate::jsonrpc::Message;
use crate::mcp::{CallParams, method};
use crate::upstream::Client;

/// What the server calls itself in `serverInfo`.
pub(super) const SERVER_NAME: &str = "amocrm-mcp-server";

/// Time for the first event of the stream, which tells the generation.
const FIRST_EVENT_PATIENCE: Duration = Duration::from_secs(5);

/// Tools of the MCP variants that only read. The server gives no hints.
const READING_TOOLS: [&str; 10] = [
    "get_account",
    "search_contacts",
    "get_events",
    "get_tasks",
    "get_contacts",
    "get_notes",
    "get_chat_messages",
    "get_recent_chats",
    "search_chat_messages",
    "get_chat_stats",
];

/// Checks that `text` can be added to the catalogue. The error names the tool and its mistake.
pub(crate) fn check_catalogue(text: &str) -> Result<(), CatalogueError> {
    Catalogue::embedded()?.extend(text)
}

/// What to do about a server that is none of the generations.
const NOT_HERE: Hint = Hint::both(
    "No MCP answers at this URL, and neither `/mcp/sse` nor the REST API of mcp-amocrm-server is \
     below it. For mcp-amocrm-server give the root of the server, as in AMOCRM_SERVER_URL; for \
     another MCP server give its MCP endpoint, with `--kind mcp`.",
    "По этому адресу MCP не отвечает, и ниже него нет ни `/mcp/sse`, ни REST API сервера mcp-amocrm-server. Для mcp-amocrm-server укажите корень сервера, как в AMOCRM_SERVER_URL, для другого сервера MCP — его точку входа и `--kind mcp`.",
);

/// What answers at the event stream.
enum AtStream {
    Own(Opened),
    /// Another server on HTTP+SSE.
    Other(Opened),
    Nothing(Failure),
}

/// Whether a session on HTTP+SSE is one of mcp-amocrm-server: it names its endpoint as no other
/// does, answers in the body of the POST besides the stream, and has nothing but tools.
pub(super) fn is_own(opened: &Opened) -> bool {
    let wire = opened.session.wire();
    let is_endpoint = |url: &Url| {
        url.path().ends_with("/mcp/messages")
            && url.query_pairs().any(|(name, _)| name == "sessionId")
    };
    let has_only_tools = || {
        let result = Object::read(local::text(opened.response.result()?))?;
        let capabilities = Object::read(result.get("capabilities")?)?;
        Some(capabilities.has("tools") && !capabilities.holds_other_than(&["tools"]))
    };
    wire.is_in_body && wire.messages.is_some_and(is_endpoint) && has_only_tools() == Some(true)
}

/// Whether the server may be one without an event stream.
fn may_be_without_stream(no_stream: &Failure) -> bool {
    let is_refused = no_stream.class() == Class::Final || no_stream.cause == Cause::TimedOut;
    is_refused && !is_about_credentials(no_stream)
}

/// The amoCRM server at one base URL.
pub(super) struct Amocrm {
    http: Arc<Http>,
    base: Url,
    stream: HttpSse,
    documents: Documents,
    api: Arc<Api>,
    /// Where another server may answer: at the URL as it was given, and below a root.
    places: Vec<Plain>,
    /// Where one has.
    found: OnceLock<usize>,
    schema: Arc<SchemaRepairs>,
    /// Whether another server has answered, at the URL or on the event stream.
    is_other: AtomicBool,
    keeps_errors: bool,
    offers_resources: bool,
    variant: Variant,
}

impl Amocrm {
    pub(super) fn new(
        http: Arc<Http>,
        url: &Url,
        settings: &KindSettings,
    ) -> Result<Self, CatalogueError> {
        let base = base_url(url, &["/mcp/sse", "/mcp/messages", "/mcp"]);
        let is_root = base.path().trim_end_matches('/') == url.path().trim_end_matches('/');
        let below = is_root.then(|| endpoint_at(&base, "/mcp"));
        let places = [Endpoint::new(url.clone())].into_iter().chain(below);
        let mut catalogue = Catalogue::embedded()?;
        if settings.does(With::RequestTool) {
            catalogue.with_request_tool()?;
        }
        if let Some(tools) = &settings.catalogue {
            catalogue.extend(tools)?;
        }
        Ok(Self {
            stream: HttpSse::new(http.clone(), endpoint_at(&base, "/mcp/sse")),
            documents: Documents::new(http.clone(), base.clone()),
            api: Arc::new(Api::new(http.clone(), base.clone(), catalogue, settings)),
            places: places.map(|place| Plain::new(http.clone(), place)).collect(),
            found: OnceLock::new(),
            schema: Arc::new(SchemaRepairs::new(SERVER_NAME, Uris::of("amocrm", settings))),
            is_other: AtomicBool::new(false),
            keeps_errors: settings.keeps(Keep::Errors),
            offers_resources: settings.does(With::Resources),
            variant: Variant::default(),
            http,
            base,
        })
    }

    /// Whether the server answers here, in any generation.
    pub(super) async fn is_here(&self) -> bool {
        self.documents.names_itself().await
    }

    /// Takes over a session that was opened as one of plain HTTP+SSE.
    pub(super) fn adopt(&self, opened: Opened, initialize: &Message) -> Opened {
        self.variant.found(Words::both(
            "the server is mcp-amocrm-server on an event stream",
            "сервер — mcp-amocrm-server с потоком событий",
        ));
        self.repaired(opened, initialize)
    }

    fn repaired(&self, opened: Opened, initialize: &Message) -> Opened {
        self.is_other.store(false, Ordering::Relaxed);
        let api = self.offers_resources.then(|| self.api.clone());
        let repairs = OfVariants::new(self.keeps_errors, api);
        let schema = self.schema.clone();
        Repaired::wrap(repairs.announced(opened), initialize, schema, Arc::new(repairs))
    }

    /// The session of another server, which is none of the variants.
    fn other(&self, opened: Opened, initialize: &Message) -> Opened {
        self.is_other.store(true, Ordering::Relaxed);
        self.variant.found(Words::both(
            "another MCP server than mcp-amocrm-server answers here: it is spoken to as with \
             `--kind mcp`, and its answers are repaired",
            "здесь отвечает другой сервер MCP, не mcp-amocrm-server: обмен идёт как с `--kind mcp`, ответы \
             исправляются",
        ));
        let repairs = OfOthers { keeps_errors: self.keeps_errors };
        Repaired::wrap(opened, initialize, self.schema.clone(), Arc::new(repairs))
    }

    /// Opens a session with mcp-amocrm-server.
    pub(super) async fn open_own(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let no_stream = match self.open_stream(initialize, client).await? {
            AtStream::Own(opened) => return Ok(opened),
            AtStream::Other(opened) => return Ok(self.other(opened, &initialize.message)),
            AtStream::Nothing(failure) => failure,
        };
        if may_be_without_stream(&no_stream)
            && let Some(opened) = self.open_rest(initialize).await
        {
            return Ok(opened);
        }
        Err(no_stream)
    }

    /// Opens a session with mcp-amocrm-server, or with the other server that answers at the URL: a
    /// kind that is named must not be worse than `--kind mcp`.
    async fn open_any(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let message = &initialize.message;
        if let Some(place) = self.found.get().and_then(|at| self.places.get(*at)) {
            return Ok(self.other(place.open(initialize, client).await?, message));
        }
        let (no_stream, stream) = match self.open_stream(initialize, client).await? {
            AtStream::Own(opened) => return Ok(opened),
            AtStream::Other(opened) => (None, Some(opened)),
            AtStream::Nothing(failure) => (Some(failure), None),
        };
        let may_be_rest = no_stream.as_ref().is_some_and(may_be_without_stream);
        let mut opening = pin!(self.open_other(initialize, client));
        let mut was_asked_for_rest = false;
        let outcome = match tokio::time::timeout(FIRST_EVENT_PATIENCE, &mut opening).await {
            Ok(outcome) => outcome,
            Err(_) if !may_be_rest => opening.await,
            Err(_) => match self.open_rest(initialize).await {
                Some(opened) => return Ok(opened),
                None => {
                    was_asked_for_rest = true;
                    opening.await
                }
            },
        };
        let refusal = match (outcome, stream) {
            (Ok(opened), stream) => {
                // The server at the URL goes before the one on the stream, which must not stay open.
                if let Some(stream) = stream {
                    stream.session.close().await;
                }
                return Ok(self.other(opened, message));
            }
            (Err(_), Some(opened)) => return Ok(self.other(opened, message)),
            (Err(refusal), None) => refusal,
        };
        match no_stream {
            _ if !may_be_elsewhere(&refusal) => return Err(refusal),
            Some(no_stream) if !may_be_rest => return Err(no_stream),
            _ if was_asked_for_rest => return Err(hint_not_here(refusal, NOT_HERE)),
            _ => {}
        }
        match self.open_rest(initialize).await {
            Some(opened) => Ok(opened),
            None => Err(hint_not_here(refusal, NOT_HERE)),
        }
    }

    /// Opens a session with another server, where it may be.
    async fn open_other(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let mut refusal = None;
        for (at, place) in self.places.iter().enumerate() {
            match place.open(initialize, client).await.map_err(Failure::from) {
                Ok(opened) => {
                    self.found.get_or_init(|| at);
                    return Ok(opened);
                }
                Err(failure) if may_be_elsewhere(&failure) => {
                    refusal.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(refusal.unwrap_or_else(|| unusable("no MCP answers here".to_owned())))
    }

    /// Opens a session on the event stream, in the variant that it tells.
    async fn open_stream(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<AtStream, Failure> {
        let message = &initialize.message;
        let beginning = match self.stream.begin(FIRST_EVENT_PATIENCE).await {
            Ok(beginning) => beginning,
            // There is no server.
            Err(failure) if failure.class() == Class::NotSent => return Err(failure),
            Err(failure) => return Ok(AtStream::Nothing(failure)),
        };
        if beginning.first.name == "endpoint" {
            let initialize = own_request(1, message);
            let opened = self.stream.open_on(beginning, &initialize, client).await?;
            if is_own(&opened) {
                self.variant.found(Words::both(
                    "mcp-amocrm-server on an event stream, with sessions",
                    "mcp-amocrm-server с потоком событий и сеансами",
                ));
                return Ok(AtStream::Own(self.repaired(opened, message)));
            }
            return Ok(AtStream::Other(opened));
        }
        let Some(params) = sessionless::greeting(&beginning.first.data) else {
            let what = "the stream does not begin with an endpoint".to_owned();
            return Ok(AtStream::Nothing(unusable(what)));
        };
        self.variant.found(Words::both(
            "mcp-amocrm-server without sessions: POST /mcp/messages",
            "mcp-amocrm-server без сеансов: POST /mcp/messages",
        ));
        let messages = endpoint_at(&self.base, "/mcp/messages");
        let session = SessionlessSession::new(self.http.clone(), messages, client.clone());
        let response = sessionless::initialize(&params, message);
        let opened = Opened { session: Arc::new(session), response };
        Ok(AtStream::Own(self.repaired(opened, message)))
    }

    /// Opens the REST API, where it answers, with the tools of the catalogue.
    async fn open_rest(&self, initialize: &Request) -> Option<Opened> {
        let generation = self.documents.generation().await?;
        self.is_other.store(false, Ordering::Relaxed);
        self.variant.found(words!(
            "mcp-amocrm-server with its REST API only ({generation})",
            "mcp-amocrm-server только с REST API ({generation})",
        ));
        let response = rest::initialize(&initialize.message, generation);
        let session = CatalogueSession::new(self.api.clone(), &initialize.message);
        Some(Opened { session: Arc::new(session), response })
    }

    pub(super) fn is_repeatable(&self, message: &Message) -> bool {
        if message.method() != method::TOOLS_CALL {
            return false;
        }
        // Of the tools of another server nothing is known, whatever their names.
        if self.is_other.load(Ordering::Relaxed) {
            return false;
        }
        let Some(call) = message.read_params::<CallParams<'_>>() else { return false };
        if self.api.is_in_use() {
            return self.api.is_repeatable(&call);
        }
        if call.name == "amocrm_request" {
            // Any method on any path; without one it is a GET.
            let arguments = Object::read(call.arguments());
            return arguments.is_some_and(|arguments| {
                arguments
                    .string("method")
                    .map_or(!arguments.has("method"), |method| method.eq_ignore_ascii_case("GET"))
            });
        }
        READING_TOOLS.contains(&call.name.as_ref())
    }
}

impl Upstream for Amocrm {
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
