//! Older b24-mcp servers: `/mcp/index` lists, `/mcp/tool/call` calls, `/mcp/resource/query` reads.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::session::empty_or_unknown;
use super::{DEFAULT_REVISION, Server, faults, json_headers, resources};
use crate::failure::Failure;
use crate::http;
use crate::jsonrpc::{Message, Response, to_json};
use crate::mcp::{
    CallParams, CallToolResult, Empty, Implementation, InitializeResult, Part, ServerCapabilities,
    TextContent, asked_revision, method,
};
use crate::upstream::json::{Object, compact, items};
use crate::upstream::local;
use crate::upstream::{Pending, Request, Session, empty_success, endpoint_at, unusable};

/// `GET /mcp/index`: an object with the arrays `tools` and `resources`. A probe reads only its
/// beginning.
///
/// # Errors
/// There is no such document.
pub(super) async fn index(server: &Server, is_probe: bool) -> Result<Bytes, Failure> {
    let endpoint = endpoint_at(&server.base, "/mcp/index");
    let answer = server.http.get(&endpoint, json_headers()).await?;
    if !answer.status().is_success() {
        return Err(answer.refusal().await.failure());
    }
    let (url, content_type) = (answer.url().clone(), answer.content_type().map(str::to_owned));
    let body = if is_probe { answer.beginning().await } else { answer.bytes().await? };
    let is_index = Object::read(local::text(&body)).is_some_and(|index| {
        ["tools", "resources"].iter().all(|name| index.get(name).and_then(items).is_some())
    });
    if is_index {
        return Ok(body);
    }
    let said = http::excerpt(&body, content_type.as_deref());
    Err(unusable(format!("{url} is not an index of tools and resources; it says: {said}")))
}

/// The answer to `initialize`, from the index.
pub(super) fn initialize(index: &Bytes, initialize: &Message) -> Response {
    let index = Object::read(local::text(index)).unwrap_or_default();
    let version = index.string("protocolVersion");
    let lists_tools = |text: &&str| Object::read(text).is_some_and(|offered| offered.has("tools"));
    let ours = Implementation {
        name: "bitrix24-mcp",
        version: "1.0.0",
        description: Some(
            "An older server without `initialize`: mcpline made this answer from /mcp/index.",
        ),
    };
    let asked = asked_revision(initialize).unwrap_or(DEFAULT_REVISION);
    local::result(to_json(&InitializeResult {
        protocol_version: version.as_deref().unwrap_or(asked.as_str()),
        capabilities: Part::object_or(
            index.get("capabilities").filter(lists_tools),
            ServerCapabilities::of(&["tools", "resources"]),
        ),
        server_info: Part::object_or(index.get("serverInfo"), ours),
        instructions: index.string("instructions"),
    }))
}

/// The body of `/mcp/tool/call`.
#[derive(Serialize)]
struct ToolCall<'a> {
    tool: &'a str,
    params: Part<'a, Empty>,
}

/// The body of `/mcp/resource/query`.
#[derive(Serialize)]
struct ResourceQuery<'a> {
    resource: &'a str,
    params: Empty,
}

/// A conversation with an older server: each request is one of three calls.
pub(super) struct IndexSession {
    server: Arc<Server>,
    ended: CancellationToken,
}

impl IndexSession {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, ended: CancellationToken::new() }
    }

    async fn exchange(&self, message: &Message) -> Result<Response, Failure> {
        match message.method() {
            method::PING => Ok(local::pong()),
            method::TOOLS_LIST => self.list("tools", message).await,
            method::RESOURCES_LIST => self.list("resources", message).await,
            method::TOOLS_CALL => self.call_tool(message).await,
            method::RESOURCES_READ => self.read_resource(message).await,
            method => Ok(empty_or_unknown(method)),
        }
    }

    async fn list(&self, member: &str, message: &Message) -> Result<Response, Failure> {
        let index = index(&self.server, false).await?;
        let index = Object::read(local::text(&index)).unwrap_or_default();
        let list = index.get(member).unwrap_or("[]");
        let response = local::result(format!(r#"{{"{member}":{list}}}"#));
        Ok(self.server.repaired(message, response))
    }

    async fn call_tool(&self, message: &Message) -> Result<Response, Failure> {
        let Some(call) = message.read_params::<CallParams<'_>>() else {
            return Ok(local::error(local::INVALID_PARAMS, "the tool's `name` is missing"));
        };
        let params = call.arguments.map_or(Part::Ours(Empty {}), Part::Theirs);
        let body = to_json(&ToolCall { tool: &call.name, params });
        let body = match self.post("/mcp/tool/call", body, message.method()).await? {
            Ok(body) => body,
            Err(refused) => return Ok(refused),
        };
        let text = trimmed(&body);
        let is_result = Object::read(text)
            .is_some_and(|body| body.get("content").is_some_and(|list| list.starts_with('[')));
        if is_result {
            return Ok(self.server.repaired(message, local::result(text)));
        }
        Ok(local::result(to_json(&CallToolResult {
            content: [TextContent { text: Part::Ours(&compact(text)) }],
            structured_content: None,
            is_error: Some(false),
        })))
    }

    async fn read_resource(&self, message: &Message) -> Result<Response, Failure> {
        let Some(uri) = local::uri(message) else {
            return Ok(local::error(local::INVALID_PARAMS, "`uri` is missing"));
        };
        let own = self.server.schema.original(&uri);
        let resource = own.as_deref().unwrap_or(&uri);
        let query = to_json(&ResourceQuery { resource, params: Empty {} });
        let body = self.post("/mcp/resource/query", query, message.method()).await?;
        Ok(body.map_or_else(
            |refused| refused,
            |body| local::result(resources::contents(&uri, trimmed(&body))),
        ))
    }

    /// Posts one call. Returns the body of a success, or the response for an error of the server.
    async fn post(
        &self,
        path: &str,
        body: String,
        method: &str,
    ) -> Result<Result<Bytes, Response>, Failure> {
        let endpoint = endpoint_at(&self.server.base, path);
        let mut headers = json_headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let is_repeatable = method::is_safe(method);
        let answer = self
            .server
            .http
            .post_if_repeatable(is_repeatable, &endpoint, headers, body.into())
            .await?;
        if !answer.status().is_success() {
            return faults::answer(&answer.refusal().await, method).map(Err);
        }
        let url = answer.url().clone();
        let body = answer.bytes().await?;
        if local::is_blank(&body) {
            return Err(empty_success(&url));
        }
        if let Some(error) = faults::hidden_error(&body, &url) {
            return error.map(Err);
        }
        if std::str::from_utf8(&body).is_err() {
            return Err(unusable(format!("the answer of {url} is not UTF-8")));
        }
        Ok(Ok(body))
    }
}

/// The text of a body that was checked to be UTF-8, without a byte order mark.
fn trimmed(body: &Bytes) -> &str {
    local::text(body).trim_start_matches('\u{feff}').trim()
}

impl Session for IndexSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(&request.message))
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
