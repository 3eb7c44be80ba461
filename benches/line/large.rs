//! A tool's result of 32 MiB: the time it takes, and the memory.

#![expect(clippy::cast_precision_loss, reason = "sizes in KiB are far below 2^52")]

use std::time::Duration;

use crate::Result;
use crate::bridge::Candidate;
use crate::message::LARGE;
use crate::plan::Plan;
use crate::process::Memory;
use crate::report::{self, Cell, Row};
use crate::rounds::{self, Spread, mebibytes, seconds};
use crate::straight::Straight;
use crate::upstream::Upstream;

#[derive(Clone, Copy)]
struct Sample {
    time: Duration,
    memory: Option<Memory>,
}

pub(crate) fn run(plan: &Plan, candidates: &[Candidate]) -> Result<Vec<Row>> {
    report::announce("a large result");
    let upstream = Upstream::start(plan.path)?;
    let mut straight = Straight::connect(&upstream, 1)?;
    // The first one makes the upstream build the text.
    straight.large()?;

    let compared = rounds::by_turns(
        plan.large_rounds,
        candidates,
        &upstream.url(),
        || Ok(Sample { time: straight.large()?, memory: None }),
        |bridge| Ok(Sample { time: bridge.large()?, memory: bridge.memory() }),
    )?;
    let time = Spread::of(compared.straight.iter().map(|sample| sample.time.as_secs_f64()));
    let size = LARGE >> 20;
    Ok(vec![
        Row {
            what: format!("a result of {size} MiB"),
            target: "≤ 1.6× straight",
            straight: seconds(time.median),
            cells: Cell::each(&compared.through, |pairs| {
                let time = Spread::of(pairs.iter().map(|pair| pair.through.time.as_secs_f64()));
                let ratio = Spread::of(pairs.iter().map(|pair| {
                    pair.through.time.as_secs_f64() / pair.straight.time.as_secs_f64()
                }));
                Cell::new(
                    format!("{}, {}", seconds(time.median), ratio.ratio()),
                    Some(ratio.median <= 1.6),
                )
            }),
        },
        Row {
            what: format!("most memory ever over {size} MiB: after one such result, after all"),
            target: "≤ 1.3×",
            straight: "–".to_owned(),
            cells: Cell::each(&compared.through, |pairs| {
                let peak = |pair: Option<&rounds::Pair<Sample>>| Some(pair?.through.memory?.peak);
                match peak(pairs.first()).zip(peak(pairs.last())) {
                    None => Cell::not_available(),
                    Some((first, last)) => Cell::new(
                        format!(
                            "{:.2}× ({}), {:.2}× ({})",
                            over_size(first),
                            mebibytes(first),
                            over_size(last),
                            mebibytes(last)
                        ),
                        Some(over_size(last) <= 1.3),
                    ),
                }
            }),
        },
    ])
}

fn over_size(kib: u64) -> f64 {
    kib as f64 / (LARGE >> 10) as f64
}
