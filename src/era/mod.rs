//! Any era to any era. The legacy revisions of MCP begin with a handshake; the modern one, 2026-07-28,
//! has none, and each request says of itself what the handshake said.
//!
//! [`AnyEra`] is an upstream in front of a kind. The client's own era is spoken first, and its first
//! message is the probe. Where the upstream refuses that (`signs`), a session is wrapped that
//! translates: [`to_modern`] for a client of the legacy era, [`to_legacy`] for one of the modern era.
//! What was found out is kept for the life of the process, until the upstream refuses that as well.
//! Two sides of one era meet without a translator: a legacy session is the kind's own, and a modern
//! one ([`passing`]) only looks at refusals.

mod offered;
mod passing;
mod revisions;
#[cfg(test)]
mod schema;
mod signs;
mod to_legacy;
mod to_modern;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use url::Url;

use self::passing::Passing;
pub(crate) use self::revisions::Revisions;
use self::to_legacy::Bridge;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Words;
use crate::http::Http;
use crate::jsonrpc::{Message, Response};
use crate::mcp::is_stateless_version;
use crate::setup::SetupError;
use crate::upstream::{
    self, Client, Greeting, Kind, KindSettings, Opened, Pending, Stateless, Upstream, local,
};

/// Time for the answer to `server/discover`: some servers with a handshake are silent before it (stdio,
/// "Backward Compatibility").
const SILENCE: Duration = Duration::from_secs(3);

/// Which revisions the upstream is spoken to in (`--upstream-era`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum UpstreamEra {
    /// The client's own, and the other one where the server refuses that
    #[default]
    Auto,
    /// With a handshake: revisions 2024-11-05 to 2025-11-25
    Legacy,
    /// Without one: revision 2026-07-28
    Modern,
}

/// A group of revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
}

/// What has been found out about an upstream, kept for the life of the process.
struct Known {
    /// The one era that it speaks: set when it has refused the client's own.
    only: AtomicU8,
    /// Whether it has answered as only a modern server does.
    is_modern: AtomicBool,
}

impl Known {
    fn only(&self) -> Option<Era> {
        match self.only.load(Ordering::Relaxed) {
            1 => Some(Era::Legacy),
            2 => Some(Era::Modern),
            _ => None,
        }
    }

    fn set_only(&self, era: Option<Era>) {
        let before = self.only();
        self.only.store(era.map_or(0, |era| era as u8 + 1), Ordering::Relaxed);
        if before != era {
            match era {
                Some(Era::Legacy) => tracing::info!("the upstream wants a handshake; translating"),
                Some(Era::Modern) => {
                    tracing::info!("the upstream speaks revision 2026-07-28 alone; translating");
                }
                None => tracing::info!("the upstream speaks the client's own era"),
            }
        }
    }
}

/// An upstream that is spoken to in the era that it understands, whatever the client speaks.
pub(crate) struct AnyEra {
    /// The kind, which speaks the legacy era.
    legacy: Box<dyn Upstream>,
    modern: Stateless,
    /// The era that is spoken whatever the upstream says to it.
    forced: Option<Era>,
    known: Arc<Known>,
    bridge: Arc<Bridge>,
}

impl AnyEra {
    /// The upstream at `url`.
    ///
    /// # Errors
    /// A setting of the kind cannot be used.
    pub(crate) fn at(
        url: &Url,
        http: Arc<Http>,
        settings: &KindSettings,
        era: UpstreamEra,
    ) -> Result<Self, SetupError> {
        let legacy = upstream::upstream(http.clone(), url.clone(), settings)?;
        Ok(Self::new(legacy, Stateless::new(http, url.clone()), settings.kind, era))
    }

    /// The upstream that `legacy`, of `kind`, and `modern` are two ways to.
    fn new(legacy: Box<dyn Upstream>, modern: Stateless, kind: Kind, era: UpstreamEra) -> Self {
        let forced = match era {
            UpstreamEra::Auto => {
                let is_legacy = kind.is_of_handshake() || legacy.wants_handshake_first();
                is_legacy.then_some(Era::Legacy)
            }
            UpstreamEra::Legacy => Some(Era::Legacy),
            UpstreamEra::Modern => Some(Era::Modern),
        };
        let known = Known { only: AtomicU8::new(0), is_modern: AtomicBool::new(false) };
        Self { legacy, modern, forced, known: Arc::new(known), bridge: Arc::default() }
    }

