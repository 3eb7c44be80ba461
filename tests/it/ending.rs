//! How a line ends: no reply is lost, and no process stays behind.

use std::process::{Command, Stdio};

#[cfg(unix)]
use crate::support::{Exchange, INITIALIZE, INITIALIZED, PATIENCE};
use crate::support::{Line, Message, Upstream, after_handshake, call, handshake, request};

#[test]
fn the_end_of_stdin_with_nothing_in_flight_is_the_end() {
    let upstream = Upstream::streamable();
    // A listening stream is open and must not keep it.
    let line = Line::to(&upstream.url()).args("--drain 600").ready();
    upstream.nth("GET", 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_line_that_was_never_spoken_to_ends_without_asking_the_upstream() {
    let upstream = Upstream::streamable();
    let line = Line::to(&upstream.url()).spawn();
    line.finish_with_nothing_left();
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_end_of_stdin_waits_for_the_call_in_flight() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.close_stdin();
    upstream.open("slow");
    assert!(line.recv_id("1").result().is_object());
    line.finish_with_nothing_left();
    // The GET of the listening stream is on a connection of its own, and may be taken later.
    assert_eq!(upstream.count("DELETE"), 1);
}

#[test]
fn the_end_of_stdin_waits_for_the_calls_that_wait_in_line() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--max-in-flight 1").ready();
    line.send(call(0, "slow", r#"{"gate":"slow"}"#));
    for id in 1..=5 {
        line.send(call(id, "echo", "{}"));
    }
    upstream.wait_at("slow", 1);
    line.close_stdin();
    upstream.open("slow");
    let replies = line.finish();
    assert_eq!(replies.len(), 6, "{replies:?}");
    assert!(replies.iter().all(|reply| reply.result().is_object()));
}

#[test]
fn a_notification_before_the_end_of_stdin_still_reaches_the_upstream() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("notifications/roots/list_changed"), 1);
}

#[test]
fn a_call_that_outlasts_the_drain_limit_gets_an_error() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).args("--drain 0.2 --max-in-flight 1").ready();
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    line.send(call(2, "echo", "{}"));
    upstream.wait_at("slow", 1);
    let mut replies = line.finish();
    replies.sort_by_key(|reply| reply.id().to_owned());
    assert_eq!(replies.len(), 2, "{replies:?}");
    for reply in replies {
        assert_eq!(reply.error_code(), -33008, "{reply}");
    }
}

#[test]
fn an_upstream_that_hangs_on_delete_does_not_keep_the_process() {
    let upstream = Upstream::serve(|exchange| match exchange.name().as_str() {
        "DELETE" => {
            exchange.pass("for ever")?;
            exchange.close()
        }
        "GET" => exchange.status(405),
        _ => handshake(exchange, Some("s")),
    });
    let line = Line::ready(&upstream.url());
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("DELETE"), 1);
}

