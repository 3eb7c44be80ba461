//! When to try again, and after which delay: every delay, bound and budget stands here.
//!
//! The owner of a loop asks one of these types what to do after a failure: a request asks
//! [`Retry`], the link [`Opening`], a broken answer stream [`Resumption`], the listening stream
//! [`Listening`], a message that only has to arrive [`Delivery`]. None of them knows a clock or
//! performs I/O, so the fleet simulation runs the same code in simulated time. Which requests do no
//! harm when they run twice is known to [`crate::mcp::method`] and to the link.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::failure::{Cause, Class, Failure};

/// The default of `--retry-for`: clients give up after 60 s, and our error must reach them first.
pub const RETRY_FOR: Duration = Duration::from_secs(50);

/// The upper bound of the first delay.
pub const BASE: Duration = Duration::from_millis(250);

/// The upper bound of every delay: thousands of desktops whose upstream restarts come back spread
/// over this time.
pub const CAP: Duration = Duration::from_secs(10);

/// The longest delay before the listening stream is opened again.
pub const LISTEN_CAP: Duration = Duration::from_mins(1);

/// A shorter wait than this that an upstream asks for is meant for one client; what goes beyond it
/// is meant for a fleet, and is spread.
const MEANT_FOR_ONE: Duration = Duration::from_secs(1);

/// Attempts for one message, however long `--retry-for` is.
const MAX_ATTEMPTS: u32 = 100;

/// New sessions that one message may cause. A message that is refused in each of them is refused.
const MAX_RECOVERIES: u32 = 2;

/// The same where only words tell that the session is lost: words may mean something else.
const MAX_RECOVERIES_BY_WORDS: u32 = 1;

/// How much longer than `--start-timeout` a request waits for an upstream that has never answered:
/// its address may simply be wrong, and hosts wait about 5 s for their first list.
const UNPROVEN_PATIENCE: Duration = Duration::from_secs(3);

/// How long a request waits for a person to sign in: hosts wait about 5 s for a list, and show only
/// then what we say.
pub const PERSON_PATIENCE: Duration = Duration::from_secs(3);

/// The longest pause between attempts while the client waits for the answer to `initialize`.
const MAX_FIRST_DELAY: Duration = Duration::from_secs(1);

/// The longest that an upstream can keep us from asking whether it is there.
const MAX_ASKED_BEFORE_OPENING: Duration = Duration::from_secs(30);

/// A session that is lost while no request needs it is opened again within this time.
const REOPEN_SPREAD: Duration = Duration::from_secs(4);

/// The delay before a session is opened again that was lost twice without a request in between:
/// several clients may be fighting for the places of one server. It doubles with each loss.
const IDLE_REOPEN: Duration = Duration::from_secs(30);

/// The longest such delay.
const IDLE_REOPEN_CAP: Duration = Duration::from_mins(10);

/// The delay before a stream is opened again when the upstream named none.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// The shortest delay before a stream is opened again, whatever the upstream asks for.
const MIN_RETRY: Duration = Duration::from_millis(100);

/// The same for a stream that ends again and again: no upstream makes us ask more than a few times
/// a second.
const MAX_MIN_RETRY: Duration = Duration::from_millis(500);

/// Attempts in a row to reopen the stream of an answer before it is given up.
const MAX_FAILED_RESUMPTIONS: u32 = 5;

/// The listening stream, for which nobody waits, is opened again within so much more: every
/// desktop of this upstream may have lost it at the same moment.
const LISTEN_SPREAD: Duration = Duration::from_secs(4);

/// The longest wait that an upstream can ask for before its listening stream is opened again.
const MAX_ASKED_BEFORE_LISTENING: Duration = Duration::from_hours(1);

/// A listening stream that stayed open this long counts as healthy and resets the backoff.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// Attempts to bring a client's answer to an upstream that cannot be reached.
const MAX_DELIVERIES: u32 = 5;

/// Rounds of questions for one request: more than any person will be asked.
const MAX_ROUNDS: u32 = 64;

/// Growing delays with full jitter: each is drawn evenly between nothing and a bound that doubles.
/// `backon` makes the bounds. Its own jitter only adds to a delay, and a thousand clients that lost
/// the same upstream would come back in step.
#[derive(Debug)]
pub struct Backoff {
    bounds: ExponentialBackoff,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(CAP)
    }
}

impl Backoff {
    /// Delays of at most `cap`.
    pub fn up_to(cap: Duration) -> Self {
        let bounds = ExponentialBuilder::new().with_min_delay(BASE).with_max_delay(cap);
        Self { bounds: bounds.without_max_times().build() }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.next_delay_after(Duration::ZERO)
    }

