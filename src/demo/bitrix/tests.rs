//! Exchanges with the service, as a client sees them.

use serde_json::json;

use super::*;

fn request(method: &str, path: &str, body: &str) -> Request<Vec<u8>> {
    let request = Request::builder().method(method).uri(path).header(HOST, "demo:80");
    request.body(body.as_bytes().to_vec()).unwrap()
}

/// Status and body of one exchange with a new service, the body as JSON or as text.
fn exchange(method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = Service::new().answer(&request(method, path, body));
    let body = answer.body().whole();
    let text = || String::from_utf8(body.to_vec()).unwrap().into();
    (answer.status().as_u16(), serde_json::from_slice(body).unwrap_or_else(|_| text()))
}

fn post(path: &str, body: &str) -> (u16, Value) {
    exchange("POST", path, body)
}

async fn next_event(stream: &mut Answer) -> String {
    stream.body_mut().next_event().await.unwrap()
}

const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

#[test]
fn documents() {
    let (_, health) = exchange("GET", "/mcp/health", "");
    assert_eq!(health, json!({"status": "ok", "message": "MCP endpoint is alive"}));
    assert_eq!(exchange("GET", "/healthz", "").1, json!({"status": "ok"}));

    let (_, index) = exchange("GET", "/mcp/index", "");
    assert_eq!(index["tools"].as_array().map(Vec::len), Some(9));
    assert_eq!(index["resources"][0]["uri"], "crm/deals");

    let (_, message) = exchange("GET", "/mcp", "");
    assert_eq!(message["method"], "initialize");
    assert_eq!(message["params"]["serverInfo"]["name"], "Bitrix24 MCP Server");
}

#[test]
fn what_the_framework_answers() {
    let (status, refusal) = exchange("DELETE", "/mcp", "");
    assert_eq!(status, 405);
    assert_eq!(refusal, json!({"detail": "Method Not Allowed"}));
    let (status, refusal) = exchange("POST", "/mcp/messages", "{}");
    assert_eq!((status, refusal), (404, json!({"detail": "Not Found"})));

    let service = Service::new();
    let answer = service.answer(&request("POST", "/mcp/", PING));
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers()[LOCATION], "http://demo:80/mcp");
}

#[tokio::test]
async fn every_reader_of_the_stream_sees_every_answer() {
    let service = Service::new();
    service.answer(&request("POST", "/mcp", PING));
    let mut get = request("GET", "/mcp", "");
    let accept = HeaderValue::from_static("application/json, text/event-stream");
    get.headers_mut().insert(ACCEPT, accept);
    let mut stream = service.answer(&get);
    let mut second = service.answer(&request("GET", "/mcp/sse", ""));
    let answered = "event: message\ndata: {\"error\": {\"code\": -32601, \
        \"message\": \"Method not found: ping\"}, \"id\": 7, \"jsonrpc\": \"2.0\"}\n\n";
    // Only the first one is told of the past.
    let endpoint = "event: endpoint\ndata: /mcp\n\n";
    assert_eq!(next_event(&mut stream).await, format!("{endpoint}{answered}"));
    assert_eq!(next_event(&mut second).await, endpoint);

    service.answer(&request("POST", "/mcp", PING));
    assert_eq!(next_event(&mut stream).await, answered);
    assert_eq!(next_event(&mut second).await, answered);

    drop(second);
    let call = r#"{"tool":"getCompany","params":{"id":1}}"#;
    service.answer(&request("POST", "/mcp/tool/call", call));
    let event = next_event(&mut stream).await;
    assert!(event.contains("\"method\": \"tools/call\", \"params\": {\"result\""), "{event}");
}

