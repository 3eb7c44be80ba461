//! Keeps a session with the upstream: opens it with what the client began with, opens the next one
//! when it is lost, and says again then what was set in the last one.
//!
//! [`State`] is the state machine; [`memory`] is what outlives a session; [`handshake`] is what we say
//! in place of the client or the upstream. Invariant: at most one
//! opening is current, however many requests wait for it. An opening that is not current any more
//! ends the session that it got.

mod handshake;
mod invitation;
mod memory;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::invitation::Invitations;
use self::memory::Memory;
use crate::attended::unattended_if;
use crate::era;
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response};
use crate::mcp::method;
use crate::retry::{Delivery, Opening as Attempts, PERSON_PATIENCE, Policy, reopening_pause};
use crate::upstream::{Client, Greeting, Opened, Request, Session, Upstream};

/// Time to bring `notifications/initialized` to the upstream, on which everything waits.
const INITIALIZED_PATIENCE: Duration = Duration::from_secs(5);

/// An open session.
pub struct Live {
    /// The session itself.
    pub session: Arc<dyn Session>,
    response: Response,
    /// Whether `notifications/initialized` has been taken care of.
    initialized: Mutex<bool>,
}

#[derive(Clone)]
enum State {
    /// No session, and no request has asked for one yet.
    Idle,
    Opening(Opening),
    Ready(Arc<Live>),
    /// The last opening failed, and waiting does not help.
    Failed(Failure),
    Closed,
}

/// An opening that is under way.
#[derive(Clone)]
struct Opening {
    /// Which opening this is: its task goes on only while the state names it.
    id: u64,
    tried: Option<Tried>,
    /// The session, from the handshake until it is ready.
    session: Option<Arc<dyn Session>>,
}

/// What an opening has come to so far.
#[derive(Clone)]
pub struct Tried {
    /// Why the latest attempt failed.
    pub failure: Failure,
    /// How many attempts have failed.
    pub attempts: u32,
}

