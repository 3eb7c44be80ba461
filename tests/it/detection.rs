//! Kind `auto`: whoever is found at a URL, what is sent stays at that URL, and who is not there
//! keeps nobody waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::amocrm::{Generation, text_result};
use crate::support::{
    Amocrm, Answered, Event, Exchange, INITIALIZE, INITIALIZED, Line, Reply, Upstream, bitrix,
    call, request,
};

/// The longest that a probe of what is not there may take, with much room for a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Calls itself the server of Bitrix24 at `place`, path and query, and is nowhere else.
fn bitrix_at(place: &str, session: Option<&'static str>) -> Upstream {
    let place = place.to_owned();
    Upstream::serve(move |exchange| {
        if exchange.request.path != place {
            return exchange.send(&Reply::status(404).body("text/plain", "Not Found"));
        }
        if exchange.request.method != "POST" {
            return exchange.status(405);
        }
        let name = exchange.name();
        if name != "initialize" && exchange.request.header("mcp-session-id") != session {
            let said = "Bad Request: No valid session ID provided";
            return exchange.send(&Reply::status(400).body("text/plain", said));
        }
        match name.as_str() {
            "initialize" => {
                let reply = Reply::json(exchange.result_text(&bitrix::handshake_result()));
                exchange.send(
                    &session
                        .into_iter()
                        .fold(reply, |reply, id| reply.header("Mcp-Session-Id", id)),
                )
            }
            "notifications/initialized" => exchange.accepted(),
            "tools/list" => exchange.result(&json!({ "tools": bitrix::tools() }).to_string()),
            _ => exchange.result(&bitrix::deals()),
        }
    })
}

/// Lists and calls at this place, and asks nobody anywhere else.
fn converses(place: &str, kind: &str, session: Option<&'static str>) {
    let upstream = bitrix_at(place, session);
    let mut line = Line::to(&upstream.url_of(place)).args(&format!("--kind {kind}")).ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result()["tools"].is_array(), "{kind} {place}: {reply}");
    line.send(call(2, "getDeals", "{}"));
    assert_eq!(line.recv_id("2").raw_result(), bitrix::deals(), "{kind} {place}");
    line.finish_with_nothing_left();
    for made in upstream.requests() {
        assert_eq!(made.path, place, "{kind}: {}", made.method);
    }
}

#[test]
fn a_server_that_is_recognised_is_spoken_to_where_it_was_found() {
    for place in ["/b24", "/mcp?key=k3y", "/deep/b24?key=k3y&x=1", "/mcp"] {
        for session in [None, Some("s1")] {
            converses(place, "auto", session);
        }
    }
}

#[test]
fn a_server_whose_kind_is_given_gets_the_query_too() {
    converses("/mcp?key=k3y", "bitrix", None);
    converses("/deep/mcp?key=k3y&x=1", "bitrix", None);
}

/// The error to `initialize`, and how long it took.
fn failed_start(line: &mut Line) -> Duration {
    let begun = Instant::now();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    assert_eq!(reply.failure(-33003)["httpStatus"], 404, "{reply}");
    begun.elapsed()
}

