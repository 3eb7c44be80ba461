//! Decodes an event stream (WHATWG HTML, section 9.2 "Server-sent events").
//!
//! Our own rather than a crate's, because a relay needs what they do not have together: a cap that
//! counts the unfinished event, the data as the bytes that arrived and without a copy, and the
//! stream's last event id even when the event that set it had no data (the priming event of
//! revision 2025-11-25, "Sending Messages to the Server", item 6).

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

/// One dispatched event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's type; `message` when the stream gave none.
    pub name: String,
    /// The event's data; lines joined by line feeds.
    pub data: Bytes,
}

/// An event exceeds the limit.
#[derive(Debug)]
pub struct TooLong;

/// An incremental decoder: bytes in by [`Decoder::push`], events out by [`Decoder::next`].
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: BytesMut,
    /// How far the buffer has been searched for a line end.
    searched: usize,
    at_start: bool,
    /// The last line ended with CR at the end of the buffer: an LF that follows belongs to it.
    skip_line_feed: bool,
    name: String,
    data: Data,
    pending_id: Option<String>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

/// The data lines of the event that is being read.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// The usual case, kept without a copy.
    One(Bytes),
    Many(Vec<u8>),
}

impl Data {
    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => Self::Many([&first, b"\n".as_slice(), &line].concat()),
            Self::Many(mut lines) => {
                lines.push(b'\n');
                lines.extend_from_slice(&line);
                Self::Many(lines)
            }
        };
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Many(lines) => lines.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(line) => line,
            Self::Many(lines) => lines.into(),
        }
    }
}

impl Decoder {
    /// A decoder for events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: BytesMut::new(),
            searched: 0,
            at_start: true,
            skip_line_feed: false,
            name: String::new(),
            data: Data::None,
            pending_id: None,
            last_event_id: None,
            retry: None,
        }
    }

    /// The id to send as `Last-Event-ID`; `None` when the stream has set none.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// How long the stream asked to wait before it is opened again.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next complete event. What the end of the stream leaves unfinished is dropped, as the
    /// specification has it.
    ///
    /// # Errors
    /// The event is longer than the limit; the stream cannot be used further.
    #[allow(clippy::should_implement_trait, reason = "an iterator would end where this waits")]
    pub fn next(&mut self) -> Result<Option<Event>, TooLong> {
        if self.at_start && !self.skip_bom() {
            return Ok(None);
        }
        while let Some(line) = self.next_line() {
            if self.data.len() + line.len() > self.limit {
                return Err(TooLong);
            }
            if let Some(event) = self.take_line(&line) {
                return Ok(Some(event));
            }
        }
        if self.data.len() + self.buffer.len() > self.limit {
            return Err(TooLong);
        }
        Ok(None)
    }

    /// Skips a BOM; false when more bytes are needed to tell.
    fn skip_bom(&mut self) -> bool {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        if self.buffer.len() < BOM.len() && BOM.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(BOM) {
            self.buffer.advance(BOM.len());
        }
        self.at_start = false;
        true
    }

    fn next_line(&mut self) -> Option<Bytes> {
        if self.skip_line_feed && !self.buffer.is_empty() {
            self.skip_line_feed = false;
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
            }
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + end).freeze();
        self.searched = 0;
        self.skip_line_feed = self.buffer[0] == b'\r';
        self.buffer.advance(1);
        Some(line)
    }

    fn take_line(&mut self, line: &Bytes) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = line.slice(colon + 1..);
                let value = if value.first() == Some(&b' ') { value.slice(1..) } else { value };
                (&line[..colon], value)
            }
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => self.data.add(value),
            b"event" => self.name = String::from_utf8_lossy(&value).into_owned(),
            b"id" if !value.contains(&0) => {
                self.pending_id = Some(String::from_utf8_lossy(&value).into_owned());
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let milliseconds = std::str::from_utf8(&value).ok().and_then(|v| v.parse().ok());
                self.retry = milliseconds.map(Duration::from_millis).or(self.retry);
            }
            // Comments have an empty name; unknown fields are ignored.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        if let Some(id) = self.pending_id.take() {
            self.last_event_id = (!id.is_empty()).then_some(id);
        }
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data).into_bytes();
        if data.is_empty() {
            return None;
        }
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(chunks: &[&[u8]]) -> (Vec<(String, String)>, Decoder) {
        let mut decoder = Decoder::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next().unwrap() {
                events.push((event.name, String::from_utf8(event.data.to_vec()).unwrap()));
            }
        }
        (events, decoder)
    }

    fn data(text: &str) -> Vec<String> {
        decode(&[text.as_bytes()]).0.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn events_follow_the_specification() {
        // The first three are the specification's own examples in other words.
        assert_eq!(data("data: A\ndata: +2\ndata: 10\n\n"), ["A\n+2\n10"]);
        assert_eq!(
            data(": c\n\ndata: one\nid: 1\n\ndata:two\nid\n\ndata:  three\n\n"),
            ["one", "two", " three"]
        );
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["\n"]);
        assert_eq!(data("\u{feff}data: x\r\n\r\ndata: y\r\rdata: z\n\n"), ["x", "y", "z"]);
        assert_eq!(data("data: unfinished"), [""; 0]);
        let (events, _) = decode(&[b"event: endpoint\ndata: /m\n\ndata: x\n\n"]);
        assert_eq!(events[0].0, "endpoint");
        assert_eq!(events[1].0, "message");
    }

    #[test]
    fn ids_count_even_without_data() {
        let (events, decoder) = decode(&[b"id: 7\nretry: 250\ndata:\n\n"]);
        assert!(events.is_empty());
        assert_eq!(decoder.last_event_id(), Some("7"));
        assert_eq!(decoder.retry(), Some(Duration::from_millis(250)));
        let (_, decoder) = decode(&[b"id: 7\n\nid: 8\n"]);
        assert_eq!(decoder.last_event_id(), Some("7"));
        let (_, decoder) = decode(&[b"id: 7\n\nid: 8\0\n\nretry: 1s\n\n"]);
        assert_eq!((decoder.last_event_id(), decoder.retry()), (Some("7"), None));
        let (_, decoder) = decode(&[b"id: 7\n\nid\n\n"]);
        assert_eq!(decoder.last_event_id(), None);
    }

    #[test]
    fn an_event_over_the_limit_is_refused_before_it_is_complete() {
        for text in
            ["x".repeat(20), "data: 1234\n".repeat(5), format!("data: {}\n\n", "x".repeat(20))]
        {
            let mut decoder = Decoder::new(19);
            decoder.push(text.as_bytes());
            assert!(decoder.next().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(
            text in "\u{feff}?((data|id|event|retry|): ?[a-zщ0-9]{0,6}(\r|\n|\r\n){1,2}){0,10}",
            cuts in proptest::collection::vec(0_usize..200, 0..10),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            let (events, decoder) = decode(&chunks);
            let (whole_events, whole) = decode(&[text.as_bytes()]);
            prop_assert_eq!(events, whole_events);
            prop_assert_eq!(decoder.last_event_id(), whole.last_event_id());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(100);
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }
}
