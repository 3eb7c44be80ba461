//! What goes over the wire beside the messages: the user's header fields, how names are spelled,
//! packed bodies, cookies.

use std::fs;
use std::path::PathBuf;

use crate::support::{Line, Reply, Upstream, after_handshake, call, handshake, request};

#[test]
fn the_users_header_fields_win_on_every_request() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
    let mut line = Line::to(&upstream.url())
        .arg("--header")
        .arg("Content-Type: application/json; charset=utf-8")
        .arg("--header")
        .arg("accept: */*")
        .arg("--header")
        .arg("Host: other.test")
        .ready();
    line.send(call(1, "write", "{}"));
    assert_eq!(line.recv().raw_result(), "{}");
    line.finish_with_nothing_left();
    for request in upstream.requests() {
        let sent = |name| request.header(name);
        assert_eq!(sent("content-type"), Some("application/json; charset=utf-8"), "{request:?}");
        assert_eq!((sent("accept"), sent("host")), (Some("*/*"), Some("other.test")));
    }
}

#[test]
fn header_fields_that_only_we_can_know_are_refused_at_the_start() {
    for name in
        ["Content-Length", "transfer-encoding", "Connection", "Mcp-Session-Id", "Upgrade", "TE"]
    {
        let line = Line::to("http://127.0.0.1:9/mcp").args(&format!("--header {name}:5")).spawn();
        let ended = line.wait();
        assert_eq!(ended.status.code(), Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("`{}`", name.to_lowercase())), "{}", ended.stderr);
    }
}

#[test]
fn the_names_of_header_fields_have_their_usual_spelling() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "initialize" | "notifications/initialized" => handshake(exchange, Some("S1")),
        "GET" | "DELETE" => exchange.status(405),
        _ => exchange.result("{}"),
    });
    let mut line = Line::to(&upstream.url()).args("--header x-own:1").ready();
    line.send(request(1, "any", "{}"));
    line.recv_id("1");
    let sent = format!("{:?}", upstream.nth("any", 1));
    for name in ["Content-Type", "Content-Length", "Accept", "Host", "Mcp-Session-Id", "X-Own"] {
        assert!(sent.contains(&format!("{name:?}")), "{name} in {sent}");
    }
    line.finish_with_nothing_left();
}

fn packed(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/hostile/packed");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn codings_are_read_whatever_their_spelling_and_streams_are_asked_for_without() {
    let zlib = packed("answer.zlib");
    let rows = [
        ("GZIP", packed("answer.gz")),
        ("x-gzip", packed("answer.gz")),
        ("Deflate", zlib.clone()),
        ("deflate", zlib[2..zlib.len() - 4].to_vec()),
    ];
    for (coding, body) in rows {
        let upstream = Upstream::serve(after_handshake(move |exchange| {
            exchange.send(&Reply::json(body.clone()).header("Content-Encoding", coding))
        }));
        let mut line = Line::ready(&upstream.url());
        line.send(call(r#""packed""#, "write", "{}"));
        assert_eq!(line.recv().raw_result(), r#"{"done":1.0}"#, "{coding}");
        let asked = upstream.nth("tools/call", 1);
        assert_eq!(asked.header("accept-encoding"), Some("gzip"));
        assert_eq!(upstream.nth("GET", 1).header("accept-encoding"), Some("identity"));
        line.finish_with_nothing_left();
    }
}

/// A load balancer with two nodes, each with sessions of its own: what has no cookie goes to the
/// node whose turn it is.
#[test]
fn a_sticky_load_balancer_gets_its_cookie_back() {
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| {
        let turn = turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let cookie = exchange.request.header("cookie").unwrap_or_default().to_owned();
        let node = match cookie.split_once("LB=node-") {
            Some((_, node)) => node.to_owned(),
            None => ["a", "b"][turn % 2].to_owned(),
        };
        let session = exchange.request.header("mcp-session-id").map(str::to_owned);
        let with_cookie =
            |reply: Reply| reply.header("Set-Cookie", format!("LB=node-{node}; Path=/; HttpOnly"));
        let reply = match exchange.name().as_str() {
            "initialize" => {
                let version = exchange.rpc().value["params"]["protocolVersion"].clone();
                let result = crate::support::initialize_result(version.as_str().unwrap());
                let text = exchange.result_text(&result);
                Reply::json(text).header("Mcp-Session-Id", format!("session-{node}"))
            }
            _ if session != Some(format!("session-{node}")) => Reply::status(404),
            "GET" | "DELETE" => Reply::status(405),
            "notifications/initialized" => Reply::status(202),
            _ => Reply::json(exchange.result_text("{}")),
        };
        exchange.send(&with_cookie(reply))
    });
    let mut line = Line::to(&upstream.url()).args("--header Cookie:own=1").ready();
    for id in 1..=5 {
        line.send(call(id, "write", "{}"));
        assert_eq!(line.recv_id(&id.to_string()).raw_result(), "{}");
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("initialize"), 1);
    let sent = upstream.nth("tools/call", 1);
    assert_eq!(sent.header("cookie"), Some("own=1; LB=node-a"));
}

/// A laptop that slept: the answer is there when the process goes on, and so is the end of its time.
#[cfg(unix)]
#[test]
fn an_answer_that_has_arrived_goes_before_a_time_limit_that_has_run_out() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        exchange.pass("frozen")?;
        exchange.result("{}")
    }));
    let mut line = Line::to(&upstream.url()).args("--timeout 1").ready();
    line.send(call(1, "write", "{}"));
    upstream.wait_at("frozen", 1);
    line.signal("STOP");
    upstream.open("frozen");
    // The time limit is of the process's own clock, which goes on.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    line.signal("CONT");
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.finish_with_nothing_left();
}
