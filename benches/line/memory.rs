//! Memory of a bridge at rest, and after very many calls.

use std::time::Duration;

use crate::Result;
use crate::bridge::Candidate;
use crate::in_flight::WINDOW;
use crate::message::Call;
use crate::plan::{Limit, Plan};
use crate::process::Memory;
use crate::report::{self, Cell, Row};
use crate::rounds::mebibytes;
use crate::upstream::Upstream;

/// What a bridge may do after its last answer before it counts as being at rest.
const SETTLE: Duration = Duration::from_millis(300);

/// A bridge that makes fewer calls a second than this is looked at after fewer calls.
const SLOWEST_RATE: u64 = 5_000;

/// What counts as flat: less than the system's allocator may come to hold by chance, and far less
/// than a few bytes lost with each call.
const FLAT_KIB: u64 = 256;

struct Sample {
    idle: Option<Memory>,
    /// After a tenth of the calls, when every buffer and connection is there.
    early: Option<Memory>,
    early_calls: u64,
    late: Option<Memory>,
    late_calls: u64,
}

pub(crate) fn run(plan: &Plan, candidates: &[Candidate]) -> Result<Vec<Row>> {
    report::announce("memory over many calls");
    let upstream = Upstream::start(plan.path)?;
    let samples: Vec<_> = candidates
        .iter()
        .map(|candidate| sample(candidate, &upstream.url(), plan.memory_calls))
        .collect();
    Ok(vec![
        Row {
            what: "memory at rest after `initialize` and 5 calls".to_owned(),
            target: "≤ 6 MiB",
            straight: "–".to_owned(),
            cells: Cell::each(&samples, |sample| match sample.idle {
                None => Cell::not_available(),
                Some(idle) => Cell::new(
                    format!(
                        "{} ({} of its own)",
                        mebibytes(idle.resident),
                        mebibytes(idle.anonymous)
                    ),
                    Some(idle.resident <= 6 << 10),
                ),
            }),
        },
        Row {
            what: format!("memory after more calls, {WINDOW} in flight"),
            target: "flat",
            straight: "–".to_owned(),
            cells: Cell::each(&samples, |sample| match sample.early.zip(sample.late) {
                None => Cell::not_available(),
                Some((early, late)) => Cell::new(
                    format!(
                        "{} after {}, {} after {}",
                        mebibytes(early.resident),
                        sample.early_calls,
                        mebibytes(late.resident),
                        sample.late_calls
                    ),
                    Some(late.resident <= early.resident + FLAT_KIB),
                ),
            }),
        },
    ])
}

fn sample(candidate: &Candidate, url: &str, calls: u64) -> Result<Sample> {
    let mut bridge = candidate.connect(url)?;
    bridge.sequential(limit(5))?;
    std::thread::sleep(SETTLE);
    let idle = bridge.memory();

    let early_calls = bridge.in_flight(Call::Echo, WINDOW, limit(calls / 10))?.calls;
    std::thread::sleep(SETTLE);
    let early = bridge.memory();

    let more = bridge.in_flight(Call::Echo, WINDOW, limit(calls - calls / 10))?.calls;
    std::thread::sleep(SETTLE);
    let late = bridge.memory();
    bridge.end()?;
    Ok(Sample { idle, early, early_calls, late, late_calls: early_calls + more })
}

fn limit(calls: u64) -> Limit {
    Limit { calls, time: Duration::from_secs(1 + calls / SLOWEST_RATE) }
}
