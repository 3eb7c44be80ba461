//! The variant with the REST API alone: mcpline itself is the MCP server, with the tools and
//! resources of the catalogue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::catalogue::{Answer, CallError, Catalogue, HiddenFailure, Rest, ToolAnswer};
use super::{SERVER_NAME, results};
use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Http};
use crate::jsonrpc::{INTERNAL_ERROR, Message, Response, to_json};
use crate::mcp::{
    CallParams, Implementation, InitializeResult, Part, Revision, ServerCapabilities,
    asked_revision, method,
};
use crate::redact;
use crate::upstream::json::Object;
use crate::upstream::local::{self, INVALID_PARAMS, RESOURCE_NOT_FOUND};
use crate::upstream::settings::{KindSettings, LeadDefaults};
use crate::upstream::{Pending, Request, Session, endpoint_at};

/// The revision for clients that ask for an unknown one.
const REVISION: Revision = Revision::V2025_11_25;

/// The first revision with `structuredContent`.
const STRUCTURED_SINCE: Revision = Revision::V2025_06_18;

/// How long all requests wait after amoCRM has refused one of them as too frequent.
const PAUSE: Duration = Duration::from_secs(1);

/// The REST API.
pub(super) struct Api {
    http: Arc<Http>,
    base: Url,
    catalogue: Catalogue,
    defaults: LeadDefaults,
    pace: Pace,
    /// Set once a session offers the tools of the catalogue.
    is_in_use: AtomicBool,
}

impl Api {
    pub(super) fn new(
        http: Arc<Http>,
        base: Url,
        catalogue: Catalogue,
        settings: &KindSettings,
    ) -> Self {
        let defaults = settings.lead_defaults;
        let pace = Pace::new(settings.rate);
        Self { http, base, catalogue, defaults, pace, is_in_use: AtomicBool::new(false) }
    }

    /// Whether a session offers the tools of the catalogue.
    pub(super) fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Relaxed)
    }

    pub(super) fn is_repeatable(&self, call: &CallParams<'_>) -> bool {
        serde_json::from_str(call.arguments())
            .is_ok_and(|arguments| self.catalogue.is_repeatable(&call.name, &arguments))
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, Failure> {
        self.pace.turn().await;
        let endpoint = endpoint_at(&self.base, target);
        let mut headers = json_headers();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        let answer = self.http.request(method, &endpoint, headers, body).await?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            let body = answer.bytes().await?;
            if HiddenFailure::find(local::text(&body)).is_some_and(HiddenFailure::is_rate_limit) {
                self.pace.pause().await;
            }
            return Ok(Answer { status, body });
        }
        let refusal = answer.refusal().await;
        let failure = refusal.failure();
        if failure.cause == Cause::RateLimited {
            self.pace.pause().await;
        }
        // The server writes `detail` for amoCRM's limit; without it a proxy limits the calls.
        let is_amocrms_limit = failure.cause == Cause::RateLimited
            && Object::read(local::text(&refusal.body)).is_some_and(|body| body.has("detail"));
        // A final refusal by the server is an answer; the refusal of an overloaded proxy is not.
        if is_amocrms_limit || failure.class() == Class::Final {
            return Ok(Answer { status, body: refusal.body });
        }
        Err(failure)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The header fields of a request for JSON.
pub(super) fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, JSON)])
}

impl Rest for Api {
    fn request<'a>(
        &'a self,
        method: &'a str,
        target: &'a str,
        body: Option<Bytes>,
    ) -> Pending<'a, Result<Answer, Failure>> {
        Box::pin(self.send(method, target, body))
    }
}

