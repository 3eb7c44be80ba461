//! A cancelled request is the only one that gets no reply.

use crate::support::{Line, Upstream, after_handshake, call, notification};

fn cancel(id: &str) -> String {
    notification("notifications/cancelled", &format!(r#"{{"requestId":{id},"reason":"enough"}}"#))
}

#[test]
fn a_cancellation_reaches_the_upstream_while_the_call_runs() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(cancel("1"));
    let got = upstream.message("notifications/cancelled");
    assert_eq!(got.raw("params"), Some(r#"{"requestId":1,"reason":"enough"}"#));
    // The upstream answers all the same, as it may when the two cross.
    upstream.open("slow");
    line.finish_with_nothing_left();
}

#[test]
fn a_cancelled_call_that_is_answered_over_sse_gets_no_reply_either() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "ask", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(cancel("1"));
    upstream.message("notifications/cancelled");
    line.expect_nothing();
    line.finish_with_nothing_left();
}

#[test]
fn other_calls_go_on_when_one_is_cancelled() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    for id in [r#""1""#, "1", "2"] {
        line.send(call(id, "slow", r#"{"gate":"slow"}"#));
    }
    upstream.wait_at("slow", 3);
    // The number, not the text that looks like it.
    line.send(cancel("1"));
    upstream.message("notifications/cancelled");
    upstream.open("slow");
    line.recv_id(r#""1""#);
    line.recv_id("2");
    line.finish_with_nothing_left();
}

#[test]
fn a_request_that_is_cancelled_while_it_waits_is_never_sent() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(call(2, "echo", "{}"));
    line.send(call(3, "progress", "{}"));
    line.send(cancel("2"));
    // It comes after the cancellation and is not held up, so that has been read by then.
    line.send(notification("notifications/roots/list_changed", "{}"));
    upstream.message("notifications/roots/list_changed");
    upstream.open("slow");
    line.recv_id("1");
    line.recv_id("3");
    let rest = line.finish();
    assert!(rest.iter().all(|line| line.id() != "2"), "{rest:?}");
    assert_eq!(upstream.executions("echo"), 0);
    assert_eq!(upstream.executions("progress"), 1);
}

#[test]
fn a_cancelled_request_makes_room_for_the_next_one() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(call(2, "echo", "{}"));
    line.send(cancel("1"));
    assert_eq!(line.recv().id(), "2");
    line.finish_with_nothing_left();
}

#[test]
fn cancelling_what_is_unknown_or_done_is_harmless() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "echo", "{}"));
    line.recv_id("1");
    for id in ["1", "99", r#""never""#, "null", "{}"] {
        line.send(cancel(id));
    }
    line.send(notification("notifications/cancelled", "{}"));
    line.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    line.expect_nothing();
    line.finish_with_nothing_left();
}

#[test]
fn an_id_can_be_used_again_after_it_was_cancelled() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.send(cancel("1"));
    upstream.message("notifications/cancelled");
    line.send(call(1, "echo", r#"{"second":true}"#));
    let reply = line.recv();
    assert_eq!(reply.result()["structuredContent"]["second"], true);
    upstream.open("slow");
    line.finish_with_nothing_left();
}

#[test]
fn a_cancellation_of_an_id_used_again_reaches_the_second_request() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        if exchange.rpc().is_notification() {
            exchange.pass("cancellation")?;
            return exchange.accepted();
        }
        exchange.pass("for ever")?;
        exchange.close()
    }));
    let mut line = Line::ready(&upstream.url());
    let id_at_the_upstream = |nth| {
        let cancelled = upstream.nth("notifications/cancelled", nth).rpc();
        cancelled.value["params"]["requestId"].clone()
    };
    let id_of_call = |nth| upstream.nth("tools/call", nth).rpc().value["id"].clone();
    for nth in 1..=2 {
        line.send(call(7, "any", "{}"));
        upstream.wait_at("for ever", nth);
        line.send(cancel("7"));
        assert_eq!(id_at_the_upstream(nth), id_of_call(nth));
    }
    assert_ne!(id_of_call(1), id_of_call(2));
    upstream.open("cancellation");
    line.finish_with_nothing_left();
}
