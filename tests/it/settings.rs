//! Options, their environment variables, and what becomes of secrets and of logs.

use std::fs;
use std::path::Path;

use crate::support::{Line, Reply, Setup, Upstream, after_handshake, call, request};

/// Answers `ping`, refuses calls in words that repeat what it was sent.
fn indiscreet() -> Upstream {
    Upstream::serve(after_handshake(|exchange| {
        let token = exchange.request.header("authorization").unwrap_or_default();
        let said = format!("your token {token} is no good");
        exchange.send(&Reply::status(401).body("text/plain", said))
    }))
}

fn silent() -> Upstream {
    Upstream::serve(after_handshake(|exchange| exchange.result("{}")))
}

#[test]
fn headers_are_sent_with_every_request() {
    let upstream = Upstream::streamable();
    let line = Line::to(&upstream.url())
        .args("--header X-Plain:one")
        .arg("--header")
        .arg("X-Spaced: two words")
        .arg("--header")
        .arg("Authorization: Bearer ${MY_TOKEN}-${MY_OTHER}")
        .env("MY_TOKEN", "abc")
        .env("MY_OTHER", "def")
        .ready();
    upstream.nth("GET", 1);
    line.finish_with_nothing_left();
    let requests = upstream.requests();
    assert_eq!(requests.len(), 4, "{:?}", upstream.names());
    for request in requests {
        assert_eq!(request.header("x-plain"), Some("one"));
        assert_eq!(request.header("x-spaced"), Some("two words"));
        assert_eq!(request.header("authorization"), Some("Bearer abc-def"));
    }
}

#[test]
fn a_bearer_token_is_read_again_when_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "first-token\n").unwrap();
    let upstream = indiscreet();
    let mut line = Line::to(&upstream.url()).arg("--bearer-file").arg(&file).ready();
    assert_eq!(upstream.nth("initialize", 1).header("authorization"), Some("Bearer first-token"));

    fs::write(&file, "second and longer\r\n").unwrap();
    line.send(call(1, "x", "{}"));
    let reply = line.recv_id("1");
    let sent = upstream.nth("tools/call", 1);
    assert_eq!(sent.header("authorization"), Some("Bearer second and longer"));
    assert!(!reply.to_string().contains("second and longer"), "{reply}");

    fs::remove_file(&file).unwrap();
    line.send(call(2, "x", "{}"));
    line.recv_id("2");
    let sent = upstream.nth("tools/call", 2);
    assert_eq!(sent.header("authorization"), Some("Bearer second and longer"));
    line.finish_with_nothing_left();
}

/// PowerShell 5.1 writes UTF-16 with a BOM when its output goes to a file.
#[test]
fn files_may_be_as_powershell_writes_them() {
    let written = |text: &str| -> Vec<u8> {
        format!("\u{feff}{text}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let (token, headers) = (folder.path().join("token"), folder.path().join("headers"));
    fs::write(&token, written("first-token")).unwrap();
    fs::write(&headers, written("X-Place: Офис")).unwrap();
    let upstream = indiscreet();
    let setup = Line::to(&upstream.url()).arg("--bearer-file").arg(&token);
    let mut line = setup.arg("--header-file").arg(&headers).ready();
    let sent = upstream.nth("initialize", 1);
    assert_eq!(sent.header("authorization"), Some("Bearer first-token"));
    assert_eq!(sent.header("x-place"), Some("Офис"));
    fs::write(&token, written("second and longer")).unwrap();
    line.send(call(1, "x", "{}"));
    line.recv_id("1");
    let sent = upstream.nth("tools/call", 1);
    assert_eq!(sent.header("authorization"), Some("Bearer second and longer"));
    line.finish_with_nothing_left();
}

/// Refuses the token "old" and brings the new one into the file at the same time.
#[test]
fn a_call_refused_with_an_outdated_token_is_sent_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "old").unwrap();
    let token = file.clone();
    let upstream = Upstream::serve(after_handshake(move |exchange| {
        if exchange.request.header("authorization") == Some("Bearer new") {
            return exchange.result("{}");
        }
        fs::write(&token, "new").unwrap();
        exchange.send(&Reply::status(401).header("WWW-Authenticate", "Bearer"))
    }));
    let mut line = Line::to(&upstream.url()).arg("--bearer-file").arg(&file).ready();
    line.send(call(1, "x", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    assert_eq!(upstream.count("tools/call"), 2);
    assert_eq!(upstream.nth("tools/call", 2).header("authorization"), Some("Bearer new"));
    line.finish_with_nothing_left();
}

#[test]
fn a_call_refused_with_the_current_token_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "wrong").unwrap();
    let upstream = indiscreet();
    let mut line = Line::to(&upstream.url()).arg("--bearer-file").arg(&file).ready();
    line.send(call(1, "x", "{}"));
    assert!(line.recv_id("1").error_text().contains("401"));
    assert_eq!(upstream.count("tools/call"), 1);
    line.finish_with_nothing_left();
}

