//! The listening stream ("Listening for Messages from the Server").

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::StreamableSession;
use crate::failure::{Class, Failure};
use crate::http::Answer;
use crate::jsonrpc::{Message, RequestId};
use crate::mcp::method;
use crate::retry::Listening;
use crate::upstream::{Request, Session};

/// Time for the answer to the question whether the session still lives.
const PING_PATIENCE: Duration = Duration::from_secs(10);

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
        self.listen_again_and_again().await;
        self.0.listens.store(false, Ordering::Relaxed);
    }

    async fn listen_again_and_again(&self) {
        let mut listening = Listening::default();
        let mut resume_from: Option<String> = None;
        let (mut was_open, mut has_ever_spoken) = (false, false);
        loop {
            let delay = match self.0.open_stream(resume_from.as_deref()).await {
                Ok(answer) => {
                    // A gap in a stream that never carried anything is no news.
                    if has_ever_spoken && resume_from.is_none() {
                        self.0.client.note_gap();
                    }
                    was_open = true;
                    let ended = self.listen_to(answer).await;
                    has_ever_spoken |= ended.has_spoken;
                    resume_from = ended.last_event_id.or(resume_from);
                    listening.after_end(ended.lived, ended.has_spoken, ended.retry)
                }
                Err(failure) => {
                    // Only the refusal of a POST ends a session, so a POST has to ask.
                    if failure.class().ends_session() && self.is_lost().await {
                        tracing::info!("the upstream has forgotten the session");
                        self.0.ended.cancel();
                        return;
                    }
                    if offers_no_stream(&failure, was_open) {
                        tracing::debug!("no listening stream: {}", failure.summary());
                        return;
                    }
                    tracing::debug!("no listening stream yet: {}", failure.summary());
                    // A place in the stream that the upstream has forgotten: start over.
                    if failure.class() == Class::Final || failure.class().ends_session() {
                        resume_from = None;
                    }
                    listening.after_refusal(&failure)
                }
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Whether the upstream does not know the session any more, by its answer to a `ping`.
    async fn is_lost(&self) -> bool {
        let Some(id) = RequestId::from_json(Bytes::from_static(b"\"mcpline-ping\"")) else {
            return false;
        };
        let ping = Request::new(Message::request(id.clone(), method::PING, "{}"), id);
        match tokio::time::timeout(PING_PATIENCE, self.exchange(&ping)).await {
            Ok(Err(failure)) => failure.class().ends_session(),
            // Any answer comes from a server that knows the session; silence says nothing.
            Ok(Ok(_)) | Err(_) => false,
        }
    }

    /// Reads one stream to its end. A response on it goes only to a request whose POST was accepted
    /// without an answer: some servers send other clients' answers there.
    async fn listen_to(&self, answer: Answer) -> Ended {
        let opened = Instant::now();
        self.0.listens.store(true, Ordering::Relaxed);
        let mut events = answer.listening();
        let mut has_spoken = false;
        let broke = loop {
            match events.next().await {
                Ok(event) => {
                    has_spoken = true;
                    for response in
                        self.inbox().shared().sort_event(&event).await.unwrap_or_default()
                    {
                        self.0.late.offer(response);
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
    match failure.class() {
        Class::Final => !was_open || matches!(failure.status, Some(401 | 403 | 404 | 405)),
        // The route does not exist, or it was refused in words about a session that lives.
        Class::SessionLost | Class::Rejected if failure.status == Some(404) => true,
        Class::SessionLost => !was_open,
        _ => false,
    }
}
