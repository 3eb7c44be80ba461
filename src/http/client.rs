//! Builds the HTTP client and sends requests with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Method, RequestBuilder, StatusCode};
use url::{Host, Url};

use super::body::Answer;
use super::failure;
use super::token::TokenFile;
use crate::failure::{Cause, Class, Failure};
use crate::redact::{self, Secrets};

/// Idle connections are closed before most proxies and servers close them (60 s and more), so
/// that a request seldom meets a connection which is just going away.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Keeps connections alive through address translation while a long call is silent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Same-origin redirects (307, 308) followed for one request.
const MAX_REDIRECTS: usize = 5;

/// The variables in which `reqwest` looks for a proxy.
pub(crate) const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// How to reach an upstream.
#[derive(Clone)]
pub struct HttpSettings {
    /// Sent with every request; values of secrets are marked sensitive.
    pub headers: HeaderMap,
    /// What must not be shown, to which session ids are added as they come.
    pub secrets: Arc<Secrets>,
    /// Where `Authorization` comes from in the end, if from a file that may change.
    pub token: Option<Arc<TokenFile>>,
    /// TLS beyond the system's own trust.
    pub tls: Tls,
    /// The proxy to use in place of the environment's and the system's.
    pub proxy: Option<Url>,
    /// Bound on establishing a connection.
    pub connect_timeout: Duration,
    /// Bound on the time without any sign of life from the upstream during a request.
    pub idle_timeout: Duration,
    /// Bound on the time for reading on where an answer broke off.
    pub retry_for: Duration,
    /// Bound on a decompressed body or event, in bytes.
    pub max_body: usize,
}

impl fmt::Debug for HttpSettings {
    /// Without what may be secret: the values of headers, credentials of the proxy.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        formatter
            .debug_struct("HttpSettings")
            .field("headers", &headers)
            .field("token", &self.token)
            .field("secrets", &self.secrets)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy.as_ref().map(redact::shown))
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("retry_for", &self.retry_for)
            .field("max_body", &self.max_body)
            .finish()
    }
}

/// TLS settings; the files' contents are PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates trusted besides the system's.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate chain and key.
    pub identity: Option<Vec<u8>>,
    /// Accept any certificate.
    pub insecure: bool,
}

impl fmt::Debug for Tls {
    /// Without the private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}

/// A URL to send requests to, with the text that errors name it by.
#[derive(Clone)]
pub struct Endpoint {
    /// The URL.
    pub url: Url,
    /// The URL as it may be shown.
    pub shown: Arc<str>,
}

impl fmt::Debug for Endpoint {
    /// Without credentials and query, in which keys and session ids stand.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

impl Endpoint {
    /// The endpoint at `url`.
    pub fn new(url: Url) -> Self {
        let shown = redact::shown(&url).into();
        Self { url, shown }
    }
}

/// An HTTP client for one upstream.
#[derive(Clone)]
pub struct Http {
    client: Arc<Mutex<reqwest::Client>>,
    /// What the client was made of, to make another.
    made_of: Arc<(HttpSettings, Url)>,
    secrets: Arc<Secrets>,
    token: Option<Arc<TokenFile>>,
    cookie: Option<HeaderValue>,
    uses_proxy: bool,
    idle_timeout: Duration,
    retry_for: Duration,
    max_body: usize,
}

impl fmt::Debug for Http {
    /// Without the client, which holds headers and proxies.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// Builds the client for `upstream`.
    ///
    /// # Errors
    /// A certificate, key or proxy is unusable, in words.
    pub fn new(settings: &HttpSettings, upstream: &Url) -> Result<Self, String> {
        let client = client(settings, upstream)?;
        let has_variable = |name| std::env::var(name).is_ok_and(|proxy| !proxy.is_empty());
        let uses_proxy = settings.proxy.is_some()
            || !is_loopback(upstream) && PROXY_VARIABLES.into_iter().any(has_variable);
        let HttpSettings { idle_timeout, retry_for, max_body, .. } = *settings;
        let cookie = settings.headers.get(COOKIE).cloned();
        let token = settings.token.clone();
        let secrets = settings.secrets.clone();
        let client = Arc::new(Mutex::new(client));
        let made_of = Arc::new((settings.clone(), upstream.clone()));
        Ok(Self {
            client,
            made_of,
            secrets,
            token,
            cookie,
            uses_proxy,
            idle_timeout,
            retry_for,
            max_body,
        })
    }

    fn client(&self) -> reqwest::Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up the connections that are open: a Python server closes its one right after a 500,
    /// without a word, and the next call would go into it and be lost. Behind TLS there is a proxy
    /// in front of such servers, which keeps its own.
    fn give_up_connections(&self) {
        let (settings, upstream) = &*self.made_of;
        if let Ok(client) = client(settings, upstream) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    /// Time for reading on where an answer broke off.
    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    /// Keeps `value` out of logs and error texts: an id that is as good as a password.
    pub(crate) fn conceal(&self, value: &str) {
        self.secrets.add(value);
    }

    /// The cookies that the user wants sent, for whoever sends cookies of its own.
    pub(crate) fn cookie(&self) -> Option<&HeaderValue> {
        self.cookie.as_ref()
    }

    /// Posts `body` and waits for the head of the answer.
    ///
    /// # Errors
    /// No connection, no answer in time, or the connection broke.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let request = self.client().post(endpoint.url.clone()).headers(headers).body(body);
        self.send(request, endpoint).await
    }

