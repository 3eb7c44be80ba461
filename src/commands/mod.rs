//! The commands. Each takes the settings that it needs from the command line, starts what it
//! needs, and runs.

mod call;
mod check;
mod demo;
mod forward;
mod install;
mod local_client;
mod server;
mod sign_in;
mod tools;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{Cli, Command, OutputArguments};
use crate::config::{self, Target, UpstreamSettings};
use crate::logging::{self, LogSettings};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal;

/// Time for the reader of the log to take its last lines.
const FLUSH_PATIENCE: Duration = Duration::from_millis(100);

/// Runs the command of `cli` until it is done.
///
/// # Errors
/// It cannot start. Once it runs, nothing that an upstream does is an error of the process.
pub fn run(mut cli: Cli) -> Result<(), SetupError> {
    let secrets = Arc::<Secrets>::default();
    let concealed = |error: SetupError| error.map(|text| secrets.redact(text).into_owned());
    cli.options.fill_in().and_then(|()| run_command(&cli, &secrets)).map_err(concealed)
}

fn run_command(cli: &Cli, secrets: &Arc<Secrets>) -> Result<(), SetupError> {
    let options = &cli.options;
    match &cli.command {
        None => {
            let target = Target::new(cli.url.as_deref(), options.server.kind, secrets)?;
            let mut upstream = UpstreamSettings::new(options, target, secrets)?;
            upstream.warnings.extend(cli.warnings.iter().cloned());
            let conversation = config::conversation(options, &upstream);
            let log = config::log(&options.logs, upstream.kind.kind, secrets.clone());
            on_runtime(&log, Box::pin(forward::run(upstream, conversation, options.logs.fail)))
        }
        Some(Command::Login(_)) => {
            let log = config::log(&options.logs, options.server.kind, secrets.clone());
            let sign_in = sign_in::prepare(cli, secrets)?;
            on_runtime(&log, Box::pin(sign_in::login(sign_in, secrets)))
        }
        Some(Command::Logout(_)) => {
            let log = config::log(&options.logs, options.server.kind, secrets.clone());
            let sign_in = sign_in::prepare(cli, secrets)?;
            on_runtime(&log, Box::pin(sign_in::logout(sign_in)))
        }
        Some(Command::Demo) => {
            demo::check_kind(options.server.kind)?;
            let log = config::log(&options.logs, demo::KIND, secrets.clone());
            on_runtime(&log, Box::pin(demo::run(cli, secrets)))
        }
        Some(Command::Check(arguments)) => {
            ask(cli, secrets, Box::pin(check::run(cli, arguments, secrets)))
        }
        Some(Command::Tools(arguments)) => {
            ask(cli, secrets, Box::pin(tools::run(cli, arguments, secrets)))
        }
        Some(Command::Call(arguments)) => {
            ask(cli, secrets, Box::pin(call::run(cli, arguments, secrets)))
        }
        Some(Command::Install(arguments)) => install::install(cli, arguments, secrets),
        Some(Command::Uninstall(arguments)) => install::uninstall(arguments),
    }
}

/// A command under way. It is boxed, so that the runtime is compiled once and not for each command.
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), SetupError>> + 'a>>;

/// Runs a command that asks a server for a person, who reads what it prints and not the log.
fn ask(cli: &Cli, secrets: &Arc<Secrets>, command: Running<'_>) -> Result<(), SetupError> {
    let options = &cli.options;
    let log = config::quiet_log(&options.logs, options.server.kind, secrets.clone());
    on_runtime(&log, command)
}

/// Starts logging, and runs `command` on the process's one runtime.
fn on_runtime(log: &LogSettings, command: Running<'_>) -> Result<(), SetupError> {
    let log = logging::start(log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| SetupError::failed(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(command);
    // A name lookup that hangs in the system must not keep the process.
    runtime.shutdown_background();
    log.flush(FLUSH_PATIENCE);
    outcome
}

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

impl Form {
    fn of(arguments: &OutputArguments) -> Self {
        match (arguments.json, arguments.text) {
            (true, _) => Self::Json,
            (_, true) => Self::Text,
            _ if terminal::is_watched() => Self::Text,
            _ => Self::Json,
        }
    }
}
