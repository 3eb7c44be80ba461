//! Registers us with an authorization server (RFC 7591), or says how a person can do it.

use serde::Deserialize;
use url::Url;

use super::client::{Client, Method};
use super::clock::seconds_in;
use super::grant::DEVICE_CODE;
use super::metadata::{Server, lenient};
use super::problem::{AGAIN_LATER, Problem};
use super::refusal::Refusal;
use crate::hint::Hint;
use crate::http::{Form, Web};
use crate::jsonrpc::of_json;

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default, deserialize_with = "lenient")]
    client_secret: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    client_secret_expires_at: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    token_endpoint_auth_method: Option<String>,
}

impl Client {
    /// Registers us with `server` for `redirect`; `given_redirect` is the one that the user wants.
    ///
    /// # Errors
    /// The server does not register clients, or refuses.
    pub(super) async fn register(
        web: &Web,
        server: &Server,
        redirect: &Url,
        given_redirect: Option<&Url>,
    ) -> Result<Self, Problem> {
        let by_hand = |why: &str| by_hand(server, given_redirect, why);
        let Some(endpoint) = &server.registration else {
            return Err(registers_nobody(server, given_redirect));
        };
        let redirects = redirect_forms(redirect);
        let mut grants = vec!["authorization_code", "refresh_token"];
        if server.device.is_some() {
            grants.push(DEVICE_CODE);
        }
        let body = serde_json::json!({
            "client_name": "mcpline",
            "redirect_uris": redirects,
            "grant_types": grants,
            "response_types": ["code"],
            "token_endpoint_auth_method": Method::to_register(server).name(),
            "application_type": "native",
        });
        let form =
            Form { content_type: "application/json", authorization: None, body: body.to_string() };
        let page = web.post(endpoint, form).await.map_err(|error| Problem::of_failure(&error))?;
        if page.status.is_server_error() {
            let what =
                format!("{} answered the registration with HTTP {}", server.issuer(), page.status);
            return Err(Problem::passing(what, AGAIN_LATER));
        }
        let registered = of_json::<Registered>(&page.body);
        let Some(registered) = registered.filter(|_| page.status.is_success()) else {
            let said = Refusal::of(&page).said();
            let why = format!("refuses to register clients by itself ({said})");
            return Err(by_hand(&why));
        };
        let method = registered.token_endpoint_auth_method.as_deref().and_then(Method::named);
        let has_secret = registered.client_secret.is_some();
        let method = match method {
            Some(method) if has_secret || method == Method::None => method,
            _ if has_secret => Method::with_secret(server),
            _ => Method::None,
        };
        Ok(Self {
            id: registered.client_id,
            secret: registered.client_secret,
            secret_expires_at: registered.client_secret_expires_at.unwrap_or(0),
            method,
            key: None,
            redirects,
            is_doubted: false,
        })
    }
}

/// Seconds, or none if it is written in another way.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    lenient::<_, serde_json::Value>(deserializer).map(|value| seconds_in(&value?))
}

/// Both ways to write a redirect to this machine: some servers know only the one that they were told.
fn redirect_forms(redirect: &Url) -> Vec<String> {
    let mut forms = vec![redirect.to_string()];
    let other = match redirect.host_str() {
        Some("127.0.0.1") => "localhost",
        Some("localhost") => "127.0.0.1",
        _ => return forms,
    };
    let mut url = redirect.clone();
    if url.set_host(Some(other)).is_ok() {
        forms.push(url.into());
    }
    forms
}

/// The redirect URI that is proposed to somebody who registers a client by hand.
const PROPOSED_REDIRECT: &str = "http://127.0.0.1:33418/callback";

/// How to register a client by hand with the redirect URI `{}`.
const BY_HAND: Hint = Hint::both(
    "Register a client there by hand, a native or desktop application with the redirect URI {}. Then \
     set MCPLINE_OAUTH_REDIRECT to this URI, MCPLINE_OAUTH_CLIENT_ID to the client's id, and \
     MCPLINE_OAUTH_CLIENT_SECRET to its secret, if it has one. Or give a token with --bearer-file.",
    "Зарегистрируйте там клиента вручную: классическое (desktop) приложение с адресом возврата {}. Затем \
     задайте MCPLINE_OAUTH_REDIRECT (этот адрес), MCPLINE_OAUTH_CLIENT_ID (id клиента) и, если у него \
     есть секрет, MCPLINE_OAUTH_CLIENT_SECRET. Или дайте токен через --bearer-file.",
);

/// The server registers no clients.
pub(super) fn registers_nobody(server: &Server, redirect: Option<&Url>) -> Problem {
    by_hand(server, redirect, "does not register clients by itself")
}

/// The server does not register us: the user has to do it.
fn by_hand(server: &Server, redirect: Option<&Url>, why: &str) -> Problem {
    let what = format!("the authorization server {} {why}", server.issuer());
    Problem::new(what, BY_HAND.naming(redirect.map_or(PROPOSED_REDIRECT, Url::as_str)))
}
