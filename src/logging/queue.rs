//! A queue of log lines, and the thread that writes them. A client that gives us a pipe as stderr
//! and never reads it must not stop us.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder};

/// Log lines that may wait to be written; more are dropped.
const LINES_WAITING: usize = 1024;

/// Time for the thread to begin with the last lines.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);

/// A bounded queue of lines in front of a sink.
pub(super) struct Queue {
    writer: NonBlocking,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Lines that were to be written, dropped ones included.
    sent: AtomicUsize,
    written: Mutex<usize>,
    /// Whether the thread is in the middle of a write.
    is_writing: AtomicBool,
    /// Told of each line that is written.
    progress: Condvar,
    dropped: OnceLock<ErrorCounter>,
}

impl State {
    fn dropped(&self) -> usize {
        self.dropped.get().map_or(0, ErrorCounter::dropped_lines)
    }
}

impl Queue {
    pub(super) fn start(sink: impl Write + Send + 'static) -> Self {
        let state = Arc::new(State::default());
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LINES_WAITING)
            .thread_name("log")
            .finish(Sink { inner: sink, state: Arc::clone(&state), dropped: 0 });
        // Dropped, it would wait for up to 1.1 s, and complain on stdout when the queue is full.
        std::mem::forget(guard);
        state.dropped.get_or_init(|| writer.error_counter());
        Self { writer, state }
    }

    /// Queues a line, or drops it when the queue is full.
    pub(super) fn write(&self, line: &[u8]) {
        self.state.sent.fetch_add(1, Ordering::Relaxed);
        // Never fails: what does not fit is counted.
        let _ = self.writer.clone().write_all(line);
    }

    /// Waits until all lines so far are written. Gives up when `patience` is over in the
    /// middle of a write, as then nobody reads. A thread that does not come to write at all, on a busy machine, gets
    /// [`BUSY_PATIENCE`].
    pub(super) fn flush(&self, patience: Duration) {
        let state = &self.state;
        let started = Instant::now();
        let is_behind =
            |written: &mut usize| *written + state.dropped() < state.sent.load(Ordering::Relaxed);
        let mut written = state.written.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let waited = state.progress.wait_timeout_while(written, patience, is_behind);
            let (guard, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
            let is_stuck = state.is_writing.load(Ordering::Relaxed);
            if !outcome.timed_out() || is_stuck || started.elapsed() >= BUSY_PATIENCE {
                return;
            }
            written = guard;
        }
    }
}

/// What the thread writes to. It never fails, because the log has nowhere to say so.
struct Sink<W> {
    inner: W,
    state: Arc<State>,
    /// Dropped lines that were reported.
    dropped: usize,
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.state.is_writing.store(true, Ordering::Relaxed);
        let _ = self.inner.write_all(line);
        let dropped = self.state.dropped();
        if dropped > self.dropped {
            let warning = format!(" WARN {} log lines dropped\n", dropped - self.dropped);
            let _ = self.inner.write_all(warning.as_bytes());
            self.dropped = dropped;
        }
        self.state.is_writing.store(false, Ordering::Relaxed);
        *self.state.written.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.state.progress.notify_all();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.inner.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Writes when it is told to, or when nobody is there any more to tell it.
    struct Gated {
        gate: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Gated {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            let _ = self.written.send(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted_and_stop_nobody() {
        const MORE: usize = 100;
        let ((open, gate), (written, lines)) = (channel(), channel());
        let queue = Queue::start(Gated { gate, written });
        for number in 0..LINES_WAITING + MORE {
            queue.write(format!("{number}\n").as_bytes());
        }
        let before = Instant::now();
        queue.flush(Duration::from_millis(20));
        assert!(before.elapsed() < Duration::from_secs(1), "a flush waits for ever");

        drop(open);
        queue.flush(Duration::from_mins(1));
        let lines: Vec<String> = lines.try_iter().collect();
        let warnings: Vec<&String> = lines.iter().filter(|line| line.contains("WARN")).collect();
        // The thread may have taken a line out of the queue before it was full.
        let dropped = LINES_WAITING + MORE - (lines.len() - warnings.len());
        assert!((MORE - 1..=MORE).contains(&dropped), "{dropped}");
        assert_eq!(warnings, [&format!(" WARN {dropped} log lines dropped\n")]);
    }
}
