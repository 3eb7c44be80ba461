//! The service on the wire: one POST a call, in a session of the platform, and the two documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio::task::JoinSet;

use super::address::Address;
use super::faults;
use super::sessions::{Place, Sessions};
use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Answer, Endpoint, Http};
use crate::jsonrpc::{Message, RequestId, Response};
use crate::upstream::Client;
use crate::upstream::local::{self, sole_response};
use crate::upstream::{PROTOCOL_VERSION, SESSION_ID, is_session_gone, own_error, post_headers};

/// Time for the document that describes the service.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(5);

/// Time for the platform to start a session: tens of seconds after a pause in heavy configurations.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// Time for the platform to end a session.
const FINISH_PATIENCE: Duration = Duration::from_millis(500);

/// A published HTTP service.
pub(super) struct Service {
    http: Arc<Http>,
    pub(super) address: Address,
    sessions: Sessions,
    /// The service expects an integer for an id, and some answer with another one.
    calls: AtomicU64,
    has_no_health: AtomicBool,
}

/// What a service answers a call with.
pub(super) struct Answered {
    /// `None` for success without a word: the handler is not there yet, or never will be.
    pub(super) response: Option<Response>,
    /// Of a service with sessions of MCP.
    pub(super) session_id: Option<HeaderValue>,
}

impl Service {
    pub(super) fn new(http: Arc<Http>, address: Address, managed: Option<usize>) -> Self {
        let sessions = Sessions::new(managed, http.cookie());
        let (calls, has_no_health) = (AtomicU64::new(1), AtomicBool::new(false));
        Self { http, address, sessions, calls, has_no_health }
    }

    /// Calls `method` with `params`, which is JSON text.
    ///
    /// # Errors
    /// No answer, or one that is none.
    pub(super) async fn call(
        &self,
        message: &Message,
        params: &str,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<Answered, Failure> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let request = local::request(number, message, params);
        let may_start = may_start_session(message.method());
        let mut place = self.sessions.enter().await;
        let mut was_resent = false;
        let headers_name_session = headers.contains_key(&SESSION_ID);
        let answer = loop {
            if place.needs_start() && !may_start {
                self.start_session(&mut place).await?;
            }
            let starts = may_start && place.needs_start();
            let had_session = place.has_session();
            let mut headers = headers.clone();
            headers.extend(post_headers());
            place.write(&mut headers, starts);
            let answer = self.http.post(&self.address.rpc, headers, request.body.clone()).await?;
            place.take_cookies(answer.headers(), starts, answer.status().is_success());
            self.conceal(&place);
            if answer.status().is_success() {
                break answer;
            }
            let refusal = answer.refusal().await;
            // Whoever answers in JSON-RPC knew what it was asked, and may have done it.
            let own_error = own_error(&refusal.body, None);
            if had_session
                && !was_resent
                && own_error.is_none()
                && faults::is_session_gone(&refusal)
            {
                tracing::info!("the 1C session is gone; starting another and sending again");
                place.forget();
                was_resent = true;
                continue;
            }
            place.leave();
            let knew = own_error.is_some();
            if headers_name_session && is_session_gone(refusal.status, &refusal.body, knew) {
                let mut failure = faults::failure(&refusal);
                failure.class = Class::SessionLost;
                return Err(failure);
            }
            if own_error.is_some() {
                return Ok(Answered { response: own_error, session_id: None });
            }
            return Err(faults::failure(&refusal));
        };
        let session_id = answer.headers().get(&SESSION_ID).cloned();
        if let Some(id) = session_id.as_ref().and_then(|id| id.to_str().ok()) {
            self.http.conceal(id);
        }
        let response = sole_response(answer, client, |body, content_type| {
            faults::sentence(body, content_type)
        });
        let response = response.await;
        // What has been read to its end was the end of the call, whatever it says.
        if response.as_ref().err().is_none_or(|failure| failure.cause == Cause::Unusable) {
            place.leave();
        }
        let response = response?;
        Ok(Answered { response, session_id })
    }

