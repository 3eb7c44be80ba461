//! Repairs of what the MCP variants answer: failures that come as successes, errors that only a
//! programmer understands, and amoCRM's own limit inside a result.

use std::time::Duration;

use super::SERVER_NAME;
use super::catalogue::HiddenFailure;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::jsonrpc::{INTERNAL_ERROR, Response, to_json};
use crate::upstream::json::{Object, items};
use crate::upstream::local::{self, repaired, repaired_error};

/// The pause after amoCRM's limit of seven calls a second. It allows few retries: amoCRM bans
/// addresses that exceed the limit again and again.
const PACE: Duration = Duration::from_secs(2);

/// The response to `tools/call` with failures that look like successes marked, unless `keeps_errors`.
///
/// # Errors
/// amoCRM refused the call as too frequent, before it ran.
pub(super) fn repair_call(response: Response, keeps_errors: bool) -> Result<Response, Failure> {
    if response.error_code() == Some(INTERNAL_ERROR) {
        return Ok(repaired_error(response, missing_argument));
    }
    let Some(hidden) = hidden_failure(&response) else { return Ok(response) };
    let marked = if keeps_errors { response } else { repaired(response, mark_error) };
    if hidden.is_rate_limit() { Err(limited(SERVER_NAME, Some(marked))) } else { Ok(marked) }
}

/// `response` to `tools/call`, marked as an error where it tells of a failure. Nothing is known of
/// what the call has done before.
pub(super) fn mark_failure(response: Response) -> Response {
    match hidden_failure(&response) {
        Some(_) => repaired(response, mark_error),
        None => response,
    }
}

fn hidden_failure(response: &Response) -> Option<HiddenFailure> {
    HiddenFailure::find(&only_text(local::text(response.result()?))?)
}

/// The failure for a call that amoCRM refused as too frequent, before it ran. The client gets
/// `response` when waiting does not help.
pub(super) fn limited(url: &str, response: Option<Response>) -> Failure {
    let what = format!("{url} says that amoCRM limits the calls (status 429)");
    let mut failure = Failure::new(Class::Rejected, Cause::RateLimited, what);
    failure.pace = Some(PACE);
    failure.answer = response.map(Box::new);
    failure.hint(Hint::both(
        "amoCRM takes seven calls a second: wait, or lower `--rate`.",
        "amoCRM принимает семь вызовов в секунду: подождите или уменьшите `--rate`.",
    ))
}

/// The text of a result that holds one text item and is not marked as an error.
fn only_text(result: &str) -> Option<String> {
    let result = Object::read(result)?;
    if result.has("isError") {
        return None;
    }
    let content = items(result.get("content")?)?;
    let [item] = content.as_slice() else { return None };
    let item = Object::read(item)?;
    if item.string("type")? == "text" { item.string("text") } else { None }
}

fn mark_error(result: &str) -> Option<String> {
    let mut result = Object::read(result)?;
    result.set("isError", "true".to_owned());
    result.changed()
}

/// Explains a Python `KeyError`, whose message is the name of the missing argument in quotes.
fn missing_argument(error: &str) -> Option<String> {
    let mut object = Object::read(error)?;
    let message = object.string("message")?;
    let name = message.strip_prefix('\'')?.strip_suffix('\'')?;
    let is_name = !name.is_empty() && name.chars().all(|one| one.is_alphanumeric() || one == '_');
    if !is_name {
        return None;
    }
    let text = format!("The argument `{name}` is missing (the server says: {message})");
    object.set("message", to_json(&text));
    object.changed()
}

/// Adds the capability `resources` to an `initialize` result.
pub(super) fn with_resources(response: Response) -> Response {
    repaired(response, |result| {
        let mut result = Object::read(result)?;
        let mut capabilities =
            result.get("capabilities").and_then(Object::read).unwrap_or_default();
        if !capabilities.has("resources") {
            capabilities.set("resources", "{}".to_owned());
        }
        let capabilities = capabilities.text();
        result.set("capabilities", capabilities);
        result.changed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> Response {
        local::result(format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, to_json(&text)))
    }

    #[test]
    fn a_hidden_failure_is_marked_and_a_limit_leads_to_a_retry() {
        let is_error = |text: &str| {
            let response = repair_call(result(text), false).unwrap();
            local::text(response.result().unwrap()).contains(r#""isError":true"#)
        };
        assert!(is_error(r#"{"error":"Unknown tool: nope"}"#));
        assert!(!is_error(r#"{"id":1,"status":500}"#));
        let failure = repair_call(result(r#"{"status": 429}"#), false).unwrap_err();
        assert_eq!((failure.class(), failure.cause), (Class::Rejected, Cause::RateLimited));
        assert!(failure.answer.is_some());
        let kept = repair_call(result(r#"{"error":"x"}"#), true).unwrap();
        assert!(!local::text(kept.result().unwrap()).contains("isError"));
    }

    #[test]
    fn a_missing_argument_is_named() {
        let error = |message: &str| {
            let response = local::error(INTERNAL_ERROR, message);
            let response = repair_call(response, false).unwrap();
            local::text(response.error().unwrap()).to_owned()
        };
        assert!(error("'text'").contains("The argument `text` is missing"));
        assert!(error("'NoneType' object has no attribute 'get'").contains("NoneType"));
    }
}
