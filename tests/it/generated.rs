//! What is generated from the command line and kept in the repository, for archives and for packages:
//! completions of shells, and the manual page. After a change of an option or of its help:
//!
//! ```text
//! UPDATE_GENERATED=1 cargo test --test it generated
//! ```

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

/// The file has to hold `content`; or is made so.
fn holds(file: &str, content: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(file);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    let kept = fs::read(&path).unwrap_or_default();
    assert!(
        kept == content,
        "{} is out of date: UPDATE_GENERATED=1 cargo test --test it generated",
        path.display()
    );
}

#[test]
fn completions_know_every_option() {
    for (shell, file) in [
        (Shell::Bash, "completions/mcpline.bash"),
        (Shell::Zsh, "completions/_mcpline"),
        (Shell::Fish, "completions/mcpline.fish"),
        (Shell::PowerShell, "completions/mcpline.ps1"),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut mcpline::Cli::command(), "mcpline", &mut script);
        holds(file, &script);
    }
}

#[test]
fn the_manual_page_is_that_of_the_program() {
    let mut page = Vec::new();
    clap_mangen::Man::new(mcpline::Cli::command()).render(&mut page).unwrap();
    holds("man/mcpline.1", &page);
}
