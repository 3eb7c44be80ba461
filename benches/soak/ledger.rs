//! Everything that is known of every call, and the rules that it is held against.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::Result;
use crate::calls::{self, Kind};
use crate::faults::{Class, FAULTS, Fault};

/// New sessions that one request may cause before its loss may be taken for a refusal.
const MAX_RECOVERIES: u8 = 2;

/// The latest doings of the upstream that are kept to be shown when a rule is broken.
const KEPT_NOTES: usize = 20_000;

/// What is known of one call.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// Bits of [`Fault`].
    faults: u64,
    /// When the client wrote it and when its answer came, in ms; what else went on meanwhile
    /// may have hit it.
    written: u32,
    attempts: u8,
    executed: u8,
    /// How often it was told that its session is unknown.
    sessions_lost: u8,
    answered: bool,
    /// The client was told that it failed, and not that it may have been carried out.
    promised_not_run: bool,
}

/// What the run has come to, for the report.
#[derive(Default, Clone)]
pub(crate) struct Counts {
    pub(crate) faults: Vec<u64>,
    pub(crate) requests: u64,
    pub(crate) sessions: u64,
    pub(crate) resumptions: u64,
    pub(crate) restarts: u64,
    pub(crate) accept_resets: u64,
    pub(crate) answers_to_upstream: u64,
    pub(crate) results: u64,
    pub(crate) recovered: u64,
    pub(crate) own_errors: u64,
    pub(crate) errors_may_have_run: u64,
    pub(crate) errors_final: u64,
    pub(crate) notifications: u64,
    pub(crate) questions: u64,
}

/// See the module.
pub(crate) struct Ledger {
    pub(crate) seed: u64,
    intensity: u64,
    started: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    entries: Vec<Entry>,
    /// From when to when something happened that hits whatever is under way, in ms.
    disruptions: Vec<(u32, u32)>,
    notes: VecDeque<(Option<usize>, String)>,
    counts: Counts,
}

/// An answer that the client got.
pub(crate) struct Answer<'a> {
    pub(crate) number: usize,
    pub(crate) result: Option<&'a str>,
    pub(crate) error: Option<AnswerError<'a>>,
}

/// What counts of an error.
pub(crate) struct AnswerError<'a> {
    pub(crate) code: i64,
    pub(crate) message: &'a str,
    /// Made by mcpline and not by the upstream.
    pub(crate) is_ours: bool,
    pub(crate) may_have_run: bool,
}

impl Ledger {
    pub(crate) fn new(calls: usize, seed: u64, intensity: u64) -> Self {
        let counts = Counts { faults: vec![0; FAULTS.len()], ..Counts::default() };
        let inner = Inner {
            entries: vec![Entry::default(); calls],
            disruptions: Vec::new(),
            notes: VecDeque::new(),
            counts,
        };
        Self { seed, intensity, started: Instant::now(), inner: Mutex::new(inner) }
    }

    pub(crate) fn calls(&self) -> usize {
        self.inner().entries.len()
    }

    pub(crate) fn kind(&self, number: usize) -> Kind {
        Kind::of(number, self.seed)
    }

