//! Exchanges with the service, as a client sees them.

use serde_json::json;

use super::*;

fn request(method: &str, path: &str, body: &str) -> Request<Vec<u8>> {
    let request = Request::builder().method(method).uri(path);
    request.body(body.as_bytes().to_vec()).unwrap()
}

/// Status and body of one exchange, the body as JSON or as text.
fn exchange(service: &Service, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = service.answer(&request(method, path, body));
    let body = answer.body().whole();
    let text = || String::from_utf8(body.to_vec()).unwrap().into();
    (answer.status().as_u16(), serde_json::from_slice(body).unwrap_or_else(|_| text()))
}

/// A session of a new service.
struct Session {
    service: Service,
    stream: Answer,
    address: String,
}

/// A stream and the address that its first event names.
async fn opened(service: &Service) -> (Answer, String) {
    let mut stream = service.answer(&request("GET", "/mcp/sse", ""));
    let endpoint = stream.body_mut().next_event().await.unwrap();
    let address = endpoint.strip_prefix("event: endpoint\ndata: ").unwrap().trim_end().to_owned();
    (stream, address)
}

impl Session {
    async fn new() -> Self {
        let service = Service::new();
        let (stream, address) = opened(&service).await;
        Self { service, stream, address }
    }

    fn post(&self, body: &str) -> (u16, Value) {
        exchange(&self.service, "POST", &self.address, body)
    }

    async fn next_message(&mut self) -> Value {
        let event = self.stream.body_mut().next_event().await.unwrap();
        let data = event.strip_prefix("event: message\ndata: ").unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// The answer to a request, of which the stream has to have a copy.
    async fn ask(&mut self, method: &str, params: &Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 4, "method": method, "params": params});
        let (status, answer) = self.post(&request.to_string());
        assert_eq!((status, &answer["id"]), (200, &json!(4)), "{answer}");
        assert_eq!(self.next_message().await, answer);
        answer
    }

    /// What the text of a tool's result says, or the exception.
    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments})).await;
        if let Some(error) = answer.get("error") {
            assert_eq!(error["code"], -32603, "{answer}");
            return Err(text(&error["message"]));
        }
        let result = &answer["result"];
        assert!(result.get("isError").is_none() && items(&result["content"]).len() == 1);
        Ok(serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap())
    }
}

fn ids(kind: &str, answer: &Value) -> Vec<String> {
    items(&answer["_embedded"][kind]).iter().map(|record| text(&record["id"])).collect()
}

const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;

#[test]
fn documents() {
    let service = Service::new();
    let get = |path| exchange(&service, "GET", path, "").1;
    assert_eq!(get("/")["service"], "AmoCRM MCP Server");
    let health = get("/health");
    assert_eq!((&health["status"], health["timestamp"].is_u64()), (&json!("healthy"), true));
    let paths = get("/openapi.json")["paths"].clone();
    assert!(paths.get("/api/v4-proxy/{path}").is_some() && paths.get("/mcp/sse").is_some());
    assert_eq!(
        get("/mcp"),
        json!({"name": "amocrm-mcp-server", "version": "3.0.0", "protocol": "mcp",
            "endpoints": {"sse": "/mcp/sse", "messages": "/mcp/messages"}, "status": "active"})
    );
    assert_eq!(get("/nope"), json!({"detail": "Not Found"}));
    for path in ["/mcp", "/mcp/sse", "/"] {
        let refused = exchange(&service, "POST", path, "{}");
        assert_eq!(refused, (405, json!({"detail": "Method Not Allowed"})), "{path}");
    }
}

