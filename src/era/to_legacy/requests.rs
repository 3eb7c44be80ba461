//! A modern client's requests as a legacy upstream takes them, and what the client can do.

use super::held::Binding;
use crate::jsonrpc::{Message, RequestId};
use crate::mcp::{meta, method};
use crate::upstream::json::{Object, members, string};
use crate::upstream::{Request, local};

/// The members of `_meta` that only the modern era has.
const MODERN: [&str; 4] =
    [meta::PROTOCOL_VERSION, meta::CLIENT_INFO, meta::CLIENT_CAPABILITIES, meta::LOG_LEVEL];

/// A request without what only the modern era says.
pub(super) struct Plain {
    method: String,
    pub(super) params: String,
    /// The client's answers to questions, as JSON text.
    pub(super) answers: Option<String>,
    /// The state that belongs to them.
    pub(super) state: Option<String>,
    /// The token by which it asks for progress, as it is written.
    pub(super) token: Option<String>,
}

impl Plain {
    pub(super) fn of(message: &Message) -> Self {
        let mut params = Object::read(local::params(message)).unwrap_or_default();
        let given = params.get("_meta").map(str::to_owned);
        let mut token = None;
        if let Some(mut given) = given.as_deref().and_then(Object::read) {
            token = given.get("progressToken").map(str::to_owned);
            for name in MODERN {
                given.remove(name);
            }
            if given.is_empty() {
                params.remove("_meta");
            } else if let Some(given) = given.changed() {
                params.set("_meta", given);
            }
        }
        let (mut answers, mut state) = (None, None);
        if method::has_rounds(message.method()) {
            let given = |name| params.get(name).filter(|value| *value != "null");
            answers = given("inputResponses").filter(|answers| *answers != "{}").map(str::to_owned);
            // One that is no string is as unknown as one that was changed.
            state = given("requestState").map(|state| string(state).unwrap_or_default());
            params.remove("inputResponses");
            params.remove("requestState");
        }
        Self { method: message.method().to_owned(), params: params.text(), answers, state, token }
    }

    /// The request that the upstream gets for the client's `original`.
    pub(super) fn request(&self, original: &Request) -> Request {
        let id = original.wire_id.clone();
        Request::rewritten(&original.message, id, &self.method, &self.params)
    }

    /// What tells it from other requests.
    pub(super) fn binding(&self) -> Binding {
        Binding::of(&self.method, &self.params)
    }

    /// The same with another id.
    pub(super) fn request_as(&self, id: RequestId) -> Request {
        Request::new(Message::request(id.clone(), &self.method, &self.params), id)
    }
}

/// What a client can do, as JSON text.
#[derive(Debug, Clone)]
pub(super) struct Capabilities(String);

impl Default for Capabilities {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl Capabilities {
    pub(super) fn of(text: &str) -> Self {
        if text.starts_with('{') { Self(text.to_owned()) } else { Self::default() }
    }

    pub(super) fn text(&self) -> String {
        self.0.clone()
    }

    /// Adds what `more` names and this does not.
    pub(super) fn add(&mut self, more: &str) {
        self.0 = union(&self.0, more, 2);
    }

    /// Whether everything that `asked` names is in here.
    pub(super) fn covers(&self, asked: &Self) -> bool {
        self.0 == asked.0 || covers(&self.0, &asked.0, 2)
    }

    /// Whether a client can answer the question `method` with `params`.
    pub(super) fn can_answer(&self, method: &str, params: &str) -> bool {
        let capabilities = Object::read(&self.0).unwrap_or_default();
        let capability = |name: &str| capabilities.get(name).and_then(Object::read);
        match method {
            method::SAMPLING => capability("sampling").is_some(),
            method::ROOTS => capability("roots").is_some(),
            method::ELICITATION => capability("elicitation").is_some_and(|elicitation| {
                let is_url = Object::read(params)
                    .is_some_and(|params| params.string("mode").as_deref() == Some("url"));
                // A client that names no mode has the form.
                if is_url {
                    elicitation.has("url")
                } else {
                    elicitation.has("form") || !elicitation.has("url")
                }
            }),
            _ => false,
        }
    }
}

/// The members of both objects, down to `depth` levels.
fn union(one: &str, other: &str, depth: usize) -> String {
    let (Some(mut both), Some(other)) = (Object::read(one), members(other)) else {
        return one.to_owned();
    };
    for (name, value) in other {
        let known = both.get(&name).map(str::to_owned);
        match known {
            Some(known) if depth > 1 => both.set(&name, union(&known, &value, depth - 1)),
            Some(_) => {}
            None => both.set(&name, value),
        }
    }
    both.text()
}

/// Whether the object `all` has the members of `some`, down to `depth` levels.
fn covers(all: &str, some: &str, depth: usize) -> bool {
    let (Some(all), Some(some)) = (Object::read(all), members(some)) else { return true };
    some.iter().all(|(name, value)| {
        all.get(name).is_some_and(|known| depth <= 1 || covers(known, value, depth - 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_modern_era_says_is_taken_off() {
        let params = r#"{"name":"t","arguments":{"a":1.0},"inputResponses":{"k":{}},"requestState":"s","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":1,"x/y":2}}"#;
        let message = Message::request(RequestId::number(1), "tools/call", params);
        let plain = Plain::of(&message);
        assert_eq!(
            plain.params,
            r#"{"name":"t","arguments":{"a":1.0},"_meta":{"progressToken":1,"x/y":2}}"#
        );
        assert_eq!(plain.answers.as_deref(), Some(r#"{"k":{}}"#));
        assert_eq!(plain.state.as_deref(), Some("s"));
        assert_eq!(plain.token.as_deref(), Some("1"));
        let params = r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#;
        let message = Message::request(RequestId::number(1), "tools/list", params);
        assert_eq!(Plain::of(&message).params, "{}");
    }

    #[test]
    fn capabilities_add_up() {
        let mut known = Capabilities::of(r#"{"roots":{},"elicitation":{"form":{}}}"#);
        assert!(known.covers(&Capabilities::of(r#"{"roots":{}}"#)));
        let more = r#"{"elicitation":{"url":{}},"sampling":{}}"#;
        assert!(!known.covers(&Capabilities::of(more)));
        known.add(more);
        assert!(known.covers(&Capabilities::of(more)));
        assert_eq!(
            known.text(),
            r#"{"roots":{},"elicitation":{"form":{},"url":{}},"sampling":{}}"#
        );
    }

    #[test]
    fn a_question_needs_its_capability() {
        let can = |capabilities: &str, method: &str, params: &str| {
            Capabilities::of(capabilities).can_answer(method, params)
        };
        assert!(can(r#"{"elicitation":{}}"#, "elicitation/create", r#"{"message":"?"}"#));
        assert!(!can(r#"{"elicitation":{}}"#, "elicitation/create", r#"{"mode":"url"}"#));
        assert!(can(r#"{"elicitation":{"url":{}}}"#, "elicitation/create", r#"{"mode":"url"}"#));
        assert!(!can(r#"{"elicitation":{"url":{}}}"#, "elicitation/create", "{}"));
        assert!(!can("{}", "roots/list", "{}") && can(r#"{"roots":{}}"#, "roots/list", "{}"));
    }
}
