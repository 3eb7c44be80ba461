//! The options, in groups by what they configure. The doc comment of an option is its help.
//! [`crate::cli`] makes all of them global, so that an option may also follow a command.

#![expect(clippy::doc_markdown, reason = "the doc comments are the help's text")]

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::given::Given;
use super::values::{bound, filled_in, seconds, size};
use crate::era::UpstreamEra;
use crate::logging::{LogFormat, LogLevel};
use crate::oauth::Grant;
use crate::setup::SetupError;
use crate::upstream::{Keep, Kind, With};

/// Every option, in the order of the help.
#[derive(Args)]
pub(crate) struct Options {
    // Reads the sources of the options below, so it must come before them.
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    #[command(flatten)]
    pub(crate) sign_in: SignInOptions,
    #[command(flatten)]
    pub(crate) services: ServiceOptions,
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    #[command(flatten)]
    pub(crate) time: TimeOptions,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
    #[command(flatten)]
    pub(crate) logs: LogOptions,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

impl Options {
    /// Whether a proxy is given.
    pub(crate) fn has_proxy(&self) -> bool {
        self.connection.proxy.is_some()
    }

    /// Takes a secret that stands on the command line of another program for our `variable`.
    pub(crate) fn add_secret(&mut self, variable: &'static str, secret: String) {
        self.given.preset_secret(variable, "the command line", secret);
    }

    /// Fills in `${NAME}` in the names of files.
    ///
    /// # Errors
    /// A variable is not set.
    pub(crate) fn fill_in(&mut self) -> Result<(), SetupError> {
        let credentials = &mut self.server.credentials;
        for (option, file) in [
            ("--header-file", &mut credentials.header_file),
            ("--password-file", &mut credentials.password_file),
            ("--api-key-file", &mut credentials.api_key_file),
            ("--bearer-file", &mut credentials.bearer_file),
            ("--oauth-client-secret-file", &mut self.sign_in.oauth_client_secret_file),
            ("--oauth-client-key-file", &mut self.sign_in.oauth_client_key_file),
            ("--state-dir", &mut self.sign_in.state_dir),
            ("--catalogue", &mut self.services.catalogue),
            ("--ca-file", &mut self.connection.ca_file),
            ("--client-cert", &mut self.connection.client_cert),
            ("--client-key", &mut self.connection.client_key),
            ("--log-file", &mut self.logs.log_file),
        ] {
            if let Some(name) = file.as_ref().and_then(|file| file.to_str()) {
                *file = Some(filled_in(name, option, |_, _| {})?.into());
            }
        }
        Ok(())
    }
}

/// Which kind of server it is, and the credentials for it.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerOptions {
    /// How the server is reached
    #[arg(long, env = "MCPLINE_KIND", value_enum, default_value_t)]
    pub(crate) kind: Kind,

    /// Which revisions of MCP the server is spoken to in
    #[arg(long, env = "MCPLINE_UPSTREAM_ERA", value_name = "ERA", value_enum, default_value_t)]
    pub(crate) upstream_era: UpstreamEra,

    #[command(flatten)]
    pub(super) credentials: CredentialOptions,
}

/// The credentials of every request.
#[derive(Args)]
pub(super) struct CredentialOptions {
    /// Send this header with every request; ${NAME} stands for an environment variable
    ///
    /// May be given several times, with or without a space after the colon. In MCPLINE_HEADER,
    /// put one header on each line.
    #[arg(long, env = "MCPLINE_HEADER", hide_env_values = true)]
    #[arg(value_name = "NAME:VALUE", value_delimiter = '\n')]
    pub(super) header: Vec<String>,

    /// Read headers from this file, one NAME:VALUE on each line, # for comments
    #[arg(long, env = "MCPLINE_HEADER_FILE", value_name = "FILE")]
    pub(super) header_file: Option<PathBuf>,

    /// Log in with this user name (Basic authentication, UTF-8)
    #[arg(long, env = "MCPLINE_USER", value_name = "NAME")]
    pub(super) user: Option<String>,

    /// Read the password for --user from this file; or set MCPLINE_PASSWORD
    #[arg(long, env = "MCPLINE_PASSWORD_FILE", value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,

    /// Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY
    #[arg(long, env = "MCPLINE_API_KEY_FILE", value_name = "FILE")]
    pub(super) api_key_file: Option<PathBuf>,

    /// Read a bearer token from this file; or set MCPLINE_BEARER
    #[arg(long, env = "MCPLINE_BEARER_FILE", value_name = "FILE")]
    pub(super) bearer_file: Option<PathBuf>,
}

/// How to sign in to servers that ask for it.
#[derive(Args)]
#[command(next_help_heading = "Sign in (OAuth)")]
pub(crate) struct SignInOptions {
    /// When to sign in
    #[arg(long, env = "MCPLINE_AUTH", value_enum, value_name = "WHEN", default_value_t)]
    pub(super) auth: Auth,

