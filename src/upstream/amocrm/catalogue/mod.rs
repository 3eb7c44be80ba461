//! The tools and resources that REST-only servers are given: data, and the engine that runs it.
//!
//! `tools.json` lists the tools. Each has what `tools/list` shows of it, the REST request that it
//! is made of, and where only some generations of the server know that request, a `fallback`: the
//! steps that do the same on the others. Requests are [`template`]s. Whoever wants another tool
//! adds an object, there or in a file of their own.

mod answer;
mod call;
mod hidden_failure;
mod load;
mod progress;
mod schema;
mod template;
#[cfg(test)]
mod tests;
mod time;

use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::failure::Failure;
use crate::upstream::Pending;

pub(super) use crate::upstream::settings::LeadDefaults as Defaults;
pub(super) use answer::ToolAnswer;
pub(super) use call::CallError;
pub(super) use hidden_failure::HiddenFailure;

/// How a REST request reaches the server.
pub(super) trait Rest: Sync {
    /// Sends `body`, which is JSON, to `target`, which is path and query.
    fn request<'a>(
        &'a self,
        method: &'a str,
        target: &'a str,
        body: Option<Bytes>,
    ) -> Pending<'a, Result<Answer, Failure>>;
}

/// What the server answered, whatever the status.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The tools and resources on offer, and what is known of the server that runs them.
#[derive(Debug)]
pub(super) struct Catalogue {
    tools: Vec<Tool>,
    resources: Vec<Resource>,
    /// The server takes one object where others take a list of one.
    takes_one_object: AtomicBool,
    /// Held by a call of a tool that may take several requests: two that look for the same
    /// contact at once would both find none, and both create it.
    composite: Mutex<()>,
}

#[derive(Debug)]
struct Tool {
    name: String,
    /// Its object in `tools/list`.
    listing: String,
    schema: Value,
    is_repeatable: bool,
    request: Value,
    steps: Vec<Value>,
    /// The template of what the steps together give; `null` for the answer to the last one.
    result: Value,
    /// The server does not know the route of `request`, so `steps` are the way.
    route_is_absent: AtomicBool,
}

#[derive(Debug)]
struct Resource {
    uri: String,
    /// Its object in `resources/list`.
    listing: String,
    request: Value,
}

impl Tool {
    /// Whether a call may take several requests that change something.
    fn is_composite(&self) -> bool {
        self.steps.len() > 1
    }
}

impl Catalogue {
    /// The result of `tools/list`.
    pub(super) fn tools_list(&self) -> Bytes {
        listing("tools", self.tools.iter().map(|tool| &tool.listing[..]))
    }

    /// The result of `resources/list`.
    pub(super) fn resources_list(&self) -> Bytes {
        listing("resources", self.resources.iter().map(|resource| &resource.listing[..]))
    }

    /// Whether calling the tool twice does no more than calling it once: by its hints, or because
    /// with these arguments it is a GET.
    pub(super) fn is_repeatable(&self, name: &str, arguments: &Value) -> bool {
        self.tool(name).is_some_and(|tool| tool.is_repeatable || tool.is_get(arguments))
    }

    fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

fn listing<'a>(member: &str, objects: impl Iterator<Item = &'a str>) -> Bytes {
    let objects: Vec<_> = objects.collect();
    format!("{{\"{member}\":[{}]}}", objects.join(",")).into()
}
