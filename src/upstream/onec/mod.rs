//! HTTP services of 1C:Enterprise that speak MCP (`--kind 1c`).
//!
//! JSON-RPC by POST to `…/hs/<root>/rpc`, one call at a time and nothing else: no streams, no
//! sessions of MCP, no notifications. `address` derives the URLs, `service` is the wire,
//! `sessions` the platform's own sessions, `handshake` answers for services that know no
//! `initialize`, `session` decides what becomes of each message, `names` gives tools names that
//! clients take, `faults` reads error pages.

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
use self::handshake::Known;
use self::names::Names;
use self::service::{Service, session_headers};
use self::session::{Aliases, OneCSession, initialize_params, version_header};
use super::local::{self, knows_no_method, mended_error};
use super::settings::{Keep, KindSettings, With};
use super::{Greeting, Opened, Pending, Request, Upstream, accepted};
use crate::failure::Failure;
use crate::http::Http;
use crate::upstream::Client;

/// Calls at once where the publication reuses sessions by itself: below its usual pool of ten.
pub(crate) const MAX_IN_FLIGHT: usize = 4;

/// A published infobase.
pub(super) struct OneC {
    service: Arc<Service>,
    aliases: Arc<Aliases>,
    sends_notifications: bool,
}

impl OneC {
    pub(super) fn new(http: Arc<Http>, url: &Url, settings: &KindSettings) -> Self {
        let address = Address::new(url, &settings.service_root);
        tracing::info!("1C service at {}", address.rpc.shown);
        let mut aliases = Aliases::default();
        if !settings.keeps(Keep::Names) {
            aliases.tools = Some(Names::default());
            aliases.prompts = Some(Names::default());
        }
        Self {
            service: Arc::new(Service::new(http, address, settings.managed_sessions)),
            aliases: Arc::new(aliases),
            sends_notifications: settings.does(With::Notifications),
        }
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        let message = &initialize.message;
        let params = initialize_params(message);
        let answered = self.service.call(message, &params, &HeaderMap::new(), client).await?;
        let own = answered.response.filter(|response| !knows_no_method(response));
        let (response, known) = match own {
            Some(response) => {
                let response = mended_error(response, |error| faults::compact_error(error, None));
                accepted(&response, &self.service.address.rpc.shown)?;
                tracing::info!("the 1C service knows initialize");
                let known = response.result().map(|result| Known::of_service(local::text(result)));
                (response, known.unwrap_or_default())
            }
            None => handshake::make_up(&self.service, message, client).await?,
        };
        let version = response.result().and_then(version_header);
        let session = OneCSession {
            service: self.service.clone(),
            aliases: self.aliases.clone(),
            known,
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
                // A session of the platform must not outlive what it was started for.
                self.service.finish(&HeaderMap::new()).await;
            }
            opened
        })
    }
}
