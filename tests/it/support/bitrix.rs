//! b24-mcp, the MCP server of Bitrix24, in its current form and in the older one that has REST
//! endpoints only.

mod data;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Value, json};

pub(crate) use self::data::{
    deals, handshake_result, internal_error, resource, resources, tools, upstream_error,
    upstream_lost, warned,
};
use self::data::{detail, not_found, query};
use super::board::Board;
use super::exchange::{Answered, Event, Exchange};
use super::http::Reply;
use super::json::spaced;
use super::message::Message;
use super::upstream::{Service, Upstream};

/// Answers a tool named in a call's argument `gate` only once the test has opened that gate.
pub(crate) struct Bitrix {
    upstream: Upstream,
    shared: Arc<Shared>,
}

/// How the server meets JSON-RPC on `POST /mcp`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Rpc {
    /// It speaks it, and keeps a stream.
    Spoken,
    /// It refuses it with this status, as older servers do.
    Refused(u16),
    /// It redirects there and back.
    Circular,
    /// It answers something else.
    Misunderstood,
}

struct Shared {
    rpc: Rpc,
    index: String,
    board: Board<State>,
}

#[derive(Default)]
struct State {
    /// How often each tool has been called, refused calls included.
    asked: BTreeMap<String, usize>,
    faults: Vec<Fault>,
    /// What has been said to anybody; an index into it is a place on every stream.
    broadcast: Vec<String>,
    /// How much of it has reached a stream; the rest waits for the next one.
    flushed: usize,
    /// How many streams have been opened.
    streams: usize,
}

struct Fault {
    tool: String,
    reply: Reply,
    once: bool,
}

impl Deref for Bitrix {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Bitrix {
    pub(crate) fn current() -> Self {
        Self::with(Rpc::Spoken, &json!({ "resources": resources(), "tools": tools() }))
    }

    pub(crate) fn rest_only() -> Self {
        Self::with(Rpc::Refused(404), &json!({ "resources": resources(), "tools": tools() }))
    }

    /// `index` is what `GET /mcp/index` says.
    pub(crate) fn with(rpc: Rpc, index: &Value) -> Self {
        let index = index.to_string();
        let shared = Arc::new(Shared { rpc, index, board: Board::new(State::default()) });
        let upstream = Upstream::absent(Arc::clone(&shared));
        upstream.start();
        Self { upstream, shared }
    }

    /// The URL without a path.
    pub(crate) fn base(&self) -> String {
        self.upstream.url_of("")
    }

    /// How often a tool has been called, whatever became of it.
    pub(crate) fn asked(&self, tool: &str) -> usize {
        self.shared.board.read(|state| state.asked.get(tool).copied().unwrap_or(0))
    }

    /// Answers the next call of a tool like this.
    pub(crate) fn once(&self, tool: &str, reply: Reply) {
        self.add(Fault { tool: tool.to_owned(), reply, once: true });
    }

    /// Answers every call of a tool like this.
    pub(crate) fn always(&self, tool: &str, reply: Reply) {
        self.add(Fault { tool: tool.to_owned(), reply, once: false });
    }

    fn add(&self, fault: Fault) {
        self.shared.board.update(|state| state.faults.push(fault));
    }

    /// Sends this to every stream, now or when the next one is opened, as all that other clients
    /// are told is.
    pub(crate) fn broadcast(&self, message: impl Into<String>) {
        self.shared.broadcast(message.into());
    }

    /// How many streams have been opened.
    pub(crate) fn streams(&self) -> usize {
        self.shared.board.read(|state| state.streams)
    }

