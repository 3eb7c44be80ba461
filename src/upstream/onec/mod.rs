//! HTTP services of 1C:Enterprise that speak MCP (`--kind 1c`).
//!
//! JSON-RPC by POST, mostly to `…/hs/<root>/rpc`, and nothing else: no streams, no notifications from
//! the service, and mostly no sessions of MCP. A service that has them is spoken to as any MCP server,
//! and keeps the repairs. `address` has the places where a service may be, `search` looks for it
//! there, `service` is the wire, `sessions` has the platform's own sessions, `handshake` answers
//! `initialize` for services that do not know it, `session` decides what happens to each message, `names` gives tools names that clients take,
//! `faults` reads error pages.

mod address;
mod faults;
mod handshake;
mod names;
mod reuse;
mod search;
mod service;
mod session;
mod sessions;

use std::sync::Arc;

use reqwest::header::{HeaderMap, LOCATION};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::address::Address;
pub(crate) use self::address::is_service;
use self::handshake::Offered;
use self::names::Names;
pub(super) use self::names::is_plain as is_plain_name;
use self::search::{Met, Search};
use self::service::{Answered, Service, session_headers};
use self::session::{Aliases, OneCSession, Transport, initialize_params, version_header};
use super::local::{self, is_method_not_found, repaired_error};
use super::plain::Plain;
use super::repair::{SchemaRepairs, Uris};
use super::settings::{Keep, KindSettings};
use super::variant::Variant;
use super::{Greeting, Opened, Pending, Request, Upstream, accepted};
use crate::failure::Failure;
use crate::hint::Words;
use crate::http::{Endpoint, Http, Refusal};
use crate::jsonrpc::Response;
use crate::upstream::Client;

/// Calls in flight with automatic reuse of sessions: fewer than the usual pool of ten.
pub(crate) const MAX_IN_FLIGHT: usize = 4;

/// A published infobase.
pub(super) struct OneC {
    search: Search,
    aliases: Arc<Aliases>,
    schema: Arc<SchemaRepairs>,
    variant: Variant,
}

impl OneC {
    pub(super) fn new(http: Arc<Http>, url: &Url, settings: &KindSettings) -> Self {
        let places = address::places(url, &settings.service_root);
        tracing::info!("1C service, looked for at {} first", places[0].rpc.shown);
        let elsewhere =
            (!is_service(url)).then(|| Plain::new(http.clone(), Endpoint::new(url.clone())));
        Self::at(places, elsewhere, http, settings)
    }

    /// The infobase that has shown itself at `url`: its services are below.
    pub(super) fn below(url: &Url, http: Arc<Http>, settings: &KindSettings) -> Self {
        let mut places = address::places(url, &settings.service_root);
        places.retain(|place| place.rpc.url != *url);
        Self::at(places, None, http, settings)
    }

    fn at(
        places: Vec<Address>,
        elsewhere: Option<Plain>,
        http: Arc<Http>,
        settings: &KindSettings,
    ) -> Self {
        let names = || (!settings.keeps(Keep::Names)).then(Names::default);
        let service = Arc::new(Service::new(http, places, settings.managed_sessions));
        Self {
            search: Search { service, elsewhere },
            aliases: Arc::new(Aliases::new(names(), names())),
            schema: Arc::new(SchemaRepairs::new("1C", Uris::of("onec", settings))),
            variant: Variant::default(),
        }
    }

    /// Opens a session, and leaves no session of the platform behind if that fails.
    pub(super) async fn open_own(
        &self,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        client.note_careless_upstream();
        let opened = self.open(initialize, client).await;
        if opened.is_err() {
            self.search.service.finish(&HeaderMap::new()).await;
        }
        opened
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let message = &initialize.message;
        let service = &self.search.service;
        let params = initialize_params(message);
        let (response, transport, offered) =
            match self.search.meet(initialize, &params, client).await? {
                Met::Session(Opened { session, response }) => {
                    self.variant.found(Words::both(
                    "the 1C service has MCP's own transport: it is spoken to as with `--kind \
                         mcp`, and its answers are repaired as those of 1C",
                    "у сервиса 1С собственный транспорт MCP: обмен идёт как с `--kind mcp`, ответы \
                         исправляются как у 1С",
                ));
                    (response, Transport::Own(session), None)
                }
                Met::Answered(Answered { response, session_id }) => {
                    let known = response.filter(|response| !is_method_not_found(response));
                    let is_own = known.is_some();
                    let (response, offered) = match known {
                        Some(response) => (self.accepted(response)?, None),
                        None => {
                            let (response, offered) =
                                handshake::synthesize(service, message, client, &self.variant)
                                    .await?;
                            (response, Some(offered))
                        }
                    };
                    let version = response.result().and_then(version_header);
                    let headers = session_headers(session_id, version);
                    (response, Transport::Posts { headers, has_handshake: is_own }, offered)
                }
            };
        let result = response.result().map(local::text).unwrap_or_default();
        let session = OneCSession {
            service: service.clone(),
            aliases: self.aliases.clone(),
            schema: self.schema.clone(),
            offered: offered.unwrap_or_else(|| Offered::announced_in(result)),
            transport,
            client: client.clone(),
            ended: CancellationToken::new(),
        };
        let response = handshake::for_client(self.schema.response(message, response), message);
        Ok(Opened { session: Arc::new(session), response })
    }

    /// The service's own answer to `initialize`.
    fn accepted(&self, response: Response) -> Result<Response, Failure> {
        let response = repaired_error(response, |error| faults::compact_error(error, None));
        accepted(&response, &self.search.service.address().rpc.shown)?;
        self.variant
            .found(Words::both("the 1C service knows initialize", "сервис 1С знает initialize"));
        Ok(response)
    }
}

impl Upstream for OneC {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open_own(greeting.initialize(), client))
    }

    fn variant(&self) -> Option<Words> {
        self.variant.get()
    }
}

/// Whether `refusal` comes from the platform itself: its error page, or the way to its web client.
pub(super) fn is_shown_by(refusal: &Refusal) -> bool {
    let leads_to_client = || {
        let target = refusal.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let path = target.unwrap_or_default().split(['?', '#']).next().unwrap_or_default();
        path.split('/').any(address::is_locale)
    };
    match refusal.status.as_u16() {
        300..=399 => leads_to_client(),
        _ => is_page(&refusal.body, refusal.content_type()),
    }
}

/// Whether `body` is a page of the platform: an error page, or its web client.
pub(super) fn is_page(body: &[u8], content_type: Option<&str>) -> bool {
    faults::is_page_of_platform(body, content_type)
}
