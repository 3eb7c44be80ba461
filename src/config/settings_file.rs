//! The settings file: TOML whose keys are the names of the options. What stands in front of the
//! first section holds for every server, and a section holds for the server of its name.

use std::path::{Path, PathBuf};

use clap::Arg;
use toml_edit::{Array, Document, Item, TableLike, Value};

use super::SECRET_VARIABLES;
use super::values::{filled_in, read_text};
use crate::cli::nearest;
use crate::setup::SetupError;

/// The key of the address, which is an argument on the command line.
pub(super) const URL: &str = "url";

/// The one key whose value may be a table: names and values of headers.
const HEADER: &str = "header";

/// Options that cannot stand in the file: it would have to be read already.
const NOT_KEYS: [&str; 3] = ["config", "help", "version"];

/// The settings file.
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    document: Document<String>,
}

/// One setting in the file.
pub(super) struct Setting {
    /// The long name of the option, or what [`SECRET_VARIABLES`] makes of a variable.
    pub(super) key: String,
    pub(super) value: As,
    /// For a message: the key and where it stands.
    pub(super) place: String,
}

/// What a setting is given as.
pub(super) enum As {
    /// A switch that is on, or an option that needs no value.
    On,
    /// The same that is off.
    Off,
    /// The option's values.
    Values(Vec<String>),
}

impl Setting {
    /// Its value, where it has one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            As::Values(values) => values.first().map(String::as_str),
            As::On | As::Off => None,
        }
    }
}

impl SettingsFile {
    /// The file that the person names, else the one at the usual place, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is not TOML.
    pub(super) fn load(named: Option<&Path>) -> Result<Option<Self>, SetupError> {
        let path = match named {
            Some(path) => match path.to_str() {
                Some(text) => filled_in(text, "--config", |_, _| {})?.into(),
                None => path.to_owned(),
            },
            None => match usual_place().filter(|path| path.exists()) {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let text = read_text(&path, "the settings file")?;
        let document = Document::parse(text.clone()).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let why = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            let error = SetupError::usage(format!("{}: {why}", place(&path, &text, at)));
            let line = text[..at].rsplit('\n').next().unwrap_or_default().to_owned()
                + text[at..].split('\n').next().unwrap_or_default();
            if line.contains('\\') && line.contains('"') {
                return error.hint("write a Windows path in single quotes: 'C:\\Tools\\ca.pem'");
            }
            error
        })?;
        Ok(Some(Self { path, document }))
    }

    /// The settings for every server.
    pub(super) fn for_all(&self, command: &clap::Command) -> Result<Vec<Setting>, SetupError> {
        self.settings(self.document.as_table(), command, is_section)
    }

    /// The settings in the section `name`, if there is one.
    pub(super) fn section(
        &self,
        name: &str,
        command: &clap::Command,
    ) -> Result<Option<Vec<Setting>>, SetupError> {
        let item = self.document.as_table().get(name).filter(|item| is_section(name, item));
        let table = item.and_then(Item::as_table_like);
        table.map(|table| self.settings(table, command, |_, _| false)).transpose()
    }

