//! What a legacy upstream asks the client: a question of a call, as the modern era asks it.

use std::sync::Arc;

use super::requests::Capabilities;
use crate::background;
use crate::jsonrpc::{ErrorObject, INTERNAL_ERROR, Message, RequestId};
use crate::mcp::method;
use crate::upstream::Session;
use crate::upstream::json::Object;

/// A question of the upstream.
pub(super) struct Question {
    /// Its name in `inputRequests`.
    pub(super) key: String,
    pub(super) method: String,
    pub(super) params: String,
    /// Who waits for the answer, and under which id; `None` where the call is sent again instead.
    asked_by: Option<(RequestId, Arc<dyn Session>)>,
}

impl Question {
    pub(super) fn new(
        method: &str,
        params: String,
        asked_by: Option<(RequestId, Arc<dyn Session>)>,
    ) -> Self {
        let params = modern_question(method, &params).unwrap_or(params);
        Self { key: String::new(), method: method.to_owned(), params, asked_by }
    }

    pub(super) fn is(&self, id: &RequestId) -> bool {
        self.asked_by.as_ref().is_some_and(|(own, _)| own.matches(id))
    }

    pub(super) fn can_be_answered_by(&self, capabilities: &Capabilities) -> bool {
        capabilities.can_answer(&self.method, &self.params)
    }

    /// Hands the client's `answer` to the upstream.
    pub(super) fn answer(self, answer: &str) {
        if let Some((id, asker)) = self.asked_by {
            say(asker, Message::answer(&id, answer));
        }
    }

    /// Tells the upstream that the question stays unanswered.
    pub(super) fn refuse(self, code: i64, why: &str) {
        if let Some((id, asker)) = self.asked_by {
            say(asker, Message::refusal(&id, &ErrorObject::new(code, why)));
        }
    }

    /// Tells the upstream that the client has not come back.
    pub(super) fn abandon(self) {
        self.refuse(INTERNAL_ERROR, "the client has not answered");
    }
}

/// The params of a question as the modern era has them; `None` where they are the same.
fn modern_question(method: &str, params: &str) -> Option<String> {
    let mut params = Object::read(params)?;
    // A question is no task of the modern era, and no message will tell that a page has been left.
    params.remove("task");
    if method == method::ELICITATION {
        params.remove("elicitationId");
    }
    params.changed()
}

/// Sends `message` to the session `to` in the background.
pub(super) fn say(to: Arc<dyn Session>, message: Message) {
    background::spawn(async move {
        let mut delivery = crate::retry::Delivery::default();
        while let Err(failure) = to.send(&message).await {
            tracing::warn!("an answer was not taken: {}", failure.summary());
            let Some(delay) = delivery.of_answer_after(&failure) else { return };
            tokio::time::sleep(delay).await;
        }
    });
}
