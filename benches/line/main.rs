//! The numbers of `docs/performance.md`: mcpline beside straight HTTP keep-alive, in one run.
//!
//! `scripts/bench` builds what is measured and starts this. Every figure is taken in rounds, a
//! straight one and one through the bridge by turns, against the same upstream process, because
//! absolute times on a shared machine say little and ratios within a round say much. The program
//! fails when a call of mcpline fails or comes back altered, and never because something was slow.

mod bridge;
mod in_flight;
mod instructions;
mod large;
mod lines;
mod memory;
mod message;
mod plan;
mod process;
mod report;
mod rounds;
mod sequential;
mod start;
mod straight;
mod upstream;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use bridge::Candidate;
use plan::Plan;
use report::Report;

/// Every failure here ends as a sentence for a person, so a boxed error is enough.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(about = "Measure mcpline beside straight HTTP keep-alive")]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,

    /// The mcpline to measure [default: the one cargo built along with this program]
    #[arg(long, value_name = "PATH", overrides_with = "binary")]
    binary: Option<PathBuf>,

    /// Another stdio-to-HTTP bridge to measure as well, such as 'some-bridge {url}' (repeatable;
    /// split at spaces)
    #[arg(long = "peer", value_name = "COMMAND")]
    peers: Vec<String>,

    /// A smoke test of some ten seconds: few rounds, rough numbers
    #[arg(long)]
    quick: bool,

    /// Calls between the first and the last look at memory [default: 100000]
    #[arg(long, value_name = "N")]
    memory_calls: Option<u64>,

    /// Use an upstream that gives no `Mcp-Session-Id`
    #[arg(long)]
    no_session: bool,

    /// Show what the bridges write to stderr
    #[arg(long)]
    stderr: bool,

    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Serve as the upstream until stdin ends (how this program starts its other half)
    #[command(hide = true)]
    Upstream,
}

fn main() -> ExitCode {
    // `cargo test --benches` and other test runners start this as well, with their own arguments.
    // A benchmark is not a test, so it does nothing for them.
    if !std::env::args().any(|argument| argument == "--bench" || argument == upstream::ROLE) {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let outcome = match options.role {
        Some(Role::Upstream) => upstream::serve().map(|()| ExitCode::SUCCESS),
        None => measure(&options),
    };
    outcome.unwrap_or_else(|failure| {
        report::say(&format!("error: {failure}"));
        ExitCode::FAILURE
    })
}

fn measure(options: &Options) -> Result<ExitCode> {
    let plan = Plan::new(options.quick, options.memory_calls, options.no_session);
    let binary = match &options.binary {
        Some(path) => path.clone(),
        None => PathBuf::from(env!("CARGO_BIN_EXE_mcpline")),
    };
    let mut candidates = vec![Candidate::mcpline(&binary, options.stderr)?];
    for command in &options.peers {
        candidates.push(Candidate::peer(command, options.stderr)?);
    }

    let mut report = Report::new(&candidates);
    let cores = process::allowed_cores();

    report.place("sequential calls", &pin(&cores, 1));
    report.add(sequential::run(&plan, &candidates)?);
    report.add(instructions::run(&plan, &candidates[0], candidates.len())?);

    report.place("the rest", &pin(&cores, 2));
    report.add(in_flight::run(&plan, &candidates)?);
    report.add(in_flight::run_slow(&plan, &candidates)?);
    report.add(start::run(&plan, &candidates, &binary)?);
    report.add(memory::run(&plan, &candidates)?);
    report.add(large::run(&plan, &candidates)?);
    report.add(vec![report::binary_size(&binary, candidates.len())?]);

    report.print();
    Ok(if report.mcpline_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Confines this process, and with it all that it starts from here on, to the last `count` cores.
///
/// The last because interrupts and everybody else's work tend to be on the first.
fn pin(cores: &[u32], count: usize) -> String {
    match process::pin(&cores[cores.len().saturating_sub(count)..]) {
        Ok(list) if count == 1 => format!("pinned to core {list}"),
        Ok(list) => format!("pinned to cores {list}"),
        Err(why) => format!("not pinned ({why})"),
    }
}
