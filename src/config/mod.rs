//! From the command line and the environment to settings that can be used: URLs, headers and
//! files are read and checked here, so that nothing later can be misconfigured.

mod credentials;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderName};
use url::Url;

use self::credentials::{
    Authorization, api_key, authorization, base64, has_credentials, headers, percent_decoded,
};
use crate::cli::{Cli, Command, Options};
use crate::conversation;
use crate::drop_in;
use crate::http::{HttpSettings, PROXY_VARIABLES, Tls, TokenFile, is_loopback};
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
        let secrets = Arc::new(Secrets::default());
        let options = cli.options;
        let (kind, target) = target(cli.command.as_ref(), cli.url.as_deref(), options.kind)?;
        let kind = kind_settings(kind, &options)?;
        let mut headers = headers(&options, &secrets)?;
        let authorization = authorization(&options, &target, kind.kind, &secrets)?;
        let mut token = None;
        // Who writes the header out means it.
        if let (false, Some(Authorization { value, file })) =
            (headers.contains_key(AUTHORIZATION), authorization)
        {
            token = file.map(|file| Arc::new(TokenFile::new(file, value.clone(), secrets.clone())));
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(key) = api_key(&options, &secrets)? {
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
            if let Some(proxy) = proxy {
                add_proxy_login(&proxy, &secrets);
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
            secrets: secrets.clone(),
            token,
            tls,
            proxy: proxy(&options, &secrets)?,
            connect_timeout: options.connect_timeout,
            idle_timeout,
            retry_for: options.retry_for,
            max_body: options.max_message,
        };
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
            Kind::Auto | Kind::OneC => Ok((Kind::OneC, Target::Demo)),
            _ => Err(error("`mcpline demo` is a 1C service: leave --kind out, or use --kind 1c")),
        },
        (None, Some(url)) => {
            let url = upstream_url(url)?;
            Ok((kind.at(&url), Target::Url(url)))
        }
        (None, None) => match drop_in::target(kind).map_err(error)? {
            Some((kind, url)) => Ok((kind, Target::Url(upstream_url(&url)?))),
            None => {
                let help = if kind == Kind::OneC {
                    "`mcpline --kind 1c http://server/base`, or set MCP_ONEC_URL"
                } else {
                    "`mcpline URL`, or `mcpline demo` to try it; see `mcpline --help`"
                };
                Err(error(format!("no URL given: {help}")))
            }
        },
    }
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

fn proxy(options: &Options, secrets: &Secrets) -> Result<Option<Url>, ConfigError> {
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
    add_proxy_login(&url, secrets);
    Ok(Some(url))
}

/// Adds the proxy's password to the secrets, and its login as it travels.
fn add_proxy_login(proxy: &Url, secrets: &Secrets) {
    let Some(password) = proxy.password() else { return };
    secrets.add(password);
    secrets.add(&percent_decoded(password));
    let login = [proxy.username(), password].map(percent_decoded).join(":");
    secrets.add(&base64(login.as_bytes()));
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
