//! What is generated from the command line and kept in the repository, for archives and for packages:
//! completions of shells, and the manual pages. After a change of an option or of its help:
//!
//! ```text
//! UPDATE_GENERATED=1 cargo test --test it generated
//! ```

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

/// The file has to hold `content`; or is made so.
pub(crate) fn holds(file: &str, content: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    let kept = fs::read(&path).unwrap_or_default();
    assert!(
        kept == content,
        "{} is out of date: UPDATE_GENERATED=1 cargo test --locked --test it",
        path.display()
    );
}

#[test]
fn completions_know_every_option() {
    for (shell, file) in [
        (Shell::Bash, "packaging/completions/mcpline.bash"),
        (Shell::Zsh, "packaging/completions/_mcpline"),
        (Shell::Fish, "packaging/completions/mcpline.fish"),
        (Shell::PowerShell, "packaging/completions/mcpline.ps1"),
    ] {
        let mut script = Vec::new();
        let mut command = mcpline::Cli::with_options_anywhere();
        clap_complete::generate(shell, &mut command, "mcpline", &mut script);
        holds(file, &script);
    }
}

/// A page for each command, as that of the program leads to them.
#[test]
fn the_manual_pages_are_those_of_the_program() {
    let mut command = mcpline::Cli::command().disable_help_subcommand(true);
    command.build();
    let of_command = |command: &clap::Command| {
        let options = "Every option and variable of mcpline(1) counts here too.";
        command.clone().after_long_help(options)
    };
    let pages: Vec<_> = command.get_subcommands().map(of_command).collect();
    for page in pages.into_iter().chain([command]) {
        // As it was built: `mcpline-check`.
        let name = page.get_display_name().unwrap_or("mcpline").to_owned();
        let mut text = Vec::new();
        let version = concat!("mcpline ", env!("CARGO_PKG_VERSION"));
        let page = clap_mangen::Man::new(page).title(&*name).source(version);
        page.render(&mut text).unwrap();
        holds(&format!("packaging/man/{name}.1"), &text);
    }
}
