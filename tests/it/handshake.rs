//! How a conversation begins: nothing overtakes the handshake, and a start never hangs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{
    Exchange, INITIALIZE, INITIALIZED, Line, Message, Reply, Upstream, after_handshake, call,
    handshake, initialize_result, notification, request,
};

/// Does the handshake behind the gates `initialize` and `initialized`; answers all else.
fn gated() -> Upstream {
    let inner = after_handshake(|exchange| exchange.result("{}"));
    Upstream::serve(move |exchange| {
        match exchange.name().as_str() {
            "initialize" => exchange.pass("initialize")?,
            "notifications/initialized" => exchange.pass("initialized")?,
            _ => {}
        }
        inner(exchange)
    })
}

#[test]
fn nothing_overtakes_the_handshake() {
    let upstream = gated();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send_bytes(
        [INITIALIZE, INITIALIZED, &request(1, "tools/list", "{}"), &request(2, "ping", "{}"), ""]
            .join("\n"),
    );
    upstream.wait_at("initialize", 1);
    assert_eq!(upstream.names(), ["initialize"]);
    upstream.open("initialize");
    assert_eq!(line.recv().id(), r#""init""#);
    upstream.wait_at("initialized", 1);
    assert_eq!(upstream.posted(), ["initialize", "notifications/initialized"]);
    upstream.open("initialized");
    line.recv_id("1");
    line.recv_id("2");
    let posted = upstream.posted();
    assert_eq!(posted[..2], ["initialize", "notifications/initialized"]);
    assert_eq!(posted.len(), 4, "{posted:?}");
    line.finish_with_nothing_left();
}

#[test]
fn the_upstream_sees_one_request_before_initialize_is_answered() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(INITIALIZE);
    line.recv_id(r#""init""#);
    assert_eq!(upstream.names(), ["initialize"]);
    line.finish_with_nothing_left();
}

#[test]
fn every_later_request_names_the_session_and_the_negotiated_version() {
    // The server speaks an older revision than the client asked for.
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "initialize" => {
            let text = exchange.result_text(&initialize_result("2025-06-18"));
            exchange.send(&Reply::json(text).header("Mcp-Session-Id", "a!session~"))
        }
        "GET" => exchange.status(405),
        "DELETE" => exchange.status(200),
        "ping" => exchange.result("{}"),
        _ => exchange.accepted(),
    });
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "ping", "{}"));
    line.recv_id("1");
    upstream.nth("GET", 1);
    line.finish_with_nothing_left();
    upstream.nth("DELETE", 1);
    let requests = upstream.requests();
    let (first, later) = requests.split_first().unwrap();
    assert_eq!(first.name(), "initialize");
    assert_eq!(first.header("mcp-session-id"), None);
    assert_eq!(later.len(), 4, "{:?}", upstream.names());
    for request in later {
        let name = request.name();
        assert_eq!(request.header("mcp-session-id"), Some("a!session~"), "{name}");
        let version = request.header("mcp-protocol-version");
        assert_eq!(version, Some("2025-06-18"), "{name}");
    }
}

#[test]
fn requests_say_what_they_carry_and_what_they_accept() {
    let upstream = Upstream::streamable();
    let line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    line.finish_with_nothing_left();
    for request in upstream.requests() {
        assert_eq!(request.path, "/mcp");
        let accepted = request.header("accept").unwrap_or_default().to_owned();
        match request.method.as_str() {
            "POST" => {
                assert!(accepted.contains("application/json"), "{accepted}");
                assert!(accepted.contains("text/event-stream"), "{accepted}");
                let sent = request.header("content-type").unwrap_or_default();
                assert!(sent.starts_with("application/json"), "{sent}");
            }
            "GET" => assert!(accepted.contains("text/event-stream"), "{accepted}"),
            _ => {}
        }
    }
}

