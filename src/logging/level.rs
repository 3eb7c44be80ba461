//! How much is logged.

use clap::ValueEnum;

/// How a line of the log is written (`--log-format`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON object a line
    Json,
}

/// How much is logged (`--log-level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Nothing
    Off,
    /// What stops mcpline from working
    Error,
    /// What a person should look at
    Warn,
    /// Sessions, retries, recoveries
    Info,
    /// Every request, and what the upstream sends of its own accord
    Debug,
    /// What libraries have to say, too
    Trace,
}
