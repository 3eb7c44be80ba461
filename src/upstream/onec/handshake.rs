//! The answer to `initialize` for a service that does not know the method: from the service's
//! manifest, else from what its lists answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::service::{Answered, Service};
use crate::failure::{Class, Failure};
use crate::hint::Words;
use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::mcp::{
    Implementation, InitializeResult, Part, Revision, ServerCapabilities, asked_revision, method,
};
use crate::upstream;
use crate::upstream::Client;
use crate::upstream::json::Object;
use crate::upstream::local::{self, repaired};
use crate::upstream::variant::Variant;

/// The revision that we assume of a service without a handshake.
const DEFAULT_REVISION: Revision = Revision::V2025_03_26;

/// How long the answer to a list that the handshake asked for can serve the client.
const CACHED_FOR: Duration = Duration::from_secs(30);

/// The capabilities, and the methods that list them.
pub(super) const LISTS: [(&str, &str); 3] = [
    ("tools", method::TOOLS_LIST),
    ("resources", method::RESOURCES_LIST),
    ("prompts", method::PROMPTS_LIST),
];

/// What a service has shown of its lists during the handshake.
#[derive(Default)]
pub(super) struct Offered {
    /// Answers to lists that the handshake asked for, by method; each serves one request.
    cached: Mutex<HashMap<&'static str, (Instant, Response)>>,
    /// Lists in the manifest, by method.
    in_manifest: HashMap<&'static str, Response>,
    /// Methods of the lists that the service itself announced.
    announced: Vec<&'static str>,
}

impl Offered {
    /// Reads `result`, with which the service itself answered `initialize`.
    pub(super) fn announced_in(result: &str) -> Self {
        let result = Object::read(result).unwrap_or_default();
        let capabilities = result.get("capabilities").and_then(Object::read).unwrap_or_default();
        let announced = LISTS.into_iter().filter(|(name, _)| capabilities.has(name));
        Self { announced: announced.map(|(_, method)| method).collect(), ..Self::default() }
    }

    /// Takes the answer to a list that the handshake asked for a moment ago.
    pub(super) fn take_cached(&self, method: &str) -> Option<Response> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, response) = cached.remove(method)?;
        (asked.elapsed() < CACHED_FOR).then_some(response)
    }

    /// The answer to a list method that the service does not know; `None` when the service
    /// announced the list.
    pub(super) fn unknown_list(&self, method: &str) -> Option<Response> {
        if self.announced.contains(&method) {
            return None;
        }
        let in_manifest = self.in_manifest.get(method).cloned();
        in_manifest.or_else(|| local::empty_list(method))
    }

    /// Takes the lists out of the manifest. Returns the capabilities that it promises or holds.
    fn read_manifest(&mut self, manifest: &Object<'_>) -> Vec<&'static str> {
        let promised = manifest.get("capabilities").and_then(Object::read).unwrap_or_default();
        let mut capabilities = Vec::new();
        for (name, method) in LISTS {
            let list = manifest.get(name).filter(|list| list.starts_with('['));
            if list.is_some() || promised.has(name) {
                capabilities.push(name);
            }
            if let Some(list) = list {
                let list = local::result(format!(r#"{{"{name}":{list}}}"#));
                self.in_manifest.insert(method, list);
            }
        }
        capabilities
    }

    /// Asks the service for every list. Returns the capabilities whose lists answered, and those
    /// whose failure may pass: a busy list must neither delay the others nor be missing for good.
    async fn ask(
        &mut self,
        service: &Service,
        client: &Client,
    ) -> Result<Vec<&'static str>, Failure> {
        let ask = |method: &'static str| async move {
            let message = Message::request(RequestId::number(1), method, "{}");
            service.call(&message, "{}", &HeaderMap::new(), client).await
        };
        let (tools, resources, prompts) = tokio::join!(
            ask(method::TOOLS_LIST),
            ask(method::RESOURCES_LIST),
            ask(method::PROMPTS_LIST)
        );
        let cached = self.cached.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (mut capabilities, mut has_answered, mut first_failure) = (Vec::new(), false, None);
        for ((name, method), outcome) in LISTS.into_iter().zip([tools, resources, prompts]) {
            match outcome {
                Ok(Answered { response: Some(response), .. }) => {
                    has_answered = true;
                    if let Some(error) = response.error().map(local::text) {
                        tracing::info!(method, error, "not offered: the service answers an error");
                    } else {
                        capabilities.push(name);
                        cached.insert(method, (Instant::now(), response));
                    }
                }
                Ok(Answered { response: None, .. }) => {}
                Err(failure) => {
                    let may_pass = failure.class() != Class::Final;
                    tracing::info!(method, may_pass, "no list: {}", failure.summary());
                    capabilities.extend(may_pass.then_some(name));
                    first_failure.get_or_insert(failure);
                }
            }
        }
        match first_failure {
            _ if has_answered => Ok(capabilities),
            Some(failure) => Err(failure),
            None => Err(empty_success(&service.address().rpc.shown)),
        }
    }
}

