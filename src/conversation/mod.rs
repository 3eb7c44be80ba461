//! The conversation with the client: who may go when, who waits, who has been cancelled, and how
//! it ends.
//!
//! One loop owns all of this state. It takes one [`Event`] at a time, starts a task for each request
//! and hears when one has finished; tasks answer by the [`reply::PendingReply`] that they own. The
//! loop itself never waits for the upstream or for the client to read.
//!
//! Order: `initialize` and `notifications/initialized` are barriers that nothing later overtakes.
//! Otherwise requests start in order, at most `max_in_flight` at once; notifications, responses
//! and cancellations never wait for a request, because a request may be waiting for them.
//!
//! `intake` takes what the client sends, `cancel` takes requests back, `request` is a request's
//! task, `reply` the debt that it owes.

mod backlog;
mod cancel;
mod intake;
mod reply;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::task::{self, AbortHandle, JoinSet};
use tokio::time::sleep;
use tracing::Instrument;

use self::backlog::Backlog;
use self::reply::{Ending, Fate, PendingReply, Replies};
use self::request::Context;
use crate::background::{self, boxed};
use crate::hint::Readers;
use crate::jsonrpc::{Message, OutLine, RequestId};
use crate::link::Link;
use crate::mcp::method;
use crate::redact::Secrets;
use crate::retry::Policy;
use crate::stdio::{Input, Outlet, Stdin, Writer};
use crate::upstream::{Client, Pending, ProgressToken, Request, Sink};

/// Time for the upstream to hear that the session is over, after the end of input.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The same when the process was told to stop, which must take less than half a second in all.
const STOP_PATIENCE: Duration = Duration::from_millis(300);

/// Time for a client that reads slowly to take the last lines after the end of input.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// Tasks whose progress is let through.
const MAX_TASKS: usize = 256;

/// What decides how the conversation is led.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The upstream's URL as it may be shown.
    pub url: String,
    /// What must never be shown.
    pub secrets: Arc<Secrets>,
    /// Who reads the errors.
    pub readers: Readers,
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

/// What the upstream sends unasked goes to stdout between the replies.
impl Sink for Outlet {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        Box::pin(self.write(OutLine::from(message.into_line())))
    }
}

/// How a conversation went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A request was answered with an error.
    pub has_failed: bool,
    /// Why the input could not be read.
    pub input: Option<String>,
    /// Why replies could not be written, unless nobody reads them any more.
    pub output: Option<String>,
}

/// A conversation that has not begun.
pub struct Conversation {
    context: Arc<Context>,
    client: Client,
    replies: Arc<Replies>,
    tasks: JoinSet<()>,
    /// In the order of their start. So few that a search is cheaper than a hash.
    in_flight: Vec<InFlight>,
    /// How many of those stand until they are cancelled. They take no place, and the end of input
    /// does not wait for them.
    standing: usize,
    /// The task that nothing may overtake.
    barrier: Option<task::Id>,
    /// What arrived behind a barrier.
    held: Backlog<Held>,
    /// Requests beyond `max_in_flight`.
    queue: Backlog<Queued>,
    /// Notifications that wait for the one before them, which `notice` is passing on.
    notices: VecDeque<Message>,
    notice: Option<task::Id>,
    /// Brackets that a refused message on several lines has opened and not closed.
    open_brackets: i64,
    has_handshake: bool,
    /// The latest requests that run as tasks: their progress goes on after the reply (Tasks,
    /// "Progress").
    task_progress: VecDeque<ProgressToken>,
    /// Whether the client has made a handshake and not ended it with `notifications/initialized`.
    owes_initialized: bool,
    ids_given: u64,
}

/// A request that the upstream may be working on.
struct InFlight {
    key: task::Id,
    id: RequestId,
    wire_id: RequestId,
    fate: Arc<Fate>,
    is_initialize: bool,
    stands: bool,
    task: AbortHandle,
}

/// A request that has not been started.
struct Queued {
    message: Message,
    reply: PendingReply,
}

enum Held {
    Request(Queued),
    Notification(Message),
}

/// What the loop hears of.
enum Event {
    /// The client has sent something.
    Inputs(Vec<Input>),
    /// The client will send nothing more.
    EndOfInput,
    /// A task has ended.
    Finished(task::Id),
    /// The client has read what held the input up.
    Relieved,
    /// The conversation is over.
    End(End),
}

/// What ends a conversation.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The input has ended, and all is answered or the time for that is up.
    Input,
    /// The process is told to stop.
    Stop,
    /// Nobody reads the replies any more.
    ClientGone,
}

