//! A client that reads more slowly than the upstream speaks. What the two need in between is held by
//! nobody: the upstream waits.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::support::board::Board;
use crate::support::{INITIALIZE, INITIALIZED, Line, Message, Request, call, initialize_result};

const PAD: usize = 1000;

/// Far more than sockets, pipes and our own queue hold together.
const COUNT: usize = 60_000;

/// Where the flood comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// The answer to the call.
    Call,
    /// The listening stream.
    Listening,
}

/// How far the upstream has come.
#[derive(Default)]
struct Flood {
    is_held_up: bool,
    is_over: bool,
}

/// A server that tells so much at once that somebody must hold it up. It notices by a write that
/// does not come through.
fn serve(from: From, flood: &Arc<Board<Flood>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let flood = Arc::clone(flood);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let flood = Arc::clone(&flood);
            thread::spawn(move || drop(converse(&socket, from, &flood)));
        }
    });
    url
}

fn converse(socket: &TcpStream, from: From, flood: &Board<Flood>) -> std::io::Result<()> {
    const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(Duration::from_millis(200)))?;
    let (mut reader, mut writer) = (BufReader::new(socket), socket);
    while let Some(request) = Request::read(&mut reader)? {
        let tell = |id: &str, result: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        match request.name().as_str() {
            "GET" if from == From::Call => {
                writer.write_all(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")?;
            }
            "GET" => {
                writer.write_all(EVENTS)?;
                pour(socket, flood)?;
                return flood.wait_for_ever(|_| None::<std::io::Result<()>>);
            }
            "tools/call" if from == From::Call => {
                writer.write_all(EVENTS)?;
                pour(socket, flood)?;
                let id = request.rpc().id().to_owned();
                return writer.write_all(
                    format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n\n")
                        .as_bytes(),
                );
            }
            "initialize" => {
                let result = initialize_result("2025-11-25");
                writer.write_all(tell(request.rpc().id(), &result).as_bytes())?;
            }
            "notifications/initialized" => {
                writer.write_all(b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            _ => writer.write_all(tell(request.rpc().id(), "{}").as_bytes())?,
        }
    }
    Ok(())
}

fn pour(mut socket: &TcpStream, flood: &Board<Flood>) -> std::io::Result<()> {
    for number in 0..COUNT {
        let pad = "x".repeat(PAD);
        let event = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\
             \"params\":{{\"data\":{number},\"pad\":\"{pad}\"}}}}\n\n"
        );
        let mut rest = event.as_bytes();
        while !rest.is_empty() {
            match socket.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    flood.update(|flood| flood.is_held_up = true);
                }
                Err(error) => return Err(error),
            }
        }
    }
    flood.update(|flood| flood.is_over = true);
    Ok(())
}

/// 60 MB of notifications to a client that does not read until the upstream stands still.
#[test]
fn a_flood_waits_for_a_client_that_reads_slowly_and_comes_whole_and_in_order() {
    for from in [From::Call, From::Listening] {
        let flood = Arc::new(Board::new(Flood::default()));
        let url = serve(from, &flood);
        let mut line = Line::to(&url).with_stdout_unread().spawn();
        let (mut stdin, stdout) = line.take_pipes();
        stdin.write_all(format!("{INITIALIZE}\n{INITIALIZED}\n").as_bytes()).unwrap();
        stdin.write_all(format!("{}\n", call(1, "any", "{}")).as_bytes()).unwrap();
        flood.wait("the upstream to be held up", |flood| flood.is_held_up.then_some(()));
        assert!(!flood.read(|flood| flood.is_over), "{from:?}: nobody held the upstream up");
        let peak = line.peak_memory();
        assert!(peak < 40 * 1024, "{from:?}: {peak} kB");

        let (mut next, mut answers) = (0, Vec::new());
        // Kept to the end, because a line whose stdout is closed ends.
        let mut lines = BufReader::new(stdout).lines();
        for text in lines.by_ref() {
            let message = Message::parse(&text.unwrap()).unwrap();
            if message.is_notification() {
                assert_eq!(message.value["params"]["data"], next, "{from:?}");
                next += 1;
            } else {
                answers.push(message.id().to_owned());
            }
            if next == COUNT && answers.len() == 2 {
                break;
            }
        }
        assert_eq!(next, COUNT, "{from:?}");
        assert_eq!(answers, [r#""init""#, "1"], "{from:?}");
        let peak = line.peak_memory();
        assert!(peak < 40 * 1024, "{from:?}: {peak} kB");
        drop(lines);
    }
}
