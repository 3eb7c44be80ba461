//! The methods of MCP and what is true of each, in one table.

/// Opens a session.
pub(crate) const INITIALIZE: &str = "initialize";
/// Ends the handshake.
pub(crate) const INITIALIZED: &str = "notifications/initialized";
/// Asks a server what it is, in the stateless revisions.
pub(crate) const DISCOVER: &str = "server/discover";
/// Asks either side whether it lives.
pub(crate) const PING: &str = "ping";
/// Lists tools.
pub(crate) const TOOLS_LIST: &str = "tools/list";
/// Runs a tool.
pub(crate) const TOOLS_CALL: &str = "tools/call";
/// Lists resources.
pub(crate) const RESOURCES_LIST: &str = "resources/list";
/// Lists templates of resources.
pub(crate) const RESOURCE_TEMPLATES_LIST: &str = "resources/templates/list";
/// Reads a resource.
pub(crate) const RESOURCES_READ: &str = "resources/read";
/// Asks to be told when a resource changes.
pub(crate) const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
/// Takes [`RESOURCES_SUBSCRIBE`] back.
pub(crate) const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
/// Searches resources, at the Bitrix24 server.
pub(crate) const RESOURCES_QUERY: &str = "resources/query";
/// Lists prompts.
pub(crate) const PROMPTS_LIST: &str = "prompts/list";
/// Fills a prompt in.
pub(crate) const PROMPTS_GET: &str = "prompts/get";
/// Completes an argument.
pub(crate) const COMPLETE: &str = "completion/complete";
/// Sets the least level of the server's log messages.
pub(crate) const SET_LEVEL: &str = "logging/setLevel";
/// Takes a request back.
pub(crate) const CANCELLED: &str = "notifications/cancelled";
/// Tells how far a request has come.
pub(crate) const PROGRESS: &str = "notifications/progress";
/// The list of tools has changed.
pub(crate) const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
/// The list of prompts has changed.
pub(crate) const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
/// The list of resources has changed.
pub(crate) const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
/// Asks for notifications until it is cancelled, in the stateless revisions.
pub(crate) const LISTEN: &str = "subscriptions/listen";
/// Confirms [`LISTEN`].
pub(crate) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// A log message of the server.
pub(crate) const LOG: &str = "notifications/message";
/// A server asks for a completion by the client's model.
pub(crate) const SAMPLING: &str = "sampling/createMessage";
/// A server asks the person in front of the client.
pub(crate) const ELICITATION: &str = "elicitation/create";
pub(crate) const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
/// A server asks for the client's directories.
pub(crate) const ROOTS: &str = "roots/list";
/// A resource has changed.
pub(crate) const RESOURCE_UPDATED: &str = "notifications/resources/updated";

/// A request that clients make of servers.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "it is a row of a table")]
struct ClientRequest {
    name: &'static str,
    /// It changes nothing, or nothing more when it runs twice.
    is_safe: bool,
    /// The member of the result that holds the list, of a method that lists.
    list: Option<&'static str>,
    /// It has no end of its own: it stands until it is cancelled.
    stands: bool,
    /// Its result says for how long it may be kept (2026-07-28, Caching, "Cacheable Results").
    is_cacheable: bool,
    /// The server may ask the client something before it answers (2026-07-28, Multi Round-Trip
    /// Requests, "Supported Requests").
    has_rounds: bool,
    /// Clients answer it as well: a server may ask the same of them.
    is_mutual: bool,
}

const fn request(name: &'static str) -> ClientRequest {
    ClientRequest {
        name,
        is_safe: false,
        list: None,
        stands: false,
        is_cacheable: false,
        has_rounds: false,
        is_mutual: false,
    }
}

const fn safe(name: &'static str) -> ClientRequest {
    ClientRequest { is_safe: true, ..request(name) }
}

const fn list(name: &'static str, member: &'static str) -> ClientRequest {
    ClientRequest { list: Some(member), ..cacheable(name) }
}

const fn cacheable(name: &'static str) -> ClientRequest {
    ClientRequest { is_cacheable: true, ..safe(name) }
}

