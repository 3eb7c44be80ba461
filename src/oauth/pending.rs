//! A sign-in under way: what it takes to finish it, in this process or in another, and what the
//! redirect says that answers it (`state`; `iss`, RFC 9207).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use url::Url;

use super::attempt::Ending;
use super::client::Client;
use super::clock::unix_time;
use super::discovery::Found;
use super::flow::{authorization_url, resource_for};
use super::metadata::{Server, ServerDocument};
use super::problem::Problem;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::hint::Hint;

/// How long an address to sign in at is good for, in seconds.
const LIFE: u64 = 3600;

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
    /// The person, or the authorization server, refuses; or it cannot be used.
    Ended {
        ending: Ending,
        /// Whether the server does not know the client.
        is_of_client: bool,
    },
}

impl Pending {
    /// Begins a sign-in at `found` for `scopes`, which comes back to `redirect`.
    ///
    /// # Errors
    /// The server cannot do it safely.
    pub(super) fn begin(
        found: &Found,
        client: &Client,
        redirect: &Url,
        settings: &Settings,
    ) -> Result<Self, Problem> {
        let Found { server, scopes, .. } = found;
        let (verifier, state) = (random()?, random()?);
        let url = authorization_url(found, client, redirect, settings, &state, &verifier)?;
        Ok(Self {
            url: url.into(),
            redirect: redirect.to_string(),
            state,
            verifier,
            server: server.document().clone(),
            client: client.to_keep(),
            resource: resource_for(found),
            scopes: scopes.clone(),
            begun: unix_time(),
        })
    }

    /// Whether it leads to a token for what was `found`.
    pub(super) fn fits(&self, found: &Found) -> bool {
        self.server.issuer == found.server.issuer()
            && self.resource == resource_for(found)
            && found.scopes.iter().all(|scope| self.scopes.contains(scope))
    }

    /// Whether the address has become too old.
    pub(super) fn has_ended(&self) -> bool {
        unix_time().saturating_sub(self.begun) >= LIFE
    }

    /// What the query of a redirect says.
    pub(super) fn read(&self, query: &str, server: &Server) -> Redirected {
        let all: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let values = |name: &str| {
            let found: Vec<_> = all.iter().filter(|(known, _)| known == name).collect();
            (found.len(), found.first().map(|(_, value)| value.as_ref()))
        };
        let failed =
            |problem| Redirected::Ended { ending: Ending::Failed(problem), is_of_client: false };
        let (count, state) = values("state");
        let is_ours = count == 1
            && state.is_some_and(|state| is_equal(state.as_bytes(), self.state.as_bytes()));
        if !is_ours {
            return Redirected::Foreign;
        }
        // RFC 6749 section 3.1: none may come twice.
        if ["iss", "code", "error"].iter().any(|name| values(name).0 > 1) {
            return failed(unusable(server, "it says the same thing twice"));
        }
        if let Err(problem) = check_iss(values("iss").1, server) {
            return failed(problem);
        }
        if let Some(error) = values("error").1 {
            let refusal = Refusal::of_redirect(error, values("error_description").1);
            return Redirected::Ended {
                ending: refusal.to_ending(server.issuer()),
                is_of_client: refusal.is_of_client(),
            };
        }
        match values("code").1.filter(|code| !code.is_empty()) {
            Some(code) => Redirected::Code(code.to_owned()),
            None => failed(unusable(server, "it holds no code")),
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
    Err(unusable(server, what))
}

/// The answer of `server` cannot be used, and why.
fn unusable(server: &Server, why: &str) -> Problem {
    Problem::new(
        format!("the answer for {} is not used, because {why}", server.issuer()),
        Hint::both(
            "This is a fault of that server, or an attack: tell its administrator.",
            "Это ошибка того сервера или атака: сообщите его администратору.",
        ),
    )
}

/// 256 random bits as text.
pub(super) fn random() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::new("the system gives no random numbers", Hint::english("")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Compares without telling by its time where the first difference is.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
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
        let reach = Reach::of(&Url::parse("https://h/mcp").unwrap(), None);
        Server::read(body.as_bytes(), &["https://a/t"], &reach).unwrap().unwrap()
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

    #[test]
    fn a_redirect_is_read_as_a_whole() {
        let issuer = "https://a/t";
        let server = server(false);
        let pending = Pending {
            url: String::new(),
            redirect: String::new(),
            state: "mine".into(),
            verifier: String::new(),
            server: server.document().clone(),
            client: serde_json::from_str(r#"{"id":"it","method":"none"}"#).unwrap(),
            resource: None,
            scopes: Vec::new(),
            begun: 0,
        };
        let rows = [
            ("state=mine&code=c", "c"),
            ("code=c", "foreign"),
            ("state=other&code=c", "foreign"),
            ("state=mine&state=mine&code=c", "foreign"),
            ("state=mine&code=c&code=d", "twice"),
            ("state=mine&code=c&error=x&error=y", "twice"),
            ("state=mine&code=c&iss=https://a/t&iss=https://evil", "twice"),
            ("state=mine&code=", "no code"),
            ("state=mine", "no code"),
            ("state=mine&error=access_denied&code=c", "access was refused"),
            ("state=mine&code=c&iss=https://evil", "another authorization server"),
        ];
        for (query, told) in rows {
            let said = match pending.read(query, &server) {
                Redirected::Foreign => "foreign".to_owned(),
                Redirected::Code(code) => code,
                Redirected::Ended { ending, .. } => {
                    ending.problem().unwrap().what().replace(issuer, "")
                }
            };
            assert!(said.contains(told), "{query}: {said}");
        }
    }
}
