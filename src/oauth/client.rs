//! Who we are for an authorization server: a client that the user has registered, the address of a
//! client metadata document, or a client that we register ourselves (RFC 7591).

use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use url::Url;

use super::assertion::{ASSERTION_TYPE, ClientKey};
use super::clock::unix_time;
use super::metadata::Server;
use super::problem::Problem;
use super::settings::Settings;
use crate::hint::Hint;

/// How a client proves who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method called `name`, if a client that we register can have it.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];
        all.into_iter().find(|method| method.name() == name)
    }

    /// The method for a client with a secret: the first that the server lists and we know.
    pub(super) fn with_secret(server: &Server) -> Self {
        let listed = server.auth_methods().unwrap_or_default().iter();
        let mut known = listed.filter_map(|name| Self::named(name));
        known.find(|method| *method != Self::None).unwrap_or(Self::ClientSecretBasic)
    }

    /// The method to ask for when we register: none where that is allowed, as we can keep no secret
    /// from the user of this machine.
    pub(super) fn to_register(server: &Server) -> Self {
        let Some(listed) = server.auth_methods() else { return Self::None };
        let mut known = listed.iter().filter_map(|name| Self::named(name));
        if known.clone().any(|method| method == Self::None) {
            return Self::None;
        }
        known.next().unwrap_or(Self::None)
    }
}

/// A client at one authorization server. No `Debug`: it holds a secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    /// When the secret ends, in seconds since 1970; 0 for never.
    #[serde(default)]
    pub(super) secret_expires_at: u64,
    pub(super) method: Method,
    /// The key that it signs with; it is the user's to keep.
    #[serde(skip)]
    pub(super) key: Option<ClientKey>,
    /// The redirect URIs that we registered it with; empty for one that we did not register.
    #[serde(default)]
    pub(super) redirects: Vec<String>,
    /// Whether its server may have forgotten it: then another one is registered for the next sign-in.
    #[serde(default)]
    pub(super) is_doubted: bool,
}

impl Client {
    /// The client that the user has given, if any, for `server`; `known` is the issuer that it was used
    /// with before.
    ///
    /// # Errors
    /// It belongs to another issuer. The address of a document belongs to none.
    pub(super) fn given(
        settings: &Settings,
        server: &Server,
        known: Option<&str>,
    ) -> Result<Option<Self>, Problem> {
        let Some(id) = settings.client_id.clone() else { return Ok(None) };
        let secret = settings.client_secret.clone();
        let key = settings.client_key.clone();
        let is_portable = is_document(&id) && secret.is_none() && key.is_none();
        if is_portable && !server.takes_client_documents() {
            return Ok(None);
        }
        let is_bound = !is_portable && settings.issuer.is_none();
        if let Some(known) = known.filter(|known| is_bound && *known != server.issuer()) {
            return Err(Problem::new(
                format!(
                    "the server names another authorization server now ({}, before {known}), to which \
                     the client id and secret that you gave are not sent",
                    server.issuer()
                ),
                Hint::both(
                    "If this is right, set --oauth-issuer to the new one, with a client that belongs \
                     to it.",
                    "Если так и должно быть, укажите в --oauth-issuer новый сервер и клиента, который \
                     на нём зарегистрирован.",
                ),
            ));
        }
        let method = match (&key, &secret) {
            (Some(_), _) => Method::PrivateKeyJwt,
            (None, Some(_)) => Method::with_secret(server),
            (None, None) => Method::None,
        };
        Ok(Some(Self {
            id,
            secret,
            secret_expires_at: 0,
            method,
            key,
            redirects: Vec::new(),
            is_doubted: false,
        }))
    }

    /// The client as it is written down when it has been of use: a secret that the user gave is the
    /// user's to keep and to change.
    pub(super) fn to_keep(&self) -> Self {
        let secret = self.secret.clone().filter(|_| self.is_registered());
        Self { secret, is_doubted: false, ..self.clone() }
    }

    /// Whether we have registered the client ourselves.
    pub(super) fn is_registered(&self) -> bool {
        !self.redirects.is_empty()
    }

    /// Whether it can still be used with `redirect`.
    pub(super) fn allows(&self, redirect: &str) -> bool {
        let has_expired = self.secret_expires_at != 0 && self.secret_expires_at <= unix_time();
        !has_expired
            && !self.is_doubted
            && (!self.is_registered() || self.redirects.iter().any(|uri| uri == redirect))
    }

    /// The port of the redirect URI that we registered.
    pub(super) fn port(&self) -> Option<u16> {
        Url::parse(self.redirects.first()?).ok()?.port()
    }

    /// Adds to `fields` of a request to `server` what says and proves who we are; returns the value of
    /// `Authorization`, where that does it.
    ///
    /// # Errors
    /// The client's key cannot be used.
    pub(super) fn sign(
        &self,
        server: &Server,
        fields: &mut Vec<(&'static str, String)>,
    ) -> Result<Option<HeaderValue>, Problem> {
        let secret = self.secret.as_deref().unwrap_or_default();
        match self.method {
            Method::ClientSecretBasic => {
                // RFC 6749 section 2.3.1: both are form-encoded first.
                let encoded = |text: &str| -> String {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let login = format!("{}:{}", encoded(&self.id), encoded(secret));
                let value = HeaderValue::try_from(format!("Basic {}", base64(&login)));
                return Ok(value.ok().map(|mut value| {
                    value.set_sensitive(true);
                    value
                }));
            }
            Method::ClientSecretPost => {
                fields.push(("client_id", self.id.clone()));
                fields.push(("client_secret", secret.to_owned()));
            }
            Method::PrivateKeyJwt => {
                fields.push(("client_id", self.id.clone()));
                if let Some(key) = &self.key {
                    let algorithms = server.signing_algorithms();
                    let assertion = key.assertion(&self.id, server.issuer(), algorithms)?;
                    fields.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                    fields.push(("client_assertion", assertion));
                }
            }
            Method::None => fields.push(("client_id", self.id.clone())),
        }
        Ok(None)
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Whether a client id is the address of a client metadata document.
pub(super) fn is_document(id: &str) -> bool {
    Url::parse(id).is_ok_and(|url| url.scheme() == "https" && url.path().len() > 1)
}
