//! Repairs what strict clients refuse. One malformed tool, item or member makes them drop the whole
//! message, so the named kinds pass every result through [`SchemaRepairs`]. What is in order is not
//! touched, and kind `mcp` passes bytes as they come.
//!
//! `table` says what each member must be, `fit` walks a result along it, `scalar` converts single
//! values, `schema` knows JSON Schema, `content` the items of results, `uris` translates URIs.

mod content;
mod fit;
mod scalar;
mod schema;
mod table;
#[cfg(test)]
mod tests;
mod uris;

use serde::Deserialize;

use self::fit::{Context, Fit};
use self::table::Outcome;
pub(super) use self::uris::Uris;
use super::json::{Object, compact, edit_items};
use super::local;
use super::surrogates;
use crate::jsonrpc::{Message, Response, to_json};
use crate::mcp::{RequestMeta, method};

/// The repairs of one service.
pub(super) struct SchemaRepairs {
    server_name: &'static str,
    uris: Option<Uris>,
}

impl SchemaRepairs {
    /// Repairs for a service that we call `server_name` where it does not name itself, and whose
    /// URIs are offered below the scheme of `uris`, unless they are to stay as they are.
    pub(super) fn new(server_name: &'static str, uris: Option<Uris>) -> Self {
        Self { server_name, uris }
    }

    /// `response` to `request`, as strict clients take it.
    pub(super) fn response(&self, request: &Message, response: Response) -> Response {
        let response = local::repaired_error(response, surrogates::replaced);
        local::repaired(response, |result| self.result(request, result))
    }

    /// The result of `request`; `None` where nothing in it needs a repair.
    pub(super) fn result(&self, request: &Message, result: &str) -> Option<String> {
        let whole = surrogates::replaced(result);
        let text = whole.as_deref().unwrap_or(result);
        let Some(outcome) = table::outcome(request.method()) else { return whole };
        self.fitted(request, outcome, text).or(whole)
    }

    fn fitted(&self, request: &Message, outcome: &Outcome, result: &str) -> Option<String> {
        let context = Context { request, uris: self.uris.as_ref(), server_name: self.server_name };
        let object = Object::read(result);
        if object.as_ref().is_some_and(|object| context.awaits_more(object)) {
            // The result comes later, and this has a form of its own.
            return None;
        }
        let wrapped = wrapped(outcome, object.as_ref(), result);
        let fit = match (object, wrapped.as_deref()) {
            // A long result is not read once more.
            (Some(object), None) => fit::members(object, &outcome.shape, &context),
            (_, text) => fit::object(text.unwrap_or(result), &outcome.shape, &context),
        };
        match fit {
            Fit::Becomes(result) => Some(result),
            Fit::Fits | Fit::Unfit => wrapped,
        }
    }

    /// The service's own URI, where the client was given another for it.
    pub(super) fn original(&self, uri: &str) -> Option<String> {
        self.uris.as_ref()?.original(uri)
    }

    /// The params of `request` with the service's own URIs in place of those that it was offered
    /// under; `None` where they stay.
    pub(super) fn params(&self, request: &Message) -> Option<String> {
        let own = |object: &str| {
            let mut object = Object::read(object)?;
            let uri = self.original(&object.string("uri")?)?;
            object.set_string("uri", &uri);
            object.changed()
        };
        match request.method() {
            method::RESOURCES_READ
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE => own(local::params(request)),
            method::COMPLETE => {
                let mut params = Object::read(local::params(request))?;
                params.edit("ref", own);
                params.changed()
            }
            _ => None,
        }
    }
}

impl Context<'_> {
    /// The tool or prompt that was asked for.
    fn subject(&self) -> String {
        let params = Object::read(local::params(self.request));
        params.and_then(|params| params.string("name")).unwrap_or_default()
    }

    /// The URI that was asked for.
    fn uri(&self) -> Option<String> {
        local::uri(self.request)
    }

    /// Whether `result` asks for input first, or is the task that the client wanted it to be.
    fn awaits_more(&self, result: &Object<'_>) -> bool {
        let is_partial = result.string("resultType").is_some_and(|kind| kind != "complete");
        let is_task = || {
            let params = Object::read(local::params(self.request));
            params.is_some_and(|params| params.has("task"))
        };
        is_partial && self.is_modern() || result.has("task") && is_task()
    }

    /// Whether the request is of a revision without `initialize`, in which more is allowed.
    fn is_modern(&self) -> bool {
        RequestMeta::of(self.request).protocol_version.is_some()
    }

    /// The revision that the client asks for, in its own words.
    fn revision(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct InitializeParams {
            protocol_version: String,
        }
        let params: Option<InitializeParams> = self.request.read_params();
        params.map(|params| params.protocol_version)
    }
}

/// The object for a result that is none, or is what belongs into its main member.
fn wrapped(outcome: &Outcome, object: Option<&Object<'_>>, result: &str) -> Option<String> {
    let is_call = outcome.main == Some("content");
    let Some(object) = object else {
        return Some(match outcome.main {
            Some(main) if result != "null" => {
                // Rows of a table are one answer, and not one for each row.
                let is_data = is_call && result.starts_with('[') && !content::holds_content(result);
                let text = is_data.then(|| to_json(&compact(result)));
                format!("{{{}:{}}}", to_json(&main), text.as_deref().unwrap_or(result))
            }
            _ => "{}".to_owned(),
        });
    };
    let main = outcome.main.filter(|main| !object.has(main))?;
    if outcome.inner.iter().any(|name| object.has(name)) {
        return Some(format!("{{{}:{result}}}", to_json(&main)));
    }
    if is_call { stray_result(result) } else { None }
}

/// The members of a `tools/call` result (schema, `CallToolResult`).
const RESULT_MEMBERS: [&str; 5] =
    ["content", "structuredContent", "isError", "_meta", "resultType"];

/// The result of a call whose answer is in members that clients ignore, with all of it as a text as
/// well.
pub(super) fn stray_result(whole: &str) -> Option<String> {
    let mut result = Object::read(whole)?;
    let is_empty = result.get("content").is_none_or(|content| matches!(content, "[]" | "null"));
    if !is_empty || !result.holds_other_than(&RESULT_MEMBERS) {
        return None;
    }
    let text = text_item(&compact(whole));
    result.set("content", format!("[{text}]"));
    result.changed()
}

/// A list result with each item of `member` changed by `edit`.
pub(super) fn edit_list(
    result: &str,
    member: &str,
    mut edit: impl FnMut(&mut Object<'_>),
) -> Option<String> {
    let mut result = Object::read(result)?;
    result.edit(member, |items| {
        edit_items(items, |item| {
            let mut item = Object::read(item)?;
            edit(&mut item);
            item.changed()
        })
    });
    result.changed()
}

/// A text item.
pub(super) fn text_item(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, to_json(&text))
}
