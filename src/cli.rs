//! The command line. One doc comment an option is its help and its reference; what the values
//! mean together is [`crate::config`]'s.

#![expect(clippy::doc_markdown, reason = "the doc comments are the help's text")]

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, NonEmptyStringValueParser, Resettable};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::drop_in;
use crate::upstream::{Keep, Kind, With};

const EXAMPLES: &str = "\
Examples:
  mcpline demo                        try it without any server
  mcpline https://mcp.example.com/mcp what an MCP client's configuration runs
  mcpline --user Иванов http://srv/base/hs/mcp
                                      1C; the password comes from MCPLINE_PASSWORD
  mcpline --kind bitrix http://crm.local:8000
  mcpline --header 'X-API-Key:${KEY}' http://crm.local:8000/mcp
                                      the key comes from the environment variable KEY

Every option can be set by its environment variable; the command line wins.
mcpline reads JSON-RPC messages from standard input, one a line, and writes the
replies to standard output; MCP clients start it and do that.";

/// A line from any MCP client on stdin/stdout to any MCP server on HTTP
#[derive(Parser)]
#[command(
    name = "mcpline",
    version,
    about,
    after_help = EXAMPLES,
    subcommand_precedence_over_arg = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The server to forward to, for example https://mcp.example.com/mcp or http://srv/base
    #[arg(env = "MCPLINE_URL", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) url: Option<String>,

    #[command(flatten)]
    pub(crate) options: Options,
}

impl fmt::Debug for Cli {
    /// Without the options, among which are headers and a proxy's password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cli").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Cli {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    /// What clap has to say to the user, a request for help included.
    pub fn from_environment() -> Result<Self, clap::Error> {
        let mut command = Self::command().mut_args(|arg| {
            let is_unset =
                arg.get_env().and_then(std::env::var_os).is_some_and(|value| is_unset(&value));
            if is_unset { arg.env(Resettable::Reset) } else { arg }
        });
        let arguments = drop_in::without_script(std::env::args_os());
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let is_typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let mut conflict = |what: &str| Err(command.error(ErrorKind::ArgumentConflict, what));
        if cli.command.is_some() && is_typed("url") {
            return conflict("a URL and a command cannot be used together");
        }
        cli.options.has_default_timeout =
            matches.value_source("timeout") == Some(ValueSource::DefaultValue);
        // Of two ways to log in, the one that was typed counts.
        match (is_typed("user"), is_typed("bearer_file")) {
            (true, true) => {
                return conflict("--user and --bearer-file cannot be used together");
            }
            (true, false) => {
                cli.options.bearer_file = None;
                cli.options.ignores_bearer = true;
            }
            (false, true) => cli.options.user = None,
            (false, false) => {}
        }
        Ok(cli)
    }
}

/// Whether a variable counts as unset: empty, or a placeholder that a client has not filled in,
/// as it does for optional fields.
pub(crate) fn is_unset(value: &OsStr) -> bool {
    value.is_empty() || value.to_string_lossy().starts_with("${")
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forward to a sample 1C service inside the process
    Demo,
}

