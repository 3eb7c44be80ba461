//! The authorization request: PKCE (RFC 7636), `resource` (RFC 8707), scopes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::client::Client;
use super::discovery::Found;
use super::hints::add_scopes;
use super::metadata::Server;
use super::problem::Problem;
use super::settings::Settings;
use crate::hint::Hint;

/// The scope that refresh tokens are asked for by.
const OFFLINE_ACCESS: &str = "offline_access";

/// Services that need more than the standards say, by the ends of their hosts: parameters to add to
/// the authorization request.
const ADDED: [(&str, &[(&str, &str)]); 1] =
    [("accounts.google.com", &[("access_type", "offline"), ("prompt", "consent")])];

/// Entra ID, by the ends of its hosts. It takes no `resource`; and asked for consent, it asks for that
/// of an administrator, where `offline_access` alone is enough.
const ENTRA: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    ".ciamlogin.com",
];

fn is_entra(host: Option<&str>) -> bool {
    host.is_some_and(|host| ENTRA.iter().any(|end| host.ends_with(end)))
}

/// `resource` for the server that was found.
pub(super) fn resource_for(found: &Found) -> Option<String> {
    found.resource.clone().filter(|_| !is_entra(found.server.token.host_str()))
}

/// Parameters of the authorization request that `--oauth-param` cannot set.
pub(crate) const OWN_PARAMS: [&str; 8] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "scope",
];

/// The page of `server` at which a person signs in.
///
/// # Errors
/// There is none, or a sign-in there would not be safe.
pub(super) fn page_of<'a>(server: &'a Server, settings: &Settings) -> Result<&'a Url, Problem> {
    let issuer = server.issuer();
    let Some(page) = &server.authorization else {
        return Err(Problem::new(
            format!("{issuer} has no page to sign in at"),
            Hint::both(
                "If programs sign in there by themselves, use --oauth-grant client-credentials.",
                "Если программы входят туда сами, используйте --oauth-grant client-credentials.",
            ),
        ));
    };
    // Entra ID and Cognito check it without saying so, and always need a given client.
    if !server.has_s256() && settings.client_id.is_none() {
        return Err(Problem::new(
            format!(
                "{issuer} does not say that it checks PKCE by S256, without which somebody else could \
                 use the sign-in"
            ),
            Hint::both(
                "Tell its administrator (`code_challenge_methods_supported`), or register a client \
                 there by hand and set MCPLINE_OAUTH_CLIENT_ID.",
                "Сообщите его администратору (`code_challenge_methods_supported`) или зарегистрируйте \
                 там клиента вручную и задайте MCPLINE_OAUTH_CLIENT_ID.",
            ),
        ));
    }
    Ok(page)
}

/// Where `client` sends a person to sign in at `found`.
///
/// # Errors
/// As for [`page_of`].
pub(super) fn authorization_url(
    found: &Found,
    client: &Client,
    redirect: &Url,
    settings: &Settings,
    state: &str,
    verifier: &str,
) -> Result<Url, Problem> {
    let Found { server, scopes, .. } = found;
    let mut url = page_of(server, settings)?.clone();
    if !server.has_s256() {
        let issuer = server.issuer();
        tracing::warn!("{issuer} does not say whether it checks PKCE by S256; it is sent anyway");
    }
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
    let host = url.host_str();
    let ends = |end: &str| host.is_some_and(|host| host.ends_with(end));
    let of_host = ADDED.iter().filter(|(end, _)| ends(end)).flat_map(|(_, list)| *list);
    added.extend(of_host.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    if is_offline && !is_entra(host) {
        // OpenID Connect Core section 11: without it the scope is ignored.
        added.push(("prompt".to_owned(), "consent".to_owned()));
    }
    for (name, value) in added {
        if !params.iter().any(|(known, _)| *known == name) {
            params.push((name, value));
        }
    }
    url.set_fragment(None);
    url.query_pairs_mut().extend_pairs(params);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::super::reach::Reach;
    use super::*;

    fn found(issuer: &str) -> Found {
        let body = format!(
            r#"{{"issuer":"{issuer}","token_endpoint":"{issuer}/token",
                "authorization_endpoint":"{issuer}/authorize?kept=1",
                "scopes_supported":["offline_access"],
                "code_challenge_methods_supported":["S256"]}}"#
        );
        let reach = Reach::of(&Url::parse("https://h/mcp").unwrap(), None);
        let server = Server::read(body.as_bytes(), &[issuer], &reach).unwrap().unwrap();
        let scopes = vec!["all".to_owned()];
        Found { server, resource: Some("https://h/mcp".into()), scopes, is_assumed: false }
    }

    #[test]
    fn the_request_is_as_each_service_wants_it() {
        let rows = [
            (
                "https://a",
                "&resource=https%3A%2F%2Fh%2Fmcp&scope=all+offline_access&prompt=consent",
            ),
            ("https://login.microsoftonline.com/t/v2.0", "&scope=all+offline_access"),
            (
                "https://accounts.google.com",
                "&resource=https%3A%2F%2Fh%2Fmcp&scope=all+offline_access&access_type=offline\
                 &prompt=consent",
            ),
        ];
        let redirect = Url::parse("http://127.0.0.1:1/callback").unwrap();
        for (issuer, end) in rows {
            let found = found(issuer);
            let settings = Settings { client_id: Some("it".into()), ..Settings::default() };
            let client = Client::given(&settings, &found.server, None).unwrap().unwrap();
            let url = authorization_url(&found, &client, &redirect, &settings, "s", "v").unwrap();
            let query = url.query().unwrap();
            assert!(query.starts_with("kept=1&response_type=code&client_id=it&"), "{query}");
            let (_, rest) = query.split_once("code_challenge_method=S256").unwrap();
            assert_eq!(rest, end, "{issuer}");
        }
    }
}
