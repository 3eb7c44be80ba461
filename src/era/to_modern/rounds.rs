//! A request that a modern upstream answers in rounds: its questions go to the client as requests of
//! ours, and the request is sent again with the answers, until it completes (2026-07-28, Multi
//! Round-Trip Requests).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::{ToModern, results};
use crate::background;
use crate::era::answered;
use crate::era::signs::{self, Sign};
use crate::failure::Failure;
use crate::jsonrpc::{INTERNAL_ERROR, Message, RequestId, Response, to_json};
use crate::mcp::method;
use crate::retry::{Delivery, Rounds};
use crate::upstream::json::{Object, members};
use crate::upstream::{Request, Session, local};

/// Numbers our questions and rounds, in the whole process: a late answer must not meet another
/// question.
static IDS: AtomicU64 = AtomicU64::new(1);

fn own_id(purpose: &str) -> RequestId {
    RequestId::of_ours_for(purpose, IDS.fetch_add(1, Ordering::Relaxed))
}

impl ToModern {
    /// Asks the upstream, in as many rounds as it takes.
    pub(super) async fn ask(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        let name = message.method();
        let mut params = {
            let level = self.level();
            self.0.identity.added_to(local::params(message), Some(level.as_str()))
        };
        let mut id = request.wire_id.clone();
        let mut rounds = Rounds::default();
        loop {
            let asked = Request::new(Message::request(id.clone(), name, &params), id);
            let response = self.deliver(&asked, rounds.is_first()).await?;
            let Some(needed) = InputRequired::of(&response) else {
                return Ok(results::response(name, response));
            };
            let Some(delay) = rounds.next(needed.questions.is_empty()) else {
                let why = "The server keeps asking and never answers; the request was given up.";
                return Ok(local::error(INTERNAL_ERROR, why));
            };
            tokio::time::sleep(delay).await;
            let answers = match self.answers(needed.questions).await {
                Ok(answers) => answers,
                Err(error) => return Ok(error),
            };
            params = with_answers(&params, answers.as_deref(), needed.state.as_deref());
            id = own_id("round");
        }
    }

