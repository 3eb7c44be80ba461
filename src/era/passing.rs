//! A modern client and a modern upstream: what they say passes as it is. Only what tells that the
//! upstream is not modern after all is acted on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::signs::{self, Sign};
use super::{Era, Known, SILENCE, to_legacy};
use crate::failure::{Class, Failure};
use crate::jsonrpc::{Message, Response};
use crate::mcp::method;
use crate::upstream::{Pending, Request, Session};

/// The wire to a modern upstream.
pub(super) struct Passing {
    wire: Arc<dyn Session>,
    url: String,
    /// What is known of the upstream; `None` where its era is not to be found out.
    known: Option<Arc<Known>>,
    /// Whether anything has come from the upstream.
    has_answered: AtomicBool,
}

impl Passing {
    pub(super) fn new(wire: Arc<dyn Session>, url: &str, known: Option<Arc<Known>>) -> Self {
        Self { wire, url: url.to_owned(), known, has_answered: AtomicBool::new(false) }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let outcome = match &self.known {
            Some(known) => self.try_out(known, request).await,
            None => self.wire.exchange(request).await,
        };
        if !self.has_answered.load(Ordering::Relaxed) {
            let has_answered = match &outcome {
                Ok(_) => true,
                Err(failure) => failure.status.is_some() || failure.class() == Class::WrongForm,
            };
            self.has_answered.store(has_answered, Ordering::Relaxed);
        }
        outcome
    }

    /// Sends `request` to an upstream whose era may still be unknown.
    async fn try_out(&self, known: &Known, request: &Request) -> Result<Response, Failure> {
        if known.only() == Some(Era::Legacy) {
            return Err(signs::wants_handshake(&self.url));
        }
        let method = request.message.method();
        let is_proven = known.is_modern.load(Ordering::Relaxed);
        let outcome = if method == method::DISCOVER && !is_proven {
            match tokio::time::timeout(SILENCE, self.wire.exchange(request)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    known.set_only(Some(Era::Legacy));
                    return Err(signs::wants_handshake(&self.url));
                }
            }
        } else {
            self.wire.exchange(request).await
        };
        let sign = match &outcome {
            // Nothing that a modern server answers to a request is a sign any more.
            Ok(response) if is_proven && response.result().is_some() => return outcome,
            _ => signs::of_modern_request(method, &outcome),
        };
        match (sign, is_proven) {
            (Sign::Modern, _) => known.is_modern.store(true, Ordering::Relaxed),
            (Sign::Neither, _) | (Sign::LegacyResult, true) => {}
            (Sign::LegacyResult, false) => {
                known.set_only(Some(Era::Legacy));
                if method::is_safe(method) {
                    return Err(signs::wants_handshake(&self.url));
                }
                // It has been carried out.
                return outcome.map(|response| to_legacy::completed(method, response));
            }
            (Sign::Legacy, true) if !signs::is_certain(&outcome) => {}
            (Sign::Legacy, _) => {
                known.is_modern.store(false, Ordering::Relaxed);
                known.set_only(Some(Era::Legacy));
                return Err(signs::wants_handshake(&self.url));
            }
        }
        outcome
    }
}

impl Session for Passing {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.exchange(request))
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        self.wire.send(message)
    }

    fn is_untried(&self) -> bool {
        !self.has_answered.load(Ordering::Relaxed)
    }

    fn ended(&self) -> &CancellationToken {
        self.wire.ended()
    }
}
