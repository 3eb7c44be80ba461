//! From the command line and the environment to settings that can be used: URLs, headers and
//! files are read and checked here, so that nothing later can be misconfigured.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::cli::{self, BasicCharset, Cli, Command, Options};
use crate::conversation;
use crate::drop_in;
use crate::http::{HttpSettings, PROXY_VARIABLES, Tls, is_loopback, to_windows_1251};
use crate::logging::LogSettings;
use crate::redact::{self, Secrets};
use crate::retry::Policy;
use crate::upstream::{Kind, KindSettings, ONEC_MAX_IN_FLIGHT, check_catalogue};

/// Carries an API key, as the amoCRM server wants it.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Requests at once where the kind has no bound of its own.
const MAX_IN_FLIGHT: usize = 64;

/// What to forward to.
pub enum Target {
    /// The service at this URL.
    Url(Url),
    /// The sample service of the kind, inside the process.
    Demo,
}

impl fmt::Debug for Target {
    /// Without what may be secret in the URL.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => formatter.write_str(&redact::shown(url)),
            Self::Demo => formatter.write_str("Demo"),
        }
    }
}

/// Everything that a run is decided by.
#[derive(Debug)]
pub struct Config {
    /// What to forward to.
    pub target: Target,
    /// How it is reached.
    pub kind: KindSettings,
    /// How HTTP is spoken.
    pub http: HttpSettings,
    /// How the conversation is led; its URL is filled in once the target is known.
    pub conversation: conversation::Settings,
    /// Where the log goes.
    pub log: LogSettings,
    /// What the user should hear once, as soon as there is a log.
    pub warnings: Vec<String>,
}

/// Why the settings cannot be used: one line for a person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

fn error(text: impl Into<String>) -> ConfigError {
    ConfigError(text.into())
}

