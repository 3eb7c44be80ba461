//! Whether the upstream keeps its connections open after an answer.
//!
//! Some servers close each connection behind its answer without saying so. A request that is sent
//! on such a connection at that moment is lost, and nobody can tell whether it ran. So a request
//! that must not be sent twice goes on a kept connection only once one has been seen to carry two
//! answers, which the handshake shows with any normal server; until then it gets a connection of
//! its own. What may be sent twice is tried on kept connections, so that they can show it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::Response;
use tokio::time::Instant;

/// Connections that are remembered, by our own address. Few, because the system gives an address
/// again some day.
const REMEMBERED: usize = 8;

/// Time without trust after the second connection that broke before its answer, which is twice as
/// long after the next one, and so on. The first one costs nothing: any server restarts some day. A
/// restart with several calls in flight counts as several: new connections for a minute are cheaper
/// than calls that are lost.
const DISTRUST: Duration = Duration::from_mins(1);

/// The longest time without trust is so many times doubled.
const MAX_DOUBLINGS: u32 = 5;

/// A connection that broke longer ago than this counts no more.
const FORGIVEN_AFTER: Duration = Duration::from_hours(2);

/// What is known of the upstream's habit.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Whether an open connection may be used for what must not be lost.
    is_trusted: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Whether a connection has carried two answers.
    is_proven: bool,
    /// The latest connections that have carried one.
    answered: Vec<SocketAddr>,
    /// Connections that broke before the answer.
    broken: u32,
    /// When the latest one broke.
    broke: Option<Instant>,
}

impl Seen {
    fn is_distrusted(&self) -> bool {
        let Some(doublings) = self.broken.checked_sub(2) else { return false };
        let pause = DISTRUST * 2_u32.pow(doublings.min(MAX_DOUBLINGS));
        self.broke.is_some_and(|at| at.elapsed() < pause)
    }
}

impl Keeping {
    /// Whether a request that must not be sent twice may go on a connection that is open already.
    pub(super) fn is_trusted(&self) -> bool {
        if self.is_trusted.load(Ordering::Relaxed) {
            return true;
        }
        let seen = self.seen();
        let is_trusted = seen.is_proven && !seen.is_distrusted();
        self.is_trusted.store(is_trusted, Ordering::Relaxed);
        is_trusted
    }

    /// Takes note of an answer on a connection of the pool.
    pub(super) fn note_answer(&self, response: &Response) {
        if self.is_trusted.load(Ordering::Relaxed) {
            return;
        }
        if let Some(connection) = response.extensions().get::<HttpInfo>() {
            self.note_answer_at(connection.local_addr());
        }
    }

    fn note_answer_at(&self, connection: SocketAddr) {
        let mut seen = self.seen();
        if seen.is_proven || seen.answered.contains(&connection) {
            seen.is_proven = true;
            return;
        }
        if seen.answered.len() == REMEMBERED {
            seen.answered.remove(0);
        }
        seen.answered.push(connection);
    }

    /// Takes note of a connection of the pool that broke before the answer.
    pub(super) fn note_broken(&self) {
        // While there is no trust it makes no difference.
        if !self.is_trusted() {
            return;
        }
        self.is_trusted.store(false, Ordering::Relaxed);
        let mut seen = self.seen();
        if seen.broke.is_some_and(|at| at.elapsed() > FORGIVEN_AFTER) {
            seen.broken = 0;
        }
        seen.broken = seen.broken.saturating_add(1);
        seen.broke = Some(Instant::now());
        if seen.is_distrusted() {
            tracing::debug!("the upstream closes connections unannounced; using new ones");
        }
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven() -> Keeping {
        let keeping = Keeping::default();
        keeping.note_answer_at(connection(1));
        keeping.note_answer_at(connection(1));
        keeping
    }

    fn connection(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_trusted_once_one_has_carried_two_answers() {
        let keeping = Keeping::default();
        for port in 1..=100 {
            keeping.note_answer_at(connection(port));
            assert!(!keeping.is_trusted(), "{port}");
        }
        assert_eq!(keeping.seen().answered.len(), REMEMBERED);
        keeping.note_answer_at(connection(100));
        assert!(keeping.is_trusted());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_break_cost_the_trust_for_longer_and_longer() {
        let keeping = proven();
        keeping.note_broken();
        assert!(keeping.is_trusted(), "one may be chance");
        for doublings in 0..10 {
            for _ in 0..3 {
                keeping.note_broken();
                assert!(!keeping.is_trusted());
            }
            let pause = DISTRUST * 2_u32.pow(doublings.min(MAX_DOUBLINGS));
            tokio::time::advance(pause / 2).await;
            assert!(!keeping.is_trusted(), "{doublings}");
            tokio::time::advance(pause).await;
            assert!(keeping.is_trusted(), "{doublings}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_break_now_and_then_cost_nothing() {
        let keeping = proven();
        for round in 0..10 {
            tokio::time::advance(FORGIVEN_AFTER * 2).await;
            keeping.note_broken();
            assert!(keeping.is_trusted(), "{round}");
        }
    }
}
