//! The environment of the scripts that the services came with is enough, and our own settings go
//! before it.

use std::time::Instant;

use crate::support::amocrm::{Generation, Options, Rest};
use crate::support::{
    Amocrm, Bitrix, INITIALIZE, Line, Message, Rpc, bitrix, call, request, serve_tls,
};

const IN_NOVEMBER: &str = r#"{"filter":{">=DATE_CREATE":"2026-11-01"}}"#;

/// The lines of a log that speak of this.
fn lines_about<'a>(log: &'a str, what: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.to_lowercase().contains(what)).collect()
}

/// How a line ended that could not begin.
fn usage_error(line: Line) -> String {
    let ended = line.wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    ended.stderr
}

#[test]
fn the_address_of_a_bitrix24_server_is_enough() {
    for path in ["", "/", "/mcp"] {
        for server in [Bitrix::current(), Bitrix::rest_only()] {
            let mut line = Line::run("").env("MCP_PROXY_BASE_URL", &server.url_of(path)).ready();
            line.send(call(1, "getDeals", IN_NOVEMBER));
            assert_eq!(line.recv_id("1").raw_result(), bitrix::deals(), "{path}");
            line.finish_with_nothing_left();
            assert_eq!(server.streams(), 0, "{path}");
        }
    }
}

#[test]
fn the_address_of_an_amocrm_server_is_enough() {
    for generation in [
        Generation::EarlyRest,
        Generation::CurrentRest,
        Generation::Sessionless,
        Generation::Streamed,
    ] {
        let server = Amocrm::of(generation);
        let mut line = Line::run("").env("AMOCRM_SERVER_URL", &server.base()).ready();
        line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
        let reply = line.recv_id("1");
        assert_ne!(reply.result()["isError"], true, "{generation:?}: {reply}");
        line.finish_with_nothing_left();
        assert_eq!(server.created("leads"), 1, "{generation:?}");
    }
}

#[test]
fn a_kind_without_an_address_is_looked_for_where_the_scripts_look() {
    for kind in ["bitrix", "amocrm"] {
        let mut line = Line::run("--no-retry --kind").args(kind).spawn();
        line.send(INITIALIZE);
        let reply = line.recv();
        let url = reply.error()["data"]["url"].as_str().unwrap_or_default();
        assert!(url.starts_with("http://127.0.0.1:8000"), "{kind}: {reply}");
    }
}

