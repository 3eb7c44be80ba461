//! A server that a test scripts: it keeps every request and answers as the script says.
//!
//! Each connection has a thread of its own, so that a script is straight-line code: it may wait for
//! a gate or for the test, write half an answer, and go on.

use std::collections::BTreeMap;
use std::io::{self, BufReader, ErrorKind, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::board::Board;
use super::exchange::{Answered, Exchange};
use super::http::Request;
use super::message::Message;

/// What answers the requests. A closure over an [`Exchange`] is one.
pub(crate) trait Service: Send + Sync + 'static {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered;

    /// Wakes the service's own waits; they look at [`Life::check`] before they go on.
    fn wake(&self) {}
}

impl<F> Service for F
where
    F: Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
{
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        self(exchange)
    }
}

pub(crate) struct Upstream {
    server: Arc<Server>,
    address: SocketAddr,
    port: Mutex<Port>,
}

/// The port is the upstream's own from first to last: between two runs it stays bound without
/// listening, so that connections are refused and nobody else gets it.
enum Port {
    Held(Socket),
    Open(JoinHandle<()>),
    Moving,
}

struct Server {
    service: Box<dyn Service>,
    ledger: Arc<Board<Ledger>>,
    stopping: Arc<AtomicBool>,
}

#[derive(Default)]
struct Ledger {
    requests: Vec<Request>,
    gates: BTreeMap<String, Gate>,
    connections: BTreeMap<usize, Arc<TcpStream>>,
    accepted: usize,
    failures: Vec<String>,
}

#[derive(Default)]
struct Gate {
    open: bool,
    waiting: usize,
}

impl Upstream {
    /// An upstream that is there and does what the script says.
    pub(crate) fn serve(
        script: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
    ) -> Self {
        let upstream = Self::absent(script);
        upstream.start();
        upstream
    }

    /// An upstream whose port refuses connections until [`Upstream::start`].
    pub(crate) fn absent(service: impl Service) -> Self {
        let (socket, address) = bind_anywhere();
        Self {
            server: Arc::new(Server {
                service: Box::new(service),
                ledger: Arc::new(Board::new(Ledger::default())),
                stopping: Arc::new(AtomicBool::new(false)),
            }),
            address,
            port: Mutex::new(Port::Held(socket)),
        }
    }

