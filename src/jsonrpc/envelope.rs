//! Finds the envelope's members in a JSON text without building a tree.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON-RPC message, each as the text that stands in the message.
///
/// A member that is present with the value `null` is `Some`: for `id` and `result` the difference
/// between `null` and absent decides what the message is.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    pub(super) jsonrpc: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Option<&'a RawValue>,
    pub(super) params: Option<&'a RawValue>,
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
}

/// Why a text has no envelope.
#[derive(Debug)]
pub(super) enum NoEnvelope {
    /// The text is not JSON.
    NotJson {
        /// The reason in words.
        why: String,
        /// The text ends too early.
        breaks_off: bool,
    },
    /// The text is JSON, but not an object, or an object with the same member twice.
    NotAnObject(String),
}

/// Reads the envelope of `text`, which must be one JSON object.
pub(super) fn members(text: &str) -> Result<Members<'_>, NoEnvelope> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => match serde_json::from_str::<IgnoredAny>(text) {
            // The reader stopped at the first thing that did not fit; what follows may be broken.
            Err(error) => not_json(&error),
            Ok(_) => NoEnvelope::NotAnObject(without_position(&error)),
        },
        _ => not_json(&error),
    })
}

/// The text is not JSON, in the parser's words.
pub(super) fn not_json(error: &serde_json::Error) -> NoEnvelope {
    NoEnvelope::NotJson { why: brief(&error.to_string()), breaks_off: error.is_eof() }
}

/// Characters of a parser's complaint that are passed on: it may quote all that it has read.
const MAX_COMPLAINT: usize = 200;

pub(super) fn brief(text: &str) -> String {
    let mut brief: String = text.chars().take(MAX_COMPLAINT).collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    brief(text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]))
}

/// Removes the line breaks of `text`, which must be valid JSON: raw line breaks can only stand
/// between its tokens. Text without line breaks is returned without a copy.
pub fn one_line(text: Bytes) -> Bytes {
    let Some(first) = memchr::memchr2(b'\n', b'\r', &text) else {
        return text;
    };
    let mut line = BytesMut::with_capacity(text.len());
    line.extend_from_slice(&text[..first]);
    let mut rest = &text[first + 1..];
    while let Some(next) = memchr::memchr2(b'\n', b'\r', rest) {
        line.extend_from_slice(&rest[..next]);
        rest = &rest[next + 1..];
    }
    line.extend_from_slice(rest);
    line.freeze()
}

enum Member {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a member name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                Ok(match name {
                    "jsonrpc" => Member::Jsonrpc,
                    "id" => Member::Id,
                    "method" => Member::Method,
                    "params" => Member::Params,
                    "result" => Member::Result,
                    "error" => Member::Error,
                    _ => Member::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON-RPC message, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                while let Some(member) = map.next_key()? {
                    let (slot, name) = match member {
                        Member::Jsonrpc => (&mut members.jsonrpc, "jsonrpc"),
                        Member::Id => (&mut members.id, "id"),
                        Member::Method => (&mut members.method, "method"),
                        Member::Params => (&mut members.params, "params"),
                        Member::Result => (&mut members.result, "result"),
                        Member::Error => (&mut members.error, "error"),
                        Member::Other => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    // Parsers disagree on which of two counts, so neither does.
                    if slot.replace(map.next_value()?).is_some() {
                        return Err(A::Error::custom(format_args!(
                            "the member `{name}` stands twice"
                        )));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_member_is_present() {
        let members = members(r#"{"id":null,"x":{"id":5}}"#).unwrap();
        assert_eq!(members.id.map(RawValue::get), Some("null"));
        assert!(members.result.is_none());
    }

    #[test]
    fn escaped_member_names_count() {
        let members = members(r#"{"i\u0064": 7 }"#).unwrap();
        assert_eq!(members.id.map(RawValue::get), Some("7"));
    }

    #[test]
    fn broken_json_is_told_from_a_wrong_shape() {
        assert!(matches!(members("[1,2"), Err(NoEnvelope::NotJson { .. })));
        assert!(matches!(members("42 x"), Err(NoEnvelope::NotJson { .. })));
        assert!(matches!(members("42"), Err(NoEnvelope::NotAnObject(_))));
        assert!(matches!(members(r#"{"id":1,"id":2}"#), Err(NoEnvelope::NotAnObject(_))));
    }

    #[test]
    fn deep_nesting_causes_no_recursion() {
        let depth = 200_000;
        let text = format!(r#"{{"params":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(members(&text).is_ok());
    }

    #[test]
    fn only_line_breaks_go() {
        let text = Bytes::from_static(b"{\r\n \"a\": \"x\\ny\",\n\"b\":1\r}\n");
        assert_eq!(&one_line(text)[..], b"{ \"a\": \"x\\ny\",\"b\":1}");
        let untouched = Bytes::from_static(b"{}");
        assert_eq!(one_line(untouched.clone()).as_ptr(), untouched.as_ptr());
    }
}
