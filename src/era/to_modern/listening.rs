//! What a legacy client listens to, as one stream of a modern upstream: the lists that may change,
//! and the resources that it has subscribed to. The stream is opened again when the set changes, and
//! the last one is given up once the upstream has taken the next one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::identity::Identity;
use super::results;
use crate::background;
use crate::era::answered;
use crate::era::offered::Offered;
use crate::failure::{Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::mcp::{code, meta, method};
use crate::retry::Listening;
use crate::upstream::json::Object;
use crate::upstream::{Client, Pending, Request, Session, Sink, Stateless, local};

/// How long a subscription waits for the upstream to confirm it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one session listens to.
pub(super) struct Listener {
    wire: Arc<dyn Session>,
    streams: Arc<Streams>,
    offered: Offered,
    /// `params` without the filter.
    params: String,
    is_started: AtomicBool,
    /// Held while the set changes: the next change begins with what the upstream has taken.
    turn: Arc<tokio::sync::Mutex<()>>,
    ended: Mutex<Option<CancellationToken>>,
}

/// The streams of one session.
struct Streams {
    client: Client,
    standing: Mutex<Standing>,
    settled: watch::Sender<Settled>,
    /// Whether anything has come but acknowledgements. A gap in what carried nothing is no news.
    has_spoken: AtomicBool,
}

/// What is listened to.
#[derive(Default)]
struct Standing {
    /// The number of the latest stream.
    asked: u64,
    wanted: BTreeSet<String>,
    current: Option<AbortHandle>,
    is_over: bool,
}

/// What the upstream has said to the streams.
#[derive(Default)]
struct Settled {
    /// The latest stream that it has acknowledged.
    acknowledged: u64,
    /// The resources that it has agreed to tell of there, where it says which.
    granted: Option<BTreeSet<String>>,
    /// The latest one that it has refused for good, and how.
    refused: Option<(u64, Refusal)>,
}

/// The upstream's answer to a stream that it refuses: never a result.
type Refusal = Result<Response, Failure>;

impl Settled {
    fn outcome(&self, number: u64) -> Option<Result<(), Refusal>> {
        if self.acknowledged >= number {
            return Some(Ok(()));
        }
        let refused = self.refused.as_ref().filter(|(refused, _)| *refused == number);
        refused.map(|(_, refusal)| Err(refusal.clone()))
    }
}

impl Sink for Arc<Streams> {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        if message.method() == method::ACKNOWLEDGED {
            let is_again = self.acknowledge(&message);
            if is_again && self.has_spoken.load(Ordering::Relaxed) {
                self.client.note_gap();
            }
            return Box::pin(std::future::ready(()));
        }
        if message.method() == method::CANCELLED {
            return Box::pin(std::future::ready(()));
        }
        self.has_spoken.store(true, Ordering::Relaxed);
        let message = match untagged(local::params(&message)) {
            Some(params) => Message::notification(message.method(), &params),
            None => message,
        };
        Box::pin(async move { self.client.notify(message).await })
    }
}

impl Streams {
    /// Takes note that the upstream has acknowledged a stream: the latest, where `message` does not say
    /// which. Returns whether it has done so before, and there was a gap.
    fn acknowledge(&self, message: &Message) -> bool {
        let number = number_of(message).unwrap_or_else(|| self.standing().asked);
        let mut is_again = false;
        self.settled.send_modify(|settled| {
            is_again = number == settled.acknowledged;
            if number > settled.acknowledged {
                settled.acknowledged = number;
                settled.granted = granted_in(message);
            }
        });
        is_again
    }

    fn refuse(&self, number: u64, refusal: Refusal) {
        self.settled.send_modify(|settled| {
            if settled.refused.as_ref().is_none_or(|(latest, _)| *latest < number) {
                settled.refused = Some((number, refusal));
            }
        });
    }