impl Config {
    /// Makes sense of `cli` and of the environment variables that it refers to.
    ///
    /// # Errors
    /// Something is missing, unreadable or contradictory.
    pub fn new(cli: Cli) -> Result<Self, ConfigError> {
        let mut secrets = Secrets::default();
        let options = cli.options;
        let (kind, target) = target(cli.command.as_ref(), cli.url.as_deref(), options.kind)?;
        let kind = kind_settings(kind, &options)?;
        let mut headers = headers(&options, &mut secrets)?;
        let authorization = authorization(&options, &target, kind.kind, &mut secrets)?;
        // Who writes the header out means it.
        if let (false, Some(value)) = (headers.contains_key(AUTHORIZATION), authorization) {
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(key) = api_key(&options, &mut secrets)? {
            headers.entry(API_KEY).or_insert(key);
        }
        let target = without_credentials(target);
        if let Target::Url(url) = &target {
            for (_, value) in url.query_pairs().filter(|(_, value)| value.len() >= 8) {
                secrets.add(&value);
            }
        }
        for name in PROXY_VARIABLES {
            let proxy = std::env::var(name).ok().and_then(|proxy| Url::parse(&proxy).ok());
            if let Some(password) = proxy.as_ref().and_then(Url::password) {
                secrets.add(password);
            }
        }
        let mut warnings = Vec::new();
        let mut tls = tls(&options)?;
        let switch = if tls.insecure { "--insecure" } else { "AMO_SSL_VERIFY" };
        tls.insecure |= kind.kind == Kind::Amocrm && drop_in::amocrm_is_insecure();
        if tls.insecure {
            warnings.push(format!(
                "{switch}: the server's certificate is not checked; whoever sits in between can \
                 read and change everything, credentials included"
            ));
        }
        let mut idle_timeout = options.timeout;
        if kind.kind == Kind::Bitrix
            && options.has_default_timeout
            && let Some((timeout, warning)) = drop_in::bitrix_timeout().map_err(error)?
        {
            idle_timeout = timeout;
            warnings.extend(warning);
        }
        if let (Target::Url(url), true) = (&target, has_credentials(&headers))
            && url.scheme() == "http"
            && !is_loopback(url)
        {
            warnings.push(format!(
                "credentials are sent to {} without encryption: whoever is on the way can read \
                 them; use https:// if the server has it",
                redact::shown(url)
            ));
        }
        let http = HttpSettings {
            headers,
            tls,
            proxy: proxy(&options, &mut secrets)?,
            connect_timeout: options.connect_timeout,
            idle_timeout,
            max_body: options.max_message,
        };
        let secrets = Arc::new(secrets);
        let conversation = conversation::Settings {
            url: String::new(),
            secrets: secrets.clone(),
            max_in_flight: max_in_flight(&options, &kind),
            max_message: options.max_message,
            start_timeout: options.start_timeout,
            max_time: options.max_time,
            drain: options.drain,
            policy: Policy { retry_for: options.retry_for, enabled: !options.no_retry },
        };
        let of_script = if kind.kind == Kind::OneC { drop_in::onec_log_level() } else { None };
        let level = options.log_level.or(of_script);
        let log = LogSettings { level, file: options.log_file, secrets };
        Ok(Self { target, kind, http, conversation, log, warnings })
    }
}

/// What to forward to and how: by the command line, else by the variables of the scripts.
fn target(
    command: Option<&Command>,
    url: Option<&str>,
    kind: Kind,
) -> Result<(Kind, Target), ConfigError> {
    match (command, url) {
        (Some(Command::Demo), _) => match kind {
            Kind::Auto => Ok((Kind::OneC, Target::Demo)),
            Kind::Mcp | Kind::Sse => {
                Err(error("the demo is of kind 1c, bitrix or amocrm; see `mcpline --help`"))
            }
            kind => Ok((kind, Target::Demo)),
        },
        (None, Some(url)) => {
            let url = upstream_url(url)?;
            Ok((kind.at(&url), Target::Url(url)))
        }
        (None, None) => match drop_in::target(kind).map_err(error)? {
            Some((kind, url)) => Ok((kind, Target::Url(upstream_url(&url)?))),
            None => {
                let help = "`mcpline URL`, or `mcpline demo` to try it; see `mcpline --help`";
                Err(error(format!("no URL given: {help}")))
            }
        },
    }
}

/// Whether any header is a secret by its name.
fn has_credentials(headers: &HeaderMap) -> bool {
    headers.keys().any(is_secret)
}

/// What the kind is told beyond the URL.
fn kind_settings(kind: Kind, options: &Options) -> Result<KindSettings, ConfigError> {
    let root = options.service_root.clone();
    let root = root.or_else(|| drop_in::onec_service_root().filter(|_| kind == Kind::OneC));
    let catalogue = match &options.catalogue {
        Some(path) => {
            let text = read_text(path, "--catalogue")?;
            check_catalogue(&text)
                .map_err(|why| error(format!("--catalogue {}: {why}", path.display())))?;
            Some(text)
        }
        None => None,
    };
    let lead_defaults = drop_in::lead_defaults();
    let lead_defaults = if kind == Kind::Amocrm {
        lead_defaults.map_err(error)?
    } else {
        // Not necessarily meant for us.
        lead_defaults.unwrap_or_default()
    };
    Ok(KindSettings {
        kind,
        service_root: root.unwrap_or_else(|| "mcp".to_owned()),
        managed_sessions: options.managed_sessions.map(|count| count as usize),
        keep: options.keep.clone(),
        with: options.with.clone(),
        rate: options.rate,
        catalogue,
        lead_defaults,
    })
}

/// Requests at once: as many as the user says, else as the kind stands.
fn max_in_flight(options: &Options, kind: &KindSettings) -> usize {
    match (options.max_in_flight, kind.kind) {
        (Some(count), _) => count as usize,
        (None, Kind::OneC) => kind.managed_sessions.unwrap_or(ONEC_MAX_IN_FLIGHT),
        (None, _) => MAX_IN_FLIGHT,
    }
}

/// The value of `X-API-Key`.
fn api_key(options: &Options, secrets: &mut Secrets) -> Result<Option<HeaderValue>, ConfigError> {
    let key = secret(options.api_key_file.as_deref(), "--api-key-file", "MCPLINE_API_KEY")?;
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
    secrets.add(&key);
    sensitive(key).map(Some)
}

fn upstream_url(text: &str) -> Result<Url, ConfigError> {
    let text = text.trim();
    let refuse = |why: &str| {
        let shown = redact::without_secrets(text);
        let help = "give the address in full, for example https://mcp.example.com/mcp";
        Err(error(format!("`{shown}` {why}: {help}")))
    };
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => refuse("is not an http:// or https:// URL"),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            refuse("is not a URL, because https:// or http:// in front is missing")
        }
        Err(why) => refuse(&format!("is not a URL ({why})")),
    }
}

