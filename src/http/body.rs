//! Reads what an upstream answers: a whole body or a stream of events, within limits.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::sync::Notify;
use url::Url;

use super::coding::Unpacker;
use super::excerpt::excerpt;
use super::failure;
use super::sse::{Decoder, Event, TooLong};
use crate::background;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::patience::within;

/// Bytes read of the body of a refusal.
const QUOTED: usize = 1024 * 1024;

/// Time given to the rest of a stream whose answer has been read. A stream that ends in it leaves
/// its connection for the next request.
const DRAIN: Duration = Duration::from_secs(1);

/// The head of an answer; its body has not been read.
#[derive(Debug)]
pub struct Answer {
    /// Boxed to keep futures small: each that passes an answer on holds it twice.
    response: Box<reqwest::Response>,
    /// For a body that is packed.
    unpacker: Option<Box<Unpacker>>,
    url: Arc<str>,
    idle_timeout: Duration,
    max_body: usize,
}

impl Answer {
    /// The answer of `url` in `response`.
    ///
    /// # Errors
    /// The body is packed in a way that we cannot read.
    pub(super) fn new(
        response: reqwest::Response,
        url: Arc<str>,
        idle_timeout: Duration,
        max_body: usize,
    ) -> Result<Self, Failure> {
        let unpacker = Unpacker::of(response.headers())
            .map_err(|coding| failure::of_coding(&coding, &url))?
            .map(Box::new);
        Ok(Self { response: Box::new(response), unpacker, url, idle_timeout, max_body })
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The URL that was asked, as it may be shown.
    pub fn url(&self) -> &Arc<str> {
        &self.url
    }

    /// The URL that has answered, at the end of any redirects.
    pub fn final_url(&self) -> &Url {
        self.response.url()
    }

    /// `Content-Type` as it was sent.
    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// Whether the body is an event stream.
    pub fn is_event_stream(&self) -> bool {
        const EVENT_STREAM: &[u8] = b"text/event-stream";
        let Some(value) = self.response.headers().get(CONTENT_TYPE) else { return false };
        let value = value.as_bytes().trim_ascii_start();
        let Some((media_type, rest)) = value.split_at_checked(EVENT_STREAM.len()) else {
            return false;
        };
        let ends_here = matches!(rest.trim_ascii_start().first(), None | Some(b';'));
        ends_here && media_type.eq_ignore_ascii_case(EVENT_STREAM)
    }

    /// Reads the whole body, decompressed.
    ///
    /// # Errors
    /// The body is longer than the limit, breaks off, or stalls.
    pub async fn bytes(mut self) -> Result<Bytes, Failure> {
        self.read().await
    }

    /// As [`Answer::bytes`], and leaves the head where it is.
    pub(crate) async fn read(&mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        self.within_limit(first.len())?;
        // The length is what is left to read. The usual case, a body in one piece, is not copied.
        if self.response.content_length() == Some(0) && self.unpacker.is_none() {
            return Ok(first);
        }
        Box::pin(self.in_pieces(first)).await
    }

    /// The whole of a body that comes in several pieces, of which `first` has come.
    async fn in_pieces(&mut self, first: Bytes) -> Result<Bytes, Failure> {
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let so_far = first.len() + second.len();
        self.within_limit(so_far)?;
        let rest = usize::try_from(self.response.content_length().unwrap_or(0));
        let announced = so_far.saturating_add(rest.unwrap_or(usize::MAX));
        let mut body = BytesMut::with_capacity(announced.min(self.max_body));
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            self.within_limit(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Reads an unsuccessful answer, as far as its body comes.
    pub async fn refusal(self) -> Refusal {
        let (status, headers) = (self.status(), self.headers().clone());
        let url = self.url.clone();
        Refusal { status, headers, url, body: self.beginning().await }
    }

    /// Reads the beginning of a body, to quote or inspect it, as far as it comes.
    pub async fn beginning(mut self) -> Bytes {
        let mut body = BytesMut::new();
        while body.len() < QUOTED
            && let Ok(Some(chunk)) = self.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
        body.freeze()
    }

    /// Reads the body as an event stream that may be silent for as long as the request may.
    pub fn events(self) -> Events {
        let decoder = Decoder::new(self.max_body);
        let document = Document::Unknown;
        Events { answer: self, decoder, is_bounded: true, life: None, document }
    }

    /// Reads the body as an event stream that only listens, and may be silent for ever.
    pub fn listening(self) -> Events {
        Events { is_bounded: false, ..self.events() }
    }

    /// The request's own bound on silence.
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let patience = self.idle_timeout;
        let part = within(patience, pin!(self.part())).await;
        match part {
            Some(part) => part,
            None => Err(failure::timed_out(&self.url, patience)),
        }
    }

    /// The next part of the body, unpacked. Cancel safe.
    async fn part(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(unpacker) = &mut self.unpacker
                && let Some(part) =
                    unpacker.next().map_err(|error| failure::of_packed_body(&error, &self.url))?
            {
                return Ok(Some(part));
            }
            let chunk = self.response.chunk().await;
            let chunk = chunk.map_err(|error| failure::of_body(&error, &self.url))?;
            match (&mut self.unpacker, chunk) {
                (None, chunk) => return Ok(chunk),
                (Some(unpacker), Some(chunk)) => unpacker.push(chunk),
                (Some(unpacker), None) => {
                    let finished = unpacker.finish();
                    // Once is enough.
                    self.unpacker = None;
                    return finished
                        .map(|()| None)
                        .map_err(|error| failure::of_packed_body(&error, &self.url));
                }
            }
        }
    }

    fn within_limit(&self, length: usize) -> Result<(), Failure> {
        if length <= self.max_body { Ok(()) } else { Err(too_large(&self.url, self.max_body)) }
    }
}

/// An answer with an unsuccessful status.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The URL that was asked, as it may be shown.
    pub url: Arc<str>,
    /// The beginning of the body.
    pub body: Bytes,
}

