//! Signing in: from a refusal to a token, and from then on a token that stays good.

use tempfile::TempDir;

use crate::support::{
    Authority, Line, Rules, Setup, address_in, at_once, call, get, request, sign_in_at,
};

/// A line to the server of `authority` that keeps its sign-ins in `dir`.
fn line_to(authority: &Authority, dir: &TempDir) -> Setup {
    Line::to(&authority.server.url()).env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
}

/// Sends `tools/list` with `id` and gives the address that the error tells.
fn address(line: &mut Line, id: u32) -> String {
    line.send(request(id, "tools/list", "{}"));
    let reply = line.recv_id(&id.to_string());
    let data = reply.failure(-33011);
    assert!(reply.error_text().contains("sign in, then try again"), "{reply}");
    let address = address_in(reply.error_text());
    assert_eq!(data["signInUrl"], address.as_str());
    address
}

/// A line on which a person has signed in.
fn signed_in(authority: &Authority, dir: &TempDir) -> Line {
    let mut line = line_to(authority, dir).ready();
    let url = address(&mut line, 1);
    assert!(sign_in_at(&url).body.contains("You are signed in"));
    line.recv_method("notifications/tools/list_changed");
    line.send(request(2, "tools/list", "{}"));
    assert!(line.recv_id("2").result().is_object());
    line
}

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
fn the_next_process_needs_no_person_and_no_discovery() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    let asked = authority.issuer.requests().len();
    let before = authority.server.requests().len();
    let mut line = line_to(&authority, &dir).ready();
    line.send(call(1, "any", "{}"));
    assert!(line.recv_id("1").result().is_object());
    line.finish();
    assert_eq!(authority.issuer.requests().len(), asked);
    let requests = authority.server.requests();
    let posts = requests[before..].iter().filter(|request| request.method == "POST");
    assert_eq!(posts.count(), 3, "initialize, initialized, tools/call");
}

#[test]
fn a_refused_token_is_renewed_once_for_all_who_wait() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    authority.end_tokens();
    for id in 100..150 {
        line.send(call(id, "any", "{}"));
    }
    for id in 100..150 {
        let reply = line.recv_id(&id.to_string());
        assert!(reply.result().is_object(), "{reply}");
    }
    assert_eq!(authority.count("refresh"), 1);
    assert!(!authority.was_replayed());
    line.finish();
}

#[test]
fn processes_with_one_sign_in_renew_it_once() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    authority.end_tokens();
    at_once(0..5, |_| {
        let mut line = line_to(&authority, &dir).ready();
        line.send(call(1, "any", "{}"));
        assert!(line.recv_id("1").result().is_object());
        line.finish();
    });
    assert_eq!(authority.count("refresh"), 1);
    assert!(!authority.was_replayed());
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    // Each is due when it is used next.
    let authority = Authority::start(Rules { life: 0, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    line.send(call(3, "any", "{}"));
    assert!(line.recv_id("3").result().is_object());
    line.finish();
    assert!(authority.count("refresh") > 0);
    assert!(!authority.was_replayed());
}

#[test]
fn a_sign_in_that_has_ended_asks_the_person_again() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    authority.end_tokens();
    authority.end_sign_ins();
    let url = address(&mut line, 3);
    sign_in_at(&url);
    line.recv_method("notifications/tools/list_changed");
    line.send(call(4, "any", "{}"));
    assert!(line.recv_id("4").result().is_object());
    // The registration is still good.
    assert_eq!(authority.count("register"), 1);
    line.finish();
}

