//! Reads JSON-RPC that is not quite JSON. Services whose JSON is put together by hand write it in
//! windows-1251 or UTF-16, leave line breaks and tabs in strings as they are, and send a NUL after it.
//!
//! What is JSON in UTF-8 never comes here: only what cannot be read is rewritten, and only where the
//! service is known for it. Of any other server, broken JSON is an error that its author should see.

use bytes::Bytes;

use crate::http::decode;
use crate::jsonrpc::{FromUpstream, Unusable, from_upstream};

/// The messages in `text`, as [`from_upstream`] reads them once the text is JSON.
///
/// # Errors
/// `unusable`, if the text is not JSON-RPC, however it is read.
pub(super) fn messages(
    text: &[u8],
    content_type: Option<&str>,
    unusable: Unusable,
) -> Result<Vec<FromUpstream>, Unusable> {
    let Some(rewritten) = rewritten(text, content_type) else { return Err(unusable) };
    let messages = from_upstream(&rewritten).map_err(|_| unusable)?;
    tracing::debug!("an answer was not JSON in UTF-8, and is read all the same");
    Ok(messages)
}

/// `text` in UTF-8 and with its strings written as JSON has them; `None` if that changes nothing.
pub(super) fn rewritten(text: &[u8], content_type: Option<&str>) -> Option<Bytes> {
    let decoded = decode(text, content_type);
    let json = valid_strings(&decoded);
    (json.as_bytes() != text).then(|| json.into())
}

/// `text` with control characters in its strings escaped, without those between its tokens, and with
/// backslashes doubled that escape nothing.
fn valid_strings(text: &str) -> String {
    let mut valid = String::with_capacity(text.len() + 64);
    let mut characters = text.char_indices();
    let mut in_string = false;
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => in_string = !in_string,
            '\\' if in_string => {
                if begins_escape(&text[at + 1..]) {
                    valid.push('\\');
                    valid.extend(characters.next().map(|(_, escaped)| escaped));
                    continue;
                }
                valid.push('\\');
            }
            '\0'..' ' if in_string => {
                match character {
                    '\n' => valid.push_str("\\n"),
                    '\r' => valid.push_str("\\r"),
                    '\t' => valid.push_str("\\t"),
                    _ => valid.push_str(&format!("\\u{:04x}", u32::from(character))),
                }
                continue;
            }
            '\n' | '\r' | '\t' => {}
            '\0'..' ' => continue,
            _ => {}
        }
        valid.push(character);
    }
    valid
}

/// Whether what follows a backslash makes an escape of it (RFC 8259 section 7).
fn begins_escape(after: &str) -> bool {
    match after.as_bytes() {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        [b'u', digits @ ..] => {
            digits.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1251;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], content_type: Option<&str>) -> Result<Vec<FromUpstream>, Unusable> {
        let text = Bytes::copy_from_slice(text);
        from_upstream(&text).or_else(|unusable| messages(&text, content_type, unusable))
    }

    fn result(text: &[u8], content_type: Option<&str>) -> String {
        let mut messages = read(text, content_type).unwrap();
        let Some(FromUpstream::Response(response)) = messages.pop() else { panic!("no response") };
        String::from_utf8(response.result().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn answers_in_other_charsets_are_read() {
        let text = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"имя\":\"Ёлка и др.\"}}";
        let expected = "{\"имя\":\"Ёлка и др.\"}";
        let in_1251 = WINDOWS_1251.encode(text).0;
        let little: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<_> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [b"\xff\xfe", &little[..]].concat();
        for (body, content_type) in [
            (&in_1251[..], Some("application/json; charset=windows-1251")),
            (&in_1251, Some("application/json; charset=utf-8")),
            (&in_1251, Some("text/html; charset=iso-8859-1")),
            (&in_1251, None),
            (&little, Some("application/json; charset=utf-16le")),
            (&little, None),
            (&big, None),
            (&marked, Some("application/json; charset=utf-8")),
        ] {
            assert_eq!(result(body, content_type), expected, "{content_type:?}");
        }
        let western = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"caf\xe9\"}";
        assert_eq!(result(western, None), "\"café\"");
        let cut = [text.replace("др.\"}}", "").as_bytes(), b"\xd0\"}}"].concat();
        assert_eq!(result(&cut, None), "{\"имя\":\"Ёлка и \u{fffd}\"}");
    }

    #[test]
    fn strings_that_are_not_json_are_read() {
        let rows = [
            ("\"a\nb\tc\r\n\"", r#""a\nb\tc\r\n""#),
            ("\"\u{1}\u{1f}\"", r#""\u0001\u001f""#),
            (r#""C:\Склад\u00e9\x\u12""#, r#""C:\\Склад\u00e9\\x\\u12""#),
            ("{ \"a\" : \"\\\"\n\\\\\" }", r#"{ "a" : "\"\n\\" }"#),
        ];
        for (sent, expected) in rows {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{sent}}}");
            assert_eq!(result(text.as_bytes(), None), expected, "{sent}");
        }
        for tail in ["\0", "\0\0\r\n", "\u{1a}"] {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1]}}{tail}");
            assert_eq!(result(text.as_bytes(), None), "[1]", "{tail:?}");
        }
    }

    #[test]
    fn what_is_no_message_stays_none() {
        for text in ["", "\0", "<h1>Ошибка</h1>", "{\"a\":\"\n\"}", "{"] {
            assert!(read(text.as_bytes(), None).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_in_a_string_is_read(text in "[\\PC\u{0}-\u{1f}]{0,40}") {
            let sent = text.replace(['"', '\\'], "");
            let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"{sent}\"}}");
            let read: String = serde_json::from_str(&result(body.as_bytes(), None)).unwrap();
            prop_assert_eq!(read, sent);
        }
    }
}