#[tokio::test]
async fn an_answer_comes_twice_with_different_spacing() {
    let mut session = Session::new().await;
    assert_eq!(session.stream.headers()[CACHE_CONTROL], "no-cache");
    assert_eq!(session.stream.headers()["x-accel-buffering"], "no");
    let id = session.address.strip_prefix("/mcp/messages?sessionId=").unwrap();
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");

    let answer = session.service.answer(&request("POST", &session.address, PING));
    assert_eq!(answer.body().whole(), br#"{"id":"p","jsonrpc":"2.0","result":{}}"#);
    assert_eq!(
        session.stream.body_mut().next_event().await.unwrap(),
        "event: message\ndata: {\"id\": \"p\", \"jsonrpc\": \"2.0\", \"result\": {}}\n\n"
    );
}

#[tokio::test]
async fn sessions_are_required_and_end_with_their_streams() {
    let service = Service::new();
    let post = |path: &str| exchange(&service, "POST", path, PING);
    let (status, refusal) = post("/mcp/messages");
    assert_eq!(status, 422);
    assert_eq!(
        refusal,
        json!({"detail": [{"type": "missing", "loc": ["query", "sessionId"],
            "msg": "Field required", "input": null}]})
    );
    let dead = post("/mcp/messages?sessionId=dead");
    assert_eq!(dead, (400, json!({"detail": "Unknown session: dead"})));

    let (first, address) = opened(&service).await;
    let (_second, other) = opened(&service).await;
    assert_ne!(address, other);
    drop(first);
    assert_eq!(post(&address).0, 400);
    assert_eq!(post(&other).0, 200);
    assert_eq!(service.0.lock().unwrap().sessions.len(), 1, "closed sessions are forgotten");
}

#[tokio::test]
async fn the_handshake_and_the_list() {
    let mut session = Session::new().await;
    assert_eq!(
        session.ask("initialize", &json!({"protocolVersion": "2025-11-25"})).await["result"],
        json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
            "serverInfo": {"name": "amocrm-mcp-server", "version": "3.0.0"}})
    );
    let list = session.ask("tools/list", &json!(null)).await;
    let tools = items(&list["result"]["tools"]);
    assert_eq!(tools.len(), 9);
    for tool in tools {
        assert!(DATA["calls"].get(text(&tool["name"])).is_some(), "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool.get("annotations").is_none(), "{tool}");
    }
}

#[tokio::test]
async fn what_has_no_id_is_answered_but_not_on_the_stream() {
    let mut session = Session::new().await;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(session.post(initialized), (200, json!({"jsonrpc": "2.0"})));

    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    let message = "Method not found: notifications/cancelled";
    let error = json!({"code": -32601, "message": message});
    assert_eq!(session.post(cancelled).1, json!({"jsonrpc": "2.0", "id": null, "error": error}));

    let call = json!({"jsonrpc": "2.0", "method": "tools/call",
        "params": {"name": "create_lead", "arguments": {"name": "А"}}});
    let (_, answer) = session.post(&call.to_string());
    assert!(answer["id"].is_null() && answer["result"]["content"].is_array());
    // The next thing on the stream is an answer to this.
    let lead = session.call("amocrm_request", json!({"path": "/api/v4/leads/15"})).await;
    assert_eq!(lead.unwrap()["name"], "А", "it has run");
}

#[tokio::test]
async fn what_goes_wrong_has_a_code() {
    let mut session = Session::new().await;
    for (method, params, code, message) in [
        ("resources/list", json!({}), -32601, "Method not found: resources/list"),
        ("tools/call", json!(null), -32603, "'NoneType' object has no attribute 'get'"),
        (
            "tools/call",
            json!({"name": "get_account", "arguments": []}),
            -32603,
            "'list' object has no attribute 'get'",
        ),
        ("tools/call", json!({"name": "create_task"}), -32603, "'text'"),
    ] {
        let answer = session.ask(method, &params).await;
        assert_eq!(answer["error"], json!({"code": code, "message": message}));
    }
    let (status, answer) = session.post("{bad");
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32603)));
    assert!(answer["id"].is_null());
    // The stream has this all the same.
    assert_eq!(session.next_message().await, answer);
    let batch = session.post(&format!("[{PING}]"));
    assert_eq!(batch, (500, "Internal Server Error".into()));
}

#[tokio::test]
async fn results_are_texts_in_lines() {
    let mut session = Session::new().await;
    let unknown = session.ask("tools/call", &json!({"name": "nope", "arguments": {}})).await;
    let text = "{\n  \"error\": \"Unknown tool: nope\"\n}";
    assert_eq!(unknown["result"], json!({"content": [{"type": "text", "text": text}]}));
}

#[tokio::test]
async fn tools_that_read() {
    let mut session = Session::new().await;
    for (tool, arguments, kind, found) in [
        ("search_contacts", json!({"query": "игорь"}), "contacts", &["502"][..]),
        ("get_contacts", json!({"limit": 2}), "contacts", &["501", "502"]),
        ("get_tasks", json!({"is_completed": 1}), "tasks", &["802"]),
        ("get_tasks", json!({"responsible_user_id": 901}), "tasks", &["801", "803"]),
        (
            "get_events",
            json!({"type": "outgoing_call, incoming_call"}),
            "events",
            &["ev-2", "ev-5"],
        ),
        (
            "get_events",
            json!({"date_from": 1_794_486_000, "date_to": "2026-11-13"}),
            "events",
            &["ev-2"],
        ),
        ("get_notes", json!({"entity_type": "leads", "entity_id": 11}), "notes", &["701"]),
        (
            "amocrm_request",
            json!({"path": "/api/v4/leads", "params": {"limit": 1}}),
            "leads",
            &["11"],
        ),
        (
            "amocrm_request",
            json!({"method": "get", "path": "leads/pipelines"}),
            "pipelines",
            &["71", "72"],
        ),
    ] {
        let answer = session.call(tool, arguments).await.unwrap();
        assert_eq!(ids(kind, &answer), found, "{tool}");
    }
    assert_eq!(session.call("get_account", json!({})).await.unwrap()["id"], 31_000_001);
}

