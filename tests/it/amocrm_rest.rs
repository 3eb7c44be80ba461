//! amoCRM without MCP: the tools of the catalogue over the REST API, each by one request.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::amocrm::{Generation, Options, Refusal};
use crate::support::{
    Amocrm, INITIALIZE, INITIALIZED, Line, Message, Upstream, at_once, call, request,
};

const REST: [Generation; 4] = [
    Generation::EarlyRest,
    Generation::SmartRest,
    Generation::StreamlessRest,
    Generation::CurrentRest,
];

/// Which tools read, change something that is there, or make something new.
const READING: [&str; 13] = [
    "search_contact",
    "get_contacts",
    "get_contact_by_id",
    "check_contact_exists",
    "get_leads",
    "get_lead_by_id",
    "get_leads_by_contact",
    "get_companies",
    "get_account_info",
    "get_pipelines",
    "get_users",
    "get_deals_report",
    "get_amocrm_status",
];
const CHANGING: [&str; 4] = ["update_contact", "delete_contact", "update_lead", "delete_lead"];
const MAKING: [&str; 7] = [
    "create_contact",
    "get_or_create_contact",
    "create_lead",
    "create_complex_lead",
    "create_company",
    "create_task",
    "smart_create_client_and_lead",
];

fn line_to(server: &Amocrm, options: &str) -> Line {
    Line::to(&server.base()).args("--kind amocrm").args(options).ready()
}

/// The only text of a result, as JSON.
fn body_of(reply: &Message) -> Value {
    let content = reply.result()["content"].as_array().unwrap();
    assert_eq!(content.len(), 1, "{reply}");
    assert_eq!(content[0]["type"], "text", "{reply}");
    serde_json::from_str(content[0]["text"].as_str().unwrap()).unwrap()
}

/// A request line with its query in order, since that says nothing.
fn in_order(line: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let mut query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    query.sort();
    (path.to_owned(), query)
}

#[test]
fn the_server_is_its_rest_api_and_says_what_it_has() {
    for generation in REST {
        for openapi in [true, false] {
            let server = Amocrm::with(generation, Options { openapi, ..Options::default() });
            let mut line = Line::to(&server.base()).args("--kind amocrm").spawn();
            let reply = line.handshake();
            let result = reply.result();
            assert_eq!(result["capabilities"], json!({ "tools": {}, "resources": {} }));
            assert_eq!(result["protocolVersion"], "2025-11-25", "{generation:?}");
            assert!(result["serverInfo"]["name"].is_string(), "{reply}");
            line.send(request(1, "ping", "{}"));
            assert_eq!(line.recv().raw_result(), "{}");
            line.send(call(2, "get_account_info", "{}"));
            assert_eq!(body_of(&line.recv())["of"], "GET /api/account", "{generation:?}");
            line.finish_with_nothing_left();
        }
    }
}

