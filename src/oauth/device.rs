//! Signing in on another device (RFC 8628): the person opens an address anywhere and types a code.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::SignIn;
use super::attempt::{Ending, Place};
use super::client::Client;
use super::clock::seconds_in;
use super::credentials::Got;
use super::discovery::Found;
use super::flow::resource_for;
use super::grant::{NoToken, TokenRequest};
use super::metadata::{Server, lenient};
use super::problem::Problem;
use super::refusal::Refusal;
use crate::hint::Hint;
use crate::http::{Form, shorten};

/// The pause between questions whether the person has signed in, where the server names none.
const INTERVAL: u64 = 5;

/// The longest such pause, whatever the server says.
const MAX_INTERVAL: u64 = 60;

/// How long a code is good for, at most, and where the server does not say.
const MAX_LIFE: u64 = 3600;
const LIFE: u64 = 900;

#[derive(Deserialize)]
struct Granted {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default, deserialize_with = "lenient")]
    verification_uri_complete: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    expires_in: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    interval: Option<serde_json::Value>,
}

/// The server has no sign-in by a device code.
pub(super) fn missing(server: &Server) -> Problem {
    Problem::new(
        format!("the authorization server {} has no sign-in by device code", server.issuer()),
        Hint::both(
            "Leave out --oauth-grant, and sign in with `mcpline login`.",
            "Уберите --oauth-grant и войдите через `mcpline login`.",
        ),
    )
}

impl SignIn {
    /// Asks a person to sign in at `found` on any device. Returns when the address is known.
    ///
    /// # Errors
    /// The server has no such way, or refuses.
    pub(super) async fn begin_on_device(self: &Arc<Self>, found: Found) -> Result<(), Problem> {
        let issuer = found.server.issuer();
        let Some(endpoint) = &found.server.device else {
            return Err(missing(&found.server));
        };
        let client = self.client_without_redirect(&found).await?;
        let mut fields = Vec::new();
        if !found.scopes.is_empty() {
            fields.push(("scope", found.scopes.join(" ")));
        }
        if let Some(resource) = resource_for(&found) {
            fields.push(("resource", resource));
        }
        let authorization = client.sign(&found.server, &mut fields)?;
        let page = self.web.post(endpoint, Form::of_fields(&fields, authorization)).await;
        let page = page.map_err(|failure| Problem::of_failure(&failure))?;
        let granted = serde_json::from_slice::<Granted>(&page.body).ok();
        let Some(granted) = granted.filter(|_| page.status.is_success()) else {
            let refusal = Refusal::of(&page);
            if refusal.is_of_client() {
                self.doubt(&client).await;
            }
            return Err(refusal.to_problem(issuer));
        };
        self.credentials.conceal(&granted.device_code);
        let place = self.place(&granted)?;
        tracing::warn!("{} wants you to sign in: {}", self.shown, place.task());
        self.attempt.wait_at(place, None);
        let this = self.clone();
        let asking = tokio::spawn(async move {
            let ending = this.ask_for_device(&granted, &found, &client).await;
            this.conclude(&ending);
        });
        self.attempt.host(asking);
        Ok(())
    }

    /// What the person is to open, with the code to type where it is not in the address.
    fn place(&self, granted: &Granted) -> Result<Place, Problem> {
        let (text, code) = match &granted.verification_uri_complete {
            Some(complete) => (complete, None),
            None => (&granted.verification_uri, Some(shorten(&granted.user_code))),
        };
        let url = self.reach.url(text, "the address to sign in at")?;
        Ok(Place { url: url.into(), code })
    }

    /// Asks again and again whether the person has signed in.
    async fn ask_for_device(&self, granted: &Granted, found: &Found, client: &Client) -> Ending {
        let (server, resource) = (&found.server, resource_for(found));
        let (issuer, resource) = (server.issuer(), resource.as_deref());
        let life = granted.expires_in.as_ref().and_then(seconds_in).unwrap_or(LIFE);
        let deadline = Instant::now() + Duration::from_secs(life.min(MAX_LIFE));
        let mut interval = granted.interval.as_ref().and_then(seconds_in).unwrap_or(INTERVAL);
        let scopes = &found.scopes;
        let request = TokenRequest { web: &self.web, server, client, resource, scopes };
        loop {
            interval = interval.clamp(1, MAX_INTERVAL);
            tokio::time::sleep(Duration::from_secs(interval)).await;
            if Instant::now() >= deadline {
                return Ending::Failed(Problem::new(
                    format!("nobody has signed in at {issuer} while the code was good"),
                    Hint::both(
                        "Try again, and sign in sooner.",
                        "Повторите попытку и войдите быстрее.",
                    ),
                ));
            }
            // The code is spent by the answer that holds the tokens.
            let _spending = self.spending.token();
            match request.device(&granted.device_code).await {
                Ok(tokens) => {
                    let tokens = &tokens;
                    self.credentials.keep(&Got { server, client, resource, tokens }).await;
                    return Ending::SignedIn;
                }
                Err(NoToken::Failed(problem)) if problem.passes() => {
                    tracing::debug!("still waiting for the sign-in: {}", problem.what());
                    interval *= 2;
                }
                Err(NoToken::Failed(problem)) => return Ending::Failed(problem),
                Err(NoToken::Refused(refusal)) => match refusal.error.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => interval += 5,
                    _ => return refusal.to_ending(issuer),
                },
            }
        }
    }
}
