//! Wrong answers: what is no answer is an error, what is one in spite of its looks is delivered.

use super::{
    Acted, Answered, Class, Exchange, Fault, Good, Happens, Reply, SomeError, Theirs, answer_of,
    fault, filled, replies, table,
};
use crate::support::{Line, Upstream, after_handshake, call};

const UNUSABLE: Class = Acted(-33004);

/// An answer of 200 with this body, in which `ANSWER` and `ID` are filled in.
fn body(name: &str, class: Class, template: &'static str) -> Fault {
    fault(name, class, move |exchange| {
        let body = filled(exchange, template);
        exchange.json(body)
    })
}

/// The same, for bytes that are no text.
fn bytes(name: &str, class: Class, bytes: &'static [u8]) -> Fault {
    replies(name, class, Reply::json(bytes))
}

/// An event stream of this, ended in good order.
fn stream(name: &str, class: Class, template: &'static str) -> Fault {
    fault(name, class, move |exchange| {
        let text = filled(exchange, template);
        let mut events = exchange.events()?;
        events.raw(text)?;
        events.end()
    })
}

/// An answer of this type and body, whatever they have to do with each other.
fn typed(content_type: &'static str, class: Class, template: &'static str) -> Fault {
    fault(format!("as {content_type:?}"), class, move |exchange| {
        let body = filled(exchange, template);
        exchange.send(&Reply::status(200).body(content_type, body))
    })
}

