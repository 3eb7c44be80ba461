//! Says step by step whether a server can be used: `mcpline check`.
//!
//! [`GROUPS`] is the order; each step is a function of what the check knows so far ([`Checkup`]) and
//! returns a [`Finding`]. One session is opened, over the code that forwarding runs (for 1C a managed
//! one too, which takes a licence until the check ends); the steps of the network say how far that
//! came. So what the check says holds for forwarding too.
//!
//! `network` has the steps up to HTTP, `sign_in` those of OAuth, `service` those of MCP, `onec` those of
//! 1C, `pasted` knows wrong addresses, and `elsewhere` looks for the right one.

mod checkup;
mod elsewhere;
mod network;
mod onec;
mod pasted;
mod report;
mod service;
mod sign_in;

use std::sync::Arc;

use serde_json::{Value, json};

use self::checkup::Checkup;
use self::report::{Finding, Outcome};
use super::server::Server;
use crate::cli::{CheckArguments, Cli};
use crate::hint::{Language, Words, words};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::terminal::{self, Style, Waiting};
use crate::upstream::Pending;

/// One step of the check.
struct Step {
    /// What it is called in JSON.
    id: &'static str,
    /// What a person reads.
    name: Words,
    run: for<'a> fn(&'a mut Checkup) -> Pending<'a, Finding>,
}

/// Steps that belong together.
struct Group {
    /// Whether they tell something of this server.
    applies: for<'a> fn(&'a mut Checkup) -> Pending<'a, bool>,
    steps: &'static [Step],
}

/// The steps in their order: each needs those before it.
const GROUPS: &[Group] = &[
    Group { applies: |_| known(true), steps: NETWORK },
    Group { applies: |it| Box::pin(sign_in::applies(it)), steps: sign_in::STEPS },
    Group { applies: |_| known(true), steps: sign_in::VERDICT },
    Group { applies: |_| known(true), steps: SERVICE },
    Group { applies: |it| known(onec::applies(it)), steps: onec::STEPS },
];

fn known(applies: bool) -> Pending<'static, bool> {
    Box::pin(std::future::ready(applies))
}

const NETWORK: &[Step] = &[
    Step {
        id: "settings",
        name: Words::both("Settings", "Настройки"),
        run: |it| at_once(network::settings(it)),
    },
    Step {
        id: "address",
        name: Words::both("Address", "Адрес"),
        run: |it| Box::pin(network::address(it)),
    },
    Step { id: "name", name: Words::both("Name", "Имя"), run: |it| Box::pin(network::name(it)) },
    Step {
        id: "proxy",
        name: Words::both("Proxy", "Прокси"),
        run: |it| Box::pin(network::proxy(it)),
    },
    Step {
        id: "connection",
        name: Words::both("Connection", "Соединение"),
        run: |it| Box::pin(network::connection(it)),
    },
    Step { id: "tls", name: Words::both("TLS", "TLS"), run: |it| Box::pin(network::tls(it)) },
    Step { id: "http", name: Words::both("HTTP", "HTTP"), run: |it| Box::pin(network::http(it)) },
];

const SERVICE: &[Step] = &[
    Step {
        id: "kind",
        name: Words::both("Kind", "Вид службы"),
        run: |it| Box::pin(service::kind(it)),
    },
    Step {
        id: "handshake",
        name: Words::both("Handshake", "Сеанс MCP"),
        run: |it| Box::pin(service::handshake(it)),
    },
    Step {
        id: "revisions",
        name: Words::both("Revisions", "Версии MCP"),
        run: |it| Box::pin(service::revisions(it)),
    },
    Step {
        id: "tools",
        name: Words::both("Tools", "Инструменты"),
        run: |it| Box::pin(service::tools(it)),
    },
    Step {
        id: "round-trip",
        name: Words::both("Round trip", "Отклик"),
        run: |it| Box::pin(service::round_trip(it)),
    },
];

const WORKS: Words = Words::both("It works.", "Всё работает.");

