//! `mcpline check`: which step fails, what it tells a person to do, and that it says "works" exactly
//! where forwarding does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;

use serde_json::Value;

use crate::era::modern_service;
use crate::support::{
    Amocrm, Bitrix, Exchange, Generation, Line, Onec, Output, Reply, Request, Reuse, Setup,
    TlsServer, Upstream, after_handshake, amocrm, at_once, handshake,
};

fn check(url: &str) -> Setup {
    Line::run("check").arg(url)
}

/// The steps of a run with `--json` that must end with `status`.
fn report(setup: Setup, status: i32) -> Value {
    let Output { status: ended, stdout, stderr } = setup.arg("--json").output("");
    assert_eq!(ended, status, "{stdout} {stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["works"], status == 0, "{stdout}");
    report
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut steps = report["steps"].as_array().unwrap().iter();
    steps.find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step {name}: {report}"))
}

/// The step that has failed; those after it are skipped.
fn failed(report: &Value) -> &Value {
    let steps = report["steps"].as_array().unwrap();
    let at = steps.iter().position(|step| step["outcome"] == "failed");
    let at = at.unwrap_or_else(|| panic!("none has failed: {report}"));
    assert!(steps[at + 1..].iter().all(|step| step["outcome"] == "skipped"), "{report}");
    &steps[at]
}

/// Checks which step fails, and what stands in its sentence and its hint.
fn fails(setup: Setup, name: &str, text: &str, hint: &str) {
    let report = report(setup, 1);
    let failed = failed(&report);
    assert_eq!(failed["step"], name, "{report}");
    assert!(failed["text"].as_str().unwrap().contains(text), "{text}: {failed}");
    assert!(failed["hint"].as_str().unwrap_or_default().contains(hint), "{hint}: {failed}");
}

#[test]
fn a_server_that_answers_wrongly_is_told_by_the_step_that_fails() {
    let page = "<html><title>Shop</title><p>Welcome</html>";
    let rows: [(Reply, &str, &str, &str); 9] = [
        (Reply::status(401).header("WWW-Authenticate", "Negotiate"), "sign-in", "401", "--user"),
        (Reply::status(403), "sign-in", "403", "rights"),
        (Reply::status(404).body("text/html", page), "http", "404", "check the path"),
        (Reply::status(503), "http", "503", "try again"),
        (Reply::status(500), "http", "500", "log"),
        (
            Reply::status(302).header("Location", "https://login.example.com/x"),
            "http",
            "login.example.com",
            "login page",
        ),
        (
            Reply::status(200).body("text/html", page),
            "handshake",
            "Welcome",
            "a web page for people",
        ),
        (Reply::json(r#"{"status":"healthy"}"#), "handshake", "", "MCP endpoint"),
        (
            Reply::json(
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such version"}}"#,
            ),
            "handshake",
            "no such version",
            "",
        ),
    ];
    at_once(rows, |(reply, name, text, hint)| {
        let upstream = Upstream::serve(move |exchange| exchange.send(&reply));
        fails(check(&upstream.url()), name, text, hint);
    });
}

#[test]
fn a_server_that_does_not_answer_is_told_with_the_time_that_was_waited() {
    let upstream = Upstream::serve(|exchange| exchange.pass("never"));
    let report = report(check(&upstream.url()).args("--timeout 0.3"), 1);
    let failed = failed(&report);
    assert_eq!(failed["step"], "http", "{report}");
    assert!(failed["facts"]["waitedMs"].as_u64().unwrap() >= 300, "{failed}");
}

#[test]
fn the_way_to_the_server_is_told_by_the_step_that_fails() {
    let absent = || Upstream::absent(|exchange: &mut Exchange<'_>| exchange.close());
    let dead = absent();
    fails(check(&dead.url()), "connection", "connection refused", "Nothing listens there");
    fails(
        check("http://nowhere.invalid/mcp"),
        "name",
        "`nowhere.invalid` is not known",
        "spelling",
    );
    let silent = Upstream::serve(|exchange: &mut Exchange<'_>| exchange.close());
    fails(check(&silent.url()), "http", "broke before it answered", "log");

    let through = |proxy: &str| check("http://mcp.corp.test/mcp").env("HTTP_PROXY", proxy);
    let secure = |proxy: &str| check("https://mcp.corp.test/mcp").env("HTTPS_PROXY", proxy);
    let proxy = format!("http://{}", dead.authority());
    fails(through(&proxy), "proxy", "HTTP_PROXY", "Check the proxy's address");
    let refusing = Upstream::serve(|exchange| {
        exchange.send(&Reply::status(403).body("text/plain", "ask extension 42"))
    });
    let proxy = format!("http://{}", refusing.authority());
    fails(secure(&proxy), "proxy", "extension 42", "allow this host");
    let asking = Upstream::serve(|exchange| {
        exchange.send(&Reply::status(407).header("Proxy-Authenticate", "Basic realm=x"))
    });
    let proxy = format!("http://{}", asking.authority());
    fails(secure(&proxy), "proxy", "407", "USER:PASSWORD");
    fails(through(&proxy), "proxy", "407", "USER:PASSWORD");
}

#[expect(clippy::unnecessary_wraps, reason = "as the server wants it")]
fn answer(request: &Request) -> Option<Reply> {
    if request.method != "POST" {
        return Some(Reply::status(405));
    }
    let rpc = request.rpc();
    if !rpc.is_request() {
        return Some(Reply::status(202));
    }
    let result = match rpc.method() {
        "initialize" => crate::support::initialize_result("2025-11-25"),
        "tools/list" => r#"{"tools":[{"name":"a","inputSchema":{"type":"object"}}]}"#.to_owned(),
        _ => "{}".to_owned(),
    };
    Some(Reply::json(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, rpc.id())))
}

/// The address of a server that answers anything with an error of HTTP.
fn plain_http() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            drop(socket.read(&mut [0; 4096]));
            drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    address
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tls").join(name)
}

#[test]
fn the_certificate_is_shown_with_who_trusts_it() {
    let url = TlsServer::with("leaf.pem").serve(answer);
    let check = |url: &str| check(url).args("--kind mcp");
    let report_of = report(check(&url), 1);
    let tls = failed(&report_of);
    assert_eq!(tls["step"], "tls", "{report_of}");
    assert!(tls["hint"].as_str().unwrap().contains("--ca-file"), "{tls}");
    assert!(tls["facts"]["issuer"].is_string() && tls["facts"]["validUntil"].is_string(), "{tls}");
    assert_eq!(tls["facts"]["trusted"], "not trusted");

    let trusted = report(check(&url).arg("--ca-file").arg(fixture("leaf.pem")), 0);
    let tls = step(&trusted, "tls");
    assert_eq!(tls["facts"]["trusted"], "trusted by --ca-file", "{tls}");
    assert!(tls["text"].as_str().unwrap().starts_with("TLS 1.3"), "{tls}");
    let unchecked = report(check(&url).arg("--insecure"), 0);
    assert_eq!(step(&unchecked, "tls")["outcome"], "warning", "{unchecked}");

    let wrong = format!("https://{}/mcp", plain_http());
    fails(check(&wrong), "tls", "does not speak TLS", "`http://`");
    fails(check(&url.replace("https", "http")), "tls", "speaks HTTPS", "`https://`");
    let wants = TlsServer::with("leaf.pem").wants_client("cert.pem").serve(answer);
    let setup = check(&wants).arg("--ca-file").arg(fixture("leaf.pem"));
    fails(setup, "tls", "wants a client certificate", "--client-cert");
}

#[test]
fn a_wrong_address_is_recognised() {
    let proxy = Upstream::serve(|exchange| exchange.status(404));
    let proxy = format!("http://{}", proxy.authority());
    for (url, outcome, told) in [
        ("http://firma.bitrix24.ru/rest/1/abcdefgh1234/", "warning", "A webhook belongs into"),
        (
            "http://firma.bitrix24.ru/rest/1/abcdefgh1234/profile",
            "failed",
            "A webhook belongs into",
        ),
        ("http://firma.amocrm.ru/", "warning", "an amoCRM account"),
        ("http://srv.corp.test/health", "warning", "Leave out the last part"),
    ] {
        let Output { status, stdout, .. } =
            check(url).env("HTTP_PROXY", &proxy).arg("--json").output("");
        assert_eq!(status, 1, "{stdout}");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(step(&report, "address")["outcome"], outcome, "{report}");
        let hint = failed(&report)["hint"].as_str().unwrap();
        assert!(hint.contains(told), "{told}: {hint}");
        assert!(!stdout.contains("abcdefgh1234"), "{stdout}");
    }
}

#[test]
fn the_right_address_on_the_same_server_is_found() {
    let page = Reply::status(200).body("text/html", "<html><title>Shop</title></html>");
    for (front, step) in [(Reply::status(404), "http"), (page, "handshake")] {
        let upstream = Upstream::serve(move |exchange| {
            if !exchange.request.path.starts_with("/api/mcp") {
                return exchange.send(&front);
            }
            match exchange.name().as_str() {
                "GET" => exchange.status(405),
                "DELETE" => exchange.status(204),
                _ => handshake(exchange, Some("session")),
            }
        });
        let report = report(check(&upstream.url_of("/v1/?key=topsecret99")), 1);
        let failed = failed(&report);
        assert_eq!(failed["step"], step, "{report}");
        let hint = failed["hint"].as_str().unwrap();
        assert!(hint.contains("/api/mcp") && !hint.contains("topsecret99"), "{hint}");
        // The session that was opened there is ended.
        upstream.nth("DELETE", 1);
    }
}

#[test]
fn every_kind_that_works_is_said_to_work() {
    let streamable = Upstream::streamable();
    let http_sse = Upstream::http_sse();
    let onec = Onec::g3();
    let bitrix = Bitrix::current();
    let older = Bitrix::rest_only();
    let amocrm = Amocrm::of(amocrm::Generation::Streamed);
    for (url, kind, found) in [
        (streamable.url(), "auto", "Streamable HTTP"),
        (http_sse.url(), "auto", "HTTP+SSE"),
        (onec.url(), "1c", "1C service knows"),
        (bitrix.base(), "bitrix", "b24-mcp"),
        (older.base(), "bitrix", "older b24-mcp"),
        (amocrm.base(), "amocrm", "mcp-amocrm-server"),
    ] {
        let report = report(check(&url).arg("--kind").arg(kind), 0);
        let kind = step(&report, "kind")["facts"]["found"].as_str().unwrap().to_owned();
        assert!(kind.contains(found), "{found}: {report}");
        let names = step(&report, "tools")["facts"]["names"].as_array().unwrap();
        assert!(!names.is_empty(), "{report}");
        assert!(step(&report, "round-trip")["facts"]["elapsedMs"].is_number(), "{report}");
        assert!(step(&report, "handshake")["facts"]["protocolVersion"].is_string(), "{report}");
        assert_eq!(step(&report, "revisions")["outcome"], "ok", "{report}");
    }
    for requests in [onec.requests(), bitrix.requests(), older.requests(), amocrm.requests()] {
        let is_asked = requests
            .iter()
            .any(|request| String::from_utf8_lossy(&request.body).contains("server/discover"));
        assert!(!is_asked, "these services know only the handshake");
    }
}

/// A server that tells its tools in both eras, and speaks one of them alone or both.
fn of_eras(has_handshake: bool, is_modern: bool) -> Upstream {
    let legacy = after_handshake(|exchange| exchange.result(r#"{"tools":[]}"#));
    let modern = modern_service(|exchange| {
        exchange.result(r#"{"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":[]}"#)
    });
    Upstream::serve(move |exchange| {
        let is_of_modern = exchange.request.header("mcp-protocol-version") == Some("2026-07-28");
        match (has_handshake, is_modern) {
            (true, true) if is_of_modern => modern(exchange),
            (false, _) => modern(exchange),
            (true, _) => legacy(exchange),
        }
    })
}

#[test]
fn the_revisions_that_a_server_speaks_are_told_and_those_that_are_used() {
    const OLD: &str = "2025-11-25";
    const NEW: &str = "2026-07-28";
    let rows = [
        (of_eras(true, false), "auto", vec![OLD], OLD, OLD),
        (of_eras(false, true), "auto", vec![NEW], NEW, NEW),
        (of_eras(true, true), "auto", vec![OLD, NEW], OLD, NEW),
        (of_eras(true, true), "legacy", vec![OLD], OLD, OLD),
        (of_eras(true, true), "modern", vec![NEW], NEW, NEW),
    ];
    at_once(rows, |(upstream, era, spoken, with_handshake, without)| {
        let report = report(check(&upstream.url()).args(&format!("--upstream-era {era}")), 0);
        let step = step(&report, "revisions");
        assert_eq!(step["outcome"], "ok", "{step}");
        let facts = &step["facts"];
        assert_eq!(facts["spoken"], serde_json::json!(spoken), "{step}");
        assert_eq!(facts["withHandshake"], with_handshake, "{step}");
        assert_eq!(facts["withoutHandshake"], without, "{step}");
        assert_eq!(step.to_string().contains("--upstream-era"), era != "auto", "{step}");
        assert!(upstream.count("initialize") <= 1, "a second session: {:?}", upstream.posted());
        assert_eq!(upstream.count("tools/call"), 0);
    });
}

#[test]
fn tools_that_clients_refuse_are_named() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        exchange.result(
            r#"{"tools":[{"name":"fine","inputSchema":{"type":"object"}},{"name":"Остатки","inputSchema":{"type":"object"}},
            {"name":"bare"},{"name":"fine","inputSchema":{"type":"object"}}]}"#,
        )
    }));
    let report = report(check(&upstream.url()), 0);
    let tools = step(&report, "tools");
    assert_eq!(tools["outcome"], "warning", "{tools}");
    let refused: Vec<_> = tools["facts"]["refused"].as_array().unwrap().iter().collect();
    let names: Vec<_> = refused.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Остатки", "bare", "fine"], "{tools}");
    assert_eq!(upstream.count("tools/call"), 0);
}

