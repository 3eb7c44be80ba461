//! What may be sent again although the upstream may have acted on it already.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::jsonrpc::{Message, Response};

/// Knows which requests may be repeated: by their method, and for `tools/call` by what the
/// upstream has said of the tool in its latest listing. What it has not spoken of may not.
#[derive(Debug, Default)]
pub(crate) struct Repeatable {
    tools: Mutex<HashSet<String>>,
}

impl Repeatable {
    /// Whether sending `message` twice does no more than sending it once.
    pub(crate) fn allows(&self, message: &Message) -> bool {
        #[derive(Deserialize)]
        struct CallParams<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
        }
        match message.method() {
            "tools/call" => message
                .read_params()
                .is_some_and(|CallParams { name }| self.tools().contains(name.as_ref())),
            method => is_safe(method),
        }
    }

    /// Takes note of the tools in the response to `request`, if that is what it asked for.
    pub(crate) fn note(&self, request: &Message, response: &Response) {
        #[derive(Deserialize)]
        struct ListParams<'a> {
            #[serde(borrow)]
            cursor: Option<Cow<'a, str>>,
        }
        #[derive(Deserialize)]
        struct ListResult<'a> {
            #[serde(borrow)]
            tools: Vec<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Tool<'a> {
            name: String,
            #[serde(borrow)]
            annotations: Option<&'a RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase")]
        struct Annotations {
            read_only_hint: Option<bool>,
            idempotent_hint: Option<bool>,
        }
        if request.method() != "tools/list" {
            return;
        }
        let Some(result) = response.result() else { return };
        let params: Option<ListParams<'_>> = request.read_params();
        let is_next_page = params.is_some_and(|params| params.cursor.is_some());
        let mut repeatable = self.tools();
        if !is_next_page {
            repeatable.clear();
        }
        // A listing that cannot be read says nothing of its tools.
        let listed = serde_json::from_slice(result).unwrap_or(ListResult { tools: Vec::new() });
        // One odd tool says nothing of the others.
        let tools = listed.tools.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok());
        for Tool { name, annotations } in tools {
            let hints = annotations.and_then(|raw| serde_json::from_str(raw.get()).ok());
            let Annotations { read_only_hint, idempotent_hint } = hints.unwrap_or_default();
            if read_only_hint == Some(true) || idempotent_hint == Some(true) {
                repeatable.insert(name);
            } else {
                repeatable.remove(&name);
            }
        }
    }

    fn tools(&self) -> MutexGuard<'_, HashSet<String>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Methods that change nothing, or nothing more when done twice.
pub(crate) fn is_safe(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "server/discover"
            | "ping"
            | "tools/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "prompts/list"
            | "prompts/get"
            | "completion/complete"
            | "logging/setLevel"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::RequestId;

    fn list(repeatable: &Repeatable, params: &str, tools: &str) {
        let request = Message::request(RequestId::of_ours(1), "tools/list", params);
        let result = format!(r#"{{"tools":{tools}}}"#);
        repeatable.note(&request, &Response::with_result(result.into()));
    }

    fn may_call(repeatable: &Repeatable, name: &str) -> bool {
        let params = format!(r#"{{"name":"{name}","arguments":{{}}}}"#);
        repeatable.allows(&Message::request(RequestId::of_ours(2), "tools/call", &params))
    }

    #[test]
    fn a_call_may_be_repeated_only_if_the_latest_listing_says_so() {
        let repeatable = Repeatable::default();
        assert!(!may_call(&repeatable, "read"));
        list(
            &repeatable,
            "{}",
            r#"[{"name":"read","annotations":{"readOnlyHint":true}},
                {"name":"set","annotations":{"idempotentHint":true,"readOnlyHint":false}},
                {"name":"add","annotations":{"title":"x"}},{"name":"plain"}]"#,
        );
        let seen = ["read", "set", "add", "plain", "other"].map(|name| may_call(&repeatable, name));
        assert_eq!(seen, [true, true, false, false, false]);
        list(
            &repeatable,
            r#"{"cursor":"2"}"#,
            r#"[{"name":"more","annotations":{"readOnlyHint":true}}]"#,
        );
        assert!(may_call(&repeatable, "read") && may_call(&repeatable, "more"));
        list(&repeatable, "{}", r#"[{"name":"read"}]"#);
        assert!(!may_call(&repeatable, "read") && !may_call(&repeatable, "more"));
    }

    #[test]
    fn other_methods_go_by_their_name() {
        let repeatable = Repeatable::default();
        let allows = |method| repeatable.allows(&Message::notification(method, "{}"));
        assert!(allows("tools/list") && allows("resources/read"));
        assert!(!allows("vendor/method") && !allows("notifications/progress"));
    }
}
