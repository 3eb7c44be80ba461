//! A sign-in by a person, from opening a page to the token. One is under way for an upstream on a
//! machine: the process that holds the lock waits for the browser, others show the same address, and
//! take over when that process is gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use url::Url;

use super::callback::{Arrival, Callback};
use super::client::Client;
use super::discovery::{Discovery, Found};
use super::flow::{Pending, Redirected};
use super::grant::{NoToken, TokenRequest};
use super::hints::Hints;
use super::metadata::Server;
use super::page::Told;
use super::problem::Problem;
use super::settings::Grant;
use super::store::{Lock, Section};
use super::{SignIn, Stage, browser};
use crate::redact::Origin;

/// How long an address to sign in at is good for, in seconds.
const LIFE: u64 = 3600;

/// The pause before we look again at what another process does.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How often we look for the address in the hands of another process, which is about to be written.
const LOOKS_FOR_ADDRESS: u32 = 40;

/// How long the last page can be loaded again.
const AFTERGLOW: Duration = Duration::from_secs(30);

/// How long `mcpline login` stays for the browser to get its last page.
const PAGE_PATIENCE: Duration = Duration::from_secs(2);

/// Where browsers come back to, unless the user says otherwise.
const REDIRECT: &str = "http://127.0.0.1/callback";

fn failed(problem: Problem) -> Stage {
    Stage::Failed(problem, Instant::now())
}

impl SignIn {
    /// Asks a person to sign in at `found`, or joins a sign-in that is under way; `afresh` begins
    /// another one in any case. Returns when the address is known.
    ///
    /// # Errors
    /// There is no way to sign in.
    pub(super) async fn begin(self: &Arc<Self>, found: Found, afresh: bool) -> Result<(), Problem> {
        if afresh {
            // Whoever waits there sees that it is gone, and lets the lock go.
            self.store.forget_pending();
        }
        for _ in 0..LOOKS_FOR_ADDRESS {
            if let Some(lock) = self.store.lock_login() {
                if !afresh && let Some((pending, callback)) = self.to_resume(Some(&found)).await {
                    return self.host(lock, callback, pending);
                }
                let (pending, callback) = self.prepare(&found).await?;
                if let Err(problem) = self.store.save_pending(&pending) {
                    tracing::warn!("{}", problem.text(&self.shown));
                }
                let url = pending.url.clone();
                self.host(lock, callback, pending)?;
                self.show(&url);
                return Ok(());
            }
            if !afresh && let Some(pending) = self.store.pending() {
                self.follow(pending.url);
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN / 5).await;
        }
        Err(Problem::passing(
            "another mcpline is about to sign in here and has not got an address yet",
            "Try again in a moment.",
        ))
    }

    /// The sign-in that another process, or this one before a restart, has left behind, if it does for
    /// what was `found`.
    async fn to_resume(&self, found: Option<&Found>) -> Option<(Pending, Callback)> {
        let pending = self.store.pending().filter(|pending| pending.age() < LIFE)?;
        if found.is_some_and(|found| !pending.does_for(found)) {
            return None;
        }
        let redirect = Url::parse(&pending.redirect).ok()?;
        let callback = Callback::bind(&redirect).await.ok()?;
        Some((pending, callback))
    }

    /// Prepares a sign-in: the port to come back to, the client, the address.
    async fn prepare(&self, found: &Found) -> Result<(Pending, Callback), Problem> {
        let record = self.store.load()?.unwrap_or_default();
        let issuer = found.server.issuer();
        self.check_given_secret(record.issuer.as_deref(), issuer)?;
        let given = Client::given(&self.settings, &found.server);
        let distrusts = self.state().distrusts_client;
        let known = record.servers.get(issuer).map(|section| section.client.clone());
        let known = known.filter(|client| client.is_registered() && !distrusts);
        let callback = self.bind(known.as_ref().and_then(Client::port)).await?;
        let redirect = callback.redirect();
        let usable = given.or_else(|| known.filter(|client| client.allows(redirect.as_str())));
        let client = match usable {
            Some(client) => client,
            None => self.register(found, redirect).await?,
        };
        if let Some(secret) = &client.secret {
            self.secrets.add_of(Origin::Token, secret);
        }
        let pending = Pending::begin(found, client, redirect, &self.settings)?;
        Ok((pending, callback))
    }