#[test]
fn a_login_on_the_command_line_goes_before_one_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "typed-token").unwrap();
    let sent = |setup: fn(Setup, &Path) -> Setup| {
        let upstream = silent();
        setup(Line::to(&upstream.url()), &file).ready().finish_with_nothing_left();
        upstream.nth("initialize", 1).header("authorization").unwrap().to_owned()
    };
    let in_environment = |setup: Setup, _: &Path| {
        setup
            .env("MCPLINE_USER", "user")
            .env("MCPLINE_PASSWORD", "password")
            .env("MCPLINE_BEARER", "token")
    };
    assert_eq!(sent(in_environment), "Bearer token");
    assert_eq!(
        sent(|setup, _| {
            let setup = setup.args("--user user").env("MCPLINE_PASSWORD", "password");
            setup.env("MCPLINE_BEARER", "token").env("MCPLINE_BEARER_FILE", "/no/such/file")
        }),
        "Basic dXNlcjpwYXNzd29yZA=="
    );
    assert_eq!(
        sent(|setup, file| {
            let setup = setup.arg("--bearer-file").arg(file).env("MCPLINE_USER", "user");
            setup.env("MCPLINE_BEARER", "token")
        }),
        "Bearer typed-token"
    );
    assert_eq!(
        sent(|setup, _| {
            let setup = setup.arg("--header").arg("Authorization: Custom it");
            setup.args("--user user").env("MCPLINE_PASSWORD", "password")
        }),
        "Custom it"
    );
}

#[test]
fn headers_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers of mine.txt");
    fs::write(&file, "X-One: 1\r\n\r\nX-Two: ${TWO}\n").unwrap();
    let upstream = silent();
    let line = Line::to(&upstream.url()).arg("--header-file").arg(&file).env("TWO", "2").ready();
    line.finish_with_nothing_left();
    let request = upstream.nth("initialize", 1);
    assert_eq!(request.header("x-one"), Some("1"));
    assert_eq!(request.header("x-two"), Some("2"));
}

