//! A session that the upstream forgets costs the client time and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    Line, Message, Reply, Request, Streamable, Upstream, call, handshake, notification, request,
};

/// How the servers of this world say that they do not know a session.
fn ways_to_lose_a_session() -> Vec<Reply> {
    let error = |message: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":-32000,"message":"{message}"}}}}"#)
    };
    vec![
        Reply::status(404),
        Reply::status(404).body("application/json", error("Session not found")),
        Reply::status(404).body("text/html", "<html><h1>Not Found</h1></html>"),
        Reply::status(400)
            .body("application/json", error("Bad Request: No valid session ID provided")),
        Reply::status(400).body("application/json", error("Invalid session ID")),
        Reply::status(400).body("text/plain", "Unknown or expired Mcp-Session-Id"),
        Reply::status(410),
        Reply::status(410).body("text/plain", "Gone"),
    ]
}

#[test]
fn a_lost_session_is_replaced_and_the_call_carried_out_once() {
    for reply in ways_to_lose_a_session() {
        let upstream = Upstream::streamable();
        upstream.answer_lost_sessions_with(reply.clone());
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "echo", "{}"));
        line.recv_id("1");
        upstream.forget_sessions();
        line.send(call(2, "echo", r#"{"after":1.0}"#));
        let answered = line.recv_id("2");
        assert_eq!(answered.result()["structuredContent"]["after"], 1.0, "{reply:?}");
        assert_eq!(upstream.executions("echo"), 2, "{reply:?}");
        assert_eq!(upstream.count("initialize"), 2, "{reply:?}");
        line.finish();
    }
}

/// What the TypeScript SDK says after a restart.
#[test]
fn a_server_that_says_it_is_not_initialized_has_lost_the_session() {
    let upstream = Upstream::streamable();
    upstream.answer_lost_sessions_with(Reply::status(400).body(
        "application/json",
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#,
    ));
    let mut line = Line::ready(&upstream.url());
    upstream.forget_sessions();
    line.send(call(1, "echo", "{}"));
    assert!(line.recv_id("1").result().is_object());
    assert_eq!(upstream.executions("echo"), 1);
    line.finish();
}

#[test]
fn an_error_that_answers_the_very_request_loses_no_session() {
    for (status, error) in [
        (400, r#"{"code":-32602,"message":"Unknown customer"}"#),
        (400, r#"{"code":-32603,"message":"Order 7 created, but the till's session is closed"}"#),
        (404, r#"{"code":-32002,"message":"Resource not found"}"#),
        (410, r#"{"code":-32002,"message":"Order 7 is no more"}"#),
    ] {
        let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
            "GET" => exchange.status(405),
            "DELETE" => exchange.status(204),
            "tools/call" => {
                let id = exchange.rpc().id().to_owned();
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
                exchange.send(&Reply::status(status).body("application/json", body))
            }
            _ => handshake(exchange, Some("s")),
        });
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "any", "{}"));
        assert_eq!(line.recv().raw("error"), Some(error));
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("initialize"), 1, "{error}");
        assert_eq!(upstream.count("tools/call"), 1, "{error}");
    }
}

