//! What the server answers by MCP, and what it leaves to the REST API.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use super::rest::Generation;
use super::{Session, Shared, Wire, tools};
use crate::support::Reply;
use crate::support::exchange::{Answered, Event, Exchange};
use crate::support::json::{json_reply, spaced};
use crate::support::message::Message;
use crate::support::upstream::{Life, Service};

impl Service for Arc<Shared> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        use Generation::{Sessionless, Streamed, StreamlessRest};

        let prefix = self.rest.options.prefix;
        let Some(path) = exchange.request.path.strip_prefix(prefix) else {
            return exchange.send(&Reply::status(404).body("text/html", "<h1>Not Found</h1>"));
        };
        exchange.request.path = path.to_owned();
        if let Some(refusal) = self.rest.refusal(&exchange.request) {
            return exchange.send(&refusal);
        }
        let (path, query) = match exchange.request.path.split_once('?') {
            Some((path, query)) => (path.to_owned(), query.to_owned()),
            None => (exchange.request.path.clone(), String::new()),
        };
        let session = query.strip_prefix("sessionId=").map(str::to_owned);
        let method = exchange.request.method.clone();
        match (method.as_str(), path.as_str(), self.rest.generation) {
            ("GET", "/mcp/sse", Streamed) => self.stream(exchange),
            ("GET", "/mcp/sse", Sessionless) => self.greet(exchange),
            ("GET", "/mcp/sse", StreamlessRest) => {
                exchange.send(&json_reply(501, &json!({ "detail": "Not Implemented" })))
            }
            ("POST", "/mcp/messages", Streamed) => self.post(exchange, session.as_deref()),
            ("POST", "/mcp/messages", Sessionless) => self.post_without_session(exchange),
            ("GET", "/mcp", Streamed) => exchange.json(
                json!({
                    "name": "amocrm-mcp-server",
                    "version": "3.0.0",
                    "protocol": "mcp",
                    "endpoints": { "sse": "/mcp/sse", "messages": "/mcp/messages" },
                    "status": "active",
                })
                .to_string(),
            ),
            (_, "/mcp", Streamed)
            | (_, "/mcp/sse" | "/mcp/messages", Sessionless | Streamed | StreamlessRest) => {
                exchange.send(&json_reply(405, &json!({ "detail": "Method Not Allowed" })))
            }
            _ => match self.rest.reply(&exchange.request) {
                Some(reply) => exchange.send(&reply),
                None => exchange.close(),
            },
        }
    }

    fn wake(&self) {
        self.wire.update(|_| ());
    }
}

impl Shared {
    /// The stream that is a session.
    fn stream(&self, exchange: &mut Exchange<'_>) -> Answered {
        let life = exchange.life();
        let session = self.wire.update(|wire| {
            wire.opened += 1;
            let id = format!("0376f1b8-4782-4da6-b5ce-{:012}", wire.opened);
            let session = Session { known: true, outbox: Vec::new(), sent: 0 };
            wire.sessions.insert(id.clone(), session);
            id
        });
        let mut events = exchange.events()?;
        let endpoint = format!("/mcp/messages?sessionId={session}");
        events.send(&Event::of(endpoint).kind("endpoint"))?;
        events.raw(": keep-alive\n\n")?;
        let mut next = 0;
        loop {
            let message = life.wait(&self.wire, |wire| match wire.sessions.get(&session) {
                Some(found) => found.outbox.get(next).cloned().map(Some),
                None => Some(None),
            })?;
            let Some(message) = message else {
                return events.cut();
            };
            events.send(&Event::of(message).kind("message"))?;
            next += 1;
            self.wire.update(|wire| {
                if let Some(session) = wire.sessions.get_mut(&session) {
                    session.sent = next;
                }
            });
        }
    }

    /// The stream without a session, which has a single event.
    fn greet(&self, exchange: &mut Exchange<'_>) -> Answered {
        self.wire.update(|wire| wire.opened += 1);
        let mut events = exchange.events()?;
        let hello = json!({ "jsonrpc": "2.0", "method": "initialize", "params": hello() });
        events.message(spaced(&hello.to_string()))?;
        events.raw(": keep-alive\n\n")?;
        let closed = events.until_closed();
        self.wire.update(|wire| wire.closed += 1);
        closed
    }

