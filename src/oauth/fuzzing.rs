//! For fuzzing: reads what authorization servers and browsers send as a sign-in does, and checks what
//! must hold of what comes out.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::client::Client;
use super::discovery::Found;
use super::grant::{NoToken, read};
use super::metadata::Server;
use super::pending::{Pending, Redirected};
use super::reach::Reach;
use super::resource::Resource;
use super::settings::Settings;
use crate::http::Page;

const UPSTREAM: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";

/// Reads metadata of a resource and of an authorization server: what is usable leads nowhere else
/// than it may.
pub fn read_metadata(body: &[u8]) {
    let Ok(upstream) = Url::parse(UPSTREAM) else { return };
    if let Ok(Some(resource)) = Resource::check(body, &upstream, &upstream) {
        let id = Url::parse(&resource.id).map(|id| id.origin());
        assert_eq!(id, Ok(upstream.origin()), "{}", resource.id);
    }
    let reach = Reach::of(&upstream, None);
    if let Ok(Some(server)) = Server::read(body, &[ISSUER], &reach) {
        assert_eq!(server.issuer().trim_end_matches('/'), ISSUER);
        let others = [&server.authorization, &server.registration, &server.device];
        let endpoints = others.into_iter().flatten().chain([&server.token]);
        for endpoint in endpoints {
            assert_eq!(endpoint.scheme(), "https", "{endpoint}");
            assert!(endpoint.username().is_empty(), "{endpoint}");
            assert!(!crate::http::is_loopback(endpoint), "{endpoint}");
        }
        // It is stored and read again.
        let stored = Server::of_stored(server.document(), &reach);
        assert!(stored.is_ok_and(|stored| stored.token == server.token));
    }
}

/// Reads the answer of a token endpoint with this status: a token can be sent, and what is told of
/// another answer is a line that acts on no terminal.
pub fn read_token_answer(status: u16, body: &[u8]) {
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let body = Bytes::copy_from_slice(body);
    let page = Page { status, headers: HeaderMap::new(), body };
    let told = match read(&page, ISSUER, &[]) {
        Ok(tokens) => {
            assert!(status.is_success() && tokens.header().is_some());
            assert!(tokens.renew_at <= tokens.expires_at);
            return;
        }
        Err(NoToken::Failed(problem)) => problem.text(UPSTREAM),
        Err(NoToken::Refused(refusal)) => refusal.to_problem(ISSUER).text(UPSTREAM),
    };
    assert!(!told.chars().any(char::is_control), "{told:?}");
}

/// Reads the query of a redirect: without the state it belongs to no sign-in, and with it a code counts
/// only beside the right issuer and no error.
pub fn read_redirect(query: &str) {
    let Ok(upstream) = Url::parse(UPSTREAM) else { return };
    let document = format!(
        r#"{{"issuer":"{ISSUER}","token_endpoint":"{ISSUER}/token",
            "authorization_endpoint":"{ISSUER}/authorize",
            "code_challenge_methods_supported":["S256"],
            "authorization_response_iss_parameter_supported":true}}"#
    );
    let reach = Reach::of(&upstream, None);
    let Ok(Some(server)) = Server::read(document.as_bytes(), &[ISSUER], &reach) else { return };
    let found = Found { server, resource: None, scopes: Vec::new(), is_assumed: false };
    let settings = Settings { client_id: Some("client".to_owned()), ..Settings::default() };
    let Ok(Some(client)) = Client::given(&settings, &found.server, None) else { return };
    let Ok(pending) = Pending::begin(&found, &client, &upstream, &settings) else { return };
    let asked = Url::parse(&pending.url).ok();
    let state = asked.and_then(|url| {
        let mut pairs = url.query_pairs().into_owned();
        pairs.find_map(|(name, value)| (name == "state").then_some(value))
    });
    let Some(state) = state else { return };
    assert!(matches!(pending.read(query, &found.server), Redirected::Foreign));
    let query = format!("state={state}&{query}");
    if let Redirected::Code(code) = pending.read(&query, &found.server) {
        let values = |wanted: &str| {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(values("code"), [code.as_str()]);
        assert_eq!(values("iss"), [ISSUER]);
        assert!(values("error").is_empty() && values("state").len() == 1);
    }
}
