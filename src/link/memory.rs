//! What a session must be told again after a loss, and what has been learned from what passed.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::jsonrpc::{METHOD_NOT_FOUND, Message, Response, to_json};
use crate::mcp::{CallParams, ResourceParams, ServerCapabilities, empty_list, method};
use crate::upstream::{Greeting, Request};

/// What outlives a session.
#[derive(Default)]
pub(super) struct Memory(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    handshake: Option<Handshake>,
    /// Tools that their latest listing calls read-only or idempotent.
    repeatable_tools: HashSet<String>,
}

/// What belongs to one handshake of the client.
struct Handshake {
    greeting: Greeting,
    /// `notifications/initialized`, once the client has sent it.
    initialized: Option<Message>,
    /// The capabilities that the client was told of; `None` until it has an answer.
    told: Option<ServerCapabilities>,
    /// Whether those were our own promise, made before the upstream was there.
    is_promise: bool,
    level: Option<Request>,
    /// By the URI of the resource.
    subscriptions: BTreeMap<String, Request>,
}

impl Handshake {
    fn new(greeting: Greeting, initialized: Option<Message>) -> Self {
        let subscriptions = BTreeMap::new();
        Self { greeting, initialized, told: None, is_promise: false, level: None, subscriptions }
    }
}

impl Memory {
    /// Takes the client's `initialize`, and forgets what was said after an earlier one.
    pub(super) fn begin(&self, greeting: Greeting) {
        self.contents().handshake = Some(Handshake::new(greeting, None));
    }

    /// Makes `greeting` the handshake of a client that began without one; returns whether it did.
    pub(super) fn begin_without_handshake(&self, greeting: impl FnOnce() -> Greeting) -> bool {
        let mut contents = self.contents();
        let is_missing = contents.handshake.is_none();
        if is_missing {
            let initialized = Message::notification(method::INITIALIZED, "{}");
            contents.handshake = Some(Handshake::new(greeting(), Some(initialized)));
        }
        is_missing
    }

