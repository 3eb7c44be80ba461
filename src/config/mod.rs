//! From options and variables to settings that can be used: URLs, headers and files are read and
//! checked here. Each function builds what one part of the program needs, so that a command takes
//! the settings of the parts that it runs and of no others.

mod connection;
mod credentials;
mod drop_in;
mod effects;
mod foreign;
mod given;
mod options;
mod presets;
mod settings_file;
mod sign_in;
mod values;
mod written;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use self::options::{LimitOptions, LogOptions, ServiceOptions, TimeOptions};
use crate::conversation;
use crate::era::UpstreamEra;
use crate::hint::Readers;
use crate::http::{Authorization, ConnectSettings, Endpoint, HttpSettings, is_loopback};
use crate::logging::{LogLevel, LogSettings};
use crate::oauth::SignIn;
use crate::redact::{self, Secrets};
use crate::retry::Policy;
use crate::setup::SetupError;
use crate::upstream::{Kind, KindSettings, ONEC_MAX_IN_FLIGHT, check_catalogue};

pub(crate) use self::drop_in::{names_service, without_script};
pub(crate) use self::foreign::{Translated, like_mcp_remote, program_name, translated};
pub(crate) use self::options::Options;
pub(crate) use self::presets::Presets;
pub(crate) use self::values::is_unset;
pub(crate) use self::written::Written;

/// The secrets, as a settings file names them, and their variables. They have no option: secrets do
/// not belong on a command line.
pub(crate) const SECRET_VARIABLES: [(&str, &str); 4] = [
    ("password", "MCPLINE_PASSWORD"),
    ("api-key", "MCPLINE_API_KEY"),
    ("bearer", "MCPLINE_BEARER"),
    ("oauth-client-secret", "MCPLINE_OAUTH_CLIENT_SECRET"),
];

/// The bound on silence during a request where nobody has chosen one.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// What is wrong where nothing names a server.
pub(crate) const NO_URL: &str = "no URL given";

/// Requests at once where the kind has no bound of its own.
const MAX_IN_FLIGHT: usize = 64;

/// The command that has our options.
pub(crate) fn command() -> clap::Command {
    use clap::CommandFactory;
    crate::cli::Cli::command()
}

/// What to forward to. The URL may still hold credentials.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) url: Url,
}

impl Target {
    /// What the command line names, else what the variables of the scripts name.
    pub(crate) fn new(
        url: Option<&str>,
        kind: Kind,
        secrets: &Secrets,
    ) -> Result<Self, SetupError> {
        let read = |url: &str| {
            values::filled_in_url(url, "the URL", secrets)
                .and_then(|url| values::upstream_url(&url))
        };
        if let Some(url) = url {
            let url = read(url)?;
            return Ok(Self { kind: kind.at(&url), url });
        }
        let Some((kind, url)) = drop_in::target(kind)? else {
            let hint = if kind == Kind::OneC {
                "`mcpline --kind 1c http://server/base`, or set MCP_ONEC_URL"
            } else {
                "`mcpline URL`, or `mcpline demo` to try it; see `mcpline --help`"
            };
            return Err(SetupError::usage(NO_URL).hint(hint));
        };
        Ok(Self { kind, url: read(&url)? })
    }
}

/// What a command needs that talks to an upstream.
#[derive(Debug)]
pub(crate) struct UpstreamSettings {
    /// Where it is, without credentials.
    pub(crate) endpoint: Endpoint,
    /// How it is reached.
    pub(crate) kind: KindSettings,
    /// Which revisions it is spoken to in.
    pub(crate) era: UpstreamEra,
    /// How HTTP is spoken.
    pub(crate) http: HttpSettings,
    /// The sign-in, if one may be needed.
    pub(crate) sign_in: Option<Arc<SignIn>>,
    /// What the user should hear once, as soon as there is a log.
    pub(crate) warnings: Vec<String>,
}

