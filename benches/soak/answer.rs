//! What the upstream sends: the right answer, or what a fault makes of it.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::calls;
use crate::chance::draw;
use crate::faults::Fault;
use crate::shared::Shared;
use crate::wire::{
    After, EVENT_STREAM, STREAM_HEAD, chunks, close_or_reset, drip, empty, event, events, head,
    json, refuse_for, whole, write_chunk,
};

/// Longer than the driver's `--timeout`.
const HANG: Duration = Duration::from_millis(3500);

/// The call that is answered.
#[derive(Clone, Copy)]
pub(crate) struct To<'a> {
    pub(crate) number: usize,
    /// The id as it came here.
    pub(crate) id: &'a str,
}

const PAGE: &str = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\
    <body><h1>Bad Gateway</h1><hr>nginx</body></html>";

/// Answers a call, or does not.
pub(crate) async fn call(stream: &mut TcpStream, shared: &Shared, to: To<'_>) -> io::Result<After> {
    let ledger = &shared.ledger;
    let To { number, id } = to;
    let fault = ledger.arrived(number);
    let dice = draw(ledger.seed, number as u64, 3);
    let result = calls::result(number, ledger.kind(number), ledger.seed);
    let right = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let Some(fault) = fault else {
        ledger.executed(number);
        return match dice % 20 {
            0..3 => events(stream, &[&right], dice / 20).await,
            3 => chunks(stream, "application/json", &[right.as_bytes()], true).await,
            _ => json(stream, &right).await,
        };
    };
    if fault.is_carried_out(dice) {
        ledger.executed(number);
    }
    match fault {
        Fault::ResetBefore
        | Fault::ResetAfter
        | Fault::Closed
        | Fault::HalfHead
        | Fault::Truncated
        | Fault::CutChunks
        | Fault::Hang => break_off(stream, fault, &right, dice).await,
        Fault::BadGateway => whole(stream, "502 Bad Gateway", "text/html", PAGE.as_bytes()).await,
        Fault::GatewayTimeout => whole(stream, "504 Gateway Timeout", "text/html", b"").await,
        Fault::Unavailable => whole(stream, "503 Service Unavailable", "text/plain", b"").await,
        Fault::UnavailableAfter => {
            refuse_for(stream, "503 Service Unavailable", dice / 2 % 2).await
        }
        Fault::TooMany => refuse_for(stream, "429 Too Many Requests", dice / 2 % 2).await,
        Fault::Forgotten | Fault::ForgottenAs400 => {
            forget(shared);
            ledger.session_lost(number);
            unknown_session(stream, fault == Fault::ForgottenAs400).await
        }
        Fault::Slow => {
            tokio::time::sleep(Duration::from_millis(20 + dice % 250)).await;
            json(stream, &right).await
        }
        Fault::Drip => drip(stream, &right).await,
        Fault::Pretty | Fault::TwiceInBatch => {
            let odd = match fault {
                Fault::Pretty => right.replace(",\"", ",\r\n  \"").replacen('{', "\u{feff}{\n", 1),
                _ => format!("[{right},{right}]"),
            };
            json(stream, &odd).await
        }
        Fault::WrongId
        | Fault::NullId
        | Fault::OwnError
        | Fault::Html
        | Fault::Empty
        | Fault::CutJson
        | Fault::NotUtf8 => useless(stream, fault, to, right).await,
        Fault::TwiceInStream | Fault::Foreign | Fault::BadEvents | Fault::Flood => {
            if fault == Fault::Flood {
                ledger.count(|counts| counts.questions += 1);
            }
            crowded(stream, fault, number, right, dice).await
        }
        Fault::CutStream | Fault::EndedStream => {
            let notice = event(None, &notice(number, "soon"), dice);
            let is_whole = fault == Fault::EndedStream;
            chunks(stream, EVENT_STREAM, &[notice.as_bytes()], is_whole).await?;
            Ok(if is_whole { After::Keep } else { close_or_reset(dice) })
        }
        Fault::CutResumable | Fault::EndedResumable => {
            shared.resumable().insert(number, id.to_owned());
            let first =
                event(Some((number, 1)), "", dice).replacen("data:", "retry: 100\ndata:", 1);
            let is_whole = fault == Fault::EndedResumable;
            chunks(stream, EVENT_STREAM, &[first.as_bytes()], is_whole).await?;
            Ok(if is_whole { After::Keep } else { close_or_reset(dice) })
        }
    }
}