    /// Sends one round. From the second one on it is not left to the whole request to be tried again,
    /// which would ask the person once more.
    async fn deliver(&self, round: &Request, is_first: bool) -> Result<Response, Failure> {
        let mut delivery = Delivery::default();
        loop {
            let outcome = self.0.wire.exchange(round).await;
            if outcome.is_err()
                && signs::of_modern_request(round.message.method(), &outcome) == Sign::Legacy
                && signs::is_certain(&outcome)
            {
                return Err(signs::wants_handshake(&self.0.url));
            }
            let failure = match answered(outcome) {
                Ok(response) => return Ok(response),
                Err(failure) if is_first => return Err(failure),
                Err(failure) => failure,
            };
            let Some(delay) = delivery.of_answer_after(&failure) else {
                return Err(failure.settled("the client has answered questions for it"));
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Asks the client the `questions` at once. Returns the answers as JSON text, or the error with
    /// which the client refused to answer.
    async fn answers(&self, questions: Vec<Question>) -> Result<Option<String>, Response> {
        if questions.is_empty() {
            return Ok(None);
        }
        let mut waiting = Vec::new();
        for Question { key, method, params } in questions {
            let id = own_id("question");
            let (sender, answer) = oneshot::channel();
            self.asked().insert(id.clone(), sender);
            let open = Open { session: self.clone(), id: id.clone(), is_answered: false };
            let session: Arc<dyn Session> = Arc::new(self.clone());
            let message = Message::request(id, &method, &params);
            if self.0.client.deliver(message, &session, None).await.is_some() {
                let why = format!("the client has closed its input and cannot answer {method}");
                return Err(local::error(INTERNAL_ERROR, &why));
            }
            waiting.push((key, method, answer, open));
        }
        let mut answers = Object::default();
        for (key, method, answer, open) in waiting {
            let Ok(answer) = answer.await else {
                return Err(local::error(INTERNAL_ERROR, "the session has ended"));
            };
            open.answered();
            let answer = Object::read(local::text(answer.text()));
            let Some(result) = answer.as_ref().and_then(|answer| answer.get("result")) else {
                let error = answer.as_ref().and_then(|answer| Object::read(answer.get("error")?));
                return Err(refused(&method, error.as_ref()));
            };
            answers.set(&key, result.to_owned());
        }
        Ok(Some(answers.text()))
    }
}

/// A question that the client has not answered. One that is given up is taken back.
struct Open {
    session: ToModern,
    id: RequestId,
    is_answered: bool,
}

impl Open {
    /// Notes that there is nothing to take back.
    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.session.asked().remove(&self.id);
        if self.is_answered || self.session.0.client.answered(&self.id).is_none() {
            return;
        }
        let params = format!(r#"{{"requestId":{}}}"#, self.id);
        let message = Message::notification(method::CANCELLED, &params);
        let client = self.session.0.client.clone();
        background::spawn(async move { client.notify(message).await });
    }
}

/// The error for a request whose question of `method` the client has refused with `error`.
fn refused(method: &str, error: Option<&Object<'_>>) -> Response {
    let why = error.and_then(|error| error.string("message")).unwrap_or_default();
    let code = error.and_then(|error| error.get("code")?.parse().ok()).unwrap_or(INTERNAL_ERROR);
    local::error(code, &format!("The client did not answer {method}: {why}"))
}

/// A result that asks for input.
struct InputRequired {
    questions: Vec<Question>,
    /// `requestState` as it is written.
    state: Option<String>,
}

struct Question {
    key: String,
    method: String,
    params: String,
}

impl InputRequired {
    fn of(response: &Response) -> Option<Self> {
        let result = response.result().map(local::text)?;
        // Most results are complete, and a search is cheaper than a parser.
        memchr::memmem::find(result.as_bytes(), b"input_required")?;
        let result = Object::read(result)?;
        if result.string("resultType")? != "input_required" {
            return None;
        }
        let state = result.get("requestState").filter(|state| state.starts_with('"'));
        let questions = result.get("inputRequests").and_then(members).unwrap_or_default();
        let questions = questions.into_iter().filter_map(|(key, question)| {
            let question = Object::read(&question)?;
            let method = question.string("method")?;
            let params = question.get("params").unwrap_or("{}");
            let params = legacy_question(&method, params).unwrap_or_else(|| params.to_owned());
            Some(Question { key, method, params })
        });
        Some(Self { questions: questions.collect(), state: state.map(str::to_owned) })
    }
}

/// The params of a question as the legacy era wants them; `None` where they are the same.
fn legacy_question(method: &str, params: &str) -> Option<String> {
    let mut params = Object::read(params)?;
    if method != method::ELICITATION || params.string("mode").as_deref() != Some("url") {
        return None;
    }
    if params.has("elicitationId") {
        return None;
    }
    params.set("elicitationId", to_json(&own_id("elicitation").to_string().trim_matches('"')));
    params.changed()
}

/// `params` with the answers of one round in them, and nothing of the round before.
fn with_answers(params: &str, answers: Option<&str>, state: Option<&str>) -> String {
    let mut params = Object::read(params).unwrap_or_default();
    for (name, value) in [("inputResponses", answers), ("requestState", state)] {
        match value {
            Some(value) => params.set(name, value.to_owned()),
            None => params.remove(name),
        }
    }
    params.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_goes_back_byte_for_byte() {
        let state = r#""a\u00e9\/ \" 1""#;
        let result = format!(
            r#"{{"resultType":"input_required","requestState":{state},"inputRequests":{{"k":{{"method":"roots/list"}}}}}}"#
        );
        let needed = InputRequired::of(&local::result(result)).unwrap();
        assert_eq!(needed.state.as_deref(), Some(state));
        assert_eq!(needed.questions[0].params, "{}");
        let params = with_answers(r#"{"name":"t"}"#, Some(r#"{"k":{}}"#), Some(state));
        assert_eq!(
            params,
            format!(r#"{{"name":"t","inputResponses":{{"k":{{}}}},"requestState":{state}}}"#)
        );
        assert_eq!(with_answers(&params, None, None), r#"{"name":"t"}"#);
    }

    #[test]
    fn a_complete_result_asks_nothing() {
        for result in
            [r#"{"content":[]}"#, r#"{"resultType":"complete","x":"input_required"}"#, "[]"]
        {
            assert!(InputRequired::of(&local::result(result)).is_none());
        }
    }
}
