//! The HTTP server that all sample services share: connections, bodies, and the few shapes that
//! an answer has. What is answered is decided in the module of the service.
//!
//! It is written out here because a sample needs little of HTTP/1.1, and a server library takes
//! some 50 KiB more of the program: requests have a length, answers are whole or event streams.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, TRANSFER_ENCODING,
};
use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Service;

/// The largest request body in bytes. Far above any sensible call of a sample service, and small
/// enough to be kept in memory for each of many calls at once.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;

/// The largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// How long to wait before accepting again when that failed: the usual reason, too many open
/// files, does not go away at once, and the thread has other work to do.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a service answers with.
pub(super) type Answer = Response<Body>;

#[derive(Debug)]
pub(super) enum Body {
    Whole(Bytes),
    /// An event stream: what is put into the queue, and a comment after that time without any. It
    /// ends when nobody can put anything into the queue any more.
    Events {
        queue: mpsc::Receiver<Bytes>,
        keep_alive: Option<Duration>,
    },
}

type Connection = BufReader<TcpStream>;

/// Serves connections until it is dropped, which drops all that it accepted as well.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&service)));
                }
                Err(error) => {
                    tracing::debug!(%error, "the sample service cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // Taken out as they end, or the set would grow with every connection.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, service: Arc<Service>) {
    if let Err(error) = exchanges(stream, &service).await {
        tracing::debug!(%error, "a connection to the sample service broke");
    }
}

/// Serves one connection. When the client closes it, a call that is being answered is dropped
/// where it waits: this is how a long call is cancelled.
async fn exchanges(stream: TcpStream, service: &Service) -> io::Result<()> {
    // Answers are written whole; waiting to fill a packet would only delay them.
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream).await? {
        let length = head.as_ref().and_then(|head| body_length(head.headers()));
        let (Some(mut request), Some(length)) = (head, length) else {
            let answer = refused(StatusCode::BAD_REQUEST, "Запрос непонятен");
            return send(&mut stream, answer, true).await;
        };
        if request.headers().contains_key(EXPECT) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let fits = read_body(&mut stream, length, request.body_mut()).await?;
        let answer = async {
            if fits {
                service.answer(&request).await
            } else {
                refused(StatusCode::PAYLOAD_TOO_LARGE, "Слишком большой запрос")
            }
        };
        let answer = tokio::select! {
            // An answer that is there at once is sent to a client that sends no more, too.
            biased;
            answer = answer => answer,
            () = closed(&mut stream) => return Ok(()),
        };
        send(&mut stream, answer, *request.method() != Method::HEAD).await?;
        let close = request.headers().get(CONNECTION);
        if close.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close")) {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The next head; the outer `None` when the client has closed the connection instead, the inner
/// one when it is not understood.
async fn read_head(stream: &mut Connection) -> io::Result<Option<Option<Request<Vec<u8>>>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let room = (MAX_HEAD - head.len()) as u64;
        match stream.take(room).read_until(b'\n', &mut head).await? {
            0 if head.is_empty() => return Ok(None),
            0 => return Ok(Some(None)),
            _ => {}
        }
    }
    Ok(Some(parsed(&String::from_utf8_lossy(&head))))
}

fn parsed(head: &str) -> Option<Request<Vec<u8>>> {
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let mut request = Request::builder().method(words.next()?).uri(words.next()?);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(Vec::new()).ok()
}

/// `None` for a body whose length is not told, which no client of a sample sends.
fn body_length(headers: &HeaderMap) -> Option<u64> {
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => (!headers.contains_key(TRANSFER_ENCODING)).then_some(0),
    }
}

/// Reads a body and tells whether it is within [`MAX_BODY`]. A larger one is still read to its
/// end, without being kept, because a client that is still sending would miss the answer.
async fn read_body(stream: &mut Connection, length: u64, body: &mut Vec<u8>) -> io::Result<bool> {
    let fits = length <= MAX_BODY as u64;
    let mut left = length;
    while left > 0 {
        let read = stream.fill_buf().await?;
        if read.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = read.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if fits {
            body.extend_from_slice(&read[..taken]);
        }
        stream.consume(taken);
        left -= taken as u64;
    }
    Ok(fits)
}

/// Returns when the client closes the connection while it is owed an answer.
async fn closed(stream: &mut Connection) {
    // A client may send the next request already: then it is there.
    if let Ok([_, ..]) = stream.fill_buf().await {
        pending::<()>().await;
    }
}

/// Sends an answer, which for an event stream takes as long as it is open.
async fn send(stream: &mut Connection, answer: Answer, with_body: bool) -> io::Result<()> {
    let (head, body) = answer.into_parts();
    let mut out = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    let mut header = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    for (name, value) in &head.headers {
        header(name.as_str(), value.as_bytes());
    }
    match body {
        Body::Whole(body) => {
            if head.status != StatusCode::NO_CONTENT {
                header("content-length", body.len().to_string().as_bytes());
            }
            out.extend_from_slice(b"\r\n");
            if with_body {
                out.extend_from_slice(&body);
            }
            stream.write_all(&out).await
        }
        Body::Events { queue, keep_alive } => {
            header("transfer-encoding", b"chunked");
            out.extend_from_slice(b"\r\n");
            stream.write_all(&out).await?;
            send_events(stream, queue, keep_alive).await
        }
    }
}