impl UpstreamSettings {
    /// The settings for `target`. Every secret among them is added to `secrets`.
    ///
    /// # Errors
    /// A setting is unreadable or contradicts another.
    pub(crate) fn new(
        options: &Options,
        target: Target,
        secrets: &Arc<Secrets>,
    ) -> Result<Self, SetupError> {
        let kind = kind_settings(&options.services, target.kind)?;
        let (headers, mut authorization, mut warnings) =
            credentials::credentials(options, &target, secrets)?;
        let (tls, no_check) = connection::tls(&options.connection, target.kind)?;
        let (idle_timeout, short) = idle_timeout(&options.time, target.kind)?;
        let target_kind = target.kind;
        let endpoint = endpoint(target.url, secrets);
        let has_secret = credentials::have_secret(&headers, &authorization);
        let in_clear = if has_secret { in_clear(&endpoint) } else { None };
        let connect = ConnectSettings {
            tls,
            proxy: connection::proxy(&options.connection, secrets)?,
            timeout: options.time.connect_timeout,
        };
        let sign_in = sign_in::sign_in(
            &options.sign_in,
            &options.given,
            &endpoint.url,
            target_kind,
            has_secret,
            &connect,
            secrets,
        )?;
        if let Some(sign_in) = &sign_in {
            authorization = Authorization::OAuth(sign_in.clone());
        } else {
            warnings.extend(effects::of_sign_in(&options.given));
        }
        let http = HttpSettings {
            headers,
            authorization,
            secrets: secrets.clone(),
            connect,
            idle_timeout,
            retry_for: options.time.retry_for,
            max_body: options.limits.max_message,
        };
        warnings.extend([no_check, short, in_clear].into_iter().flatten());
        let era = options.server.upstream_era;
        Ok(Self { endpoint, kind, era, http, sign_in, warnings })
    }
}

/// How to lead a conversation with the upstream of these settings.
pub(crate) fn conversation(
    options: &Options,
    upstream: &UpstreamSettings,
) -> conversation::Settings {
    let TimeOptions { max_time, start_timeout, retry_for, no_retry, drain, .. } = options.time;
    conversation::Settings {
        url: upstream.endpoint.shown.to_string(),
        secrets: upstream.http.secrets.clone(),
        readers: readers(upstream.kind.kind),
        max_in_flight: max_in_flight(&options.limits, &upstream.kind),
        max_message: options.limits.max_message,
        start_timeout,
        max_time,
        drain,
        policy: Policy { retry_for, enabled: !no_retry },
    }
}

/// Who reads the errors of an upstream of `kind`.
fn readers(kind: Kind) -> Readers {
    match kind {
        Kind::Auto | Kind::Mcp | Kind::Sse => Readers::OfEnglish,
        Kind::OneC | Kind::Bitrix | Kind::Amocrm => Readers::of_named_service(),
    }
}

/// How and where to log.
pub(crate) fn log(options: &LogOptions, kind: Kind, secrets: Arc<Secrets>) -> LogSettings {
    let of_script = || drop_in::onec_log_level().filter(|_| kind == Kind::OneC);
    let level = options.log_level.or_else(of_script);
    LogSettings { level, file: options.log_file.clone(), format: options.log_format, secrets }
}

/// As [`log`], for a command whose own words say what is wrong: stderr stays silent unless somebody
/// has asked for a log.
pub(crate) fn quiet_log(options: &LogOptions, kind: Kind, secrets: Arc<Secrets>) -> LogSettings {
    let settings = log(options, kind, secrets);
    let is_wanted = settings.level.is_some() || settings.file.is_some();
    LogSettings { level: if is_wanted { settings.level } else { Some(LogLevel::Off) }, ..settings }
}

