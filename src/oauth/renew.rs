//! Renewing the token, and asking for one that belongs to the program itself.

use std::sync::Arc;

use super::client::Client;
use super::clock::unix_time;
use super::credentials::{Got, Held};
use super::grant::{NoToken, TokenRequest};
use super::metadata::Server;
use super::problem::Problem;
use super::settings::Grant;
use super::{RENEWING_PATIENCE, SignIn};
use crate::background;
use crate::hint::Hint;

/// After a failure that may pass, the token is renewed again after this time, in seconds.
const PAUSE: u64 = 30;

/// A program that signs in by itself has to be known to the server.
pub(super) fn no_own_client() -> Problem {
    Problem::new(
        "--oauth-grant client-credentials needs a client id",
        Hint::both(
            "Set MCPLINE_OAUTH_CLIENT_ID, and MCPLINE_OAUTH_CLIENT_SECRET or \
             MCPLINE_OAUTH_CLIENT_KEY_FILE.",
            "Задайте MCPLINE_OAUTH_CLIENT_ID и MCPLINE_OAUTH_CLIENT_SECRET либо \
             MCPLINE_OAUTH_CLIENT_KEY_FILE.",
        ),
    )
}

impl SignIn {
    /// Renews `held`, which is due: in the background while it is still good.
    pub(crate) async fn renew_ahead(self: &Arc<Self>, held: &Arc<Held>) {
        let (this, due) = (self.clone(), held.clone());
        let renewing = background::spawn(async move {
            let _turn = if due.has_ended() {
                this.turn.lock().await
            } else {
                let Ok(turn) = this.turn.try_lock() else { return };
                turn
            };
            if this.credentials.differs_from(Some(&due.header)) {
                return;
            }
            let renewed = match this.settings.grant {
                Grant::ClientCredentials => this.ask_again_for_itself().await,
                Grant::Code | Grant::Device => this.renew(None).await,
            };
            match renewed {
                Ok(true) => {}
                // Refused: what the upstream says of the old token counts from here on.
                Ok(false) => this.credentials.postpone(&due, None),
                Err(problem) => {
                    tracing::warn!("the token is not renewed yet: {}", problem.what());
                    this.credentials.postpone(&due, Some(PAUSE));
                }
            }
        });
        if held.has_ended() {
            let _ = tokio::time::timeout(RENEWING_PATIENCE, renewing).await;
        }
    }

    /// Renews the token with the refresh token in the store, at `server` as it was just found or as
    /// it is stored. False if there is none, or it is not good any more.
    ///
    /// # Errors
    /// The authorization server cannot be reached, or is not well; or what it gives could not be
    /// written down.
    pub(super) async fn renew(&self, server: Option<&Server>) -> Result<bool, Problem> {
        let credentials = &self.credentials;
        let _lock = credentials.store.lock().await?;
        let Some(mut record) = credentials.store.load()? else {
            credentials.forget_kept();
            return Ok(false);
        };
        let Some(section) = record.current().cloned() else { return Ok(false) };
        let Some(tokens) = &section.tokens else { return Ok(false) };
        // Another process has been faster.
        let held = credentials.held();
        let is_other = tokens.header().as_ref() != held.as_ref().map(|held| &held.header);
        let is_good = tokens.renew_at.is_none_or(|at| at > unix_time());
        if is_other && is_good {
            credentials.adopt(tokens, false, true);
            return Ok(true);
        }
        let may_be_good = is_other || held.as_ref().is_some_and(|held| held.can_renew);
        let Some(refresh) = tokens.refresh.as_ref().filter(|_| may_be_good) else {
            return Ok(false);
        };
        let server = match server {
            Some(server) => server.clone(),
            None => Server::of_stored(&section.server, &self.reach)?,
        };
        let client = self.usable(&section.client, &server)?;
        // A refresh token may be good for once: what replaces it must find its place.
        credentials.store.check_writable(&record)?;
        credentials.conceal(refresh);
        let resource = section.resource.as_deref();
        let request = TokenRequest {
            web: &self.web,
            server: &server,
            client: &client,
            resource,
            scopes: &tokens.scopes,
        };
        let _spending = self.spending.token();
        match request.refresh(refresh).await {
            Ok(new) => {
                tracing::debug!("the token is renewed");
                let got = Got { server: &server, client: &client, resource, tokens: &new };
                credentials.keep_in(&mut record, &got);
                Ok(true)
            }
            Err(NoToken::Failed(problem)) => Err(problem),
            Err(NoToken::Refused(refusal)) => {
                tracing::info!("the token cannot be renewed: {}", refusal.said());
                if let Some(held) = held {
                    credentials.note_unrenewable(&held);
                }
                if refusal.is_of_client() {
                    self.doubt_in(&mut record, &client);
                }
                Ok(false)
            }
        }
    }

    /// `client` as it was stored, with its secret: one that the user gave is not stored.
    pub(super) fn usable(&self, client: &Client, server: &Server) -> Result<Client, Problem> {
        let given = if client.is_registered() {
            None
        } else {
            Client::given(&self.settings, server, Some(server.issuer()))?
        };
        let client = given.unwrap_or_else(|| client.clone());
        if let Some(secret) = &client.secret {
            self.credentials.conceal(secret);
        }
        Ok(client)
    }

    /// Asks for a token that belongs to the client itself.
    pub(super) async fn ask_for_itself(
        &self,
        server: &Server,
        resource: Option<String>,
        scopes: &[String],
    ) -> Result<(), Problem> {
        let record = self.credentials.store.load()?.unwrap_or_default();
        let client = Client::given(&self.settings, server, record.issuer.as_deref())?;
        let Some(client) = client else {
            return Err(no_own_client());
        };
        let resource = resource.as_deref();
        let request = TokenRequest { web: &self.web, server, client: &client, resource, scopes };
        let tokens = request.client_credentials().await;
        let tokens = tokens.map_err(|why| why.to_problem(server.issuer()))?;
        self.credentials.keep(&Got { server, client: &client, resource, tokens: &tokens }).await;
        Ok(())
    }

    /// Asks for the next token of the client itself, where the last one came from. False if that is
    /// not known.
    async fn ask_again_for_itself(&self) -> Result<bool, Problem> {
        let record = self.credentials.store.load()?.unwrap_or_default();
        let Some(section) = record.current().cloned() else { return Ok(false) };
        let Some(tokens) = &section.tokens else { return Ok(false) };
        let server = Server::of_stored(&section.server, &self.reach)?;
        self.ask_for_itself(&server, section.resource.clone(), &tokens.scopes).await?;
        Ok(true)
    }
}
