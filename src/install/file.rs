//! Reads a configuration file, keeps a copy, and replaces it in one step.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use time::OffsetDateTime;

use super::document::{Document, Format};
use crate::setup::SetupError;

const BOM: &str = "\u{feff}";

/// A client's file as it is now.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// The path as the client has it.
    pub(crate) path: PathBuf,
    /// What stands there, without a BOM; empty if there is no file.
    pub(crate) text: String,
    /// What the file holds; `None` if there is none.
    bytes: Option<Vec<u8>>,
    has_bom: bool,
}

impl ConfigFile {
    /// Reads the file at `path`, which need not exist.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    pub(crate) fn read(path: PathBuf) -> Result<Self, SetupError> {
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed("cannot be read", &path, &error)),
        };
        let text = String::from_utf8(bytes.clone().unwrap_or_default()).map_err(|_| {
            SetupError::failed(format!("{} is not text in UTF-8", path.display()))
                .hint("open it in an editor and save it as UTF-8; it has not been changed")
        })?;
        let (has_bom, text) = match text.strip_prefix(BOM) {
            Some(text) => (true, text.to_owned()),
            None => (false, text),
        };
        Ok(Self { path, text, bytes, has_bom })
    }

    /// Whether there is a file.
    pub(crate) fn is_there(&self) -> bool {
        self.bytes.is_some()
    }

    /// The text, parsed.
    ///
    /// # Errors
    /// It is broken.
    pub(crate) fn document(&self, format: Format) -> Result<Document, SetupError> {
        Document::parse(&self.text, format).map_err(|why| self.unusable(&why.to_string()))
    }

    /// The error for a file that cannot be edited because of `why`.
    pub(crate) fn unusable(&self, why: &str) -> SetupError {
        SetupError::failed(format!("{} is broken: {why}", self.path.display())).hint(
            "it has not been changed; repair that place, or move the file away, and try again",
        )
    }

    /// Replaces the file by one with `text`. Gives the path of the copy of what was there.
    ///
    /// # Errors
    /// The file cannot be written, or another program has changed it since it was read.
    pub(crate) fn replace(&self, text: &str) -> Result<Option<PathBuf>, SetupError> {
        let path = &self.path;
        let cannot_write = |error: io::Error| failed("cannot be written", path, &error);
        let target = behind_links(path).map_err(cannot_write)?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(cannot_write)?;
        let mut new = NamedTempFile::new_in(folder).map_err(cannot_write)?;
        let bom = if self.has_bom { BOM } else { "" };
        new.write_all([bom, text].concat().as_bytes()).map_err(cannot_write)?;
        let mut backup = None;
        if let Some(bytes) = &self.bytes {
            let permissions = fs::metadata(&target).map_err(cannot_write)?.permissions();
            if permissions.readonly() {
                return Err(SetupError::failed(format!("{} is read-only", path.display()))
                    .hint("it has not been changed; allow writing to it and try again"));
            }
            if fs::read(&target).map_err(cannot_write)? != *bytes {
                return Err(SetupError::failed(format!(
                    "{} has just been changed by another program",
                    path.display()
                ))
                .hint("close the client and try again"));
            }
            new.as_file().set_permissions(permissions).map_err(cannot_write)?;
            backup =
                Some(keep_copy(&target).map_err(|error| failed("cannot be copied", path, &error))?);
        }
        new.as_file().sync_all().map_err(cannot_write)?;
        new.persist(&target).map_err(|error| cannot_write(error.error))?;
        Ok(backup)
    }
}

/// The file that `path` leads to, through symbolic links, even if it does not exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    /// More links are a circle.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // Not a link, or not there.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Copies `file` to a new name beside it, with its permissions: it may hold secrets.
fn keep_copy(file: &Path) -> io::Result<PathBuf> {
    let now = OffsetDateTime::now_utc();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let stamp = format!("{}-{:02}{:02}{:02}", now.date(), now.hour(), now.minute(), now.second());
    let numbered = (0..).map(|number| match number {
        0 => file.with_file_name(format!("{name}.{stamp}.bak")),
        number => file.with_file_name(format!("{name}.{stamp}-{number}.bak")),
    });
    for copy in numbered {
        match fs::OpenOptions::new().write(true).create_new(true).open(&copy) {
            Ok(made) => {
                drop(made);
                return fs::copy(file, &copy).map(|_| copy);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("the numbers do not end")
}

fn failed(what: &str, path: &Path, error: &io::Error) -> SetupError {
    SetupError::failed(format!("{} {what}: {error}", path.display()))
        .hint("it has not been changed")
}
