//! However an event stream is cut into chunks, the same events come out, and none over the limit.
//!
//! The first byte is the limit. A byte 0xff, which no UTF-8 text has, ends a chunk.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mcpline::http::sse::{Decoder, Event};

/// All that can be seen of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<Event>,
    is_too_long: bool,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Seen {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    let mut is_too_long = false;
    'stream: for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => {
                    is_too_long = true;
                    break 'stream;
                }
            }
        }
    }
    let last_event_id = decoder.last_event_id().map(str::to_owned);
    Seen { events, is_too_long, last_event_id, retry: decoder.retry() }
}

fuzz_target!(|data: &[u8]| {
    let Some((&limit, stream)) = data.split_first() else { return };
    let limit = usize::from(limit);
    let text: Vec<u8> = stream.iter().copied().filter(|byte| *byte != 0xff).collect();

    let seen = decode([&text[..]], limit);
    assert_eq!(seen, decode(stream.split(|byte| *byte == 0xff), limit));
    assert_eq!(seen, decode(text.chunks(1), limit));

    for event in &seen.events {
        assert!(
            !event.name.is_empty() && event.data.len() <= limit && !event.data.contains(&b'\r')
        );
    }
});