impl Conversation {
    /// A conversation between the client behind `writer` and the upstream behind `link`.
    pub fn new(settings: Settings, link: Arc<Link>, client: Client, writer: &Writer) -> Self {
        let replies = Replies::new(writer.outlet(), settings.url.clone(), settings.secrets.clone());
        Self {
            context: Arc::new(Context { link, settings }),
            client,
            replies,
            tasks: JoinSet::new(),
            in_flight: Vec::new(),
            standing: 0,
            barrier: None,
            held: Backlog::default(),
            queue: Backlog::default(),
            notices: VecDeque::new(),
            notice: None,
            open_brackets: 0,
            has_handshake: false,
            task_progress: VecDeque::new(),
            owes_initialized: false,
            ids_given: 0,
        }
    }

    /// Leads the conversation until the input has ended and everything is answered, `stop` is
    /// ready, or the client is gone.
    pub async fn run(
        mut self,
        mut input: Stdin,
        writer: Writer,
        stop: Pending<'static, ()>,
        client_gone: Pending<'static, ()>,
    ) -> Outcome {
        let (mut cut_short, watch) = watch_for_end(&writer, stop, client_gone);
        let announcer =
            background::spawn(announce_gaps(self.client.clone(), self.context.link.clone()));
        let outlet = writer.outlet();
        let mut drain = std::pin::pin!(None);
        let end = loop {
            if drain.is_some() && self.is_idle() {
                break End::Input;
            }
            // In this order: what ends the conversation must not wait behind a flood of input.
            let event = tokio::select! {
                biased;
                end = &mut cut_short => Event::End(end.unwrap_or(End::Stop)),
                Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    Event::Finished(done.map_or_else(|error| error.id(), |(id, ())| id))
                }
                () = outlet.relieved(), if outlet.is_overfull() => Event::Relieved,
                inputs = input.next(), if drain.is_none() && !outlet.is_overfull() => {
                    inputs.map_or(Event::EndOfInput, Event::Inputs)
                }
                Some(()) = elapsed(drain.as_mut()), if drain.is_some() => Event::End(End::Input),
            };
            if matches!(event, Event::EndOfInput) {
                drain.set(Some(sleep(self.context.settings.drain)));
            }
            if let Some(end) = self.handle(event) {
                break end;
            }
        };
        announcer.abort();
        let replies = self.replies.clone();
        match end {
            // Told to stop during the last lines, or nobody reads them: the patience for them is
            // over, but the upstream must still hear that the session has ended.
            End::Input => tokio::select! {
                () = self.end(end, &writer) => {}
                () = async { let _ = cut_short.await; sleep(STOP_PATIENCE).await } => {}
            },
            end => self.end(end, &writer).await,
        }
        watch.abort();
        Outcome {
            has_failed: replies.has_failed(),
            input: input.failure(),
            output: writer.failure(),
        }
    }

    /// Acts on `event`; returns what ends the conversation, if it does.
    fn handle(&mut self, event: Event) -> Option<End> {
        match event {
            Event::Inputs(inputs) => self.take_all(inputs),
            Event::EndOfInput => {
                tracing::debug!(in_flight = self.in_flight.len(), "end of input");
                self.refuse_questions();
            }
            Event::Finished(id) => self.finished(id),
            Event::Relieved => {}
            Event::End(end) => return Some(end),
        }
        None
    }

    fn is_idle(&self) -> bool {
        self.tasks.len() == self.standing && self.held.is_empty() && self.queue.is_empty()
    }

    /// How many requests take a place among `max_in_flight`.
    fn places_taken(&self) -> usize {
        self.in_flight.len() - self.standing
    }

    /// Gives up what is left, and leaves nothing behind at the upstream.
    async fn end(mut self, end: End, writer: &Writer) {
        let (ending, flush, close) = match end {
            End::Input => (Ending::Drained, FLUSH_PATIENCE, CLOSE_PATIENCE),
            End::Stop => (Ending::Stopped, STOP_PATIENCE, STOP_PATIENCE),
            End::ClientGone => (Ending::Stopped, Duration::ZERO, STOP_PATIENCE),
        };
        let unanswered = self.places_taken() + self.queue.len() + self.held.len();
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

    fn start_initialize(&mut self, queued: Queued) {
        self.has_handshake = true;
        self.owes_initialized = true;
        let context = self.context.clone();
        self.barrier =
            Some(self.spawn(queued, true, |request, reply| {
                request::initialize(context, request, reply)
            }));
    }

    fn start(&mut self, queued: Queued) {
        if !self.has_handshake {
            self.has_handshake = true;
            let id = self.own_id();
            self.context.link.begin_with(&queued.message, id);
        }
        let context = self.context.clone();
        self.spawn(queued, false, |request, reply| request::answer(context, request, reply));
    }

    /// Starts the task for a request and enters it as in flight.
    fn spawn<F>(
        &mut self,
        Queued { message, reply }: Queued,
        is_initialize: bool,
        task: impl FnOnce(Box<Request>, PendingReply) -> F,
    ) -> task::Id
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = reply.id().clone();
        let is_taken = || {
            let mut others = self.in_flight.iter();
            // A finished one may not have been removed yet.
            others.any(|other| other.wire_id == id && !other.task.is_finished())
        };
        let wire_id = if id.is_portable() && !is_taken() { id.clone() } else { self.own_id() };
        let fate = reply.fate().clone();
        if let Some((token, is_task)) = progress_token(&message) {
            let token = self.client.expect_progress(token);
            if is_task {
                self.task_progress.push_front(token);
                self.task_progress.truncate(MAX_TASKS);
            } else {
                fate.expect_progress(token);
            }
        }
        let stands = method::stands(message.method());
        self.standing += usize::from(stands);
        let span = tracing::info_span!("request", %id, method = message.method());
        let request = Box::new(Request::new(message, wire_id.clone()));
        // A large future, which a task would copy several times.
        let task = boxed(task(request, reply));
        let task = self.tasks.spawn(task.instrument(span));
        let key = task.id();
        self.in_flight.push(InFlight { key, id, wire_id, fate, is_initialize, stands, task });
        key
    }

    fn own_id(&mut self) -> RequestId {
        self.ids_given += 1;
        RequestId::of_ours(self.ids_given)
    }

    /// Notes that a task has ended, and starts what waited for that.
    fn finished(&mut self, id: task::Id) {
        if let Some(at) = self.in_flight.iter().position(|request| request.key == id) {
            self.standing -= usize::from(self.in_flight.remove(at).stands);
        }
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
                    Held::Request(queued) => self.take_request(queued),
                    Held::Notification(message) => self.take_notification(message),
                }
            }
        }
        while self.barrier.is_none()
            && self.places_taken() < self.context.settings.max_in_flight
            && let Some(queued) = self.queue.pop()
        {
            self.start(queued);
        }
    }

    /// Refuses the upstream's questions to a client that cannot answer any more.
    fn refuse_questions(&mut self) {
        for (refusal, asker) in self.client.close_input() {
            self.tasks.spawn(boxed(request::answer_upstream(asker, refusal)));
        }
    }
}

