//! Edits single members of JSON texts and leaves the others as they arrived.
//!
//! A repair parses one level of an object or array, changes some members, and joins the texts of all
//! members again. A text that needs no repair is not rewritten at all.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::surrogates;
use crate::jsonrpc::to_json;

/// One JSON object: its members in their order, each value as text. Of two members with one name
/// the last counts, as for most parsers.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    is_changed: bool,
}

impl<'a> Object<'a> {
    /// Parses one level of `text`; `None` when it is not an object.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of the member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut members = self.members.iter().rev();
        members.find(|(member, _)| member == name).map(|(_, value)| value.as_ref())
    }

    /// The names and texts of all members.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Whether the object has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member has a name that is not in `names`.
    pub(crate) fn holds_other_than(&self, names: &[&str]) -> bool {
        self.members.iter().any(|(name, _)| !names.contains(&name.as_ref()))
    }

    /// Whether the object has a member `name` that is not `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "null")
    }

    /// The member `name` where it is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.get(name).and_then(string)
    }

    /// Gives the member `name` a new value, at its place or at the end.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.is_changed = true;
        match self.members.iter_mut().rev().find(|(member, _)| member == name) {
            Some((_, old)) => *old = value.into(),
            None => self.members.push((name.to_owned().into(), value.into())),
        }
    }

    /// Gives the member `name` the string `value`.
    pub(crate) fn set_string(&mut self, name: &str, value: &str) {
        self.set(name, to_json(&value));
    }

    /// Removes the member `name`.
    pub(crate) fn remove(&mut self, name: &str) {
        let before = self.members.len();
        self.members.retain(|(member, _)| member != name);
        self.is_changed |= self.members.len() != before;
    }

    /// Replaces the value of the member `name` by the result of `edit`, if there is such a member and
    /// a result.
    pub(crate) fn edit(&mut self, name: &str, edit: impl FnOnce(&str) -> Option<String>) {
        if let Some(value) = self.get(name).and_then(edit) {
            self.set(name, value);
        }
    }

    /// Whether a member was changed.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The object's new text; `None` when nothing was changed.
    pub(crate) fn changed(self) -> Option<String> {
        self.is_changed.then(|| self.text())
    }

    /// The object's text.
    pub(crate) fn text(&self) -> String {
        let mut seen = HashSet::new();
        let mut members: Vec<_> =
            self.members.iter().rev().filter(|(name, _)| seen.insert(name)).collect();
        members.reverse();
        let mut text = String::from("{");
        for (name, value) in members {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&to_json(&name));
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }
}

/// The name of a member, borrowed where it is written without escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(name.into()))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(name.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut object = Object::default();
                while let Some((Name(name), value)) = map.next_entry::<_, &'de RawValue>()? {
                    object.members.push((name, value.get().into()));
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// `text` where it is a string; half of a surrogate pair, which no Rust string can hold, becomes
/// U+FFFD.
pub(crate) fn string(text: &str) -> Option<String> {
    if !text.starts_with('"') {
        return None;
    }
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&surrogates::replaced(text).unwrap_or_default()))
        .ok()
}

/// The texts of the items of an array; `None` when `text` is not an array.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// The array with each item replaced by the result of `edit`; `None` when no item changes.
pub(crate) fn edit_items(
    text: &str,
    mut edit: impl FnMut(&str) -> Option<String>,
) -> Option<String> {
    let items = items(text)?;
    let edited: Vec<_> = items.iter().map(|item| edit(item)).collect();
    if edited.iter().all(Option::is_none) {
        return None;
    }
    let texts: Vec<_> =
        items.iter().zip(&edited).map(|(old, new)| new.as_deref().unwrap_or(old)).collect();
    Some(format!("[{}]", texts.join(",")))
}

/// The members of an object, in their order; `None` when `text` is none.
pub(crate) fn members(text: &str) -> Option<Vec<(String, String)>> {
    let members = Object::read(text)?.members.into_iter();
    Some(members.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// `text` without the white space between its tokens.
pub(crate) fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|character| {
            if in_string {
                in_string = escaped || *character != '"';
                escaped = !escaped && *character == '\\';
                return true;
            }
            in_string = *character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_edited_member_is_rewritten() {
        let text = r#"{ "a" : 1.0, "é" : [ 1,2 ] , "b":null,"c": {"x" : 1e400} }"#;
        assert!(Object::read(text).unwrap().changed().is_none());
        let mut object = Object::read(text).unwrap();
        object.remove("b");
        object.edit("c", |_| None);
        object.set_string("d", "x\"y");
        assert_eq!(
            object.changed().unwrap(),
            r#"{"a":1.0,"é":[ 1,2 ],"c":{"x" : 1e400},"d":"x\"y"}"#
        );
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let mut object = Object::read(r#"{"a":1,"\u0061":2,"b":3}"#).unwrap();
        assert_eq!(object.get("a"), Some("2"));
        object.set("b", "4".to_owned());
        assert_eq!(object.changed().unwrap(), r#"{"a":2,"b":4}"#);
    }

    #[test]
    fn a_string_that_rust_cannot_hold_is_a_string() {
        assert_eq!(string(r#""a\ud83d""#).as_deref(), Some("a\u{fffd}"));
        assert_eq!(string("5"), None);
    }

    #[test]
    fn items_are_edited_one_by_one() {
        let text = "[ 1.0, 2,\n3 ]";
        assert!(edit_items(text, |_| None).is_none());
        let edited = edit_items(text, |item| (item == "2").then(|| "two".to_owned()));
        assert_eq!(edited.unwrap(), "[1.0,two,3]");
        assert!(items("{}").is_none());
    }

    #[test]
    fn white_space_goes_only_between_tokens() {
        let text = "{ \"a b\\\\\" : [ 1.0 ,\r\n \"\\\" c\" ] }";
        assert_eq!(compact(text), "{\"a b\\\\\":[1.0,\"\\\" c\"]}");
    }
}
