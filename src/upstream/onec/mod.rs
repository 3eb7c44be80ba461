//! HTTP services of 1C:Enterprise that speak MCP (`--kind 1c`).
//!
//! JSON-RPC by POST to `…/hs/<root>/rpc` and nothing else: no streams, no notifications from the
//! service, and mostly no sessions of MCP. `address` derives the URLs, `service` is the wire, `sessions`
//! has the platform's own sessions, `handshake` answers `initialize` for services that do not know
//! it, `session` decides what happens to each message, `names` gives tools names that clients take,
//! `faults` reads error pages.

mod address;
mod faults;
mod handshake;
mod names;
mod service;
mod session;
mod sessions;

use std::sync::Arc;

use reqwest::header::HeaderMap;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::address::Address;
pub(crate) use self::address::is_service;
use self::handshake::Offered;
use self::names::Names;
pub(super) use self::names::is_plain as is_plain_name;
use self::service::{Service, session_headers};
use self::session::{Aliases, OneCSession, initialize_params, version_header};
use super::local::{self, is_method_not_found, repaired_error};
use super::settings::{Keep, KindSettings, With};
use super::variant::Variant;
use super::{Greeting, Opened, Pending, Request, Upstream, accepted};
use crate::failure::Failure;
use crate::http::Http;
use crate::upstream::Client;

/// Calls in flight with automatic reuse of sessions: fewer than the usual pool of ten.
pub(crate) const MAX_IN_FLIGHT: usize = 4;

/// A published infobase.
pub(super) struct OneC {
    service: Arc<Service>,
    aliases: Arc<Aliases>,
    sends_notifications: bool,
    variant: Variant,
}

impl OneC {
    pub(super) fn new(http: Arc<Http>, url: &Url, settings: &KindSettings) -> Self {
        let address = Address::new(url, &settings.service_root);
        tracing::info!("1C service at {}", address.rpc.shown);
        let names = || (!settings.keeps(Keep::Names)).then(Names::default);
        Self {
            service: Arc::new(Service::new(http, address, settings.managed_sessions)),
            aliases: Arc::new(Aliases::new(names(), names())),
            sends_notifications: settings.does(With::Notifications),
            variant: Variant::default(),
        }
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let message = &initialize.message;
        let params = initialize_params(message);
        let answered = self.service.call(message, &params, &HeaderMap::new(), client).await?;
        let own = answered.response.filter(|response| !is_method_not_found(response));
        let (response, offered) = match own {
            Some(response) => {
                let response = repaired_error(response, |error| faults::compact_error(error, None));
                accepted(&response, &self.service.address.rpc.shown)?;
                self.variant.found("a service of 1C that knows initialize");
                let offered =
                    response.result().map(|result| Offered::announced_in(local::text(result)));
                (response, offered.unwrap_or_default())
            }
            None => handshake::synthesize(&self.service, message, client, &self.variant).await?,
        };
        let version = response.result().and_then(version_header);
        let session = OneCSession {
            service: self.service.clone(),
            aliases: self.aliases.clone(),
            offered,
            headers: session_headers(answered.session_id, version),
            sends_notifications: self.sends_notifications,
            client: client.clone(),
            ended: CancellationToken::new(),
        };
        Ok(Opened { session: Arc::new(session), response })
    }
}

impl Upstream for OneC {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(async {
            let opened = self.open(greeting.initialize(), client).await;
            if opened.is_err() {
                // A failed opening must not leave a session of the platform behind.
                self.service.finish(&HeaderMap::new()).await;
            }
            opened
        })
    }

    fn variant(&self) -> Option<String> {
        self.variant.get()
    }
}
