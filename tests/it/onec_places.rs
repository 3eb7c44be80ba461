//! Kind `1c` finds the service wherever it is, and is never worse than `mcp`.

use crate::support::{Line, Own, Reply, Upstream, at_once, call, pages, request};

/// Lists the tools and calls the first one; why, if that does not work.
fn works(url: &str, args: &str) -> Result<(), String> {
    let mut line = Line::to(url).args(args).args("--retry-for 1").spawn();
    line.handshake();
    line.send(request(1, "tools/list", "{}"));
    let listed = line.recv_id("1");
    let name = match listed.value["result"]["tools"][0]["name"].as_str() {
        Some(name) => name.to_owned(),
        None => return Err(listed.text),
    };
    line.send(call(2, &name, "{}"));
    let called = line.recv_id("2");
    if called.value["result"]["content"].is_array() { Ok(()) } else { Err(called.text) }
}

#[test]
fn a_service_is_found_at_its_usual_places_and_at_the_url_as_given() {
    let plain: fn(&str) -> Upstream = Own::plain;
    let strict: fn(&str) -> Upstream = |path| Own::with_sessions(path, 5);
    // The service's path, the URL's, and whether it works by `auto`, `1c` and `mcp`.
    let rows = [
        ("/b/hs/mcp/rpc", "/b/hs/mcp/rpc", [true, true, true]),
        ("/b/hs/mcp/rpc", "/b/hs/mcp", [true, true, false]),
        ("/b/hs/mcp/rpc", "/b/hs/mcp/health", [true, true, false]),
        ("/b/hs/mcp/rpc", "/b/HS/mcp/manifest", [true, true, false]),
        ("/b/hs/mcp/rpc", "/b", [false, true, false]),
        ("/b/hs/mcp/rpc", "/b/ru_RU/", [false, true, false]),
        ("/b/hs/mcp/rpc", "/b/odata/standard.odata/", [false, true, false]),
        ("/b/hs/mcp/rpc", "/b/rpc", [false, true, false]),
        ("/b/hs/mcp/mcp", "/b/hs/mcp/mcp", [true, true, true]),
        ("/b/hs/mcp/mcp", "/b/hs/mcp", [true, true, false]),
        ("/b/hs/mcp/mcp", "/b", [false, true, false]),
        ("/b/hs/mcp", "/b/hs/mcp", [true, true, true]),
        ("/b/hs/mcp", "/b/hs/mcp/", [true, true, false]),
        ("/b/hs/mcp/", "/b/hs/mcp", [true, true, false]),
        ("/b/hs/mcp/", "/b/hs/mcp/", [true, true, true]),
        ("/b/hs/ai/v1/jsonrpc", "/b/hs/ai/v1/jsonrpc", [true, true, true]),
        ("/proxied/api", "/proxied/api", [true, true, true]),
        ("/mcp", "/mcp", [true, true, true]),
    ];
    let servers = [plain, strict];
    at_once(
        servers.into_iter().flat_map(|server| rows.map(|row| (server, row))),
        |(server, row)| {
            let (path, url, expected) = row;
            for (args, expected) in ["", "--kind 1c", "--kind mcp"].into_iter().zip(expected) {
                let upstream = server(path);
                let outcome = works(&upstream.url_of(url), args);
                assert_eq!(outcome.is_ok(), expected, "{path} by {url} {args}: {outcome:?}");
            }
        },
    );
}

#[test]
fn the_place_is_looked_for_once() {
    let upstream = Own::plain("/b/hs/mcp/mcp");
    let mut line = Line::ready(&upstream.url_of("/b/hs/mcp"));
    for id in 1..=3 {
        line.send(request(id, "tools/list", "{}"));
        line.recv_id(&id.to_string()).result();
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("initialize"), 4);
    assert_eq!(upstream.count("tools/list"), 3);
}

#[test]
fn the_error_names_every_place_that_was_tried() {
    let not_found = || Upstream::serve(|exchange| exchange.send(&pages::not_found()));
    let page = || {
        Upstream::serve(|exchange| {
            exchange.send(&Reply::status(200).body("text/html", "<h1>Добро пожаловать</h1>"))
        })
    };
    let servers: [&dyn Fn() -> Upstream; 2] = [&not_found, &page];
    for server in servers {
        let upstream = server();
        let mut line = Line::to(&upstream.url_of("/b")).args("--kind 1c").spawn();
        line.send(call(1, "any", "{}"));
        let reply = line.recv_id("1");
        let data = reply.failure(reply.error_code()).clone();
        assert!(data.get("mayHaveRun").is_none(), "{reply}");
        for path in ["/b/hs/mcp/rpc", "/b/hs/mcp,", "/b/hs/mcp/,", "/b/hs/mcp/mcp", "/b either"] {
            assert!(reply.error_text().contains(path), "no {path} in {reply}");
        }
        line.finish();
        assert_eq!(upstream.count("tools/call"), 0);
    }
}

#[test]
fn a_refusal_for_another_reason_ends_the_search() {
    for (reply, code) in [
        (pages::unauthorized(&["Basic realm=\"x\""]), -33005),
        (pages::plain(403, "Недостаточно прав"), -33005),
        (pages::platform_html(500, "Ошибка", "Информационная база не обнаружена"), -33003),
    ] {
        let upstream = Upstream::serve(move |exchange| exchange.send(&reply));
        let mut line = Line::to(&upstream.url_of("/b/hs/mcp")).spawn();
        line.send(call(1, "any", "{}"));
        let data = line.recv_id("1").failure(code).clone();
        assert!(data.get("mayHaveRun").is_none(), "{data}");
        line.finish();
        let paths: Vec<String> = upstream.requests().into_iter().map(|sent| sent.path).collect();
        assert!(paths.iter().all(|path| path == "/b/hs/mcp/rpc"), "{paths:?}");
    }
}

