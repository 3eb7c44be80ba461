//! Cancellation by the client.

use super::{Conversation, Held, Queued, request};
use crate::background::boxed;
use crate::jsonrpc::{Message, RequestId};
use crate::mcp::CancelledParams;

impl Conversation {
    /// Acts on `notifications/cancelled` (Cancellation, "Behavior Requirements"): the request gets
    /// no reply from here on, and the upstream is told if it may know of the request.
    pub(super) fn cancel(&mut self, message: &Message) {
        let Some(CancelledParams { request_id, reason }) = message.read_params() else { return };
        let Some(id) = RequestId::from_raw(request_id) else { return };
        if self.forget_unsent(&id) {
            return;
        }
        let Some(entry) =
            self.in_flight.iter().find(|entry| entry.id.matches(&id) && !entry.fate.is_cancelled())
        else {
            tracing::debug!(%id, "cancellation of an unknown request ignored");
            return;
        };
        if entry.is_initialize {
            tracing::debug!("initialize cannot be cancelled");
            return;
        }
        tracing::debug!(%id, "cancelled by the client");
        entry.fate.cancel();
        let live = self.context.link.current().filter(|_| entry.fate.was_sent());
        let Some(live) = live else {
            entry.task.abort();
            return;
        };
        let forwarded = if entry.wire_id == id {
            message.clone()
        } else {
            request::cancellation(&entry.wire_id, reason)
        };
        let task = entry.task.clone();
        self.tasks.spawn(boxed(async move {
            request::send_cancelled(&live, &forwarded).await;
            task.abort();
        }));
    }

    /// Forgets a request that has not been sent, without a reply. Returns whether there was one.
    fn forget_unsent(&mut self, id: &RequestId) -> bool {
        let is_meant = |queued: &Queued| queued.reply.id().matches(id);
        let forgotten = self.queue.remove(is_meant).or_else(|| {
            let is_held = |held: &Held| matches!(held, Held::Request(queued) if is_meant(queued));
            match self.held.remove(is_held) {
                Some(Held::Request(queued)) => Some(queued),
                _ => None,
            }
        });
        if let Some(queued) = &forgotten {
            queued.reply.fate().cancel();
        }
        forgotten.is_some()
    }
}
