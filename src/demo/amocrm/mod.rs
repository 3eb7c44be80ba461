//! A sample of `mcp-amocrm-server` in its second generation: HTTP+SSE with sessions, in which an
//! answer comes twice, in the body of the POST and on the stream, and a REST interface beside it.
//!
//! `crm` holds the data and stands in for amoCRM itself. `service.json` has all documents, the
//! tools with the requests to amoCRM that they are, and the shapes of what is put together. The
//! tools for chats are left out.

mod crm;

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use ::http::{Request, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use self::crm::{Crm, Outcome};
use super::fastapi;
use super::server::{self, Answer};
use super::shape::{Style, fill, items, load, object, text, write};

/// How much a stream holds for a reader that does not read. The original has no bound.
const STREAM_LIMIT: usize = 10_000;

/// After how much silence a stream shows that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

static DATA: LazyLock<Value> = LazyLock::new(|| load(include_str!("service.json")));

pub(super) struct Service(Mutex<State>);

struct State {
    crm: Crm,
    /// The ids of sessions with their streams. A session ends when its stream is closed.
    sessions: Vec<(String, mpsc::Sender<Bytes>)>,
}

impl Service {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { crm: Crm::new(), sessions: Vec::new() }))
    }

    pub(super) fn answer(&self, request: &Request<Vec<u8>>) -> Answer {
        // A panic elsewhere leaves at worst half a record behind: no reason to fail for ever.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answer(request)
    }
}

impl State {
    fn answer(&mut self, request: &Request<Vec<u8>>) -> Answer {
        let (path, method) = (request.uri().path(), request.method().as_str());
        let body = serde_json::from_slice(request.body());
        match (method, path, DATA["documents"].get(path)) {
            ("GET", _, Some(document)) => fastapi::document(document),
            ("GET", "/mcp/sse", _) => self.open_session(),
            ("POST", "/mcp/messages", _) => {
                let query = request.uri().query().unwrap_or_default();
                let mut query = query.split('&');
                match query.find_map(|parameter| parameter.strip_prefix("sessionId=")) {
                    Some(session) => self.message(session, &body),
                    None => fastapi::missing("query", "sessionId", Value::Null),
                }
            }
            ("POST", "/api/entities", _) => self.entities(body.unwrap_or_default()),
            (_, "/mcp/sse" | "/mcp/messages" | "/api/entities", _) | (.., Some(_)) => {
                fastapi::method_not_allowed()
            }
            _ => match path.strip_prefix("/api/v4-proxy/") {
                Some(path) => self.passed_on(method, path, &Value::Null, &body.unwrap_or_default()),
                None => fastapi::not_found(),
            },
        }
    }

