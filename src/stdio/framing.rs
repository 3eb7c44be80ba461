//! Splits the client's byte stream into lines, with a limit on what is held.

use bytes::Bytes;

/// Bytes that are kept of each end of a line over the limit, to find its id.
const KEPT_OF_OVERSIZED: usize = 4096;

/// One thing read from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// A line without its line end, leading BOM and surrounding white space; never empty.
    Line(Bytes),
    /// A line longer than the limit, of which only the two ends were kept.
    Oversized {
        /// The line's first bytes.
        head: Bytes,
        /// The line's last bytes.
        tail: Bytes,
        /// The line's length in bytes.
        length: u64,
    },
}

/// Cuts a stream that arrives in chunks of any size into [`Input`]s.
#[derive(Debug)]
pub struct LineSplitter {
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// Set while a line over the limit is being skipped.
    skipping: Option<Skipping>,
}

#[derive(Debug, Default)]
struct Skipping {
    head: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
}

impl LineSplitter {
    /// A splitter for lines of at most `limit` bytes, line end not counted.
    pub fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), skipping: None }
    }

    /// Takes the next bytes of the stream and appends what they complete to `inputs`.
    pub fn push(&mut self, mut chunk: &[u8], inputs: &mut Vec<Input>) {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            self.end_line(&chunk[..end], inputs);
            chunk = &chunk[end + 1..];
        }
        self.keep(chunk);
    }

    /// Ends the stream: a last line without a line end counts.
    pub fn finish(&mut self, inputs: &mut Vec<Input>) {
        self.end_line(&[], inputs);
    }

    fn end_line(&mut self, rest: &[u8], inputs: &mut Vec<Input>) {
        if self.partial.is_empty() && self.skipping.is_none() && rest.len() <= self.limit {
            // The usual case: a whole line in one chunk, copied once.
            inputs.extend(trimmed(rest).map(|line| Input::Line(Bytes::copy_from_slice(line))));
            return;
        }
        self.keep(rest);
        if let Some(Skipping { head, tail, length }) = self.skipping.take() {
            let (head, tail) = (trimmed_end(head), trimmed_end(tail));
            inputs.push(Input::Oversized { head, tail, length });
            return;
        }
        let line = Bytes::from(std::mem::take(&mut self.partial));
        inputs.extend(trimmed(&line).map(|part| Input::Line(line.slice_ref(part))));
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(skipping) = &mut self.skipping {
            skipping.add(bytes);
        } else if self.partial.len() + bytes.len() <= self.limit {
            self.partial.extend_from_slice(bytes);
        } else {
            let mut skipping = Skipping::default();
            skipping.add(&std::mem::take(&mut self.partial));
            skipping.add(bytes);
            self.skipping = Some(skipping);
        }
    }
}

impl Skipping {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let missing = KEPT_OF_OVERSIZED - self.head.len();
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        let last = &bytes[bytes.len().saturating_sub(KEPT_OF_OVERSIZED)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(KEPT_OF_OVERSIZED);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(last);
    }
}

fn trimmed_end(mut bytes: Vec<u8>) -> Bytes {
    bytes.truncate(bytes.trim_ascii_end().len());
    bytes.into()
}

/// The line without a BOM and surrounding white space (so without the CR of a Windows line end);
/// `None` when nothing is left.
fn trimmed(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], limit: usize) -> Vec<Input> {
        let mut splitter = LineSplitter::new(limit);
        let mut inputs = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, &mut inputs);
        }
        splitter.finish(&mut inputs);
        inputs
    }

    fn line(text: &str) -> Input {
        Input::Line(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn line_ends_blank_lines_and_boms_do_not_matter() {
        let text = "\u{feff}{}\r\n\r\n \n\n[1]\n{\"a\":1}".as_bytes();
        assert_eq!(split(&[text], 100), [line("{}"), line("[1]"), line("{\"a\":1}")]);
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_and_the_next_one_read() {
        let long = format!("head{}tail", "x".repeat(20_000));
        let text = format!("{long}\nnext\n");
        for size in [1, 7, 4096, 100_000] {
            let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
            let inputs = split(&chunks, 50);
            let [Input::Oversized { head, tail, length }, next] = &inputs[..] else {
                panic!("{inputs:?}");
            };
            assert!(head.starts_with(b"headx") && head.len() <= KEPT_OF_OVERSIZED);
            assert!(tail.ends_with(b"xtail") && tail.len() == KEPT_OF_OVERSIZED);
            assert_eq!((*length, next), (long.len() as u64, &line("next")));
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes() {
        assert_eq!(split(&[b"12345\n"], 5), [line("12345")]);
        assert_eq!(split(&[b"123", b"45\n"], 5), [line("12345")]);
        assert!(matches!(split(&[b"123456\n"], 5)[..], [Input::Oversized { length: 6, .. }]));
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(
            text in "([a-z]{0,12}\r?\n){0,8}[a-z]{0,12}",
            cuts in proptest::collection::vec(0_usize..100, 0..8),
            limit in 1_usize..14,
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(split(&chunks, limit), split(&[text.as_bytes()], limit));
        }
    }
}
