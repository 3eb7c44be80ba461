//! The client as the upstream side sees it: somebody to deliver messages to.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::jsonrpc::{ErrorObject, INTERNAL_ERROR, Kind, Line, Message, RequestId};
use crate::stdio::Outlet;

/// Delivers what an upstream sends of its own accord; replies go another way, because each of
/// them belongs to a request. Clones deliver to the same client.
#[derive(Clone)]
pub struct Client {
    outlet: Outlet,
    asked: Arc<Mutex<Asked>>,
    gap: Arc<Notify>,
}

/// Open requests of the upstream that are kept in mind: more than any client will be asked, and a
/// bound on what an upstream can make us keep.
const MAX_ASKED: usize = 1024;

/// The upstream's requests that the client has not answered.
#[derive(Default)]
struct Asked {
    ids: Vec<RequestId>,
    /// Set once the client cannot answer any more.
    input_closed: bool,
}

impl Client {
    /// The client that reads what `outlet` writes.
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet, asked: Arc::default(), gap: Arc::default() }
    }

    /// Delivers a request or notification of the upstream, waiting while the client is behind:
    /// so a flood slows the upstream down instead of filling memory.
    ///
    /// Returns the refusal to send back when the message asks something of a client that has
    /// closed its input and so can never answer.
    pub async fn deliver(&self, message: Message) -> Option<Message> {
        if let Kind::Request(id) = message.kind() {
            let mut asked = self.asked();
            if asked.input_closed {
                return Some(refusal(id));
            }
            if asked.ids.len() < MAX_ASKED {
                asked.ids.push(id.clone());
            }
        }
        self.outlet.write(Line::from(message.into_line())).await;
        None
    }

    /// Notes that the client has answered the upstream's request `id`.
    pub fn answered(&self, id: &RequestId) {
        self.asked().ids.retain(|asked| !asked.matches(id));
    }

    /// Notes that the client can answer nothing any more. Returns the refusals of what it was
    /// asked: without them the upstream would wait, and so would the calls that asked.
    pub fn close_input(&self) -> Vec<Message> {
        let mut asked = self.asked();
        asked.input_closed = true;
        asked.ids.drain(..).map(|id| refusal(&id)).collect()
    }

    /// Tells that notifications of the upstream may have been lost.
    pub fn note_gap(&self) {
        self.gap.notify_one();
    }

    /// Waits for [`Client::note_gap`]. Cancel safe.
    pub async fn gap(&self) {
        self.gap.notified().await;
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(id: &RequestId) -> Message {
    let why = "the client has closed its input and cannot answer";
    Message::refusal(id, &ErrorObject::new(INTERNAL_ERROR, why))
}
