//! How far a call of several steps has come: what to tell a person when it breaks off, and whether
//! the call may be made again.

use std::ops::ControlFlow;

use serde_json::Value;

use super::answer::ToolAnswer;
use super::template::RestRequest;
use crate::failure::{Cause, Class, Failure};

/// One step of a call.
pub(super) struct Step<'a> {
    pub(super) name: &'a str,
    is_read: bool,
    /// The type of the entity that the step creates, such as `contacts`.
    creates: Option<String>,
}

impl<'a> Step<'a> {
    /// The step `name`, which sends `request`.
    pub(super) fn new(name: &'a str, request: &RestRequest) -> Self {
        let creates = request.creates().map(str::to_owned);
        Self { name, is_read: request.is_read(), creates }
    }

    /// The id of the created entity in the answer `value`.
    fn created_id<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let embedded = format!("/_embedded/{}/0/id", self.creates.as_ref()?);
        // Leads with contacts in them are answered with a plain list.
        value.pointer(&embedded).or_else(|| value.pointer("/0/id"))
    }

    /// What a finished step has changed, in words.
    fn effect(&self, id: Option<&Value>) -> Option<String> {
        match (&self.creates, id) {
            (Some(entities), Some(id)) => Some(format!("{} {id} created", singular(entities))),
            _ if self.is_read => None,
            _ => Some(format!("{} done", self.name)),
        }
    }

    /// What a failed step has left undone, in words.
    fn miss(&self, is_certain: bool) -> String {
        match &self.creates {
            Some(entities) if is_certain => format!("{} not created", singular(entities)),
            Some(entities) => format!("{} perhaps created", singular(entities)),
            None => format!("{} failed", self.name),
        }
    }
}

/// The effects of the steps so far.
#[derive(Default)]
pub(super) struct Progress(Vec<String>);

impl Progress {
    /// Records the answer to `step`, whose text is `value`. Breaks when the call cannot go on, with
    /// the answer to the whole call.
    pub(super) fn record(
        &mut self,
        step: &Step<'_>,
        mut answer: ToolAnswer,
        value: &Value,
    ) -> ControlFlow<ToolAnswer, ToolAnswer> {
        let id = step.created_id(value);
        if !answer.is_error {
            // The next steps cannot use an HTML page, or a creation without an id.
            if !value.is_string() && (step.creates.is_none() || id.is_some()) {
                self.0.extend(step.effect(id));
                return ControlFlow::Continue(answer);
            }
            answer.is_partial = !step.is_read;
        }
        let is_certain = answer.is_error;
        answer.is_error = true;
        answer.is_partial |= !self.0.is_empty();
        if answer.is_partial {
            answer.explain(&self.with_miss(step, is_certain), value);
        }
        ControlFlow::Break(answer)
    }

    /// The failure of `step` as the failure of the whole call: classed for a retry of all steps.
    pub(super) fn failed(&self, step: &Step<'_>, mut failure: Failure) -> Failure {
        let is_ambiguous = failure.class() == Class::Ambiguous;
        if self.0.is_empty() {
            if step.is_read && is_ambiguous {
                failure = failure.reclassed(Class::Rejected, "the call has only read so far");
            }
            return failure;
        }
        let is_unreadable = matches!(failure.cause, Cause::Unusable | Cause::TooLarge);
        let may_have_run = is_ambiguous || failure.class() == Class::Final && is_unreadable;
        if !is_ambiguous {
            failure = failure.reclassed(Class::Final, "earlier steps have run");
        }
        let so_far = self.with_miss(step, step.is_read || !may_have_run);
        failure.what = format!("{so_far}: {}", failure.what);
        failure
    }

    fn with_miss(&self, step: &Step<'_>, is_certain: bool) -> String {
        let effects = self.0.iter().map(|effect| format!("{effect}, "));
        effects.collect::<String>() + &step.miss(is_certain)
    }
}

/// `contact` of `contacts`, `company` of `companies`.
fn singular(entities: &str) -> String {
    match entities.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => entities.strip_suffix('s').unwrap_or(entities).to_owned(),
    }
}
