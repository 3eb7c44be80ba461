//! The token endpoint (RFC 6749 section 5): asking for tokens, and reading what it gives.

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::clock::{seconds_in, unix_time};
use super::hints::{add_scopes, scopes_in};
use super::metadata::{Server, lenient};
use super::problem::Problem;
use super::refusal::Refusal;
use crate::hint::Hint;
use crate::http::{Form, Page, Web, shorten};
use crate::jsonrpc::of_json;

/// A token that ends sooner than this is renewed before it is used; one that lives for less than
/// twice as long, at half of its life.
const MARGIN: u64 = 60;

/// The name of the device grant.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What an authorization server gave us. No `Debug`: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    /// When it was given, in seconds since 1970; `None` in old records.
    #[serde(default)]
    pub(super) obtained_at: Option<u64>,
    /// When the access token ends, in seconds since 1970; `None` if it was not said.
    pub(super) expires_at: Option<u64>,
    /// When to renew it.
    pub(super) renew_at: Option<u64>,
    /// The scopes that were asked for, and those that were granted beyond.
    pub(super) scopes: Vec<String>,
}

/// The answer of a token endpoint.
#[derive(Deserialize)]
struct Granted {
    #[serde(default, deserialize_with = "lenient")]
    access_token: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    token_type: Option<String>,
    /// Seconds. Some servers write them as text.
    #[serde(default, deserialize_with = "lenient")]
    expires_in: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    refresh_token: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    scope: Option<String>,
}

/// Why the token endpoint gave no token.
pub(super) enum NoToken {
    /// It cannot be reached, is not well, or answers what is none of the standard's; or we cannot ask.
    Failed(Problem),
    Refused(Refusal),
}

impl NoToken {
    /// The problem for a person, with the server's `issuer`.
    pub(super) fn to_problem(&self, issuer: &str) -> Problem {
        match self {
            Self::Failed(problem) => problem.clone(),
            Self::Refused(refusal) => refusal.to_problem(issuer),
        }
    }
}

/// One token request.
pub(super) struct TokenRequest<'a> {
    pub(super) web: &'a Web,
    pub(super) server: &'a Server,
    pub(super) client: &'a Client,
    pub(super) resource: Option<&'a str>,
    /// The scopes that were asked for.
    pub(super) scopes: &'a [String],
}

impl Tokens {
    /// The value of `Authorization`; `None` if a header cannot carry it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        bearer(&self.access)
    }
}

fn bearer(access: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {access}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl TokenRequest<'_> {
    /// Spends an authorization code.
    pub(super) async fn code(
        &self,
        code: &str,
        redirect: &str,
        verifier: &str,
    ) -> Result<Tokens, NoToken> {
        self.send(vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", redirect.to_owned()),
            ("code_verifier", verifier.to_owned()),
        ])
        .await
    }

    /// Spends a refresh token. One that is not replaced stays good.
    pub(super) async fn refresh(&self, refresh: &str) -> Result<Tokens, NoToken> {
        let mut tokens = self
            .send(vec![
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", refresh.to_owned()),
            ])
            .await?;
        tokens.refresh.get_or_insert_with(|| refresh.to_owned());
        Ok(tokens)
    }

    /// Asks for the tokens of a device code (RFC 8628 section 3.4).
    pub(super) async fn device(&self, code: &str) -> Result<Tokens, NoToken> {
        self.send(vec![("grant_type", DEVICE_CODE.to_owned()), ("device_code", code.to_owned())])
            .await
    }

    /// Asks for a token on behalf of nobody but the client.
    pub(super) async fn client_credentials(&self) -> Result<Tokens, NoToken> {
        let mut fields = vec![("grant_type", "client_credentials".to_owned())];
        if !self.scopes.is_empty() {
            fields.push(("scope", self.scopes.join(" ")));
        }
        self.send(fields).await
    }

    async fn send(&self, mut fields: Vec<(&'static str, String)>) -> Result<Tokens, NoToken> {
        if let Some(resource) = self.resource {
            fields.push(("resource", resource.to_owned()));
        }
        let signed = self.client.sign(self.server, &mut fields);
        let authorization = signed.map_err(NoToken::Failed)?;
        let form = Form::of_fields(&fields, authorization);
        let page = self.web.post(&self.server.token, form).await;
        let page = page.map_err(|failure| NoToken::Failed(Problem::of_failure(&failure)))?;
        read(&page, self.server.issuer(), self.scopes)
    }
}

/// The tokens in `page`, which `issuer` sent when it was asked for `scopes`.
///
/// # Errors
/// There are none, or none that can be used.
pub(super) fn read(page: &Page, issuer: &str, scopes: &[String]) -> Result<Tokens, NoToken> {
    let granted = of_json::<Granted>(&page.body);
    let granted = granted.filter(|_| page.status.is_success());
    match granted.and_then(|granted| granted.tokens(issuer, scopes)) {
        Some(tokens) => tokens.map_err(NoToken::Failed),
        None => Err(refused(page, issuer)),
    }
}

/// What an answer of `issuer` without a token means.
fn refused(page: &Page, issuer: &str) -> NoToken {
    let refusal = Refusal::of(page);
    let is_unwell = page.status.is_server_error() || page.status == StatusCode::TOO_MANY_REQUESTS;
    if refusal.is_final() && !is_unwell {
        return NoToken::Refused(refusal);
    }
    NoToken::Failed(refusal.to_problem(issuer))
}

impl Granted {
    /// The tokens in an answer of `issuer`, which was asked for `scopes`; `None` if there are none in
    /// it.
    fn tokens(self, issuer: &str, scopes: &[String]) -> Option<Result<Tokens, Problem>> {
        let access = self.access_token.filter(|token| !token.is_empty())?;
        if let Some(kind) = self.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            let kind = shorten(&kind);
            return Some(Err(Problem::new(
                format!("the authorization server {issuer} gave a token of the type `{kind}`"),
                Hint::both(
                    "mcpline can send bearer tokens only: tell the server's administrator.",
                    "mcpline передаёт только токены типа bearer: сообщите администратору сервера.",
                ),
            )));
        }
        if bearer(&access).is_none() {
            return Some(Err(Problem::new(
                format!("the authorization server {issuer} gave a token that no header can carry"),
                Hint::both(
                    "This is a fault of that server: tell its administrator.",
                    "Это неисправность того сервера: сообщите его администратору.",
                ),
            )));
        }
        let mut scopes = scopes.to_vec();
        add_scopes(&mut scopes, scopes_in(self.scope.as_deref().unwrap_or("")));
        let now = unix_time();
        let life = self.expires_in.as_ref().and_then(seconds_in);
        Some(Ok(Tokens {
            access,
            refresh: self.refresh_token.filter(|token| !token.is_empty()),
            obtained_at: Some(now),
            expires_at: life.map(|life| now.saturating_add(life)),
            renew_at: life.map(|life| now.saturating_add(life - MARGIN.min(life / 2))),
            scopes,
        }))
    }
}