    /// Waits until a stream has been opened.
    pub(crate) fn wait_for_stream(&self) {
        let board = &self.shared.board;
        board.wait("a stream", |state| (state.streams > 0).then_some(()));
    }
}

impl Service for Arc<Shared> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        let method = exchange.request.method.clone();
        let path = exchange.request.path.clone();
        let accepted = exchange.request.header("accept").unwrap_or_default();
        let wants_events = accepted.contains("text/event-stream");
        match (method.as_str(), path.as_str()) {
            ("GET", "/mcp/index") => exchange.json(self.index.as_str()),
            ("POST", "/mcp/tool/call") => self.rest_call(exchange),
            ("POST", "/mcp/resource/query") => self.rest_query(exchange),
            (_, "/mcp" | "/mcp/") if self.rpc != Rpc::Spoken => self.no_rpc(exchange),
            _ if self.rpc != Rpc::Spoken => exchange.send(&detail(404, "Not Found")),
            ("POST", "/mcp") => self.rpc(exchange),
            ("GET", "/mcp/sse") => self.stream(exchange),
            ("GET", "/mcp") if wants_events => self.stream(exchange),
            ("GET", "/mcp") | ("POST", "/mcp/initialize") => exchange.json(introduction()),
            ("POST" | "GET", "/mcp/") => {
                let host = exchange.request.header("host").unwrap_or_default();
                let target = format!("http://{host}/mcp");
                exchange.send(&Reply::status(307).header("Location", target))
            }
            ("GET", "/mcp/health") => {
                exchange.json(r#"{"status":"ok","message":"MCP endpoint is alive"}"#)
            }
            ("GET", "/healthz") => exchange.json(r#"{"status":"ok"}"#),
            ("OPTIONS", "/mcp") => exchange.send(
                &Reply::status(204).header("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
            ),
            (_, "/mcp") => exchange.send(&detail(405, "Method Not Allowed")),
            ("GET", path) if path.starts_with("/.well-known/oauth-authorization-server") => {
                exchange.json(
                    r#"{"status":"ok","message":"OAuth discovery metadata is not configured for this MCP server."}"#,
                )
            }
            _ => exchange.send(&detail(404, "Not Found")),
        }
    }

    fn wake(&self) {
        self.board.update(|_| ());
    }
}

/// The answer to a `GET /mcp` that does not ask for events.
fn introduction() -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"initialize","params":{}}}"#, handshake_result())
}