    /// A secret that the user was given for one server is not shown to another.
    fn check_given_secret(&self, known: Option<&str>, issuer: &str) -> Result<(), Problem> {
        let is_guarded = self.settings.client_secret.is_some() && self.settings.issuer.is_none();
        match known.filter(|known| is_guarded && *known != issuer) {
            None => Ok(()),
            Some(known) => Err(Problem::new(
                format!(
                    "the server names another authorization server now ({issuer}, \
                     before {known}), to which the client secret is not sent"
                ),
                "If this is right, set --oauth-issuer to the new one, with a client that belongs to it.",
            )),
        }
    }

    /// Listens where the user says, else at `port`, else at any port.
    async fn bind(&self, port: Option<u16>) -> Result<Callback, Problem> {
        // The last sign-in may still be showing its page at this port.
        let hosting = self.state().hosting.take();
        if let Some(hosting) = hosting {
            hosting.abort();
            let _ = hosting.await;
        }
        if let Some(redirect) = &self.settings.redirect {
            return Callback::bind(redirect).await.map_err(|why| {
                Problem::new(
                    format!("the address {redirect} cannot be listened at: {why}"),
                    "Another program uses this port: end it, or register another redirect URI and \
                     name it with --oauth-redirect.",
                )
            });
        }
        let failed = |why: &dyn std::fmt::Display| {
            Problem::new(format!("no port to come back to: {why}"), "")
        };
        let mut redirect = Url::parse(REDIRECT).map_err(|why| failed(&why))?;
        if let Some(port) = port {
            let _ = redirect.set_port(Some(port));
            if let Ok(callback) = Callback::bind(&redirect).await {
                return Ok(callback);
            }
            let _ = redirect.set_port(None);
        }
        Callback::bind(&redirect).await.map_err(|why| failed(&why))
    }

    /// Registers us, and writes down who we are.
    pub(super) async fn register(&self, found: &Found, redirect: &Url) -> Result<Client, Problem> {
        let given = self.settings.redirect.as_ref();
        let client = Client::register(&self.web, &found.server, redirect, given).await?;
        let _lock = self.store.lock().await;
        let mut record = self.store.load()?.unwrap_or_default();
        let section = Section {
            server: found.server.document().clone(),
            client: client.clone(),
            resource: found.resource.clone(),
            tokens: None,
        };
        // Tokens of the client that we were before are of no use to the new one but for what is left
        // of their lives, and that is in memory.
        record.servers.insert(found.server.issuer().to_owned(), section);
        if let Err(problem) = self.store.save(&mut record) {
            tracing::warn!("{}", problem.text(&self.shown));
        }
        self.state().distrusts_client = false;
        Ok(client)
    }

    /// Tells the person where to sign in, and opens the page once.
    fn show(&self, url: &str) {
        tracing::warn!("{} wants you to sign in: open {url} in a browser", self.shown);
        let had_opened = std::mem::replace(&mut self.state().has_opened, true);
        if !had_opened && self.settings.opens_browser {
            browser::open(url);
        }
    }

    /// Waits in the background for the browser to come back to `callback`.
    fn host(
        self: &Arc<Self>,
        lock: Lock,
        callback: Callback,
        pending: Pending,
    ) -> Result<(), Problem> {
        let server = Server::check(pending.server.clone(), &pending.server.issuer, &self.reach)?;
        let (arrivals, arrived) = mpsc::channel(4);
        self.set_stage(Stage::Waiting {
            url: pending.url.clone(),
            arrivals: Some(arrivals.clone()),
        });
        let this = self.clone();
        let hosting = tokio::spawn(async move {
            let (told, is_told) = watch::channel(Told::Waiting);
            tokio::select! {
                () = callback.serve(arrivals, is_told, this.page_shown.clone()) => {}
                () = this.wait_for_browser(lock, pending, &server, arrived, &told) => {}
            }
        });
        self.state().hosting = Some(hosting);
        Ok(())
    }

