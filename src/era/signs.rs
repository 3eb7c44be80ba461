//! What an upstream's refusals tell of its era (2026-07-28, Versioning and Compatibility, "Backward
//! Compatibility"; Streamable HTTP, "Backward Compatibility").

use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{INVALID_REQUEST, METHOD_NOT_FOUND, Response};
use crate::mcp::{code, is_stateless_version, method};
use crate::upstream::json::Object;
use crate::upstream::{answer_in, local, supported_versions};

/// What an outcome tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Only a modern server says this.
    Modern,
    /// The server wants a handshake.
    Legacy,
    /// As `Legacy`, by what is missing in a result.
    LegacyResult,
    /// Both may say it.
    Neither,
}

/// What the outcome of a request in the form of the modern era tells.
pub(super) fn of_modern_request(method: &str, outcome: &Result<Response, Failure>) -> Sign {
    let code = answer_in(outcome).and_then(Response::error_code);
    if code == Some(code::UNSUPPORTED_VERSION) {
        let supported = supported_versions(outcome);
        // A legacy server may know this code, and names what it speaks.
        let is_legacy =
            !supported.is_empty() && !supported.iter().any(|it| is_stateless_version(it));
        return if is_legacy { Sign::Legacy } else { Sign::Modern };
    }
    if code.is_some_and(code::is_of_stateless) {
        return Sign::Modern;
    }
    match outcome {
        Ok(response) if method == method::DISCOVER => match response.result() {
            Some(result) if discovers_modern(local::text(result)) => Sign::Modern,
            // Every modern server answers this.
            _ => Sign::Legacy,
        },
        Ok(response) => match response.result().map(local::text) {
            Some(result) if has_result_type(result) => Sign::Modern,
            Some(_) => Sign::LegacyResult,
            None => Sign::Neither,
        },
        Err(failure) => of_refusal(method, failure, code),
    }
}

fn of_refusal(method: &str, failure: &Failure, code: Option<i64>) -> Sign {
    // Some servers break over a method that they do not know.
    let is_broken = failure.status == Some(500) && method == method::DISCOVER;
    if !is_about_the_form(failure) && !is_broken {
        return Sign::Neither;
    }
    match (failure.status, code) {
        // A modern server answers so to a method that it does not know, or to a request that says too
        // little of itself.
        (Some(404), Some(METHOD_NOT_FOUND)) | (Some(400), Some(code::INVALID_PARAMS))
            if method != method::DISCOVER =>
        {
            Sign::Neither
        }
        _ => Sign::Legacy,
    }
}

/// Whether a refusal says that the upstream does not understand how it is spoken to, and not that it
/// is away, overloaded, or wants other credentials.
fn is_about_the_form(failure: &Failure) -> bool {
    let is_settled = match failure.class() {
        Class::Final | Class::SessionLost | Class::WrongForm => true,
        // The page of an ingress, or of a server that has nothing here.
        Class::Rejected => failure.status == Some(404),
        Class::NotSent | Class::Ambiguous => false,
    };
    let is_of_form = match failure.status {
        Some(400 | 404 | 405 | 406 | 410 | 415 | 422 | 501) => true,
        Some(status) => (200..300).contains(&status),
        None => failure.answer.is_some() || failure.cause == Cause::Unusable,
    };
    is_settled && is_of_form && failure.cause != Cause::TooLarge
}

/// The failure of a message that must be said in another way: the upstream at `url` wants a handshake.
pub(super) fn wants_handshake(url: &str) -> Failure {
    let what = format!("{url} wants a handshake");
    Failure::new(Class::WrongForm, Cause::Refused, what)
}

/// Whether a server that has been modern is certain not to be any more: modern servers may refuse a
/// request in the same status and code.
pub(super) fn is_certain(outcome: &Result<Response, Failure>) -> bool {
    let Err(failure) = outcome else { return false };
    let says = |words: &str| {
        let answer = failure.answer.as_deref().and_then(Response::error);
        answer.is_some_and(|error| {
            String::from_utf8_lossy(error).to_ascii_lowercase().contains(words)
        })
    };
    failure.status == Some(405)
        || ["session", "initialize", "protocol version", "protocol-version"].into_iter().any(says)
}

/// Whether a refused `initialize` may come from a server that knows no handshake.
pub(super) fn may_be_modern(failure: &Failure) -> bool {
    is_about_the_form(failure)
}

