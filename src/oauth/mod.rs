//! Signs in to an upstream by OAuth 2.1, as MCP's authorization pages (2025-11-25 and 2026-07-28)
//! have it: from a refusal to a token, and from then on a token that stays good.
//!
//! ```text
//! refused ─▶ hints ─▶ discovery ─▶ renew (grant) ───────────────────────────▶ token (store)
//!                                └▶ begin: client ─▶ flow ─▶ callback ─▶ grant ┘
//! ```
//!
//! **Invariants.** [`metadata`] types exist only checked. One task at a time looks for a token
//! (`turn`), in one process at a time (the locks of [`store`]). Whatever spends something that can be
//! spent once (a code, a refresh token) runs in a task of its own, so that a request that is given up
//! does not lose what came of it. Tokens belong to the issuer that gave them, and go to the upstream
//! through `http::auth` alone.

mod assertion;
mod browser;
mod callback;
mod client;
mod device;
mod discovery;
mod flow;
mod grant;
mod hints;
mod login;
mod logout;
mod metadata;
mod owned;
mod page;
mod problem;
mod reach;
mod settings;
mod store;
mod survey;
mod token;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use self::callback::Arrival;
use self::discovery::{Discovery, Found};
use self::hints::{Hints, add_scopes, scopes_in};
use self::problem::Problem;
use self::reach::Reach;
use self::store::Store;
use self::token::Held;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::http::{ConnectSettings, Web};
use crate::redact::{self, Secrets};
use crate::retry::PERSON_PATIENCE;

pub(crate) use self::assertion::ClientKey;
pub(crate) use self::owned::state_dir;
pub(crate) use self::problem::Problem as SignInProblem;
pub(crate) use self::settings::{Grant, ResourceId, Settings};
pub(crate) use self::survey::{ClientFound, Stored, Survey};

/// The least wait before a session is tried again while a person signs in. The end of the sign-in
/// cuts it short.
const PERSON_PACE: Duration = Duration::from_secs(15);

/// What a person can do who has to sign in.
const TO_SIGN_IN: Hint = Hint::both(
    "Nothing has to be restarted; `mcpline login` with the same address does the same in a terminal.",
    "Чтобы войти, откройте этот адрес в браузере, войдите и повторите запрос. Перезапускать ничего не \
     нужно; в терминале то же делает `mcpline login` с тем же адресом.",
);

/// After a sign-in that failed none is begun for this time: requests get to know why it did.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Sign-ins for more scopes in the life of a process.
const MAX_STEP_UPS: u32 = 2;

/// The sign-in to one upstream.
pub struct SignIn {
    settings: Settings,
    upstream: Url,
    /// The upstream as it may be shown.
    shown: String,
    reach: Reach,
    web: Web,
    store: Store,
    secrets: Arc<Secrets>,
    state: Mutex<State>,
    /// Whether the store has been looked at.
    is_loaded: AtomicBool,
    asks_nobody: AtomicBool,
    /// Held by the one task that looks for a token.
    turn: tokio::sync::Mutex<()>,
    /// Changes with each change of the state.
    changed: watch::Sender<()>,
    /// Notified when a browser has got the page that tells how it went.
    page_shown: Arc<Notify>,
    /// Notified when a sign-in by a person is over.
    over: Notify,
}

#[derive(Default)]
struct State {
    held: Option<Arc<Held>>,
    stage: Stage,
    /// The task that waits for the browser, and shows the last page for a while.
    hosting: Option<JoinHandle<()>>,
    step_ups: u32,
    /// Whether the token that was refused last had just been got.
    was_refused_fresh: bool,
    /// Whether a browser has been opened since the last sign-in.
    has_opened: bool,
    /// Whether the registration may be unknown to its server.
    distrusts_client: bool,
}

/// How far a sign-in by a person has come.
#[derive(Clone, Default)]
enum Stage {
    /// None is under way.
    #[default]
    Idle,
    /// A person is to open this address.
    Waiting { url: String, arrivals: Option<mpsc::Sender<Arrival>> },
    /// The last one failed; another one begins only after a while.
    Failed(Problem, Instant),
    /// The person has refused.
    Denied(Problem),
}

