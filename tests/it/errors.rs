//! For every fault of the upstream the client gets one clear error, and the next request
//! works.

use crate::support::{
    Answered, Exchange, Line, Message, Reply, Upstream, after_handshake, call, request,
};

/// Answers a call like this, and checks what every fault has in common: one reply, the call sent
/// once, and a line that goes on.
fn reply_to_fault(
    options: &str,
    answer: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> Message {
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        if exchange.rpc().is_request() { answer(exchange) } else { exchange.accepted() }
    }));
    let mut line = Line::to(&upstream.url()).args(options).ready();
    line.send(call(1, "any", "{}"));
    let reply = line.recv();
    assert_eq!(reply.id(), "1", "{reply}");
    let data = &reply.error()["data"];
    if data["source"] == "mcpline" {
        let url = data["url"].as_str().unwrap_or_default();
        assert!(url.contains(&upstream.authority()), "{reply}");
    }
    line.expect_nothing();
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 1, "a call was sent again");
    reply
}

fn fault(
    code: i64,
    answer: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> Message {
    let reply = reply_to_fault("", answer);
    reply.failure(code);
    reply
}

fn fault_by(code: i64, reply: Reply) -> Message {
    fault(code, move |exchange| exchange.send(&reply))
}

fn may_have_run(answer: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static) {
    let reply = fault(-33002, answer);
    assert_eq!(reply.error()["data"]["mayHaveRun"], true, "{reply}");
}

#[test]
fn a_refused_connection_is_an_error_that_says_that_nothing_was_sent() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
    let mut line = Line::to(&upstream.url()).args("--retry-for 0.3").ready();
    line.send(request(1, "ping", "{}"));
    line.recv_id("1");
    upstream.stop();
    line.send(call(2, "any", "{}"));
    let reply = line.recv();
    assert_eq!(reply.id(), "2");
    let data = reply.failure(-33001);
    assert_ne!(data["mayHaveRun"], true, "{reply}");
    upstream.start();
    line.send(call(3, "any", "{}"));
    assert_eq!(line.recv_id("3").raw_result(), "{}");
    line.finish();
}

#[test]
fn a_refused_connection_is_tried_again_within_the_time_of_the_request() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "ping", "{}"));
    line.recv_id("1");
    upstream.stop();
    line.send(call(2, "any", "{}"));
    upstream.start();
    assert_eq!(line.recv_id("2").raw_result(), "{}");
    line.finish();
}

#[test]
fn a_host_that_does_not_exist_is_an_error_that_names_it() {
    let mut line = Line::to("http://no-such-host.invalid/mcp")
        .args("--start-timeout 0.2 --retry-for 0.3")
        .spawn();
    line.handshake();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    reply.failure(-33001);
    assert!(reply.error_text().contains("no-such-host.invalid"), "{reply}");
}

#[test]
fn a_connection_that_breaks_before_the_answer_may_have_run() {
    may_have_run(|exchange| exchange.raw_and_close(""));
    may_have_run(|exchange| exchange.raw_and_reset(""));
    may_have_run(|exchange| exchange.raw_and_close("HTTP/1.1 200 OK\r\nContent-Ty"));
}

