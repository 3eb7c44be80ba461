//! TLS: whom we trust, and who we are. Certificates and keys are checked when they are read.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use super::certificates::{self, Wants};
use super::der::{self, Certificate, Der};
use super::peer::{TrustedBy, Witness};
use crate::setup::SetupError;

/// TLS settings.
#[derive(Default)]
pub struct Tls {
    /// Certificates trusted besides the system's.
    given: Vec<CertificateDer<'static>>,
    /// Our own certificate chain and key.
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// Accept any certificate.
    pub insecure: bool,
}

impl Clone for Tls {
    fn clone(&self) -> Self {
        let identity = self.identity.as_ref();
        let identity = identity.map(|(chain, key)| (chain.clone(), key.clone_key()));
        Self { given: self.given.clone(), identity, insecure: self.insecure }
    }
}

impl fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("given", &self.given.len())
            .field("has_identity", &self.identity.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}

impl Tls {
    /// The system's trust, or with `insecure` no check at all.
    pub(crate) fn new(insecure: bool) -> Self {
        Self { insecure, ..Self::default() }
    }

    /// Leaves our own certificate out, for servers that it is not meant for.
    pub(super) fn forget_identity(&mut self) {
        self.identity = None;
    }

    /// Checks certificates whatever the user has said of another server.
    pub(super) fn check_again(&mut self) {
        self.insecure = false;
    }

    /// Trusts the certificates in the file of `--ca-file`.
    ///
    /// # Errors
    /// The file cannot be read or used.
    pub(crate) fn trust(&mut self, ca_file: &Path) -> Result<(), SetupError> {
        let unusable = |why: String| unusable("--ca-file", ca_file, &why);
        let contents = certificates::read(ca_file).map_err(unusable)?;
        if contents.certificates.is_empty() {
            return Err(unusable(contents.lacks(Wants::Certificate, ca_file)));
        }
        for (index, certificate) in contents.certificates.iter().enumerate() {
            RootCertStore::empty().add(certificate.clone()).map_err(|_| {
                unusable(format!(
                    "cannot be used: certificate {} in it is damaged, or is of a form that is \
                     unknown here",
                    index + 1
                ))
            })?;
        }
        self.given = contents.certificates;
        Ok(())
    }