    fn post(&self, exchange: &mut Exchange<'_>, session: Option<&str>) -> Answered {
        let Some(session) = session else {
            let detail = json!([{
                "type": "missing",
                "loc": ["query", "sessionId"],
                "msg": "Field required",
                "input": null,
            }]);
            return exchange.send(&json_reply(422, &json!({ "detail": detail })));
        };
        let is_known = |wire: &Wire| wire.sessions.get(session).is_some_and(|found| found.known);
        if !self.wire.read(is_known) {
            let detail = format!("Unknown session: {session}");
            return exchange.send(&json_reply(400, &json!({ "detail": detail })));
        }
        let text = String::from_utf8_lossy(&exchange.request.body).into_owned();
        let Ok(message) = Message::parse(&text) else {
            let answer = answer("null", Err((-32603, "Expecting value: line 1".to_owned())));
            return self.deliver(exchange, session, "", answer);
        };
        if message.value.is_array() {
            let said = Reply::status(500).body("text/plain", "Internal Server Error");
            return exchange.send(&said);
        }
        if message.method() == "notifications/initialized" {
            return exchange.json(r#"{"jsonrpc":"2.0"}"#);
        }
        let has_id = !message.value["id"].is_null();
        let id = if has_id { message.id() } else { "null" };
        let outcome = match message.method() {
            _ if message.raw("params") == Some("null") => {
                Err((-32603, "'NoneType' object has no attribute 'get'".to_owned()))
            }
            "initialize" => Ok(hello().to_string()),
            "ping" => Ok("{}".to_owned()),
            _ => self.perform(&exchange.life(), &message)?,
        };
        let answer = answer(id, outcome);
        if !has_id {
            return exchange.json(answer);
        }
        let tool = message.value["params"]["name"].as_str().unwrap_or_default();
        self.deliver(exchange, session, tool, answer)
    }

    /// Answers in the body and on the stream; the two differ in their blanks.
    fn deliver(
        &self,
        exchange: &mut Exchange<'_>,
        session: &str,
        tool: &str,
        answer: String,
    ) -> Answered {
        let copy = spaced(&answer);
        if self.is_to_break(tool) {
            self.copy(session, copy);
            return exchange.close();
        }
        if self.wire.read(|wire| wire.stream_first) {
            let place = self.copy(session, copy);
            exchange.life().wait(&self.wire, |wire| match wire.sessions.get(session) {
                Some(found) => (found.sent >= place).then_some(()),
                None => Some(()),
            })?;
            return exchange.json(answer);
        }
        exchange.json(answer)?;
        self.copy(session, copy);
        Ok(())
    }

    fn is_to_break(&self, tool: &str) -> bool {
        self.wire.update(|wire| {
            let at = wire.broken.iter().position(|broken| broken == tool);
            at.map(|at| wire.broken.remove(at)).is_some()
        })
    }

    /// Puts a copy on the stream, unless copies are held; gives how many that stream has then.
    fn copy(&self, session: &str, copy: String) -> usize {
        self.wire.update(|wire| {
            match &mut wire.held {
                Some(held) => held.push((session.to_owned(), copy)),
                None => wire.push(session, copy),
            }
            wire.sessions.get(session).map_or(0, |session| session.outbox.len())
        })
    }

    fn post_without_session(&self, exchange: &mut Exchange<'_>) -> Answered {
        let text = String::from_utf8_lossy(&exchange.request.body).into_owned();
        match Message::parse(&text) {
            Ok(message) if message.value.is_object() => {
                let id = if message.id().is_empty() { "null" } else { message.id() };
                let outcome = self.perform(&exchange.life(), &message)?;
                let tool = message.value["params"]["name"].as_str().unwrap_or_default();
                if self.is_to_break(tool) {
                    return exchange.close();
                }
                exchange.json(answer(id, outcome))
            }
            _ => exchange.send(&Reply::status(500).body("text/plain", "Internal Server Error")),
        }
    }

    /// What both MCP variants do.
    fn perform(&self, life: &Life, message: &Message) -> io::Result<Result<String, (i64, String)>> {
        let params = message.value.get("params").cloned().unwrap_or_else(|| json!({}));
        Ok(match message.method() {
            "tools/list" => Ok(tools::listed(self.rest.generation)),
            "tools/call" => {
                let tool = params["name"].as_str().unwrap_or_default();
                let scripted = self.wire.update(|wire| {
                    *wire.runs.entry(tool.to_owned()).or_default() += 1;
                    let at = wire.results.iter().position(|(of, _)| of == tool)?;
                    Some(wire.results.remove(at).1)
                });
                if let Some(gate) = params["arguments"]["gate"].as_str() {
                    life.pass(gate)?;
                }
                match scripted {
                    Some(result) => Ok(result),
                    None => tools::run(&self.rest, tool, &params["arguments"]),
                }
            }
            method => Err((-32601, format!("Method not found: {method}"))),
        })
    }
}

/// What the server says of itself.
fn hello() -> Value {
    json!({
        "protocolVersion": "2024-11-05",
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "amocrm-mcp-server", "version": "3.0.0" },
    })
}

fn answer(id: &str, outcome: Result<String, (i64, String)>) -> String {
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err((code, text)) => {
            let error = json!({ "code": code, "message": text });
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
        }
    }
}
