//! The small MCP server behind the HTTP+SSE transport of 2024-11-05.

use std::ops::Deref;
use std::sync::Arc;

use super::exchange::{Answered, Event, Exchange};
use super::http::Reply;
use super::mcp::Mcp;
use super::message::Message;
use super::upstream::{Service, Upstream};

/// A stream is a session here: its end is the session's end.
pub(crate) struct HttpSse {
    upstream: Upstream,
    shared: Arc<Shared>,
}

/// Where a POST's answer goes. The specification knows the stream only; servers know better.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum AnswerIn {
    Stream,
    Body,
    Both,
}

struct Shared {
    mcp: Mcp,
    answer_in: AnswerIn,
    /// What the `endpoint` event says; `{session}` stands for the session's id.
    endpoint: String,
    /// How a POST to the stream's own URL is refused.
    refusal: u16,
}

impl Deref for HttpSse {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Upstream {
    /// The stream is at `/sse`, messages go to `/messages?session=…`.
    pub(crate) fn http_sse() -> HttpSse {
        Self::http_sse_with("/messages?session={session}", AnswerIn::Stream, 405)
    }

    /// `endpoint` may hold `{session}`, and `{origin}` for the server's own.
    pub(crate) fn http_sse_with(endpoint: &str, answer_in: AnswerIn, refusal: u16) -> HttpSse {
        let shared =
            Arc::new(Shared { mcp: Mcp::new(), answer_in, endpoint: endpoint.to_owned(), refusal });
        let upstream = Upstream::absent(Arc::clone(&shared));
        upstream.start();
        HttpSse { upstream, shared }
    }
}

impl HttpSse {
    /// The URL that a person would configure.
    pub(crate) fn url(&self) -> String {
        self.upstream.url_of("/sse")
    }

    pub(crate) fn executions(&self, tool: &str) -> usize {
        let board = &self.shared.mcp.board;
        board.read(|state| state.executions.get(tool).copied().unwrap_or(0))
    }

    pub(crate) fn push(&self, message: &str) {
        self.shared.mcp.board.update(|state| {
            for session in state.sessions.values_mut() {
                session.outbox.push(message.to_owned());
            }
        });
    }

    /// Breaks every stream, which ends the sessions.
    pub(crate) fn break_streams(&self) {
        self.shared.mcp.board.update(|state| state.sessions.clear());
    }
}

impl Service for Arc<Shared> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        let (path, query) = match exchange.request.path.split_once('?') {
            Some((path, query)) => (path.to_owned(), query.to_owned()),
            None => (exchange.request.path.clone(), String::new()),
        };
        match (exchange.request.method.as_str(), path.as_str()) {
            ("GET", "/sse") => self.stream(exchange),
            ("POST", "/messages") => {
                let session = query.strip_prefix("session=").unwrap_or_default();
                self.post(exchange, session)
            }
            _ => exchange.status(self.refusal),
        }
    }

    fn wake(&self) {
        self.mcp.board.update(|_| ());
    }
}

impl Shared {
    fn stream(&self, exchange: &mut Exchange<'_>) -> Answered {
        let life = exchange.life();
        let session = self.mcp.begin_session();
        let origin = format!("http://{}", exchange.request.header("host").unwrap_or_default());
        let endpoint = self.endpoint.replace("{session}", &session).replace("{origin}", &origin);
        let mut events = exchange.events()?;
        events.send(&Event::of(endpoint).kind("endpoint"))?;
        let mut next = 0;
        loop {
            let message =
                life.wait(&self.mcp.board, |state| match state.sessions.get(&session) {
                    Some(found) => found.outbox.get(next).cloned().map(Some),
                    None => Some(None),
                })?;
            let Some(message) = message else {
                return events.cut();
            };
            events.send(&Event::of(message).kind("message"))?;
            next += 1;
        }
    }

    fn post(&self, exchange: &mut Exchange<'_>, session: &str) -> Answered {
        let known = self.mcp.board.read(|state| state.sessions.contains_key(session));
        if !known {
            return exchange.send(&Reply::status(404).body("text/plain", "Session not found"));
        }
        let (life, rpc) = (exchange.life(), exchange.rpc());
        if rpc.is_reply() {
            self.mcp.take_answer(rpc);
        }
        let rpc = exchange.rpc();
        if !rpc.is_request() {
            return exchange.accepted();
        }
        if self.answer_in == AnswerIn::Stream {
            // Accepted first, carried out afterwards; on a connection that ends here, else the
            // client's next request would stand in line behind this one.
            exchange.send(&Reply::status(202).header("Connection", "close"))?;
        }
        let tell = &mut |message: &str| {
            self.send(session, message);
            Ok(())
        };
        let text = self.mcp.perform(&life, session, &rpc, tell)?;
        if self.answer_in != AnswerIn::Body {
            self.send(session, &text);
        }
        if self.answer_in == AnswerIn::Stream { exchange.close() } else { exchange.json(text) }
    }

    fn send(&self, session: &str, message: &str) {
        debug_assert!(Message::parse(message).is_ok(), "{message}");
        self.mcp.board.update(|state| {
            if let Some(session) = state.sessions.get_mut(session) {
                session.outbox.push(message.to_owned());
            }
        });
    }
}
