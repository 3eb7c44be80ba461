//! Beginning a sign-in by a person: who we are, where the browser comes back to, and what to open. One
//! is under way for an upstream on a machine: the process that holds the lock waits for the browser,
//! others show the same address, and take over when that process is gone.

use std::sync::Arc;

use url::Url;

use super::attempt::Place;
use super::callback::Callback;
use super::client::Client;
use super::discovery::Found;
use super::host::LOOK_AGAIN;
use super::pending::Pending;
use super::problem::Problem;
use super::record::{Record, Shared};
use super::store::Lock;
use super::{SignIn, browser, flow};
use crate::hint::Hint;

/// How often we look for the address in the hands of another process, which is about to be written.
const LOOKS_FOR_ADDRESS: u32 = 40;

/// Where browsers come back to, unless the user says otherwise; and the redirect URI of a client that
/// is registered for device codes alone.
pub(super) const REDIRECT: &str = "http://127.0.0.1/callback";

/// Who looks after a sign-in.
pub(super) enum Turn {
    /// This process, with what is known of earlier ones.
    Ours(Lock, Box<Shared>),
    /// Another one, which waits for a person here.
    Others(Place),
}

impl SignIn {
    /// Asks a person to sign in at `found`, or joins a sign-in that is under way; `replaces` begins
    /// another one in any case. Returns when the address is known.
    ///
    /// # Errors
    /// There is no way to sign in.
    pub(super) async fn begin(
        self: &Arc<Self>,
        found: Found,
        replaces: bool,
    ) -> Result<(), Problem> {
        // Before anything is done that the server, or a person, would notice.
        flow::page_of(&found.server, &self.settings)?;
        let (lock, mut shared) = match self.turn_to_begin(replaces).await? {
            Turn::Ours(lock, shared) => (lock, shared),
            Turn::Others(place) => {
                self.follow(place);
                return Ok(());
            }
        };
        if !replaces && let Some((pending, callback)) = self.to_resume(&shared, Some(&found)).await
        {
            self.tell(&Place { url: pending.url.clone(), code: None });
            return self.host(lock, callback, pending, true);
        }
        if let Some(left) = shared.pending.take().filter(Pending::has_ended) {
            self.doubt(&left.client).await;
            shared.registered.take_if(|(_, known)| known.id == left.client.id);
        }
        let (pending, callback) = self.prepare(&found, &mut shared).await?;
        let place = Place { url: pending.url.clone(), code: None };
        shared.pending = Some(pending.clone());
        let is_shared = self.share_begun(&mut shared);
        self.host(lock, callback, pending, is_shared)?;
        self.tell(&place);
        if self.settings.opens_browser && self.attempt.may_open_browser() {
            browser::open(&place.url);
        }
        Ok(())
    }

    /// Takes the lock of the process that looks after a sign-in, unless another one has it and has
    /// begun; `replaces` makes that one let go.
    ///
    /// # Errors
    /// Another one has it and does not begin.
    pub(super) async fn turn_to_begin(&self, replaces: bool) -> Result<Turn, Problem> {
        let store = &self.credentials.store;
        if replaces {
            self.give_up_pending().await;
        }
        for _ in 0..LOOKS_FOR_ADDRESS {
            let lock = store.lock_login();
            let shared = store.shared().unwrap_or_default();
            if let Some(lock) = lock {
                return Ok(Turn::Ours(lock, Box::new(shared)));
            }
            if let Some(place) = shared.place().filter(|_| !replaces) {
                return Ok(Turn::Others(place));
            }
            tokio::time::sleep(LOOK_AGAIN / 5).await;
        }
        Err(Problem::passing(
            "another mcpline is about to sign in here and has not got an address yet",
            Hint::both("Try again in a moment.", "Повторите чуть позже."),
        ))
    }

    /// Tells other processes of the sign-in that has begun; returns whether they can know of it. Where
    /// nothing can be written, nobody else can begin another one.
    pub(super) fn share_begun(&self, shared: &mut Shared) -> bool {
        let store = &self.credentials.store;
        shared.ended = None;
        let saved = store.share(shared).inspect_err(|why| self.credentials.warn(why));
        saved.is_ok() && store.is_lasting()
    }

    /// Ends the sign-in under way, in whichever process: its holder sees that it is gone. Also what
    /// the last one came to does not count any more.
    async fn give_up_pending(&self) {
        let mut shared = self.credentials.store.shared().unwrap_or_default();
        shared.ended = None;
        shared.device = None;
        let left = shared.pending.take();
        if let Err(problem) = self.credentials.store.share(&shared) {
            self.credentials.warn(&problem);
        }
        if let Some(left) = left {
            // It may have led to a page that says that nobody knows us there.
            self.doubt(&left.client).await;
        }
    }

    /// The sign-in that another process, or this one before a restart, has left behind, if it fits
    /// what was `found`.
    pub(super) async fn to_resume(
        &self,
        shared: &Shared,
        found: Option<&Found>,
    ) -> Option<(Pending, Callback)> {
        let pending = shared.pending.clone().filter(|pending| !pending.has_ended())?;
        if found.is_some_and(|found| !pending.fits(found)) {
            return None;
        }
        let redirect = Url::parse(&pending.redirect).ok()?;
        let callback = Callback::bind(&redirect).await.ok()?;
        Some((pending, callback))
    }

