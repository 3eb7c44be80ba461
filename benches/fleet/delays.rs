//! The two manners of waiting that are compared: the product's own code, and delays that double
//! without jitter, as everybody writes them first.

use std::time::Duration;

use mcpline::failure::Failure;
use mcpline::retry::{self, BASE, CAP, LISTEN_CAP, Policy, RETRY_FOR, Retry};

/// How a line chooses its delays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Doubling up to the cap.
    Plain,
    /// mcpline's.
    Ours,
}

impl Manner {
    /// The pause before a lost session is opened again that nobody waits for.
    pub(crate) fn reopening_pause(self) -> Duration {
        match self {
            Self::Plain => Duration::ZERO,
            Self::Ours => retry::reopening_pause(0),
        }
    }
}

/// Delays that double.
pub(crate) struct Plain {
    next: Duration,
    cap: Duration,
}

impl Plain {
    fn up_to(cap: Duration) -> Self {
        Self { next: BASE, cap }
    }

    fn after(&mut self, failure: &Failure) -> Duration {
        self.at_least(failure.wait_after(1))
    }

    fn at_least(&mut self, asked: Duration) -> Duration {
        let delay = self.next.min(self.cap).max(asked);
        self.next = self.next.saturating_mul(2).min(self.cap);
        delay
    }
}

/// The delays of a listening stream.
pub(crate) enum Listening {
    Plain(Plain),
    Ours(retry::Listening),
}

impl Listening {
    pub(crate) fn new(manner: Manner) -> Self {
        match manner {
            Manner::Plain => Self::Plain(Plain::up_to(LISTEN_CAP)),
            Manner::Ours => Self::Ours(retry::Listening::default()),
        }
    }

    /// After the end of a stream that was open for long.
    pub(crate) fn after_end(&mut self) -> Duration {
        match self {
            Self::Plain(plain) => plain.at_least(Duration::from_secs(1)),
            Self::Ours(ours) => ours.after_end(Duration::MAX, true, None),
        }
    }

    pub(crate) fn after_refusal(&mut self, failure: &Failure) -> Duration {
        match self {
            Self::Plain(plain) => plain.after(failure),
            Self::Ours(ours) => ours.after_refusal(failure),
        }
    }
}

/// The delays between attempts to open a session.
pub(crate) enum Opening {
    Plain(Plain),
    Ours(retry::Opening),
}

impl Opening {
    pub(crate) fn new(manner: Manner) -> Self {
        match manner {
            Manner::Plain => Self::Plain(Plain::up_to(CAP)),
            Manner::Ours => Self::Ours(retry::Opening::default()),
        }
    }

    /// The delay, and whether a call that begins to wait cuts it short.
    pub(crate) fn after(&mut self, failure: &Failure) -> (Duration, bool) {
        match self {
            Self::Plain(plain) => (plain.after(failure), failure.wait_after(1).is_zero()),
            Self::Ours(ours) => {
                let wait = ours.after(failure, false);
                (wait.delay, wait.yields)
            }
        }
    }

    /// The first delay for a call that has begun to wait.
    pub(crate) fn hurry(&mut self) -> Duration {
        match self {
            Self::Plain(plain) => {
                *plain = Plain::up_to(CAP);
                plain.at_least(Duration::ZERO)
            }
            Self::Ours(ours) => ours.hurry(),
        }
    }
}

/// The delays between attempts to carry a call.
pub(crate) enum Carrying {
    Plain(Plain),
    Ours(Retry),
}

impl Carrying {
    pub(crate) fn new(manner: Manner) -> Self {
        match manner {
            Manner::Plain => Self::Plain(Plain::up_to(CAP)),
            Manner::Ours => Self::Ours(Retry::new(Policy { retry_for: RETRY_FOR, enabled: true })),
        }
    }

    /// The delay, unless the time for it is up, `elapsed` after the call began.
    pub(crate) fn after(&mut self, failure: &Failure, elapsed: Duration) -> Option<Duration> {
        match self {
            Self::Plain(plain) => {
                let delay = plain.after(failure);
                (elapsed + delay < RETRY_FOR).then_some(delay)
            }
            Self::Ours(ours) => {
                ours.count(1);
                ours.after(failure, false, elapsed)
            }
        }
    }
}
