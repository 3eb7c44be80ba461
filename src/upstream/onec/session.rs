//! What becomes of each message for a 1C service: answered here, sent, or dropped; and what is
//! mended on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::faults::compact_error;
use super::handshake::{Known, says_nothing};
use super::names::Names;
use super::service::{Service, not_called};
use crate::failure::{Class, Failure};
use crate::jsonrpc::{INTERNAL_ERROR, Message, RequestId, Response, to_json};
use crate::upstream::Client;
use crate::upstream::json::{Object, items};
use crate::upstream::local::{self, Named, knows_no_method, mended, mended_error};
use crate::upstream::{Pending, Request, Session, repair};

/// Arguments longer than this are not searched for what the service cannot read.
const MAX_SEARCHED: usize = 64 * 1024;

/// What outlives a session: names are the same in the next one.
#[derive(Default)]
pub(super) struct Aliases {
    /// `None` keeps names as they are.
    pub(super) tools: Option<Names>,
    pub(super) prompts: Option<Names>,
    has_warned: AtomicBool,
}

/// A conversation with one service; there is no session of MCP behind most of them.
pub(super) struct OneCSession {
    pub(super) service: Arc<Service>,
    pub(super) aliases: Arc<Aliases>,
    pub(super) known: Known,
    /// Of a service with MCP's own transport.
    pub(super) headers: HeaderMap,
    pub(super) sends_notifications: bool,
    pub(super) client: Client,
    pub(super) ended: CancellationToken,
}

impl OneCSession {
    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        match message.method() {
            // Services answer it with an error.
            "ping" => Ok(local::pong()),
            "tools/list" => self.list(message, "tools", self.aliases.tools.as_ref()).await,
            "prompts/list" => self.list(message, "prompts", self.aliases.prompts.as_ref()).await,
            "resources/list" => self.list(message, "resources", None).await,
            "resources/templates/list" => self.list(message, "resourceTemplates", None).await,
            "tools/call" => self.call_tool(message).await,
            "prompts/get" => {
                let params = self.named_params(message, self.aliases.prompts.as_ref()).await?;
                let response = self.call(message, &params, None).await?;
                let name = name_in(&params);
                Ok(mended(response, |result| repair::prompt_result(result, &name)))
            }
            "resources/read" => {
                let response = self.call(message, &own_params(message), None).await?;
                let uri = local::uri(message);
                Ok(mended(response, |result| repair::read_result(result, uri.as_deref())))
            }
            _ => self.call(message, &own_params(message), None).await,
        }
    }

    /// Sends one call; its error becomes what a person can read.
    async fn call(
        &self,
        message: &Message,
        params: &str,
        note: Option<&str>,
    ) -> Result<Response, Failure> {
        let answered = self.service.call(message, params, &self.headers, &self.client).await?;
        let Some(response) = answered.response else {
            return Err(says_nothing(&self.service.address.rpc.shown));
        };
        let note = note.filter(|_| local::error_code(&response) == Some(INTERNAL_ERROR));
        Ok(mended_error(response, |error| compact_error(error, note)))
    }

    async fn list(
        &self,
        message: &Message,
        member: &str,
        names: Option<&Names>,
    ) -> Result<Response, Failure> {
        let method = message.method();
        let response = match self.known.take_fresh(method) {
            Some(response) => response,
            None => self.call(message, &own_params(message), None).await?,
        };
        // A list that the service never spoke of is empty, and a client asks for more than one.
        if knows_no_method(&response)
            && let Some(list) = self.known.unknown_list(method)
        {
            return Ok(Self::mended_list(list, member, names));
        }
        Ok(Self::mended_list(response, member, names))
    }

    fn mended_list(response: Response, member: &str, names: Option<&Names>) -> Response {
        if let (Some(names), Some(result)) = (names, response.result()) {
            names.note(&listed_names(local::text(result), member));
        }
        mended(response, |result| {
            repair::list(result, member, |item| {
                if let Some(names) = names {
                    names.rename(item);
                }
            })
        })
    }

    async fn call_tool(&self, message: &Message) -> Result<Response, Failure> {
        let params = self.named_params(message, self.aliases.tools.as_ref()).await?;
        let note = self.note_arguments(&params);
        let response = self.call(message, &params, note).await?;
        Ok(mended(response, |result| repair::call_result(result, &name_in(&params))))
    }

    /// The params of a call by name, with the service's own name in them.
    async fn named_params(
        &self,
        message: &Message,
        names: Option<&Names>,
    ) -> Result<String, Failure> {
        let params = own_params(message);
        let Some(names) = names else { return Ok(params) };
        let Some(Named { name, .. }) = message.read_params() else { return Ok(params) };
        let mut original = names.original(&name);
        if original.is_none() && names.may_be_unknown_alias(&name) {
            // A call without a listing before it, as a person makes it from a shell.
            let method =
                if message.method() == "tools/call" { "tools/list" } else { "prompts/list" };
            let list = Message::request(RequestId::number(1), method, "{}");
            let member = if method == "tools/list" { "tools" } else { "prompts" };
            let answered = self.service.call(&list, "{}", &self.headers, &self.client).await;
            let answered = match answered {
                // What may pass is worth waiting for; otherwise the name will be the true one.
                Err(failure) if failure.class == Class::Final => {
                    tracing::info!("no listing to look `{name}` up in: {}", failure.summary());
                    None
                }
                answered => answered.map_err(not_called)?.response,
            };
            let result = answered.as_ref().and_then(Response::result);
            let listed = result.map(|result| listed_names(local::text(result), member));
            names.note(&listed.unwrap_or_default());
            original = names.original(&name);
        }
        let Some(original) = original else { return Ok(params) };
        let Some(mut object) = Object::read(&params) else { return Ok(params) };
        object.set_string("name", &original);
        Ok(object.text())
    }

    /// Looks for what the service cannot read in arguments: warns once of member names, and
    /// returns what to say should the call fail.
    fn note_arguments(&self, params: &str) -> Option<&'static str> {
        if params.len() > MAX_SEARCHED {
            return None;
        }
        let arguments: serde_json::Value = serde_json::from_str(params).ok()?;
        let arguments = arguments.get("arguments")?;
        if let Some(name) = foreign_member(arguments)
            && !self.aliases.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the arguments have a member `{name}`, which 1C cannot read by that name (letters, \
                 digits and _ only): the service changes or refuses it"
            );
        }
        let has_null = arguments.as_object()?.values().any(serde_json::Value::is_null);
        has_null.then_some(
            "The arguments hold null, which arrives in 1C as Неопределено: leave such arguments \
             out.",
        )
    }
}

