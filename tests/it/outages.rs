//! What an outage costs: one warning, and no words of our own.

use crate::support::{Exchange, Line, Upstream, after_handshake, call, handshake};

#[test]
fn one_outage_is_one_warning() {
    let dead = Upstream::absent(|exchange: &mut Exchange<'_>| exchange.close());
    let mut line = Line::to(&dead.url()).args("--start-timeout 0.2 --retry-for 1").spawn();
    line.handshake();
    for id in 0..100 {
        line.send(call(id, "any", "{}"));
    }
    for id in 0..100 {
        line.recv_id(&id.to_string()).failure(-33001);
    }
    line.close_stdin();
    let ended = line.wait();
    assert_eq!(ended.stderr.matches("WARN").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("connection refused"), "{}", ended.stderr);
}

#[test]
fn an_address_that_refuses_is_one_warning() {
    for status in [401, 404, 500] {
        let upstream = Upstream::serve(move |exchange| exchange.status(status));
        let mut line = Line::to(&upstream.url()).args("--retry-for 1").spawn();
        line.handshake();
        for id in 0..20 {
            line.send(call(id, "any", "{}"));
        }
        for id in 0..20 {
            line.recv_id(&id.to_string()).error_code();
        }
        line.close_stdin();
        let ended = line.wait();
        assert_eq!(ended.stderr.matches("WARN").count(), 1, "{status}: {}", ended.stderr);
    }
}

#[test]
fn a_restart_is_one_warning_at_most() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
    let mut line = Line::ready(&upstream.url());
    for round in 0..2 {
        upstream.stop();
        for id in 0..5 {
            line.send(call(round * 10 + id, "any", "{}"));
        }
        upstream.start();
        for id in 0..5 {
            line.recv_id(&(round * 10 + id).to_string()).result();
        }
    }
    line.close_stdin();
    let ended = line.wait();
    assert!(ended.stderr.matches("WARN").count() <= 2, "{}", ended.stderr);
}

/// A server that sets another cookie with every answer does not push the configured secrets out.
#[test]
fn changing_cookies_displace_no_secret() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let cookie = format!("visit=cookie-value-{number}; Path=/");
        match exchange.name().as_str() {
            "initialize" => handshake(exchange, Some("session-id-of-ours")),
            "notifications/initialized" => exchange.accepted(),
            "GET" => exchange.status(405),
            "DELETE" => exchange.status(204),
            _ => {
                let sent = exchange.request.header("cookie").unwrap_or_default().to_owned();
                let said = format!("s3cret-token session-id-of-ours {sent}");
                let reply = crate::support::Reply::status(418);
                exchange.send(&reply.header("Set-Cookie", cookie).body("text/plain", said))
            }
        }
    });
    let mut line = Line::to(&upstream.url()).env("MCPLINE_BEARER", "s3cret-token").ready();
    for id in 0..300 {
        line.send(call(id, "any", "{}"));
        let reply = line.recv_id(&id.to_string());
        for secret in ["s3cret", "session-id-of-ours", "cookie-value"] {
            assert!(!reply.text.contains(secret), "{id}: {reply}");
        }
    }
    drop(line.finish());
}
