//! What an upstream sends, and the line that it becomes.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::{Members, NoEnvelope, members, not_json, one_line};
use super::message::{message_from_upstream, of_json, offset_in, to_json};
use super::{ErrorObject, INTERNAL_ERROR, Message, RequestId};

/// One message from an upstream.
#[derive(Debug)]
pub enum FromUpstream {
    /// Answers one of our requests.
    Response(Response),
    /// A request or notification for the client.
    Message(Message),
}

/// A response with the upstream's `result` or `error` untouched.
///
/// Its id is only a hint of what it answers: upstreams spell it in another way, or leave it out.
#[derive(Debug, Clone)]
pub struct Response {
    text: Bytes,
    id: Option<Bytes>,
    outcome: Outcome,
    /// Whether `text` with another id is a valid response line as it stands.
    is_regular: bool,
    /// Whether the upstream's error was malformed, and `outcome` has one of ours.
    is_repaired: bool,
}

#[derive(Debug, Clone)]
enum Outcome {
    Result(Bytes),
    Error(Bytes),
}

impl Response {
    /// A response of ours with `result`, which is JSON text.
    pub(crate) fn with_result(result: Bytes) -> Self {
        let outcome = Outcome::Result(result);
        Self { text: Bytes::new(), id: None, outcome, is_regular: false, is_repaired: false }
    }

    /// A response of ours with `error`, which is the JSON text of an error object.
    pub(crate) fn with_error(error: Bytes) -> Self {
        let outcome = Outcome::Error(error);
        Self { text: Bytes::new(), id: None, outcome, is_regular: false, is_repaired: false }
    }

    /// The id, where it is a string or number.
    pub fn id(&self) -> Option<RequestId> {
        self.id.clone().and_then(RequestId::from_json)
    }

    /// Whether the id is missing or `null`, as in the answer to a request that the upstream could not
    /// read (JSON-RPC 2.0 section 5).
    pub fn has_no_id(&self) -> bool {
        self.id.as_deref().is_none_or(|id| id == b"null")
    }

    /// The text of `result`.
    pub fn result(&self) -> Option<&Bytes> {
        match &self.outcome {
            Outcome::Result(result) => Some(result),
            Outcome::Error(_) => None,
        }
    }

    /// The text of `error`.
    pub fn error(&self) -> Option<&Bytes> {
        match &self.outcome {
            Outcome::Error(error) => Some(error),
            Outcome::Result(_) => None,
        }
    }

    /// The code of an error.
    pub(crate) fn error_code(&self) -> Option<i64> {
        #[derive(Deserialize)]
        struct Code {
            code: i64,
        }
        let error: Code = of_json(self.error()?)?;
        Some(error.code)
    }

    /// Whether this is a well-formed error (JSON-RPC 2.0 section 5.1): other services have a member
    /// of that name too.
    pub(crate) fn is_genuine_error(&self) -> bool {
        self.error().is_some() && !self.is_repaired
    }

    /// The response as one line, with the upstream's id replaced by `id`.
    pub fn into_line(self, id: &RequestId) -> OutLine {
        match &self.id {
            Some(own) if self.is_regular => {
                if own == id.as_json() {
                    return OutLine::from(one_line(self.text));
                }
                let start = offset_in(&self.text, own);
                OutLine([
                    one_line(self.text.slice(..start)),
                    id.as_json().clone(),
                    one_line(self.text.slice(start + own.len()..)),
                ])
            }
            _ => {
                let (name, value) = match self.outcome {
                    Outcome::Result(result) => ("result", result),
                    Outcome::Error(error) => ("error", error),
                };
                let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"{name}":"#);
                OutLine([head.into(), one_line(value), Bytes::from_static(b"}")])
            }
        }
    }
}

/// One line for stdout, without its line feed, in up to three parts: so a large message gets another
/// id without being copied.
#[derive(Debug, Clone)]
pub struct OutLine(pub(crate) [Bytes; 3]);

impl From<Bytes> for OutLine {
    fn from(text: Bytes) -> Self {
        Self([text, Bytes::new(), Bytes::new()])
    }
}

impl OutLine {
    /// The line's length in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether the line is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The line with the control characters that JSON allows in its strings (U+007F to U+009F)
    /// escaped: terminals act on some of them.
    pub(crate) fn printable(self) -> Self {
        let is_control = |letter: char| letter.is_control();
        Self(self.0.map(|part| match std::str::from_utf8(&part) {
            Ok(text) if text.contains(is_control) => {
                let mut safe = String::with_capacity(text.len() + 16);
                for letter in text.chars() {
                    if is_control(letter) {
                        safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
                    } else {
                        safe.push(letter);
                    }
                }
                safe.into()
            }
            _ => part,
        }))
    }

    /// The line in one piece.
    pub fn to_bytes(&self) -> Bytes {
        self.0.concat().into()
    }
}