    fn open_session(&mut self) -> Answer {
        // A UUID of version 4.
        let random = fastrand::u128(..) & !(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let mut id = format!("{random:032x}");
        for dash in [8, 13, 18, 23] {
            id.insert(dash, '-');
        }
        let (stream, mut answer) = server::events(STREAM_LIMIT, Some(KEEP_ALIVE));
        let endpoint = format!("event: endpoint\ndata: /mcp/messages?sessionId={id}\n\n");
        // The queue is empty yet.
        let _ = stream.try_send(endpoint.into());
        self.sessions.push((id, stream));
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers
            .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        answer
    }

    /// A message of JSON-RPC, with the ways in which it goes wrong in the original.
    fn message(&mut self, session: &str, body: &serde_json::Result<Value>) -> Answer {
        self.sessions.retain(|(_, stream)| !stream.is_closed());
        let stream = self.sessions.iter().find(|(id, _)| id == session);
        let Some(stream) = stream.map(|(_, stream)| stream.clone()) else {
            let unknown = format!("Unknown session: {session}");
            return fastapi::detail(StatusCode::BAD_REQUEST, unknown.into());
        };
        let data = &*DATA;
        let id = body.as_ref().map_or(&Value::Null, |message| &message["id"]);
        let outcome = match body {
            Ok(message) if !message.is_object() => return fastapi::crashed(),
            Ok(message) => match message["method"].as_str().unwrap_or_default() {
                "initialize" => Ok(data["initialize"].clone()),
                "notifications/initialized" => return fastapi::document(&data["silence"]),
                "ping" => Ok(Map::new().into()),
                "tools/list" => Ok(object("tools", data["tools"].clone())),
                "tools/call" => {
                    self.call(message).map_err(|reason| object("reason", reason.into()))
                }
                _ => {
                    let error = fill(&data["unknown_method"], message);
                    return answered(&stream, &fastapi::error(id, error), !id.is_null());
                }
            },
            Err(error) => Err(fastapi::parse_error(error)),
        };
        match outcome {
            Ok(result) => answered(&stream, &fastapi::result(id, result), !id.is_null()),
            // The stream gets an exception even if it answers nothing.
            Err(reason) => {
                let error = fill(&data["exception"], &reason);
                answered(&stream, &fastapi::error(id, error), true)
            }
        }
    }

    /// Calls a tool. Its result is one text, in which a failure looks like anything else.
    fn call(&mut self, message: &Value) -> Outcome {
        let nothing = Map::new().into();
        let params = dictionary(message.get("params").unwrap_or(&nothing))?;
        let arguments = dictionary(params.get("arguments").unwrap_or(&nothing))?;
        let call = &DATA["calls"][text(&params["name"])];
        // What the original takes out of a dictionary without looking first.
        let mut required = items(&call["required"]).iter().map(text);
        if let Some(missing) = required.find(|name| arguments.get(name).is_none()) {
            return Err(format!("'{missing}'"));
        }
        let result = if call.is_null() {
            fill(&DATA["unknown_tool"], params)
        } else {
            let request = fill(call, arguments);
            let method = request["method"].as_str().unwrap_or("GET").to_ascii_uppercase();
            let path: Vec<String> = items(&request["path"]).iter().map(text).collect();
            let path = path.join("/");
            let path = path.trim_start_matches('/').trim_start_matches("api/v4/");
            self.crm.request(&method, path, &request["params"], &request["body"])?
        };
        let text = write(&result, Style::Lines);
        Ok(fill(&DATA["content"], &object("text", text.into())))
    }

    /// The address that stands for most of amoCRM's own.
    fn entities(&mut self, body: Value) -> Answer {
        let Some(mut path) = body["entity_type"].as_str().map(str::to_owned) else {
            return fastapi::missing("body", "entity_type", body);
        };
        let Some(method) = body["method"].as_str() else {
            return fastapi::missing("body", "method", body);
        };
        if let Some(id) = body["entity_id"].as_u64() {
            path = format!("{path}/{id}");
        }
        let method = match method {
            "get" => "GET",
            "create" | "post" => "POST",
            "update" | "patch" => "PATCH",
            "delete" => "DELETE",
            _ => return fastapi::document(&DATA["unsupported"]),
        };
        self.passed_on(method, &path, &body["params"], &body["data"])
    }

    /// What amoCRM says, which is a success to this service whatever it is.
    fn passed_on(&mut self, method: &str, path: &str, params: &Value, body: &Value) -> Answer {
        let answer = self.crm.request(method, path, params, body);
        answer.map_or_else(|_| fastapi::crashed(), |answer| fastapi::document(&answer))
    }
}

/// The answer in the body, and a copy of it on the stream.
fn answered(stream: &mpsc::Sender<Bytes>, answer: &Value, on_stream: bool) -> Answer {
    if on_stream {
        // A reader that is so far behind still has the copy in the body.
        let _ = stream.try_send(fastapi::event(answer));
    }
    fastapi::document(answer)
}

fn dictionary(value: &Value) -> Result<&Value, String> {
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Err("'NoneType' object has no attribute 'get'".to_owned()),
        _ => Err("'list' object has no attribute 'get'".to_owned()),
    }
}

#[cfg(test)]
mod tests;
