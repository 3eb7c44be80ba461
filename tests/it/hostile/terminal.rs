//! What an upstream says can move no terminal, forge no line of the log, and make no second line on
//! stdout; nor can a body that is packed.

use std::fs;

use super::{Acted, Ambiguous, Class, Good, Happens, REQUESTS, fault, filled, is_good, table};
use crate::support::{Line, Reply, Upstream, after_handshake, call, handshake, request};

/// What terminals act on: colours, titles, the clipboard, the bell, the cursor, and C1 controls.
const NASTY: &str = "a\u{1b}[31mb\u{1b}]0;title\u{7}c\u{1b}]52;c;eA==\u{1b}\\d\u{9b}2Je\u{8}\rf\u{7f}g\
                     \u{85}h\u{0}i";

fn is_tame(what: &str, text: &str) {
    let found = text.chars().find(|letter| letter.is_control() && *letter != '\n');
    let at = found.and_then(|letter| text.find(letter)).unwrap_or(0);
    let around: String = text[..at].chars().rev().take(80).collect();
    assert_eq!(found, None, "{what}, after {:?}", around.chars().rev().collect::<String>());
}

#[test]
fn no_control_character_reaches_an_error_or_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mcpline.log");
    let upstream = Upstream::serve(|exchange| {
        let forged = format!("{NASTY}\n2026-01-01T00:00:00Z ERROR forged line");
        let json = serde_json::to_string(&forged).unwrap();
        let text = |status| Reply::status(status).body("text/plain", forged.clone());
        match exchange.name().as_str() {
            "GET" => exchange.status(405),
            "initialize" => {
                let result = exchange.result_text(&format!(
                    r#"{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":{json},"version":{json}}}}}"#
                ));
                exchange.json(result)
            }
            "notifications/initialized" => handshake(exchange, None),
            "body" => exchange.send(&text(500)),
            "page" => exchange.send(&Reply::status(500).body("text/html", format!("<p>{forged}"))),
            "json" => {
                let body = format!(r#"{{"message":{json}}}"#);
                exchange.send(&Reply::status(400).body("application/json", body))
            }
            "retried" => exchange.send(&text(503)),
            "unusable" => exchange.json(forged.clone()),
            "event" => {
                let mut events = exchange.events()?;
                events.raw(format!("event: {}\ndata: x\n\n", NASTY.replace('\r', "")))?;
                events.raw(format!("data: {}\n\n", NASTY.replace('\r', "")))?;
                events.end()
            }
            "id" => exchange.json(format!(r#"{{"jsonrpc":"2.0","id":{json},"result":{{}}}}"#)),
            "type" => exchange.raw_and_close(
                "HTTP/1.1 200 OK\r\nContent-Type: a\u{85}\u{9b}2J/b\tc\r\nContent-Length: 1\r\n\r\nx",
            ),
            "tab" => exchange.send(&Reply::status(200).body("a/b\tforged", "x")),
            "location" => exchange.raw_and_close(
                "HTTP/1.1 302 No\r\nLocation: /\u{9b}2J\t?x\r\nContent-Length: 0\r\n\r\n",
            ),
            "challenge" => exchange.raw_and_close(
                "HTTP/1.1 401 No\r\nWWW-Authenticate: \u{9b}2J\tx\r\nContent-Length: 0\r\n\r\n",
            ),
            "encoding" => exchange.raw_and_close(
                "HTTP/1.1 200 OK\r\nContent-Encoding: \u{9b}2J\tx\r\nContent-Length: 1\r\n\r\nx",
            ),
            "notified" => {
                let result = exchange.result_text("{}");
                let mut events = exchange.events()?;
                events.message(format!(r#"{{"jsonrpc":"2.0","method":{json}}}"#))?;
                events.message(result)?;
                events.end()
            }
            _ => exchange.result("{}"),
        }
    });
    let mut line = Line::to(&upstream.url())
        .args("--log-level trace --retry-for 0.3")
        .arg("--log-file")
        .arg(&log)
        .ready();
    for way in [
        "body",
        "page",
        "json",
        "retried",
        "unusable",
        "event",
        "id",
        "type",
        "tab",
        "location",
        "challenge",
        "encoding",
    ] {
        line.send(request(format!("{way:?}"), way, "{}"));
        let reply = line.recv_id(&format!("{way:?}"));
        reply.failure(reply.error_code());
        is_tame(way, reply.error_text());
        is_tame(way, reply.error()["data"]["hint"].as_str().unwrap_or_default());
        is_tame(way, &reply.text);
    }
    line.send(request(r#""notified""#, "notified", "{}"));
    line.recv_id(r#""notified""#);
    line.close_stdin();
    let stderr = line.wait().stderr;
    is_tame("stderr", &stderr);
    let mut logged = stderr;
    let text = fs::read_to_string(&log).unwrap();
    is_tame("the log file", &text);
    logged += &text;
    let forged = logged.lines().find(|line| line.starts_with("2026-01-01"));
    assert_eq!(forged, None, "a line of the log is forged");
}

/// Some readers would see two lines in each of these, if it were passed on raw between the tokens or
/// split within a text.
#[test]
fn nothing_makes_a_second_line_on_stdout() {
    let said = |name: &str, class: Class, template: &'static str| {
        fault(name, class, move |exchange| {
            let text = filled(exchange, template);
            exchange.json(text)
        })
    };
    let faults = vec![
        said(
            "line breaks between tokens",
            Good,
            "\n{\r\n\"jsonrpc\":\r\"2.0\",\n\n\"id\":ID,\r\"result\":\n{\"done\":\r\n1.0}\n}\r",
        ),
        said(
            "line breaks in texts",
            Good,
            r#"{"jsonrpc":"2.0","id":ID,"x":"a\nb\r\nc\u0000\u2028","result":{"done":1.0}}"#,
        ),
        said(
            "separators of Unicode",
            Good,
            "{\"jsonrpc\":\"2.0\",\"id\":ID,\"x\":\"\u{2028}\u{2029}\u{85}\",\"result\":{\"done\":1.0}}",
        ),
        said("escaped names", Good, r#"{"jsonrpc":"2.0","id":ID,"\n":"\n","result":{"done":1.0}}"#),
        said(
            "a raw line break in a text",
            Acted(-33004),
            "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"a\nb\"}",
        ),
        said(
            "a raw zero in a text",
            Acted(-33004),
            "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"a\u{0}b\"}",
        ),
        said(
            "a zero between tokens",
            Acted(-33004),
            "{\"jsonrpc\":\"2.0\",\u{0}\"id\":ID,\"result\":{}}",
        ),
        said(
            "a form feed between tokens",
            Acted(-33004),
            "{\"jsonrpc\":\"2.0\",\u{c}\"id\":ID,\"result\":{}}",
        ),
        said(
            "a line separator between tokens",
            Acted(-33004),
            "{\"jsonrpc\":\"2.0\",\u{2028}\"id\":ID,\"result\":{}}",
        ),
        said("a second message", Acted(-33004), "ANSWER\n{\"jsonrpc\":\"2.0\",\"method\":\"x\"}"),
        fault("line breaks in an event", Good, |exchange| {
            let text = filled(
                exchange,
                "{\ndata: \"jsonrpc\":\"2.0\",\rdata:\"id\":ID,\r\ndata\ndata: \"result\":{\"done\":1.0}}",
            );
            let mut events = exchange.events()?;
            events.raw(format!("data: {text}\n\n"))?;
            events.end()
        }),
        fault("an error with line breaks", super::Theirs(7), |exchange| {
            let text = filled(
                exchange,
                "{\"jsonrpc\":\"2.0\",\"id\":ID,\r\n\"error\":{\"code\":7,\n\"message\":\"a\\nb\\u001b[31m\u{2028}\"}}",
            );
            exchange.send(&Reply::status(500).body("application/json", text))
        }),
    ];
    table("", Happens::Always, faults).prove();
}

/// The bodies are `{"jsonrpc":"2.0","id":"packed","result":{"done":1.0}}`, packed.
#[test]
fn a_packed_body_is_read_where_that_was_asked_for_and_named_where_it_was_not() {
    let packed: [(&str, &[u8], bool); 4] = [
        ("gzip", include_bytes!("packed/answer.gz"), true),
        ("deflate", include_bytes!("packed/answer.zlib"), true),
        ("br", include_bytes!("packed/answer.br"), false),
        ("zstd", include_bytes!("packed/answer.zst"), false),
    ];
    for (encoding, body, is_known) in packed {
        let upstream = Upstream::serve(after_handshake(move |exchange| {
            exchange.send(&Reply::json(body).header("Content-Encoding", encoding))
        }));
        let mut line = Line::ready(&upstream.url());
        line.send(call(r#""packed""#, "write", "{}"));
        let reply = line.recv();
        if is_known {
            is_good(&reply);
        } else {
            reply.failure(-33004);
            assert!(reply.error_text().contains(encoding), "{reply}");
        }
        let sent = upstream.nth("tools/call", 1);
        let asked_for = sent.header("accept-encoding").unwrap_or_default();
        assert!(is_known || !asked_for.contains(encoding), "{asked_for}");
        line.finish_with_nothing_left();
    }
}

#[test]
fn a_packed_body_that_is_broken_is_an_error() {
    const WHOLE: &[u8] = include_bytes!("packed/answer.gz");
    let packed = |name: &str, class: Class, body: Vec<u8>| {
        let reply = Reply::json(body).header("Content-Encoding", "gzip");
        super::replies(name, class, reply)
    };
    let mut corrupt = WHOLE.to_vec();
    corrupt[14] ^= 0xff;
    let faults = vec![
        packed("no gzip", Acted(-33004), b"{\"jsonrpc\":\"2.0\"}".to_vec()),
        packed("half of it", Ambiguous(-33002), WHOLE[..WHOLE.len() / 2].to_vec()),
        packed("corrupt", Acted(-33004), corrupt),
        super::replies(
            "a refusal",
            Acted(-33003),
            Reply::status(500).body("text/plain", "no gzip").header("Content-Encoding", "gzip"),
        ),
    ];
    table("", Happens::Once, faults).with(&REQUESTS).prove();
}

/// 16 MiB of spaces in 16 KiB: what counts is what it becomes.
#[cfg(target_os = "linux")]
#[test]
fn a_small_body_that_unpacks_beyond_the_limit_is_stopped_there() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        if exchange.rpc().method() == "small" {
            return exchange.result("{}");
        }
        let body = include_bytes!("packed/spaces.gz");
        exchange.send(&Reply::json(body).header("Content-Encoding", "gzip"))
    }));
    let mut line = Line::to(&upstream.url()).args("--max-message 1MiB").ready();
    let before = line.peak_memory();
    for id in 1..=3 {
        line.send(call(id, "write", "{}"));
        line.recv_id(&id.to_string()).failure(-33009);
        line.send(request(r#""small""#, "small", "{}"));
        assert_eq!(line.recv_id(r#""small""#).raw_result(), "{}");
    }
    let peak = line.peak_memory();
    assert!(peak - before < 12 * 1024, "{peak} kB, {before} kB before");
    line.finish_with_nothing_left();
}
