//! The command line: its commands, its one argument, and the options of [`crate::config`].

#![expect(clippy::doc_markdown, reason = "the doc comments are the help's text")]

mod install;
mod usage;

pub(crate) use self::usage::nearest;

use std::ffi::OsString;
use std::fmt;

use clap::builder::{NonEmptyStringValueParser, Resettable};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use self::install::{Changes, Install, Uninstall};
use crate::config::{self, Options, Presets, Translated};
use crate::setup::SetupError;

/// What stands in place of a URL for the sample service.
pub(crate) const DEMO: &str = "demo";

/// The short help, which fits a screen.
const BRIEF: &str = "\
A line from any MCP client on stdin/stdout to any MCP server on HTTP

Usage: mcpline [OPTIONS] URL
       mcpline install CLIENT [NAME] URL
                             write it into the configuration of an MCP client
       mcpline demo          try it without any server
       mcpline check URL     say whether it works, and what to do if not
       mcpline tools URL     list the server's tools
       mcpline call URL TOOL [KEY=VALUE...]
                             call one of them
       mcpline login URL     sign in with a browser, and logout URL

      --kind KIND            auto (default), mcp, sse, 1c, bitrix or amocrm
      --header NAME:VALUE    send this header; ${NAME} stands for a variable
      --user NAME            log in with this name and MCPLINE_PASSWORD
      --bearer-file FILE     send the token in this file; or set MCPLINE_BEARER
      --ca-file FILE         trust the certificates in this file too
      --proxy URL            connect through this proxy
      --timeout SECONDS      give up after this time of silence, 0 for no limit
      --log-file FILE        write the log to this file too
      --log-level LEVEL      off, error, warn, info, debug or trace
      --fail                 end with a status that tells of failed requests
  -V, --version              print the version

Every option can be set by a variable: MCPLINE_LOG_LEVEL is --log-level.

Examples:
  mcpline https://mcp.example.com/mcp
  mcpline --user Иванов http://srv/base/hs/mcp
  mcpline --kind bitrix http://crm.local:8000
  mcpline --header 'X-API-Key:${KEY}' http://crm.local:8000/mcp

All options, the environment and the exit statuses: mcpline --help
";

const FULL: &str = "\
Environment:
  MCPLINE_URL       the URL
  MCPLINE_PASSWORD  the password for --user
  MCPLINE_BEARER    a bearer token
  MCPLINE_API_KEY   a key for X-API-Key
  MCPLINE_...       every other option, by its name: MCPLINE_LOG_LEVEL is --log-level
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                    the proxy, where --proxy does not say it
  The command line goes before the environment, and that before the settings file. ${NAME} in the URL, in headers, in --proxy
  and in names of files stands for the environment variable NAME.

Exit status:
  0  the input has ended, or mcpline was told to stop
  1  it could not start, its input could not be read or its output not be written;
     with --fail also: a request was answered with an error;
     of check: it does not work;
     of tools and call: the request failed, or the tool says that it has failed
  2  the options, variables or arguments cannot be used

Examples:
  mcpline demo                        try it without any server
  mcpline tools demo                  what tools it has
  mcpline call demo get_stock query=SH-025
                                      what one of them answers
  mcpline https://mcp.example.com/mcp what an MCP client's configuration runs
  mcpline --user Иванов http://srv/base/hs/mcp
                                      1C; the password comes from MCPLINE_PASSWORD
  mcpline --kind bitrix http://crm.local:8000
  mcpline --header 'X-API-Key:${KEY}' http://crm.local:8000/mcp
                                      the key comes from the environment variable KEY
  mcpline crm                         the server of the section [crm] in the settings file

mcpline reads JSON-RPC messages from standard input, one a line, and writes the
replies to standard output; MCP clients start it and do that.";

/// A line from any MCP client on stdin/stdout to any MCP server on HTTP
#[derive(Parser)]
#[command(
    name = "mcpline",
    version,
    about,
    after_long_help = FULL,
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

    /// What the user should hear once, as soon as there is a log.
    #[arg(skip)]
    pub(crate) warnings: Vec<String>,
}

impl fmt::Debug for Cli {
    /// Without the options: headers and a proxy's password are among them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cli").field("command", &self.command).finish_non_exhaustive()
    }
}

