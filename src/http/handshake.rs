//! What goes wrong with TLS, in words, with the step that solves it.

use std::sync::Arc;

use rustls::{AlertDescription as Alert, CertificateError as Bad, Error, OtherError};

use crate::failure::{Cause, Class, Failure};
use crate::hint::{Hint, words};

const AUTHORITY: Hint = Hint::both(
    "If the company has a certificate authority of its own, or its proxy \
                         inspects TLS, give that authority's certificate with `--ca-file FILE`.",
    "Если у компании свой удостоверяющий центр или её прокси проверяет TLS, укажите сертификат этого центра через \
     `--ca-file ФАЙЛ`.",
);

const GIVE_IT: Hint = Hint::both(
    "If you trust this server, give its certificate itself with `--ca-file FILE`; \
                       better, its administrator issues a new one",
    "Если вы доверяете этому серверу, укажите его собственный сертификат через `--ca-file ФАЙЛ`; лучше, чтобы \
     администратор выпустил новый",
);

const OLD_SERVER: Hint = Hint::both(
    "mcpline speaks TLS 1.2 with ECDHE and AES-GCM or ChaCha20, and TLS 1.3. Old \
                          servers (IIS 8.5, Windows Server 2012 R2) do that only with an ECDSA \
                          certificate: install one, update the server, or put a proxy such as nginx \
                          before it. Some servers also answer like this when they want a client \
                          certificate (`--client-cert`, `--client-key`).",
    "mcpline поддерживает TLS 1.2 с ECDHE и AES-GCM или ChaCha20, а также TLS 1.3. Старые серверы (IIS 8.5, Windows \
     Server 2012 R2) умеют это только с сертификатом ECDSA: установите такой, обновите сервер или поставьте перед ним \
     прокси, например nginx. Некоторые серверы отвечают так и тогда, когда требуют сертификат клиента (`--client-cert`, \
     `--client-key`).",
);

const CLIENT: Hint = Hint::both(
    "Give it with `--client-cert FILE` and its key with `--client-key FILE`.",
    "Укажите его через `--client-cert ФАЙЛ`, а ключ — через `--client-key ФАЙЛ`.",
);

const CLIENT_REFUSED: Hint = Hint::both(
    "Check the file of `--client-cert`: that it is valid, that it is for \
                              clients, and that the server trusts its issuer.",
    "Проверьте файл `--client-cert`: действителен ли сертификат, для клиентов ли он и доверяет ли сервер тому, кто его \
     выдал.",
);

const FOR_SERVERS: Hint = Hint::both("for a server.", "для сервера.");

/// The failure when the handshake was refused for a reason that lasts. `None` when a later attempt may
/// succeed.
pub(super) fn refusal(error: &Error, host: &str, url: &str) -> Option<Failure> {
    if let Error::InvalidCertificate(bad) = error {
        let (why, hint) = certificate(bad, host);
        let what = format!("the certificate of {url} is not trusted: {why}");
        return Some(Failure::new(Class::Final, Cause::Unreachable, what).hint(hint));
    }
    let (why, hint) = match error {
        Error::AlertReceived(alert) => alert_received(*alert)?,
        Error::PeerIncompatible(_) | Error::PeerMisbehaved(_) => {
            ("the server has no version or cipher of TLS in common with mcpline", OLD_SERVER)
        }
        Error::InvalidMessage(_) => (
            "what answers there does not speak TLS",
            Hint::both(
                "Check that this port speaks HTTPS; if it speaks plain HTTP, use `http://`.",
                "Проверьте, что порт принимает HTTPS; если он принимает обычный HTTP, укажите `http://`.",
            ),
        ),
        _ => return None,
    };
    let what = format!("could not connect to {url}: {why}");
    Some(Failure::new(Class::Final, Cause::Unreachable, what).hint(hint))
}

/// What the server says of the handshake.
fn alert_received(alert: Alert) -> Option<(&'static str, Hint)> {
    Some(match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            ("the server wants a client certificate", CLIENT)
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::DecryptError
        | Alert::AccessDenied => {
            ("the server does not accept the client certificate, or wants one", CLIENT_REFUSED)
        }
        Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::IllegalParameter => {
            ("the server has no cipher of TLS in common with mcpline", OLD_SERVER)
        }
        Alert::ProtocolVersion => {
            ("the server speaks only versions of TLS that are too old (1.0 or 1.1)", OLD_SERVER)
        }
        Alert::UnrecognisedName => (
            "the server serves no site of this name by TLS",
            Hint::both(
                "Check the host name in the URL; the server's administrator must set up a certificate \
             for it.",
                "Проверьте имя узла в адресе; администратор сервера должен настроить для него сертификат.",
            ),
        ),
        _ => return None,
    })
}

