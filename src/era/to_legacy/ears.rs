//! What a legacy upstream sends of its own accord, and where it goes for a modern client.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::exchange::Call;
use super::listening::Subscription;
use super::logs;
use super::question::{Question, say};
use super::requests::Capabilities;
use super::table::{self, FromUpstream};
use crate::jsonrpc::{ErrorObject, Kind, METHOD_NOT_FOUND, Message, RequestId};
use crate::mcp::{CancelledParams, method};
use crate::upstream::json::Object;
use crate::upstream::{Client, Pending, Session, Sink, local};

/// Questions that belong to no call in flight, and wait for the next one.
const MAX_UNCLAIMED: usize = 16;

/// Calls that have ended and are known by two ids.
const MAX_RENAMED: usize = 64;

/// What one session hears, and whom it concerns.
pub(super) struct Ears {
    client: Client,
    /// What the session was opened for.
    pub(super) capabilities: Capabilities,
    calls: Mutex<Calls>,
    subscriptions: Mutex<Vec<Arc<Subscription>>>,
    /// The requests in flight that want log messages, and from which severity on.
    logs: Mutex<HashMap<RequestId, usize>>,
    /// Notified when a call has ended.
    ended: Notify,
}

/// The calls in flight, the oldest first, those that wait for answers among them.
#[derive(Default)]
struct Calls {
    open: Vec<Arc<Call>>,
    unclaimed: VecDeque<Question>,
    /// The latest calls that have ended and that the client knows by another id than the upstream does:
    /// the client's id first. One that was given up is cancelled afterwards.
    renamed: VecDeque<(RequestId, RequestId)>,
}

/// Takes what the upstream sends.
pub(super) struct Heard(pub(super) Arc<Ears>);

impl Sink for Heard {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        Box::pin(self.0.take(message, None))
    }

    fn put_during<'a>(
        &'a self,
        message: Message,
        during: Option<&'a RequestId>,
    ) -> Pending<'a, ()> {
        Box::pin(self.0.take(message, during))
    }
}

