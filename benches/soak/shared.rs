//! The state of the hostile upstream, which all of its connections share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::chance::draw;
use crate::ledger::Ledger;

/// Requests between two restarts, on average.
const REQUESTS_A_RESTART: u64 = 15_000;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) ledger: Arc<Ledger>,
    /// The only session that is known; 0 when there is none.
    pub(crate) session: AtomicU64,
    sessions: AtomicU64,
    requests: AtomicU64,
    restart_at: AtomicU64,
    pub(crate) restart: Notify,
    /// The ids under which calls wait for their streams to be resumed.
    resumable: Mutex<HashMap<usize, String>>,
}

impl Shared {
    /// The state of an upstream that nobody has connected to.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            session: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            restart_at: AtomicU64::new(REQUESTS_A_RESTART / 2),
            restart: Notify::new(),
            resumable: Mutex::default(),
        }
    }

    /// Begins a session and returns its number.
    pub(crate) fn begin_session(&self) -> u64 {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        self.session.store(session, Ordering::Relaxed);
        self.ledger.count(|counts| counts.sessions += 1);
        session
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn resumable(&self) -> MutexGuard<'_, HashMap<usize, String>> {
        self.resumable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count_request(&self) {
        let count = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.restart_at.load(Ordering::Relaxed) {
            let next = draw(self.ledger.seed, count, 22) % (2 * REQUESTS_A_RESTART);
            self.restart_at.store(count + 500 + next, Ordering::Relaxed);
            self.restart.notify_one();
        }
    }
}
