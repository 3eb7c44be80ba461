//! Signing in because a person asks for it: `mcpline login`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::SignIn;
use super::attempt::{Ending, Place, Stage};
use super::callback::Arrival;
use super::flow::resource_for;
use super::hints::Hints;
use super::problem::Problem;
use super::settings::Grant;
use crate::hint::Hint;

/// How long `mcpline login` stays for the browser to get its last page.
const PAGE_PATIENCE: Duration = Duration::from_secs(2);

impl SignIn {
    /// Signs in because a person asks for it: `say` gets the address, and the code to enter there if
    /// there is one. Returns when somebody has signed in.
    ///
    /// # Errors
    /// There is no way to sign in, or it came to nothing.
    pub(crate) async fn login(
        self: &Arc<Self>,
        say: impl Fn(&str, Option<&str>),
    ) -> Result<(), String> {
        self.log_in(say).await.map_err(|problem| problem.text(&self.shown))
    }

    async fn log_in(self: &Arc<Self>, say: impl Fn(&str, Option<&str>)) -> Result<(), Problem> {
        let head = self.web.head_of_stream(&self.upstream).await;
        let head = head.map_err(|failure| Problem::of_failure(&failure))?;
        let hints = Hints::of(head.status, &head.headers);
        loop {
            let record = self.credentials.store.load()?.unwrap_or_default();
            let found = self.discover(&hints, record.issuer.as_deref()).await?;
            let Some(found) = found else { return Err(nothing_at(&self.shown)) };
            match self.settings.grant {
                Grant::ClientCredentials => {
                    let resource = resource_for(&found);
                    return self.ask_for_itself(&found.server, resource, &found.scopes).await;
                }
                Grant::Device => self.begin_on_device(found, true).await?,
                Grant::Code => self.begin(found, true).await?,
            }
            if let Some(Place { url, code }) = self.attempt.place() {
                say(&url, code.as_deref());
            }
            self.attempt.not_waiting().await;
            let Stage::Ended(ending, _) = self.attempt.stage() else { continue };
            if self.settings.grant == Grant::Code && !matches!(ending, Ending::Unused) {
                // The process is about to end, and the browser has still to get its page.
                let shown = self.attempt.page_shown.notified();
                let _ = tokio::time::timeout(PAGE_PATIENCE, shown).await;
                tokio::time::sleep(PAGE_PATIENCE / 20).await;
            }
            match ending {
                Ending::SignedIn => return Ok(()),
                Ending::Denied(problem) | Ending::Failed(problem) => return Err(problem),
                // The address has become too old: there is another one for a person who takes longer.
                Ending::Unused => {}
            }
        }
    }

    /// Takes an address that a browser was sent to, and that a person has copied; false if it belongs
    /// to no sign-in under way.
    pub(crate) async fn paste(&self, address: &str) -> bool {
        let Stage::Waiting { arrivals: Some(arrivals), .. } = self.attempt.stage() else {
            return false;
        };
        let query = address.trim().split_once('?').map_or(address, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default().to_owned();
        let (is_ours, said) = oneshot::channel();
        arrivals.send(Arrival { query, is_ours }).await.is_ok() && said.await.unwrap_or(false)
    }
}

fn nothing_at(shown: &str) -> Problem {
    Problem::new(
        format!("{shown} publishes no way to sign in"),
        Hint::both(
            "Check the address; if the server takes a token or a password, give it with --bearer-file or \
             --user.",
            "Проверьте адрес; если сервер принимает токен или пароль, задайте их через --bearer-file или \
             --user.",
        ),
    )
}
