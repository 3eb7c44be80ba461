//! The conversation with the client: who may go when, who waits, who has been cancelled, and how
//! it ends.
//!
//! One loop owns all of this state. It takes what the client sends, starts a task for each request
//! and hears when one has finished; tasks answer by the [`reply::PendingReply`] that they own. The
//! loop itself never waits for the upstream or for the client to read.
//!
//! Order: `initialize` and `notifications/initialized` are barriers that nothing later overtakes.
//! Otherwise requests start in order, at most `max_in_flight` at once; notifications, responses
//! and cancellations never wait for a request, because a request may be waiting for them.

mod backlog;
mod reply;
mod request;

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::{self, AbortHandle, JoinSet};
use tokio::time::Sleep;
use tracing::Instrument;

use self::backlog::Backlog;
use self::reply::{Batch, Ending, PendingReply, Replies};
use self::request::Context;
use crate::client::{Client, refusal};
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{
    self, ErrorObject, Kind, METHOD_NOT_FOUND, Message, Parsed, Rejection, RequestId,
};
use crate::link::Link;
use crate::redact::Secrets;
use crate::repeat::Repeatable;
use crate::retry::Policy;
use crate::stdio::{Input, Stdin, Writer};
use crate::upstream::Request;

/// Requests that may wait for their turn; one more is refused at once.
const MAX_WAITING: usize = 16 * 1024;

/// Places beside those of other requests for `ping`.
const PLACES_FOR_PINGS: usize = 4;

/// Notifications that may wait to be passed on; one more is dropped.
const MAX_NOTICES: usize = 1024;

/// Time for the upstream to hear that the session is over, after the end of input.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The same when the process was told to stop, which must take less than half a second in all.
const STOP_PATIENCE: Duration = Duration::from_millis(300);

/// Time for a client that reads slowly to take the last lines after the end of input.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// What decides how the conversation is led.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The upstream's URL as it may be shown.
    pub url: String,
    /// What must never be shown.
    pub secrets: Arc<Secrets>,
    /// Requests sent to the upstream at once.
    pub max_in_flight: usize,
    /// The limit on a line, for the error that names it; in bytes.
    pub max_message: usize,
    /// Time after which `initialize` is answered without the upstream.
    pub start_timeout: Duration,
    /// Bound on a request as a whole.
    pub max_time: Option<Duration>,
    /// Time for what is in flight when the input ends.
    pub drain: Duration,
    /// What is tried again, and for how long.
    pub policy: Policy,
}

/// A conversation that has not begun.
pub struct Conversation {
    context: Arc<Context>,
    client: Client,
    replies: Arc<Replies>,
    tasks: JoinSet<()>,
    in_flight: HashMap<task::Id, InFlight>,
    /// The task that nothing may overtake.
    barrier: Option<task::Id>,
    /// What arrived behind a barrier.
    held: Backlog<Held>,
    /// Requests beyond `max_in_flight`.
    waiting: Backlog<Waiting>,
    /// Notifications that wait for the one before them, which `notice` is passing on.
    notices: VecDeque<Message>,
    notice: Option<task::Id>,
    has_handshake: bool,
    ids_given: u64,
}

/// A request that the upstream may be working on.
struct InFlight {
    id: RequestId,
    wire_id: RequestId,
    cancelled: Arc<AtomicBool>,
    was_sent: Arc<AtomicBool>,
    is_initialize: bool,
    task: AbortHandle,
}

/// A request that has not been started.
struct Waiting {
    message: Message,
    reply: PendingReply,
}

enum Held {
    Request(Waiting),
    Notification(Message),
}

/// What ends a conversation.
enum End {
    Input,
    Stop,
    ClientGone,
}

