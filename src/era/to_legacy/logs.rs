//! Log messages: the modern client asks for them in each request, the legacy upstream is told once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Inner;
use super::ears::Ears;
use crate::jsonrpc::{Message, RequestId};
use crate::mcp::{meta, method};
use crate::upstream::json::Object;
use crate::upstream::{Request, local};

/// What the upstream knows of the messages that are wanted.
#[derive(Default)]
pub(super) struct Logs {
    /// Whether the upstream can be told.
    is_offered: bool,
    /// The level that the upstream has been told, which only falls.
    told: Mutex<Option<usize>>,
}

impl Logs {
    pub(super) fn new(is_offered: bool) -> Self {
        Self { is_offered, ..Self::default() }
    }

    fn told(&self) -> MutexGuard<'_, Option<usize>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages reach the client for a request until this is dropped.
pub(super) struct Wanted<'a> {
    ears: &'a Ears,
    id: RequestId,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.ears.logs().remove(&self.id);
    }
}

impl Inner {
    /// Lets log messages of the `severity` and above through while the request `id` is in flight; none
    /// where it asks for none.
    pub(super) async fn want_logs(
        &self,
        id: &RequestId,
        severity: Option<usize>,
    ) -> Option<Wanted<'_>> {
        let severity = severity?;
        self.ears.logs().insert(id.clone(), severity);
        let wanted = Wanted { ears: &self.ears, id: id.clone() };
        let is_known = self.logs.told().is_some_and(|told| told <= severity);
        if self.logs.is_offered && !is_known {
            let params = format!(r#"{{"level":"{}"}}"#, meta::LEVELS[severity]);
            let id = self.bridge.own_id();
            let set = Message::request(id.clone(), method::SET_LEVEL, &params);
            match self.legacy.exchange(&Request::new(set, id)).await {
                Ok(_) => *self.logs.told() = Some(severity),
                Err(failure) => tracing::debug!("the log level was not set: {}", failure.summary()),
            }
        }
        Some(wanted)
    }
}

/// The severity of a log message.
pub(super) fn severity_of(message: &Message) -> usize {
    let params = Object::read(local::params(message));
    let level = params.and_then(|params| params.string("level"));
    level.and_then(|level| meta::severity(&level)).unwrap_or(usize::MAX)
}
