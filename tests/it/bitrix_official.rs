//! Bitrix24's own MCP server: sessions, events as answers, a token, and a redirect to `http` from the
//! address without the slash.

use crate::support::{INITIALIZE, Line, Message, Reply, Request, call, request, serve_tls};

const SESSION: &str = "0f2a7c81e5";
const TOKEN: &str = "connection-t0ken";
const TOOLS: &str = r#"{"tools":[ {"name":"crm_deal_list","description":"Сделки","inputSchema":{"type":"object"}} ]}"#;
const DEALS: &str = r#"{"content":[ {"type":"text","text":"7 сделок"} ],"isError":false}"#;

/// The answer of the server in Bitrix24's cloud, as it was seen from outside.
fn official(request: &Request) -> Reply {
    let path = request.path.as_str();
    if path == "/mcp" {
        let host = request.header("host").unwrap();
        return Reply::status(307).header("Location", format!("http://{host}/mcp/"));
    }
    if path != "/mcp/" {
        return Reply::status(404).body("text/plain", "404 page not found");
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Reply::status(401)
            .header("WWW-Authenticate", r#"Bearer error="invalid_token""#)
            .body("application/json", r#"{"error":"invalid_token"}"#);
    }
    if request.method == "DELETE" {
        return Reply::status(200);
    }
    if request.method != "POST" {
        return Reply::status(405);
    }
    let rpc = request.rpc();
    if rpc.method() != "initialize" && request.header("mcp-session-id") != Some(SESSION) {
        let said = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
        return Reply::status(400).body("application/json", said);
    }
    if !rpc.is_request() {
        return Reply::status(202);
    }
    event(&rpc)
}

fn event(rpc: &Message) -> Reply {
    let result = match rpc.method() {
        "initialize" => {
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":false}},"serverInfo":{"name":"Bitrix24","version":"1.14.1"}}"#
        }
        "tools/list" => TOOLS,
        "tools/call" => DEALS,
        _ => "{}",
    };
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, rpc.id());
    let event = format!("event: message\r\ndata: {answer}\r\n\r\n");
    Reply::status(200).body("text/event-stream", event).header("Mcp-Session-Id", SESSION)
}

fn line_to(url: &str, kind: &str, token: &str) -> Line {
    Line::to(url)
        .args(&format!("--kind {kind} --insecure --no-retry --start-timeout 600"))
        .env("MCPLINE_BEARER", token)
        .spawn()
}

#[test]
fn it_is_served_with_its_token_by_every_kind_that_one_may_take() {
    for kind in ["auto", "mcp", "bitrix"] {
        let url = format!("{}/mcp/", serve_tls(|request| Some(official(request))));
        let mut line = line_to(&url, kind, TOKEN);
        assert_eq!(line.handshake().result()["serverInfo"]["name"], "Bitrix24", "{kind}");
        line.send(request(1, "tools/list", "{}"));
        assert_eq!(line.recv_id("1").raw_result(), TOOLS, "{kind}");
        line.send(call(2, "crm_deal_list", "{}"));
        assert_eq!(line.recv_id("2").raw_result(), DEALS, "{kind}");
        line.send(request(3, "ping", "{}"));
        assert_eq!(line.recv_id("3").raw_result(), "{}", "{kind}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn a_wrong_token_is_told_as_such_by_every_kind() {
    for kind in ["auto", "mcp", "bitrix"] {
        let url = format!("{}/mcp/", serve_tls(|request| Some(official(request))));
        let mut line = line_to(&url, kind, "another-t0ken");
        line.send(INITIALIZE);
        line.recv_id(r#""init""#).failure(-33005);
        line.finish_with_nothing_left();
    }
}

#[test]
fn the_address_without_the_slash_is_told_where_the_server_is() {
    for kind in ["auto", "mcp", "bitrix"] {
        let url = format!("{}/mcp", serve_tls(|request| Some(official(request))));
        let mut line = line_to(&url, kind, TOKEN);
        line.send(INITIALIZE);
        let reply = line.recv_id(r#""init""#);
        assert_eq!(reply.failure(-33003)["httpStatus"], 307, "{kind}");
        let hint = reply.failure(-33003)["hint"].as_str().unwrap();
        assert!(hint.contains("slash") && hint.contains("/mcp/"), "{kind}: {reply}");
        line.finish_with_nothing_left();
    }
}
