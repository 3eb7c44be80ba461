//! Each request gets one reply with its own id, and what it carries is not touched.

use std::collections::BTreeSet;

use crate::support::{
    INITIALIZE, Line, Message, Upstream, after_handshake, call, notification, request,
};

#[test]
fn an_id_comes_back_as_it_was_written() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    for id in [
        "1",
        r#""1""#,
        "0",
        "-0",
        "-7",
        "1e2",
        "1.50",
        "9007199254740993",
        "123456789012345678901234567890",
        r#""""#,
        r#""é\u0041""#,
        r#""\"quoted\\\"""#,
        r#""\ud83d\ude00 😀""#,
        r#"" spaces ""#,
    ] {
        line.send(call(id, "echo", "{}"));
        let reply = line.recv();
        assert_eq!(reply.id(), id, "{reply}");
        assert!(reply.is_reply(), "{reply}");
    }
    line.finish_with_nothing_left();
}

#[test]
fn the_id_may_stand_anywhere_in_the_message() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(
        r#" { "params" : {"name":"echo","arguments":{"id":5}} , "method":"tools/call", "jsonrpc":"2.0" , "id" : 31 } "#,
    );
    let reply = line.recv();
    assert_eq!(reply.id(), "31", "{reply}");
    assert_eq!(reply.result()["structuredContent"]["id"], 5);
    line.finish_with_nothing_left();
}

/// Spellings that a detour through a tree would change: key order, spaces, numbers, escapes.
const PAYLOAD: &str = concat!(
    r#"{"z":1,"a":{"m":12345678901234567890,"b":1.0,"c":1e2,"d":-0,"e":0.1000},"#,
    r#" "tab\t":"\u0061a\u00e9é\/ \u2028","empty":[ ],"unknownToAnyRevision":{"x":null},"#,
    r#""repeated":"\ud83d\ude00😀","z2":[3,1,2]}"#
);

#[test]
fn params_reach_the_upstream_byte_for_byte() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        if exchange.rpc().is_request() { exchange.result("{}") } else { exchange.accepted() }
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "any/method", PAYLOAD));
    line.recv_id("1");
    line.send(notification("notifications/any", PAYLOAD));
    let got = upstream.message("any/method");
    assert_eq!(got.raw("params"), Some(PAYLOAD));
    let got = upstream.message("notifications/any");
    assert_eq!(got.raw("params"), Some(PAYLOAD));
    line.finish_with_nothing_left();
}

#[test]
fn initialize_reaches_the_upstream_byte_for_byte() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.handshake();
    let sent = Message::parse(INITIALIZE).unwrap();
    let got = upstream.message("initialize");
    assert_eq!(got.raw("params"), sent.raw("params"));
    line.finish_with_nothing_left();
}

#[test]
fn results_and_errors_reach_the_client_byte_for_byte() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let id = exchange.rpc().id().to_owned();
        if exchange.rpc().method() == "fail" {
            return exchange.json(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"data":{PAYLOAD},"code":-32042,"message":"с\u043ern"}}}}"#
            ));
        }
        exchange.json(format!(r#"{{"result":{PAYLOAD},"id":{id},"jsonrpc":"2.0"}}"#))
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "work", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), PAYLOAD);
    line.send(request(2, "fail", "{}"));
    let expected = format!(r#"{{"data":{PAYLOAD},"code":-32042,"message":"с\u043ern"}}"#);
    assert_eq!(line.recv_id("2").raw("error"), Some(expected.as_str()));
    line.finish_with_nothing_left();
}

#[test]
fn line_and_paragraph_separators_of_unicode_do_not_break_a_line() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    let arguments = "{\"text\":\"a\u{2028}b\u{2029}c\u{85}d\"}";
    line.send(call(1, "echo", arguments));
    let result = line.recv_id("1");
    let result = Message::parse(result.raw_result()).unwrap();
    assert_eq!(result.raw("structuredContent"), Some(arguments));
    line.finish_with_nothing_left();
}

/// What a 1C service answers: a byte order mark and indented JSON, with one line break or another.
#[test]
fn an_indented_answer_with_a_byte_order_mark_becomes_one_line() {
    for line_break in ["\n", "\r\n", "\r"] {
        let upstream = Upstream::serve(after_handshake(move |exchange| {
            let id = exchange.rpc().id().to_owned();
            let lines = [
                "\u{feff}{",
                r#"  "jsonrpc": "2.0","#,
                &format!(r#"  "id": {id},"#),
                r#"  "result": {"#,
                r#"    "сумма": 12345678901234567890,"#,
                r#"    "text": "a\nb \\n","#,
                r#"    "list": [ 1.0, 2 ]"#,
                "  }",
                "}",
                "",
            ];
            exchange.json(lines.join(line_break))
        }));
        let mut line = Line::ready(&upstream.url());
        line.send(request(1, "work", "{}"));
        let reply = line.recv_id("1");
        assert!(reply.text.contains("12345678901234567890"), "{reply}");
        assert!(reply.text.contains("[ 1.0, 2 ]"), "{reply}");
        assert_eq!(reply.result()["text"], "a\nb \\n");
        line.finish_with_nothing_left();
    }
}

#[test]
fn two_requests_with_one_id_in_flight_both_get_an_answer() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"first"}"#));
    line.send(call(1, "slow", r#"{"gate":"second"}"#));
    upstream.wait_at("first", 1);
    upstream.wait_at("second", 1);
    upstream.open("second");
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["structuredContent"]["gate"], "second");
    upstream.open("first");
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["structuredContent"]["gate"], "first");
    line.finish_with_nothing_left();
}

