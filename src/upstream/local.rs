//! Answers that we make ourselves where a service knows no better: handshakes, empty lists,
//! refusals; and the reading of answers that belong to their exchange whatever their id.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::Object;
use super::{CLIENTS_OWN, Request, unusable};
use crate::client::Client;
use crate::failure::Failure;
use crate::http::{self, Answer, StreamBroke};
use crate::jsonrpc::{
    ErrorObject, FromUpstream, METHOD_NOT_FOUND, Message, RequestId, Response, Unusable,
    from_upstream, to_json,
};

/// The `params` are wrong (JSON-RPC 2.0 section 5.1).
pub(super) const INVALID_PARAMS: i64 = -32602;

/// There is no such resource (revisions up to 2025-11-25, Resources, "Error Handling").
pub(super) const RESOURCE_NOT_FOUND: i64 = -32002;

/// The revisions with an `initialize` handshake.
const LEGACY_REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The revision that a client asks for in `initialize`, where it is one that we know.
pub(crate) fn asked_revision(initialize: &Message) -> Option<&'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InitializeParams {
        protocol_version: String,
    }
    let asked: InitializeParams = initialize.read_params()?;
    LEGACY_REVISIONS.into_iter().find(|revision| *revision == asked.protocol_version)
}

/// A result of ours, which is JSON text.
pub(super) fn result(text: impl Into<String>) -> Response {
    Response::with_result(Bytes::from(text.into()))
}

/// An error of ours that a service would have given.
pub(super) fn error(code: i64, message: &str) -> Response {
    Response::with_error(to_json(&ErrorObject::new(code, message)).into())
}

/// The answer to a method that the service does not have.
pub(super) fn method_not_found(method: &str) -> Response {
    error(METHOD_NOT_FOUND, &format!("Method not found: {method}"))
}

/// Whether `response` says that the service does not know the method.
pub(super) fn knows_no_method(response: &Response) -> bool {
    error_code(response) == Some(METHOD_NOT_FOUND)
}

/// The code of an error response.
pub(super) fn error_code(response: &Response) -> Option<i64> {
    #[derive(Deserialize)]
    struct Code {
        code: i64,
    }
    let error: Code = serde_json::from_slice(response.error()?).ok()?;
    Some(error.code)
}

/// The empty result of a list method; `None` for other methods.
pub(super) fn empty_list(method: &str) -> Option<Response> {
    let member = match method {
        "tools/list" => "tools",
        "resources/list" => "resources",
        "resources/templates/list" => "resourceTemplates",
        "prompts/list" => "prompts",
        _ => return None,
    };
    Some(result(format!(r#"{{"{member}":[]}}"#)))
}

/// The empty answer to `ping`.
pub(super) fn pong() -> Response {
    result("{}")
}

/// `text` of a response as UTF-8: JSON that was read once is.
pub(super) fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// `response` with its result replaced by what `mend` makes of it, or as it came.
pub(super) fn mended(response: Response, mend: impl FnOnce(&str) -> Option<String>) -> Response {
    match response.result().and_then(|bytes| mend(text(bytes))) {
        Some(mended) => result(mended),
        None => response,
    }
}

/// `response` with its error replaced by what `mend` makes of it, or as it came.
pub(super) fn mended_error(
    response: Response,
    mend: impl FnOnce(&str) -> Option<String>,
) -> Response {
    match response.error().and_then(|bytes| mend(text(bytes))) {
        Some(mended) => Response::with_error(mended.into()),
        None => response,
    }
}

/// `params` of `tools/call` and `prompts/get`, as texts.
#[derive(Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

impl Named<'_> {
    /// The arguments as JSON text; `{}` where there are none.
    pub(super) fn arguments(&self) -> &str {
        self.arguments.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}")
    }
}

/// `params.uri` of a message.
pub(super) fn uri(message: &Message) -> Option<String> {
    #[derive(Deserialize)]
    struct ReadParams {
        uri: String,
    }
    message.read_params().map(|ReadParams { uri }| uri)
}

/// `params` as text; `{}` where there are none, or `null`.
pub(super) fn params(message: &Message) -> &str {
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
    let id = RequestId::number(number);
    let body = Message::request(id.clone(), message.method(), params).text().clone();
    Request { message: message.clone(), wire_id: id, body }
}

/// Reads an answer that can only answer the request it was got for, whatever id it holds: the
/// first response in it, or `None` where there is nothing at all. Notifications in front of it go
/// to the client.
///
/// # Errors
/// The answer breaks off, or is not JSON-RPC; the failure quotes what `excerpt` finds in it.
pub(super) async fn sole_response(
    answer: Answer,
    client: &Client,
    excerpt: impl Fn(&[u8], Option<&str>) -> String,
) -> Result<Option<Response>, Failure> {
    let (url, status) = (answer.url().clone(), answer.status());
    if answer.is_event_stream() {
        return streamed_response(answer, client).await.map(Some);
    }
    let content_type = answer.content_type().map(str::to_owned);
    let body = answer.bytes().await?;
    if is_blank(&body) {
        return Ok(None);
    }
    let messages = from_upstream(&body).map_err(|Unusable(why)| {
        let said = excerpt(&body, content_type.as_deref());
        let kind = content_type.as_deref().unwrap_or("no content type");
        unusable(format!(
            "the answer of {url} (HTTP {status}, {kind}) cannot be used: {why}; it says: {said}"
        ))
    })?;
    let mut answer = None;
    for message in messages {
        take(message, &mut answer, client).await;
    }
    answer.map(Some).ok_or_else(|| unusable(format!("the answer of {url} holds no response")))
}

/// Whether a body says nothing at all; some services send a byte order mark and nothing more.
pub(super) fn is_blank(body: &[u8]) -> bool {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii().is_empty()
}

async fn streamed_response(answer: Answer, client: &Client) -> Result<Response, Failure> {
    let (url, patience) = (answer.url().clone(), answer.idle_timeout());
    let mut events = answer.events(Some(patience));
    let mut answer = None;
    loop {
        match events.next().await {
            Ok(event) => {
                for message in from_upstream(&event.data).unwrap_or_default() {
                    take(message, &mut answer, client).await;
                }
            }
            Err(StreamBroke::Ended) => return Err(http::stream_lost(&url)),
            Err(StreamBroke::Failed(failure)) => return Err(failure),
        }
        if let Some(response) = answer.take() {
            events.finish();
            return Ok(response);
        }
    }
}

async fn take(message: FromUpstream, answer: &mut Option<Response>, client: &Client) {
    match message {
        FromUpstream::Response(response) => {
            answer.get_or_insert(response);
        }
        FromUpstream::Message(message) if CLIENTS_OWN.contains(&message.method()) => {
            tracing::warn!(method = message.method(), "what only clients send is dropped");
        }
        // Services without sessions have nothing to ask a client.
        FromUpstream::Message(message) if message.id().is_none() => client.notify(message).await,
        FromUpstream::Message(message) => {
            tracing::warn!(method = message.method(), "a request of the service is dropped");
        }
    }
}
