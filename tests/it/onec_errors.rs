//! Kind `1c`: what went wrong, in a sentence for a person, whichever layer said it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::pages::Declared;
use crate::support::{
    Generation, INITIALIZE, Line, Message, Onec, Reply, at_once, call, pages, request,
};

const ADMIN: &str = "Ведутся технические работы до 18:00";

/// A line whose client has listed the tools, as clients do before the first call.
pub(crate) fn listed(onec: &Onec, args: &str) -> Line {
    let mut line = onec.line().args(args).ready();
    line.send(request(0, "tools/list", "{}"));
    assert!(line.recv_id("0").result()["tools"].is_array());
    line
}

/// The error that a call gets that is refused like this for good, and how often it was sent.
pub(crate) fn refused(reply: &Reply, args: &str) -> (Message, usize) {
    let onec = Onec::g3();
    let mut line = listed(&onec, args);
    onec.refuse(usize::MAX, reply.clone());
    line.send(call(1, "get_stock", "{}"));
    let reply = line.recv_id("1");
    onec.refuse(0, Reply::status(200));
    line.send(call(2, "get_stock", "{}"));
    assert_eq!(line.recv_id("2").result()["isError"], false, "after {reply}");
    line.finish_with_nothing_left();
    let times = onec.count("tools/call") - 1;
    (reply, times)
}

