//! What happens to each message for a 1C service: answered here, sent, or dropped, and repaired on
//! the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::faults::compact_error;
use super::handshake::{Offered, empty_success};
use super::names::Names;
use super::service::Service;
use crate::failure::{Class, Failure};
use crate::jsonrpc::{INTERNAL_ERROR, Message, RequestId, Response, to_json};
use crate::mcp::{CallParams, method};
use crate::upstream::Client;
use crate::upstream::json::{Object, items};
use crate::upstream::local::{self, is_method_not_found, repaired, repaired_error};
use crate::upstream::repair::{self, SchemaRepairs};
use crate::upstream::{Pending, Request, Session};

/// Arguments longer than this are not checked for what the service cannot read.
const MAX_CHECKED: usize = 64 * 1024;

/// The id of a listing that we ask for.
const LISTING_ID: u64 = 1 << 32;

/// The aliases of names, which outlive a session. `None` leaves names as they are.
pub(super) struct Aliases {
    tools: Option<Names>,
    prompts: Option<Names>,
    has_warned: AtomicBool,
}

impl Aliases {
    pub(super) fn new(tools: Option<Names>, prompts: Option<Names>) -> Self {
        Self { tools, prompts, has_warned: AtomicBool::new(false) }
    }
}

/// How messages reach the service.
pub(super) enum Transport {
    /// By one POST each, which is all that most services know.
    Posts {
        /// The header fields that a service with MCP's own transport wants.
        headers: HeaderMap,
        /// Whether the service made the handshake itself, and so may know notifications.
        has_handshake: bool,
    },
    /// In this session of MCP's own transport.
    Own(Arc<dyn Session>),
}

/// A conversation with one service.
pub(super) struct OneCSession {
    pub(super) service: Arc<Service>,
    pub(super) aliases: Arc<Aliases>,
    pub(super) schema: Arc<SchemaRepairs>,
    pub(super) offered: Offered,
    pub(super) transport: Transport,
    pub(super) client: Client,
    pub(super) ended: CancellationToken,
}

