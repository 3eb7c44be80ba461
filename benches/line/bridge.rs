//! A bridge under measurement: a child process that takes lines on stdin and gives lines on stdout.
//!
//! Blocking reads and writes on pipes, as large as they come: the cheapest way to be a client, so
//! that the time of a round is the bridge's.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Result;
use crate::lines::Lines;
use crate::message::{self, Call, LARGE};
use crate::plan::Limit;
use crate::process::{self, Memory};
use crate::rounds::Throughput;

/// How long a bridge may take over what should take no time, before it is stopped as hung.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long mcpline may stay once its stdin has ended; the end of a session may take 1 s of it.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);

/// A bridge that can be started: mcpline itself or a peer.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    stderr: bool,
    /// mcpline must also end well; how a peer ends is not what this measures.
    ours: bool,
}

impl Candidate {
    pub(crate) fn mcpline(binary: &Path, stderr: bool) -> Result<Self> {
        let program =
            binary.canonicalize().map_err(|why| format!("{}: {why}", binary.display()))?;
        Ok(Self {
            name: "mcpline".to_owned(),
            program,
            arguments: vec!["{url}".to_owned()],
            stderr,
            ours: true,
        })
    }

    /// The same candidate under a profiler that counts instructions and writes them to `profile`.
    pub(crate) fn under_callgrind(&self, profile: &Path) -> Self {
        let mut arguments = vec![
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", profile.display()),
            self.program.display().to_string(),
        ];
        arguments.extend_from_slice(&self.arguments);
        Self { program: PathBuf::from("valgrind"), arguments, ..self.clone() }
    }

    pub(crate) fn peer(command: &str, stderr: bool) -> Result<Self> {
        if !command.contains("{url}") {
            return Err(format!("the peer `{command}` has no {{url}}").into());
        }
        let mut words = command.split_whitespace();
        let program = words.next().ok_or("an empty peer command")?;
        let arguments: Vec<String> = words.map(str::to_owned).collect();
        let base = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
        let rest = arguments.iter().filter(|word| !word.contains("{url}"));
        let name = std::iter::once(base.as_ref()).chain(rest.map(String::as_str));
        Ok(Self {
            name: name.collect::<Vec<_>>().join(" "),
            program: PathBuf::from(program),
            arguments,
            stderr,
            ours: false,
        })
    }

    /// Starts the process and says nothing to it yet.
    pub(crate) fn spawn(&self, url: &str) -> Result<Bridge> {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments.iter().map(|word| word.replace("{url}", url)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if self.stderr { Stdio::inherit() } else { Stdio::null() });
        for (name, _) in std::env::vars_os() {
            // The user's own settings and proxy must not change what is measured.
            let upper = name.to_string_lossy().to_ascii_uppercase();
            if upper.starts_with("MCPLINE_") || upper.ends_with("_PROXY") {
                command.env_remove(&name);
            }
        }
        // A group of its own, so that what a wrapper script starts is counted and ended with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut child =
            command.spawn().map_err(|why| format!("{}: {why}", self.program.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("the bridge has no stdout")?;
        Ok(Bridge {
            child,
            stdin,
            lines: Lines::new(stdout),
            next_id: message::INITIALIZE_ID + 1,
            ours: self.ours,
        })
    }

    /// Starts the process and goes through the MCP handshake.
    pub(crate) fn connect(&self, url: &str) -> Result<Bridge> {
        let mut bridge = self.spawn(url)?;
        bridge.initialize()?;
        bridge.initialized()?;
        Ok(bridge)
    }
}

/// A running bridge; gone, with all that it started, when dropped.
pub(crate) struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines,
    next_id: u64,
    ours: bool,
}

impl Bridge {
    /// Sends `initialize` and waits for the answer.
    pub(crate) fn initialize(&mut self) -> Result<()> {
        let mut line = message::initialize();
        line.push(b'\n');
        self.write(&line)?;
        // Set only now: the making of a thread has no place before the first byte is out.
        let _watch = self.watch(PATIENCE);
        let answer = self.lines.next_answer()?;
        message::check_initialize(self.lines.get(answer))
    }

    pub(crate) fn initialized(&mut self) -> Result<()> {
        let mut line = message::initialized().to_vec();
        line.push(b'\n');
        self.write(&line)
    }

