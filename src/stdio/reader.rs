//! Reads stdin: on the runtime where the system can wait for it, else on a thread of its own. A
//! thread costs two more context switches a line.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::framing::{Input, LineSplitter};

/// Bytes in one read of stdin: the capacity of a pipe on Linux.
const CHUNK: usize = 64 * 1024;

/// Chunks that the thread may read ahead.
const CHUNKS_AHEAD: usize = 4;

/// Standard input as lines.
pub struct Stdin {
    source: Source,
    failure: Failure,
    ended: CancellationToken,
}

/// Why reading has failed, if it has.
type Failure = Arc<OnceLock<String>>;

enum Source {
    #[cfg(unix)]
    Direct(unix::Direct),
    /// A thread, or memory.
    Channel(mpsc::Receiver<Vec<Input>>),
}

impl Stdin {
    /// Takes over stdin. A line may have `max_line` bytes. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn open(max_line: usize) -> io::Result<Self> {
        let failure = Failure::default();
        #[cfg(unix)]
        if let Some(direct) = unix::Direct::open(max_line, failure.clone()) {
            return Ok(Self::from_source(Source::Direct(direct), failure));
        }
        let lines = read_on_thread(max_line, failure.clone())?;
        Ok(Self::from_source(Source::Channel(lines), failure))
    }

    /// An input in memory: it reads what is sent, and ends when the sender is dropped.
    pub fn memory() -> (mpsc::Sender<Vec<Input>>, Self) {
        let (lines, receiver) = mpsc::channel(CHUNKS_AHEAD);
        (lines, Self::from_source(Source::Channel(receiver), Failure::default()))
    }

    fn from_source(source: Source, failure: Failure) -> Self {
        Self { source, failure, ended: CancellationToken::new() }
    }

    /// Cancelled once [`Stdin::next`] has returned `None`.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Why the input could not be read, if it could not.
    pub fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// The next lines; `None` at the end of input, or when reading fails.
    ///
    /// Cancel safe: lines that were read and not returned stay for the next call.
    pub async fn next(&mut self) -> Option<Vec<Input>> {
        let lines = match &mut self.source {
            #[cfg(unix)]
            Source::Direct(direct) => direct.next().await,
            Source::Channel(lines) => lines.recv().await,
        };
        if lines.is_none() {
            self.ended.cancel();
        }
        lines
    }
}

/// What a finished read means.
enum Progress {
    Lines(Vec<Input>),
    End(Vec<Input>),
}

/// Splits into lines what a read of stdin has put into `chunk`.
fn progress(
    splitter: &mut LineSplitter,
    read: io::Result<usize>,
    chunk: &[u8],
    failure: &OnceLock<String>,
) -> Progress {
    let mut inputs = Vec::new();
    let length = read.unwrap_or_else(|error| {
        // A Windows pipe whose writer is gone reports this instead of an end of file.
        if error.kind() != io::ErrorKind::BrokenPipe {
            // Told at the end, with the exit status.
            let _ = failure.set(error.to_string());
        }
        0
    });
    if length == 0 {
        splitter.finish(&mut inputs);
        return Progress::End(inputs);
    }
    splitter.push(&chunk[..length], &mut inputs);
    Progress::Lines(inputs)
}

/// Starts the thread. It is never joined: it may be blocked in a read when the process ends.
fn read_on_thread(max_line: usize, failure: Failure) -> io::Result<mpsc::Receiver<Vec<Input>>> {
    let (lines, receiver) = mpsc::channel(CHUNKS_AHEAD);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut splitter = LineSplitter::new(max_line);
        let mut chunk = vec![0; CHUNK];
        loop {
            #[cfg(unix)]
            unix::wait_in_background();
            let read = stdin.read(&mut chunk);
            if matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
                continue;
            }
            let (inputs, ends) = match progress(&mut splitter, read, &chunk, &failure) {
                Progress::Lines(inputs) => (inputs, false),
                Progress::End(inputs) => (inputs, true),
            };
            let nobody_listens = !inputs.is_empty() && lines.blocking_send(inputs).is_err();
            if ends || nobody_listens {
                return;
            }
        }
    })?;
    Ok(receiver)
}