/// The token by which a request asks for progress, and whether it asks to run as a task.
fn progress_token(message: &Message) -> Option<(RequestId, bool)> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: Option<Meta<'a>>,
        #[serde(borrow)]
        task: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Meta<'a> {
        #[serde(borrow)]
        progress_token: Option<&'a RawValue>,
    }
    // Most requests have none, and a search is cheaper than a parser.
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"progressToken\""));
    NAME.find(message.params()?)?;
    let Params { meta, task } = message.read_params()?;
    Some((RequestId::from_raw(meta?.progress_token?)?, task.is_some()))
}

/// Waits in a task of its own for what ends the conversation early, so that the loop, which turns
/// several times for each request, polls one thing only.
fn watch_for_end(
    writer: &Writer,
    stop: Pending<'static, ()>,
    client_gone: Pending<'static, ()>,
) -> (oneshot::Receiver<End>, AbortHandle) {
    let (tell, told) = oneshot::channel();
    let gone = writer.gone().clone();
    let watch = background::spawn(async move {
        let end = tokio::select! {
            () = stop => End::Stop,
            () = client_gone => End::ClientGone,
            () = gone.cancelled() => End::ClientGone,
        };
        // The conversation may have ended meanwhile.
        let _ = tell.send(end);
    });
    (told, watch.abort_handle())
}

/// Waits for the timer, if there is one.
async fn elapsed(timer: std::pin::Pin<&mut Option<tokio::time::Sleep>>) -> Option<()> {
    timer.as_pin_mut()?.await;
    Some(())
}

/// Tells the client what may have changed each time that notifications may have been lost.
async fn announce_gaps(client: Client, link: Arc<Link>) {
    loop {
        client.gap().await;
        link.announce_changes().await;
    }
}