/// A server with more clients than sessions: each session is opened again when it is needed.
#[test]
fn a_service_with_few_sessions_serves_more_clients() {
    let upstream = Own::with_sessions("/b/hs/mcp/mcp", 2);
    let mut lines: Vec<Line> =
        (0..3).map(|_| Line::ready(&upstream.url_of("/b/hs/mcp/mcp"))).collect();
    for round in 1..=2 {
        for line in &mut lines {
            line.send(request(round, "tools/list", "{}"));
            line.recv_id(&round.to_string()).result();
        }
    }
    for line in lines {
        line.finish_with_nothing_left();
    }
}

#[test]
fn a_service_with_its_own_transport_keeps_the_repairs_and_says_so() {
    let upstream = Own::with_sessions("/b/hs/mcp/mcp", 5);
    let mut line = Line::to(&upstream.url_of("/b/hs/mcp/mcp")).args("--log-level info").ready();
    line.send(request(1, "tools/list", "{}"));
    let tool = line.recv_id("1").result()["tools"][0].clone();
    assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
    line.send(call(2, tool["name"].as_str().unwrap(), "{}"));
    assert_eq!(line.recv_id("2").result()["content"][0]["text"], "ПолучитьОстатки");
    line.close_stdin();
    let stderr = line.wait().stderr;
    assert!(stderr.contains("transport"), "{stderr}");
    assert_eq!(upstream.count("initialize"), 1);
    assert_eq!(upstream.count("notifications/initialized"), 1);
    assert_eq!(upstream.count("DELETE"), 1);
}

#[test]
fn kind_1c_speaks_http_sse_to_a_server_that_knows_nothing_else() {
    let upstream = Upstream::http_sse();
    let mut line = Line::to(&upstream.url()).args("--kind 1c").ready();
    line.send(request(1, "tools/list", "{}"));
    assert!(line.recv_id("1").result()["tools"].is_array());
    // The next session is one on HTTP+SSE as well.
    upstream.stop();
    upstream.break_streams();
    upstream.start();
    line.send(request(2, "tools/list", "{}"));
    assert!(line.recv_id("2").result()["tools"].is_array());
    // The client is told what may have changed meanwhile.
    line.finish();
}

/// A service behind a web server that answers its base like this.
fn behind(front: Reply) -> Upstream {
    Upstream::serve(move |exchange| {
        match exchange.request.path.as_str() {
        "/base" => exchange.send(&front),
        "/base/hs/mcp/rpc" => match exchange.name().as_str() {
            "initialize" => exchange.result(
                r#"{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}"#,
            ),
            name if name.starts_with("notifications/") => exchange.status(204),
            "tools/list" => exchange.result(r#"{"tools":[{"name":"t","inputSchema":{}}]}"#),
            _ => exchange.result(r#"{"content":[]}"#),
        },
        _ => exchange.send(&pages::not_found()),
    }
    })
}

fn pages_of_the_platform() -> Vec<Reply> {
    let client = "<!DOCTYPE html><html><head><title>1С:Предприятие</title></head></html>";
    vec![
        pages::platform_html(404, "Ошибка", "Файл не найден"),
        pages::platform_json(400, "Ошибка", "Неизвестный запрос"),
        pages::platform_xml(405, "Метод не поддерживается"),
        Reply::status(200).body("text/html; charset=utf-8", client),
        Reply::status(302).header("Location", "/base/ru_RU/"),
    ]
}

#[test]
fn an_infobase_that_shows_itself_is_recognised() {
    for front in pages_of_the_platform() {
        let upstream = behind(front.clone());
        works(&upstream.url_of("/base"), "").unwrap_or_else(|why| panic!("{front:?}: {why}"));
    }
}

#[test]
fn an_infobase_without_a_service_is_told_what_to_give() {
    for front in pages_of_the_platform() {
        let sent = front.clone();
        let upstream = Upstream::serve(move |exchange| match exchange.request.path.as_str() {
            "/base" => exchange.send(&sent),
            _ => exchange.send(&pages::not_found()),
        });
        let mut line = Line::to(&upstream.url_of("/base")).spawn();
        line.send(request(1, "tools/list", "{}"));
        let reply = line.recv_id("1");
        assert!(reply.error_text().contains("--kind 1c"), "{front:?}: {reply}");
        line.finish();
    }
}

#[test]
fn nothing_else_is_taken_for_an_infobase() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"http://v8.1c.ru/ 1C:Enterprise 8 application error"}}"#;
    for front in [
        Reply::status(404).body("text/html", "<h1>1C:Enterprise gateway: not found</h1>"),
        Reply::status(500).body("application/json", error),
        Reply::status(404).body("application/json", r#"{"detail":"1С:Предприятие недоступно"}"#),
        Reply::status(302).header("Location", "/login"),
        pages::not_found(),
    ] {
        let sent = front.clone();
        let upstream = Upstream::serve(move |exchange| exchange.send(&sent));
        let mut line = Line::to(&upstream.url_of("/base")).spawn();
        line.send(request(1, "tools/list", "{}"));
        line.recv_id("1").error();
        line.finish();
        let is_tried = |path: &str| path.contains("/hs/");
        assert!(!upstream.requests().iter().any(|sent| is_tried(&sent.path)), "{front:?}");
    }
}
