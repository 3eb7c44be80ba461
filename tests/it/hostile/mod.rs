//! The proof against hostile upstreams: tables of what an upstream may do to one message, and one
//! harness that holds every row to the same promises.
//!
//! A row is a [`Fault`]: a name, what is promised about it (its [`Class`]), and what the upstream
//! does. [`table::Table::prove`] tries each row with every kind of message in [`Sent`], all of them at once
//! in one process, and checks that every request is answered exactly once and in time, that
//! notifications are silent, that stdout carries nothing else, that what must not happen twice does
//! not, and that the process goes on. A new row is a line or two in the table of its theme.

mod answers;
mod authority;
mod connections;
mod flood;
mod recovery;
mod redirects;
mod repeat;
mod retry;
mod secrets;
mod sign_in;
#[cfg(target_os = "linux")]
mod slow_client;
mod start;
mod table;
mod terminal;
mod time;
mod wire;

use std::sync::Arc;

use self::Class::{Acted, Ambiguous, Final, Good, Rejected, SomeError, Theirs};
use self::table::{Happens, table};
use crate::support::{Answered, Exchange, Message, Reply, request};

/// What the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// A call of a tool that must not run twice.
    Write,
    /// A call of a tool with `readOnlyHint`.
    Read,
    /// A call of a tool with `idempotentHint`.
    Set,
    /// A listing.
    List,
    Notification,
}

const ALL: [Sent; 5] = [Sent::Write, Sent::Read, Sent::Set, Sent::List, Sent::Notification];
const REQUESTS: [Sent; 4] = [Sent::Write, Sent::Read, Sent::Set, Sent::List];

const TOOLS: &str = r#"{"tools":[
    {"name":"write","inputSchema":{"type":"object"}},
    {"name":"read","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},
    {"name":"set","inputSchema":{"type":"object"},"annotations":{"idempotentHint":true}}]}"#;

impl Sent {
    /// The line with this id; a notification carries the number all the same, in `_meta`.
    fn line(self, id: usize) -> String {
        let meta = format!(r#""_meta":{{"row":{id}}}"#);
        let tool = match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Set => "set",
            Self::List => return request(id, "resources/list", &format!("{{{meta}}}")),
            Self::Notification => {
                return format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{{{meta}}}}}"#
                );
            }
        };
        request(id, "tools/call", &format!(r#"{{"name":"{tool}","arguments":{{}},{meta}}}"#))
    }

    /// Whether doing it twice does no harm.
    fn is_safe(self) -> bool {
        matches!(self, Self::Read | Self::Set | Self::List)
    }
}

/// What is promised for a fault. The number is the code of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It is an answer all the same.
    Good,
    /// Nothing was done: every message is tried again.
    Rejected(i64),
    /// It may have been done: tried again only where that does no harm.
    Ambiguous(i64),
    /// Never tried again; nothing was done.
    Final(i64),
    /// Never tried again, and it may have been done.
    Acted(i64),
    /// The upstream's own error, passed as it is.
    Theirs(i64),
    /// A valid JSON-RPC error, ours or the upstream's.
    SomeError,
}

type Act = Arc<dyn Fn(&mut Exchange<'_>) -> Answered + Send + Sync>;

struct Fault {
    name: String,
    class: Class,
    act: Act,
}

fn fault(
    name: impl Into<String>,
    class: Class,
    act: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> Fault {
    Fault { name: name.into(), class, act: Arc::new(act) }
}

/// A fault that is a whole HTTP answer.
fn replies(name: impl Into<String>, class: Class, reply: Reply) -> Fault {
    fault(name, class, move |exchange| exchange.send(&reply))
}

/// A fault that is some bytes and the end of the connection.
fn cut(name: impl Into<String>, class: Class, bytes: impl Into<Vec<u8>>) -> Fault {
    let bytes = bytes.into();
    fault(name, class, move |exchange| exchange.raw_and_close(&bytes))
}

/// The result of a good answer; the number would not survive being read and written again.
const RESULT: &str = r#"{"done":1.0}"#;

/// The id to answer with: a notification has none.
fn id_of(exchange: &Exchange<'_>) -> String {
    let rpc = exchange.rpc();
    if rpc.is_request() { rpc.id().to_owned() } else { "null".to_owned() }
}

/// A good response.
fn answer_of(exchange: &Exchange<'_>) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{RESULT}}}"#, id_of(exchange))
}

/// Answers with JSON in which `ID` stands for the id of the request and `ANSWER` for a good
/// response.
fn filled(exchange: &Exchange<'_>, template: &str) -> String {
    template.replace("ANSWER", &answer_of(exchange)).replace("ID", &id_of(exchange))
}

/// Whether this is the good answer, number and all.
fn is_good(reply: &Message) {
    let packed: String = reply.raw_result().split_ascii_whitespace().collect();
    assert_eq!(packed, RESULT, "{reply}");
}

/// Whether this is an error of ours with all that is promised: cause, origin, whether the call may
/// have run, how often it was tried and for how long.
fn is_told(reply: &Message, code: i64, may_have_run: bool, tried: usize) {
    let data = reply.failure(code);
    let text = reply.error_text();
    assert_eq!(data["mayHaveRun"] == true, may_have_run, "{reply}");
    assert_eq!(text.contains("may have been carried out"), may_have_run, "{reply}");
    assert_eq!(data["attempts"], tried, "the upstream saw {tried}: {reply}");
    let named = text.contains(&format!("(tried {tried} times in "));
    assert_eq!(named, tried > 1, "{reply}");
}