impl Refusal {
    /// `Content-Type` as it was sent.
    pub fn content_type(&self) -> Option<&str> {
        failure::header(&self.headers, &CONTENT_TYPE)
    }

    /// The failure by the general rules, quoting what the body says.
    pub fn failure(&self) -> Failure {
        self.failure_saying(&excerpt(&self.body, self.content_type()))
    }

    /// As [`Refusal::failure`], quoting `said`, which the kind has read out of the body.
    pub fn failure_saying(&self, said: &str) -> Failure {
        failure::refused(self.status, &self.headers, said, &self.url)
    }
}

fn too_large(url: &str, limit: usize) -> Failure {
    let what = format!("{url} answered with more than {limit} bytes, the limit of `--max-message`");
    Failure::new(Class::Final, Cause::TooLarge, what).hint(Hint::both(
        "Ask for less, for example by a filter, or raise `--max-message`.",
        "Запросите меньше, например с отбором, или увеличьте `--max-message`.",
    ))
}

/// An event stream that is being read.
#[derive(Debug)]
pub struct Events {
    answer: Answer,
    decoder: Decoder,
    /// Whether silence has a bound.
    is_bounded: bool,
    life: Option<Arc<Notify>>,
    document: Document,
}

/// What a body that claims to be an event stream turns out to be. No field of an event begins with
/// `{`, so a body that does is one JSON document under the wrong content type.
#[derive(Debug)]
enum Document {
    /// Nothing has come yet.
    Unknown,
    /// It is a stream.
    No,
    /// It is a document, of which so much has come.
    Yes(BytesMut),
}

/// Why a stream gave no further event.
#[derive(Debug)]
pub enum StreamBroke {
    /// The upstream ended it regularly.
    Ended,
    /// The connection broke, or the stream cannot be read on.
    Failed(Failure),
}

impl fmt::Display for StreamBroke {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ended => "the upstream has closed it",
            Self::Failed(failure) => failure.summary(),
        })
    }
}

impl Events {
    /// Notifies the waiters of `life` whenever anything comes, comments included.
    pub fn notify_of_life(&mut self, life: Arc<Notify>) {
        self.life = Some(life);
    }

    /// Waits for the next event. Cancel safe.
    ///
    /// # Errors
    /// There will be no further event.
    pub async fn next(&mut self) -> Result<Event, StreamBroke> {
        loop {
            match self.decoder.next() {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(TooLong) => {
                    let Answer { url, max_body, .. } = &self.answer;
                    return Err(StreamBroke::Failed(too_large(url, *max_body)));
                }
            }
            let part =
                if self.is_bounded { self.answer.chunk().await } else { self.answer.part().await };
            match part.map_err(StreamBroke::Failed)? {
                Some(part) => {
                    if let Some(life) = &self.life {
                        life.notify_waiters();
                    }
                    self.take(&part)?;
                }
                None => return self.end(),
            }
        }
    }

    /// Takes what has come.
    fn take(&mut self, chunk: &[u8]) -> Result<(), StreamBroke> {
        if matches!(self.document, Document::Unknown) {
            let text = chunk.strip_prefix(b"\xef\xbb\xbf").unwrap_or(chunk).trim_ascii_start();
            self.document = match text.first() {
                None => Document::Unknown,
                Some(b'{') => Document::Yes(BytesMut::new()),
                Some(_) => Document::No,
            };
        }
        match &mut self.document {
            Document::Yes(document) => {
                self.answer
                    .within_limit(document.len() + chunk.len())
                    .map_err(StreamBroke::Failed)?;
                document.extend_from_slice(chunk);
            }
            Document::Unknown | Document::No => self.decoder.push(chunk),
        }
        Ok(())
    }

    /// The document, once it is whole; otherwise the end.
    fn end(&mut self) -> Result<Event, StreamBroke> {
        match std::mem::replace(&mut self.document, Document::No) {
            Document::Yes(document) => {
                Ok(Event { name: "message".to_owned(), data: document.freeze() })
            }
            Document::Unknown | Document::No => Err(StreamBroke::Ended),
        }
    }

    /// The id to resume the stream from.
    pub fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// How long the upstream asked to wait before the stream is opened again.
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }

    /// Lets the stream end in the background, so that its connection can be used again.
    pub fn finish(mut self) {
        background::spawn(async move {
            let rest = async { while let Ok(Some(_)) = self.answer.response.chunk().await {} };
            let _ = tokio::time::timeout(DRAIN, rest).await;
        });
    }
}