#[derive(Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches")]
pub(crate) struct Options {
    /// How the server is reached
    #[arg(
        long,
        global = true,
        env = "MCPLINE_KIND",
        value_enum,
        default_value_t,
        help_heading = "Server"
    )]
    pub(crate) kind: Kind,

    /// Send this header with every request; ${NAME} stands for an environment variable
    ///
    /// May be given several times, with or without a space after the colon. In MCPLINE_HEADER,
    /// put one header on each line.
    #[arg(
        long,
        global = true,
        env = "MCPLINE_HEADER",
        hide_env_values = true,
        value_name = "NAME:VALUE",
        value_delimiter = '\n',
        help_heading = "Server"
    )]
    pub(crate) header: Vec<String>,

    /// Read headers from this file, one NAME:VALUE on each line, # for comments
    #[arg(
        long,
        global = true,
        env = "MCPLINE_HEADER_FILE",
        value_name = "FILE",
        help_heading = "Server"
    )]
    pub(crate) header_file: Option<PathBuf>,

    /// Log in with this user name (Basic authentication, UTF-8)
    #[arg(long, global = true, env = "MCPLINE_USER", value_name = "NAME", help_heading = "Server")]
    pub(crate) user: Option<String>,

    /// Read the password for --user from this file; or set MCPLINE_PASSWORD
    #[arg(
        long,
        global = true,
        env = "MCPLINE_PASSWORD_FILE",
        value_name = "FILE",
        help_heading = "Server"
    )]
    pub(crate) password_file: Option<PathBuf>,

    /// Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY
    #[arg(
        long,
        global = true,
        env = "MCPLINE_API_KEY_FILE",
        value_name = "FILE",
        help_heading = "Server"
    )]
    pub(crate) api_key_file: Option<PathBuf>,

    /// 1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]
    #[arg(
        long,
        global = true,
        env = "MCPLINE_SERVICE_ROOT",
        value_name = "ROOT",
        help_heading = "Services"
    )]
    pub(crate) service_root: Option<String>,

    /// 1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]
    ///
    /// Without it the publication reuses sessions as it is set up to.
    #[arg(
        long, global = true, env = "MCPLINE_MANAGED_SESSIONS", value_name = "COUNT",
        num_args = 0..=1, require_equals = true, default_missing_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=64), help_heading = "Services"
    )]
    pub(crate) managed_sessions: Option<u32>,

    /// Encode name and password in this charset; old 1C platforms on Windows read windows-1251
    #[arg(
        long,
        global = true,
        env = "MCPLINE_BASIC_CHARSET",
        value_enum,
        default_value_t,
        help_heading = "Services"
    )]
    pub(crate) basic_charset: BasicCharset,

    /// AmoCRM: calls of the REST API a second, 0 for no limit
    #[arg(
        long,
        global = true,
        env = "MCPLINE_RATE",
        value_name = "CALLS",
        default_value_t = 7,
        help_heading = "Services"
    )]
    pub(crate) rate: u32,

    /// AmoCRM: add the tools of this file to the catalogue for the REST API
    #[arg(
        long,
        global = true,
        env = "MCPLINE_CATALOGUE",
        value_name = "FILE",
        help_heading = "Services"
    )]
    pub(crate) catalogue: Option<PathBuf>,

    /// Leave these as the service sends them, separated by commas
    #[arg(
        long,
        global = true,
        env = "MCPLINE_KEEP",
        value_enum,
        value_name = "WHAT",
        value_delimiter = ',',
        help_heading = "Services"
    )]
    pub(crate) keep: Vec<Keep>,

    /// Do these as well, separated by commas
    #[arg(
        long,
        global = true,
        env = "MCPLINE_WITH",
        value_enum,
        value_name = "WHAT",
        value_delimiter = ',',
        help_heading = "Services"
    )]
    pub(crate) with: Vec<With>,

    /// Set when a variable with a bearer token must not count.
    #[arg(skip)]
    pub(crate) ignores_bearer: bool,

    /// Read a bearer token from this file; or set MCPLINE_BEARER
    #[arg(
        long,
        global = true,
        env = "MCPLINE_BEARER_FILE",
        value_name = "FILE",
        help_heading = "Server"
    )]
    pub(crate) bearer_file: Option<PathBuf>,

    /// Trust the certificates in this PEM file too (a company's own authority)
    #[arg(
        long,
        global = true,
        env = "MCPLINE_CA_FILE",
        value_name = "FILE",
        help_heading = "Connection"
    )]
    pub(crate) ca_file: Option<PathBuf>,

    /// Show the server this certificate (PEM, with its chain)
    #[arg(
        long,
        global = true,
        env = "MCPLINE_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key",
        help_heading = "Connection"
    )]
    pub(crate) client_cert: Option<PathBuf>,

    /// The private key of --client-cert (PEM)
    #[arg(
        long,
        global = true,
        env = "MCPLINE_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert",
        help_heading = "Connection"
    )]
    pub(crate) client_key: Option<PathBuf>,

    /// Accept any certificate: whoever sits in between can read and change everything
    #[arg(long, global = true, env = "MCPLINE_INSECURE", value_parser = FalseyValueParser::new(), help_heading = "Connection")]
    pub(crate) insecure: bool,

    /// Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed
    ///
    /// Without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and the system's settings count.
    #[arg(
        long,
        global = true,
        env = "MCPLINE_PROXY",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Connection"
    )]
    pub(crate) proxy: Option<String>,

    /// Give up connecting after this time
    #[arg(
        long, global = true, env = "MCPLINE_CONNECT_TIMEOUT", value_name = "SECONDS",
        default_value = "10", value_parser = seconds, help_heading = "Time"
    )]
    pub(crate) connect_timeout: Duration,

    /// Give a request up when the server shows no sign of life for this time
    #[arg(
        long, global = true, env = "MCPLINE_TIMEOUT", value_name = "SECONDS",
        default_value = "300", value_parser = seconds, help_heading = "Time"
    )]
    pub(crate) timeout: Duration,

    /// Set when nobody has chosen the time above.
    #[arg(skip)]
    pub(crate) has_default_timeout: bool,

    /// Give a request up after this time in any case [default: no limit]
    #[arg(
        long, global = true, env = "MCPLINE_MAX_TIME", value_name = "SECONDS",
        value_parser = seconds, help_heading = "Time"
    )]
    pub(crate) max_time: Option<Duration>,

    /// Answer the client's `initialize` without the server after this time
    ///
    /// The connection is then made in the background, and the client is told when it is there.
    #[arg(
        long, global = true, env = "MCPLINE_START_TIMEOUT", value_name = "SECONDS",
        default_value = "8", value_parser = seconds, help_heading = "Time"
    )]
    pub(crate) start_timeout: Duration,

    /// Try a failed request again for at most this time, where that cannot do anything twice
    #[arg(
        long, global = true, env = "MCPLINE_RETRY_FOR", value_name = "SECONDS",
        default_value = "50", value_parser = seconds, help_heading = "Time"
    )]
    pub(crate) retry_for: Duration,

    /// Never try a failed request again
    #[arg(long, global = true, env = "MCPLINE_NO_RETRY", value_parser = FalseyValueParser::new(), help_heading = "Time")]
    pub(crate) no_retry: bool,

    /// When the input ends, wait for replies for at most this time
    #[arg(
        long, global = true, env = "MCPLINE_DRAIN", value_name = "SECONDS",
        default_value = "60", value_parser = seconds, help_heading = "Time"
    )]
    pub(crate) drain: Duration,

    /// Send at most this many requests at once; more wait in order [default: 64, for 1C 4]
    #[arg(
        long, global = true, env = "MCPLINE_MAX_IN_FLIGHT", value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits"
    )]
    pub(crate) max_in_flight: Option<u32>,

    /// Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB
    #[arg(
        long, global = true, env = "MCPLINE_MAX_MESSAGE", value_name = "SIZE",
        default_value = "256MiB", value_parser = size, help_heading = "Limits"
    )]
    pub(crate) max_message: usize,

    /// Write the log to this file too: that of today; the last seven days are in FILE.days
    #[arg(
        long,
        global = true,
        env = "MCPLINE_LOG_FILE",
        value_name = "FILE",
        help_heading = "Logs"
    )]
    pub(crate) log_file: Option<PathBuf>,

    /// How much to log [default: warn on standard error, info in the log file]
    #[arg(
        long,
        global = true,
        env = "MCPLINE_LOG_LEVEL",
        value_name = "LEVEL",
        value_enum,
        help_heading = "Logs"
    )]
    pub(crate) log_level: Option<LogLevel>,
}