#[test]
fn an_option_may_come_from_the_environment_and_an_argument_goes_before_it() {
    let upstream = silent();
    let long = format!(r#"{{"pad":"{}"}}"#, "x".repeat(4096));
    let mut line = Line::to(&upstream.url())
        .env("MCPLINE_MAX_MESSAGE", "1KiB")
        .env("MCPLINE_HEADER", "X-From: environment")
        .ready();
    line.send(request(1, "any", &long));
    assert_eq!(line.recv().error_code(), -33009);
    line.finish_with_nothing_left();
    let sent = upstream.nth("initialize", 1);
    assert_eq!(sent.header("x-from"), Some("environment"));

    let mut line = Line::to(&upstream.url())
        .args("--max-message 1MiB")
        .env("MCPLINE_MAX_MESSAGE", "1KiB")
        .ready();
    line.send(request(1, "any", &long));
    assert_eq!(line.recv().raw_result(), "{}");
    line.finish_with_nothing_left();
}

/// Starts it like this, which it must refuse in one line that holds `hint`.
fn is_refused(args: &str, hint: &str) {
    let ended = Line::run(args).spawn().wait();
    assert_eq!(ended.status.code(), Some(2), "{args}: {}", ended.stderr);
    assert!(ended.rest.is_empty(), "{args}: {:?}", ended.rest);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{args}: {}", ended.stderr);
    assert!(lines[0].contains(hint), "{args}: {}", ended.stderr);
}

#[test]
fn a_setting_that_makes_no_sense_is_refused_in_one_line() {
    const URL: &str = "http://127.0.0.1:9/mcp";
    is_refused(&format!("--no-such-option {URL}"), "--no-such-option");
    is_refused(&format!("{URL} too-many"), "too-many");
    is_refused("127.0.0.1", "127.0.0.1");
    is_refused("ftp://127.0.0.1/mcp", "ftp");
    is_refused("http://", "http://");
    is_refused(&format!("--kind carrier-pigeon {URL}"), "carrier-pigeon");
    is_refused(&format!("--timeout soon {URL}"), "soon");
    is_refused(&format!("--drain -1 {URL}"), "-1");
    is_refused(&format!("--max-message lots {URL}"), "lots");
    is_refused(&format!("--max-in-flight 0 {URL}"), "--max-in-flight");
    is_refused(&format!("--log-level loud {URL}"), "loud");
    is_refused(&format!("--header no-colon {URL}"), "--header");
    is_refused(&format!("--header Bad\u{e9}:x {URL}"), "--header");
    is_refused(&format!("--header X:${{NOT_SET}} {URL}"), "NOT_SET");
    is_refused(&format!("--header-file /no/such/file {URL}"), "/no/such/file");
    is_refused(&format!("--ca-file /no/such/file {URL}"), "/no/such/file");
}

#[test]
fn certificates_and_keys_are_checked_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let text = file("text", "no PEM at all");
    let certificate = file("certificate", &pem("CERTIFICATE"));
    let key = file("key", &pem("PRIVATE KEY"));
    let fixture =
        |name: &str| format!("{}/tests/it/support/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let good = fixture("cert");
    // At an address to which no TLS leads as well.
    for url in ["http://127.0.0.1:9/mcp", "https://127.0.0.1:9/mcp"] {
        for file in [&text, &certificate] {
            is_refused(&format!("--ca-file {file} {url}"), &format!("--ca-file {file} "));
        }
        for (certificate, key, hint) in [
            (&text, &key, format!("--client-cert {text} ")),
            (&good, &text, format!("--client-key {text} ")),
            (&certificate, &key, format!("--client-cert {certificate} ")),
            (&good, &key, format!("--client-key {key} ")),
        ] {
            let args = format!("--client-cert {certificate} --client-key {key} {url}");
            is_refused(&args, &hint);
        }
    }
    Line::to(&silent().url())
        .arg("--ca-file")
        .arg(fixture("cert"))
        .arg("--client-cert")
        .arg(fixture("cert"))
        .arg("--client-key")
        .arg(fixture("key"))
        .ready()
        .finish_with_nothing_left();
}

#[test]
fn help_names_every_option_and_its_variable() {
    // Not a line of stdin's kind, so not read as one.
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_mcpline")).arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for option in [
        "kind",
        "header",
        "header-file",
        "timeout",
        "max-time",
        "connect-timeout",
        "start-timeout",
        "retry-for",
        "no-retry",
        "drain",
        "max-in-flight",
        "max-message",
        "log-level",
        "log-file",
        "insecure",
        "ca-file",
    ] {
        let flag = format!("--{option}");
        assert!(help.contains(&flag), "{flag} is not in the help");
        let variable = format!("MCPLINE_{}", option.replace('-', "_").to_uppercase());
        assert!(help.contains(&variable), "{variable} is not in the help");
    }
}

#[test]
fn no_secret_is_ever_written() {
    const SECRETS: [&str; 4] = ["t0ken-in-env", "pa55word", "k3y-in-file", "k3y-in-arg"];
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mcpline.log");
    let headers = folder.path().join("headers");
    fs::write(&headers, "X-Api-Key: k3y-in-file\n").unwrap();
    let upstream = indiscreet();
    let url = format!("http://user:pa55word@{}/mcp", upstream.authority());
    let mut line = Line::to(&url)
        .args("--log-level trace --retry-for 0.2 --header X-Other-Key:k3y-in-arg")
        .arg("--header")
        .arg("Authorization: Bearer ${TOKEN}")
        .env("TOKEN", "t0ken-in-env")
        .arg("--header-file")
        .arg(&headers)
        .arg("--log-file")
        .arg(&log)
        .ready();
    line.send(call(1, "any", "{}"));
    let mut shown = line.recv().text;
    upstream.stop();
    line.send(call(2, "any", "{}"));
    shown += &line.recv_id("2").text;
    line.close_stdin();
    let ended = line.wait();
    shown += &ended.stderr;
    shown += &fs::read_to_string(&log).unwrap();
    let sent = upstream.nth("tools/call", 1);
    assert_eq!(sent.header("x-api-key"), Some("k3y-in-file"));
    assert!(sent.header("authorization").is_some_and(|value| value.contains("t0ken-in-env")));
    for secret in SECRETS {
        let found = shown.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret} is shown");
    }
}

