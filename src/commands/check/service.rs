//! The steps of MCP: what kind of server it is, its handshake, its tools, and how fast it answers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::checkup::Checkup;
use super::elsewhere;
use super::report::Finding;
use crate::commands::local_client::{LocalClient, RequestError};
use crate::era::{Revisions, UpstreamEra};
use crate::hint::{Words, words};
use crate::mcp::{STATELESS_REVISION, method};
use crate::upstream::{Kind, Object, refused_in_tool};

/// Round trips that are timed; the middle one counts.
const ROUNDS: usize = 3;

/// More tools than this are refused by some clients and models' APIs.
const MANY_TOOLS: usize = 128;

/// Names of tools that are shown.
const MAX_NAMES: usize = 40;

/// What kind of server it is, and how that was found.
pub(super) async fn kind(checkup: &mut Checkup) -> Finding {
    let asked = checkup.server.upstream.kind.kind;
    let name = asked.to_possible_value().map(|value| value.get_name().to_owned());
    let name = name.unwrap_or_default();
    let how = match asked {
        Kind::Auto => Words::both("found by what answers", "узнан по ответам"),
        Kind::OneC => Words::both(
            "by `--kind`, or by `/hs/` in the URL",
            "по `--kind` или по `/hs/` в адресе",
        ),
        _ => words!("as told by `--kind {name}`", "задан параметром `--kind {name}`"),
    };
    if checkup.broke().await.is_some() {
        return Finding::skipped(words!("asked for: {name}", "задан: {name}"));
    }
    let variant = checkup.client.variant().unwrap_or_else(|| words!("kind {name}", "вид {name}"));
    Finding::ok(variant.clone().joined(" (", &how).map(|told| format!("{told})")))
        .fact("asked", name)
        .fact("found", variant.to_string())
}

/// Whether the server opens a session, and what it says of itself.
pub(super) async fn handshake(checkup: &mut Checkup) -> Finding {
    if let Some((_, error)) = checkup.broke().await {
        let finding = checkup.finding(&error);
        let head = checkup.head(error.status);
        let kind = head.and_then(|(_, _, head)| head.content_type).unwrap_or_default();
        if kind.contains("html")
            && finding
                .hint
                .as_ref()
                .is_none_or(|hint| hint.starts_with("Check") || hint.starts_with("Проверьте"))
        {
            let hint = Words::both(
                "The address leads to a web page for people, not to an MCP server: look in the server's \
                 documentation for the address that clients use, often one that ends with /mcp.",
                "По этому адресу веб-страница для людей, а не сервер MCP: найдите в документации сервера \
                 адрес для клиентов, часто он заканчивается на /mcp.",
            );
            return elsewhere::pointed(checkup, Finding { hint: Some(hint), ..finding }, &error)
                .await;
        }
        return elsewhere::pointed(checkup, finding, &error).await;
    }
    let result = checkup.opened().await.clone().unwrap_or_default();
    let result: Value = serde_json::from_str(&result).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let (name, version) = (&result["serverInfo"]["name"], &result["serverInfo"]["version"]);
    let revision = text(&result["protocolVersion"]);
    let offers = result["capabilities"].as_object();
    let offers: Vec<_> = offers.into_iter().flat_map(|all| all.keys().cloned()).collect();
    // The revision is said by the step that follows: this one may be the one that it is translated to.
    let said = format!("{} {}", text(name), text(version));
    let lines =
        (!offers.is_empty()).then(|| words!("it offers {}", "предлагает: {}", offers.join(", ")));
    Finding::ok(said)
        .details(lines)
        .fact("serverInfo", result["serverInfo"].clone())
        .fact("protocolVersion", revision)
        .fact("capabilities", offers)
}

/// Which revisions of MCP the server speaks, and in which one each client's requests reach it.
pub(super) async fn revisions(checkup: &mut Checkup) -> Finding {
    let result = checkup.opened().await.clone().unwrap_or_default();
    let agreed = Object::read(&result).and_then(|result| result.string("protocolVersion"));
    let Revisions { named, takes_stateless, translates_handshake } =
        checkup.client.revisions().await;
    // The answer to `initialize` was ours.
    let agreed = agreed.filter(|_| !translates_handshake);
    let stateless = takes_stateless.then(|| STATELESS_REVISION.to_owned());
    let spoken: BTreeSet<_> =
        named.into_iter().chain(agreed.clone()).chain(stateless.clone()).collect();
    let spoken = Vec::from_iter(spoken);
    let used = match (&agreed, &stateless) {
        (Some(agreed), Some(stateless)) => words!(
            "used: {agreed} for a client that begins with `initialize`, {stateless} for one that does not",
            "используется: {agreed} для клиента, который начинает с `initialize`, {stateless} для остальных",
        ),
        (Some(used), None) => words!(
            "used: {used}; a client of {STATELESS_REVISION} is translated",
            "используется: {used}; для клиента {STATELESS_REVISION} сообщения переводятся",
        ),
        (None, _) => words!(
            "used: {STATELESS_REVISION}; a client that begins with `initialize` is translated",
            "используется: {STATELESS_REVISION}; для клиента, который начинает с `initialize`, сообщения \
             переводятся",
        ),
    };
    let forced = match checkup.server.upstream.era {
        UpstreamEra::Auto => None,
        era => era.to_possible_value(),
    };
    let forced = forced.map(|era| {
        words!(
            "`--upstream-era {}` says so; others were not tried",
            "так велит `--upstream-era {}`; другие не проверялись",
            era.get_name(),
        )
    });
    Finding::ok(spoken.join(", "))
        .details([used])
        .details(forced)
        .fact("spoken", spoken)
        .fact("withHandshake", agreed.clone().or_else(|| stateless.clone()))
        .fact("withoutHandshake", stateless.or(agreed))
}

