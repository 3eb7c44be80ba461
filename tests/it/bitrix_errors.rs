//! Bitrix24: its errors are told apart, and nothing that may have run is run again.

use std::time::Instant;

use serde_json::json;

use crate::support::{
    Bitrix, INITIALIZE, Line, Message, Reply, Upstream, at_once, bitrix, call, request,
};

const CALL_METHOD: &str = r#"{"method":"crm.deal.add","params":{"fields":{"TITLE":"Шланги"}}}"#;

/// The tools that only read, with what each needs.
const READING: [(&str, &str); 8] = [
    ("getDeals", r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#),
    ("getLeads", r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#),
    ("getContacts", r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#),
    ("getUsers", r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#),
    ("getTasks", r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#),
    ("getCompanies", r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#),
    ("getCompany", r#"{"id":7}"#),
    ("getLeadCalls", r#"{"ownerId":7}"#),
];

/// The server in both forms: what is said here holds for either.
fn servers() -> [Bitrix; 2] {
    [Bitrix::current(), Bitrix::rest_only()]
}

fn line_to(server: &Bitrix, options: &str) -> Line {
    Line::to(&server.base()).args("--kind bitrix").args(options).ready()
}

/// The reply to a call that the server answers like this, for ever.
fn reply_to(server: &Bitrix, options: &str, tool: &str, arguments: &str, said: Reply) -> Message {
    server.always(tool, said);
    let mut line = line_to(server, options);
    line.send(call(1, tool, arguments));
    let reply = line.recv();
    assert_eq!(reply.id(), "1", "{reply}");
    line.expect_nothing();
    line.finish_with_nothing_left();
    reply
}

#[test]
fn an_unknown_tool_is_an_error_in_the_servers_words() {
    for server in servers() {
        let mut line = line_to(&server, "");
        line.send(call(1, "nope", "{}"));
        let reply = line.recv_id("1");
        assert!(reply.error_text().contains("Tool 'nope' is not registered"), "{reply}");
        line.finish_with_nothing_left();
        assert_eq!(server.asked("nope"), 1);
    }
}

#[test]
fn a_refused_form_is_an_error_in_the_servers_words() {
    const SAID: &str = r#"{"detail":[{"type":"missing","loc":["body","tool"],"msg":"Field required","input":null},{"type":"int_type","loc":["body","limit"],"msg":"Input should be a valid integer"}]}"#;
    for server in servers() {
        let said = Reply::status(422).body("application/json", SAID);
        let reply = reply_to(&server, "", "getDeals", "{}", said);
        for text in ["Field required", "Input should be a valid integer"] {
            assert!(reply.error_text().contains(text), "{reply}");
        }
        assert_eq!(server.asked("getDeals"), 1);
    }
}

#[test]
fn a_detail_that_is_a_text_is_the_error() {
    // Whatever the status: it is no result.
    for status in [200, 409] {
        for server in servers() {
            let said =
                Reply::status(status).body("application/json", r#"{"detail":"Portal is closed"}"#);
            let reply = reply_to(&server, "", "getUsers", "{}", said);
            assert!(reply.error_text().contains("Portal is closed"), "{status}: {reply}");
        }
    }
}

#[test]
fn an_error_of_the_server_passes_as_it_is() {
    let server = Bitrix::current();
    let mut line = line_to(&server, "");
    line.send(request(1, "tools/call", r#"{"arguments":{}}"#));
    let reply = line.recv_id("1");
    let error = r#"{"code":-32602,"message":"Invalid params: tool name required"}"#;
    assert_eq!(reply.raw("error"), Some(error));
    line.finish_with_nothing_left();
}

#[test]
fn too_many_requests_is_waited_out_for_every_tool() {
    at_once(servers(), |server| {
        for tool in ["getDeals", "callBitrixMethod"] {
            server.once(tool, bitrix::upstream_error(503, "QUERY_LIMIT_EXCEEDED"));
        }
        let mut line = line_to(&server, "");
        line.send(call(1, "getDeals", READING[0].1));
        line.send(call(2, "callBitrixMethod", CALL_METHOD));
        for id in ["1", "2"] {
            assert_eq!(line.recv_id(id).result()["isError"], false);
        }
        line.finish_with_nothing_left();
        assert_eq!(server.asked("getDeals"), 2);
        assert_eq!(server.asked("callBitrixMethod"), 2);
    });
}

#[test]
fn too_many_requests_for_long_is_an_error_of_its_own() {
    let server = Bitrix::current();
    let said = bitrix::upstream_error(503, "QUERY_LIMIT_EXCEEDED");
    let reply = reply_to(&server, "--retry-for 3", "callBitrixMethod", CALL_METHOD, said);
    let data = reply.failure(-33010);
    assert_eq!(data["kind"], "rate_limited", "{reply}");
    assert!(data.get("mayHaveRun").is_none(), "it has been refused: {reply}");
    assert!(reply.error_text().contains("QUERY_LIMIT_EXCEEDED"), "{reply}");
    assert!(server.asked("callBitrixMethod") >= 2);
}

#[test]
fn a_method_that_is_blocked_for_minutes_is_told_at_once() {
    for server in servers() {
        for (id, tool, arguments) in
            [(1, "getDeals", READING[0].1), (2, "callBitrixMethod", CALL_METHOD)]
        {
            let begun = Instant::now();
            let said = bitrix::upstream_error(429, "OPERATION_TIME_LIMIT");
            let reply = reply_to(&server, "", tool, arguments, said);
            let data = reply.failure(-33010);
            assert!(data.get("mayHaveRun").is_none(), "{id}: {reply}");
            assert!(data["hint"].is_string(), "{reply}");
            assert!(reply.error_text().contains("OPERATION_TIME_LIMIT"), "{reply}");
            assert_eq!(server.asked(tool), 1, "{reply}");
            assert!(begun.elapsed().as_secs() < 10, "it has been waited for");
        }
    }
}

#[test]
fn a_limit_in_front_of_the_server_is_an_error_of_its_own() {
    let server = Bitrix::current();
    let said = Reply::status(429).header("Retry-After", "1").body("text/plain", "slow down");
    let reply = reply_to(&server, "--no-retry", "getDeals", READING[0].1, said);
    assert_eq!(reply.failure(-33010)["httpStatus"], 429, "{reply}");
    assert_eq!(server.asked("getDeals"), 1);
}

#[test]
fn what_bitrix24_forbids_is_final() {
    for (status, error) in [(401, "expired_token"), (403, "insufficient_scope")] {
        for server in servers() {
            let said = bitrix::upstream_error(status, error);
            let reply = reply_to(&server, "", "getDeals", READING[0].1, said);
            assert!([-33003, -33005].contains(&reply.error_code()), "{reply}");
            assert!(reply.error_text().contains(error), "{reply}");
            assert_eq!(server.asked("getDeals"), 1, "{error}");
        }
    }
}

#[test]
fn a_lost_answer_is_asked_for_again_where_that_does_no_harm() {
    at_once(servers(), |server| {
        let mut line = line_to(&server, "");
        for (id, (tool, arguments)) in READING.into_iter().enumerate() {
            server.once(tool, bitrix::upstream_lost());
            line.send(call(id, tool, arguments));
        }
        for (id, (tool, _)) in READING.into_iter().enumerate() {
            assert!(line.recv_id(&id.to_string()).result().is_object(), "{tool}");
            assert_eq!(server.asked(tool), 2, "{tool}");
        }
        line.finish_with_nothing_left();
    });
}

#[test]
fn a_call_that_may_have_written_is_never_repeated() {
    let gateway = Reply::status(502).body("text/html", "<html><h1>502 Bad Gateway</h1></html>");
    for said in [bitrix::upstream_lost(), gateway, Reply::status(504)] {
        for server in servers() {
            let said = said.clone();
            let reply = reply_to(&server, "", "callBitrixMethod", CALL_METHOD, said);
            assert_eq!(reply.failure(-33003)["mayHaveRun"], true, "{reply}");
            assert_eq!(server.asked("callBitrixMethod"), 1);
        }
    }
}

#[test]
fn a_failure_without_a_cause_points_to_the_arguments() {
    for server in servers() {
        let mut line = line_to(&server, "");
        // What is missing here is the very argument that each needs.
        for (id, tool) in [(1, "getCompany"), (2, "getLeadCalls"), (3, "callBitrixMethod")] {
            line.send(call(id, tool, "{}"));
            let reply = line.recv_id(&id.to_string());
            let data = reply.failure(-33003);
            assert_eq!(data["httpStatus"], 500, "{reply}");
            let hint = data["hint"].as_str().unwrap_or_default().to_lowercase();
            assert!(hint.contains("argument"), "{reply}");
            assert_eq!(server.asked(tool), 1, "{tool}");
        }
        line.finish_with_nothing_left();
    }
}

#[test]
fn a_server_that_is_another_is_told_with_what_was_tried() {
    let upstream = Upstream::serve(|exchange| exchange.status(404));
    let mut line = Line::to(&upstream.url_of("")).args("--kind bitrix").spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    assert!([-33003, -33004].contains(&reply.error_code()), "{reply}");
    for tried in ["/mcp", "/mcp/index"] {
        assert!(reply.error_text().contains(tried), "{tried} is not named: {reply}");
    }
    line.finish_with_nothing_left();
    let paths: Vec<String> = upstream.requests().iter().map(|given| given.path.clone()).collect();
    assert!(paths.iter().any(|path| path == "/mcp"), "{paths:?}");
    assert!(paths.iter().any(|path| path == "/mcp/index"), "{paths:?}");
}

/// A call's error in JSON-RPC.
fn rpc_error(message: &str) -> Reply {
    let error = json!({ "code": -32603, "message": message });
    Reply::json(json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string())
}

/// A call's error as older servers wrap it into a success.
fn complaint(code: &str, description: &str) -> Reply {
    let payload = json!({ "error": code, "error_description": description });
    let message = "Bitrix returned HTTP 503";
    let detail = json!({ "type": "upstream_error", "message": message, "payload": payload });
    Reply::json(json!({ "detail": detail }).to_string())
}

/// Checks that a call which the server answers like this is refused by a limit, and may be made
/// later.
fn is_limited(server: &Bitrix, code: &str, said: Reply) {
    let reply = reply_to(server, "--no-retry", "callBitrixMethod", CALL_METHOD, said);
    let data = reply.failure(-33010);
    assert_eq!(data["kind"], "rate_limited", "{reply}");
    assert!(data.get("mayHaveRun").is_none(), "it has been refused: {reply}");
    assert!(data["hint"].is_string(), "{reply}");
    assert!(reply.error_text().contains(code), "{reply}");
}

#[test]
fn a_limit_is_known_in_a_success_of_an_older_server() {
    for code in ["QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"] {
        is_limited(&Bitrix::rest_only(), code, complaint(code, "said by Bitrix24"));
    }
}

#[test]
fn a_limit_is_known_in_an_error_of_json_rpc() {
    for code in ["QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"] {
        is_limited(&Bitrix::current(), code, rpc_error(&format!("Bitrix24: {code}")));
    }
}

#[test]
fn a_limit_that_is_only_spoken_of_sends_no_call_again() {
    let said = "Deal 'QUERY_LIMIT_EXCEEDED' is added, its robot has failed";
    let payload = json!({ "error": "ERROR_CORE", "error_description": said });
    let detail = json!({ "type": "upstream_error", "message": said, "payload": payload });
    let refused =
        Reply::status(502).body("application/json", json!({ "detail": detail }).to_string());
    for said in [refused, complaint("ERROR_CORE", said)] {
        let server = Bitrix::rest_only();
        let reply = reply_to(&server, "--retry-for 3", "callBitrixMethod", CALL_METHOD, said);
        assert_ne!(reply.error_code(), -33010, "{reply}");
        assert_eq!(server.asked("callBitrixMethod"), 1, "{reply}");
    }
}

/// As `a_limit_that_is_only_spoken_of_sends_no_call_again`, in an error of JSON-RPC.
#[test]
fn a_limit_that_an_error_of_json_rpc_only_speaks_of_sends_no_call_again() {
    let server = Bitrix::current();
    let said = rpc_error("Deal 'QUERY_LIMIT_EXCEEDED' is added, its robot has failed");
    let reply = reply_to(&server, "--retry-for 3", "callBitrixMethod", CALL_METHOD, said);
    assert_eq!(server.asked("callBitrixMethod"), 1, "{reply}");
}