    async fn open(&self, greeting: &Greeting, client: &Client) -> Result<Opened, Failure> {
        match greeting {
            Greeting::Stateless(_) => self.open_for_modern(greeting, client).await,
            Greeting::Handshake(_) | Greeting::Bare(_) => {
                self.open_for_legacy(greeting, client).await
            }
        }
    }

    /// Opens a session for a client that has made a handshake, or would have one made.
    async fn open_for_legacy(
        &self,
        greeting: &Greeting,
        client: &Client,
    ) -> Result<Opened, Failure> {
        match self.forced {
            Some(Era::Legacy) => return self.legacy.open(greeting, client).await,
            Some(Era::Modern) => return to_modern::open(&self.modern, greeting, client).await,
            None => {}
        }
        if self.known.only() == Some(Era::Modern) {
            let failure = match to_modern::open(&self.modern, greeting, client).await {
                Ok(opened) => return Ok(opened),
                Err(failure) => failure,
            };
            if !signs::may_want_handshake(&failure) {
                return Err(failure);
            }
            let opened = self.legacy.open(greeting, client).await.map_err(|_| failure)?;
            self.known.set_only(None);
            return Ok(opened);
        }
        let failure = match self.legacy.open(greeting, client).await {
            Ok(opened) if !is_modern_version(&opened.response) => return Ok(opened),
            Ok(opened) => {
                // It takes the handshake and goes on as if there had been none.
                opened.session.close().await;
                let what = "the upstream answered `initialize` with a revision without a handshake";
                Failure::new(Class::Final, Cause::Unusable, what)
            }
            Err(failure) if signs::may_be_modern(&failure) => failure,
            Err(failure) => return Err(failure),
        };
        tracing::debug!("no handshake ({}); asking what the server is", failure.summary());
        match to_modern::open(&self.modern, greeting, client).await {
            Ok(opened) => {
                self.known.set_only(Some(Era::Modern));
                Ok(opened)
            }
            Err(modern) if signs::is_of_modern_server(&modern) => Err(modern),
            Err(modern) => {
                tracing::debug!("no modern server either: {}", modern.summary());
                Err(failure)
            }
        }
    }

    /// Opens a session for a client whose requests say of themselves what they need.
    async fn open_for_modern(
        &self,
        greeting: &Greeting,
        client: &Client,
    ) -> Result<Opened, Failure> {
        if self.forced.or(self.known.only()) != Some(Era::Legacy) {
            return Ok(self.pass(client));
        }
        let opened = to_legacy::open(&*self.legacy, &self.bridge, greeting, client).await;
        match opened {
            // It is modern after all, or refuses both: its answer to the client's own words tells most.
            Err(failure) if self.forced.is_none() && signs::knows_no_handshake(&failure) => {
                self.known.is_modern.store(true, Ordering::Relaxed);
                self.known.set_only(None);
                Ok(self.pass(client))
            }
            Err(failure) => {
                if self.forced.is_none() && signs::may_be_modern(&failure) {
                    self.known.set_only(None);
                }
                Err(failure)
            }
            Ok(opened) => Ok(opened),
        }
    }

    fn pass(&self, client: &Client) -> Opened {
        let known = self.forced.is_none().then(|| self.known.clone());
        let session = Passing::new(self.modern.session(client), self.modern.shown(), known);
        Opened { session: Arc::new(session), response: local::result("{}") }
    }
}

impl Upstream for AnyEra {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(greeting, client))
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        self.legacy.is_repeatable(message)
    }

    fn variant(&self) -> Option<Words> {
        match self.forced.or_else(|| self.known.only()) {
            Some(Era::Modern) => Some(Words::both(
                "the server speaks revision 2026-07-28",
                "сервер говорит на версии 2026-07-28",
            )),
            _ => self.legacy.variant(),
        }
    }
}

/// `outcome`, where an error of the upstream's own that came with a status of refusal is its answer.
fn answered(outcome: Result<Response, Failure>) -> Result<Response, Failure> {
    let is_final = outcome.as_ref().is_err_and(|failure| failure.class() == Class::Final);
    match outcome {
        Err(Failure { answer: Some(answer), .. }) if is_final => Ok(*answer),
        outcome => outcome,
    }
}

/// The answer to `server/discover` that says what `initialize`, an answer of the legacy era, says.
pub(crate) fn discovered(initialize: &Response) -> Response {
    to_legacy::discovered(initialize)
}

/// Whether the answer to `initialize` names a revision that has no handshake.
fn is_modern_version(initialize: &Response) -> bool {
    let result = initialize.result().map(local::text).and_then(upstream::json::Object::read);
    let version = result.and_then(|result| result.string("protocolVersion"));
    version.is_some_and(|version| is_stateless_version(&version))
}