#[test]
fn a_person_reads_one_screen_and_no_secret() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(r#"{"tools":[]}"#)));
    let url = format!("{}?key=topsecret99", upstream.url());
    let output = check(&url).env("MCPLINE_BEARER", "hunter22hunter").output("");
    assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{}", output.stdout);
    for part in ["ok    Connection", "authorization (Bearer)", "warn  Tools", "It works."] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    assert!(output.stdout.lines().count() < 25, "{}", output.stdout);
    for secret in ["topsecret99", "hunter22hunter", "\u{1b}"] {
        assert!(!output.stdout.contains(secret), "{secret}: {}", output.stdout);
    }
    let output = check("http://127.0.0.1:1/mcp").output("");
    assert_eq!(output.status, 1);
    assert!(output.stdout.contains("FAIL  Connection"), "{}", output.stdout);
    assert!(!output.stdout.contains("not reached"), "{}", output.stdout);
    assert_eq!(output.stderr, "mcpline: it does not work: Connection failed\n");
    let output = check("ftp://x").output("");
    assert_eq!(output.status, 2);
}

#[test]
fn a_1c_service_is_told_where_it_is_and_what_a_session_costs() {
    let onec = Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).serve();
    let report = report(check(&onec.url()).args("--kind 1c"), 0);
    let service = step(&report, "1c-service");
    assert!(service["facts"]["rpc"].as_str().unwrap().ends_with("/hs/mcp/rpc"), "{service}");
    let sessions = step(&report, "1c-sessions");
    assert!(sessions["facts"]["automaticMs"].is_number(), "{sessions}");
    assert!(sessions["facts"]["managedMs"].is_number(), "{sessions}");
    assert!(onec.sessions().finished > 0, "the managed session is ended: no licence stays taken");
}