#[test]
fn every_form_of_the_url_leads_there() {
    for path in ["", "/", "/mcp", "/mcp/", "/mcp/sse", "/mcp/messages"] {
        let server = Amocrm::of(Generation::CurrentRest);
        let mut line = Line::to(&server.url_of(path)).args("--kind amocrm").ready();
        line.send(call(1, "get_account_info", "{}"));
        assert_eq!(body_of(&line.recv())["of"], "GET /api/account", "{path}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn the_server_is_found_without_being_named() {
    for generation in REST {
        for path in ["", "/", "/mcp", "/mcp/sse"] {
            let server = Amocrm::of(generation);
            let mut line = Line::ready(&server.url_of(path));
            line.send(request(1, "tools/list", "{}"));
            let reply = line.recv();
            let tools = reply.result()["tools"].as_array().map(Vec::len);
            assert_eq!(tools, Some(24), "{generation:?} {path}");
            line.finish_with_nothing_left();
        }
    }
}

#[test]
fn another_server_is_an_error_that_says_so() {
    let upstream = Upstream::serve(|exchange| exchange.status(404));
    let mut line = Line::to(&upstream.url_of("")).args("--kind amocrm").spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    assert!([-33003, -33004].contains(&reply.error_code()), "{reply}");
    assert!(reply.error_text().contains("/mcp/sse"), "not what was tried: {reply}");
    assert!(reply.error_text().contains("--kind"), "not what to do: {reply}");
    line.finish_with_nothing_left();
}

#[test]
fn the_catalogue_is_offered_whole() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "");
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    let tools = reply.result()["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 24);
    let expected = READING.iter().map(|name| (name, [true, false, true]));
    let expected = expected.chain(CHANGING.iter().map(|name| (name, [false, true, true])));
    let expected = expected.chain(MAKING.iter().map(|name| (name, [false, false, false])));
    for (name, hints) in expected {
        let tool = tools.iter().find(|tool| tool["name"] == *name);
        let tool = tool.unwrap_or_else(|| panic!("no {name}"));
        let description = tool["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{name}");
        let schema = &tool["inputSchema"];
        assert_eq!(schema["type"], "object", "{name}");
        assert!(schema["properties"].is_object(), "{name}");
        let names = ["readOnlyHint", "destructiveHint", "idempotentHint"];
        for (hint, expected) in names.into_iter().zip(hints) {
            assert_eq!(tool["annotations"][hint], expected, "{name}: {hint}");
        }
        for ours in ["request", "fallback", "origin", "note"] {
            assert!(tool.get(ours).is_none(), "{name} shows {ours}");
        }
    }
    let contact = tools.iter().find(|tool| tool["name"] == "create_contact").unwrap();
    assert_eq!(contact["inputSchema"]["required"], json!(["name"]));
    assert!(contact["inputSchema"]["properties"]["phone"].is_object());
    line.finish_with_nothing_left();
    assert_eq!(server.calls(), []);
}

#[test]
fn each_tool_makes_the_request_of_its_catalogue_entry() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("support/amocrm/requests.json")).unwrap();
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "--rate 0");
    for (id, row) in rows.iter().enumerate() {
        let tool = row["tool"].as_str().unwrap();
        let before = server.calls().len();
        line.send(call(id, tool, &row["arguments"].to_string()));
        let reply = line.recv_id(&id.to_string());
        assert_ne!(reply.result()["isError"], true, "{row}: {reply}");
        let made = &server.calls()[before..];
        assert_eq!(made.len(), 1, "{row}: {made:?}");
        assert_eq!(in_order(&made[0].0), in_order(row["request"].as_str().unwrap()), "{tool}");
        assert_eq!(made[0].1, row["body"], "{tool}");
    }
    line.send(call(1000, "get_amocrm_status", "{}"));
    assert_eq!(body_of(&line.recv())["service"], "AmoCRM MCP Server");
    line.finish_with_nothing_left();
}

#[test]
fn a_query_is_percent_encoded() {
    let server = Amocrm::of(Generation::SmartRest);
    let mut line = line_to(&server, "");
    for (id, query) in ["Иван", "+79990000000", "a&b=c d"].into_iter().enumerate() {
        line.send(call(id, "search_contact", &json!({ "query": query }).to_string()));
        line.recv_id(&id.to_string());
    }
    line.finish_with_nothing_left();
    let made: Vec<String> = server.calls().into_iter().map(|(request, _)| request).collect();
    assert_eq!(made[0], "GET /api/contacts/search?query=%D0%98%D0%B2%D0%B0%D0%BD");
    assert_eq!(made[1], "GET /api/contacts/search?query=%2B79990000000");
    assert_eq!(in_order(&made[2]).1, [("query".to_owned(), "a&b=c d".to_owned())]);
}

