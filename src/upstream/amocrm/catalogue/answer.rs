//! Turns an answer of the server into a result for the client.

use bytes::Bytes;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Answer, HiddenFailure};
use crate::jsonrpc::{of_json, to_json};
use crate::mcp::{CallToolResult, Part, ReadResourceResult, TextContent};
use crate::upstream::json::compact;
use crate::upstream::local;

/// Replaces an empty answer, in the words of the current server.
const NO_CONTENT: &str = r#"{"status":"no_content","code":204}"#;

/// The answer to a call.
#[derive(Debug, Clone)]
pub(in crate::upstream::amocrm) struct ToolAnswer {
    /// One line of JSON: the server's own, with numbers and order untouched, or a string where the
    /// server did not send JSON.
    pub(in crate::upstream::amocrm) text: Bytes,
    /// The server, or amoCRM behind it, refused the call.
    pub(in crate::upstream::amocrm) is_error: bool,
    /// A part of the refused call may have run, so the call must not be repeated.
    pub(in crate::upstream::amocrm) is_partial: bool,
    /// The status in a [`HiddenFailure`].
    pub(in crate::upstream::amocrm) inner_status: Option<u16>,
    /// The status of the (last) HTTP answer.
    pub(in crate::upstream::amocrm) http_status: u16,
}

impl ToolAnswer {
    pub(super) fn of(answer: &Answer) -> Self {
        let is_success = answer.is_success();
        let text = text(answer, is_success);
        let hidden = if is_success {
            std::str::from_utf8(&text).ok().and_then(HiddenFailure::find)
        } else {
            None
        };
        Self {
            is_error: !is_success || hidden.is_some(),
            is_partial: false,
            inner_status: hidden.and_then(|hidden| hidden.status),
            http_status: answer.status,
            text,
        }
    }

    /// An answer that we put together from several.
    pub(super) fn of_value(value: &Value) -> Self {
        Self {
            text: value.to_string().into(),
            is_error: false,
            is_partial: false,
            inner_status: None,
            http_status: 200,
        }
    }

    /// Puts what has happened so far in front of this error, whose text is `value`.
    pub(super) fn explain(&mut self, what: &str, value: &Value) {
        let said = ["detail", "title", "error"].into_iter().filter_map(|name| value[name].as_str());
        let why = match said.into_iter().find(|said| !said.is_empty()) {
            Some(said) => said.to_owned(),
            None => {
                let inner = ["code", "status"].into_iter().find_map(|name| value[name].as_u64());
                format!("the server answered {}", inner.unwrap_or(self.http_status.into()))
            }
        };
        let answer = raw(&self.text);
        self.text = to_json(&Explained { error: format!("{what}: {why}"), answer }).into();
    }

    /// The result of `tools/call`. Only revisions since 2025-06-18 know `structuredContent`.
    pub(in crate::upstream::amocrm) fn to_result(&self, structured: bool) -> Bytes {
        let result = CallToolResult {
            content: [TextContent { text: self.as_text() }],
            structured_content: raw(&self.text).filter(|_| structured && self.is_object()),
            is_error: self.is_error.then_some(true),
        };
        to_json(&result).into()
    }

    /// The result of `resources/read` for `uri`.
    pub(in crate::upstream::amocrm) fn to_contents(&self, uri: &str) -> Bytes {
        to_json(&ReadResourceResult::json(uri, self.as_text())).into()
    }

    /// Whether the text is an object.
    pub(super) fn is_object(&self) -> bool {
        self.text.starts_with(b"{")
    }

    /// The answer as a JSON string; an answer that is a string already stays as it is.
    fn as_text(&self) -> Part<'_, &str> {
        match raw(&self.text) {
            Some(string) if string.get().starts_with('"') => Part::Theirs(string),
            _ => Part::Ours(local::text(&self.text)),
        }
    }
}

/// An error that we put in front of the server's answer.
#[derive(Serialize)]
struct Explained<'a> {
    error: String,
    answer: Option<&'a RawValue>,
}

fn raw(json: &Bytes) -> Option<&RawValue> {
    of_json(json)
}

/// The body of `answer` as one line of JSON.
fn text(answer: &Answer, is_success: bool) -> Bytes {
    let body = answer.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&answer.body).trim_ascii();
    match std::str::from_utf8(body) {
        Ok("") if is_success => Bytes::from_static(NO_CONTENT.as_bytes()),
        Ok("") => to_json(&format!("the server answered {}", answer.status)).into(),
        Ok(json) if serde_json::from_str::<IgnoredAny>(json).is_ok() => compact(json).into(),
        _ => to_json(&String::from_utf8_lossy(body)).into(),
    }
}