#[test]
fn two_hundred_calls_at_once_are_each_answered_once_with_their_own_result() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 64").ready();
    let calls: Vec<String> =
        (0..200).map(|n| call(n, "echo", &format!(r#"{{"n":{n}}}"#)) + "\n").collect();
    line.send_bytes(calls.concat());
    let mut open: BTreeSet<String> = (0..200).map(|n: u32| n.to_string()).collect();
    while !open.is_empty() {
        let reply = line.recv();
        assert!(open.remove(reply.id()), "unexpected: {reply}");
        let n = &reply.result()["structuredContent"]["n"];
        assert_eq!(n.to_string(), reply.id(), "another's result: {reply}");
    }
    assert_eq!(upstream.executions("echo"), 200);
    line.finish_with_nothing_left();
}

#[test]
fn a_fast_call_overtakes_a_slow_one() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call("1", "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(call("2", "echo", "{}"));
    assert_eq!(line.recv().id(), "2");
    upstream.open("slow");
    assert_eq!(line.recv().id(), "1");
    line.finish_with_nothing_left();
}

#[test]
fn as_many_calls_as_are_allowed_run_at_once_and_the_next_one_waits() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 64").ready();
    for n in 0..64 {
        line.send(call(n, "slow", r#"{"gate":"slow"}"#));
    }
    upstream.wait_at("slow", 64);
    line.send(call(64, "echo", "{}"));
    // Two notifications after it, one after the other: by the time the second has arrived, the
    // call before them would have as well.
    line.send(notification("notifications/first", "{}"));
    upstream.nth("notifications/first", 1);
    line.send(notification("notifications/second", "{}"));
    upstream.nth("notifications/second", 1);
    assert_eq!(upstream.executions("echo"), 0, "one too many at once");
    upstream.open("slow");
    for n in 0..=64 {
        line.recv_id(&n.to_string());
    }
    line.finish_with_nothing_left();
}

#[test]
fn notifications_and_cancellations_pass_requests_that_wait() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(call(2, "echo", "{}"));
    line.send(notification("notifications/roots/list_changed", "{}"));
    upstream.message("notifications/roots/list_changed");
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    upstream.message("notifications/cancelled");
    upstream.open("slow");
    assert_eq!(line.recv().id(), "2");
    line.finish_with_nothing_left();
}

#[test]
fn requests_that_wait_are_sent_in_their_order() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    line.send(call(0, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    for n in 1..=20 {
        line.send(call(n, "echo", "{}"));
    }
    upstream.open("slow");
    for n in 0..=20 {
        assert_eq!(line.recv().id(), n.to_string());
    }
    let calls = upstream.requests().into_iter();
    let calls = calls.filter(|request| request.name() == "tools/call");
    let order: Vec<String> = calls.map(|request| request.rpc().id().to_owned()).collect();
    let expected: Vec<String> = (0..=20).map(|n: u32| n.to_string()).collect();
    assert_eq!(order, expected);
    line.finish_with_nothing_left();
}

#[test]
fn an_upstream_that_answers_twice_is_heard_once() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let first = exchange.result_text(r#"{"n":1}"#);
        let second = exchange.result_text(r#"{"n":2}"#);
        let mut events = exchange.events()?;
        events.message(first)?;
        events.message(second)?;
        events.end()
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv().raw_result(), r#"{"n":1}"#);
    line.expect_nothing();
    line.finish_with_nothing_left();
}

#[test]
fn ten_thousand_calls_at_once_are_each_answered_once_byte_for_byte() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    let arguments =
        |n: u32| format!(r#"{{"z":{n},"a":1.0,"big":12345678901234567890{n},"é":"\u00e9"}}"#);
    for n in 0..10_000 {
        line.send(call(n, "echo", &arguments(n)));
    }
    let mut seen = vec![false; 10_000];
    for _ in 0..10_000 {
        let reply = line.recv();
        let n: u32 = reply.id().parse().unwrap();
        assert!(!std::mem::replace(&mut seen[n as usize], true), "{n} was answered twice");
        assert!(reply.raw_result().contains(&arguments(n)), "{reply}");
    }
    assert_eq!(upstream.executions("echo"), 10_000);
    line.finish_with_nothing_left();
}

#[test]
fn more_requests_than_can_wait_are_refused_at_once_and_the_others_are_answered() {
    const MAX_WAITING: u32 = 16 * 1024;
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    line.send(call(0, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    for n in 1..=MAX_WAITING + 2 {
        line.send(request(n, "tools/list", "{}"));
    }
    for n in [MAX_WAITING + 1, MAX_WAITING + 2] {
        let reply = line.recv();
        assert_eq!(reply.id(), n.to_string());
        assert_eq!(reply.error()["code"], -33007, "{reply}");
        assert_eq!(reply.error()["data"]["source"], "mcpline", "{reply}");
    }
    upstream.open("slow");
    for n in 0..=MAX_WAITING {
        assert_eq!(line.recv().id(), n.to_string());
    }
    line.finish_with_nothing_left();
}