/// Why a text from an upstream is not JSON-RPC.
#[derive(Debug)]
pub struct Unusable(pub String);

/// Reads a body or an event's data: one message, or a batch of them (revision 2025-03-26).
///
/// A BOM and white space around the text are ignored.
///
/// # Errors
/// The text is not UTF-8, not JSON, or not JSON-RPC.
pub fn from_upstream(text: &Bytes) -> Result<Vec<FromUpstream>, Unusable> {
    let whole = std::str::from_utf8(text).map_err(|error| {
        Unusable(format!("it is not UTF-8 (after {} bytes)", error.valid_up_to()))
    })?;
    let trimmed = whole.trim_start_matches('\u{feff}').trim_ascii();
    let text = text.slice_ref(trimmed.as_bytes());
    if !trimmed.starts_with('[') {
        let members = members(trimmed).map_err(describe)?;
        return Ok(vec![classify(text, &members)?]);
    }
    let batch: Vec<&RawValue> =
        serde_json::from_str(trimmed).map_err(|error| describe(not_json(&error)))?;
    batch
        .into_iter()
        .map(|raw| {
            classify(text.slice_ref(raw.get().as_bytes()), &members(raw.get()).map_err(describe)?)
        })
        .collect()
}

fn describe(reason: NoEnvelope) -> Unusable {
    Unusable(match reason {
        NoEnvelope::NotJson { why, breaks_off: true } => format!("the JSON breaks off: {why}"),
        NoEnvelope::NotJson { why, .. } => format!("it is not JSON: {why}"),
        NoEnvelope::NotAnObject(why) => format!("it is not JSON-RPC: {why}"),
    })
}

fn classify(text: Bytes, members: &Members<'_>) -> Result<FromUpstream, Unusable> {
    if members.method.is_some() {
        let message = message_from_upstream(&text, members).or_else(|| repaired_message(members));
        return message
            .map(FromUpstream::Message)
            .ok_or_else(|| Unusable("it is not JSON-RPC: its envelope is broken".to_owned()));
    }
    let slice = |raw: &RawValue| text.slice_ref(raw.get().as_bytes());
    // Some servers write both members and leave the one that does not apply `null`.
    let mut is_repaired = false;
    let outcome = match (members.error.filter(|raw| raw.get() != "null"), members.result) {
        (Some(error), _) if is_error_object(error) => Outcome::Error(slice(error)),
        (Some(error), _) => {
            is_repaired = true;
            Outcome::Error(as_error_object(error))
        }
        (None, Some(result)) => Outcome::Result(slice(result)),
        (None, None) => {
            return Err(Unusable("it is not JSON-RPC: it has no `result` or `error`".to_owned()));
        }
    };
    let is_regular = members.jsonrpc.is_some_and(|version| version.get() == "\"2.0\"")
        && members.result.is_some() != members.error.is_some()
        && !is_repaired;
    let id = members.id.map(slice);
    Ok(FromUpstream::Response(Response { text, id, outcome, is_regular, is_repaired }))
}

/// A request or notification whose envelope lacks `jsonrpc`, or that is a notification with an id of
/// `null`.
fn repaired_message(members: &Members<'_>) -> Option<Message> {
    let is_version = |version: &RawValue| matches!(version.get(), "\"2.0\"" | "2.0");
    let is_answer = members.result.is_some() || members.error.is_some();
    if is_answer || !members.jsonrpc.is_none_or(is_version) {
        return None;
    }
    let method: String = serde_json::from_str(members.method?.get()).ok()?;
    let params = members.params.map_or("{}", RawValue::get);
    match members.id.filter(|id| id.get() != "null") {
        None => Some(Message::notification(&method, params)),
        Some(id) => {
            let id = RequestId::from_raw(id)?;
            Some(Message::request(id, &method, params))
        }
    }
}

/// The members of a JSON-RPC error object.
#[derive(Deserialize)]
struct ErrorMembers<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
}

/// An integer code and a message (JSON-RPC 2.0 section 5.1): strict clients refuse anything else.
fn is_error_object(error: &RawValue) -> bool {
    let is_integer = |code: &RawValue| code.get().parse::<i64>().is_ok();
    let is_text = |message: &RawValue| message.get().starts_with('"');
    serde_json::from_str(error.get()).is_ok_and(|ErrorMembers { code, message, .. }| {
        code.is_some_and(is_integer) && message.is_some_and(is_text)
    })
}

