//! The results and params of MCP that we author ourselves.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Revision;

/// `params` of `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitializeParams<'a> {
    pub(crate) protocol_version: Revision,
    pub(crate) capabilities: Empty,
    pub(crate) client_info: Implementation<'a>,
}

/// The result of `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitializeResult<'a> {
    pub(crate) protocol_version: Revision,
    pub(crate) capabilities: ServerCapabilities,
    pub(crate) server_info: Implementation<'a>,
}

/// `{}`
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Empty {}

/// What a program says of itself.
#[derive(Serialize)]
pub(crate) struct Implementation<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

impl Implementation<'static> {
    /// This program.
    pub(crate) const OURS: Self = Self { name: "mcpline", version: env!("CARGO_PKG_VERSION") };
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

/// The capability to list something.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListCapability {
    #[serde(default)]
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
