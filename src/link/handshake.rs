//! What we say in a handshake in place of the client, or of an upstream that is not there yet.

use serde_json::value::RawValue;

use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::mcp::{
    Empty, Implementation, InitializeParams, InitializeResult, ListCapability, Part, RequestMeta,
    Revision, ServerCapabilities, asked_revision, method,
};
use crate::upstream::{Greeting, Request};

/// How a client begins whose `first` request is not a handshake; `id` is free for a request of ours.
pub(super) fn greeting(first: &Message, id: RequestId) -> Greeting {
    let initialize = own_initialize(id, &RequestMeta::of(first));
    if RequestMeta::is_stateless(first) {
        Greeting::Stateless(initialize)
    } else {
        Greeting::Bare(initialize)
    }
}

/// The `initialize` for a client that sent none, with what it says of itself in `meta`.
fn own_initialize(id: RequestId, meta: &RequestMeta<'_>) -> Request {
    let info = meta.client_info.map(RawValue::get);
    let params = to_json(&InitializeParams {
        protocol_version: Revision::LATEST,
        capabilities: Part::object_or(Some(meta.capabilities()), Empty {}),
        client_info: Part::object_or(info, Implementation::OURS),
    });
    Request::new(Message::request(id.clone(), method::INITIALIZE, &params), id)
}

/// The answer to `initialize` for an upstream that is not there yet. It promises what can be kept
/// whatever the upstream turns out to offer: each list is asked for again once it is there.
pub(super) fn answer_without_upstream(initialize: &Message) -> Response {
    let list = || Some(ListCapability { list_changed: true });
    let capabilities = ServerCapabilities { tools: list(), resources: list(), prompts: list() };
    let result = InitializeResult {
        protocol_version: asked_revision(initialize).unwrap_or(Revision::LATEST).as_str(),
        capabilities: Part::Ours(capabilities),
        server_info: Part::Ours(Implementation::OURS),
        instructions: None,
    };
    Response::with_result(to_json(&result).into())
}
