//! What the settings file presets for one run: which of its settings count beside the command line
//! and the environment. They go in front of the command line as options of their own, so that one
//! place reads and checks every option.

use std::ffi::OsString;
use std::path::PathBuf;

use super::SECRET_VARIABLES;
use super::options::Options;
use super::settings_file::{As, Setting, SettingsFile, URL, usual_place};
use super::values::{filled_in, variable};
use crate::cli::nearest;
use crate::setup::SetupError;
use crate::upstream::Kind;

/// Settings that exclude each other, as they say the same thing in two ways. One of them hides the
/// other in what goes after it.
const RIVALS: [(&str, &str); 6] = [
    ("password", "password-file"),
    ("bearer", "bearer-file"),
    ("api-key", "api-key-file"),
    ("user", "bearer"),
    ("user", "bearer-file"),
    ("retry-for", "no-retry"),
];

/// The settings of the file that count in this run.
pub(crate) struct Presets {
    settings: Vec<Setting>,
    /// The address of the server.
    url: Option<String>,
    /// The section that the person named.
    pub(crate) section: Option<String>,
    /// The file, for a message.
    path: PathBuf,
    /// What to warn of.
    pub(crate) warning: Option<String>,
}

impl Presets {
    /// What the settings file says for `server`, if the command has one: a URL, or the name of a
    /// section. `options` are those of the command line and the environment, which go before the
    /// file.
    ///
    /// # Errors
    /// The file cannot be read or used, or has no such section.
    pub(crate) fn find(
        options: &Options,
        server: Option<&Option<String>>,
        command: &clap::Command,
    ) -> Result<Option<Self>, SetupError> {
        let name_in = |server: &str| is_name(server).then(|| server.trim().to_owned());
        let Some(file) = SettingsFile::load(options.config.config.as_deref())? else {
            let name = server.and_then(|server| name_in(server.as_deref()?));
            return name.map_or(Ok(None), |name| Err(no_section(&name, None, command)));
        };
        let for_all = file.for_all(command)?;
        let server = server.and_then(|server| server.as_deref().or_else(|| url_in(&for_all)));
        let section = server.and_then(name_in);
        let of_section = match &section {
            Some(name) => {
                let settings = file.section(name, command)?;
                settings.ok_or_else(|| no_section(name, Some(&file), command))?
            }
            None => Vec::new(),
        };
        let url = if section.is_some() { url_in(&of_section) } else { server };
        let url = url.map(str::to_owned);
        let in_environment = SECRET_VARIABLES
            .iter()
            .filter(|(_, name)| variable(name).is_some())
            .map(|(key, _)| key);
        let in_environment = in_environment.map(|key| ((*key).to_owned(), true));
        let mut taken: Vec<Taken> = options.given.keys().chain(in_environment).collect();
        let mut settings = Vec::new();
        for layer in [of_section, for_all] {
            let layer: Vec<Setting> =
                layer.into_iter().filter(|setting| !is_hidden(&setting.key, &taken)).collect();
            taken.extend(layer.iter().map(|setting| (setting.key.clone(), !setting.is_off())));
            settings.extend(layer);
        }
        let warning = file.is_open_to_others();
        Ok(Some(Self { settings, url, section, path: file.path, warning }))
    }

    /// The command line with the options of the file in it.
    pub(crate) fn in_front_of(&self, arguments: &[OsString]) -> Vec<OsString> {
        let mut all: Vec<OsString> = arguments.iter().take(1).cloned().collect();
        for Setting { key, value, .. } in self.options() {
            match value {
                As::On => all.push(format!("--{key}").into()),
                As::Off => {}
                As::Values(values) => {
                    all.extend(values.iter().map(|value| format!("--{key}={value}").into()));
                }
            }
        }
        all.extend(arguments.iter().skip(1).cloned());
        all
    }

