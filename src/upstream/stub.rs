//! An upstream in memory that a test scripts, for conversations and links under paused time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Client, Greeting, Opened, Pending, Request, Session, Upstream};
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{ErrorObject, Message, Response, to_json};

/// What a script answers with.
pub(crate) enum Reply {
    /// A result, as JSON text.
    Result(&'static str),
    /// A JSON-RPC error with this code.
    Error(i64),
    /// An error object, as JSON text.
    ErrorWith(&'static str),
    /// A failure of this class.
    Fails(Class),
    /// A failure with this `Retry-After`, of a request that was rejected.
    Later(Duration),
    /// Another reply, after a while.
    After(Duration, Box<Self>),
    /// Never.
    Hangs,
}

impl Reply {
    async fn outcome(self) -> Result<Response, Failure> {
        match self {
            Self::Result(text) => Ok(Response::with_result(text.into())),
            Self::Error(code) => {
                let error = ErrorObject::new(code, "stub: error");
                Ok(Response::with_error(to_json(&error).into()))
            }
            Self::ErrorWith(error) => Ok(Response::with_error(error.into())),
            Self::Fails(class) => {
                let mut failure = Failure::new(class, Cause::Refused, "stub: refused");
                failure.status = (class == Class::SessionLost).then_some(404);
                Err(failure)
            }
            Self::Later(time) => {
                let mut failure = Failure::new(Class::Rejected, Cause::Refused, "stub: later");
                failure.status = Some(503);
                failure.retry_after = Some(time);
                Err(failure)
            }
            Self::After(time, reply) => {
                tokio::time::sleep(time).await;
                Box::pin(reply.outcome()).await
            }
            Self::Hangs => std::future::pending().await,
        }
    }
}

/// A message that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The session that it came in: 1 for the first one; an `initialize` opens the next.
    pub(crate) session: usize,
    pub(crate) method: String,
    pub(crate) message: Message,
    /// Since the stub was made.
    pub(crate) at: Duration,
}

/// The upstream; clones are the same one.
#[derive(Clone)]
pub(crate) struct Stub(Arc<Inner>);

type Script = dyn Fn(&Arrival, usize) -> Reply + Send + Sync;

struct Inner {
    /// Gets what arrives, and how often that method has arrived before.
    script: Box<Script>,
    born: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    arrivals: Vec<Arrival>,
    sessions: Vec<Arc<StubSession>>,
    client: Option<Client>,
    /// Time that closing a session takes.
    closing: Duration,
}

/// A result of `initialize` whose lists may change.
pub(crate) const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"stub","version":"1"}}"#;

impl Stub {
    /// An upstream that answers each arrival as `script` says.
    pub(crate) fn new(script: impl Fn(&Arrival, usize) -> Reply + Send + Sync + 'static) -> Self {
        let (script, born) = (Box::new(script), Instant::now());
        Self(Arc::new(Inner { script, born, state: Mutex::default() }))
    }

    /// An upstream that opens each session, and answers the rest as `script` says.
    pub(crate) fn open(script: impl Fn(&Arrival, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::new(move |arrival, before| match arrival.method.as_str() {
            "initialize" => Reply::Result(INITIALIZED),
            _ => script(arrival, before),
        })
    }

    /// The upstream, with sessions that take some time to close.
    pub(crate) fn closing_in(self, time: Duration) -> Self {
        self.state().closing = time;
        self
    }

    /// What has arrived with this method.
    pub(crate) fn arrivals(&self, method: &str) -> Vec<Arrival> {
        let state = self.state();
        state.arrivals.iter().filter(|arrival| arrival.method == method).cloned().collect()
    }

    /// The methods that have arrived, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.state().arrivals.iter().map(|arrival| arrival.method.clone()).collect()
    }

    /// The client of the latest session.
    pub(crate) fn client(&self) -> Client {
        self.state().client.clone().unwrap()
    }

    /// Lets a session end by itself, as a stream that is the session does.
    pub(crate) fn end_session(&self, number: usize) {
        self.state().sessions[number - 1].ended.cancel();
    }

    /// How many sessions have been closed.
    pub(crate) fn closed(&self) -> usize {
        let state = self.state();
        state.sessions.iter().filter(|session| session.ended.is_cancelled()).count()
    }

    /// Sends a request or notification to the client in the session of this number.
    pub(crate) async fn send(&self, number: usize, message: Message) -> Option<Message> {
        let (client, session) = {
            let state = self.state();
            (state.client.clone().unwrap(), state.sessions[number - 1].clone())
        };
        let session: Arc<dyn Session> = session;
        client.deliver(message, &session, None).await
    }

    async fn take(&self, session: usize, message: &Message) -> Result<Response, Failure> {
        let arrival = Arrival {
            session,
            method: message.method().to_owned(),
            message: message.clone(),
            at: self.0.born.elapsed(),
        };
        let before = {
            let mut state = self.state();
            let same = |other: &&Arrival| other.method == arrival.method;
            let before = state.arrivals.iter().filter(same).count();
            state.arrivals.push(arrival.clone());
            before
        };
        (self.0.script)(&arrival, before).outcome().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream for Stub {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(async {
            let number = self.state().sessions.len() + 1;
            let response = self.take(number, &greeting.initialize().message).await?;
            let mut state = self.state();
            state.client = Some(client.clone());
            let number = state.sessions.len() + 1;
            let ended = CancellationToken::new();
            let session = Arc::new(StubSession { stub: self.clone(), number, ended });
            state.sessions.push(session.clone());
            Ok(Opened { session, response })
        })
    }
}

struct StubSession {
    stub: Stub,
    number: usize,
    ended: CancellationToken,
}

impl Session for StubSession {
    fn exchange<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, Failure>> {
        Box::pin(self.stub.take(self.number, &request.message))
    }

    fn send<'a>(&'a self, message: &'a Message) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async {
            let kind = if message.method().is_empty() { "(response)" } else { message.method() };
            let mut state = self.stub.state();
            state.arrivals.push(Arrival {
                session: self.number,
                method: kind.to_owned(),
                message: message.clone(),
                at: self.stub.0.born.elapsed(),
            });
            Ok(())
        })
    }

    fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {
            let time = self.stub.state().closing;
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            self.ended.cancel();
        })
    }
}
