//! What happened on the way to the upstream, for a command that explains it to a person.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER, WWW_AUTHENTICATE};

use super::challenge::{challenges, distinct_schemes};

/// Where the metadata of a protected resource is (RFC 9728 section 5.1).
const RESOURCE_METADATA: &str = "resource_metadata";

/// The requests that were sent, in the order of their answers.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Entry>>);

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) method: String,
    /// The URL as it may be shown.
    pub(crate) url: Arc<str>,
    pub(crate) elapsed: Duration,
    pub(crate) met: Met,
}

/// What a request has met.
#[derive(Debug, Clone)]
pub(crate) enum Met {
    /// An answer.
    Head(Head),
    /// Nothing: it came so far and no further.
    Failure(Stage),
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    /// What the server says that it is.
    pub(crate) server: Option<String>,
    /// The schemes by which it wants a login.
    pub(crate) schemes: Vec<String>,
    /// The metadata for a login by OAuth that it names.
    pub(crate) resource_metadata: Option<String>,
    /// What it wants of a login, as it says it.
    pub(crate) challenges: Vec<HeaderValue>,
    /// By how much this machine's clock is ahead of the server's.
    pub(crate) clock: Option<ClockDifference>,
}

/// How far the clock of this machine is from that of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockDifference {
    Ahead(Duration),
    Behind(Duration),
}

impl ClockDifference {
    /// The difference between `now` here and `date`, a server's `Date`.
    fn between(now: SystemTime, date: &str) -> Option<Self> {
        let theirs = httpdate::parse_http_date(date).ok()?;
        Some(match now.duration_since(theirs) {
            Ok(ahead) => Self::Ahead(ahead),
            Err(behind) => Self::Behind(behind.duration()),
        })
    }

    /// How large it is.
    pub(crate) fn size(self) -> Duration {
        let (Self::Ahead(size) | Self::Behind(size)) = self;
        size
    }
}

/// How far a request that got no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The host's name is not known.
    Name,
    /// The proxy is not there, or refuses.
    Proxy,
    /// There is no connection.
    Connection,
    /// The port speaks another protocol, or the certificate is not trusted, or one of us is not.
    Tls,
    /// The answer did not come.
    Answer,
}

impl Journal {
    pub(super) fn note(&self, entry: Entry) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// The entries so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Head {
    pub(super) fn of(response: &Response) -> Self {
        let headers = response.headers();
        let text = |name: &HeaderName| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let challenges = challenges(headers, &WWW_AUTHENTICATE);
        let mut metadata =
            challenges.iter().filter_map(|challenge| challenge.param(RESOURCE_METADATA));
        Self {
            status: response.status().as_u16(),
            content_type: text(&CONTENT_TYPE),
            server: text(&SERVER),
            resource_metadata: metadata.next().map(str::to_owned),
            schemes: distinct_schemes(challenges),
            challenges: headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect(),
            clock: text(&DATE).and_then(|date| ClockDifference::between(SystemTime::now(), &date)),
        }
    }
}
