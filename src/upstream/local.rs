//! Answers that we make ourselves where a service knows no better: handshakes, empty lists,
//! refusals; and the reading of answers that belong to their exchange whatever their id.

use bytes::Bytes;
use serde::Deserialize;

use super::json::Object;
pub(super) use super::reading::is_blank;
use super::reading::{Awaited, Excerpt, Inbox, Reading};
use super::{Client, Request};
use crate::failure::Failure;
use crate::http::Answer;
use crate::jsonrpc::{ErrorObject, METHOD_NOT_FOUND, Message, RequestId, Response, to_json};
use crate::mcp;
pub(super) use crate::mcp::code::{INVALID_PARAMS, RESOURCE_NOT_FOUND};

/// A result of ours, which is JSON text.
pub(crate) fn result(text: impl Into<String>) -> Response {
    Response::with_result(Bytes::from(text.into()))
}

/// An error of ours that a service would have given.
pub(crate) fn error(code: i64, message: &str) -> Response {
    Response::with_error(to_json(&ErrorObject::new(code, message)).into())
}

/// The answer to a method that the service does not have.
pub(crate) fn method_not_found(method: &str) -> Response {
    error(METHOD_NOT_FOUND, &format!("Method not found: {method}"))
}

/// Whether `response` says that the service does not know the method.
pub(crate) fn is_method_not_found(response: &Response) -> bool {
    response.error_code() == Some(METHOD_NOT_FOUND)
}

/// The empty result of a list method; `None` for other methods.
pub(super) fn empty_list(method: &str) -> Option<Response> {
    mcp::empty_list(method).map(Response::with_result)
}

/// The empty answer to `ping`.
pub(crate) fn pong() -> Response {
    result("{}")
}

/// `text` of a response as UTF-8: JSON that was read once is.
pub(crate) fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// `response` with its result as `repair` returns it, or unchanged when it returns `None`.
pub(crate) fn repaired(
    response: Response,
    repair: impl FnOnce(&str) -> Option<String>,
) -> Response {
    match response.result().and_then(|bytes| repair(text(bytes))) {
        Some(repaired) => result(repaired),
        None => response,
    }
}

/// `response` with its error as `repair` returns it, or unchanged when it returns `None`.
pub(crate) fn repaired_error(
    response: Response,
    repair: impl FnOnce(&str) -> Option<String>,
) -> Response {
    match response.error().and_then(|bytes| repair(text(bytes))) {
        Some(repaired) => Response::with_error(repaired.into()),
        None => response,
    }
}

/// `params.uri` of a message.
pub(crate) fn uri(message: &Message) -> Option<String> {
    #[derive(Deserialize)]
    struct ReadParams {
        uri: String,
    }
    message.read_params().map(|ReadParams { uri }| uri)
}

/// `params` as text; `{}` where there are none, or `null`.
pub(crate) fn params(message: &Message) -> &str {
    message.params().map(text).filter(|params| *params != "null").unwrap_or("{}")
}

/// `params` without the `null`s over which services trip, whole or as their `arguments`; `None` where
/// there are none.
pub(super) fn without_null(params: &str) -> Option<String> {
    if params == "null" {
        return Some("{}".to_owned());
    }
    if !params.contains("null") {
        return None;
    }
    let mut object = Object::read(params)?;
    if object.get("arguments") == Some("null") {
        object.set("arguments", "{}".to_owned());
    }
    object.changed()
}

/// A request of ours with the client's `message` in it.
pub(super) fn request(number: u64, message: &Message, params: &str) -> Request {
    Request::rewritten(message, RequestId::number(number), message.method(), params)
}

/// Reads an answer that can only answer the request it was got for, whatever id it holds: the
/// first response in it, or `None` where there is nothing at all.
///
/// # Errors
/// As for [`Reading::body`] and [`Reading::events`].
pub(super) async fn sole_response(
    answer: Answer,
    client: &Client,
    excerpt: Excerpt,
) -> Result<Option<Response>, Failure> {
    let reading = Reading::new(Awaited::First, Inbox::new(client, None));
    if answer.is_event_stream() {
        return reading.events(answer).await.map(Some);
    }
    reading.body(answer, excerpt).await
}
