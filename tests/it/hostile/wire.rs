//! A wire between the line and an upstream, which can be cut at a byte: what happens to connections
//! below HTTP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::support::board::Board;
use crate::support::{Line, Setup, request};

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    /// Closed at once.
    Close,
    /// Reset when the first byte comes, without reading it.
    ResetUnread,
    /// Everything is taken and nothing is said.
    Hang,
    /// So many bytes go to the upstream, then both ends are closed.
    CutRequest(usize),
    /// So many bytes come back, then both ends are closed.
    CutReply(usize),
    /// So many bytes come back, then the client's end is reset.
    ResetReply(usize),
    /// These bytes come back as soon as anything is said, and the end.
    Say(&'static [u8]),
}

/// A line over a wire, with a session and all its connections idle. There is no listening stream,
/// which would take a [`Wire::next`] at a time of its own: nobody listens for a client that has left
/// the handshake to us.
pub(super) fn quiet(setup: Setup) -> Line {
    let mut line = setup.spawn();
    line.send(request(r#""quiet""#, "ping", "{}"));
    line.recv_id(r#""quiet""#);
    line
}

pub(super) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    board: Board<State>,
}

struct State {
    /// Of the next connection, and of those after it.
    fates: (Option<Fate>, Fate),
    /// Connections from the client: all so far, and those that are open.
    accepted: usize,
    open: Vec<(usize, Arc<TcpStream>)>,
    /// The next request on any connection is swallowed, and its connection reset.
    breaks: bool,
    is_over: bool,
}

impl Wire {
    /// A wire to `target`, a host with its port.
    pub(super) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State {
            fates: (None, Fate::Pass),
            accepted: 0,
            open: Vec::new(),
            breaks: false,
            is_over: false,
        };
        let shared = Arc::new(Shared { target: target.to_owned(), board: Board::new(state) });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&accepting, &listener));
        Self { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// What becomes of connections from now on.
    pub(super) fn all(&self, fate: Fate) {
        self.shared.board.update(|state| state.fates = (None, fate));
    }

    /// What becomes of the next connection; those after it pass.
    pub(super) fn next(&self, fate: Fate) {
        self.shared.board.update(|state| state.fates = (Some(fate), Fate::Pass));
    }

    /// Resets the connection of the next request as it goes out, be it an old one: what a proxy does
    /// that has forgotten an idle connection.
    pub(super) fn break_in_use(&self) {
        self.shared.board.update(|state| state.breaks = true);
    }

    /// How many connections there have been.
    pub(super) fn accepted(&self) -> usize {
        self.shared.board.read(|state| state.accepted)
    }

    /// Closes what is idle, as proxies do, and waits until the client has noticed.
    pub(super) fn close_idle(&self) {
        self.shared.board.wait("the client to close", |state| {
            for (_, socket) in &state.open {
                // It may be closed already.
                drop(socket.shutdown(Shutdown::Write));
            }
            state.open.is_empty().then_some(())
        });
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.board.update(|state| {
            state.is_over = true;
            for (_, socket) in &state.open {
                drop(socket.shutdown(Shutdown::Both));
            }
        });
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for socket in listener.incoming() {
        if shared.board.read(|state| state.is_over) {
            return;
        }
        let Ok(socket) = socket.map(Arc::new) else { continue };
        let (number, fate) = shared.board.update(|state| {
            state.accepted += 1;
            state.open.push((state.accepted, Arc::clone(&socket)));
            (state.accepted, state.fates.0.take().unwrap_or(state.fates.1))
        });
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // An error is an end that has gone.
            drop(carry(&socket, &shared, fate));
            shared.board.update(|state| {
                state.open.retain(|(open, _)| *open != number);
                drop(socket);
            });
        });
    }
}

fn carry(client: &Arc<TcpStream>, shared: &Arc<Shared>, fate: Fate) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (there, back, resets) = match fate {
        Fate::Pass => (usize::MAX, usize::MAX, false),
        Fate::CutRequest(bytes) => (bytes, usize::MAX, false),
        Fate::CutReply(bytes) => (usize::MAX, bytes, false),
        Fate::ResetReply(bytes) => (usize::MAX, bytes, true),
        Fate::Close => return Ok(()),
        Fate::ResetUnread => {
            client.peek(&mut [0])?;
            return SockRef::from(client).set_linger(Some(Duration::ZERO));
        }
        Fate::Hang => return io::copy(&mut &**client, &mut io::sink()).map(drop),
        Fate::Say(bytes) => {
            // Read, for what is left unread would reset the connection at its end.
            let said = (&**client).read(&mut [0; 16 * 1024])?;
            return if said == 0 { Ok(()) } else { (&**client).write_all(bytes) };
        }
    };
    let upstream = Arc::new(TcpStream::connect(&shared.target)?);
    upstream.set_nodelay(true)?;
    if resets {
        // On Windows nothing wakes a thread that reads from a socket, short of what sends an end.
        client.set_read_timeout(Some(Duration::from_millis(5)))?;
    }
    let has_come_back = Arc::new(AtomicBool::new(false));
    let (from, to, of_all) = (Arc::clone(client), Arc::clone(&upstream), Arc::clone(shared));
    let is_over = Arc::clone(&has_come_back);
    let going = thread::spawn(move || {
        let breaks = || of_all.board.update(|state| std::mem::take(&mut state.breaks));
        let passed = pass(&from, &to, there, breaks, || is_over.load(Ordering::Relaxed));
        if passed.is_err() {
            SockRef::from(&*from).set_linger(Some(Duration::ZERO))?;
        } else if there < usize::MAX {
            // Cut: the client's end as well.
            drop(from.shutdown(Shutdown::Both));
        }
        drop(to.shutdown(Shutdown::Both));
        passed
    });
    drop(pass(&upstream, client, back, || false, || false));
    if resets {
        SockRef::from(client).set_linger(Some(Duration::ZERO))?;
        // The other thread's handle goes first, else nothing is reset.
        drop(upstream.shutdown(Shutdown::Both));
        has_come_back.store(true, Ordering::Relaxed);
    } else if back < usize::MAX {
        drop(client.shutdown(Shutdown::Both));
        drop(upstream.shutdown(Shutdown::Both));
    } else {
        // The upstream has closed; the client is to notice by itself.
        drop(client.shutdown(Shutdown::Write));
    }
    going.join().expect("copying does not panic")
}

/// Copies at most `limit` bytes; fails when `breaks` says so of what has come, and ends with a read
/// that times out once `is_over`.
fn pass(
    from: &TcpStream,
    to: &TcpStream,
    limit: usize,
    breaks: impl Fn() -> bool,
    is_over: impl Fn() -> bool,
) -> io::Result<()> {
    let (mut from, mut to) = (from, to);
    let (mut bytes, mut left) = ([0; 16 * 1024], limit);
    while left > 0 {
        let room = bytes.len().min(left);
        match from.read(&mut bytes[..room]) {
            Ok(0) => return Ok(()),
            Ok(_) if breaks() => return Err(ErrorKind::ConnectionReset.into()),
            Ok(read) => {
                to.write_all(&bytes[..read])?;
                left -= read;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if is_over() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