    /// Waits until the upstream has taken the stream `number`, or refused it. One that stays silent
    /// may take it yet.
    async fn outcome(&self, number: u64) -> Result<(), Refusal> {
        let mut settled = self.settled.subscribe();
        let known = settled.wait_for(|settled| settled.outcome(number).is_some());
        let Ok(known) = tokio::time::timeout(PATIENCE, known).await else {
            tracing::warn!("the upstream has not confirmed a subscription; going on");
            return Ok(());
        };
        known.ok().and_then(|settled| settled.outcome(number)).unwrap_or(Ok(()))
    }

    /// Whether the upstream has acknowledged the stream `number`, the latest, without `uri`.
    fn leaves_out(&self, number: u64, uri: &str) -> bool {
        let wanted = self.standing().wanted.len();
        let settled = self.settled.borrow();
        let granted = settled.granted.as_ref().filter(|_| settled.acknowledged == number);
        // A server that names as many in another spelling means the same ones.
        granted.is_some_and(|granted| !granted.contains(uri) && granted.len() < wanted)
    }

    /// Every update leaves it complete, so a panic elsewhere breaks nothing.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Adds `uri` or takes it out. Returns whether that changes anything.
    fn want(&mut self, uri: &str, wants: bool) -> bool {
        if wants { self.wanted.insert(uri.to_owned()) } else { self.wanted.remove(uri) }
    }
}

impl Listener {
    /// Listens for `client`, which `identity` describes, to a server with these `capabilities`.
    pub(super) fn new(
        modern: &Stateless,
        client: &Client,
        identity: &Identity,
        capabilities: &Object<'_>,
    ) -> Self {
        let streams = Arc::new(Streams {
            client: client.clone(),
            standing: Mutex::default(),
            settled: watch::Sender::default(),
            has_spoken: AtomicBool::new(false),
        });
        Self {
            wire: modern.session(&client.through(streams.clone())),
            streams,
            offered: Offered::of(capabilities),
            params: identity.added_to("{}", None),
            is_started: AtomicBool::new(false),
            turn: Arc::default(),
            ended: Mutex::default(),
        }
    }

    /// Begins to listen, until `ended`.
    pub(super) fn start(&self, ended: &CancellationToken) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended.clone());
        if !self.is_started.swap(true, Ordering::Relaxed) {
            self.open();
        }
    }

    /// Adds `uri` to what is listened to, or takes it out, and waits until the upstream knows. Where
    /// it refuses, everything stays as it was, and its refusal is the answer.
    pub(super) async fn change(&self, uri: String, wants: bool) -> Result<Response, Failure> {
        let method =
            if wants { method::RESOURCES_SUBSCRIBE } else { method::RESOURCES_UNSUBSCRIBE };
        if !self.offered.has_subscriptions {
            return Ok(local::method_not_found(method));
        }
        let turn = self.turn.clone().lock_owned().await;
        if !self.streams.standing().want(&uri, wants) {
            return Ok(local::result("{}"));
        }
        self.is_started.store(true, Ordering::Relaxed);
        let before = self.streams.standing().current.take();
        let number = self.open();
        let streams = self.streams.clone();
        // A client that takes its request back must not leave two streams behind, or none.
        let settling = tokio::spawn(async move {
            let _turn = turn;
            let outcome = match number {
                Some(number) => match streams.outcome(number).await {
                    Ok(()) if wants && streams.leaves_out(number, &uri) => {
                        Err(Ok(not_told_of(&uri)))
                    }
                    outcome => outcome,
                },
                None => Ok(()),
            };
            let mut standing = streams.standing();
            let unwanted = if outcome.is_err() && !standing.is_over {
                standing.want(&uri, !wants);
                std::mem::replace(&mut standing.current, before)
            } else {
                before
            };
            if let Some(unwanted) = unwanted {
                unwanted.abort();
            }
            outcome
        });
        match settling.await {
            Ok(Err(refusal)) => Ok(results::response(method, answered(refusal)?)),
            _ => Ok(local::result("{}")),
        }
    }

    /// Opens a stream for what is wanted now and returns its number; none where nothing is wanted.
    fn open(&self) -> Option<u64> {
        let mut standing = self.streams.standing();
        if self.offered.lists.is_empty() && standing.wanted.is_empty() {
            return None;
        }
        standing.asked += 1;
        let number = standing.asked;
        let mut filter = Object::default();
        for list in &self.offered.lists {
            filter.set(list.filter, "true".to_owned());
        }
        if !standing.wanted.is_empty() {
            filter.set(method::RESOURCE_FILTER, to_json(&standing.wanted));
        }
        let mut params = Object::read(&self.params).unwrap_or_default();
        params.set("notifications", filter.text());
        let params = params.text();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (wire, streams) = (self.wire.clone(), self.streams.clone());
        let task = background::spawn(async move {
            let keeping = keep(wire, streams, number, params);
            match ended {
                Some(ended) => ended.run_until_cancelled(keeping).await.unwrap_or_default(),
                None => keeping.await,
            }
        });
        standing.current = Some(task.abort_handle());
        Some(number)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut standing = self.streams.standing();
        standing.is_over = true;
        if let Some(current) = standing.current.take() {
            current.abort();
        }
    }
}