    /// Use this client, registered by hand; or the https address of a client metadata document
    #[arg(long, env = "MCPLINE_OAUTH_CLIENT_ID", value_name = "ID")]
    pub(super) oauth_client_id: Option<String>,

    /// Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET
    #[arg(long, env = "MCPLINE_OAUTH_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub(super) oauth_client_secret_file: Option<PathBuf>,

    /// Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)
    #[arg(long, env = "MCPLINE_OAUTH_CLIENT_KEY_FILE", value_name = "FILE")]
    pub(super) oauth_client_key_file: Option<PathBuf>,

    /// Ask for these scopes, separated by spaces, instead of those that the server names
    #[arg(long, env = "MCPLINE_OAUTH_SCOPE", value_name = "SCOPES")]
    pub(super) oauth_scope: Option<String>,

    /// Ask for a token for this resource instead of what the server names; none for no resource
    #[arg(long, env = "MCPLINE_OAUTH_RESOURCE", value_name = "URI")]
    pub(super) oauth_resource: Option<String>,

    /// The authorization server, where the server names none; the only one that gets the secret
    #[arg(long, env = "MCPLINE_OAUTH_ISSUER", value_name = "URL")]
    pub(super) oauth_issuer: Option<String>,

    /// Where the browser comes back to, as it was registered by hand
    /// [default: http://127.0.0.1/callback at any free port]
    #[arg(long, env = "MCPLINE_OAUTH_REDIRECT", value_name = "URL")]
    pub(super) oauth_redirect: Option<String>,

    /// Who signs in
    #[arg(long, env = "MCPLINE_OAUTH_GRANT", value_enum, value_name = "GRANT", default_value_t)]
    pub(super) oauth_grant: Grant,

    /// Add this parameter to the authorization request; may be given several times
    #[arg(long, env = "MCPLINE_OAUTH_PARAM", value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub(super) oauth_param: Vec<String>,

    /// Keep this sign-in apart from others at the same server, for a second account
    #[arg(long, env = "MCPLINE_OAUTH_PROFILE", value_name = "NAME", default_value = "")]
    pub(super) oauth_profile: String,

    /// Open no browser: tell only the address
    #[arg(long, env = "MCPLINE_NO_BROWSER", value_parser = FalseyValueParser::new())]
    pub(super) no_browser: bool,

    /// Keep sign-ins in this folder [default: the system's folder for the state of programs]
    #[arg(long, env = "MCPLINE_STATE_DIR", value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
}

/// When to sign in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Auth {
    /// When an MCP server asks for it and no other credentials are given
    #[default]
    Auto,
    /// Whenever the server refuses, whatever kind it is
    Oauth,
    /// Never
    None,
}

/// Settings of single kinds of service.
#[derive(Args)]
#[command(next_help_heading = "Services")]
pub(crate) struct ServiceOptions {
    /// 1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]
    #[arg(long, env = "MCPLINE_SERVICE_ROOT", value_name = "ROOT")]
    pub(super) service_root: Option<String>,

    /// 1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]
    ///
    /// Without it the publication reuses sessions as it is set up to.
    #[arg(long, env = "MCPLINE_MANAGED_SESSIONS", value_name = "COUNT", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "1")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) managed_sessions: Option<u32>,

    /// Encode name and password in this charset; old 1C platforms on Windows read windows-1251
    #[arg(long, env = "MCPLINE_BASIC_CHARSET", value_enum, default_value_t)]
    pub(super) basic_charset: BasicCharset,

    /// AmoCRM: calls of the REST API a second, 0 for no limit
    #[arg(long, env = "MCPLINE_RATE", value_name = "CALLS", default_value_t = 7)]
    pub(super) rate: u32,

    /// AmoCRM: add the tools of this file to the catalogue for the REST API
    #[arg(long, env = "MCPLINE_CATALOGUE", value_name = "FILE")]
    pub(super) catalogue: Option<PathBuf>,

    /// Leave these as the service sends them, separated by commas
    #[arg(long, env = "MCPLINE_KEEP", value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub(super) keep: Vec<Keep>,

    /// Do these as well, separated by commas
    #[arg(long, env = "MCPLINE_WITH", value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub(super) with: Vec<With>,
}

/// How Basic credentials are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum BasicCharset {
    /// What RFC 7617 recommends, and 1C reads
    #[default]
    #[value(name = "utf-8", alias = "utf8")]
    Utf8,
    /// For very old platforms on Windows
    #[value(name = "windows-1251", alias = "cp1251")]
    Windows1251,
}

