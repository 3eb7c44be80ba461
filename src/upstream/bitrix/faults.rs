//! What b24-mcp answers in place of JSON-RPC, and Bitrix24's own limits in it.

use std::time::Duration;

use serde_json::Value;

use crate::failure::{Cause, Class, Failure};
use crate::http::{Refusal, shorten};
use crate::jsonrpc::{INTERNAL_ERROR, Response};
use crate::upstream::json::Object;
use crate::upstream::local::{self, INVALID_PARAMS, RESOURCE_NOT_FOUND};
use crate::upstream::own_error;

/// Too many calls in too short a time: refused before it ran, and gone in a second or two.
const TOO_FAST: &str = "QUERY_LIMIT_EXCEEDED";

/// Too much computing time in ten minutes: refused, and not gone soon.
const TOO_MUCH: &str = "OPERATION_TIME_LIMIT";

/// Bytes of a body that may be nothing but a complaint.
const MAX_COMPLAINT: usize = 64 * 1024;

/// The pause that Bitrix24's leaky bucket (two calls a second) needs.
const PACE: Duration = Duration::from_millis(1500);

/// The pause before what b24-mcp itself has tried in vain.
const SLOW_PACE: Duration = Duration::from_secs(2);

/// What Bitrix24 says of credentials and rights.
const UNAUTHORISED: [&str; 6] = [
    "expired_token",
    "invalid_token",
    "invalid_credentials",
    "insufficient_scope",
    "NO_AUTH_FOUND",
    "ACCESS_DENIED",
];

/// The answer that a refusal stands for: the server's own error, or the failure.
pub(super) fn answer(refusal: &Refusal, method: &str) -> Result<Response, Failure> {
    if let Some(response) = own_error(&refusal.body, None) {
        return unless_limited(response, &refusal.url);
    }
    let body: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
    let detail = body.get("detail").unwrap_or(&Value::Null);
    let said = said(detail);
    match (refusal.status.as_u16(), detail.get("type").and_then(Value::as_str)) {
        (_, Some("tool_not_found")) => return Ok(local::error(INVALID_PARAMS, &said)),
        (_, Some("resource_not_found")) => return Ok(local::error(RESOURCE_NOT_FOUND, &said)),
        (422, _) if !said.is_empty() => return Ok(local::error(INVALID_PARAMS, &said)),
        _ => {}
    }
    Err(failure(refusal, &body, &said, method))
}

fn detail_type(body: &Value) -> &str {
    body.pointer("/detail/type").and_then(Value::as_str).unwrap_or_default()
}

fn failure(refusal: &Refusal, body: &Value, said: &str, method: &str) -> Failure {
    let payload = body.pointer("/detail/payload").unwrap_or(body);
    let code = payload.get("error").and_then(Value::as_str).unwrap_or_default();
    let description = payload.get("error_description").and_then(Value::as_str).unwrap_or_default();
    let parts: Vec<_> = [said, code, description].into_iter().filter(|x| !x.is_empty()).collect();
    let mut failure = match parts.as_slice() {
        [] => refusal.failure(),
        parts => refusal.failure_saying(&shorten(&parts.join(": "))),
    };
    if let Some(limit) = Limit::of(code) {
        return limit.apply(failure);
    }
    let status = refusal.status.as_u16();
    if status == 502 {
        let refused_by_bitrix = |status: &str| said.contains(&format!("HTTP {status}"));
        if UNAUTHORISED.contains(&code) || ["401", "403"].into_iter().any(refused_by_bitrix) {
            failure.class = Class::Final;
            failure.cause = Cause::Unauthorised;
            return failure.hint(
                "Bitrix24 refuses the server's webhook or token: whoever runs b24-mcp must renew \
                 it, or give it the rights (scope) for this method.",
            );
        }
        if !detail_type(body).is_empty() && code.is_empty() {
            // The server has asked Bitrix24 four times by itself.
            failure.pace = Some(SLOW_PACE);
            return failure.hint(
                "Bitrix24 sent b24-mcp something that is no answer of its API: check the webhook's \
                 address, and whether Bitrix24 blocks the server's address.",
            );
        }
        if !code.is_empty() && said.contains("HTTP 4") {
            failure.class = Class::Final;
            return failure.hint("Bitrix24 refused the call: correct what it complains of.");
        }
    }
    if status == 500 && method == "tools/call" {
        return failure.hint(
            "As a rule an argument is missing or wrong: check them against the tool's schema. For \
             callBitrixMethod, getCompany and getLeadCalls it may also be a limit, the token or the \
             rights at Bitrix24, which b24-mcp hides: look at its log.",
        );
    }
    failure
}

/// A limit of Bitrix24 that refused a call before it ran.
enum Limit {
    TooFast,
    TooMuch,
}

impl Limit {
    /// By the code of Bitrix24's error.
    fn of(code: &str) -> Option<Self> {
        match code {
            TOO_FAST => Some(Self::TooFast),
            TOO_MUCH => Some(Self::TooMuch),
            _ => None,
        }
    }

    /// By an error object of JSON-RPC: the code stands in its `data`, or ends its message.
    /// Elsewhere it may be part of somebody's text.
    fn in_error(error: &str) -> Option<Self> {
        let error: Value = serde_json::from_str(error).ok()?;
        let data = ["/data/error", "/data/payload/error", "/data/code"];
        let data = data.into_iter().filter_map(|path| error.pointer(path)?.as_str());
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let last = message.rsplit(char::is_whitespace).next();
        let last = last.map(|word| word.trim_end_matches(['.', ')']));
        data.chain(last).find_map(Self::of)
    }

