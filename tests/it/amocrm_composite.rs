//! amoCRM without MCP: tools that take several requests, and requests that fail. Nothing is made
//! twice, and what was made is told.

use serde_json::{Value, json};

use crate::support::amocrm::{Generation, Options, Refusal};
use crate::support::{Amocrm, Line, Message, Reply, at_once, call};

const NEW: &str = r#"{"query":"+74950000000","name":"Анна","phone":"+74950000000"}"#;

fn line_to(server: &Amocrm, options: &str) -> Line {
    Line::to(&server.base()).args("--kind amocrm").args(options).ready()
}

/// The only text of a result that is no error, as JSON.
fn done(reply: &Message) -> Value {
    assert_ne!(reply.result()["isError"], true, "{reply}");
    serde_json::from_str(reply.result()["content"][0]["text"].as_str().unwrap()).unwrap()
}

/// What a failed call says, be it a result that is an error or an error of ours.
fn failed(reply: &Message) -> String {
    match reply.value.get("result") {
        Some(result) => {
            assert_eq!(result["isError"], true, "{reply}");
            result["content"][0]["text"].as_str().unwrap_or_default().to_owned()
        }
        None => reply.error_text().to_owned(),
    }
}

/// The paths of the requests so far, without queries.
fn paths(server: &Amocrm) -> Vec<String> {
    let calls = server.calls();
    calls.iter().map(|(line, _)| line.split('?').next().unwrap().to_owned()).collect()
}

/// The bodies of the requests to the universal endpoint, which every generation has.
fn universal(server: &Amocrm) -> Vec<Value> {
    let calls = server.calls().into_iter();
    calls.filter(|(line, _)| line == "POST /api/entities").map(|(_, body)| body).collect()
}

