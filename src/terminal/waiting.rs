//! What is being waited for, on the last line of a person's terminal.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

use super::style::knows_codes;
use super::{Style, plain};

/// How often the line is written again.
const TICK: Duration = Duration::from_millis(500);

/// The most characters of a line, so that it fits most terminals and can be removed again.
const WIDTH: usize = 78;

/// Removes the line.
const REMOVE: &str = "\r\u{1b}[K";

/// A line on stderr that says what is being waited for, and is removed when that is there. Where
/// nobody looks it says nothing.
#[derive(Debug)]
pub(crate) struct Waiting {
    is_seen: bool,
    is_shown: bool,
    since: Instant,
    what: String,
}

impl Waiting {
    /// Waits for `what`.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let is_seen = io::stderr().is_terminal() && knows_codes();
        Self { is_seen, is_shown: false, since: Instant::now(), what: what.into() }
    }

    /// Whether somebody sees the line.
    pub(crate) fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Says what is being waited for now.
    pub(crate) fn say(&mut self, what: impl Into<String>) {
        self.what = what.into();
        self.show();
    }

    /// Begins to wait for something else.
    pub(crate) fn restart(&mut self, what: impl Into<String>) {
        self.what = what.into();
        self.since = Instant::now();
    }

    /// Waits for `work`, and shows the line if it takes long.
    pub(crate) async fn until<T>(&mut self, work: impl Future<Output = T>) -> T {
        if !self.is_seen {
            return work.await;
        }
        let mut work = pin!(work);
        let done = loop {
            match tokio::time::timeout(TICK, &mut work).await {
                Ok(done) => break done,
                Err(_) => self.show(),
            }
        };
        self.end();
        done
    }

    /// Shows the line with the time that has gone by.
    fn show(&mut self) {
        let waited = self.since.elapsed();
        if !self.is_seen {
            return;
        }
        let line = format!("... {} ({} s)", plain(&self.what), waited.as_secs());
        let line: String = line.replace('\n', " ").chars().take(WIDTH).collect();
        self.is_shown = true;
        // Nobody is worse off without it.
        let _ = write!(io::stderr(), "{REMOVE}{}", Style::of_stderr().dim(&line));
    }

    /// Removes the line.
    fn end(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(io::stderr(), "{REMOVE}");
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}
