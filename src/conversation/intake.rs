//! What the client sends: each line becomes messages, and each message its turn.

use std::sync::Arc;

use bytes::Bytes;

use super::reply::{Batch, PendingReply};
use super::{Conversation, Held, Queued, request};
use crate::background::boxed;
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{self, Kind, Message, Parsed, Rejection};
use crate::mcp::method;
use crate::stdio::Input;
use crate::upstream::refusal;

/// Requests that may wait for their turn; one more is refused at once.
const MAX_WAITING: usize = 16 * 1024;

/// Places beside those of other requests for `ping`.
const PLACES_FOR_PINGS: usize = 4;

/// Notifications that may wait to be passed on; one more is dropped.
const MAX_NOTICES: usize = 1024;

impl Conversation {
    pub(super) fn take_all(&mut self, inputs: Vec<Input>) {
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
                    self.tasks.spawn(boxed(request::answer_upstream(asker, refusal)));
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
        let parsed = jsonrpc::from_client(line);
        let open = std::mem::take(&mut self.open_brackets);
        match parsed {
            Ok(Parsed::One(message)) => self.take(message, None),
            Ok(Parsed::Batch(members)) => self.take_batch(members),
            // The rest of a message on several lines, whose first line has been refused.
            Err(Rejection { id: None, .. }) if open > 0 => {
                self.open_brackets = open + jsonrpc::open_brackets(line);
            }
            Err(Rejection { id, error, is_answered }) => {
                if jsonrpc::goes_on(line) {
                    self.open_brackets = jsonrpc::open_brackets(line);
                }
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
                self.take_request(Queued { message, reply });
            }
            Kind::Response(id) => match self.client.answered(id) {
                Some(asker) => {
                    self.tasks.spawn(boxed(request::answer_upstream(asker, message)));
                }
                None => tracing::debug!(%id, "an answer that nobody waits for is dropped"),
            },
            Kind::Notification if message.method() == method::CANCELLED => {
                self.cancel(&message);
            }
            Kind::Notification if self.barrier.is_some() => {
                self.hold_notification(message);
            }
            Kind::Notification => self.take_notification(message),
        }
    }

    pub(super) fn take_request(&mut self, queued: Queued) {
        let size = queued.message.text().len();
        if self.is_full(size) {
            let what = format!(
                "too many requests at once: {} with {} bytes are waiting already, so this one was \
                 not sent",
                self.held.len() + self.queue.len(),
                self.held.bytes() + self.queue.bytes(),
            );
            let failure = Failure::new(Class::NotSent, Cause::Busy, what)
                .hint("Send it again when some have been answered.");
            let error = self.replies.unsent(&failure);
            queued.reply.fail_now(&error);
        } else if self.barrier.is_some() {
            self.held.push(size, Held::Request(queued));
        } else if self.owes_initialized && !is_allowed_before_initialized(&queued.message) {
            // Some clients never send it, and strict servers refuse everything without it.
            self.take_notification(Message::notification(method::INITIALIZED, "{}"));
            self.held.push_front(size, Held::Request(queued));
        } else if queued.message.method() == method::INITIALIZE {
            self.start_initialize(queued);
        } else if self.places_taken() < self.places_for(&queued.message) {
            self.start(queued);
        } else {
            self.queue.push(size, queued);
        }
    }

    /// Requests in flight beyond which `message` waits. A client that pings to see whether we live
    /// must not have to wait for the end of a long report.
    fn places_for(&self, message: &Message) -> usize {
        let places = self.context.settings.max_in_flight;
        match message.method() {
            method::PING => places + PLACES_FOR_PINGS,
            name if method::stands(name) => usize::MAX,
            _ => places,
        }
    }

    /// Whether the queue is full for a message of `size` bytes. An empty queue always accepts one
    /// message, and all together may hold as much memory as a single message may.
    fn is_full(&self, size: usize) -> bool {
        let count = self.held.len() + self.queue.len();
        let bytes = self.held.bytes() + self.queue.bytes();
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

    pub(super) fn take_notification(&mut self, message: Message) {
        if !self.has_handshake {
            // There is nobody to tell before there is a session, and this does not begin one.
            tracing::debug!(method = message.method(), "notification before initialize dropped");
        } else if message.method() == method::INITIALIZED {
            self.owes_initialized = false;
            let context = self.context.clone();
            let task =
                self.tasks.spawn(boxed(async move { context.link.initialized(message).await }));
            self.barrier = Some(task.id());
        } else if self.notices.len() < MAX_NOTICES {
            self.notices.push_back(message);
            self.pass_on_next_notice();
        } else {
            tracing::warn!(method = message.method(), "too many notifications waiting; dropped");
        }
    }

    pub(super) fn pass_on_next_notice(&mut self) {
        if self.notice.is_none()
            && let Some(message) = self.notices.pop_front()
        {
            let task = self.tasks.spawn(boxed(request::pass_on(self.context.clone(), message)));
            self.notice = Some(task.id());
        }
    }
}

/// Whether a client may send this between the answer to `initialize` and its own
/// `notifications/initialized` (Lifecycle, "Initialization").
fn is_allowed_before_initialized(message: &Message) -> bool {
    matches!(message.method(), method::PING | method::INITIALIZE)
}
