//! A client of the modern era before a legacy upstream, of whatever kind. The handshake is made with
//! what the client's requests say of it; what they say beside that is taken off (`requests`), and what
//! the modern era asks for in results is added (`results`). The upstream's questions become results
//! that ask for input, while its own call goes on (`exchange`, `held`). A subscription becomes the
//! listening stream and subscriptions to resources (`listening`). [`table`] says what becomes of each
//! method.

mod ears;
mod exchange;
mod held;
mod listening;
mod logs;
mod question;
mod requests;
mod results;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use self::ears::{Ears, Heard};
use self::held::Held;
use self::requests::{Capabilities, Plain};
pub(super) use self::results::completed;
pub(super) use self::results::discover as discovered;
use self::table::Fate;
use super::answered;
use super::offered::Offered;
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response};
use crate::mcp::{CancelledParams, RequestMeta, STATELESS_REVISION, code, meta, method};
use crate::upstream::json::Object;
use crate::upstream::{Client, Greeting, Opened, Pending, Request, Session, Upstream, local};

/// What outlives a session with the upstream.
#[derive(Default)]
pub(super) struct Bridge {
    /// What the handshake says that the client can do: all that its requests have named.
    declared: Mutex<Capabilities>,
    /// Subscriptions that the client has seen acknowledged.
    acknowledged: Mutex<HashSet<RequestId>>,
    /// Calls that wait for the client's answers.
    held: Arc<Held>,
    /// Sessions that were lost without a request in between.
    idle_losses: AtomicU32,
    ids_given: AtomicU64,
}

impl Bridge {
    fn declared(&self) -> MutexGuard<'_, Capabilities> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id for a request of ours.
    fn own_id(&self) -> RequestId {
        RequestId::of_ours_for("own", self.ids_given.fetch_add(1, Ordering::Relaxed))
    }
}

/// Opens a session with a handshake.
pub(super) async fn open(
    legacy: &dyn Upstream,
    bridge: &Arc<Bridge>,
    greeting: &Greeting,
    client: &Client,
) -> Result<Opened, Failure> {
    let initialize = greeting.initialize();
    let mut params = Object::read(local::params(&initialize.message)).unwrap_or_default();
    let capabilities = {
        let mut declared = bridge.declared();
        declared.add(params.get("capabilities").unwrap_or("{}"));
        declared.clone()
    };
    params.set("capabilities", capabilities.text());
    let id = initialize.wire_id.clone();
    let initialize = Message::request(id.clone(), method::INITIALIZE, &params.text());
    let greeting = Greeting::Stateless(Request::new(initialize, id));
    let ears = Arc::new(Ears::new(client, capabilities));
    let heard = client.through(Heard(ears.clone()));
    let Opened { session: opened, response } = legacy.open(&greeting, &heard).await?;
    let offer = response.result().map(local::text).and_then(Object::read).unwrap_or_default();
    let capabilities = offer.get("capabilities").and_then(Object::read).unwrap_or_default();
    let session = ToLegacy(Arc::new(Inner {
        left: opened.ended().child_token(),
        legacy: opened,
        bridge: bridge.clone(),
        logs: logs::Logs::new(capabilities.has("logging")),
        offered: Offered::of(&capabilities),
        subscribing: tokio::sync::Mutex::default(),
        ears,
        discovered: results::discover(&response),
        is_superseded: false.into(),
    }));
    session.0.tell_of_gaps(heard);
    Ok(Opened { session: Arc::new(session), response })
}

/// A session of a modern client with a legacy upstream; clones are the same one.
#[derive(Clone)]
struct ToLegacy(Arc<Inner>);

struct Inner {
    legacy: Arc<dyn Session>,
    bridge: Arc<Bridge>,
    ears: Arc<Ears>,
    logs: logs::Logs,
    offered: Offered,
    /// Held while subscriptions to resources are made or taken back.
    subscribing: tokio::sync::Mutex<()>,
    /// The answer to `server/discover`.
    discovered: Response,
    /// Whether a session with more capabilities takes over; this one ends with its last call.
    is_superseded: AtomicBool,
    /// Cancelled when the client is not served here any more: the upstream's session has ended, or
    /// has been superseded and goes on for the calls that are open in it.
    left: CancellationToken,
}

