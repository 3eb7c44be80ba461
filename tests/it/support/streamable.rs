//! The small MCP server behind the Streamable HTTP transport of 2025-03-26 to 2025-11-25.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use super::exchange::{Answered, Event, Exchange};
use super::http::Reply;
use super::mcp::Mcp;
use super::upstream::{Service, Upstream};

/// Has sessions, a resumable listening stream and DELETE. Answers in JSON, or over SSE where a
/// call has more to say than its result.
pub(crate) struct Streamable {
    upstream: Upstream,
    shared: Arc<Shared>,
}

struct Shared {
    mcp: Mcp,
    lost_session: Mutex<Reply>,
}

impl Deref for Streamable {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Upstream {
    pub(crate) fn streamable() -> Streamable {
        let streamable = Self::streamable_absent();
        streamable.start();
        streamable
    }

    /// Refuses connections until [`Upstream::start`].
    pub(crate) fn streamable_absent() -> Streamable {
        let shared =
            Arc::new(Shared { mcp: Mcp::new(), lost_session: Mutex::new(Reply::status(404)) });
        Streamable { upstream: Upstream::absent(Arc::clone(&shared)), shared }
    }
}

impl Streamable {
    /// Forgets all sessions, as a restart would.
    pub(crate) fn forget_sessions(&self) {
        self.shared.mcp.board.update(|state| state.sessions.clear());
    }

    /// How an unknown session is answered from now on, instead of an empty 404.
    pub(crate) fn answer_lost_sessions_with(&self, reply: Reply) {
        *self.shared.lost_session.lock().unwrap() = reply;
    }

    pub(crate) fn executions(&self, tool: &str) -> usize {
        let board = &self.shared.mcp.board;
        board.read(|state| state.executions.get(tool).copied().unwrap_or(0))
    }

    /// Sends this on the listening stream of every session, now or when it is opened.
    pub(crate) fn push(&self, message: &str) {
        self.shared.mcp.board.update(|state| {
            for session in state.sessions.values_mut() {
                session.outbox.push(message.to_owned());
            }
        });
    }

    /// Breaks the listening streams and nothing else.
    pub(crate) fn break_listening(&self) {
        self.shared.mcp.board.update(|state| {
            for session in state.sessions.values_mut() {
                session.epoch += 1;
            }
        });
    }

    /// Log level and subscriptions of the only session.
    pub(crate) fn session_settings(&self) -> (Option<String>, Vec<String>) {
        self.shared.mcp.board.read(|state| {
            let mut sessions = state.sessions.values();
            let (Some(session), None) = (sessions.next(), sessions.next()) else {
                panic!("{} sessions instead of one", state.sessions.len());
            };
            (session.log_level.clone(), session.subscriptions.clone())
        })
    }
}

impl Service for Arc<Shared> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        let given = exchange.request.header("mcp-session-id").map(str::to_owned);
        if exchange.name() == "initialize" {
            assert!(given.is_none(), "initialize within a session");
            return self.initialize(exchange);
        }
        let Some(session) = given else {
            return exchange.send(&Reply::status(400).body("text/plain", "Missing Mcp-Session-Id"));
        };
        let known = self.mcp.board.read(|state| state.sessions.contains_key(&session));
        if !known {
            let refusal = self.lost_session.lock().unwrap().clone();
            return exchange.send(&refusal);
        }
        match exchange.request.method.as_str() {
            "POST" => self.post(exchange, &session),
            "GET" => self.listen(exchange, &session),
            "DELETE" => {
                self.mcp.board.update(|state| state.sessions.remove(&session));
                exchange.status(204)
            }
            _ => exchange.status(405),
        }
    }

    fn wake(&self) {
        self.mcp.board.update(|_| ());
    }
}

impl Shared {
    fn initialize(&self, exchange: &mut Exchange<'_>) -> Answered {
        let session = self.mcp.begin_session();
        let (life, rpc) = (exchange.life(), exchange.rpc());
        let text = self.mcp.perform(&life, &session, &rpc, &mut |_| Ok(()))?;
        exchange.send(&Reply::json(text).header("Mcp-Session-Id", session))
    }

    fn post(&self, exchange: &mut Exchange<'_>, session: &str) -> Answered {
        let (life, rpc) = (exchange.life(), exchange.rpc());
        if rpc.is_reply() {
            self.mcp.take_answer(rpc);
            return exchange.accepted();
        }
        if !rpc.is_request() {
            return exchange.accepted();
        }
        if !Mcp::is_chatty(&rpc) {
            let text = self.mcp.perform(&life, session, &rpc, &mut |_| Ok(()))?;
            return exchange.json(text);
        }
        let mut events = exchange.events()?;
        let tell = &mut |message: &str| events.message(message);
        let text = self.mcp.perform(&life, session, &rpc, tell)?;
        events.message(text)?;
        events.end()
    }

    fn listen(&self, exchange: &mut Exchange<'_>, session: &str) -> Answered {
        let life = exchange.life();
        let mut next = match exchange.request.header("last-event-id") {
            Some(id) => id.parse::<usize>().expect("an event id of ours") + 1,
            None => 0,
        };
        let epoch =
            self.mcp.board.read(|state| state.sessions.get(session).map(|session| session.epoch));
        let mut events = exchange.events()?;
        // A comment, so that the client sees the stream open, and a short way back.
        events.raw(": listening\nretry: 1\n\n")?;
        loop {
            let message =
                life.wait(&self.mcp.board, |state| match state.sessions.get(session) {
                    Some(found) if Some(found.epoch) == epoch => {
                        found.outbox.get(next).cloned().map(Some)
                    }
                    _ => Some(None),
                })?;
            let Some(message) = message else {
                return events.cut();
            };
            events.send(&Event::of(message).id(next))?;
            next += 1;
        }
    }
}
