//! What can be read of a client's line that is not JSON.

use bytes::Bytes;

use super::message::to_json;
use super::{ErrorObject, PARSE_ERROR, Rejection, RequestId};

/// The answer to `line`, which is not JSON because of `why`: to its own id where that can be read,
/// because the client waits for it.
pub(super) fn rejection(line: &[u8], why: &str) -> Rejection {
    let text = String::from_utf8_lossy(line);
    let outline = Outline::of(text.trim_start_matches('\u{feff}').trim_start());
    let mut message = format!("Parse error: the line is not JSON: {why}");
    if outline.id.is_none() && goes_on(line) {
        message.push_str("; send each message on one line (`jq -c` makes it so)");
    }
    // Nothing answers a response or a notification.
    let is_answered = outline.has_method || !outline.has_answer;
    let is_notification = outline.is_notification && outline.id.is_none();
    Rejection {
        id: outline.id,
        error: ErrorObject::new(PARSE_ERROR, message),
        is_answered: is_answered && !is_notification,
    }
}

/// The answers to the members of `line`, a batch that is not JSON because of `why`: to each request
/// whose id can be read, because the client waits for it, and one without an id to all the others.
/// `None` if the members cannot be told apart or have no id, when the batch is answered as a whole
/// (JSON-RPC 2.0 section 6).
pub(super) fn batch(line: &[u8], why: &str) -> Option<Vec<Rejection>> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start_matches('\u{feff}').trim_start().strip_prefix('[')?;
    let members = elements(text)?;
    let mut members: Vec<_> =
        members.iter().map(|member| rejection(member.as_bytes(), why)).collect();
    let has_id = members.iter().any(|member| member.id.is_some() && member.is_answered);
    let mut is_first = true;
    members.retain(|member| {
        member.is_answered && (member.id.is_some() || std::mem::take(&mut is_first))
    });
    has_id.then_some(members)
}

