//! Addresses that people paste instead of an MCP server's: they are told what to give, and a key in
//! the address is shown nowhere.

use std::fs;

use crate::support::{INITIALIZE, Line, Message, Reply, Upstream, request};

const KEY: &str = "q7w2k9x4m1z8c3v6";

/// A line through a proxy that has nothing at any address, asked for a session and a list.
fn asked(proxy: &Upstream, url: &str, options: &str) -> (Message, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut line = Line::to(url)
        .args("--no-retry --log-level trace --start-timeout 600")
        .args(options)
        .arg("--proxy")
        .arg(format!("http://{}", proxy.authority()))
        .arg("--log-file")
        .arg(&log)
        .spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    line.send(request(1, "tools/list", "{}"));
    let second = line.recv_id("1");
    assert_eq!(second.error()["data"]["hint"], reply.error()["data"]["hint"], "{second}");
    line.close_stdin();
    let ended = line.wait();
    let written = fs::read_to_string(&log).unwrap();
    (reply.clone(), format!("{reply}{second}{}{written}", ended.stderr))
}

fn nothing_anywhere() -> Upstream {
    Upstream::serve(|exchange| {
        // It says the address back, as portals do.
        let said = format!("no method at {}", exchange.request.path);
        exchange.send(&Reply::status(404).body("text/plain", said))
    })
}

#[test]
fn a_webhook_is_told_where_it_belongs_and_its_key_is_not_shown() {
    let hosts = ["http://portal.bitrix24.ru", "http://crm.firma.local:8080"];
    let paths = ["/", "", "/crm.deal.list.json", "/profile", "/mcp"];
    for kind in ["auto", "bitrix", "amocrm", "mcp", "sse"] {
        for (host, path) in hosts.iter().flat_map(|host| paths.map(|path| (host, path))) {
            let proxy = nothing_anywhere();
            let url = format!("{host}/rest/1/{KEY}{path}");
            let (reply, all) = asked(&proxy, &url, &format!("--kind {kind}"));
            let row = format!("{url} by {kind}: {all}");
            let data = reply.failure(-33003);
            assert!(data["hint"].as_str().unwrap().contains("BITRIX_BASE_URL"), "{row}");
            assert!(data["hint"].as_str().unwrap().contains("https://mcp.bitrix24.tech/mcp/"));
            assert!(data["url"].as_str().unwrap().contains("/rest/1/***"), "{row}");
            assert!(!all.contains(KEY), "{row}");
            if path.len() > 4 {
                // A method of the API would run.
                assert!(proxy.requests().is_empty(), "{row}");
            }
        }
    }
}

#[test]
fn the_address_of_what_a_server_works_for_is_told_what_to_give_instead() {
    let rows = [
        ("http://portal.bitrix24.ru/", "https://mcp.bitrix24.tech/mcp/"),
        ("http://portal.bitrix24.com/marketplace/", "https://mcp.bitrix24.com/mcp/"),
        ("http://mcp.bitrix24.tech/", "slash"),
        ("http://firma.amocrm.ru", "mcp-amocrm-server"),
        ("http://firma.kommo.com/leads/list/", "mcp-amocrm-server"),
    ];
    for kind in ["auto", "mcp", "bitrix", "amocrm"] {
        for (url, told) in rows {
            let proxy = nothing_anywhere();
            let (reply, _) = asked(&proxy, url, &format!("--kind {kind}"));
            let hint = reply.failure(-33003)["hint"].as_str().unwrap();
            assert!(hint.contains(told), "{url} by {kind}: {reply}");
        }
    }
}

#[test]
fn nothing_is_sent_to_an_api_that_would_act() {
    let proxy = nothing_anywhere();
    let urls =
        ["http://firma.amocrm.ru/api/v4/leads", "http://portal.bitrix24.ru/rest/crm.deal.add.json"];
    for url in urls {
        asked(&proxy, url, "").0.failure(-33003);
    }
    assert!(proxy.requests().is_empty());
}

/// An address is no proof: where an MCP server answers, it is served.
#[test]
fn an_mcp_server_at_such_an_address_is_served() {
    for url in ["http://portal.bitrix24.ru/mcp", "http://firma.amocrm.ru/mcp"] {
        let proxy = Upstream::serve(crate::support::after_handshake(|exchange| {
            exchange.result(r#"{"tools":[]}"#)
        }));
        let line = Line::to(url).arg("--proxy").arg(format!("http://{}", proxy.authority()));
        let mut line = line.ready();
        line.send(request(1, "tools/list", "{}"));
        assert_eq!(line.recv_id("1").raw_result(), r#"{"tools":[]}"#);
        line.finish_with_nothing_left();
    }
}