/// Whether a refused `initialize` comes from a server that knows no handshake, by its words.
pub(super) fn knows_no_handshake(failure: &Failure) -> bool {
    let code = failure.answer.as_deref().and_then(Response::error_code);
    is_about_the_form(failure)
        && code.is_none_or(|code| {
            code::is_of_stateless(code)
                || matches!(code, INVALID_REQUEST | METHOD_NOT_FOUND | code::INVALID_PARAMS)
        })
}

/// Whether a refused `server/discover` may come from a server that wants a handshake.
pub(super) fn may_want_handshake(failure: &Failure) -> bool {
    is_about_the_form(failure) && !is_of_modern_server(failure)
}

/// Whether only a modern server refuses in this way.
pub(super) fn is_of_modern_server(failure: &Failure) -> bool {
    let answer = failure.answer.as_deref();
    answer.and_then(Response::error_code).is_some_and(code::is_of_stateless)
}

/// Whether the result of `server/discover` offers a modern version.
pub(super) fn discovers_modern(result: &str) -> bool {
    let versions = Object::read(result)
        .and_then(|result| serde_json::from_str(result.get("supportedVersions")?).ok());
    versions.is_some_and(|versions: Vec<String>| versions.iter().any(|it| is_stateless_version(it)))
}

/// Whether a result says which kind of result it is, which the modern era asks of every one.
fn has_result_type(result: &str) -> bool {
    // The name may stand in a text of a tool as well; a search is cheaper than a parser.
    memchr::memmem::find(result.as_bytes(), b"\"resultType\"").is_some()
        && Object::read(result).is_some_and(|result| result.string("resultType").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{ErrorObject, to_json};

    fn error(code: i64) -> Response {
        Response::with_error(to_json(&ErrorObject::new(code, "no")).into())
    }

    fn refused(status: u16, code: Option<i64>) -> Result<Response, Failure> {
        let mut failure = Failure::new(Class::Final, Cause::Refused, "no");
        failure.status = Some(status);
        failure.answer = code.map(|code| Box::new(error(code)));
        Err(failure)
    }

    fn rejected(failure: Failure) -> Failure {
        failure.reclassed(Class::Rejected, "as an ingress is")
    }

    #[test]
    fn a_refusal_tells_the_era() {
        let discover = method::DISCOVER;
        let call = method::TOOLS_CALL;
        for (method, outcome, sign) in [
            (discover, refused(400, Some(-32022)), Sign::Modern),
            (call, refused(400, Some(-32020)), Sign::Modern),
            (call, refused(400, Some(-32021)), Sign::Modern),
            (call, refused(404, Some(-32601)), Sign::Neither),
            (call, refused(400, Some(-32602)), Sign::Neither),
            (discover, refused(400, Some(-32602)), Sign::Legacy),
            (discover, refused(404, None), Sign::Legacy),
            (discover, refused(500, None), Sign::Legacy),
            (call, refused(500, None), Sign::Neither),
            (discover, refused(404, None).map_err(rejected), Sign::Legacy),
            (discover, refused(503, None).map_err(rejected), Sign::Neither),
            (call, refused(400, Some(-32600)), Sign::Legacy),
            (call, refused(400, Some(-32000)), Sign::Legacy),
            (call, refused(405, None), Sign::Legacy),
            (call, refused(401, None), Sign::Neither),
            (call, refused(403, None), Sign::Neither),
            (call, refused(429, None), Sign::Neither),
            (discover, Ok(error(-32601)), Sign::Legacy),
            (discover, Ok(error(-32602)), Sign::Legacy),
            (call, Ok(error(-32601)), Sign::Neither),
            (call, Ok(Response::with_result(r#"{"content":[]}"#.into())), Sign::LegacyResult),
            (call, Ok(Response::with_result(r#"{"resultType":"complete"}"#.into())), Sign::Modern),
            (
                call,
                Ok(Response::with_result(r#"{"structuredContent":{"resultType":"x"}}"#.into())),
                Sign::LegacyResult,
            ),
            (
                discover,
                Ok(Response::with_result(r#"{"supportedVersions":["2025-11-25"]}"#.into())),
                Sign::Legacy,
            ),
        ] {
            assert_eq!(of_modern_request(method, &outcome), sign, "{method} {outcome:?}");
        }
    }
}
