//! What servers and networks do in the field: each test is a fault that was met there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{
    Answered, Exchange, Line, Reply, Upstream, after_handshake, call, handshake, notification,
    request,
};

/// An upstream with sessions: each `initialize` opens the next one, `in_session` answers the other
/// requests, told the number of their session, and `listen` answers GET.
pub(crate) fn with_sessions(
    listen: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
    in_session: impl Fn(&mut Exchange<'_>, usize) -> Answered + Send + Sync + 'static,
) -> Upstream {
    let opened = AtomicUsize::new(0);
    Upstream::serve(move |exchange| match exchange.name().as_str() {
        "GET" => listen(exchange),
        "DELETE" => exchange.status(204),
        "initialize" => {
            let number = opened.fetch_add(1, Ordering::SeqCst) + 1;
            handshake(exchange, Some(&format!("S{number}")))
        }
        "notifications/initialized" => exchange.accepted(),
        "ping" => exchange.result("{}"),
        _ => {
            let session = exchange.request.header("mcp-session-id").unwrap_or("S0");
            let number = session.trim_start_matches('S').parse().unwrap();
            in_session(exchange, number)
        }
    })
}

pub(crate) fn no_stream(exchange: &mut Exchange<'_>) -> Answered {
    exchange.status(405)
}

#[test]
fn a_refused_listening_stream_ends_no_session() {
    let refusals = [
        Reply::status(404).body("text/plain", "Not Found"),
        Reply::status(410).body("text/plain", "Gone"),
        Reply::status(400)
            .body("application/json", r#"{"error":"Invalid or missing session ID for SSE."}"#),
        Reply::status(422).body("text/plain", "Session not found"),
        Reply::status(500).body("text/plain", "no such route"),
    ];
    for refusal in refusals {
        let sent = refusal.clone();
        let upstream = with_sessions(
            move |exchange| exchange.send(&sent),
            |exchange, number| exchange.result(&format!(r#"{{"in":{number}}}"#)),
        );
        let mut line = Line::ready(&upstream.url());
        for id in 1..=3 {
            line.send(call(id, "any", "{}"));
            assert_eq!(line.recv().raw_result(), r#"{"in":1}"#, "{refusal:?}");
        }
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("initialize"), 1, "{refusal:?}");
        assert!(upstream.count("ping") <= 1, "{refusal:?}");
    }
}

#[test]
fn a_lost_session_is_recognised_however_it_is_told() {
    let error = |code: i64, message: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"{message}"}}}}"#)
    };
    let json = |text: String| Reply::json(text);
    let tellings = [
        Reply::status(401).body("", "Unauthorized: Session not found"),
        Reply::status(422).body("text/plain", "Unexpected message, expect initialize request"),
        Reply::status(503).body("text/plain", "session is unknown on this API instance"),
        Reply::status(500).body("text/plain", "Error: Session not found"),
        Reply::status(403).body("text/plain", "Session has expired"),
        Reply::status(401).body("application/json", r#"{"error":"Session not found"}"#),
        Reply::status(403)
            .body("application/json", r#"{"error":{"message":"Session has been terminated"}}"#),
        Reply::status(500).body("text/html", "<h1>Error</h1><p>Session not found</p>"),
        Reply::status(428).body("text/plain", "Session required"),
        Reply::status(502).body("text/plain; charset=utf-8", "Сессия не найдена"),
        json(error(-32000, "Сеанс не найден или истёк")),
        json(error(-32602, "Invalid or expired session")),
        json(error(-32603, "Invalid or expired session")),
        json(error(-32005, "Session not found: Invalid or expired session")),
        json(error(-32600, "Session not found or expired. Re-initialize.")),
        json(error(
            -30001,
            "The provided SessionId was not found or has expired, please re-initialize your connection.",
        )),
    ];
    for told in tellings {
        let sent = told.clone();
        let upstream = with_sessions(no_stream, move |exchange, number| match number {
            1 => exchange.send(&sent),
            _ => exchange.result(r#"{"done":true}"#),
        });
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "any", "{}"));
        assert_eq!(line.recv_id("1").raw_result(), r#"{"done":true}"#, "{told:?}");
        // In the background, which the end of the line would cut off.
        upstream.nth("DELETE", 1);
        line.finish();
        assert_eq!(upstream.count("initialize"), 2, "{told:?}");
        assert_eq!(upstream.count("tools/call"), 2, "{told:?}");
        // The old session may live; the new one has ended with the line.
        assert_eq!(upstream.count("DELETE"), 2, "{told:?}");
    }
}

#[test]
fn what_only_sounds_like_a_lost_session_is_the_answer() {
    let answers = [
        Reply::status(401).body("text/plain", "Unauthorized"),
        Reply::status(500).body("text/plain", "Deal 7 created; invalid session in CRM callback"),
        Reply::json(
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Cash register session not found"}}"#,
        ),
        Reply::json(
            r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"Session not found"}]}}"#,
        ),
    ];
    for answer in answers {
        let sent = answer.clone();
        let upstream = with_sessions(no_stream, move |exchange, _| exchange.send(&sent));
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "any", "{}"));
        line.recv_id("1");
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("initialize"), 1, "{answer:?}");
        assert_eq!(upstream.count("tools/call"), 1, "{answer:?}");
    }
}

