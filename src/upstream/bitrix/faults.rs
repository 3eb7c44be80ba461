//! What b24-mcp answers instead of JSON-RPC, and Bitrix24's own limits in it.

use std::time::Duration;

use serde_json::Value;

use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::http::{Refusal, shorten};
use crate::jsonrpc::{INTERNAL_ERROR, Response, of_json};
use crate::mcp::method;
use crate::upstream::json::Object;
use crate::upstream::local::{self, INVALID_PARAMS, RESOURCE_NOT_FOUND};
use crate::upstream::own_error;

/// Too many calls in a short time: refused before it ran, for a second or two.
const TOO_FAST: &str = "QUERY_LIMIT_EXCEEDED";

/// Too much computing time in ten minutes: refused for minutes.
const TOO_MUCH: &str = "OPERATION_TIME_LIMIT";

/// The longest body that may be an error although the status says success, in bytes.
const MAX_HIDDEN_ERROR: usize = 64 * 1024;

/// The pause that Bitrix24's leaky bucket (two calls a second) needs.
const PACE: Duration = Duration::from_millis(1500);

/// The pause before we retry what b24-mcp itself has retried without success.
const SLOW_PACE: Duration = Duration::from_secs(2);

/// Bitrix24's error codes for credentials and rights.
const UNAUTHORISED: [&str; 6] = [
    "expired_token",
    "invalid_token",
    "invalid_credentials",
    "insufficient_scope",
    "NO_AUTH_FOUND",
    "ACCESS_DENIED",
];

/// What an error body of b24-mcp says.
struct Detail<'a> {
    /// `detail.type`, of the errors that b24-mcp makes itself.
    kind: &'a str,
    /// The human-readable part; empty when there is none.
    message: String,
    /// Bitrix24's own error code and description, which b24-mcp passes on in `payload`.
    code: &'a str,
    description: &'a str,
}

impl<'a> Detail<'a> {
    fn of(body: &'a Value) -> Self {
        let detail = &body["detail"];
        let payload = detail.get("payload").unwrap_or(body);
        let text = |value: &'a Value| value.as_str().unwrap_or_default();
        Self {
            kind: text(&detail["type"]),
            message: message(detail),
            code: text(&payload["error"]),
            description: text(&payload["error_description"]),
        }
    }
}

