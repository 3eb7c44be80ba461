//! Drives the built binary as an MCP client does, and holds it to what stdout may carry.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::board::Board;
use super::message::{INITIALIZE, INITIALIZED, Message, request};

/// What a process needs of our environment to run at all; the rest, above all a developer's own
/// `MCPLINE_…` and proxy settings, stays out of the tests.
const KEPT: [&str; 8] =
    ["PATH", "HOME", "TEMP", "TMP", "TMPDIR", "SystemRoot", "USERPROFILE", "LLVM_PROFILE_FILE"];

pub(crate) struct Setup {
    command: Command,
    read_stdout: bool,
    read_stderr: bool,
}

impl Setup {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Arguments as one would type them, split at spaces.
    pub(crate) fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_ascii_whitespace());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Nobody reads stdout, so that [`Line::close_stdout`] can close it.
    #[cfg(unix)]
    pub(crate) fn with_stdout_unread(mut self) -> Self {
        self.read_stdout = false;
        self
    }

    /// Nobody reads stderr.
    #[cfg(unix)]
    pub(crate) fn with_stderr_unread(mut self) -> Self {
        self.read_stderr = false;
        self
    }

    #[cfg(unix)]
    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub(crate) fn spawn(mut self) -> Line {
        let mut child = self.command.spawn().expect("the binary starts");
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take();
        let (lines, received) = channel();
        if self.read_stdout {
            let stdout = stdout.take().unwrap();
            thread::spawn(move || read_lines(stdout, &lines));
        }
        let stderr = Arc::new(Board::new(Stderr::default()));
        let (pipe, board) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        if self.read_stderr {
            thread::spawn(move || read_stderr(pipe, &board));
        } else {
            child.stderr = Some(pipe);
            board.update(|stderr| stderr.ended = true);
        }
        Line { child, stdin, stdout, received, passed_over: VecDeque::new(), stderr }
    }

    /// Runs a command that does not forward, with `input` on stdin, and waits for its end.
    pub(crate) fn output(mut self, input: &str) -> Output {
        let mut child = self.command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read its stdin may be gone before it is written.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let (done, ended) = channel();
        thread::spawn(move || done.send(child.wait_with_output()));
        let output = ended.recv_timeout(PATIENCE).expect("it ends").expect("a child to wait for");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Output {
            status: output.status.code().expect("it ends by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// A line whose handshake is done.
    pub(crate) fn ready(self) -> Line {
        let mut line = self.spawn();
        line.handshake();
        line
    }
}

pub(crate) struct Line {
    child: Child,
    stdin: Option<ChildStdin>,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux's tests close it")
    )]
    stdout: Option<ChildStdout>,
    received: Receiver<Result<Message, String>>,
    /// Lines that came before the one that a test waited for.
    passed_over: VecDeque<Message>,
    stderr: Arc<Board<Stderr>>,
}

/// How a line ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What was on stdout and not received before.
    pub(crate) rest: Vec<Message>,
    pub(crate) stderr: String,
}

/// What a command that does not forward has printed.
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

#[derive(Default)]
struct Stderr {
    text: String,
    ended: bool,
}

impl Line {
    /// The binary with a URL to forward to.
    pub(crate) fn to(url: &str) -> Setup {
        Self::run("").arg(url)
    }

    /// The binary with other arguments, split at spaces.
    pub(crate) fn run(args: &str) -> Setup {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpline"));
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Where a developer's own settings file is not.
        command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
        // Hints are in the system's language.
        command.env("LC_ALL", "C");
        let setup = Setup { command, read_stdout: true, read_stderr: true };
        setup.args(args)
    }

    /// A line to this URL with default settings, handshake done.
    pub(crate) fn ready(url: &str) -> Self {
        Self::to(url).ready()
    }

