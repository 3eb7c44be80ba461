//! Signs in to a server ahead of its use, and out again.

use std::io::BufRead;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::cli::Cli;
use crate::config::{Target, UpstreamSettings};
use crate::oauth::SignIn;
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal::{plain, tell};

/// The sign-in to the server that the command names.
///
/// # Errors
/// The settings cannot be used, or hold other credentials.
pub(super) fn prepare(cli: &Cli, secrets: &Arc<Secrets>) -> Result<Arc<SignIn>, SetupError> {
    let target = Target::new(cli.url.as_deref(), cli.options.server.kind, secrets)?;
    let upstream = UpstreamSettings::new(&cli.options, target, secrets)?;
    upstream.sign_in.ok_or_else(|| {
        SetupError::usage("there is nothing to sign in to: other credentials are given")
            .hint("leave them out, or use --auth oauth for a service that is not of kind mcp")
    })
}

/// Signs in, and returns when that is done.
///
/// # Errors
/// It came to nothing.
pub(super) async fn login(sign_in: Arc<SignIn>, secrets: &Arc<Secrets>) -> Result<(), SetupError> {
    let say = |url: &str, code: Option<&str>| {
        let then = match code {
            Some(code) => format!("Enter this code there:\n\n  {}", plain(code)),
            None => {
                "If the browser cannot come back to this machine and ends on a page of an error, \
                     copy the address of that page, paste it here, and press Enter."
                    .to_owned()
            }
        };
        tell(&format!("To sign in, open this address in a browser:\n\n  {url}\n\n{then}"));
    };
    let mut pasted = lines();
    let login = sign_in.login(say);
    let mut login = std::pin::pin!(login);
    let outcome = loop {
        tokio::select! {
            outcome = &mut login => break outcome,
            Some(line) = pasted.recv() => {
                if !line.trim().is_empty() && !sign_in.paste(&line).await {
                    tell("That is not the address of this sign-in. Copy the whole address from the \
                          browser's address bar.");
                }
            }
        }
    };
    sign_in.settle().await;
    outcome.map_err(|why| SetupError::failed(secrets.redact(&why)))?;
    tell("Signed in. Programs that use this server through mcpline need not be restarted.");
    Ok(())
}

/// Signs out.
///
/// # Errors
/// What is stored cannot be removed.
pub(super) async fn logout(sign_in: Arc<SignIn>) -> Result<(), SetupError> {
    let said = sign_in.logout().await.map_err(SetupError::failed)?;
    tell(&said);
    Ok(())
}

/// The lines that the person types.
fn lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(1);
    // Reading cannot be given up, and must not keep the process: nobody waits for this thread.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    typed
}
