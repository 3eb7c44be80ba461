//! Writes stdout.
//!
//! One task owns the order. It writes short lines itself when the system says that this will not
//! block, and hands everything else to a thread: a client that reads slowly must hold up nothing
//! but its own lines.

use std::io::{self, IsTerminal, Write};
use std::mem::take;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::background;
use crate::jsonrpc::OutLine;

/// Bytes of lines that may wait for the client. A task that has more to write waits: enough to keep
/// a pipe busy, little enough to bound memory towards a client that reads slowly.
const MAX_WAITING: usize = 4 * 1024 * 1024;

/// Bytes gathered into one write.
const GATHERED: usize = 64 * 1024;

/// A line of this size makes a larger pipe worth having.
const LONG: usize = 256 * 1024;

enum Command {
    /// A line, and how many bytes of [`MAX_WAITING`] it holds.
    Write(OutLine, usize),
    /// A line that was queued without room, and its size in bytes.
    WriteNow(OutLine, usize),
    /// Everything before this has been written.
    Flush(oneshot::Sender<()>),
}

/// Takes lines for stdout; clones write to the same stream, in the order of their calls.
#[derive(Clone)]
pub struct Outlet {
    commands: mpsc::UnboundedSender<Command>,
    room: Arc<Semaphore>,
    unbounded: Arc<Unbounded>,
    /// Whether a person sees the lines as they are.
    is_terminal: bool,
}

/// Lines that were queued without waiting for room.
#[derive(Default)]
struct Unbounded {
    bytes: AtomicUsize,
    relieved: Notify,
}

impl Outlet {
    /// Queues `line`, waiting while the client is too far behind.
    ///
    /// Cancel safe: the line is queued whole or not at all.
    pub async fn write(&self, line: OutLine) {
        let line = self.shown(line);
        let size = line.len().min(MAX_WAITING);
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        // Closed when the client is gone.
        if let Ok(room) = self.room.acquire_many(permits).await {
            room.forget();
            self.queue(Command::Write(line, size));
        }
    }

    /// As [`Outlet::write`], and gives `line` back where that would have to wait. It overtakes
    /// nothing: room that becomes free goes to what waits first.
    ///
    /// # Errors
    /// The client is too far behind.
    pub fn try_write(&self, line: OutLine) -> Result<(), OutLine> {
        let line = self.shown(line);
        let size = line.len().min(MAX_WAITING);
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        match self.room.try_acquire_many(permits) {
            Ok(room) => {
                room.forget();
                self.queue(Command::Write(line, size));
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(line),
            // The client is gone.
            Err(TryAcquireError::Closed) => Ok(()),
        }
    }

    /// Queues `line` without waiting, for short lines that must not be lost. The caller must stop
    /// causing them while [`Outlet::is_overfull`].
    pub fn write_now(&self, line: OutLine) {
        let line = self.shown(line);
        let size = line.len();
        self.unbounded.bytes.fetch_add(size, Ordering::Relaxed);
        self.queue(Command::WriteNow(line, size));
    }

    /// Whether more than [`MAX_WAITING`] bytes of [`Outlet::write_now`] wait for the client.
    pub fn is_overfull(&self) -> bool {
        self.unbounded.bytes.load(Ordering::Relaxed) > MAX_WAITING
    }

    /// Waits until [`Outlet::is_overfull`] may have changed.
    pub async fn relieved(&self) {
        let relieved = self.unbounded.relieved.notified();
        if self.is_overfull() {
            relieved.await;
        }
    }

    /// `line`, without control characters if a terminal shows it.
    fn shown(&self, line: OutLine) -> OutLine {
        if self.is_terminal { line.printable() } else { line }
    }

    fn queue(&self, command: Command) {
        // Fails only when the client is gone, which the writer has reported.
        let _ = self.commands.send(command);
    }
}

/// Owns stdout.
pub struct Writer {
    outlet: Outlet,
    gone: CancellationToken,
    failure: Arc<OnceLock<String>>,
}

impl Writer {
    /// Takes over stdout. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn open() -> io::Result<Self> {
        let target = Target::Stdout { direct: stdout()?, thread: start_thread()? };
        Ok(Self::start(target, io::stdout().is_terminal()))
    }

