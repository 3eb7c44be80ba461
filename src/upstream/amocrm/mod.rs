//! The amoCRM server mcp-amocrm-server in its generations (`--kind amocrm`).
//!
//! Each opening of a session finds out which generation answers: MCP on an event stream with
//! sessions (`http_sse` of the parent), MCP by POST without sessions (`sessionless`), or the REST
//! API alone, for which the tools come from our own catalogue (`rest`, `catalogue`). `repaired`
//! wraps the sessions of the two MCP variants, and `results` repairs what these answer.

mod catalogue;
mod repaired;
mod rest;
mod results;
mod sessionless;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use self::catalogue::{Catalogue, CatalogueError};
use self::repaired::{RepairedSession, own_request};
use self::rest::{Api, CatalogueSession};
use self::sessionless::SessionlessSession;
use super::http_sse::HttpSse;
use super::json::Object;
use super::local;
use super::settings::{Keep, KindSettings, With};
use super::variant::Variant;
use super::{Greeting, Opened, Pending, Request, Upstream, base_url, endpoint_at, unusable};
use crate::failure::{Cause, Class, Failure};
use crate::http::Http;
use crate::jsonrpc::Message;
use crate::mcp::{CallParams, method};
use crate::upstream::Client;

/// What the server calls itself in `serverInfo`.
pub(super) const SERVER_NAME: &str = "amocrm-mcp-server";

/// Time for the first event of the stream, which tells the generation.
const FIRST_EVENT_PATIENCE: Duration = Duration::from_secs(5);

/// Time for a document that tells the generation.
const DOCUMENT_PATIENCE: Duration = Duration::from_secs(2);

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

/// The amoCRM server at one base URL.
pub(super) struct Amocrm {
    http: Arc<Http>,
    base: Url,
    stream: HttpSse,
    api: Arc<Api>,
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
        let mut catalogue = Catalogue::embedded()?;
        if settings.does(With::RequestTool) {
            catalogue.with_request_tool()?;
        }
        if let Some(tools) = &settings.catalogue {
            catalogue.extend(tools)?;
        }
        Ok(Self {
            stream: HttpSse::new(http.clone(), endpoint_at(&base, "/mcp/sse")),
            api: Arc::new(Api::new(http.clone(), base.clone(), catalogue, settings)),
            keeps_errors: settings.keeps(Keep::Errors),
            offers_resources: settings.does(With::Resources),
            variant: Variant::default(),
            http,
            base,
        })
    }

    /// Whether the server answers here, in any generation.
    pub(super) async fn is_here(&self) -> bool {
        let Some(text) = self.document("/").await else { return false };
        let service = Object::read(local::text(&text)).and_then(|about| about.string("service"));
        service.is_some_and(|service| service.to_lowercase().contains("amocrm"))
    }

    /// Takes over a session that was opened as one of plain HTTP+SSE.
    pub(super) fn adopt(&self, opened: Opened) -> Opened {
        self.variant.found("mcp-amocrm-server on an event stream, with sessions");
        self.repaired(opened)
    }

    fn repaired(&self, opened: Opened) -> Opened {
        let api = self.offers_resources.then(|| self.api.clone());
        RepairedSession::wrap(opened, self.keeps_errors, api)
    }

    pub(super) async fn open(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let no_stream = match self.stream.begin(FIRST_EVENT_PATIENCE).await {
            Ok(beginning) if beginning.first.name == "endpoint" => {
                self.variant.found("mcp-amocrm-server on an event stream, with sessions");
                let initialize = own_request(0, &initialize.message);
                let opened = self.stream.open_on(beginning, &initialize, client).await;
                return opened.map(|opened| self.repaired(opened));
            }
            Ok(beginning) => {
                if let Some(params) = sessionless::greeting(&beginning.first.data) {
                    self.variant.found("mcp-amocrm-server without sessions: POST /mcp/messages");
                    let messages = endpoint_at(&self.base, "/mcp/messages");
                    let session =
                        SessionlessSession::new(self.http.clone(), messages, client.clone());
                    let response = sessionless::initialize(&params, &initialize.message);
                    return Ok(self.repaired(Opened { session: Arc::new(session), response }));
                }
                unusable("the stream does not begin with an endpoint".to_owned())
            }
            Err(failure) => failure,
        };
        let may_be_without =
            no_stream.class() == Class::Final || no_stream.cause == Cause::TimedOut;
        if !may_be_without || matches!(no_stream.status, Some(401 | 403)) {
            return Err(no_stream);
        }
        tracing::debug!("no event stream: {}", no_stream.summary());
        self.open_rest(initialize, no_stream).await
    }

    /// Opens the REST API, where it answers, with the tools of the catalogue.
    async fn open_rest(&self, initialize: &Request, no_stream: Failure) -> Result<Opened, Failure> {
        let Some(generation) = self.generation().await else {
            return Err(no_stream.hint(
                "Neither MCP (`/mcp/sse`) nor the REST API of mcp-amocrm-server answers here: \
                 check the address (the root of the server, as in AMOCRM_SERVER_URL). Another MCP \
                 server needs `--kind mcp`.",
            ));
        };
        self.variant.found(&format!("mcp-amocrm-server with its REST API only ({generation})"));
        let response = rest::initialize(&initialize.message, generation);
        let session = CatalogueSession::new(self.api.clone(), &initialize.message);
        Ok(Opened { session: Arc::new(session), response })
    }

    /// The generation of the REST API that answers, in words.
    async fn generation(&self) -> Option<&'static str> {
        if let Some(text) = self.document("/openapi.json").await {
            let document = Object::read(local::text(&text))?;
            let paths = document.get("paths").and_then(Object::read)?;
            let has = |path| paths.get(path).is_some();
            return if has("/api/contacts/get-or-create") {
                Some("with the smart endpoints")
            } else if has("/api/v4-proxy/{path}") {
                Some("current")
            } else if has("/api/entities") {
                Some("early")
            } else {
                None
            };
        }
        let health = self.document("/health").await?;
        let health = Object::read(local::text(&health))?;
        (health.string("status")? == "healthy").then_some("of an unknown generation")
    }

    /// A JSON document of the server, where it exists.
    async fn document(&self, path: &str) -> Option<bytes::Bytes> {
        let read = async {
            let endpoint = endpoint_at(&self.base, path);
            let answer = self.http.get(&endpoint, rest::json_headers()).await.ok()?;
            if !answer.status().is_success() || answer.is_event_stream() {
                return None;
            }
            Some(answer.beginning().await)
        };
        tokio::time::timeout(DOCUMENT_PATIENCE, read).await.ok()?
    }

    pub(super) fn is_repeatable(&self, message: &Message) -> bool {
        if message.method() != method::TOOLS_CALL {
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
        Box::pin(self.open(greeting.initialize(), client))
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        self.is_repeatable(message)
    }

    fn variant(&self) -> Option<String> {
        self.variant.get()
    }
}