#[test]
fn a_refusal_by_the_person_is_told_and_not_asked_again() {
    let authority = Authority::start(Rules { denies: true, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let url = address(&mut line, 1);
    let page = sign_in_at(&url);
    assert!(page.body.contains("You are not signed in"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;no"), "{}", page.body);
    for id in [2, 3] {
        line.send(request(id, "tools/list", "{}"));
        let reply = line.recv_id(&id.to_string());
        reply.failure(-33005);
        assert!(reply.error_text().contains("access_denied"), "{reply}");
        assert!(reply.error_text().contains("mcpline login"), "{reply}");
    }
    assert_eq!(authority.count("authorize"), 1);
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
fn the_page_keeps_nothing_and_answers_nobody_else() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let url = address(&mut line, 1);
    let back = get(&url, "").location().unwrap().to_owned();
    let (base, query) = back.split_once('?').unwrap();
    let forged = query.replace("state=", "state=x");
    assert_eq!(get(&format!("{base}?{forged}"), "").status, 400);
    assert_eq!(get(&back, "Host: evil.example\r\n").status, 421);
    assert_eq!(get(base, "").status, 404);
    // None of this has ended the wait, and the redirect may come twice.
    for _ in 0..2 {
        let answer = get(&back, "");
        assert_eq!((answer.status, answer.location()), (303, Some("/done")));
    }
    let done = base.replace("/callback", "/done");
    let page = get(&done, "Accept-Language: ru\r\n");
    assert!(page.body.contains("Вход выполнен"), "{}", page.body);
    assert!(page.head.to_lowercase().contains("default-src 'none'"), "{}", page.head);
    assert!(page.head.to_lowercase().contains("no-store"));
    assert_eq!(authority.count("code"), 1);
    line.finish();
}

/// What a server that leads astray is answered with, and that nothing of it is used.
#[test]
fn a_server_that_cannot_be_trusted_gets_no_token_request() {
    let rows: [(Rules, &str); 7] = [
        (
            Rules { iss: Some("https://evil.example"), ..Rules::default() },
            "another authorization server",
        ),
        (
            Rules { server: |it| it["issuer"] = "https://evil.example".into(), ..Rules::default() },
            "another issuer",
        ),
        (
            Rules {
                server: |it| it["authorization_endpoint"] = "javascript:alert(1)".into(),
                ..Rules::default()
            },
            "not an https:// address",
        ),
        (
            Rules {
                server: |it| it["token_endpoint"] = "http://evil.example/token".into(),
                ..Rules::default()
            },
            "not encrypted",
        ),
        (
            Rules {
                server: |it| it["code_challenge_methods_supported"] = "S256".into(),
                ..Rules::default()
            },
            "publishes no metadata",
        ),
        (
            Rules {
                server: |it| {
                    it.as_object_mut().unwrap().remove("code_challenge_methods_supported");
                },
                ..Rules::default()
            },
            "PKCE",
        ),
        (
            Rules {
                resource: |it| it["resource"] = "https://evil.example/mcp".into(),
                ..Rules::default()
            },
            "another server",
        ),
    ];
    at_once(rows, |(rules, told)| {
        let is_mix_up = rules.iss.is_some();
        let authority = Authority::start(rules);
        let dir = tempfile::tempdir().unwrap();
        let mut line = line_to(&authority, &dir).spawn();
        line.send(crate::support::INITIALIZE);
        let mut reply = line.recv_id("\"init\"");
        if is_mix_up {
            let url = address(&mut line, 1);
            sign_in_at(&url);
            line.send(request(2, "tools/list", "{}"));
            reply = line.recv_id("2");
        }
        assert!(reply.error_text().contains(told), "{told}: {reply}");
        assert_eq!(authority.count("code"), 0, "{told}");
        line.finish();
    });
}

#[test]
fn a_server_that_registers_nobody_is_told_how_to_name_a_client() {
    let authority = Authority::start(Rules { registration: 403, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).spawn();
    line.send(crate::support::INITIALIZE);
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
fn a_bridge_that_is_restarted_meanwhile_finishes_the_same_sign_in() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut first = line_to(&authority, &dir).ready();
    let url = address(&mut first, 1);
    first.finish();
    let mut second = line_to(&authority, &dir).ready();
    assert_eq!(address(&mut second, 1), url);
    sign_in_at(&url);
    second.recv_method("notifications/tools/list_changed");
    assert_eq!(authority.count("register"), 1);
    second.finish();
}

#[test]
fn processes_share_one_sign_in() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut first = line_to(&authority, &dir).ready();
    let url = address(&mut first, 1);
    let mut others: Vec<_> = (0..3).map(|_| line_to(&authority, &dir).ready()).collect();
    for other in &mut others {
        assert_eq!(address(other, 1), url);
    }
    sign_in_at(&url);
    for line in others.iter_mut().chain([&mut first]) {
        line.recv_method("notifications/tools/list_changed");
        line.send(call(2, "any", "{}"));
        assert!(line.recv_id("2").result().is_object());
    }
    for line in others.into_iter().chain([first]) {
        line.finish();
    }
    assert_eq!((authority.count("register"), authority.count("code")), (1, 1));
}

#[test]
fn no_secret_of_a_sign_in_is_shown() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).args("--log-level trace").ready();
    let url = address(&mut line, 1);
    sign_in_at(&url);
    line.recv_method("notifications/tools/list_changed");
    authority.end_tokens();
    line.send(call(2, "any", "{}"));
    line.recv_id("2");
    line.close_stdin();
    let ended = line.wait();
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn what_others_could_read_is_not_used() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    let folder = dir.path().join("oauth");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let kept = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> =
        kept.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&kept[0], Permissions::from_mode(0o644)).unwrap();
    let mut line = line_to(&authority, &dir).spawn();
    line.send(crate::support::INITIALIZE);
    let reply = line.recv_id("\"init\"");
    assert!(reply.error_text().contains("chmod 600"), "{reply}");
    line.finish();
}
