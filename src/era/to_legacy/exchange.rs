//! A call to a legacy upstream in which the upstream may ask the client something. The call goes on in
//! a task of its own; the client's request ends with each question, and the next one takes it up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::held::Binding;
use super::question::Question;
use super::requests::{Capabilities, Plain};
use super::{Inner, results};
use crate::background;
use crate::era::answered;
use crate::failure::Failure;
use crate::jsonrpc::{INTERNAL_ERROR, RequestId, Response, of_json, to_json};
use crate::mcp::{code, method};
use crate::upstream::json::{Object, members};
use crate::upstream::{Request, local};

/// One call.
pub(super) struct Call {
    capabilities: Capabilities,
    state: Mutex<State>,
    /// Notified when there is a question or an outcome.
    changed: Notify,
}

struct State {
    /// The id by which the upstream knows the call.
    id: RequestId,
    /// The id of the client's latest request for it.
    asked_as: RequestId,
    /// Whether the client waits for it at this moment. In between it is to hear nothing of it.
    is_waited_for: bool,
    /// The tokens for progress: that which the upstream knows, and that of the latest request.
    token: Option<String>,
    told_token: Option<String>,
    /// Sent as soon as no question is open.
    unsent: Option<Unsent>,
    questions: Vec<Question>,
    /// Questions so far, for their names.
    count: u32,
    outcome: Option<Result<Response, Failure>>,
    task: Option<AbortHandle>,
}

/// A request for the upstream.
struct Unsent {
    request: Request,
    /// The token by which it asks for progress.
    token: Option<String>,
}

/// What a call has come to.
enum Step {
    Ended(Result<Response, Failure>),
    Asks,
}

impl Unsent {
    fn new(plain: &Plain, id: RequestId) -> Self {
        Self { request: plain.request_as(id), token: plain.token.clone() }
    }
}

impl Call {
    fn new(plain: &Plain, id: &RequestId, capabilities: Capabilities) -> Arc<Self> {
        let state = State {
            id: id.clone(),
            asked_as: id.clone(),
            is_waited_for: true,
            told_token: plain.token.clone(),
            token: None,
            unsent: Some(Unsent::new(plain, id.clone())),
            questions: Vec::new(),
            count: 0,
            outcome: None,
            task: None,
        };
        Arc::new(Self { capabilities, state: Mutex::new(state), changed: Notify::new() })
    }