#[test]
fn one_piped_request_works_without_a_handshake() {
    for lines in [
        vec![request(1, "tools/list", "{}")],
        vec![call(1, "echo", "{}"), request(2, "tools/list", "{}")],
    ] {
        let upstream = Upstream::streamable();
        let mut line = Line::to(&upstream.url()).spawn();
        for text in &lines {
            line.send(text);
        }
        let mut replies = line.finish();
        replies.sort_by_key(|reply| reply.id().to_owned());
        assert_eq!(replies.len(), lines.len(), "{replies:?}");
        assert_eq!(replies[0].id(), "1");
        assert!(replies.iter().all(|reply| reply.result().is_object()));
        let posted = upstream.posted();
        assert_eq!(posted[..2], ["initialize", "notifications/initialized"]);
        assert_eq!(posted.len(), 2 + lines.len(), "{posted:?}");
        let made_up = upstream.message("initialize");
        assert!(made_up.value["params"]["protocolVersion"].is_string(), "{made_up}");
        assert!(made_up.value["params"]["clientInfo"]["name"].is_string(), "{made_up}");
        // The piped client could answer nothing, so nothing is offered in its name.
        let offered = &made_up.value["params"]["capabilities"];
        assert_eq!(offered.to_string(), "{}", "{made_up}");
    }
}

