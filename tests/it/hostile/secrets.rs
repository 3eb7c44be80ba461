//! Secrets that an upstream says back are masked wherever they turn up: in errors, on stderr and in
//! the log file, with everything logged that can be.

use std::fs;

use super::wire::{Fate, Wire};
use crate::support::{Line, Reply, Upstream, after_handshake, call, request};

/// Each is given in another way, and none of them may be shown. The last two are the
/// passwords as they travel, with their user names in Base64.
const SECRETS: [&str; 11] = [
    "bearer-s3cret",
    "pass-s3cret",
    "key-s3cret",
    "envkey-s3cret",
    "file-s3cret",
    "cookie-s3cret",
    "query-s3cret",
    "proxy-s3cret",
    "plain-s3cret",
    "bWU6cGFzcy1zM2NyZXQ=",
    "bWU6cHJveHktczNjcmV0",
];

/// Repeats every secret that it could have got, in each place that an error quotes from.
fn indiscreet(status: u16) -> Upstream {
    let said = format!("you sent {}", SECRETS.join(" and "));
    Upstream::serve(after_handshake(move |exchange| {
        let said = said.clone();
        match exchange.name().as_str() {
            "in-a-body" => exchange.send(&Reply::status(status).body("text/plain", said)),
            "in-a-page" => exchange
                .send(&Reply::status(status).body("text/html", format!("<title>{said}</title>"))),
            "in-json" => exchange.send(
                &Reply::status(status)
                    .body("application/json", format!(r#"{{"message":"{said}"}}"#)),
            ),
            "in-a-redirect" => exchange.send(
                &Reply::status(302).header("Location", format!("/{}", said.replace(' ', "/"))),
            ),
            "in-a-challenge" => exchange.send(&Reply::status(401).header("WWW-Authenticate", said)),
            "in-a-type" => exchange.send(&Reply::status(200).body(&said, "x")),
            "in-an-answer" => exchange.json(said),
            "in-an-event" => {
                let mut events = exchange.events()?;
                events.message(said)?;
                events.end()
            }
            "in-an-id" => {
                exchange.json(format!(r#"{{"jsonrpc":"2.0","id":"{said}","result":{{}}}}"#))
            }
            "in-a-status" => {
                exchange.raw_and_close(format!("HTTP/1.1 500 {said}\r\nContent-Length: 0\r\n\r\n"))
            }
            "in-no-http" => exchange.raw_and_close(format!("{said}\r\n\r\n")),
            _ => exchange.result("{}"),
        }
    }))
}

const PLACES: [&str; 11] = [
    "in-a-body",
    "in-a-page",
    "in-json",
    "in-a-redirect",
    "in-a-challenge",
    "in-a-type",
    "in-an-answer",
    "in-an-event",
    "in-an-id",
    "in-a-status",
    "in-no-http",
];

#[test]
fn no_secret_is_seen_in_an_error_or_a_log_whatever_the_upstream_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let headers = file("headers", "X-File-Token: file-s3cret\nCookie: sid=cookie-s3cret\n");
    let upstream = indiscreet(500);
    // A proxy on the way, so that there is a proxy's password as well.
    let proxy = Wire::to(&upstream.authority());
    for login in ["bearer", "password"] {
        // Each has secrets of its own.
        let log = folder.path().join(login);
        let mut setup = Line::to("http://upstream.invalid/mcp?key=query-s3cret")
            .args("--log-level trace --retry-for 0.3 --header X-Api-Key:key-s3cret")
            .arg("--header-file")
            .arg(&headers)
            .args("--header X-Env-Key:${KEY}")
            .env("KEY", "envkey-s3cret")
            .args("--header X-Plain:${PLAIN}")
            .env("PLAIN", "plain-s3cret")
            .arg("--proxy")
            .arg(format!("http://me:proxy-s3cret@{}", proxy.authority()))
            .arg("--log-file")
            .arg(&log);
        setup = match login {
            "bearer" => setup.env("MCPLINE_BEARER", "bearer-s3cret"),
            _ => setup.args("--user me").env("MCPLINE_PASSWORD", "pass-s3cret"),
        };
        let mut line = setup.ready();
        let mut shown = String::new();
        for place in PLACES {
            line.send(request(format!("{place:?}"), place, "{}"));
            let reply = line.recv_id(&format!("{place:?}"));
            reply.failure(reply.error_code());
            shown += &reply.text;
        }
        // And what goes wrong below HTTP.
        proxy.close_idle();
        proxy.next(Fate::Close);
        line.send(call(1, "write", "{}"));
        shown += &line.recv_id("1").text;
        line.close_stdin();
        let ended = line.wait();
        assert!(ended.stderr.lines().count() > 100, "nothing is logged");
        shown += &ended.stderr;
        shown += &String::from_utf8_lossy(&fs::read(&log).unwrap());
        let is_ours = |secret: &&str| match *secret {
            "bearer-s3cret" => login == "bearer",
            "pass-s3cret" | "bWU6cGFzcy1zM2NyZXQ=" => login == "password",
            _ => true,
        };
        let seen = SECRETS.into_iter().filter(is_ours).filter_map(|secret| {
            shown.lines().find(|line| line.contains(secret)).map(|line| (secret, line))
        });
        let seen: Vec<_> = seen.collect();
        assert!(seen.is_empty(), "{login}: {seen:#?}");
        // All that was to be hidden has really been sent.
        let sent = upstream.nth("in-a-body", 1);
        for name in ["x-api-key", "x-file-token", "cookie", "x-env-key", "x-plain", "authorization"]
        {
            assert!(sent.header(name).is_some(), "{name} was not sent");
        }
    }
}

/// A result belongs to the upstream; only our own words are masked.
#[test]
fn a_secret_in_a_result_passes_untouched() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        exchange.result(r#"{"token":"bearer-s3cret"}"#)
    }));
    let mut line = Line::to(&upstream.url()).env("MCPLINE_BEARER", "bearer-s3cret").ready();
    line.send(call(1, "write", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"token":"bearer-s3cret"}"#);
    line.finish_with_nothing_left();
}
