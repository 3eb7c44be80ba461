//! The log: on stderr, and in a file for each day. No line of it holds a secret.

mod file;
mod json;
mod level;
mod queue;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::file::LogFile;
use self::json::Json;
pub(crate) use self::level::{LogFormat, LogLevel};
use self::queue::Queue;
use crate::redact::Secrets;
use crate::setup::SetupError;

/// Where the log goes.
#[derive(Debug)]
pub(crate) struct LogSettings {
    pub(crate) level: Option<LogLevel>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) format: LogFormat,
    /// What must not be logged.
    pub(crate) secrets: Arc<Secrets>,
}

/// The running log.
pub(crate) struct Log {
    queues: Vec<Arc<Queue>>,
}

impl Log {
    /// Waits until all lines so far are written, for at most `patience` each for stderr and file.
    pub(crate) fn flush(&self, patience: Duration) {
        for queue in &self.queues {
            queue.flush(patience);
        }
    }
}

/// Starts logging. By default stderr is quiet, because some clients show each line of it as an
/// error.
///
/// # Errors
/// The log file cannot be written.
pub(crate) fn start(settings: &LogSettings) -> Result<Log, SetupError> {
    let mut queues = Vec::new();
    let is_text = settings.format == LogFormat::Text;
    let mut writer = |sink: Box<dyn Write + Send>| {
        let queue = Arc::new(Queue::start(sink));
        queues.push(Arc::clone(&queue));
        // Lines of JSON are redacted value by value.
        let secrets = is_text.then(|| settings.secrets.clone());
        Redacting { queue, secrets }
    };
    let json = || Json(settings.secrets.clone());
    let stderr_level = settings.level.unwrap_or(LogLevel::Warn);
    let stderr = fmt::layer().with_writer(writer(Box::new(io::stderr()))).with_ansi(false);
    let stderr = if is_text {
        stderr.with_target(false).without_time().boxed()
    } else {
        stderr.event_format(json()).boxed()
    };
    let stderr = stderr.with_filter(stderr_level.filter());
    let (file, place) = settings.file.as_deref().map(LogFile::open).transpose()?.unzip();
    let file = file.map(|file| {
        let level = settings.level.unwrap_or(LogLevel::Info);
        let writer = writer(Box::new(file));
        let layer = fmt::layer().with_writer(writer).with_ansi(false);
        let layer = if is_text { layer.boxed() } else { layer.event_format(json()).boxed() };
        layer.with_filter(level.filter())
    });
    tracing_subscriber::registry()
        .with(stderr)
        .with(file)
        .try_init()
        .map_err(|error| SetupError::failed(format!("logging cannot be started: {error}")))?;
    if let Some(place) = place {
        place.log();
    }
    Ok(Log { queues })
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

/// Writes log lines with every secret masked. The formatter writes each line at once.
struct Redacting {
    queue: Arc<Queue>,
    /// What to mask in a whole line.
    secrets: Option<Arc<Secrets>>,
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
        let mut text = match &self.0.secrets {
            Some(secrets) => secrets.redact(&text),
            None => text,
        }
        .replace(char::is_control, " ");
        // What an upstream said must not move a terminal's cursor, or pass for a line of ours.
        text.truncate(text.trim_end().len());
        text.push('\n');
        self.0.queue.write(text.as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