    async fn wait_for_browser(
        self: Arc<Self>,
        lock: Lock,
        pending: Pending,
        server: &Server,
        mut arrived: mpsc::Receiver<Arrival>,
        told: &watch::Sender<Told>,
    ) {
        // Where nothing can be written, nobody else can begin another one.
        let is_shared = self.store.pending().is_some();
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
                    if self.is_abandoned(&pending, is_shared) {
                        return;
                    }
                }
            }
        };
        let outcome = match redirected {
            Redirected::Code(code) => self.spend(&code, &pending, server).await,
            Redirected::Denied(problem) => Err(Stage::Denied(problem)),
            Redirected::Failed(problem) => Err(failed(problem)),
            Redirected::Foreign => return,
        };
        self.store.forget_pending();
        drop(lock);
        match outcome {
            Ok(()) => {
                told.send_replace(Told::SignedIn);
                self.finish();
            }
            Err(stage) => {
                if let Stage::Denied(problem) | Stage::Failed(problem, _) = &stage {
                    told.send_replace(Told::Failed(
                        self.secrets.redact(&problem.text(&self.shown)).into(),
                    ));
                    tracing::warn!("{}", problem.text(&self.shown));
                }
                self.set_stage(stage);
                self.over.notify_one();
            }
        }
        let repeats = async {
            while let Some(Arrival { query, is_ours }) = arrived.recv().await {
                let _ = is_ours.send(!matches!(pending.read(&query, server), Redirected::Foreign));
            }
        };
        let _ = tokio::time::timeout(AFTERGLOW, repeats).await;
    }

    /// Whether nobody is to come back any more: the address is too old, or another process has begun
    /// another sign-in.
    fn is_abandoned(self: &Arc<Self>, pending: &Pending, is_shared: bool) -> bool {
        if pending.age() >= LIFE {
            // It may have led to a page that says that nobody knows us there.
            self.state().distrusts_client = pending.client.is_registered();
            self.store.forget_pending();
            self.set_stage(Stage::Idle);
            return true;
        }
        let other = self.store.pending();
        let is_replaced = is_shared && other.is_none_or(|other| other.url != pending.url);
        if is_replaced {
            self.follow(pending.url.clone());
        }
        is_replaced
    }

    /// Spends the code of a redirect.
    async fn spend(&self, code: &str, pending: &Pending, server: &Server) -> Result<(), Stage> {
        self.secrets.add_of(Origin::Token, code);
        self.secrets.add_of(Origin::Token, &pending.verifier);
        let request = TokenRequest {
            web: &self.web,
            server,
            client: &pending.client.clone().with_key(&self.settings),
            resource: pending.resource.as_deref(),
            scopes: &pending.scopes,
        };
        let tokens = request.code(code, &pending.redirect, &pending.verifier).await;
        let tokens = tokens.map_err(|why| {
            if let NoToken::Refused(refusal) = &why {
                self.state().distrusts_client |= refusal.is_of_client();
            }
            failed(why.to_problem(server.issuer()))
        })?;
        let _lock = self.store.lock().await;
        let mut record = self.store.load().map_err(failed)?.unwrap_or_default();
        let section = Section {
            server: pending.server.clone(),
            client: pending.client.clone(),
            resource: pending.resource.clone(),
            tokens: None,
        };
        self.keep(&mut record, server.issuer(), section, &tokens);
        Ok(())
    }

    /// A person has signed in, here or in another process.
    pub(super) fn finish(&self) {
        tracing::info!("signed in to {}", self.shown);
        self.state().has_opened = false;
        self.set_stage(Stage::Idle);
        self.over.notify_one();
    }

    /// Follows the sign-in at `url`, which another process looks after.
    fn follow(self: &Arc<Self>, url: String) {
        tracing::warn!("{} wants you to sign in: open {url} in a browser", self.shown);
        self.set_stage(Stage::Waiting { url, arrivals: None });
        let this = self.clone();
        tokio::spawn(async move {
            let sent = this.held().map(|held| held.header.clone());
            loop {
                tokio::time::sleep(LOOK_AGAIN).await;
                if this.reload(sent.as_ref()).unwrap_or(false) {
                    return this.finish();
                }
                let Some(lock) = this.store.lock_login() else {
                    if let Some(pending) = this.store.pending() {
                        this.update_address(pending.url);
                    }
                    continue;
                };
                // Whoever looked after it is gone: by its end, or because it is over.
                let outcome = match this.to_resume(None).await {
                    Some((pending, callback)) => this.host(lock, callback, pending),
                    None if this.reload(sent.as_ref()).unwrap_or(false) => {
                        return this.finish();
                    }
                    None => {
                        this.set_stage(Stage::Idle);
                        this.over.notify_one();
                        Ok(())
                    }
                };
                if let Err(problem) = outcome {
                    this.set_stage(failed(problem));
                    this.over.notify_one();
                }
                return;
            }
        });
    }

    fn update_address(&self, now: String) {
        let mut state = self.state();
        if let Stage::Waiting { url, .. } = &mut state.stage {
            *url = now;
        }
    }

    /// Signs in because a person asks for it: `say` tells where. Returns when it is over.
    ///
    /// # Errors
    /// There is no way to sign in, or it came to nothing.
    pub(crate) async fn login(self: &Arc<Self>, say: impl Fn(&str)) -> Result<(), String> {
        self.log_in(say).await.map_err(|problem| problem.text(&self.shown))
    }

    async fn log_in(self: &Arc<Self>, say: impl Fn(&str)) -> Result<(), Problem> {
        let head = self.web.head_of_stream(&self.upstream).await;
        let head = head.map_err(|failure| Problem::of_failure(&failure))?;
        let hints = Hints::of(head.status, &head.headers);
        let record = self.store.load()?.unwrap_or_default();
        let discovery = Discovery {
            web: &self.web,
            upstream: &self.upstream,
            reach: &self.reach,
            settings: &self.settings,
            known_issuer: record.issuer.as_deref(),
        };
        let Some(found) = discovery.run(&hints).await? else {
            return Err(Problem::new(
                format!("{} publishes no way to sign in", self.shown),
                "Check the address; if the server takes a token or a password, give it with \
                 --bearer-file or --user.",
            ));
        };
        if self.settings.grant == Grant::ClientCredentials {
            return self.ask_for_itself(&found).await;
        }
        let mut changed = self.changed.subscribe();
        if self.settings.grant == Grant::Device {
            self.begin_on_device(found).await?;
        } else {
            self.begin(found, true).await?;
        }
        if let Stage::Waiting { url, .. } = &self.state().stage {
            say(url);
        }
        let _ = changed.wait_for(|()| !self.is_waiting()).await;
        if self.settings.grant == Grant::Code {
            // The process is about to end, and the browser has still to get its page.
            let _ = tokio::time::timeout(PAGE_PATIENCE, self.page_shown.notified()).await;
            tokio::time::sleep(PAGE_PATIENCE / 20).await;
        }
        match self.state().stage.clone() {
            Stage::Failed(problem, _) | Stage::Denied(problem) => Err(problem),
            Stage::Idle | Stage::Waiting { .. } => Ok(()),
        }
    }

    /// Takes an address that a browser was sent to, and that a person has copied; false if it belongs
    /// to no sign-in under way.
    pub(crate) async fn paste(&self, address: &str) -> bool {
        let Stage::Waiting { arrivals: Some(arrivals), .. } = self.state().stage.clone() else {
            return false;
        };
        let query = address.trim().split_once('?').map_or(address, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default().to_owned();
        let (is_ours, said) = oneshot::channel();
        arrivals.send(Arrival { query, is_ours }).await.is_ok() && said.await.unwrap_or(false)
    }
}
