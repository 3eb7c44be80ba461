//! Clients that prove by signatures who they are.

use std::path::PathBuf;

use crate::support::{Authority, Line, Rules, Setup, call};

fn line_to(authority: &Authority, key: &str) -> Setup {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tls");
    Line::to(&authority.server.url())
        .args("--oauth-grant client-credentials --oauth-client-id robot")
        .env("MCPLINE_OAUTH_CLIENT_KEY_FILE", dir.join(key).to_str().unwrap())
}

#[test]
fn a_program_signs_in_by_its_key() {
    let authority = Authority::start(Rules::default());
    let state = tempfile::tempdir().unwrap();
    let state = state.path().to_str().unwrap();
    // The second sign-in must bring a new assertion.
    for round in 1..=2 {
        let mut line = line_to(&authority, "key.pem").env("MCPLINE_STATE_DIR", state).ready();
        line.send(call(1, "any", "{}"));
        assert!(line.recv_id("1").result().is_object());
        line.finish();
        assert_eq!(authority.count("client"), round);
        authority.end_tokens();
        authority.end_sign_ins();
    }
    assert_eq!(authority.count("register"), 0);
}

#[test]
fn a_key_that_cannot_be_used_is_told_at_the_start() {
    let authority = Authority::start(Rules::default());
    for (key, told) in [
        ("cert.pem", "holds a certificate and no private key"),
        ("encrypted.pem", "is locked with a password"),
        ("absent.pem", "cannot be read"),
    ] {
        let ended = line_to(&authority, key).spawn().wait();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("--oauth-client-key-file"), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}

#[test]
fn a_key_needs_a_client_id_and_no_secret() {
    let authority = Authority::start(Rules::default());
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/tls/key.pem");
    let line = || Line::to(&authority.server.url()).env("MCPLINE_OAUTH_CLIENT_KEY_FILE", key);
    let ended = line().spawn().wait();
    assert!(ended.stderr.contains("MCPLINE_OAUTH_CLIENT_ID"), "{}", ended.stderr);
    let both = line()
        .env("MCPLINE_OAUTH_CLIENT_ID", "robot")
        .env("MCPLINE_OAUTH_CLIENT_SECRET", "client-s3cret");
    let ended = both.spawn().wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
}