    /// Gets `endpoint` and waits for the head of the answer.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub async fn get(&self, endpoint: &Endpoint, headers: HeaderMap) -> Result<Answer, Failure> {
        self.send(self.client().get(endpoint.url.clone()).headers(headers), endpoint).await
    }

    /// Deletes `endpoint` and waits for the status.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub async fn delete(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
    ) -> Result<StatusCode, Failure> {
        let request = self.client().delete(endpoint.url.clone()).headers(headers);
        self.send(request, endpoint).await.map(|answer| answer.status())
    }

    /// Sends a request of any method and waits for the head of the answer.
    ///
    /// # Errors
    /// As for [`Http::post`]; `method` is none of HTTP.
    pub async fn request(
        &self,
        method: &str,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, Failure> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| {
            Failure::new(Class::Final, Cause::Refused, format!("`{method}` is no HTTP method"))
        })?;
        let mut request = self.client().request(method, endpoint.url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        self.send(request, endpoint).await
    }

    async fn send(
        &self,
        mut request: RequestBuilder,
        endpoint: &Endpoint,
    ) -> Result<Answer, Failure> {
        let shown = &endpoint.shown;
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.current());
        }
        match tokio::time::timeout(self.idle_timeout, request.send()).await {
            Ok(Ok(response)) => {
                let is_plain = endpoint.url.scheme() == "http";
                if is_plain && response.status() == StatusCode::INTERNAL_SERVER_ERROR {
                    self.give_up_connections();
                }
                if let Some(failure) = failure::of_encoding(response.headers(), shown) {
                    return Err(failure);
                }
                Ok(Answer::new(response, shown.clone(), self.idle_timeout, self.max_body))
            }
            Ok(Err(error)) => {
                let mut failure = failure::of_request(&error, &endpoint.url);
                if self.uses_proxy && failure.class == Class::NotSent {
                    let hint = failure.hint.get_or_insert_default();
                    hint.push_str(
                        " A proxy is in use (`--proxy` or HTTPS_PROXY): check its address as well.",
                    );
                }
                Err(failure)
            }
            Err(_) => Err(failure::timed_out(shown, self.idle_timeout)),
        }
    }
}

fn client(settings: &HttpSettings, upstream: &Url) -> Result<reqwest::Client, String> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("mcpline/", env!("CARGO_PKG_VERSION")))
        .default_headers(settings.headers.clone())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(TCP_KEEPALIVE)
        .referer(false)
        .redirect(Policy::custom(redirect));
    if let Some(proxy) = &settings.proxy {
        let proxy = reqwest::Proxy::all(proxy.clone())
            .map_err(|error| format!("the proxy cannot be used: {error}"))?;
        builder = builder.proxy(proxy);
    } else if is_loopback(upstream) {
        builder = builder.no_proxy();
    }
    builder = tls(builder, settings, upstream)?;
    builder.build().map_err(|error| {
        format!("the HTTP client cannot be set up: {}", failure::root_cause(&error))
    })
}

/// Follows only what keeps method, body and origin: a POST must not become a GET, and no header
/// of ours may reach another origin. Everything else comes back as the answer, for the error.
fn redirect(attempt: Attempt<'_>) -> Action {
    let keeps_method =
        matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let previous = attempt.previous();
    let same_origin =
        previous.first().is_some_and(|first| first.origin() == attempt.url().origin());
    if keeps_method && same_origin && previous.len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn tls(
    mut builder: reqwest::ClientBuilder,
    settings: &HttpSettings,
    upstream: &Url,
) -> Result<reqwest::ClientBuilder, String> {
    let Tls { ca, identity, insecure } = &settings.tls;
    if *insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(pem) = identity {
        let identity = reqwest::Identity::from_pem(pem)
            .map_err(|error| format!("the client certificate or key cannot be used: {error}"))?;
        builder = builder.identity(identity);
    }
    let certificates = match ca {
        Some(pem) => reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|error| format!("the CA file cannot be used: {error}"))?,
        None => Vec::new(),
    };
    let needs_trust = upstream.scheme() == "https"
        || settings.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https")
        || PROXY_VARIABLES
            .iter()
            .any(|name| std::env::var(name).is_ok_and(|proxy| proxy.starts_with("https:")));
    Ok(if needs_trust {
        builder.tls_certs_merge(certificates)
    } else {
        // Loading the system's certificates takes longer than the whole first exchange.
        builder.tls_certs_only(certificates)
    })
}

/// Whether `url` leads to this machine, where no proxy can be meant.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
