//! The log: on stderr, and in a file that rotates by day. No line of it holds a secret.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogLevel;
use crate::redact::Secrets;

/// Log files kept, one a day.
const FILES_KEPT: usize = 7;

/// Where the log goes.
#[derive(Debug)]
pub struct LogSettings {
    pub(crate) level: Option<LogLevel>,
    pub(crate) file: Option<PathBuf>,
    /// What must not be logged.
    pub(crate) secrets: Arc<Secrets>,
}

/// Starts logging. By default stderr is quiet, because some clients show each line of it as an
/// error.
///
/// # Errors
/// The log file cannot be written, in words.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let stderr_level = settings.level.map_or(LevelFilter::WARN, LogLevel::filter);
    let stderr = Redacting { sink: Sink::Stderr, secrets: settings.secrets.clone() };
    let stderr = fmt::layer()
        .with_writer(stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_filter(stderr_level);
    let file = match &settings.file {
        None => None,
        Some(path) => {
            let level = settings.level.map_or(LevelFilter::INFO, LogLevel::filter);
            let sink = Sink::File(Arc::new(Mutex::new(log_file(path)?)));
            let writer = Redacting { sink, secrets: settings.secrets.clone() };
            Some(fmt::layer().with_writer(writer).with_ansi(false).with_filter(level))
        }
    };
    tracing_subscriber::registry()
        .with(stderr)
        .with(file)
        .try_init()
        .map_err(|error| format!("logging cannot be started: {error}"))
}

fn log_file(path: &std::path::Path) -> Result<RollingFileAppender, String> {
    let cannot = |why: &dyn std::fmt::Display| {
        format!("--log-file {} cannot be written: {why}", path.display())
    };
    let name = path.file_name().ok_or_else(|| cannot(&"it names no file"))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name.to_string_lossy())
        .max_log_files(FILES_KEPT)
        .build(directory.unwrap_or(std::path::Path::new(".")))
        .map_err(|error| cannot(&error))
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
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
    sink: Sink,
    secrets: Arc<Secrets>,
}

#[derive(Clone)]
enum Sink {
    Stderr,
    File(Arc<Mutex<RollingFileAppender>>),
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
        let text = self.0.secrets.redact(&text);
        match &self.0.sink {
            Sink::Stderr => io::stderr().write_all(text.as_bytes())?,
            Sink::File(file) => {
                file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes())?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
