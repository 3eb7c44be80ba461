//! 1C services of other authors, which speak MCP's own transport: sessions of which only a few are kept
//! and the oldest goes first, answers in event streams, strict checks of what clients send, and errors
//! under an id of the server's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::exchange::{Answered, Event, Exchange};
use super::http::Reply;
use super::upstream::{Service, Upstream};

/// A service at one path; everything else is not found.
pub(crate) struct Own {
    path: String,
    /// The most sessions; none, and each answer is JSON by itself.
    sessions: usize,
    open: Mutex<(u32, VecDeque<String>)>,
}

const MISSING: &str = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;

const TOOLS: &str = r#"{"tools":[{"name":"ПолучитьОстатки","inputSchema":{}}]}"#;

impl Own {
    /// With plain answers in JSON, and no sessions.
    pub(crate) fn plain(path: &str) -> Upstream {
        Self::serve(path, 0)
    }

    /// With event streams, and this many sessions.
    pub(crate) fn with_sessions(path: &str, sessions: usize) -> Upstream {
        Self::serve(path, sessions)
    }

    fn serve(path: &str, sessions: usize) -> Upstream {
        let open = Mutex::new((0, VecDeque::new()));
        let upstream = Upstream::absent(Arc::new(Self { path: path.to_owned(), sessions, open }));
        upstream.start();
        upstream
    }

    /// Refuses what a strict server of Streamable HTTP does not take.
    fn refusal(&self, exchange: &Exchange<'_>) -> Option<Reply> {
        let header = |name: &str| exchange.request.header(name).unwrap_or_default();
        let accept = header("accept");
        if !accept.contains("application/json") || !accept.contains("text/event-stream") {
            return Some(Reply::status(406));
        }
        if !header("content-type").starts_with("application/json") {
            return Some(Reply::status(415));
        }
        if self.sessions == 0 || exchange.name() == "initialize" {
            return None;
        }
        let (_, open) = &*self.open.lock().unwrap();
        match header("mcp-session-id") {
            "" => Some(Reply::status(400).body("application/json", MISSING)),
            id if open.iter().any(|known| known == id) => None,
            _ => Some(Reply::status(404)),
        }
    }

    fn say(&self, exchange: &mut Exchange<'_>, result: &str, session: Option<&str>) -> Answered {
        let text = exchange.result_text(result);
        let head = session
            .into_iter()
            .fold(Reply::status(200), |reply, id| reply.header("Mcp-Session-Id", id));
        if self.sessions == 0 {
            return exchange.send(&head.body("application/json", text));
        }
        let mut events = exchange.events_with(&head)?;
        events.send(&Event::of(text))?;
        events.end()
    }
}

impl Service for Arc<Own> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        if exchange.request.path != self.path {
            return exchange.send(&Reply::status(404).body("text/html", "<h1>Not Found</h1>"));
        }
        if exchange.request.method == "DELETE" {
            let id = exchange.request.header("mcp-session-id").unwrap_or_default().to_owned();
            self.open.lock().unwrap().1.retain(|known| *known != id);
            return exchange.status(204);
        }
        if exchange.request.method != "POST" {
            return exchange.status(405);
        }
        if let Some(refusal) = self.refusal(exchange) {
            return exchange.send(&refusal);
        }
        match exchange.name().as_str() {
            "initialize" => {
                let session = (self.sessions > 0).then(|| {
                    let (last, open) = &mut *self.open.lock().unwrap();
                    *last += 1;
                    if open.len() == self.sessions {
                        open.pop_front();
                    }
                    open.push_back(format!("own-{last}"));
                    format!("own-{last}")
                });
                let result = r#"{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"own","version":"1"}}"#;
                self.say(exchange, result, session.as_deref())
            }
            name if name.starts_with("notifications/") => exchange.accepted(),
            "ping" => self.say(exchange, "{}", None),
            "tools/list" => self.say(exchange, TOOLS, None),
            "tools/call" => {
                let name = exchange.rpc().value["params"]["name"].clone();
                let text = format!(r#"{{"content":[{{"type":"text","text":{name}}}]}}"#);
                self.say(exchange, &text, None)
            }
            _ => exchange.status(404),
        }
    }
}
