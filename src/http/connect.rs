//! Makes connections: TLS, proxy and time limits. Credentials are no part of this.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, retry};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::{Host, Url};

use super::failure::root_cause;
use crate::redact;
use crate::setup::SetupError;

/// Idle connections are closed before most proxies and servers close them (after 60 s and more), so
/// that a request is seldom sent on a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Keeps connections alive through address translation while a long call is silent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The value that `reqwest` would add by itself, but only to a copy of the header fields that has to
/// grow for it.
const ACCEPTED: (HeaderName, HeaderValue) =
    (ACCEPT_ENCODING, HeaderValue::from_static("gzip,deflate"));

/// The variables in which `reqwest` looks for a proxy.
pub(crate) const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

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

/// TLS settings. Certificates and keys are checked when they are read.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates trusted besides the system's.
    ca: Vec<Certificate>,
    /// Our own certificate chain and key.
    identity: Option<Identity>,
    /// Accept any certificate.
    pub insecure: bool,
}

impl Tls {
    /// The system's trust, or with `insecure` no check at all.
    pub(crate) fn new(insecure: bool) -> Self {
        Self { insecure, ..Self::default() }
    }

    /// Trusts the authorities in the PEM file of `--ca-file`.
    ///
    /// # Errors
    /// The file cannot be read or used.
    pub(crate) fn trust(&mut self, ca_file: &Path) -> Result<(), SetupError> {
        let unusable = |why: String| unusable("--ca-file", ca_file, &why);
        let pem = read(ca_file).map_err(unusable)?;
        self.ca = Certificate::from_pem_bundle(&pem)
            .map_err(|error| unusable(format!("cannot be used: {}", root_cause(&error))))?;
        if self.ca.is_empty() {
            return Err(unusable("holds no certificate in PEM".to_owned()));
        }
        try_out(Client::builder().tls_certs_only(self.ca.clone()))
            .map_err(|why| unusable(format!("cannot be used: {why}")))
    }

    /// Presents the certificate of `--client-cert` with the key of `--client-key`, both PEM.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub(crate) fn identify_by(&mut self, certificate: &Path, key: &Path) -> Result<(), SetupError> {
        let of_certificate = |why: String| unusable("--client-cert", certificate, &why);
        let of_key = |why: String| unusable("--client-key", key, &why);
        let chain = read(certificate).map_err(of_certificate)?;
        if CertificateDer::from_pem_slice(&chain).is_err() {
            return Err(of_certificate("holds no certificate in PEM".to_owned()));
        }
        let mut pem = read(key).map_err(of_key)?;
        PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| of_key("holds no private key in PEM without a password".to_owned()))?;
        pem.push(b'\n');
        pem.extend(chain);
        let both = |why: &dyn fmt::Display| {
            let key = key.display();
            of_certificate(format!("cannot be used with --client-key {key}: {why}"))
        };
        let identity = Identity::from_pem(&pem).map_err(|error| both(root_cause(&error)))?;
        try_out(Client::builder().tls_certs_only([]).identity(identity.clone()))
            .map_err(|why| both(&why))?;
        self.identity = Some(identity);
        Ok(())
    }
}

fn unusable(option: &str, file: &Path, why: &str) -> SetupError {
    SetupError::usage(format!("{option} {} {why}", file.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|why| format!("cannot be read: {why}"))
}

/// Builds a client, because only that checks certificates and keys.
fn try_out(builder: ClientBuilder) -> Result<(), String> {
    build(builder.no_proxy()).map(drop)
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder.build().map_err(|error| root_cause(&error).to_string())
}

/// The connections to an upstream, and to other origins with the same settings.
pub(super) struct Connections {
    settings: ConnectSettings,
    upstream: Url,
    client: Mutex<Client>,
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
    pub(super) fn new(settings: ConnectSettings, upstream: Url) -> Result<Self, SetupError> {
        let client = client(&settings, &upstream)?;
        Ok(Self { settings, upstream, client: Mutex::new(client) })
    }

    /// The client to send the next request with.
    pub(super) fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the connections that are idle; requests in flight go on. `reqwest` has no call for
    /// this, so it takes a new client, which costs little without TLS.
    pub(super) fn give_up_idle(&self) {
        if let Ok(client) = client(&self.settings, &self.upstream) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    /// Whether requests to the upstream may go through a proxy.
    pub(super) fn uses_proxy(&self) -> bool {
        let is_set = |name| std::env::var(name).is_ok_and(|proxy| !proxy.is_empty());
        self.settings.proxy.is_some()
            || !is_loopback(&self.upstream) && PROXY_VARIABLES.into_iter().any(is_set)
    }
}

fn client(settings: &ConnectSettings, upstream: &Url) -> Result<Client, SetupError> {
    let ConnectSettings { tls, proxy, timeout } = settings;
    let mut builder = Client::builder()
        .user_agent(concat!("mcpline/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([ACCEPTED]))
        .connect_timeout(*timeout)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(TCP_KEEPALIVE)
        .referer(false)
        // `super::client` follows redirects, under the rule of the origin.
        .redirect(Policy::none())
        // `crate::retry` decides what is sent again, and `reqwest` would copy each request for it.
        .retry(retry::never().max_retries_per_request(0))
        .tls_danger_accept_invalid_certs(tls.insecure);
    if let Some(proxy) = proxy {
        let proxy = Proxy::all(proxy.clone())
            .map_err(|error| SetupError::failed(format!("the proxy cannot be used: {error}")))?;
        builder = builder.proxy(proxy);
    } else if is_loopback(upstream) {
        builder = builder.no_proxy();
    }
    if let Some(identity) = &tls.identity {
        builder = builder.identity(identity.clone());
    }
    builder = if needs_trust(settings, upstream) {
        builder.tls_certs_merge(tls.ca.clone())
    } else {
        // Loading the system's certificates takes longer than the first exchange.
        builder.tls_certs_only(tls.ca.clone())
    };
    build(builder)
        .map_err(|why| SetupError::failed(format!("the HTTP client cannot be set up: {why}")))
}

/// Whether any connection may use TLS.
fn needs_trust(settings: &ConnectSettings, upstream: &Url) -> bool {
    let is_https = |name| std::env::var(name).is_ok_and(|proxy| proxy.starts_with("https:"));
    upstream.scheme() == "https"
        || settings.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https")
        || PROXY_VARIABLES.into_iter().any(is_https)
}

/// Whether `url` leads to this machine, to which no proxy applies.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