#[test]
fn colours_follow_what_the_person_has_set() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(r#"{"tools":[]}"#)));
    for (variables, is_coloured) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
    ] {
        let variables = variables.iter();
        let setup =
            variables.fold(check(&upstream.url()), |setup, (name, value)| setup.env(name, value));
        let Output { stdout, .. } = setup.output("");
        assert_eq!(stdout.contains("\u{1b}[32mok"), is_coloured, "{stdout}");
    }
}

/// A person with a Russian system is spoken to in Russian; what failed stays as people search for it,
/// and the report for support stays English.
#[test]
fn a_russian_system_is_spoken_to_in_russian() {
    let refusing = Upstream::serve(|exchange| exchange.status(403));
    let Output { status, stdout, stderr } =
        check(&refusing.url()).env("LC_ALL", "ru_RU.UTF-8").output("");
    assert_eq!(status, 1);
    for told in
        ["проверяет", "ок    Адрес", "СБОЙ  Вход", "answered with HTTP 403", "> Сервер знает"]
    {
        assert!(stdout.contains(told), "{told}: {stdout}");
    }
    assert!(stderr.contains("сбой на шаге «Вход»"), "{stderr}");
    let russian = |letter: char| ('а'..='я').contains(&letter);
    let report = report(check("demo").env("LC_ALL", "ru_RU.UTF-8"), 0);
    for step in report["steps"].as_array().unwrap() {
        let text = step["text"].as_str().unwrap().replace("Демо", "");
        assert!(!text.contains(russian), "{step}");
    }
}
