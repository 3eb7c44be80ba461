//! One request on its way: waiting for a session, sending, trying again, answering.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Settings;
use super::reply::PendingReply;
use crate::attended::unattended_if;
use crate::failure::{Attempts, Cause, Class, Failure};
use crate::hint::Hint;
use crate::jsonrpc::{Message, OutLine, RequestId, Response, to_json};
use crate::link::{Link, Live, Tried};
use crate::mcp::{CancelledParams, method};
use crate::patience::within;
use crate::retry::{Delivery, PERSON_PATIENCE, Retry, STANDING_AFTER};
use crate::upstream::{Pending, Request, Session};

/// Bound on telling the upstream that a request is not wanted any more.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// Bound on one attempt to pass a notification on, for which later ones wait.
const NOTICE_PATIENCE: Duration = Duration::from_secs(10);

/// What every task that speaks to the upstream needs.
pub(super) struct Context {
    pub(super) link: Arc<Link>,
    pub(super) settings: Settings,
}

/// Brings `request` to the upstream and its answer, or the reason why there is none, to the
/// client.
pub(super) async fn answer(context: Arc<Context>, request: Box<Request>, reply: PendingReply) {
    let started = Instant::now();
    tracing::debug!(wire_id = %request.wire_id, "request");
    let mut carrier = Carrier::new(&context, &request.message, started);
    let attempt = |live: Arc<Live>| {
        reply.fate().mark_sent();
        let request = &request;
        async move {
            let exchange = live.session.exchange(request);
            // Programs send it by themselves, at night too.
            unattended_if(request.message.method() == method::PING, exchange).await
        }
    };
    let start_timeout = context.settings.start_timeout;
    let is_start = request.message.method() == method::DISCOVER && !context.link.has_answered();
    let until_start = is_start.then_some(start_timeout);
    let limit = until_start.into_iter().chain(context.settings.max_time).min();
    let outcome = match limit {
        None => carrier.carry(attempt).await,
        // Seldom, and large.
        Some(limit) => {
            let mut carrying = Box::pin(carrier.carry(attempt));
            let outcome = within(limit, carrying.as_mut()).await;
            drop(carrying);
            outcome.unwrap_or_else(|| match until_start {
                Some(start) if start == limit => {
                    Ok(context.link.discover_without_upstream(&request.message))
                }
                _ => Err(carrier.out_of_time(limit)),
            })
        }
    };
    let tried = Effort { attempts: carrier.retry.attempts(), was_sent: carrier.was_sent, started };
    if let Some(rest) = finish(&context, &request, reply, outcome, tried) {
        rest.await;
    }
}

/// What was done for a request.
#[derive(Clone, Copy)]
struct Effort {
    attempts: u32,
    /// Whether its end came from sending it. A request for which no session could be opened is never
    /// said to have run.
    was_sent: bool,
    started: Instant,
}

/// Opens the link with the client's `initialize` and answers it.
pub(super) async fn initialize(context: Arc<Context>, request: Box<Request>, reply: PendingReply) {
    let started = Instant::now();
    tracing::debug!(wire_id = %request.wire_id, "request");
    let outcome = context.link.initialize((*request).clone(), context.settings.start_timeout).await;
    let effort = Effort { attempts: 1, was_sent: true, started };
    if let Some(rest) = finish(&context, &request, reply, outcome, effort) {
        rest.await;
    }
}

/// Answers with `outcome`; what cannot be done at once, which is seldom and large, comes back to be
/// waited for.
fn finish<'a>(
    context: &'a Context,
    request: &'a Request,
    reply: PendingReply,
    outcome: Result<Response, Failure>,
    effort: Effort,
) -> Option<Pending<'a, ()>> {
    match outcome {
        Ok(response) => {
            let line = settle(context, request, response, &reply, effort);
            let (reply, line) = reply.send_at_once(line)?;
            Some(Box::pin(reply.send_when_read(line)))
        }
        Err(failure) => Some(Box::pin(fail(context, request, reply, failure, effort))),
    }
}

/// Takes note of `response`, and makes it the line that `reply` sends.
fn settle(
    context: &Context,
    request: &Request,
    response: Response,
    reply: &PendingReply,
    effort: Effort,
) -> OutLine {
    // The answer to these may be ours.
    let may_be_ours = matches!(request.message.method(), method::INITIALIZE | method::DISCOVER);
    if !may_be_ours && context.link.end_outage() {
        tracing::info!("{} answers again", context.settings.url);
    }
    let response = if response.error().is_some() {
        context.link.keep_promise(request, response)
    } else {
        context.link.learn(request, &response);
        response
    };
    let is_error = response.error().is_some();
    tracing::debug!(elapsed = ?effort.started.elapsed(), is_error, "answered");
    if is_error {
        reply.note_failure();
    }
    response.into_line(reply.id())
}

