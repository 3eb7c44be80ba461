//! What authorization servers publish of how to sign in (RFC 8414, `OpenID` Connect Discovery).
//! [`Server`] is made by checking alone, so a holder of one need not check it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::problem::Problem;
use super::reach::Reach;
use crate::hint::Hint;
use crate::jsonrpc::of_json;
use crate::redact;

/// The places of authorization server metadata for `issuer`, in the order of the specification.
pub(super) fn server_places(issuer: &Url) -> Vec<Url> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let path = issuer.path().trim_end_matches('/');
    let mut places = vec![format!("{OAUTH}{path}"), format!("{OPENID}{path}")];
    if !path.is_empty() {
        places.push(format!("{path}{OPENID}"));
    }
    places.iter().map(|path| at(issuer, path)).collect()
}

/// The address of `path` on the server of `url`.
pub(super) fn at(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    place.set_path(path);
    place.set_query(None);
    place.set_fragment(None);
    place
}

/// An optional member of a document. One that is malformed counts as missing: it must not void what
/// else is there.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Authorization server metadata as it is published and stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ServerDocument {
    pub(super) issuer: String,
    #[serde(deserialize_with = "lenient")]
    authorization_endpoint: Option<String>,
    #[serde(deserialize_with = "lenient")]
    token_endpoint: Option<String>,
    #[serde(deserialize_with = "lenient")]
    registration_endpoint: Option<String>,
    #[serde(deserialize_with = "lenient")]
    revocation_endpoint: Option<String>,
    #[serde(deserialize_with = "lenient")]
    device_authorization_endpoint: Option<String>,
    #[serde(deserialize_with = "lenient")]
    scopes_supported: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    client_id_metadata_document_supported: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl ServerDocument {
    /// What servers of revision 2025-03-26 without metadata have at their origin.
    pub(super) fn assumed(origin: &Url) -> Self {
        let place = |path| Some(String::from(at(origin, path)));
        Self {
            issuer: origin.origin().ascii_serialization(),
            authorization_endpoint: place("/authorize"),
            token_endpoint: place("/token"),
            registration_endpoint: place("/register"),
            // That revision makes PKCE a must, and has no other place to say so.
            code_challenge_methods_supported: Some(vec!["S256".to_owned()]),
            ..Self::default()
        }
    }
}

/// A checked authorization server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    document: ServerDocument,
    pub(super) authorization: Option<Url>,
    pub(super) token: Url,
    pub(super) registration: Option<Url>,
    pub(super) revocation: Option<Url>,
    pub(super) device: Option<Url>,
}

impl Server {
    /// The server in `body`, which may be that of each of `issuers`; `None` if there is no metadata in
    /// it.
    ///
    /// # Errors
    /// It is that of another issuer, or leads where it may not.
    pub(super) fn read(
        body: &[u8],
        issuers: &[&str],
        reach: &Reach,
    ) -> Result<Option<Self>, Problem> {
        let Some(document) = of_json::<ServerDocument>(body) else { return Ok(None) };
        if document.issuer.is_empty() || document.token_endpoint.is_none() {
            return Ok(None);
        }
        Self::check(document, issuers, reach).map(Some)
    }

    /// The server of `document`, as it was stored.
    ///
    /// # Errors
    /// It leads where it may not.
    pub(super) fn of_stored(document: &ServerDocument, reach: &Reach) -> Result<Self, Problem> {
        Self::check(document.clone(), &[&document.issuer], reach)
    }

    /// The server of `document`, which may be that of each of `issuers`.
    ///
    /// # Errors
    /// As for [`Server::read`].
    pub(super) fn check(
        document: ServerDocument,
        issuers: &[&str],
        reach: &Reach,
    ) -> Result<Self, Problem> {
        let issuer = document.issuer.as_str();
        if !issuers.iter().any(|asked| is_same_issuer(issuer, asked)) {
            return Err(Problem::new(
                format!(
                    "the metadata of the authorization server `{}` name another \
                     issuer, `{}`, so they are not used",
                    redact::without_secrets(issuers.last().copied().unwrap_or_default()),
                    redact::without_secrets(issuer)
                ),
                Hint::both(
                    "This is a fault of the server, or an attack: tell its administrator.",
                    "Это ошибка сервера или атака: сообщите его администратору.",
                ),
            ));
        }
        let url = |text: &Option<String>, what: &str| {
            text.as_deref().map(|text| reach.url(text, what)).transpose()
        };
        let none = || Problem::new(format!("`{issuer}` has no token endpoint"), Hint::english(""));
        Ok(Self {
            authorization: url(&document.authorization_endpoint, "the authorization endpoint")?,
            token: url(&document.token_endpoint, "the token endpoint")?.ok_or_else(none)?,
            registration: url(&document.registration_endpoint, "the registration endpoint")?,
            device: url(&document.device_authorization_endpoint, "the device endpoint")?,
            revocation: url(&document.revocation_endpoint, "the revocation endpoint")?,
            document,
        })
    }

