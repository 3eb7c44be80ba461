//! Signs in to an upstream by OAuth 2.1, as MCP's authorization pages (2025-11-25 and 2026-07-28)
//! have it: from a refusal to a token, and from then on a token that stays good.
//!
//! ```text
//! refused ─▶ hints ─▶ discovery ─▶ renew (grant) ──────────────────────▶ token (credentials, store)
//!                                └▶ begin: client, flow ─▶ host: callback, pending ─▶ grant ┘
//! ```
//!
//! **Invariants.** [`metadata`] types exist only checked. One task at a time looks for a token
//! (`turn`), in one process at a time (the locks of [`store`]). What spends something that can be
//! spent once (a code, a refresh token) runs in a task of its own and is counted in `spending`, so
//! that neither a request that is given up nor the end of the process loses what came of it. Tokens
//! belong to the issuer that gave them, and go to the upstream through `http::auth` alone.

mod assertion;
mod attempt;
mod begin;
mod browser;
mod callback;
mod client;
mod clock;
mod credentials;
mod device;
mod discovery;
mod document;
mod flow;
pub mod fuzzing;
mod grant;
mod hints;
mod host;
mod login;
mod logout;
mod metadata;
mod obtain;
mod owned;
mod page;
mod pending;
mod problem;
mod reach;
mod record;
mod refusal;
mod register;
mod renew;
mod resource;
mod settings;
mod store;
mod survey;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio_util::task::TaskTracker;
use url::Url;

use self::attempt::{Attempt, Place, Stage};
use self::clock::unix_millis;
use self::credentials::{Credentials, Held};
use self::hints::Hints;
use self::obtain::{Memory, Outcome};
use self::reach::Reach;
use self::store::Store;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::http::{ConnectSettings, Web, is_loopback};
use crate::redact::{self, Secrets};
use crate::retry::PERSON_PATIENCE;

pub(crate) use self::assertion::ClientKey;
pub(crate) use self::flow::OWN_PARAMS;
pub(crate) use self::owned::state_dir;
pub(crate) use self::problem::Problem as SignInProblem;
pub(crate) use self::settings::{Grant, ResourceId, Settings};
pub(crate) use self::survey::{ClientFound, Stored, Survey};

/// The least wait before a session is tried again while a person signs in. The end of the sign-in
/// cuts it short.
const PERSON_PACE: Duration = Duration::from_secs(15);

/// How long a request waits for us to find out where to sign in: hosts wait about 5 s for a list.
const LOOKING_PATIENCE: Duration = Duration::from_secs(5);

/// How long a request waits for its token to be renewed, which nobody else can do.
const RENEWING_PATIENCE: Duration = Duration::from_secs(20);

/// How long the end of the process is put off for what is being spent.
const SETTLING_PATIENCE: Duration = Duration::from_secs(5);

/// What a person can do who has to sign in.
const TO_SIGN_IN: Hint = Hint::both(
    "Nothing has to be restarted; `mcpline login` with the same address does the same in a terminal.",
    "Чтобы войти, откройте этот адрес в браузере, войдите и повторите запрос. Перезапускать ничего не \
     нужно; в терминале то же делает `mcpline login` с тем же адресом.",
);

const TO_LOG_IN: Hint = Hint::both(
    "Run `mcpline login` with the same address and options, sign in, and run this again.",
    "Выполните `mcpline login` с тем же адресом и параметрами, войдите и повторите команду.",
);

const TO_WAIT: Hint = Hint::both(
    "Try again in a moment. If it stays so, look whether this machine reaches that server.",
    "Повторите чуть позже. Если не пройдёт, проверьте, доступен ли тот сервер с этого компьютера.",
);

