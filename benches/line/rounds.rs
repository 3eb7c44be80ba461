//! Rounds by turns, and what they add up to.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and times of a benchmark are far below 2^52 and never negative"
)]

use std::time::Duration;

use crate::Result;
use crate::bridge::{Bridge, Candidate};
use crate::plan::Limit;

/// Enough for connections, buffers and branch predictors to be as they will be.
pub(crate) const WARM_UP: Limit = Limit { calls: 200, time: Duration::from_millis(200) };

/// The samples of one measurement.
pub(crate) struct Compared<T> {
    pub(crate) straight: Vec<T>,
    /// For each candidate its samples, or why there are none.
    pub(crate) through: Vec<Result<Vec<Pair<T>>>>,
}

/// A sample through a bridge and the straight one taken right before it.
#[derive(Clone, Copy)]
pub(crate) struct Pair<T> {
    pub(crate) straight: T,
    pub(crate) through: T,
}

/// Connects and warms up every candidate, lets each take its turn after a straight one in every round, and ends
/// them. A candidate that fails sits out the rest; a straight failure ends the run.
pub(crate) fn by_turns<T: Copy>(
    rounds: usize,
    candidates: &[Candidate],
    url: &str,
    mut straight: impl FnMut() -> Result<T>,
    mut through: impl FnMut(&mut Bridge) -> Result<T>,
) -> Result<Compared<T>> {
    let mut lanes: Vec<_> =
        candidates.iter().map(|candidate| Lane::new(warmed_up(candidate, url))).collect();
    let mut straights = Vec::new();
    for _ in 0..rounds {
        for lane in &mut lanes {
            let sample = straight()?;
            straights.push(sample);
            lane.take_turn(sample, &mut through);
        }
    }
    Ok(Compared { straight: straights, through: lanes.into_iter().map(Lane::end).collect() })
}

fn warmed_up(candidate: &Candidate, url: &str) -> Result<Bridge> {
    let mut bridge = candidate.connect(url)?;
    bridge.sequential(WARM_UP)?;
    Ok(bridge)
}

struct Lane<T> {
    bridge: Result<Bridge>,
    pairs: Vec<Pair<T>>,
}

impl<T: Copy> Lane<T> {
    fn new(bridge: Result<Bridge>) -> Self {
        Self { bridge, pairs: Vec::new() }
    }

    fn take_turn(&mut self, straight: T, through: &mut impl FnMut(&mut Bridge) -> Result<T>) {
        let Ok(bridge) = &mut self.bridge else { return };
        match through(bridge) {
            Ok(through) => self.pairs.push(Pair { straight, through }),
            Err(failure) => self.bridge = Err(failure),
        }
    }

    fn end(self) -> Result<Vec<Pair<T>>> {
        self.bridge?.end()?;
        Ok(self.pairs)
    }
}

/// The middle of some figures and how far they spread.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// NaN throughout when there are no figures, which compares as missing every target.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            min: at(0),
            max: at(last),
        }
    }

    /// As a ratio for people: `2.24× (2.10–2.51)`.
    pub(crate) fn ratio(self) -> String {
        format!("{:.2}× ({:.2}–{:.2})", self.median, self.min, self.max)
    }
}

/// The smallest time that `share` of all times do not exceed.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Seconds for people, with the unit that suits them.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 0.1 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{:.0} ms", seconds * 1e3)
    }
}

/// KiB for people, in MiB.
pub(crate) fn mebibytes(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