/// 404 for everything but the two documents by which servers are recognised.
fn nothing_but(
    documents: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> Upstream {
    Upstream::serve(move |exchange| {
        let is_document = matches!(exchange.request.path.as_str(), "/" | "/mcp/index");
        if exchange.request.method == "GET" && is_document {
            return documents(exchange);
        }
        exchange.send(&Reply::status(404).body("text/plain", "Not Found"))
    })
}

#[test]
fn a_server_that_does_not_tell_what_it_is_keeps_nobody_waiting() {
    let upstream = nothing_but(|exchange| exchange.pass("never"));
    let mut line = Line::to(&upstream.url()).spawn();
    let took = failed_start(&mut line);
    assert!(took < SOON, "{took:?}");
    let begun = Instant::now();
    line.send(request(1, "tools/list", "{}"));
    line.recv_id("1").error();
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    line.finish_with_nothing_left();
}

#[cfg(target_os = "linux")]
#[test]
fn no_more_is_read_of_a_document_than_tells() {
    let upstream = nothing_but(|exchange| {
        exchange.raw_and_close("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")?;
        let blanks = vec![b' '; 1 << 20];
        loop {
            exchange.raw_and_close(&blanks)?;
        }
    });
    let mut line = Line::to(&upstream.url()).spawn();
    let took = failed_start(&mut line);
    assert!(took < SOON, "{took:?}");
    let peak = line.peak_memory();
    assert!(peak < 48 * 1024, "{peak} kB");
    line.finish_with_nothing_left();
}

/// The second copy of the answer to `initialize` may come when a call has that id.
#[test]
fn a_late_copy_of_the_handshake_answers_no_call() {
    for id in ["1", "2", "0"] {
        let server = Amocrm::of(Generation::Streamed);
        server.hold_copies();
        let mut line = Line::to(&server.url_of("/mcp/sse")).spawn();
        line.send(INITIALIZE.replace(r#""init""#, id));
        assert_eq!(line.recv().result()["serverInfo"]["name"], "amocrm-mcp-server");
        line.send(INITIALIZED);
        // The copy of the handshake comes before the only answers to the calls.
        for number in ["7", "8"] {
            server.answer("create_lead", text_result(&json!({ "lead": number })));
            server.break_post("create_lead");
            line.send(call(number, "create_lead", r#"{"name":"Шланги"}"#));
        }
        server.wait_for_held(3);
        server.release_copies();
        for number in ["7", "8"] {
            let reply = line.recv_id(number);
            let text = reply.result()["content"][0]["text"].as_str();
            assert!(text.is_some_and(|text| text.contains("lead")), "{id}: {reply}");
        }
        line.finish_with_nothing_left();
        assert_eq!(server.runs("create_lead"), 2);
    }
}

/// A proxy may take the connection of a stream and never say a word on it.
#[test]
fn a_stream_that_stays_silent_leads_to_the_api_of_amocrm() {
    let upstream = Upstream::serve(|exchange| match exchange.request.path.as_str() {
        "/mcp/sse" => exchange.pass("never"),
        "/" => exchange.json(r#"{"status":"active","service":"AmoCRM MCP Server"}"#),
        "/openapi.json" => exchange.json(r#"{"paths":{"/api/entities":{},"/api/account":{}}}"#),
        "/api/account" => exchange.json(r#"{"id":31}"#),
        _ => exchange.status(404),
    });
    let mut line = Line::to(&upstream.url_of("")).args("--kind amocrm --start-timeout 600").spawn();
    let begun = Instant::now();
    line.handshake().result();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    line.send(call(1, "get_account_info", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result()["content"][0]["text"].as_str().unwrap().contains("31"), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn a_server_that_is_recognised_is_found_where_it_was_by_a_second_handshake() {
    for place in ["/b24", "/mcp?key=k3y"] {
        let upstream = bitrix_at(place, None);
        let mut line = Line::ready(&upstream.url_of(place));
        line.send(INITIALIZE.replace(r#""init""#, r#""again""#));
        assert!(line.recv_id(r#""again""#).result()["serverInfo"].is_object(), "{place}");
        line.send(request(1, "tools/list", "{}"));
        assert!(line.recv_id("1").result()["tools"].is_array(), "{place}");
        line.finish();
        for made in upstream.requests() {
            assert_eq!(made.path, place, "{}", made.method);
        }
    }
}

/// The stream of amoCRM's server ends with every restart of it.
#[test]
fn a_session_that_ends_is_begun_anew_at_the_same_url() {
    let streams = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| {
        let path = exchange.request.path.clone();
        match (exchange.request.method.as_str(), path.split('?').next().unwrap_or_default()) {
            ("GET", "/sse") => {
                let number = streams.fetch_add(1, Ordering::SeqCst);
                let life = exchange.life();
                let mut events = exchange.events()?;
                events.send(&Event::of(format!("/messages?s={number}")).kind("endpoint"))?;
                life.pass(&format!("end-{number}"))?;
                events.cut()
            }
            ("POST", "/messages") if exchange.name() == "initialize" => exchange.result(
                r#"{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"amocrm-mcp-server","version":"3.0.0"}}"#,
            ),
            ("POST", "/messages") => exchange.result(r#"{"tools":[]}"#),
            _ => exchange.status(405),
        }
    });
    let mut line = Line::ready(&upstream.url_of("/sse"));
    upstream.wait_at("end-0", 1);
    upstream.open("end-0");
    // Those before the end is noticed are answered in the old session.
    let mut id = 0;
    while upstream.names().iter().filter(|name| *name == "GET").count() < 2 {
        id += 1;
        line.send(request(id, "tools/list", "{}"));
        assert!(line.recv_id(&id.to_string()).result()["tools"].is_array());
    }
    line.finish();
    assert!(upstream.requests().iter().all(|made| !made.path.starts_with("/sse/")));
}

/// A proxy answers 404 for a server that is only being started.
#[test]
fn a_server_that_comes_later_is_recognised_then() {
    let is_there = Arc::new(AtomicBool::new(false));
    let there = is_there.clone();
    let upstream = Upstream::serve(move |exchange| match exchange.request.path.as_str() {
        "/mcp/index" if there.load(Ordering::SeqCst) => {
            let index = json!({ "tools": bitrix::tools(), "resources": [] });
            exchange.json(index.to_string())
        }
        _ => exchange.status(404),
    });
    let mut line = Line::to(&upstream.url()).spawn();
    failed_start(&mut line);
    is_there.store(true, Ordering::SeqCst);
    line.send(INITIALIZE);
    assert!(line.recv_id(r#""init""#).result()["serverInfo"].is_object());
    line.finish_with_nothing_left();
}
