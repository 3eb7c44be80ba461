//! The settings file: sections with names, what goes before what, and what is wrong with a file.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::{
    Ended, Generation, Line, Onec, Request, Reuse, Setup, Upstream, after_handshake, call, request,
};

type Variables = &'static [(&'static str, &'static str)];

const DEAD: &str = "http://127.0.0.1:9/mcp";

fn silent() -> Upstream {
    Upstream::serve(after_handshake(|exchange| exchange.result("{}")))
}

/// A settings file in a folder of its own.
struct File {
    folder: TempDir,
    path: PathBuf,
}

impl File {
    fn of(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcpline.toml");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    fn run(&self, args: &str) -> Setup {
        Line::run("--config").arg(&self.path).args(args)
    }
}

fn run(setup: Setup) -> Ended {
    let mut line = setup.spawn();
    line.close_stdin();
    line.wait()
}

fn is_refused(setup: Setup, hint: &str) {
    let ended = run(setup);
    assert_eq!(ended.status.code(), Some(2), "{hint}: {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{hint}: {}", ended.stderr);
    assert!(ended.stderr.contains(hint), "{hint}: {}", ended.stderr);
}

#[test]
fn a_server_goes_by_the_name_of_its_section() {
    let upstream = silent();
    let file = File::of(format!(
        "header = ['X-Place: top', 'X-Other: top']\n\
         [crm]\n\
         url = '{}'\n\
         bearer = \"t0ken-of-the-file\"\n\
         [crm.header]\n\
         X-Place = \"section ${{PLACE}}\"\n\
         [other]\n\
         url = 'http://127.0.0.1:9/mcp'\n\
         timout = 'not looked at'\n",
        upstream.url()
    ));
    let setup = file.run("--log-level trace crm").env("PLACE", "one");
    let mut line = setup.ready();
    line.close_stdin();
    let shown = line.wait().stderr;
    let sent = upstream.nth("initialize", 1);
    assert_eq!(sent.header("authorization"), Some("Bearer t0ken-of-the-file"));
    assert_eq!(sent.header("x-place"), Some("section one"));
    assert_eq!(sent.header("x-other"), None, "a section's option replaces that for all");
    assert!(!shown.contains("t0ken-of-the-file"), "{shown}");
}

#[test]
fn the_file_is_found_by_its_variable_and_at_the_usual_place() {
    let upstream = silent();
    let text = format!("[crm]\nurl = '{}'\n", upstream.url());
    let file = File::of(&text);
    Line::run("crm").env("MCPLINE_CONFIG", file.path.to_str().unwrap()).ready();
    let by_name = file.folder.path().to_str().unwrap();
    Line::run("--config ${DIR}/mcpline.toml crm").env("DIR", by_name).ready();

    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(if cfg!(target_os = "macos") {
        "Library/Application Support/mcpline"
    } else {
        "mcpline"
    });
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), &text).unwrap();
    let home = home.path().to_str().unwrap();
    let setup =
        Line::run("crm").env("HOME", home).env("XDG_CONFIG_HOME", home).env("APPDATA", home);
    setup.ready();
    assert_eq!(upstream.count("initialize"), 3);
}

/// What stands on the right goes before what stands on the left, in each row.
#[test]
fn the_command_line_goes_before_the_environment_before_the_section_before_the_rest() {
    let upstream = silent();
    let file = File::of(format!(
        "user = 'top'\npassword = 'top-pass'\n\
         [plain]\nurl = '{url}'\n\
         [bearer]\nurl = '{url}'\nbearer = 'of-section'\n\
         [person]\nurl = '{url}'\nuser = 'section'\n",
        url = upstream.url()
    ));
    let basic = |login: &str| format!("Basic {login}");
    let rows: [(&str, Variables, String); 7] = [
        ("plain", &[], basic("dG9wOnRvcC1wYXNz")),
        ("person", &[], basic("c2VjdGlvbjp0b3AtcGFzcw==")),
        ("bearer", &[], "Bearer of-section".into()),
        ("bearer", &[("MCPLINE_BEARER", "of-variable")], "Bearer of-variable".into()),
        ("bearer", &[("MCPLINE_USER", "env")], basic("ZW52OnRvcC1wYXNz")),
        ("--user typed person", &[("MCPLINE_USER", "env")], basic("dHlwZWQ6dG9wLXBhc3M=")),
        ("person", &[("MCPLINE_PASSWORD", "env-pass")], basic("c2VjdGlvbjplbnYtcGFzcw==")),
    ];
    for (nth, (args, variables, expected)) in rows.iter().enumerate() {
        let setup = file.run(args);
        let setup = variables.iter().fold(setup, |setup, (name, value)| setup.env(name, value));
        setup.ready();
        let sent = upstream.nth("initialize", nth + 1);
        assert_eq!(sent.header("authorization"), Some(&expected[..]), "{args} {variables:?}");
    }
}