/// `name` of the params of a call, for a log.
fn name_in(params: &str) -> String {
    Object::read(params).and_then(|params| params.string("name")).unwrap_or_default()
}

/// `params` without what the service cannot read: it reads messages into structures, whose member
/// names are identifiers, so `_meta` with its dots and slashes would spoil the whole call.
fn own_params(message: &Message) -> String {
    let params = local::params(message);
    let Some(mut object) = Object::read(params) else { return params.to_owned() };
    object.remove("_meta");
    if object.get("arguments") == Some("null") {
        object.set("arguments", "{}".to_owned());
    }
    object.changed().unwrap_or_else(|| params.to_owned())
}

/// The client's `initialize` without members whose names are no identifiers: services ignore what
/// they hold, and early ones fail on them.
pub(super) fn initialize_params(message: &Message) -> String {
    let params = own_params(message);
    let Ok(mut value) = serde_json::from_str(&params) else { return params };
    if foreign_member(&value).is_none() {
        return params;
    }
    drop_foreign_members(&mut value);
    to_json(&value)
}

/// Whether `name` can name a member of a 1C structure.
fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The first member whose name is no identifier.
fn foreign_member(value: &serde_json::Value) -> Option<&str> {
    match value {
        serde_json::Value::Object(members) => members.iter().find_map(|(name, value)| {
            if is_identifier(name) { foreign_member(value) } else { Some(name) }
        }),
        serde_json::Value::Array(items) => items.iter().find_map(foreign_member),
        _ => None,
    }
}

fn drop_foreign_members(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.retain(|name, _| is_identifier(name));
            members.values_mut().for_each(drop_foreign_members);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_foreign_members),
        _ => {}
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

    /// No service acts on a notification, and early ones answer with an error under a made-up id.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async {
            if self.sends_notifications { self.service.notify(message).await } else { Ok(()) }
        })
    }

    /// Nothing is ever sent outside of an exchange.
    fn listen(&self) {}

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn close(&self) -> Pending<'_, ()> {
        self.ended.cancel();
        Box::pin(self.service.finish(&self.headers))
    }
}

/// The publication's `protocolVersion`, as the header that later requests carry.
pub(super) fn version_header(result: &Bytes) -> Option<reqwest::header::HeaderValue> {
    let version = Object::read(local::text(result))?.string("protocolVersion")?;
    reqwest::header::HeaderValue::from_str(&version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initialize(params: &str) -> String {
        initialize_params(&Message::request(RequestId::number(1), "initialize", params))
    }

    #[test]
    fn only_what_the_service_cannot_read_is_taken_out() {
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
