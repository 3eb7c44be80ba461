//! Halves of surrogate pairs in JSON text.
//!
//! Services that count in UTF-16 units cut a text in the middle of a character, and write the half
//! that is left as `\ud83d`. JSON allows that, and clients in JavaScript read it. Others refuse the
//! whole message, so each half becomes U+FFFD, which says what it is: a character that was lost.

use memchr::memmem;

/// The length of `\uXXXX`.
const ESCAPE: usize = 6;

/// `text`, which is JSON, with U+FFFD for each half of a pair; `None` where there are none.
pub(super) fn replaced(text: &str) -> Option<String> {
    // Most texts have no such escape at all, which a plain search finds out fast.
    let from =
        [b"\\ud", b"\\uD"].iter().filter_map(|escape| memmem::find(text.as_bytes(), *escape));
    let mut at = from.min()?;
    // A backslash before this one may escape it.
    at -= text.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    let mut fixed = String::new();
    let mut copied = 0;
    while let Some(next) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        at += next;
        match unit(text, at) {
            Some(0xd800..=0xdbff) if matches!(unit(text, at + ESCAPE), Some(0xdc00..=0xdfff)) => {
                at += 2 * ESCAPE;
            }
            Some(0xd800..=0xdfff) => {
                fixed.push_str(&text[copied..at]);
                fixed.push_str("\\ufffd");
                at += ESCAPE;
                copied = at;
            }
            Some(_) => at += ESCAPE,
            None => at += 2,
        }
        if at >= text.len() {
            break;
        }
    }
    if copied == 0 {
        return None;
    }
    fixed.push_str(&text[copied..]);
    Some(fixed)
}

/// The UTF-16 unit whose escape starts at `at`.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_the_replacement_character_and_pairs_stay() {
        let cases = [
            (r#""a\ud83d""#, Some(r#""a\ufffd""#)),
            (r#""\ud83d\ude00 \uDE00b""#, Some(r#""\ud83d\ude00 \ufffdb""#)),
            (r#""\uD83D\uD83D\uDE00""#, Some(r#""\ufffd\uD83D\uDE00""#)),
            (r#"{"a":"\\\ud83d","b\udc00":1}"#, Some(r#"{"a":"\\\ufffd","b\ufffd":1}"#)),
            (r#""\\ud83d \u0430 \n""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\\\\ud800 ё""#, None),
            ("\"ё\"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(replaced(text).as_deref(), expected, "{text}");
        }
    }
}