/// Spaces requests out: amoCRM takes seven a second and bans addresses that exceed this.
struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// `rate` requests a second; 0 for no limit.
    fn new(rate: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        Self { interval, next: Mutex::default() }
    }

    /// Holds all requests back for a while, to avoid the ban that follows a refusal.
    async fn pause(&self) {
        let mut next = self.next.lock().await;
        *next = Some(Instant::now() + PAUSE);
    }

    /// Waits until the next request may be sent.
    async fn turn(&self) {
        let turn = {
            let mut next = self.next.lock().await;
            let turn = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(turn + self.interval);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

/// The answer to `initialize`.
pub(super) fn initialize(initialize: &Message, generation: &str) -> Response {
    let description = format!(
        "The server speaks no MCP here: mcpline offers its own catalogue of tools over the REST \
         API ({generation})."
    );
    local::result(to_json(&InitializeResult {
        protocol_version: asked_revision(initialize).unwrap_or(REVISION).as_str(),
        capabilities: Part::Ours(ServerCapabilities::of(&["tools", "resources"])),
        server_info: Part::Ours(Implementation {
            name: SERVER_NAME,
            version: "unknown",
            description: Some(&description),
        }),
        instructions: None,
    }))
}

/// The answer to a request about resources; `None` for other requests.
pub(super) async fn resource(api: &Api, message: &Message) -> Option<Result<Response, Failure>> {
    match message.method() {
        method::RESOURCES_LIST => Some(Ok(Response::with_result(api.catalogue.resources_list()))),
        method::RESOURCE_TEMPLATES_LIST => local::empty_list(message.method()).map(Ok),
        method::RESOURCES_READ => Some(read(api, message).await),
        _ => None,
    }
}

async fn read(api: &Api, message: &Message) -> Result<Response, Failure> {
    let Some(uri) = local::uri(message) else {
        return Ok(local::error(INVALID_PARAMS, "`uri` is missing"));
    };
    match api.catalogue.read(&uri, api).await {
        Ok(answer) if is_limited(&answer) => Err(results::limited(&redact::shown(&api.base), None)),
        Ok(answer) if answer.is_error => {
            let said = http::excerpt(&answer.text, Some("application/json"));
            Ok(local::error(INTERNAL_ERROR, &said))
        }
        Ok(answer) => Ok(Response::with_result(answer.to_contents(&uri))),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(_) => Ok(local::error(RESOURCE_NOT_FOUND, &format!("Resource not found: {uri}"))),
    }
}

/// A conversation in which the catalogue answers.
pub(super) struct CatalogueSession {
    api: Arc<Api>,
    /// Whether the client's revision knows `structuredContent`.
    is_structured: bool,
    ended: CancellationToken,
}

impl CatalogueSession {
    pub(super) fn new(api: Arc<Api>, initialize: &Message) -> Self {
        api.is_in_use.store(true, Ordering::Relaxed);
        let is_structured = asked_revision(initialize).unwrap_or(REVISION) >= STRUCTURED_SINCE;
        Self { api, is_structured, ended: CancellationToken::new() }
    }

    async fn exchange(&self, message: &Message) -> Result<Response, Failure> {
        if let Some(outcome) = resource(&self.api, message).await {
            return outcome;
        }
        match message.method() {
            method::PING => Ok(local::pong()),
            method::TOOLS_LIST => Ok(Response::with_result(self.api.catalogue.tools_list())),
            method::TOOLS_CALL => self.call_tool(message).await,
            method => Ok(local::method_not_found(method)),
        }
    }

    async fn call_tool(&self, message: &Message) -> Result<Response, Failure> {
        let Some(call) = message.read_params::<CallParams<'_>>() else {
            return Ok(local::error(INVALID_PARAMS, "the tool's `name` is missing"));
        };
        let arguments = match serde_json::from_str(call.arguments()) {
            Ok(arguments) => arguments,
            Err(why) => return Ok(invalid_arguments(&call.name, &why.to_string())),
        };
        let Api { catalogue, defaults, .. } = &*self.api;
        match catalogue.call(&call.name, &arguments, defaults, &*self.api).await {
            Ok(answer) => {
                let response = Response::with_result(answer.to_result(self.is_structured));
                // The whole call was refused, so it may be sent again even if it changes something.
                if is_limited(&answer) && !answer.is_partial {
                    return Err(results::limited(&redact::shown(&self.api.base), Some(response)));
                }
                if is_gone(&answer) {
                    let what =
                        format!("{} no longer has this route", redact::shown(&self.api.base));
                    let mut failure = Failure::new(Class::SessionLost, Cause::Refused, what);
                    failure.answer = Some(Box::new(response));
                    return Err(failure);
                }
                Ok(response)
            }
            Err(CallError::Unknown) => {
                Ok(local::error(INVALID_PARAMS, &format!("Unknown tool: {}", call.name)))
            }
            Err(CallError::InvalidArgument(why)) => Ok(invalid_arguments(&call.name, &why)),
            Err(CallError::Failed(failure)) => Err(failure),
        }
    }
}

/// Whether amoCRM refused the call as too frequent, by the status or inside a success.
fn is_limited(answer: &ToolAnswer) -> bool {
    answer.inner_status == Some(429) || answer.http_status == 429
}

fn invalid_arguments(tool: &str, why: &str) -> Response {
    let message = format!("Invalid arguments of `{tool}`: {why}. Nothing was sent.");
    local::error(INVALID_PARAMS, &message)
}

/// Whether the server's framework says that it does not know the route: perhaps another generation
/// runs there now. Nothing was carried out.
fn is_gone(answer: &ToolAnswer) -> bool {
    !answer.is_partial
        && match answer.http_status {
            404 => &answer.text[..] == br#"{"detail":"Not Found"}"#,
            405 => true,
            _ => false,
        }
}

impl Session for CatalogueSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(&request.message))
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