async fn send_events(
    stream: &mut Connection,
    mut queue: mpsc::Receiver<Bytes>,
    keep_alive: Option<Duration>,
) -> io::Result<()> {
    loop {
        let silence = async {
            match keep_alive {
                Some(time) => tokio::time::sleep(time).await,
                None => pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            event = queue.recv() => event,
            () = closed(stream) => return Ok(()),
            () = silence => Some(Bytes::from_static(b": keep-alive\n\n")),
        };
        // The chunk of no length is the last.
        let (last, event) = (event.is_none(), event.unwrap_or_default());
        let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
        chunk.extend_from_slice(&event);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).await?;
        if last {
            return Ok(());
        }
    }
}

/// A status without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Body::Whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// A body with status 200 and the given media type.
pub(super) fn content(media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(Body::Whole(body.into()));
    let media_type = HeaderValue::from_static(media_type);
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    answer
}

/// An event stream, and the end that its events are put into. Of a reader that does not read, the
/// queue takes `most` events; what to do then is up to whoever puts them in. The queue tells by
/// being closed that the reader is gone.
pub(super) fn events(most: usize, keep_alive: Option<Duration>) -> (mpsc::Sender<Bytes>, Answer) {
    let (sender, queue) = mpsc::channel(most);
    let mut answer = content("text/event-stream; charset=utf-8", Bytes::new());
    *answer.body_mut() = Body::Events { queue, keep_alive };
    (sender, answer)
}

/// A page such as a web server shows for a status that is not a success.
pub(super) fn refused(status: StatusCode, text: &str) -> Answer {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n\
         <body>\n<h1>{status}</h1>\n<p>{text}.</p>\n</body></html>\n"
    );
    let mut answer = content("text/html; charset=utf-8", page);
    *answer.status_mut() = status;
    answer
}

/// The refusal of a method on a path where only `allowed` is known.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let text = format!("Здесь можно использовать только метод {allowed}");
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, &text);
    let allowed = HeaderValue::from_static(allowed);
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}

#[cfg(test)]
impl Body {
    /// The bytes of a whole body.
    pub(super) fn whole(&self) -> &[u8] {
        let Self::Whole(body) = self else { panic!("an event stream") };
        body
    }

    /// The next event of a stream that is known to have one, or `None` at its end.
    pub(super) async fn next_event(&mut self) -> Option<String> {
        let Self::Events { queue, .. } = self else { panic!("not an event stream") };
        let event = tokio::time::timeout(Duration::from_secs(5), queue.recv()).await;
        event.expect("no event").map(|event| String::from_utf8(event.to_vec()).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client gets to see of an answer.
    async fn sent(answer: Answer) -> (TcpStream, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let sending = async { send(&mut BufReader::new(server), answer, true).await };
        (client, tokio::spawn(sending))
    }

    #[tokio::test]
    async fn a_stream_is_sent_in_chunks_and_ends_with_its_source() {
        let (sender, answer) = events(2, None);
        for event in [&b"a"[..], b"0123456789abcdef"] {
            sender.try_send(Bytes::from_static(event)).unwrap();
        }
        assert!(sender.try_send(Bytes::from_static(b"c")).is_err(), "the queue has a bound");
        drop(sender);
        let (mut client, sending) = sent(answer).await;
        let mut came = String::new();
        client.read_to_string(&mut came).await.unwrap();
        assert_eq!(
            came,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
             transfer-encoding: chunked\r\n\r\n1\r\na\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
        );
        sending.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_silent_stream_is_kept_alive_and_ends_with_its_reader() {
        let (sender, answer) = events(1, Some(Duration::from_millis(1)));
        let (mut client, sending) = sent(answer).await;
        let mut came = Vec::new();
        let twice = |came: &[u8]| String::from_utf8_lossy(came).matches(": keep-alive\n\n").count();
        while twice(&came) < 2 {
            assert_ne!(client.read_buf(&mut came).await.unwrap(), 0);
        }
        drop(client);
        tokio::time::timeout(Duration::from_secs(5), sender.closed()).await.unwrap();
        let _ = sending.await.unwrap();
    }

    #[test]
    fn heads_are_read() {
        let head = "POST /a?b=c HTTP/1.1\r\nHost: demo\r\nX-Тест: ö \r\n\r\n";
        assert!(parsed(head).is_none(), "a name has to be in ASCII");
        let head = "POST /a?b=c HTTP/1.1\r\nHost:demo\r\nContent-Length:  12\r\nX-Test: ö \r\n\r\n";
        let request = parsed(head).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!((request.uri().path(), request.uri().query()), ("/a", Some("b=c")));
        assert_eq!(request.headers()["host"], "demo");
        assert_eq!(request.headers()["x-test"].as_bytes(), "ö".as_bytes());
        assert_eq!(body_length(request.headers()), Some(12));
        assert!(parsed("\r\n\r\n").is_none() && parsed("GET\r\n\r\n").is_none());
        let chunked = parsed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        assert_eq!(body_length(chunked.headers()), None);
    }
}
