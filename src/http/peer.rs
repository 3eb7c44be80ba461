//! The certificate that a server has shown, and who trusts it: for a command that tells a person.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::der::{self, Certificate};

/// Who has accepted a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrustedBy {
    /// It, or its authority, is among those that the person gave.
    Given,
    /// An authority of this computer.
    System,
    /// Nobody had to: `--insecure`.
    Unchecked,
}

/// Remembers the last certificate that was shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Witness(Arc<Mutex<Option<Shown>>>);

#[derive(Debug, Clone)]
struct Shown {
    certificate: CertificateDer<'static>,
    trusted_by: Option<TrustedBy>,
    version: Option<&'static str>,
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// Its last day, and how many days are left.
    pub(crate) expires: Option<(String, i64)>,
    /// `None` when it was refused.
    pub(crate) trusted_by: Option<TrustedBy>,
    /// The version of TLS, once the handshake has come so far.
    pub(crate) version: Option<&'static str>,
}

impl Witness {
    pub(super) fn note(&self, certificate: &CertificateDer<'_>, trusted_by: Option<TrustedBy>) {
        let certificate = certificate.clone().into_owned();
        let shown = Shown { certificate, trusted_by, version: None };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }

    pub(super) fn note_version(&self, version: &'static str) {
        if let Some(shown) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            shown.version = Some(version);
        }
    }

    /// What the last certificate says, if there was one.
    pub(super) fn peer(&self) -> Option<Peer> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let Shown { certificate, trusted_by, version } = shown;
        let read = Certificate::read(&certificate)?;
        let unnamed = || "without a name".to_owned();
        let expires = der::seconds(&read.not_after)
            .and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok())
            .map(|end| (end.date().to_string(), (end - OffsetDateTime::now_utc()).whole_days()));
        Some(Peer {
            subject: read.subject_name().unwrap_or_else(unnamed),
            issuer: read.issuer_name().unwrap_or_else(unnamed),
            expires,
            trusted_by,
            version,
        })
    }
}
