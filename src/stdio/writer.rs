//! The thread that owns stdout.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::jsonrpc::Line;

/// Bytes of lines that may wait for the client before whoever produces more has to wait: enough
/// to keep a pipe busy, little enough to bound memory towards a client that reads slowly.
const MAX_WAITING: usize = 4 * 1024 * 1024;

/// Lines up to this size are gathered into one write.
const GATHERED: usize = 64 * 1024;

enum Command {
    /// A line, and how many bytes of [`MAX_WAITING`] it holds.
    Write(Line, usize),
    /// Everything before this has been written.
    Flush(oneshot::Sender<()>),
}

/// Takes lines for stdout; clones write to the same stream, in the order of their calls.
#[derive(Clone)]
pub struct Outlet {
    commands: Sender<Command>,
    room: Arc<Semaphore>,
}

impl Outlet {
    /// Queues `line`, waiting while the client is too far behind.
    ///
    /// Cancel safe: the line is queued whole or not at all.
    pub async fn write(&self, line: Line) {
        let size = line.len().min(MAX_WAITING);
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(room) = self.room.acquire_many(permits).await {
            room.forget();
            self.queue(Command::Write(line, size));
        }
    }

    /// Queues `line` without waiting, for short lines that must not be lost.
    pub fn write_now(&self, line: Line) {
        self.queue(Command::Write(line, 0));
    }

    fn queue(&self, command: Command) {
        // The writer ends before its queue only when the client is gone, which it has told.
        let _ = self.commands.send(command);
    }
}

/// The writer as its owner sees it.
pub struct Writer {
    outlet: Outlet,
    gone: CancellationToken,
}

impl Writer {
    /// A way to write lines.
    pub fn outlet(&self) -> Outlet {
        self.outlet.clone()
    }

    /// Cancelled once a write has failed: nobody reads stdout any more.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Waits until everything queued so far is written, for at most `patience`. Returns whether
    /// it was.
    pub async fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = oneshot::channel();
        self.outlet.queue(Command::Flush(done));
        matches!(tokio::time::timeout(patience, flushed).await, Ok(Ok(())))
    }
}

/// Starts the writer.
///
/// # Errors
/// The thread cannot be started.
pub fn write_stdout() -> io::Result<Writer> {
    let (commands, receiver) = channel();
    let outlet = Outlet { commands, room: Arc::new(Semaphore::new(MAX_WAITING)) };
    let writer = Writer { outlet, gone: CancellationToken::new() };
    let (room, gone) = (writer.outlet.room.clone(), writer.gone.clone());
    thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        if let Err(error) = write(&mut io::stdout().lock(), &receiver, &room) {
            tracing::info!("standard output is closed: {error}");
            gone.cancel();
            // Whoever waits for room must not wait for ever.
            room.close();
        }
    })?;
    Ok(writer)
}

fn write(
    stdout: &mut impl Write,
    commands: &Receiver<Command>,
    room: &Semaphore,
) -> io::Result<()> {
    let mut gathered = Vec::with_capacity(GATHERED);
    let mut next = commands.recv().ok();
    while let Some(command) = next {
        let mut freed = 0;
        let mut flushed = Vec::new();
        // Takes what is there, so that a burst of replies costs one system call.
        let mut queued = Some(command);
        while let Some(command) = queued {
            match command {
                Command::Write(line, size) => {
                    freed += size;
                    gather(stdout, &mut gathered, &line)?;
                }
                Command::Flush(done) => flushed.push(done),
            }
            queued = if gathered.len() < GATHERED { commands.try_recv().ok() } else { None };
        }
        stdout.write_all(&gathered)?;
        stdout.flush()?;
        gathered.clear();
        room.add_permits(freed);
        for done in flushed {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
        next = commands.recv().ok();
    }
    Ok(())
}

/// Appends `line` to `gathered`; parts too long to copy go out directly.
fn gather(stdout: &mut impl Write, gathered: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    for part in &line.0 {
        if part.len() >= GATHERED {
            stdout.write_all(gathered)?;
            gathered.clear();
            stdout.write_all(part)?;
        } else {
            gathered.extend_from_slice(part);
        }
    }
    gathered.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn lines_come_out_in_order_and_whole() {
        let (commands, receiver) = channel();
        let long = Bytes::from("y".repeat(GATHERED * 2));
        for text in [Bytes::from("{}"), long.clone(), Bytes::from("[]")] {
            commands.send(Command::Write(text.into(), 2)).unwrap();
        }
        drop(commands);
        let room = Semaphore::new(0);
        let mut out = Vec::new();
        write(&mut out, &receiver, &room).unwrap();
        assert_eq!(out, [b"{}\n", &long[..], b"\n[]\n"].concat());
        assert_eq!(room.available_permits(), 6);
    }
}
