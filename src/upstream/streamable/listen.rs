//! The listening stream ("Listening for Messages from the Server").

use std::time::Duration;

use tokio::time::Instant;

use super::StreamableSession;
use crate::failure::{Class, Failure};
use crate::http::Answer;
use crate::retry::Listening;

/// How a listening stream ended.
struct Ended {
    lived: Duration,
    has_spoken: bool,
    last_event_id: Option<String>,
    /// The delay that the upstream asked for.
    retry: Option<Duration>,
}

impl StreamableSession {
    /// Reads the listening stream until the upstream offers none, or the session is gone.
    pub(super) async fn keep_listening(self) {
        let mut listening = Listening::default();
        let mut resume_from: Option<String> = None;
        let mut was_open = false;
        loop {
            let delay = match self.0.open_stream(resume_from.as_deref()).await {
                Ok(answer) => {
                    if was_open && resume_from.is_none() {
                        self.0.client.note_gap();
                    }
                    was_open = true;
                    let ended = self.listen_to(answer).await;
                    resume_from = ended.last_event_id.or(resume_from);
                    listening.after_end(ended.lived, ended.has_spoken, ended.retry)
                }
                Err(failure) if failure.class() == Class::SessionLost => {
                    tracing::info!("the upstream has forgotten the session");
                    self.0.ended.cancel();
                    return;
                }
                Err(failure) if offers_no_stream(&failure, was_open) => {
                    tracing::debug!("no listening stream: {}", failure.summary());
                    return;
                }
                Err(failure) => {
                    tracing::debug!("no listening stream yet: {}", failure.summary());
                    // A place in the stream that the upstream has forgotten: start over.
                    if failure.class() == Class::Final {
                        resume_from = None;
                    }
                    listening.after_refusal(&failure)
                }
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Reads one stream to its end. A response on it is never delivered: some servers send other
    /// clients' answers there.
    async fn listen_to(&self, answer: Answer) -> Ended {
        let opened = Instant::now();
        let mut events = answer.events(None);
        let mut has_spoken = false;
        let broke = loop {
            match events.next().await {
                Ok(event) => {
                    has_spoken = true;
                    if let Ok(responses) = self.inbox().sort_event(&event).await
                        && !responses.is_empty()
                    {
                        tracing::debug!("a response on the listening stream is dropped");
                    }
                }
                Err(broke) => break broke,
            }
        };
        tracing::debug!("the listening stream ended: {broke}");
        Ended {
            lived: opened.elapsed(),
            has_spoken,
            last_event_id: events.last_event_id().map(str::to_owned),
            retry: events.retry(),
        }
    }
}

/// Whether a refused GET means that there is no listening stream at all. Once it has been open,
/// the upstream must say so in words: a 409 or 500 may come from a proxy, or from a server that
/// has not noticed yet that the old stream is gone.
fn offers_no_stream(failure: &Failure, was_open: bool) -> bool {
    failure.class() == Class::Final
        && (!was_open || matches!(failure.status, Some(401 | 403 | 404 | 405)))
}