#[test]
fn an_answer_after_an_empty_202_comes_on_the_listening_stream() {
    for comes_first in [false, true] {
        let upstream = with_sessions(
            |exchange| {
                let life = exchange.life();
                let mut events = exchange.events()?;
                events.raw(": here\n\n")?;
                life.pass("listening")?;
                life.pass("asked")?;
                events.message(r#"{"jsonrpc":"2.0","id":77,"result":{"of":"another"}}"#)?;
                events.message(r#"{"jsonrpc":"2.0","id":1,"result":{"late":true}}"#)?;
                life.pass("told")?;
                events.until_closed()
            },
            |exchange, _| {
                exchange.pass("accepted")?;
                exchange.accepted()
            },
        );
        let mut line = Line::ready(&upstream.url());
        upstream.wait_at("listening", 1);
        upstream.open("listening");
        line.send(call(1, "any", "{}"));
        upstream.wait_at("accepted", 1);
        let order = if comes_first { ["asked", "accepted"] } else { ["accepted", "asked"] };
        upstream.open(order[0]);
        if comes_first {
            upstream.wait_at("told", 1);
        }
        upstream.open(order[1]);
        assert_eq!(line.recv_id("1").raw_result(), r#"{"late":true}"#);
        upstream.open("told");
        line.finish_with_nothing_left();
    }
}

#[test]
fn a_post_that_is_answered_by_the_stream_of_the_older_transport_leads_there() {
    let upstream = Upstream::serve(|exchange| {
        if exchange.request.path == "/mcp/messages/1" {
            let rpc = exchange.rpc();
            return match exchange.name().as_str() {
                "initialize" => handshake(exchange, None),
                _ if rpc.is_request() => exchange.result(r#"{"tools":[]}"#),
                _ => exchange.accepted(),
            };
        }
        let mut events = exchange.events()?;
        events.raw("event: endpoint\ndata: /mcp/messages/1\n\n")?;
        events.until_closed()
    });
    let mut line = Line::to(&upstream.url_of("/mcp/sse")).ready();
    line.send(request(1, "tools/list", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"tools":[]}"#);
    line.finish_with_nothing_left();
}

/// An HTTP+SSE server at `/p/sse` whose stream names `endpoint`.
fn behind_prefix(endpoint: String, answers_at: &'static str, status: u16) -> Upstream {
    Upstream::serve(move |exchange| {
        let path = exchange.request.path.clone();
        if exchange.request.method == "GET" && path == "/p/sse" {
            let mut events = exchange.events()?;
            events.raw(format!("event: endpoint\ndata: {endpoint}\n\n"))?;
            return events.until_closed();
        }
        match exchange.name().as_str() {
            "initialize" if path.starts_with(answers_at) => handshake(exchange, None),
            _ if path.starts_with(answers_at) => exchange.accepted(),
            _ if path.starts_with("/messages") => exchange.status(status),
            _ => exchange.status(404),
        }
    })
}

#[test]
fn the_most_telling_failure_is_reported() {
    for (endpoint, status, told) in [
        ("/messages/?sid=1", 404, "/messages/"),
        ("http://internal.test:8080/p/messages/?sid=1", 404, "internal.test:8080"),
        ("/messages/?sid=1", 401, "/messages/"),
    ] {
        let upstream = behind_prefix(endpoint.to_owned(), "/nowhere", status);
        let mut line = Line::to(&upstream.url_of("/p/sse")).spawn();
        let reply = line.handshake();
        assert!(reply.error_text().contains(told), "{endpoint} {status}: {reply}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn an_endpoint_that_lacks_the_prefix_is_found_below_it() {
    let upstream = behind_prefix("/messages/?sid=1".to_owned(), "/p/messages", 404);
    let line = Line::to(&upstream.url_of("/p/sse")).ready();
    line.finish_with_nothing_left();
}

#[test]
fn one_json_document_is_read_under_the_wrong_content_type() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let text = exchange.result_text(r#"{"plain":true}"#);
        exchange.send(&Reply::status(200).body("text/event-stream", text))
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"plain":true}"#);
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 1);
}

#[test]
fn an_id_of_zero_counts_in_the_only_answer() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        exchange.json(r#"{"jsonrpc":"2.0","id":0,"result":{"zero":true}}"#)
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(5, "any", "{}"));
    assert_eq!(line.recv_id("5").raw_result(), r#"{"zero":true}"#);
    line.finish_with_nothing_left();
}

#[test]
fn progress_on_the_listening_stream_passes_only_while_its_request_is_in_flight() {
    let progress = |token: &str| {
        let params = format!(r#"{{"progressToken":{token},"progress":1}}"#);
        notification("notifications/progress", &params)
    };
    let upstream = with_sessions(
        move |exchange| {
            let life = exchange.life();
            let mut events = exchange.events()?;
            life.pass("in flight")?;
            events.message(progress("\"other\""))?;
            events.message(progress("\"mine\""))?;
            life.pass("over")?;
            events.message(progress("\"mine\""))?;
            events.message(notification("notifications/message", "{}"))?;
            events.until_closed()
        },
        |exchange, _| {
            exchange.pass("answer")?;
            exchange.result("{}")
        },
    );
    let mut line = Line::ready(&upstream.url());
    line.send(request(
        1,
        "tools/call",
        r#"{"name":"any","arguments":{},"_meta":{"progressToken":"mine"}}"#,
    ));
    upstream.wait_at("answer", 1);
    upstream.open("in flight");
    let told = line.recv();
    assert_eq!(told.value["params"]["progressToken"], "mine");
    upstream.open("answer");
    assert_eq!(line.recv().id(), "1");
    upstream.open("over");
    assert_eq!(line.recv().method(), "notifications/message");
    line.finish_with_nothing_left();
}

#[test]
fn a_heartbeat_is_worth_one_line_of_log() {
    let upstream = with_sessions(
        |exchange| {
            let mut events = exchange.events()?;
            for _ in 0..5 {
                events.message(r#"{"type":"heartbeat"}"#)?;
            }
            events.message(notification("notifications/message", "{}"))?;
            events.until_closed()
        },
        |exchange, _| exchange.result("{}"),
    );
    let mut line = Line::ready(&upstream.url());
    line.recv_method("notifications/message");
    line.close_stdin();
    let ended = line.wait();
    assert_eq!(ended.stderr.matches("WARN").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_malformed_notification_is_repaired() {
    let upstream = with_sessions(
        |exchange| {
            let mut events = exchange.events()?;
            events.message(r#"{"method":"notifications/message","params":{"a":1.0}}"#)?;
            events.message(
                r#"{"jsonrpc":"2.0","id":null,"method":"notifications/message","params":{"a":2}}"#,
            )?;
            events.until_closed()
        },
        |exchange, _| exchange.result("{}"),
    );
    let mut line = Line::ready(&upstream.url());
    for params in [r#"{"a":1.0}"#, r#"{"a":2}"#] {
        let told = line.recv();
        assert!(told.is_notification(), "{told}");
        assert_eq!(told.raw("params"), Some(params));
    }
    line.finish_with_nothing_left();
}

#[test]
fn an_address_that_has_worked_is_waited_for_while_it_is_not_found() {
    let refusals = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| {
        let is_away = || (1..=4).contains(&(refusals.fetch_add(1, Ordering::SeqCst)));
        match exchange.name().as_str() {
            "GET" => exchange.status(405),
            "DELETE" => exchange.status(204),
            "initialize" if exchange.request.header("x-none").is_none() && is_away() => {
                exchange.send(&Reply::status(404).body("text/plain", "404 page not found\n"))
            }
            "initialize" => handshake(exchange, Some("s")),
            "notifications/initialized" => exchange.accepted(),
            _ if refusals.load(Ordering::SeqCst) == 1 => exchange.status(404),
            _ => exchange.result(r#"{"back":true}"#),
        }
    });
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"back":true}"#);
    line.finish();
    assert_eq!(upstream.count("tools/call"), 2);
}

#[test]
fn a_client_that_sends_no_initialized_gets_it_sent_for_it() {
    let is_initialized = AtomicBool::new(false);
    let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "initialize" => handshake(exchange, None),
        "notifications/initialized" => {
            is_initialized.store(true, Ordering::SeqCst);
            exchange.accepted()
        }
        _ if is_initialized.load(Ordering::SeqCst) => exchange.result("{}"),
        _ => exchange.status(400),
    });
    let mut line = Line::to(&upstream.url()).spawn();
    let params = r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"a","version":"1"}}"#;
    line.send(request(0, "initialize", params));
    line.recv_id("0").result();
    line.send(request(1, "tools/list", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("notifications/initialized"), 1);
}

#[test]
fn no_stream_makes_us_ask_more_than_a_few_times_a_second() {
    let next = AtomicUsize::new(1);
    let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
        "initialize" | "notifications/initialized" => handshake(exchange, Some("s")),
        "DELETE" => exchange.status(204),
        _ if exchange.name() == "GET" && exchange.request.header("last-event-id").is_none() => {
            exchange.status(405)
        }
        _ => {
            let id = next.fetch_add(1, Ordering::SeqCst);
            let answer = exchange.request.header("last-event-id").is_some() && id > 8;
            let mut events = exchange.events()?;
            events.raw(format!("retry: 0\nid: {id}\ndata: \n\n"))?;
            if answer {
                events.message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)?;
            }
            events.end()
        }
    });
    let mut line = Line::ready(&upstream.url());
    let begun = std::time::Instant::now();
    line.send(call(1, "any", "{}"));
    line.recv_id("1").result();
    // Eight times within a floor that grows to half a second.
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    line.finish();
}
