//! When to try again, and after which delay: the one place that holds our policy. What does no
//! harm when it is done twice is [`crate::repeat`]'s to know.

use std::time::Duration;

use crate::failure::{Class, Failure};

/// The first delay's upper bound.
const BASE: Duration = Duration::from_millis(250);

/// The upper bound of every delay: thousands of desktops whose upstream restarts come back spread
/// over this time.
const CAP: Duration = Duration::from_secs(10);

/// A shorter wait than this that an upstream asks for is meant for one client; what goes beyond it
/// is meant for a fleet, and is spread.
const MEANT_FOR_ONE: Duration = Duration::from_secs(1);

/// Growing delays with full jitter: each is drawn evenly between nothing and a bound that doubles.
/// Full jitter keeps many clients of one upstream from coming back in step; `backon`'s jitter only
/// adds to the delay, which is why these few lines are ours.
#[derive(Debug)]
pub(crate) struct Backoff {
    drawn: u32,
    cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(CAP)
    }
}

impl Backoff {
    /// Delays of at most `cap`.
    pub(crate) fn up_to(cap: Duration) -> Self {
        Self { drawn: 0, cap }
    }

    /// The next delay.
    pub(crate) fn next_delay(&mut self) -> Duration {
        self.next_delay_after(Duration::ZERO)
    }

    /// The next delay where the upstream has `asked` for at least so much. It asks the same of
    /// everybody, so the jitter comes on top and grows with what was asked for.
    pub(crate) fn next_delay_after(&mut self, asked: Duration) -> Duration {
        let bound = BASE.saturating_mul(1 << self.drawn.min(16)).min(self.cap);
        self.drawn += 1;
        let spread = bound.max(asked.saturating_sub(MEANT_FOR_ONE).min(CAP));
        asked.saturating_add(spread.mul_f64(fastrand::f64()))
    }
}

/// How long and whether requests are tried again.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Time from the arrival of a request after which it is not tried again (`--retry-for`).
    pub retry_for: Duration,
    /// False with `--no-retry`.
    pub enabled: bool,
}

impl Policy {
    /// Whether a message may be sent again after `failure`; `is_repeatable` says whether doing it
    /// twice does no harm.
    pub fn allows(&self, failure: &Failure, is_repeatable: bool) -> bool {
        self.enabled
            && match failure.class {
                Class::NotSent | Class::Rejected | Class::SessionLost => true,
                Class::Ambiguous => is_repeatable,
                Class::Final => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;

    #[test]
    fn delays_grow_to_a_bound() {
        let mut backoff = Backoff::default();
        for round in 0..40 {
            let delay = backoff.next_delay();
            assert!(delay <= CAP.min(BASE * 2_u32.pow(round.min(20))), "{round}: {delay:?}");
        }
    }

    #[test]
    fn only_what_cannot_happen_twice_is_repeated() {
        let policy = Policy { retry_for: Duration::ZERO, enabled: true };
        let cases = [
            (Class::NotSent, false, true),
            (Class::Rejected, false, true),
            (Class::SessionLost, false, true),
            (Class::Ambiguous, false, false),
            (Class::Ambiguous, true, true),
            (Class::Final, true, false),
        ];
        for (class, is_repeatable, allowed) in cases {
            let failure = Failure::new(class, Cause::Refused, "x");
            assert_eq!(policy.allows(&failure, is_repeatable), allowed, "{class:?}");
            assert!(!Policy { enabled: false, ..policy }.allows(&failure, is_repeatable));
        }
    }
}
