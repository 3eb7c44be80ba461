//! Keeps tokens, registrations and the sign-in under way in files that only their owner can read.
//!
//! A record belongs to one upstream, client, resource, scope and profile. Two locks, which the system
//! frees when a process dies, keep the processes of one user apart: [`Store::lock`] around reading,
//! renewing and writing, [`Store::lock_login`] while a person signs in. [`Shared`] is what they know
//! together of a person who signs in.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::owned;
use super::problem::Problem;
use super::record::{Record, Shared};
use super::settings::{Grant, ResourceId, Settings};
use crate::hint::Hint;

/// Pause before a lock that is taken is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(15);

/// How long a lock may be waited for: its holder waits for one answer of a server.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

const VERSION: u32 = 1;

/// The files' endings: the record, and what is known of the sign-in under way.
const RECORD: &str = "json";
const SHARED: &str = "pending";

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
        let text = |option: &Option<String>| option.clone().unwrap_or_default();
        let resource = match &settings.resource {
            ResourceId::Published => "",
            ResourceId::Given(id) => id,
            ResourceId::None => "none",
        };
        // A person is the same person with a browser and with a code.
        let owner = if settings.grant == Grant::ClientCredentials { "client" } else { "person" };
        let parts = [
            &settings.configured_url,
            &text(&settings.client_id),
            &text(&settings.scope),
            &text(&settings.issuer),
            &settings.profile,
            resource,
            owner,
        ];
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for part in parts {
            // With its length, so that no two lists are written alike.
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let name = URL_SAFE_NO_PAD.encode(&digest.finish().as_ref()[..16]);
        let dir = settings.state_dir.as_ref().map(|dir| dir.join("oauth"));
        Self { dir, name, upstream: settings.default_resource().to_owned() }
    }

    /// Whether what is written is there for the next process.
    pub(super) fn is_lasting(&self) -> bool {
        self.dir.is_some()
    }

    fn path(&self, ending: &str) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{}.{ending}", self.name)))
    }

    /// The record, if there is one.
    ///
    /// # Errors
    /// There is one that cannot be trusted or read.
    pub(super) fn load(&self) -> Result<Option<Record>, Problem> {
        let record: Option<Record> = self.read(RECORD)?;
        Ok(record.filter(|record| record.version == VERSION))
    }

    /// Writes the record.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save(&self, record: &mut Record) -> Result<(), Problem> {
        record.version = VERSION;
        record.upstream.clone_from(&self.upstream);
        self.write(RECORD, record)
    }

    /// Checks that as much as `record` can be written now.
    ///
    /// # Errors
    /// It cannot, and that may pass.
    pub(super) fn check_writable(&self, record: &Record) -> Result<(), Problem> {
        let (Some(dir), Some(path)) = (&self.dir, self.path(RECORD)) else { return Ok(()) };
        let tried = serde_json::to_vec(record).map_err(io::Error::other);
        match tried.and_then(|bytes| owned::try_write(dir, &path, &bytes)) {
            // It will stay so: then the token lives as long as the process.
            Err(why) if why.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            tried => tried.map_err(|why| unusable(&path, &why).that_passes()),
        }
    }

    /// Forgets everything; returns whether there was a record.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&self) -> Result<bool, Problem> {
        let (Some(dir), Some(record)) = (&self.dir, self.path(RECORD)) else { return Ok(false) };
        owned::sweep(dir, &self.name, Duration::ZERO);
        if let Some(path) = self.path(SHARED) {
            let _ = owned::remove(&path);
        }
        owned::remove(&record).map_err(|why| unusable(&record, &why))
    }

    /// What all processes know of a person who signs in.
    ///
    /// # Errors
    /// It cannot be read at this moment.
    pub(super) fn shared(&self) -> Result<Shared, Problem> {
        self.read(SHARED).map(Option::unwrap_or_default)
    }

    /// Tells other processes of a person who signs in.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn share(&self, shared: &Shared) -> Result<(), Problem> {
        self.write(SHARED, shared)
    }

    /// Waits for the lock around reading, renewing and writing. Where locks do not work, as on some
    /// network drives, goes on without one.
    ///
    /// # Errors
    /// Another process does not let go of it.
    pub(super) async fn lock(&self) -> Result<Lock, Problem> {
        let Ok(Some(file)) = self.lock_file("lock") else { return Ok(Lock { _file: None }) };
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
        tokio::time::timeout(LOCK_PATIENCE, taking).await.map_err(|_| {
            Problem::passing(
                "another mcpline has been using the stored sign-in for too long",
                Hint::both(
                    "Try again in a moment; if it stays so, end the mcpline that hangs.",
                    "Повторите чуть позже; если не пройдёт, завершите зависший процесс mcpline.",
                ),
            )
        })
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
        owned::open_lock(dir, &path).map(Some)
    }

    fn read<T: DeserializeOwned>(&self, ending: &str) -> Result<Option<T>, Problem> {
        let (Some(dir), Some(path)) = (&self.dir, self.path(ending)) else { return Ok(None) };
        let read = match owned::read(dir, &path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(why) => Err(why),
        };
        match read {
            Ok(value) => Ok(Some(value)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            // Cut off, or sealed for another account: it is replaced by the next sign-in.
            Err(why) if owned::is_damage(&why) => {
                let path = path.display();
                tracing::warn!("{path} is damaged or sealed for another account, and is not used");
                Ok(None)
            }
            Err(why) => Err(unusable(&path, &why)),
        }
    }

    fn write(&self, ending: &str, value: &impl Serialize) -> Result<(), Problem> {
        let (Some(dir), Some(path)) = (&self.dir, self.path(ending)) else { return Ok(()) };
        let bytes = serde_json::to_vec(value).map_err(io::Error::other);
        bytes
            .and_then(|bytes| owned::write(dir, &path, &bytes))
            .map_err(|why| unusable(&path, &why))
    }
}

