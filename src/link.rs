//! Keeps a session with the upstream: opens it with the client's handshake, opens it anew when it
//! is lost, and remembers what has to be said again then.
//!
//! Invariant: at most one opening is under way, however many requests wait for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::client::Client;
use crate::failure::{Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::repeat::is_safe;
use crate::retry::{Backoff, Policy};
use crate::upstream::{Opened, Request, Session, Upstream, asked_revision};

/// The revision that we ask for when the client has left the handshake to us.
const OWN_REVISION: &str = "2025-11-25";

/// Time to bring `notifications/initialized` to the upstream, on which everything waits.
const INITIALIZED_PATIENCE: Duration = Duration::from_secs(5);

/// The longest pause between attempts while the client waits for the answer to `initialize`.
const MAX_FIRST_DELAY: Duration = Duration::from_secs(1);

/// The longest that an upstream can keep us from asking whether it is there.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// A session that is lost while nobody needs it is opened anew within this time.
const REOPEN_SPREAD: Duration = Duration::from_secs(4);

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
    /// No session, and nobody has asked for one since the last attempt ended.
    Idle,
    /// An opening is under way.
    Opening(Option<Tried>),
    Ready(Arc<Live>),
    /// The last opening ended with a failure that waiting cannot mend.
    Failed(Failure),
}

/// What an opening has come to so far.
#[derive(Clone)]
pub struct Tried {
    /// Why the latest attempt failed.
    pub failure: Failure,
    /// How many attempts have failed.
    pub attempts: u32,
}

/// What has to be said again in a new session.
#[derive(Default)]
struct Memory {
    /// Counts the handshakes, so that an opening notices when the client has begun anew.
    epoch: u64,
    handshake: Option<Handshake>,
    level: Option<Request>,
    /// By the URI of the resource.
    subscriptions: BTreeMap<String, Request>,
}

#[derive(Clone)]
struct Handshake {
    initialize: Request,
    /// `notifications/initialized`, once the client has sent it.
    initialized: Option<Message>,
    /// Made by us for a client that sent a request without a handshake.
    is_ours: bool,
    /// The capabilities that the client was told of; `None` until it has an answer.
    told: Option<Capabilities>,
}

/// What of an `initialize` result decides which changes a client may be told of.
#[derive(Debug, Default, Clone, Deserialize)]
struct Capabilities {
    tools: Option<Changes>,
    prompts: Option<Changes>,
    resources: Option<Changes>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changes {
    #[serde(default)]
    list_changed: bool,
}

/// The link to one upstream.
pub struct Link {
    upstream: Box<dyn Upstream>,
    client: Client,
    policy: Policy,
    state: watch::Sender<State>,
    memory: Mutex<Memory>,
    /// Notified when a request begins to wait for a session.
    wanted: Notify,
    /// A session that exists upstream and is not [`State::Ready`] yet.
    being_set_up: Mutex<Option<Arc<dyn Session>>>,
}

impl Link {
    /// A link that has not been opened.
    pub fn new(upstream: Box<dyn Upstream>, client: Client, policy: Policy) -> Arc<Self> {
        let state = watch::Sender::new(State::Idle);
        Arc::new(Self {
            upstream,
            client,
            policy,
            state,
            memory: Mutex::default(),
            wanted: Notify::new(),
            being_set_up: Mutex::default(),
        })
    }

    /// Opens the link with the client's `initialize` and waits for the answer, at most for
    /// `patience`: after that the client gets an answer of ours, and the opening goes on.
    ///
    /// # Errors
    /// The upstream refuses in a way that waiting cannot mend.
    pub async fn initialize(
        self: &Arc<Self>,
        initialize: Request,
        patience: Duration,
    ) -> Result<Response, Failure> {
        let handshake = Handshake {
            initialize: initialize.clone(),
            initialized: None,
            is_ours: false,
            told: None,
        };
        let epoch = {
            let mut memory = self.memory();
            let epoch = memory.epoch + 1;
            *memory = Memory { epoch, handshake: Some(handshake), ..Memory::default() };
            epoch
        };
        // A client that starts over gets a session of its own.
        if let State::Ready(live) = self.state.send_replace(State::Opening(None)) {
            tokio::spawn(async move { live.session.close().await });
        }
        tokio::spawn(self.clone().open(epoch));
        let live = tokio::time::timeout(patience, self.live()).await;
        let response = match (live, self.current()) {
            (Ok(live), _) => live?.response.clone(),
            (Err(_), Some(live)) => live.response.clone(),
            (Err(_), None) => {
                tracing::warn!("the upstream is not there yet; initialize is answered without it");
                answer_without_upstream(&initialize.message)
            }
        };
        if let Some(handshake) = &mut self.memory().handshake {
            handshake.told = Some(capabilities(&response));
        }
        Ok(response)
    }

    /// Takes the client's `notifications/initialized` and passes it on as soon as there is a
    /// session.
    pub async fn initialized(&self, message: Message) {
        if let Some(handshake) = &mut self.memory().handshake {
            handshake.initialized = Some(message);
        }
        let ready = match &*self.state.borrow() {
            State::Ready(live) => Some(live.clone()),
            _ => None,
        };
        if let Some(live) = ready {
            self.complete_handshake(&live).await;
        }
    }