/// A line whose client has set a log level and a subscription.
fn with_settings(upstream: &Streamable) -> Line {
    let mut line = Line::ready(&upstream.url());
    for (id, method, params) in [
        (1, "logging/setLevel", r#"{"level":"error"}"#),
        (2, "logging/setLevel", r#"{"level":"debug"}"#),
        (3, "resources/subscribe", r#"{"uri":"kept://1"}"#),
        (4, "resources/subscribe", r#"{"uri":"given://up"}"#),
        (5, "resources/unsubscribe", r#"{"uri":"given://up"}"#),
    ] {
        line.send(request(id, method, params));
        line.recv_id(&id.to_string());
    }
    line
}

#[test]
fn twenty_calls_that_lose_their_session_together_begin_one_new_one() {
    let upstream = Upstream::streamable();
    let mut line = with_settings(&upstream);
    upstream.forget_sessions();
    for id in 100..120 {
        line.send(call(id, "echo", "{}"));
    }
    for id in 100..120 {
        let reply = line.recv_id(&id.to_string());
        assert!(reply.result().is_object(), "{reply}");
    }
    assert_eq!(upstream.executions("echo"), 20);
    assert_eq!(upstream.count("initialize"), 2);
    let rest = line.finish();
    // Nobody gets the answers to replayed requests.
    assert!(rest.iter().all(Message::is_notification), "{rest:?}");
}

#[test]
fn a_new_session_gets_the_settings_of_the_old_one_before_any_call() {
    let upstream = Upstream::streamable();
    let mut line = with_settings(&upstream);
    upstream.forget_sessions();
    line.send(call(9, "echo", "{}"));
    line.recv_id("9");
    let (level, subscriptions) = upstream.session_settings();
    assert_eq!(level.as_deref(), Some("debug"));
    assert_eq!(subscriptions, ["kept://1"]);
    let requests = upstream.requests();
    let renewed: Vec<String> = requests
        .iter()
        .filter(|request| request.header("mcp-session-id") == Some("session-2"))
        .filter(|request| request.method == "POST")
        .map(Request::name)
        .collect();
    assert_eq!(renewed.first().unwrap(), "notifications/initialized");
    assert_eq!(renewed.last().unwrap(), "tools/call");
    let again = upstream.nth("initialize", 2).rpc();
    let first = upstream.nth("initialize", 1).rpc();
    assert_eq!(again.raw("params"), first.raw("params"));
    line.finish();
}

#[test]
fn the_client_is_told_what_may_have_changed_with_the_session() {
    let upstream = Upstream::streamable();
    let mut line = with_settings(&upstream);
    upstream.forget_sessions();
    line.send(call(9, "echo", "{}"));
    line.recv_id("9");
    for what in ["tools", "resources", "prompts"] {
        line.recv_method(&format!("notifications/{what}/list_changed"));
    }
    let updated = line.recv_method("notifications/resources/updated");
    assert_eq!(updated.value["params"]["uri"], "kept://1");
    line.finish();
}

/// Refuses everything in its first session and gives these capabilities.
fn forgets_its_first_session(capabilities: &'static str) -> Upstream {
    let born = AtomicUsize::new(0);
    Upstream::serve(move |exchange| {
        let session = exchange.request.header("mcp-session-id");
        let first = session == Some("s1");
        match exchange.name().as_str() {
            "initialize" => {
                let number = born.fetch_add(1, Ordering::SeqCst) + 1;
                let text = exchange.result_text(&format!(
                    r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"serverInfo":{{"name":"x","version":"1"}}}}"#
                ));
                let reply = Reply::json(text);
                exchange.send(&reply.header("Mcp-Session-Id", format!("s{number}")))
            }
            "notifications/initialized" => exchange.accepted(),
            "GET" => exchange.status(405),
            "DELETE" => exchange.status(204),
            _ if first => exchange.status(404),
            _ => exchange.result("{}"),
        }
    })
}

#[test]
fn the_client_is_told_of_no_change_that_it_was_not_promised_to_hear_of() {
    let upstream = forgets_its_first_session(r#"{"tools":{},"prompts":{"listChanged":false}}"#);
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("initialize"), 2);
}

#[test]
fn the_listening_stream_moves_to_the_new_session() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    upstream.forget_sessions();
    line.send(call(1, "echo", "{}"));
    line.recv_id("1");
    let again = upstream.in_session("GET", "session-2");
    assert_eq!(again.header("last-event-id"), None);
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/news"}"#);
    line.recv_method("notifications/news");
    line.finish();
}

#[test]
fn a_session_that_is_lost_while_idle_is_replaced_for_the_listening_stream() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    upstream.forget_sessions();
    upstream.in_session("GET", "session-2");
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/news"}"#);
    line.recv_method("notifications/news");
    assert_eq!(upstream.count("initialize"), 2);
    line.finish();
}

#[test]
fn a_restart_between_two_calls_costs_no_error() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "echo", "{}"));
    line.recv_id("1");
    upstream.stop();
    upstream.forget_sessions();
    for id in 2..=5 {
        line.send(call(id, "echo", "{}"));
    }
    upstream.start();
    for id in 2..=5 {
        let reply = line.recv_id(&id.to_string());
        assert!(reply.result().is_object(), "{reply}");
    }
    assert_eq!(upstream.executions("echo"), 5);
    assert_eq!(upstream.count("initialize"), 2);
    line.finish();
}

#[test]
fn a_restart_during_a_call_is_told_and_the_next_call_works() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    upstream.stop();
    upstream.forget_sessions();
    let reply = line.recv_id("1");
    assert_eq!(reply.failure(-33002)["mayHaveRun"], true);
    upstream.start();
    line.send(call(2, "echo", "{}"));
    assert!(line.recv_id("2").result().is_object());
    assert_eq!(upstream.executions("slow"), 1);
    line.finish();
}