impl ToLegacy {
    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        let said = RequestMeta::of(message);
        if let Some(version) = said.protocol_version.as_deref()
            && version != STATELESS_REVISION
        {
            return Ok(results::unsupported(version));
        }
        if let Some(level) = said.log_level.as_deref()
            && meta::severity(level).is_none()
        {
            return Ok(local::error(code::INVALID_PARAMS, "the log level is not one of MCP's"));
        }
        let capabilities = said.client_capabilities.map(|_| Capabilities::of(said.capabilities()));
        if let Some(capabilities) = &capabilities
            && !self.0.ears.capabilities.covers(capabilities)
        {
            return Err(self.superseded(said.capabilities()));
        }
        let method = message.method();
        let fate = table::of_client(method);
        if fate != Fate::Listened {
            self.0.bridge.idle_losses.store(0, Ordering::Relaxed);
        }
        match fate {
            Fate::Discovered => Ok(self.0.discovered.clone()),
            Fate::Unknown => Ok(local::method_not_found(method)),
            Fate::Listened => Box::pin(self.0.listen_for(request)).await,
            Fate::Asked | Fate::AskedInRounds => {
                let plain = Plain::of(message);
                let severity = said.log_level.as_deref().and_then(meta::severity);
                if fate == Fate::AskedInRounds {
                    let capabilities =
                        capabilities.unwrap_or_else(|| self.0.ears.capabilities.clone());
                    return self.0.ask_in_rounds(request, plain, capabilities, severity).await;
                }
                let _wanted = self.0.want_logs(&request.wire_id, severity).await;
                let response = answered(self.0.legacy.exchange(&plain.request(request)).await)?;
                Ok(results::response(method, response))
            }
        }
    }

    /// The failure that leads to a session in which the client can do `more`.
    fn superseded(&self, more: &str) -> Failure {
        self.0.bridge.declared().add(more);
        self.0.is_superseded.store(true, Ordering::Relaxed);
        let what = "the client can do more than the session was opened for";
        Failure::new(Class::WrongForm, Cause::Refused, what)
    }
}

impl Session for ToLegacy {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    /// The end of the handshake, which is made for the client, and cancellations: of the call that the
    /// upstream knows. A modern client sends nothing else, and no responses.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        if message.method() == method::CANCELLED {
            let id = message.read_params().and_then(CancelledParams::id);
            if let Some(known) = id.as_ref().and_then(|id| self.0.ears.known_as(id)) {
                return Box::pin(self.0.cancel_upstream(known));
            }
            // The upstream knows nothing of a subscription.
            let is_of_subscription =
                |id| self.0.ears.subscriptions().iter().any(|subscription| subscription.is(id));
            if id.as_ref().is_some_and(is_of_subscription) {
                return Box::pin(std::future::ready(Ok(())));
            }
        }
        self.0.legacy.send(message)
    }

    fn listen(&self) {
        self.0.legacy.listen();
    }

    fn has_id(&self) -> bool {
        self.0.legacy.has_id()
    }

    /// A superseded session is left and not ended: its calls still hear from the upstream.
    fn ended(&self) -> &CancellationToken {
        if self.0.is_superseded.load(Ordering::Relaxed) {
            &self.0.left
        } else {
            self.0.legacy.ended()
        }
    }

    fn close(&self) -> Pending<'_, ()> {
        if !self.0.is_superseded.load(Ordering::Relaxed) {
            return self.0.legacy.close();
        }
        Box::pin(async {
            self.0.ears.without_calls().await;
            self.0.legacy.close().await;
        })
    }
}

impl Inner {
    /// Tells the upstream that the call it knows as `id` is not wanted any more.
    async fn cancel_upstream(&self, id: RequestId) -> Result<(), Failure> {
        let params = format!(r#"{{"requestId":{id}}}"#);
        self.legacy.send(&Message::notification(method::CANCELLED, &params)).await
    }
}
