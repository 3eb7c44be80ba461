//! Kind `1c`: sessions of the platform, each of which may cost a licence.

use std::time::{Duration, Instant};

use crate::support::{
    Generation, Line, Onec, Reply, Request, Reuse, Sessions, call, notification, pages, request,
};

const USER: &str = "Администратор";

fn managed() -> Onec {
    Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).user(USER, "").serve()
}

/// A line whose client has listed the tools, as clients do before the first call.
fn line(onec: &Onec, args: &str) -> Line {
    listed(onec.line().arg("--user").arg(USER).args(args).ready())
}

fn listed(mut line: Line) -> Line {
    line.send(request(r#""tools""#, "tools/list", "{}"));
    assert!(line.recv_id(r#""tools""#).result()["tools"].is_array());
    line
}

/// One call, which must succeed.
fn stock(line: &mut Line) {
    line.send(call(r#""stock""#, "get_stock", "{}"));
    let reply = line.recv_id(r#""stock""#);
    assert_eq!(reply.result()["isError"], false, "{reply}");
}

/// The requests with this value of `IBSession`.
fn asking(onec: &Onec, value: &str) -> Vec<Request> {
    let asks = |request: &Request| {
        request.header("ibsession").is_some_and(|given| given.eq_ignore_ascii_case(value))
    };
    onec.requests().into_iter().filter(asks).collect()
}

/// Whether a request does nothing that a second one would do again.
fn is_safe(request: &Request) -> bool {
    let name = request.name();
    let is_health = name == "GET" && request.path.ends_with("/health");
    is_health || name == "initialize" || name.ends_with("/list")
}

#[test]
fn no_session_is_asked_for_by_default() {
    let onec = managed();
    let mut line = line(&onec, "");
    stock(&mut line);
    line.finish_with_nothing_left();
    assert!(onec.requests().iter().all(|request| request.header("ibsession").is_none()));
    assert_eq!(onec.sessions().started, 0);
}

#[test]
fn one_session_is_begun_used_and_finished() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    stock(&mut line);
    stock(&mut line);
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 1, finished: 0 });
    line.finish_with_nothing_left();
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 0, finished: 1 });

    let begun = asking(&onec, "start");
    assert_eq!(begun.len(), 1);
    assert!(is_safe(&begun[0]), "{}", begun[0].name());
    // Name and value go back, what else the platform said of the cookie does not.
    for request in &onec.requests()[1..] {
        let cookie = request.header("cookie").unwrap_or_default();
        assert!(cookie.starts_with("ibsession=") && !cookie.contains("path"), "{cookie}");
        assert!(request.header("authorization").is_some(), "{}", request.name());
    }
    let last = onec.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("GET", "/base/hs/mcp/health"));
    assert_eq!(last.header("ibsession"), Some("finish"));
}

#[test]
fn a_session_is_started_by_a_handshake_of_ours_too() {
    for generation in [Generation::NoHandshake, Generation::Foreign] {
        let onec = Onec::publish(generation).sessions(Reuse::Managed).serve();
        let mut line = onec.line().args("--managed-sessions").ready();
        stock(&mut line);
        line.send(request(1, "prompts/list", "{}"));
        line.recv_id("1");
        line.finish_with_nothing_left();
        let expected = Sessions { started: 1, live: 0, finished: 1 };
        assert_eq!(onec.sessions(), expected, "{generation:?}");
        assert!(asking(&onec, "start").iter().all(is_safe));
    }
}

#[test]
fn one_request_at_a_time_runs_in_a_session() {
    for args in ["--managed-sessions", "--managed-sessions --max-in-flight 8"] {
        let onec = managed();
        let mut line = line(&onec, args);
        let wait = |id| call(id, "wait", &format!(r#"{{"gate":"gate-{id}"}}"#)) + "\n";
        let calls: Vec<String> = (0..5).map(wait).collect();
        line.send_bytes(calls.concat() + &request(5, "prompts/list", "{}") + "\n");
        for id in 0..5 {
            let gate = format!("gate-{id}");
            onec.wait_at(&gate, 1);
            onec.open(&gate);
            line.recv_id(&id.to_string());
        }
        line.recv_id("5");
        line.finish_with_nothing_left();
        assert_eq!(onec.peak(), 1, "{args}");
        assert_eq!(onec.sessions().started, 1, "{args}");
    }
}

#[test]
fn as_many_sessions_as_are_allowed_are_begun_when_they_are_needed() {
    for (args, variable) in [("--managed-sessions=2", None), ("", Some("2"))] {
        let onec = managed();
        let mut setup = onec.line().arg("--user").arg(USER).args(args);
        if let Some(value) = variable {
            setup = setup.env("MCPLINE_MANAGED_SESSIONS", value);
        }
        let mut line = listed(setup.ready());
        stock(&mut line);
        assert_eq!(onec.sessions().started, 1, "a licence for nothing");
        for id in 0..5 {
            line.send(call(id, "wait", r#"{"gate":"gate"}"#));
        }
        onec.wait_at("gate", 2);
        onec.open("gate");
        for id in 0..5 {
            line.recv_id(&id.to_string());
        }
        line.finish_with_nothing_left();
        assert_eq!(onec.peak(), 2);
        assert_eq!(onec.sessions(), Sessions { started: 2, live: 0, finished: 2 });
    }
}

/// Where "the session could not begin" and "the call failed" cannot be told apart, the call may
/// not be what begins it.
#[test]
fn a_session_for_a_call_is_begun_by_a_look_at_the_health() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions=2");
    for id in 0..2 {
        line.send(call(id, "wait", r#"{"gate":"gate"}"#));
    }
    onec.wait_at("gate", 2);
    let begun = asking(&onec, "start");
    assert_eq!(begun.len(), 2);
    assert_eq!(begun[1].method, "GET");
    assert!(begun[1].path.ends_with("/base/hs/mcp/health"), "{}", begun[1].path);
    onec.open("gate");
    for id in 0..2 {
        line.recv_id(&id.to_string());
    }
    line.finish_with_nothing_left();
}

/// The infobase fails the test when a call begins a session.
#[test]
fn without_a_health_to_look_at_no_call_begins_a_session_either() {
    let publication = Onec::publish(Generation::Foreign).sessions(Reuse::Managed);
    let onec = publication.without_health().serve();
    let mut line = listed(onec.line().args("--managed-sessions=2").ready());
    for id in 0..2 {
        line.send(call(id, "wait", r#"{"gate":"gate"}"#));
    }
    onec.wait_at("gate", 2);
    onec.open("gate");
    for id in 0..2 {
        assert_eq!(line.recv_id(&id.to_string()).result()["isError"], false);
    }
    onec.drop_sessions(Reply::status(404));
    stock(&mut line);
    line.finish();
    assert_eq!(onec.executions("get_stock"), 1);
}

/// The infobase fails the test when two requests run at once in one session.
#[test]
fn a_session_whose_call_was_given_up_is_not_used_while_the_call_may_still_run() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    line.send(call(1, "wait", r#"{"gate":"gate"}"#));
    onec.wait_at("gate", 1);
    line.send(notification("notifications/cancelled", r#"{"requestId":1}"#));
    stock(&mut line);
    onec.open("gate");
    // The session may be ended only now.
    onec.wait_until_idle();
    line.finish_with_nothing_left();
}

/// How services and the platform say that a session is gone.
fn ways_to_lose_a_session() -> Vec<Reply> {
    vec![
        Reply::status(404),
        pages::not_found(),
        Reply::status(400),
        pages::plain(400, "Сеанс не найден"),
        pages::session_error(),
        pages::plain(500, "ошибка РАБОТЫ сеанса"),
        pages::platform_json(500, "Session error", "Session error"),
    ]
}

#[test]
fn a_session_that_is_gone_is_replaced_and_the_call_sent_again_once() {
    for lost in ways_to_lose_a_session() {
        let onec = managed();
        let mut line = line(&onec, "--managed-sessions");
        onec.drop_sessions(lost.clone());
        stock(&mut line);
        assert_eq!(onec.executions("get_stock"), 1, "{lost:?}");
        assert_eq!(onec.count("tools/call"), 2, "{lost:?}");
        assert_eq!(onec.sessions().started, 2, "{lost:?}");
        assert!(asking(&onec, "start").iter().all(is_safe), "{lost:?}");
        line.finish();
        assert_eq!(onec.sessions(), Sessions { started: 2, live: 0, finished: 1 });
    }
}

#[test]
fn a_call_whose_sessions_keep_going_is_not_sent_for_ever() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    onec.keep_no_session();
    line.send(call(1, "get_stock", "{}"));
    let reply = line.recv_id("1");
    reply.failure(reply.error_code());
    assert_eq!(onec.count("tools/call"), 2);
    assert_eq!(onec.executions("get_stock"), 0);
    line.finish();
}

#[test]
fn calls_that_lose_their_session_together_begin_one_new_one() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    onec.drop_sessions(Reply::status(404));
    for id in 0..10 {
        line.send(call(id, "get_stock", "{}"));
    }
    for id in 0..10 {
        let reply = line.recv_id(&id.to_string());
        assert_eq!(reply.result()["isError"], false, "{reply}");
    }
    assert_eq!(onec.executions("get_stock"), 10);
    assert_eq!(onec.sessions().started, 2);
    line.finish();
}

#[test]
fn another_failure_inside_a_session_loses_neither_it_nor_the_calls_only_chance() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    onec.refuse(1, pages::platform_html(500, "Ошибка", "Деление на 0"));
    line.send(call(1, "get_stock", "{}"));
    let reply = line.recv_id("1");
    reply.failure(-33003);
    assert!(reply.error_text().contains("Деление на 0"), "{reply}");
    assert_eq!(onec.count("tools/call"), 1);
    stock(&mut line);
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 1, finished: 0 });
    line.finish_with_nothing_left();
}

/// The handler has run, with any status: a second call would run it twice.
#[test]
fn an_answer_of_the_service_in_a_refusal_loses_no_session() {
    let error = r#"{"code":-32602,"message":"Ошибка работы сеанса кассы"}"#;
    for status in [400, 404, 500] {
        let body = format!("\u{feff}{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{error}}}");
        let reply = Reply::status(status).body("application/json; charset=utf-8", body);
        let publication = Onec::publish(Generation::Foreign).sessions(Reuse::Managed);
        let onec = publication.reply("tools/call get_stock", reply).serve();
        let mut line = listed(onec.line().args("--managed-sessions").ready());
        line.send(call(1, "get_stock", "{}"));
        assert_eq!(line.recv_id("1").raw("error"), Some(error), "{status}");
        line.finish_with_nothing_left();
        assert_eq!(onec.executions("get_stock"), 1, "{status}");
        assert_eq!(onec.sessions().started, 1, "{status}");
    }
}

#[test]
fn an_error_of_the_service_itself_loses_no_session() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    line.send(call(1, "нет", "{}"));
    assert_eq!(line.recv_id("1").error_code(), -32603);
    stock(&mut line);
    assert_eq!(onec.sessions().started, 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_service_that_gives_no_cookie_is_asked_once_and_used_without() {
    let onec = Onec::g3();
    let mut line = onec.line().args("--managed-sessions").ready();
    stock(&mut line);
    stock(&mut line);
    line.finish_with_nothing_left();
    let given: Vec<Request> = onec
        .requests()
        .into_iter()
        .filter(|request| request.header("ibsession").is_some())
        .collect();
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].header("ibsession"), Some("start"));
    assert!(onec.requests().iter().all(|request| request.header("cookie").is_none()));
}

#[test]
fn the_end_of_stdin_waits_for_the_call_and_then_finishes_the_session() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions=2");
    line.send(call(1, "wait", r#"{"gate":"gate"}"#));
    onec.wait_at("gate", 1);
    line.close_stdin();
    onec.open("gate");
    assert_eq!(line.recv_id("1").result()["isError"], false);
    line.finish_with_nothing_left();
    assert_eq!(onec.sessions().live, 0);
}

#[cfg(unix)]
#[test]
fn a_signal_finishes_the_session_too() {
    for signal in ["TERM", "INT"] {
        let onec = managed();
        let mut line = line(&onec, "--managed-sessions");
        stock(&mut line);
        line.signal(signal);
        let ended = line.wait();
        assert!(ended.status.success(), "{signal}: {}", ended.stderr);
        assert_eq!(onec.sessions(), Sessions { started: 1, live: 0, finished: 1 }, "{signal}");
    }
}

#[test]
fn a_service_that_is_slow_to_finish_does_not_keep_the_process() {
    let onec =
        Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).slow_to_finish().serve();
    let mut line = onec.line().args("--managed-sessions").ready();
    stock(&mut line);
    let closed = Instant::now();
    line.finish_with_nothing_left();
    // Half a second is promised; a busy machine may take some more.
    let took = closed.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(asking(&onec, "finish").len(), 1);
}

#[test]
fn the_cookie_of_a_load_balancer_is_sent_back() {
    for generation in [Generation::NoHandshake, Generation::LenientKeys] {
        let onec = Onec::publish(generation).balanced_by("ROUTE=node-2").serve();
        let mut line = onec.line().ready();
        stock(&mut line);
        line.finish_with_nothing_left();
        for request in &onec.requests()[1..] {
            assert_eq!(request.header("cookie"), Some("ROUTE=node-2"), "{}", request.name());
        }
    }
    let publication = Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed);
    let onec = publication.balanced_by("ROUTE=node-2").serve();
    let mut line = onec.line().args("--managed-sessions").ready();
    stock(&mut line);
    onec.drop_sessions(Reply::status(404));
    stock(&mut line);
    line.finish();
    for request in &onec.requests()[1..] {
        let cookie = request.header("cookie").unwrap_or_default();
        assert!(cookie.contains("ROUTE=node-2"), "{}: {cookie}", request.name());
    }
    assert_eq!(onec.sessions(), Sessions { started: 2, live: 0, finished: 1 });
}

#[test]
fn the_cookie_of_a_load_balancer_is_no_session_that_could_be_gone() {
    let onec = Onec::publish(Generation::LenientKeys).balanced_by("ROUTE=node-2").serve();
    let mut line = listed(onec.line().ready());
    for status in [400, 404] {
        onec.refuse(1, Reply::status(status));
        line.send(call(1, "get_stock", "{}"));
        line.recv_id("1").failure(-33003);
    }
    line.finish_with_nothing_left();
    assert_eq!(onec.count("tools/call"), 2);
}

#[test]
fn a_pool_without_a_free_session_is_waited_for() {
    let onec = managed();
    let mut line = line(&onec, "--managed-sessions");
    onec.refuse(2, pages::pool_exhausted());
    stock(&mut line);
    assert_eq!(onec.executions("get_stock"), 1);
    line.finish_with_nothing_left();
}