    /// Puts into `options` what is no option: the secrets, and where each option stands.
    ///
    /// # Errors
    /// A variable in a secret is not set.
    pub(crate) fn complete(&self, options: &mut Options) -> Result<(), SetupError> {
        for Setting { key, place, .. } in self.options().filter(|setting| !setting.is_off()) {
            options.given.preset(&key.replace('-', "_"), place);
        }
        for (key, name) in SECRET_VARIABLES {
            let Some((place, text)) = self.value(key) else { continue };
            let is_variable = text.starts_with("${") && text.ends_with('}');
            let text =
                if is_variable { filled_in(text, place, |_, _| {})? } else { text.to_owned() };
            options.given.preset_secret(name, place, text);
        }
        Ok(())
    }

    /// The address of the server.
    ///
    /// # Errors
    /// The section has none, and servers of `kind` have no usual one.
    pub(crate) fn url(&self, kind: Kind) -> Result<Option<String>, SetupError> {
        match &self.section {
            Some(section)
                if self.url.is_none() && matches!(kind, Kind::Auto | Kind::Mcp | Kind::Sse) =>
            {
                let path = self.path.display();
                Err(SetupError::usage(format!("the section [{section}] in {path} has no `url`")))
            }
            _ => Ok(self.url.clone()),
        }
    }

    /// Where the option with the name `long` stands, for a message.
    pub(crate) fn place(&self, long: &str) -> Option<&str> {
        self.options().find(|setting| setting.key == long).map(|setting| &setting.place[..])
    }

    fn options(&self) -> impl Iterator<Item = &Setting> {
        let is_secret = |key: &str| SECRET_VARIABLES.iter().any(|(secret, _)| *secret == key);
        self.settings.iter().filter(move |setting| setting.key != URL && !is_secret(&setting.key))
    }

    fn value(&self, key: &str) -> Option<(&str, &str)> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        Some((&setting.place, setting.text()?))
    }
}

/// The address among `settings`.
fn url_in(settings: &[Setting]) -> Option<&str> {
    settings.iter().find(|setting| setting.key == URL)?.text()
}

/// The key of a setting that goes before others, and whether it says more than that a switch is off:
/// that excludes nothing.
type Taken = (String, bool);

/// Whether what goes before it hides the setting `key`.
fn is_hidden(key: &str, taken: &[Taken]) -> bool {
    let is_taken = |name: &str| taken.iter().any(|(taken, _)| taken == name);
    let is_in_effect = |name: &str| taken.iter().any(|(taken, is_on)| *is_on && taken == name);
    let rivals = RIVALS.iter().filter_map(|(one, other)| match key {
        _ if key == *one => Some(*other),
        _ if key == *other => Some(*one),
        _ => None,
    });
    is_taken(key) || rivals.into_iter().any(is_in_effect)
}

/// Whether `server` can be the name of a section, and is no address.
fn is_name(server: &str) -> bool {
    let server = server.trim();
    !server.is_empty() && !server.contains(['/', '.', ':', '$', '\\', '?'])
}

/// The person named a server that no section is about.
fn no_section(name: &str, file: Option<&SettingsFile>, command: &clap::Command) -> SetupError {
    let message = format!("`{name}` is not a URL, because https:// or http:// in front is missing");
    let hint = "give the address in full, for example https://mcp.example.com/mcp";
    let commands = command.get_subcommands().map(clap::Command::get_name);
    let meant = nearest(name, commands).map(|meant| format!("did you mean `mcpline {meant}`?"));
    let Some(file) = file else {
        if let Some(meant) = meant {
            return SetupError::usage(message).hint(meant);
        }
        let place =
            usual_place().map_or_else(String::new, |place| format!(" in {}", place.display()));
        return SetupError::usage(message)
            .hint(format!("{hint}, or write a section [{name}]{place}"));
    };
    let message = format!("{message}, and {} has no section [{name}]", file.path.display());
    match nearest(name, file.sections()) {
        Some(meant) => SetupError::usage(message).hint(format!("did you mean `{meant}`?")),
        None => SetupError::usage(message).hint(meant.unwrap_or_else(|| hint.to_owned())),
    }
}
