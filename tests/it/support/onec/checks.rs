//! The emulator against the facts that it stands for, asked without the binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::pages::{self, Declared};
use super::service::platform_style;
use super::{Generation, Onec, Reuse, Sessions};
use crate::support::http::Reply;
use crate::support::message::{INITIALIZED, call, request};

const RPC: &str = "/base/hs/mcp/rpc";

struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.text().trim_start_matches('\u{feff}')).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn ask(onec: &Onec, method: &str, path: &str, headers: &str, body: &str) -> Got {
    let mut socket = TcpStream::connect(onec.authority()).unwrap();
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nContent-Length: {length}\r\n{headers}\r\n");
    socket.write_all((request + body).as_bytes()).unwrap();
    let mut from = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(from.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut got = Got { status, head, body: Vec::new() };
    got.body.resize(got.header("Content-Length").unwrap().parse().unwrap(), 0);
    from.read_exact(&mut got.body).unwrap();
    got
}

fn post(onec: &Onec, body: &str) -> Got {
    ask(onec, "POST", RPC, "", body)
}

#[test]
fn json_is_written_as_the_platform_writes_it() {
    assert_eq!(
        platform_style(r#"{ "a":[1, {"b:," :"\"}"}],"c":[ ]}"#),
        "{\r\n\"a\": [\r\n1,\r\n{\r\n\"b:,\": \"\\\"}\"\r\n}\r\n],\r\n\"c\": []\r\n}"
    );
    let got = post(&Onec::g3(), &request(7, "tools/list", "{}"));
    assert!(got.body.starts_with(b"\xef\xbb\xbf{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": 7,\r\n"));
    assert_eq!(got.header("Content-Type"), Some("application/json; charset=utf-8"));
    assert_eq!(got.header("Access-Control-Allow-Origin"), Some("*"));
}

#[test]
fn each_generation_knows_what_it_knew() {
    let ping = request(57, "ping", "{}");
    let unknown = call(57, "нет", "{}");
    for (generation, initialize, to_notification, error_id) in [
        (Generation::Stub, false, (200, ""), None),
        (Generation::NoHandshake, false, (200, "-32601"), Some(1)),
        (Generation::StrictKeys, true, (204, ""), Some(57)),
        (Generation::LenientKeys, true, (204, ""), Some(57)),
        (Generation::Foreign, true, (202, ""), Some(57)),
    ] {
        let onec = Onec::publish(generation).serve();
        let got = post(&onec, &request(1, "initialize", r#"{"protocolVersion":"2025-11-25"}"#));
        assert_eq!(got.text().contains("protocolVersion"), initialize, "{generation:?}");
        let got = post(&onec, INITIALIZED);
        assert_eq!(got.status, to_notification.0, "{generation:?}");
        assert!(got.text().contains(to_notification.1), "{generation:?}");
        let empty = got.body.is_empty();
        assert_eq!(empty, to_notification.1.is_empty(), "{generation:?}");
        if !empty {
            assert_eq!(got.json()["id"], 1);
        }
        let got = post(&onec, &unknown);
        assert_eq!(got.status, 200);
        match error_id {
            None => assert!(got.body.is_empty()),
            Some(id) => {
                assert_eq!(got.json()["id"], id, "{generation:?}");
                assert_eq!(got.json()["error"]["code"], -32603);
                assert!(got.text().contains("Инструмент 'нет' не найден"), "{}", got.text());
                let knows_ping = generation == Generation::Foreign;
                assert_eq!(post(&onec, &ping).json().get("result").is_some(), knows_ping);
            }
        }
        let health = ask(&onec, "GET", "/base/hs/mcp/health", "", "");
        assert_eq!(health.status == 200, generation != Generation::Stub);
        let manifest = ask(&onec, "GET", "/base/hs/mcp/manifest", "", "");
        assert_eq!(manifest.status == 200, generation == Generation::Stub);
        let root = ask(&onec, "GET", "/base/hs/mcp/", "", "");
        let has_root = matches!(generation, Generation::StrictKeys | Generation::LenientKeys);
        assert_eq!(root.header("Allow"), has_root.then_some("POST"));
        assert_eq!(root.status, if has_root { 405 } else { 404 });
    }
}

#[test]
fn what_the_reader_of_the_service_cannot_bear_is_an_internal_error() {
    let foreign = call(1, "get_stock", r#"{"first-name":1,"2024":2,"имя":3}"#);
    for (generation, body, passes) in [
        (Generation::NoHandshake, foreign.as_str(), false),
        (Generation::StrictKeys, &foreign, false),
        (Generation::LenientKeys, &foreign, true),
        (Generation::Foreign, &foreign, true),
        (
            Generation::LenientKeys,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#,
            false,
        ),
        (Generation::LenientKeys, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, true),
        (Generation::LenientKeys, "\u{feff}{\"id\":1,\"method\":\"tools/list\"}", true),
        (
            Generation::LenientKeys,
            r#"[{"id":1,"method":"tools/list"},{"id":2,"method":"x"}]"#,
            false,
        ),
    ] {
        let onec = Onec::publish(generation).serve();
        let performed = post(&onec, body).json().get("result").is_some();
        assert_eq!(performed, passes, "{generation:?}: {body}");
    }
    let got = post(&Onec::g3(), &foreign);
    assert!(got.text().contains("first_name") && got.text().contains("_024"), "{}", got.text());
}

#[test]
fn the_platform_writes_whole_numbers_whole() {
    let got = post(&Onec::g3(), &request("1.0", "tools/list", "{}"));
    assert!(got.text().contains("\"id\": 1,"), "{}", got.text());
}

#[test]
fn a_name_in_the_wrong_case_is_a_redirect_and_another_one_is_not_found() {
    let onec = Onec::publish(Generation::LenientKeys).base("/Торговля").serve();
    let path = |name: &str| {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::CONTROLS);
        format!("/{name}/hs/mcp/rpc")
    };
    let list = request(1, "tools/list", "{}");
    assert_eq!(ask(&onec, "POST", &path("Торговля"), "", &list).status, 200);
    let got = ask(&onec, "POST", &path("торговля"), "", &list);
    assert_eq!((got.status, got.header("Location")), (302, Some(path("Торговля").as_str())));
    assert_eq!(ask(&onec, "POST", &path("Торг"), "", &list).status, 404);
}

#[test]
fn a_user_is_known_by_the_bytes_of_the_name() {
    let utf8 = Onec::publish(Generation::LenientKeys).user("Администратор", "").serve();
    let ansi = Onec::publish(Generation::LenientKeys).user_in_1251("Администратор", "").serve();
    let basic = |encoded: &str| format!("Authorization: Basic {encoded}\r\n");
    let list = request(1, "tools/list", "{}");
    let cases = [
        (&utf8, basic("0JDQtNC80LjQvdC40YHRgtGA0LDRgtC+0YA6"), 200),
        (&ansi, basic("0JDQtNC80LjQvdC40YHRgtGA0LDRgtC+0YA6"), 401),
        (&ansi, basic("wOTs6O3o8fLw4PLu8Do="), 200),
        (&utf8, String::new(), 401),
    ];
    for (onec, header, status) in cases {
        assert_eq!(ask(onec, "POST", RPC, &header, &list).status, status, "{header}");
    }
    let got = ask(&utf8, "GET", "/base/hs/mcp/health", "", "");
    assert!(got.header("WWW-Authenticate").unwrap().starts_with("Basic"));
}

#[test]
fn a_managed_session_lives_from_start_to_finish() {
    let onec = Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).serve();
    let list = request(1, "tools/list", "{}");
    let got = ask(&onec, "POST", RPC, "IBSession: start\r\n", &list);
    let cookie = got.header("Set-Cookie").unwrap();
    let (cookie, attributes) = cookie.split_once(';').unwrap();
    assert!(cookie.starts_with("ibsession=") && attributes.contains("path=/base"));
    let header = format!("Cookie: other=1; {cookie}\r\n");
    assert_eq!(ask(&onec, "POST", RPC, &header, &list).status, 200);
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 1, finished: 0 });
    let finish = format!("{header}IBSession: finish\r\n");
    assert_eq!(ask(&onec, "GET", "/base/hs/mcp/health", &finish, "").status, 200);
    assert_eq!(onec.sessions(), Sessions { started: 1, live: 0, finished: 1 });
    assert_eq!(ask(&onec, "POST", RPC, &header, &list).status, 404);
    onec.drop_sessions(pages::session_error());
    let got = ask(&onec, "POST", RPC, &header, &list);
    assert!(got.status == 500 && got.text().contains("Ошибка работы сеанса"));
}

#[test]
fn two_requests_at_once_in_one_session_are_noticed_and_so_is_a_call_that_begins_one() {
    let onec = Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).serve();
    let wait = call(1, "wait", r#"{"gate":"gate"}"#);
    let got = ask(&onec, "GET", "/base/hs/mcp/health", "IBSession: start\r\n", "");
    let cookie = got.header("Set-Cookie").unwrap().split(';').next().unwrap();
    let header = format!("Cookie: {cookie}\r\n");
    std::thread::scope(|threads| {
        threads.spawn(|| ask(&onec, "POST", RPC, &header, &wait));
        onec.wait_at("gate", 1);
        assert!(onec.take_violations().is_empty());
        ask(&onec, "POST", RPC, &header, &request(2, "tools/list", "{}"));
        assert_eq!(onec.take_violations().len(), 1);
        onec.open("gate");
    });
    ask(&onec, "POST", RPC, "IBSession: start\r\n", &wait);
    assert_eq!(onec.take_violations().len(), 1);
    assert_eq!((onec.executions("wait"), onec.peak()), (2, 1));
}

#[test]
fn refusals_are_as_many_as_were_scripted() {
    let onec = Onec::publish(Generation::LenientKeys).balanced_by("ROUTE=node-2").serve();
    onec.refuse(2, pages::pool_exhausted());
    let list = request(1, "tools/list", "{}");
    let statuses = [0; 3].map(|_| post(&onec, &list).status);
    assert_eq!(statuses, [406, 406, 200]);
    let got = post(&onec, &list);
    assert!(got.header("Set-Cookie").unwrap().starts_with("ROUTE=node-2;"));
    let got = ask(&onec, "POST", RPC, "Cookie: ROUTE=node-2\r\n", &list);
    assert_eq!(got.header("Set-Cookie"), None);
}

#[test]
fn pages_are_in_the_charset_that_they_are_in() {
    for declared in [Declared::InHeader, Declared::InMeta, Declared::Nowhere, Declared::Wrongly] {
        let bytes = pages::iis(500, "Сбой", "Подробно", declared).to_bytes();
        assert!(str::from_utf8(&bytes).is_err(), "{declared:?} is valid UTF-8");
    }
    let replies: [Reply; 5] = [
        pages::locked("Работы"),
        pages::no_licence(),
        pages::pool_exhausted(),
        pages::plain(500, "Стоп"),
        pages::not_found(),
    ];
    for reply in replies {
        assert!(String::from_utf8(reply.to_bytes()).is_ok_and(|text| !text.contains('@')));
    }
}
