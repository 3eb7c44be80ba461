//! The HTTP+SSE transport of 2024-11-05.

use crate::support::{
    AnswerIn, HttpSse, INITIALIZE, INITIALIZED, Line, Message, Reply, Upstream, call,
    initialize_result, request,
};

/// The handshake, a call, a question and a push, all over this upstream.
fn converses(upstream: &HttpSse, kind: &str) {
    let mut line = Line::to(&upstream.url()).args(&format!("--kind {kind}")).ready();
    line.send(call(r#""a\u0041""#, "echo", r#"{"n":1.0,"a":[ ]}"#));
    let reply = line.recv();
    assert_eq!(reply.id(), r#""a\u0041""#);
    let result = Message::parse(reply.raw_result()).unwrap();
    assert_eq!(result.raw("structuredContent"), Some(r#"{"n":1.0,"a":[ ]}"#));
    line.send(call(2, "ask", "{}"));
    let question = line.recv();
    assert_eq!(question.method(), "sampling/createMessage");
    line.send(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, question.id()));
    assert_eq!(line.recv().id(), "2");
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/news"}"#);
    assert_eq!(line.recv().method(), "notifications/news");
    line.finish_with_nothing_left();
    assert_eq!(upstream.executions("echo"), 1);
    assert_eq!(upstream.count("DELETE"), 0);
}

#[test]
fn the_endpoint_may_be_relative_or_of_the_same_origin() {
    for endpoint in [
        "/messages?session={session}",
        "messages?session={session}",
        "./messages?session={session}",
        "{origin}/messages?session={session}",
    ] {
        let upstream = Upstream::http_sse_with(endpoint, AnswerIn::Stream, 405);
        converses(&upstream, "sse");
    }
}

#[test]
fn an_endpoint_of_another_origin_is_refused() {
    let elsewhere = Upstream::serve(|exchange| exchange.status(500));
    let endpoint = elsewhere.url_of("/messages");
    let upstream = Upstream::http_sse_with(&endpoint, AnswerIn::Stream, 405);
    let mut line = Line::to(&upstream.url())
        .args("--kind sse --start-timeout 600 --header X-Token:secret")
        .spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    reply.failure(-33004);
    assert!(
        reply.error_text().contains(&elsewhere.authority()),
        "the other origin is not named: {reply}"
    );
    line.finish_with_nothing_left();
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn answers_may_come_in_the_body_of_the_post() {
    converses(&Upstream::http_sse_with("/messages?session={session}", AnswerIn::Body, 405), "sse");
}

#[test]
fn answers_that_come_twice_are_delivered_once() {
    converses(&Upstream::http_sse_with("/messages?session={session}", AnswerIn::Both, 405), "sse");
}

#[test]
fn the_older_transport_is_found_where_the_newer_is_refused() {
    for refusal in [400, 404, 405] {
        let upstream =
            Upstream::http_sse_with("/messages?session={session}", AnswerIn::Stream, refusal);
        converses(&upstream, "auto");
        let names = upstream.names();
        assert_eq!(names[..3], ["initialize", "GET", "initialize"], "{refusal}");
        let stream = upstream.nth("GET", 1);
        assert_eq!(stream.path, "/sse");
        let accepted = stream.header("accept").unwrap_or_default();
        assert!(accepted.contains("text/event-stream"), "{accepted}");
    }
}

#[test]
fn the_older_transport_is_not_probed_when_it_is_asked_for() {
    let upstream = Upstream::http_sse();
    converses(&upstream, "sse");
    assert_eq!(upstream.names()[..2], ["GET", "initialize"]);
}

#[test]
fn one_piped_request_works_without_a_handshake() {
    let upstream = Upstream::http_sse();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(request(1, "tools/list", "{}"));
    let replies = line.finish();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].result()["tools"].is_array());
}

#[test]
fn everything_at_once_and_the_end_of_stdin_is_all_answered() {
    let upstream = Upstream::http_sse();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(INITIALIZE);
    line.send(INITIALIZED);
    line.send(call(1, "echo", "{}"));
    line.send(call(2, "progress", "{}"));
    let replies = line.finish();
    let ids: Vec<&str> = replies.iter().map(Message::id).collect();
    for id in [r#""init""#, "1", "2"] {
        assert_eq!(ids.iter().filter(|given| **given == id).count(), 1, "{ids:?}");
    }
}

#[test]
fn a_fast_call_overtakes_a_slow_one() {
    let upstream = Upstream::http_sse();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(call(2, "echo", "{}"));
    assert_eq!(line.recv().id(), "2");
    upstream.open("slow");
    assert_eq!(line.recv().id(), "1");
    line.finish_with_nothing_left();
}

#[test]
fn a_stream_that_is_lost_while_idle_is_opened_again() {
    let upstream = Upstream::http_sse();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "echo", "{}"));
    line.recv_id("1");
    upstream.break_streams();
    upstream.nth("notifications/initialized", 2);
    line.recv_method("notifications/tools/list_changed");
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/news"}"#);
    line.recv_method("notifications/news");
    line.send(call(2, "echo", "{}"));
    assert!(line.recv_id("2").result().is_object());
    assert_eq!(upstream.executions("echo"), 2);
    line.finish();
}

/// The loss of the stream and the refusal of the call are seen in either order.
#[test]
fn a_call_that_is_refused_because_the_stream_is_lost_is_sent_again() {
    for _ in 0..5 {
        let upstream = Upstream::http_sse();
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "echo", "{}"));
        line.recv_id("1");
        upstream.break_streams();
        line.send(call(2, "echo", "{}"));
        assert!(line.recv_id("2").result().is_object());
        assert_eq!(upstream.executions("echo"), 2);
        line.finish();
    }
}