/// Checks an error for a person: ours, of the status, with all of `parts`, without markup and what
/// only a developer of the platform could use.
fn says(reply: &Message, status: u16, parts: &[&str]) {
    let data = reply.failure(reply.error_code());
    assert!([-33003, -33005].contains(&reply.error_code()), "{reply}");
    assert_eq!(data["httpStatus"], status, "{reply}");
    assert!(data["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{reply}");
    let text = reply.error_text();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    for never in ["</", "<br", "&lt;", "core83", "77u/", "#exception", "\u{feff}", "\u{fffd}"] {
        assert!(!text.contains(never), "{never} in {text}");
    }
    assert!(text.chars().count() < 1200, "{text}");
}

#[test]
fn an_infobase_that_is_locked_is_told_in_the_administrators_words() {
    for status in [403, 500, 503] {
        let locked = format!("{}\n{ADMIN}", pages::LOCKED);
        for page in [
            pages::platform_json(status, &locked, &locked),
            pages::platform_json(status, pages::LOCKED, ADMIN),
            pages::platform_html(status, pages::LOCKED, ADMIN),
            pages::platform_xml(status, &locked),
            pages::plain(status, &locked.replace('\n', " ")),
        ] {
            let (reply, _) = refused(&page, "--retry-for 0.2");
            says(&reply, status, &[ADMIN]);
        }
    }
    let english = "Startup of infobase session is not allowed.";
    let (reply, _) = refused(&pages::platform_html(500, english, ADMIN), "--retry-for 0.2");
    says(&reply, 500, &[ADMIN]);
}

#[test]
fn a_call_waits_for_the_lock_to_go_and_runs_once() {
    at_once([pages::locked(ADMIN), pages::platform_html(500, pages::LOCKED, ADMIN)], |page| {
        let onec = Onec::g3();
        let mut line = listed(&onec, "");
        onec.refuse(1, page);
        line.send(call(1, "get_stock", "{}"));
        assert_eq!(line.recv_id("1").result()["isError"], false);
        line.finish_with_nothing_left();
        assert_eq!((onec.count("tools/call"), onec.executions("get_stock")), (2, 1));
    });
}

#[test]
fn a_call_waits_for_a_licence_or_a_free_session_or_the_server_and_runs_once() {
    at_once(
        [
            pages::no_licence(),
            pages::plain(500, "There are no free licenses"),
            pages::platform_json(500, "Ошибка", "Не найдена лицензия"),
            pages::platform_xml(500, "LICENSE NOT FOUND"),
            pages::pool_exhausted(),
            pages::platform_html(500, "Ошибка", "База данных не обнаружена"),
            pages::platform_html(500, "Error", "Database server not found"),
            Reply::status(503),
        ],
        |page| {
            let onec = Onec::g3();
            let mut line = listed(&onec, "");
            onec.refuse(1, page.clone());
            line.send(call(1, "get_stock", "{}"));
            let reply = line.recv_id("1");
            assert_eq!(reply.result()["isError"], false, "{page:?}: {reply}");
            line.finish_with_nothing_left();
            assert_eq!(
                (onec.count("tools/call"), onec.executions("get_stock")),
                (2, 1),
                "{page:?}"
            );
        },
    );
}

#[test]
fn what_is_waited_for_in_vain_is_told_with_what_to_do() {
    let (reply, _) = refused(&pages::no_licence(), "--retry-for 0.3");
    says(&reply, 500, &["Не обнаружено свободной лицензии"]);
    let (reply, _) = refused(&pages::pool_exhausted(), "--retry-for 0.3");
    says(&reply, 406, &["Истекло время ожидания сеанса"]);
    for page in [pages::no_licence(), pages::pool_exhausted(), pages::locked(ADMIN)] {
        let (reply, times) = refused(&page, "--no-retry");
        assert_eq!(times, 1, "{reply}");
        assert!(reply.error()["data"].get("mayHaveRun").is_none(), "{reply}");
    }
}

#[test]
fn the_start_waits_for_a_free_session_too() {
    let onec = Onec::g3();
    onec.refuse(1, pages::pool_exhausted());
    let mut line = onec.line().spawn();
    assert_eq!(line.handshake().result()["serverInfo"]["name"], "1C MCP Server");
    line.finish();
    assert_eq!(onec.count("initialize"), 2);
}

#[test]
fn any_other_failure_of_the_handler_is_final() {
    for page in [
        pages::platform_html(500, "Ошибка исполнения", "Деление на 0"),
        pages::platform_json(500, "Ошибка исполнения", "Деление на 0"),
        pages::platform_xml(500, "Деление на 0"),
        pages::plain(500, "Деление на 0"),
        Reply::status(500).body("application/json", "\u{feff}{\"error\":\"Деление на 0\"}"),
    ] {
        let (reply, times) = refused(&page, "");
        reply.failure(-33003);
        says(&reply, 500, &["Деление на 0"]);
        assert_eq!(times, 1, "{reply}");
    }
}

#[test]
fn a_gateway_that_gave_up_may_have_passed_the_call_on() {
    for page in [pages::bad_gateway(), Reply::status(504)] {
        let (reply, times) = refused(&page, "");
        assert_eq!(times, 1, "a call was sent again");
        assert_eq!(reply.error()["data"]["mayHaveRun"], true, "{reply}");
    }
    // What does no harm twice is tried again.
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    onec.refuse(1, pages::bad_gateway());
    line.send(request(1, "tools/list", "{}"));
    assert!(line.recv_id("1").result()["tools"].is_array());
    line.finish_with_nothing_left();
}

/// The error that a start gets, and nothing more is tried.
fn failed_start(mut line: Line) -> Message {
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    line.finish_with_nothing_left();
    reply
}

#[test]
fn a_wrong_password_is_told_with_what_the_server_offers() {
    let onec = Onec::publish(Generation::LenientKeys).user("Администратор", "верный").serve();
    let setup = onec.line().args("--user Администратор").env("MCPLINE_PASSWORD", "неверный");
    let reply = failed_start(setup.spawn());
    reply.failure(-33005);
    says(&reply, 401, &["Basic"]);
    assert_eq!(onec.requests().len(), 1, "{:?}", onec.names());
}

#[test]
fn a_server_that_wants_windows_to_log_in_is_told_with_the_ways_out() {
    let (reply, times) = refused(&pages::unauthorized(&["Negotiate", "NTLM"]), "");
    reply.failure(-33005);
    says(&reply, 401, &["NTLM"]);
    let hint = reply.error()["data"]["hint"].as_str().unwrap();
    assert!(hint.contains("Basic"), "{hint}");
    assert_eq!(times, 1);
}

#[test]
fn a_missing_right_is_told() {
    let page = pages::platform_json(403, "Нарушение прав доступа!", "Нарушение прав доступа!");
    let (reply, times) = refused(&page, "");
    says(&reply, 403, &["Нарушение прав доступа"]);
    reply.failure(-33005);
    assert_eq!(times, 1);
}

#[test]
fn a_service_that_is_not_published_is_told_with_what_to_check() {
    let onec = Onec::g3();
    for args in ["--service-root other", ""] {
        let base = if args.is_empty() { onec.url_of("/other") } else { onec.url() };
        let line = Line::to(&base).args("--kind 1c").args(args).spawn();
        let reply = failed_start(line);
        reply.failure(-33003);
        says(&reply, 404, &[]);
        let hint = reply.error()["data"]["hint"].as_str().unwrap().to_lowercase();
        for check in ["publish", "default.vrd", "root"] {
            assert!(hint.contains(check), "no {check} in {hint}");
        }
    }
}

#[test]
fn a_name_in_the_wrong_case_is_told_and_no_redirect_is_followed() {
    for (base, asked, target) in
        [("/Base", "/base", "/Base/hs/mcp/rpc"), ("/База", "/база", "/hs/mcp/rpc")]
    {
        let onec = Onec::publish(Generation::LenientKeys).base(base).serve();
        let line = Line::to(&onec.url_of(asked)).args("--kind 1c").spawn();
        let reply = failed_start(line);
        reply.failure(-33003);
        says(&reply, 302, &[target]);
        let hint = reply.error()["data"]["hint"].as_str().unwrap().to_lowercase();
        assert!(hint.contains("case") || hint.contains("capital"), "{hint}");
        assert_eq!(onec.requests().len(), 1, "{:?}", onec.names());
    }
    for status in [301, 303] {
        let moved = Reply::status(status).header("Location", "/e1cib/login");
        let (reply, times) = refused(&moved, "");
        says(&reply, status, &["/e1cib/login"]);
        assert_eq!(times, 1);
    }
}

#[test]
fn pages_in_windows_1251_are_read_however_they_are_declared() {
    for declared in [Declared::InHeader, Declared::InMeta, Declared::Nowhere, Declared::Wrongly] {
        let page = pages::iis(500, "Внутренняя ошибка сервера", "Мало памяти & диска", declared);
        let (reply, _) = refused(&page, "");
        says(&reply, 500, &["Внутренняя ошибка сервера"]);
    }
}

/// What a proxy in between, or a publication for browsers, shows instead of an answer.
#[test]
fn a_page_that_says_that_all_is_well_is_no_answer() {
    let page = "\u{feff}<!DOCTYPE html><html><head><title>Вход</title><style>p {}</style></head>\
                <body><h1>Войдите в систему</h1></body></html>";
    let onec = Onec::g3();
    let mut line = listed(&onec, "");
    onec.refuse(1, Reply::status(200).body("text/html; charset=utf-8", page));
    line.send(call(1, "get_stock", "{}"));
    let reply = line.recv_id("1");
    let data = reply.failure(-33004);
    assert!(data["hint"].is_string(), "{reply}");
    assert!(reply.error_text().contains("Войдите в систему"), "{reply}");
    assert!(!reply.error_text().contains('<'), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn an_answer_in_a_refusal_is_the_answer() {
    let error = r#"{"code":-32602,"message":"Нет такого склада","data":{"n":1.0}}"#;
    let body = format!("\u{feff}{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{error}}}");
    let page = Reply::status(500).body("application/json; charset=utf-8", body);
    let (reply, times) = refused(&page, "");
    assert_eq!(reply.raw("error"), Some(error), "{reply}");
    assert_eq!(times, 1);
}

/// The error that reaches the client when the service answers a call with this one.
fn passed(error: &Value) -> Message {
    let onec = Onec::publish(Generation::LenientKeys)
        .error("tools/call get_stock", &error.to_string())
        .serve();
    let mut line = onec.line().ready();
    line.send(call(1, "get_stock", "{}"));
    let reply = line.recv_id("1");
    line.finish_with_nothing_left();
    reply
}

/// A page of the platform's stack, some kilobytes long.
fn stack() -> String {
    let mut filler = String::new();
    for n in 0..200 {
        write!(filler, "// строка исходного текста номер {n} ").unwrap();
    }
    include_str!("support/onec/stack.txt").replace("@FILLER@", &filler)
}

#[test]
fn a_page_of_stack_text_becomes_the_real_cause_in_one_line() {
    let russian = stack();
    let english = russian.replace("по причине:", "by reason:");
    for text in [russian, english] {
        let reply = passed(&json!({ "code": -32603, "message": text }));
        assert_eq!(reply.error_code(), -32603);
        let said = reply.error_text();
        assert!(
            said.contains("Таблица не найдена \"РегистрНакопления.ОстаткиНаСкладах\""),
            "{said}"
        );
        assert!(said.chars().count() <= 300 && !said.contains(['\n', '\r']), "{said}");
        assert!(!said.contains("Модуль(") && !said.contains("Внутренняя ошибка"), "{said}");
        assert_eq!(reply.error()["data"]["details"], text);
    }
}

#[test]
fn an_error_of_one_cause_loses_where_it_was_thrown() {
    let onec = Onec::g3();
    let mut line = onec.line().ready();
    line.send(call(1, "нет", "{}"));
    let reply = line.recv_id("1");
    assert_eq!(reply.error_text(), "Инструмент 'нет' не найден");
    let details = reply.error()["data"]["details"].as_str().unwrap();
    assert!(details.contains("{МодульСервиса HTTPСервис.АПИ.Модуль(228)}"), "{details}");
    line.finish_with_nothing_left();
}

#[test]
fn a_long_cause_is_cut() {
    let text = format!("Внутренняя ошибка сервера: {{Модуль(1)}}: {}", "очень длинно ".repeat(100));
    let reply = passed(&json!({ "code": -32603, "message": text }));
    let said = reply.error_text();
    assert!(said.starts_with("очень длинно"), "{said}");
    assert!(said.chars().count() <= 300, "{said}");
    assert_eq!(reply.error()["data"]["details"], text);
}

#[test]
fn an_error_that_is_short_passes_byte_for_byte() {
    for error in [
        r#"{ "message":"\u041dет метода: x", "code":-32601}"#,
        r#"{"code":-32603,"message":"Склад закрыт","data":{"n":1.0}}"#,
        r#"{"code":-32600,"message":"Неподдерживаемая версия JSON-RPC"}"#,
    ] {
        let onec =
            Onec::publish(Generation::LenientKeys).error("tools/call get_stock", error).serve();
        let mut line = onec.line().ready();
        line.send(call(1, "get_stock", "{}"));
        assert_eq!(line.recv_id("1").raw("error"), Some(error));
        line.finish_with_nothing_left();
    }
}

/// The model needs the whole of it.
#[test]
fn a_failed_tool_keeps_its_text() {
    let text = stack();
    let content = json!([{ "type": "text", "text": text }]);
    let result = json!({ "content": content, "isError": true }).to_string();
    let onec =
        Onec::publish(Generation::LenientKeys).spelled("tools/call get_stock", &result).serve();
    let mut line = onec.line().ready();
    line.send(call(1, "get_stock", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), result);
    line.finish_with_nothing_left();
}

/// What names a place in a module has come from the handler, which may have done its work.
#[test]
fn words_of_the_platform_in_an_error_of_the_handler_are_not_the_platforms() {
    for said in [
        "{ОбщийМодуль.Заказы.Модуль(41)}: Заказ 15 записан. Не найдена лицензия контрагента",
        "{ОбщийМодуль.Обмен.Модуль(9)}: Проведён; Начало сеанса с информационной базой запрещено",
        "{CommonModule.Orders.Module(7)}: Order 15 is written. License not found",
    ] {
        let pages = [pages::plain(500, said), pages::platform_json(500, "Ошибка", said)];
        for page in pages {
            let (reply, times) = refused(&page, "--retry-for 3");
            reply.failure(-33003);
            says(&reply, 500, &[]);
            assert_eq!(times, 1, "a call was sent again: {reply}");
        }
    }
}

#[test]
fn a_sentence_that_gives_its_reason_stays_whole() {
    for said in [
        "Заказ 15 отклонён по причине: нет остатка",
        "Order 15 is refused by reason: nothing is left",
    ] {
        let reply = passed(&json!({ "code": -32603, "message": said }));
        assert_eq!(reply.error_text(), said);
    }
}
