//! How much of everything one run does.

use std::time::Duration;

use crate::upstream;

/// Rounds and calls; a default run takes about a minute, a quick one some ten seconds.
pub(crate) struct Plan {
    /// Which of the upstream's endpoints.
    pub(crate) path: &'static str,
    pub(crate) sequential_rounds: usize,
    pub(crate) sequential: Limit,
    /// Calls of the two runs that are compared by their instructions.
    pub(crate) counted_calls: [u64; 2],
    pub(crate) in_flight_rounds: usize,
    pub(crate) in_flight: Limit,
    pub(crate) slow_rounds: usize,
    pub(crate) starts: usize,
    pub(crate) memory_calls: u64,
    pub(crate) large_rounds: usize,
}

/// Where a round ends: after so many calls or, for a slow bridge, after so much time.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) calls: u64,
    pub(crate) time: Duration,
}

impl Plan {
    pub(crate) fn new(quick: bool, memory_calls: Option<u64>, no_session: bool) -> Self {
        let path =
            if no_session { upstream::PATH_WITHOUT_SESSION } else { upstream::PATH_WITH_SESSION };
        let plan = if quick {
            Self {
                path,
                sequential_rounds: 5,
                sequential: Limit { calls: 500, time: Duration::from_millis(500) },
                counted_calls: [100, 300],
                in_flight_rounds: 3,
                in_flight: Limit { calls: 5_000, time: Duration::from_millis(500) },
                slow_rounds: 1,
                starts: 10,
                memory_calls: 10_000,
                large_rounds: 3,
            }
        } else {
            Self {
                path,
                sequential_rounds: 15,
                sequential: Limit { calls: 4_000, time: Duration::from_secs(1) },
                counted_calls: [300, 1_300],
                in_flight_rounds: 11,
                in_flight: Limit { calls: 20_000, time: Duration::from_millis(1_500) },
                slow_rounds: 3,
                starts: 50,
                memory_calls: 100_000,
                large_rounds: 11,
            }
        };
        Self { memory_calls: memory_calls.unwrap_or(plan.memory_calls), ..plan }
    }
}
