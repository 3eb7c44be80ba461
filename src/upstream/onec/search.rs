//! Looking for the service with the client's own `initialize`, which does nothing: at the usual places
//! and at the URL as given.

use std::sync::Arc;

use super::address::Address;
use super::faults;
use super::service::{Greeted, Service};
use crate::failure::{Cause, Class, Failure};
use crate::upstream::plain::Plain;
use crate::upstream::streamable::Streamable;
use crate::upstream::{Client, Opened, Request};

/// How the service was met.
pub(super) enum Met {
    /// It answered the `initialize`, in a way that knows no sessions of MCP's transport.
    Answered(super::service::Answered),
    /// It speaks a transport of MCP, and the session is open.
    Session(Opened),
}

/// The places of one service.
pub(super) struct Search {
    pub(super) service: Arc<Service>,
    /// The URL as given, when no HTTP service of 1C is in its path: another MCP server may be there.
    pub(super) elsewhere: Option<Plain>,
}

impl Search {
    /// Meets the service where it was met before, or looks for it.
    ///
    /// # Errors
    /// No place answers; the failure names all of them.
    pub(super) async fn meet(
        &self,
        initialize: &Request,
        params: &str,
        client: &Client,
    ) -> Result<Met, Failure> {
        let service = &self.service;
        if let Some(plain) = self.elsewhere.as_ref().filter(|plain| plain.is_http_sse()) {
            return Ok(Met::Session(plain.open(initialize, client).await?));
        }
        if service.is_found() {
            let address = service.address();
            return self.greet(address, initialize, params, client).await;
        }
        let mut misses = Vec::new();
        for (at, address) in service.places.iter().enumerate() {
            match self.greet(address, initialize, params, client).await {
                Ok(met) => {
                    service.note_found(at);
                    return Ok(met);
                }
                Err(failure) if is_elsewhere(&failure, at > 0) => misses.push(failure),
                Err(failure) => return Err(failure),
            }
        }
        if let Some(plain) = &self.elsewhere
            && let Some(refusal) =
                misses.last().filter(|miss| matches!(miss.status, Some(404 | 405)))
            && let Ok(opened) = plain.open_http_sse(refusal.clone(), initialize, client).await
        {
            return Ok(Met::Session(opened));
        }
        Err(named(misses, &service.places))
    }

    /// Says `initialize` at `address`.
    async fn greet(
        &self,
        address: &Address,
        initialize: &Request,
        params: &str,
        client: &Client,
    ) -> Result<Met, Failure> {
        let service = &self.service;
        match service.greet(address, initialize, params, client).await? {
            Greeted::Answered(answered) => Ok(Met::Answered(answered)),
            Greeted::Streams { answer, request, cookies } => {
                let streamable = Streamable::new(service.http(), address.rpc.clone());
                let streamable = streamable.explaining(faults::failure).with_headers(cookies);
                let opened = streamable.open_with(answer, &request, client).await?;
                Ok(Met::Session(opened))
            }
        }
    }
}

/// Whether `failure` says that the service is not at this place. At a place of our own making, any
/// refusal of the request as such says so; who asks is another matter.
fn is_elsewhere(failure: &Failure, is_guess: bool) -> bool {
    if failure.class() != Class::Final || failure.answer.is_some() {
        return false;
    }
    if failure.never_ran {
        return faults::tells_no_service(failure);
    }
    match failure.status {
        Some(404 | 405) => true,
        // A page, where JSON-RPC was to be.
        Some(200..=299) => failure.cause == Cause::Unusable,
        Some(300..=499) => is_guess && failure.cause == Cause::Refused,
        _ => false,
    }
}

/// The first of `misses`, with the other places that were tried.
fn named(misses: Vec<Failure>, places: &[Address]) -> Failure {
    let mut misses = misses.into_iter();
    let others: Vec<&str> = places.iter().skip(1).map(|place| &*place.rpc.shown).collect();
    let mut failure = misses.next().unwrap_or_else(|| {
        Failure::new(Class::Final, Cause::Refused, "there is no address to try")
    });
    if !others.is_empty() {
        failure.what.push_str(&format!("; no service at {} either", others.join(", ")));
    }
    failure
}
