//! Options and variables as people write them: filled in, pasted, mistyped, without effect.

use std::fs;

use crate::support::{Ended, Line, Setup, Upstream, after_handshake, call, request};

const DEAD: &str = "http://127.0.0.1:9/mcp";

fn silent() -> Upstream {
    Upstream::serve(after_handshake(|exchange| exchange.result("{}")))
}

/// Runs with an empty input.
fn run(setup: Setup) -> Ended {
    let mut line = setup.spawn();
    line.close_stdin();
    line.wait()
}

/// Must be refused, in one line that holds `hint`.
fn is_refused(setup: Setup, hint: &str) -> String {
    let ended = run(setup);
    assert_eq!(ended.status.code(), Some(2), "{hint}: {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{hint}: {}", ended.stderr);
    assert!(ended.stderr.contains(hint), "{hint}: {}", ended.stderr);
    ended.stderr
}

#[test]
fn a_variable_is_filled_in_in_the_url_and_in_names_of_files() {
    let upstream = silent();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("headers"), "X-From: file\n").unwrap();
    let line = Line::to("http://${HOST}/${PLACE}?key=${KEY}")
        .args("--log-level debug --header-file ${FOLDER}/headers")
        .env("HOST", &upstream.authority())
        .env("PLACE", "pl4ce-secret")
        .env("KEY", "\"k3y-secret\"\n")
        .env("FOLDER", folder.path().to_str().unwrap());
    let mut line = line.ready();
    line.close_stdin();
    let shown = line.wait().stderr;
    let sent = upstream.nth("initialize", 1);
    assert_eq!(sent.path, "/pl4ce-secret?key=k3y-secret");
    assert_eq!(sent.header("x-from"), Some("file"));
    assert!(!shown.contains("secret") && shown.contains("forwards to"), "{shown}");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    for (args, place) in [
        ("http://h/${NOPE}", "the URL"),
        ("--proxy http://u:${NOPE}@p:1 http://h/", "--proxy"),
        ("--bearer-file ${NOPE} http://h/", "--bearer-file"),
        ("--log-file /tmp/${NOPE} http://h/", "--log-file"),
    ] {
        let told = is_refused(Line::run(args), "NOPE");
        assert!(told.contains(place), "{told}");
    }
    is_refused(Line::to("http://h/${OPEN"), "without its `}`");
}

#[test]
fn a_pasted_secret_is_understood() {
    let cases: [(&str, &str, &str, &str); 9] = [
        ("MCPLINE_BEARER", "Bearer xyz-1\n", "authorization", "Bearer xyz-1"),
        ("MCPLINE_BEARER", "bearer: xyz-1", "authorization", "Bearer xyz-1"),
        ("MCPLINE_BEARER", "\"Authorization: Bearer xyz-1\"", "authorization", "Bearer xyz-1"),
        ("MCPLINE_API_KEY", "'key-1'\r\n", "x-api-key", "key-1"),
        ("MCPLINE_API_KEY", "X-API-Key: key-1", "x-api-key", "key-1"),
        ("MCPLINE_HEADER", "Authorization: Bearer ${T}", "authorization", "Bearer xyz-1"),
        ("MCPLINE_HEADER", "X-T: ${N}", "x-t", "v-1"),
        ("MCPLINE_USER", "name:pass", "authorization", "Basic bmFtZTpwYXNz"),
        ("MCPLINE_BEARER", "second and longer", "authorization", "Bearer second and longer"),
    ];
    for (name, value, header, expected) in cases {
        let upstream = silent();
        let setup = Line::to(&upstream.url()).env(name, value);
        let line = setup.env("T", "Bearer xyz-1\n").env("N", " \"v-1\"\n").ready();
        line.finish_with_nothing_left();
        assert_eq!(upstream.nth("initialize", 1).header(header), Some(expected), "{value}");
    }
}

#[test]
fn a_secret_that_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, " \n").unwrap();
    let bearer = folder.path().join("bearer");
    fs::write(&bearer, "Bearer \n").unwrap();
    for (option, file) in
        [("--bearer-file", &empty), ("--bearer-file", &bearer), ("--api-key-file", &empty)]
    {
        is_refused(Line::to(DEAD).arg(option).arg(file), file.to_str().unwrap());
    }
    is_refused(Line::to(DEAD).env("MCPLINE_BEARER", " "), "MCPLINE_BEARER holds no token");
    is_refused(Line::to(DEAD).env("MCPLINE_API_KEY", "\"\""), "MCPLINE_API_KEY holds no key");
    is_refused(Line::to(DEAD).env("MCPLINE_BEARER", "Basic YTpi"), "Basic");
    fs::write(&empty, "\n").unwrap();
    let ended = run(Line::to(DEAD).args("--user me --password-file").arg(&empty));
    assert!(ended.stderr.contains("is empty"), "{}", ended.stderr);
}

