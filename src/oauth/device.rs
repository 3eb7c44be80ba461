//! Signing in on another device (RFC 8628): the person opens an address anywhere and types a code.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::SignIn;
use super::attempt::{Ending, Place};
use super::begin::Turn;
use super::client::Client;
use super::clock::{seconds_in, unix_time};
use super::credentials::Got;
use super::discovery::Found;
use super::flow::resource_for;
use super::grant::{NoToken, TokenRequest};
use super::metadata::{Server, ServerDocument, lenient};
use super::problem::Problem;
use super::record::Shared;
use super::refusal::Refusal;
use super::store::Lock;
use crate::background;
use crate::hint::Hint;
use crate::http::{Form, shorten};
use crate::jsonrpc::of_json;

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

/// A sign-in under way on another device: what it takes to finish it, in this process or in another. No
/// `Debug`: it holds a secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PendingDevice {
    pub(super) place: Place,
    device_code: String,
    server: ServerDocument,
    client: Client,
    resource: Option<String>,
    scopes: Vec<String>,
    /// Seconds between questions.
    interval: u64,
    /// When the code is good no more, in seconds since 1970.
    ends_at: u64,
}

impl PendingDevice {
    /// The sign-in that another process, or this one before a restart, has left in `shared`, if it fits
    /// what was `found`.
    pub(super) fn left_in(shared: &Shared, found: Option<&Found>) -> Option<Self> {
        let left = shared.device.clone().filter(|left| left.ends_at > unix_time())?;
        found.is_none_or(|found| left.fits(found)).then_some(left)
    }

    /// Whether it leads to a token for what was `found`.
    fn fits(&self, found: &Found) -> bool {
        self.server.issuer == found.server.issuer()
            && self.resource == resource_for(found)
            && found.scopes.iter().all(|scope| self.scopes.contains(scope))
    }
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
    /// Asks a person to sign in at `found` on any device, or joins a sign-in that is under way; `replaces`
    /// begins another one in any case. Returns when the address is known.
    ///
    /// # Errors
    /// The server has no such way, or refuses.
    pub(super) async fn begin_on_device(
        self: &Arc<Self>,
        found: Found,
        replaces: bool,
    ) -> Result<(), Problem> {
        let endpoint = found.server.device.clone().ok_or_else(|| missing(&found.server))?;
        let (lock, mut shared) = match self.turn_to_begin(replaces).await? {
            Turn::Ours(lock, shared) => (lock, shared),
            Turn::Others(place) => {
                self.follow(place);
                return Ok(());
            }
        };
        if let Some(left) = PendingDevice::left_in(&shared, Some(&found)).filter(|_| !replaces) {
            self.tell(&left.place);
            return self.poll(lock, left, true);
        }
        let pending = self.ask_for_code(&endpoint, &found).await?;
        // Where nobody is known there, asking has registered us.
        *shared = self.credentials.store.shared().unwrap_or_default();
        shared.pending = None;
        shared.device = Some(pending.clone());
        let is_shared = self.share_begun(&mut shared);
        self.tell(&pending.place);
        self.poll(lock, pending, is_shared)
    }

    /// Asks `endpoint` for a code.
    async fn ask_for_code(&self, endpoint: &Url, found: &Found) -> Result<PendingDevice, Problem> {
        let issuer = found.server.issuer();
        let client = self.client_without_redirect(found).await?;
        let resource = resource_for(found);
        let mut fields = Vec::new();
        if !found.scopes.is_empty() {
            fields.push(("scope", found.scopes.join(" ")));
        }
        if let Some(resource) = &resource {
            fields.push(("resource", resource.clone()));
        }
        let authorization = client.sign(&found.server, &mut fields)?;
        let page = self.web.post(endpoint, Form::of_fields(&fields, authorization)).await;
        let page = page.map_err(|failure| Problem::of_failure(&failure))?;
        let granted = of_json::<Granted>(&page.body);
        let Some(granted) = granted.filter(|_| page.status.is_success()) else {
            let refusal = Refusal::of(&page);
            if refusal.is_of_client() {
                self.doubt(&client).await;
            }
            return Err(refusal.to_problem(issuer));
        };
        self.credentials.conceal(&granted.device_code);
        let life = granted.expires_in.as_ref().and_then(seconds_in).unwrap_or(LIFE);
        Ok(PendingDevice {
            place: self.place(&granted)?,
            interval: granted.interval.as_ref().and_then(seconds_in).unwrap_or(INTERVAL),
            ends_at: unix_time() + life.min(MAX_LIFE),
            device_code: granted.device_code,
            server: found.server.document().clone(),
            client: client.to_keep(),
            resource,
            scopes: found.scopes.clone(),
        })
    }

    /// Asks in the background whether the person has signed in. Other processes know of it if it
    /// `is_shared`.
    pub(super) fn poll(
        self: &Arc<Self>,
        lock: Lock,
        pending: PendingDevice,
        is_shared: bool,
    ) -> Result<(), Problem> {
        let server = Server::of_stored(&pending.server, &self.reach)?;
        let client = self.usable(&pending.client, &server)?;
        self.credentials.conceal(&pending.device_code);
        self.attempt.wait_at(pending.place.clone(), None);
        let this = self.clone();
        let asking = background::spawn(async move {
            let ending = this.ask_for_device(&pending, &server, &client, is_shared).await;
            match ending {
                Ok(ending) => this.conclude(&ending),
                Err(place) => {
                    drop(lock);
                    this.follow(place);
                }
            }
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

    /// Asks again and again whether the person has signed in. Gives what another sign-in has to be
    /// opened, if one has taken the place of this one.
    async fn ask_for_device(
        &self,
        pending: &PendingDevice,
        server: &Server,
        client: &Client,
        is_shared: bool,
    ) -> Result<Ending, Place> {
        let (issuer, resource) = (server.issuer(), pending.resource.as_deref());
        let scopes = &pending.scopes;
        let request = TokenRequest { web: &self.web, server, client, resource, scopes };
        let mut interval = pending.interval;
        loop {
            interval = interval.clamp(1, MAX_INTERVAL);
            tokio::time::sleep(Duration::from_secs(interval)).await;
            if is_shared && let Some(place) = self.replaced(&pending.place.url) {
                return Err(place);
            }
            if unix_time() >= pending.ends_at {
                return Ok(Ending::Failed(Problem::new(
                    format!("nobody has signed in at {issuer} while the code was good"),
                    Hint::both(
                        "Try again, and sign in sooner.",
                        "Повторите попытку и войдите быстрее.",
                    ),
                )));
            }
            // The code is spent by the answer that holds the tokens.
            let _spending = self.spending.token();
            match request.device(&pending.device_code).await {
                Ok(tokens) => {
                    let tokens = &tokens;
                    self.credentials.keep(&Got { server, client, resource, tokens }).await;
                    return Ok(Ending::SignedIn);
                }
                Err(NoToken::Failed(problem)) if problem.passes() => {
                    tracing::debug!("still waiting for the sign-in: {}", problem.what());
                    interval *= 2;
                }
                Err(NoToken::Failed(problem)) => return Ok(Ending::Failed(problem)),
                Err(NoToken::Refused(refusal)) => match refusal.error.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => interval += 5,
                    _ => return Ok(refusal.to_ending(issuer)),
                },
            }
        }
    }
}
