//! Replies that are owed to the client.
//!
//! Invariant, by construction: a [`PendingReply`] ends in exactly one line for its request. It is
//! consumed by answering, and dropped unanswered — by a panic, an abort, an early return — it
//! writes an error. Only the client's own cancellation silences it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::failure::{Attempts, Cause, Class, Failure};
use crate::hint::Readers;
use crate::jsonrpc::{ErrorObject, INTERNAL_ERROR, OutLine, RequestId, Response};
use crate::mcp::method::{self, is_safe};
use crate::mcp::subscription_ended;
use crate::redact::Secrets;
use crate::stdio::Outlet;
use crate::upstream::ProgressToken;

/// Longer lines are refused by some clients (the TypeScript SDK stops at 10 MB).
const LONG_LINE: usize = 8 * 1024 * 1024;

/// What has become of a request so far: known to its reply, its task, and the table of what is in
/// flight.
#[derive(Debug, Default)]
pub(super) struct Fate {
    cancelled: AtomicBool,
    sent: AtomicBool,
    /// Lets progress through; clients close the connection on progress for a request that they have
    /// cancelled or that has its reply.
    progress: Mutex<Option<ProgressToken>>,
}

impl Fate {
    /// Notes that the client has cancelled the request: it gets no reply.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.end_progress();
    }

    /// Lets progress through until the reply.
    pub(super) fn expect_progress(&self, token: ProgressToken) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    fn end_progress(&self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Notes that the upstream may know of the request.
    pub(super) fn mark_sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Why requests that are still unanswered are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ending {
    /// They are not: a reply that is dropped now is a bug.
    None,
    /// A signal, or a client that is gone.
    Stopped,
    /// The end of input, and the time for what was in flight is up.
    Drained,
}

/// Where replies go, shared by all of them.
pub(super) struct Replies {
    outlet: Outlet,
    url: String,
    secrets: Arc<Secrets>,
    ending: AtomicU8,
    /// Whether a request, or what was to be one, was answered with an error.
    has_failed: AtomicBool,
    /// Warn once per process.
    warned_of_length: AtomicBool,
}

impl Replies {
    /// Replies to `outlet`, whose errors name the upstream by `url` and show no secrets.
    pub(super) fn new(outlet: Outlet, url: String, secrets: Arc<Secrets>) -> Arc<Self> {
        let ending = AtomicU8::new(Ending::None as u8);
        let (has_failed, warned_of_length) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { outlet, url, secrets, ending, has_failed, warned_of_length })
    }

    /// From now on, replies that are dropped say that this is why.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.store(ending as u8, Ordering::Relaxed);
    }

    /// Notes that something was answered with an error.
    pub(super) fn note_failure(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Whether something was answered with an error.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Writes an error for something that was not even a request.
    pub(super) fn reject(&self, error: &ErrorObject, id: Option<&RequestId>) {
        self.note_failure();
        self.outlet.write_now(error.to_line(id).into());
    }

    /// The error for something that never got as far as an attempt.
    pub(super) fn unsent(&self, failure: &Failure) -> ErrorObject {
        failure.to_error(&self.attempts(0, Duration::ZERO, false))
    }

    fn attempts(&self, count: u32, elapsed: Duration, may_have_run: bool) -> Attempts<'_> {
        Attempts {
            url: &self.url,
            count,
            elapsed,
            may_have_run,
            secrets: &self.secrets,
            readers: Readers::OfEnglish,
        }
    }
}

/// The reply that one request will get.
pub(super) struct PendingReply {
    id: RequestId,
    replies: Arc<Replies>,
    batch: Option<Arc<Batch>>,
    fate: Arc<Fate>,
    is_unsafe_to_repeat: bool,
    /// It has no end of its own: that of the conversation is a good one.
    stands: bool,
    since: Instant,
    is_owed: bool,
}

impl PendingReply {
    /// The reply to the request `id` for `method`, in `batch` if it came in one.
    pub(super) fn new(
        id: RequestId,
        method: &str,
        replies: Arc<Replies>,
        batch: Option<Arc<Batch>>,
    ) -> Self {
        Self {
            id,
            replies,
            batch,
            fate: Arc::default(),
            is_unsafe_to_repeat: !is_safe(method),
            stands: method::stands(method),
            since: Instant::now(),
            is_owed: true,
        }
    }