fn unusable(path: &Path, why: &io::Error) -> Problem {
    Problem::new(
        format!("the sign-in cannot be kept in {}: {why}", path.display()),
        Hint::both(
            "Give this account the right to write there, make room on the disk, or name another \
             folder with MCPLINE_STATE_DIR.",
            "Дайте этой учётной записи право записи, освободите место на диске или укажите другую \
             папку в MCPLINE_STATE_DIR.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn store(dir: &Path, change: impl FnOnce(&mut Settings)) -> Store {
        let mut settings = Settings {
            configured_url: "https://h/mcp?k=1".into(),
            state_dir: Some(dir.to_owned()),
            ..Settings::default()
        };
        change(&mut settings);
        Store::new(&settings)
    }

    #[test]
    fn sign_ins_for_something_else_are_kept_apart() {
        let dir = Path::new("/");
        let stores = [
            store(dir, |_| ()),
            store(dir, |it| it.configured_url = "https://h/mcp".into()),
            store(dir, |it| it.profile = "p".into()),
            store(dir, |it| it.client_id = Some("p".into())),
            store(dir, |it| it.scope = Some("p".into())),
            store(dir, |it| it.issuer = Some("p".into())),
            store(dir, |it| it.resource = ResourceId::Given("p".into())),
            store(dir, |it| it.resource = ResourceId::None),
            store(dir, |it| it.grant = Grant::ClientCredentials),
        ];
        let mut names: Vec<_> = stores.iter().map(|store| store.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), stores.len());
        let on_device = store(dir, |it| it.grant = Grant::Device);
        assert_eq!(on_device.name, stores[0].name, "the person is the same");
    }

    #[tokio::test]
    async fn a_lock_that_cannot_be_had_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [0; 2].map(|_| store(dir.path(), |_| ()));
        let lock = one.lock().await.unwrap();
        tokio::time::pause();
        assert!(other.lock().await.err().unwrap().passes());
        drop(lock);
        assert!(other.lock().await.is_ok());
    }

    #[test]
    fn what_a_dead_process_has_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), |_| ());
        store.save(&mut Record::default()).unwrap();
        store.share(&Shared::default()).unwrap();
        store.check_writable(&Record::default()).unwrap();
        let folder = dir.path().join("oauth");
        let left = folder.join(format!("{}.json.0123abcd", store.name));
        let foreign = folder.join("other.json.0123abcd");
        for path in [&left, &foreign] {
            fs::write(path, "x").unwrap();
        }
        // It may be being written.
        store.save(&mut Record::default()).unwrap();
        assert!(left.exists());
        assert!(store.forget().unwrap());
        assert!(!store.forget().unwrap());
        let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        assert_eq!(files.collect::<Vec<_>>(), [foreign]);
    }
}
