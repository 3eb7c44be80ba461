//! Kind `1c`: the way to the service, and a handshake with every generation of it.

use serde_json::{Value, json};

use crate::support::{
    Generation, INITIALIZE, INITIALIZED, Line, Message, Onec, Reply, call, manifest, pages,
    request, whole_manifest,
};

const RPC: &str = "/base/hs/mcp/rpc";

/// Lists the tools through a line of these arguments, and checks where every POST went.
fn leads_to(onec: &Onec, url: &str, args: &str, path: &str) {
    let mut line = Line::to(url).args(args).ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result()["tools"].is_array(), "{url} {args}: {reply}");
    line.finish_with_nothing_left();
    for request in onec.requests() {
        assert_eq!(request.path, path, "{url} {args}");
    }
}

#[test]
fn every_form_of_the_url_leads_to_the_service() {
    for form in ["", "/", "/hs/mcp", "/hs/mcp/", "/hs/mcp/rpc", "/hs/mcp/rpc/"] {
        let onec = Onec::g3();
        leads_to(&onec, &(onec.url() + form), "--kind 1c", RPC);
    }
}

#[test]
fn a_url_with_hs_in_its_path_is_known_for_a_1c_service() {
    for form in ["/hs/mcp", "/hs/mcp/", "/hs/mcp/rpc"] {
        let onec = Onec::publish(Generation::NoHandshake).serve();
        let url = onec.url() + form;
        let mut line = Line::ready(&url);
        line.send(request(1, "tools/list", "{}"));
        assert!(line.recv_id("1").result()["tools"].is_array());
        line.finish_with_nothing_left();
        assert_eq!(onec.count("notifications/initialized"), 0, "{url}");
        assert!(onec.requests().iter().all(|request| request.path.starts_with("/base/hs/mcp/")));
    }
}

#[test]
fn the_root_of_the_service_is_a_setting_and_may_stand_in_the_url() {
    let api = || Onec::publish(Generation::LenientKeys).root("api").serve();
    let path = "/base/hs/api/rpc";
    let onec = api();
    leads_to(&onec, &onec.url(), "--kind 1c --service-root api", path);
    let onec = api();
    leads_to(&onec, &(onec.url() + "/hs/api"), "", path);
    let onec = api();
    leads_to(&onec, &(onec.url() + "/hs/api/rpc"), "", path);

    let onec = api();
    let line = onec.line().env("MCPLINE_SERVICE_ROOT", "api").ready();
    line.finish_with_nothing_left();
    assert_eq!(onec.nth("initialize", 1).path, path);
}

#[test]
fn names_of_bases_and_roots_may_be_russian_and_hold_spaces() {
    // «/торговля 2/hs/сервис/rpc»
    const PATH: &str = "/%D1%82%D0%BE%D1%80%D0%B3%D0%BE%D0%B2%D0%BB%D1%8F%202/hs/\
                        %D1%81%D0%B5%D1%80%D0%B2%D0%B8%D1%81/rpc";
    let publish =
        || Onec::publish(Generation::LenientKeys).base("/торговля 2").root("сервис").serve();
    let onec = publish();
    let line = Line::to(&onec.url()).args("--kind 1c --service-root").arg("сервис").ready();
    line.finish_with_nothing_left();
    assert_eq!(onec.nth("initialize", 1).path, PATH);
    let onec = publish();
    let url = onec.url_of(PATH);
    leads_to(&onec, &url, "", PATH);
}

#[test]
fn a_base_may_lie_deep_as_those_of_a_cloud_do() {
    let onec = Onec::publish(Generation::LenientKeys).base("/a/sm/1234567").serve();
    leads_to(&onec, &onec.url(), "--kind 1c", "/a/sm/1234567/hs/mcp/rpc");
}

#[test]
fn the_handshake_of_a_service_that_knows_it_is_its_own() {
    for generation in [Generation::StrictKeys, Generation::LenientKeys, Generation::Foreign] {
        // Spelled as no program would, to see that it passes untouched.
        let result = concat!(
            r#"{ "serverInfo" :{"version":"1.0.0","name":"1C MCP Server"},"extra":1.0,"#,
            r#""capabilities":{"tools":{"call":true}}, "protocolVersion":"2025-03-26"}"#
        );
        let onec = Onec::publish(generation).spelled("initialize", result).serve();
        let mut line = onec.line().spawn();
        assert_eq!(line.handshake().raw_result(), result, "{generation:?}");
        line.send(request(1, "tools/list", "{}"));
        line.recv_id("1");
        line.finish_with_nothing_left();
        let sent = ["initialize", "notifications/initialized", "tools/list"];
        assert_eq!(onec.names(), sent, "{generation:?}");
    }
}

