//! An MCP client inside the process, for commands that ask a server something themselves.
//!
//! It leads a conversation in memory, so a command gets what a client on stdin and stdout would
//! get: the same sessions, retries, repairs and words.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::server::Server;
use crate::conversation::Conversation;
use crate::era::{AnyEra, Revisions};
use crate::hint::Words;
use crate::http::Http;
use crate::jsonrpc::{
    ErrorObject, FromUpstream, Kind, METHOD_NOT_FOUND, Message, RequestId, Response, from_upstream,
    of_json, to_json,
};
use crate::link::Link;
use crate::mcp::{Empty, Implementation, InitializeParams, Part, Revision, method};
use crate::oauth::SignIn;
use crate::setup::SetupError;
use crate::stdio::{Input, Stdin, Writer};
use crate::terminal::Waiting;
use crate::upstream::{self, Client, Upstream};
use crate::{conversation, signals};

/// Pages of one list that are read: a server that never comes to an end must not keep us.
const MAX_PAGES: usize = 1000;

/// A client whose conversation is under way.
pub(super) struct LocalClient {
    /// `None` once the conversation is to end.
    input: Option<mpsc::Sender<Vec<Input>>>,
    output: mpsc::UnboundedReceiver<Bytes>,
    conversation: JoinHandle<conversation::Outcome>,
    requests: u64,
    upstream: Arc<AnyEra>,
    client: Client,
    waiting: Waiting,
    sign_in: Option<Arc<SignIn>>,
}

/// The error with which a request was answered.
#[derive(Debug, Clone)]
pub(super) struct RequestError {
    /// The error object, as a client would get it.
    pub(super) json: String,
    /// Its message.
    pub(super) message: String,
    /// Its code.
    pub(super) code: i64,
    /// Whether it is an error of ours; else it is the server's.
    pub(super) is_ours: bool,
    /// What to do about it, where the error is ours; the message says it too.
    pub(super) hint: Option<String>,
    /// The HTTP status, where the error is ours and there was one.
    pub(super) status: Option<u16>,
    /// How long it took, where the error is ours.
    pub(super) elapsed_ms: Option<u64>,
}

impl LocalClient {
    /// Starts a conversation with `server`. It begins with the first request.
    ///
    /// # Errors
    /// A part cannot be set up.
    pub(super) fn start(server: &Server) -> Result<Self, SetupError> {
        let upstream = &server.upstream;
        let http = Arc::new(Http::new(&upstream.http, &upstream.endpoint.url)?);
        Self::start_over(http, server)
    }

    /// As [`LocalClient::start`], over `http`.
    ///
    /// # Errors
    /// A part cannot be set up.
    pub(super) fn start_over(http: Arc<Http>, server: &Server) -> Result<Self, SetupError> {
        let Server { upstream, conversation: settings, .. } = server;
        let stop = signals::stop_requested()
            .map_err(|error| SetupError::failed(format!("no signal handler: {error}")))?;
        let upstream = AnyEra::at(&upstream.endpoint.url, http, &upstream.kind, upstream.era)?;
        let upstream = Arc::new(upstream);
        let (input, stdin) = Stdin::memory();
        let (writer, output) = Writer::memory();
        let client = Client::new(writer.outlet());
        let link = Link::new(Box::new(upstream.clone()), client.clone(), settings.policy);
        let conversation = Conversation::new(settings.clone(), link, client.clone(), &writer);
        let conversation = tokio::spawn(conversation.run(
            stdin,
            writer,
            Box::pin(stop),
            Box::pin(std::future::pending()),
        ));
        let input = Some(input);
        let waiting = Waiting::new(server.redacted(&server.upstream.endpoint.shown));
        let sign_in = server.upstream.sign_in.clone();
        Ok(Self { input, output, conversation, requests: 0, upstream, client, waiting, sign_in })
    }

    /// Opens the session with a handshake, and returns the result of `initialize`.
    ///
    /// # Errors
    /// As for [`LocalClient::request`].
    pub(super) async fn initialize(&mut self) -> Result<String, RequestError> {
        let result = self.request(method::INITIALIZE, &handshake()).await?;
        self.send(Message::notification(method::INITIALIZED, "{}").text().clone()).await;
        Ok(result)
    }

    /// What the server has turned out to be, in words.
    pub(super) fn variant(&self) -> Option<Words> {
        self.upstream.variant()
    }

    /// Which revisions the server speaks. Opens no session.
    pub(super) async fn revisions(&self) -> Revisions {
        let initialize = Message::request(RequestId::number(0), method::INITIALIZE, &handshake());
        self.upstream.revisions(&initialize, &self.client).await
    }

