//! A JSON-RPC message as its bytes and as a tree, and the messages that most tests send.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

/// What a 2025-11-25 client says first. It can do everything, so that the upstream may ask.
pub(crate) const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"#,
    r#""protocolVersion":"2025-11-25","#,
    r#""capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}},"#,
    r#""clientInfo":{"name":"it","version":"1"}}}"#
);

pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A request line. `id` and `params` are JSON text, so that a test decides about every byte.
pub(crate) fn request(id: impl fmt::Display, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// A `tools/call` line. `id` and `arguments` are JSON text.
pub(crate) fn call(id: impl fmt::Display, tool: &str, arguments: &str) -> String {
    let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
    request(id, "tools/call", &params)
}

pub(crate) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

/// The result that the upstreams of these tests give to `initialize`.
pub(crate) fn initialize_result(version: &str) -> String {
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{"logging":{{}},"tools":{{"listChanged":true}},"resources":{{"subscribe":true,"listChanged":true}},"prompts":{{"listChanged":true}}}},"serverInfo":{{"name":"upstream","version":"1"}}}}"#
    )
}

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Message {
    /// A single JSON value that is an object or an array, else why it is not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("{error} in {text:?}"))?;
        if value.is_object() || value.is_array() {
            Ok(Self { text: text.to_owned(), value })
        } else {
            Err(format!("neither an object nor an array: {text:?}"))
        }
    }

    /// The bytes of a top-level member.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(&self.text).ok()?;
        members.get(name).map(|value| value.get())
    }

    /// The id as it is written, quotes and all; empty where there is none.
    pub(crate) fn id(&self) -> &str {
        self.raw("id").unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &str {
        self.value["method"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_request(&self) -> bool {
        self.value.get("id").is_some() && self.value.get("method").is_some()
    }

    pub(crate) fn is_notification(&self) -> bool {
        self.value.get("id").is_none() && self.value.get("method").is_some()
    }

    pub(crate) fn is_reply(&self) -> bool {
        self.value.get("result").is_some() || self.value.get("error").is_some()
    }

    /// The bytes of the result; fails the test on anything else.
    pub(crate) fn raw_result(&self) -> &str {
        self.raw("result").unwrap_or_else(|| panic!("no result in {self}"))
    }

    pub(crate) fn result(&self) -> &Value {
        self.value.get("result").unwrap_or_else(|| panic!("no result in {self}"))
    }

    pub(crate) fn error(&self) -> &Value {
        self.value.get("error").unwrap_or_else(|| panic!("no error in {self}"))
    }

    pub(crate) fn error_code(&self) -> i64 {
        self.error()["code"].as_i64().unwrap_or_else(|| panic!("no error code in {self}"))
    }

    pub(crate) fn error_text(&self) -> &str {
        self.error()["message"].as_str().unwrap_or_else(|| panic!("no error message in {self}"))
    }

    /// Checks that this is an error of ours with `code`, and all that is promised about such
    /// errors; gives its `data`.
    pub(crate) fn failure(&self, code: i64) -> &Value {
        assert_eq!(self.error_code(), code, "in {self}");
        let text = self.error_text();
        assert!(!text.trim().is_empty(), "an empty message in {self}");
        assert!(!text.contains(['\n', '\r']), "more than one line: {text:?}");
        let data = &self.error()["data"];
        assert_eq!(data["source"], "mcpline", "in {self}");
        assert!(data["kind"].is_string(), "no kind in {self}");
        let url = data["url"].as_str().unwrap_or_else(|| panic!("no url in {self}"));
        assert!(text.contains(url), "the message does not name {url}: {text}");
        assert!(!url.contains('@'), "credentials in {self}");
        assert!(data["attempts"].is_u64(), "no attempts in {self}");
        assert!(data["elapsedMs"].is_u64(), "no elapsedMs in {self}");
        data
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A failed test must not print the 8 MiB that it was about.
        if self.text.chars().nth(2000).is_some() {
            let head: String = self.text.chars().take(2000).collect();
            write!(f, "{head}… ({} bytes)", self.text.len())
        } else {
            f.write_str(&self.text)
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
