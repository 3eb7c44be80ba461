//! What is interrupted half-way through, in either era: streams that are cut, upstreams that restart, and
//! clients that leave.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    ASKS_FOR_ROOTS, Stream, acknowledge, answer_question, answered, modern, modern_alone,
    modern_call, said,
};
use crate::support::{
    Line, Message, Reply, Upstream, after_handshake, call, notification, request,
};

/// The message of a call that may have been carried out.
fn may_have_run(reply: &Message) {
    assert_eq!(reply.failure(-33002)["mayHaveRun"], true, "{reply}");
}

#[test]
fn a_call_of_a_modern_client_is_not_made_twice_when_its_stream_is_cut() {
    // Of a modern upstream, and of a legacy one without sessions.
    let modern_server = modern_alone(|exchange| exchange.events()?.cut());
    let legacy_server = Upstream::serve(after_handshake(|exchange| exchange.events()?.cut()));
    for (upstream, era) in [(modern_server, "modern"), (legacy_server, "legacy")] {
        let mut line = Line::to(&upstream.url()).args(&format!("--upstream-era {era}")).spawn();
        line.send(modern_call(1, "any", "{}"));
        may_have_run(&line.recv_id("1"));
        assert_eq!(upstream.count("tools/call"), 1, "{era}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn what_does_no_harm_is_asked_again_when_its_stream_is_cut() {
    let cuts = AtomicUsize::new(0);
    let upstream = modern_alone(move |exchange| match exchange.name().as_str() {
        "resources/read" if cuts.fetch_add(1, Ordering::SeqCst) == 0 => exchange.events()?.cut(),
        "resources/read" => exchange.result(r#"{"resultType":"complete","contents":[]}"#),
        _ => exchange.status(404),
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(request(1, "resources/read", r#"{"uri":"a:1"}"#));
    assert!(line.recv_id("1").result()["contents"].is_array());
    assert_eq!(upstream.count("resources/read"), 2);
    line.finish_with_nothing_left();
}

#[test]
fn a_second_round_that_is_cut_is_neither_sent_again_nor_asked_for_again() {
    let upstream = modern_alone(|exchange| match exchange.name().as_str() {
        "tools/call" if exchange.rpc().text.contains("inputResponses") => exchange.events()?.cut(),
        "tools/call" => exchange.result(ASKS_FOR_ROOTS),
        _ => exchange.status(404),
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    answer_question(&mut line, r#""result":{"roots":[]}"#);
    may_have_run(&line.recv_id("1"));
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 2);
}

#[test]
fn a_result_that_only_wants_to_be_asked_again_asks_the_client_nothing() {
    let upstream = modern_alone(|exchange| match exchange.name().as_str() {
        "tools/call" if exchange.rpc().text.contains(r#""requestState":"later""#) => {
            exchange.result(&said("done"))
        }
        "tools/call" => {
            exchange.result(r#"{"resultType":"input_required","requestState":"later"}"#)
        }
        _ => exchange.status(404),
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    assert!(line.recv().result()["content"].is_array());
    line.finish_with_nothing_left();
}

#[test]
fn a_state_that_the_server_refuses_is_told_in_its_words() {
    let upstream = modern_alone(|exchange| {
        let rpc = exchange.rpc();
        if rpc.text.contains("inputResponses") {
            let error = r#"{"code":-32602,"message":"requestState has expired"}"#;
            let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, rpc.id());
            return exchange.send(&Reply::status(400).body("application/json", body));
        }
        exchange.result(ASKS_FOR_ROOTS)
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    answer_question(&mut line, r#""result":{"roots":[]}"#);
    assert_eq!(line.recv_id("1").error_text(), "requestState has expired");
    line.finish();
    assert_eq!(upstream.count("tools/call"), 2);
}

#[test]
fn a_question_that_is_answered_twice_or_too_late_is_answered_once() {
    let upstream = modern_alone(|exchange| {
        if exchange.rpc().text.contains("inputResponses") {
            return exchange.result(&said("done"));
        }
        exchange.result(ASKS_FOR_ROOTS)
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    let question = answer_question(&mut line, r#""result":{"roots":[]}"#);
    let again = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[1]}}}}"#, question.id());
    line.send(&again);
    assert!(line.recv_id("1").result()["content"].is_array());
    line.send(again);
    line.send(call(2, "any", "{}"));
    answer_question(&mut line, r#""result":{"roots":[]}"#);
    assert!(line.recv_id("2").result()["content"].is_array());
    assert!(!upstream.nth("tools/call", 2).rpc().text.contains("[1]"));
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 4);
}

#[test]
fn a_client_that_leaves_with_a_question_open_leaves_nothing_behind() {
    let upstream = modern_alone(|exchange| exchange.result(ASKS_FOR_ROOTS));
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    line.recv_where("a question", Message::is_request);
    line.close_stdin();
    assert!(line.recv_id("1").error_code() < 0);
    line.finish();
    assert_eq!(upstream.count("tools/call"), 1);
    // A held call of a legacy upstream: the session ends, and with it the call.
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern_call(1, "ask", r#"{"method":"roots/list"}"#));
    assert_eq!(line.recv_id("1").result()["resultType"], "input_required");
    line.close_stdin();
    line.finish_with_nothing_left();
    assert_eq!(upstream.executions("ask"), 1);
    assert!(upstream.requests().iter().any(|request| request.method == "DELETE"));
}

#[test]
fn a_call_that_is_cancelled_while_it_waits_for_an_answer_is_over() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let arguments = r#"{"method":"roots/list"}"#;
    line.send(modern_call(1, "ask", arguments));
    let asked = line.recv_id("1");
    // The request that asked is answered: there is nothing to cancel, and the call still waits.
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    line.send(answered(2, "ask", arguments, &asked, r#"{"roots":[]}"#));
    assert_eq!(line.recv_id("2").result()["resultType"], "complete");
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("notifications/cancelled"), 0);
    assert_eq!(upstream.executions("ask"), 1);
}

#[test]
fn a_held_call_whose_stream_is_cut_fails_and_is_not_made_again() {
    let upstream = Upstream::http_sse();
    let mut line = Line::to(&upstream.url()).args("--kind sse").spawn();
    let arguments = r#"{"method":"roots/list"}"#;
    line.send(modern_call(1, "ask", arguments));
    let asked = line.recv_id("1");
    upstream.break_streams();
    line.send(answered(2, "ask", arguments, &asked, r#"{"roots":[]}"#));
    may_have_run(&line.recv_id("2"));
    // The state is used, whatever came of it.
    line.send(answered(3, "ask", arguments, &asked, r#"{"roots":[]}"#));
    assert_eq!(line.recv_id("3").error_code(), -32602);
    line.send(modern_call(4, "echo", "{}"));
    assert_eq!(line.recv_id("4").result()["resultType"], "complete");
    assert_eq!(upstream.executions("ask"), 1);
    line.finish_with_nothing_left();
}

#[test]
fn subscriptions_of_a_legacy_client_go_on_after_a_restart() {
    let upstream = modern_alone(|exchange| {
        if exchange.name() != "subscriptions/listen" {
            return exchange.result(&said("done"));
        }
        let life = exchange.life();
        let mut stream = Stream::acknowledge(exchange)?;
        stream.tell("notifications/resources/updated", r#""uri":"a:1","#)?;
        life.pass("never")
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(request(1, "resources/subscribe", r#"{"uri":"a:1"}"#));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.recv_method("notifications/resources/updated");
    upstream.stop();
    upstream.start();
    let updated = line.recv_method("notifications/resources/updated");
    assert_eq!(updated.raw("params"), Some(r#"{"uri":"a:1"}"#));
    line.finish();
}

#[test]
fn a_subscription_to_a_server_of_http_sse_goes_on_after_a_restart() {
    // There the stream is the session.
    let upstream = Upstream::http_sse();
    let mut line = Line::to(&upstream.url()).args("--kind sse").spawn();
    let filter = r#""notifications":{"resourceSubscriptions":["a:1"]}"#;
    line.send(modern(1, "subscriptions/listen", filter));
    line.recv_method("notifications/subscriptions/acknowledged");
    assert_eq!(upstream.count("resources/subscribe"), 1);
    upstream.stop();
    upstream.start();
    let updated = line.recv_method("notifications/resources/updated");
    assert_eq!(updated.value["params"]["uri"], "a:1");
    assert_eq!(upstream.count("resources/subscribe"), 2);
    line.close_stdin();
    assert_eq!(line.recv_id("1").result()["resultType"], "complete");
    line.finish();
}

#[test]
fn a_stream_that_says_nothing_true_harms_no_subscription() {
    let streams = AtomicUsize::new(0);
    let upstream = modern_alone(move |exchange| {
        let life = exchange.life();
        match streams.fetch_add(1, Ordering::SeqCst) {
            0 => exchange.send(&Reply::status(503).header("Retry-After", "0")),
            1 => acknowledge(exchange, |tell| {
                tell("notifications/tools/list_changed", "")?;
                life.pass("drop")
            }),
            2 => exchange.raw_and_close(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"jsonrpc\"\n\n",
            ),
            3 => exchange.send(&Reply::status(502).body("text/html", "<html>bad gateway</html>")),
            _ => acknowledge(exchange, |_| life.pass("never")),
        }
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#));
    line.recv_method("notifications/subscriptions/acknowledged");
    line.recv_method("notifications/tools/list_changed");
    upstream.open("drop");
    line.recv_method("notifications/tools/list_changed");
    line.close_stdin();
    assert_eq!(line.recv_id("1").result()["resultType"], "complete");
    line.finish_with_nothing_left();
}
