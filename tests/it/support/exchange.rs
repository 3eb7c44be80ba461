//! One request and what the script makes of it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::http::{Reply, Request};
use super::message::Message;
use super::upstream::Life;

/// An error ends the connection and nothing else: the other side has gone, or the test has.
pub(crate) type Answered = io::Result<()>;

pub(crate) struct Exchange<'a> {
    pub(crate) request: Request,
    socket: &'a TcpStream,
    life: Life,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Untouched,
    /// The connection cannot carry another exchange.
    Broken,
    Complete,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(request: Request, socket: &'a TcpStream, life: Life) -> Self {
        Self { request, socket, life, stage: Stage::Untouched }
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.stage == Stage::Untouched
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// [`Request::name`].
    pub(crate) fn name(&self) -> String {
        self.request.name()
    }

    pub(crate) fn rpc(&self) -> Message {
        self.request.rpc()
    }

    pub(crate) fn life(&self) -> Life {
        self.life.clone()
    }

    /// Waits until the test opens the gate.
    pub(crate) fn pass(&self, gate: &str) -> io::Result<()> {
        self.life.pass(gate)
    }

    pub(crate) fn send(&mut self, reply: &Reply) -> Answered {
        self.write(&reply.to_bytes())?;
        self.stage = Stage::Complete;
        Ok(())
    }

    pub(crate) fn json(&mut self, body: impl Into<Vec<u8>>) -> Answered {
        self.send(&Reply::json(body))
    }

    /// A JSON-RPC response to the request, with its own id.
    pub(crate) fn result(&mut self, result: &str) -> Answered {
        let reply = self.result_text(result);
        self.json(reply)
    }

    /// The text of such a response.
    pub(crate) fn result_text(&self, result: &str) -> String {
        let rpc = self.rpc();
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, rpc.id())
    }

    pub(crate) fn accepted(&mut self) -> Answered {
        self.send(&Reply::status(202))
    }

    pub(crate) fn status(&mut self, status: u16) -> Answered {
        self.send(&Reply::status(status))
    }

    /// Begins an SSE answer.
    pub(crate) fn events(&mut self) -> io::Result<Events<'_, 'a>> {
        self.events_with(&Reply::status(200))
    }

    /// Begins an SSE answer with more headers.
    pub(crate) fn events_with(&mut self, reply: &Reply) -> io::Result<Events<'_, 'a>> {
        let head = reply
            .clone()
            .header("Content-Type", "text/event-stream")
            .header("Cache-Control", "no-cache")
            .chunked_head();
        self.write(&head)?;
        Ok(Events { exchange: self })
    }

    /// Writes what no reply would hold, and closes.
    pub(crate) fn raw_and_close(&mut self, bytes: impl AsRef<[u8]>) -> Answered {
        self.write(bytes.as_ref())
    }

    /// Closes the connection without a word.
    #[expect(clippy::unnecessary_wraps, reason = "ends a script as its siblings do")]
    pub(crate) fn close(&mut self) -> Answered {
        self.stage = Stage::Broken;
        Ok(())
    }

    /// Writes this much and then resets the connection.
    pub(crate) fn raw_and_reset(&mut self, bytes: impl AsRef<[u8]>) -> Answered {
        self.write(bytes.as_ref())?;
        socket2::SockRef::from(self.socket).set_linger(Some(Duration::ZERO))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stage = Stage::Broken;
        self.life.check()?;
        (&mut &*self.socket).write_all(bytes)
    }
}

/// An SSE answer that is being written. Dropping it before [`Events::end`] breaks the connection in
/// the middle of the body.
pub(crate) struct Events<'a, 'b> {
    exchange: &'a mut Exchange<'b>,
}

impl Events<'_, '_> {
    pub(crate) fn send(&mut self, event: &Event) -> io::Result<()> {
        self.raw(event.to_string())
    }

    /// An event with this message and nothing else.
    pub(crate) fn message(&mut self, message: impl fmt::Display) -> io::Result<()> {
        self.send(&Event::of(message))
    }

    /// These bytes as a chunk of their own: the other side sees its boundaries.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return Ok(()); // would read as the end of the body
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend(bytes);
        chunk.extend(b"\r\n");
        self.exchange.write(&chunk)
    }

    pub(crate) fn end(self) -> Answered {
        self.exchange.write(b"0\r\n\r\n")?;
        self.exchange.stage = Stage::Complete;
        Ok(())
    }

    /// Waits until the other side closes the connection.
    pub(crate) fn until_closed(self) -> Answered {
        // Nothing else can come: the other side has no more to say before this answer is over.
        (&mut &*self.exchange.socket).read(&mut [0]).map(drop)
    }

    /// Breaks the connection here.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "ends a script as its siblings do"
    )]
    pub(crate) fn cut(self) -> Answered {
        Ok(())
    }
}

/// One server-sent event.
#[derive(Clone, Default)]
pub(crate) struct Event {
    id: Option<String>,
    retry: Option<u64>,
    data: String,
    kind: Option<String>,
}

impl Event {
    pub(crate) fn of(data: impl fmt::Display) -> Self {
        Self { data: data.to_string(), ..Self::default() }
    }

    pub(crate) fn id(mut self, id: impl fmt::Display) -> Self {
        self.id = Some(id.to_string());
        self
    }

    pub(crate) fn retry(mut self, milliseconds: u64) -> Self {
        self.retry = Some(milliseconds);
        self
    }

    pub(crate) fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.to_owned());
        self
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.kind {
            writeln!(f, "event: {kind}")?;
        }
        if let Some(id) = &self.id {
            writeln!(f, "id: {id}")?;
        }
        if let Some(retry) = self.retry {
            writeln!(f, "retry: {retry}")?;
        }
        writeln!(f, "data: {}\n", self.data)
    }
}