/// The tools, and which of them clients refuse.
pub(super) async fn tools(checkup: &mut Checkup) -> Finding {
    let offers_tools = match checkup.opened().await {
        Ok(result) => {
            let result = Object::read(result).unwrap_or_default();
            let offers = result.get("capabilities").and_then(Object::read);
            offers.is_none_or(|offers| offers.is_empty() || offers.has("tools"))
        }
        Err(_) => true,
    };
    if !offers_tools {
        return Finding::warning(
            Words::both("the server offers no tools", "сервер не предлагает инструментов"),
            Words::both(
                "Resources and prompts alone are of use to few clients: check that this is the server that \
                 you mean.",
                "Одни ресурсы и подсказки полезны немногим клиентам: проверьте, тот ли это сервер.",
            ),
        );
    }
    let tools = match checkup.client.list(method::TOOLS_LIST, "tools").await {
        Ok(tools) => tools,
        Err(error) => return checkup.finding(&error),
    };
    let mut names: Vec<String> = Vec::new();
    let mut refused: Vec<(String, Words)> = Vec::new();
    for tool in &tools {
        let name =
            Object::read(tool.get()).and_then(|tool| tool.string("name")).unwrap_or_default();
        let mut why = refused_in_tool(tool.get());
        if names.contains(&name) {
            why.push(Words::both(
                "another tool has the same name",
                "так же называется другой инструмент",
            ));
        }
        if let Some(why) = why.into_iter().reduce(|all, why| all.joined("; ", &why)) {
            refused.push((name.clone(), why));
        }
        names.push(name);
    }
    let count = names.len();
    let shown = names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = if count > MAX_NAMES { ", ..." } else { "" };
    let text = match count {
        0 => Words::both("none", "нет ни одного"),
        _ => format!("{count}: {shown}{more}").into(),
    };
    let finding = if count == 0 {
        Finding::warning(
            text,
            Words::both(
                "Check the rights of this user or key at the server.",
                "Проверьте права этого пользователя или ключа на сервере.",
            ),
        )
    } else if let [_, ..] = refused.as_slice() {
        Finding::warning(
            text,
            Words::both(
                "Some clients and models refuse these tools, and a few of them all tools because of one: \
                 tell the server's administrator.",
                "Некоторые клиенты и модели не принимают такие инструменты, а отдельные — из-за одного и \
                 все: сообщите администратору сервера.",
            ),
        )
    } else if count > MANY_TOOLS {
        Finding::warning(
            text,
            Words::both(
                "Some clients take only 128 tools, or fewer: turn off what is not needed.",
                "Некоторые клиенты берут не больше 128 инструментов: отключите ненужные.",
            ),
        )
    } else {
        Finding::ok(text)
    };
    let facts: Vec<_> =
        refused.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
    let lines = refused.iter().map(|(name, why)| why.map(|why| format!("{name}: {why}")));
    finding.details(lines).fact("names", names).fact("refused", facts)
}

/// How long one exchange with the server takes. It calls no tool.
pub(super) async fn round_trip(checkup: &mut Checkup) -> Finding {
    // Some kinds answer `ping` themselves, which tells nothing of the server.
    let mut asked = method::PING;
    let before = checkup.journal.entries().len();
    let first = checkup.client.request(asked, "{}").await;
    if checkup.journal.entries().len() == before || first.is_err() {
        asked = method::TOOLS_LIST;
    }
    let middle = match timed(&mut checkup.client, asked).await {
        Ok(middle) => middle,
        Err(error) => return checkup.finding(&error),
    };
    Finding::ok(words!("{asked} takes {} ms", "{asked} длится {} мс", shown(middle)))
        .fact("method", asked)
        .fact("elapsedMs", middle.as_secs_f64() * 1000.0)
}

/// How long `method` takes: the middle of some rounds, after a first one that does not count.
pub(super) async fn timed(
    client: &mut LocalClient,
    method: &str,
) -> Result<Duration, RequestError> {
    client.request(method, "{}").await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        client.request(method, "{}").await?;
        let time = begun.elapsed();
        times.insert(times.partition_point(|other| *other < time), time);
    }
    Ok(times[times.len() / 2])
}

/// A time in milliseconds.
pub(super) fn shown(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}