/// TLS and the proxy.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionOptions {
    /// Trust the certificates in this file too: a company's own authority, or the server's own
    /// (PEM, DER, PKCS#7)
    #[arg(long, env = "MCPLINE_CA_FILE", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// Show the server this certificate, with its chain (PEM, DER, PKCS#7)
    #[arg(long, env = "MCPLINE_CLIENT_CERT", value_name = "FILE")]
    pub(super) client_cert: Option<PathBuf>,

    /// The private key of --client-cert, without a password (PEM, DER); not needed if that file has
    /// it too
    #[arg(long, env = "MCPLINE_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    pub(super) client_key: Option<PathBuf>,

    /// Accept any certificate: anybody in between can read and change everything
    #[arg(long, env = "MCPLINE_INSECURE", value_parser = FalseyValueParser::new())]
    pub(super) insecure: bool,

    /// Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed
    ///
    /// Without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and the system's settings count.
    #[arg(long, env = "MCPLINE_PROXY", hide_env_values = true, value_name = "URL")]
    pub(super) proxy: Option<String>,
}

/// Windows asks whether a certificate has been revoked while the connection is made, and waits for up
/// to ten seconds where a closed network does not reach who would know. It then takes the
/// certificate, and must still find time to connect.
const CONNECT_TIMEOUT: &str = if cfg!(windows) { "20" } else { "10" };

/// Time limits.
#[derive(Args)]
#[command(next_help_heading = "Time")]
pub(crate) struct TimeOptions {
    /// Give up connecting after this time, 0 for no limit
    #[arg(long, env = "MCPLINE_CONNECT_TIMEOUT", value_name = "SECONDS")]
    #[arg(default_value = CONNECT_TIMEOUT, value_parser = bound)]
    pub(super) connect_timeout: Duration,

    /// Give a request up when the server shows no sign of life for this time, 0 for no limit
    /// [default: 300]
    #[arg(long, env = "MCPLINE_TIMEOUT", value_name = "SECONDS", value_parser = bound)]
    pub(super) timeout: Option<Duration>,

    /// Give a request up after this time in any case, 0 for no limit [default: 0]
    #[arg(long, env = "MCPLINE_MAX_TIME", value_name = "SECONDS", value_parser = bound)]
    pub(super) max_time: Option<Duration>,

    /// Answer the client's `initialize` without the server after this time
    ///
    /// The connection is then made in the background, and the client is told when it is there.
    /// Until the server has answered for the first time, requests wait 3 seconds more at most.
    #[arg(long, env = "MCPLINE_START_TIMEOUT", value_name = "SECONDS")]
    #[arg(default_value = "4", value_parser = seconds)]
    pub(super) start_timeout: Duration,

    /// Try a failed request again for at most this time, where that cannot do anything twice
    #[arg(long, env = "MCPLINE_RETRY_FOR", value_name = "SECONDS")]
    #[arg(default_value = "50", value_parser = seconds)]
    pub(super) retry_for: Duration,

    /// Never try a failed request again
    #[arg(long, env = "MCPLINE_NO_RETRY", value_parser = FalseyValueParser::new())]
    pub(super) no_retry: bool,

    /// When the input ends, wait for replies for at most this time
    #[arg(long, env = "MCPLINE_DRAIN", value_name = "SECONDS")]
    #[arg(default_value = "60", value_parser = seconds)]
    pub(super) drain: Duration,
}

/// Limits on requests and messages.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Send at most this many requests at once; more wait in order [default: 64, for 1C 4]
    #[arg(long, env = "MCPLINE_MAX_IN_FLIGHT", value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_in_flight: Option<u32>,

    /// Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB
    #[arg(long, env = "MCPLINE_MAX_MESSAGE", value_name = "SIZE")]
    #[arg(default_value = "256MiB", value_parser = size)]
    pub(super) max_message: usize,
}

/// Where the log goes, and what the exit status tells.
#[derive(Args)]
#[command(next_help_heading = "Logs and status")]
pub(crate) struct LogOptions {
    /// End with status 1 when a request was answered with an error; for shells
    #[arg(long, env = "MCPLINE_FAIL", value_parser = FalseyValueParser::new())]
    pub(crate) fail: bool,

    /// Write the log as text or as one JSON object a line
    #[arg(long, env = "MCPLINE_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t)]
    pub(super) log_format: LogFormat,

    /// Write the log of the day to this file too; the last seven days are in FILE.days
    #[arg(long, env = "MCPLINE_LOG_FILE", value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,

    /// How much to log [default: warn on standard error, info in the log file]
    #[arg(long, env = "MCPLINE_LOG_LEVEL", value_name = "LEVEL", value_enum)]
    pub(super) log_level: Option<LogLevel>,
}

/// Where more settings are.
#[derive(Args)]
#[command(next_help_heading = "Settings file")]
pub(crate) struct ConfigOptions {
    /// Read settings from this file: options for all servers, and a section for each named one
    ///
    /// Without it the file config.toml in the folder mcpline is read, if it is there, where the
    /// system keeps settings: ~/.config, ~/Library/Application Support or %APPDATA%.
    #[arg(long, env = "MCPLINE_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}
