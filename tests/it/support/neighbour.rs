//! An MCP server that has much in common with a service that has a kind of its own, its name above
//! all, and is another: on each transport, at any path, among all sorts of other answers.

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::board::Board;
use super::exchange::{Answered, Event, Exchange};
use super::http::Reply;
use super::upstream::{Service, Upstream};

/// How a POST is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transport {
    Json,
    JsonInSession,
    Events,
    EventsInSession,
    /// HTTP+SSE.
    Stream,
    /// HTTP+SSE with the answer in the body of the POST as well.
    StreamAndBody,
}

pub(crate) const TRANSPORTS: [Transport; 6] = [
    Transport::Json,
    Transport::JsonInSession,
    Transport::Events,
    Transport::EventsInSession,
    Transport::Stream,
    Transport::StreamAndBody,
];

#[derive(Clone)]
pub(crate) struct Manners {
    /// `serverInfo.name`.
    pub(crate) name: &'static str,
    pub(crate) transport: Transport,
    /// The path of its endpoint.
    pub(crate) place: &'static str,
    /// How all other paths are answered.
    pub(crate) elsewhere: fn(&mut Exchange<'_>) -> Answered,
    pub(crate) capabilities: &'static str,
    /// Results by method, before those that every neighbour gives.
    pub(crate) results: &'static [(&'static str, &'static str)],
}

pub(crate) const CALLED: &str =
    r#"{"content":[ {"type":"text","text":"called"} ],"isError":false}"#;

const RESULTS: [(&str, &str); 6] = [
    ("ping", "{}"),
    (
        "tools/list",
        r#"{"tools":[ {"name":"getDeals","inputSchema":{"type":"object"}},{"name":"get_leads","inputSchema":{"type":"object"}} ]}"#,
    ),
    ("tools/call", CALLED),
    ("resources/list", r#"{"resources":[ {"uri":"a://b","name":"b"} ]}"#),
    ("resources/read", r#"{"contents":[ {"uri":"a://b","text":"read"} ]}"#),
    ("prompts/list", r#"{"prompts":[ {"name":"p"} ]}"#),
];

const SESSION: &str = "neighbour-1";

/// The id that all of them give their sessions.
const MESSAGES: &str = "/messages?session_id=1";

pub(crate) struct Neighbour {
    upstream: Upstream,
}

struct Shared {
    manners: Manners,
    /// What is sent on the streams.
    outbox: Board<Vec<String>>,
}

impl Deref for Neighbour {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Neighbour {
    pub(crate) fn with(manners: Manners) -> Self {
        let shared = Arc::new(Shared { manners, outbox: Board::new(Vec::new()) });
        let upstream = Upstream::absent(shared);
        upstream.start();
        Self { upstream }
    }

    /// The URL of its endpoint, as its users know it.
    pub(crate) fn url_at(&self, place: &str) -> String {
        self.upstream.url_of(place)
    }
}

/// The result that a neighbour gives.
pub(crate) fn result_of(method: &str) -> &'static str {
    RESULTS.iter().find(|(name, _)| *name == method).unwrap().1
}

impl Service for Arc<Shared> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        let Manners { transport, place, elsewhere, .. } = self.manners;
        let is_stream = matches!(transport, Transport::Stream | Transport::StreamAndBody);
        let path = exchange.request.path.clone();
        match exchange.request.method.as_str() {
            "GET" if path == place && is_stream => self.stream(exchange),
            "POST" if path == MESSAGES && is_stream => self.post(exchange),
            "POST" if path == place && !is_stream => self.post(exchange),
            "DELETE" if path == place && !is_stream => exchange.status(204),
            _ if path == place => exchange.status(405),
            _ => elsewhere(exchange),
        }
    }

    fn wake(&self) {
        self.outbox.update(|_| ());
    }
}

impl Shared {
    fn post(&self, exchange: &mut Exchange<'_>) -> Answered {
        let transport = self.manners.transport;
        let has_session =
            matches!(transport, Transport::JsonInSession | Transport::EventsInSession);
        let rpc = exchange.rpc();
        let is_new = rpc.method() == "initialize";
        let given = exchange.request.header("mcp-session-id");
        if has_session && !is_new && given != Some(SESSION) {
            let said = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
            return exchange.send(&Reply::status(400).body("application/json", said));
        }
        if !rpc.is_request() {
            return exchange.accepted();
        }
        let answer = self.answer_to(exchange);
        let with_session = |reply: Reply| {
            if has_session && is_new { reply.header("Mcp-Session-Id", SESSION) } else { reply }
        };
        match transport {
            Transport::Json | Transport::JsonInSession => {
                exchange.send(&with_session(Reply::json(answer)))
            }
            Transport::Events | Transport::EventsInSession => {
                let head = with_session(Reply::status(200));
                let mut events = exchange.events_with(&head)?;
                events.message(answer)?;
                events.end()
            }
            Transport::Stream => {
                self.outbox.update(|outbox| outbox.push(answer));
                exchange.accepted()
            }
            Transport::StreamAndBody => {
                self.outbox.update(|outbox| outbox.push(answer.clone()));
                exchange.json(answer)
            }
        }
    }

    fn answer_to(&self, exchange: &Exchange<'_>) -> String {
        let rpc = exchange.rpc();
        let id = rpc.id().to_owned();
        let Manners { name, capabilities, results, .. } = &self.manners;
        let result = match rpc.method() {
            "initialize" => Some(format!(
                r#"{{"protocolVersion":"2025-06-18","capabilities":{capabilities},"serverInfo":{{"name":"{name}","version":"3.0.0"}}}}"#
            )),
            method => {
                let known = results.iter().chain(&RESULTS).find(|(known, _)| *known == method);
                known.map(|(_, result)| (*result).to_owned())
            }
        };
        match result {
            Some(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
            None => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"Method not found"}}}}"#
            ),
        }
    }

    fn stream(&self, exchange: &mut Exchange<'_>) -> Answered {
        let life = exchange.life();
        // A stream gets what is asked while it is open.
        let mut next = self.outbox.read(Vec::len);
        let mut events = exchange.events()?;
        events.send(&Event::of(MESSAGES).kind("endpoint"))?;
        loop {
            let message: io::Result<String> =
                life.wait(&self.outbox, |outbox| outbox.get(next).cloned());
            events.send(&Event::of(message?).kind("message"))?;
            next += 1;
        }
    }
}