/// What Windows says of a certificate and the library does not translate, by the codes of
/// `winerror.h`.
fn of_windows(code: i32) -> Option<Bad> {
    let text = |text: &str| Bad::Other(OtherError(Arc::from(Box::from(text))));
    Some(match code.cast_unsigned() {
        // CERT_E_CHAINING: the server sends its own certificate alone, or nobody knows its issuer.
        // CERT_E_UNTRUSTEDTESTROOT, CERT_E_UNTRUSTEDCA.
        0x800B_010A | 0x800B_010D | 0x800B_0112 => Bad::UnknownIssuer,
        // CERT_E_VALIDITYPERIODNESTING
        0x800B_0102 => Bad::Expired,
        // CERT_E_REVOKED
        0x800B_010C => Bad::Revoked,
        // CERT_E_PURPOSE
        0x800B_0106 => Bad::InvalidPurpose,
        // TRUST_E_CERT_SIGNATURE
        0x8009_6004 => Bad::BadSignature,
        // TRUST_E_EXPLICIT_DISTRUST
        0x800B_0111 => text("it is marked as not trusted on this computer"),
        // CRYPT_E_NO_REVOCATION_CHECK, CRYPT_E_REVOCATION_OFFLINE, CERT_E_REVOCATION_FAILURE
        0x8009_2012 | 0x8009_2013 | 0x800B_010E => {
            text("Windows cannot find out whether it has been revoked")
        }
        _ => return None,
    })
}

/// The code in what the standard library makes of an error of the system.
fn code_of(said: &str) -> Option<i32> {
    let (_, code) = said.rsplit_once("(os error ")?;
    code.strip_suffix(')')?.parse().ok()
}

/// Why a certificate is refused, and what to do.
fn certificate(bad: &Bad, host: &str) -> (String, Hint) {
    // DER of 1.2.840.113549.1.1.{2,4,5} and of ecdsa-with-SHA1.
    const WEAK: [&[u8]; 4] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2],
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1],
    ];
    if let Bad::Other(said) = bad
        && let Some(bad) = code_of(&said.to_string()).and_then(of_windows)
    {
        return certificate(&bad, host);
    }
    let details = format!("{bad:?}");
    let (why, hint) = match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => (
            "it, or the certificate of an issuer, has expired",
            Hint::both(
                "The server's administrator must renew it. Check this computer's clock too.",
                "Администратор сервера должен его обновить. Проверьте и часы этого компьютера.",
            ),
        ),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => (
            "it is not valid yet",
            Hint::both("Check this computer's clock.", "Проверьте часы этого компьютера."),
        ),
        Bad::NotValidForName => ("it is for another host name", other_name(host, &[])),
        Bad::NotValidForNameContext { presented, .. } => {
            ("it is for another host name", other_name(host, presented))
        }
        Bad::Revoked => (
            "it has been revoked",
            Hint::both(
                "The server's administrator must replace it.",
                "Администратор сервера должен его заменить.",
            ),
        ),
        _ if details.contains("UnsupportedCertVersion") => (
            "it has the old form of X.509 version 1",
            GIVE_IT.joined(
                " ",
                &Hint::both(
                    "(`openssl req -x509` makes version 3).",
                    "(`openssl req -x509` делает версию 3).",
                ),
            ),
        ),
        _ if details.contains("CaUsedAsEndEntity") => (
            "it is an authority's certificate, which cannot be a server's as well",
            GIVE_IT.joined(
                " ",
                &Hint::both(
                    "for the server (basicConstraints=CA:FALSE).",
                    "для сервера (basicConstraints=CA:FALSE).",
                ),
            ),
        ),
        Bad::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. }
            if WEAK.iter().any(|weak| names_algorithm(signature_algorithm_id, weak)) =>
        {
            (
                "it is signed with SHA-1 or MD5, which can be forged",
                GIVE_IT.joined(" ", &Hint::both("(SHA-256).", "(SHA-256).")),
            )
        }
        Bad::BadSignature => (
            "its signature cannot be checked; its key, or that of its issuer, may be RSA with less \
             than 2048 bits",
            Hint::both(
                "The server's administrator must issue a new one with a larger key.",
                "Администратор сервера должен выпустить новый, с более длинным ключом.",
            ),
        ),
        // The latter is what a root with the same name but another kind of key leads to.
        Bad::UnknownIssuer | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ("its issuer is not known on this computer", AUTHORITY)
        }
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            ("it is not meant for servers (extendedKeyUsage)", GIVE_IT.joined(" ", &FOR_SERVERS))
        }
        _ if details.contains("EkuError") => {
            ("it is not meant for servers (extendedKeyUsage)", GIVE_IT.joined(" ", &FOR_SERVERS))
        }
        _ => {
            let why = match bad {
                // A sentence, of ours or of the system.
                Bad::Other(said) if said.to_string().contains(' ') => said.to_string(),
                _ => format!("it is refused ({})", in_words(&details)),
            };
            return (why, GIVE_IT.joined(". ", &AUTHORITY));
        }
    };
    (why.to_owned(), hint)
}