#[tokio::test]
async fn the_past_has_a_bound() {
    let service = Service::new();
    for id in 0..=STREAM_LIMIT {
        let ping = format!(r#"{{"jsonrpc":"2.0","id":"n{id}","method":"ping"}}"#);
        service.answer(&request("POST", "/mcp", &ping));
    }
    let past = next_event(&mut service.answer(&request("GET", "/mcp/sse", ""))).await;
    assert!(!past.contains("\"n0\"") && past.contains("\"n1\""), "{past}");
    assert!(past.contains(&format!("\"n{STREAM_LIMIT}\"")), "{past}");
}

fn result_of(method: &str, params: &Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let (status, mut answer) = post("/mcp", &message.to_string());
    assert_eq!((status, &answer["id"]), (200, &json!(1)), "{answer}");
    answer["result"].take()
}

#[test]
fn the_handshake_has_everything_in_it() {
    let result = result_of("initialize", &json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(result["protocolVersion"], "2025-06-18");
    assert_eq!(result["serverInfo"], json!({"name": "Bitrix24 MCP Server", "version": "0.1.0"}));
    assert_eq!(
        result["capabilities"],
        json!({"resources": {"list": {}, "query": {}}, "tools": {"list": {}, "call": {}}})
    );
    for list in ["resources", "tools", "structuredInstructions", "instructionNotes"] {
        assert!(result[list].as_array().is_some_and(|list| !list.is_empty()), "{list}");
    }
    let tools = result_of("tools/list", &json!(null));
    assert_eq!(tools, json!({"tools": result["tools"]}));
    let resources = result_of("resources/list", &json!({}));
    assert_eq!(resources, json!({"resources": result["resources"]}));
}

#[test]
fn what_is_listed_can_be_queried() {
    let list = result_of("resources/list", &json!({}));
    for resource in list["resources"].as_array().unwrap() {
        let uri = &resource["uri"];
        let result = result_of("resources/query", &json!({"uri": uri, "arguments": {}}));
        assert_eq!(
            result["metadata"],
            json!({"provider": "bitrix24", "resource": uri, "tool": null,
                "instance_name": null})
        );
        assert!(result["data"].as_array().is_some_and(|data| !data.is_empty()), "{uri}");
        assert!(result["next_cursor"].is_null() && result.get("total").is_some(), "{uri}");
    }
    let params = json!({"uri": "crm/deals", "arguments": {"limit": 2, "start": 2}});
    let result = result_of("resources/query", &params);
    assert_eq!(result["data"][0]["ID"], "3");
    assert_eq!((&result["next_cursor"], &result["total"]), (&json!("4"), &json!(6)));
}

#[test]
fn a_tool_is_called() {
    let call = json!({"name": "getCompany", "arguments": {"id": 2}});
    let result = result_of("tools/call", &call);
    assert_eq!(result["isError"], false);
    let company = &result["structuredContent"]["result"]["result"];
    assert_eq!(company["TITLE"], "АО «Северный питомник»");
}

#[test]
fn messages_without_an_id_are_silent() {
    for message in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#,
    ] {
        assert_eq!(post("/mcp", message), (204, "".into()));
    }
}

#[test]
fn what_is_wrong_is_refused_in_one_of_four_ways() {
    let error = |id, code: i32, message: &str| {
        let error = json!({"code": code, "message": message});
        (200, json!({"jsonrpc": "2.0", "id": id, "error": error}))
    };
    for (method, params, expected) in [
        ("ping", json!({}), error(json!(1), -32601, "Method not found: ping")),
        (
            "resources/read",
            json!({"uri": "crm/deals"}),
            error(json!(1), -32601, "Method not found: resources/read"),
        ),
        (
            "tools/call",
            json!({"arguments": {}}),
            error(json!(1), -32602, "Invalid params: tool name required"),
        ),
        (
            "resources/query",
            json!({}),
            error(json!(1), -32602, "Invalid params: resource uri required"),
        ),
        (
            "tools/call",
            json!({"name": "nope", "arguments": {}}),
            (
                404,
                json!({"detail": {"type": "tool_not_found",
                    "message": "Tool 'nope' is not registered."}}),
            ),
        ),
        (
            "resources/query",
            json!({"uri": "nope"}),
            (
                404,
                json!({"detail": {"type": "resource_not_found",
                    "message": "Resource 'nope' is not registered."}}),
            ),
        ),
        ("tools/call", json!(null), (500, "Internal Server Error".into())),
        (
            "tools/call",
            json!({"name": "getUsers", "arguments": null}),
            (500, "Internal Server Error".into()),
        ),
        ("tools/call", json!({"name": "getCompany"}), (500, "Internal Server Error".into())),
    ] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        assert_eq!(post("/mcp", &message.to_string()), expected, "{message}");
    }
    let (_, answer) = post("/mcp", "{bad");
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(null), &json!(-32700)));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Parse error: Expecting "), "{message}");
}

#[test]
fn a_batch_is_taken_for_something_else() {
    for body in [r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "{}"] {
        let (status, message) = post("/mcp", body);
        assert_eq!((status, &message["method"]), (200, &json!("initialize")));
        assert!(message.get("id").is_none() && message["params"]["tools"].is_array());
    }
}

#[test]
fn the_plain_addresses() {
    let (status, result) = post("/mcp/tool/call", r#"{"tool":"getUsers","params":{"limit":1}}"#);
    assert_eq!((status, &result["isError"]), (200, &json!(false)));
    assert!(result.get("jsonrpc").is_none());
    let (status, _) = post("/mcp/tool/call", r#"{"tool":"zzz","params":{}}"#);
    assert_eq!(status, 404);
    let (status, text) = post("/mcp/tool/call", r#"{"params":{}}"#);
    assert_eq!((status, text), (500, "Internal Server Error".into()));

    let guide = r#"{"resource":"bitrix24_leads_guide"}"#;
    let (status, result) = post("/mcp/resource/query", guide);
    assert_eq!((status, &result["total"]), (200, &json!(null)));
    assert!(result["data"][0]["payload"]["filter"].is_object());
    let (status, refusal) = post("/mcp/resource/query", "{}");
    assert_eq!(status, 422);
    assert_eq!(
        refusal["detail"],
        json!([{"type": "missing", "loc": ["body", "resource"], "msg": "Field required",
            "input": {}}])
    );
}