    /// The next delay where the upstream has `asked` for at least so much. It asks the same of
    /// everybody, so the jitter comes on top and grows with what was asked for.
    pub fn next_delay_after(&mut self, asked: Duration) -> Duration {
        let bound = self.bounds.next().unwrap_or(CAP);
        let spread = bound.max(asked.saturating_sub(MEANT_FOR_ONE).min(CAP));
        asked.saturating_add(drawn_from(spread))
    }
}

/// An even draw between nothing and `bound`.
fn drawn_from(bound: Duration) -> Duration {
    bound.mul_f64(fastrand::f64())
}

/// The pause before a lost session is opened again that no request waits for: every desktop of this
/// upstream may have lost its session at the same moment. `idle_losses` counts the sessions that
/// were lost before without a request in between.
pub fn reopening_pause(idle_losses: u32) -> Duration {
    let Some(doublings) = idle_losses.checked_sub(1) else { return drawn_from(REOPEN_SPREAD) };
    let delay = IDLE_REOPEN.saturating_mul(1 << doublings.min(16)).min(IDLE_REOPEN_CAP);
    delay / 2 + drawn_from(delay / 2)
}

/// The pause before a request that stands asks for a new session after its own has ended. It is never
/// so short that a session which ends at once is asked for in a loop.
pub fn standing_pause(idle_losses: u32) -> Duration {
    STANDING_AFTER + reopening_pause(idle_losses)
}

/// A request that has stood for this long begins afresh when its session is lost.
pub const STANDING_AFTER: Duration = Duration::from_secs(1);

/// How long and whether requests are tried again.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Time from the arrival of a request after which it is not tried again (`--retry-for`).
    pub retry_for: Duration,
    /// False with `--no-retry`.
    pub enabled: bool,
}

impl Policy {
    /// How long a request waits for a session that is being opened, from its arrival: the whole
    /// budget where the upstream `has_answered` before. Otherwise a few seconds beyond the start
    /// timeout, which ends `left_to_start` after the request's arrival.
    pub fn session_budget(&self, has_answered: bool, left_to_start: Duration) -> Duration {
        if has_answered {
            self.retry_for
        } else {
            self.retry_for.min(left_to_start + UNPROVEN_PATIENCE)
        }
    }

    /// Whether a message may be sent again after `failure`; `is_repeatable` says whether sending it
    /// twice does no harm.
    pub fn allows(&self, failure: &Failure, is_repeatable: bool) -> bool {
        match failure.class() {
            Class::WrongForm => true,
            Class::NotSent | Class::Rejected | Class::SessionLost => self.enabled,
            Class::Ambiguous => self.enabled && is_repeatable,
            Class::Final => false,
        }
    }
}

/// The attempts to carry one message.
#[derive(Debug)]
pub struct Retry {
    policy: Policy,
    attempts: u32,
    recoveries: u32,
    /// Made by the first failure: most messages need none.
    backoff: Option<Backoff>,
}

impl Retry {
    /// A message that has not been sent.
    pub fn new(policy: Policy) -> Self {
        Self { policy, attempts: 0, recoveries: 0, backoff: None }
    }

    /// Counts attempts.
    pub fn count(&mut self, attempts: u32) {
        self.attempts += attempts;
    }

    /// Attempts so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The delay before the message is sent again after `failure`, which came `elapsed` after the
    /// client's request; `None` when it is not sent again. Nothing after a lost session: the next
    /// attempt waits for the new one.
    pub fn after(
        &mut self,
        failure: &Failure,
        is_repeatable: bool,
        elapsed: Duration,
    ) -> Option<Duration> {
        if self.attempts >= MAX_ATTEMPTS
            || !self.policy.allows(failure, is_repeatable)
            // It has waited for the person already, who is told by the error what to do.
            || failure.cause == Cause::SignIn
        {
            return None;
        }
        if failure.class().ends_session() {
            self.recoveries += 1;
            let limit = match failure.status {
                _ if failure.class() == Class::WrongForm => MAX_RECOVERIES,
                Some(400 | 404 | 410) => MAX_RECOVERIES,
                _ => MAX_RECOVERIES_BY_WORDS,
            };
            return (self.recoveries <= limit).then_some(Duration::ZERO);
        }
        let backoff = self.backoff.get_or_insert_default();
        let delay = backoff.next_delay_after(failure.wait_after(self.attempts));
        (delay <= self.policy.retry_for.saturating_sub(elapsed)).then_some(delay)
    }
}

/// The attempts to open a session.
#[derive(Debug, Default)]
pub struct Opening {
    attempts: u32,
    backoff: Backoff,
}

/// A delay before the next attempt to open a session.
#[derive(Debug, Clone, Copy)]
pub struct OpeningDelay {
    /// How long to wait.
    pub delay: Duration,
    /// Whether a request that begins to wait for the session cuts the delay short: a request must
    /// not wait out a delay that grew for others, unless the upstream asked for it.
    pub yields: bool,
}