#[test]
fn every_sort_of_value_reaches_its_option() {
    // A text, a switch, a list, a value that may be left out, and a file.
    let onec =
        Onec::publish(Generation::LenientKeys).sessions(Reuse::Managed).user("me", "").serve();
    let file = File::of(format!(
        "user = 'me'\ninsecure = false\nkeep = ['names', 'uris']\nmanaged-sessions = true\n\
         log-file = 'beside.log'\nkind = '1c'\nurl = '{}'\n",
        onec.url()
    ));
    let mut line = file.run("").ready();
    line.send(call("1", "get_stock", "{}"));
    line.recv_id("1").result();
    line.close_stdin();
    let ended = line.wait();
    let asks = |request: &Request| request.header("ibsession").is_some();
    assert!(onec.requests().iter().any(asks), "{}", ended.stderr);
    assert!(ended.stderr.contains("`keep` in"), "told by the key: {}", ended.stderr);
    assert!(!ended.stderr.contains("--insecure"), "{}", ended.stderr);
    assert!(file.folder.path().join("beside.log").exists(), "beside the settings file");

    // Numbers, with a fraction and with an underscore in the key, and a switch that is on.
    let upstream = Upstream::serve(after_handshake(|exchange| match exchange.name().as_str() {
        "tools/list" => exchange.status(503),
        _ => exchange.pass("never"),
    }));
    let file = File::of(format!(
        "timeout = 0.5\nmax_message = 4000\nno-retry = true\nurl = '{}'\n",
        upstream.url()
    ));
    let mut line = file.run("").ready();
    line.send(request("1", "tools/list", "{}"));
    assert_eq!(line.recv_id("1").error_code(), -33003);
    assert_eq!(upstream.count("tools/list"), 1);
    line.send(call("2", "any", "{}"));
    assert_eq!(line.recv_id("2").error_code(), -33006);
    line.send(call("3", "any", &format!(r#"{{"text":"{}"}}"#, "x".repeat(5000))));
    assert_eq!(line.recv_id("3").error_code(), -33009);
    line.finish();
}

/// What is off says nothing against what excludes it.
#[test]
fn a_switch_that_is_off_hides_no_other_setting() {
    // A setting that counts is read, and this one cannot be.
    let top = "retry-for = 'soon'\n";
    let off = File::of(format!("{top}[crm]\nurl = '{DEAD}'\nno-retry = false\n"));
    is_refused(off.run("crm"), "`retry-for` in ");
    let plain = File::of(top);
    is_refused(plain.run(DEAD).env("MCPLINE_NO_RETRY", "0"), "`retry-for` in ");
    let on = File::of(format!("{top}[crm]\nurl = '{DEAD}'\nno-retry = true\n"));
    assert!(run(on.run("crm")).status.success());
    // The variable goes before the file all the same.
    let on_for_all = File::of("no-retry = true\n");
    for setup in [
        on_for_all.run("--retry-for 5").arg(DEAD).env("MCPLINE_NO_RETRY", "0"),
        Line::run("--retry-for 5").arg(DEAD).env("MCPLINE_NO_RETRY", "off"),
        File::of("no-retry = false\n").run("--retry-for 5").arg(DEAD),
        File::of("managed-sessions = false\n").run(DEAD),
    ] {
        let ended = run(setup);
        assert!(!ended.stderr.contains("no effect"), "{}", ended.stderr);
    }
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (text, hint) in [
        ("\ntimout = 3\n", "line 2: there is no setting `timout`: did you mean `timeout`?"),
        ("config = 'x'\n", "there is no setting `config`"),
        ("[crm]\nurl = 'http://h/'\npasword = 'x'\n", "line 3: there is no setting `pasword`"),
        ("\n\ntimeout = 'soon'\n", "`timeout` in "),
        ("kind = 'pigeon'\n", "line 1"),
        ("timeout = true\n", "`timeout` needs a text or a number"),
        ("insecure = 'yes'\n", "`insecure` is either true or false"),
        ("header = ['no colon']\n", "line 1"),
        ("client-key = 'key.pem'\n", "--client-cert"),
        ("[crm]\nurl = http://h/\n", "line 2"),
        ("ca-file = \"C:\\Tools\\ca.pem\"\n", "single quotes"),
        ("user = 'me'\nuser = 'you'\n", "line 2"),
        ("[crm]\n[crm.deep]\nuser = 'x'\n", "there is no setting `deep`"),
        ("[crm]\nkind = 'mcp'\n", "[crm]"),
        ("[[crm]]\nurl = 'http://h/'\n", "write [crm], once"),
    ] {
        let file = File::of(text);
        let server = if text.contains("crm") { "crm" } else { DEAD };
        is_refused(file.run(server), hint);
        if !hint.contains("--client-cert") {
            is_refused(file.run(server), file.path.to_str().unwrap());
        }
    }
}

#[test]
fn a_name_without_a_section_is_told() {
    let file = File::of("[crm]\nurl = 'http://h/'\n[warehouse]\n");
    is_refused(file.run("wharehouse"), "did you mean `warehouse`?");
    is_refused(file.run("elsewhere"), "has no section [elsewhere]");
    is_refused(file.run("localhost"), "because https:// or http:// in front is missing");
    // Where the file usually is depends on the system, and on the environment.
    is_refused(Line::run("crm"), "write a section [crm]");
    is_refused(Line::run("--config /nowhere/x.toml crm"), "cannot be read");
}

#[test]
fn the_file_may_be_as_windows_editors_write_it() {
    let text = "# настройки\r\n[crm]\r\nkind = 'pigeon'\r\n";
    let utf16: Vec<u8> =
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [format!("\u{feff}{text}").into_bytes(), utf16] {
        is_refused(File::of(bytes).run("crm"), "line 3");
    }
    is_refused(File::of(b"# \xed\xe0\xf1\n").run("crm"), "save it as UTF-8");
}

#[test]
fn a_broken_file_stands_in_nobodys_way_to_help() {
    let file = File::of("what is this");
    for answer in ["--version", "--help"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mcpline"));
        let output = command.arg("--config").arg(&file.path).arg(answer).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_others_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    for (text, mode, is_warned) in [
        ("[crm]\nbearer = 'x'\n", 0o644, true),
        ("[crm]\nbearer = 'x'\n", 0o600, false),
        ("timeout = 3\n", 0o644, false),
        ("proxy = 'http://u:p@proxy:1'\n", 0o640, true),
    ] {
        let file = File::of(text);
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
        let shown = run(file.run(DEAD)).stderr;
        assert_eq!(shown.contains("chmod 600"), is_warned, "{text} {mode:o}: {shown}");
    }
}

/// The command differs, the server is named in the same way.
#[test]
fn commands_that_ask_a_server_take_the_name_of_a_section_too() {
    for command in ["check crm", "tools crm", "call crm look"] {
        let upstream = Upstream::serve(after_handshake(|exchange| {
            exchange.result(match exchange.name().as_str() {
                "tools/list" => r#"{"tools":[{"name":"look","inputSchema":{"type":"object"}}]}"#,
                _ => r#"{"content":[]}"#,
            })
        }));
        let text = format!("url = '{DEAD}'\n[crm]\nurl = '{}'\n", upstream.url());
        let file = File::of(text);
        let ended = file.run(command).output("");
        assert_eq!(ended.status, 0, "{command}: {}{}", ended.stdout, ended.stderr);
        assert!(upstream.count("tools/list") > 0, "{command}");
        // The environment goes before what the file says for all.
        let file = File::of(format!("url = '{DEAD}'\n"));
        let of_all = command.replacen(" crm", "", 1);
        let ended = file.run(&of_all).env("MCPLINE_URL", &upstream.url()).output("");
        assert_eq!(ended.status, 0, "{of_all}: {}{}", ended.stdout, ended.stderr);
    }
}
