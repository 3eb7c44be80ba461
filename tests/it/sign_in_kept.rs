//! Staying signed in: the token is renewed in time, by one of all processes, and what is kept of it is
//! kept safely.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{
    Authority, INITIALIZE, Line, Rules, address, at_once, call, get, line_to, sign_in_at, signed_in,
};

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
fn a_token_that_was_taken_may_be_revoked_again_and_again() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    for id in 10..14 {
        authority.end_tokens();
        line.send(call(id, "any", "{}"));
        let reply = line.recv_id(&id.to_string());
        assert!(reply.result().is_object(), "{reply}");
    }
    line.finish();
    assert_eq!(authority.count("refresh"), 4);
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

#[cfg(unix)]
#[test]
fn what_others_could_read_is_not_used() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    let folder = dir.path().join("oauth");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let record = record(&dir);
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&record, Permissions::from_mode(0o644)).unwrap();
    let mut line = line_to(&authority, &dir).spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id("\"init\"");
    assert!(reply.error_text().contains("chmod 600"), "{reply}");
    line.finish();
}

#[test]
fn what_is_spent_at_the_end_is_kept() {
    let token_takes = Duration::from_millis(1500);
    let authority = Authority::start(Rules { token_takes, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = line_to(&authority, &dir).ready();
    let back = get(&address(&mut line, 1), "").location().unwrap().to_owned();
    assert_eq!(get(&back, "").status, 303);
    line.close_stdin();
    assert!(line.wait().status.success());
    let mut line = line_to(&authority, &dir).ready();
    line.send(call(1, "any", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result().is_object(), "{reply}");
    line.finish();
    assert_eq!(authority.count("code"), 1);
}

/// Where the record is not sealed, a test can make a token due.
#[cfg(unix)]
#[test]
fn a_command_that_ends_keeps_the_token_that_is_being_renewed() {
    let token_takes = Duration::from_millis(1500);
    let authority = Authority::start(Rules { token_takes, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    let path = record(&dir);
    let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for server in kept["servers"].as_object_mut().unwrap().values_mut() {
        server["tokens"]["renew_at"] = 0.into();
    }
    fs::write(&path, kept.to_string()).unwrap();
    let output = Line::run("tools")
        .arg(authority.server.url())
        .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
        .output("");
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert_eq!(authority.count("refresh"), 1);
    authority.end_tokens();
    let mut line = line_to(&authority, &dir).ready();
    line.send(call(1, "any", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result().is_object(), "{reply}");
    line.finish();
    assert!(!authority.was_replayed());
}

#[test]
fn a_gateway_that_blocks_a_renewal_does_not_end_the_sign_in() {
    for status in [302, 403, 503] {
        let authority = Authority::start(Rules { gateway: Some(status), ..Rules::default() });
        let dir = tempfile::tempdir().unwrap();
        signed_in(&authority, &dir).finish();
        authority.end_tokens();
        let mut line = line_to(&authority, &dir).args("--no-retry").spawn();
        line.send(INITIALIZE);
        let reply = line.recv_id("\"init\"");
        assert!(reply.error_text().contains("Blocked here"), "{status}: {reply}");
        line.finish();
        assert_eq!(authority.count("authorize"), 1, "{status}");
    }
}

#[test]
fn a_damaged_record_is_replaced() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    let record = record(&dir);
    let whole = fs::read(&record).unwrap();
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    signed_in(&authority, &dir).finish();
    let mut line = line_to(&authority, &dir).ready();
    line.send(call(1, "any", "{}"));
    assert!(line.recv_id("1").result().is_object());
    line.finish();
}

#[test]
fn accounts_are_kept_apart() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    signed_in(&authority, &dir).finish();
    for options in ["--oauth-profile other", "--oauth-resource urn:other", "--oauth-scope all"] {
        let mut line = line_to(&authority, &dir).args(options).ready();
        address(&mut line, 1);
        line.finish();
    }
}

#[test]
fn who_signs_out_is_signed_out_everywhere() {
    let authority = Authority::start(Rules { revocation: 503, ..Rules::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut line = signed_in(&authority, &dir);
    let logout = Line::run("logout")
        .arg(authority.server.url())
        .env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
        .output("");
    assert_eq!(logout.status, 0, "{}", logout.stderr);
    assert!(logout.stderr.contains("may stay good"), "{}", logout.stderr);
    // One that is not taken back does not keep the other from it.
    assert_eq!(authority.count("revoke"), 2);
    let left = fs::read_dir(dir.path().join("oauth")).unwrap();
    let left =
        left.map(|file| file.unwrap().path()).filter(|path| path.metadata().unwrap().len() > 0);
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    address(&mut line, 3);
    line.finish();
}

/// The file in `dir` that holds the tokens.
fn record(dir: &TempDir) -> PathBuf {
    let files = fs::read_dir(dir.path().join("oauth")).unwrap().map(|file| file.unwrap().path());
    let mut records: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
    assert_eq!(records.len(), 1);
    records.remove(0)
}
