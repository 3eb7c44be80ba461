//! Signing out: tokens are given back (RFC 7009) and forgotten.

use std::sync::Arc;

use super::SignIn;
use super::metadata::Server;
use super::problem::Problem;
use super::store::{Record, Section};
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
        let _lock = self.store.lock().await;
        let record: Option<Record> = match self.store.load() {
            Ok(record) => record,
            Err(problem) => {
                tracing::warn!("{}", problem.text(&self.shown));
                None
            }
        };
        let mut kept = Vec::new();
        for section in record.iter().flat_map(|record| record.servers.values()) {
            if let Err(why) = self.revoke(section).await {
                kept.push(why);
            }
        }
        self.store.forget_pending();
        let was_there = self.store.forget()?;
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
        let server = Server::check(section.server.clone(), issuer, &self.reach)
            .map_err(|problem| problem.what().to_owned())?;
        let Some(endpoint) = &server.revocation else {
            return Err(format!("{issuer} takes no tokens back"));
        };
        let refresh = tokens.refresh.as_ref().map(|token| (token, "refresh_token"));
        for (token, kind) in refresh.into_iter().chain([(&tokens.access, "access_token")]) {
            let mut fields = vec![("token", token.clone()), ("token_type_hint", kind.to_owned())];
            let client = section.client.clone().with_key(&self.settings);
            let authorization =
                client.sign(&server, &mut fields).map_err(|problem| problem.what().to_owned())?;
            let page = self.web.post(endpoint, Form::of_fields(&fields, authorization)).await;
            match page {
                Ok(page) if page.status.is_success() => {}
                Ok(page) => return Err(format!("{issuer} answered with HTTP {}", page.status)),
                Err(failure) => return Err(failure.what),
            }
        }
        Ok(())
    }
}
