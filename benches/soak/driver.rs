//! The client: starts the binary, keeps calls in flight, and reads every line that comes back.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Result;
use crate::calls;
use crate::ledger::{Answer, AnswerError, Ledger};
use crate::memory::{LOOKS, Memory};

/// Calls in flight.
const WINDOW: usize = 64;

/// The time for which requests are tried again; a call that fails in the end has to fail within
/// it, so nothing may be silent for much longer.
const RETRY_FOR: &str = "20";
/// How long a call may hang.
const TIMEOUT: &str = "2";
const SILENCE: Duration = Duration::from_secs(40);

/// What the process may do after its last answer before it counts as being at rest.
const SETTLE: Duration = Duration::from_millis(500);

/// How long the process may stay once its input has ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(10);

const HANDSHAKE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"start","method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    r#""capabilities":{},"clientInfo":{"name":"soak","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n"
);
const NOTIFICATION: &[u8] =
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/roots/list_changed\"}\n";

/// Makes all calls of `ledger` through `binary`. Returns what memory it took, and the seconds.
pub(crate) fn run(
    binary: &Path,
    url: &str,
    stderr: bool,
    ledger: &Ledger,
) -> Result<(Memory, f64)> {
    let mut command = Command::new(binary);
    command
        .args(["--kind", "mcp", "--retry-for", RETRY_FOR, "--timeout", TIMEOUT, url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(if stderr { Stdio::inherit() } else { Stdio::null() });
    for (name, _) in std::env::vars_os() {
        // The user's own settings and proxy must not change what is tested.
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("MCPLINE_") || upper.ends_with("_PROXY") {
            command.env_remove(&name);
        }
    }
    let child = command.spawn().map_err(|why| format!("{}: {why}", binary.display()))?;
    let mut line = Line::new(child)?;
    let begin = Instant::now();
    let memory = line.drive(ledger)?;
    let seconds = begin.elapsed().as_secs_f64();
    line.end()?;
    Ok((memory, seconds))
}

/// The process; gone when dropped.
struct Line {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // Gone already when all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A line on stdout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "params")]
    _params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<ErrorObject<'a>>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    code: i64,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ErrorData {
    source: String,
    may_have_run: bool,
}

impl Line {
    fn new(mut child: Child) -> Result<Self> {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("the process has no stdout")?;
        let (sender, lines) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            let mut stdout = BufReader::with_capacity(1 << 16, stdout);
            loop {
                let mut line = Vec::new();
                if !matches!(stdout.read_until(b'\n', &mut line), Ok(1..))
                    || sender.send(line).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines })
    }

    fn drive(&mut self, ledger: &Ledger) -> Result<Memory> {
        self.write(HANDSHAKE.as_bytes())?;
        while self.next(ledger)? != Some("\"start\"".to_owned()) {}

        let calls = ledger.calls();
        let mut memory = Memory::default();
        // The listing is waited for: it says which tools may run twice.
        self.answer_all(ledger, 0..1)?;
        let mut begun = 1;
        for look in LOOKS {
            let until = (calls * look).div_ceil(100);
            self.answer_all(ledger, begun..until)?;
            begun = until;
            // At rest, so that what is under way at this moment does not count.
            std::thread::sleep(SETTLE);
            memory.look(self.child.id());
        }
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("the process ended early: {status}").into());
        }
        Ok(memory)
    }

    /// Makes these calls, a window of them at a time, and waits for all answers.
    fn answer_all(&mut self, ledger: &Ledger, calls: Range<usize>) -> Result<()> {
        let (mut written, mut answered) = (calls.start, calls.start);
        while answered < calls.end {
            let mut out = Vec::new();
            while written < calls.end && written - answered < WINDOW {
                out.extend_from_slice(calls::line(written, ledger.kind(written)).as_bytes());
                ledger.written(written);
                if written % 50 == 49 {
                    out.extend_from_slice(NOTIFICATION);
                }
                written += 1;
            }
            self.write(&out)?;
            if self.next(ledger)?.is_some() {
                answered += 1;
            }
        }
        Ok(())
    }

    /// Ends the input, and expects silence and a good exit.
    fn end(&mut self) -> Result<()> {
        drop(self.stdin.take());
        let begin = Instant::now();
        loop {
            match self.lines.recv_timeout(EXIT_PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(line) => {
                    if parse(&line)?.method.is_none() {
                        return Err(format!("an answer too many: {}", shown(&line)).into());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err("it does not end".into()),
            }
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
    }

    /// Takes the next line. Returns the id if it is an answer.
    fn next(&mut self, ledger: &Ledger) -> Result<Option<String>> {
        let line = self.lines.recv_timeout(SILENCE).map_err(|why| match why {
            RecvTimeoutError::Disconnected => "the process is gone".to_owned(),
            RecvTimeoutError::Timeout => {
                format!("silent for {} s: {}", SILENCE.as_secs(), ledger.unanswered())
            }
        })?;
        let message = parse(&line)?;
        let Some(id) = message.id else {
            ledger.count(|counts| counts.notifications += 1);
            return Ok(None);
        };
        if message.method.is_some() {
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n");
            self.write(answer.as_bytes())?;
            return Ok(None);
        }
        if id.get() == "\"start\"" {
            message.result.ok_or_else(|| format!("no session: {}", shown(&line)))?;
            return Ok(Some(id.get().to_owned()));
        }
        let number = calls::number(id.get())
            .ok_or_else(|| format!("an answer to nobody's call: {}", shown(&line)))?;
        let error = message.error.as_ref().map(|error| {
            // What the upstream puts there may be anything.
            let data = error.data.and_then(|data| serde_json::from_str(data.get()).ok());
            let ErrorData { source, may_have_run } = data.unwrap_or_default();
            let is_ours = source == "mcpline";
            AnswerError { code: error.code, message: &error.message, is_ours, may_have_run }
        });
        ledger
            .answered(&Answer { number, result: message.result.map(RawValue::get), error })
            .map_err(|why| format!("{why}\n  answer: {}", shown(&line)))?;
        Ok(Some(id.get().to_owned()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("stdin is closed already")?;
        Ok(stdin.write_all(bytes).map_err(|why| format!("its stdin: {why}"))?)
    }
}

/// A line as a message, if it is one.
fn parse(line: &[u8]) -> Result<Message<'_>> {
    let bad = |why: &dyn std::fmt::Display| format!("not a JSON-RPC line ({why}): {}", shown(line));
    let text = line.strip_suffix(b"\n").ok_or_else(|| bad(&"cut off"))?;
    let message: Message<'_> = serde_json::from_slice(text).map_err(|why| bad(&why))?;
    let is_response = message.result.is_some() != message.error.is_some();
    let is_sound = match (message.id, &message.method) {
        (Some(id), None) => is_response && id.get() != "null",
        (_, Some(_)) => message.result.is_none() && message.error.is_none(),
        (None, None) => false,
    };
    if message.jsonrpc != "2.0" || !is_sound {
        return Err(bad(&"neither request, notification nor response").into());
    }
    Ok(message)
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(1000)]).into_owned()
}
