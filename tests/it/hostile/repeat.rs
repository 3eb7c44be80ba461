//! What makes a tool safe to call again: its latest listing, and nothing else.

use super::{TOOLS, is_told};
use crate::support::board::Board;
use crate::support::{Line, Upstream, after_handshake, at_once, call, request};

/// What the latest listing says of a tool counts; a tool that it leaves out is not safe any more.
#[test]
fn only_the_latest_listing_makes_a_tool_safe_to_repeat() {
    const ONCE: &str = r#"{"tools":[{"name":"read","inputSchema":{"type":"object"}}]}"#;
    let lists = Board::new(0);
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        if exchange.name() == "tools/list" {
            let first = lists.update(|lists| std::mem::replace(lists, 1) == 0);
            return exchange.result(if first { TOOLS } else { ONCE });
        }
        exchange.raw_and_close("")
    }));
    let mut line = Line::to(&upstream.url()).args("--retry-for 1").ready();
    for (id, is_safe) in [(1, false), (2, true), (3, false)] {
        let before = upstream.count("tools/call");
        line.send(call(id, "read", "{}"));
        let reply = line.recv_id(&id.to_string());
        let tried = upstream.count("tools/call") - before;
        is_told(&reply, -33002, !is_safe, tried);
        assert_eq!(tried > 1, is_safe, "{reply}");
        line.send(request(r#""l""#, "tools/list", "{}"));
        line.recv_id(r#""l""#);
    }
    line.finish_with_nothing_left();
}

/// Malformed annotations of one tool make no tool safe and change nothing for the others.
#[test]
fn odd_annotations_make_no_tool_safe_and_no_other_one_unsafe() {
    let odd = [
        "null",
        "[]",
        "5",
        r#""readOnlyHint""#,
        r#"{"readOnlyHint":null}"#,
        r#"{"readOnlyHint":"true"}"#,
        r#"{"readOnlyHint":1}"#,
        r#"{"readonlyhint":true}"#,
        r#"{"destructiveHint":false}"#,
    ];
    at_once(odd, |annotations| {
        let tools = format!(
            r#"{{"tools":[{{"name":"write","annotations":{annotations}}},
                {{"name":"read","annotations":{{"readOnlyHint":true}}}}]}}"#
        );
        let upstream = Upstream::serve(after_handshake(move |exchange| {
            if exchange.name() == "tools/list" {
                return exchange.result(&tools);
            }
            exchange.raw_and_close("")
        }));
        let mut line = Line::to(&upstream.url()).args("--retry-for 3").ready();
        line.send(request(0, "tools/list", "{}"));
        line.recv_id("0").result();
        line.send(call(1, "write", "{}"));
        is_told(&line.recv_id("1"), -33002, true, 1);
        line.send(call(2, "read", "{}"));
        let reply = line.recv_id("2");
        is_told(&reply, -33002, false, upstream.count("tools/call") - 1);
        assert!(upstream.count("tools/call") > 2, "{annotations}: not tried again");
        line.finish_with_nothing_left();
    });
}
