//! Starts without the upstream: it refuses, hangs, or is another service at first.

use std::time::{Duration, Instant};

use super::wire::{Fate, Wire};
use super::{RESULT, TOOLS};
use crate::support::board::Board;
use crate::support::{
    Answered, Exchange, INITIALIZE, INITIALIZED, Line, Message, Reply, SOON, Upstream,
    after_handshake, at_once, call, handshake, request,
};

/// What a start without the upstream looks like to the client, from `initialize` to the first call
/// that works. `appear` makes the upstream what it should be.
fn starts_without(name: &str, url: &str, options: &str, appear: impl FnOnce()) {
    let options = format!("--start-timeout 0.3 --connect-timeout 1 {options}");
    let mut line = Line::to(url).args(&options).spawn();
    let started = Instant::now();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    assert_eq!(reply.result()["serverInfo"]["name"], "mcpline", "{name}: {reply}");
    assert!(started.elapsed() > Duration::from_millis(250), "{name}: {:?}", started.elapsed());
    line.send(INITIALIZED);
    // One that waits for the upstream, and one that finds it.
    line.send(call(1, "write", "{}"));
    appear();
    assert_eq!(line.recv_id("1").raw_result(), RESULT, "{name}");
    line.recv_method("notifications/tools/list_changed");
    line.send(call(2, "write", "{}"));
    assert_eq!(line.recv_id("2").raw_result(), RESULT, "{name}");
    let rest = line.finish();
    assert!(rest.iter().all(Message::is_notification), "{name}: {rest:?}");
}

fn good(exchange: &mut Exchange<'_>) -> Answered {
    exchange.result(if exchange.name() == "tools/list" { TOOLS } else { RESULT })
}

#[test]
fn a_start_on_a_dead_connection_costs_time_and_no_error() {
    at_once(
        [
            Fate::Close,
            Fate::ResetUnread,
            Fate::Hang,
            Fate::CutRequest(10),
            Fate::CutReply(0),
            Fate::CutReply(100),
            Fate::Say(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
            Fate::Say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
            Fate::Say(b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"),
        ],
        |fate| {
            let upstream = Upstream::serve(after_handshake(good));
            let wire = Wire::to(&upstream.authority());
            wire.all(fate);
            starts_without(&format!("{fate:?}"), &wire.url(), "--timeout 1", || {
                wire.all(Fate::Pass);
            });
            assert_eq!(upstream.count("tools/call"), 2, "{fate:?}");
        },
    );
}

#[test]
fn a_start_on_a_closed_port_costs_time_and_no_error() {
    let upstream = Upstream::absent(after_handshake(good));
    starts_without("refused", &upstream.url(), "", || upstream.start());
    assert_eq!(upstream.count("tools/call"), 2);
}

/// Alive, and never with an answer.
#[test]
fn a_start_that_is_kept_waiting_with_comments_costs_time_and_no_error() {
    let asked = Board::new(0);
    let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "initialize" if asked.update(|asked| std::mem::replace(asked, 1) == 0) => {
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.raw(": wait\n\n")?;
            life.pass("appear")?;
            events.end()
        }
        "initialize" | "notifications/initialized" => handshake(exchange, None),
        _ => exchange.result(RESULT),
    });
    starts_without("comments", &upstream.url(), "", || upstream.open("appear"));
    assert_eq!(upstream.count("tools/call"), 2);
}

/// Each of these waits in its own time, and the upstream gets nothing but attempts to open.
#[test]
fn requests_to_a_missing_upstream_fail_one_by_one_and_the_next_one_works() {
    let upstream = Upstream::absent(after_handshake(good));
    let options = "--start-timeout 0.1 --retry-for 1";
    let mut line = Line::to(&upstream.url()).args(options).ready();
    let started = Instant::now();
    for id in 1..=100 {
        line.send(if id % 2 == 0 {
            call(id, "write", "{}")
        } else {
            request(id, "tools/list", "{}")
        });
    }
    for id in 1..=100 {
        let reply = line.recv_id(&id.to_string());
        let data = reply.failure(-33001);
        assert_ne!(data["mayHaveRun"], true, "{reply}");
        assert!(reply.error_text().contains("connection refused"), "{reply}");
        assert!(reply.error_text().contains("(tried "), "{reply}");
    }
    // In two turns, because 64 are in flight at once.
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    upstream.start();
    line.send(call(101, "write", "{}"));
    assert_eq!(line.recv_id("101").raw_result(), RESULT);
    assert_eq!(upstream.count("tools/call"), 1);
    let rest = line.finish();
    assert!(rest.iter().all(Message::is_notification), "{rest:?}");
}

