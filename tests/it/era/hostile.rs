//! What goes wrong on the way, in either era.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{
    ASKS_FOR_ROOTS, DISCOVERED, SUBSCRIPTION_ID, Stream, acknowledge, answer_question, answered,
    modern, modern_alone, modern_call, said, with_sessions,
};
use crate::support::{Line, Message, Reply, Upstream, after_handshake, call, notification};

const LISTEN: &str = r#""notifications":{"toolsListChanged":true}"#;

fn is_change(message: &Message) -> bool {
    message.method() == "notifications/tools/list_changed"
}

fn is_acknowledgement(message: &Message) -> bool {
    message.method() == "notifications/subscriptions/acknowledged"
}

#[test]
fn a_modern_subscription_goes_on_after_a_restart() {
    let upstream = modern_alone(|exchange| {
        let life = exchange.life();
        acknowledge(exchange, |tell| {
            tell("notifications/tools/list_changed", "")?;
            life.pass("never")
        })
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "subscriptions/listen", LISTEN));
    line.recv_where("the acknowledgement", is_acknowledgement);
    line.recv_where("a change", is_change);
    upstream.stop();
    upstream.start();
    let change = line.recv_where("news after the restart", is_change);
    assert_eq!(change.value["params"]["_meta"][SUBSCRIPTION_ID], 1);
    line.close_stdin();
    assert!(!line.finish().iter().any(is_acknowledgement));
}

#[test]
fn a_translated_subscription_goes_on_after_a_restart() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "subscriptions/listen", LISTEN));
    line.recv_where("the acknowledgement", is_acknowledgement);
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    line.recv_where("a change", is_change);
    upstream.stop();
    upstream.forget_sessions();
    upstream.start();
    // Nobody asks anything: the loss is noticed by the stream alone.
    let change = line.recv_where("news after the restart", is_change);
    assert_eq!(change.value["params"]["_meta"][SUBSCRIPTION_ID], 1);
    line.close_stdin();
    assert!(!line.finish().iter().any(is_acknowledgement));
}

#[test]
fn a_legacy_client_hears_of_changes_after_the_one_stream_was_gone() {
    for ends_in_good_order in [false, true] {
        let streams = AtomicUsize::new(0);
        let upstream = modern_alone(move |exchange| {
            let life = exchange.life();
            let is_first = streams.fetch_add(1, Ordering::SeqCst) == 0;
            let mut stream = Stream::acknowledge(exchange)?;
            if !is_first {
                // Nothing but what is told of the gap.
                return life.pass("never");
            }
            stream.tell("notifications/tools/list_changed", "")?;
            life.pass("drop")?;
            if ends_in_good_order { stream.complete() } else { Ok(()) }
        });
        let mut line = Line::to(&upstream.url()).ready();
        line.recv_where("a change", is_change);
        upstream.open("drop");
        let change = line.recv_where("news of the gap", is_change);
        assert!(!change.text.contains(SUBSCRIPTION_ID), "{change}");
        assert_eq!(upstream.count("subscriptions/listen"), 2);
        line.finish();
    }
}

