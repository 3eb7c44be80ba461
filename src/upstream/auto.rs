//! Finds out which of the two MCP transports an upstream speaks, and whether it is one of the
//! services that need more than a transport.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::amocrm::{self, Amocrm};
use super::bitrix::{self, Bitrix};
use super::http_sse::{Beginning, ENDPOINT_PATIENCE, HttpSse};
use super::json::Object;
use super::refusal::{may_be_http_sse, may_refuse_posts};
use super::settings::KindSettings;
use super::streamable::Streamable;
use super::{Client, Greeting, Opened, Pending, Request, Upstream, local};
use crate::failure::Failure;
use crate::http::{Endpoint, Http};
use crate::jsonrpc::{Message, Response};

/// Time for an answer that tells which service is here.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// A server that left the question what it is unanswered is not asked again for this time.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// Streamable HTTP, falling back to HTTP+SSE (revision 2025-11-25, Transports, "Backwards
/// Compatibility"). The client's own `initialize` is the probe.
pub(super) struct Auto {
    streamable: Streamable,
    http_sse: HttpSse,
    /// Where the services that may turn out to be behind the URL are made from; `None` for kind
    /// `mcp`.
    ingredients: Option<Ingredients>,
    services: OnceLock<Services>,
    reached_as: Detection,
    /// Which service it is, however it is reached.
    service: Detection,
    /// When a question what else may be here was left unanswered.
    unanswered: Mutex<Option<Instant>>,
    endpoint: Endpoint,
    /// Whether the URL is the one that amoCRM's servers take messages at.
    is_messages: bool,
}

/// What services are made from. Ingredients them means to read the catalogue of tools, for which few
/// lines have a use, and none while the client waits for its first answer.
struct Ingredients {
    http: Arc<Http>,
    url: Url,
    settings: KindSettings,
}

struct Services {
    bitrix: Bitrix,
    amocrm: Amocrm,
}

/// What has answered. The last two have been found elsewhere on the server, by asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detected {
    Unknown,
    HttpSse,
    Bitrix,
    Amocrm,
}

/// What was detected, kept for the life of the process.
struct Detection(AtomicU8);

impl Detection {
    const ALL: [Detected; 4] =
        [Detected::Unknown, Detected::HttpSse, Detected::Bitrix, Detected::Amocrm];

    fn get(&self) -> Detected {
        Self::ALL[usize::from(self.0.load(Ordering::Relaxed))]
    }

    fn set(&self, is: Detected) {
        self.0.store(is as u8, Ordering::Relaxed);
    }
}

impl Auto {
    /// The upstream at `endpoint`; with `settings`, services that announce themselves are treated
    /// as their own kind.
    pub(super) fn new(
        http: Arc<Http>,
        endpoint: Endpoint,
        settings: Option<&KindSettings>,
    ) -> Self {
        let ingredients = settings.map(|settings| Ingredients {
            http: http.clone(),
            url: endpoint.url.clone(),
            settings: settings.clone(),
        });
        let is_messages = endpoint.url.path().trim_end_matches('/').ends_with("/mcp/messages");
        Self {
            is_messages,
            service: Detection(AtomicU8::new(Detected::Unknown as u8)),
            unanswered: Mutex::default(),
            endpoint: endpoint.clone(),
            streamable: Streamable::new(http.clone(), endpoint.clone()),
            http_sse: HttpSse::new(http, endpoint),
            ingredients,
            services: OnceLock::new(),
            reached_as: Detection(AtomicU8::new(Detected::Unknown as u8)),
        }
    }

    /// The services that may be behind the URL, unless none is to be looked for.
    fn services(&self) -> Option<&Services> {
        let Ingredients { http, url, settings } = self.ingredients.as_ref()?;
        if let Some(services) = self.services.get() {
            return Some(services);
        }
        // What the user may have got wrong has been checked at the start.
        let amocrm = Amocrm::new(http.clone(), url, settings)
            .inspect_err(|why| tracing::warn!("amoCRM cannot be recognised: {why}"))
            .ok()?;
        let bitrix = Bitrix::new(http.clone(), url, settings);
        Some(self.services.get_or_init(|| Services { bitrix, amocrm }))
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let found = self.reached_as.get();
        let services = match found {
            Detected::Bitrix | Detected::Amocrm => self.services(),
            _ => None,
        };
        match (found, services) {
            (Detected::HttpSse, _) => return self.http_sse.open(initialize, client).await,
            (Detected::Bitrix, Some(services)) => {
                return services.bitrix.open(initialize, client).await;
            }
            (Detected::Amocrm, Some(services)) => {
                return services.amocrm.open(initialize, client).await;
            }
            _ => {}
        }
        let refusal = match self.streamable.open(initialize, client).await {
            Err(failure)
                if self.is_messages
                    && (failure.answer.is_some() || failure.status == Some(422)) =>
            {
                // The amoCRM server knows no `initialize` there, or wants a session.
                return self.open_service(initialize, client, failure).await;
            }
            Err(failure) if may_be_http_sse(&failure) => failure,
            Err(failure) if may_refuse_posts(&failure) => {
                return match self.http_sse.begin(PROBE_PATIENCE).await {
                    Ok(beginning) if beginning.first.name == "endpoint" => {
                        self.open_http_sse_on(beginning, initialize, client).await
                    }
                    _ => Err(failure),
                };
            }
            Ok(opened) => return Ok(self.recognise(opened, &initialize.message, client)),
            Err(failure) => return Err(failure),
        };
        tracing::debug!("no Streamable HTTP here ({}); trying HTTP+SSE", refusal.summary());
        let no_stream = match self.http_sse.begin(ENDPOINT_PATIENCE).await {
            Ok(beginning) if beginning.first.name == "endpoint" => {
                // From here on the stream's failure tells more than the probe's.
                return match self.open_http_sse_on(beginning, initialize, client).await {
                    Ok(opened) => Ok(opened),
                    Err(failure) => self.open_service(initialize, client, failure).await,
                };
            }
            Ok(_) => "its event stream does not begin with an endpoint".to_owned(),
            Err(failure) => failure.what,
        };
        tracing::debug!("no HTTP+SSE either: {no_stream}");
        self.open_service(initialize, client, refusal).await
    }

