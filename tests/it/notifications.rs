//! A message without an id never gets an answer, although several upstreams send one.

use crate::support::{
    Answered, Exchange, Line, Reply, Upstream, after_handshake, call, notification,
};

/// Lets the upstream answer a notification like this while a call with id 1 is open; only the
/// call's own answer may be on stdout.
fn stays_silent(answer: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static) {
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        if exchange.rpc().is_request() {
            exchange.pass("call")?;
            exchange.result(r#"{"its":"own"}"#)
        } else {
            answer(exchange)
        }
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    upstream.wait_at("call", 1);
    line.send(notification("notifications/roots/list_changed", "{}"));
    upstream.nth("notifications/roots/list_changed", 1);
    line.expect_nothing();
    upstream.open("call");
    let reply = line.recv();
    assert_eq!(reply.raw_result(), r#"{"its":"own"}"#, "{reply}");
    // To the end, so that a line made of the answer would be on stdout by then.
    line.finish_with_nothing_left();
}

fn stays_silent_about(reply: Reply) {
    stays_silent(move |exchange| exchange.send(&reply));
}

const ERROR_ID_NULL: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Method not found"}}"#;

#[test]
fn an_error_with_id_null_is_not_passed_on() {
    stays_silent_about(Reply::json(ERROR_ID_NULL));
}

#[test]
fn an_error_without_an_id_is_not_passed_on() {
    stays_silent_about(Reply::json(
        r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"}}"#,
    ));
}

#[test]
fn an_error_with_the_id_of_a_request_is_not_taken_for_its_answer() {
    stays_silent_about(Reply::json(
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#,
    ));
}

#[test]
fn a_result_is_not_passed_on() {
    stays_silent_about(Reply::json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
}

#[test]
fn an_empty_or_meaningless_answer_is_not_passed_on() {
    for reply in [
        Reply::status(200),
        Reply::status(204),
        Reply::json("null"),
        Reply::json("{}"),
        Reply::json("not json"),
        Reply::status(200).body("text/html", "<html>Accepted</html>"),
    ] {
        stays_silent_about(reply);
    }
}

#[test]
fn a_refusal_is_not_passed_on() {
    for status in [400, 401, 403, 404, 405, 500, 502] {
        stays_silent_about(Reply::status(status).body("application/json", ERROR_ID_NULL));
        stays_silent_about(Reply::status(status).body("text/plain", "no"));
    }
}

#[test]
fn an_answer_over_sse_is_not_passed_on() {
    stays_silent(|exchange| {
        let mut events = exchange.events()?;
        events.message(ERROR_ID_NULL)?;
        events.message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)?;
        events.end()
    });
}

#[test]
fn a_broken_connection_is_not_passed_on() {
    stays_silent(|exchange| exchange.raw_and_close(""));
    stays_silent(|exchange| exchange.raw_and_reset(""));
    stays_silent(|exchange| {
        exchange.raw_and_close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
    });
}
