//! What a refusal means: the upstream's own error, a lost session, an answer that cannot be used.

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;

use super::{Request, onec};
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::http::{Refusal, excerpt, shorten};
use crate::jsonrpc::{FromUpstream, Response, from_upstream, of_json};
use crate::mcp::code;

/// What servers write of sessions in answers whose status alone says that a session may be gone, in
/// small letters. The bare word is too common: a cash register has sessions too.
const OF_SESSIONS: [&str; 9] = [
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

/// What servers write that were restarted and wait for a handshake.
const WAITS_FOR_HANDSHAKE: [&str; 9] = [
    "expect initialize request",
    "expected initialize request",
    "server not initialized",
    "client not initialized",
    "received request before initialization",
    // Of HTTP+SSE, where the stream is the session.
    "sse connection not established",
    "no active sse connection",
    "no transport found",
    "no active transport",
];

/// What may stand in front of the sentence that tells what is wrong.
const LABELS: [&str; 9] = [
    "error",
    "ошибка",
    "unauthorized",
    "bad request",
    "not found",
    "forbidden",
    "internal server error",
    "internal error",
    "service unavailable",
];

/// The words of a sentence that speaks of nothing but a session and its end. One with other words,
/// such as "order created, cash register session not found", speaks of something else.
const OF_AN_ENDED_SESSION: &str = "a an active again any anymore api been client closed connection \
     could destroyed does dropped ended evicted exist exists expired find for found given has have \
     header http id initialize initialized instance in invalid is it known lost mcp missing more no not of on or \
     out please provided re reinitialize removed server session sessionid sessions such terminated \
     that the this timed token transport unknown valid was with your longer error required ошибка";

/// Words that tell of an end, one of which must be there.
const ENDED: [&str; 16] = [
    "not",
    "unknown",
    "expired",
    "invalid",
    "no",
    "missing",
    "terminated",
    "closed",
    "ended",
    "lost",
    "removed",
    "destroyed",
    "evicted",
    "dropped",
    "timed",
    "required",
];

/// The beginnings of the words of such a sentence in Russian, and of those that tell of an end.
const OF_AN_ENDED_SESSION_IN_RUSSIAN: &str = "сесси сеанс клиент сервер активн действи срок идентификатор \
     id mcp такой таким такого такая указанн данн больше уже или с со для на не нет был ошибка заново \
     начните найден существу неизвестн истек истёк устарел завершен завершён завершил закрыт удален \
     удалён прерван недейств просроч";
const ENDED_IN_RUSSIAN: &str = "найден существу неизвестн истек истёк устарел завершен завершён \
     завершил закрыт удален удалён прерван недейств просроч";

/// What reverse proxies say while the server behind them is away, in small letters.
const INGRESS: [&str; 5] = [
    "404 page not found",
    "default backend - 404",
    "no route matched",
    "no service found",
    "no healthy upstream",
];

/// Whether the body of a refusal speaks of the session.
pub(super) fn mentions_session(body: &[u8]) -> bool {
    let text = lower(body, 4096);
    OF_SESSIONS.iter().any(|phrase| text.contains(phrase))
}

/// Whether `text` says that the server does not know the session, and nothing else.
fn tells_lost_session(text: &[u8]) -> bool {
    let text = lower(text, 4096);
    if WAITS_FOR_HANDSHAKE.iter().any(|phrase| text.contains(phrase)) {
        return true;
    }
    let mut clauses = text.split(['.', ';', ',', ':', '(', '\n']).map(str::trim);
    let said = clauses.find(|clause| !clause.is_empty() && !LABELS.contains(clause));
    let words = || {
        let words = said.unwrap_or_default().split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| !word.is_empty())
    };
    // An id of the session may stand in the sentence.
    let is_id = |word: &str| {
        word.bytes().any(|letter| letter.is_ascii_digit())
            || word.len() >= 4 && word.bytes().all(|letter| letter.is_ascii_hexdigit())
    };
    let is_known = |word: &str| OF_AN_ENDED_SESSION.split_whitespace().any(|known| known == word);
    let is_told = words().any(|word| matches!(word, "session" | "sessionid"))
        && words().any(|word| ENDED.contains(&word))
        && words().all(|word| is_known(word) || is_id(word));
    // Russian words change at their ends.
    let begins = |word: &str, all: &str| all.split_whitespace().any(|stem| word.starts_with(stem));
    is_told
        || words().any(|word| begins(word, "сесси сеанс"))
            && words().any(|word| begins(word, ENDED_IN_RUSSIAN))
            && words().all(|word| begins(word, OF_AN_ENDED_SESSION_IN_RUSSIAN) || is_id(word))
}