impl Opening {
    /// The delay after `failure`. `is_first` while the client waits for its first answer, and not
    /// for long.
    pub fn after(&mut self, failure: &Failure, is_first: bool) -> OpeningDelay {
        self.attempts += 1;
        let asked = failure.wait_after(self.attempts).min(MAX_ASKED_BEFORE_OPENING);
        let mut delay = self.backoff.next_delay_after(asked);
        if is_first {
            delay = delay.min(asked + MAX_FIRST_DELAY);
        }
        OpeningDelay { delay, yields: asked.is_zero() }
    }

    /// Starts the delays over for a request that has begun to wait, and gives the first of them.
    pub fn hurry(&mut self) -> Duration {
        self.backoff = Backoff::default();
        self.backoff.next_delay()
    }

    /// Failed attempts so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// The attempts to read on where the stream of an answer broke off.
#[derive(Debug, Default)]
pub struct Resumption {
    backoff: Backoff,
    /// The delay that the upstream cannot shorten; it grows while the stream keeps breaking off.
    floor: Duration,
    /// Attempts in a row that got no stream.
    failed: u32,
    /// Nothing has come since the stream was last opened again.
    is_fruitless: bool,
}

impl Resumption {
    /// Notes that something came on the stream.
    pub fn note_life(&mut self) {
        self.is_fruitless = false;
    }

    /// The delay after the stream broke off, where the upstream `asked` for one or not.
    pub fn after_break(&mut self, asked: Option<Duration>) -> Duration {
        self.failed = 0;
        let mut delay = asked.unwrap_or(DEFAULT_RETRY);
        if std::mem::replace(&mut self.is_fruitless, true) {
            delay = delay.max(self.backoff.next_delay());
        }
        self.floor = (self.floor * 2).clamp(MIN_RETRY, MAX_MIN_RETRY);
        delay.max(self.floor)
    }

    /// The delay after the upstream refused to open the stream again; `None` when it is given up.
    pub fn after_refusal(&mut self, failure: &Failure) -> Option<Duration> {
        if failure.class() == Class::Final || failure.class().ends_session() {
            return None;
        }
        self.failed += 1;
        let delay = self.backoff.next_delay().max(failure.wait_after(self.failed)).max(MIN_RETRY);
        (self.failed <= MAX_FAILED_RESUMPTIONS).then_some(delay)
    }
}

/// The attempts to keep the listening stream open.
#[derive(Debug)]
pub struct Listening {
    backoff: Backoff,
}

impl Default for Listening {
    fn default() -> Self {
        Self { backoff: Backoff::up_to(LISTEN_CAP) }
    }
}

impl Listening {
    /// The delay after a stream ended that was open for `lived`, on which something came
    /// (`has_spoken`) or not, where the upstream `asked` for a delay or not.
    pub fn after_end(
        &mut self,
        lived: Duration,
        has_spoken: bool,
        asked: Option<Duration>,
    ) -> Duration {
        // An upstream that hangs up at once is asked less and less often.
        if has_spoken || lived >= HEALTHY_AFTER {
            *self = Self::default();
        }
        let delay = match asked {
            Some(asked) => self.backoff.next_delay_after(asked),
            None => (DEFAULT_RETRY + drawn_from(LISTEN_SPREAD)).max(self.backoff.next_delay()),
        };
        delay.max(MAX_MIN_RETRY)
    }

    /// The delay after the upstream refused the stream with `failure`, which may pass.
    pub fn after_refusal(&mut self, failure: &Failure) -> Duration {
        let asked = failure.wait_after(1).min(MAX_ASKED_BEFORE_LISTENING);
        self.backoff.next_delay_after(asked).max(MAX_MIN_RETRY)
    }
}

/// The rounds in which an upstream asks the client before it answers.
#[derive(Debug, Default)]
pub struct Rounds {
    done: u32,
    backoff: Backoff,
}

impl Rounds {
    /// Whether there has been none.
    pub fn is_first(&self) -> bool {
        self.done == 0
    }

    /// The delay before the next round, where the upstream has asked something or `asks_nothing` and
    /// only wants to be asked again; `None` when there have been too many.
    pub fn next(&mut self, asks_nothing: bool) -> Option<Duration> {
        self.done += 1;
        if self.done > MAX_ROUNDS {
            return None;
        }
        Some(if asks_nothing { self.backoff.next_delay() } else { Duration::ZERO })
    }
}

/// The attempts to bring a message that does no harm when it arrives twice, or that the upstream
/// refuses before it acts.
#[derive(Debug, Default)]
pub struct Delivery {
    attempts: u32,
    backoff: Backoff,
}

impl Delivery {
    /// The delay before the client's answer is sent again after `failure`. It is sent again only
    /// if it has not arrived: the upstream takes an answer once.
    pub fn of_answer_after(&mut self, failure: &Failure) -> Option<Duration> {
        self.attempts += 1;
        let may_arrive = matches!(failure.class(), Class::NotSent | Class::Rejected);
        (may_arrive && self.attempts < MAX_DELIVERIES).then(|| self.backoff.next_delay())
    }