    /// A writer into memory: each line comes out of the receiver, without its line feed, as soon as
    /// it is written. The client is gone when the receiver is dropped. Needs a Tokio runtime.
    pub fn memory() -> (Self, mpsc::UnboundedReceiver<Bytes>) {
        let (lines, receiver) = mpsc::unbounded_channel();
        (Self::start(Target::Memory(lines), false), receiver)
    }

    fn start(target: Target, is_terminal: bool) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(MAX_WAITING));
        let outlet = Outlet { commands, room, unbounded: Arc::default(), is_terminal };
        let writer = Self { outlet, gone: CancellationToken::new(), failure: Arc::default() };
        let Outlet { room, unbounded, .. } = writer.outlet();
        let (gone, failure) = (writer.gone.clone(), writer.failure.clone());
        background::spawn(async move {
            if let Err(error) = write(receiver, &room, &unbounded, target).await {
                use io::ErrorKind::{BrokenPipe, ConnectionReset};
                tracing::info!("standard output is closed: {error}");
                if !matches!(error.kind(), BrokenPipe | ConnectionReset) {
                    let _ = failure.set(error.to_string());
                }
                gone.cancel();
                // A task that waits for room must not wait for ever.
                room.close();
            }
        });
        writer
    }

    /// A way to write lines.
    pub fn outlet(&self) -> Outlet {
        self.outlet.clone()
    }

    /// Cancelled once a write has failed: nobody reads stdout any more.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Why a line could not be written, unless the reader is gone.
    pub fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Waits until everything queued so far is written, for at most `patience`. Returns whether
    /// it was.
    pub async fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = oneshot::channel();
        self.outlet.queue(Command::Flush(done));
        matches!(tokio::time::timeout(patience, flushed).await, Ok(Ok(())))
    }
}

/// Lines that go out together.
#[derive(Default)]
struct Gathered {
    lines: Vec<OutLine>,
    bytes: usize,
    /// Bytes of [`MAX_WAITING`] to give back.
    room: usize,
    /// Bytes of [`Unbounded`] to give back.
    unbounded: usize,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Gathered {
    fn add(&mut self, command: Command) {
        match command {
            Command::Write(line, room) => {
                self.bytes += line.len() + 1;
                self.room += room;
                self.lines.push(line);
            }
            Command::WriteNow(line, size) => {
                self.bytes += line.len() + 1;
                self.unbounded += size;
                self.lines.push(line);
            }
            Command::Flush(done) => self.flushed.push(done),
        }
    }
}

async fn write(
    mut commands: mpsc::UnboundedReceiver<Command>,
    room: &Semaphore,
    unbounded: &Unbounded,
    mut target: Target,
) -> io::Result<()> {
    let mut gathered = Gathered::default();
    while let Some(first) = commands.recv().await {
        gathered.add(first);
        // Takes what is there, so that a burst of replies costs one system call.
        while gathered.bytes < GATHERED
            && let Ok(command) = commands.try_recv()
        {
            gathered.add(command);
        }
        target.write(&mut gathered.lines, take(&mut gathered.bytes)).await?;
        room.add_permits(take(&mut gathered.room));
        let relieved = take(&mut gathered.unbounded);
        if relieved > 0 {
            unbounded.bytes.fetch_sub(relieved, Ordering::Relaxed);
            unbounded.relieved.notify_waiters();
        }
        for done in gathered.flushed.drain(..) {
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
    }
    Ok(())
}

/// Where lines go.
enum Target {
    /// Directly when that will not block, else by a thread.
    Stdout {
        direct: Stdout,
        thread: mpsc::UnboundedSender<Job>,
    },
    Memory(mpsc::UnboundedSender<Bytes>),
}

impl Target {
    /// Takes `lines`, which have so many `bytes` together, and writes them.
    async fn write(&mut self, lines: &mut Vec<OutLine>, bytes: usize) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        match self {
            Self::Stdout { direct, .. } if takes_at_once(bytes) => {
                let written = write_lines(direct, lines);
                lines.clear();
                written
            }
            Self::Stdout { thread, .. } => {
                let (done, written) = oneshot::channel();
                // The thread lives as long as this task, unless it panics.
                let _ = thread.send(Job { lines: take(lines), done });
                written.await.unwrap_or_else(|_| Err(gone()))
            }
            Self::Memory(receiver) => lines
                .drain(..)
                .try_for_each(|line| receiver.send(line.to_bytes()).map_err(|_| gone())),
        }
    }
}

/// Lines for the thread to write.
struct Job {
    lines: Vec<OutLine>,
    done: oneshot::Sender<io::Result<()>>,
}

fn start_thread() -> io::Result<mpsc::UnboundedSender<Job>> {
    let (jobs, mut receiver) = mpsc::unbounded_channel::<Job>();
    let mut stdout = stdout()?;
    thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        let mut is_widened = false;
        while let Some(Job { lines, done }) = receiver.blocking_recv() {
            if !is_widened && lines.iter().any(|line| line.len() >= LONG) {
                widen_pipe();
                is_widened = true;
            }
            // Nobody waits for it when the process is ending.
            let _ = done.send(write_lines(&mut stdout, &lines));
        }
    })?;
    Ok(jobs)
}

