//! Finds out which of the two MCP transports an upstream speaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::http_sse::HttpSse;
use super::streamable::Streamable;
use super::{Opened, Pending, Request, Upstream};
use crate::client::Client;
use crate::failure::Failure;
use crate::http::{Endpoint, Http};

/// Streamable HTTP, falling back to HTTP+SSE (revision 2025-11-25, Transports, "Backwards
/// Compatibility"). The client's own `initialize` is the probe.
pub(super) struct Auto {
    streamable: Streamable,
    http_sse: HttpSse,
    /// Set once the upstream has answered as an HTTP+SSE server.
    is_http_sse: AtomicBool,
}

impl Auto {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint) -> Self {
        Self {
            streamable: Streamable::new(http.clone(), endpoint.clone()),
            http_sse: HttpSse::new(http, endpoint),
            is_http_sse: AtomicBool::new(false),
        }
    }

    async fn open(&self, initialize: &Request, client: &Client) -> Result<Opened, Failure> {
        if self.is_http_sse.load(Ordering::Relaxed) {
            return self.http_sse.open(initialize, client).await;
        }
        let refusal = match self.streamable.open(initialize, client).await {
            Err(failure) if may_be_http_sse(&failure) => failure,
            outcome => return outcome,
        };
        tracing::debug!("no Streamable HTTP here ({}); trying HTTP+SSE", refusal.summary());
        match self.http_sse.open(initialize, client).await {
            Ok(opened) => {
                tracing::info!("the upstream speaks HTTP+SSE (revision 2024-11-05)");
                self.is_http_sse.store(true, Ordering::Relaxed);
                Ok(opened)
            }
            // What the upstream said to the POST tells more: it is what the URL was meant for.
            Err(failure) => {
                tracing::debug!("no HTTP+SSE either: {}", failure.summary());
                Err(refusal)
            }
        }
    }
}

/// A server of the older transport refuses the POST with one of these statuses. A JSON-RPC error
/// with 400 or 404 comes from a server that knows what it was asked.
fn may_be_http_sse(failure: &Failure) -> bool {
    match failure.status {
        Some(405) => true,
        Some(400 | 404) => failure.answer.is_none(),
        _ => false,
    }
}

impl Upstream for Auto {
    fn open<'a>(
        &'a self,
        initialize: &'a Request,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(initialize, client))
    }
}
