//! The log file. `tracing-appender` writes one file a day into a folder of ours and removes the
//! old ones; the path that the person named is a hard link to today's.
//!
//! The folder is ours because the library removes files by their names. In a folder without prefix
//! or suffix it removes only files whose whole name is a date.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use time::{Date, OffsetDateTime};
use tracing_appender::rolling::{RollingFileAppender, Rotation};

use crate::setup::SetupError;

/// Log files kept, one a day.
const FILES_KEPT: usize = 7;

/// A log that starts a new file each day (UTC).
pub(super) struct LogFile {
    appender: RollingFileAppender,
    /// The path that the person named.
    path: PathBuf,
    /// The folder of the dated files: `PATH.days`.
    days: PathBuf,
    /// The last day that `path` was linked to.
    day: Date,
    /// Held for as long as this process is the one that removes old files.
    _pruning: Option<File>,
}

impl LogFile {
    /// Opens today's file; also tells where the log is, for the log itself.
    pub(super) fn open(path: &Path) -> Result<(Self, Place), SetupError> {
        let cannot = |why: &dyn std::fmt::Display| {
            SetupError::usage(format!("--log-file {} cannot be written: {why}", path.display()))
        };
        // With a separator at its end it still has a name for the standard library.
        let last = path.as_os_str().as_encoded_bytes().last();
        let names_folder = last.is_some_and(|last| std::path::is_separator(char::from(*last)));
        // A client starts us in a folder that the person may not know.
        let path = std::path::absolute(path).map_err(|error| cannot(&error))?;
        let name = path.file_name().ok_or_else(|| cannot(&"it names no file"))?;
        if path.is_dir() || names_folder {
            return Err(cannot(&"it is a folder"));
        }
        let mut folder = OsString::from(name);
        folder.push(".days");
        let days = path.with_file_name(folder);
        // The library would make it too, but first complain on stderr that it is missing.
        fs::create_dir_all(&days).map_err(|error| cannot(&error))?;
        let pruning = pruning_lock(&days);
        let mut appender = RollingFileAppender::builder().rotation(Rotation::DAILY);
        if pruning.is_some() {
            appender = appender.max_log_files(FILES_KEPT);
        }
        let appender = appender.build(&days).map_err(|error| cannot(&error))?;
        let day = today();
        let place = match link(&path, &days, day) {
            Ok(()) => Place::Linked { path: path.clone(), days: days.clone() },
            Err(why) => Place::Dated { path: path.clone(), file: dated(&days, day), why },
        };
        Ok((Self { appender, path, days, day, _pruning: pruning }, place))
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Asked before the library asks for its own, so that its file of this day exists.
        let today = today();
        let written = self.appender.write(line);
        if today > self.day {
            self.day = today;
            // Where it failed at the start it was told; the dated file is written all the same.
            let _ = link(&self.path, &self.days, today);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.appender.flush()
    }
}

/// Where a person finds the log.
pub(super) enum Place {
    /// At the path that was named, and that of earlier days in a folder.
    Linked { path: PathBuf, days: PathBuf },
    /// In the dated file only.
    Dated { path: PathBuf, file: PathBuf, why: io::Error },
}

impl Place {
    /// Says it in the log.
    pub(super) fn log(&self) {
        match self {
            Self::Linked { path, days } => tracing::info!(
                "the log is written to {}; earlier days are in {}",
                path.display(),
                days.display()
            ),
            Self::Dated { path, file, why } => tracing::warn!(
                "the log is written to {}, because {} cannot be used: {why}",
                file.display(),
                path.display()
            ),
        }
    }
}

fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

/// The name that the library gives to the file of a day.
fn dated(days: &Path, day: Date) -> PathBuf {
    days.join(day.to_string())
}

/// The right to remove old files, which one process has at a time: the library complains on stderr
/// when another process has removed a file first.
fn pruning_lock(days: &Path) -> Option<File> {
    let path = days.join("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path).ok()?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        // A file system without locks must not fill up.
        Ok(()) | Err(TryLockError::Error(_)) => Some(lock),
    }
}

/// Makes `path` a hard link to the file of `day`, which needs no rights on any system. A file of
/// somebody else at `path` stays.
fn link(path: &Path, days: &Path, day: Date) -> io::Result<()> {
    let file = dated(days, day);
    match fs::hard_link(&file, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        done => return done,
    }
    if same_file::is_same_file(path, &file)? {
        return Ok(());
    }
    let is_ours = |day: io::Result<fs::DirEntry>| {
        day.is_ok_and(|day| same_file::is_same_file(path, day.path()).unwrap_or(false))
    };
    if !fs::read_dir(days)?.any(is_ours) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file is there"));
    }
    // Replaced in one step, so that readers and other processes always find a file.
    let next = days.join(format!("next-{}", std::process::id()));
    let _ = fs::remove_file(&next);
    fs::hard_link(&file, &next)?;
    let replaced = fs::rename(&next, path);
    // Still there when the rename failed, or when another process had made the same link.
    let _ = fs::remove_file(&next);
    replaced
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    /// A folder with a path for a log whose name has a space.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no such folder yet").join("our x.log");
        (folder, path)
    }

    fn write(file: &mut LogFile, line: &str) {
        file.write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn the_named_path_leads_to_the_file_of_each_new_day() {
        let (_folder, path) = folder();
        // As if the process had been started yesterday. The path must not have led to today's file,
        // which is open: not every Windows takes a name from an open file.
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        let (mut file, _) = LogFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let yesterday = today() - Duration::DAY;
        let other = dated(&file.days, yesterday);
        fs::write(&other, "yesterday\n").unwrap();
        link(&path, &file.days, yesterday).unwrap();
        file.day = yesterday;
        assert_eq!(fs::read_to_string(&path).unwrap(), "yesterday\n");

        write(&mut file, "today\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "today\n");
        assert_eq!(fs::read_to_string(&other).unwrap(), "yesterday\n");
        let left: Vec<_> = fs::read_dir(&file.days).unwrap().collect();
        assert_eq!(left.len(), 3, "two days and the lock: {left:?}");
    }

    #[test]
    fn a_file_of_somebody_else_at_the_path_stays() {
        let (_folder, path) = folder();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "not ours\n").unwrap();
        let (mut file, place) = LogFile::open(&path).unwrap();
        let Place::Dated { file: dated, .. } = place else { panic!("the file is taken over") };
        write(&mut file, "ours\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "not ours\n");
        assert_eq!(fs::read_to_string(dated).unwrap(), "ours\n");
    }

    #[test]
    fn processes_that_share_a_log_all_write_to_it_and_one_removes_old_files() {
        let (_folder, path) = folder();
        let (mut first, _) = LogFile::open(&path).unwrap();
        let (mut second, place) = LogFile::open(&path).unwrap();
        assert!(matches!(place, Place::Linked { .. }));
        write(&mut second, "second\n");
        write(&mut first, "first\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\nfirst\n");
        let days = second.days.clone();
        assert!(pruning_lock(&days).is_none());
        // The second cannot take over; the next that starts does.
        drop(first);
        assert!(pruning_lock(&days).is_some());
    }

    #[test]
    fn what_cannot_be_a_log_file_is_refused() {
        let (folder, _) = folder();
        let why = LogFile::open(folder.path()).err().unwrap();
        assert!(why.message.ends_with("cannot be written: it is a folder"), "{why}");
        let why = LogFile::open(&folder.path().join("not there yet").join("")).err().unwrap();
        assert!(why.message.ends_with("cannot be written: it is a folder"), "{why}");
        let why = LogFile::open(Path::new("..")).err().unwrap();
        assert!(why.message.starts_with("--log-file .. cannot be written"), "{why}");
    }
}
