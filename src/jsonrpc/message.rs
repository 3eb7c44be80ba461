//! Requests, notifications and responses, and the reading of a client's line.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use super::envelope::{Members, NoEnvelope, brief, members, one_line};
use super::{ErrorObject, INVALID_REQUEST, RequestId, broken};

/// What a message is (JSON-RPC 2.0 sections 4 and 5).
#[derive(Debug, Clone)]
pub enum Kind {
    /// Has a method and an id, and gets exactly one reply.
    Request(RequestId),
    /// Has a method and no id, and never gets a reply.
    Notification,
    /// Answers the request with this id.
    Response(RequestId),
}

/// One JSON-RPC message as the text that arrived, with its envelope.
#[derive(Debug, Clone)]
pub struct Message {
    text: Bytes,
    kind: Kind,
    method: Box<str>,
    params: Option<Bytes>,
}

impl Message {
    /// A request of ours; `params` is JSON text.
    pub(crate) fn request(id: RequestId, method: &str, params: &str) -> Self {
        const HEAD: &str = r#"{"jsonrpc":"2.0","id":"#;
        let text =
            Bytes::from(format!(r#"{HEAD}{id},"method":{},"params":{params}}}"#, to_json(&method)));
        // A part of the text, as in messages that were read: there it is replaced by another one.
        let kind = Kind::Request(id.within(&text, HEAD.len()));
        Self::assemble(text, kind, method, params)
    }

    /// A notification of ours; `params` is JSON text.
    pub(crate) fn notification(method: &str, params: &str) -> Self {
        let text =
            format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, to_json(&method));
        Self::assemble(text.into(), Kind::Notification, method, params)
    }

    /// The message with this `text`, which ends with `params`.
    fn assemble(text: Bytes, kind: Kind, method: &str, params: &str) -> Self {
        let end = text.len() - 1;
        let params = Some(text.slice(end - params.len()..end));
        Self { text, kind, method: method.into(), params }
    }

    /// A response of ours to the request `id`; `result` is JSON text.
    pub(crate) fn answer(id: &RequestId, result: &str) -> Self {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        Self {
            text: text.into(),
            kind: Kind::Response(id.clone()),
            method: "".into(),
            params: None,
        }
    }

    /// A response of ours that refuses the request `id`.
    pub(crate) fn refusal(id: &RequestId, error: &ErrorObject) -> Self {
        let text = error.to_line(Some(id));
        Self { text, kind: Kind::Response(id.clone()), method: "".into(), params: None }
    }

    /// The message's own text.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// What the message is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The method; empty for a response.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The text of `params`, if there are any.
    pub fn params(&self) -> Option<&Bytes> {
        self.params.as_ref()
    }

    /// The id of a request or response.
    pub fn id(&self) -> Option<&RequestId> {
        match &self.kind {
            Kind::Request(id) | Kind::Response(id) => Some(id),
            Kind::Notification => None,
        }
    }

    /// The message's text with its id replaced by `id`; all other bytes stay.
    pub(crate) fn text_with_id(&self, id: &RequestId) -> Bytes {
        match self.id() {
            Some(own) if own != id => splice(&self.text, own.as_json(), id.as_json()),
            _ => self.text.clone(),
        }
    }

    /// `params` read as `T`; `None` when there are none or they do not fit.
    pub(crate) fn read_params<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        of_json(self.params.as_deref()?)
    }

    /// The message on one line, as stdout wants it.
    pub(crate) fn into_line(self) -> Bytes {
        one_line(self.text)
    }
}

/// Replaces `part`, which is a slice of `text`, by `replacement`.
pub(super) fn splice(text: &Bytes, part: &Bytes, replacement: &[u8]) -> Bytes {
    let start = offset_in(text, part);
    let mut spliced = BytesMut::with_capacity(text.len() - part.len() + replacement.len());
    spliced.extend_from_slice(&text[..start]);
    spliced.extend_from_slice(replacement);
    spliced.extend_from_slice(&text[start + part.len()..]);
    spliced.freeze()
}

/// Where `part`, which is a slice of `text`, starts.
pub(super) fn offset_in(text: &Bytes, part: &Bytes) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// What a client's line holds.
#[derive(Debug)]
pub enum Parsed {
    /// One message.
    One(Message),
    /// A batch (JSON-RPC 2.0 section 6), each member parsed by itself; never empty.
    Batch(Vec<Result<Message, Rejection>>),
}

/// Why a client's line is not a message, as the error that answers it.
#[derive(Debug)]
pub struct Rejection {
    /// The message's own id where it has a usable one.
    pub id: Option<RequestId>,
    /// [`PARSE_ERROR`](super::PARSE_ERROR) or [`INVALID_REQUEST`] with the reason.
    pub error: ErrorObject,
    /// False for a broken response: nothing ever answers a response.
    pub is_answered: bool,
}