    /// What has become of the request so far.
    pub(super) fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    /// The error for a request that is given up.
    fn given_up(&self) -> ErrorObject {
        let why = match self.replies.ending.load(Ordering::Relaxed) {
            ending if ending == Ending::Stopped as u8 => {
                "mcpline was told to stop before the answer came"
            }
            ending if ending == Ending::Drained as u8 => {
                "the input ended, and the answer did not come within the time of `--drain`"
            }
            _ => {
                return ErrorObject::new(
                    INTERNAL_ERROR,
                    "Internal error of mcpline: the request was dropped. Please report this with \
                     the log of `--log-level debug`.",
                );
            }
        };
        let was_sent = self.fate.was_sent();
        let class = if was_sent { Class::Ambiguous } else { Class::NotSent };
        let failure = Failure::new(class, Cause::Stopping, why);
        let count = u32::from(was_sent);
        failure.to_error(&self.replies.attempts(
            count,
            self.since.elapsed(),
            self.is_unsafe_to_repeat,
        ))
    }

    pub(super) fn id(&self) -> &RequestId {
        &self.id
    }

    /// Notes that the answer is an error.
    pub(super) fn note_failure(&self) {
        self.replies.note_failure();
    }

    /// Answers with `line`. Dropped while it waits for the client to read, it still answers.
    pub(super) async fn send(self, line: OutLine) {
        if let Some((reply, line)) = self.send_at_once(line) {
            reply.send_when_read(line).await;
        }
    }

    /// Answers with `line`, and gives both back where the client is too far behind.
    pub(super) fn send_at_once(mut self, line: OutLine) -> Option<(Self, OutLine)> {
        self.fate.end_progress();
        if line.len() > LONG_LINE && !self.replies.warned_of_length.swap(true, Ordering::Relaxed) {
            tracing::warn!("a reply has {} bytes; some clients refuse lines that long", line.len());
        }
        match &self.batch {
            Some(batch) => {
                self.is_owed = false;
                let line = (!self.fate.is_cancelled()).then(|| line.to_bytes());
                batch.settle(line, &self.replies.outlet);
            }
            None if self.fate.is_cancelled() => self.is_owed = false,
            None => match self.replies.outlet.try_write(line) {
                Ok(()) => self.is_owed = false,
                Err(line) => return Some((self, line)),
            },
        }
        None
    }

    /// Answers with `line` as soon as the client has read enough. Dropped meanwhile, it still
    /// answers.
    pub(super) async fn send_when_read(mut self, line: OutLine) {
        self.replies.outlet.write(line).await;
        self.is_owed = false;
    }

    /// Answers with an error.
    pub(super) async fn fail(self, error: &ErrorObject) {
        let line = error.to_line(Some(&self.id));
        self.note_failure();
        self.send(line.into()).await;
    }

    /// Answers with an error where nothing can be awaited.
    pub(super) fn fail_now(mut self, error: &ErrorObject) {
        self.settle_now(error);
    }

    fn settle_now(&mut self, error: &ErrorObject) {
        if !self.fate.is_cancelled() {
            self.replies.note_failure();
        }
        self.settle_with(error.to_line(Some(&self.id)));
    }

    fn settle_with(&mut self, line: Bytes) {
        self.fate.end_progress();
        self.is_owed = false;
        let line = (!self.fate.is_cancelled()).then_some(line);
        match (&self.batch, line) {
            (Some(batch), line) => batch.settle(line, &self.replies.outlet),
            (None, Some(line)) => self.replies.outlet.write_now(line.into()),
            (None, None) => {}
        }
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        let is_ending = self.replies.ending.load(Ordering::Relaxed) != Ending::None as u8;
        if self.is_owed && self.stands && is_ending {
            let result = Response::with_result(subscription_ended(&self.id));
            self.settle_with(result.into_line(&self.id).to_bytes());
        }
        if self.is_owed {
            let error = self.given_up();
            self.settle_now(&error);
        }
    }
}

/// The replies to a batch (JSON-RPC 2.0 section 6), which go out together as one array.
pub(super) struct Batch {
    state: Mutex<BatchState>,
}

struct BatchState {
    missing: usize,
    lines: Vec<Bytes>,
}

impl Batch {
    /// A batch that will have `missing` replies.
    pub(super) fn new(missing: usize) -> Arc<Self> {
        let state = BatchState { missing, lines: Vec::with_capacity(missing) };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Takes one reply, or none for a cancelled request, and writes the array with the last one.
    pub(super) fn settle(&self, line: Option<Bytes>, outlet: &Outlet) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.missing -= 1;
        state.lines.extend(line);
        if state.missing == 0 && !state.lines.is_empty() {
            let lines = state.lines.join(&b','.to_owned());
            outlet.write_now(Bytes::from([b"[".as_slice(), &lines, b"]"].concat()).into());
        }
    }

    /// Takes the error of a member that is no message.
    pub(super) fn reject(&self, error: &ErrorObject, id: Option<&RequestId>, replies: &Replies) {
        replies.note_failure();
        self.settle(Some(error.to_line(id)), &replies.outlet);
    }
}
