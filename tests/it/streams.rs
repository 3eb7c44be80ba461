//! Streamable HTTP: answers over SSE, the listening stream, and what becomes of either when it
//! breaks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{
    Answered, Event, Exchange, Line, Message, Reply, Upstream, after_handshake, at_once, call,
    handshake, notification, request,
};

#[test]
fn an_answer_over_sse_is_an_answer() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let text = exchange.result_text(r#"{"over":"sse"}"#);
        let mut events = exchange.events()?;
        events.message(text)?;
        events.end()
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(request(1, "tools/list", "{}"));
    assert_eq!(line.recv().raw_result(), r#"{"over":"sse"}"#);
    line.finish_with_nothing_left();
}

#[test]
fn initialize_may_be_answered_over_sse() {
    let upstream = Upstream::serve(|exchange| {
        if exchange.name() != "initialize" {
            return match exchange.name().as_str() {
                "GET" => exchange.status(405),
                _ => exchange.accepted(),
            };
        }
        let text = exchange.result_text(r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#);
        let mut events = exchange.events()?;
        events.raw("id: 1\ndata:\n\n")?;
        events.message(text)?;
        events.end()
    });
    let mut line = Line::ready(&upstream.url());
    line.close_stdin();
    line.finish_with_nothing_left();
}

#[test]
fn progress_and_log_messages_come_in_order_before_the_reply() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(request(
        1,
        "tools/call",
        r#"{"name":"progress","arguments":{},"_meta":{"progressToken":"t\u006fken"}}"#,
    ));
    let lines: Vec<Message> = (0..4).map(|_| line.recv()).collect();
    let methods: Vec<&str> = lines.iter().map(Message::method).collect();
    let progress = "notifications/progress";
    assert_eq!(methods, [progress, "notifications/message", progress, ""]);
    // The client's own token, in its own spelling.
    let params = r#"{"progressToken":"t\u006fken","progress":1,"total":2.0}"#;
    assert_eq!(lines[0].raw("params"), Some(params));
    assert_eq!(lines[3].id(), "1");
    line.finish_with_nothing_left();
}

/// A call in whose middle the upstream asks something.
fn is_asked_within_a_call(line: &mut Line, upstream: &Upstream) {
    for method in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        line.send(call(1, "ask", &format!(r#"{{"method":"{method}"}}"#)));
        let question = line.recv();
        assert_eq!(question.method(), method, "{question}");
        assert_eq!(question.raw("params"), Some(r#"{"n":1.0}"#));
        let answer =
            format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"said":1.0}}}}"#, question.id());
        line.send(&answer);
        let reply = line.recv();
        assert_eq!(reply.id(), "1", "{reply}");
        let result = Message::parse(reply.raw_result()).unwrap();
        assert_eq!(result.raw("structuredContent"), Some(answer.as_str()));
    }
    assert_eq!(upstream.count("response"), 3);
}

#[test]
fn a_question_of_the_upstream_is_answered_while_the_call_is_open() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    is_asked_within_a_call(&mut line, &upstream);
    line.finish_with_nothing_left();
}

#[test]
fn a_question_does_not_wait_for_calls_to_end() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    is_asked_within_a_call(&mut line, &upstream);
    line.finish_with_nothing_left();
}

#[test]
fn an_error_answers_a_question_too() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "ask", "{}"));
    let id = line.recv().id().to_owned();
    line.send(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-1,"message":"User said no"}}}}"#
    ));
    let reply = line.recv_id("1");
    let said = &reply.result()["structuredContent"]["error"]["message"];
    assert_eq!(said, "User said no");
    line.finish_with_nothing_left();
}

/// Ids of the two directions have nothing to do with each other.
#[test]
fn a_question_may_have_the_id_of_the_call_that_it_belongs_to() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        if exchange.rpc().is_reply() {
            let id = exchange.rpc().id().to_owned();
            assert_eq!(id, "1");
            return exchange.accepted();
        }
        let text = exchange.result_text("{}");
        let life = exchange.life();
        let mut events = exchange.events()?;
        events.message(request(1, "roots/list", "{}"))?;
        life.pass("answered")?;
        events.message(text)?;
        events.end()
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv().method(), "roots/list");
    line.send(r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#);
    upstream.nth("response", 1);
    upstream.open("answered");
    assert_eq!(line.recv().raw_result(), "{}");
    line.finish_with_nothing_left();
}