/// Ends the connection somewhere before the end of the answer.
async fn break_off(
    stream: &mut TcpStream,
    fault: Fault,
    right: &str,
    dice: u64,
) -> io::Result<After> {
    match fault {
        Fault::Closed => return Ok(After::Close),
        Fault::Hang => {
            tokio::time::sleep(HANG).await;
            return Ok(After::Close);
        }
        Fault::HalfHead => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Ty").await?,
        Fault::Truncated => {
            let head = head("200 OK", "application/json", right.len());
            stream.write_all(head.as_bytes()).await?;
            let part = usize::try_from(dice % right.len() as u64).unwrap_or_default();
            stream.write_all(&right.as_bytes()[..part]).await?;
        }
        Fault::CutChunks => {
            chunks(stream, "application/json", &[right.as_bytes()], false).await?;
        }
        _ => return Ok(After::Reset),
    }
    Ok(close_or_reset(dice))
}

/// Answers with something that is no use to the caller, or with an error.
async fn useless(
    stream: &mut TcpStream,
    fault: Fault,
    To { number, id }: To<'_>,
    right: String,
) -> io::Result<After> {
    match fault {
        Fault::WrongId => json(stream, &foreign(number + 3)).await,
        Fault::OwnError => {
            let error = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32050,"message":"refused","data":[{number}]}}}}"#
            );
            json(stream, &error).await
        }
        Fault::NullId => {
            let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}"#;
            json(stream, error).await
        }
        Fault::Empty => whole(stream, "200 OK", "application/json", b"").await,
        Fault::CutJson => json(stream, &right[..right.len() - 2]).await,
        Fault::NotUtf8 => {
            let mut bytes = right.into_bytes();
            // Into the last string of the message.
            let at = memchr::memmem::rfind(&bytes, b"_meta").unwrap_or(0);
            bytes[at] = 0xff;
            whole(stream, "200 OK", "application/json", &bytes).await
        }
        _ => whole(stream, "200 OK", "text/html", PAGE.as_bytes()).await,
    }
}

