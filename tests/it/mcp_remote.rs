//! Command lines of `mcp-remote` work as they are.

use crate::support::{Line, Upstream, after_handshake, call};

fn server() -> Upstream {
    Upstream::serve(after_handshake(|exchange| exchange.result(r#"{"content":[]}"#)))
}

#[test]
fn its_options_do_what_they_did() {
    let server = server();
    let in_front = ["", "mcp-remote", "-y mcp-remote@latest", "npx -y mcp-remote"];
    for (at, in_front) in in_front.into_iter().enumerate() {
        let mut line = Line::run(in_front)
            .arg(server.url())
            .args("--header X-Tenant:${TENANT} --transport http-first --allow-http --enable-proxy")
            .env("TENANT", "acme")
            .ready();
        line.send(call(1, "x", "{}"));
        line.recv_id("1").result();
        line.close_stdin();
        let ended = line.wait();
        assert!(ended.status.success());
        assert_eq!(ended.stderr, "", "{in_front}");
        assert_eq!(server.nth("initialize", at + 1).header("x-tenant"), Some("acme"), "{in_front}");
    }
}

#[test]
fn what_it_cannot_do_is_said_once() {
    let server = server();
    let mut line = Line::run("mcp-remote")
        .arg(server.url())
        .args("3334 --host 127.0.0.1 --auth-timeout 60 --ignore-tool delete* --ignore-tool drop*")
        .arg("--static-oauth-client-info")
        .arg(r#"{"client_id":"x","client_secret":"hunter"}"#)
        .ready();
    line.send(call(1, "x", "{}"));
    line.recv_id("1").result();
    line.close_stdin();
    let log = line.wait().stderr;
    for what in
        ["the port 3334", "--host", "--auth-timeout", "--ignore-tool", "--static-oauth-client-info"]
    {
        assert_eq!(log.matches(what).count(), 1, "{what}: {log}");
    }
    assert_eq!(log.matches("WARN").count(), 2, "{log}");
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn debug_is_a_level_of_the_log() {
    let server = server();
    let mut line = Line::to(&server.url()).args("--silent --debug").ready();
    line.close_stdin();
    let log = line.wait().stderr;
    assert!(log.contains("DEBUG"), "{log}");
}
