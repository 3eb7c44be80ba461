//! Noticing that the platform starts a session for every call: it costs from a third of a second to
//! many seconds, and a setting of the publication spares it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::mcp::method;

/// A call that takes so long may have started a session: in a reused one, a list takes a few hundredths
/// of a second.
const SLOW: Duration = Duration::from_secs(1);

/// Slow calls in a row before anything is said. The first one after a pause is slow in any case.
const IN_A_ROW: u32 = 5;

/// Watches how long calls take outside of managed sessions.
#[derive(Default)]
pub(super) struct ReuseWatch(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    slow_in_a_row: u32,
    /// Whether one of them was something that takes no time by itself. A tool may be slow.
    has_quick: bool,
    has_told: bool,
}

impl ReuseWatch {
    /// Notes that `method` was answered after `elapsed`, and says once what to do when all calls are
    /// slow.
    pub(super) fn note(&self, method: &str, elapsed: Duration) {
        if self.is_news(method, elapsed) {
            tracing::info!(
                "each of the last {IN_A_ROW} calls took more than {} s, so the platform probably \
                 starts a session for each: set reuseSessions=\"autouse\" for the service in the \
                 publication's default.vrd, or keep a session by `--managed-sessions` (with \
                 reuseSessions=\"use\")",
                SLOW.as_secs()
            );
        }
    }

    fn is_news(&self, method: &str, elapsed: Duration) -> bool {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if elapsed < SLOW {
            (watched.slow_in_a_row, watched.has_quick) = (0, false);
            return false;
        }
        watched.slow_in_a_row += 1;
        watched.has_quick |= method != method::TOOLS_CALL;
        let is_news = watched.slow_in_a_row >= IN_A_ROW && watched.has_quick && !watched.has_told;
        watched.has_told |= is_news;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(calls: &[(&str, u64)]) -> usize {
        let watch = ReuseWatch::default();
        let is_news =
            |(method, millis): &&(&str, u64)| watch.is_news(method, Duration::from_millis(*millis));
        calls.iter().filter(is_news).count()
    }

    #[test]
    fn only_calls_that_are_all_slow_are_told_of_and_once() {
        let (list, call) = (("tools/list", 1500), ("tools/call", 4000));
        assert_eq!(told(&[list, call, call, call]), 0);
        assert_eq!(told(&[list, call, call, call, call, call, list]), 1);
        assert_eq!(told(&[call; 9]), 0, "a slow tool");
        assert_eq!(told(&[list, call, call, call, ("tools/list", 30), call, call]), 0);
    }
}
