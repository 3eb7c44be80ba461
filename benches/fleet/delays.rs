//! The two manners of waiting that are compared.

use std::time::Duration;

use crate::retry::Backoff;

/// How a line chooses its delays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Doubling up to the cap, as everybody writes it first.
    Plain,
    /// mcpline's.
    Ours,
}

/// The first delay of the plain manner: the product's first bound.
const BASE: Duration = Duration::from_millis(250);

/// The cap of the plain manner where the product uses its default.
const CAP: Duration = Duration::from_secs(10);

/// A run of growing delays.
pub(crate) enum Delays {
    Plain { next: Duration, cap: Duration },
    Ours(Backoff),
}

impl Delays {
    pub(crate) fn new(manner: Manner) -> Self {
        match manner {
            Manner::Plain => Self::Plain { next: BASE, cap: CAP },
            Manner::Ours => Self::Ours(Backoff::default()),
        }
    }

    pub(crate) fn up_to(manner: Manner, cap: Duration) -> Self {
        match manner {
            Manner::Plain => Self::Plain { next: BASE, cap },
            Manner::Ours => Self::Ours(Backoff::up_to(cap)),
        }
    }

    /// What the product adds where nobody waits: a part of `spread`, drawn evenly.
    pub(crate) fn unhurried(manner: Manner, spread: Duration) -> Duration {
        match manner {
            Manner::Plain => Duration::ZERO,
            Manner::Ours => spread.mul_f64(fastrand::f64()),
        }
    }

    /// The delay before the next attempt, of at least `asked`, as `link.rs`, `request.rs` and
    /// `streamable.rs` work it out.
    pub(crate) fn next(&mut self, asked: Duration) -> Duration {
        match self {
            Self::Plain { next, cap } => {
                let delay = (*next).min(*cap).max(asked);
                *next = next.saturating_mul(2).min(*cap);
                delay
            }
            Self::Ours(backoff) => backoff.next_delay_after(asked),
        }
    }
}
