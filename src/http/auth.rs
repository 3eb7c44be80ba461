//! Decides which credentials a request carries, and whether a refused request is worth another
//! attempt. No other place does: the HTTP client has no credentials, so it can talk to other origins
//! as well.

use std::fmt;
use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::status::offered_schemes;
use super::token::TokenFile;
use crate::oauth::{SignIn, Verdict};
use crate::setup::SetupError;

/// Where the value of `Authorization` comes from.
#[derive(Debug, Clone, Default)]
pub enum Authorization {
    /// Nowhere; the user's own header fields may still hold one.
    #[default]
    None,
    /// A name and password, or a token that stays the same.
    Fixed(HeaderValue),
    /// A bearer token in a file.
    File(Arc<TokenFile>),
    /// A sign-in, once the upstream asks for one.
    OAuth(Arc<SignIn>),
}

/// An answer with status 401 or 403.
pub(super) struct Denial<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// The value of `Authorization` that was refused.
    pub(super) sent: Option<&'a HeaderValue>,
    /// Whether a person may be asked to sign in for this request.
    pub(super) may_ask: bool,
}

impl Authorization {
    async fn value(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::File(file) => Some(file.value().await),
            Self::OAuth(sign_in) => {
                if let Some(due) = sign_in.due() {
                    // Seldom, and large.
                    Box::pin(sign_in.renew_ahead(&due)).await;
                }
                sign_in.value()
            }
        }
    }

    /// Takes note that the upstream has taken `sent`.
    fn accepted(&self, sent: &HeaderValue) {
        if let Self::OAuth(sign_in) = self {
            sign_in.note_accepted(sent);
        }
    }

    /// What is to be done about a refusal: whether there are other credentials now.
    async fn refused(&self, denial: &Denial<'_>) -> Verdict {
        let Denial { status, headers, sent, may_ask } = *denial;
        match self {
            // A 403 means that the server knows the token.
            Self::File(file)
                if status == StatusCode::UNAUTHORIZED && file.differs_from(sent).await =>
            {
                Verdict::Repeat
            }
            Self::None | Self::Fixed(_) | Self::File(_) => Verdict::Refused,
            Self::OAuth(sign_in) => sign_in.refused(status, headers, sent, may_ask).await,
        }
    }
}

const BODY: &str = "it follows from the body of each request";
const CONNECTION: &str = "mcpline looks after its connections by itself";
const SESSION: &str = "it follows from what the server says during the session";
const CALL: &str = "it follows from the message that is sent";

/// Header fields that the user cannot set, and why.
const REFUSED: &[(&str, &str)] = &[
    ("content-length", BODY),
    ("transfer-encoding", BODY),
    ("content-encoding", BODY),
    ("trailer", BODY),
    ("expect", BODY),
    ("connection", CONNECTION),
    ("proxy-connection", CONNECTION),
    ("keep-alive", CONNECTION),
    ("upgrade", CONNECTION),
    ("http2-settings", CONNECTION),
    ("te", CONNECTION),
    ("mcp-session-id", SESSION),
    ("mcp-protocol-version", SESSION),
    ("last-event-id", SESSION),
    ("mcp-method", CALL),
    ("mcp-name", CALL),
    (
        "proxy-authorization",
        "it would go to the server; give the login in the proxy's URL: \
         `--proxy http://USER:PASSWORD@HOST:PORT`",
    ),
];

/// Header fields in which a kind's own value goes before the user's: the kind has joined them.
const KEPT: [&str; 2] = ["cookie", "ibsession"];

/// The credentials for the upstream. Every header field of the user counts as one: keys have many
/// names.
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
    ///
    /// # Errors
    /// A header field is one that the user cannot set.
    pub(super) fn new(
        upstream: Url,
        headers: HeaderMap,
        authorization: Authorization,
    ) -> Result<Self, SetupError> {
        for (name, why) in REFUSED {
            if headers.contains_key(*name) {
                return Err(SetupError::usage(format!("the header `{name}` cannot be set: {why}")));
            }
        }
        Ok(Self { upstream, headers, authorization })
    }

    /// Whether `url` has the upstream's origin.
    pub(super) fn are_for(&self, url: &Url) -> bool {
        is_same_origin(url, &self.upstream)
    }

    /// The user's own header fields.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The credentials for a request to `url`; `None` outside the upstream's origin.
    pub(super) async fn for_url(&self, url: &Url) -> Option<Granted<'_>> {
        if !self.are_for(url) {
            return None;
        }
        let authorization = self.authorization.value().await;
        Some(Granted { headers: &self.headers, authorization })
    }

    /// Takes note that a request with these credentials was not refused.
    pub(super) fn accepted(&self, granted: Option<&Granted<'_>>) {
        if let Some(sent) = granted.and_then(|granted| granted.authorization.as_ref()) {
            self.authorization.accepted(sent);
        }
    }

    /// Takes note of a refusal, and says whether the request is worth sending once more: the refused
    /// one did not run, and the credentials have changed.
    pub(super) async fn refused(&self, denial: Denial<'_>) -> Verdict {
        let verdict = self.authorization.refused(&denial).await;
        if let Verdict::Repeat = verdict {
            let offered = offered_schemes(denial.headers).join(", ");
            tracing::info!(
                status = denial.status.as_u16(),
                offered,
                "the credentials have changed since they were sent; sending the request again"
            );
        }
        verdict
    }
}

/// The credentials of one request.
pub(super) struct Granted<'a> {
    headers: &'a HeaderMap,
    pub(super) authorization: Option<HeaderValue>,
}

impl Granted<'_> {
    /// Adds the credentials to `headers`. What the user sets goes before what a kind says, except
    /// for [`KEPT`].
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            if KEPT.contains(&name.as_str()) && headers.contains_key(name) {
                continue;
            }
            headers.remove(name);
            for value in self.headers.get_all(name) {
                headers.append(name, value.clone());
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
        let credentials = Credentials::new(url("https://host/mcp"), own, fixed).unwrap();
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
    async fn the_users_own_header_fields_go_first() {
        let rows = [
            ("content-type", "application/json", "application/json; charset=utf-8", true),
            ("accept", "text/event-stream", "*/*", true),
            ("host", "h", "other", true),
            ("user-agent", "mcpline", "curl", true),
            ("cookie", "b=2", "a=1", false),
            ("ibsession", "start", "finish", false),
        ];
        for (name, kinds, users, wins) in rows {
            let mut own = HeaderMap::new();
            own.append(name, HeaderValue::from_static(users));
            own.append("x-twice", HeaderValue::from_static("1"));
            own.append("x-twice", HeaderValue::from_static("2"));
            let credentials = Credentials::new(url("http://host/"), own, Authorization::None);
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(kinds));
            let headers = sent(&credentials.unwrap(), "http://host/x", headers).await;
            assert_eq!(headers[name], if wins { users } else { kinds });
            assert_eq!(headers.get_all("x-twice").iter().count(), 2);
        }
    }

    #[test]
    fn what_the_user_cannot_set_is_refused_with_a_reason() {
        for (name, why) in REFUSED {
            let own = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static("5"),
            )]);
            let refused = Credentials::new(url("http://host/"), own, Authorization::None);
            let refused = refused.unwrap_err();
            assert_eq!(refused.status(), 2);
            assert!(refused.to_string().contains(name) && refused.to_string().contains(why));
        }
    }
}