/// How Basic credentials are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BasicCharset {
    /// What RFC 7617 recommends, and 1C reads
    #[default]
    #[value(name = "utf-8", alias = "utf8")]
    Utf8,
    /// For very old platforms on Windows
    #[value(name = "windows-1251", alias = "cp1251")]
    Windows1251,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Nothing
    Off,
    /// What stops mcpline from working
    Error,
    /// What a person should look at
    Warn,
    /// Sessions, retries, recoveries
    Info,
    /// Every request, and what the upstream sends of its own accord
    Debug,
    /// What libraries have to say, too
    Trace,
}

/// A year: longer is meant as "for ever", and cannot be reckoned with.
const MAX_TIME: Duration = Duration::from_hours(8760);

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.trim().parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time <= MAX_TIME)
        .ok_or_else(|| "not a possible time in seconds".to_owned())
}

fn size(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit: usize = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        unit => return Err(format!("`{unit}` is not a unit: use KiB, MiB or GiB")),
    };
    let number: usize = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|size| *size > 0)
        .ok_or_else(|| "not a possible size".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_its_variable() {
        for option in Cli::command().get_arguments() {
            let Some(long) = option.get_long() else {
                continue;
            };
            let variable = format!("MCPLINE_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(option.get_env().and_then(|name| name.to_str()), Some(&variable[..]));
            assert!(option.get_help().is_some(), "{long}");
        }
    }

    #[test]
    fn times_and_sizes_are_read() {
        assert_eq!(seconds("0.3"), Ok(Duration::from_millis(300)));
        assert!(seconds("1e19").is_err());
        assert!(seconds("-1").is_err() && seconds("1m").is_err() && seconds("inf").is_err());
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("2 MiB"), Ok(2 << 20));
        assert_eq!(size("64k"), Ok(64 << 10));
        assert!(size("0").is_err() && size("x").is_err() && size("5 parsecs").is_err());
    }
}