    pub(super) fn document(&self) -> &ServerDocument {
        &self.document
    }

    /// The issuer, as it writes itself.
    pub(super) fn issuer(&self) -> &str {
        &self.document.issuer
    }

    /// Whether the server says that it checks PKCE by S256.
    pub(super) fn has_s256(&self) -> bool {
        lists(self.document.code_challenge_methods_supported.as_ref(), "S256")
    }

    /// Whether it takes the address of a document as a client id.
    pub(super) fn takes_client_documents(&self) -> bool {
        self.document.client_id_metadata_document_supported == Some(true)
    }

    /// Whether it says who it is in each authorization response.
    pub(super) fn sends_iss(&self) -> bool {
        self.document.authorization_response_iss_parameter_supported == Some(true)
    }

    /// Whether it lists the scope that refresh tokens are asked for by.
    pub(super) fn has_offline_access(&self) -> bool {
        lists(self.document.scopes_supported.as_ref(), "offline_access")
    }

    /// How clients prove who they are at the token endpoint; `None` if it is not said.
    pub(super) fn auth_methods(&self) -> Option<&[String]> {
        self.document.token_endpoint_auth_methods_supported.as_deref()
    }

    /// The algorithms of the assertions that clients prove it by; `None` if it is not said.
    pub(super) fn signing_algorithms(&self) -> Option<&[String]> {
        self.document.token_endpoint_auth_signing_alg_values_supported.as_deref()
    }
}

fn lists(list: Option<&Vec<String>>, value: &str) -> bool {
    list.is_some_and(|list| list.iter().any(|listed| listed == value))
}

/// Whether two issuers are the same: byte by byte, but for the slash behind an issuer without a path,
/// with which and without which large services publish the same issuer.
fn is_same_issuer(one: &str, other: &str) -> bool {
    let is_bare = |text: &str| Url::parse(text).is_ok_and(|url| url.path() == "/");
    let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    one == other || is_bare(one) && is_bare(other) && bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn texts(places: &[Url]) -> Vec<&str> {
        places.iter().map(Url::as_str).collect()
    }

    #[test]
    fn metadata_is_looked_for_in_the_order_of_the_specification() {
        assert_eq!(
            texts(&server_places(&url("https://a/tenant1"))),
            [
                "https://a/.well-known/oauth-authorization-server/tenant1",
                "https://a/.well-known/openid-configuration/tenant1",
                "https://a/tenant1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            texts(&server_places(&url("https://a"))),
            [
                "https://a/.well-known/oauth-authorization-server",
                "https://a/.well-known/openid-configuration"
            ]
        );
    }

    #[test]
    fn an_issuer_is_compared_byte_by_byte() {
        let rows = [
            ("https://a", "https://a", true),
            ("https://a/", "https://a", true),
            ("https://a", "https://a/", true),
            ("https://a/x", "https://a/x/", false),
            ("https://A", "https://a", false),
            ("https://a:443", "https://a", false),
            ("https://b", "https://a", false),
        ];
        let reach = Reach::of(&url("https://h/mcp"), None);
        for (named, asked, is_same) in rows {
            let body = format!(r#"{{"issuer":"{named}","token_endpoint":"https://a/token"}}"#);
            let read = Server::read(body.as_bytes(), &[asked], &reach);
            assert_eq!(read.is_ok(), is_same, "{named} {asked}");
        }
    }

    #[test]
    fn an_endpoint_that_leads_astray_is_refused() {
        let reach = Reach::of(&url("https://mcp.example.com/mcp"), None);
        for bad in ["javascript:alert(1)", "file:///x", "http://a/authorize", "https://127.0.0.1/"]
        {
            let body = format!(
                r#"{{"issuer":"https://a","token_endpoint":"https://a/t","authorization_endpoint":"{bad}"}}"#
            );
            assert!(Server::read(body.as_bytes(), &["https://a"], &reach).is_err(), "{bad}");
        }
    }
}