/// The link to one upstream.
pub struct Link {
    upstream: Box<dyn Upstream>,
    client: Client,
    policy: Policy,
    state: watch::Sender<State>,
    memory: Memory,
    invitations: Invitations,
    /// Notified when a request begins to wait for a session.
    wanted: Notify,
    /// How many wait for a session.
    waiting: AtomicUsize,
    /// Notified when there are better credentials.
    credentials: Notify,
    openings: AtomicU64,
    /// Whether the upstream itself has answered anything, so that its address is right.
    has_answered: AtomicBool,
    /// Whether a session has been open.
    has_worked: AtomicBool,
    /// Whether an outage that still lasts has been warned of.
    is_out: AtomicBool,
    /// When the client began, and with it the first opening.
    begun: OnceLock<Instant>,
    /// Sessions that were lost without a request since the one before.
    idle_losses: AtomicU32,
    /// Everything that the link does in the background.
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Link {
    /// A link that has not been opened.
    pub fn new(upstream: Box<dyn Upstream>, client: Client, policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            client,
            policy,
            state: watch::Sender::new(State::Idle),
            memory: Memory::default(),
            invitations: Invitations::default(),
            wanted: Notify::new(),
            waiting: AtomicUsize::new(0),
            credentials: Notify::new(),
            openings: AtomicU64::new(0),
            has_answered: AtomicBool::new(false),
            has_worked: AtomicBool::new(false),
            is_out: AtomicBool::new(false),
            begun: OnceLock::new(),
            idle_losses: AtomicU32::new(0),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// Opens the link with the client's `initialize` and waits for the answer, at most for
    /// `patience`: after that the client gets an answer of ours, and the opening goes on.
    ///
    /// # Errors
    /// The upstream refuses, and waiting does not help.
    pub async fn initialize(
        self: &Arc<Self>,
        initialize: Request,
        patience: Duration,
    ) -> Result<Response, Failure> {
        let message = initialize.message.clone();
        self.memory.begin(Greeting::Handshake(initialize));
        // A client that starts over gets a session of its own.
        if let Some(State::Ready(live)) = self.open_if(|state| !matches!(state, State::Closed)) {
            self.spawn(async move { live.session.close().await });
        }
        let live = tokio::time::timeout(patience, self.live()).await;
        let response = match (live, self.current()) {
            (Ok(live), _) => live?.response.clone(),
            (Err(_), Some(live)) => live.response.clone(),
            (Err(_), None) => return Ok(self.answer_for_upstream(&message)),
        };
        self.memory.note_told(&response);
        Ok(response)
    }

    /// Takes the client's `notifications/initialized` and passes it on as soon as there is a
    /// session.
    pub async fn initialized(&self, message: Message) {
        self.memory.note_initialized(message);
        if let Some(live) = self.current() {
            self.complete_handshake(&live).await;
        }
    }

    /// Begins for a client whose `first` request is not a handshake: it speaks a stateless revision,
    /// or is a person who pipes a single request from a shell. An upstream that wants a handshake
    /// gets one on the client's behalf; `id` is free for a request of ours.
    pub fn begin_with(&self, first: &Message, id: RequestId) {
        if self.memory.begin_without_handshake(|| handshake::greeting(first, id)) {
            tracing::debug!("the client sent no initialize");
        }
    }

    /// The open session; opens one when there is none. Waits without a bound of its own.
    ///
    /// # Errors
    /// The upstream refuses, and waiting does not help; or the link is closed.
    pub async fn live(self: &Arc<Self>) -> Result<Arc<Live>, Failure> {
        let _waiting = Waiting::count(&self.waiting);
        let mut state = self.state.subscribe();
        self.idle_losses.store(0, Ordering::Relaxed);
        let opens = self.open_if(|state| matches!(state, State::Idle | State::Failed(_)));
        if opens.is_none() {
            self.wanted.notify_waiters();
        }
        loop {
            match &*state.borrow_and_update() {
                State::Ready(live) => return Ok(live.clone()),
                State::Failed(failure) => return Err(failure.clone()),
                State::Closed => {
                    let what = "mcpline is ending";
                    return Err(Failure::new(Class::NotSent, Cause::Stopping, what));
                }
                State::Idle | State::Opening(_) => {}
            }
            // The sender lives as long as the link.
            let _ = state.changed().await;
        }
    }

    /// The session, if one is open at this moment.
    pub fn current(&self) -> Option<Arc<Live>> {
        match &*self.state.borrow() {
            State::Ready(live) => Some(live.clone()),
            _ => None,
        }
    }

    /// How long a request that arrived `elapsed` ago and came to no session waits for one, from its
    /// arrival; `start_timeout` is the time after which `initialize` is answered without one.
    pub fn session_budget(&self, elapsed: Duration, start_timeout: Duration) -> Duration {
        if self.tried().is_some_and(|tried| tried.failure.cause == Cause::SignIn) {
            return self.policy.retry_for.min(PERSON_PATIENCE);
        }
        let begun = self.begun.get().map_or(Duration::ZERO, Instant::elapsed);
        let left_to_start = (start_timeout + elapsed).saturating_sub(begun);
        self.policy.session_budget(self.has_answered(), left_to_start)
    }

    /// Whether the upstream has answered anything yet.
    pub fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
            || self.current().is_some_and(|live| !live.session.is_untried())
    }

    /// The answer to `server/discover` for an upstream that is not there yet: a client of the modern
    /// era waits for a start no longer than others do.
    pub fn discover_without_upstream(&self, discover: &Message) -> Response {
        let ours = self.answer_for_upstream(discover);
        era::discovered(&ours)
    }

    /// Answers the `first` request as `initialize` is answered, and remembers what that promises.
    fn answer_for_upstream(&self, first: &Message) -> Response {
        let why = self.tried().map(|tried| format!(" ({})", tried.failure.summary()));
        let why = why.unwrap_or_default();
        self.begin_outage();
        let method = first.method();
        tracing::warn!("the upstream is not there yet{why}; {method} is answered without it");
        let ours = handshake::answer_without_upstream(first);
        self.memory.note_promised(&ours);
        ours
    }

    /// Whether sending `message` twice does no more than sending it once, as far as its method, the
    /// upstream's listing of its tools and the kind know.
    pub fn allows_repeat(&self, message: &Message) -> bool {
        self.memory.allows_repeat(message) || self.upstream.is_repeatable(message)
    }

    /// What the upstream has turned out to be, in words for a person.
    pub fn variant(&self) -> Option<String> {
        self.upstream.variant()
    }

    /// Learns from the successful `response` to `request`: what it has set in the session, and
    /// which tools may run twice.
    pub fn learn(&self, request: &Request, response: &Response) {
        self.idle_losses.store(0, Ordering::Relaxed);
        self.memory.learn(request, response);
    }

    /// What the client gets for `response`, an error, to `request`: an empty list where our own
    /// `initialize` promised a list that the upstream does not have.
    pub fn keep_promise(&self, request: &Request, response: Response) -> Response {
        let Some(live) = self.current() else { return response };
        self.memory.kept_promise(&request.message, &response, &live.response).unwrap_or(response)
    }

    /// What the opening under way has come to.
    pub fn tried(&self) -> Option<Tried> {
        match &*self.state.borrow() {
            State::Opening(opening) => opening.tried.clone(),
            _ => None,
        }
    }

    /// Notes that the upstream does not know `live` any more, and opens a new session. Calls for
    /// a session that has been replaced already do nothing. One that `may_live` all the same is
    /// ended.
    pub fn lost(self: &Arc<Self>, live: &Arc<Live>, may_live: bool) {
        live.session.ended().cancel();
        let is_current =
            |state: &State| matches!(state, State::Ready(current) if Arc::ptr_eq(current, live));
        if self.open_if(is_current).is_some() {
            tracing::info!("the session is lost; opening a new one");
            if may_live {
                let live = live.clone();
                self.spawn(async move { live.session.close().await });
            }
        }
    }

    /// Takes note that the upstream cannot be used; returns whether that is news. One outage is worth
    /// one warning, however many requests and attempts it fails.
    pub fn begin_outage(&self) -> bool {
        !self.is_out.swap(true, Ordering::Relaxed)
    }

    /// Takes note that the upstream can be used; returns whether that is news.
    pub fn end_outage(&self) -> bool {
        self.is_out.load(Ordering::Relaxed) && self.is_out.swap(false, Ordering::Relaxed)
    }

    /// A sign-in by a person is over: opens the session that could not be opened without, or tells the
    /// client that what was refused in the open one may be asked for again.
    pub async fn credentials_changed(self: &Arc<Self>) {
        if self.current().is_some() {
            self.announce_changes().await;
        } else if self.open_if(|state| matches!(state, State::Failed(_))).is_none() {
            self.credentials.notify_one();
        }
    }

    /// Tells the client what may have changed while nothing was listening, within what it was told
    /// to expect.
    pub async fn announce_changes(&self) {
        for message in self.memory.possible_changes() {
            self.client.notify(message).await;
        }
    }

    /// Runs `task` in the background until it is done or the link is closed.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks
            .spawn(async move { closing.run_until_cancelled(task).await.unwrap_or_default() });
    }

