//! `mcpline check` of servers that want a sign-in: step by step, and without signing anybody in.

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Authority, Line, Output, Reply, Rules, Setup, Upstream, address_in, after_handshake, at_once,
    request, sign_in_at,
};

fn check(authority: &Authority, dir: &TempDir) -> Setup {
    let state = dir.path().to_str().unwrap();
    Line::run("check").arg(authority.server.url()).env("MCPLINE_STATE_DIR", state)
}

/// The steps of a check that must end with `status`.
fn report(setup: Setup, status: i32) -> Value {
    let Output { status: ended, stdout, stderr } = setup.arg("--json").output("");
    assert_eq!(ended, status, "{stdout} {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut steps = report["steps"].as_array().unwrap().iter();
    steps.find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step {name}: {report}"))
}

fn sign_in(authority: &Authority, dir: &TempDir) {
    let state = dir.path().to_str().unwrap();
    let mut line = Line::to(&authority.server.url()).env("MCPLINE_STATE_DIR", state).ready();
    line.send(request(1, "tools/list", "{}"));
    sign_in_at(&address_in(line.recv_id("1").error_text()));
    line.recv_method("notifications/tools/list_changed");
    line.finish();
}

#[test]
fn a_sign_in_is_told_step_by_step_and_nobody_is_signed_in() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let found = report(check(&authority, &dir), 1);
    for ok in
        ["challenge", "resource", "authorization-server", "client", "scopes", "clock", "token"]
    {
        assert_ne!(step(&found, ok)["outcome"], "failed", "{ok}: {found}");
    }
    assert_eq!(
        step(&found, "resource")["facts"]["resource"],
        authority.server.url().as_str(),
        "{found}"
    );
    let server = &step(&found, "authorization-server")["facts"];
    assert_eq!(server["issuer"], authority.issuer.url_of("").as_str());
    assert_eq!(server["pkceS256"], true);
    assert_eq!(step(&found, "scopes")["facts"]["asked"], serde_json::json!(["all"]));
    assert_eq!(step(&found, "token")["facts"]["isStored"], false);
    let verdict = step(&found, "sign-in");
    assert_eq!(verdict["outcome"], "failed");
    assert!(verdict["hint"].as_str().unwrap().contains("mcpline login"), "{found}");
    for what in ["register", "authorize", "code"] {
        assert_eq!(authority.count(what), 0, "{what}");
    }
}

#[test]
fn a_stored_token_is_told_with_its_age_and_not_shown() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    sign_in(&authority, &dir);
    let found = report(check(&authority, &dir), 0);
    let facts = &step(&found, "token")["facts"];
    assert_eq!((&facts["isStored"], &facts["canBeRenewed"]), (&true.into(), &true.into()));
    assert!(facts["ageSeconds"].is_u64() && facts["secondsLeft"].is_u64(), "{found}");
    assert_eq!(step(&found, "client")["facts"]["clientId"], "client-1");
    assert!(!found.to_string().contains("s3cret"), "{found}");
    let shown = check(&authority, &dir).output("").stdout;
    assert!(shown.contains("it is renewed without a person"), "{shown}");
    assert!(shown.contains("It works."), "{shown}");
}

#[test]
fn the_step_that_a_sign_in_would_fail_at_fails() {
    let rows: [(Rules, &str, &str, &str); 4] = [
        (
            Rules {
                server: |it| {
                    it.as_object_mut().unwrap().remove("registration_endpoint");
                },
                ..Rules::default()
            },
            "client",
            "does not register clients by itself",
            "MCPLINE_OAUTH_CLIENT_ID",
        ),
        (
            Rules {
                server: |it| {
                    it.as_object_mut().unwrap().remove("code_challenge_methods_supported");
                },
                ..Rules::default()
            },
            "authorization-server",
            "PKCE",
            "MCPLINE_OAUTH_CLIENT_ID",
        ),
        (
            Rules { server: |it| it["issuer"] = "https://evil.example".into(), ..Rules::default() },
            "authorization-server",
            "another issuer",
            "administrator",
        ),
        (
            Rules {
                resource: |it| it["resource"] = "https://other.example/mcp".into(),
                ..Rules::default()
            },
            "resource",
            "another server",
            "configuration",
        ),
    ];
    at_once(rows, |(rules, name, text, hint)| {
        let authority = Authority::start(rules);
        let dir = tempfile::tempdir().unwrap();
        let found = report(check(&authority, &dir), 1);
        let failed = step(&found, name);
        assert_eq!(failed["outcome"], "failed", "{found}");
        assert!(failed["text"].as_str().unwrap().contains(text), "{found}");
        assert!(failed["hint"].as_str().unwrap().contains(hint), "{found}");
        assert_eq!(step(&found, "sign-in")["outcome"], "skipped", "{found}");
        assert_eq!(authority.count("register"), 0);
    });
}

#[test]
fn what_is_wrong_beside_a_good_token_is_a_warning() {
    let authority = Authority::start(Rules {
        // Only the first sign-in needs the registration.
        server: |it| {
            it.as_object_mut().unwrap().remove("code_challenge_methods_supported");
        },
        ..Rules::default()
    });
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let url = authority.server.url();
    let mine = |setup: Setup| setup.env("MCPLINE_OAUTH_CLIENT_ID", "mine");
    let mut line = mine(Line::to(&url).env("MCPLINE_STATE_DIR", state)).ready();
    line.send(request(1, "tools/list", "{}"));
    sign_in_at(&address_in(line.recv_id("1").error_text()));
    line.recv_method("notifications/tools/list_changed");
    line.finish();
    let found = report(mine(check(&authority, &dir)), 0);
    assert_eq!(step(&found, "authorization-server")["outcome"], "warning", "{found}");
    assert_eq!(step(&found, "client")["facts"]["clientId"], "mine", "{found}");
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let upstream = Upstream::serve(|exchange| {
        exchange.send(&match exchange.request.method.as_str() {
            "POST" => Reply::status(401)
                .header("WWW-Authenticate", "Bearer")
                .header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            _ => Reply::status(404),
        })
    });
    let found = report(Line::run("check").arg(upstream.url()), 1);
    let clock = step(&found, "clock");
    assert_eq!(
        (&clock["outcome"], &clock["facts"]["direction"]),
        (&"warning".into(), &"ahead of".into())
    );
    // Nothing is published, so what there is must be assumed.
    assert_eq!(step(&found, "authorization-server")["outcome"], "warning", "{found}");
}

#[test]
fn a_server_without_a_sign_in_has_no_such_steps() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(r#"{"tools":[]}"#)));
    let output = Line::run("check").arg(upstream.url()).arg("--json").output("");
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let steps = found["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["step"] != "challenge"), "{found}");
    assert_eq!(step(&found, "sign-in")["outcome"], "ok");
}
