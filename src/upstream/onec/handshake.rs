//! The answer to `initialize` of a service that does not know it, made from what the service says
//! of itself or from what its lists answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::service::Service;
use crate::failure::{Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response};
use crate::upstream;
use crate::upstream::Client;
use crate::upstream::json::Object;
use crate::upstream::local::{self, asked_revision};

/// The revision that services without a handshake are taken to speak.
const DEFAULT_REVISION: &str = "2025-03-26";

/// How long a list that was asked for the handshake answers the client.
const FRESH: Duration = Duration::from_secs(30);

/// The lists, and the capabilities that they stand for.
pub(super) const LISTS: [(&str, &str); 3] =
    [("tools", "tools/list"), ("resources", "resources/list"), ("prompts", "prompts/list")];

/// What a handshake has left to be used.
#[derive(Default)]
pub(super) struct Known {
    /// Lists that were asked already, by their methods; each answers once.
    fresh: Mutex<HashMap<&'static str, (Instant, Response)>>,
    /// Lists that the manifest holds, by their methods.
    of_manifest: HashMap<&'static str, Response>,
    /// The lists that the service itself has announced.
    announced: Vec<&'static str>,
}

impl Known {
    /// The handshake of a service that knows how to make it, and has given `result`.
    pub(super) fn of_service(result: &str) -> Self {
        let result = Object::read(result).unwrap_or_default();
        let capabilities = result.get("capabilities").and_then(Object::read).unwrap_or_default();
        let announced = LISTS.into_iter().filter(|(name, _)| capabilities.has(name));
        Self { announced: announced.map(|(_, method)| method).collect(), ..Self::default() }
    }

    /// The answer to a list that was asked for a moment ago.
    pub(super) fn take_fresh(&self, method: &str) -> Option<Response> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, response) = fresh.remove(method)?;
        (asked.elapsed() < FRESH).then_some(response)
    }

    /// What to answer when the service does not know a list method; `None` when it has announced
    /// the list itself.
    pub(super) fn unknown_list(&self, method: &str) -> Option<Response> {
        if self.announced.contains(&method) {
            return None;
        }
        let of_manifest = self.of_manifest.get(method).cloned();
        of_manifest.or_else(|| local::empty_list(method))
    }
}

/// Makes the handshake up.
///
/// # Errors
/// The service answers nothing at all.
pub(super) async fn make_up(
    service: &Service,
    initialize: &Message,
    client: &Client,
) -> Result<(Response, Known), Failure> {
    let publication = &service.address.publication;
    let mut known = Known::default();
    let mut info = Object::default();
    info.set_string("name", &format!("1C:{publication}"));
    info.set_string("version", "unknown");
    let mut result = Object::default();
    let mut capabilities = Object::default();

    let manifest = service.manifest().await;
    let manifest = manifest.as_ref().and_then(|text| Object::read(local::text(text)));
    let source = if let Some(manifest) = &manifest {
        let of_server = manifest.get("serverInfo").and_then(Object::read).unwrap_or_default();
        for name in ["name", "version"] {
            if let Some(text) = of_server.string(name).or_else(|| manifest.string(name)) {
                info.set_string(name, &text);
            }
        }
        if let Some(instructions) = manifest.string("instructions") {
            result.set_string("instructions", &instructions);
        }
        for (name, method) in LISTS {
            if let Some(list) = manifest.get(name).filter(|list| list.starts_with('[')) {
                let list = local::result(format!(r#"{{"{name}":{list}}}"#));
                known.of_manifest.insert(method, list);
            }
        }
        "its manifest"
    } else {
        "what its lists answer"
    };
    let promised = manifest.as_ref().and_then(|text| text.get("capabilities"));
    let promised = promised.and_then(Object::read).unwrap_or_default();
    for (name, method) in LISTS {
        if promised.has(name) || known.of_manifest.contains_key(method) {
            // Nothing can be announced over plain POST, whatever is promised.
            capabilities.set(name, "{}".to_owned());
        }
    }
    if capabilities.is_empty() {
        let answered = ask_lists(service, client).await?;
        for (name, method) in LISTS {
            let Some(response) = answered.get(method) else { continue };
            capabilities.set(name, "{}".to_owned());
            if let Some(response) = response {
                let fresh = (Instant::now(), response.clone());
                known.fresh.get_mut().unwrap_or_else(PoisonError::into_inner).insert(method, fresh);
            }
        }
    }
    let made_up =
        format!("This service does not know `initialize`: mcpline made this answer from {source}.");
    tracing::info!("the 1C service does not know initialize; answered from {source}");
    info.set_string("description", &made_up);
    result.set_string("protocolVersion", asked_revision(initialize).unwrap_or(DEFAULT_REVISION));
    result.set("capabilities", capabilities.text());
    result.set("serverInfo", info.text());
    Ok((local::result(result.text()), known))
}

/// Asks for every list. Those that came back are there with their answers; those whose failure may
/// pass, without: one that is busy must neither keep the others waiting nor be missing for good.
async fn ask_lists(
    service: &Service,
    client: &Client,
) -> Result<HashMap<&'static str, Option<Response>>, Failure> {
    let ask = |method: &'static str| async move {
        let message = Message::request(RequestId::number(1), method, "{}");
        service.call(&message, "{}", &HeaderMap::new(), client).await
    };
    let (tools, resources, prompts) =
        tokio::join!(ask("tools/list"), ask("resources/list"), ask("prompts/list"));
    let mut answered = HashMap::new();
    let (mut has_spoken, mut failed) = (false, None);
    for ((_, method), outcome) in LISTS.into_iter().zip([tools, resources, prompts]) {
        let response = match outcome {
            Ok(answered) => answered.response,
            Err(failure) => {
                let may_pass = failure.class != Class::Final;
                tracing::info!(method, may_pass, "no list: {}", failure.summary());
                if may_pass {
                    answered.insert(method, None);
                }
                failed.get_or_insert(failure);
                None
            }
        };
        let Some(response) = response else { continue };
        has_spoken = true;
        match response.result() {
            Some(_) => drop(answered.insert(method, Some(response))),
            None => {
                let error = response.error().map(local::text);
                tracing::info!(method, error, "not offered: the service answers with an error");
            }
        }
    }
    match failed {
        _ if has_spoken => Ok(answered),
        Some(failure) => Err(failure),
        None => Err(says_nothing(&service.address.rpc.shown)),
    }
}

/// Success and an empty body, for a request.
pub(super) fn says_nothing(url: &str) -> Failure {
    upstream::says_nothing(url).hint(
        "The HTTP service is published, but its handler does nothing, as in the first versions: \
         update the MCP extension in the infobase.",
    )
}
