//! Notices that the client has gone without writing to it.

/// Waits until nobody can read stdout any more. Never returns where the system cannot tell, or
/// when stdout is a file.
///
/// A client that was killed closes both pipes. The end of input alone does not mean that: a shell
/// pipe ends its input and still waits for replies.
pub async fn stdout_closed() {
    #[cfg(unix)]
    unix::stdout_closed().await;
    // Windows has no such notification for anonymous pipes; the next write will fail.
    #[cfg(not(unix))]
    std::future::pending::<()>().await;
}

#[cfg(unix)]
mod unix {
    use std::thread;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    use tokio::sync::oneshot;

    pub(super) async fn stdout_closed() {
        let (closed, is_closed) = oneshot::channel();
        // A thread, because Tokio cannot wait for a hang-up alone: it also waits for readiness, which
        // would wake us each time that the client has read something.
        let watcher = thread::Builder::new().name("hangup".to_owned()).spawn(move || {
            let stdout = std::io::stdout();
            // POSIX reports a hang-up in any case; macOS needs at least one flag.
            let mut watched = [PollFd::new(&stdout, PollFlags::HUP)];
            while let Err(Errno::INTR) = poll(&mut watched, None) {}
            let gone = watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
            if gone {
                // Fails when the process is ending anyway.
                let _ = closed.send(());
            }
        });
        if watcher.is_err() || is_closed.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