/// An error object for a malformed `error`, which becomes its `data`.
fn as_error_object(error: &RawValue) -> Bytes {
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let members = serde_json::from_str::<ErrorMembers<'_>>(error.get()).ok();
    let (code, message, data) =
        members.map_or((None, None, None), |members| (members.code, members.message, members.data));
    let said = text(error)
        .or_else(|| message.and_then(text))
        .or_else(|| data.and_then(text))
        .or_else(|| message.map(RawValue::get).filter(|text| *text != "null").map(str::to_owned))
        .filter(|said| !said.is_empty())
        .unwrap_or_else(|| "the upstream's error has no message; see data".to_owned());
    let error = ErrorObject {
        code: code.and_then(|code| code.get().parse().ok()).unwrap_or(INTERNAL_ERROR),
        message: said,
        data: Some(error.to_owned()),
    };
    to_json(&error).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str, id: &'static str) -> String {
        let id = RequestId::from_json(Bytes::from_static(id.as_bytes())).unwrap();
        let mut messages = from_upstream(&Bytes::copy_from_slice(text.as_bytes())).unwrap();
        assert_eq!(messages.len(), 1);
        let Some(FromUpstream::Response(response)) = messages.pop() else { panic!("no response") };
        String::from_utf8(response.into_line(&id).to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_response_passes_untouched_but_for_its_id() {
        let text =
            r#"{"result":{"b":1.0,"a":12345678901234567890},"x":[ ],"id":1,"jsonrpc":"2.0"}"#;
        assert_eq!(line(text, "1"), text);
        assert_eq!(
            line(text, "9007199254740993"),
            text.replace("\"id\":1", "\"id\":9007199254740993")
        );
    }

    #[test]
    fn a_response_of_many_lines_becomes_one() {
        let text =
            "\u{feff}{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": 3,\r\n\"result\": {\r\n}\r\n}\r\n";
        assert_eq!(line(text, "4"), r#"{"jsonrpc": "2.0","id": 4,"result": {}}"#);
    }

    #[test]
    fn an_irregular_response_is_rebuilt_around_its_outcome() {
        for text in [
            r#"{"result":{"a": 1}}"#,
            r#"{"jsonrpc":"2.0","result":{"a": 1},"error":null,"id":1}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":{"a": 1}}"#,
        ] {
            assert_eq!(line(text, "1"), r#"{"jsonrpc":"2.0","id":1,"result":{"a": 1}}"#, "{text}");
        }
        let text = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}"#;
        assert_eq!(
            line(text, "8"),
            r#"{"jsonrpc":"2.0","id":8,"error":{"code":-1,"message":"no"}}"#
        );
    }

    #[test]
    fn a_malformed_error_becomes_a_valid_one() {
        let cases = [
            (r#""no""#, r#"{"code":-32603,"message":"no","data":"no"}"#),
            (
                r#"{"message":"no","type":"x"}"#,
                r#"{"code":-32603,"message":"no","data":{"message":"no","type":"x"}}"#,
            ),
            (
                r#"{"code":"E1","message":"no"}"#,
                r#"{"code":-32603,"message":"no","data":{"code":"E1","message":"no"}}"#,
            ),
            (
                r#"{"code":5}"#,
                r#"{"code":5,"message":"the upstream's error has no message; see data","data":{"code":5}}"#,
            ),
        ];
        for (error, repaired) in cases {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
            assert_eq!(
                line(&text, "1"),
                format!(r#"{{"jsonrpc":"2.0","id":1,"error":{repaired}}}"#)
            );
        }
        let own = r#"{"jsonrpc":"2.0","id":1,"error":{"message":"x","code":-1,"data": 1.0}}"#;
        assert_eq!(line(own, "1"), own);
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let line = OutLine::from(Bytes::from_static("{\"a\":\"\u{9b}31m\u{7f}é\"}".as_bytes()));
        assert_eq!(line.printable().to_bytes(), "{\"a\":\"\\u009b31m\\u007fé\"}");
    }

    #[test]
    fn anything_but_a_message_is_unusable() {
        for text in ["", "{", "<html>", "7", r#"{"jsonrpc":"2.0"}"#, "{}{}", r#"{"method":5}"#] {
            assert!(from_upstream(&Bytes::copy_from_slice(text.as_bytes())).is_err(), "{text}");
        }
        assert!(from_upstream(&Bytes::from_static(b"{\"id\":1,\"result\":\"\xff\"}")).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_become_valid_lines_or_nothing(
            body in proptest::collection::vec(any::<u8>(), 0..100),
            junk in "[ \r\n\t]{0,3}",
        ) {
            let framed = [
                b"{\"jsonrpc\":\"2.0\",".as_slice(), junk.as_bytes(), b"\"id\":1,\"result\":", &body, b"}",
            ].concat();
            for text in [body, framed] {
                for message in from_upstream(&Bytes::from(text)).unwrap_or_default() {
                    let FromUpstream::Response(response) = message else { continue };
                    let line = response.into_line(&RequestId::of_ours(1)).to_bytes();
                    prop_assert!(!line.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
                    let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
                    prop_assert_eq!(&value["id"], "mcpline-1");
                }
            }
        }
    }
}
