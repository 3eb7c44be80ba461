//! The results of MCP that we author for services that do not speak it, named as in the schema.

use serde::Serialize;
use serde_json::value::RawValue;

/// A value of ours, or one that the service wrote, as it wrote it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a, T> {
    Ours(T),
    Theirs(&'a RawValue),
}

impl<'a, T> Part<'a, T> {
    /// The service's `text` where it is an object, else `ours`.
    pub(super) fn object_or(text: Option<&'a str>, ours: T) -> Self {
        let object = text.filter(|text| text.starts_with('{'));
        match object.and_then(|text| serde_json::from_str(text).ok()) {
            Some(theirs) => Self::Theirs(theirs),
            None => Self::Ours(ours),
        }
    }
}

/// `{}`
#[derive(Serialize)]
pub(super) struct Empty {}

/// The result of `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InitializeResult<'a> {
    pub(super) protocol_version: &'a str,
    pub(super) capabilities: Part<'a, ServerCapabilities>,
    pub(super) server_info: Part<'a, Implementation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instructions: Option<String>,
}

/// What a server offers.
#[derive(Serialize)]
pub(super) struct ServerCapabilities {
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompts: Option<Empty>,
}

impl ServerCapabilities {
    /// The capabilities of these names, without notifications.
    pub(super) fn of(names: &[&str]) -> Self {
        let one = |name| names.contains(&name).then_some(Empty {});
        Self { tools: one("tools"), resources: one("resources"), prompts: one("prompts") }
    }
}

/// What a server calls itself.
#[derive(Serialize)]
pub(super) struct Implementation<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a str>,
}

/// The result of `tools/call`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallToolResult<'a> {
    pub(super) content: [TextContent<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) structured_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_error: Option<bool>,
}

/// One text of a result.
#[derive(Serialize)]
#[serde(tag = "type", rename = "text")]
pub(super) struct TextContent<'a> {
    pub(super) text: Part<'a, &'a str>,
}

/// The result of `resources/read`.
#[derive(Serialize)]
pub(super) struct ReadResourceResult<'a> {
    pub(super) contents: [TextResourceContents<'a>; 1],
}

impl<'a> ReadResourceResult<'a> {
    /// JSON as the contents of `uri`.
    pub(super) fn json(uri: &'a str, text: Part<'a, &'a str>) -> Self {
        Self { contents: [TextResourceContents { uri, mime_type: "application/json", text }] }
    }
}

/// The text of one resource.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TextResourceContents<'a> {
    uri: &'a str,
    mime_type: &'a str,
    text: Part<'a, &'a str>,
}
