//! No call that was never sent is said to have run: every kind, and every way in which the session
//! that it waits for is not opened.

use crate::support::{Answered, Exchange, Line, Reply, Upstream, at_once, call};

type Fails = fn(&mut Exchange<'_>) -> Answered;

const PAGE: &str = "<html><h1>Welcome</h1></html>";

/// Every way of answering `initialize` that opens nothing.
const FAILURES: [(&str, Fails); 12] = [
    ("a page", |exchange| exchange.send(&Reply::status(200).body("text/html", PAGE))),
    ("nothing", |exchange| exchange.status(200)),
    ("a text", |exchange| exchange.send(&Reply::status(200).body("text/plain", "ok"))),
    ("cut JSON", |exchange| exchange.json(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolV"#)),
    ("another message", |exchange| exchange.json(r#"{"jsonrpc":"2.0","method":"x"}"#)),
    ("a cut body", |exchange| {
        exchange.raw_and_close("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"jsonrpc\"")
    }),
    ("an empty stream", |exchange| {
        exchange.raw_and_close("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    }),
    ("500", |exchange| exchange.status(500)),
    ("502", |exchange| exchange.status(502)),
    ("504", |exchange| exchange.status(504)),
    ("a closed connection", |exchange| exchange.close()),
    ("a reset connection", |exchange| exchange.raw_and_reset("")),
];

#[test]
fn a_call_that_was_never_sent_is_not_said_to_have_run() {
    let kinds = ["", "--kind mcp", "--kind sse", "--kind 1c", "--kind bitrix", "--kind amocrm"];
    at_once(kinds, |kind| {
        at_once(FAILURES, |(name, fails)| {
            let upstream = Upstream::serve(fails);
            let url = upstream.url_of("/base");
            let setup = Line::to(&url).args(kind).args("--retry-for 0.5 --start-timeout 0.5");
            let mut line = setup.spawn();
            line.send(call(1, "getDeals", "{}"));
            let reply = line.recv_id("1");
            let error = reply.error();
            assert!(error["data"].get("mayHaveRun").is_none(), "{kind} {name}: {reply}");
            assert!(!reply.error_text().contains("carried out"), "{kind} {name}: {reply}");
            line.finish();
            assert_eq!(upstream.count("tools/call"), 0, "{kind} {name}");
        });
    });
}