#[test]
fn the_listening_stream_is_opened_after_the_handshake_and_what_it_says_is_delivered() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    let order = ["initialize", "notifications/initialized", "GET"];
    assert_eq!(upstream.names()[..3], order);
    let news =
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":1.0}}"#;
    upstream.push(news);
    assert_eq!(line.recv().text, news);
    // A question may come there as well.
    upstream.push(&request(r#""q""#, "roots/list", "{}"));
    assert_eq!(line.recv().method(), "roots/list");
    line.send(r#"{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}"#);
    assert_eq!(upstream.message("response").id(), r#""q""#);
    line.finish_with_nothing_left();
}

#[test]
fn a_server_without_a_listening_stream_is_asked_for_it_once() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
    let mut line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    for id in 1..=20 {
        line.send(request(id, "ping", "{}"));
        assert_eq!(line.recv().id(), id.to_string());
    }
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("GET"), 1);
}

/// Some servers broadcast the answers of other clients there.
#[test]
fn a_reply_on_the_listening_stream_is_never_delivered() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    upstream.push(r#"{"jsonrpc":"2.0","id":1,"result":{"whose":"another's"}}"#);
    upstream.push(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"another's"}}"#);
    upstream.push(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#);
    let marker = r#"{"jsonrpc":"2.0","method":"notifications/marker"}"#;
    upstream.push(marker);
    assert_eq!(line.recv().text, marker);
    upstream.open("slow");
    assert!(line.recv().text.contains("structuredContent"));
    line.finish_with_nothing_left();
}

#[test]
fn a_listening_stream_that_breaks_goes_on_where_it_was() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    let news =
        |n: u32| format!(r#"{{"jsonrpc":"2.0","method":"notifications/news","params":{n}}}"#);
    upstream.nth("GET", 1);
    upstream.push(&news(0));
    assert_eq!(line.recv_method("notifications/news").text, news(0));
    for n in 1..=3 {
        upstream.break_listening();
        upstream.push(&news(n));
        assert_eq!(line.recv_method("notifications/news").text, news(n));
        let again = upstream.nth("GET", n as usize + 1);
        let last = (n - 1).to_string();
        assert_eq!(again.header("last-event-id"), Some(last.as_str()));
    }
    line.finish();
}

#[test]
fn a_listening_stream_is_reopened_no_sooner_than_it_asks_for() {
    const RETRY: u64 = 400;
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" if exchange.request.header("last-event-id").is_none() => {
            let mut events = exchange.events()?;
            events.raw(format!("retry: {RETRY}\nid: e1\ndata:\n\n"))?;
            events.end()
        }
        "GET" => {
            exchange.pass("for ever")?;
            exchange.close()
        }
        "DELETE" => exchange.status(405),
        _ => handshake(exchange, Some("s")),
    });
    let line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    let first = Instant::now();
    let again = upstream.nth("GET", 2);
    assert_eq!(again.header("last-event-id"), Some("e1"));
    // It was told a little before we looked at the clock, so not quite the whole time is left.
    assert!(first.elapsed() >= Duration::from_millis(RETRY / 2), "too soon");
    line.finish();
}

/// Without event ids nobody can tell what was missed.
#[test]
fn a_gap_in_the_listening_stream_is_told_as_what_may_have_changed() {
    let opened = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
        "GET" => {
            let first = opened.fetch_add(1, Ordering::SeqCst) == 0;
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.raw("retry: 1\n\n")?;
            if first {
                events
                    .message(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#)?;
            }
            life.pass(if first { "break" } else { "for ever" })?;
            events.cut()
        }
        "DELETE" => exchange.status(405),
        _ => handshake(exchange, Some("s")),
    });
    let mut line = Line::ready(&upstream.url());
    line.recv_method("notifications/message");
    upstream.wait_at("break", 1);
    upstream.open("break");
    for what in ["tools", "resources", "prompts"] {
        line.recv_method(&format!("notifications/{what}/list_changed"));
    }
    line.finish_with_nothing_left();
}

