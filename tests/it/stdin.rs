//! What may stand on a line, and what is said about a line that is no message.

use crate::support::{Line, Message, Upstream, after_handshake, call, notification, request};

/// Answers everything with an empty result.
fn agreeable() -> Upstream {
    Upstream::serve(after_handshake(|exchange| {
        if exchange.rpc().is_request() { exchange.result("{}") } else { exchange.accepted() }
    }))
}

/// Sends these bytes, which get exactly one reply; then shows that the next line works.
fn reply_to(bytes: &[u8]) -> Message {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    line.send_bytes(bytes);
    let reply = line.recv();
    line.expect_nothing();
    line.finish_with_nothing_left();
    let posted = upstream.posted();
    assert_eq!(
        posted,
        ["initialize", "notifications/initialized", "ping"],
        "the upstream got something that is not a message"
    );
    reply
}

fn refusal_of(line: &str) -> Message {
    reply_to(format!("{line}\n").as_bytes())
}

#[test]
fn a_line_may_end_in_crlf() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    line.send_bytes(format!("{}\r\n", request(1, "ping", "{}")));
    line.send_bytes(format!("{}\r\n", request(2, "ping", "{}")));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    assert_eq!(line.recv_id("2").raw_result(), "{}");
    line.finish_with_nothing_left();
}

#[test]
fn blank_lines_say_nothing() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    line.send_bytes("\n\r\n   \n\t\r\n");
    line.expect_nothing();
    line.finish_with_nothing_left();
}

#[test]
fn a_byte_order_mark_before_the_first_line_is_passed_over() {
    let upstream = agreeable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send_bytes("\u{feff}");
    assert!(line.handshake().is_reply());
    line.finish_with_nothing_left();
}

#[test]
fn two_messages_in_one_write_are_both_answered() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    let both = [request(1, "ping", "{}"), request(2, "ping", "{}"), String::new()];
    line.send_bytes(both.join("\n"));
    line.recv_id("1");
    line.recv_id("2");
    line.finish_with_nothing_left();
}

#[test]
fn a_message_in_many_writes_is_one_message() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    for byte in call(1, "echo", r#"{"имя":"Ёлка"}"#).bytes() {
        line.send_bytes([byte]);
    }
    line.send_bytes("\n");
    assert_eq!(line.recv_id("1").result()["structuredContent"]["имя"], "Ёлка");
    line.finish_with_nothing_left();
}

#[test]
fn the_last_line_needs_no_line_break() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    line.send_bytes(request(1, "ping", "{}"));
    line.close_stdin();
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.finish_with_nothing_left();
}

#[test]
fn a_batch_is_answered_by_one_array_with_an_answer_to_each_request() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    let members = [
        call(1, "echo", r#"{"n":1.0}"#),
        notification("notifications/roots/list_changed", "{}"),
        call(r#""two""#, "echo", r#"{"n":2}"#),
    ];
    line.send(format!("[{}]", members.join(",")));
    let answer = line.recv();
    let answers = answer.value.as_array().expect("an array");
    let mut ids: Vec<_> = answers.iter().map(|one| one["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, [r#""two""#, "1"], "{answer}");
    assert!(answer.text.contains(r#"{"n":1.0}"#), "{answer}");
    upstream.message("notifications/roots/list_changed");
    line.expect_nothing();
    line.finish_with_nothing_left();
}

#[test]
fn a_batch_of_notifications_is_not_answered() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    let one = notification("notifications/roots/list_changed", "{}");
    line.send(format!("[{one},{one}]"));
    upstream.nth("notifications/roots/list_changed", 2);
    line.expect_nothing();
    line.finish_with_nothing_left();
}

#[test]
fn an_empty_batch_is_an_invalid_request() {
    let reply = refusal_of("[]");
    assert_eq!(reply.error_code(), -32600);
    assert_eq!(reply.id(), "null");
}

#[test]
fn a_batch_names_each_member_that_is_no_message() {
    let reply = refusal_of("[1, {}, [], null]");
    let errors = reply.value.as_array().expect("an array");
    assert_eq!(errors.len(), 4, "{reply}");
    for error in errors {
        assert_eq!(error["error"]["code"], -32600, "{reply}");
        assert!(error["id"].is_null(), "{reply}");
    }
}

#[test]
fn a_batch_that_is_not_json_is_answered_to_each_id_in_it() {
    for (batch, expected) in [
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping","params":NaN},{"jsonrpc":"2.0","id":"b","method":"ping"}]"#,
            &["\"b\"", "1"][..],
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},oh,no,{"jsonrpc":"2.0","method":"notifications/x"}]"#,
            &["1", "null"],
        ),
    ] {
        let reply = refusal_of(batch);
        let errors = reply.value.as_array().expect("an array");
        assert!(errors.iter().all(|error| error["error"]["code"] == -32700), "{reply}");
        let mut ids: Vec<_> = errors.iter().map(|error| error["id"].to_string()).collect();
        ids.sort();
        assert_eq!(ids, expected, "{reply}");
    }
    let reply = refusal_of(r#"[{"jsonrpc":"2.0","id":NaN,"method":"ping"}]"#);
    assert_eq!((reply.error_code(), reply.id()), (-32700, "null"));
}

#[test]
fn a_bad_member_does_not_spoil_its_batch() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    line.send(format!("[5, {}]", request(7, "ping", "{}")));
    let answer = line.recv();
    let answers = answer.value.as_array().expect("an array");
    assert_eq!(answers.len(), 2, "{answer}");
    let refused = answers.iter().find(|one| one["id"].is_null()).unwrap();
    assert_eq!(refused["error"]["code"], -32600);
    let answered = answers.iter().find(|one| one["id"] == 7).unwrap();
    assert!(answered["result"].is_object());
    line.finish_with_nothing_left();
}

#[test]
fn a_line_that_is_not_json_is_a_parse_error_with_the_id_that_can_be_read() {
    for (text, id) in [
        ("hello", "null"),
        ("{", "null"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping""#, "1"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}}"#, "1"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":2,"method":"ping"}"#,
            "null",
        ),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "null"),
        ("{'jsonrpc':'2.0'}", "null"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\u{1}ng\"}", "1"),
    ] {
        let reply = refusal_of(text);
        assert_eq!(reply.error_code(), -32700, "to {text}: {reply}");
        assert_eq!(reply.id(), id, "to {text}: {reply}");
    }
}

