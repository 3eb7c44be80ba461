//! The embedded catalogue as its users see it: the listing, the requests of each call, and the
//! results for the answers. The tables are data files beside this one.

mod loading;

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, CallError, Catalogue, Defaults, Rest, ToolAnswer};
use crate::failure::{Cause, Class, Failure};
use crate::upstream::Pending;

/// A server that expects certain requests, in order, and gives scripted answers.
#[derive(Default)]
struct Script(Mutex<VecDeque<Value>>);

impl Script {
    fn of(exchanges: &Value) -> Self {
        Self(Mutex::new(exchanges.as_array().unwrap().iter().cloned().collect()))
    }

    /// Panics when an expected request was not sent.
    fn ends(self) {
        assert_eq!(self.0.into_inner().unwrap(), [Value::Null; 0]);
    }
}

impl Rest for Script {
    fn request<'a>(
        &'a self,
        method: &'a str,
        target: &'a str,
        body: Option<Bytes>,
    ) -> Pending<'a, Result<Answer, Failure>> {
        let exchange = self.0.lock().unwrap().pop_front().expect("one request too many");
        let body = body.map_or(Value::Null, |body| serde_json::from_slice(&body).unwrap());
        let asked = json!([method, target, body]);
        assert_eq!(asked, json!([exchange["method"], exchange["target"], exchange["body"]]));
        let failure = exchange["failure"].as_str().map(|class| {
            let class = match class {
                "NotSent" => Class::NotSent,
                "Rejected" => Class::Rejected,
                "Ambiguous" => Class::Ambiguous,
                _ => Class::Final,
            };
            Failure::new(class, Cause::Interrupted, "broke off")
        });
        let answer = Answer {
            status: exchange["status"].as_u64().unwrap_or(200).try_into().unwrap(),
            body: match &exchange["answer"] {
                Value::Null => Bytes::new(),
                Value::String(page) => page.clone().into(),
                value => format!("{value:#}").into(),
            },
        };
        Box::pin(async { failure.map_or(Ok(answer), Err) })
    }
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::embedded().unwrap();
    catalogue.with_request_tool().unwrap();
    catalogue
}