/// The elements of the array whose text behind its bracket is `text`, if all brackets have their
/// counterparts.
fn elements(text: &str) -> Option<Vec<&str>> {
    let (bytes, mut elements, mut open) = (text.as_bytes(), Vec::new(), vec![b']']);
    let (mut start, mut at) = (0, 0);
    while !open.is_empty() {
        match *bytes.get(at)? {
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            close @ (b'}' | b']') if open.pop() != Some(close) => return None,
            quote @ (b'"' | b'\'') => at = string_end(bytes, at + 1, quote)?,
            _ => {}
        }
        if open.is_empty() || open.len() == 1 && bytes[at] == b',' {
            elements.push(&text[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    elements.retain(|element| !element.trim().is_empty());
    text[at..].trim().is_empty().then_some(elements)
}

/// The members of an object as far as they can be made out.
#[derive(Default)]
struct Outline {
    id: Option<RequestId>,
    has_method: bool,
    has_answer: bool,
    is_notification: bool,
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut ids = 0;
        for (name, value) in members(text) {
            match name {
                "id" => {
                    ids += 1;
                    outline.id = id(value);
                }
                "method" => {
                    outline.has_method = true;
                    let name = value.trim_start_matches(['"', '\'']);
                    outline.is_notification = name.starts_with("notifications/");
                }
                "result" | "error" => outline.has_answer = true,
                _ => {}
            }
        }
        if ids > 1 {
            outline.id = None;
        }
        outline
    }
}

/// The id that `value` begins with.
fn id(value: &str) -> Option<RequestId> {
    let json = match value.strip_prefix('\'') {
        // As Python prints it.
        Some(inner) => to_json(&inner.split_once('\'')?.0),
        None => {
            let mut values = serde_json::Deserializer::from_str(value).into_iter();
            let value: &serde_json::value::RawValue = values.next()?.ok()?;
            value.get().to_owned()
        }
    };
    // A byte that was not UTF-8.
    let is_whole = !json.contains('\u{fffd}');
    RequestId::from_json(Bytes::from(json)).filter(|_| is_whole)
}

/// The names of the members of the object that `text` begins with, each with the text from its
/// value on.
fn members(text: &str) -> Vec<(&str, &str)> {
    let mut members = Vec::new();
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            quote @ (b'"' | b'\'') => {
                let start = at + 1;
                let Some(end) = string_end(bytes, start, quote) else { break };
                at = end;
                let rest = text[end + 1..].trim_start();
                if depth == 1
                    && text.starts_with('{')
                    && let Some(value) = rest.strip_prefix(':')
                {
                    members.push((&text[start..end], value.trim_start()));
                }
            }
            _ => {}
        }
        at += 1;
    }
    members
}

/// Where the string that starts at `start` has its closing quote.
fn string_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether `line` ends where a message that is spread over several lines may.
pub(crate) fn goes_on(line: &[u8]) -> bool {
    line.trim_ascii_end().ends_with(b"{")
        || line.trim_ascii_end().ends_with(b"[")
        || line.trim_ascii_end().ends_with(b",") && open_brackets(line) > 0
}

/// How many more brackets `line` opens than it closes, outside of strings.
pub(crate) fn open_brackets(line: &[u8]) -> i64 {
    let (mut open, mut at) = (0, 0);
    while at < line.len() {
        match line[at] {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            b'"' => match string_end(line, at + 1, b'"') {
                Some(end) => at = end,
                None => break,
            },
            _ => {}
        }
        at += 1;
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_in_a_broken_batch_are_found() {
        let cases: [(&[u8], Option<&[&str]>); 12] = [
            (br#"[{"id":1,"method":"a","params":NaN},{"id":2,"method":"b"}]"#, Some(&["1", "2"])),
            (br#"[{"id":1,"method":"a, ]}"},{"id":2,"method":"b"},]"#, Some(&["1", "2"])),
            (b"[{\"id\":1,\"method\":\"\xff\"},{\"id\":2,\"method\":\"b\"}]", Some(&["1", "2"])),
            (br#"[{"id":1,"method":"a"},{"id":2,"meth"#, None),
            (br#"[{"id":1,"method":"a"},{"id":2,"method"]"#, None),
            (br#"[{"id":1,"method":"a"}"#, None),
            (br#"[{"id":1,"method":"a"},] x"#, None),
            (
                br#"[{"id":1,"method":"a"},{"id":NaN,"method":"b"},nonsense,{"id":3,"result":1}]"#,
                Some(&["1", ""]),
            ),
            (br#"[{"method":"notifications/x","params":NaN},{"id":2,"method":"b"}]"#, Some(&["2"])),
            (br#"[{"id":NaN,"method":"b"}]"#, None),
            (b"[,]", None),
            (br#"["cut"#, None),
        ];
        for (line, expected) in cases {
            let text = String::from_utf8_lossy(line);
            let found = batch(line, "x").map(|members| {
                let id = |member: &Rejection| {
                    member.id.as_ref().map(ToString::to_string).unwrap_or_default()
                };
                members.iter().map(id).collect::<Vec<_>>()
            });
            assert_eq!(
                found.as_deref(),
                expected
                    .map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>())
                    .as_deref(),
                "{text}"
            );
        }
    }

    #[test]
    fn the_id_of_a_broken_line_is_found() {
        let cases: [(&[u8], Option<&str>, bool); 12] = [
            (br#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"x":NaN}}"#, Some("7"), true),
            (
                br#"{"jsonrpc":"2.0","method":"m","params":{"id":1,"x":Infinity},"id":"a"}"#,
                Some("\"a\""),
                true,
            ),
            (b"{\"id\":8,\"method\":\"m\",\"params\":{\"x\":\"a\x01b\"}}", Some("8"), true),
            (b"{\"id\":9,\"method\":\"m\",\"params\":{\"x\":\"\xff\"}}", Some("9"), true),
            (br#"{"id":10,"method":"m","params":{},}"#, Some("10"), true),
            (br#"{"id":11,"method":"m","params":{"x":"cut o"#, Some("11"), true),
            (b"{'jsonrpc': '2.0', 'id': 12, 'method': 'm', 'params': None}", Some("12"), true),
            (br#"{"id":1,"id":2,"method":"m","params":NaN}"#, None, true),
            (b"{\"id\":\"\xff\",\"method\":\"m\"}", None, true),
            (br#"{"method":"notifications/x","params":NaN}"#, None, false),
            (br#"{"id":3,"result":NaN}"#, Some("3"), false),
            (b"hello \"id\": 5", None, true),
        ];
        for (line, id, is_answered) in cases {
            let found = rejection(line, "x");
            let text = String::from_utf8_lossy(line);
            assert_eq!(found.id.map(|id| id.to_string()).as_deref(), id, "{text}");
            assert_eq!(found.is_answered, is_answered, "{text}");
        }
    }
}