    /// Ends the session, for at most `patience`. Afterwards nothing runs in the background.
    pub async fn close(&self, patience: Duration) {
        // Taken out first: a closed session must not look like a lost one.
        let session = match self.state.send_replace(State::Closed) {
            State::Ready(live) => Some(live.session.clone()),
            State::Opening(opening) => opening.session,
            State::Idle | State::Failed(_) | State::Closed => None,
        };
        self.closing.cancel();
        self.tasks.close();
        let closing = async {
            if let Some(session) = session {
                session.close().await;
            }
            self.tasks.wait().await;
        };
        let _ = tokio::time::timeout(patience, closing).await;
    }

    /// Starts an opening if `calls_for` it, and returns the state before.
    fn open_if(self: &Arc<Self>, calls_for: impl FnOnce(&State) -> bool) -> Option<State> {
        let id = self.openings.fetch_add(1, Ordering::Relaxed);
        let mut before = None;
        self.state.send_if_modified(|state| {
            if calls_for(state) {
                let opening = Opening { id, tried: None, session: None };
                before = Some(std::mem::replace(state, State::Opening(opening)));
            }
            before.is_some()
        });
        if before.is_some() {
            self.spawn(self.clone().open(id));
        }
        before
    }

    /// Changes the state by `change` if the opening `id` is current; returns whether it is.
    fn advance(&self, id: u64, change: impl FnOnce(Opening) -> State) -> bool {
        self.state.send_if_modified(|state| match state {
            State::Opening(opening) if opening.id == id => {
                *state = change(opening.clone());
                true
            }
            _ => false,
        })
    }