#[test]
fn what_the_client_says_of_itself_reaches_the_service() {
    let onec = Onec::g3();
    onec.line().ready().finish_with_nothing_left();
    let sent = Message::parse(INITIALIZE).unwrap();
    let got = onec.message("initialize");
    assert_eq!(got.raw("params"), sent.raw("params"));
}

/// Services of the second generation fail on member names that are no identifiers.
#[test]
fn what_the_service_could_not_read_of_the_client_stays_here() {
    let extensions = r#""capabilities":{"extensions":{"io.modelcontextprotocol/ui":{}},"#;
    let initialize = INITIALIZE.replace(r#""capabilities":{"#, extensions);
    for generation in [Generation::StrictKeys, Generation::LenientKeys] {
        let onec = Onec::publish(generation).serve();
        let mut line = onec.line().spawn();
        line.send(&initialize);
        let reply = line.recv_id(r#""init""#);
        assert_eq!(reply.result()["serverInfo"]["name"], "1C MCP Server", "{reply}");
        line.finish_with_nothing_left();
        let sent = onec.message("initialize");
        assert_eq!(sent.value["params"]["clientInfo"]["name"], "it", "{sent}");
        assert!(sent.value["params"]["capabilities"]["sampling"].is_object(), "{sent}");
    }
}

/// The result of a handshake, which leaves nothing behind.
fn handshake(onec: &Onec) -> Value {
    let mut line = onec.line().spawn();
    let reply = line.handshake();
    line.finish_with_nothing_left();
    reply.result().clone()
}

/// Nothing over plain POST can tell of changes.
fn promises_no_news(result: &Value) {
    for (name, capability) in result["capabilities"].as_object().unwrap() {
        for promise in ["listChanged", "subscribe"] {
            assert_ne!(capability[promise], true, "{name}: {result}");
        }
    }
}

#[test]
fn a_handshake_is_made_up_from_the_manifest() {
    let onec = Onec::publish(Generation::NoHandshake).manifest(whole_manifest()).serve();
    let result = handshake(&onec);
    assert_eq!(result["serverInfo"]["name"], "Склад");
    assert_eq!(result["serverInfo"]["version"], "2.3.1");
    assert_eq!(result["instructions"], "Цены в рублях");
    assert!(result["capabilities"]["tools"].is_object(), "{result}");
    assert!(result["capabilities"]["resources"].is_object(), "{result}");
    assert!(result["capabilities"].get("prompts").is_none(), "{result}");
    promises_no_news(&result);
    assert_eq!(onec.to_path("GET", "/base/hs/mcp/manifest").len(), 1);
    assert_eq!(onec.count("initialize"), 1);
}

#[test]
fn the_manifest_may_name_the_service_as_servers_do() {
    let text = r#"{"serverInfo":{"name":"Зарплата","version":"3"},"capabilities":{"tools":{}}}"#;
    for generation in [Generation::Stub, Generation::NoHandshake] {
        let onec = Onec::publish(generation).manifest(manifest(text)).serve();
        let result = handshake(&onec);
        assert_eq!(result["serverInfo"]["name"], "Зарплата", "{generation:?}");
        assert_eq!(result["serverInfo"]["version"], "3", "{generation:?}");
    }
}

#[test]
fn without_a_manifest_the_handshake_is_made_up_from_the_lists() {
    for no_manifest in [
        None,
        Some(Reply::status(405)),
        Some(Reply::status(200)),
        Some(Reply::status(200).body("text/html", "<html><h1>1C</h1></html>")),
        Some(Reply::json("\u{feff}[]")),
        Some(Reply::json("true")),
        Some(pages::platform_html(500, "Ошибка", "Метод не найден")),
    ] {
        let publication = Onec::publish(Generation::NoHandshake).base("/торговля");
        let onec = match no_manifest {
            Some(reply) => publication.manifest(reply),
            None => publication,
        };
        let onec = onec.serve();
        let result = handshake(&onec);
        assert_eq!(result["serverInfo"]["name"], "1C:торговля", "{result}");
        assert_eq!(result["serverInfo"]["version"], "unknown", "{result}");
        for capability in ["tools", "resources", "prompts"] {
            assert!(result["capabilities"][capability].is_object(), "{result}");
        }
        promises_no_news(&result);
        assert_eq!(onec.to_path("GET", "/manifest").len(), 1);
    }
}

#[test]
fn only_what_answered_is_announced() {
    let onec = Onec::publish(Generation::NoHandshake)
        .without("resources/list")
        .error("prompts/list", r#"{"code":-32603,"message":"Параметры промпта"}"#)
        .serve();
    let mut line = onec.line().spawn();
    let result = line.handshake().result().clone();
    let announced: Vec<&String> = result["capabilities"].as_object().unwrap().keys().collect();
    assert_eq!(announced, ["tools"], "{result}");
    line.send(call(1, "get_stock", "{}"));
    assert_eq!(line.recv_id("1").result()["isError"], false);
    line.finish_with_nothing_left();
}

#[test]
fn lists_that_the_service_does_not_know_are_empty() {
    let onec = Onec::publish(Generation::NoHandshake).without("resources/list").serve();
    let mut line = onec.line().ready();
    line.send(request(1, "resources/list", "{}"));
    assert_eq!(line.recv_id("1").result()["resources"], serde_json::json!([]));
    line.send(request(2, "resources/templates/list", "{}"));
    assert_eq!(line.recv_id("2").result()["resourceTemplates"], serde_json::json!([]));
    line.send(request(3, "completion/complete", "{}"));
    assert_eq!(line.recv_id("3").error_code(), -32601);
    line.finish_with_nothing_left();
}

#[test]
fn the_version_is_the_clients_own_where_we_know_it() {
    for (asked, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2031-01-01", "2025-03-26"),
        ("1.0", "2025-03-26"),
    ] {
        let onec = Onec::publish(Generation::NoHandshake).serve();
        let mut line = onec.line().spawn();
        line.send(INITIALIZE.replace("2025-11-25", asked));
        let result = line.recv_id(r#""init""#).result().clone();
        assert_eq!(result["protocolVersion"], answered, "{asked}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn the_lists_of_a_made_up_handshake_answer_the_clients_first() {
    let onec = Onec::publish(Generation::NoHandshake).serve();
    let mut line = onec.line().ready();
    let lists = ["tools/list", "resources/list", "prompts/list"];
    for (id, method) in lists.iter().enumerate() {
        line.send(request(id, method, "{}"));
        let reply = line.recv_id(&id.to_string());
        let member = method.split('/').next().unwrap();
        let items = reply.result()[member].as_array().unwrap();
        assert!(!items.is_empty(), "{reply}");
        assert_eq!(onec.count(method), 1, "{method}");
    }
    // Later the service may have others.
    line.send(request(9, "tools/list", "{}"));
    line.recv_id("9");
    assert_eq!(onec.count("tools/list"), 2);
    line.finish_with_nothing_left();
}

#[test]
fn lists_of_the_manifest_stand_in_for_those_that_the_service_does_not_know() {
    let onec = Onec::publish(Generation::NoHandshake)
        .manifest(whole_manifest())
        .without("tools/list")
        .serve();
    let mut line = onec.line().ready();
    line.send(request(1, "tools/list", "{}"));
    let tools = line.recv_id("1").result()["tools"].clone();
    assert_eq!(tools[0]["name"], "from_manifest", "{tools}");
    // This one the service knows itself.
    line.send(request(2, "resources/list", "{}"));
    let resources = line.recv_id("2").result()["resources"].clone();
    assert_eq!(resources[0]["name"], "rules", "{resources}");
    line.finish_with_nothing_left();
}

/// Nothing of it works, but the client learns that from the errors and not from a failed start.
#[test]
fn a_stub_of_a_service_is_no_failed_start_and_every_request_says_why() {
    let onec = Onec::publish(Generation::Stub).serve();
    let mut line = onec.line().ready();
    line.send(request(1, "tools/list", "{}"));
    line.send(call(2, "any", "{}"));
    for id in ["1", "2"] {
        line.recv_id(id).failure(-33004);
    }
    line.finish_with_nothing_left();
}

#[test]
fn a_service_that_is_asked_without_a_handshake_answers() {
    for generation in [
        Generation::NoHandshake,
        Generation::StrictKeys,
        Generation::LenientKeys,
        Generation::Foreign,
    ] {
        let onec = Onec::publish(generation).serve();
        let mut line = onec.line().spawn();
        line.send(call(1, "get_stock", r#"{"query":"SH"}"#));
        let replies = line.finish();
        assert_eq!(replies.len(), 1, "{generation:?}: {replies:?}");
        assert_eq!(replies[0].result()["isError"], false, "{generation:?}");
    }
}

#[test]
fn nothing_but_what_the_service_knows_is_asked_of_it() {
    for generation in [Generation::NoHandshake, Generation::LenientKeys] {
        let onec = Onec::publish(generation).serve();
        let mut line = onec.line().spawn();
        line.send(INITIALIZE);
        line.recv_id(r#""init""#);
        line.send(INITIALIZED);
        line.send(request(1, "ping", "{}"));
        line.send(call(2, "get_stock", "{}"));
        line.recv_id("1");
        line.recv_id("2");
        line.finish_with_nothing_left();
        for request in onec.requests() {
            let (method, path) = (request.method.as_str(), request.path.as_str());
            let known = matches!(
                (method, path),
                ("POST", RPC) | ("GET", "/base/hs/mcp/manifest" | "/base/hs/mcp/health")
            );
            assert!(known, "{method} {path}");
            // No stream is listened for, and no session of MCP's is closed.
            assert_eq!(request.header("mcp-session-id"), None);
        }
    }
}

#[test]
fn one_list_that_fails_does_not_spoil_a_made_up_handshake() {
    for failing in ["tools", "resources", "prompts"] {
        let page = pages::plain(500, "Деление на 0");
        let onec =
            Onec::publish(Generation::NoHandshake).reply(&format!("{failing}/list"), page).serve();
        let mut line = onec.line().spawn();
        let capabilities = line.handshake().result()["capabilities"].clone();
        for member in ["tools", "resources", "prompts"] {
            let offered = capabilities.get(member).is_some();
            assert_eq!(offered, member != failing, "{failing}: {capabilities}");
            line.send(request(1, &format!("{member}/list"), "{}"));
            let listed = line.recv_id("1");
            if member != failing {
                assert!(listed.result()[member].is_array(), "{failing}: {listed}");
            }
        }
        line.finish_with_nothing_left();
    }
}

/// It may answer later, so it is offered; the others do not wait for it.
#[test]
fn one_list_that_is_busy_for_long_keeps_nothing_else_from_working() {
    let busy = pages::plain(503, "Сервер занят");
    let onec = Onec::publish(Generation::NoHandshake).reply("prompts/list", busy).serve();
    let mut line = onec.line().args("--retry-for 0.3").spawn();
    let reply = line.handshake();
    assert_ne!(reply.result()["serverInfo"]["name"], "mcpline", "{reply}");
    assert!(reply.result()["capabilities"]["prompts"].is_object(), "{reply}");
    line.send(request(1, "tools/list", "{}"));
    assert!(line.recv_id("1").result()["tools"].is_array());
    line.send(request(2, "prompts/list", "{}"));
    assert_eq!(line.recv_id("2").error_code(), -33003);
    line.finish_with_nothing_left();
}

#[test]
fn a_list_that_the_service_never_spoke_of_is_empty_and_a_promised_one_is_not() {
    let result = r#"{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"1C","version":"1"}}"#;
    let mut publication = Onec::publish(Generation::LenientKeys).result("initialize", result);
    for method in ["tools/list", "resources/list", "prompts/list"] {
        publication = publication.without(method);
    }
    let onec = publication.serve();
    let mut line = onec.line().ready();
    for (method, member) in [
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ] {
        line.send(request(1, method, "{}"));
        let reply = line.recv_id("1");
        assert_eq!(reply.result()[member], json!([]), "{method}: {reply}");
    }
    line.send(request(2, "tools/list", "{}"));
    assert_eq!(line.recv_id("2").error_code(), -32601);
    line.finish_with_nothing_left();
}
