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
use crate::http::Http;
use crate::jsonrpc::{
    ErrorObject, FromUpstream, Kind, METHOD_NOT_FOUND, Message, RequestId, Response, from_upstream,
};
use crate::link::Link;
use crate::mcp::method;
use crate::setup::SetupError;
use crate::stdio::{Input, Stdin, Writer};
use crate::upstream::{self, Client};
use crate::{conversation, signals};

/// Pages of one list that are read: a server that never comes to an end must not keep us.
const MAX_PAGES: usize = 1000;

/// A client whose conversation is under way.
pub(super) struct LocalClient {
    input: mpsc::Sender<Vec<Input>>,
    output: mpsc::UnboundedReceiver<Bytes>,
    conversation: JoinHandle<conversation::Outcome>,
    requests: u64,
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
}

impl LocalClient {
    /// Starts a conversation with `server`. It begins with the first request.
    ///
    /// # Errors
    /// A part cannot be set up.
    pub(super) fn start(server: &Server) -> Result<Self, SetupError> {
        let Server { upstream, conversation: settings, .. } = server;
        let http = Arc::new(Http::new(&upstream.http, &upstream.endpoint.url)?);
        let stop = signals::stop_requested()
            .map_err(|error| SetupError::failed(format!("no signal handler: {error}")))?;
        let kind = upstream::upstream(http, upstream.endpoint.url.clone(), &upstream.kind)?;
        let (input, stdin) = Stdin::memory();
        let (writer, output) = Writer::memory();
        let client = Client::new(writer.outlet());
        let link = Link::new(kind, client.clone(), settings.policy);
        let conversation = Conversation::new(settings.clone(), link, client, &writer);
        let conversation =
            tokio::spawn(conversation.run(stdin, writer, stop, std::future::pending()));
        Ok(Self { input, output, conversation, requests: 0 })
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
        while let Some(line) = self.output.recv().await {
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
    pub(super) async fn end(self) {
        let Self { input, output, conversation, .. } = self;
        drop(input);
        // It fails only when it panics, and then there is nothing to wait for.
        let _ = conversation.await;
        drop(output);
    }

    async fn send(&self, line: Bytes) {
        // Fails only when the conversation has ended, which the output tells.
        let _ = self.input.send(vec![Input::Line(line)]).await;
    }

    /// Takes what the server sends of its own accord. We have promised no capability, so all that it
    /// may ask is whether we live.
    async fn take(&self, message: &Message) {
        let Kind::Request(id) = message.kind() else { return };
        let answer = if message.method() == method::PING {
            Response::with_result(Bytes::from_static(b"{}")).into_line(id).to_bytes()
        } else {
            let why = format!("Method not found: {}", message.method());
            ErrorObject::new(METHOD_NOT_FOUND, why).to_line(Some(id))
        };
        self.send(answer).await;
    }
}

fn outcome(response: &Response) -> Result<String, RequestError> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    match (response.result(), response.error()) {
        (Some(result), _) => Ok(text(result)),
        (None, error) => Err(RequestError::parse(error.map(text).unwrap_or_default())),
    }
}

impl RequestError {
    fn read(error: &ErrorObject) -> Self {
        Self::parse(crate::jsonrpc::to_json(error))
    }

    fn parse(json: String) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Error {
            code: i64,
            message: String,
        }
        let Error { code, message } = serde_json::from_str(&json).unwrap_or_default();
        Self { json, message, code }
    }
}
