//! The log file: one file a day in a folder of ours, of which old ones are removed. The path that the
//! person named is a hard link to today's.
//!
//! `tracing-appender` can write files by the day as well. It removes old ones in one process only,
//! complains on stderr about the others, and brings all of the parsing of dates along; what is here
//! is no longer than what that took.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use time::{Date, OffsetDateTime};

use crate::setup::SetupError;

/// Log files kept, one a day.
const FILES_KEPT: usize = 7;

/// A log that starts a new file each day (UTC).
pub(super) struct LogFile {
    /// Today's file.
    file: File,
    /// The path that the person named.
    path: PathBuf,
    /// The folder of the dated files: `PATH.days`.
    days: PathBuf,
    /// The day of `file`.
    day: Date,
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
        let day = today();
        let file = open_day(&days, day).map_err(|error| cannot(&error))?;
        remove_old(&days);
        let place = match link(&path, &days, day) {
            Ok(()) => Place::Linked { path: path.clone(), days: days.clone() },
            Err(why) => Place::Dated { path: path.clone(), file: dated(&days, day), why },
        };
        Ok((Self { file, path, days, day }, place))
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let today = today();
        // Where it fails, the file of the last day is better than none.
        if today > self.day
            && let Ok(file) = open_day(&self.days, today)
        {
            (self.file, self.day) = (file, today);
            // Where it failed at the start it was told; the dated file is written all the same.
            let _ = link(&self.path, &self.days, today);
            remove_old(&self.days);
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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

/// The file of a day.
fn dated(days: &Path, day: Date) -> PathBuf {
    days.join(day.to_string())
}

/// Opens the file of `day`, into which other processes may write as well.
fn open_day(days: &Path, day: Date) -> io::Result<File> {
    fs::create_dir_all(days)?;
    File::options().create(true).append(true).open(dated(days, day))
}

/// Removes all but the last files of days. Whatever has no date for its name stays, and another process
/// may have removed a file first.
fn remove_old(days: &Path) {
    let Ok(entries) = fs::read_dir(days) else { return };
    let mut names: Vec<String> = Vec::new();
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        if is_date(&name) {
            names.insert(names.partition_point(|other| *other < name), name);
        }
    }
    let count = names.len().saturating_sub(FILES_KEPT);
    for name in names.iter().take(count) {
        let _ = fs::remove_file(days.join(name));
    }
}

/// Whether `name` is a date as the names of files have it: `2026-11-29`.
fn is_date(name: &str) -> bool {
    let is_fit = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    name.len() == 10 && name.bytes().enumerate().all(is_fit)
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
        assert_eq!(left.len(), 2, "two days: {left:?}");
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
    fn processes_that_share_a_log_all_write_to_it() {
        let (_folder, path) = folder();
        let (mut first, _) = LogFile::open(&path).unwrap();
        let (mut second, place) = LogFile::open(&path).unwrap();
        assert!(matches!(place, Place::Linked { .. }));
        write(&mut second, "second\n");
        write(&mut first, "first\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\nfirst\n");
    }

    #[test]
    fn the_oldest_days_are_removed_and_nothing_else() {
        let (_folder, path) = folder();
        let days = path.with_file_name("our x.log.days");
        fs::create_dir_all(&days).unwrap();
        let others = ["2026-11-2", "2026-11-211", "2026x11-21", "notes", "2026-11-21.txt"];
        for day in 1..=9 {
            fs::write(days.join(format!("2001-02-0{day}")), "").unwrap();
        }
        for other in others {
            fs::write(days.join(other), "").unwrap();
        }
        let (file, _) = LogFile::open(&path).unwrap();
        for day in 1..=9 {
            // Today's is the seventh of those that stay.
            let is_there = days.join(format!("2001-02-0{day}")).exists();
            assert_eq!(is_there, day > 3, "{day}");
        }
        assert!(dated(&days, file.day).exists());
        for other in others {
            assert!(days.join(other).exists(), "{other}");
        }
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
