//! Asks the client to show a person where to sign in (elicitation in URL mode, MCP 2025-11-25).
//!
//! It is an extra, behind the browser, the log and the error that tell the same: clients decline
//! without having shown anything, so what they answer is not looked at. Only an authorization server
//! can say that a person has refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::Link;
use crate::jsonrpc::{Message, RequestId, to_json};
use crate::mcp::method;

/// The sign-ins that the client was asked to show.
#[derive(Default)]
pub(super) struct Invitations {
    count: AtomicU64,
    /// The address of the one that is not over, and the elicitation's id.
    open: Mutex<Option<(String, String)>>,
}

/// `params` of `elicitation/create`.
#[derive(Serialize)]
struct Elicitation<'a> {
    mode: &'static str,
    message: &'a str,
    url: &'a str,
    #[serde(rename = "elicitationId")]
    id: &'a str,
}

#[derive(Serialize)]
struct Completed {
    #[serde(rename = "elicitationId")]
    id: String,
}

impl Link {
    /// Has a client that can do so show `url` to the person, once, with `message`.
    pub(crate) async fn invite_to_sign_in(&self, url: &str, message: &str) {
        if !self.memory.shows_urls() || self.is_open_invitation(url) {
            return;
        }
        self.end_invitation().await;
        let number = self.invitations.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("mcpline-sign-in-{number}");
        let params = to_json(&Elicitation { mode: "url", message, url, id: &id });
        let wire_id = RequestId::of_ours_for("sign-in", number);
        let question = Message::request(wire_id, method::ELICITATION, &params);
        *self.open_invitation() = Some((url.to_owned(), id));
        self.client.notify(question).await;
    }

    /// The sign-in is over, whatever came of it.
    pub(crate) async fn end_invitation(&self) {
        let open = self.open_invitation().take();
        if let Some((_, id)) = open {
            let params = to_json(&Completed { id });
            let notice = Message::notification(method::ELICITATION_COMPLETE, &params);
            self.client.notify(notice).await;
        }
    }

    fn is_open_invitation(&self, url: &str) -> bool {
        self.open_invitation().as_ref().is_some_and(|(open, _)| open == url)
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn open_invitation(&self) -> MutexGuard<'_, Option<(String, String)>> {
        self.invitations.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
