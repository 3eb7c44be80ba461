//! What becomes of a client's files: shown, asked about, written.

use serde_json::Value;

use crate::cli::Changes;
use crate::hint::{Words, words};
use crate::install::{Client, ConfigFile, Document, Found, Machine, diff, secrets};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal::{self, Colour, Style};

const UNCHANGED: Words = Words::both("nothing has been changed", "ничего не изменено");

const NEXT: Words = Words::both("Next", "Дальше");

/// A file, its new text, and what to ask first.
pub(super) struct Edit {
    pub(super) file: ConfigFile,
    pub(super) text: String,
    pub(super) asks: Option<Words>,
}

/// What a person is told once the edits are made.
pub(super) struct Done {
    /// What became of the entry.
    pub(super) what: Words,
    pub(super) next: Words,
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
        let told = words!("`{name}` is already so in {path}", "`{name}` уже так записан в {path}");
        report.push_str(&format!("{}: {}\n", client.title, told.for_person()));
    }
    if changes.dry_run {
        for edit in &edits {
            report.push_str(&coloured(&shown(edit), style));
        }
        let told =
            Words::both("Nothing has been changed (--dry-run).", "Ничего не изменено (--dry-run).");
        report.push_str(&format!("{}\n", told.for_person()));
        return terminal::print(&report);
    }
    for edit in edits.iter().filter(|_| !changes.yes) {
        let Some(question) = &edit.asks else { continue };
        let question = format!(
            "{}{}: {}",
            coloured(&shown(edit), Style::of_stderr()),
            edit.file.path.display(),
            question.for_person(),
        );
        match terminal::confirm(&question) {
            Some(true) => {}
            Some(false) => return Err(SetupError::failed(UNCHANGED.for_person())),
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
        let what = done.what.for_person();
        report.push_str(&format!("{}: `{name}` {what} {path}\n", client.title));
        if let Some(copy) = copy {
            let copy = copy.display();
            let told = words!("The file as it was is {copy}", "Прежний файл сохранён как {copy}");
            report.push_str(&format!("{}\n", told.for_person()));
        }
    }
    if has_edits {
        report.push_str(&style.bold(NEXT.colon(&done.next).for_person()));
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
