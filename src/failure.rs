//! What can go wrong with an upstream, and the JSON-RPC error that the client gets for it.
//!
//! A [`Failure`] is classed once, where it is found; whether it is retried and what the person
//! reads both follow from that.

use std::time::Duration;

use serde::Serialize;

use crate::hint::{Hint, Readers};
use crate::jsonrpc::{ErrorObject, Response};
use crate::redact::Secrets;

/// What is known of whether the upstream acted on a message; decides whether it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing was sent: name lookup, refused connection, broken TLS handshake.
    NotSent,
    /// The upstream refused it before acting on it, and may accept it later.
    Rejected,
    /// As [`Class::Rejected`]: its session is gone.
    SessionLost,
    /// As [`Class::SessionLost`], because of the form that the message came in: a new session gives it
    /// another one, and that is the first attempt which counts.
    WrongForm,
    /// It was sent, and nobody can tell whether the upstream acted on it.
    Ambiguous,
    /// The upstream answered, and another attempt would change nothing.
    Final,
}

impl Class {
    /// Whether the session is of no use any more.
    pub fn ends_session(self) -> bool {
        matches!(self, Self::SessionLost | Self::WrongForm)
    }
}

/// The errors that we make ourselves, each with its own code.
///
/// JSON-RPC reserves −32768 to −32000, and revision 2026-07-28 asks implementations not to invent
/// codes in there, so ours start below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection: the message was not sent.
    Unreachable,
    /// The connection broke after sending; the answer is lost.
    Interrupted,
    /// The upstream refused with an HTTP status.
    Refused,
    /// The upstream's answer cannot be used.
    Unusable,
    /// The upstream wants other credentials (401, 403).
    Unauthorised,
    /// A person has to sign in.
    SignIn,
    /// A time limit of ours ran out.
    TimedOut,
    /// Too many requests are waiting already.
    Busy,
    /// This process is ending.
    Stopping,
    /// A message exceeds `--max-message`.
    TooLarge,
    /// The service limits how often it may be asked (429, or the service's own words for it).
    RateLimited,
}

impl Cause {
    /// The JSON-RPC error code.
    pub fn code(self) -> i64 {
        match self {
            Self::Unreachable => -33001,
            Self::Interrupted => -33002,
            Self::Refused => -33003,
            Self::Unusable => -33004,
            Self::Unauthorised => -33005,
            Self::TimedOut => -33006,
            Self::Busy => -33007,
            Self::Stopping => -33008,
            Self::TooLarge => -33009,
            Self::RateLimited => -33010,
            Self::SignIn => -33011,
        }
    }

    /// `data.kind`: the cause for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::Unauthorised => "unauthorised",
            Self::TimedOut => "timeout",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::SignIn => "sign_in",
        }
    }
}

/// One failed attempt to get an answer from the upstream.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What may be done about it; changes only by [`Failure::reclassed`].
    class: Class,
    /// What the client is told.
    pub cause: Cause,
    /// What failed, against which URL, and what the upstream said: a sentence without its period.
    pub what: String,
    /// What a person can do about it: sentences.
    /// Boxed: failures are passed on by value.
    pub hint: Option<Box<Hint>>,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// How long the upstream asked us to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// The least wait before the second attempt; twice as long before the third, and so on: for
    /// conditions that are known to take their time.
    pub pace: Option<Duration>,
    /// Whether the answer is a page of 1C:Enterprise itself: its services are elsewhere below the URL.
    pub shows_onec: bool,
    /// Whether it is certain that the call itself has not run: a step before it failed, or the
    /// upstream says that it refused before any handler ran.
    pub never_ran: bool,
    /// The upstream's own answer, usually a JSON-RPC error: the client gets it instead of our error.
    pub answer: Option<Box<Response>>,
    /// Where a person has to sign in before another attempt is of use.
    pub sign_in_url: Option<Box<str>>,
}

impl Failure {
    /// A failure with its class, cause and description, and nothing else.
    pub fn new(class: Class, cause: Cause, what: impl Into<String>) -> Self {
        Self {
            class,
            cause,
            what: what.into(),
            hint: None,
            status: None,
            retry_after: None,
            pace: None,
            shows_onec: false,
            never_ran: false,
            answer: None,
            sign_in_url: None,
        }
    }

    /// What may be done about it.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The failure with another class, for a caller that knows more than the rule that classed it:
    /// `why` says what.
    #[must_use]
    pub fn reclassed(mut self, class: Class, why: &'static str) -> Self {
        if class != self.class {
            tracing::debug!("{:?} counts as {class:?}: {why}", self.class);
            self.class = class;
        }
        self
    }

    /// The failure as one that is not tried again, although its class would allow that: `why` says
    /// what must not happen twice.
    #[must_use]
    pub fn settled(self, why: &'static str) -> Self {
        match self.class {
            Class::NotSent | Class::Rejected | Class::SessionLost | Class::WrongForm => {
                self.reclassed(Class::Final, why)
            }
            Class::Ambiguous | Class::Final => self,
        }
    }

    /// The failure of a step before the call, which was then not sent.
    #[must_use]
    pub fn before_call(mut self) -> Self {
        self.never_ran = true;
        match self.class {
            Class::Ambiguous => self.reclassed(Class::NotSent, "the call itself was not sent"),
            _ => self,
        }
    }