    /// Makes the handshake on behalf of a client that has not begun with one, such as a person
    /// who pipes a single request from a shell.
    pub fn ensure_handshake(&self, id: RequestId) {
        let mut memory = self.memory();
        if memory.handshake.is_some() {
            return;
        }
        tracing::debug!("the client sent no initialize; making the handshake on its behalf");
        let params = format!(
            r#"{{"protocolVersion":"{OWN_REVISION}","capabilities":{{}},"clientInfo":{{"name":"mcpline","version":"{}"}}}}"#,
            env!("CARGO_PKG_VERSION")
        );
        let initialize = Message::request(id.clone(), "initialize", &params);
        memory.handshake = Some(Handshake {
            initialize: Request::new(initialize, id),
            initialized: Some(Message::notification("notifications/initialized", "{}")),
            is_ours: true,
            told: None,
        });
    }

    /// The open session; opens one when there is none. Waits without a bound of its own.
    ///
    /// # Errors
    /// The upstream refuses in a way that waiting cannot mend.
    pub async fn live(self: &Arc<Self>) -> Result<Arc<Live>, Failure> {
        let mut state = self.state.subscribe();
        let starts = self.state.send_if_modified(|state| {
            let idle = matches!(state, State::Idle | State::Failed(_));
            if idle {
                *state = State::Opening(None);
            }
            idle
        });
        if starts {
            let epoch = self.memory().epoch;
            tokio::spawn(self.clone().open(epoch));
        } else {
            self.wanted.notify_waiters();
        }
        loop {
            match &*state.borrow_and_update() {
                State::Ready(live) => return Ok(live.clone()),
                State::Failed(failure) => return Err(failure.clone()),
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

    /// Whether the kind knows that doing `message` twice does no more than doing it once.
    pub fn knows_repeatable(&self, message: &Message) -> bool {
        self.upstream.is_repeatable(message)
    }

    /// What the opening under way has come to.
    pub fn tried(&self) -> Option<Tried> {
        match &*self.state.borrow() {
            State::Opening(tried) => tried.clone(),
            _ => None,
        }
    }

    /// Notes that the upstream does not know `live` any more, and opens a new session. Calls for
    /// a session that has been replaced already do nothing.
    pub fn lost(self: &Arc<Self>, live: &Arc<Live>) {
        live.session.ended().cancel();
        let starts = self.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Ready(current) if Arc::ptr_eq(current, live));
            if is_current {
                *state = State::Opening(None);
            }
            is_current
        });
        if starts {
            tracing::info!("the session is lost; opening a new one");
            let epoch = self.memory().epoch;
            tokio::spawn(self.clone().open(epoch));
        }
    }

