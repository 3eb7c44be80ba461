//! What becomes of a client's files: shown, asked about, written.

use serde_json::Value;

use crate::cli::Changes;
use crate::install::{Client, ConfigFile, Document, Found, Machine, diff, secrets};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal::{self, Colour, Style};

/// A file, its new text, and what to ask first.
pub(super) struct Edit {
    pub(super) file: ConfigFile,
    pub(super) text: String,
    pub(super) asks: Option<String>,
}

/// What a person is told once the edits are made.
pub(super) struct Done {
    /// What became of the entry.
    pub(super) what: &'static str,
    pub(super) next: String,
}

/// Shows or makes the edits.
pub(super) fn apply(
    client: &Client,
    name: &str,
    done: &Done,
    edits: Vec<Edit>,
    changes: &Changes,
) -> Result<(), SetupError> {
    let shown = |edit: &Edit| {
        let masked = masked(client, &[&edit.file.text, &edit.text]);
        let path = edit.file.path.display().to_string();
        masked.redact(&diff(&path, &edit.file.text, &edit.text)).into_owned()
    };
    let style = Style::of_stdout();
    let mut report = String::new();
    let (same, edits): (Vec<_>, Vec<_>) =
        edits.into_iter().partition(|edit| edit.text == edit.file.text);
    for edit in same {
        let path = edit.file.path.display();
        report.push_str(&format!("{}: `{name}` is already so in {path}\n", client.title));
    }
    if changes.dry_run {
        for edit in &edits {
            report.push_str(&coloured(&shown(edit), style));
        }
        report.push_str("Nothing has been changed (--dry-run).\n");
        return terminal::print(&report);
    }
    for edit in edits.iter().filter(|_| !changes.yes) {
        let Some(question) = &edit.asks else { continue };
        let question = format!(
            "{}{}: {question}",
            coloured(&shown(edit), Style::of_stderr()),
            edit.file.path.display()
        );
        match terminal::confirm(&question) {
            Some(true) => {}
            Some(false) => return Err(SetupError::failed("nothing has been changed")),
            None => {
                let question = edit.asks.as_deref().unwrap_or_default();
                let place = edit.file.path.display();
                return Err(SetupError::failed(format!(
                    "{place}: {question} Nobody can be asked here, so nothing has been changed"
                ))
                .hint("add --yes to do it, or --dry-run to see what would change"));
            }
        }
    }
    let has_edits = !edits.is_empty();
    for edit in edits {
        let path = edit.file.path.display();
        let copy = edit.file.replace(&edit.text)?;
        report.push_str(&format!("{}: `{name}` is {} in {path}\n", client.title, done.what));
        if let Some(copy) = copy {
            report.push_str(&format!("The file as it was is {}\n", copy.display()));
        }
    }
    if has_edits {
        report.push_str(&style.bold(&format!("Next: {}", done.next)));
        report.push('\n');
    }
    terminal::print(&report)
}

/// A diff as a terminal shows it.
fn coloured(diff: &str, style: Style) -> String {
    let line = |line: &str| match line.chars().next() {
        _ if line.starts_with("---") || line.starts_with("+++") => style.bold(line),
        Some('+') => style.in_colour(Colour::Green, line),
        Some('-') => style.in_colour(Colour::Red, line),
        Some('@') => style.dim(line),
        _ => line.to_owned(),
    };
    diff.lines().map(|text| line(text) + "\n").collect()
}

/// The secrets in texts of `client`'s file.
fn masked(client: &Client, texts: &[&str]) -> Secrets {
    let found = Secrets::default();
    for text in texts {
        let Ok(document) = Document::parse(text, client.format) else { continue };
        for entry in document.entries(client.path).values() {
            for secret in secrets(entry) {
                found.add(&secret);
                // As it stands in the file, and each of several headers.
                let written = Value::from(&secret[..]).to_string();
                written[1..written.len() - 1].split("\\n").for_each(|line| found.add(line));
            }
        }
    }
    found
}

/// The files of `client` that are to be changed.
pub(super) fn files(client: &Client, changes: &Changes) -> Result<Vec<ConfigFile>, SetupError> {
    let found = match (changes.project, client.project) {
        (true, Some(file)) => vec![Found { file: file.into(), is_in_use: true }],
        (true, None) => {
            return Err(SetupError::usage(format!("{} has no files of projects", client.title))
                .hint("leave --project out"));
        }
        (false, _) => Machine::this().files(client)?,
    };
    found.into_iter().map(|found| ConfigFile::read(found.file)).collect()
}
