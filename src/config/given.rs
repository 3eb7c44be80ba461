//! Which options are given, and where: on the command line, by their variables or in the settings
//! file.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};

use super::values::variable;

/// The options that are not left at their defaults.
#[derive(Default)]
pub(crate) struct Given {
    options: Vec<GivenOption>,
    /// Those that stand in the settings file, and where.
    presets: Vec<(String, String)>,
    /// Secrets of the settings file by their variables: where they stand, and the secrets.
    secrets: Vec<(&'static str, String, String)>,
}

/// An option that is not left at its default.
pub(super) struct GivenOption {
    pub(super) id: String,
    source: ValueSource,
    /// It is a switch, and stands as off in its variable.
    is_off: bool,
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
        &self.options
    }

    fn source(&self, id: &str) -> Option<ValueSource> {
        self.options.iter().find(|given| given.id == id).map(|given| given.source)
    }

    /// The long names of all options, and whether each says more than that a switch is off.
    pub(super) fn keys(&self) -> impl Iterator<Item = (String, bool)> {
        self.options.iter().map(|given| (given.id.replace('_', "-"), !given.is_off))
    }

    /// Says that the option stands at `place` in the settings file, and not on the command line.
    pub(super) fn preset(&mut self, id: &str, place: &str) {
        self.options.retain(|given| given.id != id);
        self.presets.push((id.to_owned(), place.to_owned()));
    }

    /// Adds the secret at `place` in the settings file, which stands for the variable `name`.
    pub(super) fn preset_secret(&mut self, name: &'static str, place: &str, secret: String) {
        self.secrets.push((name, place.to_owned(), secret));
    }

    /// The secret of the variable `name`: from there, else from the settings file.
    pub(super) fn secret(&self, name: &str) -> Option<String> {
        variable(name).or_else(|| self.preset_of(name).map(|(_, _, secret)| secret.clone()))
    }

    /// What the person wrote to set that secret, if it is set.
    pub(super) fn secret_name(&self, name: &str) -> Option<String> {
        let of_variable = variable(name).map(|_| name.to_owned());
        of_variable.or_else(|| self.preset_of(name).map(|(_, place, _)| place.clone()))
    }

    fn preset_of(&self, name: &str) -> Option<&(&'static str, String, String)> {
        self.secrets.iter().find(|(of, ..)| *of == name)
    }

    /// Whether the option stands on the command line.
    pub(super) fn is_typed(&self, id: &str) -> bool {
        self.source(id) == Some(ValueSource::CommandLine)
    }

    /// What the person wrote to set the option: its name, that of its variable, or its key in the
    /// settings file. A switch that is off is not set.
    pub(super) fn name(&self, id: &str) -> Option<String> {
        let preset = self.presets.iter().find(|(given, _)| given == id);
        let preset = preset.map(|(_, place)| place.clone());
        preset.or_else(|| {
            let given = self.options.iter().find(|given| given.id == id && !given.is_off)?;
            Some(match given.source {
                ValueSource::EnvVariable => format!("MCPLINE_{}", id.to_ascii_uppercase()),
                _ => format!("--{}", id.replace('_', "-")),
            })
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
            let is_off = matches!(matches.try_get_one(id.as_str()), Ok(Some(false)));
            Some(GivenOption { id: id.to_string(), source, is_off, values })
        });
        let given = Self { options: given.collect(), ..Self::default() };
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
