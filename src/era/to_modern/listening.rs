//! What a legacy client listens to, as one stream of a modern upstream: the lists that may change,
//! and the resources that it has subscribed to. The stream is opened again when the set changes, the
//! next one before the last one is given up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::identity::Identity;
use crate::background;
use crate::failure::{Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::mcp::{meta, method};
use crate::retry::Listening;
use crate::upstream::json::Object;
use crate::upstream::{Client, Pending, Request, Session, Sink, Stateless, local};

/// How long a subscription waits for the upstream to confirm it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lists that may change: the capability, its filter.
const LISTS: [(&str, &str); 3] = [
    ("tools", "toolsListChanged"),
    ("prompts", "promptsListChanged"),
    ("resources", "resourcesListChanged"),
];

/// What one session listens to.
pub(super) struct Listener {
    wire: Arc<dyn Session>,
    streams: Arc<Streams>,
    /// The parts of the filter for the lists that may change.
    lists: Vec<&'static str>,
    can_subscribe: bool,
    wanted: Mutex<BTreeSet<String>>,
    /// `params` without the filter.
    params: String,
    is_started: AtomicBool,
    current: Mutex<Option<AbortHandle>>,
    ended: Mutex<Option<CancellationToken>>,
}

/// Tells how the latest stream stands.
struct Streams {
    client: Client,
    /// The number of streams that have been acknowledged, or given up.
    acknowledged: watch::Sender<u64>,
    asked: Mutex<u64>,
}

impl Sink for Arc<Streams> {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        if message.method() == method::ACKNOWLEDGED {
            self.settle(number_of(&message));
            return Box::pin(std::future::ready(()));
        }
        if message.method() == method::CANCELLED {
            return Box::pin(std::future::ready(()));
        }
        let message = match untagged(local::params(&message)) {
            Some(params) => Message::notification(message.method(), &params),
            None => message,
        };
        Box::pin(async move { self.client.notify(message).await })
    }
}

impl Streams {
    fn settle(&self, number: u64) {
        self.acknowledged.send_modify(|settled| *settled = number.max(*settled));
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
        let capability = |name: &str| capabilities.get(name).and_then(Object::read);
        let has = |name: &str, member: &str| {
            capability(name).is_some_and(|one| one.get(member) == Some("true"))
        };
        let lists = LISTS.iter().filter(|(name, _)| has(name, "listChanged"));
        let streams = Arc::new(Streams {
            client: client.clone(),
            acknowledged: watch::Sender::new(0),
            asked: Mutex::default(),
        });
        Self {
            wire: modern.session(&client.through(streams.clone())),
            streams,
            lists: lists.map(|(_, filter)| *filter).collect(),
            can_subscribe: has("resources", "subscribe"),
            wanted: Mutex::default(),
            params: identity.added_to("{}", None),
            is_started: AtomicBool::new(false),
            current: Mutex::default(),
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

    /// Adds `uri` to what is listened to, or takes it out, and waits until the upstream knows.
    pub(super) async fn change(&self, uri: String, wants: bool) -> Result<Response, Failure> {
        if !self.can_subscribe {
            let method =
                if wants { method::RESOURCES_SUBSCRIBE } else { method::RESOURCES_UNSUBSCRIBE };
            return Ok(local::method_not_found(method));
        }
        let is_new = if wants { self.wanted().insert(uri) } else { self.wanted().remove(&uri) };
        if is_new {
            self.is_started.store(true, Ordering::Relaxed);
            let number = self.open();
            let mut acknowledged = self.streams.acknowledged.subscribe();
            let known = acknowledged.wait_for(|settled| *settled >= number);
            if tokio::time::timeout(PATIENCE, known).await.is_err() {
                tracing::warn!("the upstream has not confirmed a subscription; going on");
            }
        }
        Ok(local::result("{}"))
    }

    /// Opens a stream for what is wanted now, which replaces the one before once it is open. Returns
    /// its number.
    fn open(&self) -> u64 {
        let number = {
            let mut asked = self.streams.asked.lock().unwrap_or_else(PoisonError::into_inner);
            *asked += 1;
            *asked
        };
        let before = self.current().take();
        let uris = self.wanted().clone();
        if self.lists.is_empty() && uris.is_empty() {
            if let Some(before) = before {
                before.abort();
            }
            self.streams.settle(number);
            return number;
        }
        let mut filter = Object::default();
        for list in &self.lists {
            filter.set(list, "true".to_owned());
        }
        if !uris.is_empty() {
            filter.set("resourceSubscriptions", to_json(&uris));
        }
        let mut params = Object::read(&self.params).unwrap_or_default();
        params.set("notifications", filter.text());
        let params = params.text();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (wire, streams) = (self.wire.clone(), self.streams.clone());
        if let Some(before) = before {
            let mut acknowledged = self.streams.acknowledged.subscribe();
            background::spawn(async move {
                let known = acknowledged.wait_for(|settled| *settled >= number);
                let _ = tokio::time::timeout(PATIENCE, known).await;
                before.abort();
            });
        }
        let task = background::spawn(async move {
            let keeping = keep(wire, streams, number, params);
            match ended {
                Some(ended) => ended.run_until_cancelled(keeping).await.unwrap_or_default(),
                None => keeping.await,
            }
        });
        *self.current() = Some(task.abort_handle());
        number
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(current) = self.current().take() {
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
                break;
            }
            Err(failure) if failure.class() == Class::Final => {
                tracing::warn!("nothing is heard of changes: {}", failure.summary());
                break;
            }
            Err(failure) => listening.after_refusal(&failure),
        };
        tokio::time::sleep(delay).await;
    }
    streams.settle(number);
}

fn id_of(number: u64) -> RequestId {
    RequestId::of_ours_for("listen", number)
}

/// The number of the stream that `message` acknowledges.
fn number_of(message: &Message) -> u64 {
    let params = Object::read(local::params(message));
    let id = params.as_ref().and_then(|params| Object::read(params.get("_meta")?));
    let id = id.and_then(|meta| meta.string(meta::SUBSCRIPTION_ID));
    id.and_then(|id| id.strip_prefix("mcpline-listen-")?.parse().ok()).unwrap_or(u64::MAX)
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
