//! What a bridge writes to stdout, line by line, read in pieces as large as they come.

use std::io::Read;
use std::ops::Range;
use std::process::ChildStdout;

use memchr::memchr;

use crate::{Result, message};

/// The lines of a pipe. A line is handed out as the range that it has in the buffer until the next
/// read, because a borrow would stand in the way of everything else.
pub(crate) struct Lines {
    stdout: ChildStdout,
    buffer: Vec<u8>,
    /// Where the first line not yet handed out begins.
    start: usize,
    /// Up to where there is no line end.
    scanned: usize,
    /// Up to where the buffer is filled.
    end: usize,
}

impl Lines {
    pub(crate) fn new(stdout: ChildStdout) -> Self {
        // What a pipe holds on Linux, so that one read can empty it.
        Self { stdout, buffer: vec![0; 64 << 10], start: 0, scanned: 0, end: 0 }
    }

    pub(crate) fn get(&self, line: Range<usize>) -> &[u8] {
        &self.buffer[line]
    }

    /// Makes room beforehand, so that growing is not timed.
    pub(crate) fn reserve(&mut self, size: usize) {
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
    }

    /// Waits for the next line that answers something; a bridge may well send notifications.
    pub(crate) fn next_answer(&mut self) -> Result<Range<usize>> {
        loop {
            let line = self.next()?;
            if message::id_of(self.get(line.clone())).is_some() {
                return Ok(line);
            }
        }
    }

    /// The next answer that has been read already.
    pub(crate) fn buffered_answer(&mut self) -> Option<Range<usize>> {
        loop {
            let line = self.buffered()?;
            if message::id_of(self.get(line.clone())).is_some() {
                return Some(line);
            }
        }
    }

    pub(crate) fn next(&mut self) -> Result<Range<usize>> {
        Ok(self.next_or_end()?.ok_or("its stdout ended: it died, or hung and was stopped")?)
    }

    pub(crate) fn next_or_end(&mut self) -> Result<Option<Range<usize>>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            self.make_room();
            let read = self.stdout.read(&mut self.buffer[self.end..])?;
            if read == 0 {
                return Ok(None);
            }
            self.end += read;
        }
    }

    fn buffered(&mut self) -> Option<Range<usize>> {
        let Some(at) = memchr(b'\n', &self.buffer[self.scanned..self.end]) else {
            self.scanned = self.end;
            return None;
        };
        let line = self.start..self.scanned + at;
        self.start = line.end + 1;
        self.scanned = self.start;
        Some(line)
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.scanned, self.end) = (0, 0, 0);
        } else if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.scanned -= self.start;
                self.end -= self.start;
                self.start = 0;
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
    }
}
