//! The log: on stderr, and in a file that rotates by day. No line of it holds a secret.

mod level;

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use self::level::LogLevel;
use crate::redact::Secrets;

/// Log lines that may wait to be written.
const LINES_WAITING: usize = 1024;

/// Log files kept, one a day.
const FILES_KEPT: usize = 7;

/// Where the log goes.
#[derive(Debug)]
pub(crate) struct LogSettings {
    pub(crate) level: Option<LogLevel>,
    pub(crate) file: Option<PathBuf>,
    /// What must not be logged.
    pub(crate) secrets: Arc<Secrets>,
}

/// The running log.
pub(crate) struct Log {
    threads: Vec<LogThread>,
}

impl Log {
    /// Waits until all lines so far are written, for at most `patience` each for stderr and file.
    pub(crate) fn flush(&self, patience: Duration) {
        for thread in &self.threads {
            thread.flush(patience);
        }
    }
}

/// Starts logging. By default stderr is quiet, because some clients show each line of it as an
/// error.
///
/// # Errors
/// The log file cannot be written, in words.
pub(crate) fn start(settings: &LogSettings) -> Result<Log, String> {
    let mut threads = Vec::new();
    let mut writer = |sink: Box<dyn Write + Send>| {
        let thread = LogThread::start(sink).map_err(|error| format!("no log thread: {error}"))?;
        threads.push(thread.clone());
        Ok::<_, String>(Redacting { thread, secrets: settings.secrets.clone() })
    };
    let stderr_level = settings.level.unwrap_or(LogLevel::Warn);
    let stderr = fmt::layer()
        .with_writer(writer(Box::new(io::stderr()))?)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_filter(stderr_level.filter());
    let file = match &settings.file {
        None => None,
        Some(path) => {
            let level = settings.level.unwrap_or(LogLevel::Info);
            let writer = writer(Box::new(DailyFile::open(path)?))?;
            Some(fmt::layer().with_writer(writer).with_ansi(false).with_filter(level.filter()))
        }
    };
    tracing_subscriber::registry()
        .with(stderr)
        .with(file)
        .try_init()
        .map_err(|error| format!("logging cannot be started: {error}"))?;
    Ok(Log { threads })
}

/// A log file a day (UTC), of which the latest [`FILES_KEPT`] are kept. `tracing-appender` does
/// the first half of this, and brings a whole calendar for it.
struct DailyFile {
    file: File,
    /// Days since 1970-01-01 when `file` was opened.
    day: u64,
    directory: PathBuf,
    name: String,
}

impl DailyFile {
    fn open(path: &Path) -> Result<Self, String> {
        let cannot = |why: &dyn std::fmt::Display| {
            format!("--log-file {} cannot be written: {why}", path.display())
        };
        let name = path.file_name().ok_or_else(|| cannot(&"it names no file"))?;
        let name = name.to_string_lossy().into_owned();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let day = today();
        let file = open_day(&directory, &name, day).map_err(|error| cannot(&error))?;
        let log = Self { file, day, directory, name };
        log.prune();
        Ok(log)
    }

    /// Deletes the oldest of our own files: those named `NAME.YYYY-MM-DD` and no others.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let mut ours: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.strip_prefix(&self.name).is_some_and(is_date_suffix))
            .collect();
        ours.sort_unstable();
        ours.truncate(ours.len().saturating_sub(FILES_KEPT));
        for name in ours {
            // Another process may have been quicker.
            let _ = fs::remove_file(self.directory.join(name));
        }
    }
}

fn open_day(directory: &Path, name: &str, day: u64) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.{}", date(day)));
    OpenOptions::new().create(true).append(true).open(path)
}

/// Days since 1970-01-01.
fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / 86_400
}

/// `YYYY-MM-DD` of a day that many days after 1970-01-01 in the Gregorian calendar, reckoned in
/// eras of 400 years that begin with March.
fn date(day: u64) -> String {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, month);
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Whether `suffix` is `.YYYY-MM-DD`.
fn is_date_suffix(suffix: &str) -> bool {
    let shape: String = suffix.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == ".0000-00-00"
}

impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let today = today();
        if today != self.day {
            self.file = open_day(&self.directory, &self.name, today)?;
            self.day = today;
            self.prune();
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A thread that writes log lines, because nobody may be reading them: a client that starts us
/// with a pipe on stderr and forgets it must not stop us. Lines beyond a bound are dropped.
#[derive(Clone)]
struct LogThread {
    jobs: SyncSender<LogJob>,
    dropped: Arc<AtomicUsize>,
}

enum LogJob {
    Line(String),
    Flush(SyncSender<()>),
}

impl LogThread {
    fn start(mut sink: Box<dyn Write + Send>) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(LINES_WAITING);
        let dropped = Arc::new(AtomicUsize::new(0));
        let thread = Self { jobs, dropped: dropped.clone() };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            for job in receiver {
                // A log that cannot be written has nowhere to say so.
                let _ = match job {
                    LogJob::Line(line) => sink.write_all(line.as_bytes()),
                    LogJob::Flush(done) => {
                        let flushed = sink.flush();
                        let _ = done.try_send(());
                        flushed
                    }
                };
                match dropped.swap(0, Ordering::Relaxed) {
                    0 => {}
                    lines => drop(writeln!(sink, " WARN {lines} log lines dropped")),
                }
            }
        })?;
        Ok(thread)
    }

    fn write(&self, line: String) {
        if self.jobs.try_send(LogJob::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self, patience: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.jobs.try_send(LogJob::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(patience);
        }
    }
}

impl LogLevel {
    /// Lets our own lines of this level pass; libraries are heard on the last level only.
    fn filter(self) -> Targets {
        let level = match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => return Targets::new().with_default(LevelFilter::TRACE),
        };
        Targets::new().with_target(env!("CARGO_CRATE_NAME"), level)
    }
}

/// Tells a person who has started the program in a terminal what it waits for.
pub(crate) fn greet_person(url: &str) {
    if io::stdin().is_terminal() {
        let _ = writeln!(
            io::stderr(),
            "mcpline {}: forwarding to {url}\nWaiting for JSON-RPC messages on standard input, one \
             a line; an MCP client usually starts this program and sends them.\nTry \
             {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}} and Enter; {} ends.",
            env!("CARGO_PKG_VERSION"),
            if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" },
        );
    }
}

/// Tells why the program cannot start: one line, which is what a client's log shows.
pub fn complain(why: &str) {
    let _ = writeln!(io::stderr(), "mcpline: {why}");
}

/// Writes log lines with every secret masked. The formatter writes each line at once.
struct Redacting {
    thread: LogThread,
    secrets: Arc<Secrets>,
}

impl<'a> MakeWriter<'a> for Redacting {
    type Writer = RedactingWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter(self)
    }
}

struct RedactingWriter<'a>(&'a Redacting);

impl Write for RedactingWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut text = self.0.secrets.redact(&text).replace(char::is_control, " ");
        // What an upstream said must not move a terminal's cursor, or pass for a line of ours.
        text.truncate(text.trim_end().len());
        text.push('\n');
        self.0.thread.write(text);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_names_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_777, "2026-11-20"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ];
        for (day, name) in cases {
            assert_eq!(date(day), name);
        }
        assert!(is_date_suffix(&format!(".{}", date(today()))));
    }
}
