//! Responses that come on the listening stream because the POST was only accepted: some servers
//! answer every request with an empty 202 once the client listens.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::Request;
use crate::jsonrpc::Response;

/// Responses kept for requests whose POST has not been answered yet. Servers that send others'
/// answers on the stream must not fill memory.
const KEPT: usize = 64;

/// The latest responses on the listening stream, each with the time of its arrival.
#[derive(Default)]
pub(super) struct LateResponses {
    kept: Mutex<VecDeque<(Instant, Response)>>,
    arrived: Notify,
}

impl LateResponses {
    /// Keeps `response` for a request that may have been accepted.
    pub(super) fn offer(&self, response: Response) {
        let mut kept = self.kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((Instant::now(), response));
        drop(kept);
        self.arrived.notify_waiters();
    }

    /// Waits for the response to `request`, which was sent at `sent`. Cancel safe.
    pub(super) async fn take(&self, request: &Request, sent: Instant) -> Response {
        loop {
            let arrived = self.arrived.notified();
            if let Some(response) = self.find(request, sent) {
                return response;
            }
            arrived.await;
        }
    }

    fn find(&self, request: &Request, sent: Instant) -> Option<Response> {
        let mut kept = self.kept();
        // An error without an id may answer anything.
        let is_meant =
            |response: &Response| response.id().is_some_and(|id| request.wire_id.is_echoed_by(&id));
        let at = kept.iter().position(|(at, response)| *at >= sent && is_meant(response))?;
        kept.remove(at).map(|(_, response)| response)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Instant, Response)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