    /// Every update leaves it complete, so a panic elsewhere breaks nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id(&self) -> RequestId {
        self.state().id.clone()
    }

    /// The ids of the client's latest request for it, and by which the upstream knows it.
    pub(super) fn ids(&self) -> (RequestId, RequestId) {
        let state = self.state();
        (state.asked_as.clone(), state.id.clone())
    }

    /// The id of the client's request that waits for the call.
    pub(super) fn waiting(&self) -> Option<RequestId> {
        let state = self.state();
        state.is_waited_for.then(|| state.asked_as.clone())
    }

    /// Lets the client's request `id`, which says `plain`, wait for the call.
    fn wait_as(&self, id: &RequestId, plain: &Plain) {
        let mut state = self.state();
        state.asked_as = id.clone();
        state.told_token.clone_from(&plain.token);
        state.is_waited_for = true;
    }

    /// The progress in `params` as the client's latest request asks for it, if it does and waits.
    pub(super) fn progress(&self, params: &str) -> Option<String> {
        let state = self.state();
        let mut params = Object::read(params)?;
        if !state.is_waited_for || params.get("progressToken") != state.token.as_deref() {
            return None;
        }
        params.set("progressToken", state.told_token.clone()?);
        Some(params.text())
    }

    pub(super) fn can_answer(&self, question: &Question) -> bool {
        question.can_be_answered_by(&self.capabilities)
    }

    pub(super) fn is_asked(&self) -> bool {
        !self.state().questions.is_empty()
    }

    /// Takes a question for the client.
    pub(super) fn ask(&self, mut question: Question) {
        let mut state = self.state();
        state.count += 1;
        question.key = format!("{}-{}", question.method.replace('/', "-"), state.count);
        state.questions.push(question);
        drop(state);
        self.changed.notify_one();
    }

    /// Forgets the question `id`.
    pub(super) fn take_back(&self, id: &RequestId) {
        self.state().questions.retain(|question| !question.is(id));
    }

    fn finish(&self, outcome: Result<Response, Failure>) {
        self.state().outcome = Some(outcome);
        self.changed.notify_one();
    }

    /// Waits until the call has ended or the client is asked.
    async fn step(&self) -> Step {
        loop {
            {
                let mut state = self.state();
                if let Some(outcome) = state.outcome.take() {
                    return Step::Ended(outcome);
                }
                if !state.questions.is_empty() {
                    return Step::Asks;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Hands the client's `answers` to those who wait for them. What is still open is asked again.
    fn answer(&self, answers: &str) {
        for (key, answer) in members(answers).unwrap_or_default() {
            let question = {
                let mut state = self.state();
                let at = state.questions.iter().position(|question| question.key == key);
                at.map(|at| state.questions.remove(at))
            };
            if let Some(question) = question {
                question.answer(&answer);
            }
        }
    }

    /// The result that asks the client everything that is open, with `state`.
    fn input_required(&self, state: &str) -> Response {
        let mut requests = Object::default();
        for Question { key, method, params, .. } in &self.state().questions {
            let request = format!(r#"{{"method":{},"params":{params}}}"#, to_json(method));
            requests.set(key, request);
        }
        let requests = requests.text();
        local::result(format!(
            r#"{{"resultType":"input_required","inputRequests":{requests},"requestState":{}}}"#,
            to_json(&state)
        ))
    }

    /// Ends the call: nobody waits for it any more.
    fn stop(&self) {
        let (task, questions) = {
            let mut state = self.state();
            (state.task.take(), std::mem::take(&mut state.questions))
        };
        if let Some(task) = task {
            task.abort();
        }
        questions.into_iter().for_each(Question::abandon);
    }
}

/// The client's request that waits for a call. When it is given up, so is the call.
struct Waiting<'a> {
    inner: &'a Arc<Inner>,
    call: &'a Arc<Call>,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.call.stop();
        self.inner.ears.leave(self.call);
        if self.inner.is_superseded.load(Ordering::Relaxed) {
            // The client's cancellation goes to the session of now, which knows nothing of it.
            let (inner, id) = (self.inner.clone(), self.call.id());
            background::spawn(async move { inner.cancel(id).await });
        }
    }
}

impl Inner {
    /// Asks the upstream, or takes up a call that has asked the client. Log messages of the `severity`
    /// and above reach the client meanwhile.
    pub(super) async fn ask_in_rounds(
        self: &Arc<Self>,
        request: &Request,
        plain: Plain,
        capabilities: Capabilities,
        severity: Option<usize>,
    ) -> Result<Response, Failure> {
        let method = request.message.method();
        let is_first = plain.state.is_none();
        // A call that waited belongs to the session that it was made in.
        let (owner, call) = match &plain.state {
            Some(state) => match self.bridge.held.take(state, &plain.binding()) {
                Ok(held) => held,
                Err(why) => return Ok(local::error(code::INVALID_PARAMS, why)),
            },
            // To make the call for them would be to make it once more.
            None if plain.answers.is_some() => {
                let why = "`inputResponses` needs the `requestState` of the result that asked";
                return Ok(local::error(code::INVALID_PARAMS, why));
            }
            None => {
                let call = Call::new(&plain, &request.wire_id, capabilities);
                self.ears.enter(&call);
                (self.clone(), call)
            }
        };
        let mut waiting = Waiting { inner: &owner, call: &call, is_over: false };
        call.wait_as(&request.wire_id, &plain);
        let _wanted = owner.want_logs(&request.wire_id, severity).await;
        if let Some(answers) = &plain.answers {
            call.answer(answers);
        }
        loop {
            owner.send_if_ready(&call);
            let outcome = match call.step().await {
                Step::Ended(outcome) => outcome,
                Step::Asks => {
                    waiting.is_over = true;
                    return Ok(owner.hold(&call, plain.binding()));
                }
            };
            match outcome {
                Ok(response) if is_about_pages(&response) => {
                    if !owner.ask_to_open_pages(&call, &response, &plain) {
                        waiting.is_over = true;
                        owner.ears.leave(&call);
                        return Ok(results::missing(r#"{"elicitation":{"url":{}}}"#));
                    }
                }
                outcome => {
                    waiting.is_over = true;
                    owner.ears.leave(&call);
                    let why = "the client has answered questions for it";
                    let outcome = outcome.map(|response| results::response(method, response));
                    return if is_first {
                        outcome
                    } else {
                        outcome.map_err(|failure| failure.settled(why))
                    };
                }
            }
        }
    }

    /// Sends the call, unless it has been sent or the client must be asked before.
    fn send_if_ready(self: &Arc<Self>, call: &Arc<Call>) {
        let mut state = call.state();
        if !state.questions.is_empty() {
            return;
        }
        let Some(Unsent { request, token }) = state.unsent.take() else { return };
        state.id = request.wire_id.clone();
        state.token = token;
        let (session, own) = (self.legacy.clone(), call.clone());
        let exchange = async move { own.finish(answered(session.exchange(&request).await)) };
        state.task = Some(background::spawn(exchange.in_current_span()).abort_handle());
    }

    /// Keeps the call until the client comes back with answers, and asks for them.
    fn hold(self: &Arc<Self>, call: &Arc<Call>, binding: Binding) -> Response {
        call.state().is_waited_for = false;
        let (inner, given_up) = (self.clone(), call.clone());
        let state = self.bridge.held.put((self.clone(), call.clone()), binding, async move {
            given_up.stop();
            inner.ears.leave(&given_up);
            inner.cancel(given_up.id()).await;
        });
        match state {
            Some(state) => call.input_required(&state),
            None => local::error(INTERNAL_ERROR, "too many calls wait for the client's answers"),
        }
    }

    async fn cancel(&self, id: RequestId) {
        if let Err(failure) = self.cancel_upstream(id).await {
            tracing::debug!("not cancelled upstream: {}", failure.summary());
        }
    }

    /// Makes questions of the pages that the person must open before the call can be made. Returns
    /// whether the client can do that.
    fn ask_to_open_pages(&self, call: &Arc<Call>, response: &Response, plain: &Plain) -> bool {
        #[derive(Deserialize)]
        struct Error<'a> {
            #[serde(borrow)]
            data: Data<'a>,
        }
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            elicitations: Vec<&'a RawValue>,
        }
        let error = response.error().and_then(|error| of_json(error));
        let Some(Error { data: Data { elicitations } }) = error else { return false };
        let questions: Vec<_> = elicitations
            .iter()
            .map(|params| Question::new(method::ELICITATION, params.get().to_owned(), None))
            .collect();
        if questions.is_empty() || !questions.iter().all(|question| call.can_answer(question)) {
            return false;
        }
        call.state().unsent = Some(Unsent::new(plain, self.bridge.own_id()));
        for question in questions {
            call.ask(question);
        }
        true
    }
}

/// Whether an error says that the person must open pages first.
fn is_about_pages(response: &Response) -> bool {
    response.error().is_some() && response.error_code() == Some(code::URL_ELICITATION_REQUIRED)
}
