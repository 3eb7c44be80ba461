//! Failures that the server passes off as successes.
//!
//! The current server answers 200 and writes what amoCRM said, or what broke, into the body. An
//! agent that is not told takes `Too Many Requests` for the contact that it asked for.

use crate::upstream::json::Object;

/// A failure in the body of a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream::amocrm) struct HiddenFailure {
    /// The status that amoCRM gave, where the text names one.
    pub(super) status: Option<u16>,
}

impl HiddenFailure {
    /// Finds the failure in `text`, the JSON of a result: an object with a numeric `status` or
    /// `code` of 400 or more, or with an `error` that is a string. An object with an `id` or
    /// `_embedded` is an entity or a list of them, whatever else it has.
    pub(in crate::upstream::amocrm) fn find(text: &str) -> Option<Self> {
        let object = Object::read(text)?;
        if object.get("_embedded").is_some() || object.get("id").is_some() {
            return None;
        }
        // A number may be written as a float, `4.29e2`, but not as a string.
        let number = |name| object.get(name)?.parse().ok().filter(|number: &f64| *number >= 400.0);
        let status = number("status").or_else(|| number("code"));
        let has_error = || object.get("error").is_some_and(|value| value.starts_with('"'));
        // A float that does not fit saturates; no service sends one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (status.is_some() || has_error())
            .then(|| Self { status: status.map(|number| number as u16) })
    }

    /// Whether amoCRM refused the call for its frequency.
    pub(in crate::upstream::amocrm) fn is_rate_limit(self) -> bool {
        self.status == Some(429)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_from_answers() {
        let failures = [
            (r#"{"title":"Unauthorized","type":"x","status":401,"detail":""}"#, Some(401)),
            (r#"{"title":"Too Many Requests","status":429.0}"#, Some(429)),
            (r#"{"code": 403, "text": "<html>…"}"#, Some(403)),
            (r#"{"status":200,"code":403}"#, Some(403)),
            (r#"{"error":"500: boom","status":"error"}"#, None),
            (r#"{"error":"Unknown tool: nope"}"#, None),
        ];
        for (text, status) in failures {
            assert_eq!(HiddenFailure::find(text), Some(HiddenFailure { status }), "{text}");
        }
        let answers = [
            r#"{"status":399}"#,
            r#"{"status":"429"}"#,
            r#"{"status":"error"}"#,
            r#"{"status":"no_content","code":204}"#,
            r#"{"status_id":142,"code":"400"}"#,
            r#"{"error":{"code":1}}"#,
            r#"{"error":null}"#,
            r#"{"id":1,"status":500}"#,
            r#"{"_embedded":{},"error":"x"}"#,
            r#"{"contact":{"status":500}}"#,
            r#"[{"status":500}]"#,
            r#""status""#,
            "not JSON",
            "",
        ];
        for text in answers {
            assert_eq!(HiddenFailure::find(text), None, "{text}");
        }
    }
}