    pub(crate) fn start(&self) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(matches!(*port, Port::Held(_)), "started twice");
        let Port::Held(socket) = std::mem::replace(&mut *port, Port::Moving) else {
            unreachable!("checked just above")
        };
        socket.listen(128).expect("the held port can listen");
        let server = Arc::clone(&self.server);
        server.stopping.store(false, Ordering::SeqCst);
        *port = Port::Open(thread::spawn(move || accept(&server, &socket.into())));
    }

    /// Ends every connection at once and refuses new ones, as a server that was killed.
    pub(crate) fn stop(&self) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let Port::Open(accepting) = std::mem::replace(&mut *port, Port::Moving) else {
            panic!("stopped twice");
        };
        self.close(accepting);
        *port = Port::Held(bind(self.address).expect("the port is still ours"));
    }

    fn close(&self, accepting: JoinHandle<()>) {
        self.server.stopping.store(true, Ordering::SeqCst);
        // A connection of our own, for want of another way to wake a blocking accept.
        drop(TcpStream::connect(self.address));
        accepting.join().expect("accepting does not panic");
        self.server.ledger.update(|ledger| {
            for socket in ledger.connections.values() {
                // It may be closed already.
                drop(socket.shutdown(Shutdown::Both));
            }
        });
        self.server.service.wake();
        self.server
            .ledger
            .wait("the connections to end", |ledger| ledger.connections.is_empty().then_some(()));
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("/mcp")
    }

    pub(crate) fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// All requests so far, in the order in which they were complete.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.ledger.read(|ledger| ledger.requests.clone())
    }

    /// [`Request::name`] of all requests so far.
    pub(crate) fn names(&self) -> Vec<String> {
        self.requests().iter().map(Request::name).collect()
    }

    /// [`Request::name`] of all POST requests so far.
    pub(crate) fn posted(&self) -> Vec<String> {
        let requests = self.requests();
        let posts = requests.iter().filter(|request| request.method == "POST");
        posts.map(Request::name).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|given| *given == name).count()
    }

    /// Waits for the `nth` request (from 1) of that [`Request::name`].
    pub(crate) fn nth(&self, name: &str, nth: usize) -> Request {
        let what = format!("request {nth} of {name}");
        self.server.ledger.wait(&what, |ledger| {
            let mut named = ledger.requests.iter().filter(|given| given.name() == name);
            named.nth(nth - 1).cloned()
        })
    }

    /// Waits for a request of that name within a session.
    pub(crate) fn in_session(&self, name: &str, session: &str) -> Request {
        let what = format!("{name} in {session}");
        self.server.ledger.wait(&what, |ledger| {
            let mut named = ledger.requests.iter().filter(|given| given.name() == name);
            let found = named.find(|request| request.header("mcp-session-id") == Some(session));
            found.cloned()
        })
    }

    /// Waits for the first request of that name and gives its message.
    pub(crate) fn message(&self, name: &str) -> Message {
        self.nth(name, 1).rpc()
    }

    /// Opens a gate for good: all exchanges that wait at it go on, now and later.
    pub(crate) fn open(&self, gate: &str) {
        self.server.ledger.update(|ledger| {
            ledger.gates.entry(gate.to_owned()).or_default().open = true;
        });
    }

    /// Waits until `count` exchanges stand before a gate.
    pub(crate) fn wait_at(&self, gate: &str, count: usize) {
        let what = format!("{count} exchanges at gate {gate}");
        self.server.ledger.wait(&what, |ledger| {
            let waiting = ledger.gates.get(gate).map_or(0, |gate| gate.waiting);
            (waiting >= count).then_some(())
        });
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let port = self.port.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Port::Open(accepting) = std::mem::replace(port, Port::Moving)
            && !thread::panicking()
        {
            self.close(accepting);
        }
        let failures = self.server.ledger.read(|ledger| ledger.failures.join("; "));
        if !thread::panicking() {
            assert!(failures.is_empty(), "the upstream failed: {failures}");
        }
    }
}

/// What a script may hold on to while it answers: gates, other waits, and the knowledge that the
/// server is being stopped.
#[derive(Clone)]
pub(crate) struct Life {
    ledger: Arc<Board<Ledger>>,
    stopping: Arc<AtomicBool>,
}

impl Life {
    /// Waits until the test opens the gate.
    pub(crate) fn pass(&self, gate: &str) -> io::Result<()> {
        self.ledger.update(|ledger| {
            ledger.gates.entry(gate.to_owned()).or_default().waiting += 1;
        });
        let passed = self.wait(&self.ledger, |ledger| ledger.gates[gate].open.then_some(()));
        self.ledger.update(|ledger| {
            if let Some(gate) = ledger.gates.get_mut(gate) {
                gate.waiting -= 1;
            }
        });
        passed
    }

    /// Waits for a state of the service's own; an error means that the server is being stopped.
    pub(crate) fn wait<T, R>(
        &self,
        board: &Board<T>,
        mut ready: impl FnMut(&mut T) -> Option<R>,
    ) -> io::Result<R> {
        board.wait_for_ever(|state| match self.check() {
            Ok(()) => ready(state).map(Ok),
            Err(stopped) => Some(Err(stopped)),
        })
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err(io::Error::other("the upstream is being stopped"));
        }
        Ok(())
    }
}

/// Takes a port below those that systems give to outgoing connections (from 32768 on Linux, from
/// 49152 elsewhere), so that none of them can get it while [`Upstream::stop`] takes it again.
fn bind_anywhere() -> (Socket, SocketAddr) {
    let mut attempts = 0;
    loop {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(20_000..32_000)));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        match socket.bind(&address.into()) {
            Ok(()) => {
                // Only now: before, it would let two tests hold the same port.
                allow_reuse(&socket).expect("a socket option");
                return (socket, address);
            }
            Err(error) => assert!(attempts < 100, "no free port: {error}"),
        }
        attempts += 1;
    }
}

