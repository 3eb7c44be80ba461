//! Kind `1c`: names that clients refuse get aliases, and the service sees its own names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Generation, Line, Onec, Upstream, after_handshake, call, pages, request};

/// Names that clients refuse, among them pairs that look alike in Latin letters, after cutting, or
/// when foreign characters are replaced one by one.
fn refused() -> Vec<String> {
    let long = "very_long_".repeat(8);
    let russian = "ОченьДлинноеИмяИнструментаКонфигурации".repeat(2);
    let names = [
        "ПолучитьОстатки",
        "Остатки",
        "Продажи",
        "Мэр",
        "Мер",
        "Объект",
        "Обект",
        "ъь",
        "日本",
        "中国",
        "get.stock",
        "get stock",
        "стоимость_2024",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).into();
    for tail in ["a", "b"] {
        names.push(format!("{long}{tail}"));
        names.push(format!("{russian}{tail}"));
    }
    names
}

/// Names that are good as they are, among them one that an alias would like to have.
const GOOD: [&str; 4] = ["Ostatki", "get_stock", "A-1", "Mer"];

fn is_alias(name: &str) -> bool {
    let fits = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-');
    (1..=49).contains(&name.len()) && name.chars().all(fits)
}

/// A service with tools and prompts of these names.
fn service(names: &[String]) -> Onec {
    let tools = names.iter().map(|name| {
        json!({
            "name": name, "description": format!("Описание: {name}\nвторая строка"),
            "inputSchema": { "type": "object", "properties": { "n": { "default": 1 } } }
        })
    });
    let prompts = names.iter().map(|name| json!({ "name": name, "arguments": [] }));
    let (tools, prompts): (Vec<Value>, Vec<Value>) = (tools.collect(), prompts.collect());
    let mut publication = Onec::publish(Generation::LenientKeys)
        .result("tools/list", &json!({ "tools": tools }).to_string())
        .result("prompts/list", &json!({ "prompts": prompts }).to_string());
    for name in names {
        let text = json!({ "type": "text", "text": format!("Это {name}") });
        let result = json!({ "messages": [{ "role": "user", "content": text }] });
        publication = publication.result(&format!("prompts/get {name}"), &result.to_string());
    }
    publication.serve()
}

fn all_names() -> Vec<String> {
    GOOD.map(str::to_owned).into_iter().chain(refused()).collect()
}

