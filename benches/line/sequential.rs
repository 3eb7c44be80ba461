//! One call after the other, with everything on one core.
//!
//! One core because it is the only setting that is steady: with two, most of the time of a short
//! call is the system waking the other core up, which varies from one second to the next.

#![expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]

use std::time::Duration;

use crate::bridge::Candidate;
use crate::plan::Plan;
use crate::report::{self, Cell, Row};
use crate::rounds::{self, Compared, Spread, percentile, seconds};
use crate::straight::Straight;
use crate::upstream::Upstream;
use crate::{Result, process};

/// One round.
#[derive(Clone, Copy)]
struct Sample {
    p50: f64,
    p99: f64,
    calls: f64,
    /// Of the bridge; on the straight side, of the client.
    cpu_seconds: Option<f64>,
}

impl Sample {
    fn new(taken: &[Duration], before: Option<f64>, after: Option<f64>) -> Self {
        Self {
            p50: percentile(taken, 0.50).as_secs_f64(),
            p99: percentile(taken, 0.99).as_secs_f64(),
            calls: taken.len() as f64,
            cpu_seconds: before.zip(after).map(|(before, after)| after - before),
        }
    }
}

pub(crate) fn run(plan: &Plan, candidates: &[Candidate]) -> Result<Vec<Row>> {
    report::announce("sequential calls on one core");
    let upstream = Upstream::start(plan.path)?;
    let mut straight = Straight::connect(&upstream, 1)?;
    straight.sequential(rounds::WARM_UP)?;

    let compared = rounds::by_turns(
        plan.sequential_rounds,
        candidates,
        &upstream.url(),
        || {
            let before = process::own_cpu_seconds();
            let taken = straight.sequential(plan.sequential)?;
            Ok(Sample::new(&taken, before, process::own_cpu_seconds()))
        },
        |bridge| {
            let before = bridge.cpu_seconds();
            let taken = bridge.sequential(plan.sequential)?;
            Ok(Sample::new(&taken, before, bridge.cpu_seconds()))
        },
    )?;
    Ok(vec![
        latency(
            &compared,
            "p50",
            "≤ 2.2× straight",
            |sample| sample.p50,
            |ratio| Some(ratio.median <= 2.2),
        ),
        latency(&compared, "p99", "", |sample| sample.p99, |_| None),
        cpu(&compared),
    ])
}

fn latency(
    compared: &Compared<Sample>,
    name: &str,
    target: &'static str,
    figure: impl Fn(&Sample) -> f64,
    held: impl Fn(Spread) -> Option<bool>,
) -> Row {
    let median =
        |samples: &mut dyn Iterator<Item = &Sample>| Spread::of(samples.map(&figure)).median;
    Row {
        what: format!("sequential call on one core, {name}"),
        target,
        straight: seconds(median(&mut compared.straight.iter())),
        cells: Cell::each(&compared.through, |pairs| {
            let ratio =
                Spread::of(pairs.iter().map(|pair| figure(&pair.through) / figure(&pair.straight)));
            let time = seconds(median(&mut pairs.iter().map(|pair| &pair.through)));
            Cell::new(format!("{time}, {}", ratio.ratio()), held(ratio))
        }),
    }
}

fn cpu(compared: &Compared<Sample>) -> Row {
    Row {
        what: "CPU time of 10,000 such calls".to_owned(),
        target: "≤ 0.4 s",
        straight: cpu_text(per_10_000(compared.straight.iter())),
        cells: Cell::each(&compared.through, |pairs| {
            let cpu = per_10_000(pairs.iter().map(|pair| &pair.through));
            Cell::new(cpu_text(cpu), cpu.map(|cpu| cpu <= 0.4))
        }),
    }
}

/// Over all rounds, because the system counts CPU time in steps of 10 ms.
fn per_10_000<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<f64> {
    let (mut cpu, mut calls) = (0.0, 0.0);
    for sample in samples {
        cpu += sample.cpu_seconds?;
        calls += sample.calls;
    }
    Some(cpu / calls * 10_000.0)
}

fn cpu_text(cpu: Option<f64>) -> String {
    cpu.map_or_else(|| "n/a".to_owned(), |cpu| format!("{cpu:.2} s"))
}