#[cfg(unix)]
mod unix {
    use std::io::{self, IsTerminal};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream as StdUnixStream;
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstat};
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    use super::{CHUNK, Failure, Input, LineSplitter, Progress, progress};

    /// Time between two looks at whether the process has come to the foreground.
    const BACKGROUND_PAUSE: Duration = Duration::from_millis(200);

    /// Waits until a terminal has a line for us. A process in the background that reads from its
    /// terminal is stopped by the system (SIGTTIN), and then takes no SIGTERM.
    pub(super) fn wait_in_background() {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return;
        }
        loop {
            let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None);
            let is_background = rustix::termios::tcgetpgrp(&stdin)
                .is_ok_and(|foreground| foreground != rustix::process::getpgrp());
            match ready {
                Err(rustix::io::Errno::INTR) => {}
                _ if is_background => thread::sleep(BACKGROUND_PAUSE),
                _ => return,
            }
        }
    }

    /// Stdin that is a pipe or a socket, as clients start servers. It is switched to non-blocking, and
    /// only a process that shares this end of it could notice. Terminals and files are commonly
    /// shared, so they are left to the thread.
    pub(super) struct Direct {
        /// Stdin itself, to restore its flags.
        stdin: OwnedFd,
        was: OFlags,
        stream: Stream,
        splitter: LineSplitter,
        chunk: Vec<u8>,
        has_ended: bool,
        failure: Failure,
    }

    enum Stream {
        Pipe(pipe::Receiver),
        Socket(UnixStream),
    }

    impl Direct {
        /// Takes over stdin; `None` when it is something else.
        pub(super) fn open(max_line: usize, failure: Failure) -> Option<Self> {
            let stdin = || io::stdin().as_fd().try_clone_to_owned().ok();
            // Some super-servers use one socket for both streams: writing must block.
            let (input, output) = (fstat(io::stdin()).ok()?, fstat(io::stdout()).ok()?);
            if (input.st_dev, input.st_ino) == (output.st_dev, output.st_ino) {
                return None;
            }
            let was = fcntl_getfl(io::stdin()).ok()?;
            let stream = if let Ok(pipe) = pipe::Receiver::from_owned_fd(stdin()?) {
                Stream::Pipe(pipe)
            } else {
                let socket = StdUnixStream::from(stdin()?);
                // Fails if it is another kind of socket.
                socket.local_addr().ok()?;
                socket.set_nonblocking(true).ok()?;
                Stream::Socket(UnixStream::from_std(socket).ok()?)
            };
            let splitter = LineSplitter::new(max_line);
            let chunk = vec![0; CHUNK];
            Some(Self { stdin: stdin()?, was, stream, splitter, chunk, has_ended: false, failure })
        }

        pub(super) async fn next(&mut self) -> Option<Vec<Input>> {
            while !self.has_ended {
                let ready = match &self.stream {
                    Stream::Pipe(pipe) => pipe.readable().await,
                    Stream::Socket(socket) => socket.readable().await,
                };
                let read = ready.and_then(|()| match &self.stream {
                    Stream::Pipe(pipe) => pipe.try_read(&mut self.chunk),
                    Stream::Socket(socket) => socket.try_read(&mut self.chunk),
                });
                if matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    continue;
                }
                let inputs = match progress(&mut self.splitter, read, &self.chunk, &self.failure) {
                    Progress::Lines(inputs) => inputs,
                    Progress::End(inputs) => {
                        self.has_ended = true;
                        inputs
                    }
                };
                if !inputs.is_empty() {
                    return Some(inputs);
                }
            }
            None
        }
    }

    impl Drop for Direct {
        fn drop(&mut self) {
            // The next process that reads this pipe expects it to block.
            let _ = fcntl_setfl(&self.stdin, self.was);
        }
    }
}
