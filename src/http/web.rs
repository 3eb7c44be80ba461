//! Requests to other origins than the upstream's: authorization servers and their metadata. They
//! carry nothing that is meant for the upstream: no credentials, no cookies, no client certificate.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, Request, StatusCode};
use url::Url;

use super::client::AGENT;
use super::connect::{ConnectSettings, Connections};
use super::failure;
use crate::failure::{Cause, Class, Failure};
use crate::patience::within;
use crate::redact;

/// Time for a whole answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer. Metadata and tokens have a few thousand.
const MAX_BODY: usize = 512 * 1024;

/// Origins to which connections are remembered.
const MAX_ORIGINS: usize = 8;

/// An HTTP client for origins that are not the upstream's.
pub(crate) struct Web {
    connect: ConnectSettings,
    /// The upstream's host: what the user says of certificates is said of it.
    upstream: Option<String>,
    /// The connections to each origin, for each of which another proxy may be right.
    origins: Mutex<Vec<(String, Arc<Connections>)>>,
}

/// An answer, whatever its status. Redirects are answers too.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A form to post.
pub(crate) struct Form {
    pub(crate) content_type: &'static str,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: String,
}

impl Form {
    /// The form with `fields`, as browsers encode it.
    pub(crate) fn of_fields(
        fields: &[(&'static str, String)],
        authorization: Option<HeaderValue>,
    ) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self { content_type: "application/x-www-form-urlencoded", authorization, body }
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Web {
    /// A client that connects as `connect` says for `upstream`.
    pub(crate) fn new(connect: &ConnectSettings, upstream: &Url) -> Self {
        let mut connect = connect.clone();
        connect.tls.forget_identity();
        let upstream = upstream.host_str().map(str::to_owned);
        Self { connect, upstream, origins: Mutex::default() }
    }

    /// Gets `url`.
    ///
    /// # Errors
    /// There is no answer, or not the whole of it within the limits.
    pub(crate) async fn get(&self, url: &Url) -> Result<Page, Failure> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.send(request, true).await
    }

    /// Gets the head of the answer of `url`, which is an MCP endpoint.
    ///
    /// # Errors
    /// As for [`Web::get`].
    pub(crate) async fn head_of_stream(&self, url: &Url) -> Result<Page, Failure> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.send(request, false).await
    }

    /// Posts `form` to `url`.
    ///
    /// # Errors
    /// As for [`Web::get`].
    pub(crate) async fn post(&self, url: &Url, form: Form) -> Result<Page, Failure> {
        let mut request = Request::new(Method::POST, url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type));
        if let Some(authorization) = form.authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        *request.body_mut() = Some(form.body.into());
        self.send(request, true).await
    }

    async fn send(&self, mut request: Request, with_body: bool) -> Result<Page, Failure> {
        let url = request.url().clone();
        request.headers_mut().insert(USER_AGENT, AGENT);
        let connections = self.connections(&url)?;
        let answer = async {
            let mut response = connections
                .unpooled()
                .execute(request)
                .await
                .map_err(|error| failure::of_request(&error, &url, connections.proxy()))?;
            let mut body = BytesMut::new();
            let shown = redact::shown(&url);
            while with_body
                && let Some(chunk) =
                    response.chunk().await.map_err(|error| failure::of_body(&error, &shown))?
            {
                if body.len() + chunk.len() > MAX_BODY {
                    let what = format!("{shown} answered with more than {MAX_BODY} bytes");
                    return Err(Failure::new(Class::Final, Cause::Unusable, what));
                }
                body.extend_from_slice(&chunk);
            }
            let (status, headers) = (response.status(), response.headers().clone());
            Ok(Page { status, headers, body: body.freeze() })
        };
        let answer = within(PATIENCE, pin!(answer)).await;
        answer.unwrap_or_else(|| Err(failure::timed_out(&redact::shown(&url), PATIENCE)))
    }

    fn connections(&self, url: &Url) -> Result<Arc<Connections>, Failure> {
        let origin = url.origin().ascii_serialization();
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = origins.iter().find(|(known, _)| *known == origin) {
            return Ok(known.clone());
        }
        let mut connect = self.connect.clone();
        if url.host_str() != self.upstream.as_deref() {
            connect.tls.check_again();
        }
        let connections = Connections::new(connect, url)
            .map_err(|error| Failure::new(Class::Final, Cause::Unreachable, error.to_string()))?;
        let connections = Arc::new(connections);
        // Each has the authorities in memory, and a hostile server can name any number of origins.
        if origins.len() == MAX_ORIGINS {
            origins.remove(0);
        }
        origins.push((origin, connections.clone()));
        Ok(connections)
    }
}