    /// Presents the certificate of `--client-cert` with the key of `--client-key`, which may be the
    /// same file.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub(crate) fn identify_by(&mut self, certificate: &Path, key: &Path) -> Result<(), SetupError> {
        let of_certificate = |why: String| unusable("--client-cert", certificate, &why);
        let of_key = |why: String| {
            if key == certificate {
                let why = format!("{why}: give the key with `--client-key FILE`");
                return unusable("--client-cert", certificate, &why);
            }
            unusable("--client-key", key, &why)
        };
        let chain = certificates::read(certificate).map_err(of_certificate)?;
        if chain.certificates.is_empty() {
            return Err(of_certificate(chain.lacks(Wants::Certificate, certificate)));
        }
        let key_itself = certificates::private_key(key).map_err(of_key)?;
        self.identity = Some((chain.certificates, key_itself));
        // Whether the two fit shows only here.
        self.config(Trust::nobody()).map(drop).map_err(|error| {
            let why = match error {
                Error::InconsistentKeys(_) => "the key belongs to another certificate".to_owned(),
                error => format!(
                    "the key or the certificate is damaged or of an unknown form \
                     ({error})"
                ),
            };
            let key = key.display();
            of_certificate(format!("cannot be used with --client-key {key}: {why}"))
        })
    }

    /// The settings for connections; without `needs_trust` none of them is made by TLS. `witness`
    /// sees the servers' certificates.
    ///
    /// # Errors
    /// The system's certificates cannot be loaded.
    pub(super) fn client_config(
        &self,
        needs_trust: bool,
        witness: Witness,
    ) -> Result<ClientConfig, Error> {
        let (given, insecure) = (self.given.clone(), self.insecure);
        let mut trust = Trust { given, insecure, witness, ..Trust::nobody() };
        // Loading the system's certificates takes longer than the whole first exchange.
        if needs_trust && !self.insecure {
            trust.load()?;
        }
        self.config(trust)
    }

    fn config(&self, trust: Trust) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let mut config = match self.identity.as_ref() {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unusable(option: &str, file: &Path, why: &str) -> SetupError {
    SetupError::usage(format!("{option} {} {why}", file.display()))
}

/// Whom we trust: the authorities that the person gave, those of the system, and the servers whose
/// own certificates the person gave. Of these the name and the dates must be right, as with `curl`
/// and Node, but not the form: `openssl req -x509` makes an authority's certificate, old appliances
/// have version 1.
///
/// What the person gave is checked in the same way on every system. Windows and macOS judge by
/// themselves what rests on their own authorities.
#[derive(Debug)]
struct Trust {
    system: Option<Arc<dyn ServerCertVerifier>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    given: Vec<CertificateDer<'static>>,
    insecure: bool,
    witness: Witness,
}

impl Trust {
    fn nobody() -> Self {
        let witness = Witness::default();
        Self { system: None, authorities: None, given: Vec::new(), insecure: false, witness }
    }

    /// Loads the authorities.
    fn load(&mut self) -> Result<(), Error> {
        if !self.given.is_empty() {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self.given.iter().cloned());
            let authorities =
                WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
            self.authorities =
                Some(authorities.map_err(|error| Error::General(error.to_string()))?);
        }
        match Verifier::new(provider()) {
            Ok(system) => self.system = Some(Arc::new(system)),
            // A container may have no certificates but those given.
            Err(error) if self.authorities.is_some() => {
                tracing::warn!("only the certificates of --ca-file are trusted: {error}");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_given(&self, certificate: &CertificateDer<'_>) -> bool {
        self.given.iter().any(|given| given == certificate)
    }

    /// Who trusts a certificate; `ask` has it checked against authorities.
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
        ask: impl Fn(&dyn ServerCertVerifier) -> Result<ServerCertVerified, Error>,
    ) -> Result<TrustedBy, Error> {
        if self.insecure {
            return Ok(TrustedBy::Unchecked);
        }
        if self.is_given(end_entity) {
            return check_given(end_entity, server_name, now).map(|()| TrustedBy::Given);
        }
        let unknown = Error::from(CertificateError::UnknownIssuer);
        let by_given = self.authorities.as_deref().map_or(Err(unknown.clone()), |it| ask(it));
        match (by_given, &self.system) {
            (Ok(_), _) => Ok(TrustedBy::Given),
            (Err(why), Some(system)) => ask(&**system)
                .map(|_| TrustedBy::System)
                // Who knows the issuer also knows best what is wrong.
                .map_err(|error| if why == unknown { error } else { why }),
            (Err(why), None) => Err(why),
        }
    }

    /// Checks a signature by the certificate. The library does not know the form of every certificate
    /// that the person gave: then the key alone decides.
    fn verify_signature(
        &self,
        certificate: &CertificateDer<'_>,
        by_certificate: impl FnOnce() -> Result<HandshakeSignatureValid, Error>,
        by_key: impl FnOnce(Der<'_>) -> Option<HandshakeSignatureValid>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.insecure {
            return Ok(HandshakeSignatureValid::assertion());
        }
        match by_certificate() {
            Err(error) if self.is_given(certificate) => {
                let key = Certificate::read(certificate).map(|certificate| certificate.key);
                key.and_then(by_key).ok_or(error)
            }
            verified => verified,
        }
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ask = |verifier: &dyn ServerCertVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let judged = self.judge(end_entity, server_name, now, ask);
        self.witness.note(end_entity, judged.as_ref().ok().copied());
        judged.map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.witness.note_version("TLS 1.2");
        let known = ring::default_provider().signature_verification_algorithms;
        self.verify_signature(
            certificate,
            || verify_tls12_signature(message, certificate, signed, &known),
            |key| verify_by_key(message, &key, signed, &known),
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.witness.note_version("TLS 1.3");
        let known = ring::default_provider().signature_verification_algorithms;
        self.verify_signature(
            certificate,
            || verify_tls13_signature(message, certificate, signed, &known),
            |key| {
                let key = SubjectPublicKeyInfoDer::from(key.whole);
                verify_tls13_signature_with_raw_key(message, &key, signed, &known).ok()
            },
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes =
            ring::default_provider().signature_verification_algorithms.supported_schemes();
        if self.insecure {
            // What we do not check need not be known.
            schemes.extend([
                SignatureScheme::RSA_PKCS1_SHA1,
                SignatureScheme::ECDSA_SHA1_Legacy,
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::ED448,
            ]);
        }
        schemes
    }
}

/// Checks the name and the dates of a certificate that the person gave.
fn check_given(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let read = Certificate::read(certificate).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if der::seconds(&read.not_before).is_some_and(|begin| now < begin) {
        return Err(CertificateError::NotValidYet.into());
    }
    if der::seconds(&read.not_after).is_some_and(|end| now > end) {
        return Err(CertificateError::Expired.into());
    }
    let by_names = rustls::server::ParsedCertificate::try_from(certificate)
        .and_then(|parsed| rustls::client::verify_server_name(&parsed, server_name));
    let name = server_name.to_str();
    match by_names {
        Err(_) if read.common_name().is_some_and(|common| is_named(&name, common)) => Ok(()),
        // Of version 1.
        Err(Error::InvalidCertificate(CertificateError::Other(_))) => {
            Err(CertificateError::NotValidForName.into())
        }
        named => named,
    }
}

/// Whether a common name is `host`, or `*.` and all of it behind its first dot.
fn is_named(host: &str, common: &str) -> bool {
    common.eq_ignore_ascii_case(host)
        || common.strip_prefix("*.").is_some_and(|domain| {
            host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
        })
}

/// Checks a signature of TLS 1.2 by the key alone.
fn verify_by_key(
    message: &[u8],
    key: &Der<'_>,
    signed: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
) -> Option<HandshakeSignatureValid> {
    let mut parts = key.children();
    let (kind, bits) = (parts.next()?, parts.next()?);
    // The first byte of a BIT STRING counts the bits that do not count.
    let (_, bits) = bits.content.split_first()?;
    let (_, algorithms) = known.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme)?;
    algorithms
        .iter()
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == kind.content)
        .any(|algorithm| algorithm.verify_signature(bits, message, signed.signature()).is_ok())
        .then(HandshakeSignatureValid::assertion)
}