fn lower(text: &[u8], length: usize) -> String {
    String::from_utf8_lossy(&text[..text.len().min(length)]).to_lowercase()
}

/// The failure for `response` if it is a JSON-RPC error within a session that says the session is
/// gone. A tool's result is never looked at.
pub(super) fn lost_by_error(response: &Response, url: &str) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Error<'a> {
        #[serde(borrow)]
        message: Cow<'a, str>,
    }
    let error: Error<'_> = of_json(response.error()?)?;
    if !tells_lost_session(error.message.as_bytes()) {
        return None;
    }
    let what = format!("{url} does not know the session: {}", shorten(&error.message));
    let mut failure = Failure::new(Class::SessionLost, Cause::Refused, what);
    failure.answer = Some(Box::new(response.clone()));
    Some(failure)
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
    Failure::new(Class::Final, Cause::Unusable, what).hint(Hint::both(
        "Check that the URL is the MCP endpoint itself, and look at the server's log.",
        "Проверьте, что в адресе указана сама точка входа MCP, и посмотрите журнал сервера.",
    ))
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

/// How well an upstream knows us when it refuses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The handshake is not over.
    New,
    /// It is, and there is no session.
    Sessionless,
    /// It is, in a session.
    Session,
    /// There is no handshake: each request says it all.
    Stateless,
}

/// Makes a failure of a refusal, by its text and status.
pub(super) type Explain = fn(&Refusal) -> Failure;

/// The failure for a refusal of `request`, if it was one, as the kind's `explain` makes it.
pub(super) fn refused(
    refusal: &Refusal,
    explain: Explain,
    request: Option<&Request>,
    standing: Standing,
) -> Failure {
    let mut failure = explain(refusal);
    let own_error = own_error(&refusal.body, request);
    failure.shows_onec =
        onec::is_shown_by(refusal) && self::own_error(&refusal.body, None).is_none();
    // An error with the request's own id comes from a server that knew what it was asked.
    let knew = own_error.as_ref().is_some_and(|error| !error.has_no_id());
    let has_no_sessions = own_error
        .as_ref()
        .and_then(Response::error_code)
        .is_some_and(|code| matches!(code, code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION));
    if matches!(standing, Standing::Session | Standing::Sessionless) && has_no_sessions {
        failure = failure.reclassed(Class::WrongForm, "the server knows no sessions any more");
    }
    // It may be told in JSON or HTML.
    let is_gone = || {
        is_session_gone(refusal.status, &refusal.body, knew)
            || tells_lost_session(excerpt(&refusal.body, refusal.content_type()).as_bytes())
    };
    if standing == Standing::Session && is_gone() {
        failure =
            failure.reclassed(Class::SessionLost, "the refusal tells that the session is gone");
    }
    let is_sessionless = matches!(standing, Standing::Sessionless | Standing::Stateless);
    if is_sessionless && request.is_some() && is_of_ingress(refusal) {
        failure =
            failure.reclassed(Class::Rejected, "an ingress whose server is away for a moment");
    }
    let says_it_better =
        failure.class() == Class::Final && refusal.status != StatusCode::UNAUTHORIZED;
    if says_it_better || failure.class().ends_session() {
        failure.answer = own_error.map(Box::new);
    }
    failure
}

/// Whether an answer within a session means that the session is gone: 404 ("Session Management",
/// item 3), or what servers in the field send instead: 410, a 400 that speaks of the session, or
/// any other status with words that say so. A server that `knew` what it was asked has the session,
/// unless it says otherwise.
pub(super) fn is_session_gone(status: StatusCode, body: &[u8], knew: bool) -> bool {
    match status.as_u16() {
        404 | 410 => !knew || mentions_session(body),
        400 => mentions_session(body) || tells_lost_session(body),
        _ => tells_lost_session(body),
    }
}

