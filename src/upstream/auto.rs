//! Finds out how an upstream is spoken to: as any MCP server, or as one of the services that need
//! more than a transport.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::amocrm::{self, Amocrm};
use super::bitrix::{self, Bitrix};
use super::onec::OneC;
use super::plain::{NoSession, Plain};
use super::settings::KindSettings;
use super::{Client, Greeting, Opened, Pending, Request, Upstream};
use crate::failure::Failure;
use crate::hint::{Hint, Words};
use crate::http::{Endpoint, Http};
use crate::jsonrpc::Message;

/// Time for an answer that tells which service is here.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// A server that left the question what it is unanswered is not asked again for this time.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// An MCP server at its URL, or a service that is recognised by what it does: its routes, its
/// answers, its capabilities, and never by a name, which anybody may give.
pub(super) struct Auto {
    plain: Plain,
    /// Where the services that may turn out to be behind the URL are made from.
    ingredients: Ingredients,
    services: OnceLock<Services>,
    /// The infobase that has shown itself at the URL.
    onec: OnceLock<OneC>,
    /// The service that was found elsewhere on the server, by asking.
    reached_as: Detection,
    /// Which service it is, however it is reached.
    service: Detection,
    /// When a question what else may be here was left unanswered.
    unanswered: Mutex<Option<Instant>>,
    endpoint: Endpoint,
    /// Whether the URL is the one that amoCRM's servers take messages at.
    is_messages: bool,
}

/// What services are made from. To make them means to read the catalogue of tools, for which few
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detected {
    Unknown,
    Bitrix,
    Amocrm,
    OneC,
}

/// What was detected, kept for the life of the process.
struct Detection(AtomicU8);

impl Detection {
    const ALL: [Detected; 4] =
        [Detected::Unknown, Detected::Bitrix, Detected::Amocrm, Detected::OneC];

    fn get(&self) -> Detected {
        Self::ALL[usize::from(self.0.load(Ordering::Relaxed))]
    }

    fn set(&self, is: Detected) {
        self.0.store(is as u8, Ordering::Relaxed);
    }
}

const AN_INFOBASE: Hint = Hint::both(
    "This is an infobase of 1C:Enterprise: give the address of its MCP service (`…/hs/mcp`), or use \
     `--kind 1c`, with `--service-root` if the service's root URL is another.",
    "Это информационная база 1С:Предприятия: укажите адрес её сервиса MCP (`…/hs/mcp`) или \
     `--kind 1c`, а если корневой URL сервиса другой — ещё и `--service-root`.",
);

