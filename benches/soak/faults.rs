//! What the upstream can do to a request, and what a relay owes the client all the same.

use crate::chance::draw;

macro_rules! faults {
    ($($name:ident $per_100_000:literal $class:ident $words:literal,)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Fault { $($name,)* }

        /// Every fault, with how many requests of 100,000 meet it at the
        /// least intensity.
        pub(crate) const FAULTS: &[(Fault, u64)] = &[$((Fault::$name, $per_100_000),)*];

        impl Fault {
            pub(crate) fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// The fault for people.
            pub(crate) fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

/// What a fault leaves possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Every call must end in its result.
    Recoverable,
    /// A call that must not run twice may end in an error; every other must end in its result.
    Ambiguous,
    /// Any call may end in an error.
    Final,
}

faults! {
    ResetBefore 90 Ambiguous "connection reset, the request not acted on",
    ResetAfter 90 Ambiguous "connection reset, the request carried out",
    Closed 60 Ambiguous "connection closed in order, without an answer",
    HalfHead 30 Ambiguous "closed in the middle of the answer's head",
    Truncated 90 Ambiguous "body shorter than its Content-Length",
    CutChunks 30 Ambiguous "chunked body without its end",
    BadGateway 90 Ambiguous "502 with a page",
    GatewayTimeout 30 Ambiguous "504",
    Hang 10 Ambiguous "no answer within --timeout",
    CutStream 60 Ambiguous "event stream cut, no event ids",
    EndedStream 40 Ambiguous "event stream ended without the answer, no event ids",
    Unavailable 120 Recoverable "503",
    UnavailableAfter 50 Recoverable "503 with Retry-After",
    TooMany 40 Recoverable "429 with Retry-After",
    Forgotten 4 Recoverable "session forgotten, 404",
    ForgottenAs400 2 Recoverable "session forgotten, 400 that names it",
    Slow 150 Recoverable "slow answer",
    Drip 40 Recoverable "answer in small pieces",
    CutResumable 120 Recoverable "event stream cut, event ids",
    EndedResumable 60 Recoverable "event stream ended without the answer, event ids",
    TwiceInStream 80 Recoverable "answered twice in an event stream",
    TwiceInBatch 30 Recoverable "answered twice in a batch",
    Foreign 60 Recoverable "another call's answer before its own",
    Flood 40 Recoverable "50 notifications and a question before the answer",
    BadEvents 40 Recoverable "events that are no JSON-RPC before the answer",
    Pretty 60 Recoverable "BOM and line breaks within the JSON",
    WrongId 30 Final "answer with another call's id",
    NullId 20 Final "error with the id null",
    OwnError 60 Final "JSON-RPC error",
    Html 40 Final "HTML with 200",
    Empty 20 Final "empty body with 200",
    CutJson 20 Final "JSON cut short in a whole body",
    NotUtf8 15 Final "JSON that is not UTF-8",
}

impl Fault {
    pub(crate) fn bit(self) -> u64 {
        1 << self as u8
    }

    /// Whether the upstream does what it is asked all the same.
    pub(crate) fn is_carried_out(self, dice: u64) -> bool {
        match self {
            Self::ResetBefore
            | Self::Unavailable
            | Self::UnavailableAfter
            | Self::TooMany
            | Self::Forgotten
            | Self::ForgottenAs400
            | Self::OwnError
            | Self::NullId => false,
            Self::BadGateway | Self::GatewayTimeout | Self::Hang | Self::Closed => {
                dice.is_multiple_of(2)
            }
            _ => true,
        }
    }

    /// What the `attempt`-th sending of call `number` meets.
    pub(crate) fn draw(seed: u64, number: u64, attempt: u64, intensity: u64) -> Option<Self> {
        let mut at = draw(seed, number, 100 + attempt) % (100_000 / intensity);
        FAULTS.iter().find_map(|&(fault, weight)| match at.checked_sub(weight) {
            None => Some(fault),
            Some(rest) => {
                at = rest;
                None
            }
        })
    }
}