    /// Makes one call after the other and returns what each took.
    pub(crate) fn sequential(&mut self, limit: Limit) -> Result<Vec<Duration>> {
        let _watch = self.watch(limit.time + PATIENCE);
        let mut taken = Vec::with_capacity(usize::try_from(limit.calls)?);
        let mut line = Vec::with_capacity(256);
        let begin = Instant::now();
        let mut last = begin;
        for _ in 0..limit.calls {
            let id = self.take_id();
            line.clear();
            Call::Echo.write(id, &mut line);
            line.push(b'\n');
            self.write(&line)?;
            let answer = self.lines.next_answer()?;
            Call::Echo.check(id, self.lines.get(answer))?;
            let now = Instant::now();
            taken.push(now - last);
            last = now;
            if now - begin > limit.time {
                break;
            }
        }
        Ok(taken)
    }

    /// Keeps `window` calls in flight: for the answers of one read, as many calls go out in one
    /// write.
    ///
    /// One thread does both, which cannot block for good: the whole window, about 8 KiB of short
    /// lines, always fits into the pipe.
    pub(crate) fn in_flight(
        &mut self,
        call: Call,
        window: usize,
        limit: Limit,
    ) -> Result<Throughput> {
        let _watch = self.watch(limit.time.saturating_add(PATIENCE));
        let first_id = self.next_id;
        let end_id = first_id + limit.calls;
        let mut answered = vec![false; usize::try_from(limit.calls)?];
        let mut out = Vec::with_capacity(window * 192);
        let mut outstanding = 0;
        let begin = Instant::now();
        loop {
            let stop = begin.elapsed() >= limit.time;
            while !stop && outstanding < window && self.next_id < end_id {
                call.write(self.take_id(), &mut out);
                out.push(b'\n');
                outstanding += 1;
            }
            if outstanding == 0 {
                break;
            }
            self.write(&out)?;
            out.clear();

            let mut line = Some(self.lines.next_answer()?);
            while let Some(range) = line {
                let answer = self.lines.get(range);
                let id = message::id_of(answer).ok_or("an answer without an id")?;
                call.check(id, answer)?;
                let known = id.checked_sub(first_id).filter(|_| id < self.next_id);
                match known.and_then(|at| answered.get_mut(usize::try_from(at).ok()?)) {
                    Some(seen @ false) => *seen = true,
                    Some(_) => return Err(format!("call {id} was answered twice").into()),
                    None => return Err(format!("an answer to call {id}, never made").into()),
                }
                outstanding -= 1;
                line = self.lines.buffered_answer();
            }
        }
        Ok(Throughput { calls: self.next_id - first_id, time: begin.elapsed() })
    }

    /// Makes one call with the large result; the check of its text is not part of the time.
    pub(crate) fn large(&mut self) -> Result<Duration> {
        let _watch = self.watch(PATIENCE);
        self.lines.reserve(LARGE + 1024);
        let id = self.take_id();
        let mut line = Vec::new();
        let begin = Instant::now();
        Call::Large.write(id, &mut line);
        line.push(b'\n');
        self.write(&line)?;
        loop {
            let range = self.lines.next()?;
            let taken = begin.elapsed();
            let answer = self.lines.get(range);
            if message::id_of(answer).is_some() {
                Call::Large.check(id, answer)?;
                return Ok(taken);
            }
        }
    }

    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        process::cpu_seconds(self.child.id())
    }

    pub(crate) fn memory(&self) -> Option<Memory> {
        process::memory(self.child.id())
    }

    /// Ends stdin. Of mcpline it then expects silence and a good exit status; a peer is just ended.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        if !self.ours {
            return Ok(());
        }
        let _watch = self.watch(EXIT_PATIENCE);
        while let Some(range) = self.lines.next_or_end()? {
            if message::id_of(self.lines.get(range)).is_some() {
                return Err("an answer too many, after stdin ended".into());
            }
        }
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            let limit = EXIT_PATIENCE.as_secs();
            Err(format!("after stdin ended: {status} (stopped if it took over {limit} s)").into())
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn write(&mut self, lines: &[u8]) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("stdin is closed already")?;
        Ok(stdin.write_all(lines).map_err(|why| format!("its stdin: {why}"))?)
    }

    fn watch(&self, limit: Duration) -> Watchdog {
        Watchdog::new(self.child.id(), limit)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Not after a good end, when nothing is left; but what a wrapper has started may well
        // outlive the wrapper.
        if !matches!(self.child.try_wait(), Ok(Some(status)) if status.success()) {
            process::kill_group(self.child.id());
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

/// Ends a bridge that hangs: a blocking read cannot be given up, but it ends with the other side.
struct Watchdog {
    off: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    fn new(process: u32, limit: Duration) -> Self {
        let (off, alarm) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            if alarm.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                process::kill_group(process);
            }
        });
        Self { off: Some(off), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.off.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic over, and a panic would have been printed.
            drop(thread.join());
        }
    }
}
