//! What the MCP variants need besides their transport: ids of ours, results that tell of failures,
//! and on request the resources of the REST API. Another server of amoCRM gets the results alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rest::{Api, resource};
use super::results;
use crate::failure::Failure;
use crate::jsonrpc::{Message, Response};
use crate::mcp::method;
use crate::upstream::local;
use crate::upstream::repaired::Repairs;
use crate::upstream::{Opened, Pending, Request};

/// Far from any id that a client gives: `initialize` may have travelled with the client's own, and
/// the second copy of its answer may come late.
const FIRST_ID: u64 = 1 << 32;

/// The repairs of the MCP variants of mcp-amocrm-server.
pub(super) struct OfVariants {
    /// Ids of ours: a late second copy of an answer must not meet a new request with the same id.
    requests: AtomicU64,
    keeps_errors: bool,
    /// Set when the resources of the REST API are offered as well.
    api: Option<Arc<Api>>,
}

impl OfVariants {
    pub(super) fn new(keeps_errors: bool, api: Option<Arc<Api>>) -> Self {
        Self { requests: AtomicU64::new(FIRST_ID), keeps_errors, api }
    }

    /// `opened` with what the answer to `initialize` must announce.
    pub(super) fn announced(&self, opened: Opened) -> Opened {
        match self.api {
            Some(_) => Opened { response: results::with_resources(opened.response), ..opened },
            None => opened,
        }
    }
}

impl Repairs for OfVariants {
    fn answer<'a>(
        &'a self,
        request: &'a Message,
    ) -> Pending<'a, Option<Result<Response, Failure>>> {
        Box::pin(async { resource(self.api.as_ref()?, request).await })
    }

    fn outgoing(&self, request: &Request) -> Option<Request> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        Some(own_request(number, &request.message))
    }

    fn incoming(&self, request: &Message, response: Response) -> Result<Response, Failure> {
        if request.method() == method::TOOLS_CALL {
            return results::repair_call(response, self.keeps_errors);
        }
        Ok(response)
    }

    /// The server answers other notifications with errors and acts on none. A request without an
    /// id, however, it would carry out.
    fn passes(&self, notification: &Message) -> bool {
        notification.method() == method::INITIALIZED
    }
}

/// The repairs of another server of amoCRM, of which nothing is known but the API behind it.
pub(super) struct OfOthers {
    pub(super) keeps_errors: bool,
}

impl Repairs for OfOthers {
    fn incoming(&self, request: &Message, response: Response) -> Result<Response, Failure> {
        if request.method() == method::TOOLS_CALL && !self.keeps_errors {
            return Ok(results::mark_failure(response));
        }
        Ok(response)
    }
}

/// The client's request with an integer of ours as its id. The server fails on `params` that are
/// `null`, and on calls without any.
pub(super) fn own_request(number: u64, message: &Message) -> Request {
    let params = local::params(message);
    let repaired = local::without_null(params);
    local::request(number, message, repaired.as_deref().unwrap_or(params))
}