#[test]
fn a_setting_without_effect_is_warned_of() {
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(&str, Variables, &str); 15] = [
        ("", &[("MCPLINE_PASSWORD", "pw")], "MCPLINE_PASSWORD has no effect"),
        ("--user me", &[("MCPLINE_BEARER", "t0ken")], "MCPLINE_BEARER has no effect"),
        ("", &[("MCPLINE_USER", "me"), ("MCPLINE_BEARER", "t0ken")], "MCPLINE_USER has no"),
        ("--user me --header Authorization:x", &[], "--user has no effect"),
        ("--header Authorization:x", &[("MCPLINE_BEARER", "t0ken")], "MCPLINE_BEARER has no"),
        ("--header X-API-Key:x", &[("MCPLINE_API_KEY", "k3y-1")], "MCPLINE_API_KEY has no"),
        ("--basic-charset windows-1251", &[], "--basic-charset has no effect"),
        ("--kind mcp --rate 3", &[], "--rate has no effect"),
        ("--kind bitrix --managed-sessions", &[], "--managed-sessions has no effect"),
        ("--kind amocrm", &[("MCPLINE_SERVICE_ROOT", "x")], "MCPLINE_SERVICE_ROOT has no effect"),
        ("--kind 1c --keep uris", &[], "--keep uris has no effect"),
        ("--kind sse --with stream", &[], "--with stream has no effect"),
        ("--kind 1c --with notifications", &[], "--with notifications has no effect any more"),
        ("--no-retry --retry-for 3", &[], "--retry-for has no effect"),
        ("", &[("MCPLINE_TIMOUT", "3")], "did you mean MCPLINE_TIMEOUT?"),
    ];
    for (args, variables, warning) in cases {
        let setup = Line::to(DEAD).args(args);
        let setup = variables.iter().fold(setup, |setup, (name, value)| setup.env(name, value));
        let ended = run(setup);
        assert!(ended.status.success(), "{warning}: {}", ended.stderr);
        assert!(ended.stderr.contains(warning), "{warning}: {}", ended.stderr);
    }
    for args in ["--kind auto --rate 3", "--kind 1c --managed-sessions", "--user me"] {
        let ended = run(Line::to(DEAD).args(args).env("MCPLINE_LOG_LEVEL", "warn"));
        assert!(!ended.stderr.contains("no effect"), "{args}: {}", ended.stderr);
    }
}

