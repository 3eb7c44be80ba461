//! A modern client before every kind of upstream.

use super::{modern, modern_call};
use crate::support::amocrm::Generation;
use crate::support::{Amocrm, Bitrix, Line, Onec, Setup, Upstream};

/// Discovers, lists and calls through `setup`.
fn converses(what: &str, setup: Setup, tool: &str, arguments: &str) {
    let mut line = setup.spawn();
    line.send(modern(1, "server/discover", ""));
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["resultType"], "complete", "{what}: {reply}");
    assert!(reply.result()["capabilities"]["tools"].is_object(), "{what}: {reply}");
    line.send(modern(2, "tools/list", ""));
    let reply = line.recv_id("2");
    assert_eq!(reply.result()["ttlMs"], 0, "{what}: {reply}");
    assert!(!reply.result()["tools"].as_array().unwrap().is_empty(), "{what}");
    line.send(modern_call(3, tool, arguments));
    let reply = line.recv_id("3");
    assert_eq!(reply.result()["resultType"], "complete", "{what}: {reply}");
    assert!(reply.result()["content"].is_array(), "{what}: {reply}");
    line.finish_with_nothing_left();
}

#[test]
fn http_sse() {
    for kind in ["sse", "mcp", "auto"] {
        let upstream = Upstream::http_sse();
        let setup = Line::to(&upstream.url()).args(&format!("--kind {kind}"));
        converses(kind, setup, "echo", "{}");
        assert_eq!(upstream.executions("echo"), 1);
    }
}

#[test]
fn onec() {
    let onec = Onec::g3();
    converses("1c", onec.line(), "get_stock", "{}");
}

#[test]
fn bitrix() {
    for kind in ["bitrix", "auto"] {
        let server = Bitrix::current();
        let setup = Line::to(&server.base()).args(&format!("--kind {kind}"));
        converses(kind, setup, "getDeals", r#"{"filter":{}}"#);
    }
}

#[test]
fn amocrm() {
    for generation in [Generation::Streamed, Generation::Sessionless] {
        let server = Amocrm::of(generation);
        let setup = Line::to(&server.base()).args("--kind amocrm");
        converses("amocrm", setup, "create_lead", r#"{"name":"x","price":1}"#);
        assert_eq!(server.created("leads"), 1);
    }
}

#[test]
fn nothing_is_posted_to_an_address_that_acts_on_whatever_it_is_sent() {
    let upstream = Upstream::serve(|exchange| exchange.status(200));
    let mut line = Line::to(&upstream.url_of("/rest/1/abcdefgh12345678/crm.deal.add")).spawn();
    line.send(modern(1, "server/discover", ""));
    assert!(line.recv_id("1").error_text().contains("webhook"));
    line.finish_with_nothing_left();
    assert!(upstream.requests().is_empty());
}