#[test]
fn a_server_that_knows_no_session_at_all_is_not_asked_for_ever() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "initialize" | "notifications/initialized" => handshake(exchange, Some("s")),
        "GET" => exchange.status(405),
        _ => exchange.status(404),
    });
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    let data = line.recv_id("1").failure(-33003).clone();
    assert_eq!(data["httpStatus"], 404);
    let tries = upstream.count("initialize");
    assert!((2..=4).contains(&tries), "{tries} sessions for one call");
    line.finish();
}

#[test]
fn a_session_that_cannot_be_replaced_is_an_error_for_each_call() {
    let born = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| {
        let session = exchange.request.header("mcp-session-id");
        let refused = session == Some("first");
        match exchange.name().as_str() {
            "initialize" => match born.fetch_add(1, Ordering::SeqCst) {
                0 => handshake(exchange, Some("first")),
                _ => exchange.send(&Reply::status(401).body("text/plain", "Token expired")),
            },
            "notifications/initialized" => exchange.accepted(),
            "GET" => exchange.status(405),
            _ if refused => exchange.status(404),
            _ => exchange.status(401),
        }
    });
    let mut line = Line::ready(&upstream.url());
    for id in 1..=5 {
        line.send(call(id, "any", "{}"));
    }
    for id in 1..=5 {
        line.recv_id(&id.to_string()).failure(-33005);
    }
    line.finish_with_nothing_left();
}

#[test]
fn the_session_is_ended_at_the_end() {
    let upstream = Upstream::streamable();
    let line = Line::ready(&upstream.url());
    line.finish_with_nothing_left();
    let delete = upstream.nth("DELETE", 1);
    assert_eq!(delete.header("mcp-session-id"), Some("session-1"));
    assert_eq!(upstream.count("DELETE"), 1);
}

#[test]
fn a_server_that_does_not_let_sessions_be_ended_is_no_trouble() {
    for status in [404, 405, 500] {
        let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
            "DELETE" => exchange.status(status),
            "GET" => exchange.status(405),
            _ => handshake(exchange, Some("s")),
        });
        let line = Line::ready(&upstream.url());
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("DELETE"), 1);
    }
}

#[test]
fn a_session_is_never_begun_twice_for_two_first_calls() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    for id in 1..=10 {
        line.send(call(id, "echo", "{}"));
    }
    assert_eq!(line.finish().len(), 10);
    assert_eq!(upstream.count("initialize"), 1);
}

#[test]
fn a_subscription_is_restored_even_after_a_recovery_that_failed() {
    let born = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "DELETE" => exchange.status(204),
        "initialize" => match born.fetch_add(1, Ordering::SeqCst) {
            0 => handshake(exchange, Some("one")),
            1 => exchange.status(500), // the new version is being put in place
            _ => handshake(exchange, Some("two")),
        },
        "tools/call" if exchange.request.header("mcp-session-id") == Some("one") => {
            exchange.status(404)
        }
        "notifications/initialized" => exchange.accepted(),
        _ => exchange.result("{}"),
    });
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "resources/subscribe", r#"{"uri":"kept://1"}"#));
    line.recv_id("1");
    line.send(call(2, "any", "{}"));
    line.recv_id("2").failure(-33003);
    line.send(call(3, "any", "{}"));
    assert_eq!(line.recv_id("3").raw_result(), "{}");
    let restored = upstream.in_session("resources/subscribe", "two").rpc();
    assert_eq!(restored.value["params"]["uri"], "kept://1");
    line.finish();
}

#[test]
fn what_was_unsubscribed_stays_so_whatever_else_the_requests_say() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    for (id, method) in [("1", "resources/subscribe"), ("2", "resources/unsubscribe")] {
        let params = format!(r#"{{"uri":"given://up","_meta":{{"progressToken":{id}}}}}"#);
        line.send(request(id, method, &params));
        line.recv_id(id);
    }
    upstream.forget_sessions();
    line.send(call(3, "echo", "{}"));
    line.recv_id("3").result();
    assert_eq!(upstream.session_settings().1, [""; 0]);
    line.finish();
}

/// In each session upstreams number their questions from the start.
#[test]
fn an_answer_goes_to_no_session_but_the_one_that_asked() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    upstream.push(&request(0, "elicitation/create", "{}"));
    line.recv_method("elicitation/create");
    upstream.forget_sessions();
    upstream.in_session("GET", "session-2");
    line.send(r#"{"jsonrpc":"2.0","id":0,"result":{"action":"accept"}}"#);
    // The marker has been read after the answer, and the end waits for both.
    line.send(notification("notifications/marker", "{}"));
    upstream.in_session("notifications/marker", "session-2");
    line.finish();
    for request in upstream.requests().iter().filter(|request| request.name() == "response") {
        assert_eq!(request.header("mcp-session-id"), Some("session-1"));
    }
}
