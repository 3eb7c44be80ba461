//! Runs commands that change the files of clients in a home folder of their own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The home of somebody who uses some clients.
pub(crate) struct Home(TempDir);

/// What a command said, and how it ended.
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// It worked; this is what it said.
    pub(crate) fn is_done(&self) -> &str {
        assert_eq!(self.status, 0, "{}{}", self.stdout, self.stderr);
        &self.stdout
    }

    /// It did not: one line says all of this.
    pub(crate) fn refuses(&self, status: i32, parts: &[&str]) {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part} is missing: {}", self.stderr);
        }
    }
}

impl Home {
    /// Somebody who uses none yet.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A file in the home folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// A file in the folder of the user's settings.
    pub(crate) fn config(&self, path: &str) -> PathBuf {
        let root = match std::env::consts::OS {
            "windows" => "AppData/Roaming",
            "macos" => "Library/Application Support",
            _ => ".config",
        };
        self.path(root).join(path)
    }

    /// The file of Claude Desktop.
    pub(crate) fn claude(&self) -> PathBuf {
        self.config("Claude/claude_desktop_config.json")
    }

    /// Runs the binary there, without a terminal.
    pub(crate) fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        self.pipe(args, env, "")
    }

    /// Runs the binary there, with `input` on its stdin.
    pub(crate) fn pipe(&self, args: &[&str], env: &[(&str, &str)], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpline"));
        command.env_clear().current_dir(self.0.path()).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["PATH", "TEMP", "TMP", "TMPDIR", "SystemRoot", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // What is said is in the system's language.
        command.env("LC_ALL", "C");
        for name in ["HOME", "USERPROFILE"] {
            command.env(name, self.0.path());
        }
        command.env("APPDATA", self.path("AppData/Roaming"));
        command.env("LOCALAPPDATA", self.path("AppData/Local"));
        let mut child = command.envs(env.iter().copied()).spawn().unwrap();
        // A command that does not read its stdin may be gone before it is written.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            status: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    pub(crate) fn install(&self, args: &str) -> Said {
        self.run(&words("install", args), &[])
    }
}

pub(crate) fn words<'a>(command: &'a str, args: &'a str) -> Vec<&'a str> {
    [command].into_iter().chain(args.split_whitespace()).collect()
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// The copies that stand beside the file.
pub(crate) fn copies(path: &Path) -> Vec<PathBuf> {
    let beside = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut beside: Vec<_> = beside.map(|entry| entry.unwrap().path()).collect();
    beside.retain(|other| other != path);
    beside
}
