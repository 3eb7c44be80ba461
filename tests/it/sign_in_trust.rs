//! Whom a sign-in trusts with what, and what it shows.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Authority, INITIALIZE, Line, Reply, Rules, address, at_once, call, get, line_to, request,
    serve_tls, sign_in_at,
};

/// What a server that leads astray is answered with, and that nothing of it is used.
#[test]
fn a_server_that_cannot_be_trusted_gets_no_token_request() {
    let rows: [(Rules, &str); 8] = [
        (
            Rules { moved: Some("https://evil.example/metadata"), ..Rules::default() },
            "leads to https://evil.example/metadata",
        ),
        (
            Rules { iss: Some("https://evil.example"), ..Rules::default() },
            "another authorization server",
        ),
        (
            Rules { server: |it| it["issuer"] = "https://evil.example".into(), ..Rules::default() },
            "another issuer",
        ),
        (
            Rules {
                server: |it| it["authorization_endpoint"] = "javascript:alert(1)".into(),
                ..Rules::default()
            },
            "not an https:// address",
        ),
        (
            Rules {
                server: |it| it["token_endpoint"] = "http://evil.example/token".into(),
                ..Rules::default()
            },
            "not encrypted",
        ),
        (
            Rules { server: |it| it["token_endpoint"] = Value::Null, ..Rules::default() },
            "publishes no metadata",
        ),
        (
            Rules {
                server: |it| {
                    it.as_object_mut().unwrap().remove("code_challenge_methods_supported");
                },
                ..Rules::default()
            },
            "PKCE",
        ),
        (
            Rules {
                resource: |it| it["resource"] = "https://evil.example/mcp".into(),
                ..Rules::default()
            },
            "another server",
        ),
    ];
    at_once(rows, |(rules, told)| {
        let is_mix_up = rules.iss.is_some();
        let authority = Authority::start(rules);
        let dir = tempfile::tempdir().unwrap();
        let mut line = line_to(&authority, &dir).spawn();
        line.send(INITIALIZE);
        let mut reply = line.recv_id("\"init\"");
        if is_mix_up {
            let url = address(&mut line, 1);
            sign_in_at(&url);
            line.send(request(2, "tools/list", "{}"));
            reply = line.recv_id("2");
        }
        assert!(reply.error_text().contains(told), "{told}: {reply}");
        assert_eq!(authority.count("code"), 0, "{told}");
        // Whom we do not sign in at, we do not register at.
        assert_eq!(authority.count("register"), usize::from(is_mix_up), "{told}");
        line.finish();
    });
}

#[test]
fn no_secret_of_a_sign_in_is_shown() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).args("--log-level trace").ready();
    let url = address(&mut line, 1);
    sign_in_at(&url);
    line.recv_method("notifications/tools/list_changed");
    authority.end_tokens();
    line.send(call(2, "any", "{}"));
    line.recv_id("2");
    line.close_stdin();
    let ended = line.wait();
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
}

#[test]
fn the_page_keeps_nothing_and_answers_nobody_else() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let url = address(&mut line, 1);
    let back = get(&url, "").location().unwrap().to_owned();
    let (base, query) = back.split_once('?').unwrap();
    let forged = query.replace("state=", "state=x");
    assert_eq!(get(&format!("{base}?{forged}"), "").status, 400);
    assert_eq!(get(&back, "Host: evil.example\r\n").status, 421);
    assert_eq!(get(base, "").status, 404);
    // None of this has ended the wait, and the redirect may come twice.
    for _ in 0..2 {
        let answer = get(&back, "");
        assert_eq!((answer.status, answer.location()), (303, Some("/done")));
    }
    let done = base.replace("/callback", "/done");
    let page = get(&done, "Accept-Language: ru\r\n");
    assert!(page.body.contains("Вход выполнен"), "{}", page.body);
    assert!(page.head.to_lowercase().contains("default-src 'none'"), "{}", page.head);
    assert!(page.head.to_lowercase().contains("no-store"));
    assert_eq!(authority.count("code"), 1);
    line.finish();
}

#[test]
fn an_answer_that_cannot_be_used_is_told_without_what_is_in_it() {
    let none = Rules::default;
    let rows = [
        (Rules { tokens: |it| it["token_type"] = "mac".into(), ..none() }, "the type `mac`"),
        (
            Rules { tokens: |it| it["access_token"] = Value::Null, ..none() },
            "not in the way of the",
        ),
        (Rules { tokens: |it| it["token_type"] = Value::Null, ..none() }, "You are signed in"),
    ];
    at_once(rows, |(rules, told)| {
        let authority = Authority::start(rules);
        let dir = tempfile::tempdir().unwrap();
        let mut line = line_to(&authority, &dir).args("--log-level trace").ready();
        let page = sign_in_at(&address(&mut line, 1)).body;
        assert!(page.contains(told), "{page}");
        line.send(request(2, "tools/list", "{}"));
        let reply = line.recv_id("2");
        line.close_stdin();
        let stderr = line.wait().stderr;
        for text in [page, reply.to_string(), stderr] {
            assert!(!text.contains("s3cret"), "{text}");
        }
    });
}

