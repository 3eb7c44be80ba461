//! Which failures are tried again, for which messages, and for how long: the classification, row
//! by row.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{
    Acted, Ambiguous, Class, Fault, Final, Good, Happens, REQUESTS, RESULT, Rejected, SomeError,
    Theirs, cut, fault, filled, is_told, replies, table,
};
use crate::support::board::Board;
use crate::support::{
    Line, Reply, SOON, Upstream, after_handshake, at_once, call, handshake, notification,
};

const INTERRUPTED: Class = Ambiguous(-33002);
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn status(status: u16, class: Class) -> Fault {
    let reply = Reply::status(status).body("text/plain", "said the proxy");
    replies(format!("HTTP {status}"), class, reply)
}

/// A JSON-RPC error with the id of the request, in an answer with this status.
fn own_error(status: u16, class: Class) -> Fault {
    fault(format!("an error of its own in HTTP {status}"), class, move |exchange| {
        let body = filled(
            exchange,
            r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"no such thing"}}"#,
        );
        exchange.send(&Reply::status(status).body("application/json", body))
    })
}

/// The error of another service, which is not JSON-RPC: it has no code.
fn rest_error(status: u16, class: Class) -> Fault {
    let body = r#"{"error":{"message":"no such thing","type":"invalid_request"}}"#;
    let reply = Reply::status(status).body("application/json", body);
    replies(format!("an error of REST in HTTP {status}"), class, reply)
}

fn classification() -> Vec<Fault> {
    let mut faults = vec![
        replies("429", Rejected(-33010), Reply::status(429)),
        replies("429, at once", Rejected(-33010), Reply::status(429).header("Retry-After", "0")),
        status(503, Rejected(-33003)),
        own_error(503, Rejected(-33003)),
        status(502, Ambiguous(-33003)),
        status(504, Ambiguous(-33003)),
        own_error(502, Ambiguous(-33003)),
        fault("closed without a word", INTERRUPTED, |exchange| exchange.raw_and_close("")),
        fault("reset without a word", INTERRUPTED, |exchange| exchange.raw_and_reset("")),
        cut("closed in the head", INTERRUPTED, "HTTP/1.1 200 OK\r\nContent-"),
        cut("closed after the head", INTERRUPTED, format!("{HEAD}Content-Length: 9\r\n\r\n")),
        cut("half of a body", INTERRUPTED, format!("{HEAD}Content-Length: 9\r\n\r\n{{\"js")),
        cut(
            "half of a chunk",
            INTERRUPTED,
            format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\n{{"),
        ),
        cut(
            "no last chunk",
            INTERRUPTED,
            format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"),
        ),
        fault("reset in the body", INTERRUPTED, |exchange| {
            exchange.raw_and_reset(format!("{HEAD}Content-Length: 9\r\n\r\n{{"))
        }),
        fault("a whole answer, less its last byte", INTERRUPTED, |exchange| {
            let body = super::answer_of(exchange);
            let announced = body.len() + 1;
            exchange.raw_and_close(format!("{HEAD}Content-Length: {announced}\r\n\r\n{body}"))
        }),
        cut("an event stream that is cut", INTERRUPTED, EVENTS),
        cut(
            "an event stream that is cut in an event",
            INTERRUPTED,
            format!("{EVENTS}5\r\ndata:\r\n"),
        ),
        fault("an event stream that ends without the answer", INTERRUPTED, |exchange| {
            let mut events = exchange.events()?;
            events.raw(": hello\n\n")?;
            events.end()
        }),
        replies("an empty body", Acted(-33004), Reply::json("")),
        rest_error(200, SomeError),
        rest_error(400, Final(-33003)),
        rest_error(500, Acted(-33003)),
    ];
    for of_a_gateway in [425, 521, 522, 523, 525, 526, 529, 530] {
        faults.push(status(of_a_gateway, Rejected(-33003)));
    }
    for of_a_gateway in [408, 520, 524, 527, 577, 598, 599] {
        faults.push(status(of_a_gateway, Ambiguous(-33003)));
    }
    for refused in [400, 402, 404, 405, 406, 409, 410, 411, 413, 415, 418, 422, 501, 505] {
        faults.push(status(refused, Final(-33003)));
    }
    // It broke while it was at work.
    faults.push(status(500, Acted(-33003)));
    for refused in [401, 403, 407] {
        let code = if refused == 407 { -33003 } else { -33005 };
        faults.push(status(refused, Final(code)));
    }
    for refused in [200, 400, 404, 409, 410, 422, 500, 501] {
        faults.push(own_error(refused, Theirs(-32602)));
    }
    faults.push(own_error(403, Theirs(-32602)));
    faults.push(own_error(401, Final(-33005)));
    faults
}

#[test]
fn every_class_of_failure_is_treated_as_promised() {
    table("", Happens::Once, classification()).prove();
}

#[test]
fn what_fails_again_and_again_is_given_up_in_time_and_tells_how_often_it_was_tried() {
    let table = table("--retry-for 1", Happens::Always, classification());
    table.with(&REQUESTS).prove();
}

/// The same over the older transport, where the stream may still bring an answer that the POST has
/// lost: it is waited for as long as the upstream may be silent.
#[test]
fn every_class_of_failure_is_treated_as_promised_over_http_sse() {
    let faults = classification().into_iter().filter_map(|mut fault| {
        fault.class = match fault.class {
            INTERRUPTED => Ambiguous(-33006),
            // A success says only that the message was taken, and 404 that the stream is not known.
            Acted(-33004) => return None,
            _ if fault.name.ends_with("404") || fault.name.ends_with("410") => return None,
            class => class,
        };
        (!fault.name.contains("event stream")).then_some(fault)
    });
    let table = table("--kind sse --timeout 4", Happens::Once, faults.collect());
    table.over_sse().prove();
}

/// With `--no-retry` a failure of any class is final; only the words differ.
#[test]
fn nothing_is_tried_again_when_that_is_switched_off() {
    let faults = classification().into_iter().map(|mut fault| {
        fault.class = match fault.class {
            Rejected(code) => Final(code),
            Ambiguous(code) => Acted(code),
            class => class,
        };
        fault
    });
    table("--no-retry", Happens::Always, faults.collect()).prove();
}

/// An answer in events with ids that is cut goes on where it broke off: no second attempt.
#[test]
fn a_stream_with_event_ids_is_read_on_and_never_asked_for_again() {
    let asked = Arc::new(Board::new(0));
    let count = Arc::clone(&asked);
    let upstream = Upstream::serve(move |exchange| {
        if exchange.request.method == "GET" {
            return match exchange.request.header("last-event-id") {
                None => exchange.status(405),
                Some(id) => {
                    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{RESULT}}}"#);
                    let mut events = exchange.events()?;
                    events.message(text)?;
                    events.end()
                }
            };
        }
        if exchange.name() != "tools/call" {
            return handshake(exchange, None);
        }
        count.update(|count| *count += 1);
        let id = exchange.rpc().id().to_owned();
        let mut events = exchange.events()?;
        events.raw(format!("retry: 1\nid: {id}\ndata:\n\n"))?;
        events.cut()
    });
    let mut line = Line::ready(&upstream.url());
    for id in 1..=20 {
        line.send(call(id, "write", "{}"));
    }
    for id in 1..=20 {
        assert_eq!(line.recv_id(&id.to_string()).raw_result(), RESULT);
    }
    line.finish_with_nothing_left();
    assert_eq!(asked.read(|count| *count), 20);
}