impl Rejection {
    pub(crate) fn invalid(id: Option<RequestId>, why: &str) -> Self {
        let error = ErrorObject::new(INVALID_REQUEST, format!("Invalid request: {why}"));
        Self { id, error, is_answered: true }
    }
}

/// What to do about a line in another encoding: the shells of Windows have one of their own.
const SEND_UTF_8: &str = if cfg!(windows) {
    "send UTF-8 (run `chcp 65001` first in cmd.exe, and in PowerShell \
     `$OutputEncoding = [Text.UTF8Encoding]::new()`)"
} else {
    "send UTF-8"
};

/// Reads one line from the client.
///
/// # Errors
/// The line is not UTF-8 or not JSON ([`PARSE_ERROR`](super::PARSE_ERROR)), or not a JSON-RPC message
/// ([`INVALID_REQUEST`]).
pub fn from_client(line: &Bytes) -> Result<Parsed, Rejection> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.valid_up_to();
            let why = format!("invalid UTF-8 after {valid} bytes; {SEND_UTF_8}");
            return not_json_at_all(line, &why);
        }
    };
    if !text.trim_start().starts_with('[') {
        let members = members(text).map_err(|reason| refuse(line, reason))?;
        return message(line, &members).map(Parsed::One);
    }
    let batch: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(batch) => batch,
        Err(error) => return not_json_at_all(line, &brief(&error.to_string())),
    };
    if batch.is_empty() {
        return Err(Rejection::invalid(None, "the batch is empty"));
    }
    let member = |raw: &&RawValue| {
        let text = line.slice_ref(raw.get().as_bytes());
        message(&text, &members(raw.get()).map_err(|reason| refuse(&text, reason))?)
    };
    Ok(Parsed::Batch(batch.iter().map(member).collect()))
}

/// What becomes of a line that is not JSON: a message, or a batch in which more than one may wait for
/// an answer.
fn not_json_at_all(line: &[u8], why: &str) -> Result<Parsed, Rejection> {
    match broken::batch(line, why) {
        Some(members) => Ok(Parsed::Batch(members.into_iter().map(Err).collect())),
        None => Err(broken::rejection(line, why)),
    }
}

fn refuse(line: &[u8], reason: NoEnvelope) -> Rejection {
    match reason {
        NoEnvelope::NotJson { why, .. } => broken::rejection(line, &why),
        NoEnvelope::NotAnObject(why) => Rejection::invalid(None, &why),
    }
}

/// Builds the message whose envelope is `members`, which must lie in `text`.
fn message(text: &Bytes, members: &Members<'_>) -> Result<Message, Rejection> {
    let slice = |raw: &RawValue| text.slice_ref(raw.get().as_bytes());
    let id = members.id.map(slice).map(RequestId::from_json);
    let usable_id = id.clone().flatten();
    let invalid = |why: &str| Err(Rejection::invalid(usable_id.clone(), why));

    if members.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
        return invalid("`jsonrpc` must be \"2.0\"");
    }
    let answers = members.result.is_some() || members.error.is_some();
    let Some(method) = members.method else {
        return match (answers, id) {
            (false, _) => invalid("it has neither `method` nor `result` nor `error`"),
            (true, Some(Some(id))) => Ok(Message {
                text: text.clone(),
                kind: Kind::Response(id),
                method: "".into(),
                params: None,
            }),
            (true, _) => invalid("a response needs the id of its request")
                .map_err(|rejection| Rejection { is_answered: false, ..rejection }),
        };
    };
    if answers {
        return invalid("it has a `method` and also a `result` or `error`");
    }
    let Some(method) = string(method) else {
        return invalid("`method` must be a string");
    };
    let kind = match id {
        None => Kind::Notification,
        Some(Some(id)) => Kind::Request(id),
        Some(None) => return invalid("`id` must be a string or a number"),
    };
    let params = members.params.map(slice);
    Ok(Message { text: text.clone(), kind, method, params })
}

/// `raw` as a string; `None` for other values.
fn string(raw: &RawValue) -> Option<Box<str>> {
    let inner = raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        // The usual case, a string without escapes, needs no parser.
        Some(inner) if !inner.contains('\\') => Some(inner.into()),
        _ => serde_json::from_str::<String>(raw.get()).ok().map(Into::into),
    }
}

/// Reads a request or notification from an upstream out of its envelope.
pub(super) fn message_from_upstream(text: &Bytes, members: &Members<'_>) -> Option<Message> {
    message(text, members).ok()
}

