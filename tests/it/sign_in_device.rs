//! Signing in on another device, with several processes.

use tempfile::TempDir;

use crate::support::{Authority, Line, Rules, Setup, call, get, line_to, request};

fn authority() -> Authority {
    Authority::start(Rules {
        server: |it| {
            let base = it["issuer"].as_str().unwrap().to_owned();
            it["device_authorization_endpoint"] = format!("{base}/device").into();
        },
        device: |it| {
            it.as_object_mut().unwrap().remove("verification_uri_complete");
        },
        ..Rules::default()
    })
}

fn device_line(authority: &Authority, dir: &TempDir) -> Setup {
    line_to(authority, dir).args("--oauth-grant device")
}

/// The address that the person is to open; the code is told too.
fn address(line: &mut Line, id: u32) -> String {
    line.send(request(id, "tools/list", "{}"));
    let reply = line.recv_id(&id.to_string());
    let address = reply.failure(-33011)["signInUrl"].as_str().unwrap().to_owned();
    assert!(reply.error_text().contains("enter the code ABCD"), "{reply}");
    address
}

fn works(line: &mut Line) {
    line.recv_method("notifications/tools/list_changed");
    line.send(call(9, "any", "{}"));
    assert!(line.recv_id("9").result().is_object());
}

#[test]
fn processes_share_one_code() {
    let authority = authority();
    let dir = tempfile::tempdir().unwrap();
    let mut lines: Vec<_> = (0..3).map(|_| device_line(&authority, &dir).ready()).collect();
    let addresses: Vec<_> = lines.iter_mut().map(|line| address(line, 1)).collect();
    assert!(addresses.iter().all(|address| *address == addresses[0]), "{addresses:?}");
    assert_eq!(authority.requests_for("/device"), 1);
    get(&addresses[0], "");
    for line in &mut lines {
        works(line);
    }
    for line in lines {
        line.finish();
    }
}

#[test]
fn a_bridge_that_is_restarted_meanwhile_asks_for_the_same_code() {
    let authority = authority();
    let dir = tempfile::tempdir().unwrap();
    let mut first = device_line(&authority, &dir).ready();
    let url = address(&mut first, 1);
    first.finish();
    let mut second = device_line(&authority, &dir).ready();
    assert_eq!(address(&mut second, 1), url);
    assert_eq!(authority.requests_for("/device"), 1);
    get(&url, "");
    works(&mut second);
    second.finish();
}

#[test]
fn a_process_takes_over_from_one_that_is_gone() {
    let authority = authority();
    let dir = tempfile::tempdir().unwrap();
    let mut first = device_line(&authority, &dir).ready();
    let url = address(&mut first, 1);
    let mut second = device_line(&authority, &dir).ready();
    assert_eq!(address(&mut second, 1), url);
    first.finish();
    get(&url, "");
    works(&mut second);
    second.finish();
    assert_eq!(authority.requests_for("/device"), 1);
}

#[test]
fn a_login_in_a_terminal_takes_over() {
    let authority = authority();
    let dir = tempfile::tempdir().unwrap();
    let mut line = device_line(&authority, &dir).ready();
    address(&mut line, 1);
    let login = Line::run("login --oauth-grant device")
        .arg(authority.server.url())
        .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
        .spawn();
    login.wait_stderr(|stderr| stderr.contains("Enter this code").then_some(()));
    get(&authority.issuer.url_of("/approve"), "");
    let ended = login.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    works(&mut line);
    line.finish();
    assert_eq!(authority.requests_for("/device"), 2);
}