/// Resuming counts as a retry: `--retry-for` bounds both together.
#[test]
fn a_stream_that_cannot_be_read_on_is_given_up_in_the_time_for_trying_again() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" if exchange.request.header("last-event-id").is_none() => exchange.status(405),
        "GET" => exchange.status(503),
        "tools/call" => {
            let mut events = exchange.events()?;
            events.raw("retry: 1\nid: 1\ndata:\n\n")?;
            events.cut()
        }
        _ => handshake(exchange, None),
    });
    let mut line = Line::to(&upstream.url()).args("--retry-for 0.5").ready();
    let calls = 8;
    for id in 0..calls {
        line.send(call(id, "write", "{}"));
    }
    for id in 0..calls {
        let reply = line.recv_id(&id.to_string());
        let data = reply.failure(-33002);
        assert_eq!(data["mayHaveRun"], true, "{reply}");
        assert!(data["elapsedMs"].as_u64() < Some(1500), "{reply}");
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), calls);
}

/// Answers the first call like this and the next one well; tells when each came.
fn asks_to_wait(retry_after: impl Fn() -> String + Send + Sync + 'static) -> (Upstream, Times) {
    let times = Times::new(Board::new(Vec::new()));
    let told = Arc::clone(&times);
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        let first = told.update(|times| {
            times.push(Instant::now());
            times.len() == 1
        });
        if !first {
            return exchange.result(RESULT);
        }
        exchange.send(&Reply::status(503).header("Retry-After", retry_after()))
    }));
    (upstream, times)
}

type Times = Arc<Board<Vec<Instant>>>;

#[test]
fn an_upstream_that_names_a_time_is_left_alone_until_then() {
    let seconds = || "1".to_owned();
    // A date has no fractions: a second before this one at the earliest.
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    at_once([asks_to_wait(seconds), asks_to_wait(date)], |(upstream, times)| {
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "write", "{}"));
        assert_eq!(line.recv_id("1").raw_result(), RESULT);
        line.finish_with_nothing_left();
        let times = times.read(Clone::clone);
        assert_eq!(times.len(), 2);
        // The clock that dates are told by may differ from the one that waits.
        assert!(times[1] - times[0] > Duration::from_millis(950), "{:?}", times[1] - times[0]);
    });
}

