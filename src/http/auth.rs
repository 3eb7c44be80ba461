//! Decides which credentials go with a request, and whether a refusal is worth another attempt.
//! The only place that does: the HTTP client itself carries none, so that it can talk to other
//! origins as well.

use std::fmt;
use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::status::offered_schemes;
use super::token::TokenFile;

/// Where the value of `Authorization` comes from.
#[derive(Debug, Clone, Default)]
pub enum Authorization {
    /// Nothing is sent, unless the user's own header fields say it.
    #[default]
    None,
    /// A name and password, or a token that stays the same.
    Fixed(HeaderValue),
    /// A bearer token in a file.
    File(Arc<TokenFile>),
}

/// An answer with status 401 or 403.
pub(super) struct Challenge<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// The value of `Authorization` that was refused.
    pub(super) sent: Option<&'a HeaderValue>,
}

impl Authorization {
    async fn value(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::File(file) => Some(file.value().await),
        }
    }

    /// Whether the request can succeed with other credentials than those that were refused.
    async fn refused(&self, challenge: &Challenge<'_>) -> bool {
        match self {
            Self::None | Self::Fixed(_) => false,
            // The server knows the token when it answers 403.
            Self::File(file) => {
                challenge.status == StatusCode::UNAUTHORIZED
                    && file.differs_from(challenge.sent).await
            }
        }
    }
}

/// What the user gave us for the upstream. Every header field counts: keys have many names.
pub(super) struct Credentials {
    upstream: Url,
    headers: HeaderMap,
    authorization: Authorization,
}

impl fmt::Debug for Credentials {
    /// Without the values.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        formatter.debug_struct("Credentials").field("headers", &headers).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Credentials for the origin of `upstream`.
    pub(super) fn new(upstream: Url, headers: HeaderMap, authorization: Authorization) -> Self {
        Self { upstream, headers, authorization }
    }

    /// The user's own header fields.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What goes with a request to `url`: nothing outside the upstream's origin.
    pub(super) async fn for_url(&self, url: &Url) -> Option<Granted<'_>> {
        if !is_same_origin(url, &self.upstream) {
            return None;
        }
        let authorization = self.authorization.value().await;
        Some(Granted { headers: &self.headers, authorization })
    }

    /// Hears of a refusal. True means that the same request is worth sending once more: the
    /// refused one did not run, and the credentials are others now.
    pub(super) async fn refused(&self, challenge: Challenge<'_>) -> bool {
        let is_worth_it = self.authorization.refused(&challenge).await;
        if is_worth_it {
            let offered = offered_schemes(challenge.headers).join(", ");
            tracing::info!(
                status = challenge.status.as_u16(),
                offered,
                "the credentials have changed since they were sent; sending the request again"
            );
        }
        is_worth_it
    }
}

/// The credentials of one request.
pub(super) struct Granted<'a> {
    headers: &'a HeaderMap,
    pub(super) authorization: Option<HeaderValue>,
}

impl Granted<'_> {
    /// Adds the credentials to `headers`; what these hold already stays.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
    }
}

/// Whether two URLs with a host have the same origin, without building it as [`Url::origin`] does.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    async fn sent(credentials: &Credentials, target: &str, mut headers: HeaderMap) -> HeaderMap {
        if let Some(granted) = credentials.for_url(&url(target)).await {
            granted.add_to(&mut headers);
        }
        headers
    }

    #[tokio::test]
    async fn credentials_stay_within_the_origin() {
        let mut own = HeaderMap::new();
        own.insert("x-api-key", HeaderValue::from_static("key"));
        own.append("cookie", HeaderValue::from_static("a=1"));
        let fixed = Authorization::Fixed(HeaderValue::from_static("Bearer token"));
        let credentials = Credentials::new(url("https://host/mcp"), own, fixed);
        for (target, count) in [
            ("https://host:443/other?x", 3),
            ("http://host/mcp", 0),
            ("https://host:8443/mcp", 0),
            ("https://sub.host/mcp", 0),
            ("https://host.other/mcp", 0),
        ] {
            let headers = sent(&credentials, target, HeaderMap::new()).await;
            assert_eq!(headers.len(), count, "{target}");
        }
    }

    #[tokio::test]
    async fn what_a_request_says_itself_is_kept() {
        let mut own = HeaderMap::new();
        own.insert("cookie", HeaderValue::from_static("a=1"));
        own.append("x-twice", HeaderValue::from_static("1"));
        own.append("x-twice", HeaderValue::from_static("2"));
        let credentials = Credentials::new(url("http://host/"), own, Authorization::None);
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static("b=2"));
        let headers = sent(&credentials, "http://host/x", headers).await;
        assert_eq!(headers["cookie"], "b=2");
        assert_eq!(headers.get_all("x-twice").iter().count(), 2);
    }
}
