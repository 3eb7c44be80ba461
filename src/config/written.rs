//! Writes settings down for another run of this program: as arguments, and as an environment for what
//! may be a secret.

use std::path::Path;

use clap::CommandFactory;
use url::Url;

use super::SECRET_VARIABLES;
use super::foreign::{option, takes_value};
use super::options::Options;
use super::values::{filled_in, variable};
use crate::cli::Cli;
use crate::redact;
use crate::setup::SetupError;

/// Settings as another run is told them.
#[derive(Default)]
pub(crate) struct Written {
    /// Options, and the URL at the end.
    pub(crate) args: Vec<String>,
    /// Variables: secrets, and what stands in variables now.
    pub(crate) env: Vec<(String, String)>,
}

impl Written {
    /// The options that are given, with every `${NAME}` filled in: the other run has another environment,
    /// and another working folder.
    ///
    /// # Errors
    /// A variable is not set.
    pub(crate) fn options(options: &Options) -> Result<Self, SetupError> {
        let mut written = Self::default();
        let command = Cli::command();
        for given in options.given.options() {
            let mut of_option = command.get_arguments().filter(|arg| arg.get_id() == &given.id);
            let Some(arg) = of_option.next() else { continue };
            let Some(long) = arg.get_long() else { continue };
            let names = arg.get_value_names().unwrap_or_default();
            let is_file =
                arg.get_action().takes_values() && names.iter().any(|name| name == "FILE");
            let values = given.values.iter().map(|value| {
                let value = filled_in(value, &format!("--{long}"), |_, _| {})?;
                Ok(if is_file { full_path(&value) } else { value })
            });
            let values = values.collect::<Result<Vec<_>, SetupError>>()?;
            written.add(arg, &values, given.is_typed());
        }
        for (_, name) in SECRET_VARIABLES {
            if let Some(value) = variable(name) {
                written.set(name, &value);
            }
        }
        Ok(written)
    }

    /// The user for whom `options` have no password; a password may be empty, but then somebody has said so.
    pub(crate) fn user_without_password(options: &Options) -> Option<&str> {
        let credentials = &options.server.credentials;
        let user = credentials.user.as_deref().filter(|user| !user.contains(':'))?;
        let has_password = credentials.password_file.is_some()
            || std::env::var_os("MCPLINE_PASSWORD").is_some()
            || options.given.secret("MCPLINE_PASSWORD").is_some();
        (!has_password).then_some(user)
    }

    /// Arguments of ours, which may hold secrets.
    pub(crate) fn arguments(arguments: &[String]) -> Self {
        let mut written = Self::default();
        let command = Cli::command();
        let mut of_options: Vec<(&clap::Arg, Vec<String>)> = Vec::new();
        let mut others = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                _ => (argument.as_str(), None),
            };
            let Some(arg) = option(name, &command) else {
                others.push(argument);
                continue;
            };
            let value = match inline {
                Some(value) => Some(value.to_owned()),
                None if takes_value(name, &command) => arguments.next().cloned(),
                None => None,
            };
            match of_options.iter_mut().find(|(known, _)| known.get_id() == arg.get_id()) {
                Some((_, values)) => values.extend(value),
                None => of_options.push((arg, value.into_iter().collect())),
            }
        }
        for (arg, values) in of_options {
            written.add(arg, &values, true);
        }
        for other in others {
            written.server(other);
        }
        written
    }

    /// Adds the server at `url`.
    ///
    /// # Errors
    /// A variable in it is not set.
    pub(crate) fn with_server(mut self, url: &str) -> Result<Self, SetupError> {
        let url = filled_in(url, "the URL", |_, _| {})?;
        self.server(&url);
        Ok(self)
    }

    /// Adds what `other` says, which goes before this.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.args.splice(0..0, other.args);
        for (name, value) in other.env {
            self.set(&name, &value);
        }
        self
    }

    fn server(&mut self, url: &str) {
        if holds_secret(url) {
            self.set("MCPLINE_URL", url);
        } else {
            self.args.push(url.to_owned());
        }
    }

    fn add(&mut self, arg: &clap::Arg, values: &[String], is_typed: bool) {
        let (Some(long), Some(variable)) = (arg.get_long(), arg.get_env()) else { return };
        let variable = variable.to_string_lossy();
        let id = arg.get_id().as_str();
        // `--user NAME:PASSWORD`
        if id == "user"
            && let [login] = values
            && let Some((user, password)) = login.split_once(':')
        {
            self.set(&variable, user);
            self.set("MCPLINE_PASSWORD", password);
            return;
        }
        let is_secret =
            id == "header" || values.iter().any(|value| value.contains('@') && id == "proxy");
        if is_secret || !is_typed {
            // As a variable has several: a line for each header, commas between the others.
            let between = if id == "header" { "\n" } else { "," };
            self.set(&variable, &values.join(between));
            return;
        }
        if values.is_empty() || !arg.get_action().takes_values() {
            self.args.push(format!("--{long}"));
            return;
        }
        for value in values {
            if arg.is_require_equals_set() || value.starts_with('-') {
                self.args.push(format!("--{long}={value}"));
            } else {
                self.args.extend([format!("--{long}"), value.clone()]);
            }
        }
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }
}

/// The path from the root: another run has another working folder.
fn full_path(path: &str) -> String {
    std::path::absolute(Path::new(path))
        .map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Whether there are credentials in `url`: in front of the host, in its path, or in its query.
fn holds_secret(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return url.contains('@') };
    !url.username().is_empty()
        || url.password().is_some()
        || redact::secrets_in_path(&url).next().is_some()
        || url.query_pairs().any(|(_, value)| value.len() >= 8)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_password_of_the_settings_file_is_not_missing() {
        let mut options = Cli::parse_from(["mcpline", "--user", "me", "http://host/mcp"]).options;
        assert_eq!(Written::user_without_password(&options), Some("me"));
        options.given.preset_secret("MCPLINE_PASSWORD", "the settings file", "hunter".to_owned());
        assert_eq!(Written::user_without_password(&options), None);
    }
}
