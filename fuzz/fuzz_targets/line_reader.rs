//! However the client's bytes are cut into chunks, the same lines come out, and they are those
//! that splitting the whole text finds.
//!
//! The first byte is the limit. A byte 0xff, which no UTF-8 text has, ends a chunk.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpline::stdio::framing::{Input, LineSplitter};

/// How much of either end of a line over the limit is kept.
const KEPT: usize = 4096;

fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<Input> {
    let mut splitter = LineSplitter::new(limit);
    let mut inputs = Vec::new();
    for chunk in chunks {
        splitter.push(chunk, &mut inputs);
    }
    splitter.finish(&mut inputs);
    inputs
}

/// What a line without its line feed must become.
fn expected(line: &[u8], limit: usize) -> Option<Input> {
    if line.len() > limit {
        let end = |bytes: &[u8]| Bytes::copy_from_slice(bytes.trim_ascii_end());
        return Some(Input::Oversized {
            head: end(&line[..KEPT.min(line.len())]),
            tail: end(&line[line.len().saturating_sub(KEPT)..]),
            length: line.len() as u64,
        });
    }
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    (!line.is_empty()).then(|| Input::Line(Bytes::copy_from_slice(line)))
}

fuzz_target!(|data: &[u8]| {
    let Some((&limit, stream)) = data.split_first() else { return };
    let limit = usize::from(limit);
    let text: Vec<u8> = stream.iter().copied().filter(|byte| *byte != 0xff).collect();

    let inputs = split([&text[..]], limit);
    assert_eq!(inputs, split(stream.split(|byte| *byte == 0xff), limit));

    let lines = text.split(|byte| *byte == b'\n');
    assert_eq!(inputs, lines.filter_map(|line| expected(line, limit)).collect::<Vec<_>>());

    for input in &inputs {
        if let Input::Line(line) = input {
            assert!(!line.is_empty() && line.len() <= limit && !line.contains(&b'\n'));
        }
    }
});