/// What to do about a certificate for `names` and not for `host`.
fn other_name(host: &str, names: &[String]) -> Hint {
    let names: Vec<_> = names.iter().map(|name| plain_name(name)).collect();
    let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    words!(
        "Use a name that the certificate was issued for in the URL, not `{host}`{names}.",
        "Укажите в адресе имя, на которое выдан сертификат, а не `{host}`{names}.",
    )
}

/// Whether the DER of an algorithm holds this identifier.
fn names_algorithm(algorithm: &[u8], identifier: &[u8]) -> bool {
    algorithm.windows(identifier.len()).any(|window| window == identifier)
}

/// `host` of what the library shows as `DnsName("host")`.
fn plain_name(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, rest)| rest).trim_matches(['(', ')', '"'])
}

/// The last name in a debug text, which says most: `Other(OtherError(BadDer))` is `bad der`.
fn in_words(details: &str) -> String {
    let names = details.split(|character: char| !character.is_alphanumeric());
    let mut names = names.filter(|name| name.starts_with(char::is_uppercase));
    let first = names.next().unwrap_or_default();
    let name = if first == "Other" { names.nth(1).unwrap_or(first) } else { first };
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use rustls::{InvalidMessage, PeerIncompatible};

    use super::*;

    #[derive(Debug)]
    enum Inner {
        UnsupportedCertVersion,
        CaUsedAsEndEntity,
        MalformedExtensions,
    }

    impl std::fmt::Display for Inner {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "{self:?}")
        }
    }

    impl std::error::Error for Inner {}

    fn other(inner: Inner) -> Error {
        Bad::Other(OtherError(Arc::new(inner))).into()
    }

    /// What the library makes of a code of Windows that it does not know.
    fn of_windows(code: u32) -> Error {
        let said = format!("Das System meldet etwas. (os error {})", code.cast_signed());
        Bad::Other(OtherError(Arc::from(Box::from(said)))).into()
    }

    #[test]
    fn every_refusal_is_told_in_words_with_what_mends_it() {
        let sha1 = vec![0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];
        let sha1 = Bad::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: sha1,
            supported_algorithms: Vec::new(),
        };
        let rows = [
            (other(Inner::UnsupportedCertVersion), "version 1", "--ca-file"),
            (other(Inner::CaUsedAsEndEntity), "authority's", "--ca-file"),
            (other(Inner::MalformedExtensions), "(malformed extensions)", "--ca-file"),
            (of_windows(0x800B_010A), "issuer is not known", "--ca-file"),
            (of_windows(0x800B_0102), "has expired", "renew"),
            (of_windows(0x800B_010C), "has been revoked", "replace"),
            (of_windows(0x800B_010E), "Windows cannot find out", "--ca-file"),
            (of_windows(0x800B_0111), "marked as not trusted", "--ca-file"),
            (of_windows(0x8000_0001), "meldet etwas. (os error -2147483647)", "--ca-file"),
            (sha1.into(), "SHA-1", "--ca-file"),
            (Bad::BadSignature.into(), "2048 bits", "larger key"),
            (Bad::UnknownIssuer.into(), "issuer is not known", "--ca-file"),
            (Bad::Expired.into(), "issuer, has expired", "renew"),
            (Bad::NotValidForName.into(), "another host name", "`10.0.0.1`"),
            (Bad::Revoked.into(), "revoked", "replace"),
            (Bad::InvalidPurpose.into(), "not meant for servers", "--ca-file"),
            (Error::AlertReceived(Alert::CertificateRequired), "wants a client", "--client-cert"),
            (Error::AlertReceived(Alert::BadCertificate), "client certificate", "--client-cert"),
            (Error::AlertReceived(Alert::UnknownCA), "client certificate", "--client-cert"),
            (Error::AlertReceived(Alert::HandshakeFailure), "cipher", "2012 R2"),
            (Error::AlertReceived(Alert::ProtocolVersion), "too old", "TLS 1.2"),
            (Error::AlertReceived(Alert::UnrecognisedName), "this name", "host name"),
            (PeerIncompatible::NoCipherSuitesInCommon.into(), "version or cipher", "2012 R2"),
            (InvalidMessage::InvalidContentType.into(), "does not speak TLS", "`http://`"),
        ];
        for (error, why, hint) in rows {
            let failure = refusal(&error, "10.0.0.1", "https://10.0.0.1/").unwrap();
            assert_eq!(failure.class(), Class::Final, "{error:?}");
            assert!(failure.what.contains(why), "{error:?}: {}", failure.what);
            let told = failure.hint.unwrap();
            assert!(told.contains(hint), "{error:?}: {told}");
            let text = failure.what + &told;
            assert!(!text.contains("Other(") && !text.contains('{'), "{text}");
        }
        assert!(refusal(&Error::AlertReceived(Alert::InternalError), "h", "u").is_none());
    }
}