#[test]
fn a_call_whose_stream_is_lost_is_an_error_and_is_not_sent_again() {
    let upstream = Upstream::http_sse();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    upstream.break_streams();
    assert_eq!(line.recv_id("1").failure(-33002)["mayHaveRun"], true);
    upstream.open("slow");
    line.send(call(2, "echo", "{}"));
    assert!(line.recv_id("2").result().is_object());
    assert_eq!(upstream.executions("slow"), 1);
    line.finish();
}

#[test]
fn a_restart_between_two_calls_costs_no_error() {
    let upstream = Upstream::http_sse();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "echo", "{}"));
    line.recv_id("1");
    upstream.stop();
    upstream.break_streams();
    line.send(call(2, "echo", "{}"));
    upstream.start();
    assert!(line.recv_id("2").result().is_object());
    assert_eq!(upstream.executions("echo"), 2);
    line.finish();
}

#[test]
fn a_reply_that_nobody_waits_for_is_not_delivered() {
    let upstream = Upstream::http_sse();
    let mut line = Line::ready(&upstream.url());
    upstream.push(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#);
    upstream.push(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#);
    let marker = r#"{"jsonrpc":"2.0","method":"notifications/marker"}"#;
    upstream.push(marker);
    assert_eq!(line.recv().text, marker);
    line.finish_with_nothing_left();
}

#[test]
fn a_post_that_is_refused_is_an_error_for_that_request() {
    let upstream = Upstream::serve(|exchange| match exchange.request.method.as_str() {
        "GET" => {
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.raw("event: endpoint\ndata: /messages\n\n")?;
            life.pass("initialized")?;
            let result = initialize_result("2024-11-05");
            events.message(format!(r#"{{"jsonrpc":"2.0","id":"init","result":{result}}}"#))?;
            life.pass("for ever")?;
            events.cut()
        }
        _ => match exchange.name().as_str() {
            "tools/call" => exchange.status(500),
            _ => exchange.accepted(),
        },
    });
    let mut line = Line::to(&upstream.url_of("/sse")).args("--kind sse").spawn();
    line.send(INITIALIZE);
    upstream.nth("initialize", 1);
    upstream.open("initialized");
    assert_eq!(line.recv().id(), r#""init""#);
    line.send(INITIALIZED);
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").failure(-33003)["httpStatus"], 500);
    line.finish_with_nothing_left();
}

#[test]
fn a_stream_that_never_names_its_endpoint_does_not_hang_the_start() {
    let upstream = Upstream::serve(|exchange| {
        let life = exchange.life();
        let mut events = exchange.events()?;
        events.raw(": nothing follows\n\n")?;
        life.pass("for ever")?;
        events.cut()
    });
    let mut line = Line::to(&upstream.url()).args("--kind sse --start-timeout 0.3").spawn();
    line.send(INITIALIZE);
    assert!(line.recv().is_reply());
    line.finish_with_nothing_left();
}

#[test]
fn ids_that_differ_in_type_alone_get_their_own_answers() {
    let upstream = Upstream::http_sse();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"number","who":"number"}"#));
    upstream.wait_at("number", 1);
    line.send(call(r#""1""#, "slow", r#"{"gate":"text","who":"text"}"#));
    upstream.wait_at("text", 1);
    for (gate, id) in [("text", r#""1""#), ("number", "1")] {
        upstream.open(gate);
        let reply = line.recv();
        assert_eq!(reply.id(), id, "{reply}");
        assert_eq!(reply.result()["structuredContent"]["who"], gate, "{reply}");
    }
    line.finish_with_nothing_left();
}

/// A proxy adds to the path what the `endpoint` event does not know of.
#[test]
fn an_endpoint_that_is_not_there_is_an_error_at_once() {
    let upstream = Upstream::http_sse_with("/elsewhere?session={session}", AnswerIn::Stream, 404);
    let mut line =
        Line::to(&upstream.url()).args("--kind sse --start-timeout 600 --retry-for 600").spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    assert_eq!(reply.failure(-33003)["httpStatus"], 404);
    assert!(reply.error_text().contains("/elsewhere"), "{reply}");
    assert_eq!(upstream.count("GET"), 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_refusal_is_told_although_the_search_for_the_older_transport_finds_a_silent_stream() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" => {
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.raw(": hello\n\n")?;
            life.pass("for ever")?;
            events.cut()
        }
        _ => exchange.send(&Reply::status(400).body("text/plain", "the tenant is missing")),
    });
    let mut line = Line::to(&upstream.url()).args("--start-timeout 600 --timeout 0.5").spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    assert_eq!(reply.failure(-33003)["httpStatus"], 400);
    assert!(reply.error_text().contains("the tenant is missing"), "{reply}");
    line.finish_with_nothing_left();
}