#[test]
fn a_mistyped_option_is_answered_with_the_right_one() {
    for (args, hint) in [
        ("--bearer s3cret", "MCPLINE_BEARER"),
        ("--token=s3cret", "MCPLINE_BEARER"),
        ("--password s3cret", "MCPLINE_PASSWORD"),
        ("--api-key s3cret", "MCPLINE_API_KEY"),
        ("-H X-Key:s3cret", "--header"),
        ("-HX-Key:s3cret", "--header"),
        ("-v", "--log-level debug"),
        ("-q", "--log-level off"),
        ("-k", "--insecure"),
        ("--heder x:y", "did you mean `--header`?"),
        ("--timout 5", "did you mean `--timeout`?"),
        ("check --jsn", "did you mean `--json`?"),
        ("install cursor --dryrun", "did you mean `--dry-run`?"),
    ] {
        let told = is_refused(Line::run(args).arg(DEAD), hint);
        assert!(!told.contains("tip:") && !told.contains("as a value"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_right_one() {
    for (args, told) in [
        ("chek https://h/mcp", "did you mean `mcpline check`?"),
        ("chek demo", "did you mean `mcpline check`?"),
        ("toolz", "did you mean `mcpline tools`?"),
        ("check", "`mcpline check URL`"),
        ("install", "`mcpline install CLIENT [NAME] [OPTIONS] URL`"),
        ("uninstall cursor", "<NAME>"),
        ("check demo extra", "`mcpline check --help`"),
        ("https://h/mcp extra", "`mcpline --help`"),
    ] {
        is_refused(Line::run(args), told);
    }
    // A client starts us in a folder that nobody knows.
    let told = is_refused(Line::run("--header-file nowhere.txt").arg(DEAD), "it was looked for in");
    assert!(told.contains(&*std::env::current_dir().unwrap().to_string_lossy()), "{told}");
}

#[test]
fn a_mistake_is_told_where_it_was_made() {
    for (name, value) in [
        ("MCPLINE_TIMEOUT", "soon"),
        ("MCPLINE_KIND", "pigeon"),
        ("MCPLINE_MAX_IN_FLIGHT", "0"),
        ("MCPLINE_HEADER", "no colon"),
    ] {
        let told = is_refused(Line::to(DEAD).env(name, value), name);
        assert!(!told.contains("--timeout") && !told.contains("--kind "), "{told}");
    }
    let typed = Line::to(DEAD).args("--timeout x").env("MCPLINE_TIMEOUT", "3");
    is_refused(typed, "--timeout");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    for bad in ["no colon", "Bad Name: x", "X: ${NOT_SET}"] {
        fs::write(&file, format!("# comment\n\nX-One: 1\n{bad}\n")).unwrap();
        let place = format!("{} line 4", file.display());
        is_refused(Line::to(DEAD).arg("--header-file").arg(&file), &place);
    }
}

#[test]
fn masking_keeps_our_own_words() {
    for secret in ["password", "http", "mcp", "1234", "error"] {
        let setup = Line::to("http://127.0.0.1:9/mcp").args("--user me --retry-for 0.1");
        let mut line = setup.env("MCPLINE_PASSWORD", secret).spawn();
        line.send(request(1, "ping", "{}"));
        let reply = line.recv();
        line.close_stdin();
        let shown = line.wait().stderr + &reply.text;
        assert!(shown.contains("http://127.0.0.1:9/mcp"), "{secret}: {shown}");
        assert!(!shown.contains("***"), "{secret}: {shown}");
        assert!(shown.contains("cannot be masked") || secret == "1234", "{secret}: {shown}");
    }
}

#[test]
fn a_secret_in_the_path_of_the_url_is_never_shown() {
    for path in ["rest/1/abcdefghijkl", "hook/0f8e1c2d3b4a59687a"] {
        let upstream = Upstream::serve(after_handshake(|exchange| exchange.result("{}")));
        let url = format!("http://{}/{path}/mcp", upstream.authority());
        let mut line = Line::to(&url).args("--log-level trace --retry-for 0.1").ready();
        upstream.stop();
        line.send(call(1, "x", "{}"));
        let reply = line.recv_id("1");
        line.close_stdin();
        let shown = line.wait().stderr + &reply.text;
        let secret = path.rsplit('/').next().unwrap();
        assert!(!shown.contains(secret) && shown.contains("/***/mcp"), "{shown}");
    }
}

#[test]
fn zero_is_no_limit() {
    let upstream = silent();
    let setup = Line::to(&upstream.url()).args("--timeout 0 --max-time 0 --connect-timeout 0");
    let mut line = setup.ready();
    line.send(call(1, "x", "{}"));
    assert_eq!(line.recv_id("1").raw_result(), "{}");
    line.finish_with_nothing_left();
}

#[test]
fn the_short_help_fits_a_screen_and_the_long_one_has_all() {
    let help = |arg: &str| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_mcpline")).arg(arg).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let (short, long) = (help("-h"), help("--help"));
    let lines = short.lines().count();
    assert!((20..=40).contains(&lines), "{lines} lines");
    assert!(short.lines().all(|line| line.chars().count() <= 80), "{short}");
    assert!(short.contains("mcpline --help"), "{short}");
    for word in short.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(long.contains(word.trim_end_matches('.')), "{word}");
    }
    for section in ["Environment:", "Exit status:"] {
        assert!(long.lines().any(|line| line == section), "{section}");
    }
}

#[test]
fn a_run_with_fail_ends_with_the_outcome_of_its_requests() {
    for (method, option, status) in
        [("ping", "--fail", 0), ("no/such", "--fail", 1), ("no/such", "--log-level off", 0)]
    {
        let mut line = Line::run("demo").args(option).spawn();
        line.send(request(1, method, "{}"));
        line.recv();
        line.close_stdin();
        let ended = line.wait();
        assert_eq!(ended.status.code(), Some(status), "{method} {option}: {}", ended.stderr);
    }
}

#[test]
fn one_outage_is_one_warning() {
    let mut line = Line::to(DEAD).args("--retry-for 0.1 --log-format json").spawn();
    for id in 0..100 {
        line.send(request(id, "ping", "{}"));
    }
    for _ in 0..100 {
        line.recv();
    }
    line.close_stdin();
    let ended = line.wait();
    let failed = ended.stderr.lines().filter(|line| line.contains("failed: "));
    assert_eq!(failed.count(), 1, "{}", ended.stderr);
    for line in ended.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "warn", "{line}");
        assert!(line["message"].is_string() && line["time"].is_string(), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_that_fails_ends_the_run_with_a_status_and_a_line() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ping = concat!(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "\n");
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::write(&input, ping).unwrap();
    let run = |stdin: &std::path::Path, stdout: std::process::Stdio| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcpline"))
            .arg("demo")
            .stdin(fs::File::open(stdin).unwrap())
            .stdout(stdout)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, told) = run(&input, full.into());
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("could not be written"), "{told}");
    let (status, told) = run(folder.path(), std::process::Stdio::piped());
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("standard input cannot be read"), "{told}");
}

#[test]
fn a_broken_request_is_answered_to_its_own_id() {
    let mut line = Line::run("demo").spawn();
    line.send(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{"x":NaN}}"#);
    let reply = line.recv();
    assert_eq!((reply.id(), reply.error_code()), (r#""a""#, -32700));
    line.send_bytes(
        b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\",\"params\":{\"x\":\"\xff\"}}\n",
    );
    assert_eq!(line.recv().id(), "2");
    // Spread over lines: one error, and the next message is read.
    line.send("{\n  \"jsonrpc\": \"2.0\",\n  \"id\": 3,\n  \"params\": {\n  },\n  \"method\": \"ping\"\n}");
    let reply = line.recv();
    assert!(reply.error_text().contains("jq -c"), "{reply}");
    line.send(request(4, "ping", "{}"));
    assert_eq!(line.recv().id(), "4");
    line.finish_with_nothing_left();
}