/// Answers `initialize` in place of a service that does not know it.
///
/// # Errors
/// There is no manifest, and no list answered.
pub(super) async fn synthesize(
    service: &Service,
    initialize: &Message,
    client: &Client,
    variant: &Variant,
) -> Result<(Response, Offered), Failure> {
    let manifest = service.manifest().await;
    let manifest = manifest.as_ref().and_then(|text| Object::read(local::text(text)));
    let source = if manifest.is_some() {
        Words::both("its manifest", "его манифест")
    } else {
        Words::both("what its lists answer", "то, что отвечают его списки")
    };
    let manifest = manifest.unwrap_or_default();
    let mut offered = Offered::default();
    let mut capabilities = offered.read_manifest(&manifest);
    if capabilities.is_empty() {
        capabilities = offered.ask(service, client).await?;
    }
    let told = Words::both(
        "the 1C service does not know initialize; answered from",
        "сервис 1С не знает initialize; источник ответа —",
    );
    variant.found(told.joined(" ", &source));
    let info = manifest.get("serverInfo").and_then(Object::read).unwrap_or_default();
    let own = |name| info.string(name).or_else(|| manifest.string(name));
    let name = own("name").unwrap_or_else(|| format!("1C:{}", service.address().publication));
    let version = own("version");
    let description =
        format!("This service does not know `initialize`: mcpline made this answer from {source}.");
    let result = InitializeResult {
        protocol_version: asked_revision(initialize).unwrap_or(DEFAULT_REVISION).as_str(),
        // Plain POST carries no notifications, whatever the manifest promises.
        capabilities: Part::Ours(ServerCapabilities::of(&capabilities)),
        server_info: Part::Ours(Implementation {
            name: &name,
            version: version.as_deref().unwrap_or("unknown"),
            description: Some(&description),
        }),
        instructions: manifest.string("instructions"),
    };
    Ok((local::result(to_json(&result)), offered))
}

/// `response` to the client's `initialize` in a revision that the client takes. Services state the one
/// that they were written for, whatever they are asked; a client of an older one would leave, though
/// what either side writes is the same.
pub(super) fn for_client(response: Response, initialize: &Message) -> Response {
    let Some(asked) = asked_revision(initialize) else { return response };
    repaired(response, |result| {
        let mut result = Object::read(result)?;
        let stated = result.string("protocolVersion")?;
        // Revisions are dates.
        if stated.as_str() <= asked.as_str() {
            return None;
        }
        tracing::info!("the service states revision {stated}; the client asked for {asked}");
        result.set_string("protocolVersion", asked.as_str());
        result.changed()
    })
}

/// The failure for a request that was answered with success and an empty body.
pub(super) fn empty_success(url: &str) -> Failure {
    upstream::empty_success(url).hint(
        "The HTTP service is published, but its handler does nothing, as in the first versions: \
         update the MCP extension in the infobase.",
    )
}