fn without_credentials(target: Target) -> Target {
    match target {
        Target::Url(mut url) => {
            // Neither can fail for a URL with a host.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            Target::Url(url)
        }
        Target::Demo => Target::Demo,
    }
}

fn headers(options: &Options, secrets: &mut Secrets) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    if let Some(path) = &options.header_file {
        let text = read_text(path, "--header-file")?;
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                let (name, value) = header(line, secrets)?;
                secrets.add(value.to_str().unwrap_or_default());
                headers.append(name, value);
            }
        }
    }
    let mut typed = HeaderMap::new();
    for text in options.header.iter().filter(|text| !text.trim().is_empty()) {
        let (name, value) = header(text, secrets)?;
        typed.append(name, value);
    }
    // Replaces what the file says of the same names.
    headers.extend(typed);
    Ok(headers)
}

/// Reads `NAME:VALUE`, expanding `${NAME}` in the value.
fn header(text: &str, secrets: &mut Secrets) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(error("--header must be written NAME:VALUE; one has no colon"));
    };
    let name = name.trim();
    let header_name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| error(format!("--header: `{name}` is not a header name")))?;
    let value = expand(value.trim(), name, secrets)?;
    if is_secret(&header_name) {
        secrets.add(&value);
        // `Bearer TOKEN`: the token is secret by itself.
        if let Some((_, credentials)) = value.split_once(' ') {
            secrets.add(credentials);
        }
    }
    let mut header_value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        error(format!("the value of the header `{name}` holds characters that no header may"))
    })?;
    header_value.set_sensitive(true);
    Ok((header_name, header_value))
}

/// Whether a header's value is a secret by the header's name.
fn is_secret(name: &HeaderName) -> bool {
    ["auth", "cookie", "key", "token", "secret", "password", "session"]
        .iter()
        .any(|part| name.as_str().contains(part))
}

/// Replaces each `${NAME}` by the environment variable, whose value is taken for a secret.
fn expand(text: &str, header: &str, secrets: &mut Secrets) -> Result<String, ConfigError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(error(format!("the header `{header}` has a `${{` without its `}}`")));
        };
        let value = std::env::var(name).map_err(|_| {
            error(format!(
                "the header `{header}` needs the environment variable {name}, which is not set: \
                 put it into the `env` part of the client's configuration"
            ))
        })?;
        secrets.add(&value);
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The `Authorization` header from a bearer token, a user name, or credentials in the URL.
fn authorization(
    options: &Options,
    target: &Target,
    kind: Kind,
    secrets: &mut Secrets,
) -> Result<Option<HeaderValue>, ConfigError> {
    let token = secret(options.bearer_file.as_deref(), "--bearer-file", "MCPLINE_BEARER")?;
    if let Some(token) = token.filter(|token| !token.is_empty() && !options.ignores_bearer) {
        secrets.add(&token);
        return sensitive(format!("Bearer {token}")).map(Some);
    }
    let password = secret(options.password_file.as_deref(), "--password-file", "MCPLINE_PASSWORD")?;
    let is_onec = kind == Kind::OneC;
    let of_script = if is_onec { drop_in::onec_credentials() } else { None };
    let (user, password) = match (&options.user, target) {
        (Some(user), _) => {
            let password =
                password.or_else(|| if is_onec { drop_in::onec_password() } else { None });
            (user.clone(), password.unwrap_or_default())
        }
        (None, Target::Url(url)) if !url.username().is_empty() => {
            let decoded = |part| percent_decoded(part);
            let in_url = url.password().map(decoded).unwrap_or_default();
            (percent_decoded(url.username()), password.unwrap_or(in_url))
        }
        _ => match of_script {
            Some((user, of_script)) => (user, password.unwrap_or(of_script)),
            None if options.password_file.is_some() => {
                return Err(error("--password-file needs --user"));
            }
            None => return Ok(None),
        },
    };
    if user.contains(':') {
        return Err(error("a user name with a colon cannot be sent by Basic authentication"));
    }
    secrets.add(&password);
    let credentials = format!("{user}:{password}");
    let credentials = match options.basic_charset {
        BasicCharset::Utf8 => credentials.into_bytes(),
        BasicCharset::Windows1251 => to_windows_1251(&credentials).ok_or_else(|| {
            error("the user name or password holds characters that windows-1251 does not have")
        })?,
    };
    let encoded = base64(&credentials);
    secrets.add(&encoded);
    sensitive(format!("Basic {encoded}")).map(Some)
}

