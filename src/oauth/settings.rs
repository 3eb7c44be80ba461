//! What a person can set of signing in.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::assertion::ClientKey;

/// `resource` in requests to an authorization server (RFC 8707).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ResourceId {
    /// What the upstream publishes, else its address.
    #[default]
    Published,
    /// What the user says.
    Given(String),
    /// The parameter is left out.
    None,
}

/// How a token is got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Grant {
    /// A person signs in with a browser
    #[default]
    Code,
    /// A person signs in with any browser, on this device or another, and types a code
    Device,
    /// The program signs in with its own id, and a secret or key; no person takes part
    ClientCredentials,
}

/// What a person can set of signing in.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The upstream's address as it was configured, without credentials.
    pub(crate) configured_url: String,
    /// Whether to sign in whatever the refusal looks like (`--auth oauth`).
    pub(crate) is_forced: bool,
    /// A client id, or the address of a client metadata document.
    pub(crate) client_id: Option<String>,
    /// The secret of a client that was registered by hand.
    pub(crate) client_secret: Option<String>,
    /// The private key of such a client, which proves by signatures who it is.
    pub(crate) client_key: Option<ClientKey>,
    /// Scopes instead of those that the server names.
    pub(crate) scope: Option<String>,
    pub(crate) resource: ResourceId,
    /// The issuer, where the server names none; and the only one that a given secret is sent to.
    pub(crate) issuer: Option<String>,
    /// The redirect URI, as it was registered by hand.
    pub(crate) redirect: Option<Url>,
    /// More parameters of the authorization request.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) grant: Grant,
    /// Whether a browser may be opened.
    pub(crate) opens_browser: bool,
    /// Tells several accounts at one server apart.
    pub(crate) profile: String,
    /// Where tokens are kept; `None` where the system names no place.
    pub(crate) state_dir: Option<PathBuf>,
}

impl Settings {
    /// `resource` where the upstream publishes none: its address without the query, which may hold
    /// keys and which RFC 8707 section 2 advises against.
    pub(crate) fn default_resource(&self) -> &str {
        self.configured_url.split('?').next().unwrap_or_default()
    }
}

impl fmt::Debug for Settings {
    /// Without the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("oauth::Settings")
            .field("is_forced", &self.is_forced)
            .field("client_id", &self.client_id)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