/// An SSE answer of three events, of which the first `sent` bytes come; the rest can be had by its
/// `Last-Event-ID`.
struct Resumable {
    text: String,
    /// Where each event ends.
    ends: Vec<usize>,
}

impl Resumable {
    fn new(id: &str) -> Self {
        let reply = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"who":"Ёж"}}}}"#);
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
        let (mut text, mut ends) = (String::new(), Vec::new());
        for event in [Event::of("").retry(1), Event::of(progress), Event::of(reply)] {
            text += &event.id(format!("{id}.{}", ends.len())).to_string();
            ends.push(text.len());
        }
        Self { text, ends }
    }

    fn whole_events(&self, sent: usize) -> usize {
        self.ends.iter().filter(|end| **end <= sent).count()
    }
}

#[test]
fn an_sse_answer_that_is_cut_anywhere_is_resumed_and_delivered_once() {
    // An id of three digits each, so that all answers are equally long.
    let answer = Resumable::new("100");
    let cuts: Vec<_> = (answer.ends[0]..=answer.text.len()).collect();
    at_once(cuts.chunks(cuts.len().div_ceil(8)), |cuts| {
        let upstream = Upstream::serve(cut_where_asked);
        let mut line = Line::ready(&upstream.url());
        upstream.nth("GET", 1); // the listening stream, which this server does not have
        for cut in cuts {
            let id = (100 + cut).to_string();
            line.send(call(&id, "any", &format!(r#"{{"cut":{cut}}}"#)));
            let progress = line.recv();
            assert_eq!(progress.method(), "notifications/progress", "cut at {cut}");
            let reply = line.recv();
            assert_eq!(reply.id(), id, "cut at {cut}: {reply}");
            assert_eq!(reply.raw_result(), r#"{"who":"Ёж"}"#, "cut at {cut}");
            let whole = Resumable::new(&id).whole_events(*cut);
            let last = upstream.requests().pop().unwrap();
            if whole < 3 {
                let expected = format!("{id}.{}", whole - 1);
                assert_eq!(last.header("last-event-id"), Some(expected.as_str()));
            }
        }
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("tools/call"), cuts.len());
    });
}

/// Answers a call with the bytes of [`Resumable`] up to its argument `cut`.
fn cut_where_asked(exchange: &mut Exchange<'_>) -> Answered {
    if exchange.request.method != "POST" {
        let last = exchange.request.header("last-event-id").map(str::to_owned);
        let Some(last) = last else {
            return exchange.status(405);
        };
        let (id, event) = last.split_once('.').expect("an event id of ours");
        let answer = Resumable::new(id);
        let from = answer.ends[event.parse::<usize>().unwrap()];
        let mut events = exchange.events()?;
        events.raw(&answer.text[from..])?;
        return events.end();
    }
    if exchange.name() != "tools/call" {
        return handshake(exchange, None);
    }
    let rpc = exchange.rpc();
    let cut = rpc.value["params"]["arguments"]["cut"].as_u64().unwrap();
    let answer = Resumable::new(rpc.id());
    let mut events = exchange.events()?;
    events.raw(&answer.text.as_bytes()[..usize::try_from(cut).unwrap()])?;
    events.cut()
}

/// Answers a call with this much of an SSE body, then breaks the connection.
fn cut_answer(sent: &'static str, resumed: u16) -> Upstream {
    Upstream::serve(move |exchange| {
        if exchange.request.method != "POST" {
            return exchange.status(resumed);
        }
        match exchange.name().as_str() {
            "tools/call" => {
                let mut events = exchange.events()?;
                events.raw(sent)?;
                events.cut()
            }
            "ping" => exchange.result("{}"),
            _ => handshake(exchange, None),
        }
    })
}

fn is_told_that_it_may_have_run(upstream: &Upstream) {
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    let reply = line.recv_where("a reply", Message::is_reply);
    assert_eq!(reply.id(), "1");
    let data = reply.failure(-33002);
    assert_eq!(data["mayHaveRun"], true, "{reply}");
    line.send(request(2, "ping", "{}"));
    assert_eq!(line.recv_id("2").raw_result(), "{}");
    line.finish();
    assert_eq!(upstream.count("tools/call"), 1, "a call was sent again");
}

#[test]
fn an_sse_answer_without_event_ids_that_is_cut_is_an_error_and_is_not_sent_again() {
    for sent in [
        "",
        ": hello\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
        "id: 1\n",
    ] {
        is_told_that_it_may_have_run(&cut_answer(sent, 405));
    }
}

#[test]
fn an_sse_answer_that_cannot_be_resumed_is_an_error_and_is_not_sent_again() {
    for refusal in [400, 404, 405, 500] {
        is_told_that_it_may_have_run(&cut_answer("id: 1\nretry: 1\ndata:\n\n", refusal));
    }
}

#[test]
fn an_sse_answer_that_ends_properly_without_its_reply_is_an_error() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let mut events = exchange.events()?;
        events.message(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#)?;
        events.end()
    }));
    is_told_that_it_may_have_run(&upstream);
}