fn sensitive(value: String) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| error("the credentials hold characters that no header may"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A secret from a file, else from the environment variable; one line end at its end goes.
fn secret(
    file: Option<&Path>,
    option: &str,
    variable: &str,
) -> Result<Option<String>, ConfigError> {
    let text = match file {
        Some(path) => Some(read_text(path, option)?),
        None => std::env::var(variable).ok().filter(|value| !cli::is_unset(value.as_ref())),
    };
    Ok(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn tls(options: &Options) -> Result<Tls, ConfigError> {
    let ca = options.ca_file.as_deref().map(|path| read(path, "--ca-file")).transpose()?;
    let identity = match (&options.client_cert, &options.client_key) {
        (Some(certificate), Some(key)) => {
            let mut pem = read(key, "--client-key")?;
            pem.push(b'\n');
            pem.extend(read(certificate, "--client-cert")?);
            Some(pem)
        }
        _ => None,
    };
    Ok(Tls { ca, identity, insecure: options.insecure })
}

fn proxy(options: &Options, secrets: &mut Secrets) -> Result<Option<Url>, ConfigError> {
    let Some(text) = options.proxy.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // People write HOST:PORT, which parses as a URL with the scheme HOST.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).map_err(|why| {
        error(format!("`{}` is not a proxy's URL ({why})", redact::without_secrets(&text)))
    })?;
    if !matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") {
        let scheme = url.scheme();
        return Err(error(format!("a proxy is http, https or socks5, not `{scheme}`")));
    }
    if let Some(password) = url.password() {
        secrets.add(password);
        secrets.add(&percent_decoded(password));
    }
    Ok(Some(url))
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>, ConfigError> {
    fs::read(path)
        .map_err(|why| error(format!("{option} {} cannot be read: {why}", path.display())))
}

fn read_text(path: &Path, option: &str) -> Result<String, ConfigError> {
    let bytes = read(path, option)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| error(format!("{option} {} is not UTF-8 text", path.display())))?;
    // Windows editors like to put a BOM in front.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Decodes `%XX` as UTF-8, as user names and passwords in URLs are written.
fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::http::{Endpoint, Http};

    fn config(args: &[&str]) -> Config {
        let args = ["mcpline"].iter().chain(args);
        Config::new(Cli::try_parse_from(args).unwrap()).unwrap()
    }

    #[test]
    fn no_debug_output_shows_a_secret() {
        let args = [
            "--header",
            "X-API-Key:hunter-key",
            "--header",
            "X-Plain:hunter-plain",
            "--proxy",
            "http://user:hunter-proxy@proxy:3128",
            "http://me:hunter-password@host/mcp?key=hunter-query",
        ];
        let cli = Cli::try_parse_from(["mcpline"].iter().chain(&args)).unwrap();
        let shown = format!("{cli:?} {:?}", config(&args));
        assert!(shown.contains("host/mcp"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
        let http = Http::new(&config(&args).http, &Url::parse("http://host/").unwrap()).unwrap();
        let endpoint = Endpoint::new(Url::parse("http://u:hunter2@h/?k=hunter2").unwrap());
        let shown = format!("{http:?} {endpoint:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn credentials_in_the_clear_are_warned_about() {
        let warnings = |args: &[&str]| config(args).warnings.len();
        let key = ["--header", "X-API-Key:12345678"];
        assert_eq!(warnings(&[&key[..], &["http://host/mcp"]].concat()), 1);
        assert_eq!(warnings(&["http://user:password@host/mcp"]), 1);
        assert_eq!(warnings(&[&key[..], &["https://host/mcp"]].concat()), 0);
        assert_eq!(warnings(&[&key[..], &["http://127.0.0.1/mcp"]].concat()), 0);
        assert_eq!(warnings(&["http://host/mcp"]), 0);
    }
}