fn table(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn block_on<T>(future: impl Future<Output = T> + Send) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn call(catalogue: &Catalogue, case: &Value, script: &Script) -> Result<ToolAnswer, CallError> {
    let tool = case["tool"].as_str().unwrap_or("update_lead");
    block_on(catalogue.call(tool, &case["arguments"], &Defaults::default(), script))
}

/// Checks the answer against a case of a table.
fn check(case: &Value, answer: &ToolAnswer) {
    let is_true = |member| case[member] == true;
    let text: Value = serde_json::from_slice(&answer.text).unwrap();
    assert_eq!(text, case["answer"], "{}", case["case"]);
    assert_eq!(answer.is_object(), text.is_object(), "{}", case["case"]);
    assert_eq!(answer.is_error, is_true("isError"), "{}", case["case"]);
    assert_eq!(answer.is_partial, is_true("isPartial"), "{}", case["case"]);
    assert_eq!(json!(answer.inner_status), case["innerStatus"], "{}", case["case"]);
    let status = case["httpStatus"].as_u64().unwrap_or(200);
    assert_eq!(u64::from(answer.http_status), status, "{}", case["case"]);
}

#[test]
fn every_tool_sends_its_request() {
    let catalogue = catalogue();
    let cases = table(include_str!("requests.json"));
    for tool in &catalogue.tools {
        assert!(cases.iter().any(|case| case["tool"] == *tool.name), "{} is untested", tool.name);
    }
    for case in &cases {
        let script = Script::of(&json!([case]));
        let answer = call(&catalogue, case, &script).unwrap();
        assert_eq!(answer.text, r#"{"status":"no_content","code":204}"#);
        assert!(!answer.is_error);
        script.ends();
    }
}

#[test]
fn wrong_arguments_are_named_and_nothing_is_sent() {
    let catalogue = catalogue();
    for case in table(include_str!("refusals.json")) {
        match call(&catalogue, &case, &Script::default()) {
            Err(CallError::InvalidArgument(why)) => assert_eq!(why, case["why"].as_str().unwrap()),
            other => panic!("{case}: {other:?}"),
        }
    }
    let unknown = call(&catalogue, &json!({"tool": "nope", "arguments": {}}), &Script::default());
    assert!(matches!(unknown, Err(CallError::Unknown)));
}

#[test]
fn the_steps_replace_an_absent_route_from_then_on() {
    for case in table(include_str!("fallbacks.json")) {
        let catalogue = catalogue();
        let script = Script::of(&case["exchanges"]);
        check(&case, &call(&catalogue, &case, &script).unwrap());
        script.ends();
        let mut exchanges = case["exchanges"].as_array().unwrap().clone();
        if exchanges.len() > 1 {
            exchanges.remove(0);
        }
        let script = Script::of(&exchanges.into());
        check(&case, &call(&catalogue, &case, &script).unwrap());
        script.ends();
    }
}

#[test]
fn updates_find_the_form_that_the_server_takes() {
    for mut case in table(include_str!("updates.json")) {
        let catalogue = catalogue();
        case["arguments"] = json!({"lead_id": 11, "price": 5});
        let script = Script::of(&case["exchanges"]);
        check(&case, &call(&catalogue, &case, &script).unwrap());
        script.ends();
        let script = Script::of(&json!([case["then"]]));
        assert!(!call(&catalogue, &case, &script).unwrap().is_error);
        script.ends();
    }
}

/// Calls a composite tool, the `broken`th exchange of whose case of the table fails.
fn broken_off(title: &str, broken: usize, class: &str) -> (Class, Option<String>) {
    let mut cases = table(include_str!("fallbacks.json"));
    let case = cases.iter_mut().find(|case| case["case"] == title).unwrap();
    let exchanges = case["exchanges"].as_array_mut().unwrap();
    exchanges.truncate(broken + 1);
    exchanges[broken]["failure"] = class.into();
    let script = Script::of(&case["exchanges"]);
    match call(&catalogue(), case, &script) {
        Err(CallError::Failed(failure)) => {
            script.ends();
            (failure.class(), failure.what.strip_suffix(": broke off").map(str::to_owned))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_says_what_was_created_and_whether_to_call_again() {
    let found = |broken, class| broken_off("a contact that is not found is created", broken, class);
    // The server may have run a part of its own composite request.
    assert_eq!(found(0, "NotSent"), (Class::NotSent, None));
    assert_eq!(found(0, "Rejected"), (Class::Ambiguous, None));
    assert_eq!(found(0, "Ambiguous"), (Class::Ambiguous, None));
    // A search has no effect.
    assert_eq!(found(1, "NotSent"), (Class::NotSent, None));
    assert_eq!(found(1, "Ambiguous"), (Class::Rejected, None));
    assert_eq!(found(1, "Final"), (Class::Final, None));
    assert_eq!(found(2, "Rejected"), (Class::Rejected, None));
    assert_eq!(found(2, "Ambiguous"), (Class::Ambiguous, None));

    let created = |class| broken_off("a lead gets a new contact", 2, class);
    let text = |text: &str| Some(text.to_owned());
    let missed = text("contact 501 created, lead not created");
    assert_eq!(created("NotSent"), (Class::Final, missed.clone()));
    assert_eq!(created("Rejected"), (Class::Final, missed));
    let unknown = text("contact 501 created, lead perhaps created");
    assert_eq!(created("Ambiguous"), (Class::Ambiguous, unknown));
}

#[test]
fn calls_that_may_create_twice_take_turns() {
    /// Holds its answers back until the test releases them.
    struct Slow(tokio::sync::Semaphore, Mutex<Vec<String>>);
    impl Rest for Slow {
        fn request<'a>(
            &'a self,
            _: &'a str,
            target: &'a str,
            _: Option<Bytes>,
        ) -> Pending<'a, Result<Answer, Failure>> {
            self.1.lock().unwrap().push(target.to_owned());
            Box::pin(async {
                self.0.acquire().await.unwrap().forget();
                Ok(Answer { status: 200, body: Bytes::new() })
            })
        }
    }
    let catalogue = catalogue();
    let rest = Slow(tokio::sync::Semaphore::new(0), Mutex::default());
    let defaults = Defaults::default();
    let complex = json!({"lead_name": "x"});
    let get = json!({"query": "x", "name": "x"});
    let seen = || rest.1.lock().unwrap().clone();
    block_on(async {
        let first = catalogue.call("create_complex_lead", &complex, &defaults, &rest);
        let second = catalogue.call("get_or_create_contact", &get, &defaults, &rest);
        let other = catalogue.call("get_users", &Value::Null, &defaults, &rest);
        let release = async {
            assert_eq!(seen(), ["/api/leads/create-with-contact", "/api/users"]);
            rest.0.add_permits(3);
        };
        let (first, second, other, ()) = tokio::join!(first, second, other, release);
        assert!(first.is_ok() && second.is_ok() && other.is_ok());
    });
    assert_eq!(seen()[2..], ["/api/contacts/get-or-create"]);
}

#[test]
fn leads_go_where_the_settings_say_unless_the_call_does() {
    let defaults = Defaults { pipeline_id: Some(1), status_id: Some(2), responsible_id: Some(3) };
    let sent = |defaults: &Defaults, tool: &str, arguments: Value, entity: &str, data: Value| {
        let body = json!({"entity_type": entity, "method": "create", "data": [data]});
        let script =
            Script::of(&json!([{"method": "POST", "target": "/api/entities", "body": body}]));
        block_on(catalogue().call(tool, &arguments, defaults, &script)).unwrap();
        script.ends();
    };
    let lead = |arguments, data| sent(&defaults, "create_lead", arguments, "leads", data);
    lead(
        json!({"name": "x"}),
        json!({"name": "x", "pipeline_id": 1, "status_id": 2, "responsible_user_id": 3}),
    );
    lead(
        json!({"name": "x", "status_id": 5, "responsible_user_id": 6}),
        json!({"name": "x", "pipeline_id": 1, "status_id": 5, "responsible_user_id": 6}),
    );
    // A stage belongs to one pipeline.
    lead(
        json!({"name": "x", "fields": {"pipeline_id": 9}}),
        json!({"name": "x", "pipeline_id": 9, "responsible_user_id": 3}),
    );
    sent(&defaults, "create_company", json!({"name": "x"}), "companies", json!({"name": "x"}));
    let only_status = Defaults { status_id: Some(2), ..Defaults::default() };
    let data = json!({"name": "x", "status_id": 2});
    sent(&only_status, "create_lead", json!({"name": "x"}), "leads", data);

    let mut cases = table(include_str!("fallbacks.json"));
    let case = cases.iter_mut().find(|case| case["case"] == "a lead gets a new contact").unwrap();
    case["exchanges"][2]["body"]["data"][0]["responsible_user_id"] = 3.into();
    let script = Script::of(&case["exchanges"]);
    let defaults = Defaults { responsible_id: Some(3), ..Defaults::default() };
    let call = |script| {
        block_on(catalogue().call("create_complex_lead", &case["arguments"], &defaults, script))
    };
    assert!(call(&script).is_ok());
    script.ends();
}

/// An answer of the server as the answer to a tool call.
fn answer(status: u16, body: &'static [u8]) -> ToolAnswer {
    ToolAnswer::of(&Answer { status, body: Bytes::from_static(body) })
}

#[test]
fn answers_keep_their_bytes_but_for_white_space() {
    let body =
        b"\xef\xbb\xbf {\r\n \"b\": 1.50e+3,\t\"a\" : [ 9007199254740993, \"x \\\" \\\\\" ] }\n";
    assert_eq!(answer(200, body).text, r#"{"b":1.50e+3,"a":[9007199254740993,"x \" \\"]}"#);
}

#[test]
fn an_answer_that_is_the_result_keeps_its_bytes_too() {
    let find =
        json!({"entity_type": "contacts", "method": "get", "params": {"query": "x", "limit": 10}});
    let script = Script::of(&json!([
        {"method": "GET", "target": "/api/contacts/search?query=x", "status": 405},
        {"method": "POST", "target": "/api/entities", "body": find, "answer": "{\"b\": 1.50, \"a\": 1}"}
    ]));
    let case = json!({"tool": "search_contact", "arguments": {"query": "x"}});
    assert_eq!(call(&catalogue(), &case, &script).unwrap().text, r#"{"b":1.50,"a":1}"#);
    script.ends();
}

#[test]
fn every_answer_becomes_one_line_of_json() {
    let cases: [(u16, &[u8], &str, bool); 8] = [
        (200, b"", r#"{"status":"no_content","code":204}"#, false),
        (204, b" \n", r#"{"status":"no_content","code":204}"#, false),
        (502, b"", r#""the server answered 502""#, true),
        (200, b"<html>\n\"a\"", r#""<html>\n\"a\"""#, false),
        (500, b"Internal Server Error", r#""Internal Server Error""#, true),
        (200, b"\xcf\xf0", "\"\u{fffd}\u{fffd}\"", false),
        (401, b"{\"error\": \"Invalid API key\"}", r#"{"error":"Invalid API key"}"#, true),
        (307, b"{}", "{}", true),
    ];
    for (status, body, text, is_error) in cases {
        let answer = answer(status, body);
        assert_eq!(std::str::from_utf8(&answer.text).unwrap(), text);
        assert_eq!(answer.is_error, is_error, "{text}");
        assert_eq!(answer.http_status, status);
    }
}

#[test]
fn results_have_only_what_the_clients_revision_knows() {
    let account = answer(200, br#"{"id": 1, "name": "\u0418"}"#);
    let text = r#"{"content":[{"type":"text","text":"{\"id\":1,\"name\":\"\\u0418\"}"}]"#;
    assert_eq!(account.to_result(false), format!("{text}}}"));
    assert_eq!(
        account.to_result(true),
        format!(r#"{text},"structuredContent":{{"id":1,"name":"\u0418"}}}}"#)
    );
    let page = answer(502, b"<b>Bad</b>").to_result(true);
    assert_eq!(page, r#"{"content":[{"type":"text","text":"<b>Bad</b>"}],"isError":true}"#);
    let list = answer(200, b"[1]").to_result(true);
    assert_eq!(list, r#"{"content":[{"type":"text","text":"[1]"}]}"#);
    let hidden = answer(200, br#"{"error":"x"}"#).to_result(true);
    assert!(hidden.ends_with(br#""structuredContent":{"error":"x"},"isError":true}"#));
}

#[test]
fn resources_are_read() {
    let catalogue = catalogue();
    let leads = json!({"entity_type": "leads", "method": "get", "params": {"limit": 10}});
    let cases = [
        ("amocrm://status", json!({"method": "GET", "target": "/"})),
        ("amocrm://account", json!({"method": "GET", "target": "/api/account"})),
        ("amocrm://leads", json!({"method": "POST", "target": "/api/entities", "body": leads})),
    ];
    let listed: Value = serde_json::from_slice(&catalogue.resources_list()).unwrap();
    assert_eq!(listed["resources"].as_array().unwrap().len(), cases.len());
    for (index, (uri, mut exchange)) in cases.into_iter().enumerate() {
        let resource = &listed["resources"][index];
        assert_eq!(
            (&resource["uri"], &resource["mimeType"]),
            (&json!(uri), &json!("application/json"))
        );
        assert!(resource["name"].as_str().unwrap().starts_with("AmoCRM "));
        exchange["answer"] = json!({"a": 1});
        let script = Script::of(&json!([exchange]));
        let answer = block_on(catalogue.read(uri, &script)).unwrap();
        let contents = json!({"contents": [
            {"uri": uri, "mimeType": "application/json", "text": "{\"a\":1}"}
        ]});
        assert_eq!(serde_json::from_slice::<Value>(&answer.to_contents(uri)).unwrap(), contents);
        script.ends();
    }
    let unknown = block_on(catalogue.read("amocrm://nope", &Script::default()));
    assert!(matches!(unknown, Err(CallError::Unknown)));
}