impl Ears {
    pub(super) fn new(client: &Client, capabilities: Capabilities) -> Self {
        Self {
            client: client.clone(),
            capabilities,
            calls: Mutex::default(),
            subscriptions: Mutex::default(),
            logs: Mutex::default(),
            ended: Notify::new(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, HashMap<RequestId, usize>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscriptions(&self) -> MutexGuard<'_, Vec<Arc<Subscription>>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a call, which may be asked from now on. Takes over the questions that no call has been
    /// open for and that its client can answer.
    pub(super) fn enter(&self, call: &Arc<Call>) {
        let mut calls = self.calls();
        let (own, others): (VecDeque<_>, _) =
            calls.unclaimed.drain(..).partition(|question| call.can_answer(question));
        calls.unclaimed = others;
        for question in own {
            call.ask(question);
        }
        calls.open.push(call.clone());
    }

    /// Takes a call out that has ended.
    pub(super) fn leave(&self, call: &Arc<Call>) {
        let mut calls = self.calls();
        calls.open.retain(|other| !Arc::ptr_eq(other, call));
        let (asked_as, known_as) = call.ids();
        if asked_as != known_as {
            if calls.renamed.len() == MAX_RENAMED {
                calls.renamed.pop_front();
            }
            calls.renamed.push_back((asked_as, known_as));
        }
        drop(calls);
        self.ended.notify_waiters();
    }

    /// Waits until no call is open.
    pub(super) async fn without_calls(&self) {
        loop {
            let ended = self.ended.notified();
            if self.calls().open.is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// The id by which the upstream knows the call that the client's request `id` belongs to.
    pub(super) fn known_as(&self, id: &RequestId) -> Option<RequestId> {
        let calls = self.calls();
        let open = calls.open.iter().map(|call| call.ids());
        let mut known = open.chain(calls.renamed.iter().rev().cloned());
        known.find(|(asked_as, _)| asked_as.matches(id)).map(|(_, known_as)| known_as)
    }

    async fn take(&self, message: Message, during: Option<&RequestId>) {
        let name = message.method();
        if let Kind::Request(id) = message.kind() {
            // Known, because it has been delivered.
            let Some(asker) = self.client.answered(id) else { return };
            return self.take_request(id.clone(), &message, asker, during);
        }
        match table::of_upstream(name, false) {
            FromUpstream::Change => self.tell_of_change(&message).await,
            FromUpstream::Log => {
                if self.is_log_wanted(&message, during) {
                    self.client.notify(message).await;
                }
            }
            FromUpstream::TakenBack => self.take_back(&message),
            FromUpstream::Progress => {
                if let Some(message) = self.progress(message, during) {
                    self.client.notify(message).await;
                }
            }
            FromUpstream::Passed => self.client.notify(message).await,
            FromUpstream::Pong | FromUpstream::Question | FromUpstream::Refused => {
                tracing::debug!(method = name, "the modern era has no such notification; dropped");
            }
        }
    }

    fn take_request(
        &self,
        id: RequestId,
        message: &Message,
        asker: Arc<dyn Session>,
        during: Option<&RequestId>,
    ) {
        let name = message.method();
        match table::of_upstream(name, true) {
            FromUpstream::Pong => say(asker, Message::answer(&id, "{}")),
            FromUpstream::Question => {
                let params = local::params(message).to_owned();
                let question = Question::new(name, params, Some((id, asker)));
                if let Some(refused) = self.assign(question, during) {
                    refused.refuse(METHOD_NOT_FOUND, "the client cannot answer this");
                }
            }
            _ => {
                let error = ErrorObject::new(METHOD_NOT_FOUND, format!("Method not found: {name}"));
                say(asker, Message::refusal(&id, &error));
            }
        }
    }

    /// Gives a question to the call in whose answer it came, else to one that has none, else to the
    /// next one. Returns it where no client can answer it.
    fn assign(&self, question: Question, during: Option<&RequestId>) -> Option<Question> {
        let mut calls = self.calls();
        let own = during.and_then(|id| calls.open.iter().find(|call| call.id() == *id));
        if let Some(own) = own {
            if !own.can_answer(&question) {
                return Some(question);
            }
            own.ask(question);
            return None;
        }
        let able = || calls.open.iter().filter(|call| call.can_answer(&question));
        let call = able().find(|call| !call.is_asked()).or_else(|| able().next()).cloned();
        match call {
            Some(call) => call.ask(question),
            None if !question.can_be_answered_by(&self.capabilities) => return Some(question),
            None if calls.unclaimed.len() == MAX_UNCLAIMED => return Some(question),
            None => calls.unclaimed.push_back(question),
        }
        None
    }

    /// Forgets a question that the upstream has taken back.
    fn take_back(&self, message: &Message) {
        let id = message.read_params().and_then(CancelledParams::id);
        let Some(id) = id else { return };
        let mut calls = self.calls();
        calls.unclaimed.retain(|question| !question.is(&id));
        calls.open.iter().for_each(|call| call.take_back(&id));
    }

    /// Progress as the client's latest request for a call asks for it; `None` where nobody does.
    fn progress(&self, message: Message, during: Option<&RequestId>) -> Option<Message> {
        let call = {
            let calls = self.calls();
            during.and_then(|id| calls.open.iter().find(|call| call.id() == *id).cloned())
        };
        let Some(call) = call else { return Some(message) };
        let params = call.progress(local::params(&message))?;
        Some(Message::notification(message.method(), &params))
    }

    /// Whether a request in flight wants the log message: that in whose answer it came, if it did.
    fn is_log_wanted(&self, message: &Message, during: Option<&RequestId>) -> bool {
        let severity = logs::severity_of(message);
        let call = {
            let calls = self.calls();
            during.and_then(|id| calls.open.iter().find(|call| call.id() == *id).cloned())
        };
        let waiting = match &call {
            Some(call) => call.waiting(),
            None => during.cloned(),
        };
        let logs = self.logs();
        match waiting.and_then(|id| logs.get(&id).copied()) {
            Some(least) => severity >= least,
            None if during.is_some() => false,
            None => logs.values().any(|least| severity >= *least),
        }
    }

    /// Tells every subscription that has asked for it of a change.
    async fn tell_of_change(&self, message: &Message) {
        let name = message.method();
        let uri = if name == method::RESOURCE_UPDATED { local::uri(message) } else { None };
        let concerned: Vec<_> = {
            let subscriptions = self.subscriptions();
            let concerned = subscriptions.iter().filter(|one| one.is_for(name, uri.as_deref()));
            concerned.cloned().collect()
        };
        for subscription in concerned {
            let params = Object::read(local::params(message)).unwrap_or_default();
            self.client.notify(subscription.tagged(name, params)).await;
        }
    }
}