impl Conversation {
    /// A conversation between the client behind `writer` and the upstream behind `link`.
    pub fn new(settings: Settings, link: Arc<Link>, client: Client, writer: &Writer) -> Self {
        let replies = Replies::new(writer.outlet(), settings.url.clone(), settings.secrets.clone());
        Self {
            context: Arc::new(Context { link, settings, repeatable: Repeatable::default() }),
            client,
            replies,
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            barrier: None,
            held: Backlog::default(),
            waiting: Backlog::default(),
            notices: VecDeque::new(),
            notice: None,
            has_handshake: false,
            ids_given: 0,
        }
    }

    /// Leads the conversation until the input has ended and everything is answered, `stop` is
    /// ready, or the client is gone.
    pub async fn run(
        mut self,
        mut input: Stdin,
        writer: Writer,
        stop: impl Future<Output = ()> + Send + 'static,
        client_gone: impl Future<Output = ()> + Send + 'static,
    ) {
        // A task of its own: the loop turns three times for each request, and would ask each of
        // these every time.
        let gone = writer.gone().clone();
        let mut cut_short = tokio::spawn(async move {
            tokio::select! {
                () = stop => End::Stop,
                () = client_gone => End::ClientGone,
                () = gone.cancelled() => End::ClientGone,
            }
        });
        let announcer = tokio::spawn(announce_gaps(self.client.clone(), self.context.clone()));
        let outlet = writer.outlet();
        let mut drain = std::pin::pin!(None);
        let end = loop {
            if drain.is_some() && self.is_idle() {
                break End::Input;
            }
            tokio::select! {
                inputs = input.next(), if drain.is_none() && !outlet.is_overfull() => match inputs {
                    Some(inputs) => self.take_all(inputs),
                    None => {
                        tracing::debug!(in_flight = self.in_flight.len(), "end of input");
                        drain.set(Some(tokio::time::sleep(self.context.settings.drain)));
                        self.refuse_questions();
                    }
                },
                Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    let id = done.map_or_else(|error| error.id(), |(id, ())| id);
                    self.finished(id);
                }
                () = outlet.relieved(), if outlet.is_overfull() => {}
                Some(()) = elapsed(drain.as_mut()), if drain.is_some() => break End::Input,
                end = &mut cut_short => break end.unwrap_or(End::Stop),
            }
        };
        announcer.abort();
        match end {
            // Told to stop during the last lines: the patience for them is over.
            End::Input => tokio::select! {
                () = self.end(end, &writer) => {}
                _ = &mut cut_short => {}
            },
            end => self.end(end, &writer).await,
        }
    }

    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.held.is_empty() && self.waiting.is_empty()
    }

    /// Gives up what is left, and leaves nothing behind at the upstream.
    async fn end(mut self, end: End, writer: &Writer) {
        let (ending, flush, close) = match end {
            End::Input => (Ending::Drained, FLUSH_PATIENCE, CLOSE_PATIENCE),
            End::Stop => (Ending::Stopped, STOP_PATIENCE, STOP_PATIENCE),
            End::ClientGone => (Ending::Stopped, Duration::ZERO, STOP_PATIENCE),
        };
        let unanswered = self.in_flight.len() + self.waiting.len() + self.held.len();
        if unanswered > 0 {
            tracing::warn!(unanswered, "ending with requests in flight");
        }
        self.replies.end(ending);
        self.tasks.shutdown().await;
        let link = self.context.link.clone();
        // Dropping what was waiting answers it.
        drop(self);
        tokio::join!(writer.flush(flush), link.close(close));
    }

    fn take_all(&mut self, inputs: Vec<Input>) {
        for input in inputs {
            match input {
                Input::Line(line) => self.take_line(&line),
                Input::Oversized { head, tail, length } => {
                    self.take_oversized(jsonrpc::peek_oversized(&head, &tail), length);
                }
            }
        }
    }

    /// Takes what is known of a message that was too long to keep.
    fn take_oversized(&mut self, kind: Option<Kind>, length: u64) {
        let limit = self.context.settings.max_message;
        let what = format!(
            "the line has {length} bytes, more than the {limit} of `--max-message`, and was not \
             sent"
        );
        tracing::warn!("{what}");
        let id = match kind {
            // A notification is never answered.
            Some(Kind::Notification) => return,
            // The upstream waits for it.
            Some(Kind::Response(id)) => {
                if let Some(asker) = self.client.answered(&id) {
                    let refusal = refusal(&id, "the client's answer was too long to pass on");
                    self.tasks.spawn(request::answer_upstream(asker, refusal));
                }
                return;
            }
            Some(Kind::Request(id)) => Some(id),
            None => None,
        };
        let failure = Failure::new(Class::NotSent, Cause::TooLarge, what)
            .hint("Send less at once, or raise `--max-message`.");
        self.replies.reject(&self.replies.unsent(&failure), id.as_ref());
    }

    fn take_line(&mut self, line: &Bytes) {
        match jsonrpc::from_client(line) {
            Ok(Parsed::One(message)) => self.take(message, None),
            Ok(Parsed::Batch(members)) => self.take_batch(members),
            Err(Rejection { id, error, is_answered }) => {
                tracing::warn!("a line from the client is refused: {}", error.message);
                if is_answered {
                    self.replies.reject(&error, id.as_ref());
                }
            }
        }
    }

    fn take_batch(&mut self, members: Vec<Result<Message, Rejection>>) {
        let owed = |member: &&Result<Message, Rejection>| match member {
            Ok(message) => matches!(message.kind(), Kind::Request(_)),
            Err(rejection) => rejection.is_answered,
        };
        let batch = Batch::new(members.iter().filter(owed).count());
        for member in members {
            match member {
                Ok(message) => self.take(message, Some(&batch)),
                Err(Rejection { id, error, is_answered: true }) => {
                    batch.reject(&error, id.as_ref(), &self.replies);
                }
                Err(_) => tracing::warn!("a response without an id is ignored"),
            }
        }
    }

    /// Takes one message of the client.
    fn take(&mut self, message: Message, batch: Option<&Arc<Batch>>) {
        match message.kind() {
            Kind::Request(id) => {
                let reply = PendingReply::new(
                    id.clone(),
                    message.method(),
                    self.replies.clone(),
                    batch.cloned(),
                );
                self.take_request(Waiting { message, reply });
            }
            Kind::Response(id) => match self.client.answered(id) {
                Some(asker) => {
                    self.tasks.spawn(request::answer_upstream(asker, message));
                }
                None => tracing::debug!(%id, "an answer that nobody waits for is dropped"),
            },
            Kind::Notification if message.method() == "notifications/cancelled" => {
                self.cancel(&message);
            }
            Kind::Notification if self.barrier.is_some() => {
                self.hold_notification(message);
            }
            Kind::Notification => self.take_notification(message),
        }
    }

    fn take_request(&mut self, waiting: Waiting) {
        let size = waiting.message.text().len();
        if self.is_full(size) {
            let what = format!(
                "too many requests at once: {} with {} bytes are waiting already, so this one was \
                 not sent",
                self.held.len() + self.waiting.len(),
                self.held.bytes() + self.waiting.bytes(),
            );
            let failure = Failure::new(Class::NotSent, Cause::Busy, what)
                .hint("Send it again when some have been answered.");
            let error = self.replies.unsent(&failure);
            waiting.reply.fail_now(&error);
        } else if self.barrier.is_some() {
            self.held.push(size, Held::Request(waiting));
        } else if waiting.message.method() == "initialize" {
            self.start_initialize(waiting);
        } else if self.in_flight.len() < self.places_for(&waiting.message) {
            self.start(waiting);
        } else {
            self.waiting.push(size, waiting);
        }
    }

    /// Requests in flight beyond which `message` waits. A client that pings to see whether we live
    /// must not have to wait for the end of a long report.
    fn places_for(&self, message: &Message) -> usize {
        let places = self.context.settings.max_in_flight;
        if message.method() == "ping" { places + PLACES_FOR_PINGS } else { places }
    }

    /// Whether a message of `size` bytes finds no room among those that wait. One always does,
    /// and together they may hold as much memory as a single message may.
    fn is_full(&self, size: usize) -> bool {
        let count = self.held.len() + self.waiting.len();
        let bytes = self.held.bytes() + self.waiting.bytes();
        count >= MAX_WAITING || count > 0 && bytes + size > self.context.settings.max_message
    }

    fn hold_notification(&mut self, message: Message) {
        let size = message.text().len();
        if self.is_full(size) {
            tracing::warn!(method = message.method(), "too much is waiting; dropped");
        } else {
            self.held.push(size, Held::Notification(message));
        }
    }

    fn start_initialize(&mut self, waiting: Waiting) {
        self.has_handshake = true;
        let context = self.context.clone();
        self.barrier = Some(self.spawn(waiting, true, |request, reply, _| {
            request::initialize(context, request, reply)
        }));
    }

    fn start(&mut self, waiting: Waiting) {
        if !self.has_handshake {
            if waiting.message.method() == "server/discover" {
                // Clients of the modern era fall back to `initialize` on this.
                let why = "Method not found: server/discover; use initialize";
                return waiting.reply.fail_now(&ErrorObject::new(METHOD_NOT_FOUND, why));
            }
            self.has_handshake = true;
            let id = self.own_id();
            self.context.link.ensure_handshake(id);
        }
        let context = self.context.clone();
        self.spawn(waiting, false, |request, reply, was_sent| {
            request::answer(context, request, reply, was_sent)
        });
    }

    /// Starts the task for a request and enters it as in flight.
    fn spawn<F>(
        &mut self,
        Waiting { message, reply }: Waiting,
        is_initialize: bool,
        task: impl FnOnce(Request, PendingReply, Arc<AtomicBool>) -> F,
    ) -> task::Id
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = reply.id().clone();
        let is_taken = || {
            let mut others = self.in_flight.values();
            // A finished one may not have been removed yet.
            others.any(|other| other.wire_id == id && !other.task.is_finished())
        };
        let wire_id = if id.is_portable() && !is_taken() { id.clone() } else { self.own_id() };
        let cancelled = reply.cancelled();
        let was_sent = reply.was_sent();
        let span = tracing::info_span!("request", %id, method = message.method());
        let request = Request::new(message, wire_id.clone());
        // A large future, which a task would copy several times.
        let task = Box::pin(task(request, reply, was_sent.clone()));
        let task = self.tasks.spawn(task.instrument(span));
        let key = task.id();
        let entry = InFlight { id, wire_id, cancelled, was_sent, is_initialize, task };
        self.in_flight.insert(key, entry);
        key
    }

    fn own_id(&mut self) -> RequestId {
        self.ids_given += 1;
        RequestId::of_ours(self.ids_given)
    }

    fn take_notification(&mut self, message: Message) {
        if !self.has_handshake {
            // There is nobody to tell before there is a session, and this does not begin one.
            tracing::debug!(method = message.method(), "notification before initialize dropped");
        } else if message.method() == "notifications/initialized" {
            let context = self.context.clone();
            let task = self.tasks.spawn(async move { context.link.initialized(message).await });
            self.barrier = Some(task.id());
        } else if self.notices.len() < MAX_NOTICES {
            self.notices.push_back(message);
            self.pass_on_next_notice();
        } else {
            tracing::warn!(method = message.method(), "too many notifications waiting; dropped");
        }
    }

    fn pass_on_next_notice(&mut self) {
        if self.notice.is_none()
            && let Some(message) = self.notices.pop_front()
        {
            let task = self.tasks.spawn(request::pass_on(self.context.clone(), message));
            self.notice = Some(task.id());
        }
    }

    /// Acts on `notifications/cancelled` (Cancellation, "Behavior Requirements"): the request gets
    /// no reply from here on, and the upstream is told if it may know of the request.
    fn cancel(&mut self, message: &Message) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct CancelledParams<'a> {
            #[serde(borrow)]
            request_id: &'a RawValue,
            #[serde(borrow)]
            reason: Option<&'a RawValue>,
        }
        let Some(CancelledParams { request_id, reason }) = message.read_params() else {
            return;
        };
        let id = RequestId::from_json(Bytes::copy_from_slice(request_id.get().as_bytes()));
        let Some(id) = id else { return };
        if self.forget_unsent(&id) {
            return;
        }
        let Some(entry) = self
            .in_flight
            .values()
            .find(|entry| entry.id.matches(&id) && !entry.cancelled.load(Ordering::Relaxed))
        else {
            tracing::debug!(%id, "cancellation of an unknown request ignored");
            return;
        };
        if entry.is_initialize {
            tracing::debug!("initialize cannot be cancelled");
            return;
        }
        tracing::debug!(%id, "cancelled by the client");
        entry.cancelled.store(true, Ordering::Relaxed);
        let live = self.context.link.current().filter(|_| entry.was_sent.load(Ordering::Relaxed));
        let Some(live) = live else {
            entry.task.abort();
            return;
        };
        let forwarded = if entry.wire_id == id {
            message.clone()
        } else {
            let reason = reason.map_or_else(String::new, |text| format!(r#","reason":{text}"#));
            let params = format!(r#"{{"requestId":{}{reason}}}"#, entry.wire_id);
            Message::notification("notifications/cancelled", &params)
        };
        let task = entry.task.clone();
        self.tasks.spawn(async move {
            request::send_cancelled(&live, &forwarded).await;
            task.abort();
        });
    }

    /// Forgets a request that has not been sent, without a reply. Returns whether there was one.
    fn forget_unsent(&mut self, id: &RequestId) -> bool {
        let is_meant = |waiting: &Waiting| waiting.reply.id().matches(id);
        let forgotten = self.waiting.remove(is_meant).or_else(|| {
            let is_held = |held: &Held| matches!(held, Held::Request(waiting) if is_meant(waiting));
            match self.held.remove(is_held) {
                Some(Held::Request(waiting)) => Some(waiting),
                _ => None,
            }
        });
        match forgotten {
            Some(waiting) => {
                waiting.reply.cancelled().store(true, Ordering::Relaxed);
                true
            }
            None => false,
        }
    }

    /// Notes that a task has ended, and starts what waited for that.
    fn finished(&mut self, id: task::Id) {
        self.in_flight.remove(&id);
        if self.notice == Some(id) {
            self.notice = None;
            self.pass_on_next_notice();
        }
        if self.barrier == Some(id) {
            self.barrier = None;
            while self.barrier.is_none()
                && let Some(held) = self.held.pop()
            {
                match held {
                    Held::Request(waiting) => self.take_request(waiting),
                    Held::Notification(message) => self.take_notification(message),
                }
            }
        }
        while self.barrier.is_none()
            && self.in_flight.len() < self.context.settings.max_in_flight
            && let Some(waiting) = self.waiting.pop()
        {
            self.start(waiting);
        }
    }

    /// Answers the upstream's questions in the place of a client that cannot any more.
    fn refuse_questions(&mut self) {
        for (refusal, asker) in self.client.close_input() {
            self.tasks.spawn(request::answer_upstream(asker, refusal));
        }
    }
}

/// Waits for the timer, if there is one.
async fn elapsed(timer: Pin<&mut Option<Sleep>>) -> Option<()> {
    timer.as_pin_mut()?.await;
    Some(())
}

/// Tells the client what may have changed each time that notifications may have been lost.
async fn announce_gaps(client: Client, context: Arc<Context>) {
    loop {
        client.gap().await;
        context.link.announce_changes().await;
    }
}
