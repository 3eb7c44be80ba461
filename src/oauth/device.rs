//! Signing in on another device (RFC 8628): the person opens an address anywhere and types a code.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::client::Client;
use super::discovery::Found;
use super::flow::resource_for;
use super::grant::{NoToken, Refusal, TokenRequest};
use super::metadata::Server;
use super::problem::Problem;
use super::store::Section;
use super::{SignIn, Stage};
use crate::hint::Hint;
use crate::http::{Form, shorten};
use crate::redact::Origin;

/// The pause between questions whether the person has signed in, where the server names none.
const INTERVAL: u64 = 5;

/// The longest such pause, whatever the server says.
const MAX_INTERVAL: u64 = 60;

/// How long a code is good for, at most.
const MAX_LIFE: u64 = 3600;

/// The redirect URI of a client that is registered for this alone: no browser ever comes to it.
const REDIRECT: &str = "http://127.0.0.1/callback";

#[derive(Deserialize)]
struct Granted {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// The server has no sign-in by a device code.
pub(super) fn missing(server: &Server) -> Problem {
    Problem::new(
        format!("the authorization server {} has no sign-in by device code", server.issuer()),
        "Leave out --oauth-grant, and sign in with `mcpline login`.",
    )
}

impl SignIn {
    /// Asks a person to sign in at `found` on any device. Returns when the address is known.
    ///
    /// # Errors
    /// The server has no such way, or refuses.
    pub(super) async fn begin_on_device(self: &Arc<Self>, found: Found) -> Result<(), Problem> {
        let issuer = found.server.issuer().to_owned();
        let Some(endpoint) = found.server.device.clone() else {
            return Err(missing(&found.server));
        };
        let client = self.client_for_device(&found).await?;
        let mut fields = Vec::new();
        if !found.scopes.is_empty() {
            fields.push(("scope", found.scopes.join(" ")));
        }
        if let Some(resource) = resource_for(&found) {
            fields.push(("resource", resource));
        }
        let authorization = client.sign(&found.server, &mut fields)?;
        let page = self.web.post(&endpoint, Form::of_fields(&fields, authorization)).await;
        let page = page.map_err(|failure| Problem::of_failure(&failure))?;
        let granted = serde_json::from_slice::<Granted>(&page.body).ok();
        let Some(granted) = granted.filter(|_| page.status.is_success()) else {
            return Err(Refusal::of(&page).to_problem(&issuer));
        };
        self.secrets.add_of(Origin::Token, &granted.device_code);
        let url = self.place(&granted)?;
        tracing::warn!("{} wants you to sign in: open {url}", self.shown);
        self.set_stage(Stage::Waiting { url, arrivals: None });
        let this = self.clone();
        let asking = tokio::spawn(async move {
            let outcome = this.ask_for_device(granted, &found, client).await;
            match outcome {
                Ok(()) => this.finish(),
                Err(stage) => {
                    if let Stage::Denied(problem) | Stage::Failed(problem, _) = &stage {
                        tracing::warn!("{}", problem.text(&this.shown));
                    }
                    this.set_stage(stage);
                    this.over.notify_one();
                }
            }
        });
        self.state().hosting = Some(asking);
        Ok(())
    }

    /// What the person is to open, with the code to type where it is not in the address.
    fn place(&self, granted: &Granted) -> Result<String, Problem> {
        let what = "the address to sign in at";
        if let Some(complete) = &granted.verification_uri_complete {
            return self.reach.url(complete, what).map(Url::into);
        }
        let url = self.reach.url(&granted.verification_uri, what)?;
        Ok(format!("{url} and enter the code {}", shorten(&granted.user_code)))
    }

    async fn client_for_device(&self, found: &Found) -> Result<Client, Problem> {
        if let Some(client) = Client::given(&self.settings, &found.server) {
            return Ok(client);
        }
        let record = self.store.load()?.unwrap_or_default();
        let known = record.servers.get(found.server.issuer());
        let known = known.map(|section| section.client.clone());
        let distrusts = self.state().distrusts_client;
        match known.filter(|client| client.is_registered() && !distrusts) {
            Some(client) => Ok(client),
            None => {
                let redirect = Url::parse(REDIRECT)
                    .map_err(|why| Problem::new(format!("no redirect URI: {why}"), ""))?;
                self.register(found, &redirect).await
            }
        }
    }

    /// Asks again and again whether the person has signed in.
    async fn ask_for_device(
        &self,
        granted: Granted,
        found: &Found,
        client: Client,
    ) -> Result<(), Stage> {
        let failed = |problem| Stage::Failed(problem, Instant::now());
        let (issuer, resource) = (found.server.issuer(), resource_for(found));
        let deadline = Instant::now() + Duration::from_secs(granted.expires_in.min(MAX_LIFE));
        let mut interval = granted.interval.unwrap_or(INTERVAL);
        let request = TokenRequest {
            web: &self.web,
            server: &found.server,
            client: &client,
            resource: resource.as_deref(),
            scopes: &found.scopes,
        };
        let tokens = loop {
            interval = interval.clamp(1, MAX_INTERVAL);
            tokio::time::sleep(Duration::from_secs(interval)).await;
            if Instant::now() >= deadline {
                return Err(failed(Problem::new(
                    format!("nobody has signed in at {issuer} while the code was good"),
                    "Try again, and sign in sooner.",
                )));
            }
            match request.device(&granted.device_code).await {
                Ok(tokens) => break tokens,
                Err(NoToken::Failed(failure)) => {
                    tracing::debug!("still waiting for the sign-in: {}", failure.what);
                    interval *= 2;
                }
                Err(NoToken::Impossible(problem)) => return Err(failed(problem)),
                Err(NoToken::Refused(refusal)) => match refusal.error.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => interval += 5,
                    "access_denied" => {
                        return Err(Stage::Denied(Problem::new(
                            format!("access was refused: {issuer} says {}", refusal.said()),
                            Hint::from("To try again, run `mcpline login` with the same address."),
                        )));
                    }
                    _ => return Err(failed(refusal.to_problem(issuer))),
                },
            }
        };
        let _lock = self.store.lock().await;
        let mut record = self.store.load().map_err(failed)?.unwrap_or_default();
        let section =
            Section { server: found.server.document().clone(), client, resource, tokens: None };
        self.keep(&mut record, issuer, section, &tokens);
        Ok(())
    }
}
