//! The results and params of MCP that we author ourselves.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Revision;
use crate::jsonrpc::RequestId;

/// `params` of `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitializeParams<'a> {
    pub(crate) protocol_version: Revision,
    pub(crate) capabilities: Part<'a, Empty>,
    pub(crate) client_info: Part<'a, Implementation<'a>>,
}

/// A value of ours, or one that the service wrote, as it wrote it.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Part<'a, T> {
    Ours(T),
    Theirs(&'a RawValue),
}

impl<'a, T> Part<'a, T> {
    /// The service's `text` where it is an object, else `ours`.
    pub(crate) fn object_or(text: Option<&'a str>, ours: T) -> Self {
        let object = text.filter(|text| text.starts_with('{'));
        match object.and_then(|text| serde_json::from_str(text).ok()) {
            Some(theirs) => Self::Theirs(theirs),
            None => Self::Ours(ours),
        }
    }
}

/// The result of `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitializeResult<'a> {
    pub(crate) protocol_version: &'a str,
    pub(crate) capabilities: Part<'a, ServerCapabilities>,
    pub(crate) server_info: Part<'a, Implementation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instructions: Option<String>,
}

/// `{}`
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Empty {}

/// What a program says of itself.
#[derive(Serialize)]
pub(crate) struct Implementation<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'a str>,
}

impl Implementation<'static> {
    /// This program.
    pub(crate) const OURS: Self =
        Self { name: "mcpline", version: env!("CARGO_PKG_VERSION"), description: None };
}

/// The capabilities of a server that decide which changes a client may be told of.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct ServerCapabilities {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<ListCapability>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<ListCapability>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompts: Option<ListCapability>,
}

impl ServerCapabilities {
    /// The capabilities of these names, without notifications.
    pub(crate) fn of(names: &[&str]) -> Self {
        let one = |name| names.contains(&name).then(ListCapability::default);
        Self { tools: one("tools"), resources: one("resources"), prompts: one("prompts") }
    }
}

/// The capability to list something.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListCapability {
    /// Whether the client is told when the list has changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) list_changed: bool,
}

/// `params` of `notifications/cancelled`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelledParams<'a> {
    #[serde(borrow)]
    pub(crate) request_id: &'a RawValue,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a RawValue>,
}

impl CancelledParams<'_> {
    /// The id of the request that is taken back.
    pub(crate) fn id(self) -> Option<RequestId> {
        RequestId::from_raw(self.request_id)
    }
}

/// `params` of `notifications/progress`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgressParams<'a> {
    #[serde(borrow)]
    pub(crate) progress_token: &'a RawValue,
}

/// `params` of the methods about one resource.
#[derive(Serialize, Deserialize)]
pub(crate) struct ResourceParams {
    pub(crate) uri: String,
}

/// `params` of `tools/call` and `prompts/get`, as texts.
#[derive(Deserialize)]
pub(crate) struct CallParams<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) arguments: Option<&'a RawValue>,
}

impl CallParams<'_> {
    /// The arguments as JSON text; `{}` where there are none.
    pub(crate) fn arguments(&self) -> &str {
        self.arguments.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}")
    }
}

/// The result of `tools/call`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallToolResult<'a> {
    pub(crate) content: [TextContent<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) structured_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_error: Option<bool>,
}

/// One text of a result.
#[derive(Serialize)]
#[serde(tag = "type", rename = "text")]
pub(crate) struct TextContent<'a> {
    pub(crate) text: Part<'a, &'a str>,
}

/// The result of `resources/read`.
#[derive(Serialize)]
pub(crate) struct ReadResourceResult<'a> {
    pub(crate) contents: [TextResourceContents<'a>; 1],
}

impl<'a> ReadResourceResult<'a> {
    /// JSON as the contents of `uri`.
    pub(crate) fn json(uri: &'a str, text: Part<'a, &'a str>) -> Self {
        Self { contents: [TextResourceContents { uri, mime_type: "application/json", text }] }
    }
}

/// The text of one resource.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TextResourceContents<'a> {
    uri: &'a str,
    mime_type: &'a str,
    text: Part<'a, &'a str>,
}

/// The empty result of a method that lists; `None` for other methods.
pub(crate) fn empty_list(method: &str) -> Option<Bytes> {
    super::method::list_member(method).map(|member| format!(r#"{{"{member}":[]}}"#).into())
}

/// The result that ends the subscription `id` in good order (2026-07-28, Subscriptions, "Graceful
/// Closure").
pub(crate) fn subscription_ended(id: &RequestId) -> Bytes {
    format!(r#"{{"resultType":"complete","_meta":{{"{}":{id}}}}}"#, super::meta::SUBSCRIPTION_ID)
        .into()
}