#[test]
fn a_json_body_is_an_answer_or_an_error() {
    let faults = vec![
        body("plain", Good, "ANSWER"),
        body("a byte order mark", Good, "\u{feff}ANSWER"),
        body("white space around", Good, " \r\n\t ANSWER \n\n"),
        body(
            "pretty",
            Good,
            "{\r\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": ID,\n  \"result\": {\n\t\"done\": 1.0\n  }\n}\n",
        ),
        body("in a batch", Good, "[ANSWER]"),
        body(
            "in a batch with another's",
            Good,
            r#"[{"jsonrpc":"2.0","id":"x","result":1},ANSWER]"#,
        ),
        body("no version", Good, r#"{"id":ID,"result":{"done":1.0}}"#),
        body("another version", Good, r#"{"jsonrpc":"1.0","id":ID,"result":{"done":1.0}}"#),
        body(
            "error null besides",
            Good,
            r#"{"jsonrpc":"2.0","id":ID,"result":{"done":1.0},"error":null}"#,
        ),
        body(
            "members that nobody knows",
            Good,
            r#"{"x":[{}],"jsonrpc":"2.0","id":ID,"result":{"done":1.0},"y":"\u0000"}"#,
        ),
        body("the id as text", Good, r#"{"jsonrpc":"2.0","id":"ID","result":{"done":1.0}}"#),
        body(
            "an error without an id",
            Theirs(7),
            r#"{"jsonrpc":"2.0","error":{"code":7,"message":"x"}}"#,
        ),
        body(
            "an error with id null",
            Theirs(7),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":7,"message":"x"}}"#,
        ),
        body("nothing", UNUSABLE, ""),
        body("white space", UNUSABLE, " \r\n "),
        body("cut off", UNUSABLE, r#"{"jsonrpc":"2.0","id":ID,"resu"#),
        body("text after it", UNUSABLE, "ANSWER trailing"),
        body("two documents", UNUSABLE, "ANSWER ANSWER"),
        body("two lines", UNUSABLE, "ANSWER\nANSWER"),
        body("another's id", UNUSABLE, r#"{"jsonrpc":"2.0","id":"another","result":{}}"#),
        body("an id that is an object", UNUSABLE, r#"{"jsonrpc":"2.0","id":{},"result":{}}"#),
        body("an id that is a list", UNUSABLE, r#"{"jsonrpc":"2.0","id":[ID],"result":{}}"#),
        body("an id that is true", UNUSABLE, r#"{"jsonrpc":"2.0","id":true,"result":{}}"#),
        body(
            "an error without a code",
            SomeError,
            r#"{"jsonrpc":"2.0","id":ID,"error":{"message":"x"}}"#,
        ),
        body("an error that is a text", SomeError, r#"{"jsonrpc":"2.0","id":ID,"error":"x"}"#),
        body(
            "an error with a code that is a text",
            SomeError,
            r#"{"jsonrpc":"2.0","id":ID,"error":{"code":"E7","message":"x"}}"#,
        ),
        body(
            "an error without a message",
            SomeError,
            r#"{"jsonrpc":"2.0","id":ID,"error":{"code":7}}"#,
        ),
        body("neither result nor error", UNUSABLE, r#"{"jsonrpc":"2.0","id":ID}"#),
        body("an empty object", UNUSABLE, "{}"),
        body("null", UNUSABLE, "null"),
        body("a number", UNUSABLE, "42"),
        body("a text", UNUSABLE, r#""ok""#),
        body("an empty batch", UNUSABLE, "[]"),
        body("a batch of numbers", UNUSABLE, "[1,2]"),
        body("a nested batch", UNUSABLE, "[[ANSWER]]"),
        body(
            "a raw control character",
            UNUSABLE,
            "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"\u{1}\"}",
        ),
        body(
            "a raw line break in a text",
            UNUSABLE,
            "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"a\nb\"}",
        ),
        body("single quotes", UNUSABLE, "{'jsonrpc':'2.0','id':ID,'result':{}}"),
        body("NaN", UNUSABLE, r#"{"jsonrpc":"2.0","id":ID,"result":NaN}"#),
        body("a trailing comma", UNUSABLE, r#"{"jsonrpc":"2.0","id":ID,"result":{},}"#),
        bytes("invalid UTF-8", UNUSABLE, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\xfe\"}"),
        bytes("UTF-16", UNUSABLE, b"\xff\xfe{\0\"\0i\0d\0\"\0:\x001\0}\0"),
        bytes("zeros", UNUSABLE, &[0; 64]),
    ];
    table("", Happens::Always, faults).prove();
}

/// No error says that both a result and an error came, and neither is lost.
#[test]
fn an_answer_with_both_a_result_and_an_error_is_one_reply() {
    let both =
        r#"{"jsonrpc":"2.0","id":ID,"result":{"done":1.0},"error":{"code":7,"message":"x"}}"#;
    let faults = vec![body("both", Theirs(7), both)];
    table("", Happens::Always, faults).prove();
}

#[test]
fn a_content_type_decides_only_how_the_body_is_read() {
    const PAGE: &str = "<!DOCTYPE html><title>Sign in</title><p>Welcome";
    let faults = vec![
        typed("application/json; charset=utf-8", Good, "ANSWER"),
        typed("APPLICATION/JSON", Good, "ANSWER"),
        typed("text/plain", Good, "ANSWER"),
        typed("text/html", Good, "ANSWER"),
        typed("", Good, "ANSWER"),
        typed("text/event-stream; charset=utf-8", Good, "data: ANSWER\n\n"),
        typed("Text/Event-Stream", Good, "data:ANSWER\n\n"),
        typed("text/html", UNUSABLE, PAGE),
        typed("application/json", UNUSABLE, PAGE),
        typed("application/octet-stream", UNUSABLE, "\u{0}\u{1}\u{2}"),
        typed("application/json", UNUSABLE, "data: ANSWER\n\n"),
        typed("text/event-stream", Good, "ANSWER"),
    ];
    table("--retry-for 0.5", Happens::Once, faults).prove();
}

#[test]
fn a_success_without_an_answer_is_none() {
    let faults = [200, 201, 202, 203, 204, 205, 206, 299]
        .map(|status| replies(format!("an empty {status}"), UNUSABLE, Reply::status(status)));
    table("", Happens::Always, faults.into()).prove();
}

#[test]
fn an_event_stream_is_read_however_it_is_written() {
    let faults = vec![
        stream("LF", Good, "data: ANSWER\n\n"),
        stream("CR", Good, "data: ANSWER\r\r"),
        stream("CRLF", Good, "data: ANSWER\r\n\r\n"),
        stream("mixed", Good, "event: message\rdata: ANSWER\r\n\n"),
        stream("a byte order mark", Good, "\u{feff}data: ANSWER\n\n"),
        stream("no space", Good, "data:ANSWER\n\n"),
        stream(
            "in two lines",
            Good,
            "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":ID,\"result\":{\"done\":1.0}}\n\n",
        ),
        stream("comments and unknown fields", Good, ": hi\n\nfoo: bar\n:\ndata: ANSWER\nid\n\n"),
        stream(
            "an unknown event before it",
            Good,
            "event: ping\ndata: {}\n\nevent: x\ndata: ANSWER\n\ndata: ANSWER\n\n",
        ),
        stream(
            "what follows it is nobody's",
            Good,
            "data: ANSWER\n\ndata: ANSWER\n\ndata: garbage\n\n",
        ),
        stream(
            "another's answer before it",
            Good,
            "data: {\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n\ndata: ANSWER\n\n",
        ),
        stream("garbage before it", Good, "data: garbage\n\ndata: ANSWER\n\n"),
        stream(
            "a notification before it",
            Good,
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/extra\"}\n\ndata: ANSWER\n\n",
        ),
        stream(
            "an error without an id",
            Theirs(7),
            "data: {\"jsonrpc\":\"2.0\",\"error\":{\"code\":7,\"message\":\"x\"}}\n\n",
        ),
        stream("garbage alone", UNUSABLE, "data: garbage\n\n"),
        stream("a page", UNUSABLE, "data: <html>\n\n"),
    ];
    // A notification may be answered over a stream too; nothing of it may reach the client.
    table("", Happens::Always, faults).with(&super::REQUESTS).prove();
}

/// Each of these is a stream that has ended without the answer, in one way or another.
#[test]
fn an_event_stream_without_the_answer_is_a_lost_answer() {
    let lost = super::Ambiguous(-33002);
    let faults = vec![
        stream("nothing but a comment", lost, ": hello\n\n"),
        stream("an event that is not ended", lost, "data: ANSWER\n"),
        stream("only an unknown event", lost, "event: answer\ndata: ANSWER\n\n"),
        stream(
            "only another's answer",
            lost,
            "data: {\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n\n",
        ),
        stream(
            "only a notification",
            lost,
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/extra\"}\n\n",
        ),
        stream("an event without data", lost, "event: message\n\n"),
    ];
    table("", Happens::Once, faults).with(&super::REQUESTS).prove();
}

/// Answers belong to the exchange that asked for them.
#[test]
fn an_answer_on_the_stream_of_another_request_is_not_delivered() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let mine = answer_of(exchange);
        if exchange.rpc().id() == "1" {
            exchange.pass("second")?;
            let mut events = exchange.events()?;
            events.raw(": nothing\n\n")?;
            return events.end();
        }
        let mut events = exchange.events()?;
        events.message(r#"{"jsonrpc":"2.0","id":1,"result":{"stolen":true}}"#)?;
        events.message(mine)?;
        events.end()
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "write", "{}"));
    upstream.wait_at("second", 1);
    line.send(call(2, "write", "{}"));
    let reply = line.recv();
    assert_eq!(reply.id(), "2", "{reply}");
    super::is_good(&reply);
    upstream.open("second");
    super::is_told(&line.recv_id("1"), -33002, true, 1);
    line.finish_with_nothing_left();
}

/// One byte at a time, so that every character and every field is split somewhere.
#[test]
fn an_answer_that_comes_byte_by_byte_is_read() {
    const SAID: &str = "Ответ 😀 \u{2028}";
    let events = fault("events", Good, |exchange| {
        let text = format!(": {SAID}\r\nevent: message\r\ndata: {}\r\n\r\n", answer_of(exchange));
        let mut events = exchange.events()?;
        for byte in text.as_bytes() {
            events.raw([*byte])?;
        }
        events.end()
    });
    let json = fault("JSON", Good, |exchange| {
        let text =
            filled(exchange, r#"{"jsonrpc":"2.0","id":ID,"said":"SAID","result":{"done":1.0}}"#);
        let text = text.replace("SAID", SAID);
        let head = Reply::status(200).header("Connection", "close").chunked_head();
        exchange.raw_and_close(head)?;
        for byte in text.as_bytes() {
            exchange.raw_and_close([b"1\r\n", [*byte].as_slice(), b"\r\n"].concat())?;
        }
        exchange.raw_and_close("0\r\n\r\n")
    });
    table("", Happens::Always, vec![events, json]).with(&super::REQUESTS).prove();
}

/// What the standard says a server may do to the head, and what it may not.
#[test]
fn a_head_is_read_as_far_as_it_is_one() {
    fn told(head: &'static str) -> impl Fn(&mut Exchange<'_>) -> Answered {
        move |exchange| {
            let body = answer_of(exchange);
            exchange.raw_and_close(head.replace("LENGTH", &body.len().to_string()) + &body)
        }
    }
    let broken = super::Ambiguous(-33002);
    let faults = vec![
        fault("HTTP/1.0", Good, told("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")),
        fault("no length", Good, told("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")),
        fault(
            "no reason",
            Good,
            told("HTTP/1.1 200\r\nContent-Length: LENGTH\r\nConnection: close\r\n\r\n"),
        ),
        fault(
            "100 first",
            Good,
            told(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nConnection: close\r\n\r\n",
            ),
        ),
        fault(
            "103 first",
            Good,
            told(
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nConnection: close\r\n\r\n",
            ),
        ),
        fault(
            "two lengths",
            broken,
            told("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: LENGTH\r\n\r\n"),
        ),
        fault(
            "a length that is none",
            broken,
            told("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        ),
        fault(
            "a chunk size that is none",
            broken,
            told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        ),
        fault("another protocol", broken, told("SSH-2.0-OpenSSH_9.9\r\n")),
        fault("a status that is none", broken, told("HTTP/1.1 2OO OK\r\n\r\n")),
        fault("no HTTP at all", broken, told("")),
    ];
    table("", Happens::Once, faults).with(&super::REQUESTS).prove();
}

/// A second answer behind the first, to a request that nobody has sent, answers none that comes.
#[test]
fn an_answer_that_comes_before_its_request_is_not_taken() {
    let faults = vec![fault("two answers", Good, |exchange| {
        let tell =
            |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let stolen = r#"{"jsonrpc":"2.0","error":{"code":7,"message":"stolen"}}"#;
        exchange.raw_and_close(tell(&answer_of(exchange)) + &tell(stolen))?;
        // The connection stays, for the next request to fall into the trap.
        exchange.pass("for ever")
    })];
    table("", Happens::Always, faults).with(&super::REQUESTS).prove();
}
