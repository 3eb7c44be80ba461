//! The binary: reads the command line and runs its command.

use std::process::ExitCode;

use mcpline::{Cli, SetupError, complain, run, without_secrets};

fn main() -> ExitCode {
    let outcome = match Cli::from_environment() {
        Ok(cli) => run(&cli),
        Err(answer) if !answer.use_stderr() => {
            // `--help` and `--version` are what stdout is for in such a run.
            return answer.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(error) => Err(SetupError::usage(on_one_line(&error))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(error.status())
        }
    }
}

/// The text of `error` without the usage: a client's log shows lines, not screens.
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