/// Why no command is run.
#[derive(Debug)]
pub enum NoCommand {
    /// The user asked for help or the version: this is it.
    Answer(String),
    /// The command line or a variable cannot be used.
    Unusable(SetupError),
}

impl From<SetupError> for NoCommand {
    fn from(error: SetupError) -> Self {
        Self::Unusable(error)
    }
}

/// What `error` in `arguments`, or in what the settings file presets, means.
fn no_command(
    error: &clap::Error,
    command: &clap::Command,
    arguments: &[OsString],
    presets: Option<&Presets>,
) -> NoCommand {
    let is_there = |name: &str| arguments.iter().any(|argument| argument == name);
    let of_command = command.get_subcommands().any(|command| is_there(command.get_name()));
    let is_brief = !is_there("--help") && !is_there("help") && !of_command;
    match error.kind() {
        ErrorKind::DisplayHelp if is_brief => NoCommand::Answer(BRIEF.to_owned()),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => NoCommand::Answer(error.to_string()),
        _ => NoCommand::Unusable(usage::explain(error, command, arguments, presets)),
    }
}

impl Cli {
    /// Reads the command line, the environment and the settings file.
    ///
    /// # Errors
    /// There is nothing to run.
    pub fn from_environment() -> Result<Self, NoCommand> {
        let arguments = config::without_script(std::env::args_os());
        let (arguments, Translated { warnings, secrets, .. }) = Self::in_our_words(arguments);
        let mut cli = Self::with_presets(&arguments)?;
        cli.warnings.extend(warnings);
        for (variable, secret) in secrets {
            cli.options.add_secret(variable, secret);
        }
        Ok(cli)
    }

    /// The arguments with options of `mcp-remote` replaced by ours, and what else these say.
    fn in_our_words(arguments: Vec<OsString>) -> (Vec<OsString>, Translated) {
        let mut words = arguments.iter().map(|argument| argument.to_str().map(str::to_owned));
        let program = words.next();
        let (Some(Some(program)), Some(words)) = (program, words.collect::<Option<Vec<_>>>())
        else {
            return (arguments, Translated::default());
        };
        let mut translated = config::like_mcp_remote(&words, &Self::command());
        let args = std::mem::take(&mut translated.args);
        (std::iter::once(program).chain(args).map(OsString::from).collect(), translated)
    }

    /// Reads `arguments`, and what the settings file says beside them.
    fn with_presets(arguments: &[OsString]) -> Result<Self, NoCommand> {
        let mut command = Self::complete_command();
        let mut cli = Self::read(&mut command, arguments)
            .map_err(|error| no_command(&error, &command, arguments, None))?;
        let server = cli.server().map(|server| server.clone());
        let presets = Presets::find(&cli.options, server.as_ref(), &command)?;
        let Some(presets) = presets else { return Ok(cli) };
        let mut cli = Self::read(&mut command, &presets.in_front_of(arguments))
            .map_err(|error| no_command(&error, &command, arguments, Some(&presets)))?;
        presets.complete(&mut cli.options)?;
        let kind = cli.options.server.kind;
        if let Some(server) = cli.server() {
            *server = presets.url(kind)?;
        }
        cli.warnings.extend(presets.warning);
        Ok(cli)
    }

    /// The server that the command is to reach, as it is named: by a URL, or by a section of the
    /// settings file. `None` for a command that has none, or has the sample service.
    fn server(&mut self) -> Option<&mut Option<String>> {
        match &self.command {
            Some(Command::Demo | Command::Install(_) | Command::Uninstall(_)) => None,
            Some(_) if self.url.as_deref() == Some(DEMO) => None,
            _ => Some(&mut self.url),
        }
    }

    fn read(command: &mut clap::Command, arguments: &[OsString]) -> Result<Self, clap::Error> {
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(command))?;
        if cli.command.is_some() && matches.value_source("url") == Some(ValueSource::CommandLine) {
            let message = "a URL and a command cannot be used together";
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
        let has_url = cli.url.is_some();
        let named = cli.command.as_mut().and_then(|command| command.take_server(has_url));
        cli.url = named.or(cli.url);
        cli.warnings = usage::unknown_variables(&Self::command());
        Ok(cli)
    }

