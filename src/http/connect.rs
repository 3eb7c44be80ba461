//! Makes connections: proxy and time limits. Credentials are no part of this.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, retry};
use rustls::ClientConfig;
use url::Url;

use super::failure::root_cause;
use super::peer::{Peer, Witness};
use super::proxy::{self, Proxy};
use super::tls::Tls;
use crate::redact;
use crate::setup::SetupError;

/// Idle connections are closed before most proxies and servers close them (after 60 s and more), so
/// that a request is seldom sent on a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Keeps connections alive through address translation while a long call is silent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// How to make connections.
#[derive(Clone)]
pub struct ConnectSettings {
    /// TLS beyond the system's own trust.
    pub tls: Tls,
    /// The proxy to use instead of the environment's and the system's.
    pub proxy: Option<Url>,
    /// Bound on establishing a connection.
    pub timeout: Duration,
}

impl fmt::Debug for ConnectSettings {
    /// Without the proxy's credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectSettings")
            .field("tls", &self.tls)
            .field("proxy", &self.proxy.as_ref().map(redact::shown))
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// The connections to an upstream, and to other origins with the same settings.
pub(super) struct Connections {
    settings: ConnectSettings,
    proxy: Option<Proxy>,
    tls: ClientConfig,
    witness: Witness,
    client: Mutex<Client>,
    /// Gives each request a connection of its own; made when it is needed.
    unpooled: OnceLock<Client>,
}

impl fmt::Debug for Connections {
    /// Without the client, which holds the proxy's credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connections")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Connections {
    /// Prepares connections to `upstream`; opens none.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(super) fn new(settings: ConnectSettings, upstream: &Url) -> Result<Self, SetupError> {
        let proxy = proxy::for_url(settings.proxy.as_ref(), upstream);
        if let Some(proxy) = &proxy {
            tracing::info!("the proxy {proxy} leads to {}", redact::shown(upstream));
        }
        let needs_trust = upstream.scheme() == "https"
            || proxy.as_ref().is_some_and(|proxy| proxy.url.scheme() == "https");
        let witness = Witness::default();
        let tls = settings.tls.client_config(needs_trust, witness.clone());
        let tls = tls.map_err(|why| SetupError::failed(format!("TLS cannot be set up: {why}")))?;
        let client = Mutex::new(client(&settings, proxy.as_ref(), tls.clone(), Pool::Kept)?);
        Ok(Self { settings, proxy, tls, witness, client, unpooled: OnceLock::new() })
    }

    /// The client to send the next request with.
    pub(super) fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client to send a request with on a connection of its own.
    pub(super) fn unpooled(&self) -> Client {
        if let Some(client) = self.unpooled.get() {
            return client.clone();
        }
        match client(&self.settings, self.proxy.as_ref(), self.tls.clone(), Pool::None) {
            Ok(client) => self.unpooled.get_or_init(|| client).clone(),
            // It could be made with these settings before.
            Err(_) => self.client(),
        }
    }

    /// Closes the connections that are idle; requests in flight go on. `reqwest` has no call for
    /// this, so it takes a new client.
    pub(super) fn give_up_idle(&self) {
        let client = client(&self.settings, self.proxy.as_ref(), self.tls.clone(), Pool::Kept);
        if let Ok(client) = client {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    /// How TLS is spoken.
    pub(super) fn tls(&self) -> &ClientConfig {
        &self.tls
    }

    /// The certificate that was shown last.
    pub(super) fn peer(&self) -> Option<Peer> {
        self.witness.peer()
    }

    /// The proxy that leads to the upstream, if any.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }
}

/// Whether connections are kept for later requests.
#[derive(Clone, Copy)]
enum Pool {
    Kept,
    None,
}

fn client(
    settings: &ConnectSettings,
    proxy: Option<&Proxy>,
    tls: ClientConfig,
    pool: Pool,
) -> Result<Client, SetupError> {
    let mut builder = Client::builder()
        .connect_timeout(settings.timeout)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(TCP_KEEPALIVE)
        .referer(false)
        // Some servers (1C, OneScript) know the names of headers only in this spelling.
        .http1_title_case_headers()
        // `super::client` follows redirects, under the rule of the origin.
        .redirect(Policy::none())
        // `crate::retry` decides what is sent again, and `reqwest` would copy each request for it.
        // `super::proxy` decides on the proxy.
        .no_proxy()
        .retry(retry::never().max_retries_per_request(0))
        .tls_backend_preconfigured(tls);
    if let Pool::None = pool {
        builder = builder.pool_max_idle_per_host(0);
    }
    if let Some(Proxy { url, source }) = proxy {
        let proxy = reqwest::Proxy::all(url.clone()).map_err(|error| {
            SetupError::failed(format!("the proxy of {source} cannot be used: {error}"))
        })?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| {
        SetupError::failed(format!("the HTTP client cannot be set up: {}", root_cause(&error)))
    })
}