    /// Prepares a sign-in: the port to come back to, the client, the address.
    async fn prepare(
        &self,
        found: &Found,
        shared: &mut Shared,
    ) -> Result<(Pending, Callback), Problem> {
        let record = self.credentials.store.load()?.unwrap_or_default();
        let given = Client::given(&self.settings, &found.server, record.issuer.as_deref())?;
        let known = known_client(&record, shared, found.server.issuer());
        let callback = self.bind(known.as_ref().and_then(Client::port)).await?;
        let redirect = callback.redirect();
        let usable = given.or_else(|| known.filter(|client| client.allows(redirect.as_str())));
        let client = match usable {
            Some(client) => client,
            None => self.register(found, redirect, shared).await?,
        };
        if let Some(secret) = &client.secret {
            self.credentials.conceal(secret);
        }
        let pending = Pending::begin(found, &client, redirect, &self.settings)?;
        self.credentials.conceal(&pending.verifier);
        Ok((pending, callback))
    }

    /// Registers us. What was kept of the client before stays until there is a token for this one.
    async fn register(
        &self,
        found: &Found,
        redirect: &Url,
        shared: &mut Shared,
    ) -> Result<Client, Problem> {
        let given = self.settings.redirect.as_ref();
        let client = Client::register(&self.web, &found.server, redirect, given).await?;
        shared.registered = Some((found.server.issuer().to_owned(), client.clone()));
        Ok(client)
    }

    /// The client for a sign-in to which no browser comes back.
    pub(super) async fn client_without_redirect(&self, found: &Found) -> Result<Client, Problem> {
        let store = &self.credentials.store;
        let record = store.load()?.unwrap_or_default();
        let given = Client::given(&self.settings, &found.server, record.issuer.as_deref())?;
        if let Some(client) = given {
            return Ok(client);
        }
        let mut shared = store.shared().unwrap_or_default();
        let client = match known_client(&record, &shared, found.server.issuer()) {
            Some(client) => client,
            None => {
                let client = self.register(found, &redirect()?, &mut shared).await?;
                if let Err(problem) = store.share(&shared) {
                    self.credentials.warn(&problem);
                }
                client
            }
        };
        if let Some(secret) = &client.secret {
            self.credentials.conceal(secret);
        }
        Ok(client)
    }

    /// Listens where the user says, else at `port`, else at any port.
    async fn bind(&self, port: Option<u16>) -> Result<Callback, Problem> {
        // The last sign-in may still be showing its page at this port.
        self.attempt.stop_hosting().await;
        if let Some(redirect) = &self.settings.redirect {
            return Callback::bind(redirect).await.map_err(|why| {
                Problem::new(
                    format!("the address {redirect} cannot be listened at: {why}"),
                    Hint::both(
                        "Another program uses this port: end it, or register another redirect URI and \
                         name it with --oauth-redirect.",
                        "Этот порт занят другой программой: завершите её или зарегистрируйте другой \
                         адрес возврата и укажите его в --oauth-redirect.",
                    ),
                )
            });
        }
        let mut redirect = redirect()?;
        if port.is_some() {
            let _ = redirect.set_port(port);
            if let Ok(callback) = Callback::bind(&redirect).await {
                return Ok(callback);
            }
            let _ = redirect.set_port(None);
        }
        Callback::bind(&redirect).await.map_err(|why| {
            Problem::new(format!("no port to come back to: {why}"), Hint::english(""))
        })
    }

    /// Tells the person where to sign in.
    pub(super) fn tell(&self, place: &Place) {
        tracing::warn!("{} wants you to sign in: {}", self.shown, place.task());
    }

    /// Has another client registered for the next sign-in, because the server may have forgotten this
    /// one.
    pub(super) async fn doubt(&self, client: &Client) {
        let store = &self.credentials.store;
        let Ok(_lock) = store.lock().await else { return };
        if let Ok(record) = store.load() {
            self.doubt_in(&mut record.unwrap_or_default(), client);
        }
    }

    /// As [`SignIn::doubt`], in the `record` that was just read, under the lock of the store.
    pub(super) fn doubt_in(&self, record: &mut Record, client: &Client) {
        let store = &self.credentials.store;
        if !client.is_registered() {
            return;
        }
        let same = record.servers.values_mut().filter(|section| section.client.id == client.id);
        let mut is_known = false;
        for section in same {
            section.client.is_doubted = true;
            is_known = true;
        }
        if is_known && let Err(problem) = store.save(record) {
            self.credentials.warn(&problem);
        }
        let mut shared = store.shared().unwrap_or_default();
        if shared.registered.take_if(|(_, known)| known.id == client.id).is_some() {
            let _ = store.share(&shared);
        }
    }
}

/// The client that we have registered with `issuer`, unless it may be forgotten there.
fn known_client(record: &Record, shared: &Shared, issuer: &str) -> Option<Client> {
    let new = shared.registered.as_ref().filter(|(of, _)| of == issuer).map(|(_, client)| client);
    let kept = record.servers.get(issuer).map(|section| &section.client);
    let mut known = [new, kept].into_iter().flatten();
    known.find(|client| client.is_registered() && !client.is_doubted).cloned()
}

fn redirect() -> Result<Url, Problem> {
    Url::parse(REDIRECT)
        .map_err(|why| Problem::new(format!("no redirect URI: {why}"), Hint::english("")))
}
