//! Reads certificates and keys in the forms that `openssl` and Windows make, and says of a file that
//! cannot be read what it is and how to convert it.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::charset::decode_certificates;
use super::der::{self, Certificate, Der};

/// What a file holds.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    /// What else it holds.
    others: Vec<Other>,
    is_empty: bool,
}

/// What cannot be used, with a name and a way out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Pkcs12,
    EncryptedKey,
    OpenSshKey,
    PuttyKey,
    PublicKey,
    Request,
    JavaKeystore,
    RevocationList,
}

impl Other {
    fn of_label(label: &str) -> Option<Self> {
        Some(match label {
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            "OPENSSH PRIVATE KEY" => Self::OpenSshKey,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::Request,
            "X509 CRL" => Self::RevocationList,
            label if label.ends_with("PUBLIC KEY") => Self::PublicKey,
            _ => return None,
        })
    }

    /// What it is, and how to make of it what is wanted.
    fn told(self, wants: Wants, file: &str) -> String {
        match (self, wants) {
            (Self::Pkcs12, Wants::Key) => format!(
                "is a PKCS#12 file (PFX), which must be converted: `openssl pkcs12 -in {file} \
                 -nocerts -nodes -out key.pem`"
            ),
            (Self::Pkcs12, Wants::Certificate) => format!(
                "is a PKCS#12 file (PFX), which must be converted: `openssl pkcs12 -in {file} \
                 -nokeys -out certificates.pem`"
            ),
            (Self::EncryptedKey, Wants::Key) => format!(
                "is locked with a password, which must be taken off: `openssl pkey -in {file} -out \
                 key.pem`"
            ),
            (Self::OpenSshKey, Wants::Key) => format!(
                "is a key in OpenSSH's own form, which must be converted: `ssh-keygen -p -m PKCS8 -f \
                 {file}`"
            ),
            (Self::PuttyKey, Wants::Key) => format!(
                "is a key in PuTTY's own form, which must be converted: `puttygen {file} -O \
                 private-openssh -o key.pem`"
            ),
            (Self::EncryptedKey | Self::OpenSshKey | Self::PuttyKey, Wants::Certificate) => {
                "holds a private key and no certificate".to_owned()
            }
            (Self::PublicKey, Wants::Key) => "holds a public key, not the private one".to_owned(),
            (Self::PublicKey, Wants::Certificate) => {
                "holds a public key and no certificate".to_owned()
            }
            (Self::Request, Wants::Key) => {
                "holds a request for a certificate and no private key".to_owned()
            }
            (Self::Request, Wants::Certificate) => {
                "holds a request for a certificate, not the certificate that was issued for it"
                    .to_owned()
            }
            (Self::RevocationList, _) => {
                format!("holds a list of revoked certificates and no {}", wants.name())
            }
            (Self::JavaKeystore, _) => format!(
                "is a Java keystore, which must be converted: `keytool -importkeystore -srckeystore \
                 {file} -destkeystore store.p12 -deststoretype pkcs12`, then `openssl pkcs12 -in \
                 store.p12 -nodes -out all.pem`"
            ),
        }
    }
}

/// What an option asks of its file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Certificate,
    Key,
}

impl Wants {
    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Contents, String> {
    fs::read(path).map(|bytes| Contents::of(&bytes)).map_err(|why| format!("cannot be read: {why}"))
}

/// The first private key in the file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let mut contents = read(path)?;
    if contents.keys.is_empty() {
        return Err(contents.lacks(Wants::Key, path));
    }
    Ok(contents.keys.swap_remove(0))
}

/// Reads the bytes of a file of certificates and keys as the options do, looks into each certificate
/// as a handshake does, and gives the certificates. For fuzzing.
pub fn certificates_in(bytes: &[u8]) -> Vec<Vec<u8>> {
    let contents = Contents::of(bytes);
    for wants in [Wants::Certificate, Wants::Key] {
        let _ = contents.lacks(wants, Path::new("file"));
    }
    for certificate in &contents.certificates {
        if let Some(read) = Certificate::read(certificate) {
            let _ = (der::seconds(&read.not_before), der::seconds(&read.not_after));
            let _ = (read.common_name(), read.key.children().count());
        }
    }
    contents.certificates.iter().map(|certificate| certificate.to_vec()).collect()
}

