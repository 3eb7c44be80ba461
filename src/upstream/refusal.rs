//! What a refusal means: the upstream's own error, a lost session, an answer that cannot be used.

use bytes::Bytes;
use reqwest::StatusCode;

use super::Request;
use crate::failure::{Cause, Class, Failure};
use crate::http::Refusal;
use crate::jsonrpc::{FromUpstream, Response, from_upstream};

/// What servers write when they do not know a session, in small letters. The bare word is too
/// common: a cash register has sessions too.
const SESSION_UNKNOWN: [&str; 9] = [
    "session id",
    "session-id",
    "sessionid",
    "session not found",
    "session expired",
    "session has expired",
    "unknown session",
    "invalid session",
    "not initialized",
];

/// Whether the body of a refusal speaks of the session.
pub(super) fn mentions_session(body: &[u8]) -> bool {
    let body = &body[..body.len().min(4096)];
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    SESSION_UNKNOWN.iter().any(|phrase| text.contains(phrase))
}

/// The result of `initialize`, or the upstream's own error as the failure.
pub(super) fn accepted<'a>(response: &'a Response, url: &str) -> Result<&'a Bytes, Failure> {
    response.result().ok_or_else(|| {
        let what = format!("{url} refused `initialize`");
        let mut failure = Failure::new(Class::Final, Cause::Refused, what);
        failure.answer = Some(Box::new(response.clone()));
        failure
    })
}

/// 2xx with an empty body, which answers no request.
pub(super) fn empty_success(url: &str) -> Failure {
    unusable(format!("{url} answered with success and an empty body"))
}

/// The body is not a usable JSON-RPC response.
pub(super) fn unusable(what: String) -> Failure {
    Failure::new(Class::Final, Cause::Unusable, what)
        .hint("Check that the URL is the MCP endpoint itself, and look at the server's log.")
}

/// The JSON-RPC error that `body` holds, unless it answers something else than `request`.
pub(super) fn own_error(body: &Bytes, request: Option<&Request>) -> Option<Response> {
    let mut messages = from_upstream(body).ok()?;
    let FromUpstream::Response(response) = messages.pop()? else { return None };
    let is_the_answer = messages.is_empty()
        && response.is_genuine_error()
        && request.is_none_or(|request| request.is_answered_by(&response));
    is_the_answer.then_some(response)
}

/// The failure for a refusal of `request`, if it was one, within a session or without.
pub(super) fn refused(refusal: &Refusal, request: Option<&Request>, has_session: bool) -> Failure {
    let mut failure = refusal.failure();
    let own_error = own_error(&refusal.body, request);
    // An error with the request's own id comes from a server that knew what it was asked.
    let knew = own_error.as_ref().is_some_and(|error| !error.has_no_id());
    if has_session && is_session_gone(refusal.status, &refusal.body, knew) {
        failure =
            failure.reclassed(Class::SessionLost, "the refusal tells that the session is gone");
    }
    let says_it_better =
        failure.class() == Class::Final && refusal.status != StatusCode::UNAUTHORIZED;
    if says_it_better || failure.class() == Class::SessionLost {
        failure.answer = own_error.map(Box::new);
    }
    failure
}

/// Whether an answer within a session means that the session is gone: 404 ("Session Management",
/// item 3), or what servers in the field send instead: 410, or a 400 that names the session. A
/// server that `knew` what it was asked has the session, unless it says otherwise.
pub(super) fn is_session_gone(status: StatusCode, body: &[u8], knew: bool) -> bool {
    match status.as_u16() {
        404 | 410 => !knew || mentions_session(body),
        400 => mentions_session(body),
        _ => false,
    }
}