#[test]
fn a_translated_call_whose_stream_is_cut_is_not_made_twice() {
    let upstream = modern_alone(|exchange| match exchange.name().as_str() {
        "tools/call" => exchange.events()?.cut(),
        "subscriptions/listen" => exchange.status(404),
        _ => exchange.result(&said("done")),
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.failure(-33002)["mayHaveRun"], true);
    assert_eq!(upstream.count("tools/call"), 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_person_is_not_asked_again_because_the_second_round_was_refused() {
    let refusals = AtomicUsize::new(0);
    let upstream = modern_alone(move |exchange| {
        if exchange.name() != "tools/call" {
            return exchange.status(404);
        }
        if !exchange.rpc().text.contains("inputResponses") {
            return exchange.result(ASKS_FOR_ROOTS);
        }
        if refusals.fetch_add(1, Ordering::SeqCst) == 0 {
            return exchange.send(&Reply::status(503).header("Retry-After", "0"));
        }
        exchange.result(&said("done"))
    });
    let mut line = Line::to(&upstream.url()).ready();
    line.send(call(1, "any", "{}"));
    answer_question(&mut line, r#""result":{"roots":[]}"#);
    assert!(line.recv_id("1").result()["content"].is_array());
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 3);
}

#[test]
fn a_call_that_is_lost_while_the_client_is_asked_fails_and_is_not_made_again() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let arguments = r#"{"method":"roots/list"}"#;
    line.send(modern_call(1, "ask", arguments));
    let asked = line.recv_id("1");
    upstream.stop();
    upstream.forget_sessions();
    upstream.start();
    line.send(answered(2, "ask", arguments, &asked, r#"{"roots":[]}"#));
    assert!(line.recv_id("2").error_code() < 0);
    assert_eq!(upstream.executions("ask"), 1);
    line.send(modern_call(3, "echo", "{}"));
    assert_eq!(line.recv_id("3").result()["resultType"], "complete");
    line.finish();
}

#[test]
fn a_step_back_behind_the_same_url_is_noticed_as_well() {
    let is_old = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_old);
    let upstream = Upstream::serve(move |exchange| {
        let name = exchange.name();
        if !is_old.load(Ordering::SeqCst) {
            return match name.as_str() {
                "server/discover" => exchange.result(DISCOVERED),
                _ => exchange.result(&said("modern")),
            };
        }
        with_sessions(exchange, r#"{"content":[]}"#)
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "server/discover", ""));
    line.recv_id("1");
    line.send(modern_call(2, "any", "{}"));
    line.recv_id("2");
    switch.store(true, Ordering::SeqCst);
    for id in 3..5 {
        line.send(modern_call(id, "any", "{}"));
        let reply = line.recv_id(&id.to_string());
        assert_eq!(reply.raw_result(), r#"{"content":[],"resultType":"complete"}"#);
    }
    assert_eq!(upstream.count("initialize"), 1);
    line.finish();
}

#[test]
fn a_server_of_both_eras_gets_the_clients_own() {
    let legacy = after_handshake(|exchange| exchange.result(r#"{"content":[]}"#));
    let serve = Arc::new(move |exchange: &mut crate::support::Exchange<'_>| {
        if exchange.request.header("mcp-protocol-version") != Some("2026-07-28") {
            return legacy(exchange);
        }
        match exchange.name().as_str() {
            "server/discover" => exchange.result(DISCOVERED),
            _ => exchange.result(&said("modern")),
        }
    });
    let own = Arc::clone(&serve);
    let upstream = Upstream::serve(move |exchange| own(exchange));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"content":[]}"#);
    line.finish();
    assert_eq!(upstream.count("server/discover"), 0);
    let upstream = Upstream::serve(move |exchange| serve(exchange));
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern_call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), said("modern"));
    line.finish();
    assert_eq!(upstream.posted(), ["tools/call"]);
}

#[test]
fn fifty_questions_at_once_find_their_calls() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    let arguments = |n: usize| format!(r#"{{"method":"elicitation/create","n":{n}}}"#);
    for n in 0..50 {
        line.send(modern_call(n, "ask", &arguments(n)));
    }
    for _ in 0..50 {
        let asked = line.recv_where("a question", Message::is_reply);
        let n: usize = asked.id().parse().unwrap();
        let answer = format!(r#"{{"action":"accept","content":{{"n":{n}}}}}"#);
        line.send(answered(1000 + n as u64, "ask", &arguments(n), &asked, &answer));
        let reply = line.recv_id(&(1000 + n).to_string());
        let answered = &reply.result()["structuredContent"]["result"]["content"]["n"];
        assert_eq!(answered, n, "{reply}");
    }
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    line.finish_with_nothing_left();
    assert_eq!(upstream.executions("ask"), 50);
}

#[test]
fn a_step_back_is_noticed_by_a_legacy_client_as_well() {
    let is_old = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_old);
    let upstream = Upstream::serve(move |exchange| {
        let name = exchange.name();
        if !is_old.load(Ordering::SeqCst) {
            return match name.as_str() {
                "initialize" => super::refuse_legacy(exchange),
                "server/discover" => exchange.result(DISCOVERED),
                "subscriptions/listen" => exchange.status(404),
                _ => exchange.result(&said("modern")),
            };
        }
        with_sessions(exchange, r#"{"content":[],"old":true}"#)
    });
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    line.recv_id("1");
    switch.store(true, Ordering::SeqCst);
    for id in 2..4 {
        line.send(call(id, "any", "{}"));
        assert_eq!(line.recv_id(&id.to_string()).result()["old"], true);
    }
    assert_eq!(upstream.count("initialize"), 2);
    line.finish();
}

#[test]
fn a_subscription_that_is_cancelled_is_nothing_that_a_legacy_upstream_knows() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "subscriptions/listen", LISTEN));
    line.recv_where("the acknowledgement", is_acknowledgement);
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    line.send(modern_call(2, "echo", "{}"));
    line.recv_id("2");
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("notifications/cancelled"), 0);
}

#[test]
fn a_subscription_that_the_server_ends_is_over() {
    let upstream = modern_alone(|exchange| {
        acknowledge(exchange, |tell| tell("notifications/cancelled", r#""requestId":1,"#))
    });
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(modern(1, "subscriptions/listen", LISTEN));
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["_meta"][SUBSCRIPTION_ID], 1);
    line.finish();
    assert_eq!(upstream.count("subscriptions/listen"), 1);
}
