//! The thread that owns stdin.

use std::io::{self, Read};
use std::thread;

use tokio::sync::mpsc;

use super::framing::{Input, LineSplitter};

/// Bytes asked of stdin at once: the capacity of a pipe on Linux.
const CHUNK: usize = 64 * 1024;

/// Chunks that may wait to be taken before reading stops.
const CHUNKS_AHEAD: usize = 4;

/// Starts the reader. The channel yields the lines of each chunk read and closes at the end of
/// input, or when reading fails (which is logged).
///
/// The thread is never joined: it may be blocked in a read when the process ends.
///
/// # Errors
/// The thread cannot be started.
pub fn read_stdin(max_line: usize) -> io::Result<mpsc::Receiver<Vec<Input>>> {
    let (lines, receiver) = mpsc::channel(CHUNKS_AHEAD);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        if let Err(error) = read(io::stdin().lock(), max_line, &lines) {
            tracing::warn!("reading standard input failed: {error}");
        }
    })?;
    Ok(receiver)
}

fn read(mut stdin: impl Read, max_line: usize, lines: &mpsc::Sender<Vec<Input>>) -> io::Result<()> {
    let mut splitter = LineSplitter::new(max_line);
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut inputs = Vec::new();
        let length = match stdin.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A Windows pipe whose writer is gone reports this instead of an end of file.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            result => result?,
        };
        if length == 0 {
            splitter.finish(&mut inputs);
        } else {
            splitter.push(&chunk[..length], &mut inputs);
        }
        let nobody_listens = !inputs.is_empty() && lines.blocking_send(inputs).is_err();
        if length == 0 || nobody_listens {
            return Ok(());
        }
    }
}
