//! Why the program cannot start.

use std::path::Path;
use std::{fmt, io};

/// Settings that cannot be used, or a part of the system that cannot be set up. Its text is one
/// line for a person.
#[derive(Debug, PartialEq, Eq)]
pub struct SetupError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    is_usage: bool,
}

impl SetupError {
    /// The user's settings cannot be used.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_usage: true }
    }

    /// The settings can be used, but something that they need cannot be set up.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_usage: false }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error with each text replaced.
    pub(crate) fn map(self, text: impl Fn(&str) -> String) -> Self {
        let Self { message, hint, is_usage } = self;
        Self { message: text(&message), hint: hint.as_deref().map(text), is_usage }
    }

    /// The exit status: 2 for unusable settings, as clap has it for the command line; else 1.
    pub fn status(&self) -> u8 {
        if self.is_usage { 2 } else { 1 }
    }
}

/// Why the file at `path` cannot be read, and where a relative path led: clients start us in a folder that
/// nobody knows.
pub(crate) fn unreadable(path: &Path, why: &io::Error) -> String {
    match std::env::current_dir().ok().filter(|_| path.is_relative()) {
        Some(folder) => format!("cannot be read: {why}; it was looked for in {}", folder.display()),
        None => format!("cannot be read: {why}"),
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(formatter, ": {hint}"))
    }
}

impl std::error::Error for SetupError {}
