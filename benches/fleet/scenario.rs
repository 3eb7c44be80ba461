//! What happens to the fleet.

use std::time::Duration;

/// How the lines are connected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Streamable HTTP with a standalone stream: the line notices at once that the stream is gone,
    /// and by the answer to its reopening that the session is.
    Streamable,
    /// HTTP+SSE: the stream is the session.
    HttpSse,
}

/// What the upstream does with what arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reception {
    /// The connection is refused.
    Refused,
    /// 503 with this `Retry-After`, the same for everybody.
    Later(Duration),
    Served,
}

/// One course of events. At 0 s every line loses its stream.
pub(crate) struct Scenario {
    pub(crate) what: &'static str,
    /// Drawn in the plot, under this title.
    pub(crate) title: Option<&'static str>,
    pub(crate) transport: Transport,
    /// What arrives before `back_at` meets.
    pub(crate) until_then: Reception,
    /// In seconds.
    pub(crate) back_at: f64,
    /// Whether the upstream still knows the sessions then.
    pub(crate) keeps_sessions: bool,
    /// How many sessions a second it can open once it is back; the others are told [`RETRY_AFTER`].
    pub(crate) openings_a_second: Option<usize>,
}

/// What an upstream tells those whom it cannot serve yet.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        what: "restart of 20 s, connections refused, Streamable HTTP",
        title: Some("The upstream is down for 20 s and refuses connections"),
        transport: Transport::Streamable,
        until_then: Reception::Refused,
        back_at: 20.0,
        keeps_sessions: false,
        openings_a_second: None,
    },
    Scenario {
        what: "the same, HTTP+SSE",
        title: None,
        transport: Transport::HttpSse,
        until_then: Reception::Refused,
        back_at: 20.0,
        keeps_sessions: false,
        openings_a_second: None,
    },
    Scenario {
        what: "20 s of 503 with `Retry-After: 5` for all, HTTP+SSE",
        title: Some("For 20 s everybody gets 503 with Retry-After: 5"),
        transport: Transport::HttpSse,
        until_then: Reception::Later(RETRY_AFTER),
        back_at: 20.0,
        keeps_sessions: false,
        openings_a_second: None,
    },
    Scenario {
        what: "restart of 20 s, then 400 new sessions a second, the others 503 with `Retry-After: 5`",
        title: None,
        transport: Transport::HttpSse,
        until_then: Reception::Refused,
        back_at: 20.0,
        keeps_sessions: false,
        openings_a_second: Some(400),
    },
    Scenario {
        what: "a proxy cuts all streams, Streamable HTTP",
        title: None,
        transport: Transport::Streamable,
        until_then: Reception::Served,
        back_at: 0.0,
        keeps_sessions: true,
        openings_a_second: None,
    },
    Scenario {
        what: "a proxy cuts all streams, HTTP+SSE",
        title: None,
        transport: Transport::HttpSse,
        until_then: Reception::Served,
        back_at: 0.0,
        keeps_sessions: false,
        openings_a_second: None,
    },
];
