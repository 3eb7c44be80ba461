//! Ten thousand lines and one upstream that restarts: when do they come back?
//!
//! A simulation, event by event, without processes. Every delay and budget comes from the product's
//! own code (`src/retry.rs`); around it stands, in as few lines as possible, what the link, a request
//! and the listening stream do with them. Beside it the same fleet with delays that double without jitter. The
//! same seed gives the same figures.
//!
//! `scripts/fleet` starts this and writes `docs/fleet.svg`.

mod chart;
mod delays;
mod scenario;
mod simulation;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use delays::Manner;
use scenario::{SCENARIOS, Scenario};
use simulation::Outcome;

#[derive(Parser)]
#[command(about = "Simulate a fleet whose upstream restarts")]
struct Options {
    /// How many desktops there are
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    lines: usize,

    /// What the random draws follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Draw the plot into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What came of one scenario, without jitter and with ours.
struct Compared {
    scenario: &'static Scenario,
    plain: Outcome,
    ours: Outcome,
}

fn main() -> ExitCode {
    // `cargo test --benches` and other test runners start this as well, with arguments of their
    // own. They get nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let compared: Vec<_> = SCENARIOS
        .iter()
        .map(|scenario| {
            let simulate = |manner| simulation::run(scenario, manner, options.lines, options.seed);
            Compared { scenario, plain: simulate(Manner::Plain), ours: simulate(Manner::Ours) }
        })
        .collect();
    print(options, &compared);
    if let Some(path) = &options.svg {
        std::fs::write(path, chart::draw(&compared))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(options: &Options, compared: &[Compared]) {
    println!("{} lines, seed {}.\n", options.lines, options.seed);
    println!(
        "| what happens | delays | most arrivals in a second | in 0.1 s | most once it is back, in a \
         second | in 0.1 s | 99 % are back after | all after | requests |"
    );
    println!("|{}", " --- |".repeat(9));
    for Compared { scenario, plain, ours } in compared {
        for (name, outcome) in [("doubling", plain), ("**ours**", ours)] {
            println!(
                "| {} | {name} | {} | {} | {} | {} | {} | {} | {} |",
                scenario.what,
                outcome.most_in_a_second(0.0),
                outcome.most_in_a_tenth(0.0),
                outcome.most_in_a_second(scenario.back_at),
                outcome.most_in_a_tenth(scenario.back_at),
                shown(outcome.back_after(0.99) - scenario.back_at),
                shown(outcome.back_after(1.0) - scenario.back_at),
                outcome.requests(),
            );
        }
    }
}

fn shown(seconds: f64) -> String {
    if seconds.is_finite() { format!("{seconds:.1} s") } else { "not within 2 minutes".to_owned() }
}

#[expect(clippy::print_stderr, reason = "failures are for people who wait")]
fn complain(text: &str) {
    eprintln!("{text}");
}
