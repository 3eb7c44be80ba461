//! A process that is frozen for longer than its time limits, as on a laptop that sleeps.

use std::time::Duration;

use crate::field::{no_stream, with_sessions};
use crate::support::{Exchange, Line, Upstream, call, handshake};

/// A laptop that sleeps: the answer comes while the process is frozen, for longer than `--timeout`.
#[test]
fn what_has_arrived_goes_before_a_time_limit_that_has_run_out() {
    let frozen = |options: &str, upstream: &Upstream, url: &str, waiting: usize| {
        let mut line = Line::to(url).args("--timeout 2").args(options).ready();
        line.send(call(1, "any", "{}"));
        upstream.wait_at("answer", waiting);
        line.signal("STOP");
        upstream.open("answer");
        upstream.wait_at("answered", 1);
        std::thread::sleep(Duration::from_millis(2500));
        line.signal("CONT");
        assert_eq!(line.recv_id("1").raw_result(), r#"{"in":"time"}"#, "{url} {options}");
        upstream.open("answered");
        drop(line.finish());
    };
    let in_session = |exchange: &mut Exchange<'_>| {
        exchange.pass("answer")?;
        exchange.result(r#"{"in":"time"}"#)?;
        exchange.pass("answered")
    };
    for options in ["", "--max-time 2"] {
        let upstream = with_sessions(no_stream, move |exchange, _| in_session(exchange));
        frozen(options, &upstream, &upstream.url(), 1);
    }
    let resumed = with_sessions(
        move |exchange| {
            if exchange.request.header("last-event-id").is_none() {
                return no_stream(exchange);
            }
            exchange.pass("answer")?;
            let mut events = exchange.events()?;
            events.message(r#"{"jsonrpc":"2.0","id":1,"result":{"in":"time"}}"#)?;
            events.end()?;
            exchange.pass("answered")
        },
        |exchange, _| {
            let mut events = exchange.events()?;
            events.raw("id: 1\nretry: 100\ndata: \n\n")?;
            events.end()
        },
    );
    frozen("", &resumed, &resumed.url(), 1);
    let http_sse = Upstream::serve(move |exchange| {
        let life = exchange.life();
        match exchange.name().as_str() {
            "GET" => {
                let mut events = exchange.events()?;
                events.raw("event: endpoint\ndata: /messages\n\n")?;
                life.pass("answer")?;
                events.message(r#"{"jsonrpc":"2.0","id":1,"result":{"in":"time"}}"#)?;
                life.pass("answered")?;
                events.until_closed()
            }
            _ if exchange.request.path != "/messages" => exchange.status(405),
            "initialize" => handshake(exchange, None),
            "tools/call" => {
                exchange.accepted()?;
                life.pass("answer")
            }
            _ => exchange.accepted(),
        }
    });
    frozen("", &http_sse, &http_sse.url_of("/sse"), 2);
}
