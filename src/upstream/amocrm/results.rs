//! What the MCP variants answer: failures that come as successes, errors that only a programmer
//! understands, and amoCRM's own limit inside a result.

use std::time::Duration;

use super::SERVER_NAME;
use super::catalogue::HiddenFailure;
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{INTERNAL_ERROR, Message, Response, to_json};
use crate::upstream::json::{Object, items};
use crate::upstream::local::{Named, error_code, mended, mended_error};
use crate::upstream::repair;

/// The pause that amoCRM's limit of seven calls a second needs, and few tries: it bans addresses that
/// go on.
const PACE: Duration = Duration::from_secs(2);

/// How results are treated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Results {
    /// Leaves failures that come as successes as they are.
    pub(super) keeps_errors: bool,
}

impl Results {
    /// The response to `tools/call` as clients take it.
    ///
    /// # Errors
    /// amoCRM refused the call for its frequency, before it ran.
    pub(super) fn of_call(self, call: &Message, response: Response) -> Result<Response, Failure> {
        if error_code(&response) == Some(INTERNAL_ERROR) {
            return Ok(mended_error(response, missing_argument));
        }
        let named: Option<Named<'_>> = call.read_params();
        let name = named.as_ref().map_or("", |named| &named.name);
        let response = mended(response, |result| repair::call_result(result, name));
        let hidden = response.result().and_then(|result| {
            let text = only_text(crate::upstream::local::text(result))?;
            HiddenFailure::find(&text)
        });
        let Some(hidden) = hidden else { return Ok(response) };
        let marked = if self.keeps_errors { response } else { mended(response, mark_error) };
        if hidden.is_rate_limit() { Err(limited(SERVER_NAME, Some(marked))) } else { Ok(marked) }
    }
}

/// amoCRM takes seven calls a second and refuses the rest before they run. `response` is what the
/// client gets when waiting does not help, where there is something to be got.
pub(super) fn limited(url: &str, response: Option<Response>) -> Failure {
    let what = format!("{url} says that amoCRM limits the calls (status 429)");
    let mut failure = Failure::new(Class::Rejected, Cause::RateLimited, what);
    failure.pace = Some(PACE);
    failure.answer = response.map(Box::new);
    failure.hint("amoCRM takes seven calls a second: wait, or lower `--rate`.")
}

/// The text of a result that is one text item and does not call itself an error.
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

/// A Python `KeyError` is the name of the missing argument in quotes and nothing more.
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

/// An `initialize` result that announces resources as well.
pub(super) fn with_resources(response: Response) -> Response {
    mended(response, |result| {
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
    use crate::jsonrpc::RequestId;
    use crate::upstream::local;

    fn call() -> Message {
        Message::request(RequestId::number(1), "tools/call", r#"{"name":"t"}"#)
    }

    fn result(text: &str) -> Response {
        local::result(format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, to_json(&text)))
    }

    #[test]
    fn a_hidden_failure_is_marked_and_a_limit_is_waited_out() {
        let results = Results { keeps_errors: false };
        let is_error = |text: &str| {
            let response = results.of_call(&call(), result(text)).unwrap();
            local::text(response.result().unwrap()).contains(r#""isError":true"#)
        };
        assert!(is_error(r#"{"error":"Unknown tool: nope"}"#));
        assert!(!is_error(r#"{"id":1,"status":500}"#));
        let failure = results.of_call(&call(), result(r#"{"status": 429}"#)).unwrap_err();
        assert_eq!((failure.class, failure.cause), (Class::Rejected, Cause::RateLimited));
        assert!(failure.answer.is_some());
        let kept =
            Results { keeps_errors: true }.of_call(&call(), result(r#"{"error":"x"}"#)).unwrap();
        assert!(!local::text(kept.result().unwrap()).contains("isError"));
    }

    #[test]
    fn a_missing_argument_is_named() {
        let error = |message: &str| {
            let response = local::error(INTERNAL_ERROR, message);
            let response = Results { keeps_errors: false }.of_call(&call(), response).unwrap();
            local::text(response.error().unwrap()).to_owned()
        };
        assert!(error("'text'").contains("The argument `text` is missing"));
        assert!(error("'NoneType' object has no attribute 'get'").contains("NoneType"));
    }
}
