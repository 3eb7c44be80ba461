//! The arguments of `install` and `uninstall`.

use clap::Args;

/// How a client's file is changed.
#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Change the file of the project in the current folder, not the user's own
    #[arg(long, help_heading = "Installing")]
    pub(crate) project: bool,

    /// Show what would change, and change nothing
    #[arg(long, help_heading = "Installing")]
    pub(crate) dry_run: bool,

    /// Do not ask before an entry is replaced or removed
    #[arg(long, short, help_heading = "Installing")]
    pub(crate) yes: bool,
}

/// `mcpline install CLIENT [NAME] [OPTIONS] URL`
///
/// Every other option is written into the entry. Secrets (MCPLINE_PASSWORD, MCPLINE_BEARER, headers)
/// are written into its environment, never into its arguments.
#[derive(Debug, Args)]
#[command(override_usage = "mcpline install CLIENT [NAME] [OPTIONS] URL\n       \
                            mcpline install [CLIENT] --take-over NAME\n       \
                            mcpline install --list")]
pub(crate) struct Install {
    /// The client: claude-desktop, claude-code, cursor, vscode, codex, gemini, windsurf, zed, opencode,
    /// cline, roo, junie and others; --list shows them all
    #[arg(value_name = "CLIENT", required_unless_present_any = ["list", "take_over"])]
    pub(crate) client: Option<String>,

    /// The name of the server in the client, which may be left out, and the server: its URL, `demo`, or a section
    /// of the settings file
    #[arg(value_name = "[NAME] URL", num_args = 0..=2)]
    pub(crate) target: Vec<String>,

    /// Show which clients are on this machine, where their files are, and what is in them
    #[arg(long, help_heading = "Installing")]
    pub(crate) list: bool,

    /// Have this program do what the client's entry NAME does with mcp-remote, supergateway, mcp-proxy, a script
    /// for 1C, Bitrix24 or amoCRM, or a URL; without CLIENT, in every client that has such an entry
    #[arg(long, value_name = "NAME", conflicts_with_all = ["target", "list"], help_heading = "Installing")]
    pub(crate) take_over: Option<String>,

    #[command(flatten)]
    pub(crate) changes: Changes,
}

impl Install {
    /// Whether it is about a server, and not about what is installed already.
    pub(crate) fn names_server(&self) -> bool {
        !self.list && self.take_over.is_none()
    }

    /// Takes the server out of [`Install::target`], where the name in the client stays. `has_url` says
    /// whether `MCPLINE_URL` names a server: then it may be left out.
    pub(super) fn take_server(&mut self, has_url: bool) -> Option<String> {
        let at = match self.target.as_slice() {
            [] => return None,
            // A name is no address.
            [one] if has_url && !one.contains(['/', ':']) => return None,
            [one, other] if other.contains("://") || !one.contains("://") => 1,
            _ => 0,
        };
        Some(self.target.remove(at))
    }
}

/// `mcpline uninstall CLIENT NAME`
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// The client
    #[arg(value_name = "CLIENT")]
    pub(crate) client: String,

    /// The name of the server in the client
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) changes: Changes,
}
