//! Upstreams that go and come back: restarts, forgotten sessions, idle connections that die.

use super::wire::{Fate, Wire, quiet};
use super::{ALL, REQUESTS, RESULT, Sent, TOOLS, id_of, is_told};
use crate::support::board::Board;
use crate::support::{Line, Message, Reply, Upstream, after_handshake, call, handshake, request};

/// A proxy closes idle connections; that it has done so is noticed before the next request.
#[test]
fn fifty_calls_over_connections_that_are_closed_in_between_all_succeed() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(RESULT)));
    let wire = Wire::to(&upstream.authority());
    let mut line = quiet(Line::to(&wire.url()));
    for id in 1..=50 {
        wire.close_idle();
        line.send(Sent::Write.line(id));
        assert_eq!(line.recv_id(&id.to_string()).raw_result(), RESULT);
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 50);
}

/// A proxy that has forgotten an idle connection resets it when the next request comes. Nobody can
/// tell whether the upstream has read the request: only what is safe is sent again.
#[test]
fn an_idle_connection_that_dies_as_a_request_goes_out_harms_only_what_cannot_be_repeated() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        exchange.result(if exchange.name() == "tools/list" { TOOLS } else { RESULT })
    }));
    let wire = Wire::to(&upstream.authority());
    let mut line = quiet(Line::to(&wire.url()));
    line.send(request(r#""tools""#, "tools/list", "{}"));
    line.recv_id(r#""tools""#);
    for (id, sent) in REQUESTS.iter().enumerate() {
        wire.break_in_use();
        line.send(sent.line(id));
        let reply = line.recv();
        if sent.is_safe() {
            assert_eq!(reply.raw_result(), RESULT, "{sent:?}");
        } else {
            is_told(&reply, -33002, true, 1);
        }
        line.send(call(r#""next""#, "write", "{}"));
        assert_eq!(line.recv().raw_result(), RESULT, "{sent:?}");
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 6);
}

/// All ways to say that a session is not known any more.
fn lost_session(way: usize) -> Option<Reply> {
    let json = |status, message: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":-32000,"message":"{message}"}}}}"#
        );
        Reply::status(status).body("application/json", body)
    };
    let text = |status, text: &str| Reply::status(status).body("text/plain", text);
    let ways = [
        Reply::status(404),
        text(404, "Not Found"),
        json(404, "Session not found"),
        Reply::status(410),
        text(410, "Gone"),
        text(400, "Unknown Mcp-Session-Id"),
        json(400, "Bad Request: No valid session ID provided"),
        json(400, "Invalid session"),
        json(400, "Session has expired"),
        json(400, "Bad Request: Server not initialized"),
    ];
    ways.into_iter().nth(way)
}

/// The refusal comes before anything was done, so every message is sent again in a new session.
#[test]
fn a_session_that_is_forgotten_costs_no_message() {
    let mut way = 0;
    while let Some(refusal) = lost_session(way) {
        let born = Board::new(0);
        let upstream = Upstream::serve(move |exchange| {
            match (exchange.request.method.as_str(), exchange.request.header("mcp-session-id")) {
                ("GET", _) => return exchange.status(405),
                ("DELETE", _) => return exchange.status(204),
                _ => {}
            }
            let is_old = exchange.request.header("mcp-session-id") == Some("s1");
            match exchange.name().as_str() {
                "initialize" => {
                    let number = born.update(|born| {
                        *born += 1;
                        *born
                    });
                    handshake(exchange, Some(&format!("s{number}")))
                }
                "notifications/initialized" => exchange.accepted(),
                "tools/list" => exchange.result(TOOLS),
                _ if is_old => exchange.send(&refusal),
                _ if id_of(exchange) == "null" => exchange.accepted(),
                _ => exchange.result(RESULT),
            }
        });
        let mut line = Line::ready(&upstream.url());
        line.send(request(r#""tools""#, "tools/list", "{}"));
        line.recv_id(r#""tools""#);
        for (id, sent) in ALL.iter().enumerate() {
            line.send(sent.line(id));
        }
        for id in 0..ALL.len() - 1 {
            assert_eq!(line.recv_id(&id.to_string()).raw_result(), RESULT, "way {way}");
        }
        upstream.in_session("notifications/roots/list_changed", "s2");
        let rest = line.finish();
        assert!(rest.iter().all(Message::is_notification), "{rest:?}");
        assert_eq!(upstream.count("initialize"), 2, "way {way}");
        let requests = upstream.requests();
        let done = requests.iter().filter(|request| {
            request.header("mcp-session-id") == Some("s2") && request.name() == "tools/call"
        });
        assert_eq!(done.count(), 3, "way {way}");
        way += 1;
    }
}

/// Thirty messages are under way when the upstream goes. What is safe waits for it to come back; a
/// call that may have run is told so; none runs twice.
#[test]
fn a_restart_in_the_middle_costs_only_what_cannot_be_repeated() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        if exchange.name() == "tools/list" {
            return exchange.result(TOOLS);
        }
        exchange.pass("gate")?;
        if exchange.rpc().is_notification() { exchange.accepted() } else { exchange.result(RESULT) }
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(request(r#""tools""#, "tools/list", "{}"));
    line.recv_id(r#""tools""#);
    let sent = |id: usize| REQUESTS[id % 4];
    for id in 0..32 {
        line.send(sent(id).line(id));
    }
    upstream.wait_at("gate", 32);
    upstream.stop();
    upstream.open("gate");
    // These find no upstream.
    for id in 32..40 {
        line.send(sent(id).line(id));
    }
    upstream.start();
    for id in 0..40 {
        let reply = line.recv_id(&id.to_string());
        if sent(id) == Sent::Write && id < 32 {
            is_told(&reply, -33002, true, 1);
        } else {
            assert_eq!(reply.raw_result(), RESULT, "{reply}");
        }
    }
    line.finish_with_nothing_left();
    let requests = upstream.requests();
    let writes = requests.iter().filter(|request| {
        request.name() == "tools/call" && request.rpc().value["params"]["name"] == "write"
    });
    assert_eq!(writes.count(), 10, "a call was sent twice");
}

/// Down, up, down, up: the line is still there, and so is the session behind it.
#[test]
fn an_upstream_that_restarts_again_and_again_costs_time_and_no_error() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    for id in 1..=5 {
        upstream.stop();
        upstream.forget_sessions();
        line.send(call(id, "echo", "{}"));
        upstream.start();
        assert!(line.recv_id(&id.to_string()).result().is_object());
    }
    assert_eq!(upstream.executions("echo"), 5);
    line.finish();
}

/// While the upstream is away, each request fails in its own time, and each gets its reply.
#[test]
fn an_upstream_that_is_away_for_longer_fails_each_request_by_itself() {
    for fate in
        [Fate::Close, Fate::ResetUnread, Fate::Say(b"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n")]
    {
        let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(RESULT)));
        let wire = Wire::to(&upstream.authority());
        let mut line = quiet(Line::to(&wire.url()).args("--retry-for 0.5"));
        wire.close_idle();
        wire.all(fate);
        for id in 0..20 {
            line.send(Sent::Write.line(id));
        }
        for id in 0..20 {
            let reply = line.recv_id(&id.to_string());
            assert!(reply.failure(reply.error_code())["attempts"].as_u64() > Some(0), "{reply}");
        }
        wire.all(Fate::Pass);
        // A connection may be left that is about to be closed, and a call could be lost with it.
        line.send(Sent::List.line(20));
        assert_eq!(line.recv_id("20").raw_result(), RESULT, "{fate:?}");
        line.send(Sent::Write.line(21));
        assert_eq!(line.recv_id("21").raw_result(), RESULT, "{fate:?}");
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("tools/call"), 1, "{fate:?}");
    }
}
