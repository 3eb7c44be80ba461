//! A client that shows addresses to a person is asked to show the one to sign in at.

use crate::support::{
    Authority, INITIALIZED, Line, Rules, call, line_to, notification, request, sign_in_at,
};

/// A line of a client with these capabilities.
fn ready(authority: &Authority, dir: &tempfile::TempDir, capabilities: &str) -> Line {
    let mut line = line_to(authority, dir).spawn();
    let info = r#"{"name":"it","version":"1"}"#;
    let params = format!(
        r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{info}}}"#
    );
    line.send(request(1, "initialize", &params));
    assert!(line.recv_id("1").result().is_object());
    line.send(INITIALIZED);
    line
}

#[test]
fn the_address_is_shown_by_a_client_that_can_and_its_answer_does_not_count() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let mut line = ready(&authority, &dir, r#"{"elicitation":{"form":{},"url":{}}}"#);
    line.send(request(2, "tools/list", "{}"));
    let listed = line.recv_id("2");
    let url = listed.failure(-33011)["signInUrl"].as_str().unwrap().to_owned();
    line.send(call(3, "any", "{}"));
    line.recv_id("3").failure(-33011);
    let asked = line.recv_method("elicitation/create");
    let params: serde_json::Value = serde_json::from_str(asked.raw("params").unwrap()).unwrap();
    assert_eq!((&params["mode"], &params["url"]), (&"url".into(), &url.as_str().into()));
    assert!(params["message"].as_str().unwrap().contains("wants you to sign in"));
    let id = asked.id().to_owned();
    line.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"decline"}}}}"#));
    // It is asked once, and the sign-in goes on.
    line.send(call(4, "any", "{}"));
    line.recv_id("4").failure(-33011);
    assert!(sign_in_at(&url).body.contains("You are signed in"));
    let complete = line.recv_method("notifications/elicitation/complete");
    assert!(complete.raw("params").unwrap().contains(params["elicitationId"].as_str().unwrap()));
    line.recv_method("notifications/tools/list_changed");
    line.send(call(5, "any", "{}"));
    assert!(line.recv_id("5").result().is_object());
    let rest = line.finish();
    assert!(rest.iter().all(|message| message.method() != "elicitation/create"), "{rest:?}");
}

#[test]
fn a_client_that_cannot_show_it_is_not_asked() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    for capabilities in ["{}", r#"{"elicitation":{}}"#, r#"{"elicitation":{"form":{}}}"#] {
        let mut line = ready(&authority, &dir, capabilities);
        line.send(call(2, "any", "{}"));
        line.recv_id("2").failure(-33011);
        line.send(notification("notifications/roots/list_changed", "{}"));
        line.send(call(3, "any", "{}"));
        line.recv_id("3").failure(-33011);
        let rest = line.finish();
        assert!(rest.iter().all(|message| message.method() != "elicitation/create"), "{rest:?}");
    }
}
