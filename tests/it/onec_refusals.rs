//! Kind `1c`: what is refused before any handler runs, in which language the person is told, and how a
//! server says what login it wants.

use crate::onec_errors::{listed, refused};
use crate::support::{Onec, Reply, at_once, call, pages};

/// The platform's page around what it says before any handler runs.
fn before_any_handler(said: &str) -> Reply {
    let page = format!(
        "\u{feff}<html><body><h2>1C:Enterprise 8 application error:</h2>{said}</body></html>"
    );
    Reply::status(500).body("text/html; charset=utf-8", page)
}

#[test]
fn what_the_platform_refuses_before_any_handler_runs_is_never_said_to_have_run() {
    let address = "server_addr=tcp://srv1c:1541 descr=10061(0x0000274D): No connection";
    let rows = [
        (format!("Сервер 1С:Предприятия не обнаружен<br>{address}"), ("1C server", "сервер"), 2),
        (format!("Unbekannter Fehler {address}"), ("1C server", "сервер"), 2),
        ("Ошибка соединения с сервером 1С:Предприятия".to_owned(), ("1C server", "сервер"), 2),
        ("1C:Enterprise server not found".to_owned(), ("1C server", "сервер"), 2),
        (
            "Не удалось установить соединение с рабочим процессом".to_owned(),
            ("1C server", "сервер"),
            2,
        ),
        ("Сервер баз данных не обнаружен".to_owned(), ("database", "баз"), 2),
        ("Лицензия не обнаружена".to_owned(), ("licence", "лицензий"), 2),
        ("Превышено максимальное количество сеансов".to_owned(), ("limit", "предел"), 2),
        (
            "Ошибка исключительной блокировки информационной базы".to_owned(),
            ("exclusively", "монопольно"),
            2,
        ),
        ("Информационная база не обнаружена".to_owned(), ("default.vrd", "default.vrd"), 1),
        ("Infobase not found".to_owned(), ("default.vrd", "default.vrd"), 1),
        ("Сервис не найден".to_owned(), ("extension", "расширение"), 1),
        ("Обработчик запроса не найден".to_owned(), ("extension", "расширение"), 1),
        ("Неправильное имя или пароль".to_owned(), ("password", "пароль"), 1),
    ];
    at_once(rows, |(said, (english, russian), attempts)| {
        // What is retried succeeds with the second attempt.
        let onec = Onec::g3();
        let mut line = listed(&onec, "");
        onec.refuse(1, before_any_handler(&said));
        line.send(call(1, "get_stock", "{}"));
        let reply = line.recv_id("1");
        if attempts == 1 {
            let data = reply.failure(reply.error_code());
            assert!(data.get("mayHaveRun").is_none(), "{said}: {reply}");
        } else {
            assert_eq!(reply.result()["isError"], false, "{said}: {reply}");
        }
        line.finish_with_nothing_left();
        assert_eq!(onec.count("tools/call"), attempts, "{said}");

        let (reply, _) = refused(&before_any_handler(&said), "--retry-for 0.2");
        let data = reply.failure(reply.error_code());
        assert!(data.get("mayHaveRun").is_none(), "{said}: {reply}");
        assert!(!reply.error_text().contains("carried out"), "{said}: {reply}");
        let is_russian = said.contains('е');
        let told = data["hint"].as_str().unwrap();
        assert!(told.contains(if is_russian { russian } else { english }), "{said}: {told}");
    });
}

#[test]
fn hints_are_in_the_language_of_the_system_or_of_the_service() {
    let rows = [
        ("C", pages::plain(403, "Недостаточно прав"), true),
        ("C", pages::plain(403, "Forbidden"), false),
        ("en_US.UTF-8", pages::plain(500, "Division by zero"), false),
        ("ru_RU.UTF-8", pages::plain(500, "Division by zero"), true),
        ("ru_RU.UTF-8", Reply::status(401), true),
        ("ru_RU.UTF-8", Reply::status(404), true),
        ("ru_RU.UTF-8", Reply::status(413), true),
    ];
    at_once(rows, |(language, reply, is_russian)| {
        let onec = Onec::g3();
        let mut line = onec.line().env("LC_ALL", language).ready();
        onec.refuse(usize::MAX, reply.clone());
        line.send(call(1, "get_stock", "{}"));
        let answer = line.recv_id("1");
        let hint = answer.failure(answer.error_code())["hint"].as_str().unwrap().to_owned();
        let has_cyrillic = hint.chars().any(|letter| ('а'..='я').contains(&letter));
        assert_eq!(has_cyrillic, is_russian, "{language} {reply:?}: {hint}");
        // What failed is told in English as ever.
        assert!(answer.error_text().contains("answered with HTTP"), "{answer}");
        line.finish();
    });
}

#[test]
fn joined_challenges_are_told_apart() {
    for (challenges, expected) in [
        (&["Negotiate, NTLM, Basic realm=\"1c\""][..], "The server offers: Negotiate, NTLM, Basic"),
        (
            &["Negotiate", "Basic realm=\"1С:Предприятие 8.3\""],
            "The server offers: Negotiate, Basic",
        ),
        (&["Negotiate, NTLM"], "anonymous authentication on"),
    ] {
        let onec = Onec::g3();
        let mut line = onec.line().ready();
        onec.refuse(usize::MAX, pages::unauthorized(challenges));
        line.send(call(1, "get_stock", "{}"));
        let reply = line.recv_id("1");
        let english = reply.error_text().contains(expected);
        let russian = reply.error_text().contains("анонимную проверку подлинности");
        let offered = challenges.concat().contains("Basic");
        assert!(english || russian, "{reply}");
        assert!(!offered || reply.error_text().contains("Basic."), "{reply}");
        line.finish();
    }
}
