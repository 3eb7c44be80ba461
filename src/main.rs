//! The binary: reads the command line, starts logging, runs the line.

use std::process::ExitCode;
use std::time::Duration;

use mcpline::{Cli, Config, complain, line, start_logging, without_secrets};

/// The exit code for settings that cannot be used, as clap has it too.
const USAGE: u8 = 2;

/// Time for whoever reads the log to take its last lines.
const FLUSH_PATIENCE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let cli = match Cli::from_environment() {
        Ok(cli) => cli,
        Err(answer) if !answer.use_stderr() => {
            // `--help` and `--version` are what stdout is for in such a run.
            return answer.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(error) => return fail(&on_one_line(&error), USAGE),
    };
    let config = match Config::new(cli) {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string(), USAGE),
    };
    let log = match start_logging(&config.log) {
        Ok(log) => log,
        Err(error) => return fail(&error, USAGE),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    let outcome = runtime.block_on(line::run(config));
    // A name lookup that hangs in the system must not keep the process.
    runtime.shutdown_background();
    log.flush(FLUSH_PATIENCE);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// A client's log shows lines, not screens: the usage stays out.
fn on_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = without_secrets(text.split("Usage:").next().unwrap_or(&text));
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    format!(
        "{}; see `mcpline --help`",
        text.trim_end_matches(" For more information, try '--help'.")
    )
}

fn fail(why: &str, code: u8) -> ExitCode {
    complain(why);
    ExitCode::from(code)
}