    /// What the next session is opened for.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        self.contents().handshake.as_ref().map(|handshake| handshake.greeting.clone())
    }

    /// Whether the client has begun, and shows addresses to a person (elicitation in URL mode).
    pub(super) fn shows_urls(&self) -> bool {
        let contents = self.contents();
        let Some(handshake) = &contents.handshake else { return false };
        let Greeting::Handshake(initialize) = &handshake.greeting else { return false };
        let params = initialize.message.read_params::<serde_json::Value>();
        let shows =
            |params: serde_json::Value| params["capabilities"]["elicitation"]["url"].is_object();
        handshake.initialized.is_some() && params.is_some_and(shows)
    }

    /// Takes `notifications/initialized`.
    pub(super) fn note_initialized(&self, message: Message) {
        if let Some(handshake) = &mut self.contents().handshake {
            handshake.initialized = Some(message);
        }
    }

    /// `notifications/initialized`, once there is one.
    pub(super) fn initialized(&self) -> Option<Message> {
        self.contents().handshake.as_ref()?.initialized.clone()
    }

    /// Notes which capabilities the client was told of.
    pub(super) fn note_told(&self, initialize: &Response) {
        if let Some(handshake) = &mut self.contents().handshake {
            handshake.told = Some(capabilities(initialize));
        }
    }

    /// Notes what we have promised the client ourselves.
    pub(super) fn note_promised(&self, initialize: &Response) {
        self.note_told(initialize);
        if let Some(handshake) = &mut self.contents().handshake {
            handshake.is_promise = true;
        }
    }

    /// The empty list that keeps our promise, where `error` answers the `request` for a list and the
    /// upstream, by its own answer to `initialize`, does not have it or does not know the method.
    pub(super) fn kept_promise(
        &self,
        request: &Message,
        error: &Response,
        initialize: &Response,
    ) -> Option<Response> {
        let member = method::list_member(request.method())?;
        if !self.contents().handshake.as_ref()?.is_promise || error.error().is_none() {
            return None;
        }
        let offered = capabilities(initialize);
        let is_offered = match member {
            "tools" => offered.tools.is_some(),
            "prompts" => offered.prompts.is_some(),
            _ => offered.resources.is_some(),
        };
        if is_offered && error.error_code() != Some(METHOD_NOT_FOUND) {
            return None;
        }
        tracing::info!(method = request.method(), "the upstream has no such list: it is empty");
        empty_list(request.method()).map(Response::with_result)
    }

    /// Whether the client has the answer to its `initialize`.
    pub(super) fn was_told(&self) -> bool {
        self.contents().handshake.as_ref().is_some_and(|handshake| handshake.told.is_some())
    }

    /// Learns from the successful `response` to `request`: what it has set in the session, and
    /// which tools may run twice.
    pub(super) fn learn(&self, request: &Request, response: &Response) {
        let mut contents = self.contents();
        let name = request.message.method();
        if name == method::TOOLS_LIST {
            return note_tools(&mut contents.repeatable_tools, &request.message, response);
        }
        let Some(handshake) = &mut contents.handshake else { return };
        let uri = || request.message.read_params().map(|ResourceParams { uri }| uri);
        match name {
            method::SET_LEVEL => handshake.level = Some(request.clone()),
            method::RESOURCES_SUBSCRIBE => {
                let subscription = uri().map(|uri| (uri, request.clone()));
                handshake.subscriptions.extend(subscription);
            }
            method::RESOURCES_UNSUBSCRIBE => {
                if let Some(uri) = uri() {
                    handshake.subscriptions.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// Whether sending `message` twice does no more than sending it once, by its method or by what
    /// the upstream has said of the tool.
    pub(super) fn allows_repeat(&self, message: &Message) -> bool {
        match message.method() {
            method::TOOLS_CALL => {
                message.read_params().is_some_and(|CallParams { name, .. }| {
                    self.contents().repeatable_tools.contains(name.as_ref())
                })
            }
            method => method::is_safe(method),
        }
    }

    /// The requests that set in a new session what was set in the one before.
    pub(super) fn to_restore(&self) -> Vec<Request> {
        let contents = self.contents();
        let Some(handshake) = &contents.handshake else { return Vec::new() };
        handshake.level.iter().chain(handshake.subscriptions.values()).cloned().collect()
    }

    /// What to tell a client that may have missed notifications, within the capabilities that it
    /// was told of.
    pub(super) fn possible_changes(&self) -> Vec<Message> {
        let contents = self.contents();
        let Some(handshake) = &contents.handshake else { return Vec::new() };
        let Some(told) = &handshake.told else { return Vec::new() };
        let lists = [
            (&told.tools, method::TOOLS_CHANGED),
            (&told.prompts, method::PROMPTS_CHANGED),
            (&told.resources, method::RESOURCES_CHANGED),
        ];
        let lists = lists
            .into_iter()
            .filter(|(list, _)| list.as_ref().is_some_and(|list| list.list_changed))
            .map(|(_, method)| Message::notification(method, "{}"));
        let resources = handshake.subscriptions.keys().map(|uri| {
            let params = to_json(&ResourceParams { uri: uri.clone() });
            Message::notification(method::RESOURCE_UPDATED, &params)
        });
        lists.chain(resources).collect()
    }

    /// Every update is a single assignment, so a panic elsewhere breaks nothing.
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The capabilities in the answer to `initialize`.
fn capabilities(response: &Response) -> ServerCapabilities {
    #[derive(Deserialize)]
    struct InitializeResult {
        #[serde(default)]
        capabilities: ServerCapabilities,
    }
    let result = response.result().map(|result| serde_json::from_slice::<InitializeResult>(result));
    result.and_then(Result::ok).map(|result| result.capabilities).unwrap_or_default()
}

/// Takes the tools in `response` into `repeatable`, or out of it, each as its annotations say.
fn note_tools(repeatable: &mut HashSet<String>, request: &Message, response: &Response) {
    #[derive(Deserialize)]
    struct ListParams<'a> {
        #[serde(borrow)]
        cursor: Option<&'a RawValue>,
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
    let Some(result) = response.result() else { return };
    let params: Option<ListParams<'_>> = request.read_params();
    let is_next_page = params.is_some_and(|params| params.cursor.is_some());
    if !is_next_page {
        repeatable.clear();
    }
    // A listing that cannot be read says nothing of its tools.
    let listed = serde_json::from_slice(result).unwrap_or(ListResult { tools: Vec::new() });
    // One malformed tool says nothing of the others.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::RequestId;

    fn request(method: &str, params: &str) -> Request {
        let id = RequestId::of_ours(1);
        Request::new(Message::request(id.clone(), method, params), id)
    }

    fn list(memory: &Memory, params: &str, tools: &str) {
        let result = format!(r#"{{"tools":{tools}}}"#);
        let response = Response::with_result(result.into());
        memory.learn(&request(method::TOOLS_LIST, params), &response);
    }

    fn may_call(memory: &Memory, name: &str) -> bool {
        let params = format!(r#"{{"name":"{name}","arguments":{{}}}}"#);
        memory.allows_repeat(&request(method::TOOLS_CALL, &params).message)
    }

    #[test]
    fn a_call_may_be_repeated_only_if_the_latest_listing_says_so() {
        let memory = Memory::default();
        assert!(!may_call(&memory, "read"));
        list(
            &memory,
            "{}",
            r#"[{"name":"read","annotations":{"readOnlyHint":true}},
                {"name":"set","annotations":{"idempotentHint":true,"readOnlyHint":false}},
                {"name":"add","annotations":{"title":"x"}},{"name":"plain"}]"#,
        );
        let seen = ["read", "set", "add", "plain", "other"].map(|name| may_call(&memory, name));
        assert_eq!(seen, [true, true, false, false, false]);
        list(
            &memory,
            r#"{"cursor":"2"}"#,
            r#"[{"name":"more","annotations":{"readOnlyHint":true}}]"#,
        );
        assert!(may_call(&memory, "read") && may_call(&memory, "more"));
        list(&memory, "{}", r#"[{"name":"read"}]"#);
        assert!(!may_call(&memory, "read") && !may_call(&memory, "more"));
    }

    #[test]
    fn other_methods_go_by_their_name() {
        let memory = Memory::default();
        let allows = |method| memory.allows_repeat(&Message::notification(method, "{}"));
        assert!(allows("tools/list") && allows("resources/read"));
        assert!(!allows("vendor/method") && !allows("notifications/progress"));
    }

    #[test]
    fn a_new_session_is_told_what_the_last_one_was() {
        let memory = Memory::default();
        memory.begin(Greeting::Handshake(request(method::INITIALIZE, "{}")));
        let done = Response::with_result("{}".into());
        for (method, params) in [
            (method::SET_LEVEL, r#"{"level":"info"}"#),
            (method::SET_LEVEL, r#"{"level":"error"}"#),
            (method::RESOURCES_SUBSCRIBE, r#"{"uri":"a:1"}"#),
            (method::RESOURCES_SUBSCRIBE, r#"{"uri":"a:2"}"#),
            (method::RESOURCES_UNSUBSCRIBE, r#"{"uri":"a:1"}"#),
        ] {
            memory.learn(&request(method, params), &done);
        }
        let restored = memory.to_restore();
        let params: Vec<_> = restored.iter().map(|it| it.message.params().unwrap()).collect();
        assert_eq!(params, [r#"{"level":"error"}"#, r#"{"uri":"a:2"}"#]);
        memory.begin(Greeting::Handshake(request(method::INITIALIZE, "{}")));
        assert!(memory.to_restore().is_empty());
    }

    #[test]
    fn only_what_the_client_was_told_of_may_have_changed() {
        let memory = Memory::default();
        memory.begin(Greeting::Handshake(request(method::INITIALIZE, "{}")));
        assert!(memory.possible_changes().is_empty());
        let result = r#"{"capabilities":{"tools":{"listChanged":true},"prompts":{}}}"#;
        memory.note_told(&Response::with_result(result.into()));
        let changes = memory.possible_changes();
        let methods: Vec<_> = changes.iter().map(Message::method).collect();
        assert_eq!(methods, [method::TOOLS_CHANGED]);
    }
}
