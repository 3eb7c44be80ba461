//! Files and folders that belong to this user and to nobody else, by the means of each system.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

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

/// Creates a folder for the owner alone, if it is not there.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes a file that is created readable for the owner alone.
pub(super) fn for_owner(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Checks that nobody else can put files into `dir`.
pub(super) fn check_dir(dir: &Path) -> io::Result<()> {
    check(dir, &fs::symlink_metadata(dir)?)
}

/// Reads the file at `path` in `dir`, if nobody else can read or replace it.
pub(super) fn read(dir: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is a link or no file: remove it"));
    }
    check_dir(dir)?;
    check(path, &metadata)?;
    unseal(fs::read(path)?)
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
pub(super) fn seal(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    windows_dpapi::encrypt_data(&bytes, windows_dpapi::Scope::User, None).map_err(io::Error::other)
}

#[cfg(windows)]
fn unseal(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    windows_dpapi::decrypt_data(&bytes, windows_dpapi::Scope::User, None).map_err(io::Error::other)
}

/// The rights of the file are what there is.
#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "as on Windows")]
pub(super) fn seal(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    Ok(bytes)
}

#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "as on Windows")]
fn unseal(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    Ok(bytes)
}