/// Classifies a message from its beginning and its end, because the line was too long to keep.
/// `None` when they do not tell.
///
/// Clients write the id either before the long member or as the last one.
pub fn peek_oversized(head: &[u8], tail: &[u8]) -> Option<Kind> {
    #[derive(serde::Deserialize)]
    struct Start<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        method: Option<&'a RawValue>,
    }
    let (start, cut_member) = cut_before_long_member(head)?;
    let Start { id, method } = serde_json::from_str(&start).ok()?;
    let id = id.map(|raw| Bytes::copy_from_slice(raw.get().as_bytes()));
    let id = id.or_else(|| trailing_id(tail)).and_then(RequestId::from_json);
    match (method, id) {
        (Some(_), Some(id)) => Some(Kind::Request(id)),
        // The id may be in the part that was not kept; MCP's names tell what has none.
        (Some(method), None) if method.get().starts_with("\"notifications/") => {
            Some(Kind::Notification)
        }
        (None, Some(id)) if cut_member == "result" || cut_member == "error" => {
            Some(Kind::Response(id))
        }
        (_, _) => None,
    }
}

/// The members of the object at the start of `head` that are complete, as an object, and the name
/// of the member in which `head` ends.
fn cut_before_long_member(head: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start().strip_prefix('{')?;
    let (mut depth, mut in_string, mut escaped, mut end) = (1_usize, false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => end = at,
            _ => {}
        }
    }
    let rest = text[end..].trim_start_matches(',').trim_start();
    // A name that is cut off could go on as any other.
    let name = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let name = name.map_or(String::new(), |(name, _)| name.to_owned());
    Some((format!("{{{}}}", &text[..end]), name))
}

/// The id when it is the last member of the object that `tail` ends: the text before the closing
/// brace must then be `"id": <string or number>`, perhaps followed by `"jsonrpc":"2.0"`.
fn trailing_id(tail: &[u8]) -> Option<Bytes> {
    let text = String::from_utf8_lossy(tail);
    let text = text.trim_end().strip_suffix('}')?.trim_end();
    let text = match text.strip_suffix("\"2.0\"") {
        Some(rest) => rest
            .trim_end()
            .strip_suffix(':')?
            .trim_end()
            .strip_suffix("\"jsonrpc\"")?
            .trim_end()
            .strip_suffix(',')?
            .trim_end(),
        None => text,
    };
    let name = text.rfind("\"id\"")?;
    // After an escape this is inside a string.
    if text[..name].ends_with('\\') {
        return None;
    }
    let value = text[name + 4..].trim_start().strip_prefix(':')?.trim_start();
    let raw: &RawValue = serde_json::from_str(value).ok()?;
    Some(Bytes::copy_from_slice(raw.get().as_bytes()))
}

/// What `json` says, read as `T`; `None` if it does not fit.
///
/// All JSON is read from text, never from bytes: for each of the two, all of the parser is there once
/// more.
pub(crate) fn of_json<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    serde_json::from_str(str::from_utf8(json).ok()?).ok()
}