#[test]
fn everything_at_once_and_the_end_of_stdin_is_all_answered() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).spawn();
    line.send(INITIALIZE);
    line.send(INITIALIZED);
    line.send(request(1, "tools/list", "{}"));
    line.send(call(2, "echo", "{}"));
    let replies = line.finish();
    let mut ids: Vec<&str> = replies.iter().map(Message::id).collect();
    assert_eq!(ids[0], r#""init""#);
    ids.sort_unstable();
    assert_eq!(ids, [r#""init""#, "1", "2"]);
    assert!(replies.iter().all(|reply| reply.result().is_object()));
    let names = upstream.names();
    assert_eq!(names.last().map(String::as_str), Some("DELETE"), "{names:?}");
}

#[test]
fn an_error_to_initialize_is_the_upstreams_own() {
    for status in [200, 400] {
        let error = r#"{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2024-11-05"]}}"#;
        let upstream = Upstream::serve(move |exchange| {
            if exchange.request.method != "POST" {
                return exchange.status(405);
            }
            let id = exchange.rpc().id().to_owned();
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
            exchange.send(&Reply::status(status).body("application/json", body))
        });
        let mut line = Line::to(&upstream.url()).spawn();
        line.send(INITIALIZE);
        let reply = line.recv();
        assert_eq!(reply.id(), r#""init""#);
        assert_eq!(reply.raw("error"), Some(error));
        line.finish_with_nothing_left();
    }
}

#[test]
fn a_start_that_waiting_cannot_mend_fails_at_once() {
    for (status, code) in [(401, -33005), (403, -33005), (404, -33003)] {
        let upstream = Upstream::serve(move |exchange| {
            exchange.send(&Reply::status(status).body("text/plain", "nothing for you"))
        });
        // Far beyond the patience of a test: had it waited for the upstream, this would show.
        let mut line =
            Line::to(&upstream.url()).args("--start-timeout 600 --retry-for 600").spawn();
        line.send(INITIALIZE);
        let reply = line.recv();
        assert_eq!(reply.id(), r#""init""#);
        let data = reply.failure(code);
        assert_eq!(data["httpStatus"], status);
        assert_eq!(upstream.count("initialize"), 1);
        line.finish_with_nothing_left();
    }
}

/// Begins with an upstream that does not answer, lets it appear, and checks that the client has
/// lost nothing by it.
fn starts_without(upstream: &Upstream, appear: impl FnOnce()) {
    let mut line = Line::to(&upstream.url()).args("--start-timeout 0.3").spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    assert_eq!(reply.id(), r#""init""#);
    let result = reply.result();
    assert_eq!(result["protocolVersion"], "2025-11-25");
    assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
    assert!(result["serverInfo"]["name"].is_string(), "{reply}");
    line.send(INITIALIZED);
    line.send(request(1, "tools/list", "{}"));
    appear();
    assert!(line.recv_id("1").result().is_object());
    line.recv_method("notifications/tools/list_changed");
    let posted = upstream.posted();
    let after: Vec<_> = posted.iter().filter(|name| *name != "initialize").collect();
    assert_eq!(after, ["notifications/initialized", "tools/list"]);
    line.send(request(2, "ping", "{}"));
    line.recv_id("2");
    let rest = line.finish();
    assert!(rest.iter().all(Message::is_notification), "{rest:?}");
}

#[test]
fn an_upstream_that_is_slow_to_start_costs_time_and_no_error() {
    let upstream = gated();
    upstream.open("initialized");
    starts_without(&upstream, || upstream.open("initialize"));
}

#[test]
fn an_upstream_that_is_not_there_at_the_start_costs_time_and_no_error() {
    let upstream = Upstream::streamable_absent();
    starts_without(&upstream, || upstream.start());
}

#[test]
fn an_upstream_that_is_quick_enough_answers_initialize_itself() {
    let upstream = Upstream::streamable_absent();
    let mut line = Line::to(&upstream.url()).args("--start-timeout 600").spawn();
    line.send(INITIALIZE);
    upstream.start();
    let reply = line.recv();
    assert_eq!(reply.result()["serverInfo"]["name"], "upstream");
    line.finish_with_nothing_left();
}

#[test]
fn a_request_that_waits_for_a_missing_upstream_fails_in_its_own_time() {
    let upstream = Upstream::streamable_absent();
    let mut line = Line::to(&upstream.url()).args("--start-timeout 0.2 --retry-for 0.5").spawn();
    line.handshake();
    line.send(request(1, "tools/list", "{}"));
    line.recv_id("1").failure(-33001);
    // And the next one finds it.
    upstream.start();
    line.send(request(2, "tools/list", "{}"));
    assert!(line.recv_id("2").result().is_object());
    let rest = line.finish();
    assert!(rest.iter().all(Message::is_notification), "{rest:?}");
}

#[test]
fn a_server_without_sessions_is_given_no_session_and_no_delete() {
    let upstream = Upstream::serve(|exchange: &mut Exchange<'_>| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "ping" => exchange.result("{}"),
        _ => handshake(exchange, None),
    });
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "ping", "{}"));
    line.recv_id("1");
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("DELETE"), 0);
    for request in upstream.requests() {
        assert_eq!(request.header("mcp-session-id"), None);
    }
}

#[test]
fn a_notification_before_anything_else_holds_nothing_up() {
    for method in ["notifications/initialized", "notifications/roots/list_changed"] {
        let upstream = Upstream::streamable();
        let mut line = Line::to(&upstream.url()).spawn();
        line.send(notification(method, "{}"));
        line.send(request(1, "tools/list", "{}"));
        assert!(line.recv_id("1").result().is_object(), "{method}");
        line.finish();
    }
}

/// The one test that waits out one of our own limits.
#[test]
fn an_upstream_that_does_not_take_initialized_holds_nothing_up_for_long() {
    let upstream = gated();
    upstream.open("initialize");
    // Far beyond the patience of a test: only its own limit can end the wait.
    let mut line = Line::to(&upstream.url()).args("--timeout 600 --retry-for 600").ready();
    line.send(request(1, "tools/list", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    upstream.open("initialized");
    line.finish_with_nothing_left();
}

#[test]
fn a_ping_of_the_upstream_before_its_answer_to_initialize_is_answered() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "response" => exchange.accepted(),
        "initialize" => {
            let text = exchange.result_text(&initialize_result("2025-11-25"));
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.message(request(0, "ping", "{}"))?;
            life.pass("answered")?;
            events.message(text)?;
            events.end()
        }
        _ => handshake(exchange, None),
    });
    let mut line = Line::to(&upstream.url()).args("--start-timeout 600").spawn();
    line.send(INITIALIZE);
    assert_eq!(line.recv().method(), "ping");
    line.send(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
    assert_eq!(upstream.nth("response", 1).rpc().id(), "0");
    upstream.open("answered");
    assert_eq!(line.recv_id(r#""init""#).result()["serverInfo"]["name"], "upstream");
    line.finish_with_nothing_left();
}

#[test]
fn an_upstream_that_asks_for_time_at_the_start_is_given_it() {
    let asked = AtomicUsize::new(0);
    let told = Arc::new(Mutex::new(None));
    let first = Arc::clone(&told);
    let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "initialize" if asked.fetch_add(1, Ordering::SeqCst) == 0 => {
            *first.lock().unwrap() = Some(Instant::now());
            exchange.send(&Reply::status(503).header("Retry-After", "1"))
        }
        _ => handshake(exchange, None),
    });
    let line = Line::to(&upstream.url()).args("--start-timeout 600").ready();
    let waited = told.lock().unwrap().unwrap().elapsed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("initialize"), 2);
}
