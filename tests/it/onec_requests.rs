//! Kind `1c`: what of the client's messages reaches the service, and whose answer is whose.

use serde_json::json;

use crate::support::{
    Generation, INITIALIZE, INITIALIZED, Line, Message, Onec, Reply, Request, Reuse, Upstream,
    call, handshake, notification, pages, request,
};

const GENERATIONS: [Generation; 4] =
    [Generation::NoHandshake, Generation::StrictKeys, Generation::LenientKeys, Generation::Foreign];

#[test]
fn a_ping_never_reaches_the_service() {
    for generation in GENERATIONS {
        let onec = Onec::publish(generation).serve();
        let mut line = onec.line().ready();
        line.send(request(1, "ping", "{}"));
        assert_eq!(line.recv_id("1").result(), &serde_json::json!({}));
        line.finish_with_nothing_left();
        assert_eq!(onec.count("ping"), 0, "{generation:?}");
    }
}

/// Clients end a server that does not answer it.
#[test]
fn a_ping_is_answered_while_every_place_is_taken() {
    for (args, places) in [("", 4), ("--managed-sessions", 1)] {
        let onec = Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).serve();
        let mut line = onec.line().args(args).ready();
        for id in 0..6 {
            line.send(call(id, "wait", r#"{"gate":"gate"}"#));
        }
        onec.wait_at("gate", places);
        line.expect_nothing();
        onec.open("gate");
        for id in 0..6 {
            line.recv_id(&id.to_string());
        }
        line.finish_with_nothing_left();
    }
}

/// 1 is the id that G1 puts into its answer to a notification.
#[test]
fn notifications_reach_a_service_that_made_the_handshake_itself_and_no_other() {
    for generation in GENERATIONS {
        let onec = Onec::publish(generation).serve();
        let knows = !matches!(generation, Generation::Stub | Generation::NoHandshake);
        let mut line = onec.line().ready();
        line.send(call(1, "wait", r#"{"gate":"gate"}"#));
        onec.wait_at("gate", 1);
        line.send(notification("notifications/roots/list_changed", "{}"));
        line.send(notification("notifications/cancelled", r#"{"requestId":2}"#));
        if knows {
            onec.nth("notifications/roots/list_changed", 1);
        }
        line.expect_nothing();
        onec.open("gate");
        let reply = line.recv_id("1");
        assert_eq!(reply.result()["isError"], false, "{generation:?}: {reply}");
        line.finish_with_nothing_left();
        let sent = ["notifications/initialized", "notifications/roots/list_changed"];
        let passed: Vec<String> =
            onec.posted().into_iter().filter(|name| name.starts_with("notifications/")).collect();
        assert_eq!(passed, if knows { &sent[..] } else { &[] }, "{generation:?}");
    }
}

/// What the service answers to a notification, however wrong, is nobody's business.
#[test]
fn what_a_notification_is_answered_with_reaches_nobody() {
    for reply in [
        Reply::json(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#),
        Reply::json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        pages::plain(500, "Деление на 0"),
        Reply::status(404),
    ] {
        let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
            "initialize" => handshake(exchange, None),
            "notifications/roots/list_changed" => exchange.send(&reply),
            name if name.starts_with("notifications/") => exchange.accepted(),
            _ => exchange.result(r#"{"content":[]}"#),
        });
        let mut line = Line::to(&upstream.url_of("/base/hs/mcp")).ready();
        line.send(notification("notifications/roots/list_changed", "{}"));
        upstream.nth("notifications/roots/list_changed", 1);
        line.expect_nothing();
        line.send(call(1, "any", "{}"));
        assert_eq!(line.recv_id("1").raw_result(), r#"{"content":[]}"#);
        line.finish_with_nothing_left();
    }
}

#[test]
fn the_clients_meta_stays_here_and_nothing_else_changes() {
    let meta = r#""_meta":{"progressToken":7,"io.modelcontextprotocol/x":{"a":[1]}}"#;
    let own = r#""arguments":{"n": 1.0,"big":12345678901234567890,"_meta":{"kept":1}}"#;
    for params in [
        format!(r#"{{{meta},"name":"get_stock",{own}}}"#),
        format!(r#"{{"name":"get_stock",{meta},{own}}}"#),
        format!(r#"{{ "name":"get_stock",{own} , {meta} }}"#),
    ] {
        for generation in [Generation::StrictKeys, Generation::LenientKeys] {
            let onec = Onec::publish(generation).serve();
            let mut line = onec.line().ready();
            line.send(request(1, "tools/call", &params));
            let reply = line.recv_id("1");
            assert_eq!(reply.result()["isError"], false, "{params}: {reply}");
            line.finish_with_nothing_left();
            let got = onec.message("tools/call");
            assert!(!got.text.contains("modelcontextprotocol"), "{got}");
            let sent = Message::parse(got.raw("params").unwrap()).unwrap();
            assert_eq!(sent.value.as_object().unwrap().len(), 2, "{got}");
            assert_eq!(format!(r#""arguments":{}"#, sent.raw("arguments").unwrap()), own);
        }
    }
    let onec = Onec::publish(Generation::StrictKeys).serve();
    let mut line = onec.line().ready();
    line.send(request(1, "tools/list", &format!("{{{meta}}}")));
    assert!(line.recv_id("1").result()["tools"].is_array());
    line.finish_with_nothing_left();
}

#[test]
fn params_pass_byte_for_byte_where_nothing_is_in_them_that_must_stay() {
    let params = r#"{ "arguments":{"z":1.0,"a" :-0,"é":"\u00e9","n":null}, "name":"get_stock"}"#;
    let onec = Onec::publish(Generation::Foreign).serve();
    let mut line = onec.line().ready();
    line.send(request(1, "tools/call", params));
    line.recv_id("1");
    assert_eq!(onec.message("tools/call").raw("params"), Some(params));
    line.finish_with_nothing_left();
}

#[test]
fn params_may_be_missing_or_null() {
    for message in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#,
        r#"{"id":1,"params": null ,"method":"tools/list","jsonrpc":"2.0"}"#,
    ] {
        let onec = Onec::g3();
        let mut line = onec.line().ready();
        line.send(message);
        let reply = line.recv_id("1");
        assert!(reply.result()["tools"].is_array(), "{message}: {reply}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn ids_that_the_platform_would_change_travel_as_whole_numbers() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    for id in ["1", "1.0", r#""é""#, "9007199254740993", r#""1""#, "-0"] {
        line.send(call(id, "get_stock", "{}"));
        let reply = line.recv();
        assert_eq!(reply.id(), id, "{reply}");
        assert_eq!(reply.result()["isError"], false, "{reply}");
    }
    line.finish_with_nothing_left();
    for rpc in onec.requests().iter().map(Request::rpc) {
        let is_notification = rpc.method().starts_with("notifications/");
        assert!(is_notification || rpc.id().parse::<i32>().is_ok(), "{rpc}");
    }
}

#[test]
fn an_answer_belongs_to_its_exchange_whatever_id_it_holds() {
    let onec = Onec::publish(Generation::NoHandshake).serve();
    let mut line = onec.line().ready();
    line.send(call(1, "wait", r#"{"gate":"gate"}"#));
    onec.wait_at("gate", 1);
    // Each is an internal error, which says that it answers request 1.
    for id in 2..=4 {
        line.send(call(id, &format!("нет-{id}"), "{}"));
    }
    for id in 2..=4 {
        let reply = line.recv_id(&id.to_string());
        assert!(reply.error_text().contains(&format!("нет-{id}")), "{reply}");
    }
    line.expect_nothing();
    onec.open("gate");
    assert_eq!(line.recv_id("1").result()["isError"], false);
    line.finish_with_nothing_left();
}

#[test]
fn keys_that_the_service_would_change_are_warned_of_once() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    let arguments = r#"{"first-name":1.0,"list":[{"имя":2}]}"#;
    for id in 1..=3 {
        line.send(call(id, "get_stock", arguments));
        line.recv_id(&id.to_string());
    }
    line.close_stdin();
    let ended = line.wait();
    let warned = ended.stderr.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(warned, 1, "{}", ended.stderr);
    let sent = Message::parse(onec.message("tools/call").raw("params").unwrap()).unwrap();
    assert_eq!(sent.raw("arguments"), Some(arguments));
}

#[test]
fn keys_that_the_service_can_read_are_not_warned_of() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    line.send(call(1, "get_stock", r#"{"имя_2":1,"_a":[{"Ключ":null}],"B":{"ё":2}}"#));
    line.recv_id("1");
    line.close_stdin();
    assert_eq!(line.wait().stderr, "");
}

#[test]
fn an_answer_without_content_is_a_clear_error() {
    for reply in [
        Reply::status(200),
        Reply::status(204),
        Reply::json("\u{feff}"),
        Reply::json("\u{feff}{\"jsonrpc\":\"2.0\"}"),
        Reply::json("\u{feff}{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": 1\r\n}"),
    ] {
        let onec =
            Onec::publish(Generation::LenientKeys).reply("tools/call get_stock", reply).serve();
        let mut line = onec.line().ready();
        line.send(call(1, "get_stock", "{}"));
        line.recv_id("1").failure(-33004);
        line.send(call(2, "wait", "{}"));
        assert_eq!(line.recv_id("2").result()["isError"], false);
        line.finish_with_nothing_left();
        assert_eq!(onec.executions("get_stock"), 1);
    }
}

#[test]
fn a_batch_is_taken_apart() {
    let onec = Onec::g3();
    let mut line = onec.line().spawn();
    line.send(INITIALIZE.replace("2025-11-25", "2025-03-26"));
    line.recv_id(r#""init""#);
    line.send(INITIALIZED);
    line.send(format!("[{},{}]", call(1, "get_stock", "{}"), request(2, "tools/list", "{}")));
    let answers = line.recv().value;
    let answers = answers.as_array().unwrap();
    assert!(answers.iter().all(|answer| answer["result"].is_object()), "{answers:?}");
    assert_eq!(answers.len(), 2, "{answers:?}");
    line.finish_with_nothing_left();
}

#[test]
fn four_calls_run_at_once_unless_another_number_is_set() {
    for (args, at_once) in [("", 4), ("--max-in-flight 6", 6)] {
        let onec = Onec::g3();
        let mut line = onec.line().args(args).ready();
        let calls: Vec<String> =
            (0..9).map(|id| call(id, "wait", r#"{"gate":"gate"}"#) + "\n").collect();
        line.send_bytes(calls.concat());
        onec.wait_at("gate", at_once);
        // Two notifications, one after the other: by the time the second has arrived, a call
        // too many would have as well.
        for name in ["notifications/first", "notifications/second"] {
            line.send(notification(name, "{}"));
            onec.nth(name, 1);
        }
        onec.open("gate");
        for id in 0..9 {
            assert_eq!(line.recv_id(&id.to_string()).result()["isError"], false);
        }
        line.finish_with_nothing_left();
        assert_eq!(onec.peak(), at_once);
    }
}

#[test]
fn a_cancelled_call_is_not_answered_and_the_service_hears_nothing_of_it() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    line.send(call(1, "wait", r#"{"gate":"gate"}"#));
    onec.wait_at("gate", 1);
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    line.expect_nothing();
    onec.open("gate");
    line.send(call(2, "get_stock", "{}"));
    line.recv_id("2");
    line.finish_with_nothing_left();
    assert_eq!(onec.count("notifications/cancelled"), 0);
}

#[test]
fn the_body_is_believed_and_not_its_content_type() {
    for content_type in
        ["text/plain", "text/html; charset=windows-1251", "application/octet-stream"]
    {
        let body = "\u{feff}{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": 1,\r\n\"result\": \
                    {\"content\": [],\r\n\"сумма\": 1.0}\r\n}\r\n";
        let reply = Reply::status(200).body(content_type, body);
        let onec =
            Onec::publish(Generation::LenientKeys).reply("tools/call get_stock", reply).serve();
        let mut line = onec.line().ready();
        line.send(call(1, "get_stock", "{}"));
        let expected = r#"{"content": [],"сумма": 1.0}"#;
        assert_eq!(line.recv_id("1").raw_result(), expected, "{content_type}");
        line.finish_with_nothing_left();
    }
}

/// An answer that is final, by any author and in any words.
#[test]
fn a_failure_that_speaks_of_a_session_does_not_send_the_call_again() {
    let crm = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"order created, cash register session not found"}}"#;
    for (status, content_type, body) in [
        (500, "text/plain", "Deal 7 created; invalid session in CRM callback"),
        (502, "text/html", "<h1>Bad gateway</h1> invalid session upstream"),
        (500, "application/json", crm),
    ] {
        let upstream = Upstream::serve(move |exchange| match exchange.request.method.as_str() {
            "POST" => match exchange.name().as_str() {
                "initialize" | "notifications/initialized" => handshake(exchange, Some("s1")),
                "tools/list" => exchange.result(r#"{"tools":[{"name":"create"}]}"#),
                _ => exchange.send(&Reply::status(status).body(content_type, body)),
            },
            _ => exchange.status(405),
        });
        let mut line = Line::to(&upstream.url_of("/base")).args("--kind 1c").ready();
        line.send(call(1, "create", "{}"));
        let reply = line.recv_id("1");
        assert!(reply.error_code() < 0, "{reply}");
        line.finish();
        let sent = upstream.nth("tools/call", 1);
        assert_eq!(sent.header("mcp-session-id"), Some("s1"), "{status} {body}");
        assert_eq!(upstream.count("tools/call"), 1, "{status} {body}");
        assert_eq!(upstream.count("initialize"), 1, "{status} {body}");
    }
}

#[test]
fn a_method_is_sent_as_the_string_that_it_is() {
    let forged = r#"x/y","method":"tools/call","params":{"name":"get_stock"},"z":""#;
    for method in [forged, r#"a"b"#, r"a\b", "метод\n"] {
        let onec = Onec::g3();
        let mut line = onec.line().ready();
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} });
        line.send(request.to_string());
        line.recv_id("1").error();
        line.finish_with_nothing_left();
        assert_eq!(onec.requests().pop().unwrap().rpc().method(), method);
        assert_eq!(onec.executions("get_stock"), 0, "{method}");
    }
}

/// The service knows the request by another id: this one may belong to another client's request.
#[test]
fn no_cancellation_is_passed_on_with_the_notifications() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    line.send(call(1, "wait", r#"{"gate":"gate"}"#));
    onec.wait_at("gate", 1);
    for id in 1..=2 {
        line.send(notification("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#)));
    }
    line.send(notification("notifications/roots/list_changed", "{}"));
    onec.nth("notifications/roots/list_changed", 1);
    onec.open("gate");
    line.expect_nothing();
    line.finish_with_nothing_left();
    assert_eq!(onec.count("notifications/cancelled"), 0, "{:?}", onec.posted());
}
