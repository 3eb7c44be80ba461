//! From the start of the process to the answer of `initialize`: what a client's user waits for.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::bridge::Candidate;
use crate::plan::Plan;
use crate::report::{self, Cell, Row};
use crate::rounds::{Spread, seconds};
use crate::upstream::Upstream;

/// A candidate that has spent this long starting is started no more: peers may take a second each.
const ENOUGH: Duration = Duration::from_secs(15);

pub(crate) fn run(plan: &Plan, candidates: &[Candidate], binary: &Path) -> Result<Vec<Row>> {
    report::announce("starts");
    let upstream = Upstream::start(plan.path)?;
    let url = upstream.url();
    let mut taken: Vec<Result<Vec<f64>>> = candidates.iter().map(|_| Ok(Vec::new())).collect();
    let mut versions = Vec::new();
    for _ in 0..plan.starts {
        versions.push(version(binary)?.as_secs_f64());
        for (candidate, taken) in candidates.iter().zip(&mut taken) {
            let Ok(times) = taken else { continue };
            if times.iter().sum::<f64>() > ENOUGH.as_secs_f64() {
                continue;
            }
            match start(candidate, &url) {
                Ok(time) => times.push(time.as_secs_f64()),
                Err(failure) => *taken = Err(failure),
            }
        }
    }
    let version = Spread::of(versions);
    Ok(vec![
        Row {
            what: "start to the answer of `initialize`, min / median".to_owned(),
            target: "≤ 2 ms",
            straight: "–".to_owned(),
            cells: Cell::each(&taken, |times| {
                let time = Spread::of(times.iter().copied());
                Cell::new(pair(time), Some(time.median <= 0.002))
            }),
        },
        Row {
            what: "start to the end of `mcpline --version`, min / median".to_owned(),
            target: "",
            straight: "–".to_owned(),
            cells: Cell::ours_only(Cell::new(pair(version), None), candidates.len()),
        },
    ])
}

fn pair(time: Spread) -> String {
    format!("{} / {}", seconds(time.min), seconds(time.median))
}

fn start(candidate: &Candidate, url: &str) -> Result<Duration> {
    let begin = Instant::now();
    let mut bridge = candidate.spawn(url)?;
    bridge.initialize()?;
    let taken = begin.elapsed();
    bridge.initialized()?;
    bridge.end()?;
    Ok(taken)
}

/// What the system takes to start and end a process of this size that does nothing.
fn version(binary: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let mut command = Command::new(binary);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status()?;
    Ok(begin.elapsed())
}
