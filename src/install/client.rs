//! The clients, as data.

use super::document::Format;
use super::place::{Place, Root, System};
use crate::hint::Words;
use crate::setup::SetupError;

/// An MCP client: where its configuration is, and how an entry for a server looks there.
#[derive(Debug)]
pub(crate) struct Client {
    /// What a person types; the first name is the one that we show.
    pub(crate) names: &'static [&'static str],
    /// What a person calls it.
    pub(crate) title: &'static str,
    /// The user's own files; more than one where several may be in use.
    pub(crate) places: &'static [Place],
    /// The file of a project, relative to the project's folder.
    pub(crate) project: Option<&'static str>,
    /// How the files are written.
    pub(crate) format: Format,
    /// The path of the object that holds the entries.
    pub(crate) path: &'static [&'static str],
    /// How an entry looks.
    pub(crate) shape: Shape,
    /// What the person has to do next.
    pub(crate) next: Words,
}

/// How an entry looks.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Whether program and arguments stand together in the array `command`.
    pub(crate) is_one_array: bool,
    /// The member that holds the environment.
    pub(crate) env: &'static str,
    /// Members that every entry has, in front of the others, with their values as JSON.
    pub(crate) constant: &'static [(&'static str, &'static str)],
}

const PLAIN: Shape = Shape { is_one_array: false, env: "env", constant: &[] };
const TYPED: Shape = Shape { constant: &[("type", r#""stdio""#)], ..PLAIN };
const COPILOT: Shape =
    Shape { constant: &[("type", r#""local""#), ("tools", r#"["*"]"#)], ..PLAIN };
const ONE_ARRAY: Shape = Shape {
    is_one_array: true,
    env: "environment",
    constant: &[("type", r#""local""#), ("enabled", "true")],
};

const SERVERS: &[&str] = &["mcpServers"];
const NEW_SESSION: Words = Words::both("Start a new session of it.", "Начните в нём новый сеанс.");
const RESTART: Words = Words::both(
    "Close it completely and start it again.",
    "Закройте его полностью и запустите снова.",
);
const RELOAD: Words = Words::both(
    "It reads the file by itself; if the server does not appear, restart it.",
    "Файл он перечитает сам; если сервер не появится, перезапустите его.",
);

/// A place on every system.
const fn anywhere(root: Root, sign: &'static str, files: &'static [&'static str]) -> Place {
    Place { systems: &[System::Linux, System::Mac, System::Windows], root, sign, files }
}

/// The file of an extension of VS Code.
const fn extension(sign: &'static str, files: &'static [&'static str]) -> Place {
    anywhere(Root::Config, sign, files)
}

const VS_CODE: Place = anywhere(Root::Config, "Code/User", &["Code/User/mcp.json"]);
const VS_CODE_INSIDERS: Place =
    anywhere(Root::Config, "Code - Insiders/User", &["Code - Insiders/User/mcp.json"]);

/// An edition of VS Code.
const fn vs_code(
    names: &'static [&'static str],
    title: &'static str,
    places: &'static [Place],
) -> Client {
    Client {
        names,
        title,
        places,
        project: Some(".vscode/mcp.json"),
        format: Format::Json,
        path: &["servers"],
        shape: TYPED,
        next: Words::both(
            "Run the command \"MCP: List Servers\" in VS Code and start the server there.",
            "Выполните в VS Code команду \"MCP: List Servers\" и запустите сервер там.",
        ),
    }
}

/// Every client that we know.
pub(crate) static CLIENTS: &[Client] = &[
    Client {
        names: &["claude-desktop", "claude", "desktop"],
        title: "Claude Desktop",
        places: &[
            anywhere(Root::Config, "Claude", &["Claude/claude_desktop_config.json"]),
            Place {
                systems: &[System::Windows],
                root: Root::LocalData,
                sign: "Packages/Claude_pzs8sxrjxfjjc",
                files: &[
                    "Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
                ],
            },
        ],
        project: None,
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: Words::both(
            "Quit Claude Desktop completely (in the menu of its icon, too) and start it again.",
            "Закройте Claude Desktop полностью (и в меню его значка) и запустите снова.",
        ),
    },
    Client {
        names: &["claude-code"],
        title: "Claude Code",
        places: &[anywhere(
            Root::HomeOr { variable: "CLAUDE_CONFIG_DIR", folder: "" },
            ".claude.json",
            &[".claude.json"],
        )],
        project: Some(".mcp.json"),
        format: Format::Json,
        path: SERVERS,
        shape: TYPED,
        next: Words::both(
            "Start a new session; `claude mcp list` shows the server.",
            "Начните новый сеанс; `claude mcp list` покажет сервер.",
        ),
    },
    Client {
        names: &["cursor"],
        title: "Cursor",
        places: &[anywhere(Root::Home, ".cursor", &[".cursor/mcp.json"])],
        project: Some(".cursor/mcp.json"),
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: Words::both(
            "Switch the server on in Cursor's settings, under MCP, or restart Cursor.",
            "Включите сервер в настройках Cursor, в разделе MCP, или перезапустите Cursor.",
        ),
    },
    vs_code(&["vscode", "vs-code", "code"], "VS Code", &[VS_CODE]),
    vs_code(&["vscode-insiders"], "VS Code Insiders", &[VS_CODE_INSIDERS]),
    Client {
        names: &["codex"],
        title: "Codex",
        places: &[anywhere(
            Root::HomeOr { variable: "CODEX_HOME", folder: ".codex" },
            "",
            &["config.toml"],
        )],
        project: Some(".codex/config.toml"),
        format: Format::Toml,
        path: &["mcp_servers"],
        shape: PLAIN,
        next: Words::both(
            "Start a new session; `codex mcp list` shows the server.",
            "Начните новый сеанс; `codex mcp list` покажет сервер.",
        ),
    },
    Client {
        names: &["gemini", "gemini-cli"],
        title: "Gemini CLI",
        places: &[anywhere(Root::Home, ".gemini", &[".gemini/settings.json"])],
        project: Some(".gemini/settings.json"),
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: Words::both(
            "Start a new session; `gemini mcp list` shows the server.",
            "Начните новый сеанс; `gemini mcp list` покажет сервер.",
        ),
    },
    Client {
        names: &["windsurf"],
        title: "Windsurf",
        places: &[anywhere(
            Root::Home,
            ".codeium/windsurf",
            &[".codeium/windsurf/mcp_config.json"],
        )],
        project: None,
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: Words::both(
            "Press Refresh in Windsurf's list of MCP servers, or restart Windsurf.",
            "Нажмите Refresh в списке серверов MCP в Windsurf или перезапустите Windsurf.",
        ),
    },
    Client {
        names: &["zed"],
        title: "Zed",
        places: &[
            Place {
                systems: &[System::Linux, System::Mac],
                root: Root::DotConfig,
                sign: "zed",
                files: &["zed/settings.json"],
            },
            Place {
                systems: &[System::Windows],
                root: Root::Config,
                sign: "Zed",
                files: &["Zed/settings.json"],
            },
        ],
        project: Some(".zed/settings.json"),
        format: Format::Json,
        path: &["context_servers"],
        shape: PLAIN,
        next: RELOAD,
    },
    Client {
        names: &["opencode"],
        title: "opencode",
        places: &[anywhere(
            Root::DotConfig,
            "opencode",
            &["opencode/opencode.json", "opencode/opencode.jsonc", "opencode/config.json"],
        )],
        project: Some("opencode.json"),
        format: Format::Json,
        path: &["mcp"],
        shape: ONE_ARRAY,
        next: Words::both(
            "Start a new session; `opencode mcp list` shows the server.",
            "Начните новый сеанс; `opencode mcp list` покажет сервер.",
        ),
    },
    Client {
        names: &["kilo", "kilo-code"],
        title: "Kilo Code",
        places: &[anywhere(Root::DotConfig, "kilo", &["kilo/kilo.jsonc", "kilo/kilo.json"])],
        project: Some("kilo.jsonc"),
        format: Format::Json,
        path: &["mcp"],
        shape: ONE_ARRAY,
        next: NEW_SESSION,
    },
    Client {
        names: &["cline"],
        title: "Cline",
        places: &[extension(
            "Code/User/globalStorage/saoudrizwan.claude-dev",
            &["Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"],
        )],
        project: None,
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: RELOAD,
    },
    Client {
        names: &["roo", "roo-code"],
        title: "Roo Code",
        places: &[extension(
            "Code/User/globalStorage/rooveterinaryinc.roo-cline",
            &["Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"],
        )],
        project: Some(".roo/mcp.json"),
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: RELOAD,
    },
    Client {
        names: &["junie", "jetbrains"],
        title: "JetBrains Junie",
        places: &[anywhere(Root::Home, ".junie", &[".junie/mcp/mcp.json"])],
        project: Some(".junie/mcp/mcp.json"),
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: Words::both(
            "For the AI Assistant: Settings, Tools, AI Assistant, MCP, and import the same JSON there.",
            "Для AI Assistant: Settings, Tools, AI Assistant, MCP — и импортируйте туда тот же JSON.",
        ),
    },
    Client {
        names: &["copilot-jetbrains"],
        title: "GitHub Copilot in JetBrains IDEs",
        places: &[
            Place {
                systems: &[System::Linux, System::Mac],
                root: Root::DotConfig,
                sign: "github-copilot/intellij",
                files: &["github-copilot/intellij/mcp.json"],
            },
            Place {
                systems: &[System::Windows],
                root: Root::LocalData,
                sign: "github-copilot/intellij",
                files: &["github-copilot/intellij/mcp.json"],
            },
        ],
        project: None,
        format: Format::Json,
        path: &["servers"],
        shape: PLAIN,
        next: RESTART,
    },
    Client {
        names: &["copilot-cli", "copilot"],
        title: "GitHub Copilot CLI",
        places: &[anywhere(
            Root::HomeOr { variable: "COPILOT_HOME", folder: ".copilot" },
            "",
            &["mcp-config.json"],
        )],
        project: None,
        format: Format::Json,
        path: SERVERS,
        shape: COPILOT,
        next: NEW_SESSION,
    },
    Client {
        names: &["lmstudio", "lm-studio"],
        title: "LM Studio",
        places: &[anywhere(Root::Home, ".lmstudio", &[".lmstudio/mcp.json"])],
        project: None,
        format: Format::Json,
        path: SERVERS,
        shape: PLAIN,
        next: RELOAD,
    },
];

/// The client that a person calls `name`.
///
/// # Errors
/// There is none.
pub(crate) fn find(name: &str) -> Result<&'static Client, SetupError> {
    let plain = |name: &str| name.to_lowercase().replace([' ', '_', '-'], "");
    let typed = plain(name);
    let is_meant = |client: &&Client| {
        client.names.iter().any(|known| plain(known) == typed) || plain(client.title) == typed
    };
    CLIENTS.iter().find(is_meant).ok_or_else(|| {
        let known: Vec<_> = CLIENTS.iter().map(|client| client.names[0]).collect();
        SetupError::usage(format!("`{name}` is not a client that mcpline knows"))
            .hint(format!("use one of {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let mut names: Vec<&str> = Vec::new();
        for client in CLIENTS {
            assert!(std::ptr::eq(find(client.title).unwrap(), client));
            names.extend(client.names);
            for system in [System::Linux, System::Mac, System::Windows] {
                let has_place = client.places.iter().any(|place| place.systems.contains(&system));
                assert!(has_place, "{}: {system:?}", client.title);
            }
            for (name, value) in client.shape.constant {
                assert!(serde_json::from_str::<serde_json::Value>(value).is_ok(), "{name}");
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is used twice");
    }
}