    pub(crate) fn handshake(&mut self) -> Message {
        self.send(INITIALIZE);
        let reply = self.recv_id(r#""init""#);
        assert!(reply.is_reply(), "{reply}");
        self.send(INITIALIZED);
        reply
    }

    pub(crate) fn send(&mut self, line: impl AsRef<str>) {
        self.send_bytes(format!("{}\n", line.as_ref()));
    }

    pub(crate) fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        let sent = stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush());
        if let Err(error) = sent {
            panic!("stdin is closed ({error}); stderr: {}", self.stderr_so_far());
        }
    }

    /// The next line of stdout.
    pub(crate) fn recv(&mut self) -> Message {
        if let Some(message) = self.passed_over.pop_front() {
            return message;
        }
        self.recv_new("the next line")
    }

    /// The reply with this id, given as JSON text. Other lines stay for later.
    pub(crate) fn recv_id(&mut self, id: &str) -> Message {
        self.recv_where(&format!("the reply with id {id}"), |message| {
            message.is_reply() && message.id() == id
        })
    }

    /// The next notification or request with this method.
    pub(crate) fn recv_method(&mut self, method: &str) -> Message {
        self.recv_where(method, |message| message.method() == method)
    }

    pub(crate) fn recv_where(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        if let Some(at) = self.passed_over.iter().position(&wanted) {
            return self.passed_over.remove(at).unwrap();
        }
        loop {
            let message = self.recv_new(what);
            if wanted(&message) {
                return message;
            }
            self.passed_over.push_back(message);
        }
    }

    /// Shows that nothing has been written that the test has not received: the answer to a new
    /// request is the next line.
    pub(crate) fn expect_nothing(&mut self) {
        let id = r#""nothing before this""#;
        self.send(request(id, "ping", "{}"));
        let next = self.recv();
        assert_eq!(next.id(), id, "unexpected line: {next}");
        assert!(next.is_reply(), "unexpected line: {next}");
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn close_stdout(&mut self) {
        assert!(self.stdout.take().is_some(), "stdout is being read");
    }

    /// Both ends, for tests that write and read in threads of their own.
    #[cfg(target_os = "linux")]
    pub(crate) fn take_pipes(&mut self) -> (ChildStdin, ChildStdout) {
        (self.stdin.take().unwrap(), self.stdout.take().expect("stdout is not being read"))
    }

    /// The most memory that the process has held so far, in kB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().strip_suffix(" kB")).unwrap().parse().unwrap()
    }

    /// Sends a signal by its short name, such as `TERM`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -{name}");
    }

    /// Closes stdin, waits for the end, and gives what was still on stdout. Fails the test unless
    /// the status is 0.
    pub(crate) fn finish(mut self) -> Vec<Message> {
        self.close_stdin();
        let ended = self.wait();
        assert!(ended.status.success(), "{}; stderr: {}", ended.status, ended.stderr);
        ended.rest
    }

    /// [`Line::finish`], and nothing may be left on stdout.
    pub(crate) fn finish_with_nothing_left(self) {
        let rest = self.finish();
        assert!(rest.is_empty(), "unexpected lines: {rest:?}");
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let mut rest: Vec<Message> = self.passed_over.drain(..).collect();
        loop {
            match self.received.recv_timeout(PATIENCE) {
                Ok(Ok(message)) => rest.push(message),
                Ok(Err(violation)) => panic!("{violation}"),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it does not end; stderr: {}", self.stderr_so_far())
                }
            }
        }
        let status = self.wait_status();
        let stderr = self
            .stderr
            .wait("the end of stderr", |stderr| stderr.ended.then(|| stderr.text.clone()));
        Ended { status, rest, stderr }
    }

    fn recv_new(&mut self, what: &str) -> Message {
        match self.received.recv_timeout(PATIENCE) {
            Ok(Ok(message)) => message,
            Ok(Err(violation)) => panic!("{violation}"),
            Err(error) => panic!(
                "{what} does not come ({error}); passed over: {:?}; stderr: {}",
                self.passed_over,
                self.stderr_so_far()
            ),
        }
    }

    // The standard library has no bounded wait for a child, so this asks at short intervals.
    fn wait_status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child to wait for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "stdout is closed but the process goes on; stderr: {}",
                self.stderr_so_far()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until `ready` finds what it looks for on stderr.
    pub(crate) fn wait_stderr<T>(&self, ready: impl Fn(&str) -> Option<T>) -> T {
        self.stderr.wait("a line on stderr", |stderr| ready(&stderr.text))
    }

    fn stderr_so_far(&self) -> String {
        self.stderr.read(|stderr| stderr.text.clone())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
        if !thread::panicking() {
            for message in self.received.try_iter() {
                if let Err(violation) = message {
                    panic!("{violation}");
                }
            }
        }
    }
}

fn read_lines(stdout: ChildStdout, lines: &Sender<Result<Message, String>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match stdout.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let checked = check_line(&line).map_err(|why| format!("stdout is polluted: {why}"));
        if lines.send(checked).is_err() {
            return;
        }
    }
}

/// stdout carries one JSON object a line, or an array where a batch is answered; in UTF-8; each
/// line ended by LF and nothing else.
fn check_line(line: &[u8]) -> Result<Message, String> {
    let text = str::from_utf8(line).map_err(|error| format!("{error} in {line:?}"))?;
    let Some(text) = text.strip_suffix('\n') else {
        return Err(format!("a line without an end: {text:?}"));
    };
    if text.contains('\r') {
        return Err(format!("CR in {text:?}"));
    }
    Message::parse(text)
}

fn read_stderr(mut pipe: ChildStderr, board: &Board<Stderr>) {
    let mut bytes = [0; 4096];
    loop {
        let read = pipe.read(&mut bytes).unwrap_or(0);
        board.update(|stderr| {
            // Lossy at the edge of a read, which is good enough to search and to show.
            stderr.text += &String::from_utf8_lossy(&bytes[..read]);
            stderr.ended = read == 0;
        });
        if read == 0 {
            return;
        }
    }
}

#[test]
fn what_stdout_may_not_carry_is_noticed() {
    for polluted in [
        b"hello\n".as_slice(),
        b"\n",
        b"{}\r\n",
        b"{} {}\n",
        b"{}",
        b"5\n",
        b"\xef\xbb\xbf{}\n",
        b"{\"a\":\"\xff\"}\n",
    ] {
        assert!(check_line(polluted).is_err(), "{polluted:?}");
    }
    assert!(check_line(b"{}\n").is_ok());
    assert!(check_line(b"[{}]\n").is_ok());
}
