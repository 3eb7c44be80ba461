//! Which options are given, and where: on the command line or by their variables.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};

/// The options that are not left at their defaults.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<(String, ValueSource)>);

impl Given {
    fn source(&self, id: &str) -> Option<ValueSource> {
        self.0.iter().find(|(given, _)| given == id).map(|(_, source)| *source)
    }

    /// Whether the option stands on the command line.
    pub(super) fn is_typed(&self, id: &str) -> bool {
        self.source(id) == Some(ValueSource::CommandLine)
    }

    /// What the person wrote to set the option: its name, or that of its variable.
    pub(super) fn name(&self, id: &str) -> Option<String> {
        self.source(id).map(|source| match source {
            ValueSource::EnvVariable => format!("MCPLINE_{}", id.to_ascii_uppercase()),
            _ => format!("--{}", id.replace('_', "-")),
        })
    }

    /// The way to log in that stands on the command line. It overrides one from the environment.
    pub(super) fn typed_login(&self) -> TypedLogin {
        match (self.is_typed("user"), self.is_typed("bearer_file")) {
            (true, _) => TypedLogin::User,
            (false, true) => TypedLogin::BearerFile,
            (false, false) => TypedLogin::None,
        }
    }
}

/// The way to log in that stands on the command line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TypedLogin {
    /// Neither `--user` nor `--bearer-file`.
    None,
    /// `--user`
    User,
    /// `--bearer-file`
    BearerFile,
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let source = |id: &clap::Id| Some((id.to_string(), matches.value_source(id.as_str())?));
        let given = matches.ids().filter_map(source);
        let given =
            Self(given.filter(|(_, source)| *source != ValueSource::DefaultValue).collect());
        if given.is_typed("user") && given.is_typed("bearer_file") {
            let message = "--user and --bearer-file cannot be used together";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
        }
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command
    }
}
