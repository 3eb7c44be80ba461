//! Whatever a client writes, it is read without a panic, and every answer of ours is one line of
//! JSON with the id that the client wrote.
//!
//! A byte 0xff, which no UTF-8 text has, is left out; the first is where the line would be cut if
//! it were too long to keep.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpline::jsonrpc::{
    ErrorObject, INTERNAL_ERROR, INVALID_REQUEST, Kind, Message, PARSE_ERROR, Parsed, Rejection,
    RequestId, from_client, peek_oversized,
};
use serde::de::IgnoredAny;

/// `line` must be one line of JSON. Not read into a `Value`: that refuses deep nesting and huge
/// numbers, which a relay passes on.
fn check_line(line: &[u8]) {
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    serde_json::from_slice::<IgnoredAny>(line).unwrap();
}

/// An answer to `id` must come back with the id in the same letters.
fn check_echo(id: &RequestId) {
    let line = ErrorObject::new(INTERNAL_ERROR, "two\nlines").to_line(Some(id));
    check_line(&line);
    let Ok(Parsed::One(answer)) = from_client(&line) else { panic!("{line:?}") };
    assert!(matches!(answer.kind(), Kind::Response(seen) if seen == id), "{line:?}");
}

fn check_message(message: &Message) {
    if let Some(id) = message.id() {
        check_echo(id);
    }
    if let Some(params) = message.params() {
        serde_json::from_slice::<IgnoredAny>(params).unwrap();
    }
    let Ok(Parsed::One(again)) = from_client(message.text()) else { panic!("{message:?}") };
    assert_eq!(again.id(), message.id());
    assert_eq!(again.method(), message.method());
    assert_eq!(again.params(), message.params());
}

fn check_rejection(rejection: &Rejection) {
    assert!([PARSE_ERROR, INVALID_REQUEST].contains(&rejection.error.code));
    check_line(&rejection.error.to_line(rejection.id.as_ref()));
    // A line is not thrown back.
    assert!(rejection.error.message.len() < 1500, "{rejection:?}");
    if let Some(id) = &rejection.id {
        check_echo(id);
    }
}

/// An id that shows at the two ends of a line must be the line's, and be what the line is.
fn check_ends(line: &Bytes, cut: usize, parsed: &Result<Parsed, Rejection>) {
    for (head, tail) in [(&line[..cut], &line[cut..]), (line, line)] {
        let seen = peek_oversized(head, tail);
        if let Some(Kind::Request(id) | Kind::Response(id)) = &seen {
            check_echo(id);
        }
        let Ok(Parsed::One(message)) = parsed else { continue };
        assert!(
            match (&seen, message.kind()) {
                (Some(Kind::Request(seen)), Kind::Request(id))
                | (Some(Kind::Response(seen)), Kind::Response(id)) => seen == id,
                // The id may be in the middle, out of sight.
                (Some(Kind::Notification), Kind::Request(_) | Kind::Notification) => true,
                (None, _) => true,
                _ => false,
            },
            "{line:?} looked like {seen:?}"
        );
    }
}

fuzz_target!(|data: &[u8]| {
    let cut = data.iter().position(|byte| *byte == 0xff).unwrap_or(data.len());
    let line: Bytes = data.iter().copied().filter(|byte| *byte != 0xff).collect();
    let parsed = from_client(&line);
    match &parsed {
        Ok(Parsed::One(message)) => check_message(message),
        Ok(Parsed::Batch(members)) => {
            assert!(!members.is_empty());
            for member in members {
                match member {
                    Ok(message) => check_message(message),
                    Err(rejection) => check_rejection(rejection),
                }
            }
        }
        Err(rejection) => check_rejection(rejection),
    }
    check_ends(&line, cut, &parsed);
});