impl OneCSession {
    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        match message.method() {
            method::PING => self.ping(request).await,
            method::TOOLS_LIST => self.list(request, "tools", self.aliases.tools.as_ref()).await,
            method::PROMPTS_LIST => {
                self.list(request, "prompts", self.aliases.prompts.as_ref()).await
            }
            method::RESOURCES_LIST => self.list(request, "resources", None).await,
            method::RESOURCE_TEMPLATES_LIST => self.list(request, "resourceTemplates", None).await,
            method::TOOLS_CALL => self.call_tool(request).await,
            method::PROMPTS_GET => {
                let params = self.named_params(message, self.aliases.prompts.as_ref()).await?;
                self.call(request, &params, None).await
            }
            _ => self.call(request, &self.params(message), None).await,
        }
    }

    /// Sends one call and makes what it answers readable; `hint` is added to an internal error.
    async fn call(
        &self,
        request: &Request,
        params: &str,
        hint: Option<&str>,
    ) -> Result<Response, Failure> {
        let message = &request.message;
        let response = match &self.transport {
            Transport::Posts { headers, .. } => {
                let answered = self.service.call(message, params, headers, &self.client).await?;
                let url = &self.service.address().rpc.shown;
                answered.response.ok_or_else(|| empty_success(url))?
            }
            Transport::Own(session) if params == local::params(message) => {
                session.exchange(request).await?
            }
            Transport::Own(session) => {
                let id = request.wire_id.clone();
                let rewritten = Request::rewritten(message, id, message.method(), params);
                session.exchange(&rewritten).await?
            }
        };
        let hint = hint.filter(|_| response.error_code() == Some(INTERNAL_ERROR));
        let response = repaired_error(response, |error| compact_error(error, hint));
        Ok(self.schema.response(message, response))
    }

    /// Answers `ping`, which most services answer with an error.
    async fn ping(&self, request: &Request) -> Result<Response, Failure> {
        match &self.transport {
            Transport::Posts { .. } => Ok(local::pong()),
            Transport::Own(session) => {
                let response = session.exchange(request).await?;
                Ok(if is_method_not_found(&response) { local::pong() } else { response })
            }
        }
    }

    /// The params of `message` as the service can read them. One with MCP's own transport reads all.
    fn params(&self, message: &Message) -> String {
        let own = self.schema.params(message);
        let params = own.as_deref().unwrap_or(local::params(message));
        match self.transport {
            Transport::Posts { .. } => readable(params),
            Transport::Own(_) => params.to_owned(),
        }
    }

    async fn list(
        &self,
        request: &Request,
        member: &str,
        names: Option<&Names>,
    ) -> Result<Response, Failure> {
        let message = &request.message;
        let method = message.method();
        let mut response = match self.offered.take_cached(method) {
            Some(cached) => self.schema.response(message, cached),
            None => self.call(request, &self.params(message), None).await?,
        };
        // Clients ask for lists that the service never announced: those are empty.
        if is_method_not_found(&response)
            && let Some(list) = self.offered.unknown_list(method)
        {
            response = self.schema.response(message, list);
        }
        let Some(names) = names else { return Ok(response) };
        if let Some(result) = response.result() {
            names.learn(&listed_names(local::text(result), member));
        }
        Ok(repaired(response, |result| {
            repair::edit_list(result, member, |item| names.apply_to(item))
        }))
    }

    async fn call_tool(&self, request: &Request) -> Result<Response, Failure> {
        let params = self.named_params(&request.message, self.aliases.tools.as_ref()).await?;
        let hint = self.check_arguments(&params);
        self.call(request, &params, hint).await
    }

    /// The params of a call by name, with an alias replaced by the service's own name.
    async fn named_params(
        &self,
        message: &Message,
        names: Option<&Names>,
    ) -> Result<String, Failure> {
        let params = self.params(message);
        let Some(names) = names else { return Ok(params) };
        let Some(CallParams { name, .. }) = message.read_params() else { return Ok(params) };
        if names.may_be_unknown_alias(&name) {
            // A call without a listing before it, as people make it from a shell.
            let list = if message.method() == method::TOOLS_CALL { "tools" } else { "prompts" };
            self.learn_names(names, list, &name).await?;
        }
        let Some(original) = names.original(&name) else { return Ok(params) };
        let Some(mut object) = Object::read(&params) else { return Ok(params) };
        object.set_string("name", &original);
        Ok(object.text())
    }

    /// Asks for the list `member`, to learn what the alias `name` stands for.
    async fn learn_names(&self, names: &Names, member: &str, name: &str) -> Result<(), Failure> {
        let method = format!("{member}/list");
        // Far from any id of the client's, which goes to a service with MCP's own transport.
        let id = RequestId::number(LISTING_ID);
        let list = Request::new(Message::request(id.clone(), &method, "{}"), id);
        let answered = self.call(&list, "{}", None).await;
        let response = match answered {
            // A final failure will not pass: the name is then taken as the service's own.
            Err(failure) if failure.class() == Class::Final => {
                tracing::info!("no listing to look up `{name}` in: {}", failure.summary());
                None
            }
            answered => Some(answered.map_err(Failure::before_call)?),
        };
        let result = response.as_ref().and_then(Response::result);
        let listed = result.map(|result| listed_names(local::text(result), member));
        names.learn(&listed.unwrap_or_default());
        Ok(())
    }

    /// Checks the arguments for what the service cannot read: warns once of a member name, and
    /// returns a hint for the case that the call fails.
    fn check_arguments(&self, params: &str) -> Option<&'static str> {
        if params.len() > MAX_CHECKED {
            return None;
        }
        let mut params: Value = serde_json::from_str(params).ok()?;
        let arguments = params.get_mut("arguments")?;
        let has_null = arguments.as_object()?.values().any(Value::is_null);
        if let Some(name) = drop_unreadable_members(arguments)
            && !self.aliases.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the arguments have a member `{name}`, which 1C cannot read by that name (letters, \
                 digits and _ only): the service changes or refuses it"
            );
        }
        has_null.then_some(
            "The arguments hold null, which arrives in 1C as Неопределено: leave such arguments \
             out.",
        )
    }
}

