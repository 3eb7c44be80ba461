//! Nothing of ours goes to another origin: not by a redirect, not by an `endpoint`.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use super::RESULT;
use crate::support::board::Board;
use crate::support::{
    AnswerIn, INITIALIZE, Line, Message, Reply, Upstream, after_handshake, call, handshake,
    notification,
};

const CREDENTIALS: &str = "--header Authorization:Bearer-s3cret --header X-API-Key:s3cret \
                           --header Cookie:s=s3cret --retry-for 0.3";

/// Another server, which notes every connection.
struct Elsewhere {
    port: u16,
    visits: Arc<Board<usize>>,
}

impl Elsewhere {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(Board::new(0));
        let count = Arc::clone(&visits);
        thread::spawn(move || {
            for _ in listener.incoming() {
                count.update(|count| *count += 1);
            }
        });
        Self { port, visits }
    }

    /// Ways to name it, from a server at this port.
    fn names(&self, own: u16) -> Vec<String> {
        let port = self.port;
        vec![
            format!("http://127.0.0.1:{port}/mcp"),
            format!("http://localhost:{port}/mcp"),
            format!("//127.0.0.1:{port}/mcp"),
            format!("\\\\127.0.0.1:{port}\\mcp"),
            format!("/\\127.0.0.1:{port}/mcp"),
            format!("https://127.0.0.1:{port}/mcp"),
            format!("http://127.0.0.1:{own}@127.0.0.1:{port}/mcp"),
            format!("http://user:pass@127.0.0.1:{port}/mcp"),
            format!("ht\ttp://127.0.0.1:{port}/mcp"),
            // The same machine by another name or scheme is another origin too.
            format!("http://localhost:{own}/mcp"),
            format!("https://127.0.0.1:{own}/mcp"),
        ]
    }
}

/// Every request is redirected to another origin, by each method and with each status.
#[test]
fn a_redirect_to_another_origin_is_never_followed() {
    let elsewhere = Elsewhere::new();
    let target = Arc::new(Board::new((0, String::new())));
    let told = Arc::clone(&target);
    let upstream = Upstream::serve(move |exchange| {
        let (status, target) = told.read(Clone::clone);
        match exchange.name().as_str() {
            "initialize" => handshake(exchange, Some("s1")),
            "ping" => exchange.result("{}"),
            _ => exchange.send(&Reply::status(status).header("Location", target)),
        }
    });
    let own = upstream.authority().rsplit_once(':').unwrap().1.parse().unwrap();
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        target.update(|target| *target = (status, elsewhere.names(own)[0].clone()));
        let mut line = Line::to(&upstream.url()).args(CREDENTIALS).ready();
        for (id, name) in elsewhere.names(own).into_iter().enumerate() {
            target.update(|target| *target = (status, name.clone()));
            let before = upstream.requests().len();
            line.send(notification("notifications/roots/list_changed", "{}"));
            line.send(call(id, "write", "{}"));
            let reply = line.recv_id(&id.to_string());
            let data = reply.failure(-33003);
            assert_eq!(data["httpStatus"], status, "{name}: {reply}");
            assert!(!reply.text.contains("s3cret") && !reply.text.contains("pass@"), "{reply}");
            let sent = upstream.requests().split_off(before);
            let calls = sent.iter().filter(|request| request.name() == "tools/call");
            assert_eq!(calls.count(), 1, "{status} to {name} was followed");
        }
        // The end of the session is asked for, and redirected, as well.
        line.finish_with_nothing_left();
    }
    assert_eq!(elsewhere.visits.read(|visits| *visits), 0);
    assert!(upstream.count("GET") > 0 && upstream.count("DELETE") > 0);
}

#[test]
fn a_start_that_is_redirected_to_another_origin_is_an_error_that_names_it() {
    let elsewhere = Elsewhere::new();
    for status in [301, 302, 303, 307, 308] {
        let target = format!("http://127.0.0.1:{}/mcp", elsewhere.port);
        let location = target.clone();
        let upstream = Upstream::serve(move |exchange| {
            exchange.send(&Reply::status(status).header("Location", location.clone()))
        });
        for kind in ["auto", "mcp", "sse"] {
            let mut line = Line::to(&upstream.url())
                .args(CREDENTIALS)
                .args(&format!("--kind {kind} --start-timeout 600"))
                .spawn();
            line.send(INITIALIZE);
            let reply = line.recv();
            assert_eq!(reply.failure(-33003)["httpStatus"], status, "{reply}");
            assert!(reply.error_text().contains(&target), "{reply}");
            line.finish_with_nothing_left();
        }
    }
    assert_eq!(elsewhere.visits.read(|visits| *visits), 0);
}

/// The same origin, but every second step is elsewhere.
#[test]
fn a_redirect_by_way_of_the_same_origin_does_not_lead_elsewhere() {
    let elsewhere = Elsewhere::new();
    let target = format!("http://127.0.0.1:{}/mcp", elsewhere.port);
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        let there = if exchange.request.path == "/mcp" { "/moved" } else { &target };
        exchange.send(&Reply::status(307).header("Location", there))
    }));
    let mut line = Line::to(&upstream.url()).args(CREDENTIALS).ready();
    line.send(call(1, "write", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.failure(-33003)["httpStatus"], 307);
    line.finish_with_nothing_left();
    assert_eq!(elsewhere.visits.read(|visits| *visits), 0);
}

#[test]
fn a_redirect_that_leads_nowhere_is_an_error() {
    for location in
        ["", "http://", "http://[::1", "//", "file:///etc/passwd", "javascript:0", "\u{1}"]
    {
        let upstream = Upstream::serve(after_handshake(move |exchange| {
            if exchange.request.path != "/mcp" {
                return exchange.result(RESULT);
            }
            exchange.send(&Reply::status(307).header("Location", location))
        }));
        let mut line = Line::to(&upstream.url()).args("--retry-for 0.3").ready();
        line.send(call(1, "write", "{}"));
        let reply = line.recv_id("1");
        assert!(reply.value.get("result").is_none(), "{location:?}: {reply}");
        reply.failure(reply.error_code());
        line.finish_with_nothing_left();
    }
}

#[test]
fn an_endpoint_of_another_origin_is_never_used() {
    let elsewhere = Elsewhere::new();
    for name in elsewhere.names(elsewhere.port) {
        let upstream = Upstream::http_sse_with(&name, AnswerIn::Stream, 405);
        let mut line = Line::to(&upstream.url())
            .args(CREDENTIALS)
            .args("--kind sse --start-timeout 600")
            .spawn();
        line.send(INITIALIZE);
        let reply = line.recv();
        reply.failure(-33004);
        assert!(!reply.text.contains("pass@"), "{reply}");
        let rest = line.finish();
        assert!(rest.iter().all(Message::is_notification), "{rest:?}");
        assert!(upstream.posted().is_empty(), "{name}");
    }
    assert_eq!(elsewhere.visits.read(|visits| *visits), 0);
}
