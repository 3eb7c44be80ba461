//! The server that a command was told to ask.

use std::sync::Arc;

use super::demo;
use crate::cli::{Cli, DEMO};
use crate::config::{self, NO_URL, Target, UpstreamSettings};
use crate::demo::Demo;
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::{conversation, terminal};

/// `error`, which may say how to give a URL, for the command that was run.
fn in_command(cli: &Cli, error: SetupError) -> SetupError {
    match cli.command_name() {
        Some(name) if error.message == NO_URL => {
            error.hint(format!("`mcpline {name} URL`, or `mcpline {name} demo` to try it"))
        }
        _ => error,
    }
}

/// A server with the settings to reach it.
pub(super) struct Server {
    pub(super) upstream: UpstreamSettings,
    pub(super) conversation: conversation::Settings,
    /// What the user should know of the settings.
    pub(super) warnings: Vec<String>,
    /// Runs as long as the command.
    _demo: Option<Demo>,
}

impl Server {
    /// The server at the URL of the command line or the environment, or the sample for [`DEMO`].
    ///
    /// # Errors
    /// A setting cannot be used, or the sample service cannot be started.
    pub(super) async fn new(cli: &Cli, secrets: &Arc<Secrets>) -> Result<Self, SetupError> {
        let options = &cli.options;
        let url = cli.url.as_deref();
        let (target, demo) = if url == Some(DEMO) {
            demo::check_kind(options.server.kind)?;
            let (service, url) = demo::start().await?;
            (Target { kind: demo::KIND, url }, Some(service))
        } else {
            let target = Target::new(url, options.server.kind, secrets);
            (target.map_err(|error| in_command(cli, error))?, None)
        };
        let upstream = UpstreamSettings::new(options, target, secrets)?;
        // These commands end long before a person could have signed in.
        if let Some(sign_in) = &upstream.sign_in {
            sign_in.ask_nobody();
        }
        let mut conversation = config::conversation(options, &upstream);
        conversation.readers = conversation.readers.or_person();
        let warnings = cli.warnings.iter().chain(&upstream.warnings).cloned().collect();
        Ok(Self { upstream, conversation, warnings, _demo: demo })
    }

    /// `text` without secrets and without characters that move a terminal.
    pub(super) fn redacted(&self, text: &str) -> String {
        terminal::plain(&self.conversation.secrets.redact(text))
    }

    /// Tells on stderr what is wrong with the settings.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            terminal::warn(&self.redacted(warning));
        }
    }
}