    /// The names of the sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        let all = self.document.as_table().iter();
        all.filter(|(name, item)| is_section(name, item)).map(|(name, _)| name)
    }

    /// What to warn of: the file holds secrets, and other users of the machine may read it.
    pub(super) fn is_open_to_others(&self) -> Option<String> {
        let top = self.document.as_table();
        let sections = top.iter().filter_map(|(_, item)| item.as_table_like());
        let holds_secret = holds_secret(top) || sections.into_iter().any(holds_secret);
        let shown = self.path.display();
        (holds_secret && others_may_read(&self.path)).then(|| {
            format!("other users may read the secrets in {shown}: run `chmod 600 '{shown}'`")
        })
    }

    fn settings(
        &self,
        table: &dyn TableLike,
        command: &clap::Command,
        is_passed_over: impl Fn(&str, &Item) -> bool,
    ) -> Result<Vec<Setting>, SetupError> {
        let settings = table.iter().filter(|(name, item)| !is_passed_over(name, item));
        let settings = settings.map(|(written, item)| {
            let span = table.key(written).and_then(toml_edit::Key::span).or_else(|| item.span());
            let text = self.document.raw();
            let place = place(&self.path, text, span.map_or(0, |span| span.start));
            self.setting(written, item, command, &place)
        });
        settings.collect()
    }

    /// Reads one setting, which stands at `place`.
    fn setting(
        &self,
        written: &str,
        item: &Item,
        command: &clap::Command,
        place: &str,
    ) -> Result<Setting, SetupError> {
        let key = written.replace('_', "-");
        if item.is_array_of_tables() {
            let error = SetupError::usage(format!("{place}: [[{written}]] is a list of sections"));
            return Err(error.hint(format!("write [{written}], once")));
        }
        let arg = option(command, &key);
        if arg.is_none() && key != URL && !is_secret(&key) {
            return Err(unknown(written, command, place));
        }
        let wrong = |what: &str| SetupError::usage(format!("{place}: `{written}` {what}"));
        let needs_value = arg.is_none_or(|arg| arg.get_action().takes_values());
        let may_be_switch = !needs_value
            || arg.and_then(Arg::get_num_args).is_some_and(|count| count.min_values() == 0);
        let value = match item {
            Item::Value(Value::Boolean(is_on)) if may_be_switch => {
                if *is_on.value() {
                    As::On
                } else {
                    As::Off
                }
            }
            _ if !needs_value => return Err(wrong("is either true or false")),
            Item::Value(Value::Array(array)) => {
                As::Values(texts(array).ok_or_else(|| wrong("holds what is not a text"))?)
            }
            Item::Value(Value::InlineTable(table)) if key == HEADER => {
                As::Values(headers(table).ok_or_else(|| wrong("holds what is not a text"))?)
            }
            Item::Table(table) if key == HEADER => {
                As::Values(headers(table).ok_or_else(|| wrong("holds what is not a text"))?)
            }
            Item::Value(value) => match text(value) {
                Some(text) => As::Values(vec![text]),
                None => return Err(wrong("needs a text or a number")),
            },
            _ => return Err(wrong("needs a text or a number")),
        };
        let is_file = arg.and_then(Arg::get_value_names).is_some_and(|names| names == ["FILE"]);
        let value = match value {
            As::Values(files) if is_file => {
                As::Values(files.iter().map(|file| self.beside(file)).collect())
            }
            value => value,
        };
        Ok(Setting { key, value, place: format!("`{written}` in {place}") })
    }

    /// The file that a setting names: it is looked for beside the settings file, as the working
    /// directory is whatever the client has.
    fn beside(&self, file: &str) -> String {
        let in_home = file.strip_prefix("~/").or_else(|| file.strip_prefix("~\\"));
        if let (Some(rest), Some(home)) = (in_home, std::env::home_dir()) {
            return home.join(rest).to_string_lossy().into_owned();
        }
        match self.path.parent() {
            Some(folder) if !file.starts_with("${") => {
                folder.join(file).to_string_lossy().into_owned()
            }
            _ => file.to_owned(),
        }
    }
}

/// Where each system keeps the settings of programs.
pub(super) fn usual_place() -> Option<PathBuf> {
    let variable =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = |folder: &str| std::env::home_dir().map(|home| home.join(folder));
    let folder = if cfg!(windows) {
        variable("APPDATA")
    } else if cfg!(target_os = "macos") {
        home("Library/Application Support")
    } else {
        variable("XDG_CONFIG_HOME").or_else(|| home(".config"))
    };
    folder.filter(|folder| folder.is_absolute()).map(|folder| folder.join("mcpline/config.toml"))
}

/// The option that `key` sets.
fn option<'a>(command: &'a clap::Command, key: &str) -> Option<&'a Arg> {
    options(command).find(|arg| arg.get_long() == Some(key))
}

fn options(command: &clap::Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| !arg.get_long().is_none_or(|long| NOT_KEYS.contains(&long)))
}

/// Whether `key` is a secret, which has a variable and no option.
fn is_secret(key: &str) -> bool {
    SECRET_VARIABLES.iter().any(|(secret, _)| *secret == key)
}

fn unknown(written: &str, command: &clap::Command, place: &str) -> SetupError {
    let keys = options(command).filter_map(Arg::get_long);
    let keys = keys.chain(SECRET_VARIABLES.iter().map(|(key, _)| *key)).chain([URL]);
    let error = SetupError::usage(format!("{place}: there is no setting `{written}`"));
    match nearest(written, keys) {
        Some(key) => error.hint(format!("did you mean `{key}`?")),
        None => error.hint("settings are the options of `mcpline --help`, without the dashes"),
    }
}

/// Whether what stands at the top of the file under `name` is a section.
fn is_section(name: &str, item: &Item) -> bool {
    name != HEADER && item.is_table_like()
}

/// Whether secrets may stand in `table` as they are.
fn holds_secret(table: &dyn TableLike) -> bool {
    table.iter().any(|(name, item)| {
        let key = name.replace('_', "-");
        let has_login = || item.as_str().is_some_and(|text| text.contains('@'));
        is_secret(&key) || key == HEADER || matches!(&key[..], URL | "proxy") && has_login()
    })
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// The folder of a user's settings is closed to other users.
#[cfg(not(unix))]
fn others_may_read(_path: &Path) -> bool {
    false
}

/// A text or a number as an option takes it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(number) => Some(number.value().to_string()),
        _ => None,
    }
}

fn texts(array: &Array) -> Option<Vec<String>> {
    array.iter().map(text).collect()
}

/// `NAME:VALUE` of every row.
fn headers(table: &dyn TableLike) -> Option<Vec<String>> {
    let header = |(name, item): (&str, &Item)| {
        item.as_value().and_then(text).map(|value| format!("{name}:{value}"))
    };
    table.iter().map(header).collect()
}

/// Where the byte at `at` stands, for a message.
fn place(path: &Path, text: &str, at: usize) -> String {
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    format!("{} line {line}", path.display())
}