fn list(line: &mut Line, member: &str) -> Vec<Value> {
    line.send(request(r#""list""#, &format!("{member}/list"), "{}"));
    line.recv_id(r#""list""#).result()[member].as_array().unwrap().clone()
}

/// The name that each of `names` is offered by.
fn offered(names: &[String], member: &str) -> BTreeMap<String, String> {
    let onec = service(names);
    let mut line = onec.line().ready();
    let items = list(&mut line, member);
    line.finish_with_nothing_left();
    assert_eq!(items.len(), names.len());
    let offered = items.iter().map(|item| item["name"].as_str().unwrap().to_owned());
    names.iter().cloned().zip(offered).collect()
}

#[test]
fn every_name_is_one_that_clients_take_and_no_two_are_alike() {
    for member in ["tools", "prompts"] {
        let offered = offered(&all_names(), member);
        for (name, alias) in &offered {
            assert!(is_alias(alias), "{member}: {name} is offered as {alias}");
            assert_eq!(GOOD.contains(&name.as_str()), name == alias, "{member}: {name}, {alias}");
        }
        let different: BTreeSet<&String> = offered.values().collect();
        assert_eq!(different.len(), offered.len(), "{member}: {offered:?}");
    }
}

#[test]
fn an_alias_is_the_name_in_latin_letters() {
    let names = ["ПолучитьОстатки", "Щётка_2", "list.all"].map(str::to_owned);
    let offered = offered(&names, "tools");
    assert_eq!(offered["ПолучитьОстатки"], "PoluchitOstatki");
    assert_eq!(offered["Щётка_2"], "Shhyotka_2");
    assert_eq!(offered["list.all"], "list_all");
}

#[test]
fn an_alias_is_the_same_in_every_run() {
    let names = all_names();
    for member in ["tools", "prompts"] {
        assert_eq!(offered(&names, member), offered(&names, member));
    }
}

#[test]
fn an_alias_does_not_depend_on_the_order_of_the_list() {
    let names = all_names();
    let reversed: Vec<String> = names.iter().rev().cloned().collect();
    assert_eq!(offered(&names, "tools"), offered(&reversed, "tools"));
}

#[test]
fn the_true_name_stands_in_the_title_and_in_the_first_line_of_the_description() {
    let names = refused();
    let onec = service(&names);
    let mut line = onec.line().ready();
    for (member, described) in [("tools", true), ("prompts", false)] {
        for (item, name) in list(&mut line, member).iter().zip(&names) {
            assert_eq!(item["title"], **name, "{item}");
            let description = item["description"].as_str().unwrap();
            let first = description.lines().next().unwrap();
            assert!(first.contains(name.as_str()), "{item}");
            if described {
                assert!(description.contains(&format!("Описание: {name}")), "{item}");
                assert!(description.contains("вторая строка"), "{item}");
                assert_eq!(item["inputSchema"]["properties"]["n"]["default"], 1, "{item}");
            }
        }
    }
    line.finish_with_nothing_left();
}

#[test]
fn a_title_that_is_there_stays() {
    let tools = r#"{"tools":[{"name":"Остатки","title":"Остатки на складах","inputSchema":{"type":"object"}}]}"#;
    let onec = Onec::publish(Generation::LenientKeys).result("tools/list", tools).serve();
    let mut line = onec.line().ready();
    let tool = list(&mut line, "tools")[0].clone();
    assert_eq!(tool["title"], "Остатки на складах");
    assert!(tool["description"].as_str().unwrap().contains("Остатки"), "{tool}");
    line.finish_with_nothing_left();
}

#[test]
fn a_call_by_the_alias_reaches_the_tool_by_its_own_name() {
    let names = all_names();
    let onec = service(&names);
    let mut line = onec.line().ready();
    let arguments = r#"{"n":1.0,"имя" : "\u0410"}"#;
    for (item, name) in list(&mut line, "tools").iter().zip(&names) {
        line.send(call(1, item["name"].as_str().unwrap(), arguments));
        let reply = line.recv_id("1");
        assert_eq!(reply.result()["isError"], false, "{name}: {reply}");
        assert_eq!(onec.executions(name), 1, "{name}");
        let sent = onec.requests().pop().unwrap().rpc();
        assert!(sent.text.contains(arguments), "{sent}");
    }
    for (item, name) in list(&mut line, "prompts").iter().zip(&names) {
        let params = json!({ "name": item["name"], "arguments": {} }).to_string();
        line.send(request(2, "prompts/get", &params));
        let reply = line.recv_id("2");
        let text = &reply.result()["messages"][0]["content"]["text"];
        assert_eq!(*text, format!("Это {name}"), "{reply}");
    }
    line.finish_with_nothing_left();
}

#[test]
fn a_call_by_the_true_name_works_before_and_after_the_listing() {
    let onec = service(&all_names());
    let mut line = onec.line().ready();
    for round in 1..=2 {
        for escaped in ["Остатки", r"\u041eстатки"] {
            line.send(call(1, escaped, "{}"));
            assert_eq!(line.recv_id("1").result()["isError"], false, "{escaped}");
        }
        assert_eq!(onec.executions("Остатки"), 2 * round);
        line.send(request(2, "prompts/get", r#"{"name":"Остатки"}"#));
        assert!(line.recv_id("2").result()["messages"].is_array());
        list(&mut line, "tools");
        list(&mut line, "prompts");
    }
    line.finish_with_nothing_left();
    assert_eq!(onec.executions("Ostatki"), 0);
}

/// A client may remember what it listed in an earlier run.
#[test]
fn an_alias_works_without_a_listing() {
    let names = all_names();
    let offered = offered(&names, "tools");
    for name in ["ПолучитьОстатки", "Мэр", "get.stock"] {
        let onec = service(&names);
        let mut line = onec.line().ready();
        line.send(call(1, &offered[name], "{}"));
        assert_eq!(line.recv_id("1").result()["isError"], false, "{name}");
        line.finish_with_nothing_left();
        assert_eq!(onec.executions(name), 1);
    }
}

#[test]
fn an_alias_works_without_a_listing_even_if_the_service_is_busy_at_first() {
    let onec = service(&all_names());
    let mut line = onec.line().ready();
    onec.refuse(1, pages::pool_exhausted());
    line.send(call(1, "PoluchitOstatki", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["isError"], false, "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn a_tool_that_may_be_called_twice_may_be_so_by_its_alias() {
    let tool = r#"{"tools":[{"name":"Остатки","inputSchema":{},"annotations":{"readOnlyHint":true}},{"name":"Списать","inputSchema":{}}]}"#;
    let onec = Onec::publish(Generation::LenientKeys).result("tools/list", tool).serve();
    let mut line = onec.line().ready();
    list(&mut line, "tools");
    onec.refuse(1, pages::bad_gateway());
    line.send(call(1, "Ostatki", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.result()["isError"], false, "{reply}");
    assert_eq!(onec.executions("Остатки"), 1);
    onec.refuse(1, pages::bad_gateway());
    line.send(call(1, "Spisat", "{}"));
    assert_eq!(line.recv_id("1").failure(-33003)["mayHaveRun"], true);
    line.finish_with_nothing_left();
    assert_eq!(onec.executions("Списать"), 0);
}

#[test]
fn names_that_nobody_has_listed_pass() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    line.send(call(1, "Неизвестный", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.error_text().contains("Неизвестный"), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn aliases_hold_in_a_made_up_handshake_too() {
    let tools = r#"{"tools":[{"name":"Остатки","inputSchema":{}}]}"#;
    let onec = Onec::publish(Generation::NoHandshake).result("tools/list", tools).serve();
    let mut line = onec.line().ready();
    let tool = list(&mut line, "tools")[0].clone();
    assert_eq!(tool["name"], "Ostatki");
    assert_eq!(tool["inputSchema"]["type"], "object");
    line.send(call(1, "Ostatki", "{}"));
    assert_eq!(line.recv_id("1").result()["isError"], false);
    line.finish_with_nothing_left();
    assert_eq!(onec.executions("Остатки"), 1);
}

#[test]
fn names_stay_where_that_is_asked_for() {
    let names = all_names();
    let onec = service(&names);
    let mut line = onec.line().args("--keep names").ready();
    for member in ["tools", "prompts"] {
        for (item, name) in list(&mut line, member).iter().zip(&names) {
            assert_eq!(item["name"], **name);
            assert!(item.get("title").is_none(), "{item}");
        }
    }
    line.send(call(1, "ПолучитьОстатки", "{}"));
    assert_eq!(line.recv_id("1").result()["isError"], false);
    line.finish_with_nothing_left();
}

/// The names that tools of a page, or of the first, are offered by.
fn page(line: &mut Line, params: &str) -> Vec<String> {
    line.send(request(r#""page""#, "tools/list", params));
    let reply = line.recv_id(r#""page""#);
    let tools = reply.result()["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// The name of the tool that runs when this one is called.
fn run_by(line: &mut Line, name: &str) -> String {
    line.send(call(r#""run""#, name, "{}"));
    let reply = line.recv_id(r#""run""#);
    reply.result()["content"][0]["text"].as_str().unwrap().to_owned()
}

/// A service whose tools say their names, and which lists what `listed` tells for a cursor.
fn lists(
    listed: impl Fn(Option<&str>) -> &'static [&'static str] + Send + Sync + 'static,
) -> Upstream {
    Upstream::serve(after_handshake(move |exchange| {
        let params = exchange.rpc().value["params"].clone();
        if exchange.name() == "tools/call" {
            let text = json!([{ "type": "text", "text": params["name"] }]);
            return exchange.result(&json!({ "content": text }).to_string());
        }
        let cursor = params["cursor"].as_str();
        let tools = listed(cursor).iter();
        let tools = tools.map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
        let mut result = json!({ "tools": tools.collect::<Vec<_>>() });
        if cursor.is_none() {
            result["nextCursor"] = json!("2");
        }
        exchange.result(&result.to_string())
    }))
}

#[test]
fn an_alias_of_one_page_means_nothing_else_because_of_another() {
    let upstream = lists(|cursor| match cursor {
        None => &["Мера", "Остатки"],
        Some(_) => &["Мэра", "mera_2"],
    });
    let mut line = Line::to(&upstream.url_of("/base")).args("--kind 1c").ready();
    let first = page(&mut line, "{}");
    let second = page(&mut line, r#"{"cursor":"2"}"#);
    let again = page(&mut line, "{}");
    assert_eq!(first, again);
    let different: BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(different.len(), 4, "{first:?} {second:?}");
    for (alias, name) in first.iter().zip(["Мера", "Остатки"]) {
        assert_eq!(run_by(&mut line, alias), name);
    }
    for (alias, name) in second.iter().zip(["Мэра", "mera_2"]) {
        assert_eq!(run_by(&mut line, alias), name);
    }
    line.finish_with_nothing_left();
}

#[test]
fn an_alias_means_the_same_when_the_listing_has_changed() {
    let has_grown = Arc::new(AtomicBool::new(false));
    let grown = has_grown.clone();
    let upstream =
        lists(move |_| if grown.load(Ordering::SeqCst) { &["Мера", "Мэра"] } else { &["Мэра"] });
    let mut line = Line::to(&upstream.url_of("/base")).args("--kind 1c").ready();
    let before = page(&mut line, "{}").remove(0);
    has_grown.store(true, Ordering::SeqCst);
    let after = page(&mut line, "{}");
    assert_eq!(after[1], before);
    assert_ne!(after[0], before);
    assert_eq!(run_by(&mut line, &before), "Мэра");
    assert_eq!(run_by(&mut line, &after[0]), "Мера");
    line.finish_with_nothing_left();
}

/// The listing would only tell whether the name is an alias.
#[test]
fn a_call_is_made_though_the_names_cannot_be_listed() {
    let onec = Onec::publish(Generation::LenientKeys)
        .reply("tools/list", pages::plain(500, "Ошибка"))
        .result("tools/call get_stock", r#"{"content":[],"isError":false}"#)
        .serve();
    let mut line = onec.line().ready();
    line.send(call(1, "get_stock", "{}"));
    assert_eq!(line.recv_id("1").result()["isError"], false);
    line.finish_with_nothing_left();
    assert_eq!(onec.executions("get_stock"), 1);
}