/// Keeps the stream `number` open, until the upstream refuses it for good.
async fn keep(wire: Arc<dyn Session>, streams: Arc<Streams>, number: u64, params: String) {
    let id = id_of(number);
    let mut listening = Listening::default();
    loop {
        let opened = tokio::time::Instant::now();
        let ask = Message::request(id.clone(), method::LISTEN, &params);
        let delay = match wire.exchange(&Request::new(ask, id.clone())).await {
            // The server has ended it in good order, as servers do before they restart.
            Ok(response) if response.result().is_some() => {
                listening.after_end(opened.elapsed(), false, None)
            }
            Ok(response) => {
                let error = response.error().map(local::text).unwrap_or_default();
                tracing::warn!("the upstream refuses to tell of changes: {error}");
                return streams.refuse(number, Ok(response));
            }
            Err(failure) if failure.class() == Class::Final => {
                tracing::warn!("nothing is heard of changes: {}", failure.summary());
                return streams.refuse(number, Err(failure));
            }
            Err(failure) => listening.after_refusal(&failure),
        };
        tokio::time::sleep(delay).await;
    }
}

fn id_of(number: u64) -> RequestId {
    RequestId::of_ours_for("listen", number)
}

/// The refusal of a resource that is left out of what the upstream acknowledges.
fn not_told_of(uri: &str) -> Response {
    local::error(code::INVALID_PARAMS, &format!("The server does not tell of changes of {uri}"))
}

/// The resources that `message` acknowledges; `None` where it does not say.
fn granted_in(message: &Message) -> Option<BTreeSet<String>> {
    let params = Object::read(local::params(message))?;
    let granted = Object::read(params.get("notifications")?)?;
    serde_json::from_str(granted.get(method::RESOURCE_FILTER).unwrap_or("[]")).ok()
}

/// The number of the stream that `message` acknowledges.
fn number_of(message: &Message) -> Option<u64> {
    let params = Object::read(local::params(message));
    let id = params.as_ref().and_then(|params| Object::read(params.get("_meta")?));
    let id = id.and_then(|meta| meta.string(meta::SUBSCRIPTION_ID));
    id?.strip_prefix("mcpline-listen-")?.parse().ok()
}

/// `params` without the id of our stream; `None` where it is not there.
fn untagged(params: &str) -> Option<String> {
    let mut params = Object::read(params)?;
    let mut meta = Object::read(params.get("_meta")?)?;
    meta.get(meta::SUBSCRIPTION_ID)?;
    meta.remove(meta::SUBSCRIPTION_ID);
    let (is_empty, meta) = (meta.is_empty(), meta.text());
    if is_empty {
        params.remove("_meta");
    } else {
        params.set("_meta", meta);
    }
    params.changed()
}