#[tokio::test]
async fn tools_that_write() {
    let mut session = Session::new().await;
    for id in ["15", "16"] {
        let answer = session.call("create_lead", json!({"name": "Новая сделка"})).await.unwrap();
        assert_eq!(ids("leads", &answer), [id]);
    }
    let read = json!({"path": "/api/v4/leads/16"});
    let lead = session.call("amocrm_request", read).await.unwrap();
    assert_eq!((&lead["name"], &lead["price"]), (&json!("Новая сделка"), &json!(0)));

    let task = json!({"text": "Позвонить", "complete_till": 1_795_251_600, "entity_id": 16,
        "entity_type": "leads", "task_type_id": 2});
    assert_eq!(ids("tasks", &session.call("create_task", task).await.unwrap()), ["804"]);
    let create = json!({"method": "POST", "path": "/api/v4/contacts", "body": {"name": "Анна"}});
    let answer = session.call("amocrm_request", create).await.unwrap();
    assert_eq!(ids("contacts", &answer), ["505"]);
}

#[tokio::test]
async fn failures_of_amocrm_are_results() {
    let mut session = Session::new().await;
    for (tool, arguments, member, expected) in [
        ("create_lead", json!({}), "status", json!(400)),
        ("amocrm_request", json!({"method": "DELETE", "path": "leads/11"}), "status", json!(405)),
        ("amocrm_request", json!({"path": "/api/v4/nope"}), "status", json!(404)),
        ("search_contacts", json!({"query": "никто"}), "code", json!(204)),
    ] {
        assert_eq!(session.call(tool, arguments).await.unwrap()[member], expected, "{tool}");
    }
}

#[tokio::test]
async fn exceptions_name_what_was_missing() {
    let mut session = Session::new().await;
    for (tool, arguments, exception) in [
        ("create_task", json!({"text": "А"}), "'complete_till'"),
        ("get_notes", json!({"entity_type": "leads"}), "'entity_id'"),
        ("get_events", json!({"date_to": "вчера"}), "Invalid isoformat string: 'вчера'"),
    ] {
        assert_eq!(session.call(tool, arguments).await, Err(exception.to_owned()), "{tool}");
    }
}

#[test]
fn the_rest_interface() {
    let service = Service::new();
    let get = |path| exchange(&service, "GET", path, "").1;
    assert_eq!(get("/api/account")["name"], "Наша фирма (демо)");
    assert_eq!(get("/api/v4-proxy/users")["_embedded"]["users"][0]["id"], 901);

    let entities = |body: Value| exchange(&service, "POST", "/api/entities", &body.to_string());
    let leads = json!({"entity_type": "leads", "method": "get", "params": {"limit": 2}});
    let (status, leads) = entities(leads);
    assert_eq!((status, &leads["_embedded"]["leads"][1]["id"]), (200, &json!(12)));
    let contact = json!({"entity_type": "contacts", "method": "get", "entity_id": 503});
    assert_eq!(entities(contact).1["name"], "Марина Клёнова");
    let create = json!({"entity_type": "leads", "method": "create", "data": {"name": "А"}});
    assert_eq!(entities(create).1["_embedded"]["leads"][0]["id"], 15);
    for method in ["update", "delete"] {
        let body = json!({"entity_type": "leads", "method": method, "entity_id": 15});
        let (status, refusal) = entities(body);
        assert_eq!((status, &refusal["status"]), (200, &json!(405)), "{method}");
    }
    let unknown = json!({"entity_type": "leads", "method": "sing"});
    let error = json!({"error": "400: Неподдерживаемый метод", "status": "error"});
    assert_eq!(entities(unknown), (200, error));
    for (body, lacks) in
        [(json!({"method": "get"}), "entity_type"), (json!({"entity_type": "leads"}), "method")]
    {
        let (status, refusal) = entities(body);
        assert_eq!((status, &refusal["detail"][0]["loc"]), (422, &json!(["body", lacks])));
    }
}
