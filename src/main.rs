//! The binary: reads the command line and runs its command.

use std::io::Write;
use std::process::ExitCode;

use mcpline::{Cli, NoCommand, complain, run};

fn main() -> ExitCode {
    let outcome = match Cli::from_environment() {
        Ok(cli) => run(cli),
        Err(NoCommand::Answer(answer)) => {
            // `--help` and `--version` are what stdout is for in such a run.
            let shown = std::io::stdout().write_all(answer.as_bytes());
            return shown.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(NoCommand::Unusable(error)) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(error.status())
        }
    }
}