#[test]
fn the_short_way_is_taken_where_the_server_has_it() {
    for openapi in [true, false] {
        let server = Amocrm::with(Generation::SmartRest, Options { openapi, ..Options::default() });
        let mut line = line_to(&server, "");
        for (id, (tool, arguments)) in [
            ("search_contact", r#"{"query":"Иван"}"#),
            ("check_contact_exists", r#"{"query":"Иван"}"#),
            ("get_or_create_contact", NEW),
            ("create_complex_lead", r#"{"lead_name":"Шланги","contact_name":"Пётр"}"#),
            (
                "smart_create_client_and_lead",
                r#"{"contact_query":"x","contact_name":"Ольга","lead_name":"Лейки"}"#,
            ),
        ]
        .into_iter()
        .enumerate()
        {
            line.send(call(id, tool, arguments));
            done(&line.recv_id(&id.to_string()));
        }
        line.finish_with_nothing_left();
        assert_eq!(
            paths(&server),
            [
                "GET /api/contacts/search",
                "POST /api/contacts/check-exists",
                "POST /api/contacts/get-or-create",
                "POST /api/leads/create-with-contact",
                "POST /api/smart/client-and-lead",
            ]
        );
        let calls = server.calls();
        let asked: Value = serde_json::from_str(NEW).unwrap();
        assert_eq!(calls[2].1, asked);
        assert_eq!(calls[3].1, json!({ "lead_name": "Шланги", "contact_name": "Пётр" }));
        assert_eq!(calls[4].1["check_existing_leads"], true);
    }
}

#[test]
fn the_long_way_is_taken_where_the_server_has_no_short_one() {
    at_once([true, false], |openapi| {
        at_once(
            [Generation::EarlyRest, Generation::StreamlessRest, Generation::CurrentRest],
            |generation| {
                let server = Amocrm::with(generation, Options { openapi, ..Options::default() });
                let mut line = line_to(&server, "");
                for id in [1, 2] {
                    line.send(call(id, "search_contact", r#"{"query":"Иван"}"#));
                    let found = done(&line.recv_id(&id.to_string()));
                    assert_eq!(found["_embedded"]["contacts"][0]["id"], 501, "{generation:?}");
                }
                line.send(call(3, "check_contact_exists", r#"{"query":"Иван"}"#));
                let found = done(&line.recv_id("3"));
                assert_eq!(found["exists"], true, "{generation:?}");
                assert_eq!(found["contact"]["id"], 501, "{generation:?}");
                line.send(call(4, "check_contact_exists", r#"{"query":"nobody"}"#));
                assert_eq!(done(&line.recv_id("4")), json!({ "exists": false }), "{generation:?}");
                line.finish_with_nothing_left();
                let search = |query: &str, limit: u64| {
                    json!({
                        "entity_type": "contacts",
                        "method": "get",
                        "params": { "query": query, "limit": limit },
                    })
                };
                assert_eq!(
                    universal(&server),
                    [
                        search("Иван", 10),
                        search("Иван", 10),
                        search("Иван", 1),
                        search("nobody", 1)
                    ]
                );
                // What is not there is not tried for ever.
                let paths = paths(&server);
                for short in ["GET /api/contacts/search", "POST /api/contacts/check-exists"] {
                    let tried = paths.iter().filter(|path| *path == short).count();
                    assert!(tried <= 1, "{generation:?}: {paths:?}");
                }
            },
        );
    });
}

#[test]
fn a_contact_that_is_there_is_not_made() {
    for generation in [Generation::EarlyRest, Generation::CurrentRest] {
        let server = Amocrm::of(generation);
        let mut line = line_to(&server, "");
        line.send(call(1, "get_or_create_contact", r#"{"query":"+79990000000","name":"Иван"}"#));
        let got = done(&line.recv_id("1"));
        assert_eq!(got["created"], false, "{generation:?}");
        assert_eq!(got["contact"]["id"], 501, "{generation:?}");
        line.send(call(2, "get_or_create_contact", NEW));
        let got = done(&line.recv_id("2"));
        assert_eq!(got["created"], true, "{generation:?}");
        assert_eq!(got["contact"]["id"], 601, "{generation:?}");
        line.finish_with_nothing_left();
        assert_eq!(server.created("contacts"), 1, "{generation:?}");
    }
}

#[test]
fn two_calls_at_once_do_not_make_the_same_contact_twice() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "--rate 0");
    for id in 0..5 {
        line.send(call(id, "get_or_create_contact", NEW));
    }
    let made = (0..5).filter(|id| done(&line.recv_id(&id.to_string()))["created"] == true).count();
    line.finish_with_nothing_left();
    assert_eq!(made, 1);
    assert_eq!(server.created("contacts"), 1);
}

#[test]
fn a_search_that_fails_makes_nothing() {
    at_once([Generation::EarlyRest, Generation::CurrentRest], |generation| {
        at_once(
            [
                Refusal::Status(429),
                Refusal::Status(401),
                Refusal::Page(403),
                Refusal::Unreachable,
                Refusal::Broken,
                Refusal::Said(Reply::status(502).body("text/html", "<h1>Bad Gateway</h1>")),
            ],
            |refusal| {
                let server = Amocrm::of(generation);
                server.refuse("contacts get", &refusal, usize::MAX);
                let mut line = line_to(&server, "--retry-for 1");
                line.send(call(1, "get_or_create_contact", NEW));
                failed(&line.recv_id("1"));
                line.send(call(
                    2,
                    "smart_create_client_and_lead",
                    r#"{"contact_query":"x","contact_name":"Ольга","lead_name":"Лейки"}"#,
                ));
                failed(&line.recv_id("2"));
                line.finish_with_nothing_left();
                assert_eq!(server.created("contacts"), 0, "{generation:?}");
                assert_eq!(server.created("leads"), 0, "{generation:?}");
            },
        );
    });
}

#[test]
fn a_lead_is_made_with_its_contact() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "");
    line.send(call(
        1,
        "create_complex_lead",
        r#"{"lead_name":"Шланги","lead_price":1890,"contact_name":"Анна","contact_email":"a@example.com"}"#,
    ));
    let made = done(&line.recv_id("1"));
    assert_eq!(made["contact"]["id"], 601);
    assert_eq!(made["lead"]["id"], 602);
    line.send(call(2, "create_complex_lead", r#"{"lead_name":"Лейки","contact_id":501}"#));
    let made = done(&line.recv_id("2"));
    assert_eq!(made["lead"]["id"], 603);
    line.finish_with_nothing_left();
    let made = universal(&server);
    assert_eq!(made.len(), 3);
    assert_eq!(
        made[0]["data"],
        json!([{
            "name": "Анна",
            "custom_fields_values": [{
                "field_code": "EMAIL",
                "values": [{ "value": "a@example.com", "enum_code": "WORK" }],
            }],
        }])
    );
    assert_eq!(
        made[1]["data"],
        json!([{ "name": "Шланги", "price": 1890, "_embedded": { "contacts": [{ "id": 601 }] } }])
    );
    assert_eq!(
        made[2]["data"],
        json!([{ "name": "Лейки", "_embedded": { "contacts": [{ "id": 501 }] } }])
    );
}

#[test]
fn a_second_step_that_fails_names_what_the_first_has_made_and_is_not_repeated() {
    at_once([Generation::EarlyRest, Generation::CurrentRest], |generation| {
        at_once(
            [
                Refusal::Status(400),
                Refusal::Status(429),
                Refusal::Unreachable,
                Refusal::Broken,
                Refusal::Said(Reply::status(502).body("text/html", "<h1>Bad Gateway</h1>")),
            ],
            |refusal| {
                let server = Amocrm::of(generation);
                server.refuse("leads create", &refusal, usize::MAX);
                let mut line = line_to(&server, "");
                line.send(call(
                    1,
                    "create_complex_lead",
                    r#"{"lead_name":"Шланги","contact_name":"Анна"}"#,
                ));
                let said = failed(&line.recv_id("1"));
                assert!(said.contains("601"), "{generation:?}: the contact is not named: {said}");
                line.finish_with_nothing_left();
                assert_eq!(server.created("contacts"), 1, "{generation:?}");
                assert_eq!(server.asked("leads create"), 1, "{generation:?}");
            },
        );
    });
}

#[test]
fn a_lead_is_not_made_for_a_client_who_has_one() {
    let server = Amocrm::of(Generation::CurrentRest);
    let mut line = line_to(&server, "");
    let arguments =
        json!({ "contact_query": "Иван", "contact_name": "Иван", "lead_name": "Лейки" });
    line.send(call(1, "smart_create_client_and_lead", &arguments.to_string()));
    let done_first = done(&line.recv_id("1"));
    assert_eq!(done_first["contact_created"], false);
    assert_eq!(done_first["lead_created"], false);
    assert_eq!(done_first["contact"]["id"], 501);
    assert_eq!(done_first["existing_leads"][0]["id"], 11);
    assert_eq!(server.created("leads"), 0);

    let mut arguments = arguments;
    arguments["check_existing_leads"] = false.into();
    line.send(call(2, "smart_create_client_and_lead", &arguments.to_string()));
    let done_second = done(&line.recv_id("2"));
    assert_eq!(done_second["lead_created"], true);
    assert_eq!(server.created("leads"), 1);

    let arguments = json!({ "contact_query": "new", "contact_name": "Анна", "lead_name": "Лейки" });
    line.send(call(3, "smart_create_client_and_lead", &arguments.to_string()));
    let done_third = done(&line.recv_id("3"));
    assert_eq!(done_third["contact_created"], true);
    assert_eq!(done_third["lead_created"], true);
    line.finish_with_nothing_left();
    assert_eq!(server.created("contacts"), 1);
    assert_eq!(server.created("leads"), 2);
}

#[test]
fn a_request_that_amocrm_refuses_for_the_moment_is_tried_again() {
    at_once([Generation::EarlyRest, Generation::CurrentRest], |generation| {
        let server = Amocrm::of(generation);
        for action in ["leads create", "GET /api/users"] {
            server.refuse(action, &Refusal::Status(429), 1);
        }
        let mut line = line_to(&server, "");
        line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
        line.send(call(2, "get_users", "{}"));
        done(&line.recv_id("1"));
        done(&line.recv_id("2"));
        line.finish_with_nothing_left();
        assert_eq!(server.created("leads"), 1, "{generation:?}");
        assert_eq!(server.asked("leads create"), 2, "{generation:?}");
        assert_eq!(server.asked("GET /api/users"), 2, "{generation:?}");
    });
}

#[test]
fn a_limit_in_front_of_the_server_is_waited_out_and_an_error_of_its_own_in_the_end() {
    let limited = Refusal::Said(Reply::status(429).header("Retry-After", "1"));
    let server = Amocrm::of(Generation::CurrentRest);
    server.refuse("leads create", &limited, 1);
    let mut line = line_to(&server, "");
    line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
    done(&line.recv_id("1"));
    line.finish_with_nothing_left();
    assert_eq!(server.created("leads"), 1);

    server.refuse("leads create", &limited, 1);
    let mut line = line_to(&server, "--no-retry");
    line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
    let reply = line.recv_id("1");
    assert!(reply.failure(-33010).get("mayHaveRun").is_none(), "{reply}");
    line.finish_with_nothing_left();
    assert_eq!(server.created("leads"), 1);
}

#[test]
fn a_request_that_may_have_made_something_is_not_repeated() {
    for generation in [Generation::EarlyRest, Generation::CurrentRest] {
        for refusal in [
            Refusal::Broken,
            Refusal::Said(Reply::status(502).body("text/html", "<h1>Bad Gateway</h1>")),
            Refusal::Said(Reply::status(504)),
        ] {
            let server = Amocrm::of(generation);
            server.refuse("leads create", &refusal, usize::MAX);
            let mut line = line_to(&server, "");
            line.send(call(1, "create_lead", r#"{"name":"Шланги"}"#));
            let reply = line.recv_id("1");
            failed(&reply);
            if matches!(refusal, Refusal::Broken) {
                assert_eq!(reply.failure(-33002)["mayHaveRun"], true, "{reply}");
            }
            line.finish_with_nothing_left();
            assert_eq!(server.asked("leads create"), 1, "{generation:?}");
        }
    }
}

#[test]
fn a_request_that_only_reads_is_repeated_when_its_answer_is_lost() {
    for refusal in [Refusal::Broken, Refusal::Said(Reply::status(502))] {
        let server = Amocrm::of(Generation::CurrentRest);
        server.refuse("contacts get", &refusal, 1);
        server.refuse("leads update", &refusal, 1);
        let mut line = line_to(&server, "");
        line.send(call(1, "get_contacts", "{}"));
        done(&line.recv_id("1"));
        line.send(call(2, "update_lead", r#"{"lead_id":11,"price":5}"#));
        done(&line.recv_id("2"));
        line.finish_with_nothing_left();
        assert_eq!(server.asked("contacts get"), 2);
        assert_eq!(server.asked("leads update"), 2);
    }
}
