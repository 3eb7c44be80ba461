//! Keeps tokens and registrations in files that only their owner can read.
//!
//! A record belongs to one upstream, client id, scope and profile. It is written whole or not at all.
//! Two locks, which the system frees when a process dies, keep the processes of one user apart:
//! [`Store::lock`] around reading, renewing and writing, [`Store::lock_login`] while a person signs in.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::flow::Pending;
use super::grant::Tokens;
use super::metadata::ServerDocument;
use super::owned;
use super::problem::Problem;
use super::settings::Settings;

/// Pause before a lock that is taken is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(15);

/// How long a lock may be waited for: whoever holds it waits for one answer of a server.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// What is kept of one sign-in.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    upstream: String,
    /// The issuer that was used last.
    pub(super) issuer: Option<String>,
    /// What belongs to each issuer. Nothing of one is ever shown to another.
    pub(super) servers: BTreeMap<String, Section>,
}

/// What is kept for one issuer.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) server: ServerDocument,
    pub(super) client: Client,
    pub(super) resource: Option<String>,
    pub(super) tokens: Option<Tokens>,
}

impl Record {
    /// The section of the issuer that was used last.
    pub(super) fn current(&self) -> Option<&Section> {
        self.servers.get(self.issuer.as_ref()?)
    }

    /// The tokens that were got last.
    pub(super) fn tokens(&self) -> Option<&Tokens> {
        self.current()?.tokens.as_ref()
    }

    /// Makes `section` the one of the issuer that was used last.
    pub(super) fn set(&mut self, issuer: &str, section: Section) {
        self.issuer = Some(issuer.to_owned());
        self.servers.insert(issuer.to_owned(), section);
    }
}

const VERSION: u32 = 1;

/// The files of one sign-in.
pub(super) struct Store {
    dir: Option<PathBuf>,
    name: String,
    upstream: String,
}

/// A lock that is held until it is dropped.
pub(super) struct Lock {
    _file: Option<File>,
}

impl Store {
    /// The store for `settings`. Touches no file.
    pub(super) fn new(settings: &Settings) -> Self {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let (id, scope) = (settings.client_id.as_deref(), settings.scope.as_deref());
        let upstream = settings.configured_url.as_str();
        for part in [upstream, id.unwrap_or(""), scope.unwrap_or(""), &settings.profile] {
            digest.update(part.as_bytes());
            digest.update(b"\n");
        }
        let digest = digest.finish();
        let name = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
        let dir = settings.state_dir.as_ref().map(|dir| dir.join("oauth"));
        Self { dir, name, upstream: upstream.to_owned() }
    }

    fn path(&self, ending: &str) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{}.{ending}", self.name)))
    }

    /// The record, if there is one.
    ///
    /// # Errors
    /// There is one that cannot be trusted or read.
    pub(super) fn load(&self) -> Result<Option<Record>, Problem> {
        let record: Option<Record> = self.read("json")?;
        Ok(record.filter(|record| record.version == VERSION && record.upstream == self.upstream))
    }

    /// Writes the record.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save(&self, record: &mut Record) -> Result<(), Problem> {
        record.version = VERSION;
        record.upstream.clone_from(&self.upstream);
        self.write("json", record)
    }

    /// Forgets the record; returns whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&self) -> Result<bool, Problem> {
        self.remove("json")
    }

    /// The sign-in under way, if it is known.
    pub(super) fn pending(&self) -> Option<Pending> {
        self.read("pending").ok().flatten()
    }

    /// Tells other processes of the sign-in under way.
    pub(super) fn save_pending(&self, pending: &Pending) -> Result<(), Problem> {
        self.write("pending", pending)
    }

    /// No sign-in is under way any more.
    pub(super) fn forget_pending(&self) {
        let _ = self.remove("pending");
    }

    /// Waits for the lock around reading, renewing and writing. Where locks do not work, as on some
    /// network drives, goes on without one.
    pub(super) async fn lock(&self) -> Lock {
        let Ok(Some(file)) = self.lock_file("lock") else { return Lock { _file: None } };
        let taking = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Lock { _file: Some(file) },
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                    Err(TryLockError::Error(why)) => {
                        tracing::warn!("tokens are kept without a lock: {why}");
                        return Lock { _file: None };
                    }
                }
            }
        };
        tokio::time::timeout(LOCK_PATIENCE, taking).await.unwrap_or(Lock { _file: None })
    }

    /// The lock of the process in which a person signs in; `None` if it is another one.
    pub(super) fn lock_login(&self) -> Option<Lock> {
        let Ok(Some(file)) = self.lock_file("login") else { return Some(Lock { _file: None }) };
        match file.try_lock() {
            Ok(()) => Some(Lock { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(_)) => Some(Lock { _file: None }),
        }
    }

    fn lock_file(&self, ending: &str) -> io::Result<Option<File>> {
        let (Some(dir), Some(path)) = (&self.dir, self.path(ending)) else { return Ok(None) };
        owned::create_dir(dir)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        owned::for_owner(&mut options);
        options.open(path).map(Some)
    }

    fn read<T: DeserializeOwned>(&self, ending: &str) -> Result<Option<T>, Problem> {
        let (Some(dir), Some(path)) = (&self.dir, self.path(ending)) else { return Ok(None) };
        let bytes = match owned::read(dir, &path) {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(unusable(&path, &why)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                tracing::warn!("{} is damaged and is not used", path.display());
                Ok(None)
            }
        }
    }

    fn write(&self, ending: &str, value: &impl Serialize) -> Result<(), Problem> {
        let (Some(dir), Some(path)) = (&self.dir, self.path(ending)) else { return Ok(()) };
        let write = || {
            owned::create_dir(dir)?;
            owned::check_dir(dir)?;
            let bytes = owned::seal(serde_json::to_vec(value)?)?;
            let new = path.with_extension(format!("{ending}.{:08x}", fastrand::u32(..)));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            owned::for_owner(&mut options);
            let mut file = options.open(&new)?;
            let written = file.write_all(&bytes).and_then(|()| file.sync_all());
            drop(file);
            written.and_then(|()| fs::rename(&new, &path)).inspect_err(|_| {
                let _ = fs::remove_file(&new);
            })
        };
        write().map_err(|why: io::Error| unusable(&path, &why))
    }

    fn remove(&self, ending: &str) -> Result<bool, Problem> {
        let Some(path) = self.path(ending) else { return Ok(false) };
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(why) => Err(unusable(&path, &why)),
        }
    }
}

fn unusable(path: &Path, why: &io::Error) -> Problem {
    Problem::new(
        format!("the sign-in cannot be kept in {}: {why}", path.display()),
        "Put this right, or name another folder with MCPLINE_STATE_DIR.",
    )
}