/// Answers with the upstream's own error, or with ours that tells why there is no answer.
async fn fail(
    context: &Context,
    request: &Request,
    reply: PendingReply,
    failure: Failure,
    effort: Effort,
) {
    let Effort { attempts, was_sent, started } = effort;
    let elapsed = started.elapsed();
    if failure.cause == Cause::TimedOut && attempts > 0 {
        // The upstream may still be at work for somebody who does not wait any more.
        tell_cancelled(&context.link, &request.wire_id, "timed out");
    }
    if let Some(answer) = failure.answer {
        tracing::debug!(?elapsed, status = failure.status, "answered with an error");
        let line = answer.into_line(reply.id());
        reply.note_failure();
        return reply.send(line).await;
    }
    // The span that names the request is not there at this level, which is the default.
    let name = request.message.method();
    let summary = failure.summary();
    // What keeps a session from being opened fails every request.
    let is_outage = is_outage(&failure) || !was_sent || name == method::INITIALIZE;
    let is_news = !is_outage || context.link.begin_outage();
    if is_news {
        tracing::warn!(id = %reply.id(), method = name, ?elapsed, attempts, "failed: {summary}");
    } else {
        tracing::info!(id = %reply.id(), method = name, ?elapsed, attempts, "failed: {summary}");
    }
    let attempts = Attempts {
        url: &context.settings.url,
        count: attempts,
        elapsed,
        may_have_run: was_sent && !context.link.allows_repeat(&request.message),
        secrets: &context.settings.secrets,
        readers: context.settings.readers,
    };
    reply.fail(&failure.to_error(&attempts)).await;
    // Behind the error: a person is there, and the client may show more than its text.
    if let Some(url) = failure.sign_in_url.filter(|_| name == method::TOOLS_CALL) {
        context.link.invite_to_sign_in(&url, &failure.what).await;
    }
}

/// Whether the next request will probably fail as this one did: the upstream cannot be reached.
fn is_outage(failure: &Failure) -> bool {
    use Cause::{Interrupted, SignIn, Unauthorised, Unreachable};
    matches!(failure.cause, Unreachable | Interrupted | Unauthorised | SignIn)
        || failure.cause == Cause::TimedOut && failure.class() == Class::NotSent
        || matches!(failure.status, Some(502..=504))
}

/// Brings a notification to the upstream. Nobody waits for the outcome but the next notification.
pub(super) async fn pass_on(context: Arc<Context>, message: Message) {
    let mut carrier = Carrier::new(&context, &message, Instant::now());
    let url = &context.settings.url;
    let sent = carrier.carry(|live| {
        let message = &message;
        async move {
            let sending = live.session.send(message);
            tokio::time::timeout(NOTICE_PATIENCE, sending).await.unwrap_or_else(|_| {
                let what = format!("{url} does not take it");
                Err(Failure::new(Class::Ambiguous, Cause::TimedOut, what))
            })
        }
    });
    if let Err(failure) = sent.await {
        tracing::warn!(method = message.method(), "not passed on: {}", failure.summary());
    }
}

/// Brings a response to the session that asked for it, and to no other: in another session the
/// same id may belong to another question.
pub(super) async fn answer_upstream(session: Arc<dyn Session>, response: Message) {
    let mut delivery = Delivery::default();
    while let Err(failure) = session.send(&response).await {
        tracing::warn!("an answer was not taken: {}", failure.summary());
        let Some(delay) = delivery.of_answer_after(&failure) else { return };
        tokio::time::sleep(delay).await;
    }
}

/// Tells the upstream in the background that nobody waits for the request any more.
fn tell_cancelled(link: &Link, wire_id: &RequestId, reason: &str) {
    if let Some(live) = link.current() {
        let reason = serde_json::value::to_raw_value(reason).ok();
        let message = cancellation(wire_id, reason.as_deref());
        link.spawn(async move { send_cancelled(&live, &message).await });
    }
}

/// The notification that cancels the request that travels with `wire_id`.
pub(super) fn cancellation(wire_id: &RequestId, reason: Option<&RawValue>) -> Message {
    let params = wire_id.as_raw().map(|request_id| CancelledParams { request_id, reason });
    Message::notification(method::CANCELLED, &to_json(&params))
}

/// Sends `notifications/cancelled`, within [`CANCEL_PATIENCE`].
pub(super) async fn send_cancelled(live: &Live, message: &Message) {
    match tokio::time::timeout(CANCEL_PATIENCE, live.session.send(message)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::debug!("not cancelled upstream: {}", failure.summary()),
        Err(_) => tracing::debug!("the upstream did not take the cancellation in time"),
    }
}

/// Carries one message to the upstream: the failure policy in action.
struct Carrier<'a> {
    context: &'a Context,
    message: &'a Message,
    started: Instant,
    retry: Retry,
    /// Whether the latest attempt came as far as sending the message.
    was_sent: bool,
    /// What the latest attempt failed with, while the next one has not begun.
    failed_with: Option<Failure>,
}

