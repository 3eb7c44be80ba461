//! Request ids, kept as they were written.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::of_json;

/// The largest integer that every JSON implementation can echo (2^53 − 1).
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A request id as its author wrote it: the JSON text of a string or a number.
///
/// `1`, `"1"` and `9007199254740993` go back to the client byte for byte. Equality is equality of
/// the text; [`RequestId::matches`] compares what the texts mean.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Bytes);

impl RequestId {
    /// Takes the JSON text of a string or a number; `None` for anything else (JSON-RPC 2.0
    /// section 4 allows `null`, MCP does not).
    pub(crate) fn from_json(text: Bytes) -> Option<Self> {
        matches!(text.first(), Some(b'"' | b'-' | b'0'..=b'9')).then_some(Self(text))
    }

    /// As [`RequestId::from_json`], of a value in a message.
    pub(crate) fn from_raw(value: &RawValue) -> Option<Self> {
        Self::from_json(Bytes::copy_from_slice(value.get().as_bytes()))
    }

    /// The `number`th id of ours: for our own requests, and for requests whose id cannot travel. A
    /// string, so that it cannot collide with the ids of a client that numbers its requests.
    pub(crate) fn of_ours(number: u64) -> Self {
        Self(Bytes::from(format!("\"mcpline-{number}\"")))
    }

    /// The `number`th id of ours for a `purpose` other than a request of the client's.
    pub(crate) fn of_ours_for(purpose: &str, number: u64) -> Self {
        Self(Bytes::from(format!("\"mcpline-{purpose}-{number}\"")))
    }

    /// The integer `number`, for services that take only integers, and for exchanges in which the
    /// answer needs no id to be recognised.
    pub(crate) fn number(number: u64) -> Self {
        Self(Bytes::from(number.to_string()))
    }

    /// The same id as the part of `text` that begins at `start`.
    pub(super) fn within(self, text: &Bytes, start: usize) -> Self {
        Self(text.slice(start..start + self.0.len()))
    }

    /// The id as JSON text.
    pub fn as_json(&self) -> &Bytes {
        &self.0
    }

    /// The id as a JSON value; `None` for malformed text that begins like an id.
    pub(crate) fn as_raw(&self) -> Option<&RawValue> {
        of_json(&self.0)
    }

    /// Whether every upstream echoes this id as it is written. Large integers lose digits in
    /// JavaScript, `1.0` becomes `1`, and escapes are spelled in another way.
    pub(crate) fn is_portable(&self) -> bool {
        match self.0.as_ref() {
            [b'"', inner @ .., b'"'] => !inner.contains(&b'\\') && inner.len() <= 256,
            b"-0" => false,
            // JSON knows no other way to write an integer than the usual one.
            number => std::str::from_utf8(number).is_ok_and(|text| {
                text.parse().is_ok_and(|value: i64| value.unsigned_abs() <= MAX_SAFE_INTEGER)
            }),
        }
    }

    /// Whether an upstream that answers with `other` can mean this id: some upstreams spell it in
    /// another way, some turn numbers into strings.
    pub(crate) fn is_echoed_by(&self, other: &Self) -> bool {
        let unquoted =
            |id: &Self| id.0.iter().copied().filter(|byte| *byte != b'"').collect::<Vec<_>>();
        self.matches(other) || unquoted(self) == unquoted(other)
    }

    /// Whether `other` is another spelling of the same id: `"a"` and `"\u0061"`, `1` and `1.0`.
    /// A string never matches a number.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        if self.0 == other.0 {
            return true;
        }
        match (self.0.first(), other.0.first()) {
            (Some(b'"'), Some(b'"')) => match (self.decoded(), other.decoded()) {
                (Some(one), Some(two)) => one == two,
                _ => false,
            },
            (Some(b'"'), _) | (_, Some(b'"')) => false,
            _ => self.same_number(other),
        }
    }

    fn same_number(&self, other: &Self) -> bool {
        let parse = |id: &Self| of_json::<serde_json::Number>(&id.0);
        let (Some(one), Some(two)) = (parse(self), parse(other)) else {
            return false;
        };
        // Integers are compared as integers: as floats, large neighbours are equal.
        if let (Some(one), Some(two)) = (one.as_i128(), two.as_i128()) {
            return one == two;
        }
        one.as_f64().is_some() && one.as_f64() == two.as_f64()
    }

    fn decoded(&self) -> Option<String> {
        of_json(&self.0)
    }
}

impl fmt::Display for RequestId {
    /// Strings keep their quotes, so that `1` and `"1"` differ in a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &'static str) -> RequestId {
        RequestId::from_json(Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn only_strings_and_numbers_are_ids() {
        for text in ["null", "true", "{}", "[]", ""] {
            assert!(RequestId::from_json(Bytes::from_static(text.as_bytes())).is_none(), "{text}");
        }
    }

    #[test]
    fn ids_match_by_meaning() {
        let same = [
            ("1", "1"),
            ("1", "1.0"),
            ("1", "1e0"),
            (r#""é""#, r#""\u00e9""#),
            ("9007199254740993", "9007199254740993"),
        ];
        for (one, two) in same {
            assert!(id(one).matches(&id(two)), "{one} {two}");
        }
        let different = [
            ("1", "\"1\""),
            ("1", "2"),
            ("9007199254740993", "9007199254740992"),
            ("\"a\"", "\"b\""),
        ];
        for (one, two) in different {
            assert!(!id(one).matches(&id(two)), "{one} {two}");
        }
    }

    #[test]
    fn only_what_every_peer_can_echo_is_portable() {
        for text in ["0", "1", "-5", "9007199254740991", "\"a b\"", "\"é\""] {
            assert!(id(text).is_portable(), "{text}");
        }
        for text in ["-0", "1.0", "1e2", "9007199254740993", r#""\u00e9""#, "123456789012345678901"]
        {
            assert!(!id(text).is_portable(), "{text}");
        }
    }
}
