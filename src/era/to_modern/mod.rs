//! A client of the legacy era before a modern upstream. The handshake is answered from
//! `server/discover`; each request gains what the handshake said (`identity`); the upstream's
//! questions go to the client as requests of ours (`rounds`); what the client listens to becomes one
//! stream (`listening`). [`table`] says what becomes of each method.

mod identity;
mod listening;
mod results;
mod rounds;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::identity::Identity;
use self::listening::Listener;
use self::table::Fate;
use super::signs;
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response};
use crate::mcp::{code, meta, method};
use crate::upstream::json::Object;
use crate::upstream::{
    Client, Greeting, Opened, Pending, Request, Session, Stateless, has_ours, local,
};

/// Opens a session: asks the upstream what it is, and answers the client's `initialize` from that.
pub(super) async fn open(
    modern: &Stateless,
    greeting: &Greeting,
    client: &Client,
) -> Result<Opened, Failure> {
    let initialize = greeting.initialize();
    let identity = Identity::of(&initialize.message);
    let wire = modern.session(client);
    let ask = discover_as(initialize.wire_id.clone(), &identity);
    let discovered = wire.exchange(&ask).await?;
    let Some(result) = discovered.result().map(local::text) else {
        let what = format!("{} refused `server/discover`", modern.shown());
        let mut failure = Failure::new(Class::Final, Cause::Refused, what);
        failure.answer = Some(Box::new(discovered));
        return Err(failure);
    };
    let offer = Object::read(result).filter(|_| signs::discovers_modern(result));
    let Some(offer) = offer else {
        let what = format!("{} answered `server/discover` with something else", modern.shown());
        return Err(Failure::new(Class::Final, Cause::Unusable, what));
    };
    let versions = offer.get("supportedVersions").unwrap_or_default();
    if serde_json::from_str(versions).is_ok_and(|versions: Vec<String>| !has_ours(&versions)) {
        let what =
            format!("{} speaks MCP {versions} alone, which this mcpline does not", modern.shown());
        let hint = "Install a newer mcpline, or let the server speak 2026-07-28 as well.";
        return Err(Failure::new(Class::Final, Cause::Unusable, what).hint(hint));
    }
    let capabilities = offer.get("capabilities").and_then(Object::read).unwrap_or_default();
    let response = results::initialize(&initialize.message, result);
    let session = Arc::new(Inner {
        url: modern.shown().to_owned(),
        wire,
        client: client.clone(),
        listener: Listener::new(modern, client, &identity, &capabilities),
        identity,
        // Servers of the legacy era send what they think fit until they are told.
        level: Mutex::new("info".to_owned()),
        asked: Mutex::default(),
        ended: CancellationToken::new(),
    });
    Ok(Opened { session: Arc::new(ToModern(session)), response })
}

/// `server/discover` for a client that has sent `initialize`.
pub(super) fn discovery(initialize: &Message) -> Request {
    discover_as(RequestId::of_ours_for("discover", 1), &Identity::of(initialize))
}

fn discover_as(id: RequestId, identity: &Identity) -> Request {
    let params = identity.added_to("{}", None);
    Request::new(Message::request(id.clone(), method::DISCOVER, &params), id)
}

/// A session of the client's era with a modern upstream; clones are the same one.
#[derive(Clone)]
struct ToModern(Arc<Inner>);

struct Inner {
    url: String,
    wire: Arc<dyn Session>,
    client: Client,
    identity: Identity,
    listener: Listener,
    /// The least level of log messages that the client wants.
    level: Mutex<String>,
    /// Our questions to the client that it has not answered.
    asked: Mutex<HashMap<RequestId, oneshot::Sender<Message>>>,
    ended: CancellationToken,
}

impl ToModern {
    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let message = &request.message;
        match table::of_client(message.method()) {
            Fate::Asked => self.ask(request).await,
            Fate::Pong => Ok(local::pong()),
            Fate::Level => Ok(self.set_level(message)),
            Fate::Subscribe | Fate::Unsubscribe => {
                let Some(uri) = local::uri(message) else {
                    return Ok(local::error(code::INVALID_PARAMS, "`uri` is missing"));
                };
                let wants = table::of_client(message.method()) == Fate::Subscribe;
                self.0.listener.change(uri, wants).await
            }
            Fate::Unknown | Fate::Dropped => Ok(local::method_not_found(message.method())),
        }
    }

    /// `logging/setLevel`: from now on each request asks for this level.
    fn set_level(&self, message: &Message) -> Response {
        let level = Object::read(local::params(message)).and_then(|params| params.string("level"));
        let Some(level) = level.filter(|level| meta::severity(level).is_some()) else {
            return local::error(code::INVALID_PARAMS, "`level` is not a log level");
        };
        *self.level() = level;
        local::result("{}")
    }

    fn level(&self) -> MutexGuard<'_, String> {
        self.0.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<RequestId, oneshot::Sender<Message>>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session for ToModern {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    /// The client's answers go to the rounds that wait for them. The modern era knows none of the
    /// client's notifications: to cancel is to hang up.
    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        if message.method().is_empty() {
            let waiting = message.id().and_then(|id| {
                let mut asked = self.asked();
                let key = asked.keys().find(|key| key.matches(id))?.clone();
                asked.remove(&key)
            });
            if let Some(waiting) = waiting {
                // One that has given up meanwhile needs no answer.
                let _ = waiting.send(message.clone());
            }
            return Box::pin(std::future::ready(Ok(())));
        }
        if table::of_notification(message.method()) == Fate::Dropped {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.0.wire.send(message)
    }

    fn listen(&self) {
        self.0.listener.start(&self.0.ended);
    }

    fn ended(&self) -> &CancellationToken {
        &self.0.ended
    }
}