    /// Remembers what a successful request has set in the session.
    pub fn remember(&self, request: &Request) {
        let mut memory = self.memory();
        let uri = || request.message.read_params().map(|Resource { uri }| uri);
        match request.message.method() {
            "logging/setLevel" => memory.level = Some(request.clone()),
            "resources/subscribe" => {
                if let Some(uri) = uri() {
                    memory.subscriptions.insert(uri, request.clone());
                }
            }
            "resources/unsubscribe" => {
                if let Some(uri) = uri() {
                    memory.subscriptions.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// Tells the client what may have changed while nobody was listening, within what it was told
    /// to expect.
    pub async fn announce_changes(&self) {
        for message in self.possible_changes() {
            self.client.notify(message).await;
        }
    }

    /// Ends the session, for at most `patience`.
    pub async fn close(&self, patience: Duration) {
        // Taken out first: a closed session must not look like a lost one.
        let session = match self.state.send_replace(State::Idle) {
            State::Ready(live) => Some(live.session.clone()),
            _ => lock(&self.being_set_up).take(),
        };
        if let Some(session) = session {
            let _ = tokio::time::timeout(patience, session.close()).await;
        }
    }

    /// Opens a session, trying until it succeeds, is refused for good, or the client begins anew.
    async fn open(self: Arc<Self>, epoch: u64) {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        while let Some(handshake) = self.handshake_of(epoch) {
            let opened = self.upstream.open(&handshake.initialize, &self.client).await;
            let failure = match opened {
                Ok(opened) => return self.opened(opened, epoch).await,
                Err(failure) => failure,
            };
            if self.handshake_of(epoch).is_none() {
                return;
            }
            if !self.policy.allows(&failure, is_safe("initialize")) {
                tracing::info!("no session: {}", failure.summary());
                self.state.send_replace(State::Failed(failure));
                return;
            }
            attempts += 1;
            let asked_to_wait = failure.wait_after(attempts).min(MAX_RETRY_AFTER);
            let mut delay = backoff.next_delay_after(asked_to_wait);
            // The client waits for its first answer, and not for long.
            if handshake.told.is_none() && !handshake.is_ours {
                delay = delay.min(asked_to_wait + MAX_FIRST_DELAY);
            }
            let (why, seconds) = (failure.summary(), delay.as_secs_f64());
            if attempts == 1 {
                tracing::warn!("no session yet: {why}; trying again");
            } else {
                tracing::info!(
                    "no session after {attempts} attempts: {why}; next in {seconds:.1} s"
                );
            }
            self.state.send_replace(State::Opening(Some(Tried { failure, attempts })));
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // Somebody new is waiting, who must not wait out a delay that grew for others.
                () = self.wanted.notified(), if asked_to_wait.is_zero() => {
                    backoff = Backoff::default();
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    async fn opened(self: Arc<Self>, opened: Opened, epoch: u64) {
        let Opened { session, response } = opened;
        let live = Arc::new(Live { session, response, initialized: Mutex::new(false) });
        *lock(&self.being_set_up) = Some(live.session.clone());
        self.complete_handshake(&live).await;
        // Nothing, in a client's first session.
        self.restore(&live).await;
        let Some(handshake) = self.handshake_of(epoch) else {
            return live.session.close().await;
        };
        self.state.send_replace(State::Ready(live.clone()));
        *lock(&self.being_set_up) = None;
        tracing::info!("session open");
        // The client's `initialized` may have come while this session was being opened.
        self.complete_handshake(&live).await;
        if handshake.told.is_some() {
            self.announce_changes().await;
        }
        live.session.ended().cancelled().await;
        // Every desktop of this upstream may be here at this moment. Whoever needs a session now
        // finds this one gone, and does not wait.
        tokio::time::sleep(REOPEN_SPREAD.mul_f64(fastrand::f64())).await;
        self.lost(&live);
    }

    /// Sends `notifications/initialized` if the client has, once for each session.
    async fn complete_handshake(&self, live: &Live) {
        let Some(handshake) = self.memory().handshake.clone() else {
            return;
        };
        let Some(initialized) = handshake.initialized else {
            return;
        };
        if std::mem::replace(&mut *lock(&live.initialized), true) {
            return;
        }
        let sending = tokio::time::timeout(INITIALIZED_PATIENCE, async {
            let mut backoff = Backoff::default();
            // Sending it twice does no harm.
            while let Err(failure) = live.session.send(&initialized).await {
                tracing::debug!("initialized was not taken: {}", failure.summary());
                if matches!(failure.class, Class::Final | Class::SessionLost) {
                    return;
                }
                tokio::time::sleep(backoff.next_delay()).await;
            }
        });
        if sending.await.is_err() {
            tracing::warn!("the upstream does not take notifications/initialized; going on");
        }
        // Nobody listens behind a single request from a shell.
        if !handshake.is_ours {
            live.session.listen();
        }
    }

    /// Sets in a new session what was set in the one before.
    async fn restore(&self, live: &Live) {
        let requests: Vec<_> = {
            let memory = self.memory();
            memory.level.iter().chain(memory.subscriptions.values()).cloned().collect()
        };
        for request in requests {
            if let Err(failure) = live.session.exchange(&request).await {
                let method = request.message.method();
                tracing::warn!("{method} could not be set again: {}", failure.summary());
            }
        }
    }

    fn possible_changes(&self) -> Vec<Message> {
        let memory = self.memory();
        let told = memory.handshake.as_ref().and_then(|handshake| handshake.told.as_ref());
        let Some(told) = told else { return Vec::new() };
        let lists = [
            (&told.tools, "notifications/tools/list_changed"),
            (&told.prompts, "notifications/prompts/list_changed"),
            (&told.resources, "notifications/resources/list_changed"),
        ];
        let lists = lists
            .into_iter()
            .filter(|(changes, _)| changes.as_ref().is_some_and(|changes| changes.list_changed))
            .map(|(_, method)| Message::notification(method, "{}"));
        let resources = memory.subscriptions.keys().map(|uri| {
            let params = to_json(&Resource { uri: uri.clone() });
            Message::notification("notifications/resources/updated", &params)
        });
        lists.chain(resources).collect()
    }

    /// The handshake that belongs to `epoch`; `None` once another has begun.
    fn handshake_of(&self, epoch: u64) -> Option<Handshake> {
        let memory = self.memory();
        memory.handshake.clone().filter(|_| memory.epoch == epoch)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

#[derive(Deserialize, Serialize)]
struct Resource {
    uri: String,
}

/// Every update of what these guard is a single assignment, so a panic elsewhere breaks nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn capabilities(response: &Response) -> Capabilities {
    #[derive(Deserialize)]
    struct InitializeResult {
        #[serde(default)]
        capabilities: Capabilities,
    }
    let result = response.result().map(|result| serde_json::from_slice::<InitializeResult>(result));
    result.and_then(Result::ok).map(|result| result.capabilities).unwrap_or_default()
}

/// The answer to `initialize` for an upstream that is not there yet. It promises what can be kept
/// whatever the upstream turns out to offer: each list is asked for again once it is there.
fn answer_without_upstream(initialize: &Message) -> Response {
    let version = asked_revision(initialize).unwrap_or(OWN_REVISION);
    let changes = r#"{"listChanged":true}"#;
    let result = format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{changes},"resources":{changes},"prompts":{changes}}},"serverInfo":{{"name":"mcpline","version":"{}"}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    Response::with_result(result.into())
}
