//! HTTP and events, written by hand.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    Keep,
    Close,
    Reset,
}

pub(crate) async fn empty(stream: &mut TcpStream, status: &str) -> io::Result<After> {
    let length = if status.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
    stream.write_all(format!("HTTP/1.1 {status}\r\n{length}\r\n").as_bytes()).await?;
    Ok(After::Keep)
}

pub(crate) async fn refuse_for(
    stream: &mut TcpStream,
    status: &str,
    seconds: u64,
) -> io::Result<After> {
    let head = format!("HTTP/1.1 {status}\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(After::Keep)
}

pub(crate) async fn json(stream: &mut TcpStream, body: &str) -> io::Result<After> {
    whole(stream, "200 OK", "application/json", body.as_bytes()).await
}

pub(crate) async fn whole(
    stream: &mut TcpStream,
    status: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<After> {
    let mut bytes = head(status, content_type, body.len()).into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await?;
    Ok(After::Keep)
}

pub(crate) async fn drip(stream: &mut TcpStream, body: &str) -> io::Result<After> {
    let head = head("200 OK", "application/json", body.len());
    stream.write_all(head.as_bytes()).await?;
    // Pieces that split UTF-8 characters, and no more than a few hundred of them.
    for piece in body.as_bytes().chunks((body.len() / 100).max(1)) {
        stream.write_all(piece).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(After::Keep)
}

pub(crate) fn head(status: &str, content_type: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n")
}

pub(crate) const EVENT_STREAM: &str = "text/event-stream";
pub(crate) const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Sends a whole event stream.
pub(crate) async fn events(
    stream: &mut TcpStream,
    messages: &[&str],
    dice: u64,
) -> io::Result<After> {
    let events: Vec<_> = messages.iter().map(|message| event(None, message, dice)).collect();
    let events: Vec<_> = events.iter().map(String::as_bytes).collect();
    chunks(stream, EVENT_STREAM, &events, true).await
}

/// Sends a chunked body, with its end or without.
pub(crate) async fn chunks(
    stream: &mut TcpStream,
    content_type: &str,
    pieces: &[&[u8]],
    is_whole: bool,
) -> io::Result<After> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    for piece in pieces {
        write_chunk(stream, piece).await?;
    }
    if is_whole {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(After::Keep)
}

pub(crate) async fn write_chunk(stream: &mut TcpStream, piece: &[u8]) -> io::Result<()> {
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    stream.write_all(&bytes).await
}

/// An event with the line ends that the dice choose.
pub(crate) fn event(id: Option<(usize, u64)>, data: &str, dice: u64) -> String {
    let id = id.map(|(number, step)| format!("id: {number}.{step}\n")).unwrap_or_default();
    let event = format!(": a comment\n{id}data: {data}\n\n");
    match dice % 4 {
        0 => event.replace('\n', "\r\n"),
        1 => event.replace('\n', "\r"),
        _ => event,
    }
}

pub(crate) fn close_or_reset(dice: u64) -> After {
    if (dice / 7).is_multiple_of(2) { After::Close } else { After::Reset }
}
