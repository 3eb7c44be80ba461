//! Floods: more than the limits allow.

use super::{Acted, Fault, Happens, REQUESTS, fault, filled, table};
use crate::support::{Line, Upstream, after_handshake, call, request};

/// Comments are no messages, and cost no memory however many there are.
#[cfg(target_os = "linux")]
#[test]
fn a_flood_of_comments_costs_no_memory() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let text = exchange.result_text("{}");
        let mut events = exchange.events()?;
        let comments = format!(": {}\n", "nothing ".repeat(16)).repeat(1000);
        for _ in 0..300 {
            events.raw(&comments)?;
        }
        events.message(text)?;
        events.end()
    }));
    let mut line = Line::to(&upstream.url()).args("--max-message 1MiB").ready();
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    let peak = line.peak_memory();
    assert!(peak < 30 * 1024, "{peak} kB");
    line.finish_with_nothing_left();
}

/// Each of these goes on for ever, or could.
#[test]
fn what_exceeds_the_limit_is_stopped_there() {
    fn endless(name: &str, head: &'static str, again: &'static str) -> Fault {
        fault(name, Acted(-33009), move |exchange| {
            exchange.raw_and_close(head)?;
            let bytes = again.repeat(1000);
            loop {
                exchange.raw_and_close(&bytes)?;
            }
        })
    }
    const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let faults = vec![
        endless("a body", "HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"", "x"),
        endless("white space", "HTTP/1.1 200 OK\r\n\r\n", " "),
        endless("a long line", EVENTS, "data"),
        endless("a long comment", EVENTS, ":"),
        endless("an event of many lines", EVENTS, "data: x\n"),
        endless("an event of empty lines", EVENTS, "data\n"),
        fault("an announced length", Acted(-33009), |exchange| {
            let pad = "x".repeat(100_000);
            let body = filled(exchange, r#"{"jsonrpc":"2.0","id":ID,"result":{"pad":"PAD"}}"#);
            exchange.json(body.replace("PAD", &pad))
        }),
    ];
    table("--max-message 64KiB --timeout 5", Happens::Always, faults).with(&REQUESTS).prove();
}

/// The head has limits as well.
#[test]
fn a_head_without_an_end_is_stopped() {
    let faults = vec![fault("headers", super::Ambiguous(-33002), |exchange| {
        exchange.raw_and_close("HTTP/1.1 200 OK\r\n")?;
        let fields = "X-Pad: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(1000);
        loop {
            exchange.raw_and_close(&fields)?;
        }
    })];
    table("--timeout 5", Happens::Once, faults).with(&REQUESTS).prove();
}

/// A page of a gigabyte is quoted, not read.
#[test]
fn a_refusal_without_an_end_is_not_read_to_its_end() {
    let faults = vec![fault("500", Acted(-33003), |exchange| {
        exchange.raw_and_close("HTTP/1.1 500 Oh\r\n\r\n")?;
        let page = "<p>no</p>".repeat(1000);
        loop {
            exchange.raw_and_close(&page)?;
        }
    })];
    table("--timeout 5", Happens::Always, faults).prove();
}

/// A line of the client over the limit is refused, and the next one works.
#[test]
fn a_line_over_the_limit_harms_only_itself() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
    let mut line = Line::to(&upstream.url()).args("--max-message 64KiB").ready();
    for id in 1..=3 {
        let pad = "x".repeat(100_000);
        line.send(call(id, "any", &format!(r#"{{"pad":"{pad}"}}"#)));
        let reply = line.recv_id(&id.to_string());
        assert_eq!(reply.error_code(), -33009, "{reply}");
        line.send(request(r#""next""#, "tools/list", "{}"));
        assert_eq!(line.recv_id(r#""next""#).raw_result(), "{}");
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 0);
}
