//! What the samples of services written in Python with `FastAPI` have in common: the shapes of
//! its refusals, and JSON-RPC.

use std::sync::LazyLock;

use ::http::StatusCode;
use bytes::Bytes;
use serde_json::Value;

use super::server::{self, Answer};
use super::shape::{Style, fill, load, object, set, write};

static SHAPES: LazyLock<Value> = LazyLock::new(|| load(include_str!("fastapi.json")));

/// A document with status 200.
pub(super) fn document(value: &Value) -> Answer {
    server::content("application/json", write(value, Style::Compact))
}

/// A refusal, or whatever else the framework has to say by itself.
pub(super) fn detail(status: StatusCode, detail: Value) -> Answer {
    let mut answer = document(&filled("detail", &Value::Null, detail));
    *answer.status_mut() = status;
    answer
}

fn filled(shape: &str, id: &Value, content: Value) -> Value {
    let mut values = object("id", id.clone());
    set(&mut values, "content", content);
    fill(&SHAPES[shape], &values)
}

pub(super) fn not_found() -> Answer {
    detail(StatusCode::NOT_FOUND, "Not Found".into())
}

pub(super) fn method_not_allowed() -> Answer {
    detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed".into())
}

/// The refusal of a request that lacks a member of its body or a parameter of its query.
pub(super) fn missing(place: &str, name: &str, input: Value) -> Answer {
    let mut values = object("place", place.into());
    set(&mut values, "name", name.into());
    set(&mut values, "input", input);
    detail(StatusCode::UNPROCESSABLE_ENTITY, fill(&SHAPES["missing"], &values))
}

/// What becomes of an exception that nobody caught.
pub(super) fn crashed() -> Answer {
    let mut answer = server::content("text/plain; charset=utf-8", "Internal Server Error");
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

/// Why a body is not JSON, in the manner of Python's parser.
pub(super) fn parse_error(error: &serde_json::Error) -> Value {
    let reason = format!("Expecting value: line {} column {}", error.line(), error.column());
    object("reason", reason.into())
}

pub(super) fn result(id: &Value, result: Value) -> Value {
    filled("result", id, result)
}

pub(super) fn error(id: &Value, error: Value) -> Value {
    filled("error", id, error)
}

/// A message on an event stream. Its spacing differs from that of a body, as with the originals.
pub(super) fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {}\n\n", write(message, Style::Spaced)).into()
}