    /// Adds what a person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(Box::new(hint.into()));
        self
    }

    /// The least wait before the attempt that follows `attempts` failed ones.
    pub fn wait_after(&self, attempts: u32) -> Duration {
        let paced = self.pace.unwrap_or_default().saturating_mul(attempts);
        paced.max(self.retry_after.unwrap_or_default())
    }

    /// The failure as one sentence for the log.
    pub fn summary(&self) -> &str {
        &self.what
    }

    /// The error object for the client.
    pub fn to_error(&self, attempts: &Attempts<'_>) -> ErrorObject {
        // The upstream has acted if it has answered, even if we cannot use the answer.
        let has_or_may_have = self.class == Class::Ambiguous
            || matches!(self.cause, Cause::Unusable | Cause::TooLarge)
            // The upstream broke while it was at work.
            || self.class == Class::Final && self.status == Some(500);
        let may_have_run =
            has_or_may_have && !self.never_ran && attempts.count > 0 && attempts.may_have_run;
        let mut message = self.what.clone();
        if attempts.count > 1 {
            let seconds = attempts.elapsed.as_secs_f64();
            message.push_str(&format!(" (tried {} times in {seconds:.1} s)", attempts.count));
        }
        if !message.ends_with(['.', '!', '?', '…']) {
            message.push('.');
        }
        if may_have_run {
            message.push_str(
                " The call may have been carried out all the same: check before you repeat it.",
            );
        }
        let hint = self.hint.as_ref().map(|hint| hint.text(attempts.readers, &self.what));
        if let Some(hint) = hint {
            message.push(' ');
            message.push_str(hint);
        }
        let message = attempts.secrets.redact(&message).replace(char::is_control, " ");
        // Field by field: in serialized text a secret may be escaped, or collide with the syntax.
        let hint = hint.map(|hint| attempts.secrets.redact(hint));
        let data = ErrorData {
            source: "mcpline",
            kind: self.cause.name(),
            url: &attempts.secrets.redact(attempts.url),
            http_status: self.status,
            attempts: attempts.count,
            elapsed_ms: u64::try_from(attempts.elapsed.as_millis()).unwrap_or(u64::MAX),
            may_have_run: may_have_run.then_some(true),
            hint: hint.as_deref(),
            sign_in_url: self.sign_in_url.as_deref(),
        };
        let data = serde_json::value::to_raw_value(&data).ok();
        ErrorObject { code: self.cause.code(), message, data }
    }
}

/// What was tried before giving up, for [`Failure::to_error`].
#[derive(Debug)]
pub struct Attempts<'a> {
    /// The upstream's URL as it may be shown.
    pub url: &'a str,
    /// The number of attempts; 0 when there was none.
    pub count: u32,
    /// The time since the client's request was read.
    pub elapsed: Duration,
    /// Whether the request was sent and could do something twice if it were repeated.
    pub may_have_run: bool,
    /// What must not be shown.
    pub secrets: &'a Secrets,
    /// Who is told.
    pub readers: Readers,
}

/// `error.data` of the errors that we make: one object for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorData<'a> {
    source: &'static str,
    kind: &'static str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    attempts: u32,
    elapsed_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_have_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in_url: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(secrets: &Secrets, may_have_run: bool) -> Attempts<'_> {
        Attempts {
            url: "http://host/mcp",
            count: 3,
            elapsed: Duration::from_millis(1500),
            may_have_run,
            secrets,
            readers: Readers::OfEnglish,
        }
    }

    #[test]
    fn an_error_stands_alone_and_hides_secrets() {
        let secrets = Secrets::default();
        secrets.add("hunter22");
        let failure = Failure::new(
            Class::Ambiguous,
            Cause::Interrupted,
            "http://host/mcp broke\u{1b}[31m hunter22",
        )
        .hint("Look at hunter22.");
        let error = failure.to_error(&attempts(&secrets, true));
        assert_eq!(error.code, -33002);
        assert_eq!(
            error.message,
            "http://host/mcp broke [31m *** (tried 3 times in 1.5 s). The call may have been \
             carried out all the same: check before you repeat it. Look at ***."
        );
        assert_eq!(
            error.data.unwrap().get(),
            "{\"source\":\"mcpline\",\"kind\":\"interrupted\",\"url\":\"http://host/mcp\",\
             \"attempts\":3,\"elapsedMs\":1500,\"mayHaveRun\":true,\"hint\":\"Look at ***.\"}"
        );
    }

    #[test]
    fn only_an_unsafe_request_may_have_run() {
        let failure = Failure::new(Class::Ambiguous, Cause::Interrupted, "x");
        let error = failure.to_error(&attempts(&Secrets::default(), false));
        assert!(!error.data.unwrap().get().contains("mayHaveRun"));
    }

    #[test]
    fn a_call_whose_first_step_failed_has_not_run() {
        for (class, cause, after) in [
            (Class::Ambiguous, Cause::Interrupted, Class::NotSent),
            (Class::Final, Cause::Unusable, Class::Final),
            (Class::Rejected, Cause::Refused, Class::Rejected),
        ] {
            let failure = Failure::new(class, cause, "x").before_call();
            assert_eq!(failure.class(), after);
            let error = failure.to_error(&attempts(&Secrets::default(), true));
            assert!(!error.data.unwrap().get().contains("mayHaveRun"), "{class:?}");
        }
    }
}