    /// Starts a managed session for a call with side effects: were it started by the call itself,
    /// nobody could tell which of the two failed. Without `/health` a list starts it.
    async fn start_session(&self, place: &mut Place<'_>) -> Result<(), Failure> {
        let starting = async {
            if !self.has_no_health.load(Ordering::Relaxed) {
                let mut headers = HeaderMap::new();
                place.write(&mut headers, true);
                let answer = self.http.get(&self.address.health, headers).await?;
                if !matches!(answer.status().as_u16(), 404 | 405) {
                    return Ok(answer);
                }
                self.has_no_health.store(true, Ordering::Relaxed);
            }
            let mut headers = post_headers();
            place.write(&mut headers, true);
            let list = Message::request(RequestId::number(1), "tools/list", "{}");
            self.http.post(&self.address.rpc, headers, list.text().clone()).await
        };
        let answer = match tokio::time::timeout(START_PATIENCE, starting).await {
            Ok(answer) => answer.map_err(not_called)?,
            Err(_) => {
                let url = &self.address.health.shown;
                return Err(not_called(http::timed_out(url, START_PATIENCE)));
            }
        };
        let status = answer.status();
        place.take_cookies(answer.headers(), true, status.is_success());
        self.conceal(place);
        if place.needs_start() && !status.is_success() {
            return Err(not_called(faults::failure(&answer.refusal().await)));
        }
        // Read to keep the connection.
        let _ = answer.bytes().await;
        Ok(())
    }

    /// Keeps the id of a session out of logs and errors: whoever has it, has the session.
    fn conceal(&self, place: &Place<'_>) {
        if let Some(id) = place.session_id() {
            self.http.conceal(id);
        }
    }

    /// Passes a notification on, whose answer is nobody's concern.
    pub(super) async fn notify(&self, message: &Message) -> Result<(), Failure> {
        // It names the client's id of a request, which travels with one of ours.
        if message.method() == "notifications/cancelled" {
            return Ok(());
        }
        let mut place = self.sessions.enter().await;
        let mut headers = post_headers();
        place.write(&mut headers, false);
        let body = message.text().clone();
        let answer = self.http.post(&self.address.rpc, headers, body).await?;
        place.take_cookies(answer.headers(), false, answer.status().is_success());
        if !answer.status().is_success() {
            let refusal = answer.refusal().await;
            place.leave();
            return Err(faults::failure(&refusal));
        }
        // Read to keep the connection.
        let _ = answer.bytes().await;
        place.leave();
        Ok(())
    }

    /// The manifest, if there is one: early versions have it, some others too.
    pub(super) async fn manifest(&self) -> Option<Bytes> {
        let read = async {
            let answer = self.get(&self.address.manifest).await.ok()?;
            if !answer.status().is_success() {
                tracing::debug!(status = %answer.status(), "no manifest");
                return None;
            }
            answer.bytes().await.ok()
        };
        let body = tokio::time::timeout(MANIFEST_PATIENCE, read).await.ok()??;
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body).trim_ascii();
        text.starts_with(b"{").then(|| body.slice_ref(text))
    }

    async fn get(&self, endpoint: &Endpoint) -> Result<Answer, Failure> {
        let mut place = self.sessions.enter().await;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        place.write(&mut headers, false);
        let answer = self.http.get(endpoint, headers).await?;
        place.take_cookies(answer.headers(), false, answer.status().is_success());
        place.leave();
        Ok(answer)
    }

    /// Ends the sessions, so that no licence stays taken; `headers` may name a session of MCP.
    pub(super) async fn finish(&self, headers: &HeaderMap) {
        let mut finishing = JoinSet::new();
        for headers in self.sessions.take_open() {
            let (http, health) = (self.http.clone(), self.address.health.clone());
            finishing.spawn(async move { http.get(&health, headers).await.map(|_| ()) });
        }
        if headers.contains_key(&SESSION_ID) {
            let (http, rpc, headers) =
                (self.http.clone(), self.address.rpc.clone(), headers.clone());
            finishing.spawn(async move { http.delete(&rpc, headers).await.map(|_| ()) });
        }
        let all = async {
            while let Some(outcome) = finishing.join_next().await {
                tracing::debug!(?outcome, "session ended");
            }
        };
        let _ = tokio::time::timeout(FINISH_PATIENCE, all).await;
    }
}

/// The header fields that a service with MCP's own transport wants after the handshake.
pub(super) fn session_headers(id: Option<HeaderValue>, version: Option<HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fields = [(SESSION_ID, id), (PROTOCOL_VERSION, version)];
    headers.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
    headers
}

/// Methods whose failure leaves no doubt about what has been done.
fn may_start_session(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "tools/list"
            | "resources/list"
            | "resources/templates/list"
            | "prompts/list"
    )
}

/// A failure on the way to a call that was then not made.
pub(super) fn not_called(mut failure: Failure) -> Failure {
    if failure.class == Class::Ambiguous {
        failure.class = Class::NotSent;
    }
    failure
}
