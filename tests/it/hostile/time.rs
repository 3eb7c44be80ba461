//! Upstreams that hang, or speak so slowly that it comes to the same.

use std::time::Duration;

use super::{
    Acted, Ambiguous, Answered, Exchange, Fault, Good, Happens, REQUESTS, answer_of, fault, table,
};
use crate::support::{Line, Upstream, after_handshake, call, handshake, notification};

/// The pace of upstreams that speak slowly: often enough to be alive within every `--timeout` here.
const PACE: Duration = Duration::from_millis(60);

/// Writes this and then nothing, while the connection stays.
fn silent_after(name: &str, bytes: &'static str) -> Fault {
    fault(name, Ambiguous(-33006), move |exchange| {
        exchange.raw_and_close(bytes)?;
        exchange.pass("for ever")
    })
}

#[test]
fn an_upstream_that_falls_silent_is_given_up_and_what_is_safe_is_tried_again() {
    const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let faults = vec![
        silent_after("before the head", ""),
        silent_after("in the head", "HTTP/1.1 200 OK\r\nContent-Ty"),
        silent_after(
            "after the head",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
        ),
        silent_after(
            "in the body",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"j",
        ),
        silent_after(
            "before the first event",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        ),
        silent_after(
            "in an event",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"jsonrpc\":",
        ),
        silent_after(
            "after a comment",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n",
        ),
        silent_after("after 100", "HTTP/1.1 100 Continue\r\n\r\n"),
        fault("a head without an end", Ambiguous(-33006), |exchange| {
            exchange.raw_and_close(JSON)?;
            drip(exchange, "X: y\r\n")
        }),
    ];
    table("--timeout 2", Happens::Once, faults).with(&REQUESTS).prove();
}

/// A refusal counts even if its body never ends.
#[test]
fn a_refusal_counts_without_the_end_of_its_body() {
    let faults = vec![fault("500 that falls silent", Acted(-33003), |exchange| {
        exchange.raw_and_close("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nno b")?;
        exchange.pass("for ever")
    })];
    table("--timeout 1", Happens::Always, faults).with(&REQUESTS).prove();
}

#[test]
fn an_upstream_that_speaks_slowly_is_alive() {
    let json = fault("a body", Good, |exchange| {
        let text = answer_of(exchange);
        let length = text.len();
        exchange.raw_and_close(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        in_drops(exchange, &text)
    });
    let events = fault("events", Good, |exchange| {
        let text = format!("data: {}\n\n", answer_of(exchange));
        exchange.raw_and_close("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        in_drops(exchange, &text)
    });
    let comments = fault("comments", Good, |exchange| {
        let text = answer_of(exchange);
        let mut events = exchange.events()?;
        for _ in 0..60 {
            std::thread::sleep(PACE);
            events.raw(": wait\n")?;
        }
        events.message(text)?;
        events.end()
    });
    // Longer than the time that it may be silent.
    let table = table("--timeout 3", Happens::Always, vec![json, events, comments]);
    table.with(&REQUESTS).prove();
}

/// `--timeout` asks for a sign of life; only `--max-time` ends what lives and never answers.
#[test]
fn an_upstream_that_speaks_without_end_is_stopped_by_the_time_of_the_request() {
    const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let endless = |name: &str, head: &'static str, drop: &'static str| {
        fault(name, Acted(-33006), move |exchange| {
            exchange.raw_and_close(head)?;
            drip(exchange, drop)
        })
    };
    let faults = vec![
        endless("comments", EVENTS, ": wait\n\n"),
        endless("a comment", EVENTS, ":"),
        endless("events without data", EVENTS, "event: ping\n\n"),
        endless("unknown events", EVENTS, "event: ping\ndata: {}\n\n"),
        endless(
            "notifications",
            EVENTS,
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/extra\"}\n\n",
        ),
        endless("white space", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", " "),
        endless("a refusal", "HTTP/1.1 500 Oh\r\n\r\n", "no "),
        endless("100 and again", "", "HTTP/1.1 100 Continue\r\n\r\n"),
    ];
    let table = table("--timeout 50 --max-time 1.5", Happens::Always, faults);
    table.with(&REQUESTS).prove();
}

/// A listening stream may be silent.
#[test]
fn a_listening_stream_may_be_silent_for_longer_than_any_call() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" => {
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.raw(": listening\n\n")?;
            life.pass("news")?;
            events.message(r#"{"jsonrpc":"2.0","method":"notifications/news"}"#)?;
            life.pass("for ever")?;
            events.cut()
        }
        "tools/call" => {
            let text = answer_of(exchange);
            let mut events = exchange.events()?;
            for _ in 0..50 {
                std::thread::sleep(PACE);
                events.raw(": wait\n")?;
            }
            events.message(text)?;
            events.end()
        }
        _ => handshake(exchange, None),
    });
    let mut line = Line::to(&upstream.url()).args("--timeout 2").ready();
    upstream.wait_at("news", 1);
    line.send(call(1, "any", "{}"));
    line.recv_id("1").result();
    upstream.open("news");
    line.recv_method("notifications/news");
    assert_eq!(upstream.count("GET"), 1);
    line.finish_with_nothing_left();
}

/// Notifications wait for each other, so one that is never taken must not hold up the rest for
/// ever; requests do not wait for it at all.
#[test]
fn an_upstream_that_never_takes_a_notification_holds_up_no_request() {
    let upstream = Upstream::serve(after_handshake(|exchange| match exchange.name().as_str() {
        "notifications/stuck" => exchange.pass("for ever"),
        "notifications/next" => exchange.accepted(),
        _ => exchange.result("{}"),
    }));
    let mut line = Line::to(&upstream.url()).args("--timeout 1").ready();
    line.send(notification("notifications/stuck", "{}"));
    line.send(notification("notifications/next", "{}"));
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv().id(), "1");
    upstream.nth("notifications/next", 1);
    line.finish_with_nothing_left();
}

/// Repeats this for as long as anybody reads it.
fn drip(exchange: &mut Exchange<'_>, text: &str) -> Answered {
    loop {
        std::thread::sleep(PACE);
        exchange.raw_and_close(text)?;
    }
}

/// Writes this byte by byte.
fn in_drops(exchange: &mut Exchange<'_>, text: &str) -> Answered {
    for byte in text.as_bytes() {
        std::thread::sleep(PACE);
        exchange.raw_and_close([*byte])?;
    }
    Ok(())
}

/// What a reply to a hanging call must tell, in whose words and with what advice.
#[test]
fn a_timeout_names_its_option() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.pass("for ever")));
    for option in ["--timeout", "--max-time"] {
        let mut line = Line::to(&upstream.url()).args(&format!("{option} 0.3")).ready();
        line.send(call(1, "any", "{}"));
        let reply = line.recv_id("1");
        reply.failure(-33006);
        assert!(reply.error_text().contains(option), "{reply}");
        assert!(reply.error_text().contains("0.3 s"), "{reply}");
    }
}