#[test]
fn a_stream_is_not_asked_for_again_before_the_time_that_the_upstream_names() {
    // The listening stream, and that of an answer that has broken off.
    at_once([false, true], |is_answer| {
        let times = Times::new(Board::new(Vec::new()));
        let told = Arc::clone(&times);
        let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
            "GET" if is_answer && exchange.request.header("last-event-id").is_none() => {
                exchange.status(405)
            }
            "GET" => {
                told.update(|times| times.push(Instant::now()));
                exchange.send(&Reply::status(503).header("Retry-After", "2"))
            }
            "tools/call" => {
                let mut events = exchange.events()?;
                events.raw("retry: 1\nid: 1\ndata:\n\n")?;
                events.cut()
            }
            _ => handshake(exchange, None),
        });
        let mut line = Line::ready(&upstream.url());
        if is_answer {
            line.send(call(1, "write", "{}"));
        }
        let times =
            times.wait("a second attempt", |times| (times.len() > 1).then(|| times.clone()));
        let waited = times[1] - times[0];
        assert!(waited > Duration::from_millis(1950), "is_answer {is_answer}: {waited:?}");
    });
}

#[test]
fn a_wait_beyond_the_time_of_the_request_is_not_begun() {
    for asked in ["3600", "Fri, 31 Dec 9999 23:59:59 GMT", "18446744073709551615"] {
        let (upstream, times) = asks_to_wait(|| asked.to_owned());
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "write", "{}"));
        is_told(&line.recv_id("1"), -33003, false, 1);
        line.finish_with_nothing_left();
        assert_eq!(times.read(Vec::len), 1, "{asked}");
    }
}

#[test]
fn a_wait_that_cannot_be_read_is_none() {
    for asked in ["", "soon", "-1", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let (upstream, _) = asks_to_wait(|| asked.to_owned());
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "write", "{}"));
        assert_eq!(line.recv_id("1").raw_result(), RESULT, "{asked}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn trying_again_is_told_in_the_log_with_its_reason() {
    let (upstream, _) = asks_to_wait(|| "0".to_owned());
    let mut line = Line::to(&upstream.url()).args("--log-level info").ready();
    line.send(call(1, "write", "{}"));
    line.recv_id("1");
    line.close_stdin();
    let stderr = line.wait().stderr;
    let told = stderr.lines().find(|line| line.contains("trying again"));
    assert!(told.is_some_and(|line| line.contains("503")), "{stderr}");
}

/// The time of one request ends its retries, even if `--retry-for` allows more.
#[test]
fn the_time_of_a_request_bounds_all_its_attempts() {
    // The time ends during the second wait that the upstream asks for, and not during an attempt.
    let later = Reply::status(503).header("Retry-After", "1");
    let upstream = Upstream::serve(after_handshake(move |exchange| exchange.send(&later)));
    let mut line = Line::to(&upstream.url()).args("--max-time 1.8 --retry-for 50").ready();
    let started = Instant::now();
    for (id, tool) in ["read", "write"].iter().enumerate() {
        line.send(call(id, tool, "{}"));
    }
    for id in ["0", "1"] {
        let reply = line.recv_id(id);
        let data = reply.failure(-33006);
        assert_ne!(data["mayHaveRun"], true, "{reply}");
        // The last failure is the reason.
        assert!(reply.error_text().contains("503"), "{reply}");
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    line.finish_with_nothing_left();
}

/// Nobody waits for the answer, so nothing is sent again.
#[test]
fn a_request_that_is_cancelled_between_two_attempts_is_not_sent_again() {
    let upstream = Upstream::serve(after_handshake(|exchange| match exchange.name().as_str() {
        "tools/call" => exchange.send(&Reply::status(503).header("Retry-After", "1")),
        name if name.starts_with("notifications/") => exchange.accepted(),
        _ => exchange.result(RESULT),
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "write", "{}"));
    upstream.nth("tools/call", 1);
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    line.expect_nothing();
    // A wait of the same length that begins later, as the clock.
    line.send(call(2, "write", "{}"));
    upstream.nth("tools/call", 3);
    line.send(notification("notifications/cancelled", r#"{"requestId":2}"#));
    line.finish_with_nothing_left();
    let requests = upstream.requests();
    let of_first = requests
        .iter()
        .filter(|request| request.name() == "tools/call" && request.rpc().id() == "1");
    assert_eq!(of_first.count(), 1);
}

/// The control row of the table: a good answer is good for every message.
#[test]
fn a_good_answer_is_asked_for_once() {
    let row = fault("good", Good, |exchange| {
        if exchange.rpc().is_notification() {
            return exchange.accepted();
        }
        let text = super::answer_of(exchange);
        exchange.json(text)
    });
    table("", Happens::Always, vec![row]).prove();
}