#[test]
fn a_time_limit_of_the_script_holds_and_warns_when_it_is_short() {
    let server = Bitrix::current();
    let held = r#"{"gate":"never","filter":{">=DATE_CREATE":"2026"}}"#;
    let begun = Instant::now();
    let mut line = Line::run("--no-retry")
        .env("MCP_PROXY_BASE_URL", &server.base())
        .env("MCP_PROXY_TIMEOUT", "0.5")
        .ready();
    line.send(call(1, "callBitrixMethod", r#"{"method":"x","gate":"never"}"#));
    line.recv_id("1").failure(-33006);
    assert!(begun.elapsed().as_secs() < 15);
    line.close_stdin();
    let log = line.wait().stderr;
    assert_eq!(lines_about(&log, "mcp_proxy_timeout").len(), 1, "{log}");

    // Ours goes before it.
    let begun = Instant::now();
    let mut line = Line::run("--no-retry --timeout 0.5")
        .env("MCP_PROXY_BASE_URL", &server.base())
        .env("MCP_PROXY_TIMEOUT", "300")
        .ready();
    line.send(call(1, "getDeals", held));
    line.recv_id("1").failure(-33006);
    assert!(begun.elapsed().as_secs() < 15);
    line.close_stdin();
    let log = line.wait().stderr;
    assert_eq!(lines_about(&log, "mcp_proxy_timeout").len(), 0, "{log}");
}

#[test]
fn the_defaults_for_new_leads_hold_where_the_call_says_nothing() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = Line::run("")
        .env("AMOCRM_SERVER_URL", &server.base())
        .env("AMO_PIPELINE_ID", "7")
        .env("AMO_STATUS_ID", "142")
        .env("AMO_RESPONSIBLE_ID", "3")
        .ready();
    line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
    line.recv_id("1").result();
    line.send(call(2, "create_lead", r#"{"name":"Лейки","pipeline_id":8,"status_id":9}"#));
    line.recv_id("2").result();
    line.send(call(3, "create_contact", r#"{"name":"Анна"}"#));
    line.recv_id("3").result();
    line.send(call(4, "update_lead", r#"{"lead_id":11,"price":5}"#));
    line.recv_id("4").result();
    line.finish_with_nothing_left();
    let made: Vec<_> =
        server.calls().into_iter().map(|(_, body)| body["data"][0].clone()).collect();
    for (member, values) in
        [("pipeline_id", [7, 8]), ("status_id", [142, 9]), ("responsible_user_id", [3, 3])]
    {
        assert_eq!([&made[0][member], &made[1][member]], values, "{member}");
        // Only what is made, and only leads.
        assert!(made[2].get(member).is_none(), "{}", made[2]);
        assert!(made[3].get(member).is_none(), "{}", made[3]);
    }
}

#[test]
fn a_default_that_is_no_number_is_refused_by_name() {
    let line = Line::run("")
        .env("AMOCRM_SERVER_URL", "http://127.0.0.1:9")
        .env("AMO_PIPELINE_ID", "seven")
        .spawn();
    let said = usage_error(line);
    assert!(said.contains("AMO_PIPELINE_ID"), "{said}");
}

fn behind_tls() -> String {
    let rest = Rest::new(Generation::CurrentRest, Options::default());
    serve_tls(move |request| rest.reply(request))
}

#[test]
fn an_unknown_certificate_is_accepted_only_when_that_is_asked_for_and_then_warned_of_once() {
    let url = behind_tls();
    for value in ["false", "0", "No"] {
        let mut line =
            Line::run("").env("AMOCRM_SERVER_URL", &url).env("AMO_SSL_VERIFY", value).ready();
        for id in [1, 2] {
            line.send(call(id, "get_users", "{}"));
            assert_ne!(line.recv_id(&id.to_string()).result()["isError"], true, "{value}");
        }
        line.close_stdin();
        let log = line.wait().stderr;
        assert_eq!(lines_about(&log, "certificate").len(), 1, "{value}: {log}");
    }
    for value in ["true", "1", ""] {
        let mut line = Line::run("--retry-for 1")
            .env("AMOCRM_SERVER_URL", &url)
            .env("AMO_SSL_VERIFY", value)
            .spawn();
        line.send(INITIALIZE);
        let reply = line.recv();
        reply.failure(-33001);
        assert!(reply.error_text().to_lowercase().contains("certificate"), "{value}: {reply}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn our_own_option_for_certificates_warns_once_too() {
    let url = behind_tls();
    let mut line = Line::to(&url).args("--kind amocrm --insecure").ready();
    line.send(call(1, "get_users", "{}"));
    assert_ne!(line.recv_id("1").result()["isError"], true);
    line.close_stdin();
    let log = line.wait().stderr;
    assert_eq!(lines_about(&log, "certificate").len(), 1, "{log}");
}

/// What a Bitrix24 server answers here and nowhere else.
fn is_bitrix(mut line: Line) {
    line.send(call(1, "getDeals", IN_NOVEMBER));
    assert_eq!(line.recv_id("1").raw_result(), bitrix::deals());
    line.finish_with_nothing_left();
}

#[test]
fn a_url_of_ours_goes_before_those_of_the_scripts() {
    const NOWHERE: &str = "http://127.0.0.1:9";
    for options in ["--kind bitrix", ""] {
        let server = Bitrix::current();
        is_bitrix(
            Line::to(&server.url())
                .args(options)
                .env("AMOCRM_SERVER_URL", NOWHERE)
                .env("MCP_PROXY_BASE_URL", NOWHERE)
                .ready(),
        );
        is_bitrix(
            Line::run(options)
                .env("MCPLINE_URL", &server.url())
                .env("AMOCRM_SERVER_URL", NOWHERE)
                .env("MCP_PROXY_BASE_URL", NOWHERE)
                .ready(),
        );
    }
}

#[test]
fn two_scripts_at_once_are_one_too_many_unless_the_kind_is_given() {
    let server = Bitrix::current();
    let settings = |args: &str| {
        Line::run(args)
            .env("MCP_PROXY_BASE_URL", &server.base())
            .env("AMOCRM_SERVER_URL", "http://127.0.0.1:9")
    };
    let said = usage_error(settings("").spawn());
    for name in ["MCP_PROXY_BASE_URL", "AMOCRM_SERVER_URL", "--kind"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    is_bitrix(settings("--kind bitrix").ready());
    is_bitrix(settings("").env("MCPLINE_KIND", "bitrix").ready());
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let server = Bitrix::with(Rpc::Spoken, &serde_json::json!({}));
    is_bitrix(
        Line::run("")
            .env("MCP_PROXY_BASE_URL", &server.base())
            .env("AMOCRM_SERVER_URL", "")
            .env("MCP_ONEC_URL", "")
            .env("MCP_PROXY_TIMEOUT", "")
            .ready(),
    );
}

#[test]
fn variables_of_one_script_do_nothing_to_another_kind() {
    let server = Bitrix::current();
    let mut line = Line::to(&server.url())
        .args("--kind bitrix")
        .env("AMO_SSL_VERIFY", "false")
        .env("AMO_PIPELINE_ID", "seven")
        .env("MCP_ONEC_PASSWORD", "x")
        .ready();
    line.send(request(1, "tools/list", "{}"));
    assert_eq!(line.recv_id("1").result()["tools"], bitrix::tools());
    line.close_stdin();
    let ended = line.wait();
    let rest: &[Message] = &ended.rest;
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(lines_about(&ended.stderr, "certificate").len(), 0, "{}", ended.stderr);
}

#[test]
fn only_the_command_has_to_be_changed() {
    let bitrix = Bitrix::current();
    for arguments in ["-u C:\\b24\\mcp_stdio_proxy.py", "/opt/b24/proxy.PY", "-m proxy.main"] {
        let setup = Line::run(arguments).env("MCP_PROXY_BASE_URL", &bitrix.url_of(""));
        let mut line = setup.ready();
        line.send(request(1, "tools/list", "{}"));
        assert!(line.recv_id("1").result()["tools"].is_array());
        line.finish_with_nothing_left();
    }
    // Without a variable that names a service nothing is passed over.
    let error = usage_error(Line::run("/opt/b24/proxy.py").spawn());
    assert!(error.contains("proxy.py"), "{error}");
}
