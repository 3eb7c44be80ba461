//! Where the files are on this machine.

use std::path::{Path, PathBuf};

use super::Client;
use crate::setup::SetupError;

/// A system, by where its programs keep their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Linux,
    Mac,
    Windows,
}

/// A folder of the user, by what it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Root {
    /// The home folder.
    Home,
    /// Settings of programs: `%APPDATA%`, `~/Library/Application Support`, `~/.config`.
    Config,
    /// `~/.config`, on macOS and Windows too.
    DotConfig,
    /// `%LOCALAPPDATA%`, `~/Library/Application Support`, `~/.local/share`.
    LocalData,
    /// What the variable says, else a folder in the home folder.
    HomeOr { variable: &'static str, folder: &'static str },
}

/// Where a client keeps its configuration. Paths use `/` and are relative to the root.
#[derive(Debug)]
pub(crate) struct Place {
    /// The systems on which it is there.
    pub(crate) systems: &'static [System],
    /// What the paths are relative to.
    pub(crate) root: Root,
    /// What is there where the client is in use.
    pub(crate) sign: &'static str,
    /// The file: the first that is there, else the first.
    pub(crate) files: &'static [&'static str],
}

/// A place on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The client's file.
    pub(crate) file: PathBuf,
    /// Whether the client has left a trace there.
    pub(crate) is_in_use: bool,
}

/// What decides where files are: the system, its variables, and what exists.
pub(crate) struct Machine<'a> {
    pub(crate) system: System,
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) exists: &'a dyn Fn(&Path) -> bool,
}

impl Machine<'static> {
    /// This one.
    pub(crate) fn this() -> Self {
        let system = if cfg!(windows) {
            System::Windows
        } else if cfg!(target_os = "macos") {
            System::Mac
        } else {
            System::Linux
        };
        Self {
            system,
            variable: &|name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            exists: &|path| path.symlink_metadata().is_ok(),
        }
    }
}

