//! JSON as the platform writes it. Clients of real services meet a byte order mark and line breaks
//! between tokens in every answer, so they are to meet them here.

use serde::Serialize;

pub(super) const MEDIA_TYPE: &str = "application/json; charset=utf-8";

/// Set to `false`, answers are compact JSON without a byte order mark.
const LIKE_THE_PLATFORM: bool = true;

pub(super) fn write(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let compact = serde_json::to_vec(value)?;
    Ok(if LIKE_THE_PLATFORM { platform_style(&compact) } else { compact })
}

/// Breaks valid JSON into lines between its tokens, without indentation. It works on the bytes
/// and not while serializing, because raw values would pass a serializer as they are.
fn platform_style(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + json.len() / 8);
    out.extend_from_slice("\u{FEFF}".as_bytes());
    let mut in_string = false;
    let mut escaped = false;
    let mut after_opening = false;
    for &byte in json {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        // An empty object or array stays on its line.
        let closing = matches!(byte, b'}' | b']');
        if after_opening != closing {
            out.extend_from_slice(b"\r\n");
        }
        out.push(byte);
        match byte {
            b',' => out.extend_from_slice(b"\r\n"),
            b':' => out.push(b' '),
            _ => {}
        }
        after_opening = matches!(byte, b'{' | b'[');
        in_string = byte == b'"';
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let written = String::from_utf8(platform_style(json.as_bytes())).unwrap();
        assert_eq!(written, format!("\u{FEFF}{}", expected.replace('\n', "\r\n")));
    }

    #[test]
    fn tokens_stand_on_lines_of_their_own() {
        check(
            r#"{ "a":[1, {"b" :null}],"c":true}"#,
            "{\n\"a\": [\n1,\n{\n\"b\": null\n}\n],\n\"c\": true\n}",
        );
    }

    #[test]
    fn strings_stay_as_they_are() {
        check(r#"["a, b: {c}", "\"[", "\\"]"#, "[\n\"a, b: {c}\",\n\"\\\"[\",\n\"\\\\\"\n]");
    }

    #[test]
    fn what_is_empty_stays_together() {
        check("{}", "{}");
        check(r#"{"a": [ ], "b": {}}"#, "{\n\"a\": [],\n\"b\": {}\n}");
    }
}
