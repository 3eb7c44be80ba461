//! Writes an entry for this program into a client's configuration, or removes one.

mod asked;
mod edits;
mod list;
mod take_over;

use std::sync::Arc;

use self::edits::{Done, Edit, apply, files};
use crate::cli::{Cli, Install, Uninstall};
use crate::hint::{Words, words};
use crate::install::{Entry, Machine, client};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal;

/// Writes the server that the command line names into a client's configuration.
///
/// # Errors
/// The settings cannot be used, or the file cannot be changed.
pub(super) fn install(
    cli: &Cli,
    arguments: &Install,
    secrets: &Arc<Secrets>,
) -> Result<(), SetupError> {
    if let Some(name) = &arguments.take_over {
        return take_over::run(cli, arguments, name);
    }
    let Some(client) = arguments.client.as_ref().filter(|_| !arguments.list) else {
        return list::list();
    };
    let client = client::find(client)?;
    let (name, entry) = asked::entry(cli, arguments, secrets)?;
    if !arguments.changes.project
        && !Machine::this().files(client)?.iter().any(|found| found.is_in_use)
    {
        let title = client.title;
        let told = words!(
            "{title} was not found on this machine; the entry is for when it is there",
            "{title} на этом компьютере не найден; запись пригодится, когда он появится",
        );
        terminal::warn(told.for_person());
    }
    let mut edits = Vec::new();
    for file in files(client, &arguments.changes)? {
        let mut document = file.document(client.format)?;
        let old = document.entries(client.path).get(&name).cloned();
        document
            .set(client.path, &name, &entry.members(&client.shape))
            .map_err(|why| file.unusable(&why.to_string()))?;
        let text = document.text();
        let replaces = old.is_some() && text != file.text;
        edits.push(Edit {
            file,
            text,
            asks: replaces
                .then(|| words!("Replace its entry `{name}`?", "Заменить в нём запись `{name}`?")),
        });
    }
    let what = Words::both("is written in", "записан в");
    let done = Done { what, next: client.next.clone() };
    apply(client, &name, &done, edits, &arguments.changes)
}

/// Removes an entry from a client's configuration.
///
/// # Errors
/// There is no such entry, or the file cannot be changed.
pub(super) fn uninstall(arguments: &Uninstall) -> Result<(), SetupError> {
    let client = client::find(&arguments.client)?;
    let name = &arguments.name;
    let mut edits = Vec::new();
    let mut known = Vec::new();
    for file in files(client, &arguments.changes)? {
        let mut document = file.document(client.format)?;
        let entries = document.entries(client.path);
        known.extend(entries.keys().cloned());
        let Some(entry) = entries.get(name) else { continue };
        document.remove(client.path, name);
        let is_ours =
            Entry::read(entry).is_some_and(|entry| take_over::own_arguments(&entry).is_some());
        let asks = words!(
            "Its entry `{name}` does not start mcpline. Remove it?",
            "Запись `{name}` запускает не mcpline. Удалить её?",
        );
        edits.push(Edit { text: document.text(), file, asks: (!is_ours).then_some(asks) });
    }
    if edits.is_empty() {
        let message = format!("{} has no entry `{name}`", client.title);
        let hint = if known.is_empty() {
            "it has no entries at all".to_owned()
        } else {
            format!("its entries are {}", known.join(", "))
        };
        return Err(SetupError::failed(message).hint(hint));
    }
    let title = client.title;
    let next = words!(
        "Restart {title}, which may have the server running still.",
        "Перезапустите {title}: сервер в нём может ещё работать.",
    );
    let what = Words::both("is removed in", "удалён из");
    apply(client, name, &Done { what, next }, edits, &arguments.changes)
}
