//! What a request of the stateless revisions says in its `_meta` (2026-07-28, Overview, "Per-request
//! protocol fields").

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::method;
use crate::jsonrpc::Message;

/// The revision that a request is written in.
pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The client's name and version.
pub(crate) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// What the client can do.
pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The least level of log messages that the client wants during the request.
pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The server's name and version, in a result.
pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The subscription that a notification belongs to.
pub(crate) const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The levels of log messages, from the least to the most important.
pub(crate) const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Where `level` stands among the levels; `None` when it is not one of them.
pub(crate) fn severity(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

/// The members of a request's `_meta` that the stateless revisions define.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RequestMeta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub(crate) protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
    pub(crate) client_info: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(crate) client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/logLevel")]
    pub(crate) log_level: Option<Cow<'a, str>>,
}

impl<'a> RequestMeta<'a> {
    /// What `message` says of itself.
    pub(crate) fn of(message: &'a Message) -> Self {
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow, rename = "_meta")]
            meta: Option<RequestMeta<'a>>,
        }
        message.read_params().and_then(|Params { meta }| meta).unwrap_or_default()
    }

    /// Whether `message` is written in a stateless revision.
    pub(crate) fn is_stateless(message: &Message) -> bool {
        message.method() == method::DISCOVER || RequestMeta::of(message).protocol_version.is_some()
    }

    /// The client's capabilities as JSON text; none where it names none.
    pub(crate) fn capabilities(&self) -> &str {
        self.client_capabilities.map_or("{}", RawValue::get)
    }
}
