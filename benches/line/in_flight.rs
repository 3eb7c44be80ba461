//! Many calls at once, on two cores.

use std::time::Duration;

use crate::Result;
use crate::bridge::Candidate;
use crate::message::Call;
use crate::plan::{Limit, Plan};
use crate::report::{self, Cell, Row};
use crate::rounds::{self, Spread, seconds};
use crate::straight::Straight;
use crate::upstream::Upstream;

/// How many calls are in flight; for straight HTTP, how many connections there are.
pub(crate) const WINDOW: usize = 64;

/// How long the upstream takes over a slow call.
const SLOW: Duration = Duration::from_millis(200);

/// Calls a second with the window always full.
pub(crate) fn run(plan: &Plan, candidates: &[Candidate]) -> Result<Vec<Row>> {
    report::announce("calls in flight");
    let upstream = Upstream::start(plan.path)?;
    let mut straight = Straight::connect(&upstream, WINDOW)?;
    straight.in_flight(Call::Echo, rounds::WARM_UP)?;

    let compared = rounds::by_turns(
        plan.in_flight_rounds,
        candidates,
        &upstream.url(),
        || straight.in_flight(Call::Echo, plan.in_flight),
        |bridge| bridge.in_flight(Call::Echo, WINDOW, plan.in_flight),
    )?;
    let rate = Spread::of(compared.straight.iter().map(|sample| sample.per_second()));
    Ok(vec![Row {
        what: format!("calls a second, {WINDOW} in flight on two cores"),
        target: "≥ 30,000 and ≥ 0.5× straight",
        straight: format!("{:.0}", rate.median),
        cells: Cell::each(&compared.through, |pairs| {
            let rate = Spread::of(pairs.iter().map(|pair| pair.through.per_second()));
            let ratio = Spread::of(
                pairs.iter().map(|pair| pair.through.per_second() / pair.straight.per_second()),
            );
            let held = rate.median >= 30_000.0 && ratio.median >= 0.5;
            Cell::new(format!("{:.0}, {}", rate.median, ratio.ratio()), Some(held))
        }),
    }])
}

/// The time that a window full of slow calls takes.
pub(crate) fn run_slow(plan: &Plan, candidates: &[Candidate]) -> Result<Vec<Row>> {
    report::announce("slow calls at once");
    let upstream = Upstream::start(plan.path)?;
    let mut straight = Straight::connect(&upstream, WINDOW)?;
    let call = Call::Slow { delay_ms: SLOW.as_millis().try_into()? };
    // One window and no more, however long a bridge takes that makes one call at a time.
    let limit = Limit { calls: WINDOW.try_into()?, time: Duration::from_secs(30) };

    let compared = rounds::by_turns(
        plan.slow_rounds,
        candidates,
        &upstream.url(),
        || straight.in_flight(call, limit),
        |bridge| bridge.in_flight(call, WINDOW, limit),
    )?;
    let time = Spread::of(compared.straight.iter().map(|sample| sample.time.as_secs_f64()));
    Ok(vec![Row {
        what: format!("{WINDOW} calls of {} ms at once", SLOW.as_millis()),
        target: "about 200 ms",
        straight: seconds(time.median),
        cells: Cell::each(&compared.through, |pairs| {
            let time = Spread::of(pairs.iter().map(|pair| pair.through.time.as_secs_f64()));
            // Half as much again is still "at once": a second batch would double it.
            let held = time.median <= 1.5 * SLOW.as_secs_f64();
            Cell::new(seconds(time.median), Some(held))
        }),
    }])
}
