//! `mcpline tools` and `mcpline call`: one request from a shell, and what its status tells.

use serde_json::{Value, json};

use crate::support::{Exchange, Line, Output, Setup, Upstream, after_handshake};

/// A server with the tool `set_price`, which answers what `call` says.
fn shop(called: &'static str) -> Upstream {
    Upstream::serve(after_handshake(move |exchange| match exchange.name().as_str() {
        "tools/list" => exchange.result(
            r#"{"tools":[{"name":"set_price","title":"Цена","inputSchema":{"type":"object",
            "properties":{"article":{"type":"string"},"price":{"type":"number"}},
            "required":["article"]}}]}"#,
        ),
        _ => exchange.result(called),
    }))
}

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

#[test]
fn the_demo_is_listed_and_called() {
    let Output { status, stdout, stderr } = Line::run("tools demo").output("");
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(stderr, "");
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    let names: Vec<_> =
        listed["tools"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&json!("get_stock")), "{names:?}");

    let shown = Line::run("tools demo --text").output("");
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    for part in
        ["get_stock  Остатки", "(only reads)", "query", "string", "lines*", "array of object"]
    {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }

    let called = Line::run("call demo get_stock query=SH-025").output("");
    assert_eq!((called.status, called.stderr.as_str()), (0, ""));
    let result: Value = serde_json::from_str(&called.stdout).unwrap();
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("SH-025"), "{text}");
    let shown = Line::run("call demo get_stock query=SH-025 --text").output("");
    assert_eq!(shown.stdout.trim_end(), text.trim_end());
}

#[test]
fn arguments_are_typed_by_the_schema_and_read_from_everywhere() {
    let json = r#"{"article": "1", "price": 5.50}"#;
    let rows: [(&[&str], &str, Value); 5] = [
        (&["article=1", "prise:=5"], "", json!({"article": "1", "prise": 5})),
        (&["article=1", "price=5.50"], "", json!({"article": "1", "price": 5.5})),
        (&[json], "", json!({"article": "1", "price": 5.5})),
        (&["-"], json, json!({"article": "1", "price": 5.5})),
        (&["article:=7"], "", json!({"article": 7})),
    ];
    for (words, input, sent) in rows {
        let upstream = shop(DONE);
        // By its title, as well.
        let tool = if words.len() == 1 { "set_price" } else { "Цена" };
        let setup = Line::run("call").arg(upstream.url()).arg(tool);
        let output = words.iter().fold(setup, Setup::arg).output(input);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{words:?}");
        assert_eq!(output.stdout.trim_end(), DONE);
        let calls = upstream.requests();
        let call =
            calls.iter().find(|call| call.name() == "tools/call" || call.name() == "set_price");
        let body: Value = serde_json::from_slice(&call.unwrap().body).unwrap();
        assert_eq!(body["params"], json!({"name": "set_price", "arguments": sent}), "{words:?}");
    }
}

#[test]
fn arguments_that_cannot_be_used_are_told_with_status_2() {
    let upstream = shop(DONE);
    let url = upstream.url();
    let rows: [(&[&str], &str); 9] = [
        (&[&url, "set_price", "artikle=1"], "did you mean `article`?"),
        (&[&url, "set_price", "article=1", "price=five"], "is a number, not `five`"),
        (&[&url, "set_price", "price=5"], "needs `article`"),
        (&[&url, "set_prise", "article=1"], "did you mean `set_price`?"),
        (&[&url, "set_price", "article"], "KEY=VALUE"),
        (&[&url, "set_price", "[1]"], "KEY=VALUE"),
        (&[&url, "set_price", "{article:1}"], "taken the quotes"),
        (&[&url], "no tool given"),
        (&["srv/mcp", "set_price"], "https:// or http:// in front is missing"),
    ];
    for (words, told) in rows {
        let setup = Line::run("call");
        let output = words.iter().fold(setup, Setup::arg).output("");
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{words:?}");
        assert!(output.stderr.contains(told), "{words:?}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
    assert_eq!(upstream.count("tools/call"), 0);
}

#[test]
fn a_call_that_failed_ends_with_status_1() {
    let failed =
        r#"{"content":[{"type":"text","text":"no such article\u001b[31m"}],"isError":true}"#;
    let upstream = shop(failed);
    let run = |form: &str| {
        Line::run("call").arg(upstream.url()).args("set_price article=1").args(form).output("")
    };
    let output = run("--text");
    assert_eq!((output.status, output.stdout.as_str()), (1, ""));
    let told = "mcpline: the tool set_price failed: no such article[31m\n";
    assert_eq!(output.stderr, told);
    let output = run("--json");
    assert_eq!((output.status, output.stdout.trim_end()), (1, failed));
    assert_eq!(output.stderr, told);
}

#[test]
fn an_error_is_json_on_stdout_and_a_sentence_on_stderr() {
    let upstream = Upstream::serve(after_handshake(|exchange| match exchange.name().as_str() {
        "tools/list" => {
            exchange.result(r#"{"tools":[{"name":"pay","inputSchema":{"type":"object"}}]}"#)
        }
        // It may have run.
        _ => exchange.close(),
    }));
    let output = Line::run("call").arg(upstream.url()).arg("pay").output("");
    assert_eq!(output.status, 1, "{}", output.stderr);
    assert!(output.stderr.contains("check before you repeat it"), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    let error: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(error["error"]["data"]["mayHaveRun"], true, "{error}");
    assert_eq!(upstream.count("tools/call"), 1, "a call that may have run is not repeated");

    let absent = Upstream::absent(|exchange: &mut Exchange<'_>| exchange.close());
    let output =
        Line::run("tools").arg(absent.url()).args("--start-timeout 0 --no-retry").output("");
    assert_eq!(output.status, 1);
    assert!(output.stderr.contains("connection refused"), "{}", output.stderr);
    let error: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(error["error"]["code"], -33001);
}

#[test]
fn the_url_may_stand_in_the_environment() {
    let upstream = shop(DONE);
    let run = |args: &str| Line::run(args).env("MCPLINE_URL", &upstream.url()).output("");
    let output = run("tools");
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    let output = run("call set_price article=1 --text");
    assert_eq!((output.status, output.stdout.as_str()), (0, "done\n"), "{}", output.stderr);
    let output = Line::run("tools").output("");
    assert_eq!(output.status, 2);
    assert!(output.stderr.contains("no URL given"), "{}", output.stderr);
}

#[test]
fn every_page_of_the_list_is_read() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        match exchange.rpc().value["params"]["cursor"].as_str() {
            None => exchange.result(r#"{"tools":[{"name":"a"}],"nextCursor":"2"}"#),
            Some("2") => exchange.result(r#"{"tools":[{"name":"b"}],"nextCursor":"3"}"#),
            // For ever.
            _ => exchange.result(r#"{"tools":[{"name":"c"}],"nextCursor":"3"}"#),
        }
    }));
    let output = Line::run("tools").arg(upstream.url()).output("");
    assert_eq!(output.stdout, "{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]}\n");
}
