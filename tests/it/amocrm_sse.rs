//! amoCRM by MCP with sessions: each answer comes twice, sessions are forgotten, connections
//! break, and all of it happens once.

use serde_json::json;

use crate::support::amocrm::{Generation, Options, text_result};
use crate::support::{Amocrm, INITIALIZE, Line, Message, call, notification, request};

const LEAD: &str = r#"{"name":"Шланги","price":1890}"#;

fn server() -> Amocrm {
    Amocrm::of(Generation::Streamed)
}

fn line_to(server: &Amocrm, options: &str) -> Line {
    Line::to(&server.base()).args("--kind amocrm").args(options).ready()
}

/// The handshake, a listing and a call by this way.
fn converses(server: &Amocrm, kind: &str, path: &str) {
    let mut line = Line::to(&server.url_of(path)).args(&format!("--kind {kind}")).spawn();
    let reply = line.handshake();
    let info = json!({ "name": "amocrm-mcp-server", "version": "3.0.0" });
    assert_eq!(reply.result()["serverInfo"], info, "{kind} {path}");
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv();
    assert_eq!(reply.result()["tools"].as_array().map(Vec::len), Some(13), "{kind} {path}");
    line.send(call(r#""a\u0041""#, "create_lead", LEAD));
    assert_eq!(line.recv().id(), r#""a\u0041""#, "{kind} {path}");
    // What only this kind does: the failure is one.
    line.send(call(2, "nope", "{}"));
    assert_eq!(line.recv().result()["isError"], true, "{kind} {path}");
    line.finish_with_nothing_left();
    assert_eq!(server.created("leads"), 1, "{kind} {path}");
}

#[test]
fn every_form_of_the_url_leads_there() {
    for path in ["", "/", "/mcp", "/mcp/", "/mcp/sse", "/mcp/messages"] {
        let server = server();
        converses(&server, "amocrm", path);
        assert_eq!(server.streams(), 1, "{path}");
    }
}

#[test]
fn the_server_is_found_without_being_named() {
    for path in ["", "/", "/mcp", "/mcp/sse"] {
        converses(&server(), "auto", path);
    }
}

#[test]
fn a_path_that_a_proxy_puts_in_front_is_kept() {
    for (generation, path) in [
        (Generation::Streamed, "/amo"),
        (Generation::Streamed, "/amo/mcp/sse"),
        (Generation::Sessionless, "/amo/"),
    ] {
        let server = Amocrm::with(generation, Options { prefix: "/amo", ..Options::default() });
        let mut line = Line::to(&server.url_of(path)).args("--kind amocrm").ready();
        line.send(call(1, "create_lead", LEAD));
        assert!(line.recv_id("1").result().is_object(), "{path}");
        line.finish_with_nothing_left();
        assert_eq!(server.created("leads"), 1, "{path}");
    }
}

#[test]
fn an_answer_that_comes_twice_is_delivered_once() {
    for stream_first in [false, true] {
        let server = server();
        if stream_first {
            server.send_on_the_stream_first();
        }
        let mut line = line_to(&server, "");
        for id in 0..20 {
            line.send(call(id, "get_account", "{}"));
            assert_eq!(line.recv().id(), id.to_string(), "{stream_first}");
        }
        line.expect_nothing();
        line.finish_with_nothing_left();
        assert_eq!(server.runs("get_account"), 20, "{stream_first}");
    }
}

#[test]
fn many_calls_at_once_get_one_answer_each() {
    for stream_first in [false, true] {
        let server = server();
        if stream_first {
            server.send_on_the_stream_first();
        }
        let mut line = line_to(&server, "");
        for id in 0..20 {
            line.send(call(id, "create_lead", &format!(r#"{{"name":"{id}"}}"#)));
        }
        let mut ids: Vec<u64> =
            (0..20).map(|_| line.recv().value["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..20).collect::<Vec<_>>());
        line.finish_with_nothing_left();
        assert_eq!(server.created("leads"), 20);
    }
}

#[test]
fn a_late_copy_is_not_taken_for_the_answer_to_a_new_request_with_the_same_id() {
    let server = server();
    let mut line = line_to(&server, "");
    server.hold_copies();
    server.answer("create_lead", text_result(&json!({ "turn": "first" })));
    line.send(call(5, "create_lead", LEAD));
    assert!(line.recv_id("5").text.contains("first"));
    // The new one has nothing but the stream, where the old copy comes before its own.
    server.answer("create_lead", text_result(&json!({ "turn": "second" })));
    server.break_post("create_lead");
    line.send(call(5, "create_lead", LEAD));
    server.wait_for_held(2);
    server.release_copies();
    let reply = line.recv_id("5");
    assert!(reply.text.contains("second"), "{reply}");
    line.finish_with_nothing_left();
    assert_eq!(server.runs("create_lead"), 2);
}

#[test]
fn what_is_said_about_notifications_stays_unsaid() {
    let server = server();
    let mut line = line_to(&server, "");
    line.send(notification("notifications/cancelled", r#"{"requestId":77}"#));
    line.send(notification("notifications/roots/list_changed", "{}"));
    line.send(request(1, "ping", "{}"));
    assert_eq!(line.recv().id(), "1");
    line.finish_with_nothing_left();
}

#[test]
fn a_call_without_an_id_never_reaches_the_server() {
    let server = server();
    let mut line = line_to(&server, "");
    let params = format!(r#"{{"name":"create_lead","arguments":{LEAD}}}"#);
    line.send(notification("tools/call", &params));
    line.send(call(1, "get_account", "{}"));
    assert_eq!(line.recv().id(), "1");
    line.finish_with_nothing_left();
    assert_eq!(server.runs("create_lead"), 0);
    assert_eq!(server.messages().iter().filter(|method| *method == "tools/call").count(), 1);
}

#[test]
fn params_that_are_null_do_no_harm() {
    let server = server();
    let mut line = line_to(&server, "");
    line.send(request(1, "tools/list", "null"));
    assert!(line.recv_id("1").result()["tools"].is_array());
    line.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    assert!(line.recv_id("2").result()["tools"].is_array());
    line.finish_with_nothing_left();
}

#[test]
fn an_error_of_the_server_passes_as_it_is() {
    let server = server();
    let mut line = line_to(&server, "");
    line.send(request(1, "prompts/list", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_code(), -32601);
    line.send(call(2, "create_task", r#"{"complete_till":1}"#));
    let reply = line.recv_id("2");
    assert_eq!(reply.error_code(), -32603);
    assert!(reply.error_text().contains("'text'"), "{reply}");
    line.finish_with_nothing_left();
    assert_eq!(server.runs("create_task"), 1);
}

#[test]
fn a_forgotten_session_is_replaced_and_the_call_carried_out_once() {
    let server = server();
    let mut line = line_to(&server, "");
    for (round, id) in [(2, 1), (3, 2)] {
        // The stream goes on, so the refusal of the call is the only sign.
        server.forget_sessions();
        line.send(call(id, "create_lead", LEAD));
        let reply = line.recv_id(&id.to_string());
        assert_ne!(reply.result()["isError"], true, "{reply}");
        assert_eq!(server.streams(), round);
        assert_eq!(server.runs("create_lead"), round - 1);
    }
    assert_eq!(server.created("leads"), 2);
    let initialized = server.messages();
    assert_eq!(initialized.iter().filter(|method| *method == "initialize").count(), 3);
    let rest = line.finish();
    assert!(rest.iter().all(Message::is_notification), "{rest:?}");
}

#[test]
fn a_session_that_ended_with_its_stream_is_replaced_and_the_call_carried_out_once() {
    for _ in 0..5 {
        let server = server();
        let mut line = line_to(&server, "");
        server.end_streams();
        line.send(call(1, "create_lead", LEAD));
        assert!(line.recv_id("1").result().is_object());
        line.finish();
        assert_eq!(server.created("leads"), 1);
        assert_eq!(server.runs("create_lead"), 1);
    }
}

#[test]
fn ten_calls_that_lose_their_session_together_begin_one_new_one() {
    let server = server();
    let mut line = line_to(&server, "");
    server.forget_sessions();
    for id in 0..10 {
        line.send(call(id, "create_lead", LEAD));
    }
    for id in 0..10 {
        assert!(line.recv_id(&id.to_string()).result().is_object());
    }
    line.finish();
    assert_eq!(server.created("leads"), 10);
    assert_eq!(server.streams(), 2);
}

#[test]
fn a_call_whose_post_breaks_is_answered_by_the_stream() {
    for late in [false, true] {
        let server = server();
        let mut line = line_to(&server, "");
        if late {
            server.hold_copies();
        }
        server.break_post("create_lead");
        line.send(call(1, "create_lead", LEAD));
        if late {
            server.wait_for_held(1);
            line.expect_nothing();
            server.release_copies();
        }
        let reply = line.recv_id("1");
        assert!(reply.text.contains("601"), "not the lead that was made: {reply}");
        line.finish_with_nothing_left();
        assert_eq!(server.runs("create_lead"), 1);
        assert_eq!(server.created("leads"), 1);
    }
}

#[test]
fn a_call_whose_answer_is_lost_both_ways_may_have_run() {
    let server = server();
    let mut line = line_to(&server, "--timeout 1");
    server.hold_copies();
    server.break_post("create_lead");
    line.send(call(1, "create_lead", LEAD));
    let reply = line.recv_id("1");
    assert!([-33002, -33006].contains(&reply.error_code()), "{reply}");
    assert_eq!(reply.error()["data"]["mayHaveRun"], true, "{reply}");
    // What comes afterwards comes too late.
    server.release_copies();
    line.expect_nothing();
    line.finish_with_nothing_left();
    assert_eq!(server.runs("create_lead"), 1);
}

#[test]
fn a_call_in_flight_is_answered_in_its_body_when_the_stream_ends() {
    let server = server();
    let mut line = line_to(&server, "");
    line.send(call(1, "create_lead", r#"{"name":"x","gate":"slow"}"#));
    server.wait_at("slow", 1);
    server.end_streams();
    // Another call needs a new session meanwhile, which shows that the end has been noticed.
    line.send(call(2, "get_account", "{}"));
    assert!(line.recv_id("2").result().is_object());
    assert_eq!(server.streams(), 2);
    server.open("slow");
    assert!(line.recv_id("1").result().is_object());
    line.finish();
    assert_eq!(server.runs("create_lead"), 1);
    assert_eq!(server.created("leads"), 1);
}

#[test]
fn the_resources_of_the_api_are_offered_here_too_when_asked_for() {
    let server = server();
    let mut line = Line::to(&server.base()).args("--kind amocrm --with resources").spawn();
    let reply = line.handshake();
    for capability in ["tools", "resources"] {
        assert!(reply.result()["capabilities"][capability].is_object(), "{reply}");
    }
    line.send(request(1, "resources/list", "{}"));
    assert_eq!(line.recv_id("1").result()["resources"].as_array().map(Vec::len), Some(3));
    line.send(request(2, "resources/read", r#"{"uri":"amocrm://status"}"#));
    let reply = line.recv_id("2");
    let text = reply.result()["contents"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("AmoCRM MCP Server"), "{reply}");
    line.finish_with_nothing_left();

    let mut line = Line::to(&server.base()).args("--kind amocrm").spawn();
    let reply = line.handshake();
    assert!(reply.result()["capabilities"].get("resources").is_none(), "{reply}");
    line.send(request(1, "resources/list", "{}"));
    assert_eq!(line.recv_id("1").error_code(), -32601);
    line.finish_with_nothing_left();
}

#[test]
fn a_wrong_key_is_an_error_at_once() {
    for generation in [Generation::Streamed, Generation::Sessionless, Generation::CurrentRest] {
        let options = Options { key: Some("k3y-of-amo"), ..Options::default() };
        let server = Amocrm::with(generation, options);
        let mut line = Line::to(&server.base())
            .args("--kind amocrm")
            .env("MCPLINE_API_KEY", "another")
            .spawn();
        line.send(INITIALIZE);
        let reply = line.recv();
        reply.failure(-33005);
        assert!(reply.error_text().contains("Invalid API key"), "{reply}");
        line.finish_with_nothing_left();
    }
}

/// How often a call runs whose answer is lost both ways. It is an error unless it is made again.
fn runs_when_lost(tool: &str, arguments: &str) -> usize {
    let server = server();
    let mut line = line_to(&server, "");
    server.hold_copies();
    server.break_post(tool);
    line.send(call(1, tool, arguments));
    server.wait_for_held(1);
    server.end_streams();
    let reply = line.recv_id("1");
    let runs = server.runs(tool);
    if runs == 1 {
        assert_eq!(reply.failure(-33002)["mayHaveRun"], true, "{arguments}: {reply}");
    }
    line.finish();
    runs
}

#[test]
fn a_call_that_reads_is_made_again_when_its_answer_is_lost() {
    assert_eq!(runs_when_lost("get_contacts", "{}"), 2);
    assert_eq!(runs_when_lost("amocrm_request", r#"{"path":"leads","method":"GET"}"#), 2);
}

/// Servers may have tools of their own, and a name does not tell what they do.
#[test]
fn a_tool_is_not_taken_for_one_that_reads_by_how_its_name_begins() {
    for tool in ["get_or_create_contact", "search_and_merge_contacts", "create_lead"] {
        assert_eq!(runs_when_lost(tool, r#"{"name":"Анна"}"#), 1, "{tool}");
    }
}

/// The server believes the last one.
#[test]
fn of_two_methods_of_a_request_the_first_does_not_make_it_one_that_reads() {
    let arguments = r#"{"method":"GET","path":"leads","method":"POST"}"#;
    assert_eq!(runs_when_lost("amocrm_request", arguments), 1);
}