/// Waiting does not help here, so these are reported at once, however long a start may take.
#[test]
fn a_refusal_of_the_start_is_told_at_once() {
    for (status, code) in
        [(400, -33003), (401, -33005), (403, -33005), (404, -33003), (410, -33003), (500, -33003)]
    {
        let upstream = Upstream::serve(move |exchange| {
            exchange.send(&Reply::status(status).body("text/plain", "not here"))
        });
        let mut line =
            Line::to(&upstream.url()).args("--start-timeout 600 --retry-for 600").spawn();
        line.send(INITIALIZE);
        let reply = line.recv_id(r#""init""#);
        let data = reply.failure(code);
        assert_eq!(data["httpStatus"], status, "{reply}");
        // The process stays, and says the same of what comes next.
        line.send(request(1, "tools/list", "{}"));
        line.recv_id("1").failure(code);
        line.finish_with_nothing_left();
    }
}

#[test]
fn an_unusable_answer_to_the_start_is_told_at_once() {
    for body in ["", "<html>welcome</html>", "{}", r#"{"jsonrpc":"2.0","id":"x","result":{}}"#] {
        let upstream = Upstream::serve(move |exchange| exchange.json(body));
        let mut line =
            Line::to(&upstream.url()).args("--start-timeout 600 --retry-for 600").spawn();
        line.send(INITIALIZE);
        line.recv_id(r#""init""#).failure(-33004);
        line.finish_with_nothing_left();
    }
}

/// What an `initialize` result may hold is not for the line to judge; what it takes out of it must
/// not lead it astray.
#[test]
fn an_odd_handshake_is_passed_on_and_calls_work() {
    for result in [
        "{}",
        "[]",
        "null",
        "5",
        r#"{"protocolVersion":5,"capabilities":[],"serverInfo":null}"#,
        r#"{"protocolVersion":"","capabilities":null}"#,
        r#"{"protocolVersion":"2025-11-25\r\nX-Evil: 1","capabilities":{"tools":5}}"#,
        r#"{"protocolVersion":"версия","capabilities":{"tools":{"listChanged":"yes"}}}"#,
        r#"{"protocolVersion":"9999-12-31","capabilities":{},"capabilities":{}}"#,
    ] {
        for session in [None, Some(""), Some("a b;c,\"d"), Some("\u{e9}"), Some("s\t1")] {
            let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
                "GET" => exchange.status(405),
                "DELETE" => exchange.status(204),
                "initialize" => {
                    let reply = Reply::json(exchange.result_text(result));
                    exchange.send(&match session {
                        Some(session) => reply.header("Mcp-Session-Id", session),
                        None => reply,
                    })
                }
                "notifications/initialized" => exchange.accepted(),
                _ => exchange.result(RESULT),
            });
            let mut line = Line::to(&upstream.url()).spawn();
            line.send(INITIALIZE);
            assert_eq!(line.recv_id(r#""init""#).raw_result(), result);
            line.send(INITIALIZED);
            line.send(call(1, "write", "{}"));
            assert_eq!(line.recv_id("1").raw_result(), RESULT, "{result} {session:?}");
            line.finish_with_nothing_left();
            let sent = upstream.nth("tools/call", 1);
            assert_eq!(sent.header("x-evil"), None);
            assert_eq!(sent.header("mcp-session-id"), session.map(str::trim), "{result}");
            assert_eq!(upstream.count("initialize"), 1);
        }
    }
}
