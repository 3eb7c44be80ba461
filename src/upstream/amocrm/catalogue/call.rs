//! Running one call: the request of the tool, or the steps that replace it.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value};

use super::answer::ToolAnswer;
use super::progress::{Progress, Step};
use super::template::{RestRequest, Scope};
use super::{Answer, Catalogue, Defaults, Rest, Tool, schema};
use crate::failure::{Class, Failure};
use crate::jsonrpc::of_json;

/// Why a call has no answer.
#[derive(Debug)]
pub(in crate::upstream::amocrm) enum CallError {
    /// There is no such tool or resource. Nothing was sent.
    Unknown,
    /// What is wrong with the arguments: a sentence without its period. Nothing was sent.
    InvalidArgument(String),
    /// A request failed. The class is that of the whole call: [`Class::Rejected`] allows a retry.
    Failed(Failure),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Tool {
    fn checked(&self, arguments: &Value) -> Result<Map<String, Value>, String> {
        let templates: Vec<_> = std::iter::once(&self.request).chain(&self.steps).collect();
        schema::checked(arguments, &self.schema, &templates)
    }

    /// Whether a call with `arguments` is one GET request.
    pub(super) fn is_get(&self, arguments: &Value) -> bool {
        let request = |arguments| Scope { arguments, answers: Vec::new() }.request(&self.request);
        self.steps.is_empty()
            && self.checked(arguments).is_ok_and(|arguments| request(arguments).method == "GET")
    }
}

impl Catalogue {
    /// Calls a tool.
    ///
    /// # Errors
    /// There is no answer. A refusal by the server is an answer.
    pub(in crate::upstream::amocrm) async fn call(
        &self,
        name: &str,
        arguments: &Value,
        defaults: &Defaults,
        rest: &dyn Rest,
    ) -> Result<ToolAnswer, CallError> {
        let tool = self.tool(name).ok_or(CallError::Unknown)?;
        let arguments = tool.checked(arguments).map_err(CallError::InvalidArgument)?;
        let scope = Scope { arguments, answers: Vec::new() };
        let _turn = if tool.is_composite() { Some(self.composite.lock().await) } else { None };
        if !tool.route_is_absent.load(Relaxed) {
            let answer = match self.send(scope.request(&tool.request), defaults, rest).await {
                Ok(answer) => answer,
                Err(failure) if tool.is_composite() && failure.class() == Class::Rejected => {
                    let why =
                        "the server calls amoCRM several times, and earlier calls may have run";
                    return Err(failure.reclassed(Class::Ambiguous, why).into());
                }
                Err(failure) => {
                    return Err(failure.into());
                }
            };
            if tool.steps.is_empty() || !is_unknown_route(&answer) {
                let mut answer = ToolAnswer::of(&answer);
                answer.is_partial = answer.is_error && tool.is_composite();
                return Ok(answer);
            }
            tool.route_is_absent.store(true, Relaxed);
        }
        self.run(tool, scope, defaults, rest).await
    }

    /// Reads a resource. [`ToolAnswer::to_contents`] makes the result, unless the answer is an
    /// error.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(in crate::upstream::amocrm) async fn read(
        &self,
        uri: &str,
        rest: &dyn Rest,
    ) -> Result<ToolAnswer, CallError> {
        let resource = self.resources.iter().find(|resource| resource.uri == uri);
        let scope = Scope { arguments: Map::new(), answers: Vec::new() };
        let request = scope.request(&resource.ok_or(CallError::Unknown)?.request);
        Ok(ToolAnswer::of(&self.send(request, &Defaults::default(), rest).await?))
    }

