//! The token endpoint (RFC 6749 section 5): asking for tokens, and what its refusals mean.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::hints::scopes_in;
use super::metadata::Server;
use super::problem::Problem;
use super::unix_time;
use crate::failure::Failure;
use crate::http::{Form, Page, Web, excerpt, shorten};

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
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Lifetime>,
    refresh_token: Option<String>,
    scope: Option<String>,
}

/// Seconds. Some servers write them as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lifetime {
    Number(f64),
    Text(String),
}

impl Lifetime {
    fn seconds(&self) -> Option<u64> {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        std::time::Duration::try_from_secs_f64(seconds).ok().map(|life| life.as_secs())
    }
}

/// Why the token endpoint gave no token.
pub(super) enum NoToken {
    /// It cannot be reached, or is not well.
    Failed(Failure),
    Refused(Refusal),
    /// We cannot ask for one.
    Impossible(Problem),
}

impl NoToken {
    /// The problem for a person, with the server's `issuer`.
    pub(super) fn to_problem(&self, issuer: &str) -> Problem {
        match self {
            Self::Failed(failure) => Problem::of_failure(failure),
            Self::Refused(refusal) => refusal.to_problem(issuer),
            Self::Impossible(problem) => problem.clone(),
        }
    }
}

/// An error answer of an authorization server (RFC 6749 section 5.2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) error: String,
    error_description: Option<String>,
    #[serde(skip)]
    status: u16,
    /// What a body that is no such answer says.
    #[serde(skip)]
    page: String,
}

impl Refusal {
    /// The refusal in `page`.
    pub(super) fn of(page: &Page) -> Self {
        let mut refusal: Self = serde_json::from_slice(&page.body).unwrap_or_default();
        refusal.status = page.status.as_u16();
        if refusal.error.is_empty() {
            refusal.page = excerpt(&page.body, None);
        }
        refusal
    }

    /// What the server says, shortened.
    pub(super) fn said(&self) -> String {
        let description = self.error_description.as_deref().unwrap_or_default();
        match (self.error.as_str(), description) {
            ("", "") if self.page.is_empty() => format!("HTTP {}", self.status),
            ("", "") => format!("HTTP {}: {}", self.status, shorten(&self.page)),
            (error, "") => shorten(error),
            (error, description) => shorten(&format!("{error}: {description}")),
        }
    }

    /// Whether the server does not know the client any more.
    pub(super) fn is_of_client(&self) -> bool {
        matches!(self.error.as_str(), "invalid_client" | "unauthorized_client")
    }

    /// The problem for a person, with the server's `issuer`.
    pub(super) fn to_problem(&self, issuer: &str) -> Problem {
        let said = self.said();
        let what = format!("the authorization server {issuer} said {said}");
        let hint = match self.error.as_str() {
            _ if said.contains("AADSTS9010010") => {
                "Set MCPLINE_OAUTH_RESOURCE to none: this server of Microsoft takes no `resource`."
            }
            "invalid_client" | "unauthorized_client" => {
                "Check the client id and secret (MCPLINE_OAUTH_CLIENT_ID, \
                 MCPLINE_OAUTH_CLIENT_SECRET), or run `mcpline login` to register again."
            }
            "invalid_scope" => "Name the scopes that the server has with --oauth-scope.",
            "invalid_target" => "Name the resource with --oauth-resource, or set it to none.",
            "invalid_grant" => {
                "Sign in again. If it happens again, check that the clock of this machine is right."
            }
            _ => "Try again with `mcpline login`, and tell the server's administrator.",
        };
        Problem::new(what, hint)
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
        let authorization = signed.map_err(NoToken::Impossible)?;
        let form = Form::of_fields(&fields, authorization);
        let page = self.web.post(&self.server.token, form).await.map_err(NoToken::Failed)?;
        if page.status.is_server_error() || page.status.as_u16() == 429 {
            let (issuer, said) = (self.server.issuer(), Refusal::of(&page).said());
            let what = format!("the authorization server {issuer} is not well: {said}");
            let failure =
                Failure::new(crate::failure::Class::Rejected, crate::failure::Cause::Refused, what);
            return Err(NoToken::Failed(failure));
        }
        let granted = serde_json::from_slice::<Granted>(&page.body).ok();
        let granted = granted.filter(|granted| page.status.is_success() && granted.is_bearer());
        let Some(granted) = granted else { return Err(NoToken::Refused(Refusal::of(&page))) };
        Ok(self.tokens(granted))
    }

    fn tokens(&self, granted: Granted) -> Tokens {
        let mut scopes = self.scopes.to_vec();
        super::hints::add_scopes(&mut scopes, scopes_in(granted.scope.as_deref().unwrap_or("")));
        let now = unix_time();
        let life = granted.expires_in.and_then(|life| life.seconds());
        Tokens {
            access: granted.access_token,
            refresh: granted.refresh_token.filter(|token| !token.is_empty()),
            obtained_at: Some(now),
            expires_at: life.map(|life| now.saturating_add(life)),
            renew_at: life.map(|life| now.saturating_add(life - MARGIN.min(life / 2))),
            scopes,
        }
    }
}

impl Granted {
    fn is_bearer(&self) -> bool {
        let is_bearer = |kind: &String| kind.eq_ignore_ascii_case("bearer");
        !self.access_token.is_empty() && self.token_type.as_ref().is_none_or(is_bearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_read_as_servers_write_it() {
        let life = |text: &str| serde_json::from_str::<Lifetime>(text).unwrap().seconds();
        assert_eq!(life("3600"), Some(3600));
        assert_eq!(life("\"3600\""), Some(3600));
        assert_eq!(life("59.9"), Some(59));
        assert_eq!(life("-1"), None);
        assert_eq!(life("\"soon\""), None);
    }
}
