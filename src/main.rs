//! The binary: reads the command line and runs its command.

use std::process::ExitCode;

use mcpline::{Cli, complain, run, without_secrets};

/// The exit status for a command line that cannot be used, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::from_environment() {
        Ok(cli) => cli,
        Err(answer) if !answer.use_stderr() => {
            // `--help` and `--version` are what stdout is for in such a run.
            return answer.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(error) => return fail(&on_one_line(&error), USAGE),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), error.status()),
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

fn fail(why: &str, status: u8) -> ExitCode {
    complain(why);
    ExitCode::from(status)
}