    fn apply(self, mut failure: Failure) -> Failure {
        failure.cause = Cause::RateLimited;
        match self {
            Self::TooFast => {
                failure.class = Class::Rejected;
                failure.pace = Some(PACE);
                failure.hint(
                    "Bitrix24 takes some two calls a second from a portal: ask for less at once, \
                     or lower `--max-in-flight`.",
                )
            }
            Self::TooMuch => {
                failure.class = Class::Final;
                failure.hint(
                    "Bitrix24 has blocked this method for up to ten minutes, because its calls \
                     took more than 480 s of computing time: ask for less at once (narrower \
                     filters, fewer fields) and try again later.",
                )
            }
        }
    }
}

/// `response`, unless it is an error that says that a limit refused the call.
pub(super) fn unless_limited(response: Response, url: &str) -> Result<Response, Failure> {
    let Some(error) = response.error().map(local::text) else { return Ok(response) };
    let Some(limit) = Limit::in_error(error) else { return Ok(response) };
    let said = Object::read(error).and_then(|error| error.string("message")).unwrap_or_default();
    let what = format!("{url} says that Bitrix24 refused the call: {}", shorten(&said));
    Err(limit.apply(Failure::new(Class::Final, Cause::RateLimited, what)))
}

/// The error that the body of a success is, if it is one: all that it has is `detail`.
pub(super) fn complaint(body: &[u8], url: &str) -> Option<Result<Response, Failure>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Only errors are that short.
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() < MAX_COMPLAINT)?;
    let body = Object::read(text)?;
    if ["content", "metadata", "data"].iter().any(|name| body.has(name)) {
        return None;
    }
    let detail: Value = serde_json::from_str(body.get("detail")?).ok()?;
    let said = said(&detail);
    if said.is_empty() {
        return None;
    }
    let code = detail.pointer("/payload/error").and_then(Value::as_str).unwrap_or_default();
    let what = || format!("{url} says that Bitrix24 refused the call: {}: {code}", shorten(&said));
    Some(match Limit::of(code) {
        Some(limit) => Err(limit.apply(Failure::new(Class::Final, Cause::RateLimited, what()))),
        None => Ok(local::error(INTERNAL_ERROR, &said)),
    })
}

/// The human-readable part of `detail`: a text, an object with a message, or a list of complaints.
fn said(detail: &Value) -> String {
    match detail {
        Value::String(text) => text.clone(),
        Value::Object(detail) => {
            detail.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        Value::Array(complaints) => {
            let complaint = |complaint: &Value| {
                let text = complaint.get("msg")?.as_str()?;
                let place = complaint.get("loc").and_then(Value::as_array);
                let place: Vec<_> = place.into_iter().flatten().filter_map(Value::as_str).collect();
                Some(if place.is_empty() {
                    text.to_owned()
                } else {
                    format!("{}: {text}", place.join("."))
                })
            };
            complaints.iter().filter_map(complaint).collect::<Vec<_>>().join("; ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Response, Failure> {
        let refusal = Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            url: "http://h/mcp".into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        super::answer(&refusal, "tools/call")
    }

    fn upstream_error(message: &str, payload: &str) -> String {
        format!(
            r#"{{"detail":{{"type":"upstream_error","message":"{message}","payload":{payload}}}}}"#
        )
    }

    #[test]
    fn refusals_are_classed_by_what_bitrix24_said() {
        let limit = r#"{"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}"#;
        let operating = r#"{"error":"OPERATION_TIME_LIMIT"}"#;
        let token = r#"{"error":"expired_token"}"#;
        let wrong = r#"{"error":"ERROR_CORE"}"#;
        let cases = [
            (
                502,
                upstream_error("Bitrix returned HTTP 503", limit),
                Class::Rejected,
                Cause::RateLimited,
            ),
            (429, limit.to_owned(), Class::Rejected, Cause::RateLimited),
            (503, limit.to_owned(), Class::Rejected, Cause::RateLimited),
            (
                502,
                upstream_error("Bitrix returned HTTP 429", operating),
                Class::Final,
                Cause::RateLimited,
            ),
            (
                502,
                upstream_error("Bitrix returned HTTP 401", token),
                Class::Final,
                Cause::Unauthorised,
            ),
            (502, upstream_error("Bitrix returned HTTP 400", wrong), Class::Final, Cause::Refused),
            (
                502,
                upstream_error("Bitrix returned non-JSON response", "null"),
                Class::Ambiguous,
                Cause::Refused,
            ),
            (502, "<h1>Bad Gateway</h1>".to_owned(), Class::Ambiguous, Cause::Refused),
            (500, "Internal Server Error".to_owned(), Class::Final, Cause::Refused),
            (404, r#"{"detail":"Not Found"}"#.to_owned(), Class::Final, Cause::Refused),
        ];
        for (status, body, class, cause) in cases {
            let failure = answer(status, &body).unwrap_err();
            assert_eq!((failure.class, failure.cause), (class, cause), "{body}");
        }
    }

    #[test]
    fn the_servers_own_refusals_are_errors_of_the_call() {
        let code = |status, body: &str| local::error_code(&answer(status, body).unwrap());
        let tool =
            r#"{"detail":{"type":"tool_not_found","message":"Tool 'x' is not registered."}}"#;
        assert_eq!(code(404, tool), Some(INVALID_PARAMS));
        let resource = r#"{"detail":{"type":"resource_not_found","message":"no"}}"#;
        assert_eq!(code(404, resource), Some(RESOURCE_NOT_FOUND));
        let missing = r#"{"detail":[{"loc":["body","tool"],"msg":"Field required"}]}"#;
        let response = answer(422, missing).unwrap();
        assert!(local::text(response.error().unwrap()).contains("body.tool: Field required"));
    }
}
