//! The kinds of upstream: how each is spoken to on the wire.
//!
//! A kind opens a [`Session`] with the client's own `initialize`. A session takes one message at
//! a time and hands over what the upstream sends in answer, in order. Kinds know wire formats and
//! nothing of stdin, of retrying, or of when a session is opened again: that is [`crate::link`]'s.

mod amocrm;
mod auto;
mod bitrix;
mod client;
mod headers;
mod http_sse;
pub(crate) mod json;
pub(crate) mod local;
mod misplaced;
mod onec;
mod parsing;
mod plain;
mod reading;
mod refusal;
mod repair;
mod repaired;
mod request;
mod settings;
mod stateless;
mod streamable;
mod strict;
#[cfg(test)]
pub(crate) mod stub;
mod surrogates;
mod variant;

use std::pin::Pin;
use std::sync::Arc;

use clap::ValueEnum;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::failure::Failure;
use crate::hint::Words;
use crate::http::{Endpoint, Http};
use crate::jsonrpc::{Message, Response};
use crate::setup::SetupError;

pub(crate) use self::amocrm::check_catalogue;
pub(crate) use self::client::refusal;
pub(crate) use self::client::{Client, ProgressToken, Sink};
pub(crate) use self::json::Object;
pub(crate) use self::misplaced::misplaced;
pub(crate) use self::onec::MAX_IN_FLIGHT as ONEC_MAX_IN_FLIGHT;
pub(crate) use self::request::Request;
pub(crate) use self::settings::{Keep, KindSettings, LeadDefaults, With};
pub(crate) use self::stateless::{Stateless, answer_in, has_ours, supported_versions};
pub(crate) use self::strict::refused_in_tool;

use self::headers::{PROTOCOL_VERSION, SESSION_ID, post_headers};
use self::misplaced::Misplaced;
use self::refusal::{
    accepted, empty_success, is_session_gone, mentions_session, own_error, unusable,
};

/// A future that a kind returns.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How an upstream is reached (`--kind`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`
    #[default]
    Auto,
    /// An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE
    Mcp,
    /// An MCP server on HTTP+SSE (revision 2024-11-05)
    Sse,
    /// An HTTP service of 1C:Enterprise; the URL is the infobase's or the service's
    #[value(name = "1c", alias = "onec")]
    OneC,
    /// The Bitrix24 server b24-mcp, or another MCP server of Bitrix24
    #[value(alias = "bitrix24")]
    Bitrix,
    /// The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one
    Amocrm,
}

impl Kind {
    /// Whether only revisions with a handshake are spoken in this way.
    pub(crate) fn is_of_handshake(self) -> bool {
        !matches!(self, Self::Auto | Self::Mcp)
    }

    /// The kind that a URL gives away by itself.
    pub(crate) fn at(self, url: &Url) -> Self {
        if self == Self::Auto && onec::is_service(url) { Self::OneC } else { self }
    }
}

/// The upstream at `url`.
///
/// # Errors
/// A setting of the kind cannot be used.
pub(crate) fn upstream(
    http: Arc<Http>,
    url: Url,
    settings: &KindSettings,
) -> Result<Box<dyn Upstream>, SetupError> {
    let misplaced = Misplaced::at(&url);
    let endpoint = Endpoint::new(url);
    let upstream: Box<dyn Upstream> = match settings.kind {
        Kind::Auto => Box::new(auto::Auto::new(http, endpoint, settings)),
        Kind::Mcp => Box::new(plain::Plain::new(http, endpoint)),
        Kind::Sse => Box::new(http_sse::HttpSse::new(http, endpoint)),
        Kind::OneC => Box::new(onec::OneC::new(http, &endpoint.url, settings)),
        Kind::Bitrix => Box::new(bitrix::Bitrix::new(http, &endpoint.url, settings)),
        Kind::Amocrm => {
            let amocrm = amocrm::Amocrm::new(http, &endpoint.url, settings);
            Box::new(amocrm.map_err(|error| SetupError::failed(error.to_string()))?)
        }
    };
    Ok(match misplaced {
        Some(misplaced) => Box::new(misplaced.before(upstream)),
        None => upstream,
    })
}

/// `url` without the first of `endings` that its path has, and without a slash at its end. Its
/// query stays: keys stand there.
fn base_url(url: &Url, endings: &[&str]) -> Url {
    let mut base = url.clone();
    base.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = endings.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    base.set_path(path.trim_end_matches('/'));
    base
}