/// What the kind is told beyond the URL.
fn kind_settings(options: &ServiceOptions, kind: Kind) -> Result<KindSettings, SetupError> {
    let root = options.service_root.clone();
    let root = root.or_else(|| drop_in::onec_service_root().filter(|_| kind == Kind::OneC));
    let catalogue = match &options.catalogue {
        Some(path) => {
            let text = values::read_text(path, "--catalogue")?;
            check_catalogue(&text).map_err(|why| {
                SetupError::usage(format!("--catalogue {}: {why}", path.display()))
            })?;
            Some(text)
        }
        None => None,
    };
    let lead_defaults = drop_in::lead_defaults();
    let lead_defaults = if kind == Kind::Amocrm {
        lead_defaults?
    } else {
        // The variables may be meant for another program.
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

/// The bound on silence during a request, and what to warn of.
fn idle_timeout(
    options: &TimeOptions,
    kind: Kind,
) -> Result<(Duration, Option<String>), SetupError> {
    let of_script = match (options.timeout, kind) {
        (Some(timeout), _) => Some((timeout, None)),
        (None, Kind::Bitrix) => drop_in::bitrix_timeout()?,
        (None, _) => None,
    };
    Ok(of_script.unwrap_or((IDLE_TIMEOUT, None)))
}

/// Requests at once: as many as the user allows, else as many as the kind can take.
fn max_in_flight(options: &LimitOptions, kind: &KindSettings) -> usize {
    match (options.max_in_flight, kind.kind) {
        (Some(count), _) => count as usize,
        (None, Kind::OneC) => kind.managed_sessions.unwrap_or(ONEC_MAX_IN_FLIGHT),
        (None, _) => MAX_IN_FLIGHT,
    }
}

/// The endpoint at `url` without its credentials. The values in its query become secrets.
fn endpoint(mut url: Url, secrets: &Secrets) -> Endpoint {
    // Neither can fail for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    redact::secrets_in_path(&url).for_each(|secret| secrets.add(secret));
    for (_, value) in url.query_pairs().filter(|(_, value)| value.len() >= 8) {
        secrets.add(&value);
    }
    Endpoint::new(url)
}

/// What to warn of if credentials go to `endpoint` without encryption.
fn in_clear(endpoint: &Endpoint) -> Option<String> {
    let Endpoint { url, shown, .. } = endpoint;
    (url.scheme() == "http" && !is_loopback(url)).then(|| {
        format!(
            "credentials are sent to {shown} without encryption: anybody on the way can read them; \
             use https:// if the server has it"
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;
    use crate::http::Http;

    fn settings(args: &[&str]) -> UpstreamSettings {
        let cli = Cli::try_parse_from(["mcpline"].iter().chain(args)).unwrap();
        let target =
            Target::new(cli.url.as_deref(), cli.options.server.kind, &Secrets::default()).unwrap();
        UpstreamSettings::new(&cli.options, target, &Arc::default()).unwrap()
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
        let settings = settings(&args);
        let conversation = conversation(&cli.options, &settings);
        let http = Http::new(&settings.http, &Url::parse("http://host/").unwrap()).unwrap();
        let endpoint = Endpoint::new(Url::parse("http://u:hunter2@h/?k=hunter2").unwrap());
        let shown = format!("{cli:?} {settings:?} {conversation:?} {http:?} {endpoint:?}");
        assert!(shown.contains("host/mcp"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn credentials_in_the_clear_are_warned_about() {
        let warnings = |args: &[&str]| settings(args).warnings.len();
        let key = ["--header", "X-API-Key:12345678"];
        assert_eq!(warnings(&[&key[..], &["http://host/mcp"]].concat()), 1);
        assert_eq!(warnings(&["http://user:pa55word@host/mcp"]), 1);
        assert_eq!(warnings(&[&key[..], &["https://host/mcp"]].concat()), 0);
        assert_eq!(warnings(&[&key[..], &["http://127.0.0.1/mcp"]].concat()), 0);
        assert_eq!(warnings(&["http://host/mcp"]), 0);
    }
}