#[test]
fn a_connection_that_breaks_within_the_answer_may_have_run() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    may_have_run(|exchange| exchange.raw_and_close(HEAD));
    may_have_run(|exchange| exchange.raw_and_reset(HEAD));
    may_have_run(|exchange| {
        exchange.raw_and_close(format!(r#"{HEAD}{{"jsonrpc":"2.0","id":1,"result":{{}}}}"#))
    });
    may_have_run(|exchange| {
        exchange.raw_and_close(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n5\r\n{\"jso\r\n",
        )
    });
}

#[test]
fn an_answer_that_is_not_http_is_an_error() {
    let reply = reply_to_fault("", |exchange| exchange.raw_and_close("SSH-2.0-OpenSSH\r\n\r\n"));
    assert!([-33002, -33004].contains(&reply.error_code()), "{reply}");
}

#[test]
fn an_answer_without_a_message_is_unusable() {
    for reply in [
        Reply::status(200),
        Reply::status(202),
        Reply::status(204),
        Reply::json(""),
        Reply::json("\u{feff}"),
        Reply::json("null"),
        Reply::json("[]"),
        Reply::json("{}"),
        Reply::json(r#"{"ok":true}"#),
        Reply::json(r#"{"jsonrpc":"2.0","id":1}"#),
        Reply::json("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"text\":\"\u{1}\"}}"),
        Reply::json(r#"{"jsonrpc":"2.0","id":1,"resu"#),
        Reply::json(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":\"\xcf\xf0\"}}".as_slice()),
        Reply::status(200).body("text/event-stream", "data: not json\n\n"),
    ] {
        fault_by(-33004, reply);
    }
}

#[test]
fn an_answer_with_the_id_of_another_request_is_unusable() {
    let body = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
    fault_by(-33004, Reply::json(body));
}

#[test]
fn an_unknown_content_type_is_unusable_and_named() {
    let reply = fault_by(-33004, Reply::status(200).body("application/xml", "<result/>"));
    assert!(reply.error_text().contains("application/xml"), "{reply}");
}

#[test]
fn a_web_page_instead_of_an_answer_is_told_in_a_few_words() {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>Sign in please</title><style>{}</style></head>\
         <body>\n<h1>Welcome</h1>\n</body></html>",
        "p { margin: 0 }\n".repeat(1000)
    );
    let reply = fault_by(-33004, Reply::status(200).body("text/html; charset=utf-8", page));
    let text = reply.error_text();
    assert!(!text.contains("<html"), "{reply}");
    assert!(text.len() < 1000, "{} bytes: {reply}", text.len());
}

#[test]
fn a_status_of_refusal_is_named() {
    for (status, code) in [
        (400, -33003),
        (401, -33005),
        (403, -33005),
        (404, -33003),
        (405, -33003),
        (409, -33003),
        (413, -33003),
        (500, -33003),
        (501, -33003),
        (502, -33003),
        (504, -33003),
    ] {
        let said = Reply::status(status).body("text/plain", "The stock is closed");
        let reply = fault_by(code, said);
        assert_eq!(reply.error()["data"]["httpStatus"], status, "{reply}");
        let text = reply.error_text();
        assert!(text.contains(&status.to_string()), "{reply}");
        assert!(text.contains("The stock is closed"), "{reply}");
    }
}

#[test]
fn a_gateways_error_page_is_shortened_to_what_it_says() {
    let reply = fault_by(
        -33003,
        Reply::status(502).body(
            "text/html",
            "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
             <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n\
             </body>\r\n</html>\r\n",
        ),
    );
    let text = reply.error_text();
    assert!(text.contains("502"), "{reply}");
    assert!(!text.contains('<'), "{reply}");
}

#[test]
fn an_error_page_in_windows_1251_is_decoded() {
    // «Ошибка сервера: нет лицензии»
    const SAID: &[u8] = b"\xce\xf8\xe8\xe1\xea\xe0 \xf1\xe5\xf0\xe2\xe5\xf0\xe0: \
        \xed\xe5\xf2 \xeb\xe8\xf6\xe5\xed\xe7\xe8\xe8";
    let page = [b"<html><body><h1>", SAID, b"</h1></body></html>"].concat();
    let reply = fault_by(-33003, Reply::status(500).body("text/html; charset=windows-1251", page));
    assert!(reply.error_text().contains("Ошибка сервера: нет лицензии"), "{reply}");
}

#[test]
fn an_error_without_an_id_in_answer_to_a_request_gets_the_id_of_the_request() {
    let error = r#"{"message":"Ключ не найден","code":-32600,"data":{"n":1.0}}"#;
    for status in [200, 400, 500] {
        for member in [r#""id":null,"#, ""] {
            let body = format!(r#"{{"jsonrpc":"2.0",{member}"error":{error}}}"#);
            let reply = Reply::status(status).body("application/json", body);
            let reply = reply_to_fault("", move |exchange| exchange.send(&reply));
            assert_eq!(reply.raw("error"), Some(error), "{status}: {reply}");
        }
    }
}

#[test]
fn an_error_of_the_upstream_in_a_refusal_is_passed_as_it_is() {
    let error = r#"{"code":-32602,"message":"Нет такого","data":[1.0, 2]}"#;
    for status in [400, 404, 422, 500] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        let reply = Reply::status(status).body("application/json; charset=utf-8", body);
        let reply = reply_to_fault("", move |exchange| exchange.send(&reply));
        assert_eq!(reply.raw("error"), Some(error), "{status}: {reply}");
    }
}

/// Answers calls at the configured path with this redirect, at `/moved` with a result.
fn redirect(status: u16, target: &'static str) -> impl Fn(&mut Exchange<'_>) -> Answered {
    move |exchange| {
        if exchange.request.path == "/moved" {
            return exchange.result(r#"{"moved":true}"#);
        }
        exchange.send(&Reply::status(status).header("Location", target))
    }
}

#[test]
fn a_redirect_within_the_origin_is_followed_with_method_and_body() {
    for status in [307, 308] {
        let upstream = Upstream::serve(after_handshake(redirect(status, "/moved")));
        let mut line = Line::to(&upstream.url()).args("--header X-Token:abc").ready();
        line.send(call(1, "any", r#"{"n":1.0}"#));
        assert_eq!(line.recv().raw_result(), r#"{"moved":true}"#);
        line.finish_with_nothing_left();
        let requests = upstream.requests();
        let calls: Vec<_> =
            requests.iter().filter(|request| request.name() == "tools/call").collect();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].body, calls[1].body);
        assert_eq!(calls[1].path, "/moved");
        assert_eq!(calls[1].header("x-token"), Some("abc"));
    }
}

#[test]
fn a_redirect_that_would_drop_the_body_is_an_error_that_names_its_target() {
    for status in [301, 302, 303] {
        let reply = fault(-33003, redirect(status, "/moved"));
        assert!(reply.error_text().contains("/moved"), "{reply}");
        assert_eq!(reply.error()["data"]["httpStatus"], status);
    }
}

#[test]
fn a_redirect_to_another_origin_is_an_error_that_names_it_and_nothing_goes_there() {
    for status in [302, 307, 308] {
        let elsewhere = Upstream::serve(|exchange| exchange.status(500));
        let target = elsewhere.url_of("/moved");
        let location = target.clone();
        let reply = fault(-33003, move |exchange| {
            exchange.send(&Reply::status(status).header("Location", location.clone()))
        });
        assert!(reply.error_text().contains(&target), "{reply}");
        assert!(elsewhere.requests().is_empty());
    }
}

#[test]
fn a_redirect_in_a_circle_is_an_error() {
    let upstream = Upstream::serve(after_handshake(redirect(307, "/mcp")));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    line.recv_id("1").failure(-33003);
    line.finish_with_nothing_left();
}

#[test]
fn an_answer_over_the_limit_is_refused_with_its_limit_named() {
    let result = format!(r#"{{"pad":"{}"}}"#, "x".repeat(1024 * 1024));
    let whole = result.clone();
    let in_one_body =
        reply_to_fault("--max-message 64KiB", move |exchange| exchange.result(&whole));
    let in_one_event = reply_to_fault("--max-message 64KiB", move |exchange| {
        let text = exchange.result_text(&result);
        let mut events = exchange.events()?;
        for part in text.as_bytes().chunks(10_000) {
            events.raw(if part.starts_with(b"{") { b"data: ".as_slice() } else { b"" })?;
            events.raw(part)?;
        }
        events.raw("\n\n")?;
        events.end()
    });
    for reply in [in_one_body, in_one_event] {
        reply.failure(-33009);
        let text = reply.error_text();
        let named = ["64 KiB", "64KiB", "65536", "65,536"];
        assert!(named.iter().any(|limit| text.contains(limit)), "{reply}");
    }
}

#[test]
fn many_messages_below_the_limit_may_make_a_long_stream() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let text = exchange.result_text("{}");
        let mut events = exchange.events()?;
        for _ in 0..20 {
            let pad = "x".repeat(40 * 1024);
            events.message(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":"{pad}"}}"#
            ))?;
        }
        events.message(text)?;
        events.end()
    }));
    let mut line = Line::to(&upstream.url()).args("--max-message 64KiB").ready();
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    assert_eq!(line.finish().len(), 20);
}

#[test]
fn an_upstream_that_hangs_is_told_and_the_request_gets_an_error() {
    for option in ["--timeout", "--max-time"] {
        let upstream = Upstream::serve(after_handshake(|exchange| {
            if exchange.rpc().is_notification() {
                return exchange.accepted();
            }
            exchange.pass("for ever")?;
            exchange.close()
        }));
        let mut line = Line::to(&upstream.url()).args(&format!("{option} 0.5")).ready();
        line.send(call(r#""x""#, "any", "{}"));
        let reply = line.recv();
        assert_eq!(reply.id(), r#""x""#);
        reply.failure(-33006);
        let told = upstream.message("notifications/cancelled");
        assert_eq!(told.value["params"]["requestId"], "x");
        line.expect_nothing();
        line.finish_with_nothing_left();
    }
}

#[test]
fn an_answer_that_stops_in_the_middle_is_timed_out_too() {
    let reply = reply_to_fault("--timeout 0.5", |exchange| {
        let life = exchange.life();
        let mut events = exchange.events()?;
        events.raw("data: {\"jsonrpc\":")?;
        life.pass("for ever")?;
        events.cut()
    });
    reply.failure(-33006);
}

#[test]
fn credentials_in_the_url_are_used_and_never_shown() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.status(401)));
    let url = format!("http://user:pa55word@{}/mcp", upstream.authority());
    let mut line = Line::to(&url).ready();
    line.send(call(1, "any", "{}"));
    let reply = line.recv();
    reply.failure(-33005);
    assert!(!reply.text.contains("pa55word"), "{reply}");
    line.finish_with_nothing_left();
    // The Base64 of `user:pa55word`.
    let call = upstream.nth("tools/call", 1);
    let sent = call.header("authorization");
    assert_eq!(sent, Some("Basic dXNlcjpwYTU1d29yZA=="));
}

#[test]
fn an_answer_with_the_id_in_other_letters_is_the_answer() {
    let ids = [r#""1""#, "1.0", " 1 "];
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        let rpc = exchange.rpc();
        let at = usize::try_from(rpc.value["params"]["arguments"]["at"].as_u64().unwrap()).unwrap();
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"at":{at}}}}}"#, ids[at]);
        exchange.send(&Reply::json(body))
    }));
    let mut line = Line::ready(&upstream.url());
    for at in 0..ids.len() {
        line.send(call(1, "any", &format!(r#"{{"at":{at}}}"#)));
        assert_eq!(line.recv_id("1").raw_result(), format!(r#"{{"at":{at}}}"#));
    }
    line.finish_with_nothing_left();
}

#[test]
fn an_upstream_that_asks_to_wait_for_ever_is_not_waited_for() {
    let reply = reply_to_fault("", |exchange| {
        exchange.send(&Reply::status(503).header("Retry-After", u64::MAX.to_string()))
    });
    assert_eq!(reply.failure(-33003)["httpStatus"], 503);
}

#[test]
fn the_reason_outlasts_the_time_that_a_request_may_take() {
    // Its time ends while it waits for the next attempt, however slow the machine is.
    let upstream = Upstream::serve(after_handshake(|exchange| {
        exchange.send(&Reply::status(503).header("Retry-After", "10"))
    }));
    let mut line = Line::to(&upstream.url()).args("--max-time 0.5").ready();
    line.send(call(1, "any", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.error()["data"].get("mayHaveRun").is_none(), "{reply}");
    assert!(reply.error_text().contains("503"), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn what_the_upstream_says_is_shortened() {
    for said in ["x".repeat(300_000), "<b>x</b>\n".repeat(60_000), "щ ".repeat(200_000)] {
        let text = format!("\"{}\"", said.replace('\n', "\\n"));
        let page = format!("<html>{said}</html>");
        for (code, reply) in [
            (-33004, Reply::json(text)),
            (-33004, Reply::status(200).body("text/html", page.clone())),
            (-33003, Reply::status(500).body("text/html", page.clone())),
            (-33003, Reply::status(500).body("text/plain", said.clone())),
        ] {
            let reply = fault_by(code, reply);
            assert!(reply.text.len() < 5000, "{} bytes", reply.text.len());
        }
    }
}
