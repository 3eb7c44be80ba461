//! Wall-clock time, in which tokens end: it goes on while a machine sleeps, and other processes share it.

use std::time::{Duration, SystemTime};

fn unix_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    unix_now().as_secs()
}

/// Milliseconds since 1970.
pub(super) fn unix_millis() -> u64 {
    u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds as servers write them: as a number or as text.
pub(super) fn seconds_in(value: &serde_json::Value) -> Option<u64> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok().map(|life| life.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_as_servers_write_them() {
        let rows = [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("59.9", Some(59)),
            ("-1", None),
            ("\"soon\"", None),
            ("{}", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(seconds_in(&serde_json::from_str(text).unwrap()), seconds, "{text}");
        }
    }
}