    /// The derived command, with two rules for every argument: an option may follow a command too,
    /// and a variable that counts as unset is ignored.
    fn complete_command() -> clap::Command {
        Self::command().mut_args(|arg| {
            let is_option = arg.get_long().is_some();
            let arg = arg.global(is_option);
            let value = arg.get_env().and_then(std::env::var_os);
            let is_unset = value.is_some_and(|value| config::is_unset(&value));
            if is_unset { arg.env(Resettable::Reset) } else { arg }
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forward to a sample service of 1C inside the process
    Demo,
    /// Sign in to a server with a browser, ahead of its use
    Login(SignInArguments),
    /// Sign out of a server: give its tokens back, and forget them
    Logout(SignInArguments),
    /// Say step by step whether a server can be used, and what to do if not
    Check(CheckArguments),
    /// List the tools of a server
    Tools(ToolsArguments),
    /// Call a tool of a server
    Call(CallArguments),
    /// Write a server into the configuration of an MCP client: `mcpline install CLIENT [NAME] URL`
    Install(Install),
    /// Remove a server from the configuration of an MCP client
    Uninstall(Uninstall),
}

impl Command {
    /// Takes the server that a command names in its own arguments, so that it stands in one place
    /// whatever the command. `has_url` says whether `MCPLINE_URL` names one: then `call` may leave it
    /// out.
    fn take_server(&mut self, has_url: bool) -> Option<String> {
        let is_server = |word: &str| word == DEMO || word.contains("://") || !has_url;
        match self {
            Self::Check(CheckArguments { server, .. })
            | Self::Tools(ToolsArguments { server, .. })
            | Self::Login(SignInArguments { server })
            | Self::Logout(SignInArguments { server }) => server.take(),
            Self::Call(CallArguments { words, .. }) => {
                words.first().is_some_and(|word| is_server(word)).then(|| words.remove(0))
            }
            Self::Demo | Self::Install(_) | Self::Uninstall(_) => None,
        }
    }
}

/// What `mcpline login` and `mcpline logout` are told.
#[derive(Debug, Args)]
pub(crate) struct SignInArguments {
    /// The server's URL
    #[arg(value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) server: Option<String>,
}

/// What `mcpline check` is told.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The server's URL, or `demo` for the sample service
    #[arg(value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) server: Option<String>,

    /// Print one JSON object, for support; secrets are masked
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `mcpline tools` is told.
#[derive(Debug, Args)]
pub(crate) struct ToolsArguments {
    /// The server's URL, or `demo` for the sample service
    #[arg(value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) server: Option<String>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// What `mcpline call` is told.
#[derive(Debug, Args)]
#[command(override_usage = "mcpline call [OPTIONS] URL TOOL [KEY=VALUE... | JSON | -]")]
pub(crate) struct CallArguments {
    /// The server's URL or `demo`, the tool, and its arguments
    ///
    /// KEY=VALUE is typed by the tool's schema; KEY:=JSON stands as it is; a JSON object gives all at
    /// once, and - reads it from standard input. The URL may be left out if MCPLINE_URL is set.
    #[arg(value_name = "URL TOOL [ARGUMENTS]", required = true)]
    pub(crate) words: Vec<String>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// How a command prints what it found.
#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// Print JSON; what a pipe gets anyway
    #[arg(long)]
    pub(crate) json: bool,

    /// Print text for people; what a terminal gets anyway
    #[arg(long, conflicts_with = "json")]
    pub(crate) text: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Kind;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::complete_command().debug_assert();
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
    fn an_option_may_follow_a_command() {
        let read = |args: &str| {
            let args: Vec<_> = args.split(' ').map(OsString::from).collect();
            Cli::read(&mut Cli::complete_command(), &args)
        };
        for args in ["mcpline --kind 1c demo", "mcpline demo --kind 1c"] {
            let cli = read(args).unwrap();
            assert!(matches!(cli.command, Some(Command::Demo)), "{args}");
            assert_eq!(cli.options.server.kind, Kind::OneC, "{args}");
        }
        for args in ["mcpline http://host demo", "mcpline --user u --bearer-file f http://host"] {
            let error = read(args).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{args}");
        }
    }
}