/// Whether a 404 comes from a reverse proxy whose server is away, and not from the server.
fn is_of_ingress(refusal: &Refusal) -> bool {
    let text = lower(&refusal.body, 4096);
    refusal.status == StatusCode::NOT_FOUND && INGRESS.iter().any(|phrase| text.contains(phrase))
}

/// The status of a success that comes from another transport: an HTTP+SSE server whose stream
/// answers a POST as well.
const OTHER_TRANSPORT: u16 = 200;

/// The failure of a POST that was answered with the event stream of HTTP+SSE.
pub(super) fn other_transport(url: &str) -> Failure {
    let what = format!("{url} answered the POST with the event stream of HTTP+SSE");
    let mut failure = unusable(what);
    failure.status = Some(OTHER_TRANSPORT);
    failure
}

/// Whether a refused `initialize` may come from a server of HTTP+SSE: it has no POST at this
/// address, or answers it with its stream. A JSON-RPC error with 400 or 404 comes from a server
/// that knows what it was asked.
pub(super) fn may_be_http_sse(failure: &Failure) -> bool {
    match failure.status {
        Some(405 | OTHER_TRANSPORT) => true,
        Some(400 | 404) => failure.answer.is_none(),
        _ => false,
    }
}

/// Whether a refused `initialize` may all the same come from a server of HTTP+SSE: one that refuses
/// each POST at its stream's address in a status of its own, for a missing CSRF token or an unknown
/// content type. Revisions before 2025-11-25 name every 4xx. A JSON-RPC error, a login that is wanted
/// and a server that is busy are what they say.
pub(super) fn may_refuse_posts(failure: &Failure) -> bool {
    let is_refusal = |status| {
        matches!(status, 402 | 403 | 406 | 409..=501) && !matches!(status, 420 | 425 | 429)
    };
    failure.answer.is_none()
        && failure.cause != Cause::Unusable
        && failure.status.is_some_and(is_refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_session_is_told_in_many_words() {
        for text in [
            "Unauthorized: Session not found",
            "Unexpected message, expect initialize request",
            "session is unknown on this API instance",
            "Error: Session not found",
            "Invalid or expired session",
            "Session not found or expired. Re-initialize.",
            "The provided SessionId was not found or has expired, please re-initialize your connection.",
            "No such session",
            "Bad Request: Server not initialized",
            "This session no longer exists",
            "Session 8f14e45f-ceea-467f-a0d2 not found",
            "Session has been terminated",
            "Session ID not found",
            "Session terminated",
            "Unknown or expired session",
            "session has been closed",
            "Session not found or expired",
            "Invalid session ID",
            "No valid session ID provided",
            "Could not find session",
            "No transport found for sessionId",
            "SSE connection not established",
            "No active SSE connection",
            "Client not initialized",
            "MCP session not initialized",
            "Session with id 'a1b2c3' does not exist",
            "Your session has timed out",
            "Session was not found on this server",
            "session 550e8400-e29b-41d4-a716-446655440000 not found",
            "Сессия не найдена",
            "Сеанс не найден или истёк",
            "Ошибка: сеанс завершён",
            "СЕССИЯ С ТАКИМ ИДЕНТИФИКАТОРОМ НЕ СУЩЕСТВУЕТ",
            "Неизвестная сессия",
            "Error Session not found",
            "Session required",
        ] {
            assert!(tells_lost_session(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn other_words_are_not_taken_for_it() {
        for text in [
            "Unauthorized",
            "invalid_token",
            "Invalid argument: till",
            "the cash register has no open session",
            "file not found",
            "Deal 7 created; invalid session in CRM callback",
            "order created, cash register session not found",
            "Cash register session not found",
            "Invalid sessionDate",
            "The training session was not found",
            "session limit exceeded",
            "Кассовая смена не найдена, сеанс кассира закрыт",
            "Сеанс связи с терминалом не установлен",
            "Файл не найден",
        ] {
            assert!(!tells_lost_session(text.as_bytes()), "{text}");
        }
    }
}