    /// The delay before `notifications/initialized` is sent again after `failure`, for as long as
    /// the caller has patience.
    pub fn of_initialized_after(&mut self, failure: &Failure) -> Option<Duration> {
        let may_arrive = failure.class() != Class::Final && !failure.class().ends_session();
        may_arrive.then(|| self.backoff.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_are_lost_while_nobody_asks_are_opened_less_and_less_often() {
        assert!(reopening_pause(0) <= REOPEN_SPREAD);
        for losses in 1..40 {
            let bound = (IDLE_REOPEN * 2_u32.pow((losses - 1).min(10))).min(IDLE_REOPEN_CAP);
            let pause = reopening_pause(losses);
            assert!(pause >= bound / 2 && pause <= bound, "{losses}: {pause:?}");
        }
    }

    fn failure(class: Class) -> Failure {
        Failure::new(class, Cause::Refused, "x")
    }

    const POLICY: Policy = Policy { retry_for: Duration::from_secs(50), enabled: true };

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
        let cases = [
            (Class::NotSent, false, true),
            (Class::Rejected, false, true),
            (Class::SessionLost, false, true),
            (Class::Ambiguous, false, false),
            (Class::Ambiguous, true, true),
            (Class::Final, true, false),
        ];
        for (class, is_repeatable, allowed) in cases {
            let after = |policy| {
                Retry::new(policy).after(&failure(class), is_repeatable, Duration::ZERO).is_some()
            };
            assert_eq!(after(POLICY), allowed, "{class:?}");
            assert!(!after(Policy { enabled: false, ..POLICY }), "{class:?}");
        }
    }

    #[test]
    fn a_message_is_not_tried_beyond_its_budget() {
        let mut late = failure(Class::Rejected);
        late.retry_after = Some(Duration::from_secs(20));
        let after = |elapsed| Retry::new(POLICY).after(&late, false, elapsed);
        assert!(after(Duration::ZERO).is_some_and(|delay| delay >= Duration::from_secs(20)));
        assert_eq!(after(Duration::from_secs(31)), None);
        let mut retry = Retry::new(POLICY);
        retry.count(MAX_ATTEMPTS);
        assert_eq!(retry.after(&failure(Class::NotSent), true, Duration::ZERO), None);
    }

    #[test]
    fn a_message_causes_few_new_sessions() {
        for (status, allowed) in [(Some(404), 2), (Some(401), 1), (None, 1)] {
            let mut retry = Retry::new(POLICY);
            let mut lost = failure(Class::SessionLost);
            lost.status = status;
            let after = || retry.after(&lost, false, Duration::ZERO);
            let delays: Vec<_> = std::iter::repeat_with(after).take(3).collect();
            let expected = [0, 1, 2].map(|n| (n < allowed).then_some(Duration::ZERO));
            assert_eq!(delays, expected, "{status:?}");
        }
    }

    #[test]
    fn an_upstream_cannot_make_us_resume_more_than_a_few_times_a_second() {
        let mut resumption = Resumption::default();
        let delays = std::iter::repeat_with(|| {
            resumption.note_life();
            resumption.after_break(Some(Duration::ZERO))
        });
        let in_three_seconds = delays
            .scan(Duration::ZERO, |at, delay| {
                *at += delay;
                Some(*at)
            })
            .take_while(|at| *at < Duration::from_secs(3));
        assert!(in_three_seconds.count() < 10);
    }

    #[test]
    fn a_resumption_is_given_up_after_some_refusals() {
        let mut resumption = Resumption::default();
        let refused = || resumption.after_refusal(&failure(Class::Rejected)).is_some();
        let tries = std::iter::repeat_with(refused).take_while(|tries| *tries).take(100).count();
        assert_eq!(tries, MAX_FAILED_RESUMPTIONS as usize);
        assert!(Resumption::default().after_refusal(&failure(Class::Final)).is_none());
    }

    #[test]
    fn a_listening_stream_that_ends_at_once_is_asked_for_less_and_less() {
        let mut listening = Listening::default();
        let mut after_end =
            |lived| listening.after_end(lived, false, None).saturating_sub(LISTEN_SPREAD);
        let longest = (0..50).map(|_| after_end(Duration::ZERO)).max();
        assert!(longest.is_some_and(|delay| delay > DEFAULT_RETRY * 10), "{longest:?}");
        assert!(after_end(HEALTHY_AFTER) <= DEFAULT_RETRY);
    }
}
