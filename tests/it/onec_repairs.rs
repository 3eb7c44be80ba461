//! Kind `1c`: what clients would refuse is repaired, and the rest passes byte for byte.

use encoding_rs::WINDOWS_1251;
use serde_json::{Value, json};

use crate::support::{Generation, INITIALIZE, Line, Message, Onec, Reply, call, request};

/// What a service that answers `key` with `result` makes the client see, and what is logged.
fn seen(key: &str, result: &str, request: &str) -> (Message, String) {
    let onec = Onec::publish(Generation::LenientKeys).result(key, result).serve();
    let mut line = onec.line().ready();
    line.send(request);
    let reply = line.recv_id("1");
    (reply, log_of(line))
}

fn log_of(mut line: Line) -> String {
    line.close_stdin();
    let ended = line.wait();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    ended.stderr
}

/// `items` as a client sees them in a listing by `method`.
fn listed(method: &str, items: &str) -> (Vec<Value>, Message) {
    let member = method.split('/').next().unwrap();
    let result = format!(r#"{{"{member}":[{items}]}}"#);
    let (reply, _) = seen(method, &result, &request(1, method, "{}"));
    (reply.result()[member].as_array().unwrap().clone(), reply)
}

/// The result of a call that the service answers like this, and the log.
fn called(result: &str) -> (Value, String) {
    let (reply, log) = seen("tools/call get_stock", result, &call(1, "get_stock", "{}"));
    (reply.result().clone(), log)
}

fn content_of(items: &str) -> (Vec<Value>, String) {
    let (result, log) = called(&format!(r#"{{"content":[{items}],"isError":false}}"#));
    assert_eq!(result["isError"], false, "{result}");
    (result["content"].as_array().unwrap().clone(), log)
}

const READ: &str = r#"{"uri":"file://resource/a.txt"}"#;

/// The contents of a resource that the service answers like this.
fn read(contents: &str) -> Vec<Value> {
    let key = "resources/read file://resource/a.txt";
    let result = format!(r#"{{"contents":[{contents}]}}"#);
    let (reply, _) = seen(key, &result, &request(1, "resources/read", READ));
    reply.result()["contents"].as_array().unwrap().clone()
}

#[test]
fn a_schema_that_is_empty_absent_or_untyped_becomes_that_of_an_object() {
    for schema in [
        r#","inputSchema":{}"#,
        "",
        r#","inputSchema":null"#,
        r#","inputSchema":{"properties":null}"#,
        r#","inputSchema":{"type":"object","properties":null}"#,
    ] {
        // The good neighbour shows that nothing else is lost or changed.
        let items = format!(
            r#"{{"name":"bad"{schema}}},{{"name":"good","inputSchema":{{"type":"object","default":{{"n":1.0,"big":12345678901234567890}}}}}}"#
        );
        let (tools, reply) = listed("tools/list", &items);
        assert_eq!(tools.len(), 2, "{reply}");
        let repaired = &tools[0]["inputSchema"];
        assert_eq!(repaired["type"], "object", "{reply}");
        let properties = repaired.get("properties");
        assert!(properties.is_none_or(Value::is_object), "{reply}");
        assert!(reply.text.contains("1.0") && reply.text.contains("12345678901234567890"));
    }
}

#[test]
fn a_schema_without_a_type_keeps_all_else() {
    let schema =
        r#"{"properties":{"n":{"type":"number","default":1.0}},"required":["n"],"x":[1e2]}"#;
    let (tools, reply) = listed("tools/list", &format!(r#"{{"name":"a","inputSchema":{schema}}}"#));
    let mut expected: Value = serde_json::from_str(schema).unwrap();
    expected["type"] = json!("object");
    assert_eq!(tools[0]["inputSchema"], expected, "{reply}");
    assert!(reply.text.contains("1.0") && reply.text.contains("1e2"), "{reply}");
}

#[test]
fn members_that_are_null_and_may_not_be_go() {
    for (method, item) in [
        ("tools/list", r#""name":"a","inputSchema":{"type":"object"}"#),
        ("resources/list", r#""uri":"file://a","name":"a""#),
        ("prompts/list", r#""name":"a""#),
    ] {
        for member in ["description", "title", "annotations"] {
            let (items, reply) = listed(method, &format!(r#"{{"{member}":null,{item}}}"#));
            assert!(items[0].get(member).is_none(), "{reply}");
            assert_eq!(items[0]["name"], "a", "{reply}");
        }
    }
    // An empty one needs no repair.
    let (tools, reply) =
        listed("tools/list", r#"{"name":"a","description":"","inputSchema":{"type":"object"}}"#);
    assert_eq!(tools[0]["description"], "", "{reply}");
}

#[test]
fn content_of_an_unknown_type_becomes_text_and_the_log_names_the_tool() {
    let (content, log) = content_of(
        r#"{"type":"table","text":"Товар;Остаток"},{"type":"json","value":{"сумма":1.5}}"#,
    );
    assert_eq!(content[0], json!({ "type": "text", "text": "Товар;Остаток" }));
    assert_eq!(content[1]["type"], "text", "{content:?}");
    let said: Value = serde_json::from_str(content[1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({ "type": "json", "value": { "сумма": 1.5 } }));
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("get_stock"));
    assert!(warned.count() >= 1, "{log}");
}

#[test]
fn content_without_a_type_or_that_is_no_object_becomes_text() {
    let (content, _) = content_of(r#""просто текст",{"text":"без типа"},12,null"#);
    let texts: Vec<&str> = content.iter().map(|item| item["text"].as_str().unwrap()).collect();
    assert!(content.iter().all(|item| item["type"] == "text"), "{content:?}");
    assert_eq!(texts[..2], ["просто текст", "без типа"]);
}

#[test]
fn a_file_of_an_unknown_type_is_not_lost() {
    for member in ["blob", "data"] {
        let (content, log) = content_of(&format!(
            r#"{{"type":"file","{member}":"0J/RgNC4\r\n0LLQtdGC","mimeType":"application/pdf"}}"#
        ));
        let item = &content[0];
        match item["type"].as_str() {
            Some("resource") => {
                let resource = &item["resource"];
                assert_eq!(resource["blob"], "0J/RgNC40LLQtdGC", "{item}");
                assert_eq!(resource["mimeType"], "application/pdf", "{item}");
                assert!(resource["uri"].as_str().unwrap().contains(':'), "{item}");
            }
            Some("text") => assert!(item["text"].as_str().unwrap().contains("0J/RgNC4"), "{item}"),
            _ => panic!("{item}"),
        }
        assert!(log.contains("get_stock"), "{log}");
    }
}

#[test]
fn content_that_is_no_list_becomes_one() {
    let text = json!([{ "type": "text", "text": "Готово" }]);
    let (result, _) = called(r#"{"content":"Готово","isError":false}"#);
    assert_eq!(result["content"], text);
    let (result, _) = called(r#"{"content":{"type":"text","text":"Готово"},"isError":true}"#);
    assert_eq!(result["content"], text);
    assert_eq!(result["isError"], true);
    // A missing one is for the client to fill in.
    let (result, _) = called(r#"{"isError":false}"#);
    assert!(result.get("content").is_none_or(|content| *content == json!([])), "{result}");
}

#[test]
fn line_breaks_in_base64_go() {
    let (content, _) = content_of(concat!(
        r#"{"type":"image","data":"iVBORw0K\r\nGgoAAAAN\r\n","mimeType":"image/png"},"#,
        r#"{"type":"resource","resource":{"uri":"file://a.pdf","blob":"JVBERi0x\nLjQK"}}"#
    ));
    assert_eq!(content[0]["data"], "iVBORw0KGgoAAAAN");
    assert_eq!(content[0]["mimeType"], "image/png");
    assert_eq!(content[1]["resource"]["blob"], "JVBERi0xLjQK");
    let contents = read(r#"{"uri":"file://resource/a.txt","blob":"JVBERi0x\r\nLjQK"}"#);
    assert_eq!(contents[0]["blob"], "JVBERi0xLjQK");
}

#[test]
fn contents_of_a_resource_get_the_uri_that_was_asked_for() {
    let contents = read(
        r#"{"type":"text","text":"Первая\r\nстрока","mimeType":"text/plain"},{"uri":null,"blob":"QQ=="}"#,
    );
    assert_eq!(
        contents[0],
        json!({ "uri": "file://resource/a.txt", "text": "Первая\r\nстрока", "mimeType": "text/plain" })
    );
    assert_eq!(contents[1]["uri"], "file://resource/a.txt");
    assert_eq!(contents[1]["blob"], "QQ==");
    // With neither text nor blob, clients refuse the whole result.
    let contents = read(r#"{"uri":"file://resource/b.txt","mimeType":"text/plain"}"#);
    assert_eq!(contents[0]["uri"], "file://resource/b.txt");
    assert_eq!(contents[0]["text"], "");
}

#[test]
fn a_message_of_the_system_becomes_one_of_the_user() {
    let messages = r#"{"messages":[{"role":"system","content":{"type":"text","text":"Ты кладовщик"}},{"role":"assistant","content":{"type":"text","text":"Да"}}]}"#;
    let (reply, _) =
        seen("prompts/get letter", messages, &request(1, "prompts/get", r#"{"name":"letter"}"#));
    let messages = &reply.result()["messages"];
    assert_eq!(messages[0]["role"], "user", "{reply}");
    assert_eq!(messages[0]["content"]["text"], "[system] Ты кладовщик", "{reply}");
    assert_eq!(messages[1]["role"], "assistant", "{reply}");
    assert_eq!(messages[1]["content"]["text"], "Да", "{reply}");
}

#[test]
fn structured_content_that_is_no_object_goes_and_the_text_stays() {
    for structured in ["[1,2]", "\"текст\"", "null", "5"] {
        let (result, _) = called(&format!(
            r#"{{"structuredContent":{structured},"content":[{{"type":"text","text":"да"}}],"isError":false}}"#
        ));
        assert!(result.get("structuredContent").is_none(), "{result}");
        assert_eq!(result["content"][0]["text"], "да", "{result}");
        assert_eq!(result["isError"], false, "{result}");
    }
}

#[test]
fn an_error_that_is_no_error_becomes_one() {
    for (error, code) in [
        (r#"{"code":"E-7","message":"Нет прав"}"#, -32603),
        (r#"{"code":-32602}"#, -32602),
        (r#"{"code":-32603,"message":null}"#, -32603),
        (r#"{"message":"Нет прав"}"#, -32603),
    ] {
        let onec =
            Onec::publish(Generation::LenientKeys).error("tools/call get_stock", error).serve();
        let mut line = onec.line().ready();
        line.send(call(1, "get_stock", "{}"));
        let reply = line.recv_id("1");
        assert_eq!(reply.error_code(), code, "{reply}");
        assert!(!reply.error_text().is_empty(), "{reply}");
        assert_eq!(error.contains("Нет прав"), reply.error_text().contains("Нет прав"), "{reply}");
        line.finish_with_nothing_left();
    }
}

/// Spellings that parsing into a tree would change; nothing in them needs a repair.
#[test]
fn what_needs_no_repair_passes_byte_for_byte() {
    for (key, request, result) in [
        (
            "tools/call get_stock",
            call(1, "get_stock", "{}"),
            r#"{ "isError":false , "structuredContent" :{"z":1.0,"a":-0,"big":123456789012345678901234567890,"e":1E2},"content":[ { "text":"\u0410\/ \"{,}\" \r\n","type" : "text"},{"type":"image","mimeType":"image/png","data":"iVBORw0KGgo="} ],"_meta":{"x":null}}"#,
        ),
        (
            "tools/list",
            request(1, "tools/list", "{}"),
            r#"{ "tools":[ {"inputSchema":{"properties":{ "n":{"default":1.0}},"type":"object"}, "title":"Остатки","name":"get_stock","description":"\u0410"}],"next":0.10}"#,
        ),
        (
            "resources/read file://resource/a.txt",
            request(1, "resources/read", READ),
            r#"{ "contents":[{"text":"\u0410 б", "type":"text","uri":"file:\/\/other","n":1.0},{"blob":"QQ==","uri":"x:y"}]}"#,
        ),
        (
            "resources/list",
            request(1, "resources/list", "{}"),
            r#"{"resources" : [{"size":1.0,"name":"Имя по-русски","uri":"file://a"}] }"#,
        ),
        (
            "prompts/list",
            request(1, "prompts/list", "{}"),
            r#"{"prompts":[ {"name":"letter","arguments":[],"n":1.0}]}"#,
        ),
        (
            "prompts/get letter",
            request(1, "prompts/get", r#"{"name":"letter"}"#),
            r#"{"messages":[{"content":{"text":"system","type":"text"}, "role":"user"}],"n":1.0}"#,
        ),
    ] {
        for generation in [Generation::NoHandshake, Generation::LenientKeys, Generation::Foreign] {
            // What our own handshake keeps passes untouched too.
            let onec = Onec::publish(generation).spelled(key, result).serve();
            let mut line = onec.line().ready();
            line.send(&request);
            assert_eq!(line.recv_id("1").raw_result(), result, "{generation:?}");
            line.finish_with_nothing_left();
        }
    }
}

#[test]
fn of_what_is_between_the_tokens_only_line_breaks_go() {
    let spelled = "{\r\n\"content\": [\r\n{\r\n\"type\": \"text\",\r\n\"text\": \"а\\r\\nб\"\r\n}\r\n],\n \"n\": 1.0\r\n}";
    let onec =
        Onec::publish(Generation::LenientKeys).spelled("tools/call get_stock", spelled).serve();
    let mut line = onec.line().ready();
    line.send(call(1, "get_stock", "{}"));
    let expected = r#"{"content": [{"type": "text","text": "а\r\nб"}], "n": 1.0}"#;
    assert_eq!(line.recv_id("1").raw_result(), expected);
    line.finish_with_nothing_left();
}

#[test]
fn a_message_without_a_role_becomes_one_of_the_user_and_keeps_its_text() {
    let messages = r#"{"messages":[{"content":{"type":"text","text":"Составь письмо"}},{"role":null,"content":{"type":"text","text":"Да"}}]}"#;
    let (reply, _) =
        seen("prompts/get letter", messages, &request(1, "prompts/get", r#"{"name":"letter"}"#));
    for (message, text) in
        reply.result()["messages"].as_array().unwrap().iter().zip(["Составь письмо", "Да"])
    {
        assert_eq!(message["role"], "user", "{reply}");
        assert_eq!(message["content"]["text"], text, "{reply}");
    }
}

#[test]
fn an_error_whose_text_is_elsewhere_or_no_text_has_one() {
    for (error, said) in [
        (r#"{"code":-32603,"data":"Нет прав на \"Склад\""}"#, r#"Нет прав на "Склад""#),
        (r#"{"code":-32603,"data":"\u041dет прав"}"#, "Нет прав"),
        (r#"{"code":-32603,"message":{"text":"Нет прав"}}"#, r#"{"text":"Нет прав"}"#),
        (r#"{"code":-32603,"message":500}"#, "500"),
    ] {
        let onec =
            Onec::publish(Generation::LenientKeys).error("tools/call get_stock", error).serve();
        let mut line = onec.line().ready();
        line.send(call(1, "get_stock", "{}"));
        let reply = line.recv_id("1");
        assert_eq!(reply.error_text(), said, "{reply}");
        line.finish_with_nothing_left();
    }
}

/// Services put their JSON together by hand, in the charset of their system.
#[test]
fn answers_that_are_not_json_in_utf_8_are_read() {
    let answer = |text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
        )
    };
    let text = answer("Остатки на складе");
    let in_1251 = WINDOWS_1251.encode(&text).0.into_owned();
    let in_utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [b"\xff\xfe".as_slice(), &in_utf_16].concat();
    let with_breaks = answer("Остатки\r\n\tна складе\u{1}").into_bytes();
    let with_nul = [text.as_bytes(), b"\0\0"].concat();
    let json = |charset: &str, body: &[u8]| {
        Reply::status(200).body(&format!("application/json{charset}"), body)
    };
    let event = [b"data: ".as_slice(), &in_1251, b"\n\n"].concat();
    let plain = "Остатки на складе";
    let rows = [
        (json("; charset=windows-1251", &in_1251), plain),
        (json("; charset=utf-8", &in_1251), plain),
        (json("", &in_1251), plain),
        (json("; charset=utf-16", &in_utf_16), plain),
        (json("", &in_utf_16), plain),
        (json("; charset=utf-8", &with_mark), plain),
        (json("", &with_breaks), "Остатки\r\n\tна складе\u{1}"),
        (json("", &with_nul), plain),
        (Reply::status(200).body("text/event-stream", event), plain),
    ];
    for (reply, expected) in rows {
        let onec = Onec::publish(Generation::LenientKeys)
            .reply("tools/call get_stock", reply.clone())
            .serve();
        let mut line = onec.line().ready();
        line.send(call(1, "get_stock", "{}"));
        let result = line.recv_id("1").result().clone();
        assert_eq!(result["content"][0]["text"], expected, "{:?}", reply.to_bytes());
        line.finish_with_nothing_left();
        assert_eq!(onec.executions("get_stock"), 1);
    }
}

/// A client of an old revision would leave a service that states a newer one.
#[test]
fn a_client_of_an_older_revision_is_answered_in_its_own() {
    for (asked, stated, told) in [
        ("2024-11-05", "2025-11-25", "2024-11-05"),
        ("2025-03-26", "2025-06-18", "2025-03-26"),
        ("2025-11-25", "2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05", "2024-11-05"),
    ] {
        let result = format!(
            r#"{{"protocolVersion":"{stated}","capabilities":{{}},"serverInfo":{{"name":"n","version":"1"}}}}"#
        );
        let onec = Onec::publish(Generation::Foreign).spelled("initialize", &result).serve();
        let mut line = onec.line().spawn();
        line.send(INITIALIZE.replace("2025-11-25", asked));
        let answer = line.recv_id(r#""init""#);
        assert_eq!(answer.result()["protocolVersion"], told, "{asked} {stated}");
        line.send(call(1, "get_stock", "{}"));
        line.recv_id("1").result();
        line.finish_with_nothing_left();
        // To the service it is the one that the service stated.
        let sent = onec.nth("tools/call", 1);
        assert_eq!(sent.header("mcp-protocol-version"), Some(stated));
    }
}