impl Auto {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint, settings: &KindSettings) -> Self {
        let is_messages = endpoint.url.path().trim_end_matches('/').ends_with("/mcp/messages");
        let url = endpoint.url.clone();
        Self {
            is_messages,
            service: Detection(AtomicU8::new(Detected::Unknown as u8)),
            unanswered: Mutex::default(),
            endpoint: endpoint.clone(),
            plain: Plain::new(http.clone(), endpoint),
            ingredients: Ingredients { http, url, settings: settings.clone() },
            services: OnceLock::new(),
            onec: OnceLock::new(),
            reached_as: Detection(AtomicU8::new(Detected::Unknown as u8)),
        }
    }

    /// The services that may be behind the URL.
    fn services(&self) -> Option<&Services> {
        if let Some(services) = self.services.get() {
            return Some(services);
        }
        let Ingredients { http, url, settings } = &self.ingredients;
        // What the user may have got wrong has been checked at the start.
        let amocrm = Amocrm::new(http.clone(), url, settings)
            .inspect_err(|why| tracing::warn!("amoCRM cannot be recognised: {why}"))
            .ok()?;
        let bitrix = Bitrix::new(http.clone(), url, settings);
        Some(self.services.get_or_init(|| Services { bitrix, amocrm }))
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        match (self.reached_as.get(), self.services.get()) {
            (Detected::OneC, _) => return self.onec().open_own(initialize, client).await,
            (Detected::Bitrix, Some(services)) => {
                return services.bitrix.open_own(initialize, client).await;
            }
            (Detected::Amocrm, Some(services)) => {
                return services.amocrm.open_own(initialize, client).await;
            }
            _ => {}
        }
        match self.plain.open(initialize, client).await {
            Ok(opened) => Ok(self.recognise(opened, &initialize.message, client)),
            Err(NoSession { failure, .. }) if failure.shows_onec => {
                self.open_onec(initialize, client, failure).await
            }
            Err(NoSession { failure, is_elsewhere })
                if is_elsewhere || self.is_at_messages(&failure) =>
            {
                self.open_service(initialize, client, failure).await
            }
            Err(no_session) => Err(no_session.into()),
        }
    }

    fn onec(&self) -> &OneC {
        let Ingredients { http, url, settings } = &self.ingredients;
        self.onec.get_or_init(|| OneC::below(url, http.clone(), settings))
    }

    /// Opens a session with the MCP service of the infobase whose own page is at the URL. Nothing else
    /// has such pages.
    async fn open_onec(
        &self,
        initialize: &Request,
        client: &Client,
        refusal: Failure,
    ) -> Result<Opened, Failure> {
        match self.onec().open_own(initialize, client).await {
            Ok(opened) => {
                tracing::info!("an infobase of 1C:Enterprise is at this URL: kind 1c");
                self.reached_as.set(Detected::OneC);
                Ok(opened)
            }
            Err(failure) if matches!(failure.status, Some(404 | 405)) => {
                Err(refusal.hint(AN_INFOBASE))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether amoCRM's server refuses `initialize` where it takes messages: it does not know it
    /// there, or wants a session.
    fn is_at_messages(&self, refusal: &Failure) -> bool {
        self.is_messages && (refusal.answer.is_some() || refusal.status == Some(422))
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
        let (opened, detected) = if is_amocrm.unwrap_or(false) {
            tracing::info!("the amoCRM server answers here: kind amocrm");
            (services.amocrm.open_own(initialize, client).await, Detected::Amocrm)
        } else if is_bitrix.unwrap_or(false) {
            tracing::info!("the Bitrix24 server answers here: kind bitrix");
            (services.bitrix.open_own(initialize, client).await, Detected::Bitrix)
        } else {
            return Err(refusal);
        };
        // What only looks like the service takes nothing over.
        if opened.as_ref().is_err_and(|failure| failure.status == Some(404)) {
            return Err(refusal);
        }
        self.reached_as.set(detected);
        self.service.set(detected);
        opened
    }

    /// Hands a session that is open over to the kind whose service has answered.
    fn recognise(&self, opened: Opened, initialize: &Message, client: &Client) -> Opened {
        if let Some(rpc) = bitrix::own_endpoint(&opened, &self.endpoint)
            && let Some(services) = self.services()
        {
            self.service.set(Detected::Bitrix);
            return services.bitrix.adopt(rpc, initialize, client, opened);
        }
        if amocrm::is_own(&opened)
            && let Some(services) = self.services()
        {
            self.service.set(Detected::Amocrm);
            return services.amocrm.adopt(opened, initialize);
        }
        // Another server may have come to the place of a service.
        self.service.set(Detected::Unknown);
        opened
    }
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
            (Detected::Bitrix, Some(services)) => services.bitrix.is_repeatable(message),
            (Detected::Amocrm, Some(services)) => services.amocrm.is_repeatable(message),
            _ => false,
        }
    }

    fn variant(&self) -> Option<Words> {
        match (self.service.get(), self.services.get(), self.reached_as.get(), self.onec.get()) {
            (Detected::Bitrix, Some(services), ..) => services.bitrix.variant(),
            (Detected::Amocrm, Some(services), ..) => services.amocrm.variant(),
            (_, _, Detected::OneC, Some(onec)) => onec.variant(),
            _ => self.plain.variant(),
        }
    }
}
