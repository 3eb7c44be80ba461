//! What becomes of each method of the modern era before a legacy upstream, and of what a legacy
//! upstream sends of its own accord. The tests below fail when a method of the schemas is missing.

use crate::mcp::method;

/// What becomes of a request of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// `server/discover`: answered from the upstream's answer to `initialize`.
    Discovered,
    /// `subscriptions/listen`: the listening stream, and `resources/subscribe` for each resource.
    Listened,
    /// The upstream is asked, without what only the modern era says.
    Asked,
    /// The same, and what the upstream asks meanwhile becomes a result that asks for input.
    AskedInRounds,
    /// The modern era has nothing of the kind: "Method not found".
    Unknown,
}

/// The client's requests. Those of vendors go to the upstream.
const REQUESTS: [(&str, Fate); 19] = [
    (method::DISCOVER, Fate::Discovered),
    (method::LISTEN, Fate::Listened),
    (method::TOOLS_LIST, Fate::Asked),
    (method::TOOLS_CALL, Fate::AskedInRounds),
    (method::RESOURCES_LIST, Fate::Asked),
    (method::RESOURCE_TEMPLATES_LIST, Fate::Asked),
    (method::RESOURCES_READ, Fate::AskedInRounds),
    (method::PROMPTS_LIST, Fate::Asked),
    (method::PROMPTS_GET, Fate::AskedInRounds),
    (method::COMPLETE, Fate::Asked),
    // What the modern era has taken out.
    (method::PING, Fate::Unknown),
    (method::SET_LEVEL, Fate::Unknown),
    (method::RESOURCES_SUBSCRIBE, Fate::Unknown),
    (method::RESOURCES_UNSUBSCRIBE, Fate::Unknown),
    // The tasks of the extension are not those of 2025-11-25.
    ("tasks/get", Fate::Unknown),
    ("tasks/update", Fate::Unknown),
    ("tasks/result", Fate::Unknown),
    ("tasks/list", Fate::Unknown),
    ("tasks/cancel", Fate::Unknown),
];

/// What becomes of what the upstream sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FromUpstream {
    /// `ping`: answered here.
    Pong,
    /// A question: part of a result that asks for input.
    Question,
    /// The upstream takes a question back.
    TakenBack,
    /// A change: goes to the subscriptions that asked for it, with their ids.
    Change,
    /// A log message: goes to the client if a request in flight has asked for it.
    Log,
    /// Progress: goes to the request that waits for the call, under its own token.
    Progress,
    /// Passes.
    Passed,
    /// The modern era has nothing of the kind: dropped, or refused where it is a request.
    Refused,
}

/// The upstream's requests and notifications.
const FROM_UPSTREAM: [(&str, FromUpstream); 17] = [
    (method::PING, FromUpstream::Pong),
    (method::SAMPLING, FromUpstream::Question),
    (method::ELICITATION, FromUpstream::Question),
    (method::ROOTS, FromUpstream::Question),
    (method::CANCELLED, FromUpstream::TakenBack),
    (method::TOOLS_CHANGED, FromUpstream::Change),
    (method::PROMPTS_CHANGED, FromUpstream::Change),
    (method::RESOURCES_CHANGED, FromUpstream::Change),
    (method::RESOURCE_UPDATED, FromUpstream::Change),
    (method::LOG, FromUpstream::Log),
    (method::PROGRESS, FromUpstream::Progress),
    // The client learns of it when it sends its request again.
    ("notifications/elicitation/complete", FromUpstream::Refused),
    ("notifications/tasks/status", FromUpstream::Refused),
    ("tasks/get", FromUpstream::Refused),
    ("tasks/result", FromUpstream::Refused),
    ("tasks/list", FromUpstream::Refused),
    ("tasks/cancel", FromUpstream::Refused),
];

/// What becomes of the client's request `method`.
pub(super) fn of_client(method: &str) -> Fate {
    find(&REQUESTS, method).unwrap_or(Fate::Asked)
}

/// What becomes of the upstream's `method`: a request, or a notification.
pub(super) fn of_upstream(method: &str, is_request: bool) -> FromUpstream {
    let otherwise = if is_request { FromUpstream::Refused } else { FromUpstream::Passed };
    find(&FROM_UPSTREAM, method).unwrap_or(otherwise)
}

fn find<T: Copy>(table: &[(&str, T)], method: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == method).map(|(_, fate)| *fate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::schema::{self, Side};

    #[test]
    fn every_request_of_a_modern_client_has_a_row() {
        for method in schema::methods(Side::Client, |revision| !schema::is_legacy(revision)) {
            // Its one notification is followed up in `send`.
            let known = find(&REQUESTS, &method).is_some() || method == method::CANCELLED;
            assert!(known, "{method}");
        }
    }

    #[test]
    fn everything_that_a_legacy_server_sends_has_a_row() {
        for method in schema::methods(Side::Server, schema::is_legacy) {
            assert!(find(&FROM_UPSTREAM, &method).is_some(), "{method}");
        }
    }

    #[test]
    fn rounds_are_for_the_methods_that_have_them() {
        for (name, fate) in REQUESTS {
            assert_eq!(fate == Fate::AskedInRounds, method::has_rounds(name), "{name}");
        }
    }
}