/// Takes a port that has been ours.
/// Takes a port that was ours a moment ago. A process that another test is just starting may hold
/// the old socket until it has become another program.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        allow_reuse(&socket)?;
        match socket.bind(&address.into()) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::yield_now();
            }
            bound => return bound.map(|()| socket),
        }
    }
}

/// Else the port could not be taken again while old connections linger in the system. On Windows
/// the option means something else and is not needed.
#[cfg_attr(windows, expect(clippy::unnecessary_wraps, unused_variables, reason = "for the others"))]
fn allow_reuse(socket: &Socket) -> io::Result<()> {
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    Ok(())
}

fn accept(server: &Arc<Server>, listener: &TcpListener) {
    for socket in listener.incoming() {
        if server.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(socket) = socket.map(Arc::new) else {
            continue;
        };
        let number = server.ledger.update(|ledger| {
            ledger.accepted += 1;
            ledger.connections.insert(ledger.accepted, Arc::clone(&socket));
            ledger.accepted
        });
        let server = Arc::clone(server);
        thread::spawn(move || {
            // An error here is a connection that ended: the client's right, or the test's wish.
            drop(converse(&server, &socket));
            // The ledger's handle first, so that dropping ours closes the socket, be it in a way
            // that the script has set (a reset).
            server.ledger.update(|ledger| {
                ledger.connections.remove(&number);
                drop(socket);
            });
        });
    }
}

/// Reads from a connection until the upstream is stopped. On Windows nothing wakes a thread that reads
/// from a socket, so there each read ends after a while, and looks.
struct Reading<'a> {
    socket: &'a TcpStream,
    stopping: &'a AtomicBool,
}

impl Read for Reading<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(bytes) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if self.stopping.load(Ordering::SeqCst) {
                        return Ok(0);
                    }
                }
                read => return read,
            }
        }
    }
}

fn converse(server: &Server, socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    if cfg!(windows) {
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    }
    let mut from = BufReader::new(Reading { socket, stopping: &server.stopping });
    while let Some(request) = Request::read(&mut from)? {
        server.ledger.update(|ledger| ledger.requests.push(request.clone()));
        let life =
            Life { ledger: Arc::clone(&server.ledger), stopping: Arc::clone(&server.stopping) };
        let mut exchange = Exchange::new(request, socket, life);
        let answered = catch_unwind(AssertUnwindSafe(|| server.service.answer(&mut exchange)));
        let failure = match answered {
            Ok(Ok(())) if exchange.is_untouched() => "a request was left unanswered".to_owned(),
            Ok(Ok(())) if exchange.is_complete() => continue,
            Ok(outcome) => return outcome,
            Err(panic) => describe(panic.as_ref()),
        };
        let failure = format!("{failure} ({})", exchange.request.name());
        server.ledger.update(|ledger| ledger.failures.push(failure));
        return Ok(());
    }
    Ok(())
}

fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

#[test]
fn a_script_that_fails_fails_its_test() {
    use std::io::Write;

    for script in [
        (|_: &mut Exchange<'_>| panic!("as scripted")) as fn(&mut Exchange<'_>) -> Answered,
        |_: &mut Exchange<'_>| Ok(()),
    ] {
        let upstream = Upstream::serve(script);
        let mut socket = TcpStream::connect(upstream.address).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "");
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(upstream)));
        assert!(dropped.is_err());
    }
}

#[test]
fn an_upstream_that_was_stopped_refuses_and_can_come_back() {
    let upstream = Upstream::serve(|exchange| exchange.status(200));
    for _ in 0..3 {
        let socket = TcpStream::connect(upstream.address).unwrap();
        upstream.stop();
        let refused = TcpStream::connect(upstream.address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        upstream.start();
        drop(socket);
    }
}
