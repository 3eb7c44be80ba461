//! No server is taken for another, and a kind that is named serves every server of its product as
//! well as `--kind mcp` does: one table of servers, each by `auto`, by every kind, and by `mcp`.

use serde_json::{Value, json};

use crate::support::amocrm::Generation;
use crate::support::bitrix;
use crate::support::neighbour::{CALLED, Manners, Neighbour, TRANSPORTS, Transport, result_of};
use crate::support::{
    Amocrm, Answered, Bitrix, Exchange, INITIALIZE, Line, Reply, Upstream, at_once, call,
    handshake, notification, request,
};

const KINDS: [&str; 4] = ["auto", "bitrix", "amocrm", "mcp"];

/// What a named kind says in the log of a server that is another.
const ANOTHER: &str = "another MCP server than";

/// The capabilities of b24-mcp, by which it is known.
const OF_BITRIX: &str =
    r#"{"resources":{"list":{},"query":{}},"tools":{"list":{},"call":{}},"prompts":{}}"#;

const USUAL: &str = r#"{"tools":{},"resources":{},"prompts":{}}"#;

fn not_found(exchange: &mut Exchange<'_>) -> Answered {
    exchange.send(&Reply::status(404).body("application/json", r#"{"detail":"Not Found"}"#))
}

/// A web application answers every path with its page.
fn page(exchange: &mut Exchange<'_>) -> Answered {
    exchange.send(&Reply::status(200).body("text/html", "<!doctype html><div id=app></div>"))
}

fn login(exchange: &mut Exchange<'_>) -> Answered {
    exchange.send(&Reply::status(302).header("Location", "/login"))
}

fn unauthorised(exchange: &mut Exchange<'_>) -> Answered {
    exchange.send(&Reply::status(401).header("WWW-Authenticate", "Bearer"))
}

fn broken(exchange: &mut Exchange<'_>) -> Answered {
    exchange.send(&Reply::status(500).body("text/plain", "no such route"))
}

fn away(exchange: &mut Exchange<'_>) -> Answered {
    exchange.send(&Reply::status(503).body("text/plain", "no upstream"))
}

/// Everything that other servers say of themselves at the places of the services.
fn talkative(exchange: &mut Exchange<'_>) -> Answered {
    match exchange.request.path.as_str() {
        "/health" => exchange.json(r#"{"status":"healthy","version":"3.0.0"}"#),
        "/" => exchange.json(r#"{"status":"active","service":"CRM MCP Server"}"#),
        "/openapi.json" => exchange.json(r#"{"openapi":"3.1.0","paths":{"/mcp":{}}}"#),
        "/mcp/index" => exchange.json(r#"{"tools":[]}"#),
        _ => not_found(exchange),
    }
}

fn manners(transport: Transport, place: &'static str) -> Manners {
    Manners {
        name: "Bitrix24 MCP Server",
        transport,
        place,
        elsewhere: not_found,
        capabilities: USUAL,
        results: &[],
    }
}

fn is_stream(transport: Transport) -> bool {
    matches!(transport, Transport::Stream | Transport::StreamAndBody)
}

/// Everything comes as the server sends it, by whatever kind; the log tells of another server where
/// the kind was named.
fn is_served_as_it_is(manners: &Manners, kind: &str) {
    let row = format!("{:?} at {} by {kind}", manners.transport, manners.place);
    let server = Neighbour::with(manners.clone());
    let mut line = Line::to(&server.url_at(manners.place))
        .args(&format!("--kind {kind} --log-level info --start-timeout 600"))
        .spawn();
    let reply = line.handshake();
    assert_eq!(reply.result()["serverInfo"]["name"], manners.name, "{row}: {reply}");
    line.send(call(1, "getDeals", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), CALLED, "{row}");
    line.send(request(2, "resources/read", r#"{"uri":"a://b"}"#));
    assert_eq!(line.recv_id("2").raw_result(), result_of("resources/read"), "{row}");
    for (id, method) in ["tools/list", "resources/list", "prompts/list"].iter().enumerate() {
        let id = 3 + id;
        line.send(request(id, method, "{}"));
        assert_eq!(line.recv_id(&id.to_string()).raw_result(), result_of(method), "{row}");
    }
    line.send(notification("notifications/roots/list_changed", "{}"));
    line.expect_nothing();
    line.close_stdin();
    let ended = line.wait();
    assert!(ended.rest.is_empty(), "{row}: {:?}", ended.rest);
    let is_named = matches!(kind, "bitrix" | "amocrm");
    assert_eq!(ended.stderr.contains(ANOTHER), is_named, "{row}: {}", ended.stderr);
    assert!(!ended.stderr.contains("is b24-mcp"), "{row}: {}", ended.stderr);
    assert_eq!(server.count("notifications/roots/list_changed"), 1, "{row}");
    // An address that may be the endpoint of a service is posted to, and no other.
    let is_endpoint = manners.place.trim_end_matches('/').ends_with("/mcp");
    if is_endpoint && !is_stream(manners.transport) {
        let posted = server.requests().into_iter().filter(|made| made.method == "POST");
        let elsewhere: Vec<_> = posted.filter(|made| made.path != manners.place).collect();
        assert!(elsewhere.is_empty(), "{row}: {elsewhere:?}");
    }
}

/// Every row by every kind, some at the same time.
fn by_every_kind(rows: &[Manners]) {
    let cases: Vec<_> = rows.iter().flat_map(|row| KINDS.map(|kind| (row, kind))).collect();
    for some in cases.chunks(8) {
        at_once(some, |(row, kind)| is_served_as_it_is(row, kind));
    }
}

#[test]
fn a_server_with_the_name_of_a_service_is_served_on_every_transport() {
    let names = ["Bitrix24 MCP Server", "amocrm-mcp-server"];
    let rows = names.iter().flat_map(|name| {
        TRANSPORTS.map(|transport| {
            let place = if is_stream(transport) { "/sse" } else { "/mcp" };
            Manners { name, ..manners(transport, place) }
        })
    });
    by_every_kind(&rows.collect::<Vec<_>>());
}

#[test]
fn a_server_is_served_at_whatever_path_it_has() {
    let at = |transport| move |place| manners(transport, place);
    let posted = ["/mcp/", "/", "/b24", "/api/mcp/", "/mcp/v1"].map(at(Transport::EventsInSession));
    let json = ["/mcp/", "/kommo/mcp"].map(at(Transport::Json));
    let streamed = ["/mcp", "/mcp/sse", "/b24/sse", "/events/"].map(at(Transport::Stream));
    by_every_kind(&[posted.as_slice(), &json, &streamed].concat());
}

#[test]
fn what_a_server_says_at_other_paths_changes_nothing() {
    let rows = [talkative, page, login, unauthorised, broken, away].map(|elsewhere| {
        [
            Manners { elsewhere, ..manners(Transport::EventsInSession, "/mcp") },
            Manners { elsewhere, ..manners(Transport::Json, "/crm") },
            Manners { elsewhere, ..manners(Transport::Stream, "/sse") },
        ]
    });
    by_every_kind(&rows.concat());
}

/// Sessions and events are none of b24-mcp's, whatever is announced in them.
#[test]
fn the_capabilities_of_b24_mcp_alone_make_no_b24_mcp() {
    let rows = TRANSPORTS.iter().filter(|transport| **transport != Transport::Json);
    let rows = rows.map(|transport| {
        let place = if is_stream(*transport) { "/sse" } else { "/mcp" };
        Manners { capabilities: OF_BITRIX, ..manners(*transport, place) }
    });
    by_every_kind(&rows.collect::<Vec<_>>());
}

#[test]
fn silence_at_other_paths_does_not_keep_a_server_from_being_served() {
    let row = Manners {
        elsewhere: |exchange| exchange.pass("never"),
        ..manners(Transport::Json, "/b24")
    };
    at_once(["bitrix", "amocrm"], |kind| is_served_as_it_is(&row, kind));
}

/// What strict clients refuse is repaired where a kind is named, and there alone.
#[test]
fn a_named_kind_repairs_the_answers_of_another_server() {
    const FAULTY: &[(&str, &str)] = &[
        ("tools/list", r#"{"tools":[{"name":"t","description":null,"inputSchema":null}]}"#),
        ("tools/call", r#"{"content":[{"type":"text","text":null}]}"#),
        ("prompts/list", r#"{"prompts":[{"name":"p","description":null}]}"#),
    ];
    let rows = TRANSPORTS.map(|transport| {
        let place = if is_stream(transport) { "/sse" } else { "/mcp" };
        Manners { results: FAULTY, ..manners(transport, place) }
    });
    let cases: Vec<_> = rows.iter().flat_map(|row| KINDS.map(|kind| (row, kind))).collect();
    for some in cases.chunks(8) {
        at_once(some, |(row, kind)| {
            let server = Neighbour::with((*row).clone());
            let url = server.url_at(row.place);
            let mut line = Line::to(&url).args(&format!("--kind {kind}")).ready();
            let is_repaired = matches!(*kind, "bitrix" | "amocrm");
            let mut asks = |id: usize, method: &str, params: &str| {
                line.send(request(id, method, params));
                let reply = line.recv_id(&id.to_string());
                let given = FAULTY.iter().find(|(name, _)| *name == method).unwrap().1;
                let whole = format!("{:?} by {kind}: {reply}", row.transport);
                assert_eq!(reply.raw_result() == given, !is_repaired, "{whole}");
                reply.result().clone()
            };
            let tools: Value = asks(1, "tools/list", "{}");
            let called = asks(2, "tools/call", r#"{"name":"t","arguments":{}}"#);
            let prompts = asks(3, "prompts/list", "{}");
            if is_repaired {
                assert_eq!(tools["tools"][0]["inputSchema"]["type"], "object");
                assert_eq!(called["content"][0]["text"], "");
                assert!(prompts["prompts"][0].get("description").is_none());
            }
            line.finish_with_nothing_left();
        });
    }
}

#[test]
fn a_failure_that_looks_like_a_success_is_marked_for_another_server_of_amocrm_too() {
    const SAID: &str = r#"{"content":[{"type":"text","text":"{\"status\": 429, \"title\": \"Too Many Requests\"}"}]}"#;
    let row = Manners { results: &[("tools/call", SAID)], ..manners(Transport::Events, "/mcp") };
    for (options, is_marked) in [("", true), ("--keep errors", false)] {
        let server = Neighbour::with(row.clone());
        let line = Line::to(&server.url_at("/mcp")).args("--kind amocrm").args(options);
        let mut line = line.ready();
        line.send(call(1, "get_leads", "{}"));
        let reply = line.recv_id("1");
        assert_eq!(reply.result()["isError"] == true, is_marked, "{reply}");
        line.finish_with_nothing_left();
        // What else the call has done is not known here.
        assert_eq!(server.count("tools/call"), 1);
    }
}

/// The names of tools that only read at the services say nothing of those of another server.
#[test]
fn a_call_of_another_server_is_not_repeated_for_the_name_of_its_tool() {
    for (kind, tool) in [("bitrix", "getDeals"), ("amocrm", "get_contacts"), ("auto", "getDeals")] {
        let upstream = Upstream::serve(move |exchange| {
            match (exchange.request.method.as_str(), exchange.request.path.as_str()) {
                ("POST", "/mcp") if exchange.name() == "tools/call" => exchange.close(),
                ("POST", "/mcp") => handshake(exchange, Some("s1")),
                ("DELETE", "/mcp") => exchange.status(204),
                ("GET", "/mcp") => exchange.status(405),
                _ => exchange.status(404),
            }
        });
        let mut line = Line::to(&upstream.url()).args(&format!("--kind {kind}")).ready();
        line.send(call(1, tool, "{}"));
        assert_eq!(line.recv_id("1").failure(-33002)["mayHaveRun"], true, "{kind}");
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("tools/call"), 1, "{kind}");
    }
}

/// Each service in each variant, by `auto` and by its own kind.
#[test]
fn the_services_themselves_are_recognised() {
    for kind in ["auto", "bitrix"] {
        for (server, path, said) in [
            (Bitrix::current(), "/mcp", "the server is b24-mcp"),
            (Bitrix::current(), "", "the server is b24-mcp"),
            (Bitrix::current(), "/mcp/", "the server is b24-mcp"),
            // Its stream tells everybody everything, so it does not stay open.
            (Bitrix::current(), "/mcp/sse", "the server is b24-mcp"),
            (Bitrix::rest_only(), "", "an older b24-mcp"),
            (Bitrix::rest_only(), "/mcp", "an older b24-mcp"),
        ] {
            is_recognised(&server.url_of(path), kind, said);
        }
    }
    for kind in ["auto", "amocrm"] {
        for (generation, path, said) in [
            (Generation::Streamed, "/mcp/sse", "mcp-amocrm-server on an event stream"),
            (Generation::Streamed, "", "mcp-amocrm-server on an event stream"),
            (Generation::Sessionless, "/mcp", "mcp-amocrm-server without sessions"),
        ] {
            is_recognised(&Amocrm::of(generation).url_of(path), kind, said);
        }
    }
}

/// A proxy may publish b24-mcp below a path.
#[test]
fn b24_mcp_is_recognised_below_a_path() {
    for kind in ["auto", "bitrix"] {
        for place in ["/crm", "/crm/", "/crm/mcp", "/crm/mcp?key=k3yk3yk3y"] {
            let server = Upstream::serve(|exchange| {
                let path = exchange.request.path.split('?').next().unwrap_or_default().to_owned();
                match (exchange.request.method.as_str(), path.as_str()) {
                    ("GET", "/crm/mcp/index") => exchange.json(r#"{"tools":[],"resources":[]}"#),
                    ("POST", "/crm/mcp") if exchange.name() == "tools/list" => {
                        exchange.result(&json!({ "tools": bitrix::tools() }).to_string())
                    }
                    ("POST", "/crm/mcp") if exchange.name() == "initialize" => {
                        exchange.result(&bitrix::handshake_result())
                    }
                    ("POST", "/crm/mcp") => exchange.status(204),
                    _ => not_found(exchange),
                }
            });
            is_recognised(&server.url_of(place), kind, "the server is b24-mcp");
        }
    }
}

/// The root of another server leads to its endpoint, as that of a service does.
#[test]
fn the_root_of_another_server_leads_to_its_endpoint() {
    for kind in ["bitrix", "amocrm"] {
        for transport in [Transport::Json, Transport::EventsInSession] {
            let server = Neighbour::with(manners(transport, "/mcp"));
            let mut line = Line::to(&server.url_at("")).args(&format!("--kind {kind}")).ready();
            line.send(call(1, "getDeals", "{}"));
            assert_eq!(line.recv_id("1").raw_result(), CALLED, "{kind} {transport:?}");
            line.finish_with_nothing_left();
        }
    }
}

fn is_recognised(url: &str, kind: &str, said: &str) {
    let line = Line::to(url).args(&format!("--kind {kind} --log-level info"));
    let mut line = line.ready();
    line.send(request(1, "tools/list", "{}"));
    assert!(line.recv_id("1").result()["tools"].is_array(), "{url} by {kind}");
    line.close_stdin();
    let ended = line.wait();
    assert!(ended.stderr.contains(said), "{url} by {kind}: {}", ended.stderr);
    assert!(!ended.stderr.contains(ANOTHER), "{url} by {kind}: {}", ended.stderr);
}

/// A health like every other one is no sign of the REST API of mcp-amocrm-server.
#[test]
fn a_healthy_server_is_not_taken_for_the_api_of_amocrm() {
    for place in ["", "/mcp"] {
        let upstream = Upstream::serve(|exchange| match exchange.request.path.as_str() {
            "/health" => exchange.json(r#"{"status":"healthy","version":"3.0.0"}"#),
            _ => exchange.status(404),
        });
        let mut line = Line::to(&upstream.url_of(place)).args("--kind amocrm").spawn();
        line.send(INITIALIZE);
        let reply = line.recv_id(r#""init""#);
        let failure = reply.failure(-33003);
        assert!(failure["hint"].as_str().unwrap().contains("--kind mcp"), "{failure}");
        line.finish_with_nothing_left();
    }
}

/// The code of the error that `initialize` leads to.
fn code_of_refusal(url: &str, kind: &str) -> i64 {
    let mut line = Line::to(url).args(&format!("--kind {kind} --no-retry")).spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    line.finish_with_nothing_left();
    reply.value["error"]["code"].as_i64().unwrap_or_else(|| panic!("{url} by {kind}: {reply}"))
}

/// A server that says the same at every path is told by every kind as `--kind mcp` tells it.
#[test]
fn what_is_said_at_every_path_is_the_same_error_by_every_kind() {
    fn only_modern(exchange: &mut Exchange<'_>) -> Answered {
        let error = r#"{"code":-32022,"message":"Unsupported protocol version: 2025-11-25","data":{"supported":["2026-07-28"]}}"#;
        let id = match exchange.request.method.as_str() {
            "POST" => exchange.rpc().id().to_owned(),
            _ => return exchange.status(405),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
        exchange.send(&Reply::status(400).body("application/json", body))
    }
    type Says = fn(&mut Exchange<'_>) -> Answered;
    let rows: [(&str, Says); 6] = [
        ("not found", not_found),
        ("a page", page),
        ("a login", login),
        ("unauthorised", unauthorised),
        ("broken", broken),
        ("only 2026-07-28", only_modern),
    ];
    at_once(rows, |(name, everywhere)| {
        for path in ["", "/mcp", "/mcp/", "/sse", "/crm"] {
            let upstream = Upstream::serve(everywhere);
            let url = upstream.url_of(path);
            let codes = KINDS.map(|kind| code_of_refusal(&url, kind));
            assert_eq!(codes, [codes[3]; 4], "{name} at {path:?} by {KINDS:?}");
        }
    });
}

/// The API without its documents is known by what it asks for.
#[test]
fn the_api_of_amocrm_is_found_without_documents() {
    let upstream = Upstream::serve(|exchange| {
        match (exchange.request.method.as_str(), exchange.request.path.as_str()) {
            ("GET", "/health") => exchange.json(r#"{"status":"healthy"}"#),
            ("GET", "/api/account") => exchange.json(r#"{"id":31}"#),
            ("POST", "/api/entities") => {
                let said = r#"{"detail":[{"type":"missing","loc":["body","entity_type"],"msg":"Field required"}]}"#;
                exchange.send(&Reply::status(422).body("application/json", said))
            }
            _ => not_found(exchange),
        }
    });
    let mut line = Line::to(&upstream.url_of("")).args("--kind amocrm").ready();
    line.send(call(1, "get_account_info", "{}"));
    assert!(line.recv_id("1").text.contains("31"));
    line.finish_with_nothing_left();
}
