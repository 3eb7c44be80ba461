//! Whatever a server writes into `WWW-Authenticate`, challenges come out that can be written again
//! and read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpline::http::{Challenge, parse_challenges};

fn written(challenges: &[Challenge]) -> String {
    let written: Vec<String> = challenges
        .iter()
        .map(|Challenge { scheme, token68, params }| {
            let token68 = token68.iter().map(|token| format!(" {token}"));
            let params = params.iter().map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                format!(" {name}=\"{value}\"")
            });
            let all: Vec<String> = token68.chain(params).collect();
            format!("{scheme}{}", all.join(","))
        })
        .collect();
    written.join(", ")
}

fuzz_target!(|data: &[u8]| {
    let read = parse_challenges(data);
    for challenge in &read {
        assert!(challenge.scheme.starts_with(|first: char| first.is_ascii_alphabetic()));
    }
    let again = written(&read);
    // Parameter names are taken as they come: a name may hold what only a reading from the front
    // tells from the rest.
    let is_plain =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let all_plain = read.iter().all(|challenge| {
        challenge.params.iter().all(|(name, _)| is_plain(name))
            && (challenge.params.is_empty() || challenge.token68.is_none())
    });
    if all_plain {
        assert_eq!(parse_challenges(again.as_bytes()), read);
    }
});