fn readable_params(message: &Message) -> String {
    readable(local::params(message))
}

/// `params` without `_meta`. The service reads messages into structures, whose member names are
/// identifiers: the dots and slashes in `_meta` would break the whole call.
fn readable(params: &str) -> String {
    let Some(mut object) = Object::read(params) else { return params.to_owned() };
    object.remove("_meta");
    if object.get("arguments") == Some("null") {
        object.set("arguments", "{}".to_owned());
    }
    object.changed().unwrap_or_else(|| params.to_owned())
}

/// The client's `initialize` without members whose names are not identifiers: services ignore such
/// members, and early ones fail on them.
pub(super) fn initialize_params(message: &Message) -> String {
    let params = readable_params(message);
    let Ok(mut value) = serde_json::from_str(&params) else { return params };
    if drop_unreadable_members(&mut value).is_some() { to_json(&value) } else { params }
}

/// Whether `name` can name a member of a 1C structure.
fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// Drops the members whose names are not identifiers, and returns one of these names.
fn drop_unreadable_members(value: &mut Value) -> Option<String> {
    match value {
        Value::Object(members) => {
            let dropped = members.keys().find(|name| !is_identifier(name)).cloned();
            members.retain(|name, _| is_identifier(name));
            members.values_mut().map(drop_unreadable_members).fold(dropped, Option::or)
        }
        Value::Array(items) => items.iter_mut().map(drop_unreadable_members).fold(None, Option::or),
        _ => None,
    }
}

/// The names in a list result.
fn listed_names(result: &str, member: &str) -> Vec<String> {
    let Some(result) = Object::read(result) else { return Vec::new() };
    let items = result.get(member).and_then(items).unwrap_or_default();
    items.into_iter().filter_map(|item| Object::read(item)?.string("name")).collect()
}

impl Session for OneCSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    /// A service that knows no handshake knows no notifications either, and answers them with an error
    /// under some id.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        match &self.transport {
            Transport::Own(session) => session.send(message),
            Transport::Posts { headers, has_handshake: true } => {
                Box::pin(self.service.notify(message, headers))
            }
            Transport::Posts { .. } => Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn listen(&self) {
        if let Transport::Own(session) = &self.transport {
            session.listen();
        }
    }

    fn has_id(&self) -> bool {
        match &self.transport {
            Transport::Own(session) => session.has_id(),
            Transport::Posts { .. } => false,
        }
    }

    fn ended(&self) -> &CancellationToken {
        match &self.transport {
            Transport::Own(session) => session.ended(),
            Transport::Posts { .. } => &self.ended,
        }
    }

    fn close(&self) -> Pending<'_, ()> {
        match &self.transport {
            Transport::Own(session) => session.close(),
            Transport::Posts { headers, .. } => {
                self.ended.cancel();
                Box::pin(self.service.finish(headers))
            }
        }
    }
}

/// The `protocolVersion` of a result, as the header that later requests carry.
pub(super) fn version_header(result: &Bytes) -> Option<HeaderValue> {
    let version = Object::read(local::text(result))?.string("protocolVersion")?;
    HeaderValue::from_str(&version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initialize(params: &str) -> String {
        initialize_params(&Message::request(RequestId::number(1), "initialize", params))
    }

    #[test]
    fn only_members_that_the_service_cannot_read_are_dropped() {
        let plain = r#"{"protocolVersion": "2025-11-25","capabilities":{"roots": {}}}"#;
        assert_eq!(initialize(plain), plain);
        let foreign = r#"{"capabilities":{"experimental":{"a/b":{}},"roots":{}},"_meta":{"x.y":1},"клиент":1}"#;
        assert_eq!(
            initialize(foreign),
            r#"{"capabilities":{"experimental":{},"roots":{}},"клиент":1}"#
        );
        assert_eq!(initialize("null"), "{}");
    }

    #[test]
    fn identifiers_are_latin_or_cyrillic() {
        for (name, is) in
            [("a1", true), ("Имя_2", true), ("_", true), ("1a", false), ("a-b", false), ("", false)]
        {
            assert_eq!(is_identifier(name), is, "{name}");
        }
    }
}
