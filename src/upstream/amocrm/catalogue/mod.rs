//! The tools and resources that we offer for REST-only servers: data, and the engine that runs it.
//!
//! `tools.json` lists the tools. Each object has the members that `tools/list` shows, the REST
//! request of the tool, and a `fallback` where only some generations of the server know that
//! request: the steps that do the same on the others. Requests are [`template`]s. A new tool is a
//! new object, there or in a user's own file.

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
pub(crate) use load::CatalogueError;

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

/// An answer of the server, with any status.
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

/// The tools and resources on offer, and what we have learned about the server.
#[derive(Debug)]
pub(super) struct Catalogue {
    tools: Vec<Tool>,
    resources: Vec<Resource>,
    /// This server takes one object where other generations take a list of one.
    takes_one_object: AtomicBool,
    /// Held during a call that may take several requests: two calls that search for the same
    /// contact at once would both find nothing, and both create it.
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
    /// The template of the result of all steps; `null` for the answer to the last step.
    result: Value,
    /// The server does not know the route of `request`, so `steps` replace it.
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

    /// Whether the call may be repeated: by the hints of the tool, or because these arguments make
    /// it a GET.
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
