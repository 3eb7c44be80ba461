//! mcp-amocrm-server, the MCP server of amoCRM, in every generation that may be met. The REST API
//! is in `rest`; the two newest speak MCP besides, which is in `mcp`: one without sessions, one with
//! sessions and with each answer delivered twice.

mod crm;
mod mcp;
mod rest;
mod tools;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Value, json};

pub(crate) use self::crm::Refusal;
pub(crate) use self::rest::{Generation, Options, Rest};
use super::board::Board;
use super::upstream::Upstream;

/// A tool waits for the gate that its argument `gate` names, if any.
pub(crate) struct Amocrm {
    upstream: Upstream,
    shared: Arc<Shared>,
}

struct Shared {
    rest: Rest,
    wire: Board<Wire>,
}

#[derive(Default)]
struct Wire {
    sessions: BTreeMap<String, Session>,
    /// Streams that have been opened so far, and those without a session that have been closed again.
    opened: usize,
    closed: usize,
    /// How often each tool has run, whatever came of it.
    runs: BTreeMap<String, usize>,
    /// Results to give instead of what a tool would, as JSON.
    results: Vec<(String, String)>,
    /// Tools whose next POST breaks after they have run.
    broken: Vec<String>,
    /// The copy for the stream is sent before the body.
    stream_first: bool,
    /// While it is `Some`, copies for streams stay here, with their sessions.
    held: Option<Vec<(String, String)>>,
}

struct Session {
    /// False once the server has forgotten it while its stream goes on.
    known: bool,
    outbox: Vec<String>,
    sent: usize,
}

impl Deref for Amocrm {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Amocrm {
    pub(crate) fn of(generation: Generation) -> Self {
        Self::with(generation, Options::default())
    }

    pub(crate) fn with(generation: Generation, options: Options) -> Self {
        let rest = Rest::new(generation, options);
        let shared = Arc::new(Shared { rest, wire: Board::new(Wire::default()) });
        let upstream = Upstream::absent(Arc::clone(&shared));
        upstream.start();
        Self { upstream, shared }
    }

    /// The URL without a path.
    pub(crate) fn base(&self) -> String {
        self.upstream.url_of("")
    }

    /// The requests of the REST API so far: method and path, and the body.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        let requests = self.upstream.requests();
        let calls = requests.iter().filter(|request| request.path.starts_with("/api/"));
        calls
            .map(|request| {
                let body = serde_json::from_slice(&request.body).unwrap_or_default();
                (format!("{} {}", request.method, request.path), body)
            })
            .collect()
    }

    /// The methods of the messages that have been posted so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        let requests = self.upstream.requests();
        let posts = requests.iter().filter(|request| {
            request.method == "POST" && request.path.starts_with("/mcp/messages")
        });
        posts.map(|request| request.rpc().method().to_owned()).collect()
    }

    /// How many entities of a type, such as `leads`, have been made.
    pub(crate) fn created(&self, kind: &str) -> usize {
        self.shared.rest.crm.read(|crm| crm.created.get(kind).copied().unwrap_or(0))
    }

    /// How often amoCRM has been asked for an action, such as `leads create`.
    pub(crate) fn asked(&self, action: &str) -> usize {
        self.shared.rest.crm.read(|crm| crm.asked.get(action).copied().unwrap_or(0))
    }

    /// Lets amoCRM refuse the next `times` of an action.
    pub(crate) fn refuse(&self, action: &str, refusal: &Refusal, times: usize) {
        self.shared.rest.crm.update(|crm| crm.refuse(action, refusal.clone(), times));
    }

    /// How often an MCP tool has run.
    pub(crate) fn runs(&self, tool: &str) -> usize {
        self.shared.wire.read(|wire| wire.runs.get(tool).copied().unwrap_or(0))
    }

    /// The result of the next call of a tool, as JSON.
    pub(crate) fn answer(&self, tool: &str, result: impl Into<String>) {
        self.shared.wire.update(|wire| wire.results.push((tool.to_owned(), result.into())));
    }

    /// How many streams have been opened.
    pub(crate) fn streams(&self) -> usize {
        self.shared.wire.read(|wire| wire.opened)
    }

    /// Waits until the client has closed its `nth` stream without a session.
    pub(crate) fn wait_for_closed(&self, nth: usize) {
        self.shared.wire.wait("a closed stream", |wire| (wire.closed >= nth).then_some(()));
    }

    /// Sends the copy on the stream before the one in the body, from now on.
    pub(crate) fn send_on_the_stream_first(&self) {
        self.shared.wire.update(|wire| wire.stream_first = true);
    }

    /// Keeps back what is for the streams.
    pub(crate) fn hold_copies(&self) {
        self.shared.wire.update(|wire| wire.held = Some(Vec::new()));
    }

    /// Waits until so many copies are kept back.
    pub(crate) fn wait_for_held(&self, count: usize) {
        self.shared.wire.wait("copies that are kept back", |wire| {
            wire.held.as_ref().is_some_and(|held| held.len() >= count).then_some(())
        });
    }

    /// Sends what was kept back, and keeps nothing back any more.
    pub(crate) fn release_copies(&self) {
        self.shared.wire.update(|wire| {
            for (session, copy) in wire.held.take().unwrap_or_default() {
                wire.push(&session, copy);
            }
        });
    }

    /// Breaks the connection of the next call of a tool when it has run.
    pub(crate) fn break_post(&self, tool: &str) {
        self.shared.wire.update(|wire| wire.broken.push(tool.to_owned()));
    }

    /// Ends every stream, and with it its session.
    pub(crate) fn end_streams(&self) {
        self.shared.wire.update(|wire| wire.sessions.clear());
    }

    /// Forgets every session, as a restart does behind a proxy that keeps the streams.
    pub(crate) fn forget_sessions(&self) {
        self.shared.wire.update(|wire| {
            for session in wire.sessions.values_mut() {
                session.known = false;
            }
        });
    }
}

impl Wire {
    /// Sends this on a session's stream, if that is still there.
    fn push(&mut self, session: &str, message: String) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.outbox.push(message);
        }
    }
}

/// A result as every MCP tool gives it: one text, which holds JSON with indents.
pub(crate) fn text_result(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap();
    json!({ "content": [{ "type": "text", "text": text }] }).to_string()
}