    /// Runs the steps of `tool`. The first failure ends the call: a search that was refused must
    /// not look like a search without results.
    async fn run<'a>(
        &self,
        tool: &'a Tool,
        mut scope: Scope<'a>,
        defaults: &Defaults,
        rest: &dyn Rest,
    ) -> Result<ToolAnswer, CallError> {
        let mut progress = Progress::default();
        let mut last = None;
        for template in &tool.steps {
            if !scope.holds(&template["when"]) {
                continue;
            }
            let request = scope.request(template);
            let step = Step::new(template["as"].as_str().unwrap_or_default(), &request);
            let answer = match self.send(request, defaults, rest).await {
                Ok(answer) => ToolAnswer::of(&answer),
                Err(failure) => return Err(progress.failed(&step, failure).into()),
            };
            let value: Value = of_json(&answer.text).unwrap_or_default();
            match progress.record(&step, answer, &value) {
                ControlFlow::Continue(answer) => last = Some((step.name, answer)),
                ControlFlow::Break(answer) => return Ok(answer),
            }
            scope.answers.push((step.name, value));
        }
        let whole = tool.result["$ref"].as_str().and_then(|reference| reference.strip_suffix('#'));
        match last {
            // The server's own bytes, where the result is the whole of the last answer.
            Some((name, answer)) if tool.result.is_null() || whole == Some(name) => Ok(answer),
            _ => Ok(ToolAnswer::of_value(&scope.render(&tool.result).unwrap_or_default())),
        }
    }

    /// Sends `request` in the form that this server takes.
    async fn send(
        &self,
        mut request: RestRequest,
        defaults: &Defaults,
        rest: &dyn Rest,
    ) -> Result<Answer, Failure> {
        if request.creates() == Some("leads") {
            fill_leads(request.body.as_mut(), defaults);
        }
        if self.takes_one_object.load(Relaxed) {
            to_one_object(&mut request);
        }
        let answer = rest.request(&request.method, &request.target, request.payload()).await?;
        let refuses_list = answer.status == 422 && names_data(&answer);
        // A server may also refuse an `update` in the wrong form because `entity_id` is missing.
        let refuses_form = refuses_list
            || answer.status == 400 && matches!(request.operation(), "update" | "patch");
        if !refuses_form || !to_one_object(&mut request) {
            return Ok(answer);
        }
        let answer = rest.request(&request.method, &request.target, request.payload()).await?;
        if refuses_list || answer.is_success() {
            self.takes_one_object.store(true, Relaxed);
        }
        Ok(answer)
    }
}

/// Fills the defaults into the leads that `body` creates.
fn fill_leads(body: Option<&mut Value>, defaults: &Defaults) {
    let leads = match body.and_then(|body| body.get_mut("data")) {
        Some(Value::Array(leads)) => &mut leads[..],
        Some(lead) => std::slice::from_mut(lead),
        None => return,
    };
    for lead in leads.iter_mut().filter_map(Value::as_object_mut) {
        // A stage belongs to one pipeline and would be wrong in another.
        let pipeline = lead.get("pipeline_id").and_then(Value::as_u64);
        let is_ours = pipeline.is_none() || pipeline == defaults.pipeline_id;
        for (member, value) in [
            ("pipeline_id", defaults.pipeline_id),
            ("status_id", defaults.status_id.filter(|_| is_ours)),
            ("responsible_user_id", defaults.responsible_id),
        ] {
            if let Some(value) = value
                && !lead.contains_key(member)
            {
                lead.insert(member.to_owned(), value.into());
            }
        }
    }
}

/// Turns a list of one entity, the form of current servers, into the entity itself, the form of old
/// ones; the id of an `update` goes beside it. Returns whether there was such a list.
fn to_one_object(request: &mut RestRequest) -> bool {
    let is_update = matches!(request.operation(), "update" | "patch");
    if !is_update && !matches!(request.operation(), "create" | "post") {
        return false;
    }
    let Some(body) = request.body.as_mut().and_then(Value::as_object_mut) else { return false };
    let Some([Value::Object(entity)]) =
        body.get_mut("data").and_then(Value::as_array_mut).map(|list| &mut list[..])
    else {
        return false;
    };
    let id = if is_update { entity.remove("id") } else { None };
    if is_update && id.is_none() {
        return false;
    }
    let entity = std::mem::take(entity);
    if let Some(id) = id {
        body.insert("entity_id".to_owned(), id);
    }
    body.insert("data".to_owned(), entity.into());
    true
}

/// Whether a 422 complains about the request's `data`.
fn names_data(answer: &Answer) -> bool {
    let body: Value = of_json(&answer.body).unwrap_or_default();
    let errors = body["detail"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["loc"].as_array()).any(|loc| loc.contains(&"data".into()))
}

/// Whether the server does not know the route: by its framework's own text, or by a 405 from
/// another route with the same path. The text for a missing entity differs.
fn is_unknown_route(answer: &Answer) -> bool {
    let body = || of_json::<Value>(&answer.body).unwrap_or_default();
    answer.status == 405 || answer.status == 404 && body()["detail"] == "Not Found"
}
