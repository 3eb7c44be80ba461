//! Signing in: from a refusal to a token, by each of the ways.

use crate::support::{
    Authority, INITIALIZE, Line, Rules, address, address_in, call, get, line_to, request,
    sign_in_at, signed_in,
};

#[test]
fn a_person_signs_in_while_the_client_goes_on() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    line.send(call(3, "any", "{}"));
    assert!(line.recv_id("3").result().is_object());
    assert_eq!(authority.count("register"), 1);
    assert_eq!(authority.count("authorize"), 1);
    let client = authority.client();
    assert_eq!(client["application_type"], "native");
    assert_eq!(client["grant_types"][1], "refresh_token");
    line.finish();
}

#[test]
fn a_call_without_its_scope_asks_for_more() {
    let authority = Authority::start(Rules { needed: Some("more"), ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    line.send(call(3, "any", "{}"));
    let reply = line.recv_id("3");
    reply.failure(-33011);
    let url = address_in(reply.error_text());
    assert!(
        url.contains("scope=all+offline_access+more") || url.contains("scope=all+more"),
        "{url}"
    );
    sign_in_at(&url);
    line.recv_method("notifications/tools/list_changed");
    line.send(call(4, "any", "{}"));
    assert!(line.recv_id("4").result().is_object());
    line.finish();
}

#[test]
fn a_server_that_opens_without_a_token_is_signed_in_to_at_its_first_refusal() {
    let authority =
        Authority::start(Rules { is_open: true, challenges: false, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
}

#[test]
fn a_server_that_registers_nobody_is_told_how_to_name_a_client() {
    let authority = Authority::start(Rules { registration: 403, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id("\"init\"");
    assert!(reply.error_text().contains("MCPLINE_OAUTH_CLIENT_ID"), "{reply}");
    assert!(reply.error_text().contains("not from here"), "{reply}");
    line.finish();
    let mut line = line_to(&authority, &dir).env("MCPLINE_OAUTH_CLIENT_ID", "mine").ready();
    let url = address(&mut line, 1);
    assert!(url.contains("client_id=mine"), "{url}");
    line.finish();
}

#[test]
fn a_program_signs_in_by_itself() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir)
        .args("--oauth-grant client-credentials --oauth-client-id robot")
        .env("MCPLINE_OAUTH_CLIENT_SECRET", "client-s3cret")
        .ready();
    line.send(call(1, "any", "{}"));
    assert!(line.recv_id("1").result().is_object());
    authority.end_tokens();
    authority.end_sign_ins();
    line.finish();
    assert_eq!(authority.count("client"), 1);
    assert_eq!(authority.count("authorize"), 0);
}

#[test]
fn a_person_signs_in_on_another_device() {
    let authority = Authority::start(Rules {
        server: |it| {
            let base = it["issuer"].as_str().unwrap().to_owned();
            it["device_authorization_endpoint"] = format!("{base}/device").into();
        },
        ..Rules::default()
    });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).args("--oauth-grant device").ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    let url = reply.failure(-33011)["signInUrl"].as_str().unwrap().to_owned();
    assert!(url.ends_with("/approve?user_code=ABCD"), "{url}");
    get(&url, "");
    line.recv_method("notifications/tools/list_changed");
    line.send(call(2, "any", "{}"));
    assert!(line.recv_id("2").result().is_object());
    line.finish();
    assert_eq!(authority.count("authorize"), 0);
}

#[test]
fn a_person_signs_in_ahead_and_out_again() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let run = |command: &str| {
        Line::run(command).arg(authority.server.url()).env("MCPLINE_STATE_DIR", state).spawn()
    };
    let login = run("login");
    let url =
        login.wait_stderr(|stderr| stderr.contains("paste it here").then(|| address_in(stderr)));
    assert!(sign_in_at(&url).body.contains("You are signed in"));
    let ended = login.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let mut line = line_to(&authority, &dir).ready();
    line.send(call(1, "any", "{}"));
    assert!(line.recv_id("1").result().is_object());
    line.finish();
    let ended = run("logout").wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains("Signed out"), "{}", ended.stderr);
    assert_eq!(authority.count("revoke"), 2);
    let mut line = line_to(&authority, &dir).ready();
    address(&mut line, 1);
    line.finish();
}

#[test]
fn a_code_to_type_stands_beside_the_address() {
    let authority = Authority::start(Rules {
        server: |it| {
            let base = it["issuer"].as_str().unwrap().to_owned();
            it["device_authorization_endpoint"] = format!("{base}/device").into();
        },
        device: |it| it["verification_uri_complete"] = 1.into(),
        ..Rules::default()
    });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).args("--oauth-grant device").ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    let url = reply.failure(-33011)["signInUrl"].as_str().unwrap().to_owned();
    assert!(url.ends_with("/approve"), "{url}");
    assert!(reply.error_text().contains("enter the code ABCD"), "{reply}");
    line.finish();
}

#[test]
fn a_program_renews_its_token_ahead() {
    let authority = Authority::start(Rules { life: 0, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir)
        .args("--oauth-grant client-credentials --oauth-client-id robot")
        .env("MCPLINE_OAUTH_CLIENT_SECRET", "client-s3cret")
        .ready();
    let refused = |authority: &Authority| {
        let requests = authority.server.requests();
        requests.iter().filter(|request| request.header("authorization").is_none()).count()
    };
    let before = refused(&authority);
    line.send(call(1, "any", "{}"));
    assert!(line.recv_id("1").result().is_object());
    line.finish();
    assert!(authority.count("client") > 1);
    assert_eq!(refused(&authority), before);
}
