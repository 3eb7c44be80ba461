//! A sample of `b24-mcp`, the MCP service for Bitrix24: a small portal, JSON-RPC in the bodies of
//! plain POSTs, and an event stream that tells every reader what was answered to anybody.
//!
//! `tools` is what it offers, `portal` holds the data and stands in for Bitrix24 itself.
//! `service.json` has all documents and the shapes of what is put together.

mod portal;
mod tools;

use std::sync::{LazyLock, Mutex, PoisonError};

use ::http::header::{ACCEPT, HOST, HeaderName, HeaderValue, LOCATION};
use ::http::{Request, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use self::portal::Portal;
use super::fastapi;
use super::server::{self, Answer};
use super::shape::{fill, load, object, set, text};

/// How much a stream holds for a reader that does not read. What comes on top is lost to it.
const STREAM_LIMIT: usize = 100;

/// Where there is something, if not by every method.
const PATHS: [&str; 8] = [
    "/healthz",
    "/mcp",
    "/mcp/",
    "/mcp/health",
    "/mcp/index",
    "/mcp/resource/query",
    "/mcp/sse",
    "/mcp/tool/call",
];

static DATA: LazyLock<Value> = LazyLock::new(|| {
    let mut data = load(include_str!("service.json"));
    for name in ["tools", "index", "handshake"] {
        let filled = fill(&data[name], &data);
        set(&mut data, name, filled);
    }
    data
});

pub(super) struct Service(Mutex<State>);

struct State {
    portal: Portal,
    /// Who reads the one stream of all clients.
    readers: Vec<mpsc::Sender<Bytes>>,
    /// What was answered while nobody read. The original keeps all of it; here the oldest goes.
    kept: Vec<Bytes>,
}

impl Service {
    pub(super) fn new() -> Self {
        let (readers, kept) = (Vec::new(), Vec::new());
        Self(Mutex::new(State { portal: Portal::new(), readers, kept }))
    }

    pub(super) fn answer(&self, request: &Request<Vec<u8>>) -> Answer {
        // A panic elsewhere leaves at worst half a record behind: no reason to fail for ever.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answer(request)
    }
}

impl State {
    fn answer(&mut self, request: &Request<Vec<u8>>) -> Answer {
        let (path, body) = (request.uri().path(), request.body());
        let header = |name: HeaderName| {
            let value = request.headers().get(name).map(HeaderValue::as_bytes);
            String::from_utf8_lossy(value.unwrap_or_default())
        };
        match (request.method().as_str(), path) {
            ("POST", "/mcp") => self.rpc(body),
            ("GET", "/mcp/sse") => self.open_stream(),
            ("GET", "/mcp") if header(ACCEPT).contains("text/event-stream") => self.open_stream(),
            ("GET", "/mcp") => {
                fastapi::document(&notification("initialize", DATA["handshake"].clone()))
            }
            ("GET", "/mcp/index") => fastapi::document(&DATA["index"]),
            ("POST", "/mcp/tool/call") => self.plain("tools/call", body),
            ("POST", "/mcp/resource/query") => self.plain("resources/query", body),
            ("GET", "/mcp/health" | "/healthz") => fastapi::document(&DATA["documents"][path]),
            // The address is absolute, made of what the client calls this host.
            ("GET" | "POST", "/mcp/") => {
                let mut answer = server::empty(StatusCode::TEMPORARY_REDIRECT);
                if let Ok(location) = format!("http://{}/mcp", header(HOST)).try_into() {
                    answer.headers_mut().insert(LOCATION, location);
                }
                answer
            }
            _ if PATHS.contains(&path) => fastapi::method_not_allowed(),
            _ => fastapi::not_found(),
        }
    }

    /// JSON-RPC.
    fn rpc(&mut self, body: &[u8]) -> Answer {
        let data = &*DATA;
        let message: Value = match serde_json::from_slice(body) {
            Ok(message) => message,
            Err(error) => {
                let error = fill(&data["not_json"], &fastapi::parse_error(&error));
                return fastapi::document(&fastapi::error(&Value::Null, error));
            }
        };
        if message.get("jsonrpc").is_none() {
            // A batch among other things: whatever is not understood asks for the handshake.
            return self.tell(&notification("initialize", data["handshake"].clone()));
        }
        let id = &message["id"];
        if id.is_null() {
            return server::empty(StatusCode::NO_CONTENT);
        }
        let method = message["method"].as_str().unwrap_or_default();
        let result = match method {
            "initialize" => data["handshake"].clone(),
            "tools/list" => object("tools", data["tools"].clone()),
            "resources/list" => object("resources", data["resources"].clone()),
            "tools/call" | "resources/query" => {
                let params = message.get("params");
                if params.is_some_and(|params| !params.is_object()) {
                    return fastapi::crashed();
                }
                let member = |name: &str| params.and_then(|params| params.get(name));
                let name = member(&text(&data["methods"][method]["name"]));
                let Some(name) = name.and_then(Value::as_str) else {
                    let error = data["methods"][method]["lacking"].clone();
                    return fastapi::document(&fastapi::error(id, error));
                };
                match self.perform(method, name, member("arguments")) {
                    Ok(result) => result,
                    Err(refusal) => return *refusal,
                }
            }
            _ => {
                let error = fill(&data["unknown_method"], &message);
                return self.tell(&fastapi::error(id, error));
            }
        };
        self.tell(&fastapi::result(id, result))
    }

    /// A call or a query by plain JSON. The stream is told of it in a form that is no MCP at all.
    fn plain(&mut self, method: &str, body: &[u8]) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = text(&DATA["methods"][method]["plain_name"]);
        let Some(named) = body[&name].as_str() else {
            let call = method == "tools/call";
            return if call { fastapi::crashed() } else { fastapi::missing("body", &name, body) };
        };
        match self.perform(method, named, body.get("params")) {
            Ok(result) => {
                let answer = fastapi::document(&result);
                self.broadcast(&notification(method, object("result", result)));
                answer
            }
            Err(refusal) => *refusal,
        }
    }

    /// Calls a tool or queries a resource. The error is the answer, of which no JSON-RPC is left.
    fn perform(
        &mut self,
        method: &str,
        name: &str,
        arguments: Option<&Value>,
    ) -> Result<Value, Box<Answer>> {
        let data = &*DATA;
        let crashed = || Box::new(fastapi::crashed());
        let nothing = Map::new().into();
        let arguments = arguments.unwrap_or(&nothing);
        if !arguments.is_object() {
            return Err(crashed());
        }
        let is_query = method == "resources/query";
        if !is_query && data["calls"].get(name).is_some() {
            return tools::call(&mut self.portal, name, arguments).ok_or_else(crashed);
        }
        let mut values = object("name", name.into());
        if is_query && let Some(directory) = data["directories"].get(name) {
            set(&mut values, "data", directory.clone());
        } else if is_query && let Some(source) = data["sources"].get(name) {
            let answer = self.portal.call(&text(source), arguments).ok_or_else(crashed)?;
            let records = &answer["result"];
            set(&mut values, "data", records.get("tasks").unwrap_or(records).clone());
            set(&mut values, "total", answer["total"].clone());
            if let Some(next) = answer.get("next") {
                set(&mut values, "next", text(next).into());
            }
        } else {
            let detail = fill(&data["methods"][method]["unregistered"], &values);
            return Err(Box::new(fastapi::detail(StatusCode::NOT_FOUND, detail)));
        }
        Ok(fill(&data["queried"], &values))
    }

    /// Answers with a document that every reader of the stream gets to see.
    fn tell(&mut self, message: &Value) -> Answer {
        self.broadcast(message);
        fastapi::document(message)
    }

    fn broadcast(&mut self, message: &Value) {
        let event = fastapi::event(message);
        self.readers.retain(|reader| !reader.is_closed());
        for reader in &self.readers {
            // A reader that is behind loses the event, as with the original.
            let _ = reader.try_send(event.clone());
        }
        if self.readers.is_empty() {
            if self.kept.len() >= STREAM_LIMIT {
                self.kept.remove(0);
            }
            self.kept.push(event);
        }
    }

    /// Opens the stream, which begins with what others were answered while nobody listened.
    fn open_stream(&mut self) -> Answer {
        let (sender, answer) = server::events(STREAM_LIMIT, None);
        let past = std::mem::take(&mut self.kept).concat();
        // The queue is empty yet.
        let _ = sender.try_send([&b"event: endpoint\ndata: /mcp\n\n"[..], &past].concat().into());
        self.readers.push(sender);
        answer
    }
}

/// A message that answers nothing, as no service should send it.
fn notification(method: &str, params: Value) -> Value {
    let mut values = object("method", method.into());
    set(&mut values, "params", params);
    fill(&DATA["notification"], &values)
}

#[cfg(test)]
mod tests;
