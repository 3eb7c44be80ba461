//! Command lines of `mcp-remote` work as they are.

use crate::support::{Authority, Line, Rules, Upstream, after_handshake, call, sign_in_at};

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
        .args("--auth-success-url https://h/ok --ignore-tool delete* --ignore-tool drop*")
        .arg("--static-oauth-client-info")
        .arg(r#"{"client_name":"x","client_secret":"hunter"}"#)
        .ready();
    line.send(call(1, "x", "{}"));
    line.recv_id("1").result();
    line.close_stdin();
    let log = line.wait().stderr;
    for what in ["--auth-success-url", "--ignore-tool", "--static-oauth-client-info"] {
        assert_eq!(log.matches(what).count(), 1, "{what}: {log}");
    }
    assert_eq!(log.matches("WARN").count(), 2, "{log}");
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn its_way_to_sign_in_is_ours() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut line = Line::run("mcp-remote")
        .arg(authority.server.url())
        .args(&format!("{port} --auth-timeout 60 --authorize-param audience=it"))
        .arg("--static-oauth-client-info")
        .arg(r#"{"client_id":"by-hand","client_secret":"hunter"}"#)
        .arg("--static-oauth-client-metadata")
        .arg(r#"{"scope":"more"}"#)
        .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
        .ready();
    let url = crate::support::address(&mut line, 1);
    let redirect = format!("redirect_uri=http%3A%2F%2Flocalhost%3A{port}%2Foauth%2Fcallback");
    for part in ["client_id=by-hand", "scope=more", "audience=it", redirect.as_str()] {
        assert!(url.contains(part), "{part}: {url}");
    }
    sign_in_at(&url);
    line.recv_method("notifications/tools/list_changed");
    line.close_stdin();
    let ended = line.wait();
    assert!(!ended.stderr.contains("hunter") && !ended.stderr.contains("has no effect"));
    let requests = authority.issuer.requests();
    let token = requests.iter().find(|request| request.path == "/token").unwrap();
    assert!(token.header("authorization").unwrap().starts_with("Basic "));
}

#[test]
fn debug_is_a_level_of_the_log() {
    let server = server();
    let mut line = Line::to(&server.url()).args("--silent --debug").ready();
    line.close_stdin();
    let log = line.wait().stderr;
    assert!(log.contains("DEBUG"), "{log}");
}