#[test]
fn a_line_that_is_not_utf8_is_a_parse_error() {
    for (bytes, id) in [
        (b"\xff\xfe\n".as_slice(), "null"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\xcf\xf0\"}}\n", "1"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"\xed\xa0\x80\",\"method\":\"ping\"}\n", "null"),
    ] {
        let reply = reply_to(bytes);
        assert_eq!(reply.error_code(), -32700, "{reply}");
        assert!(reply.error_text().contains("send UTF-8"), "{reply}");
        assert_eq!(reply.id(), id, "{reply}");
    }
}

#[test]
fn json_that_is_no_message_is_an_invalid_request_with_its_own_id_if_it_has_one() {
    for (text, id) in [
        (r#"{"id":5}"#, "5"),
        (r#"{"jsonrpc":"2.0","id":5}"#, "5"),
        (r#"{"id":"a","method":"ping"}"#, r#""a""#),
        (r#"{"jsonrpc":"1.0","id":6,"method":"ping"}"#, "6"),
        (r#"{"jsonrpc":2.0,"id":6,"method":"ping"}"#, "6"),
        (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, "7"),
        (r#"{"jsonrpc":"2.0","id":9007199254740993,"method":null}"#, "9007199254740993"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, "null"),
        (r#"{"method":"ping"}"#, "null"),
        ("{}", "null"),
        ("5", "null"),
        ("null", "null"),
        (r#""ping""#, "null"),
    ] {
        let reply = refusal_of(text);
        assert_eq!(reply.error_code(), -32600, "to {text}: {reply}");
        assert_eq!(reply.id(), id, "to {text}: {reply}");
    }
}

#[test]
fn a_response_to_a_question_that_nobody_asked_is_not_answered() {
    let upstream = agreeable();
    let mut line = Line::ready(&upstream.url());
    line.send(r#"{"jsonrpc":"2.0","id":"never asked","result":{}}"#);
    line.send(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}"#);
    line.expect_nothing();
    line.finish_with_nothing_left();
}

/// `{"pad":"xxx…"}`, well over the limit of the tests below.
fn padding() -> String {
    format!(r#"{{"pad":"{}"}}"#, "x".repeat(300 * 1024))
}

/// Sends a line over the limit of 64 KiB and gives the error that it gets.
fn refusal_of_long(text: &str) -> Message {
    let upstream = agreeable();
    let mut line = Line::to(&upstream.url()).args("--max-message 64KiB").ready();
    line.send(text);
    let reply = line.recv();
    assert_eq!(reply.error_code(), -33009, "{reply}");
    assert!(
        ["64 KiB", "64KiB", "65536", "65,536"]
            .iter()
            .any(|limit| reply.error_text().contains(limit)),
        "the limit is not named: {reply}"
    );
    line.expect_nothing();
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 0);
    reply
}

#[test]
fn a_line_over_the_limit_is_refused_by_the_id_at_its_start() {
    let reply = refusal_of_long(&request(r#""at the start""#, "tools/call", &padding()));
    assert_eq!(reply.id(), r#""at the start""#);
}

#[test]
fn a_line_over_the_limit_is_refused_by_the_id_at_its_end() {
    let params = padding();
    let reply = refusal_of_long(&format!(
        r#"{{"jsonrpc":"2.0","method":"tools/call","params":{params},"id":77}}"#
    ));
    assert_eq!(reply.id(), "77");
}

#[test]
fn a_line_over_the_limit_without_an_id_in_sight_is_refused_with_id_null() {
    let reply = refusal_of_long(&"x".repeat(300 * 1024));
    assert_eq!(reply.id(), "null");
}

#[test]
fn an_id_inside_the_params_of_a_long_line_is_not_taken_for_its_own() {
    let pad = "x".repeat(300 * 1024);
    let params = format!(r#"{{"id":1,"pad":"{pad}","last":{{"id":2}}}}"#);
    let reply = refusal_of_long(&format!(
        r#"{{"jsonrpc":"2.0","method":"tools/call","params":{params},"id":"its own"}}"#
    ));
    assert_eq!(reply.id(), r#""its own""#);
}

/// The limit guards memory, so the line must not be held while it is being refused.
#[cfg(target_os = "linux")]
#[test]
fn a_line_over_the_limit_is_not_held_in_memory() {
    let upstream = agreeable();
    let mut line = Line::to(&upstream.url()).args("--max-message 64KiB").ready();
    let mebibyte = "x".repeat(1024 * 1024);
    for _ in 0..96 {
        line.send_bytes(&mebibyte);
    }
    line.send_bytes("\n");
    assert_eq!(line.recv().error_code(), -33009);
    let peak = line.peak_memory();
    assert!(peak < 48 * 1024, "it took {peak} kB for a line of 96 MiB");
    line.finish_with_nothing_left();
}

/// A client that writes and does not read is held up; what it wrote is answered all the same.
#[cfg(target_os = "linux")]
#[test]
fn errors_that_nobody_reads_do_not_fill_memory() {
    use std::io::{BufRead, BufReader, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    const ROUNDS: usize = 250;
    const LINES: usize = 1000;
    let upstream = agreeable();
    let mut line = Line::to(&upstream.url()).args("--log-level off").with_stdout_unread().spawn();
    let (mut stdin, stdout) = line.take_pipes();
    let written = Arc::new(AtomicUsize::new(0));
    let rounds = Arc::clone(&written);
    let writer = thread::spawn(move || {
        let bad = "x\n".repeat(LINES);
        while rounds.fetch_add(1, Ordering::SeqCst) < ROUNDS {
            stdin.write_all(bad.as_bytes()).unwrap();
        }
    });
    // Until it stands still, because it is held up or has written all.
    let (mut before, mut still) = (0, 0);
    while still < 3 {
        thread::sleep(Duration::from_millis(200));
        let now = written.load(Ordering::SeqCst);
        still = if now == before && now > 1 { still + 1 } else { 0 };
        before = now;
    }
    let peak = line.peak_memory();
    assert!(peak < 48 * 1024, "it took {peak} kB");
    let answers = BufReader::new(stdout).lines().map(Result::unwrap);
    assert_eq!(answers.filter(|line| line.contains("-32700")).count(), ROUNDS * LINES);
    writer.join().unwrap();
}

#[test]
fn eight_mebibytes_pass_in_both_directions_byte_for_byte() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    let unit = r#"{"б": 1.0,  "a":"\u0041\\ \" é"}, "#;
    let mut arguments = format!(r#"{{"list":[{}"#, unit.repeat(8 * 1024 * 1024 / unit.len()));
    arguments += "0]}";
    line.send(call(1, "echo", &arguments));
    let reply = line.recv_id("1");
    let result = Message::parse(reply.raw_result()).unwrap();
    assert!(result.raw("structuredContent") == Some(&arguments), "the payload was changed");
    line.finish_with_nothing_left();
}

#[test]
fn an_answer_over_the_limit_is_refused_to_the_upstream_that_waits_for_it() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-message 64KiB").ready();
    line.send(call(1, "ask", "{}"));
    let question = line.recv().id().to_owned();
    let result = padding();
    for answer in [
        format!(r#"{{"jsonrpc":"2.0","id":{question},"result":{result}}}"#),
        format!(r#"{{"jsonrpc":"2.0","result":{result},"id":"never asked"}}"#),
    ] {
        line.send(answer);
    }
    let reply = line.recv();
    let said = &reply.result()["structuredContent"];
    assert!(said["error"]["code"].is_i64(), "{reply}");
    line.expect_nothing();
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("response"), 1);
}

#[test]
fn a_notification_over_the_limit_is_dropped_without_a_word() {
    let upstream = agreeable();
    let mut line = Line::to(&upstream.url()).args("--max-message 64KiB").ready();
    line.send(notification("notifications/progress", &padding()));
    line.expect_nothing();
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("notifications/progress"), 0);
}