#[test]
fn a_request_can_be_followed_through_the_log_file_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = silent();
    let mut line = Line::to(&upstream.url())
        .args("--log-level debug")
        .arg("--log-file")
        .arg(folder.path().join("mcpline.log"))
        .ready();
    line.send(request(r#""follow-me-42""#, "any", "{}"));
    line.recv();
    line.close_stdin();
    line.wait();
    let log = fs::read_to_string(folder.path().join("mcpline.log")).unwrap();
    let told = log.lines().filter(|line| line.contains("follow-me-42"));
    assert!(told.count() >= 2, "{log}");
}

#[test]
fn a_quiet_line_writes_nothing_to_stderr() {
    let upstream = indiscreet();
    let mut line = Line::to(&upstream.url()).args("--log-level off").ready();
    line.send(call(1, "any", "{}"));
    line.recv().failure(-33005);
    line.close_stdin();
    let ended = line.wait();
    assert_eq!(ended.stderr, "");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn old_log_files_do_not_pile_up_and_files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let days = folder.join("x.log.days");
    fs::create_dir(&days).unwrap();
    let of_others =
        ["x.log.bak", "x.log.old", "x.log.2026-11-20.gz", "x.log.2020-01-01", "x", "y.log"];
    let in_our_folder =
        ["2020-01-01.gz", "2020-01-01.bak", "copy of 2020-01-01", "x.log.2020-01-01"];
    for name in of_others {
        fs::write(folder.join(name), name).unwrap();
    }
    for name in in_our_folder {
        fs::write(days.join(name), name).unwrap();
    }
    let old: Vec<_> = (1..=20).map(|day| format!("2020-01-{day:02}")).collect();
    for name in &old {
        fs::write(days.join(name), "old").unwrap();
    }
    let upstream = silent();
    let log = folder.join("x.log");
    Line::to(&upstream.url()).arg("--log-file").arg(&log).ready().finish_with_nothing_left();

    let mut expected: Vec<_> = of_others.into_iter().chain(["x.log", "x.log.days"]).collect();
    expected.sort_unstable();
    assert_eq!(names(folder), expected);
    let ours: Vec<_> = names(&days);
    let ours: Vec<_> = ours.iter().filter(|name| !in_our_folder.contains(&name.as_str())).collect();
    let (today, kept) = (ours[6], &ours[..6]);
    assert_eq!(kept, &old[14..].iter().collect::<Vec<_>>(), "{ours:?}");
    assert_eq!(ours.len(), 7, "seven days: {ours:?}");
    for name in in_our_folder {
        assert_eq!(fs::read_to_string(days.join(name)).unwrap(), name);
    }
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text, fs::read_to_string(days.join(today)).unwrap());
    let place = format!("the log is written to {}", log.display());
    assert!(text.contains(&place), "{text}");
}

#[test]
fn a_log_file_that_many_processes_share_has_every_line_of_each() {
    const PROCESSES: usize = 8;
    const CALLS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("shared.log");
    let upstream = silent();
    let mut lines: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let setup = Line::to(&upstream.url()).args("--log-level debug").arg("--log-file");
            setup.arg(&log).spawn()
        })
        .collect();
    let id = |process: usize, number: usize| format!(r#""call {process}-{number}""#);
    for number in 0..CALLS {
        for (process, line) in lines.iter_mut().enumerate() {
            line.send(request(id(process, number), "any", "{}"));
        }
    }
    for mut line in lines {
        for _ in 0..CALLS {
            line.recv();
        }
        line.close_stdin();
        line.wait();
    }
    let log = fs::read_to_string(&log).unwrap();
    for (process, number) in (0..PROCESSES).flat_map(|p| (0..CALLS).map(move |n| (p, n))) {
        assert!(log.contains(&id(process, number)), "{process}-{number} is not in the log");
    }
    let broken =
        log.lines().find(|line| !line.starts_with("20") || line.matches("Z ").count() != 1);
    assert_eq!(broken, None);
}

#[test]
fn a_secret_that_looks_like_anything_else_spoils_no_answer() {
    for secret in ["mcpline", "true", "attempts\":1", "500", "1"] {
        let upstream = Upstream::serve(after_handshake(|exchange| exchange.status(500)));
        let mut line =
            Line::to(&upstream.url()).args("--user u").env("MCPLINE_PASSWORD", secret).ready();
        line.send(call(1, "any", "{}"));
        let data = line.recv_id("1").failure(-33003).clone();
        assert_eq!(data["httpStatus"], 500, "{secret}");
        line.finish_with_nothing_left();
    }
}
