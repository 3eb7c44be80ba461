//! A client that proves by a signature who it is (RFC 7523, `private_key_jwt` of `OpenID` Connect Core
//! section 9): a JWT that is good once and for a short time, signed with the client's private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::sign::SigningKey;

use super::clock::unix_time;
use super::pending::random;
use super::problem::Problem;
use crate::hint::Hint;

/// The type of the assertion (RFC 7523 section 2.2).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good, in seconds: no longer than a request takes, and clocks differ.
const LIFE: u64 = 120;

/// The algorithms of JWTs (RFC 7518, RFC 8037), in the order in which they are chosen: name, what it is
/// for TLS, and the bytes of each of the two numbers of an ECDSA signature.
const ALGORITHMS: [(&str, SignatureScheme, Option<usize>); 5] = [
    ("ES256", SignatureScheme::ECDSA_NISTP256_SHA256, Some(32)),
    ("ES384", SignatureScheme::ECDSA_NISTP384_SHA384, Some(48)),
    ("EdDSA", SignatureScheme::ED25519, None),
    ("RS256", SignatureScheme::RSA_PKCS1_SHA256, None),
    ("PS256", SignatureScheme::RSA_PSS_SHA256, None),
];

/// The private key of a client.
#[derive(Clone)]
pub(crate) struct ClientKey(Arc<dyn SigningKey>);

impl fmt::Debug for ClientKey {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientKey")
    }
}

impl ClientKey {
    /// The key in the file at `path`.
    ///
    /// # Errors
    /// There is none that can sign; the text says why, with the file as its subject.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let key = crate::http::private_key(path)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key);
        let key = key.map_err(|why| format!("holds a key of an unknown form ({why})"))?;
        let has_algorithm = ALGORITHMS.iter().any(|row| key.choose_scheme(&[row.1]).is_some());
        has_algorithm.then_some(Self(key)).ok_or_else(|| {
            "holds a key that no algorithm of signed assertions takes: use P-256 or RSA".to_owned()
        })
    }

    /// A new assertion that the client `id` asks the authorization server `issuer`, which says that it
    /// takes these `algorithms`.
    ///
    /// # Errors
    /// The system gives no random numbers, or the key cannot sign.
    pub(super) fn assertion(
        &self,
        id: &str,
        issuer: &str,
        algorithms: Option<&[String]>,
    ) -> Result<String, Problem> {
        let now = unix_time();
        let claims = serde_json::json!({
            "iss": id, "sub": id, "aud": issuer, "jti": random()?, "iat": now, "exp": now + LIFE,
        });
        self.signed(&claims.to_string(), algorithms)
    }

    /// `claims` as a signed JWT (RFC 7515 section 7.1).
    fn signed(&self, claims: &str, algorithms: Option<&[String]>) -> Result<String, Problem> {
        let is_taken =
            |name: &str| algorithms.is_none_or(|listed| listed.iter().any(|one| one == name));
        let usable =
            || ALGORITHMS.iter().filter_map(|row| Some((row, self.0.choose_scheme(&[row.1])?)));
        // A server whose list lacks what the key can do says so better than we can.
        let chosen = usable().find(|(row, _)| is_taken(row.0)).or_else(|| usable().next());
        let failed = || {
            Problem::new(
                "the client's key cannot sign",
                Hint::both("Check --oauth-client-key-file.", "Проверьте --oauth-client-key-file."),
            )
        };
        let ((name, _, half), signer) = chosen.ok_or_else(failed)?;
        let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
        let [header, claims] = [header.as_str(), claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{claims}");
        let signature = signer.sign(message.as_bytes()).map_err(|_| failed())?;
        let signature = match half {
            Some(half) => numbers(&signature, *half).ok_or_else(failed)?,
            None => signature,
        };
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The two numbers of an ECDSA signature as TLS writes it (RFC 3279 section 2.2.3), in `half` bytes
/// each (RFC 7518 section 3.4).
fn numbers(signature: &[u8], half: usize) -> Option<Vec<u8>> {
    let mut numbers = Vec::with_capacity(2 * half);
    for number in crate::http::der_numbers(signature)? {
        let padding = half.checked_sub(number.len())?;
        numbers.resize(numbers.len() + padding, 0);
        numbers.extend_from_slice(number);
    }
    (numbers.len() == 2 * half).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair,
        UnparsedPublicKey, VerificationAlgorithm,
    };
    use rustls::pki_types::PrivateKeyDer;
    use serde_json::Value;

    use super::*;

    fn key_of(der: &[u8]) -> ClientKey {
        let der = PrivateKeyDer::try_from(der.to_vec()).unwrap();
        ClientKey(rustls::crypto::ring::sign::any_supported_type(&der).unwrap())
    }

    /// Header and claims of `jwt`, whose signature is checked.
    fn checked(jwt: &str, by: &'static dyn VerificationAlgorithm, public: &[u8]) -> [Value; 2] {
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(by, public).verify(message.as_bytes(), &signature).unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        [header, claims]
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
    }

    #[test]
    fn an_assertion_says_who_asks_whom_and_is_signed() {
        let random = ring::rand::SystemRandom::new();
        let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
        let key = key_of(der.as_ref());
        // Often enough that numbers with zeros in front are among the signatures.
        for _ in 0..600 {
            let jwt = key.signed("{}", None).unwrap();
            checked(&jwt, &ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        }
        let jwt = key.assertion("robot", "https://a/t", None).unwrap();
        let [header, claims] = checked(&jwt, &ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert_eq!(header["alg"], "ES256");
        assert_eq!((&claims["iss"], &claims["sub"]), (&"robot".into(), &"robot".into()));
        assert_eq!(claims["aud"], "https://a/t");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), LIFE);
        assert_ne!(jwt, key.assertion("robot", "https://a/t", None).unwrap());
    }

    #[test]
    fn the_algorithm_is_one_that_the_server_takes() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/it/support/oauth/rsa-key.pem");
        let key = ClientKey::read(Path::new(file)).unwrap();
        let algorithm = |listed: Option<&[&str]>| {
            let listed = listed.map(|names| names.iter().map(|&name| name.to_owned()).collect());
            let listed: Option<Vec<String>> = listed;
            let jwt = key.signed("{}", listed.as_deref()).unwrap();
            let header = URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["alg"].clone()
        };
        assert_eq!(algorithm(None), "RS256");
        assert_eq!(algorithm(Some(&["PS256", "ES256"])), "PS256");
        assert_eq!(algorithm(Some(&["RS512"])), "RS256");
        let der = crate::http::private_key(Path::new(file)).unwrap();
        let pair = RsaKeyPair::from_pkcs8(der.secret_der()).unwrap();
        let jwt = key.signed("{}", None).unwrap();
        checked(&jwt, &RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
    }
}