    /// Opens a session, trying until it succeeds, is refused for good, or is not current any more.
    /// Then guards the session until it ends.
    async fn open(self: Arc<Self>, id: u64) {
        self.begun.get_or_init(Instant::now);
        let mut attempts = Attempts::default();
        while let Some(greeting) = self.memory.greeting() {
            // Without anybody who waits, at night say, no person is asked to sign in.
            let is_unattended = self.waiting.load(Ordering::Relaxed) == 0;
            let opening = self.upstream.open(&greeting, &self.client);
            let failure = match unattended_if(is_unattended, opening).await {
                Ok(opened) => {
                    if let Some(live) = self.set_up(opened, id).await {
                        self.guard(live).await;
                    }
                    return;
                }
                Err(failure) => self.weighed(failure),
            };
            if !self.policy.allows(&failure, method::is_safe(method::INITIALIZE)) {
                tracing::info!("no session: {}", failure.summary());
                self.advance(id, |_| State::Failed(failure));
                return;
            }
            let is_first = greeting.is_of_client() && !self.memory.was_told();
            let wait = attempts.after(&failure, is_first);
            let attempt = attempts.attempts();
            // A failure that costs no request its answer is no news for a person.
            let (why, seconds) = (failure.summary(), wait.delay.as_secs_f64());
            tracing::info!("no session after {attempt} attempts: {why}; next in {seconds:.1} s");
            let tried = Some(Tried { failure, attempts: attempt });
            if !self.advance(id, |opening| State::Opening(Opening { tried, ..opening })) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait.delay) => {}
                () = self.credentials.notified() => {}
                () = self.wanted.notified(), if wait.yields => {
                    tokio::time::sleep(attempts.hurry()).await;
                }
            }
        }
    }

    /// `failure` of an opening in the light of what has been before: at an address that has worked,
    /// a page that is not found or a bad gateway is a server on its way back.
    fn weighed(&self, failure: Failure) -> Failure {
        let answered = failure.status.is_some_and(|status| !is_of_gateway(status))
            || matches!(failure.cause, Cause::Unusable | Cause::TooLarge);
        if answered {
            self.has_answered.store(true, Ordering::Relaxed);
        }
        if self.has_worked.load(Ordering::Relaxed)
            && failure.answer.is_none()
            && failure.status == Some(404)
        {
            return failure.reclassed(Class::Rejected, "this address has worked before");
        }
        failure
    }

    /// Brings a new session to where the last one was, and makes it the current one. Returns
    /// `None`, with the session closed, if the opening `id` is not current any more.
    async fn set_up(&self, opened: Opened, id: u64) -> Option<Arc<Live>> {
        let Opened { session, response } = opened;
        if !session.is_untried() {
            self.has_answered.store(true, Ordering::Relaxed);
            self.has_worked.store(true, Ordering::Relaxed);
        }
        let live = Arc::new(Live { session, response, initialized: Mutex::new(false) });
        let session = Some(live.session.clone());
        let mut is_current =
            self.advance(id, |opening| State::Opening(Opening { session, ..opening }));
        if is_current {
            self.complete_handshake(&live).await;
            // Nothing, in a client's first session.
            self.restore(&live).await;
            is_current = self.advance(id, |_| State::Ready(live.clone()));
        }
        if !is_current {
            live.session.close().await;
            return None;
        }
        // A session that has asked nothing yet proves nothing.
        if !live.session.is_untried() {
            self.end_outage();
        }
        tracing::info!("session open");
        // The client's `initialized` may have come while this session was being opened.
        self.complete_handshake(&live).await;
        if self.memory.was_told() {
            self.announce_changes().await;
        }
        Some(live)
    }

    /// Waits for the end of a session that no request has noticed, and opens the next one.
    async fn guard(self: Arc<Self>, live: Arc<Live>) {
        live.session.ended().cancelled().await;
        // Every desktop of this upstream may be here at this moment. A request that needs a session
        // now finds this one gone, and does not wait.
        let idle_losses = self.idle_losses.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(reopening_pause(idle_losses)).await;
        self.lost(&live, false);
    }

    /// Sends `notifications/initialized` if the client has, once for each session.
    async fn complete_handshake(&self, live: &Live) {
        let Some(initialized) = self.memory.initialized() else { return };
        if std::mem::replace(
            &mut *live.initialized.lock().unwrap_or_else(PoisonError::into_inner),
            true,
        ) {
            return;
        }
        let sending = tokio::time::timeout(INITIALIZED_PATIENCE, async {
            let mut delivery = Delivery::default();
            // Sending it twice does no harm.
            while let Err(failure) = live.session.send(&initialized).await {
                tracing::debug!("initialized was not taken: {}", failure.summary());
                let Some(delay) = delivery.of_initialized_after(&failure) else { return };
                tokio::time::sleep(delay).await;
            }
        });
        if sending.await.is_err() {
            tracing::warn!("the upstream does not take notifications/initialized; going on");
        }
        if self.memory.greeting().is_some_and(|greeting| greeting.is_listened_to()) {
            live.session.listen();
        }
    }

    /// Sets in a new session what was set in the one before.
    async fn restore(&self, live: &Live) {
        for request in self.memory.to_restore() {
            if let Err(failure) = live.session.exchange(&request).await {
                let method = request.message.method();
                tracing::warn!("{method} could not be set again: {}", failure.summary());
            }
        }
    }
}

/// Counts one that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a status comes from what stands in front of a server, which it says nothing about.
fn is_of_gateway(status: u16) -> bool {
    matches!(status, 407 | 502 | 504 | 520..=530 | 598 | 599)
}