/// The text of `detail`: a string, an object with a message, or a list of validation errors.
fn message(detail: &Value) -> String {
    let validation_error = |error: &Value| {
        let text = error["msg"].as_str()?;
        let place = error["loc"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let place = place.collect::<Vec<_>>().join(".");
        Some(if place.is_empty() { text.to_owned() } else { format!("{place}: {text}") })
    };
    match detail {
        Value::Array(errors) => {
            errors.iter().filter_map(validation_error).collect::<Vec<_>>().join("; ")
        }
        detail => {
            let text = detail.as_str().or_else(|| detail["message"].as_str());
            text.unwrap_or_default().to_owned()
        }
    }
}

/// The answer that a refusal stands for: the server's own error, or the failure.
pub(super) fn answer(refusal: &Refusal, method: &str) -> Result<Response, Failure> {
    if let Some(response) = own_error(&refusal.body, None) {
        return reject_rate_limited(response, &refusal.url);
    }
    let body: Value = of_json(&refusal.body).unwrap_or_default();
    let detail = Detail::of(&body);
    match (refusal.status.as_u16(), detail.kind) {
        (_, "tool_not_found") => Ok(local::error(INVALID_PARAMS, &detail.message)),
        (_, "resource_not_found") => Ok(local::error(RESOURCE_NOT_FOUND, &detail.message)),
        (422, _) if !detail.message.is_empty() => Ok(local::error(INVALID_PARAMS, &detail.message)),
        _ => Err(failure(refusal, &detail, method)),
    }
}

fn failure(refusal: &Refusal, detail: &Detail<'_>, method: &str) -> Failure {
    let Detail { kind, message, code, description } = detail;
    let parts: Vec<_> =
        [message, *code, *description].into_iter().filter(|x| !x.is_empty()).collect();
    let mut failure = match parts.as_slice() {
        [] => refusal.failure(),
        parts => refusal.failure_saying(&shorten(&parts.join(": "))),
    };
    if let Some(limit) = Limit::of(code) {
        return limit.apply(failure);
    }
    let is_refused_by_bitrix = |status: &str| message.contains(&format!("HTTP {status}"));
    match refusal.status.as_u16() {
        502 if UNAUTHORISED.contains(code)
            || is_refused_by_bitrix("401")
            || is_refused_by_bitrix("403") =>
        {
            failure.cause = Cause::Unauthorised;
            failure.reclassed(Class::Final, "Bitrix24 refuses the webhook").hint(
                Hint::both("Bitrix24 refuses the server's webhook or token: the administrator of b24-mcp must \
                 renew it, or give it the rights (scope) for this method.", "Битрикс24 не принимает вебхук или токен сервера: администратор b24-mcp должен обновить его или дать ему права (scope) на этот метод."),
            )
        }
        502 if code.is_empty() && !kind.is_empty() => {
            // The server has asked Bitrix24 four times by itself.
            failure.pace = Some(SLOW_PACE);
            failure.hint(
                Hint::both("Bitrix24 sent b24-mcp something other than an answer of its API: check the \
                 webhook's address, and whether Bitrix24 blocks the server's address.", "Битрикс24 ответил b24-mcp не так, как отвечает его API: проверьте адрес вебхука и не блокирует ли Битрикс24 адрес сервера."),
            )
        }
        502 if !code.is_empty() && is_refused_by_bitrix("4") => failure
            .reclassed(Class::Final, "Bitrix24 refuses the call itself")
            .hint(Hint::both("Bitrix24 refused the call: correct what it complains about.", "Битрикс24 отклонил вызов: исправьте то, на что он указывает.")),
        500 if method == method::TOOLS_CALL => failure.hint(
            Hint::both("As a rule an argument is missing or wrong: check the arguments against the tool's \
             schema. For callBitrixMethod, getCompany and getLeadCalls it may also be a limit, the \
             token or the rights at Bitrix24, which b24-mcp hides: look at its log.", "Обычно не хватает аргумента или он неверен: сверьте аргументы со схемой инструмента. У callBitrixMethod, getCompany и getLeadCalls причиной могут быть и ограничение, токен или права в Битрикс24, которые b24-mcp скрывает: посмотрите его журнал."),
        ),
        _ => failure,
    }
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

    /// By an error object of JSON-RPC, where the code is in `data` or ends the message. Elsewhere
    /// it may be part of a user's text.
    fn in_error(error: &str) -> Option<Self> {
        let error: Value = serde_json::from_str(error).ok()?;
        let data = ["/data/error", "/data/payload/error", "/data/code"];
        let data = data.into_iter().filter_map(|path| error.pointer(path)?.as_str());
        let message = error["message"].as_str().unwrap_or_default();
        let last = message.rsplit(char::is_whitespace).next();
        let last = last.map(|word| word.trim_end_matches(['.', ')']));
        data.chain(last).find_map(Self::of)
    }

    /// The failure for a refusal that came with the status of a success.
    fn failure(self, url: &str, said: &str) -> Failure {
        let what = format!("{url} says that Bitrix24 refused the call: {said}");
        self.apply(Failure::new(Class::Final, Cause::RateLimited, what))
    }

    fn apply(self, mut failure: Failure) -> Failure {
        failure.cause = Cause::RateLimited;
        match self {
            Self::TooFast => {
                failure.pace = Some(PACE);
                failure.reclassed(Class::Rejected, "Bitrix24 limits calls a second").hint(
                    Hint::both("Bitrix24 takes about two calls a second from a portal: ask for less at once, \
                     or lower `--max-in-flight`.", "Битрикс24 принимает от портала около двух вызовов в секунду: запрашивайте меньше за раз или уменьшите `--max-in-flight`."),
                )
            }
            Self::TooMuch => {
                failure.reclassed(Class::Final, "Bitrix24 blocks the method for minutes").hint(
                    Hint::both("Bitrix24 has blocked this method for up to ten minutes, because its calls \
                     took more than 480 s of computing time: ask for less at once (narrower \
                     filters, fewer fields) and try again later.", "Битрикс24 заблокировал этот метод на срок до десяти минут: его вызовы заняли больше 480 с вычислений. Запрашивайте меньше за раз (уже фильтры, меньше полей) и повторите позже."),
                )
            }
        }
    }
}

/// Turns an error response into a failure where it says that a limit refused the call.
pub(super) fn reject_rate_limited(response: Response, url: &str) -> Result<Response, Failure> {
    let Some(error) = response.error().map(local::text) else { return Ok(response) };
    let Some(limit) = Limit::in_error(error) else { return Ok(response) };
    let said = Object::read(error).and_then(|error| error.string("message")).unwrap_or_default();
    Err(limit.failure(url, &shorten(&said)))
}

/// The error in the body of a success, where there is one: a short object with `detail` and without
/// data.
pub(super) fn hidden_error(body: &[u8], url: &str) -> Option<Result<Response, Failure>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.len() >= MAX_HIDDEN_ERROR {
        return None;
    }
    let body: Value = of_json(body)?;
    if ["content", "metadata", "data"].iter().any(|name| !body[name].is_null()) {
        return None;
    }
    let Detail { message, code, .. } = Detail::of(&body);
    Some(match Limit::of(code) {
        _ if message.is_empty() => return None,
        Some(limit) => Err(limit.failure(url, &format!("{}: {code}", shorten(&message)))),
        None => Ok(local::error(INTERNAL_ERROR, &message)),
    })
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
            assert_eq!((failure.class(), failure.cause), (class, cause), "{body}");
        }
    }

    #[test]
    fn refusals_by_the_server_itself_are_errors_of_the_call() {
        let code = |status, body: &str| answer(status, body).unwrap().error_code();
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