/// Stdout without the standard library's line buffer, which looks for line feeds in all that is
/// written.
#[cfg(unix)]
fn stdout() -> io::Result<Stdout> {
    use std::os::fd::AsFd;
    Ok(Stdout(io::stdout().as_fd().try_clone_to_owned()?.into()))
}

#[cfg(unix)]
use unix::Stdout;

#[cfg(not(unix))]
use io::Stdout;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Write};

    use rustix::event::{PollFd, PollFlags, poll};

    /// Blocks even if a process that shares stdout has made it non-blocking.
    pub(super) struct Stdout(pub(super) File);

    impl Write for Stdout {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            loop {
                match self.0.write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                    }
                    outcome => return outcome,
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
}

/// Stdout as the standard library has it: on a console it translates UTF-8.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn stdout() -> io::Result<Stdout> {
    Ok(io::stdout())
}

/// Gives a pipe the size that Linux allows every user: a long line then costs a sixteenth of the
/// switches between us and the client.
fn widen_pipe() {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(io::stdout(), 1024 * 1024);
}

/// Whether stdout takes `bytes` without blocking.
#[cfg(unix)]
fn takes_at_once(bytes: usize) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // POSIX: a pipe that is ready for writing takes this much.
    if bytes > rustix::pipe::PIPE_BUF {
        return false;
    }
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::OUT)];
    let ready = poll(&mut watched, Some(&Timespec::default()));
    ready == Ok(1) && watched[0].revents() == PollFlags::OUT
}

/// Whether stdout takes `bytes` without blocking: the system cannot tell.
#[cfg(not(unix))]
fn takes_at_once(_bytes: usize) -> bool {
    false
}

/// Writes each line with its line feed; parts too long to copy go out directly.
fn write_lines(stdout: &mut impl Write, lines: &[OutLine]) -> io::Result<()> {
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    let mut gathered = Vec::with_capacity(length.min(GATHERED));
    for line in lines {
        for part in &line.0 {
            if part.len() >= GATHERED {
                stdout.write_all(&gathered)?;
                gathered.clear();
                stdout.write_all(part)?;
            } else {
                gathered.extend_from_slice(part);
            }
        }
        gathered.push(b'\n');
    }
    stdout.write_all(&gathered)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_in_order_and_whole() {
        let long = Bytes::from("y".repeat(GATHERED * 2));
        let lines = [Bytes::from("{}"), long.clone(), Bytes::from("[]")].map(OutLine::from);
        let mut out = Vec::new();
        write_lines(&mut out, &lines).unwrap();
        assert_eq!(out, [b"{}\n", &long[..], b"\n[]\n"].concat());
    }
}
