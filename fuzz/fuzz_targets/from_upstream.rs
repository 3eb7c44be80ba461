//! Whatever an upstream sends, it is read without a panic, and what reaches the client is one line
//! of JSON-RPC with the client's id and the upstream's `result` or `error`.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpline::jsonrpc::{
    FromUpstream, Kind, Parsed, RequestId, Response, Unusable, from_client, from_upstream, one_line,
};
use serde::de::IgnoredAny;

static IDS: LazyLock<Vec<RequestId>> = LazyLock::new(|| {
    ["1", "-0", "9007199254740993", "1e2", r#""""#, r#""a\"\u000a\\""#, r#""щ""#]
        .map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#))
        .map(|line| match from_client(&line.into()) {
            Ok(Parsed::One(message)) => message.id().unwrap().clone(),
            other => panic!("{other:?}"),
        })
        .to_vec()
});

/// Not read into a `Value`: that refuses deep nesting and huge numbers, which a relay passes on.
fn check_line(line: &[u8]) {
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    serde_json::from_slice::<IgnoredAny>(line).unwrap();
}

fn check_response(response: &Response, id: &RequestId) {
    let line = response.clone().into_line(id);
    let text = line.to_bytes();
    assert_eq!(line.len(), text.len());
    check_line(&text);
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(&text).unwrap();
    assert!(members.contains_key("result") != members.contains_key("error"), "{text:?}");

    let Ok(Parsed::One(message)) = from_client(&text) else { panic!("{text:?}") };
    assert!(matches!(message.kind(), Kind::Response(seen) if seen == id), "{text:?}");

    let again = from_upstream(&text).unwrap();
    let [FromUpstream::Response(again)] = &again[..] else { panic!("{text:?}") };
    let in_one_line = |part: Option<&Bytes>| part.cloned().map(one_line);
    assert_eq!(again.result().cloned(), in_one_line(response.result()));
    assert_eq!(again.error().cloned(), in_one_line(response.error()));
}

fuzz_target!(|data: &[u8]| {
    let messages = match from_upstream(&Bytes::copy_from_slice(data)) {
        Ok(messages) => messages,
        // The body is not quoted.
        Err(Unusable(why)) => return assert!(why.len() < 1500, "{why}"),
    };
    for message in messages {
        match message {
            FromUpstream::Response(response) => {
                assert!(response.result().is_some() != response.error().is_some());
                let own = response.id();
                assert!(own.is_none() || !response.has_no_id());
                for id in IDS.iter().chain(&own) {
                    check_response(&response, id);
                }
            }
            FromUpstream::Message(message) => {
                let line = one_line(message.text().clone());
                check_line(&line);
                let Ok(Parsed::One(again)) = from_client(&line) else { panic!("{line:?}") };
                assert_eq!(again.id(), message.id());
                assert_eq!(again.method(), message.method());
            }
        }
    }
});