const fn with_rounds(request: ClientRequest) -> ClientRequest {
    ClientRequest { has_rounds: true, ..request }
}

const fn mutual(request: ClientRequest) -> ClientRequest {
    ClientRequest { is_mutual: true, ..request }
}

/// What clients ask of servers, in all revisions, and `resources/query` of the Bitrix24 server. A
/// method that only servers ask for needs no row: it goes to the client as it came.
const CLIENT_REQUESTS: [ClientRequest; 21] = [
    with_rounds(request(TOOLS_CALL)),
    list(TOOLS_LIST, "tools"),
    list(RESOURCES_LIST, "resources"),
    list(RESOURCE_TEMPLATES_LIST, "resourceTemplates"),
    list(PROMPTS_LIST, "prompts"),
    safe(INITIALIZE),
    cacheable(DISCOVER),
    mutual(safe(PING)),
    with_rounds(cacheable(RESOURCES_READ)),
    safe(RESOURCES_SUBSCRIBE),
    safe(RESOURCES_UNSUBSCRIBE),
    with_rounds(safe(PROMPTS_GET)),
    safe(COMPLETE),
    safe(SET_LEVEL),
    request(RESOURCES_QUERY),
    mutual(safe("tasks/get")),
    mutual(safe("tasks/list")),
    mutual(safe("tasks/result")),
    mutual(request("tasks/cancel")),
    request("tasks/update"),
    ClientRequest { stands: true, ..safe(LISTEN) },
];

fn client_request(method: &str) -> Option<&'static ClientRequest> {
    CLIENT_REQUESTS.iter().find(|known| known.name == method)
}

/// Whether a request changes nothing, or nothing more when it runs twice. A `tools/call` may be as
/// safe as that, which only its tool can tell.
pub(crate) fn is_safe(method: &str) -> bool {
    client_request(method).is_some_and(|known| known.is_safe)
}

/// The member that holds the list in the result of a method that lists.
pub(crate) fn list_member(method: &str) -> Option<&'static str> {
    client_request(method)?.list
}

/// Whether a request has no end of its own and so holds no place among those in flight.
pub(crate) fn stands(method: &str) -> bool {
    client_request(method).is_some_and(|known| known.stands)
}

/// Whether the result of a method says for how long it may be kept.
pub(crate) fn is_cacheable(method: &str) -> bool {
    client_request(method).is_some_and(|known| known.is_cacheable)
}

/// Whether the server may ask the client something before it answers a request.
pub(crate) fn has_rounds(method: &str) -> bool {
    client_request(method).is_some_and(|known| known.has_rounds)
}

/// Whether only clients send this. Some servers tell everybody on their streams what others have
/// asked.
pub(crate) fn is_clients_own(method: &str) -> bool {
    client_request(method).is_some_and(|known| !known.is_mutual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_properties() {
        for method in [TOOLS_LIST, RESOURCES_READ, PING, INITIALIZE, "subscriptions/listen"] {
            assert!(is_safe(method), "{method}");
        }
        for method in [TOOLS_CALL, "vendor/method", CANCELLED, ""] {
            assert!(!is_safe(method), "{method}");
        }
        assert_eq!(list_member(RESOURCE_TEMPLATES_LIST), Some("resourceTemplates"));
        assert_eq!(list_member(TOOLS_CALL), None);
        for method in [TOOLS_CALL, RESOURCES_QUERY, TOOLS_LIST, "tasks/update"] {
            assert!(is_clients_own(method), "{method}");
        }
        for method in [PING, "sampling/createMessage", "roots/list", "tasks/get", "tasks/cancel"] {
            assert!(!is_clients_own(method), "{method}");
        }
        assert!(is_safe("tasks/list") && !is_safe("tasks/cancel"));
        assert!(stands("subscriptions/listen") && !stands(TOOLS_CALL));
        assert!(is_cacheable(TOOLS_LIST) && is_cacheable(RESOURCES_READ) && !is_cacheable(PING));
        assert!(has_rounds(TOOLS_CALL) && has_rounds(PROMPTS_GET) && !has_rounds(TOOLS_LIST));
    }
}