    /// Changes the counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.inner().counts);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.inner().counts.clone()
    }

    /// The client has written call `number`.
    pub(crate) fn written(&self, number: usize) {
        let now = self.now();
        self.inner().entries[number].written = now;
    }

    /// Call `number` has reached the upstream. Returns the fault that it meets there.
    pub(crate) fn arrived(&self, number: usize) -> Option<Fault> {
        let mut inner = self.inner();
        inner.counts.requests += 1;
        let entry = &mut inner.entries[number];
        // The first call lists the tools: what may run twice is unknown if it fails.
        let fault = (number > 0)
            .then(|| Fault::draw(self.seed, number as u64, entry.attempts.into(), self.intensity))
            .flatten();
        entry.attempts = entry.attempts.saturating_add(1);
        if let Some(fault) = fault {
            entry.faults |= fault.bit();
            inner.counts.faults[fault as usize] += 1;
            inner.note(Some(number), format!("meets: {}", fault.words()));
        }
        fault
    }

    /// The upstream carries call `number` out.
    pub(crate) fn executed(&self, number: usize) {
        let mut inner = self.inner();
        let entry = &mut inner.entries[number];
        entry.executed = entry.executed.saturating_add(1);
        inner.note(Some(number), "is carried out".to_owned());
    }

    /// The upstream does not know the session that call `number` came in.
    pub(crate) fn session_lost(&self, number: usize) {
        let mut inner = self.inner();
        let entry = &mut inner.entries[number];
        entry.sessions_lost = entry.sessions_lost.saturating_add(1);
        inner.note(Some(number), "is told that its session is unknown".to_owned());
    }

    /// Something begins that hits whatever is under way; it ends with [`Ledger::calm`].
    pub(crate) fn disruption(&self, what: &str) -> usize {
        let now = self.now();
        let mut inner = self.inner();
        inner.note(None, what.to_owned());
        inner.disruptions.push((now, u32::MAX));
        inner.disruptions.len() - 1
    }

    pub(crate) fn calm(&self, disruption: usize) {
        let now = self.now();
        self.inner().disruptions[disruption].1 = now;
    }

    /// The client has got `answer`. Fails when a rule is broken.
    pub(crate) fn answered(&self, answer: &Answer<'_>) -> Result<()> {
        let Answer { number, .. } = *answer;
        let now = self.now();
        let kind = self.kind(number);
        let mut inner = self.inner();
        let entry = inner.entries.get(number).copied().unwrap_or_default();
        if entry.written == 0 {
            return Err(format!("an answer to call {number}, which was never made").into());
        }
        if entry.answered {
            return Err(format!("call {number} was answered twice").into());
        }
        inner.entries[number].answered = true;
        let broken = match (answer.result, &answer.error) {
            (Some(result), None) => {
                inner.counts.results += 1;
                if entry.faults != 0 || entry.sessions_lost > 0 || entry.attempts > 1 {
                    inner.counts.recovered += 1;
                }
                // Only the line breaks that the upstream put in may be gone.
                let is_pretty = entry.faults & Fault::Pretty.bit() != 0;
                let plain = result.replace(",  \"", ",\"");
                let right = calls::result(number, kind, self.seed);
                if result != right && !(is_pretty && plain == right) {
                    Some("its result is not the one that the upstream gave")
                } else if entry.executed == 0 {
                    Some("it has a result and was never carried out")
                } else {
                    None
                }
            }
            (None, Some(error)) => inner.judge(number, kind, error, now),
            _ => Some("its answer has not exactly one of result and error"),
        };
        let entry = &inner.entries[number];
        match broken {
            Some(why) => Err(format!("call {number}: {why}").into()),
            None if entry.executed > 1 && !kind.is_safe() => {
                Err(format!("call {number}: an unsafe tool ran {} times", entry.executed).into())
            }
            None => Ok(()),
        }
    }

    /// Holds what is left to the rules once the process has ended.
    pub(crate) fn settle(&self) -> Result<()> {
        let inner = self.inner();
        for (number, entry) in inner.entries.iter().enumerate() {
            let is_safe = self.kind(number).is_safe();
            let broken = if !entry.answered {
                "it was never answered"
            } else if entry.executed > 1 && !is_safe {
                "an unsafe tool ran more than once"
            } else if entry.executed > 0 && entry.promised_not_run {
                "it was carried out, and the client was not told that it may have been"
            } else {
                continue;
            };
            let why = format!("call {number}: {broken}");
            drop(inner);
            return Err(self.explain(&why));
        }
        Ok(())
    }

    /// The calls that are waited for, for a failure message.
    pub(crate) fn unanswered(&self) -> String {
        let inner = self.inner();
        let open = inner.entries.iter().enumerate();
        let open = open.filter(|(_, entry)| entry.written > 0 && !entry.answered);
        let open: Vec<_> = open.take(5).map(|(number, _)| format!("call {number}")).collect();
        open.join(", ")
    }

    /// Adds to `why`, which names a call, what is known of that call.
    pub(crate) fn explain(
        &self,
        why: &dyn std::fmt::Display,
    ) -> Box<dyn std::error::Error + Send + Sync> {
        let mut text = why.to_string();
        let words: Vec<_> = text.split_whitespace().collect();
        let after = words.iter().position(|word| *word == "call").and_then(|at| words.get(at + 1));
        let number: Option<usize> =
            after.and_then(|word| word.trim_end_matches([':', ',']).parse().ok());
        let inner = self.inner();
        let Some((number, entry)) = number.and_then(|at| Some((at, inner.entries.get(at)?))) else {
            return text.into();
        };
        text.push_str(&format!(
            "\n  asked: {}  written at {} ms, reached the upstream {} times, was carried out {} \
             times, lost its session {} times",
            calls::line(number, self.kind(number)),
            entry.written,
            entry.attempts,
            entry.executed,
            entry.sessions_lost
        ));
        for (of, note) in &inner.notes {
            match of {
                Some(of) if *of == number => text.push_str(&format!("\n  {note}")),
                Some(_) => {}
                None => text.push_str(&format!("\n  (meanwhile: {note})")),
            }
        }
        text.into()
    }

    fn now(&self) -> u32 {
        // 0 stands for never.
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX).max(1)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, number: Option<usize>, what: String) {
        if self.notes.len() == KEPT_NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back((number, what));
    }

    /// Which rule an error breaks, if any.
    fn judge(
        &mut self,
        number: usize,
        kind: Kind,
        error: &AnswerError<'_>,
        now: u32,
    ) -> Option<&'static str> {
        let entry = self.entries[number];
        let met = |class| {
            FAULTS
                .iter()
                .any(|(fault, _)| fault.class() == class && entry.faults & fault.bit() != 0)
        };
        let may_be_refused = met(Class::Final) || entry.sessions_lost > MAX_RECOVERIES;
        let disrupted =
            || self.disruptions.iter().any(|(from, to)| *from <= now && *to >= entry.written);
        self.notes.push_back((Some(number), format!("answered: {} {}", error.code, error.message)));
        if !error.is_ours {
            self.counts.own_errors += 1;
            let gave_one = entry.faults & (Fault::OwnError.bit() | Fault::NullId.bit()) != 0;
            // Its sessions were lost once too often: it gets what the upstream said to that.
            let gave_up = entry.sessions_lost > MAX_RECOVERIES;
            let is_made_up = !gave_one && !gave_up;
            return is_made_up.then_some("it got an error that the upstream never gave");
        }
        if error.may_have_run {
            self.counts.errors_may_have_run += 1;
        } else {
            self.counts.errors_final += 1;
            self.entries[number].promised_not_run = !kind.is_safe();
        }
        if kind.is_safe() {
            (!may_be_refused).then_some("lost, although it may be repeated")
        } else if !may_be_refused && !met(Class::Ambiguous) && !disrupted() {
            Some("lost, although nothing can have been done")
        } else {
            None
        }
    }
}
