//! What is kept of a sign-in, and what all processes know of one that is under way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::{Ending, Place};
use super::client::Client;
use super::clock::unix_millis;
use super::device::PendingDevice;
use super::grant::Tokens;
use super::metadata::ServerDocument;
use super::pending::Pending;

/// What is kept of one sign-in.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    /// The upstream without its query, for a person who looks into the file.
    pub(super) upstream: String,
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

/// What all processes know of a person who signs in.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shared {
    pub(super) pending: Option<Pending>,
    /// The same on another device.
    pub(super) device: Option<PendingDevice>,
    /// What the last one came to, once it is over.
    pub(super) ended: Option<Ended>,
    /// A client that was registered, but has no tokens yet, and its issuer.
    pub(super) registered: Option<(String, Client)>,
}

/// The end of a sign-in.
#[derive(Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) ending: Ending,
    /// Milliseconds since 1970.
    pub(super) at: u64,
}

impl Shared {
    /// What the person of the sign-in under way is to open.
    pub(super) fn place(&self) -> Option<Place> {
        let pending = self.pending.as_ref();
        let browser = pending.map(|pending| Place { url: pending.url.clone(), code: None });
        browser.or_else(|| Some(self.device.as_ref()?.place.clone()))
    }

    /// The sign-in came to `ending` now.
    pub(super) fn end(&mut self, ending: &Ending) {
        self.pending = None;
        self.device = None;
        if let Ending::SignedIn = ending {
            self.registered = None;
        }
        self.ended = Some(Ended { ending: ending.clone(), at: unix_millis() });
    }
}