#[test]
fn every_way_to_write_an_event_is_understood_wherever_it_is_split() {
    // The call says what to answer, so that one line serves them all.
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let rpc = exchange.rpc();
        let arguments = &rpc.value["params"]["arguments"];
        let chunk = usize::try_from(arguments["chunk"].as_u64().unwrap()).unwrap();
        let mut events = exchange.events()?;
        for part in arguments["body"].as_str().unwrap().as_bytes().chunks(chunk) {
            events.raw(part)?;
        }
        events.end()
    }));
    let mut line = Line::ready(&upstream.url());
    let reply = r#"{"jsonrpc":"2.0","id":1,"result":{"имя":"Ёж 🦔"}}"#;
    let (head, tail) = reply.split_at(reply.find("\"result\"").unwrap());
    for body in [
        format!("data: {reply}\n\n"),
        format!("data:{reply}\n\n"),
        format!("event: message\ndata: {reply}\n\n"),
        format!("data: {reply}\nid: 7\nevent: message\n\n"),
        format!("\u{feff}data: {reply}\n\n"),
        format!(": a comment\n\n:\ndata: {reply}\n:\n\n: another\n\n"),
        format!("data: {head}\ndata: {tail}\n\n"),
        format!("data: {head}\ndata:\ndata: {tail}\n\n"),
        format!("unknown: field\nwithout a colon\nretry: soon\ndata: {reply}\n\n"),
        format!("data:\n\n\n\ndata\n\ndata: {reply}\n\n"),
        format!("event: message\nid: 1\n\ndata: {reply}\n\n"),
    ] {
        for line_end in ["\n", "\r\n", "\r"] {
            let body = body.replace('\n', line_end);
            for chunk in [1, 2, 3, 7, body.len()] {
                let arguments = serde_json::json!({ "body": body, "chunk": chunk });
                line.send(call(1, "any", &arguments.to_string()));
                let got = line.recv();
                assert_eq!(got.id(), "1", "{got} from {body:?} by {chunk}");
                let result = got.raw_result();
                assert_eq!(result, r#"{"имя":"Ёж 🦔"}"#, "{body:?} by {chunk}");
            }
        }
    }
    line.finish_with_nothing_left();
}

/// Answers a call with a stream that breaks off after `first`, and each resumption with a stream
/// that ends after `resumed`; there is no listening stream.
fn never_answers(first: &'static str, resumed: &'static str) -> Upstream {
    Upstream::serve(move |exchange| {
        let sent = match exchange.name().as_str() {
            "tools/call" => first,
            "GET" if exchange.request.header("last-event-id").is_some() => resumed,
            "GET" => return exchange.status(405),
            "notifications/cancelled" => return exchange.accepted(),
            _ => return handshake(exchange, None),
        };
        let mut events = exchange.events()?;
        events.raw(sent)?;
        events.end()
    })
}

