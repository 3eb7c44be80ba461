//! How the system asks a process to stop.

use std::io;

/// Waits until the system or the user asks the process to stop: SIGTERM, SIGINT, SIGHUP; on
/// Windows Ctrl-C, Ctrl-Break, and the end of the console or the session.
///
/// # Errors
/// The handlers cannot be installed.
pub(crate) fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    let reason = stop_reason()?;
    Ok(async {
        // Not awaited inside the macro, which evaluates nothing when its level is off.
        let reason = reason.await;
        tracing::info!("stopping on {reason}");
    })
}

#[cfg(unix)]
fn stop_reason() -> io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hangup.recv() => "SIGHUP",
        }
    })
}

#[cfg(windows)]
fn stop_reason() -> io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
    let (mut c, mut brk) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut logoff, mut shutdown) = (ctrl_close()?, ctrl_logoff()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = c.recv() => "Ctrl-C",
            _ = brk.recv() => "Ctrl-Break",
            _ = close.recv() => "the console's end",
            _ = logoff.recv() => "logging off",
            _ = shutdown.recv() => "shutting down",
        }
    })
}