/// What is to be done about a refusal.
pub(crate) enum Verdict {
    /// Send the request again: there is another token.
    Repeat,
    /// It is what it is.
    Refused,
    /// Answer with this.
    Failed(Failure),
}

/// What looking for a token has come to.
enum Outcome {
    /// There is another one than was refused.
    Token,
    /// A person is to sign in.
    Waiting,
    /// There is none to be had.
    None,
}

impl fmt::Debug for SignIn {
    /// Without tokens.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SignIn").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SignIn {
    /// The sign-in to `upstream`. Touches neither disk nor network.
    pub(crate) fn new(
        settings: Settings,
        upstream: &Url,
        connect: &ConnectSettings,
        secrets: Arc<Secrets>,
    ) -> Arc<Self> {
        if let Some(secret) = &settings.client_secret {
            secrets.add(secret);
        }
        Arc::new(Self {
            upstream: upstream.clone(),
            shown: redact::shown(upstream),
            reach: Reach::of(upstream),
            web: Web::new(connect),
            store: Store::new(&settings),
            settings,
            secrets,
            state: Mutex::default(),
            is_loaded: AtomicBool::new(false),
            asks_nobody: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(()),
            page_shown: Arc::default(),
            over: Notify::new(),
        })
    }

    /// The value of `Authorization`, if there is a token.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        self.held().map(|held| held.header.clone())
    }

    /// The token, if it should be renewed before it is used.
    pub(crate) fn due(&self) -> Option<Arc<Held>> {
        self.held().filter(|held| held.is_due())
    }

    /// Looks for a better token after the upstream has refused one, or a request without one, with
    /// `status` and `headers`. Waits for a person for a short time, and only if the request
    /// `may_ask` one.
    pub(crate) async fn refused(
        self: &Arc<Self>,
        status: StatusCode,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
        may_ask: bool,
    ) -> Verdict {
        let hints = Hints::of(status, headers);
        let is_for_us = match status {
            StatusCode::UNAUTHORIZED => !hints.is_other || self.settings.is_forced,
            _ => hints.is_insufficient,
        };
        if !is_for_us {
            return Verdict::Refused;
        }
        let may_ask = may_ask && !self.asks_nobody.load(Ordering::Relaxed);
        let mut changed = self.changed.subscribe();
        let obtaining = self.clone().obtain(sent.cloned(), hints, may_ask);
        let outcome = tokio::spawn(obtaining).await.unwrap_or(Ok(Outcome::None));
        match outcome {
            Ok(Outcome::Token) => Verdict::Repeat,
            Ok(Outcome::None) => Verdict::Refused,
            Ok(Outcome::Waiting) => {
                let waiting = changed.wait_for(|()| !self.is_waiting());
                let _ = tokio::time::timeout(PERSON_PATIENCE, waiting).await;
                self.verdict_of_stage(sent)
            }
            Err(problem) => Verdict::Failed(problem.to_failure(&self.shown)),
        }
    }

    /// The verdict for a request that has waited for a person.
    fn verdict_of_stage(&self, sent: Option<&HeaderValue>) -> Verdict {
        let stage = self.state().stage.clone();
        match stage {
            Stage::Waiting { url, .. } => Verdict::Failed(self.asks_person(&url)),
            Stage::Failed(problem, _) | Stage::Denied(problem) => {
                Verdict::Failed(problem.to_failure(&self.shown))
            }
            Stage::Idle if self.differs_from(sent) => Verdict::Repeat,
            Stage::Idle => Verdict::Refused,
        }
    }

    /// The failure of a request that has to wait for a person to open `url`.
    fn asks_person(&self, url: &str) -> Failure {
        let what = format!(
            "{} wants you to sign in: open {url} in a browser, sign in, then try again",
            self.shown
        );
        let mut failure = Failure::new(Class::Rejected, Cause::SignIn, what);
        failure.hint = Some(Box::new(TO_SIGN_IN));
        failure.status = Some(401);
        failure.pace = Some(PERSON_PACE);
        failure.sign_in_url = Some(url.into());
        failure
    }

    /// Looks for another token than `sent`, in the order of what it costs: in memory, in the store,
    /// by renewing, by asking a person.
    async fn obtain(
        self: Arc<Self>,
        sent: Option<HeaderValue>,
        hints: Hints,
        may_ask: bool,
    ) -> Result<Outcome, Problem> {
        let _turn = self.turn.lock().await;
        if self.differs_from(sent.as_ref()) || self.reload(sent.as_ref())? {
            return Ok(Outcome::Token);
        }
        match &self.state().stage {
            Stage::Waiting { .. } if may_ask => return Ok(Outcome::Waiting),
            Stage::Waiting { .. } => return Ok(Outcome::None),
            Stage::Denied(problem) => return Err(problem.clone()),
            Stage::Failed(problem, at) if at.elapsed() < AFTER_FAILURE => {
                return Err(problem.clone());
            }
            _ => {}
        }
        let record = self.store.load()?.unwrap_or_default();
        let discovery = Discovery {
            web: &self.web,
            upstream: &self.upstream,
            reach: &self.reach,
            settings: &self.settings,
            known_issuer: record.issuer.as_deref(),
        };
        let Some(mut found) = discovery.run(&hints).await? else { return Ok(Outcome::None) };
        let is_same_issuer = record.issuer.as_deref() == Some(found.server.issuer());
        if hints.is_insufficient {
            if !self.may_step_up(&mut found, &hints) {
                return Ok(Outcome::None);
            }
        } else if is_same_issuer {
            if self.is_refused_again() {
                return Err(refuses_fresh(&found));
            }
            if self.renew(Some(&found.server)).await? {
                return Ok(Outcome::Token);
            }
        }
        if self.settings.grant == Grant::ClientCredentials {
            self.ask_for_itself(&found).await?;
            return Ok(Outcome::Token);
        }
        if !may_ask {
            return Ok(Outcome::None);
        }
        if self.settings.grant == Grant::Device {
            self.begin_on_device(found).await?;
            return Ok(Outcome::Waiting);
        }
        let is_assumed = found.is_assumed;
        match self.begin(found, false).await {
            // Where nothing was published there need be nothing: a server that takes a token.
            Err(problem) if is_assumed && !self.settings.is_forced => {
                tracing::debug!("no sign-in: {}", problem.what());
                Ok(Outcome::None)
            }
            begun => begun.map(|()| Outcome::Waiting),
        }
    }

    /// Whether to sign in again for more scopes, which are added to those of `found`: all that were
    /// asked for or granted before, and those that are needed now.
    fn may_step_up(&self, found: &mut Found, hints: &Hints) -> bool {
        let mut scopes = self.held().map_or_else(Vec::new, |held| held.scopes.clone());
        let is_more = add_scopes(&mut scopes, scopes_in(hints.scope.as_deref().unwrap_or("")));
        let mut state = self.state();
        if !is_more || state.step_ups >= MAX_STEP_UPS {
            return false;
        }
        state.step_ups += 1;
        found.scopes = scopes;
        true
    }

    /// Takes note that the token is refused. True if that has happened to the one before as well, and
    /// both had just been got: more of them would be refused too.
    fn is_refused_again(&self) -> bool {
        let is_fresh = self.held().is_some_and(|held| held.is_fresh());
        let was_fresh = std::mem::replace(&mut self.state().was_refused_fresh, is_fresh);
        is_fresh && was_fresh
    }

    /// From now on no person is asked to sign in.
    pub(crate) fn ask_nobody(&self) {
        self.asks_nobody.store(true, Ordering::Relaxed);
    }

    /// Waits until a sign-in by a person is over, whatever came of it.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    /// Waits until nothing is being spent that would be lost if the process ended now.
    pub(crate) async fn settle(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.turn.lock()).await;
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state().stage, Stage::Waiting { .. })
    }

    fn set_stage(&self, stage: Stage) {
        self.state().stage = stage;
        self.changed.send_replace(());
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuses_fresh(found: &Found) -> Problem {
    Problem::new(
        format!("it refuses the tokens that {} has just given for it", found.server.issuer()),
        "The two are not set up for each other: tell the server's administrator, or set \
         --oauth-resource or --oauth-scope.",
    )
}

/// Seconds since 1970.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
