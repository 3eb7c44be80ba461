//! Lines to a server that wants a sign-in.

use tempfile::TempDir;

use super::authority::Authority;
use super::browser::{address_in, sign_in as sign_in_at};
use super::line::{Line, Setup};
use super::message::request;

/// A line to the server of `authority` that keeps its sign-ins in `dir`.
pub(crate) fn line_to(authority: &Authority, dir: &TempDir) -> Setup {
    Line::to(&authority.server.url()).env("MCPLINE_STATE_DIR", dir.path().to_str().unwrap())
}

/// Sends `tools/list` with `id` and gives the address that the error tells.
pub(crate) fn address(line: &mut Line, id: u32) -> String {
    line.send(request(id, "tools/list", "{}"));
    let reply = line.recv_id(&id.to_string());
    let data = reply.failure(-33011);
    assert!(reply.error_text().contains("sign in, then try again"), "{reply}");
    let address = address_in(reply.error_text());
    assert_eq!(data["signInUrl"], address.as_str());
    address
}

/// A line on which a person has signed in.
pub(crate) fn signed_in(authority: &Authority, dir: &TempDir) -> Line {
    let mut line = line_to(authority, dir).ready();
    let url = address(&mut line, 1);
    assert!(sign_in_at(&url).body.contains("You are signed in"));
    line.recv_method("notifications/tools/list_changed");
    line.send(request(2, "tools/list", "{}"));
    assert!(line.recv_id("2").result().is_object());
    line
}
