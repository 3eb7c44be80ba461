//! Waiting for a person who signs in: for the browser, where this process listens for it, else for
//! what another process makes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::SignIn;
use super::attempt::{Ending, Place};
use super::callback::{Arrival, Callback};
use super::credentials::Got;
use super::device::PendingDevice;
use super::grant::{NoToken, TokenRequest};
use super::metadata::Server;
use super::page::Told;
use super::pending::{Pending, Redirected};
use super::problem::Problem;
use super::store::Lock;
use crate::background;

/// The pause before we look again at what another process does.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long the last page can be loaded again.
const AFTERGLOW: Duration = Duration::from_secs(30);

impl SignIn {
    /// Waits in the background for the browser to come back to `callback`. Other processes know of it
    /// if it `is_shared`.
    pub(super) fn host(
        self: &Arc<Self>,
        lock: Lock,
        callback: Callback,
        pending: Pending,
        is_shared: bool,
    ) -> Result<(), Problem> {
        let server = Server::of_stored(&pending.server, &self.reach)?;
        let (arrivals, arrived) = mpsc::channel(4);
        let place = Place { url: pending.url.clone(), code: None };
        self.attempt.wait_at(place, Some(arrivals.clone()));
        let this = self.clone();
        let hosting = background::spawn(async move {
            let (told, is_told) = watch::channel(Told::Waiting);
            tokio::select! {
                () = callback.serve(arrivals, is_told, this.attempt.page_shown.clone()) => {}
                () = this.wait_for_browser(lock, pending, &server, arrived, &told, is_shared) => {}
            }
        });
        self.attempt.host(hosting);
        Ok(())
    }

    async fn wait_for_browser(
        self: &Arc<Self>,
        lock: Lock,
        pending: Pending,
        server: &Server,
        mut arrived: mpsc::Receiver<Arrival>,
        told: &watch::Sender<Told>,
        is_shared: bool,
    ) {
        let redirected = loop {
            tokio::select! {
                Some(Arrival { query, is_ours }) = arrived.recv() => {
                    let redirected = pending.read(&query, server);
                    let _ = is_ours.send(!matches!(redirected, Redirected::Foreign));
                    if !matches!(redirected, Redirected::Foreign) {
                        break redirected;
                    }
                }
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    if is_shared && let Some(place) = self.replaced(&pending.url) {
                        drop(lock);
                        return self.follow(place);
                    }
                    if pending.has_ended() {
                        // It may have led to a page that says that nobody knows us there.
                        self.doubt(&pending.client).await;
                        return self.conclude(&Ending::Unused);
                    }
                }
            }
        };
        let spending = self.spending.token();
        let ending = match redirected {
            Redirected::Code(code) => self.spend(&code, &pending, server).await,
            Redirected::Ended { ending, is_of_client } => {
                if is_of_client {
                    self.doubt(&pending.client).await;
                }
                ending
            }
            Redirected::Foreign => return,
        };
        drop(spending);
        told.send_replace(match ending.problem() {
            None => Told::SignedIn,
            Some(problem) => Told::Failed {
                english: self.credentials.redacted(&problem.text(&self.shown)),
                russian: self.credentials.redacted(&problem.text_in_russian(&self.shown)),
            },
        });
        self.conclude(&ending);
        drop(lock);
        let repeats = async {
            while let Some(Arrival { query, is_ours }) = arrived.recv().await {
                let _ = is_ours.send(!matches!(pending.read(&query, server), Redirected::Foreign));
            }
        };
        let _ = tokio::time::timeout(AFTERGLOW, repeats).await;
    }

    /// What a person is to open instead of `url`, where another sign-in has begun; an empty place if
    /// there is none any more. `None` if the one at `url` still counts.
    pub(super) fn replaced(&self, url: &str) -> Option<Place> {
        // What cannot be read at this moment is not gone.
        let now = self.credentials.store.shared().ok()?.place().unwrap_or_default();
        (now.url != url).then_some(now)
    }

    /// Spends the code of a redirect.
    async fn spend(&self, code: &str, pending: &Pending, server: &Server) -> Ending {
        self.credentials.conceal(code);
        self.credentials.conceal(&pending.verifier);
        let client = match self.usable(&pending.client, server) {
            Ok(client) => client,
            Err(problem) => return Ending::Failed(problem),
        };
        let resource = pending.resource.as_deref();
        let request = TokenRequest {
            web: &self.web,
            server,
            client: &client,
            resource,
            scopes: &pending.scopes,
        };
        match request.code(code, &pending.redirect, &pending.verifier).await {
            Ok(tokens) => {
                let got = Got { server, client: &client, resource, tokens: &tokens };
                self.credentials.keep(&got).await;
                Ending::SignedIn
            }
            Err(NoToken::Failed(problem)) => Ending::Failed(problem),
            Err(NoToken::Refused(refusal)) => {
                if refusal.is_of_client() {
                    self.doubt(&client).await;
                }
                Ending::Failed(refusal.to_problem(server.issuer()))
            }
        }
    }

    /// The sign-in under way has come to `ending`: tells other processes and then this one.
    pub(super) fn conclude(&self, ending: &Ending) {
        let store = &self.credentials.store;
        let mut shared = store.shared().unwrap_or_default();
        shared.end(ending);
        if let Err(problem) = store.share(&shared) {
            self.credentials.warn(&problem);
        }
        self.end(ending.clone());
    }

    /// Takes note of how a sign-in has ended, here or in another process.
    fn end(&self, ending: Ending) {
        match ending.problem() {
            Some(problem) => self.credentials.warn(problem),
            None if matches!(ending, Ending::SignedIn) => {
                tracing::info!("signed in to {}", self.shown);
            }
            None => {}
        }
        self.attempt.end(ending);
    }

    /// Follows the sign-in at `place`, which another process looks after.
    pub(super) fn follow(self: &Arc<Self>, place: Place) {
        if !place.url.is_empty() {
            self.tell(&place);
        }
        self.attempt.wait_at(place, None);
        background::spawn(self.clone().follow_to_the_end());
    }

    async fn follow_to_the_end(self: Arc<Self>) {
        let store = &self.credentials.store;
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            // In this order: what its holder writes last, it writes before it lets go.
            let lock = store.lock_login();
            let Ok(shared) = store.shared() else { continue };
            if let Some(ended) = shared.ended {
                if let (Ending::SignedIn, Err(problem)) =
                    (&ended.ending, self.credentials.reload(None))
                {
                    self.credentials.warn(&problem);
                }
                return self.end(ended.ending);
            }
            if let Some(place) = shared.place()
                && self.attempt.move_to(&place)
            {
                self.tell(&place);
            }
            let Some(lock) = lock else { continue };
            // Its holder is gone.
            let resumed = if let Some(pending) = PendingDevice::left_in(&shared, None) {
                self.poll(lock, pending, true)
            } else if let Some((pending, callback)) = self.to_resume(&shared, None).await {
                self.host(lock, callback, pending, true)
            } else {
                return self.end(Ending::Unused);
            };
            if let Err(problem) = resumed {
                self.end(Ending::Failed(problem));
            }
            return;
        }
    }
}
