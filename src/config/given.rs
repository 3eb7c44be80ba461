//! Which options are given, and where: on the command line or by their variables.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};

/// The options that are not left at their defaults.
#[derive(Default)]
pub(crate) struct Given(Vec<GivenOption>);

/// An option that is not left at its default.
pub(super) struct GivenOption {
    pub(super) id: String,
    source: ValueSource,
    /// Its values as they are written, which may be secrets.
    pub(super) values: Vec<String>,
}

impl GivenOption {
    /// Whether it stands on the command line, and not in its variable.
    pub(super) fn is_typed(&self) -> bool {
        self.source == ValueSource::CommandLine
    }
}

impl Given {
    /// Every one of them.
    pub(super) fn options(&self) -> &[GivenOption] {
        &self.0
    }

    fn source(&self, id: &str) -> Option<ValueSource> {
        self.0.iter().find(|given| given.id == id).map(|given| given.source)
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
        let given = matches.ids().filter_map(|id| {
            let source = matches.value_source(id.as_str())?;
            if source == ValueSource::DefaultValue {
                return None;
            }
            // A group has none.
            let values = matches.try_get_raw(id.as_str()).ok().flatten().into_iter().flatten();
            let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
            Some(GivenOption { id: id.to_string(), source, values })
        });
        let given = Self(given.collect());
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
