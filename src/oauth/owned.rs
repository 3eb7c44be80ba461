//! Files and folders that belong to this user and to nobody else, by the means of each system.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and after which pause, a file that another program uses is replaced.
const REPLACE_TRIES: u32 = 20;
const REPLACE_PAUSE: Duration = Duration::from_millis(50);

/// A new file that is this old is not being written any more.
const LEFT_OVER: Duration = Duration::from_mins(2);

/// The folder for what programs remember, where the system names one.
pub(crate) fn state_dir() -> Option<PathBuf> {
    let variable =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        std::env::home_dir().map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_STATE_HOME")
            .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
    };
    base.filter(|base| base.is_absolute()).map(|base| base.join("mcpline"))
}

/// Creates a folder for the owner alone, if it is not there, and checks that nobody else can put files
/// into it.
fn own_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    check_dir(dir)
}

/// Makes a file that is created readable for the owner alone.
fn for_owner(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

fn check_dir(dir: &Path) -> io::Result<()> {
    check(dir, &fs::symlink_metadata(dir)?)
}

fn check_file(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is a link or no file: remove it"));
    }
    check(path, &metadata)
}

/// Opens the file at `path` in `dir` that a lock is taken on, and creates it if it is not there.
pub(super) fn open_lock(dir: &Path, path: &Path) -> io::Result<File> {
    own_dir(dir)?;
    match check_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    for_owner(&mut options);
    options.open(path)
}

/// Reads the file at `path` in `dir`, if nobody else can read or replace it.
pub(super) fn read(dir: &Path, path: &Path) -> io::Result<Vec<u8>> {
    check_file(path)?;
    check_dir(dir)?;
    unseal(&fs::read(path)?)
}

/// Whether a file is there and ours, but what it holds cannot be understood.
pub(super) fn is_damage(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Writes the file at `path` in `dir`, whole or not at all.
pub(super) fn write(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = write_beside(dir, path, bytes)?;
    replace(&new, path).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    // Until the folder is written, a power cut may bring the old file back.
    #[cfg(unix)]
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
    Ok(())
}

/// Finds out whether [`write()`] would work.
pub(super) fn try_write(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::remove_file(write_beside(dir, path, bytes)?)
}

/// Writes a new file that is to replace the one at `path`.
fn write_beside(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    own_dir(dir)?;
    if let Some(name) = path.file_stem().and_then(OsStr::to_str) {
        sweep(dir, name, LEFT_OVER);
    }
    let sealed = seal(bytes)?;
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{:08x}", fastrand::u32(..)));
    let new = PathBuf::from(new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    for_owner(&mut options);
    let mut file = options.open(&new)?;
    let written = file.write_all(&sealed).and_then(|()| file.sync_all());
    drop(file);
    written.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    Ok(new)
}

/// Puts `new` in place of `path`. On Windows a virus scanner or a backup may have the file open for a
/// moment, and then it cannot be replaced.
fn replace(new: &Path, path: &Path) -> io::Result<()> {
    let mut tries = if cfg!(windows) { REPLACE_TRIES } else { 1 };
    loop {
        tries -= 1;
        match fs::rename(new, path) {
            Err(why) if tries > 0 && is_in_use(&why) => std::thread::sleep(REPLACE_PAUSE),
            renamed => return renamed,
        }
    }
}

/// Whether another program uses a file, by what Windows says.
fn is_in_use(why: &io::Error) -> bool {
    const SHARING_VIOLATION: i32 = 32;
    why.kind() == io::ErrorKind::PermissionDenied || why.raw_os_error() == Some(SHARING_VIOLATION)
}

/// Removes what a process that died while it wrote has left of the files of `name`: `NAME.ENDING.` and
/// eight digits, written at least `age` ago.
pub(super) fn sweep(dir: &Path, name: &str, age: Duration) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let rest = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.'));
        let is_new = rest.and_then(|rest| rest.split_once('.')).is_some_and(|(_, digits)| {
            digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let is_old = || {
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
            Some(modified.elapsed().ok()? >= age)
        };
        if is_new && is_old() == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes the file at `path`; returns whether it was there.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

#[cfg(unix)]
fn check(path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if metadata.is_symlink() {
        return Err(io::Error::other("it is a link: remove it"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to another user", path.display())));
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = if metadata.is_dir() { "700" } else { "600" };
        let shown = path.display();
        return Err(io::Error::other(format!(
            "other users may use {shown}: run `chmod {mode} {shown}`"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(_path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    // The folder of a user's local data is closed to other users, and the content is sealed.
    if metadata.is_symlink() {
        return Err(io::Error::other("it is a link: remove it"));
    }
    Ok(())
}

/// Seals what only this user may read, where the system can do that.
#[cfg(windows)]
fn seal(bytes: &[u8]) -> io::Result<Vec<u8>> {
    windows_dpapi::encrypt_data(bytes, windows_dpapi::Scope::User, None).map_err(io::Error::other)
}

#[cfg(windows)]
fn unseal(bytes: &[u8]) -> io::Result<Vec<u8>> {
    windows_dpapi::decrypt_data(bytes, windows_dpapi::Scope::User, None)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.to_string()))
}

/// The rights of the file are what there is.
#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "as on Windows")]
fn seal(bytes: &[u8]) -> io::Result<Vec<u8>> {
    Ok(bytes.to_vec())
}

#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "as on Windows")]
fn unseal(bytes: &[u8]) -> io::Result<Vec<u8>> {
    Ok(bytes.to_vec())
}
