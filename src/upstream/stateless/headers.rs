//! The header fields that repeat parts of a request (2026-07-28, Streamable HTTP, "Request
//! Metadata").

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Request;
use super::super::headers::{PROTOCOL_VERSION, post_headers};
use super::tools::Tools;
use crate::http::Endpoint;
use crate::mcp::{STATELESS_REVISION, method};
use crate::upstream::json;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What marks a value that does not fit into a header field as it is.
const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// The members of `params` that are repeated.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow, rename = "_meta", default)]
    meta: Meta<'a>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The member of `_meta` that is repeated.
#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<Cow<'a, str>>,
}

impl<'a> Params<'a> {
    /// The name of what a request of `method` is about.
    fn name_for(&self, method: &str) -> Option<&'a RawValue> {
        match method {
            method::TOOLS_CALL | method::PROMPTS_GET => self.name,
            method::RESOURCES_READ => self.uri,
            // The Tasks extension, "Request headers".
            "tasks/get" | "tasks/update" | "tasks/cancel" => self.task_id,
            _ => None,
        }
    }
}

/// What the POSTs for all requests to `endpoint` have in common, with places for the rest: a copy has
/// no room to grow.
pub(super) fn common(endpoint: &Endpoint) -> HeaderMap {
    let mut headers = post_headers();
    endpoint.complete(&mut headers);
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(STATELESS_REVISION));
    for name in [METHOD, NAME] {
        headers.insert(name, HeaderValue::from_static(""));
    }
    headers
}

/// The header fields of the POST for `request`, from those that are `common` to all; `tools` knows
/// which arguments are repeated.
pub(super) fn of(request: &Request, common: &HeaderMap, tools: &Tools) -> HeaderMap {
    let message = &request.message;
    let params: Params<'_> = message.read_params().unwrap_or_default();
    let mut headers = common.clone();
    // A request without a version gets the server's own answer to that.
    if let Some(version) =
        params.meta.protocol_version.as_deref().filter(|version| *version != STATELESS_REVISION)
    {
        headers.insert(PROTOCOL_VERSION, value(version));
    }
    headers.insert(METHOD, value(message.method()));
    let name = params.name_for(message.method()).and_then(|name| json::string(name.get()));
    match &name {
        Some(name) => headers.insert(NAME, value(name)),
        None => headers.remove(NAME),
    };
    if message.method() == method::TOOLS_CALL
        && let (Some(name), Some(arguments)) = (name, params.arguments)
    {
        for (header, argument) in tools.repeated(&name, arguments.get()) {
            headers.insert(header, value(&argument));
        }
    }
    headers
}

/// `text` as the value of a header field ("Value Encoding").
fn value(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim_matches(' ') == text
        && !is_encoded(text);
    let encoded = || format!("{}{}{}", ENCODED.0, BASE64_STANDARD.encode(text), ENCODED.1);
    let text = if is_plain { Cow::Borrowed(text) } else { encoded().into() };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether `text` looks like a value that has been encoded.
fn is_encoded(text: &str) -> bool {
    text.starts_with(ENCODED.0) && text.ends_with(ENCODED.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_a_header_is_encoded() {
        for (text, encoded) in [
            ("us-west1", "us-west1"),
            ("two words", "two words"),
            ("", ""),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("a\tb", "=?base64?YQli?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(value(text), encoded, "{text:?}");
        }
    }
}