/// The endpoint at `target`, a path with or without a query, below `base`.
fn endpoint_at(base: &Url, target: &str) -> Endpoint {
    let mut url = base.clone();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}{path}"));
    let queries: Vec<_> = query.into_iter().chain(base.query()).collect();
    url.set_query((!queries.is_empty()).then(|| queries.join("&")).as_deref());
    Endpoint::new(url)
}

/// A service that messages are forwarded to.
pub trait Upstream: Send + Sync {
    /// Opens a session for a client that began with `greeting`.
    ///
    /// # Errors
    /// No session; [`Failure::answer`] holds the upstream's own error when it refused.
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>>;

    /// Whether nothing may be sent to the upstream but a handshake, in which the kind sees what is there.
    fn wants_handshake_first(&self) -> bool {
        false
    }

    /// Whether the kind knows that doing `message` twice does no more than doing it once, although
    /// nothing that the upstream says of its tools tells so.
    fn is_repeatable(&self, _message: &Message) -> bool {
        false
    }

    /// What the upstream has turned out to be, in words for a person.
    fn variant(&self) -> Option<Words> {
        None
    }
}

impl<T: Upstream> Upstream for Arc<T> {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        (**self).open(greeting, client)
    }

    fn wants_handshake_first(&self) -> bool {
        (**self).wants_handshake_first()
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        (**self).is_repeatable(message)
    }

    fn variant(&self) -> Option<Words> {
        (**self).variant()
    }
}

/// What a session is opened for: how the client began.
#[derive(Debug, Clone)]
pub enum Greeting {
    /// With this `initialize`.
    Handshake(Request),
    /// With a request of a stateless revision. An upstream that wants a handshake gets this
    /// `initialize` of ours, which says what the client says of itself.
    Stateless(Request),
    /// With a request that says nothing of the client, such as a line from a shell. An upstream that
    /// wants a handshake gets this `initialize` of ours.
    Bare(Request),
}

impl Greeting {
    /// The `initialize` for an upstream that wants a handshake.
    pub fn initialize(&self) -> &Request {
        let (Self::Handshake(initialize) | Self::Stateless(initialize) | Self::Bare(initialize)) =
            self;
        initialize
    }

    /// Whether the client itself has made the handshake, and so waits for its answer.
    pub fn is_of_client(&self) -> bool {
        matches!(self, Self::Handshake(_))
    }

    /// Whether there is a client that can use what the upstream sends of its own accord. A line from
    /// a shell has none.
    pub fn is_listened_to(&self) -> bool {
        !matches!(self, Self::Bare(_))
    }
}

/// What [`Upstream::open`] gives.
pub struct Opened {
    /// The session, in which `notifications/initialized` has not been sent.
    pub session: Arc<dyn Session>,
    /// The answer to `initialize`: a result.
    pub response: Response,
}

/// How an upstream has answered `initialize` on the wire. Services are told apart by what they do,
/// as anybody may give a server any name.
#[derive(Debug, Default)]
pub struct Wire<'a> {
    /// In the body of the POST, as JSON.
    pub is_in_body: bool,
    /// On HTTP+SSE: where messages are posted to.
    pub messages: Option<&'a Url>,
}

/// One session with an upstream, from `initialize` to its end.
pub trait Session: Send + Sync {
    /// Sends a request and waits for its response. What else the upstream sends meanwhile is
    /// delivered to the client before that.
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>>;

    /// Sends a notification or a response; what the upstream answers is read and dropped.
    ///
    /// A service without sessions gets nothing.
    fn send<'a>(&'a self, _message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Starts to listen for what the upstream sends outside of any exchange, where the kind
    /// knows such a thing. Called once, after `notifications/initialized`.
    fn listen(&self) {}

    /// Whether the session was opened without asking the upstream and nothing has come from it, so that
    /// nobody knows whether there is one.
    fn is_untried(&self) -> bool {
        false
    }

    /// Whether the upstream has given the session an id, by which alone it knows us.
    fn has_id(&self) -> bool {
        false
    }

    /// How the upstream has answered `initialize`.
    fn wire(&self) -> Wire<'_> {
        Wire::default()
    }

    /// Cancelled once the session is closed, or turns out to be gone while nobody was asking;
    /// cancelling it stops what the session does in the background.
    fn ended(&self) -> &CancellationToken;

    /// Tells the upstream, if it is to know, that the session is not needed any more.
    fn close(&self) -> Pending<'_, ()> {
        self.ended().cancel();
        Box::pin(std::future::ready(()))
    }
}
