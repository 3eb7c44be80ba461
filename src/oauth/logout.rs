//! Signing out: tokens are given back (RFC 7009) and forgotten.

use std::sync::Arc;

use super::SignIn;
use super::metadata::Server;
use super::problem::Problem;
use super::record::{Record, Section};
use crate::http::Form;

impl SignIn {
    /// Gives every token back to the server that it came from, and forgets the sign-in in any case.
    /// Returns what was done.
    ///
    /// # Errors
    /// What is stored cannot be removed.
    pub(crate) async fn logout(self: &Arc<Self>) -> Result<String, String> {
        self.log_out().await.map_err(|problem| problem.text(&self.shown))
    }

    async fn log_out(&self) -> Result<String, Problem> {
        let credentials = &self.credentials;
        // Whatever fails, what is stored here is removed.
        let _lock = credentials.store.lock().await.inspect_err(|why| credentials.warn(why));
        let record: Option<Record> =
            credentials.store.load().inspect_err(|why| credentials.warn(why)).ok().flatten();
        let mut kept = Vec::new();
        for section in record.iter().flat_map(|record| record.servers.values()) {
            kept.extend(self.revoke(section).await.err());
        }
        let was_there = credentials.store.forget()?;
        Ok(match (was_there, kept.as_slice()) {
            (false, _) => format!("There was no sign-in to {}.", self.shown),
            (true, []) => format!("Signed out of {}.", self.shown),
            (true, why) => format!(
                "Signed out of {} on this machine. The tokens may stay good until they end: {}.",
                self.shown,
                why.join("; ")
            ),
        })
    }

    /// Gives the tokens of `section` back, the refresh token first.
    async fn revoke(&self, section: &Section) -> Result<(), String> {
        let Some(tokens) = &section.tokens else { return Ok(()) };
        let issuer = &section.server.issuer;
        let what = |problem: Problem| problem.what().to_owned();
        let server = Server::of_stored(&section.server, &self.reach).map_err(what)?;
        let Some(endpoint) = &server.revocation else {
            return Err(format!("{issuer} takes no tokens back"));
        };
        let client = self.usable(&section.client, &server).map_err(what)?;
        let refresh = tokens.refresh.as_ref().map(|token| (token, "refresh_token"));
        let mut outcome = Ok(());
        for (token, kind) in refresh.into_iter().chain([(&tokens.access, "access_token")]) {
            self.credentials.conceal(token);
            let mut fields = vec![("token", token.clone()), ("token_type_hint", kind.to_owned())];
            let authorization = client.sign(&server, &mut fields).map_err(what)?;
            let page = self.web.post(endpoint, Form::of_fields(&fields, authorization)).await;
            let failed = match page {
                Ok(page) if page.status.is_success() => continue,
                Ok(page) => format!("{issuer} answered with HTTP {}", page.status),
                Err(failure) => failure.what,
            };
            outcome = outcome.and(Err(failed));
        }
        outcome
    }
}
