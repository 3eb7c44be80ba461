//! One sign-in by a person, whatever number of processes and requests wait for it.

#[cfg(unix)]
use std::fs;
use std::net::TcpListener;
use std::time::Instant;

use tempfile::TempDir;

use crate::support::{
    Authority, INITIALIZE, Line, Message, Rules, SOON, Upstream, address, address_in, call,
    line_to, request, sign_in_at, signed_in,
};

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

/// Waits until a request on `line` is not answered with an address any more.
fn outcome(line: &mut Line) -> Message {
    for id in 10..60 {
        line.send(request(id, "tools/list", "{}"));
        let reply = line.recv_id(&id.to_string());
        if !reply.error_text().contains("sign in, then try again") {
            return reply;
        }
    }
    panic!("it waits for ever");
}

#[test]
fn a_refusal_by_the_person_counts_for_all_processes() {
    let authority = Authority::start(Rules { denies: true, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut lines: Vec<_> = (0..3).map(|_| line_to(&authority, &dir).ready()).collect();
    let urls: Vec<_> = lines[..2].iter_mut().map(|line| address(line, 1)).collect();
    assert_eq!(urls[0], urls[1]);
    sign_in_at(&urls[0]);
    // The last one has not even asked before.
    for line in &mut lines {
        let reply = outcome(line);
        reply.failure(-33005);
        assert!(reply.error_text().contains("access_denied"), "{reply}");
    }
    for line in lines {
        line.finish();
    }
    // A person who starts the next process is asked again.
    let mut next = line_to(&authority, &dir).ready();
    assert_ne!(address(&mut next, 1), urls[0]);
    next.finish();
    assert_eq!((authority.count("authorize"), authority.count("register")), (1, 1));
}

#[test]
fn a_refused_step_up_leaves_the_sign_in_as_it_is() {
    let authority = Authority::start(Rules { needed: Some("more"), ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    line.send(call(3, "any", "{}"));
    let url = address_in(line.recv_id("3").error_text());
    authority.deny();
    sign_in_at(&url);
    line.send(call(4, "any", "{}"));
    assert!(line.recv_id("4").error_text().contains("access was refused"));
    authority.end_tokens();
    line.send(request(5, "tools/list", "{}"));
    let reply = line.recv_id("5");
    assert!(reply.result().is_object(), "{reply}");
    line.finish();
    assert_eq!(authority.count("refresh"), 1);
}

#[test]
fn a_sign_in_for_more_leaves_the_tokens_until_it_is_done() {
    let authority = Authority::start(Rules { needed: Some("more"), ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    let redirect = authority.client()["redirect_uris"][0].as_str().unwrap().to_owned();
    let port = redirect.split(':').nth(2).unwrap().split('/').next().unwrap();
    // Another program has the port that the client is registered for.
    let taken = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let mut line = line_to(&authority, &dir).ready();
    line.send(call(3, "any", "{}"));
    line.recv_id("3").failure(-33011);
    line.finish();
    assert_eq!(authority.count("register"), 2);
    drop(taken);
    authority.end_tokens();
    let mut line = line_to(&authority, &dir).ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result().is_object(), "{reply}");
    line.finish();
}

#[test]
fn a_login_that_came_to_nothing_says_so() {
    let authority = Authority::start(Rules { denies: true, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let login = login(&authority, &dir);
    sign_in_at(&login.1);
    let ended = login.0.wait();
    assert!(!ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains("access was refused"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("Signed in"), "{}", ended.stderr);
}

#[test]
fn a_page_that_led_nowhere_is_followed_by_another_registration() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    // The page says that it does not know the client, and the person gives up.
    drop(login(&authority, &dir).0);
    let (again, url) = login(&authority, &dir);
    assert_eq!(authority.count("register"), 2);
    sign_in_at(&url);
    assert!(again.wait().status.success());
    // One that has led to a token is good.
    let (again, _) = login(&authority, &dir);
    drop(again);
    assert_eq!(authority.count("register"), 2);
}

/// Where the file is not sealed, a test can make it old.
#[cfg(unix)]
#[test]
fn a_page_that_got_too_old_is_followed_by_another_registration() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let old = address(&mut line, 1);
    line.finish();
    let files = fs::read_dir(dir.path().join("oauth")).unwrap().map(|file| file.unwrap().path());
    let mut pending = files.filter(|path| path.extension().is_some_and(|it| it == "pending"));
    let path = pending.next().unwrap();
    let mut shared: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    shared["pending"]["begun"] = 0.into();
    fs::write(&path, shared.to_string()).unwrap();
    let mut line = line_to(&authority, &dir).ready();
    assert_ne!(address(&mut line, 1), old);
    line.finish();
    assert_eq!(authority.count("register"), 2);
}

/// `mcpline login`, and the address that it tells.
fn login(authority: &Authority, dir: &TempDir) -> (Line, String) {
    let login = Line::run("login")
        .arg(authority.server.url())
        .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
        .spawn();
    let told = |stderr: &str| stderr.contains("paste it here").then(|| address_in(stderr));
    let url = login.wait_stderr(told);
    (login, url)
}

#[test]
fn what_failed_is_not_tried_again_for_each_request() {
    let authority = Authority::start(Rules { registration: 403, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).spawn();
    line.send(INITIALIZE);
    assert!(line.recv_id("\"init\"").error_text().contains("refuses to register"));
    for id in 1..20 {
        line.send(request(id, "tools/list", "{}"));
    }
    for id in 1..20 {
        let reply = line.recv_id(&id.to_string());
        assert!(reply.error_text().contains("refuses to register"), "{reply}");
    }
    line.finish();
    assert_eq!(authority.requests_for("/register"), 1);
}

#[test]
fn a_command_that_ends_at_once_asks_nobody() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    for command in ["tools", "call"] {
        let tool = if command == "call" { "any" } else { "" };
        let output = Line::run(command)
            .arg(authority.server.url())
            .args(tool)
            .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
            .output("");
        assert_ne!(output.status, 0);
        let told = output.stdout + &output.stderr;
        assert!(told.contains("mcpline login"), "{told}");
    }
    assert_eq!(authority.count("register"), 0);
}

#[test]
fn an_authorization_server_that_hangs_holds_nobody_up() {
    let authority = Authority::start(Rules::default());
    let hanging = Upstream::serve(|exchange| {
        exchange.pass("never")?;
        exchange.status(404)
    });
    authority.move_to(hanging.url_of(""));
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let begun = Instant::now();
    for id in 1..10 {
        line.send(request(id, "tools/list", "{}"));
    }
    for id in 1..10 {
        let reply = line.recv_id(&id.to_string());
        reply.failure(-33011);
        assert!(reply.error_text().contains("has not answered within"), "{reply}");
    }
    assert!(begun.elapsed() < SOON);
    line.finish();
}