impl Shared {
    fn no_rpc(&self, exchange: &mut Exchange<'_>) -> Answered {
        match self.rpc {
            Rpc::Circular => {
                let there = if exchange.request.path == "/mcp" { "/mcp/" } else { "/mcp" };
                exchange.send(&Reply::status(307).header("Location", there))
            }
            Rpc::Misunderstood if exchange.request.method == "POST" => {
                exchange.json(r#"{"status":"ok"}"#)
            }
            Rpc::Refused(405) => exchange.send(&detail(405, "Method Not Allowed")),
            _ => exchange.send(&detail(404, "Not Found")),
        }
    }

    fn rpc(&self, exchange: &mut Exchange<'_>) -> Answered {
        let text = String::from_utf8_lossy(&exchange.request.body).into_owned();
        let rpc = match Message::parse(&text) {
            Ok(rpc) if rpc.value.is_array() => return exchange.json(introduction()),
            Ok(rpc) => rpc,
            Err(_) => return self.error(exchange, "null", -32700, "Parse error: unreadable"),
        };
        if rpc.value["id"].is_null() {
            return exchange.status(204);
        }
        let id = rpc.id().to_owned();
        let params = rpc.value.get("params").cloned().unwrap_or_else(|| json!({}));
        match rpc.method() {
            "initialize" => self.result(exchange, &id, &handshake_result()),
            "tools/list" => self.result(exchange, &id, &json!({ "tools": tools() }).to_string()),
            "resources/list" => {
                self.result(exchange, &id, &json!({ "resources": resources() }).to_string())
            }
            "resources/query" => {
                let uri = params["uri"].as_str().unwrap_or_default();
                match query(uri) {
                    Ok(result) => self.result(exchange, &id, &result),
                    Err(refusal) => exchange.send(&refusal),
                }
            }
            "tools/call" if params.is_null() => exchange.send(&internal_error()),
            "tools/call" => {
                let Some(tool) = params["name"].as_str() else {
                    let message = "Invalid params: tool name required";
                    return self.error(exchange, &id, -32602, message);
                };
                match self.call(exchange, tool, &params["arguments"])? {
                    Ok(result) => self.result(exchange, &id, &result),
                    Err(reply) => exchange.send(&reply),
                }
            }
            method => self.error(exchange, &id, -32601, &format!("Method not found: {method}")),
        }
    }

    fn result(&self, exchange: &mut Exchange<'_>, id: &str, result: &str) -> Answered {
        self.say(exchange, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
    }

    fn error(&self, exchange: &mut Exchange<'_>, id: &str, code: i64, text: &str) -> Answered {
        let error = json!({ "code": code, "message": text });
        self.say(exchange, format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
    }

    /// Answers, and tells everybody who listens.
    fn say(&self, exchange: &mut Exchange<'_>, answer: String) -> Answered {
        self.broadcast(spaced(&answer));
        exchange.json(answer)
    }

    fn broadcast(&self, message: String) {
        self.board.update(|state| state.broadcast.push(message));
    }

    /// Carries out a call. What is not a result is an answer of another form.
    fn call(
        &self,
        exchange: &Exchange<'_>,
        tool: &str,
        arguments: &Value,
    ) -> std::io::Result<Result<String, Reply>> {
        let fault = self.board.update(|state| {
            *state.asked.entry(tool.to_owned()).or_default() += 1;
            let at = state.faults.iter().position(|fault| fault.tool == tool)?;
            let reply = state.faults[at].reply.clone();
            if state.faults[at].once {
                state.faults.remove(at);
            }
            Some(reply)
        });
        if let Some(reply) = fault {
            return Ok(Err(reply));
        }
        if let Some(gate) = arguments["gate"].as_str() {
            exchange.pass(gate)?;
        }
        let tools = tools();
        let known = tools.as_array().unwrap().iter().find(|known| known["name"] == tool);
        let Some(known) = known else {
            let message = format!("Tool '{tool}' is not registered.");
            return Ok(Err(not_found("tool_not_found", &message)));
        };
        let required = known["inputSchema"]["required"].as_array();
        let required = required.map(Vec::as_slice).unwrap_or_default();
        if required.iter().any(|name| arguments.get(name.as_str().unwrap()).is_none()) {
            return Ok(Err(internal_error()));
        }
        let has_range = arguments["filter"].get(">=DATE_CREATE").is_some();
        let result = if required.is_empty() && !has_range { warned() } else { deals() };
        Ok(Ok(result.replace("getDeals", tool)))
    }

    fn rest_call(&self, exchange: &mut Exchange<'_>) -> Answered {
        let body: Value = serde_json::from_slice(&exchange.request.body).unwrap();
        let Some(tool) = body["tool"].as_str() else {
            return exchange.send(&internal_error());
        };
        match self.call(exchange, tool, &body["params"])? {
            Ok(result) => self.rest_result(exchange, "tools/call", result),
            Err(reply) => exchange.send(&reply),
        }
    }

    fn rest_query(&self, exchange: &mut Exchange<'_>) -> Answered {
        let body: Value = serde_json::from_slice(&exchange.request.body).unwrap();
        match query(body["resource"].as_str().unwrap_or_default()) {
            Ok(result) => self.rest_result(exchange, "resources/query", result),
            Err(refusal) => exchange.send(&refusal),
        }
    }

    fn rest_result(&self, exchange: &mut Exchange<'_>, like: &str, result: String) -> Answered {
        let told =
            format!(r#"{{"jsonrpc":"2.0","method":"{like}","params":{{"result":{result}}}}}"#);
        self.broadcast(spaced(&told));
        exchange.json(result)
    }

    /// Begins with what nobody has heard yet, be it years old.
    fn stream(&self, exchange: &mut Exchange<'_>) -> Answered {
        let life = exchange.life();
        let mut next = self.board.update(|state| {
            state.streams += 1;
            state.flushed
        });
        let mut events = exchange.events()?;
        events.send(&Event::of("/mcp").kind("endpoint"))?;
        loop {
            let message = life.wait(&self.board, |state| {
                state.flushed = state.flushed.max(next);
                state.broadcast.get(next).cloned()
            })?;
            events.send(&Event::of(message).kind("message"))?;
            next += 1;
        }
    }
}
