//! Kind `1c`: managed sessions are kept as long as they serve and given back in the end; cookies
//! come and go, and nobody sees the one that is a session.

use crate::support::{
    Generation, Line, Onec, Reply, Reuse, Sessions, Setup, Upstream, after_handshake, call,
    handshake, initialize_result, notification, pages, request,
};

fn listed(setup: Setup) -> Line {
    let mut line = setup.ready();
    line.send(request(r#""tools""#, "tools/list", "{}"));
    assert!(line.recv_id(r#""tools""#).result()["tools"].is_array());
    line
}

#[test]
fn an_answer_that_is_none_ends_the_call_and_not_the_session() {
    let onec = Onec::publish(Generation::LenientKeys)
        .sessions(Reuse::Managed)
        .reply("tools/call get_stock", pages::plain(200, "Готово"))
        .serve();
    let mut line = listed(onec.line().args("--managed-sessions=1"));
    for id in 0..5 {
        line.send(call(id, "get_stock", "{}"));
        line.recv_id(&id.to_string()).failure(-33004);
    }
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 1, finished: 0 });
    line.finish_with_nothing_left();
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 0, finished: 1 });
}

#[test]
fn sessions_whose_calls_were_given_up_are_finished_in_the_end() {
    let onec = Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).serve();
    let mut line = listed(onec.line().args("--managed-sessions=1"));
    for id in 1..=3 {
        line.send(call(id, "wait", r#"{"gate":"gate"}"#));
        onec.wait_at("gate", id);
        let params = format!(r#"{{"requestId":{id}}}"#);
        line.send(notification("notifications/cancelled", &params));
    }
    line.send(call(4, "get_stock", "{}"));
    assert_eq!(line.recv_id("4").result()["isError"], false);
    line.finish_with_nothing_left();
    assert_eq!(onec.sessions(), Sessions { started: 4, live: 0, finished: 4 });
    // The end does not wait for what nobody waits for: it may still be running there.
    onec.take_violations();
}

#[test]
fn without_a_health_to_look_at_a_list_begins_the_session_of_a_call() {
    for is_gone_for_good in [false, true] {
        let publication = Onec::publish(Generation::Foreign).sessions(Reuse::Managed);
        let onec =
            if is_gone_for_good { publication.without_health() } else { publication }.serve();
        let mut line = listed(onec.line().args("--managed-sessions=2"));
        line.send(call(1, "wait", r#"{"gate":"gate"}"#));
        onec.wait_at("gate", 1);
        // The only free place needs a session now.
        onec.refuse(usize::from(!is_gone_for_good), pages::not_found());
        for id in 2..=4 {
            line.send(call(id, "get_stock", "{}"));
            assert_eq!(line.recv_id(&id.to_string()).result()["isError"], false);
        }
        onec.open("gate");
        line.recv_id("1");
        line.finish_with_nothing_left();
        assert_eq!(onec.sessions().started, 2);
        let requests = onec.requests();
        for made in requests.iter().filter(|made| made.method == "POST") {
            let begins = made.header("ibsession") == Some("start");
            let cookie = made.header("cookie").unwrap_or_default();
            assert!(begins || cookie.starts_with("ibsession="), "{}: {cookie}", made.name());
        }
        let begun = requests.iter().rfind(|made| made.header("ibsession") == Some("start"));
        assert_eq!(begun.unwrap().name(), "tools/list");
    }
}

/// A service that sets the cookie which the argument `set` of a call tells.
fn setting_cookies() -> Upstream {
    Upstream::serve(after_handshake(|exchange| {
        let reply = Reply::json(exchange.result_text(r#"{"content":[],"tools":[]}"#));
        match exchange.rpc().value["params"]["arguments"]["set"].as_str() {
            Some(cookie) => exchange.send(&reply.header("Set-Cookie", cookie)),
            None => exchange.send(&reply),
        }
    }))
}

/// Has this cookie set, and gives the cookies of the request after that.
fn sent_after(upstream: &Upstream, line: &mut Line, cookie: &str) -> String {
    line.send(call(1, "set", &format!(r#"{{"set":"{cookie}"}}"#)));
    line.recv_id("1").result();
    line.send(call(2, "get_stock", "{}"));
    line.recv_id("2").result();
    upstream.requests().pop().unwrap().header("cookie").unwrap_or_default().to_owned()
}

#[test]
fn a_cookie_that_is_over_is_not_sent_back() {
    let upstream = setting_cookies();
    let mut line = Line::to(&upstream.url_of("/base")).args("--kind 1c").ready();
    let mut sent = |cookie: &str| sent_after(&upstream, &mut line, cookie);
    for over in ["expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/", "Path=/; Max-Age=0"] {
        assert_eq!(sent("ROUTE=a; path=/; expires=Fri, 01 Jan 2100 00:00:00 GMT"), "ROUTE=a");
        assert_eq!(sent(&format!("ROUTE=deleted; {over}")), "", "{over}");
    }
    line.finish_with_nothing_left();
}

#[test]
fn cookies_do_not_grow_without_bound() {
    let upstream = setting_cookies();
    let mut line = Line::to(&upstream.url_of("/base")).args("--kind 1c").ready();
    let mut sent = String::new();
    for number in 0..100 {
        sent = sent_after(&upstream, &mut line, &format!("c{number}={number}"));
        assert!(sent.contains(&format!("c{number}={number}")), "{sent}");
    }
    let count = sent.split(';').count();
    assert!((2..=50).contains(&count), "{count} cookies");
    let long = "x".repeat(10_000);
    let sent = sent_after(&upstream, &mut line, &format!("long={long}"));
    assert!(!sent.contains(&long), "a cookie of {} bytes", long.len());
    line.finish_with_nothing_left();
}

/// The id gives access to the session, and pages that show a failed request show its headers too.
#[test]
fn the_id_of_a_session_is_not_shown() {
    const ID: &str = "43cd8102-f970-4ffb";
    for kind in ["1c", "mcp"] {
        let upstream = Upstream::serve(move |exchange| {
            if exchange.request.method != "POST" {
                return exchange.json("{}");
            }
            let headers = ["cookie", "mcp-session-id"].map(|name| exchange.request.header(name));
            let page = format!("failed; the request had {headers:?}");
            match exchange.name().as_str() {
                "initialize" if exchange.request.header("ibsession").is_some() => {
                    let result = initialize_result("2025-06-18");
                    let reply = Reply::json(exchange.result_text(&result));
                    exchange.send(&reply.header("Set-Cookie", format!("ibsession={ID}; path=/b")))
                }
                "initialize" | "notifications/initialized" => handshake(exchange, Some(ID)),
                _ => exchange.send(&Reply::status(500).body("text/plain", page)),
            }
        });
        let args = if kind == "1c" { "--managed-sessions" } else { "" };
        let setup = Line::to(&upstream.url_of("/base")).args(&format!("--kind {kind}"));
        let mut line = setup.args(args).args("--log-level trace").ready();
        line.send(request(1, "resources/read", r#"{"uri":"file://x"}"#));
        let reply = line.recv_id("1");
        assert!(reply.error_text().contains("the request had"), "{reply}");
        let sent = upstream.nth("resources/read", 1);
        let sent = [sent.header("cookie"), sent.header("mcp-session-id")];
        assert!(sent.into_iter().flatten().any(|value| value.contains(ID)), "{kind}: {sent:?}");
        assert!(!reply.text.contains(ID), "{kind}: {reply}");
        line.close_stdin();
        let ended = line.wait();
        assert!(!ended.stderr.contains(ID), "{kind}: {}", ended.stderr);
    }
}
