//! The lines, the upstream, and time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use mcpline::failure::{Cause, Class, Failure};

use crate::delays::{Carrying, Listening, Manner, Opening};
use crate::scenario::{RETRY_AFTER, Reception, Scenario, Transport};

/// Microseconds since the streams broke.
type Time = u64;

const SECOND: Time = 1_000_000;

/// The bins that arrivals are counted in.
const TENTH: Time = SECOND / 10;

/// What is looked at.
const END: Time = 120 * SECOND;

/// How often a person's client makes a call, on average.
const CALL_EVERY: f64 = 120.0;

/// What came of a run.
pub(crate) struct Outcome {
    /// Arrivals in each tenth of a second.
    pub(crate) tenths: Vec<usize>,
    /// When each line was back, in order.
    back: Vec<Time>,
    lines: usize,
}

impl Outcome {
    /// Arrivals in each second.
    pub(crate) fn seconds(&self) -> Vec<usize> {
        self.tenths.chunks(10).map(|tenths| tenths.iter().sum()).collect()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
    pub(crate) fn most_in_a_second(&self, from: f64) -> usize {
        self.seconds().into_iter().skip(from as usize).max().unwrap_or(0)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
    pub(crate) fn most_in_a_tenth(&self, from: f64) -> usize {
        self.tenths.iter().skip((from * 10.0) as usize).max().copied().unwrap_or(0)
    }

    /// When that share of the lines had a session again, in seconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small, positive"
    )]
    pub(crate) fn back_after(&self, share: f64) -> f64 {
        let count = (self.lines as f64 * share).ceil() as usize;
        self.back.get(count - 1).map_or(f64::INFINITY, |at| *at as f64 / SECOND as f64)
    }

    pub(crate) fn requests(&self) -> usize {
        self.tenths.iter().sum()
    }
}

/// What reaches the upstream, or begins at a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The standalone stream is asked for again.
    Stream,
    /// A session is asked for.
    Open,
    /// A person makes a call.
    Call,
    /// A call arrives that began at this time.
    Carry(Time),
}

struct Line {
    /// One way.
    latency: Time,
    /// Counts what makes earlier attempts to open or to reopen void.
    turn: u32,
    stage: Stage,
    /// Delays of the call that is under way, if any.
    carrying: Option<Carrying>,
    /// A call waits for the session.
    has_waiter: bool,
}

enum Stage {
    /// The stream is gone, and nobody knows of the session.
    Listening(Listening),
    Opening {
        delays: Opening,
        /// Whether a call that begins to wait cuts the delay short.
        yields: bool,
    },
    Back,
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    manner: Manner,
    back_at: Time,
    queue: BinaryHeap<Reverse<(Time, usize, u32, Event)>>,
    lines: Vec<Line>,
    outcome: Outcome,
    /// Sessions opened in the current second.
    opened: (Time, usize),
}

/// Lets `lines` lines live through `scenario`.
pub(crate) fn run(scenario: &Scenario, manner: Manner, lines: usize, seed: u64) -> Outcome {
    // The product draws from the generator of the thread.
    fastrand::seed(seed);
    let outcome = Outcome {
        tenths: vec![0; usize::try_from(END / TENTH).unwrap_or_default()],
        back: Vec::new(),
        lines,
    };
    let mut simulation = Simulation {
        scenario,
        manner,
        back_at: micros(Duration::from_secs_f64(scenario.back_at)),
        queue: BinaryHeap::new(),
        lines: Vec::new(),
        outcome,
        opened: (0, 0),
    };
    for index in 0..lines {
        simulation.add_line(index);
    }
    simulation.run();
    simulation.outcome
}