/// JSON text of `value`, which must be something that always serializes.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PARSE_ERROR;
    use super::*;

    #[test]
    fn a_request_of_ours_gets_another_id_like_any_other() {
        let request = Message::request(RequestId::number(7), "m", r#"{"a":7}"#);
        let other = request.text_with_id(&RequestId::of_ours(1));
        assert_eq!(
            &other[..],
            br#"{"jsonrpc":"2.0","id":"mcpline-1","method":"m","params":{"a":7}}"#
        );
        assert_eq!(request.params().map(|params| &params[..]), Some(&br#"{"a":7}"#[..]));
    }

    fn one(text: &str) -> Result<Message, Rejection> {
        match from_client(&Bytes::copy_from_slice(text.as_bytes()))? {
            Parsed::One(message) => Ok(message),
            Parsed::Batch(_) => panic!("a batch"),
        }
    }

    #[test]
    fn messages_are_told_apart() {
        let request = one(r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1.0}}"#).unwrap();
        assert!(matches!(request.kind(), Kind::Request(id) if id.as_json() == "\"a\""));
        assert_eq!((request.method(), &request.params().unwrap()[..]), ("m", &b"{\"x\":1.0}"[..]));
        let notification = one(r#"{"jsonrpc":"2.0","method":"n\u002fx"}"#).unwrap();
        assert!(matches!(notification.kind(), Kind::Notification));
        assert_eq!(notification.method(), "n/x");
        let response = one(r#"{"jsonrpc":"2.0","id":3,"result":null}"#).unwrap();
        assert!(matches!(response.kind(), Kind::Response(_)));
    }

    #[test]
    fn a_malformed_message_gets_the_prescribed_error() {
        let cases = [
            ("{bad", PARSE_ERROR, None),
            ("\"x", PARSE_ERROR, None),
            ("5", INVALID_REQUEST, None),
            ("null", INVALID_REQUEST, None),
            ("[]", INVALID_REQUEST, None),
            (r#"{"id":5}"#, INVALID_REQUEST, Some("5")),
            (r#"{"jsonrpc":"1.0","id":"x","method":"m"}"#, INVALID_REQUEST, Some("\"x\"")),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, INVALID_REQUEST, None),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, INVALID_REQUEST, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, INVALID_REQUEST, Some("1")),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#, INVALID_REQUEST, Some("1")),
            (r#"{"jsonrpc":"2.0","result":1}"#, INVALID_REQUEST, None),
        ];
        for (line, code, id) in cases {
            let rejection = one(line).unwrap_err();
            assert_eq!(rejection.error.code, code, "{line}");
            let seen = rejection.id.as_ref().map(|id| &id.as_json()[..]);
            assert_eq!(seen, id.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let line = r#"[{"jsonrpc":"2.0","id":1,"method":"m"}, 7, {"jsonrpc":"2.0","method":"n"}]"#;
        let Ok(Parsed::Batch(members)) = from_client(&Bytes::from_static(line.as_bytes())) else {
            panic!("no batch");
        };
        let seen: Vec<_> = members.iter().map(Result::is_ok).collect();
        assert_eq!(seen, [true, false, true]);
    }

    #[test]
    fn another_id_changes_nothing_else() {
        let message = one(r#"{"params":{"id":1},"id" : 1 ,"jsonrpc":"2.0","method":"m"}"#).unwrap();
        assert_eq!(
            message.text_with_id(&RequestId::of_ours(7)),
            r#"{"params":{"id":1},"id" : "mcpline-7" ,"jsonrpc":"2.0","method":"m"}"#
        );
    }

    #[test]
    fn what_an_oversized_message_is_shows_at_its_ends() {
        let cases = [
            (r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"a":"xx"#, r#"xx"}}"#, "request 5"),
            (r#"{"method":"m","params":{"a":"xx"#, r#"xx"},"jsonrpc":"2.0","id":4}"#, "request 4"),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":{"a"#,
                r#"xx"}, "id" : "b" }"#,
                "request \"b\"",
            ),
            (r#"{"method":"m","id":6,"params":{"id":7,"a":"xx"#, r#"","id":8}}"#, "request 6"),
            (r#"{"jsonrpc":"2.0","id":5,"result":{"a":"xx"#, r#"xx"}}"#, "response 5"),
            (r#"{"result":{"a":"xx"#, r#"xx"},"id":5,"jsonrpc":"2.0"}"#, "response 5"),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"a"#,
                r#"xx","id":8}}"#,
                "notification",
            ),
            (r#"{"jsonrpc":"2.0","method":"m","params":{"a"#, r#"xx","id":8}}"#, "?"),
            ("\u{feff}{\"method\":\"m\",\"id\":6,\"params\":[1", "2]}", "request 6"),
            (r#"{"jsonrpc":"2.0","method":"m","params":{"a"#, r#"\"id\":8}"#, "?"),
            (r#"{"params":{"a":"xx"#, r#"xx"},"method":"m","id":4}"#, "?"),
            (r#"{"jsonrpc":"2.0","id":5,"result"#, r#"s":1,"method":"m"}"#, "?"),
            (r#"["xx"#, r#"xx"]"#, "?"),
        ];
        for (head, tail, expected) in cases {
            let seen = match peek_oversized(head.as_bytes(), tail.as_bytes()) {
                Some(Kind::Request(id)) => format!("request {id}"),
                Some(Kind::Response(id)) => format!("response {id}"),
                Some(Kind::Notification) => "notification".to_owned(),
                None => "?".to_owned(),
            };
            assert_eq!(seen, expected, "{head} … {tail}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_client(&Bytes::from(line));
        }

        #[test]
        fn an_id_comes_back_as_written(id in "-?(0|[1-9][0-9]{0,20})|\"[a-zA-Zа-я ]{0,20}\"") {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
            let message = one(&line).unwrap();
            prop_assert_eq!(&message.id().unwrap().as_json()[..], id.as_bytes());
            let ours = RequestId::of_ours(1);
            let there = message.text_with_id(&ours);
            let back = one(std::str::from_utf8(&there).unwrap()).unwrap();
            prop_assert_eq!(back.text_with_id(message.id().unwrap()), line);
        }
    }
}
