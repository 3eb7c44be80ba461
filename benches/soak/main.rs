//! The soak: very many calls through the real binary against an upstream that misbehaves at random.
//!
//! `scripts/soak` builds what is tested and starts this. The upstream lives in this process, so
//! that one ledger knows of every call what the client asked, what the upstream did, which faults
//! it met, and what came back. Which faults a call meets follows from the seed alone.
//!
//! The program fails, and prints the seed and what is known of the exchange, when a call gets no
//! answer or two, when an answer is not its own, when a line is not JSON-RPC, when a tool that must
//! not run twice does, when something that could have been kept is lost, when the process ends
//! early, or when its memory grows.

mod answer;
mod calls;
mod chance;
mod driver;
mod faults;
mod ledger;
mod memory;
mod report;
mod shared;
mod upstream;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use ledger::Ledger;
use upstream::Upstream;

/// Any failure here ends in a sentence that somebody reads, so a boxed error is all it takes.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "Put very many calls through mcpline against an upstream that misbehaves")]
struct Options {
    /// How many requests to make
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = positive)]
    calls: usize,

    /// How many times as many faults as the least, which hit 1.7 % of the requests
    #[arg(long, value_name = "TIMES", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    intensity: u64,

    /// What the faults follow from [default: another one each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// The mcpline to test [default: the one cargo built along with this program]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,

    /// Show what mcpline logs
    #[arg(long)]
    stderr: bool,

    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn positive(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "not a positive number".to_owned())
}

fn main() -> ExitCode {
    // `cargo test --benches` and other test runners start this as well, with arguments of their
    // own. They get nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    report::say(&format!("{} calls, seed {seed}", options.calls));
    match run(&options, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::say(&format!("failed with --seed {seed}: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, seed: u64) -> Result<()> {
    let binary = match &options.binary {
        Some(path) => path.clone(),
        None => PathBuf::from(env!("CARGO_BIN_EXE_mcpline")),
    };
    let ledger = Arc::new(Ledger::new(options.calls, seed, options.intensity));
    let upstream = Upstream::start(ledger.clone())?;
    let driven = driver::run(&binary, &upstream.url(), options.stderr, &ledger);
    let (memory, seconds) = driven.map_err(|why| ledger.explain(&why))?;
    ledger.settle()?;
    report::print(&ledger, &memory, seconds);
    memory.check_flat(options.calls)
}