impl Simulation<'_> {
    fn add_line(&mut self, index: usize) {
        let latency = fastrand::u64(1_000..25_000);
        let mut line =
            Line { latency, turn: 0, stage: Stage::Back, carrying: None, has_waiter: false };
        match self.scenario.transport {
            Transport::Streamable => {
                let mut delays = Listening::new(self.manner);
                let delay = delays.after_end();
                line.stage = Stage::Listening(delays);
                self.lines.push(line);
                self.send(2 * latency + micros(delay), index, Event::Stream);
            }
            Transport::HttpSse => {
                self.lines.push(line);
                self.open_unhurried(latency, index);
            }
        }
        self.schedule_call(0, index);
    }

    fn run(&mut self) {
        while let Some(Reverse((now, index, turn, event))) = self.queue.pop() {
            if now >= END {
                break;
            }
            match event {
                Event::Call => {
                    self.schedule_call(now, index);
                    self.call(now, index);
                }
                Event::Carry(begun) => self.carry(now, index, begun),
                Event::Stream if turn == self.lines[index].turn => self.reopen(now, index),
                Event::Open if turn == self.lines[index].turn => self.initialize(now, index),
                Event::Stream | Event::Open => {}
            }
        }
        self.outcome.back.sort_unstable();
    }

    fn send(&mut self, at: Time, index: usize, event: Event) {
        self.queue.push(Reverse((at, index, self.lines[index].turn, event)));
    }

    fn schedule_call(&mut self, now: Time, index: usize) {
        let pause = Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() * CALL_EVERY);
        self.send(now + micros(pause), index, Event::Call);
    }

    fn count(&mut self, at: Time) {
        let bin = usize::try_from(at / TENTH).unwrap_or(usize::MAX);
        if let Some(tenth) = self.outcome.tenths.get_mut(bin) {
            *tenth += 1;
        }
    }

    fn reception(&self, now: Time) -> Reception {
        if now < self.back_at { self.scenario.until_then } else { Reception::Served }
    }

    /// The listening stream is asked for.
    fn reopen(&mut self, now: Time, index: usize) {
        self.count(now);
        let reception = self.reception(now);
        let line = &mut self.lines[index];
        let (latency, Stage::Listening(delays)) = (line.latency, &mut line.stage) else { return };
        match reception {
            Reception::Served if self.scenario.keeps_sessions => self.back(now + latency, index),
            Reception::Served => self.open_unhurried(now + latency, index),
            Reception::Refused | Reception::Later(_) => {
                let delay = delays.after_refusal(&refusal(reception));
                self.send(now + 2 * latency + micros(delay), index, Event::Stream);
            }
        }
    }

    /// `Link::lost`: the first attempt to open a session goes out at once.
    fn open(&mut self, now: Time, index: usize) {
        let line = &mut self.lines[index];
        line.turn += 1;
        line.stage = Stage::Opening { delays: Opening::new(self.manner), yields: true };
        let at = now + line.latency;
        self.send(at, index, Event::Open);
    }

    /// The end of `Link::opened`: a session is lost that nobody has asked for.
    fn open_unhurried(&mut self, now: Time, index: usize) {
        let pause = self.manner.reopening_pause();
        self.open(now + micros(pause), index);
    }

    /// `Link::open`: one attempt.
    fn initialize(&mut self, now: Time, index: usize) {
        self.count(now);
        let mut reception = self.reception(now);
        if let (Reception::Served, Some(limit)) = (reception, self.scenario.openings_a_second) {
            if self.opened.0 != now / SECOND {
                self.opened = (now / SECOND, 0);
            }
            self.opened.1 += 1;
            if self.opened.1 > limit {
                reception = Reception::Later(RETRY_AFTER);
            }
        }
        let line = &mut self.lines[index];
        let (latency, Stage::Opening { delays, yields }) = (line.latency, &mut line.stage) else {
            return;
        };
        if reception == Reception::Served {
            // `notifications/initialized`; then the listening stream, or, where the stream comes
            // first, `initialize` itself.
            self.count(now + 2 * latency);
            self.count(now + 2 * latency);
            return self.back(now + latency, index);
        }
        let (delay, may_be_cut_short) = delays.after(&refusal(reception));
        *yields = may_be_cut_short;
        self.send(now + 2 * latency + micros(delay), index, Event::Open);
    }

    fn back(&mut self, now: Time, index: usize) {
        let line = &mut self.lines[index];
        line.stage = Stage::Back;
        line.turn += 1;
        self.outcome.back.push(now);
        if std::mem::take(&mut line.has_waiter) {
            let at = now + line.latency;
            self.count(at);
        }
    }

    /// A person's call: `Carrier::carry`.
    fn call(&mut self, now: Time, index: usize) {
        let line = &mut self.lines[index];
        let at = now + line.latency;
        match &mut line.stage {
            Stage::Back => self.count(at),
            // The session looks good until the upstream says otherwise.
            Stage::Listening(_) if line.carrying.is_none() => {
                line.carrying = Some(Carrying::new(self.manner));
                self.send(at, index, Event::Carry(now));
            }
            Stage::Listening(_) => {}
            Stage::Opening { .. } => self.wake(now, index),
        }
    }

    /// `Link::live` while a session is being opened: `wanted` cuts a delay short that the upstream
    /// has not asked for.
    fn wake(&mut self, now: Time, index: usize) {
        let line = &mut self.lines[index];
        line.has_waiter = true;
        let Stage::Opening { delays, yields: true } = &mut line.stage else { return };
        line.turn += 1;
        let at = now + micros(delays.hurry()) + line.latency;
        self.send(at, index, Event::Open);
    }

    /// A call arrives, in a session that may be gone.
    fn carry(&mut self, now: Time, index: usize, begun: Time) {
        let reception = self.reception(now);
        let line = &mut self.lines[index];
        let latency = line.latency;
        let Some(mut delays) = line.carrying.take() else { return };
        if !matches!(line.stage, Stage::Listening(_)) {
            return self.call(now, index);
        }
        self.count(now);
        match reception {
            Reception::Served if self.scenario.keeps_sessions => return,
            Reception::Served => {
                self.lines[index].has_waiter = true;
                return self.open(now + latency, index);
            }
            Reception::Refused | Reception::Later(_) => {}
        }
        let heard = now + latency;
        let elapsed = Duration::from_micros(heard - begun);
        if let Some(delay) = delays.after(&refusal(reception), elapsed) {
            self.lines[index].carrying = Some(delays);
            self.send(heard + micros(delay) + latency, index, Event::Carry(begun));
        }
    }
}

/// The failure that a line sees.
fn refusal(reception: Reception) -> Failure {
    let mut failure = Failure::new(Class::NotSent, Cause::Unreachable, "");
    if let Reception::Later(time) = reception {
        failure = Failure::new(Class::Rejected, Cause::Refused, "");
        failure.retry_after = Some(time);
    }
    failure
}

fn micros(time: Duration) -> Time {
    Time::try_from(time.as_micros()).unwrap_or(Time::MAX)
}
