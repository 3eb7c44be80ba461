//! The authorization request and the redirect that answers it: PKCE (RFC 7636), `state`, `iss`
//! (RFC 9207), `resource` (RFC 8707).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use url::Url;

use super::client::Client;
use super::discovery::Found;
use super::hints::add_scopes;
use super::metadata::{Server, ServerDocument};
use super::problem::Problem;
use super::settings::Settings;
use super::unix_time;
use crate::hint::Hint;
use crate::http::shorten;

/// The scope that refresh tokens are asked for by.
const OFFLINE_ACCESS: &str = "offline_access";

/// Services that need more than the standards say, by the ends of their hosts: parameters to add to
/// the authorization request.
const ADDED: [(&str, &[(&str, &str)]); 1] =
    [("accounts.google.com", &[("access_type", "offline"), ("prompt", "consent")])];

/// Services that take no `resource`, by the ends of their hosts.
const WITHOUT_RESOURCE: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    ".ciamlogin.com",
];

/// A sign-in under way: what it takes to finish it, in this process or in another. No `Debug`: it
/// holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Where the person signs in.
    pub(super) url: String,
    pub(super) redirect: String,
    state: String,
    pub(super) verifier: String,
    pub(super) server: ServerDocument,
    pub(super) client: Client,
    pub(super) resource: Option<String>,
    pub(super) scopes: Vec<String>,
    /// When it was begun, in seconds since 1970.
    begun: u64,
}

/// What a redirect says.
pub(super) enum Redirected {
    /// It belongs to no sign-in of ours: the wait goes on.
    Foreign,
    /// The authorization code.
    Code(String),
    /// The person, or the authorization server, refuses.
    Denied(Problem),
    /// It cannot be used.
    Failed(Problem),
}

impl Pending {
    /// Begins a sign-in at `found` for `scopes`, which comes back to `redirect`.
    ///
    /// # Errors
    /// The server cannot do it safely.
    pub(super) fn begin(
        found: &Found,
        client: Client,
        redirect: &Url,
        settings: &Settings,
    ) -> Result<Self, Problem> {
        let Found { server, scopes, .. } = found;
        let (verifier, state) = (random()?, random()?);
        let url = authorization_url(found, &client, redirect, settings, &state, &verifier)?;
        Ok(Self {
            url: url.into(),
            redirect: redirect.to_string(),
            state,
            verifier,
            server: server.document().clone(),
            client,
            resource: resource_for(found),
            scopes: scopes.clone(),
            begun: unix_time(),
        })
    }

    /// Whether it leads to a token for what was `found`.
    pub(super) fn does_for(&self, found: &Found) -> bool {
        self.server.issuer == found.server.issuer()
            && self.resource == resource_for(found)
            && found.scopes.iter().all(|scope| self.scopes.contains(scope))
    }

    /// How long ago it was begun, in seconds.
    pub(super) fn age(&self) -> u64 {
        unix_time().saturating_sub(self.begun)
    }

    /// What the query of a redirect says.
    pub(super) fn read(&self, query: &str, server: &Server) -> Redirected {
        let all: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let param = |name: &str| {
            let mut found = all.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
            // RFC 6749 section 3.1: none may come twice.
            found.next().filter(|_| found.next().is_none()).map(AsRef::as_ref)
        };
        let is_ours =
            param("state").is_some_and(|state| ring_eq(state.as_bytes(), self.state.as_bytes()));
        if !is_ours {
            return Redirected::Foreign;
        }
        if let Err(problem) = check_iss(param("iss"), server) {
            return Redirected::Failed(problem);
        }
        if let Some(error) = param("error") {
            return of_error(error, param("error_description"), server.issuer());
        }
        match param("code").filter(|code| !code.is_empty()) {
            Some(code) => Redirected::Code(code.to_owned()),
            None => Redirected::Failed(Problem::new(
                format!("{} came back without a code", server.issuer()),
                "Try again with `mcpline login`, and tell the server's administrator.",
            )),
        }
    }
}

/// RFC 9207 section 2.4: the issuer in a response is the one that was asked, byte by byte; a server
/// that says it sends one, sends one.
fn check_iss(iss: Option<&str>, server: &Server) -> Result<(), Problem> {
    let what = match iss {
        None if server.sends_iss() => "it does not say which authorization server it comes from",
        Some(iss) if iss != server.issuer() => "it comes from another authorization server",
        _ => return Ok(()),
    };
    Err(Problem::new(
        format!("the answer for {} is not used, because {what}", server.issuer()),
        "This is a fault of that server, or an attack: tell its administrator.",
    ))
}

fn of_error(error: &str, description: Option<&str>, issuer: &str) -> Redirected {
    let said = match description {
        Some(description) => shorten(&format!("{error}: {description}")),
        None => shorten(error),
    };
    if error == "access_denied" {
        return Redirected::Denied(Problem::new(
            format!("access was refused: {issuer} says {said}"),
            Hint::both(
                "To try again, run `mcpline login` with the same address, or restart the client.",
                "Чтобы попробовать ещё раз, выполните `mcpline login` с тем же адресом или \
                 перезапустите клиент.",
            ),
        ));
    }
    let hint = match error {
        "invalid_scope" => "Name the scopes that the server has with --oauth-scope.",
        "unauthorized_client" | "invalid_client" => {
            "The server does not know this client: run `mcpline login` to register again, or check \
             MCPLINE_OAUTH_CLIENT_ID."
        }
        "invalid_target" => "Name the resource with --oauth-resource, or set it to none.",
        "temporarily_unavailable" | "server_error" => {
            "The authorization server is not well: try again in a while."
        }
        _ => "Try again with `mcpline login`, and tell the server's administrator.",
    };
    Redirected::Failed(Problem::new(format!("{issuer} says {said}"), hint))
}