const WARNED: Words = Words::both(
    "It works. Look at the warnings all the same.",
    "Работает, но посмотрите на предупреждения.",
);

const BROKEN: Words = Words::both("it does not work: {} failed", "не работает: сбой на шаге «{}»");

/// The finding of a step that waits for nothing.
fn at_once(finding: Finding) -> Pending<'static, Finding> {
    Box::pin(std::future::ready(finding))
}

/// Runs the steps and shows what they find.
///
/// # Errors
/// A setting cannot be used, or a step has failed.
pub(super) async fn run(
    cli: &Cli,
    arguments: &CheckArguments,
    secrets: &Arc<Secrets>,
) -> Result<(), SetupError> {
    let server = Server::new(cli, secrets).await?;
    if let Some(sign_in) = &server.upstream.sign_in {
        sign_in.ask_nobody();
    }
    let mut checkup = Checkup::new(server)?;
    let style = Style::of_stdout();
    let language = Language::of_person();
    let is_text = !arguments.json;
    if is_text {
        let version = env!("CARGO_PKG_VERSION");
        let url = checkup.server.redacted(&checkup.server.upstream.endpoint.shown);
        let title = words!("mcpline {} checks {}", "mcpline {} проверяет {}", version, url);
        terminal::print(&format!("{}\n\n", title.in_language(language)))?;
    }
    let mut waiting = Waiting::new("");
    let mut steps = Vec::new();
    let mut failed: Option<&Step> = None;
    let mut groups = GROUPS.iter();
    let mut group: &[Step] = &[];
    loop {
        let Some((step, rest)) = group.split_first() else {
            let Some(next) = groups.next() else { break };
            group = if (next.applies)(&mut checkup).await { next.steps } else { &[] };
            continue;
        };
        group = rest;
        let finding = if failed.is_some() {
            Finding::skipped(Words::both("not reached", "до этого не дошло"))
        } else {
            waiting.restart(step.name.in_language(language));
            waiting.until((step.run)(&mut checkup)).await
        };
        let finding = finding.map(|text| checkup.server.redacted(text));
        if finding.outcome == Outcome::Failed {
            failed = Some(step);
        }
        // A person sees where it stopped.
        if is_text && failed.is_none_or(|failed| std::ptr::eq(failed, step)) {
            terminal::print(&finding.shown(&step.name, language, style))?;
        }
        steps.push((step.id, finding));
    }
    checkup.end().await;
    if is_text {
        let has_warnings = steps.iter().any(|(_, finding)| finding.outcome == Outcome::Warning);
        let outcome = match failed {
            None if has_warnings => Some(WARNED),
            None => Some(WORKS),
            Some(_) => None,
        };
        if let Some(outcome) = outcome {
            terminal::print(&format!("\n{}\n", outcome.in_language(language)))?;
        }
    } else {
        let report = report(&checkup, &steps, failed.is_none());
        terminal::print(&format!("{report}\n"))?;
    }
    match failed {
        None => Ok(()),
        Some(Step { name, .. }) => {
            let why = BROKEN.in_language(language).replace("{}", name.in_language(language));
            Err(SetupError::failed(why))
        }
    }
}

/// The report for support.
fn report(checkup: &Checkup, steps: &[(&str, Finding)], works: bool) -> Value {
    let step = |(id, finding): &(&str, Finding)| {
        let mut step = json!({ "step": id });
        let finding = serde_json::to_value(finding).unwrap_or_default();
        if let (Value::Object(step), Value::Object(finding)) = (&mut step, finding) {
            step.extend(finding);
        }
        step
    };
    json!({
        "mcpline": env!("CARGO_PKG_VERSION"),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "url": checkup.server.redacted(&checkup.server.upstream.endpoint.shown),
        "works": works,
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_step_leaves_room_before_its_finding() {
        let names = GROUPS.iter().flat_map(|group| group.steps).map(|step| &step.name);
        for name in names {
            for language in [Language::English, Language::Russian] {
                let name = name.in_language(language);
                assert!(name.chars().count() < report::NAME, "{name}");
            }
        }
    }
}