impl Machine<'_> {
    /// The files of `client` that are to be changed: all that are in use, else the first.
    ///
    /// # Errors
    /// The system does not say where its folders are.
    pub(crate) fn files(&self, client: &Client) -> Result<Vec<Found>, SetupError> {
        let places = client.places.iter().filter(|place| place.systems.contains(&self.system));
        let mut found = places.map(|place| self.find(place)).collect::<Result<Vec<_>, _>>()?;
        if found.iter().any(|found| found.is_in_use) {
            found.retain(|found| found.is_in_use);
        } else {
            found.truncate(1);
        }
        Ok(found)
    }

    fn find(&self, place: &Place) -> Result<Found, SetupError> {
        let root = self.root(place.root)?;
        let files: Vec<_> = place.files.iter().map(|file| self.join(&root, file)).collect();
        let file = files.iter().find(|file| (self.exists)(file)).unwrap_or(&files[0]).clone();
        let is_in_use = (self.exists)(&file) || (self.exists)(&self.join(&root, place.sign));
        Ok(Found { file, is_in_use })
    }

    fn root(&self, root: Root) -> Result<String, SetupError> {
        use System::{Linux, Mac, Windows};
        let in_home = |folder: &str| Ok(self.text(&self.home()?, folder));
        match (root, self.system) {
            (Root::Home, _) => self.home(),
            (Root::HomeOr { variable, folder }, _) => {
                self.variable(variable).map_or_else(|| in_home(folder), Ok)
            }
            (Root::Config, Windows) => {
                self.variable("APPDATA").map_or_else(|| in_home("AppData/Roaming"), Ok)
            }
            (Root::LocalData, Windows) => {
                self.variable("LOCALAPPDATA").map_or_else(|| in_home("AppData/Local"), Ok)
            }
            (Root::Config | Root::LocalData, Mac) => in_home("Library/Application Support"),
            (Root::LocalData, Linux) => {
                self.variable("XDG_DATA_HOME").map_or_else(|| in_home(".local/share"), Ok)
            }
            (Root::Config, Linux) | (Root::DotConfig, _) => {
                self.variable("XDG_CONFIG_HOME").map_or_else(|| in_home(".config"), Ok)
            }
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    fn home(&self) -> Result<String, SetupError> {
        let name = if self.system == System::Windows { "USERPROFILE" } else { "HOME" };
        self.variable(name).ok_or_else(|| {
            SetupError::failed(format!(
                "the variable {name}, which names your home folder, is not set"
            ))
        })
    }

    fn join(&self, root: &str, path: &str) -> PathBuf {
        self.text(root, path).into()
    }

    /// As the system writes paths, whatever system we run on.
    fn text(&self, root: &str, path: &str) -> String {
        let separator = if self.system == System::Windows { "\\" } else { "/" };
        if path.is_empty() {
            return root.to_owned();
        }
        let root = root.trim_end_matches(['/', '\\']);
        format!("{root}{separator}{}", path.replace('/', separator))
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::find;
    use super::*;

    fn files(
        system: System,
        variables: &[(&str, &str)],
        there: &[&str],
        client: &str,
    ) -> Vec<String> {
        let machine = Machine {
            system,
            variable: &|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            },
            exists: &|path| there.contains(&path.to_str().unwrap()),
        };
        let files = machine.files(find(client).unwrap()).unwrap();
        files.into_iter().map(|found| found.file.to_str().unwrap().to_owned()).collect()
    }

    const WINDOWS: &[(&str, &str)] = &[
        ("USERPROFILE", r"C:\Users\Анна"),
        ("APPDATA", r"C:\Users\Анна\AppData\Roaming"),
        ("LOCALAPPDATA", r"C:\Users\Анна\AppData\Local"),
    ];
    const ORDINARY: &str = r"C:\Users\Анна\AppData\Roaming\Claude\claude_desktop_config.json";
    const STORE: &str = r"C:\Users\Анна\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude\claude_desktop_config.json";

    #[test]
    fn both_places_of_claude_desktop_on_windows_are_found() {
        let roaming = r"C:\Users\Анна\AppData\Roaming\Claude";
        let package = r"C:\Users\Анна\AppData\Local\Packages\Claude_pzs8sxrjxfjjc";
        let found = |there: &[&str]| files(System::Windows, WINDOWS, there, "claude");
        assert_eq!(found(&[]), [ORDINARY]);
        assert_eq!(found(&[roaming]), [ORDINARY]);
        assert_eq!(found(&[package]), [STORE]);
        assert_eq!(found(&[roaming, package]), [ORDINARY, STORE]);
    }

    #[test]
    fn each_system_has_its_folders() {
        let home: &[(&str, &str)] = &[("HOME", "/home/anna")];
        let moved: &[(&str, &str)] = &[
            ("HOME", "/home/anna"),
            ("XDG_CONFIG_HOME", "/etc/anna"),
            ("CODEX_HOME", "/srv/codex"),
        ];
        for (system, variables, client, file) in [
            (System::Linux, home, "vscode", "/home/anna/.config/Code/User/mcp.json"),
            (System::Linux, moved, "vscode", "/etc/anna/Code/User/mcp.json"),
            (
                System::Mac,
                home,
                "vscode",
                "/home/anna/Library/Application Support/Code/User/mcp.json",
            ),
            (
                System::Windows,
                WINDOWS,
                "VS Code",
                r"C:\Users\Анна\AppData\Roaming\Code\User\mcp.json",
            ),
            (System::Mac, home, "zed", "/home/anna/.config/zed/settings.json"),
            (System::Windows, WINDOWS, "zed", r"C:\Users\Анна\AppData\Roaming\Zed\settings.json"),
            (System::Linux, home, "codex", "/home/anna/.codex/config.toml"),
            (System::Linux, moved, "codex", "/srv/codex/config.toml"),
            (System::Windows, WINDOWS, "codex", r"C:\Users\Анна\.codex\config.toml"),
            (System::Windows, WINDOWS, "opencode", r"C:\Users\Анна\.config\opencode\opencode.json"),
            (System::Mac, home, "Claude Code", "/home/anna/.claude.json"),
        ] {
            assert_eq!(files(system, variables, &[], client), [file], "{system:?} {client}");
        }
    }

    #[test]
    fn of_several_names_the_one_that_is_there_is_taken() {
        let there = "/home/anna/.config/opencode/opencode.jsonc";
        let found = files(System::Linux, &[("HOME", "/home/anna")], &[there], "opencode");
        assert_eq!(found, [there]);
    }
}
