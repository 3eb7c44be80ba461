//! The client as the upstream side sees it: a sink for what the upstream sends unasked.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Pending, Session};
use crate::jsonrpc::{ErrorObject, INTERNAL_ERROR, Kind, Message, RequestId};
use crate::mcp::{ProgressParams, method};

/// Takes requests and notifications for the client.
pub trait Sink: Send + Sync {
    /// Takes `message`, waiting while the client is behind: so a flood slows the upstream down
    /// instead of filling memory.
    fn put(&self, message: Message) -> Pending<'_, ()>;

    /// As [`Sink::put`], for a message in the answer to the request that travels with the id
    /// `during`, or on a stream that belongs to no request.
    fn put_during<'a>(
        &'a self,
        message: Message,
        _during: Option<&'a RequestId>,
    ) -> Pending<'a, ()> {
        self.put(message)
    }
}

/// Delivers what an upstream sends of its own accord; replies go another way, because each of
/// them belongs to a request. Clones deliver to the same client.
#[derive(Clone)]
pub struct Client {
    sink: Arc<dyn Sink>,
    gap: Arc<Notify>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Asked>,
    /// The tokens of the requests in flight that asked for progress.
    progress: Mutex<Vec<RequestId>>,
    /// Whether a malformed message has been warned of: heartbeats come for ever.
    has_warned: AtomicBool,
    /// Whether what the upstream sends may be something that is not quite JSON.
    is_careless: AtomicBool,
}

/// A request in flight that asked for progress. Progress for its token reaches the client until
/// this is dropped.
pub struct ProgressToken {
    client: Client,
    token: RequestId,
}

impl fmt::Debug for ProgressToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.token, formatter)
    }
}

impl Drop for ProgressToken {
    fn drop(&mut self) {
        let mut tokens = self.client.progress();
        if let Some(at) = tokens.iter().position(|token| *token == self.token) {
            tokens.swap_remove(at);
        }
    }
}

/// Open requests of the upstream that are kept in mind: more than any client will be asked, and a
/// bound on what an upstream can make us keep.
const MAX_ASKED: usize = 1024;

/// The upstream's requests that the client has not answered.
#[derive(Default)]
struct Asked {
    /// Oldest first.
    questions: VecDeque<Question>,
    /// Set once the client cannot answer any more.
    input_closed: bool,
}

/// A request of the upstream. In each session upstreams number them from the start, so the answer
/// must go to the session that asked, or nowhere.
struct Question {
    id: RequestId,
    asked_by: Arc<dyn Session>,
}

impl Client {
    /// From now on what the upstream sends is read even if it is not quite JSON.
    pub(super) fn note_careless_upstream(&self) {
        self.shared.is_careless.store(true, Ordering::Relaxed);
    }

    /// Whether the upstream is known to write what is not quite JSON.
    pub(super) fn has_careless_upstream(&self) -> bool {
        self.shared.is_careless.load(Ordering::Relaxed)
    }

    /// The client behind `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self { sink: Arc::new(sink), gap: Arc::default(), shared: Arc::default() }
    }

    /// The same client for an upstream whose messages and gaps go through `sink` first.
    pub(crate) fn through(&self, sink: impl Sink + 'static) -> Self {
        Self { sink: Arc::new(sink), gap: Arc::default(), shared: self.shared.clone() }
    }

    /// Delivers a request or notification that has come in `session`, in the answer to the request
    /// `during` if it came in one, waiting while the client is behind.
    ///
    /// Returns the refusal to send back when the message asks something of a client that has
    /// closed its input and so can never answer.
    pub async fn deliver(
        &self,
        message: Message,
        session: &Arc<dyn Session>,
        during: Option<&RequestId>,
    ) -> Option<Message> {
        if let Kind::Request(id) = message.kind() {
            let mut asked = self.asked();
            if asked.input_closed {
                return Some(refusal(id, CLOSED));
            }
            if asked.questions.len() == MAX_ASKED {
                asked.questions.pop_front();
            }
            asked.questions.push_back(Question { id: id.clone(), asked_by: session.clone() });
        }
        self.sink.put_during(message, during).await;
        None
    }

    /// Lets progress for `token` through as long as the request is in flight.
    pub fn expect_progress(&self, token: RequestId) -> ProgressToken {
        self.progress().push(token.clone());
        ProgressToken { client: self.clone(), token }
    }

    fn progress(&self) -> MutexGuard<'_, Vec<RequestId>> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `message` is progress that no request in flight has asked for.
    pub fn is_stray_progress(&self, message: &Message) -> bool {
        if message.method() != method::PROGRESS {
            return false;
        }
        let token = message.read_params();
        let token =
            token.and_then(|ProgressParams { progress_token }| RequestId::from_raw(progress_token));
        token.is_none_or(|token| !self.progress().iter().any(|known| known.matches(&token)))
    }

    /// Warns of a malformed message, once; some servers send their heartbeats as such.
    pub fn warn_of_malformed(&self, why: &str) {
        if self.shared.has_warned.swap(true, Ordering::Relaxed) {
            tracing::debug!("an event from the upstream is ignored: {why}");
        } else {
            tracing::warn!("an event from the upstream is ignored, as later ones will be: {why}");
        }
    }

    /// Delivers a notification of ours, or of a session.
    pub async fn notify(&self, message: Message) {
        self.sink.put(message).await;
    }

    /// Delivers a notification in the answer to the request `during`, if it came in one.
    pub(crate) async fn notify_during(&self, message: Message, during: Option<&RequestId>) {
        self.sink.put_during(message, during).await;
    }

    /// Notes that the client has answered the upstream's request `id`, and returns the session
    /// that asked; `None` when no session has.
    pub fn answered(&self, id: &RequestId) -> Option<Arc<dyn Session>> {
        let mut asked = self.asked();
        let at = asked.questions.iter().position(|question| question.id.matches(id))?;
        asked.questions.remove(at).map(|question| question.asked_by)
    }

    /// Notes that the client can answer nothing any more. Returns the refusals of what it was
    /// asked: without them the upstream would wait, and so would the calls that asked.
    pub fn close_input(&self) -> Vec<(Message, Arc<dyn Session>)> {
        let mut asked = self.asked();
        asked.input_closed = true;
        let refused = |question: Question| (refusal(&question.id, CLOSED), question.asked_by);
        asked.questions.drain(..).map(refused).collect()
    }

    /// Tells that notifications of the upstream may have been lost.
    pub fn note_gap(&self) {
        self.gap.notify_one();
    }

    /// Waits for [`Client::note_gap`]. Cancel safe.
    pub async fn gap(&self) {
        self.gap.notified().await;
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CLOSED: &str = "the client has closed its input and cannot answer";

/// The response that refuses the upstream's request `id`.
pub(crate) fn refusal(id: &RequestId, why: &str) -> Message {
    Message::refusal(id, &ErrorObject::new(INTERNAL_ERROR, why))
}