#[test]
fn the_body_is_the_text_and_what_clients_can_read_it_as() {
    for (revision, structured) in
        [("2024-11-05", false), ("2025-03-26", false), ("2025-06-18", true), ("2025-11-25", true)]
    {
        let server = Amocrm::of(Generation::CurrentRest);
        let mut line = Line::to(&server.base()).args("--kind amocrm").spawn();
        line.send(INITIALIZE.replace("2025-11-25", revision));
        assert_eq!(line.recv().result()["protocolVersion"], revision);
        line.send(INITIALIZED);
        line.send(call(1, "get_account_info", "{}"));
        let reply = line.recv_id("1");
        let body = body_of(&reply);
        assert_eq!(body["price"], 1.5);
        match reply.result().get("structuredContent") {
            Some(content) => assert_eq!(*content, body, "{revision}"),
            None => assert!(!structured, "{revision}: {reply}"),
        }
        assert_eq!(reply.result().get("structuredContent").is_some(), structured, "{revision}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn an_argument_that_is_missing_is_named_and_nothing_is_sent() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "");
    for (id, (tool, arguments, missing)) in [
        ("create_contact", "{}", "name"),
        ("create_contact", r#"{"phone":"+7"}"#, "name"),
        ("create_task", r#"{"text":"x"}"#, "complete_till"),
        ("get_or_create_contact", r#"{"name":"x"}"#, "query"),
        ("update_lead", r#"{"price":1}"#, "lead_id"),
    ]
    .into_iter()
    .enumerate()
    {
        line.send(call(id, tool, arguments));
        let reply = line.recv_id(&id.to_string());
        assert_eq!(reply.error_code(), -32602, "{tool}: {reply}");
        assert!(reply.error_text().contains(missing), "{tool}: {reply}");
        assert!(reply.error_text().contains(tool), "{tool}: {reply}");
    }
    line.send(request(100, "tools/call", r#"{"name":"create_lead"}"#));
    assert_eq!(line.recv_id("100").error_code(), -32602);
    line.send(call(101, "no_such_tool", "{}"));
    let reply = line.recv_id("101");
    assert!(reply.error_text().contains("no_such_tool"), "{reply}");
    line.send(call(102, "amocrm_request", r#"{"method":"GET","path":"leads"}"#));
    assert!(line.recv_id("102").value.get("error").is_some());
    line.finish_with_nothing_left();
    assert_eq!(server.calls(), []);
}

#[test]
fn what_the_api_refuses_is_a_result_that_is_an_error() {
    at_once(REST, |generation| {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "");
        for (id, (refusal, said)) in [
            (Refusal::Status(401), ["Токен", "Unauthorized"]),
            (Refusal::Status(400), ["Ошибка AmoCRM", "Bad Request"]),
            (Refusal::Page(403), ["Ошибка AmoCRM", "Доступ закрыт"]),
            (Refusal::Unreachable, ["Ошибка запроса к AmoCRM"; 2]),
        ]
        .into_iter()
        .enumerate()
        {
            server.refuse("GET /api/users", &refusal, 1);
            line.send(call(id, "get_users", "{}"));
            let reply = line.recv_id(&id.to_string());
            assert_eq!(reply.result()["isError"], true, "{generation:?}: {reply}");
            let text = reply.result()["content"][0]["text"].as_str().unwrap_or_default();
            assert!(said.iter().any(|said| text.contains(said)), "{generation:?}: {reply}");
            assert_eq!(server.asked("GET /api/users"), id + 1, "{generation:?}: repeated");
        }
        line.finish_with_nothing_left();
    });
}

#[test]
fn an_update_has_the_form_that_the_server_takes() {
    let server = Amocrm::of(Generation::EarlyRest);
    let mut line = line_to(&server, "");
    line.send(call(1, "update_lead", r#"{"lead_id":11,"price":2000}"#));
    let reply = line.recv_id("1");
    assert_ne!(reply.result()["isError"], true, "{reply}");
    line.send(call(2, "create_contact", r#"{"name":"Пётр"}"#));
    let reply = line.recv_id("2");
    assert_ne!(reply.result()["isError"], true, "{reply}");
    line.finish_with_nothing_left();
    assert_eq!(server.asked("leads update"), 1);
    assert_eq!(server.created("contacts"), 1);
    let calls = server.calls();
    let mut updates = calls.iter().filter(|(_, body)| body["method"] == "update");
    assert_eq!(
        updates.next_back().unwrap().1,
        json!({
            "entity_type": "leads",
            "method": "update",
            "entity_id": 11,
            "data": { "price": 2000 },
        })
    );
    let mut creations = calls.iter().filter(|(_, body)| body["method"] == "create");
    assert_eq!(creations.next_back().unwrap().1["data"], json!({ "name": "Пётр" }));
}

#[test]
fn the_resources_are_listed_and_read() {
    for generation in REST {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "");
        line.send(request(1, "resources/list", "{}"));
        let reply = line.recv_id("1");
        let resources = reply.result()["resources"].as_array().unwrap();
        let uris: Vec<_> = resources.iter().map(|resource| resource["uri"].clone()).collect();
        assert_eq!(uris, ["amocrm://status", "amocrm://account", "amocrm://leads"]);
        for resource in resources {
            assert!(resource["name"].is_string(), "{resource}");
            assert_eq!(resource["mimeType"], "application/json", "{resource}");
        }
        for (id, uri, inside) in [
            (2, "amocrm://status", "AmoCRM MCP Server"),
            (3, "amocrm://account", "/api/account"),
            (4, "amocrm://leads", "Садовый инвентарь"),
        ] {
            line.send(request(id, "resources/read", &format!(r#"{{"uri":"{uri}"}}"#)));
            let reply = line.recv_id(&id.to_string());
            let contents = reply.result()["contents"].as_array().unwrap();
            assert_eq!(contents.len(), 1, "{reply}");
            assert_eq!(contents[0]["uri"], uri, "{reply}");
            assert_eq!(contents[0]["mimeType"], "application/json", "{reply}");
            let text = contents[0]["text"].as_str().unwrap();
            assert!(text.contains(inside), "{generation:?}: {reply}");
        }
        line.send(request(5, "resources/read", r#"{"uri":"amocrm://none"}"#));
        assert_eq!(line.recv_id("5").error_code(), -32002);
        line.send(request(6, "resources/templates/list", "{}"));
        assert_eq!(line.recv_id("6").result()["resourceTemplates"], json!([]));
        line.send(request(7, "prompts/get", r#"{"name":"x"}"#));
        assert_eq!(line.recv_id("7").error_code(), -32601);
        line.finish_with_nothing_left();
        let read = server.calls();
        assert_eq!(read[1].1["params"], json!({ "limit": 10 }), "{generation:?}");
    }
}

/// A number that somebody on the way would have to change is another entity's, or nobody's.
#[test]
fn a_number_that_cannot_be_carried_exactly_is_refused_and_nothing_is_sent() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "");
    for id in ["12345678901234567890123", "1e300", "-1e300", "1e400", "1.5"] {
        line.send(call(1, "delete_lead", &format!(r#"{{"lead_id":{id}}}"#)));
        let reply = line.recv_id("1");
        assert_eq!(reply.error_code(), -32602, "{id}: {reply}");
    }
    assert_eq!(server.calls(), []);
    line.finish_with_nothing_left();
}

/// Without its arguments this would list everything.
#[test]
fn arguments_that_cannot_be_read_are_refused_and_not_left_out() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "");
    line.send(call(1, "get_contacts", r#"{"query":"Иван","limit":1e400}"#));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32602, "{reply}");
    assert_eq!(server.calls(), []);
    line.finish_with_nothing_left();
}

/// Keys of a proxy in front may stand there.
#[test]
fn the_query_of_the_url_is_sent_with_every_request() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = Line::to(&server.url_of("/?key=k3y")).args("--kind amocrm").ready();
    line.send(call(1, "get_account_info", "{}"));
    body_of(&line.recv_id("1"));
    line.send(call(2, "get_deals_report", r#"{"query":"a&b=c"}"#));
    body_of(&line.recv_id("2"));
    line.finish_with_nothing_left();
    let paths: Vec<String> = server.calls().into_iter().map(|(line, _)| line).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths[1].contains("query=a%26b%3Dc"), "{paths:?}");
    for request in server.requests() {
        assert!(request.path.contains("key=k3y"), "{} {}", request.method, request.path);
    }
}
