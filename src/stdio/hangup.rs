//! Notices that the client has gone without writing to it.

use tokio_util::sync::CancellationToken;

/// Waits until the client is gone. Never returns where the system cannot tell, or when stdout is a
/// file. `input_ended` is cancelled at the end of input.
///
/// A client that was killed closes both pipes. The end of input alone does not mean that: a shell
/// pipe ends its input and still waits for replies.
pub async fn client_gone(input_ended: CancellationToken) {
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    // A thread, because the systems have calls that wait for this, and Tokio knows none of them.
    let watcher = std::thread::Builder::new().name("hangup".to_owned()).spawn(move || {
        if system::wait().is_some() {
            // Fails when the process is ending anyway.
            let _ = gone.send(());
        }
    });
    if watcher.is_err() || is_gone.await.is_err() {
        std::future::pending::<()>().await;
    }
    if !system::IS_CERTAIN {
        input_ended.cancelled().await;
    }
}

#[cfg(unix)]
mod system {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;

    /// Whether nobody can read stdout once [`wait`] has returned.
    pub(super) const IS_CERTAIN: bool = true;

    /// Waits until nobody can read stdout any more. `None` if that cannot be told.
    ///
    /// Tokio would also wait for readiness, which would wake us each time that the client has read
    /// something.
    pub(super) fn wait() -> Option<()> {
        let stdout = std::io::stdout();
        // POSIX reports a hang-up in any case; macOS needs at least one flag.
        let mut watched = [PollFd::new(&stdout, PollFlags::HUP)];
        while let Err(Errno::INTR) = poll(&mut watched, None) {}
        watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP).then_some(())
    }
}

/// Windows does not tell that the reader of a pipe is gone. But it tells which process has made the
/// pipe, which is the client even when a script between us has passed it on, and when that process
/// ends.
#[cfg(windows)]
mod system {
    use std::io;
    use std::os::windows::io::{AsHandle, OwnedHandle};

    use interprocess::os::windows::named_pipe::DuplexPipeStream;
    use interprocess::os::windows::named_pipe::pipe_mode::Bytes;
    use waitpid_any::WaitHandle;

    /// A process may have made the pipe for others that outlive it, and these hold stdin open.
    pub(super) const IS_CERTAIN: bool = false;

    /// Waits until the process that has made stdout has ended. `None` if that cannot be told.
    pub(super) fn wait() -> Option<()> {
        let pid = maker_of_stdout()?;
        WaitHandle::open(i32::try_from(pid).ok()?).ok()?.wait().ok()
    }

    fn maker_of_stdout() -> Option<u32> {
        let stdout = io::stdout().as_handle().try_clone_to_owned().ok()?;
        let pipe = DuplexPipeStream::<Bytes>::try_from(stdout).ok()?;
        let pid = pipe.server_process_id();
        // Taken out, because a stream that is dropped waits until the client has read everything.
        OwnedHandle::try_from(pipe).ok()?;
        pid.ok()
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    pub(super) const IS_CERTAIN: bool = true;

    pub(super) fn wait() -> Option<()> {
        None
    }
}