    /// Opens a session on the stream of HTTP+SSE that has begun.
    async fn open_http_sse_on(
        &self,
        beginning: Beginning,
        initialize: &Request,
        client: &Client,
    ) -> Result<Opened, Failure> {
        let opened = self.http_sse.open_on(beginning, initialize, client).await?;
        tracing::info!("the upstream speaks HTTP+SSE (revision 2024-11-05)");
        self.reached_as.set(Detected::HttpSse);
        Ok(self.recognise(opened, &initialize.message, client))
    }

    /// Opens a session with the service that answers here, if it is one that we know. Otherwise
    /// what the upstream said to the POST tells most: it is what the URL was meant for.
    async fn open_service(
        &self,
        initialize: &Request,
        client: &Client,
        refusal: Failure,
    ) -> Result<Opened, Failure> {
        let Some(services) = self.services() else { return Err(refusal) };
        let was_unanswered = self
            .unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|asked| asked.elapsed() < ASK_AGAIN_AFTER);
        if was_unanswered {
            return Err(refusal);
        }
        // A server that does not answer these is none of ours, and must not keep anybody waiting.
        let (is_amocrm, is_bitrix) = tokio::join!(
            tokio::time::timeout(PROBE_PATIENCE, services.amocrm.is_here()),
            tokio::time::timeout(PROBE_PATIENCE, services.bitrix.is_here()),
        );
        if is_amocrm.is_err() || is_bitrix.is_err() {
            let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
            *unanswered = Some(Instant::now());
        }
        if is_amocrm.unwrap_or(false) {
            tracing::info!("the amoCRM server answers here: kind amocrm");
            self.reached_as.set(Detected::Amocrm);
            self.service.set(Detected::Amocrm);
            return services.amocrm.open(initialize, client).await;
        }
        if is_bitrix.unwrap_or(false) {
            tracing::info!("the Bitrix24 server answers here: kind bitrix");
            self.reached_as.set(Detected::Bitrix);
            self.service.set(Detected::Bitrix);
            return services.bitrix.open(initialize, client).await;
        }
        Err(refusal)
    }

    /// Hands a session that is open over to the kind whose service has answered.
    fn recognise(&self, opened: Opened, initialize: &Message, client: &Client) -> Opened {
        if self.ingredients.is_none() {
            return opened;
        }
        match server_name(&opened.response).as_deref() {
            // b24-mcp never issues session ids; a server that does is a full MCP server.
            Some(bitrix::SERVER_NAME) if !opened.session.has_id() => {
                let Some(services) = self.services() else { return opened };
                self.service.set(Detected::Bitrix);
                opened.session.ended().cancel();
                services.bitrix.adopt(self.endpoint.clone(), initialize, client, opened.response)
            }
            Some(amocrm::SERVER_NAME) if self.reached_as.get() == Detected::HttpSse => {
                let Some(services) = self.services() else { return opened };
                self.service.set(Detected::Amocrm);
                services.amocrm.adopt(opened)
            }
            _ => opened,
        }
    }
}

/// `serverInfo.name` of an `initialize` result.
fn server_name(response: &Response) -> Option<String> {
    let result = Object::read(local::text(response.result()?))?;
    Object::read(result.get("serverInfo")?)?.string("name")
}

impl Upstream for Auto {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(greeting.initialize(), client))
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        match (self.service.get(), self.services.get()) {
            (Detected::Bitrix, _) => Bitrix::is_repeatable(message),
            (Detected::Amocrm, Some(services)) => services.amocrm.is_repeatable(message),
            _ => false,
        }
    }

    fn variant(&self) -> Option<String> {
        match (self.service.get(), self.reached_as.get(), self.services.get()) {
            (Detected::Bitrix, _, Some(services)) => services.bitrix.variant(),
            (Detected::Amocrm, _, Some(services)) => services.amocrm.variant(),
            (_, Detected::HttpSse, _) => self.http_sse.variant(),
            _ => self.streamable.variant(),
        }
    }
}