    /// Sends a request with `params`, which is JSON text, and waits for the result, which is JSON text
    /// as well.
    ///
    /// # Errors
    /// It was answered with an error.
    pub(super) async fn request(
        &mut self,
        method: &str,
        params: &str,
    ) -> Result<String, RequestError> {
        self.requests += 1;
        let id = RequestId::number(self.requests);
        self.send(Message::request(id.clone(), method, params).text().clone()).await;
        while let Some(line) = self.waiting.until(self.output.recv()).await {
            for message in from_upstream(&line).unwrap_or_default() {
                match message {
                    FromUpstream::Response(response) if response.id().as_ref() == Some(&id) => {
                        return outcome(&response);
                    }
                    FromUpstream::Response(_) => {}
                    FromUpstream::Message(message) => self.take(&message).await,
                }
            }
        }
        // Every request is answered before the conversation ends.
        Err(RequestError::read(&ErrorObject::new(0, "mcpline was told to stop")))
    }

    /// Whether a person sees how far a call has come.
    pub(super) fn is_watched(&self) -> bool {
        self.waiting.is_seen()
    }

    /// All items of a list, as a result with one page.
    ///
    /// # Errors
    /// As for [`LocalClient::request`].
    pub(super) async fn list(
        &mut self,
        method: &str,
        member: &str,
    ) -> Result<Vec<Box<RawValue>>, RequestError> {
        let mut all = Vec::new();
        let mut params = "{}".to_owned();
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..MAX_PAGES {
            let result = self.request(method, &params).await?;
            let page = upstream::Object::read(&result).unwrap_or_default();
            let items = page.get(member).map(serde_json::from_str::<Vec<Box<RawValue>>>);
            let Some(Ok(items)) = items else {
                let what = format!("the answer to {method} has no list `{member}`");
                return Err(RequestError::read(&ErrorObject::new(0, what)));
            };
            all.extend(items);
            match page.get("nextCursor") {
                Some(cursor) if cursor != "null" && !seen.iter().any(|known| known == cursor) => {
                    params = format!(r#"{{"cursor":{cursor}}}"#);
                    seen.push(cursor.to_owned());
                }
                _ => break,
            }
        }
        Ok(all)
    }

    /// Ends the conversation and with it the session.
    pub(super) async fn end(&mut self) {
        if self.input.take().is_some() {
            // It fails only when it panics, and then there is nothing to wait for.
            let _ = (&mut self.conversation).await;
        }
        if let Some(sign_in) = &self.sign_in {
            sign_in.settle().await;
        }
    }

    async fn send(&self, line: Bytes) {
        // Fails only when the conversation has ended, which the output tells.
        if let Some(input) = &self.input {
            let _ = input.send(vec![Input::Line(line)]).await;
        }
    }

    /// Takes what the server sends of its own accord. We have promised no capability, so all that it
    /// may ask is whether we live.
    async fn take(&mut self, message: &Message) {
        let Kind::Request(id) = message.kind() else {
            if message.method() == method::PROGRESS
                && let Some(progress) = message.params().and_then(|params| progress(params))
            {
                self.waiting.say(progress);
            }
            return;
        };
        let answer = if message.method() == method::PING {
            Response::with_result(Bytes::from_static(b"{}")).into_line(id).to_bytes()
        } else {
            let why = format!("Method not found: {}", message.method());
            ErrorObject::new(METHOD_NOT_FOUND, why).to_line(Some(id))
        };
        self.send(answer).await;
    }
}

/// The params of our `initialize`.
fn handshake() -> String {
    to_json(&InitializeParams {
        protocol_version: Revision::LATEST,
        capabilities: Part::Ours(Empty {}),
        client_info: Part::Ours(Implementation::OURS),
    })
}

/// How far a call has come, in words.
fn progress(params: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Told {
        progress: serde_json::Number,
        total: Option<serde_json::Number>,
        message: Option<String>,
    }
    let Told { progress, total, message } = of_json(params)?;
    let count = match total {
        Some(total) => format!("{progress}/{total}"),
        None => progress.to_string(),
    };
    Some(message.map_or(count.clone(), |message| format!("{count} {message}")))
}

fn outcome(response: &Response) -> Result<String, RequestError> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    match (response.result(), response.error()) {
        (Some(result), _) => Ok(text(result)),
        (None, error) => Err(RequestError::parse(error.map(text).unwrap_or_default())),
    }
}

impl RequestError {
    /// What went wrong, without the hint.
    pub(super) fn what(&self) -> &str {
        let hint = self.hint.as_deref().unwrap_or_default();
        self.message.strip_suffix(hint).unwrap_or(&self.message).trim_end()
    }

    /// For what could not even be started.
    pub(super) fn of_setup(error: &SetupError) -> Self {
        Self::read(&ErrorObject::new(0, error.to_string()))
    }

    fn read(error: &ErrorObject) -> Self {
        Self::parse(to_json(error))
    }

    fn parse(json: String) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Error {
            code: i64,
            message: String,
            data: serde_json::Value,
        }
        let Error { code, message, data } = serde_json::from_str(&json).unwrap_or_default();
        let ours = Some(&data).filter(|data| data["source"] == "mcpline");
        let hint = ours.and_then(|data| Some(data["hint"].as_str()?.to_owned()));
        let status = ours.and_then(|data| u16::try_from(data["httpStatus"].as_u64()?).ok());
        let elapsed_ms = ours.and_then(|data| data["elapsedMs"].as_u64());
        Self { message, code, is_ours: ours.is_some(), hint, status, elapsed_ms, json }
    }
}