/// Answers rightly, with other things before it or after.
async fn crowded(
    stream: &mut TcpStream,
    fault: Fault,
    number: usize,
    right: String,
    dice: u64,
) -> io::Result<After> {
    let mut messages = match fault {
        Fault::TwiceInStream => vec![right.clone()],
        Fault::Foreign => vec![foreign(number + 1), foreign(number + 2)],
        Fault::BadEvents => ["what?", r#"{"jsonrpc":"2.0"}"#, r#"{"jsonrpc":"2.0","id":"#, "[]"]
            .map(str::to_owned)
            .to_vec(),
        _ => vec![notice(number, "x".repeat(200).as_str()); 50],
    };
    if fault == Fault::Flood {
        messages.push(format!(r#"{{"jsonrpc":"2.0","id":"q-{number}","method":"ping"}}"#));
    }
    messages.push(right);
    let messages: Vec<_> = messages.iter().map(String::as_str).collect();
    if fault == Fault::Foreign && dice.is_multiple_of(2) {
        return json(stream, &format!("[{}]", messages.join(","))).await;
    }
    events(stream, &messages, dice / 2).await
}

/// Answers `initialize`, every fifth time only after a fault.
pub(crate) async fn initialize(
    stream: &mut TcpStream,
    shared: &Shared,
    id: &str,
) -> io::Result<After> {
    let dice = draw(shared.ledger.seed, shared.requests(), 4);
    match dice % 30 {
        0 => return Ok(After::Reset),
        1 => return whole(stream, "503 Service Unavailable", "text/plain", b"").await,
        2 => return whole(stream, "502 Bad Gateway", "text/html", PAGE.as_bytes()).await,
        3 => return refuse_for(stream, "503 Service Unavailable", 1).await,
        4 => tokio::time::sleep(Duration::from_millis(100)).await,
        _ => {}
    }
    let session = shared.begin_session();
    if dice % 30 == 5 {
        // A session that nobody will ever use.
        return Ok(After::Reset);
    }
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2025-06-18","capabilities":{{"tools":{{"listChanged":true}},"prompts":{{}},"resources":{{}}}},"serverInfo":{{"name":"soak","version":"1"}}}}}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: soak-{session}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(After::Keep)
}

/// Takes a notification: as it should be, or with an answer that nobody asked for.
pub(crate) async fn notification(stream: &mut TcpStream, shared: &Shared) -> io::Result<After> {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"unknown"}}"#;
    match draw(shared.ledger.seed, shared.requests(), 5) % 40 {
        0 => json(stream, error).await,
        1 => events(stream, &[error, &foreign(1)], 0).await,
        2 => whole(stream, "500 Internal Server Error", "text/html", PAGE.as_bytes()).await,
        3 => whole(stream, "503 Service Unavailable", "text/plain", b"").await,
        4 => Ok(After::Reset),
        _ => empty(stream, "202 Accepted").await,
    }
}

/// Answers a GET: resumes the stream of call `of` after that step, or says things that concern
/// nobody until the stream breaks off.
pub(crate) async fn stream(
    stream: &mut TcpStream,
    shared: &Shared,
    of: Option<(usize, u64)>,
) -> io::Result<After> {
    let ledger = &shared.ledger;
    if let Some((number, step)) = of {
        let Some(id) = shared.resumable().get(&number).cloned() else {
            return empty(stream, "400 Bad Request").await;
        };
        ledger.count(|counts| counts.resumptions += 1);
        let dice = draw(ledger.seed, number as u64, 30 + step);
        if dice.is_multiple_of(4) {
            let more = event(Some((number, step + 1)), "", dice / 4);
            chunks(stream, EVENT_STREAM, &[more.as_bytes()], false).await?;
            return Ok(close_or_reset(dice / 4));
        }
        let result = calls::result(number, ledger.kind(number), ledger.seed);
        let right = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        let last = event(Some((number, step + 1)), &right, dice / 4);
        return chunks(stream, EVENT_STREAM, &[last.as_bytes()], true).await;
    }
    let dice = draw(ledger.seed, shared.requests(), 6);
    stream.write_all(STREAM_HEAD.as_bytes()).await?;
    for turn in 0..5 + dice % 20 {
        // Some servers send everybody's answers to everybody.
        let other = foreign(usize::try_from(dice % 1000 + turn).unwrap_or_default());
        let message = if turn % 4 == 0 { other } else { notice(0, "news") };
        write_chunk(stream, event(None, &message, dice).as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(50 + dice % 100)).await;
    }
    Ok(close_or_reset(dice))
}

/// Forgets the session, which hits whatever waits to be resumed in it.
fn forget(shared: &Shared) {
    shared.session.store(0, Ordering::Relaxed);
    let disruption = shared.ledger.disruption("the upstream forgets its session");
    let ledger = shared.ledger.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        ledger.calm(disruption);
    });
}

/// Says that the session is unknown, in one of the two ways in use.
pub(crate) async fn unknown_session(stream: &mut TcpStream, as_400: bool) -> io::Result<After> {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: unknown session id"}}"#;
    let status = if as_400 { "400 Bad Request" } else { "404 Not Found" };
    whole(stream, status, "application/json", error.as_bytes()).await
}

/// An answer to another call than the one in hand.
fn foreign(number: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"stolen":true}}}}"#, calls::id(number))
}

fn notice(number: usize, text: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{text} {number}"}}}}"#
    )
}