/// The sign-in to one upstream.
pub struct SignIn {
    settings: Settings,
    upstream: Url,
    /// The upstream as it may be shown.
    shown: String,
    reach: Reach,
    web: Web,
    credentials: Credentials,
    attempt: Attempt,
    memory: Mutex<Memory>,
    /// When this process began, in milliseconds since 1970.
    started: u64,
    asks_nobody: AtomicBool,
    /// Held by the one task that looks for a token.
    turn: tokio::sync::Mutex<()>,
    /// Counts what is being spent.
    spending: TaskTracker,
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
        let shown = redact::shown(upstream);
        let in_clear = upstream.scheme() == "http" && !is_loopback(upstream);
        Arc::new(Self {
            upstream: upstream.clone(),
            reach: Reach::of(upstream, settings.issuer.as_deref()),
            web: Web::new(connect, upstream),
            credentials: Credentials::new(Store::new(&settings), secrets, shown.clone(), in_clear),
            shown,
            settings,
            attempt: Attempt::default(),
            memory: Mutex::default(),
            started: unix_millis(),
            asks_nobody: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            spending: TaskTracker::new(),
        })
    }

    /// The value of `Authorization`, if there is a token.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        self.credentials.held().map(|held| held.header.clone())
    }

    /// The token, if it should be renewed before it is used.
    pub(crate) fn due(&self) -> Option<Arc<Held>> {
        let renews_itself = self.settings.grant == Grant::ClientCredentials;
        let held = self.credentials.held()?;
        Some(held).filter(|held| held.is_due() && (held.can_renew || renews_itself))
    }

    /// The upstream has taken `sent`.
    pub(crate) fn note_accepted(&self, sent: &HeaderValue) {
        self.credentials.note_accepted(sent);
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
        let asks_nobody = self.asks_nobody.load(Ordering::Relaxed);
        let can_renew = self.credentials.held().is_some_and(|held| held.can_renew);
        let patience = if can_renew { RENEWING_PATIENCE } else { LOOKING_PATIENCE };
        // It goes on when the request does not wait any more.
        let obtaining = self.clone().obtain(sent.cloned(), hints, may_ask && !asks_nobody);
        let obtaining = tokio::time::timeout(patience, tokio::spawn(obtaining)).await;
        match obtaining.map(|joined| joined.unwrap_or(Ok(Outcome::None))) {
            Ok(Ok(Outcome::Token)) => Verdict::Repeat,
            Ok(Ok(Outcome::Waiting)) => {
                let _ = tokio::time::timeout(PERSON_PATIENCE, self.attempt.not_waiting()).await;
                self.verdict_of_stage(sent)
            }
            Ok(Ok(Outcome::Person)) if asks_nobody => {
                // Waiting does not help a command that asks nobody.
                let failure = self.person_needed("you have to be signed in", TO_LOG_IN);
                Verdict::Failed(failure.reclassed(Class::Final, "nobody is asked"))
            }
            Ok(Ok(Outcome::Person | Outcome::None)) => Verdict::Refused,
            Ok(Err(problem)) => Verdict::Failed(problem.to_failure(&self.shown)),
            Err(_) => {
                let what = format!(
                    "you have to be signed in, and its authorization server has not answered within {} s",
                    patience.as_secs()
                );
                Verdict::Failed(self.person_needed(&what, TO_WAIT))
            }
        }
    }

    /// The verdict for a request that has waited for a person.
    fn verdict_of_stage(&self, sent: Option<&HeaderValue>) -> Verdict {
        match self.attempt.stage() {
            Stage::Waiting { place, .. } if place.url.is_empty() => {
                Verdict::Failed(self.person_needed("another mcpline is about to sign in", TO_WAIT))
            }
            Stage::Waiting { place, .. } => Verdict::Failed(self.asks_person(&place)),
            Stage::Ended(ending, _) if ending.problem().is_some() => {
                let problem = ending.problem().map(|problem| problem.to_failure(&self.shown));
                problem.map_or(Verdict::Refused, Verdict::Failed)
            }
            _ if self.credentials.differs_from(sent) => Verdict::Repeat,
            _ => Verdict::Refused,
        }
    }

    /// The failure of a request that has to wait for a person to sign in at `place`.
    fn asks_person(&self, place: &Place) -> Failure {
        let what = format!(
            "{} wants you to sign in: {}, sign in, then try again",
            self.shown,
            place.task()
        );
        let mut failure = Failure::new(Class::Rejected, Cause::SignIn, what);
        failure.hint = Some(Box::new(TO_SIGN_IN));
        failure.status = Some(401);
        failure.pace = Some(PERSON_PACE);
        failure.sign_in_url = Some(place.url.as_str().into());
        failure
    }

    /// The failure of a request that needs a person who cannot be asked now.
    fn person_needed(&self, what: &str, hint: Hint) -> Failure {
        let what = format!("{}: {what}", self.shown);
        let mut failure = Failure::new(Class::Rejected, Cause::SignIn, what);
        failure.hint = Some(Box::new(hint));
        failure.status = Some(401);
        failure
    }

    /// From now on no person is asked to sign in.
    pub(crate) fn ask_nobody(&self) {
        self.asks_nobody.store(true, Ordering::Relaxed);
    }

    /// Waits until a sign-in by a person is over, whatever came of it.
    pub(crate) async fn over(&self) {
        self.attempt.over().await;
    }

    /// Waits, for a few seconds at most, until nothing is being spent that would be lost if the
    /// process ended now.
    pub(crate) async fn settle(&self) {
        self.spending.close();
        let _ = tokio::time::timeout(SETTLING_PATIENCE, self.spending.wait()).await;
    }
}