/// The client has gone, so we answer for it.
#[test]
fn a_question_that_is_open_at_the_end_of_stdin_is_answered_with_an_error() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "ask", "{}"));
    assert_eq!(line.recv().method(), "sampling/createMessage");
    line.close_stdin();
    let reply = line.recv_id("1");
    let said = &reply.result()["structuredContent"];
    assert!(said["error"]["code"].is_i64(), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn a_question_after_the_end_of_stdin_is_answered_with_an_error() {
    let upstream = Upstream::streamable();
    let mut line = Line::ready(&upstream.url());
    line.send(call(1, "ask", r#"{"gate":"before the question"}"#));
    upstream.wait_at("before the question", 1);
    line.close_stdin();
    upstream.open("before the question");
    let reply = line.recv_id("1");
    let said = &reply.result()["structuredContent"];
    assert!(said["error"]["code"].is_i64(), "{reply}");
    line.finish();
}

#[cfg(unix)]
mod by_signal {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::{
        Exchange, INITIALIZE, INITIALIZED, Line, Message, Upstream, call, handshake, request,
        three_megabytes,
    };

    fn answers_what_is_in_flight_and_ends(signal: &str) {
        let upstream = Upstream::streamable();
        let mut line = Line::to(&upstream.url()).args("--max-in-flight 2").ready();
        for id in 1..=2 {
            line.send(call(id, "slow", r#"{"gate":"slow"}"#));
        }
        line.send(request(3, "tools/list", "{}"));
        // A message that passes the waiting one shows that it has been read.
        line.send(r#"{"jsonrpc":"2.0","method":"notifications/marker"}"#);
        upstream.nth("notifications/marker", 1);
        upstream.wait_at("slow", 2);
        let signalled = Instant::now();
        line.signal(signal);
        let mut ended = line.wait();
        // Half a second is promised, and measured elsewhere; this machine may be busy.
        assert!(signalled.elapsed() < Duration::from_secs(2), "SIG{signal}");
        ended.rest.sort_by_key(|reply| reply.id().to_owned());
        let ids: Vec<&str> = ended.rest.iter().map(Message::id).collect();
        assert_eq!(ids, ["1", "2", "3"]);
        for reply in &ended.rest {
            assert_eq!(reply.error_code(), -33008, "{reply}");
        }
        upstream.nth("DELETE", 1);
    }

    #[test]
    fn sigterm_answers_what_is_in_flight_and_ends() {
        answers_what_is_in_flight_and_ends("TERM");
    }

    #[test]
    fn sigint_answers_what_is_in_flight_and_ends() {
        answers_what_is_in_flight_and_ends("INT");
    }

    #[test]
    fn a_signal_during_the_start_answers_initialize_and_ends() {
        let upstream = Upstream::serve(|exchange| {
            exchange.pass("for ever")?;
            exchange.close()
        });
        let mut line = Line::to(&upstream.url()).args("--start-timeout 600").spawn();
        line.send(INITIALIZE);
        upstream.wait_at("for ever", 1);
        line.signal("TERM");
        let ended = line.wait();
        assert_eq!(ended.rest.len(), 1, "{:?}", ended.rest);
        assert_eq!(ended.rest[0].id(), r#""init""#);
        assert_eq!(ended.rest[0].error_code(), -33008);
    }

    #[test]
    fn a_signal_ends_the_wait_for_the_last_replies() {
        let upstream = Upstream::streamable();
        let mut line = Line::to(&upstream.url()).args("--drain 600").ready();
        line.send(call(1, "slow", r#"{"gate":"slow"}"#));
        upstream.wait_at("slow", 1);
        line.close_stdin();
        line.signal("TERM");
        let ended = line.wait();
        assert_eq!(ended.rest.len(), 1, "{:?}", ended.rest);
        assert_eq!(ended.rest[0].error_code(), -33008);
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_client_that_does_not_read_the_last_lines() {
        let upstream = three_megabytes();
        let mut line = Line::to(&upstream.url()).with_stdout_unread().spawn();
        line.send(INITIALIZE);
        line.send(INITIALIZED);
        line.send(call(1, "any", "{}"));
        upstream.nth("tools/call", 1);
        line.close_stdin();
        upstream.open("answer");
        upstream.nth("DELETE", 1); // the last thing to do, but for the lines
        line.signal("TERM");
        let signalled = Instant::now();
        line.wait();
        assert!(signalled.elapsed() < Duration::from_secs(3), "{:?}", signalled.elapsed());
    }

    #[test]
    fn a_signal_during_a_recovery_leaves_no_session_behind() {
        let born = AtomicUsize::new(0);
        let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
            "GET" => exchange.status(405),
            "DELETE" => exchange.status(204),
            "initialize" => match born.fetch_add(1, Ordering::SeqCst) {
                0 => handshake(exchange, Some("one")),
                _ => handshake(exchange, Some("two")),
            },
            "notifications/initialized"
                if exchange.request.header("mcp-session-id") == Some("two") =>
            {
                exchange.pass("for ever")?;
                exchange.close()
            }
            "notifications/initialized" => exchange.accepted(),
            _ => exchange.status(404),
        });
        let mut line = Line::ready(&upstream.url());
        line.send(call(1, "any", "{}"));
        upstream.in_session("notifications/initialized", "two");
        line.signal("TERM");
        let ended = line.wait();
        assert_eq!(ended.rest.len(), 1, "{:?}", ended.rest);
        assert_eq!(ended.rest[0].error_code(), -33008);
        upstream.in_session("DELETE", "two");
    }

    #[test]
    fn logs_that_nobody_reads_stop_neither_the_line_nor_its_end() {
        // Refuses every connection.
        let upstream = Upstream::absent(|exchange: &mut Exchange<'_>| exchange.status(500));
        let mut line = Line::to(&upstream.url())
            .args("--log-level debug --no-retry --start-timeout 0.1")
            .with_stderr_unread()
            .spawn();
        for batch in 0..30 {
            // Few enough at once for the pipe to hold them, so that the test never blocks.
            let ids = batch * 100..(batch + 1) * 100;
            for id in ids.clone() {
                line.send(request(id, "tools/list", "{}"));
            }
            for id in ids {
                line.recv_id(&id.to_string()).failure(-33001);
            }
        }
        line.signal("TERM");
        let ended = line.wait();
        assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    }

    /// The next reader of the same pipe, such as the next command of a script, expects it to block.
    #[test]
    fn stdin_blocks_again_after_the_end() {
        let upstream = Upstream::streamable();
        let (stdin, mut client) = std::io::pipe().unwrap();
        let mut line = Line::to(&upstream.url()).stdin(stdin.try_clone().unwrap()).spawn();
        writeln!(client, "{}", request(1, "tools/list", "{}")).unwrap();
        line.recv_id("1");
        line.signal("TERM");
        line.wait();
        let flags = rustix::fs::fcntl_getfl(&stdin).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "{flags:?}");
    }

    #[test]
    fn a_signal_while_nothing_happens_ends_it_without_a_line() {
        let upstream = Upstream::streamable();
        let line = Line::ready(&upstream.url());
        line.signal("TERM");
        let ended = line.wait();
        assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    }
}

/// Answers a call with three megabytes once the gate `answer` is open.
#[cfg(unix)]
fn three_megabytes() -> Upstream {
    Upstream::serve(|exchange| match exchange.name().as_str() {
        "GET" => exchange.status(405),
        "DELETE" => exchange.status(204),
        "tools/call" => {
            exchange.pass("answer")?;
            exchange.result(&format!(r#"{{"pad":"{}"}}"#, "x".repeat(3_000_000)))
        }
        _ => handshake(exchange, Some("s")),
    })
}

/// As inetd and socat have it. The one is read without blocking, and the other must block.
#[cfg(unix)]
#[test]
fn stdin_and_stdout_may_be_one_socket() {
    use std::io::{BufRead, BufReader, Write};
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    let upstream = three_megabytes();
    upstream.open("answer");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcpline"))
        .arg(upstream.url())
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(ours, "{}", call(1, "any", "{}")).unwrap();
    // Little at a time, so that the socket is full meanwhile.
    let mut replies = BufReader::with_capacity(1024, ours.try_clone().unwrap());
    let mut reply = String::new();
    replies.read_line(&mut reply).unwrap();
    let reply = Message::parse(&reply).unwrap();
    assert_eq!(reply.result()["pad"].as_str().map(str::len), Some(3_000_000));
    ours.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    replies.read_line(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert!(child.wait().unwrap().success());
}

/// A client that was killed leaves stdin open when something else holds it too; its end of stdout
/// is gone all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_gone_is_noticed_without_a_further_write() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).with_stdout_unread().spawn();
    line.send(INITIALIZE);
    line.send(INITIALIZED);
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    upstream.wait_at("slow", 1);
    line.close_stdout();
    line.wait();
    upstream.nth("DELETE", 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_gone_is_noticed_while_nothing_happens() {
    let upstream = Upstream::streamable();
    let mut line = Line::to(&upstream.url()).with_stdout_unread().spawn();
    line.send(INITIALIZE);
    line.send(INITIALIZED);
    upstream.nth("GET", 1);
    line.close_stdout();
    line.wait();
}

/// A client that was killed leaves its call behind, and nothing else. On Windows its process tells, as
/// its pipes do not.
#[test]
fn a_client_that_was_killed_during_a_call_leaves_nothing_behind() {
    let upstream = Upstream::streamable();
    let mut client = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ending::be_the_client_that_is_killed", "--ignored", "--nocapture"])
        .env("UPSTREAM_OF_CLIENT", upstream.url())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    upstream.wait_at("slow", 1);
    client.kill().unwrap();
    client.wait().unwrap();
    upstream.nth("DELETE", 1);
}

#[test]
#[ignore = "the client that another test kills"]
fn be_the_client_that_is_killed() {
    let url = std::env::var("UPSTREAM_OF_CLIENT").unwrap();
    let mut line = Line::to(&url).args("--drain 600").ready();
    line.send(call(1, "slow", r#"{"gate":"slow"}"#));
    line.recv_id("1");
}

#[test]
fn a_pipe_into_a_missing_upstream_is_answered_and_ends() {
    let upstream = Upstream::streamable_absent();
    let mut line = Line::to(&upstream.url()).args("--start-timeout 0.2 --retry-for 0.4").spawn();
    line.send(request(1, "tools/list", "{}"));
    line.send(request(2, "tools/list", "{}"));
    let replies = line.finish();
    assert_eq!(replies.len(), 2, "{replies:?}");
    for reply in &replies {
        reply.failure(-33001);
    }
}

#[test]
fn replies_of_many_kinds_are_all_written_before_the_end() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        match exchange.rpc().value["params"]["name"].as_str() {
            Some("fail") => exchange.status(500),
            Some("cut") => exchange.close(),
            _ => exchange.result("{}"),
        }
    }));
    let mut line = Line::ready(&upstream.url());
    for (id, tool) in [(1, "fail"), (2, "cut"), (3, "work")] {
        line.send(call(id, tool, "{}"));
    }
    line.send("not json");
    let replies = line.finish();
    let mut ids: Vec<&str> = replies.iter().map(Message::id).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1", "2", "3", "null"]);
}