/// `resource` for the server that was found.
pub(super) fn resource_for(found: &Found) -> Option<String> {
    let host = found.server.token.host_str().unwrap_or_default();
    found.resource.clone().filter(|_| !WITHOUT_RESOURCE.iter().any(|end| host.ends_with(end)))
}

fn authorization_url(
    found: &Found,
    client: &Client,
    redirect: &Url,
    settings: &Settings,
    state: &str,
    verifier: &str,
) -> Result<Url, Problem> {
    let Found { server, scopes, .. } = found;
    let endpoint = page_of(server, settings)?;
    let challenge = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    let mut params = vec![
        ("response_type".to_owned(), "code".to_owned()),
        ("client_id".to_owned(), client.id.clone()),
        ("redirect_uri".to_owned(), redirect.to_string()),
        ("state".to_owned(), state.to_owned()),
        ("code_challenge".to_owned(), URL_SAFE_NO_PAD.encode(challenge)),
        ("code_challenge_method".to_owned(), "S256".to_owned()),
    ];
    if let Some(resource) = resource_for(found) {
        params.push(("resource".to_owned(), resource));
    }
    let mut scopes = scopes.clone();
    let is_offline = server.has_offline_access()
        && (settings.scope.is_none() || scopes.iter().any(|scope| scope == OFFLINE_ACCESS));
    if is_offline {
        add_scopes(&mut scopes, [OFFLINE_ACCESS]);
    }
    if !scopes.is_empty() {
        params.push(("scope".to_owned(), scopes.join(" ")));
    }
    let mut added: Vec<(String, String)> = settings.params.clone();
    let host = endpoint.host_str().unwrap_or_default();
    let of_host = ADDED.iter().filter(|(end, _)| host.ends_with(end)).flat_map(|(_, list)| *list);
    added.extend(of_host.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    if is_offline {
        // OpenID Connect Core section 11: without it the scope is ignored.
        added.push(("prompt".to_owned(), "consent".to_owned()));
    }
    for (name, value) in added {
        if !params.iter().any(|(known, _)| *known == name) {
            params.push((name, value));
        }
    }
    let mut url = endpoint.clone();
    url.set_fragment(None);
    url.query_pairs_mut().extend_pairs(params);
    Ok(url)
}

/// The page of `server` at which a person signs in.
///
/// # Errors
/// There is none, or a sign-in there would not be safe.
pub(super) fn page_of<'a>(server: &'a Server, settings: &Settings) -> Result<&'a Url, Problem> {
    let issuer = server.issuer();
    let Some(endpoint) = &server.authorization else {
        return Err(Problem::new(
            format!("{issuer} has no page to sign in at"),
            "If programs sign in there by themselves, use --oauth-grant client-credentials.",
        ));
    };
    if !server.has_s256() {
        // Entra ID and Cognito check it without saying so, and always need a given client.
        if settings.client_id.is_none() {
            return Err(Problem::new(
                format!(
                    "{issuer} does not say that it checks PKCE by S256, without which \
                     somebody else could use the sign-in"
                ),
                "Tell its administrator (`code_challenge_methods_supported`), or register a client \
                 there by hand and set MCPLINE_OAUTH_CLIENT_ID.",
            ));
        }
        tracing::warn!("{issuer} does not say whether it checks PKCE by S256; it is sent anyway");
    }
    Ok(endpoint)
}

/// 256 random bits as text.
pub(super) fn random() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::new("the system gives no random numbers", ""))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Compares without telling by its time where the first difference is.
fn ring_eq(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::super::reach::Reach;
    use super::*;

    fn server(sends_iss: bool) -> Server {
        let body = format!(
            r#"{{"issuer":"https://a/t","token_endpoint":"https://a/token",
                "authorization_response_iss_parameter_supported":{sends_iss}}}"#
        );
        let reach = Reach::of(&Url::parse("https://h/mcp").unwrap());
        Server::read(body.as_bytes(), "https://a/t", &reach).unwrap().unwrap()
    }

    #[test]
    fn iss_is_checked_by_the_four_rows_of_the_specification() {
        let rows = [
            (true, Some("https://a/t"), true),
            (true, None, false),
            (true, Some("https://a/t/"), false),
            (true, Some("https://evil"), false),
            (false, None, true),
            (false, Some("https://a/t"), true),
            (false, Some("https://evil"), false),
            (false, Some("https://A/t"), false),
        ];
        for (sends_iss, iss, is_fine) in rows {
            assert_eq!(check_iss(iss, &server(sends_iss)).is_ok(), is_fine, "{sends_iss} {iss:?}");
        }
    }
}