impl Contents {
    fn of(bytes: &[u8]) -> Self {
        let mut contents = Self { is_empty: bytes.trim_ascii().is_empty(), ..Self::default() };
        if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
            contents.others.push(Other::JavaKeystore);
        } else if bytes.first() == Some(&der::SEQUENCE) && Der::read(bytes).is_some() {
            contents.take_der(bytes);
        } else {
            contents.take_text(&decode_certificates(bytes));
        }
        contents
    }

    /// Why there is nothing of what is wanted.
    pub(super) fn lacks(&self, wants: Wants, file: &Path) -> String {
        let file = file.display().to_string();
        if self.is_empty {
            return "is empty".to_owned();
        }
        if let Some(other) = self.others.first() {
            return other.told(wants, &file);
        }
        match wants {
            Wants::Certificate if !self.keys.is_empty() => {
                "holds a private key and no certificate".to_owned()
            }
            Wants::Key if !self.certificates.is_empty() => {
                "holds a certificate and no private key".to_owned()
            }
            wants => format!(
                "holds no {} (PEM, that is text with `-----BEGIN …-----`, or DER)",
                wants.name()
            ),
        }
    }

    fn take_text(&mut self, text: &str) {
        if text.trim_start().starts_with("PuTTY-User-Key-File") {
            self.others.push(Other::PuttyKey);
            return;
        }
        let mut rest = text;
        let mut has_label = false;
        while let Some((label, body, after)) = section(rest) {
            has_label = true;
            self.take_section(label, body);
            rest = after;
        }
        // Base64 without the lines around it, as some consoles show it.
        if !has_label && let Some(bytes) = unarmoured(text) {
            self.take_der(&bytes);
        }
    }

    fn take_section(&mut self, label: &str, body: &str) {
        if body.contains("ENCRYPTED") && label.ends_with("PRIVATE KEY") {
            self.others.push(Other::EncryptedKey);
        } else if let Some(other) = Other::of_label(label) {
            self.others.push(other);
        } else if label.ends_with("PARAMETERS") {
            // The name of a curve in front of its key.
        } else if let Some(bytes) = unarmoured(body) {
            // `TRUSTED CERTIFICATE` has more behind the certificate, which `openssl` alone uses.
            let first = Der::read(&bytes).map(|(first, _)| first.whole.to_vec());
            self.take_der(first.as_deref().unwrap_or(&bytes));
        }
    }

    /// Takes what stands in DER, whose form says what it is.
    fn take_der(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((item, after)) = Der::read(rest) {
            rest = after;
            self.take_item(&item);
        }
    }

    fn take_item(&mut self, item: &Der<'_>) {
        const INTEGER: u8 = 0x02;
        const OCTETS: u8 = 0x04;
        const OID: u8 = 0x06;
        const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
        let parts: Vec<_> = item.children().collect();
        let tags: Vec<_> = parts.iter().map(|part| part.tag).collect();
        match tags.as_slice() {
            [OID, ..] if parts[0].content == SIGNED_DATA => self.take_pkcs7(&parts),
            [INTEGER, der::SEQUENCE, rest @ ..] if rest.first() != Some(&OCTETS) => {
                self.others.push(Other::Pkcs12);
            }
            [INTEGER, ..] => {
                self.keys.extend(PrivateKeyDer::try_from(item.whole.to_vec()));
            }
            [der::SEQUENCE, OCTETS] => self.others.push(Other::EncryptedKey),
            [der::SEQUENCE, der::SEQUENCE, ..] if is_request(parts[0].children()) => {
                self.others.push(Other::Request);
            }
            _ if is_certificate(item) => self.certificates.push(item.whole.to_vec().into()),
            [der::SEQUENCE, _] => self.others.push(Other::PublicKey),
            _ => {}
        }
    }

    /// The certificates of PKCS#7 (RFC 2315 section 9.1), which have the tag `[0]`.
    fn take_pkcs7(&mut self, parts: &[Der<'_>]) {
        const FIRST: u8 = 0xa0;
        let signed = parts.get(1).and_then(|part| part.children().next());
        let sets = signed.as_ref().map(Der::children).into_iter().flatten();
        for set in sets.filter(|part| part.tag == FIRST) {
            let certificates = set.children().filter(is_certificate);
            self.certificates.extend(certificates.map(|part| part.whole.to_vec().into()));
        }
    }
}

/// A certificate has what is signed, an algorithm, and the signature (RFC 5280 section 4.1).
fn is_certificate(item: &Der<'_>) -> bool {
    let parts: Vec<_> = item.children().collect();
    let tags: Vec<_> = parts.iter().map(|part| part.tag).collect();
    item.tag == der::SEQUENCE
        && matches!(tags.as_slice(), [der::SEQUENCE, der::SEQUENCE, _])
        && parts[0].children().next().is_some()
        && !is_request(parts[0].children())
}

/// A request begins with a version and the name; a certificate has an algorithm in between.
fn is_request<'a>(mut parts: impl Iterator<Item = Der<'a>>) -> bool {
    const SET: u8 = 0x31;
    let version = parts.next();
    let name = parts.next().and_then(|name| name.children().next());
    version.is_some_and(|version| version.content == [0]) && name.is_some_and(|set| set.tag == SET)
}

/// The label and the body of the first section in PEM, and what stands behind it.
fn section(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, rest) = rest.split_once("-----END ")?;
    Some((label.trim(), body, rest))
}

/// The bytes in Base64, over any number of lines and without header lines.
fn unarmoured(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.contains(':'));
    let packed: String = lines.flat_map(str::split_ascii_whitespace).collect();
    STANDARD.decode(packed).ok().filter(|bytes| bytes.first() == Some(&der::SEQUENCE))
}
