//! The hostile upstream: an MCP server on raw TCP, where a well-behaved library would not let it
//! misbehave. It restarts now and then, and forgets its session.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::answer::{self, To};
use crate::chance::draw;
use crate::ledger::Ledger;
use crate::shared::Shared;
use crate::wire::{After, empty};

/// Connections of which one is reset as soon as it is made.
const CONNECTIONS_A_RESET: u64 = 60;

/// Below the ports that systems give out by themselves: a client that connects to a port of its own
/// choice where nothing listens may get connected to itself.
const FIRST_PORT: u16 = 20_100;

/// A running upstream. It lives as long as the program.
pub(crate) struct Upstream {
    address: SocketAddr,
}

impl Upstream {
    pub(crate) fn start(ledger: Arc<Ledger>) -> Result<Self> {
        let (sender, address) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(ledger, &sender))
        });
        Ok(Self { address: address.recv()? })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

async fn serve(ledger: Arc<Ledger>, address: &mpsc::Sender<SocketAddr>) -> io::Result<()> {
    let seed = ledger.seed;
    let shared = Arc::new(Shared::new(ledger));
    let mut port = FIRST_PORT;
    let mut listener = loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => break listener,
            Err(_) if port < FIRST_PORT + 1000 => port += 1,
            Err(why) => return Err(why),
        }
    };
    // Fails when the program is ending.
    let _ = address.send(listener.local_addr()?);
    for generation in 0.. {
        let dice = draw(seed, generation, 20);
        // Half of the restarts are a shutdown that lets calls end; the others are a crash.
        let (crash, shutdown) = (CancellationToken::new(), CancellationToken::new());
        tokio::select! {
            () = shared.restart.notified() => {}
            failed = accept(&listener, &shared, &crash, &shutdown) => failed?,
        }
        drop(listener);
        let (end, what) = match dice % 2 {
            0 => (crash, "the upstream crashes and is restarted"),
            _ => (shutdown, "the upstream is restarted in good order"),
        };
        let disruption = shared.ledger.disruption(what);
        shared.ledger.count(|counts| counts.restarts += 1);
        end.cancel();
        if (dice / 2).is_multiple_of(2) {
            shared.session.store(0, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(20 + dice / 4 % 200)).await;
        listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        // What was under way may notice only now.
        let ledger = shared.ledger.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            ledger.calm(disruption);
        });
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    crash: &CancellationToken,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    for count in 1_u64.. {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if draw(shared.ledger.seed, count, 21).is_multiple_of(CONNECTIONS_A_RESET) {
            let disruption =
                shared.ledger.disruption("a connection is reset as soon as it is made");
            shared.ledger.count(|counts| counts.accept_resets += 1);
            reset(stream);
            let ledger = shared.ledger.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                ledger.calm(disruption);
            });
            continue;
        }
        let (shared, crash, shutdown) = (shared.clone(), crash.clone(), shutdown.clone());
        tokio::spawn(async move {
            let mut stream = stream;
            let served = tokio::select! {
                () = crash.cancelled() => Ok(After::Reset),
                served = connection(&mut stream, &shared, &shutdown) => served,
            };
            // A client that is gone needs no answer.
            if matches!(served, Ok(After::Reset)) {
                reset(stream);
            }
        });
    }
    Ok(())
}

/// Ends a connection so that the other side gets an error, and not an end in good order.
fn reset(stream: TcpStream) {
    drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
    drop(stream);
}

async fn connection(
    stream: &mut TcpStream,
    shared: &Shared,
    shutdown: &CancellationToken,
) -> io::Result<After> {
    let mut buffer = Vec::new();
    loop {
        let request = tokio::select! {
            biased;
            request = read_request(stream, &mut buffer) => request?,
            () = shutdown.cancelled() => return Ok(After::Close),
        };
        let Some(request) = request else { return Ok(After::Close) };
        shared.count_request();
        let answered = tokio::select! {
            after = handle(stream, shared, &request) => after?,
            // Streams that would go on for ever end with the rest.
            () = shutdown.cancelled(), if request.method == "GET" => After::Close,
        };
        if answered != After::Keep {
            return Ok(answered);
        }
    }
}

/// A request, read whole.
struct HttpRequest {
    method: String,
    session: Option<u64>,
    last_event_id: Option<String>,
    body: Vec<u8>,
}

/// Returns `None` when the client has closed the connection between two requests.
async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<HttpRequest>> {
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let header = |name: &str| {
                head.lines().skip(1).find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let length: usize =
                header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let request = HttpRequest {
                    method: head.split(' ').next().unwrap_or_default().to_owned(),
                    session: header("mcp-session-id")
                        .map(|id| id.trim_start_matches("soak-").parse().unwrap_or(u64::MAX)),
                    last_event_id: header("last-event-id"),
                    body: buffer[end + 4..end + 4 + length].to_vec(),
                };
                buffer.drain(..end + 4 + length);
                return Ok(Some(request));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// The message in a request.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    n: usize,
}

async fn handle(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &HttpRequest,
) -> io::Result<After> {
    let session = shared.session.load(Ordering::Relaxed);
    let is_known = session != 0 && request.session == Some(session);
    match request.method.as_str() {
        "POST" => {}
        "GET" if !is_known => return answer::unknown_session(stream, false).await,
        "GET" => {
            let of = request.last_event_id.as_deref().and_then(|id| {
                let (number, step) = id.split_once('.')?;
                Some((number.parse().ok()?, step.parse().ok()?))
            });
            return answer::stream(stream, shared, of).await;
        }
        _ => return empty(stream, "204 No Content").await,
    }
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&request.body) else {
        return empty(stream, "400 Bad Request").await;
    };
    let number = message.params.and_then(|params| params.meta).map(|meta| meta.n);
    match (message.id, message.method) {
        (Some(id), Some("initialize")) => answer::initialize(stream, shared, id.get()).await,
        _ if !is_known => {
            if let Some(number) = number {
                shared.ledger.session_lost(number);
            }
            answer::unknown_session(stream, session.is_multiple_of(2)).await
        }
        (Some(id), Some(_)) => {
            let Some(number) = number else {
                return empty(stream, "400 Bad Request").await;
            };
            answer::call(stream, shared, To { number, id: id.get() }).await
        }
        (Some(_), None) => {
            shared.ledger.count(|counts| counts.answers_to_upstream += 1);
            empty(stream, "202 Accepted").await
        }
        (None, _) => answer::notification(stream, shared).await,
    }
}
