//! What becomes of each method of the legacy era before a modern upstream, and of each notification
//! and request that the modern era knows. `era/schema.json` lists the methods of the schemas, and the
//! tests below fail when one is missing here.

use crate::mcp::method;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The upstream is asked, with what the handshake said in `_meta`, and in rounds where it has
    /// questions.
    Asked,
    /// `ping`: answered here.
    Pong,
    /// `logging/setLevel`: kept, and said in each request.
    Level,
    /// `resources/subscribe`: the stream of notifications is opened again with one more URI.
    Subscribe,
    /// `resources/unsubscribe`: the same with one less.
    Unsubscribe,
    /// The modern era has nothing of the kind: "Method not found".
    Unknown,
    /// Nobody needs it there.
    Dropped,
}

/// The client's requests. Those of vendors go to the upstream.
const REQUESTS: [(&str, Fate); 17] = [
    // Answered from `server/discover` when the session is opened.
    (method::INITIALIZE, Fate::Unknown),
    (method::PING, Fate::Pong),
    (method::TOOLS_LIST, Fate::Asked),
    (method::TOOLS_CALL, Fate::Asked),
    (method::RESOURCES_LIST, Fate::Asked),
    (method::RESOURCE_TEMPLATES_LIST, Fate::Asked),
    (method::RESOURCES_READ, Fate::Asked),
    (method::RESOURCES_SUBSCRIBE, Fate::Subscribe),
    (method::RESOURCES_UNSUBSCRIBE, Fate::Unsubscribe),
    (method::PROMPTS_LIST, Fate::Asked),
    (method::PROMPTS_GET, Fate::Asked),
    (method::COMPLETE, Fate::Asked),
    (method::SET_LEVEL, Fate::Level),
    // The tasks of 2025-11-25 are not those of the extension, and no such capability is offered.
    ("tasks/get", Fate::Unknown),
    ("tasks/result", Fate::Unknown),
    ("tasks/list", Fate::Unknown),
    ("tasks/cancel", Fate::Unknown),
];

/// The client's notifications. Those of vendors go to the upstream.
const NOTIFICATIONS: [(&str, Fate); 5] = [
    (method::INITIALIZED, Fate::Dropped),
    // Hanging up says it.
    (method::CANCELLED, Fate::Dropped),
    (method::PROGRESS, Fate::Dropped),
    ("notifications/roots/list_changed", Fate::Dropped),
    ("notifications/tasks/status", Fate::Dropped),
];

/// What becomes of the client's request `method`.
pub(super) fn of_client(method: &str) -> Fate {
    find(&REQUESTS, method).unwrap_or(Fate::Asked)
}

/// What becomes of the client's notification `method`.
pub(super) fn of_notification(method: &str) -> Fate {
    find(&NOTIFICATIONS, method).unwrap_or(Fate::Asked)
}

fn find(table: &[(&str, Fate)], method: &str) -> Option<Fate> {
    table.iter().find(|(name, _)| *name == method).map(|(_, fate)| *fate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::schema::{self, Side};

    #[test]
    fn every_method_of_a_legacy_client_has_a_row() {
        for method in schema::methods(Side::Client, schema::is_legacy) {
            let known = find(&REQUESTS, &method).or_else(|| find(&NOTIFICATIONS, &method));
            assert!(known.is_some(), "{method}");
        }
    }

    #[test]
    fn every_message_of_a_modern_server_is_known() {
        // Notifications that pass on the stream of their request, and those of the one stream.
        let passed = [method::PROGRESS, method::LOG];
        let listened = [
            method::TOOLS_CHANGED,
            method::PROMPTS_CHANGED,
            method::RESOURCES_CHANGED,
            method::RESOURCE_UPDATED,
            // Kept, for who has subscribed.
            method::ACKNOWLEDGED,
            // The stream ends, and is opened again.
            method::CANCELLED,
        ];
        // Questions within a result.
        let asked = [method::SAMPLING, method::ELICITATION, method::ROOTS];
        let known = [&passed[..], &listened, &asked].concat();
        for method in schema::methods(Side::Server, |revision| !schema::is_legacy(revision)) {
            assert!(known.contains(&method.as_str()), "{method}");
        }
    }
}