#[test]
fn a_given_client_goes_to_no_other_authorization_server() {
    let [authority, other] = [0; 2].map(|_| Authority::start(Rules::default()));
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir)
        .args("--oauth-grant client-credentials --oauth-client-id robot")
        .env("MCPLINE_OAUTH_CLIENT_SECRET", "client-s3cret")
        .ready();
    line.send(call(1, "any", "{}"));
    assert!(line.recv_id("1").result().is_object());
    authority.move_to(other.issuer.url_of(""));
    authority.end_tokens();
    line.send(call(2, "any", "{}"));
    let reply = line.recv_id("2");
    assert!(reply.error_text().contains("another authorization server"), "{reply}");
    assert!(reply.error_text().contains("--oauth-issuer"), "{reply}");
    line.finish();
    assert_eq!((authority.count("client"), other.count("client")), (1, 0));
}

#[test]
fn a_key_in_the_address_of_the_server_goes_to_no_other() {
    let authority =
        Authority::start(Rules { resource: |it| *it = Value::Null, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = Line::to(&format!("{}?api_key=some-long-key", authority.server.url()))
        .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
        .arg("--oauth-issuer")
        .arg(authority.issuer.url_of(""))
        .ready();
    let url = address(&mut line, 1);
    assert!(url.contains("resource=") && !url.contains("key") && !url.contains("***"), "{url}");
    assert!(sign_in_at(&url).body.contains("You are signed in"));
    line.finish();
    for file in kept(&dir) {
        assert!(!file.contains("some-long-key"), "{file}");
    }
}

#[test]
fn what_is_ours_in_the_request_cannot_be_set() {
    for name in ["state", "redirect_uri", "code_challenge", "scope"] {
        let output = Line::to("https://mcp.example.com/mcp")
            .args(&format!("--oauth-param {name}=x"))
            .output("");
        assert_eq!(output.status, 2);
        assert!(output.stderr.contains(name), "{}", output.stderr);
    }
}

#[test]
fn a_given_secret_is_not_written_down() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir)
        .args("--oauth-client-id mine")
        .env("MCPLINE_OAUTH_CLIENT_SECRET", "client-s3cret")
        .ready();
    let url = address(&mut line, 1);
    let files = kept(&dir);
    assert!(files.iter().any(|file| file.contains("code_challenge")), "{files:?}");
    sign_in_at(&url);
    line.recv_method("notifications/tools/list_changed");
    line.finish();
    for file in files.into_iter().chain(kept(&dir)) {
        assert!(!file.contains("client-s3cret"), "{file}");
    }
}

#[test]
fn metadata_below_the_path_may_be_of_the_server_itself() {
    for path in ["", "/mcp"] {
        let rules =
            Rules { inserted: Some(path), resource: |it| *it = Value::Null, ..Rules::default() };
        let authority = Authority::start(rules);
        let dir = tempfile::tempdir().unwrap();
        let mut line = line_to(&authority, &dir).ready();
        let url = address(&mut line, 1);
        assert!(url.starts_with(&authority.issuer.url_of("/authorize")), "{url}");
        line.finish();
    }
}

#[test]
fn only_the_server_itself_may_have_any_certificate() {
    let rows = [("localhost", "sign in, then try again"), ("127.0.0.1", "certificate")];
    at_once(rows, |(host, told)| {
        let issuer = serve_tls(|request| {
            let issuer = format!("https://{}", request.header("host")?);
            let place = |path: &str| format!("{issuer}{path}");
            Some(match request.path.as_str() {
                "/.well-known/oauth-authorization-server" => Reply::json(
                    json!({"issuer": issuer, "authorization_endpoint": place("/authorize"),
                           "token_endpoint": place("/token"),
                           "registration_endpoint": place("/register"),
                           "code_challenge_methods_supported": ["S256"]})
                    .to_string(),
                ),
                "/register" => {
                    Reply::status(201).body("application/json", r#"{"client_id":"client-1"}"#)
                }
                _ => Reply::status(404),
            })
        });
        let issuer = issuer.replace("127.0.0.1", host);
        let server = serve_tls(move |request| {
            let resource = format!("https://{}/mcp", request.header("host")?);
            Some(match request.path.as_str() {
                "/mcp" => Reply::status(401).header("WWW-Authenticate", "Bearer"),
                "/.well-known/oauth-protected-resource/mcp" => Reply::json(
                    json!({"resource": resource, "authorization_servers": [issuer]}).to_string(),
                ),
                _ => Reply::status(404),
            })
        });
        let dir = tempfile::tempdir().unwrap();
        let mut line = Line::to(&format!("{}/mcp", server.replace("127.0.0.1", "localhost")))
            .args("--insecure --no-retry")
            .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
            .spawn();
        line.send(INITIALIZE);
        line.recv_id("\"init\"");
        line.send(request(1, "tools/list", "{}"));
        let reply = line.recv_id("1");
        assert!(reply.error_text().contains(told), "{host}: {reply}");
        line.finish();
    });
}

#[test]
fn a_person_reads_in_russian_what_to_do() {
    let authority = Authority::start(Rules { denies: true, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let back = get(&address(&mut line, 1), "").location().unwrap().to_owned();
    assert_eq!(get(&back, "").status, 303);
    let (base, _) = back.split_once("/callback").unwrap();
    let page = get(&format!("{base}/done"), "Accept-Language: ru\r\n").body;
    assert!(page.contains("Войти не удалось"), "{page}");
    assert!(page.contains("выполните `mcpline login`"), "{page}");
    line.finish();
}

/// What the files in `dir` hold, as far as it is text.
fn kept(dir: &TempDir) -> Vec<String> {
    let files = fs::read_dir(dir.path().join("oauth")).unwrap();
    files
        .map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into_owned())
        .collect()
}