#[test]
fn a_stream_that_ends_again_and_again_is_resumed_with_patience_and_given_up() {
    at_once(["", "retry: 0\n\n", "id: 1\ndata:\n\n"], |resumed| {
        let upstream = never_answers("id: 1\nretry: 0\ndata:\n\n", resumed);
        let mut line = Line::to(&upstream.url()).args("--timeout 1 --max-time 3").ready();
        line.send(call(1, "any", "{}"));
        line.recv_id("1").failure(-33006);
        // A hundred milliseconds lie between two, so thirty is all there is time for.
        let asked = upstream.count("GET");
        assert!(asked < 50, "{asked} requests after {resumed:?}");
        line.finish_with_nothing_left();
    });
}

#[test]
fn a_wait_that_a_stream_asks_for_does_not_outlast_the_timeout() {
    let upstream = never_answers("id: 1\nretry: 600000\ndata:\n\n", "");
    let mut line = Line::to(&upstream.url()).args("--timeout 0.5").ready();
    line.send(call(1, "any", "{}"));
    line.recv_id("1").failure(-33006);
    line.finish_with_nothing_left();
}

#[test]
fn a_stream_is_resumed_from_an_event_id_in_any_script() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" => match exchange.request.header("last-event-id") {
            None => exchange.status(405),
            Some(last) => {
                let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"after":"{last}"}}}}"#);
                let mut events = exchange.events()?;
                events.message(text)?;
                events.end()
            }
        },
        "tools/call" => {
            let mut events = exchange.events()?;
            events.send(&Event::of("").id("щ1").retry(1))?;
            events.end()
        }
        _ => handshake(exchange, None),
    });
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "any", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), r#"{"after":"щ1"}"#);
    line.finish_with_nothing_left();
}

/// The TypeScript SDK says so while it has not noticed that the old stream is dead.
#[test]
fn a_conflict_on_the_way_back_to_the_listening_stream_is_waited_out() {
    let opened = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |exchange| {
        match exchange.name().as_str() {
        "GET" => match opened.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let mut events = exchange.events()?;
                events.raw("retry: 1\n\n")?;
                events.cut()
            }
            1 => exchange.send(&Reply::status(409).body(
                "application/json",
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Conflict: Only one SSE stream is allowed per session"},"id":null}"#,
            )),
            _ => {
                let life = exchange.life();
                let mut events = exchange.events()?;
                events.message(notification("notifications/news", "{}"))?;
                life.pass("for ever")?;
                events.cut()
            }
        },
        "DELETE" => exchange.status(204),
        _ => handshake(exchange, Some("s")),
    }
    });
    let mut line = Line::ready(&upstream.url());
    line.recv_method("notifications/news");
    line.finish();
}

#[test]
fn a_listening_stream_that_always_ends_at_once_is_not_asked_for_in_a_hot_loop() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" => {
            let mut events = exchange.events()?;
            events.raw("retry: 0\n\n")?;
            events.end()
        }
        "DELETE" => exchange.status(204),
        _ => handshake(exchange, Some("s")),
    });
    let line = Line::ready(&upstream.url());
    upstream.nth("GET", 1);
    let first = Instant::now();
    upstream.nth("GET", 5);
    // At least four times a hundred milliseconds, the first of which may have begun before.
    assert!(first.elapsed() >= Duration::from_millis(250), "{:?}", first.elapsed());
    line.finish();
}

#[test]
fn what_stands_behind_the_reply_in_a_batch_is_delivered_too() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let news = notification("notifications/news", "{}");
        let batch = format!("[{},{news}]", exchange.result_text("{}"));
        if exchange.name() == "tools/list" {
            return exchange.json(batch);
        }
        let mut events = exchange.events()?;
        events.message(batch)?;
        events.end()
    }));
    let mut line = Line::ready(&upstream.url());
    for (id, method) in [("1", "tools/list"), ("2", "tools/call")] {
        line.send(request(id, method, "{}"));
        assert_eq!(line.recv_id(id).raw_result(), "{}");
        line.recv_method("notifications/news");
    }
    line.finish_with_nothing_left();
}
