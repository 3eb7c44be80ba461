//! The two ends that a test holds: [`Line`] drives the built binary as an MCP client would, an
//! [`Upstream`] stands in for the server and misbehaves on demand.

pub(crate) mod amocrm;
mod authority;
pub(crate) mod bitrix;
pub(crate) mod board;
mod browser;
mod exchange;
pub(crate) mod home;
mod http;
mod http_sse;
mod json;
mod line;
mod mcp;
mod message;
pub(crate) mod neighbour;
mod onec;
mod onec_own;
mod script;
mod signing;
mod streamable;
mod tls;
mod upstream;

use std::thread;
use std::time::Duration;

pub(crate) use self::amocrm::Amocrm;
pub(crate) use self::authority::{Authority, Rules};
pub(crate) use self::bitrix::{Bitrix, Rpc};
pub(crate) use self::browser::{address_in, get, sign_in as sign_in_at};
pub(crate) use self::exchange::{Answered, Event, Events, Exchange};
pub(crate) use self::http::{Reply, Request};
pub(crate) use self::http_sse::{AnswerIn, HttpSse};
pub(crate) use self::json::spaced;
pub(crate) use self::line::{Ended, Line, Output, Setup};
pub(crate) use self::message::{
    INITIALIZE, INITIALIZED, Message, call, initialize_result, notification, request,
};
pub(crate) use self::onec::{Generation, Onec, Reuse, Sessions, manifest, pages, whole_manifest};
pub(crate) use self::onec_own::Own;
pub(crate) use self::script::{after_handshake, handshake};
pub(crate) use self::signing::{address, line_to, signed_in};
pub(crate) use self::streamable::Streamable;
pub(crate) use self::tls::{TlsServer, serve_tls};
pub(crate) use self::upstream::Upstream;

/// How long a test waits for what it was promised before it fails. Nothing is timed by it: a
/// passing test never uses it up.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A bound on what takes a second or two, for tests in which the wrong behaviour takes 50 s or more:
/// a machine that is busy with other work must not fail them.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Checks the rows of a table at the same time, each in a thread of its own: most of what a row
/// takes is waiting. Each must have an upstream and a line of its own.
pub(crate) fn at_once<T: Send>(rows: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            let check = &check;
            scope.spawn(move || check(row));
        }
    });
}