impl<'a> Carrier<'a> {
    fn new(context: &'a Context, message: &'a Message, started: Instant) -> Self {
        let retry = Retry::new(context.settings.policy);
        Self { context, message, started, retry, was_sent: false, failed_with: None }
    }

    /// Does `attempt` in the current session until it succeeds, or must not be repeated, or the
    /// time for that is up.
    async fn carry<T, A>(&mut self, mut attempt: impl FnMut(Arc<Live>) -> A) -> Result<T, Failure>
    where
        A: Future<Output = Result<T, Failure>>,
    {
        loop {
            self.was_sent = false;
            let live = match self.context.link.current() {
                Some(live) => live,
                // Seldom, and large: not a part of every request's future.
                None => Box::pin(self.session()).await?,
            };
            self.retry.count(1);
            self.was_sent = true;
            self.failed_with = None;
            match attempt(live.clone()).await {
                Ok(done) => return Ok(done),
                Err(failure) => Box::pin(self.prepare_retry(failure, &live)).await?,
            }
        }
    }

    /// The failure when `limit`, the time for the whole request, is up.
    fn out_of_time(&self, limit: Duration) -> Failure {
        let url = &self.context.settings.url;
        let mut what = format!("{url} did not answer within {} s", limit.as_secs_f64());
        let class = match &self.failed_with {
            // Cut off in the middle of an attempt.
            None if self.retry.attempts() > 0 => Class::Ambiguous,
            None => Class::NotSent,
            Some(failure) => {
                what.push_str(&format!("; before that, {}", failure.what));
                failure.class()
            }
        };
        Failure::new(class, Cause::TimedOut, what).hint(Hint::both(
            "Raise `--max-time` if calls may take longer.",
            "Увеличьте `--max-time`, если вызовы могут длиться дольше.",
        ))
    }

    /// Waits for a session.
    async fn session(&mut self) -> Result<Arc<Live>, Failure> {
        let waiting = self.within_budget(self.context.link.live());
        let Some(outcome) = waiting.await else {
            // The attempts to open a session were attempts to carry this message.
            if let Some(Tried { failure, attempts }) = self.context.link.tried() {
                self.retry.count(attempts);
                return Err(failure);
            }
            self.retry.count(1);
            let (url, seconds) = (&self.context.settings.url, self.started.elapsed().as_secs());
            let what = format!("{url} has not opened a session within {seconds} s");
            return Err(Failure::new(Class::NotSent, Cause::TimedOut, what).hint(Hint::both(
                "Try again: the server may be starting, or mcpline is still finding out how to sign in. If it \
                 stays so, the server hangs, or a firewall drops what is sent to this address: check the \
                 address, and look at the server's log.",
                "Повторите попытку: возможно, сервер запускается или ещё выясняется, как в него войти. Если \
                 так и останется, сервер завис или межсетевой экран отбрасывает то, что отправлено по этому \
                 адресу: проверьте адрес и посмотрите журнал сервера.",
            )));
        };
        outcome.inspect_err(|_| self.retry.count(1))
    }

    /// Runs `waiting` until the message has no more time to wait for a session; an upstream that
    /// answers meanwhile gains time.
    async fn within_budget<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            let elapsed = self.started.elapsed();
            let start_timeout = self.context.settings.start_timeout;
            let left = self.context.link.session_budget(elapsed, start_timeout);
            let left = left.checked_sub(elapsed).filter(|left| !left.is_zero())?;
            // Meanwhile it may turn out that a person has to sign in, which is waited for less long.
            let left = left.min(PERSON_PATIENCE);
            if let Ok(outcome) = tokio::time::timeout(left, &mut waiting).await {
                return Some(outcome);
            }
        }
    }

    /// Returns when the message may be sent again.
    async fn prepare_retry(&mut self, failure: Failure, live: &Arc<Live>) -> Result<(), Failure> {
        if failure.class().ends_session() {
            // 404 and 410 say that the session is gone; words may be wrong.
            let may_live = !matches!(failure.status, Some(404 | 410));
            self.context.link.lost(live, may_live);
        }
        if failure.class() == Class::SessionLost
            && method::stands(self.message.method())
            && self.started.elapsed() >= STANDING_AFTER
        {
            // What has stood, maybe for hours, has all its attempts again.
            self.retry = Retry::new(self.context.settings.policy);
            self.started = Instant::now();
        }
        let is_repeatable = self.context.link.allows_repeat(self.message);
        let elapsed = self.started.elapsed();
        let budget = self.context.link.session_budget(elapsed, self.context.settings.start_timeout);
        let delay = self.retry.after(&failure, is_repeatable, elapsed);
        // An upstream that has never answered is not waited for as long as one that has.
        let Some(delay) = delay.filter(|delay| delay.is_zero() || elapsed + *delay <= budget)
        else {
            return Err(failure);
        };
        let failure = self.failed_with.insert(failure);
        if !delay.is_zero() {
            let seconds = delay.as_secs_f64();
            tracing::info!("{}; trying again in {seconds:.1} s", failure.summary());
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }
}
