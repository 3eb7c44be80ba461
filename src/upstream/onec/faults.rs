//! What 1C:Enterprise and the web servers in front of it say when something fails, cut down to
//! what a person needs, and what it means for the call. One table, matched on parts of the text in
//! both languages of the platform.

use std::time::Duration;

use serde_json::Value;

use crate::failure::{Cause, Class, Failure};
use crate::http::{self, Refusal, decode, offered_schemes, shorten, without_tags};
use crate::jsonrpc::to_json;
use crate::upstream::json::Object;

/// What a text means.
struct Meaning {
    /// Parts of the text, in small letters.
    texts: &'static [&'static str],
    /// The statuses that it counts with; empty for any.
    statuses: &'static [u16],
    class: Class,
    pace: Duration,
    hint: &'static str,
}

/// Refusals before anything ran, so that any call may be sent again.
const MEANINGS: [Meaning; 5] = [
    Meaning {
        texts: &[
            "начало сеанса с информационной базой запрещено",
            "startup of infobase session is not allowed",
            "session start is not allowed",
        ],
        statuses: &[],
        class: Class::Rejected,
        pace: Duration::from_secs(5),
        hint: "The infobase is locked, as a rule for maintenance: wait until the administrator \
               unlocks it.",
    },
    Meaning {
        texts: &[
            "не обнаружено свободной лицензии",
            "there are no free licenses",
            "no free license",
            "не найдена лицензия",
            "license not found",
        ],
        statuses: &[],
        class: Class::Rejected,
        pace: Duration::from_secs(2),
        hint: "All 1C client licences are taken: close another session, or lower \
               `--managed-sessions` or `--max-in-flight` to 1.",
    },
    Meaning {
        texts: &["истекло время ожидания сеанса", "session timeout", "session wait time"],
        statuses: &[406],
        class: Class::Rejected,
        pace: Duration::from_secs(1),
        hint: "All sessions of the service's pool were busy: lower `--max-in-flight`, or raise \
               poolSize in the publication's default.vrd.",
    },
    Meaning {
        texts: &["база данных не обнаружена", "database server not found"],
        statuses: &[500],
        class: Class::Rejected,
        pace: Duration::from_secs(2),
        hint: "The 1C server does not reach its database server: ask who runs it.",
    },
    Meaning {
        texts: &[
            "неправильное имя или пароль",
            "идентификация пользователя не выполнена",
            "user identification failed",
            "invalid user name or password",
        ],
        statuses: &[],
        class: Class::Final,
        pace: Duration::ZERO,
        hint: WRONG_CREDENTIALS,
    },
];

const WRONG_CREDENTIALS: &str = "The 1C user name or password is wrong, or the user may not log in \
    with \"1C:Enterprise authentication\": set --user (MCP_ONEC_USERNAME) and MCPLINE_PASSWORD \
    (MCP_ONEC_PASSWORD), and look at the user's card in the Designer.";

const NOT_PUBLISHED: &str = "Check four things: the name of the infobase in the URL (its case counts), \
    the root URL of the HTTP service (--service-root), that the service is published (for an \
    extension: publishExtensionsByDefault or its own entry in default.vrd), and that the 1C server \
    is running.";

/// Texts that say, with a 500, that the session is gone.
const SESSION_GONE: [&str; 3] = ["ошибка работы сеанса", "session error", "сеанс отсутствует"];

/// Whether a refusal of a call that ran in a managed session says that this session is gone.
pub(super) fn is_session_gone(refusal: &Refusal) -> bool {
    match refusal.status.as_u16() {
        400 | 404 => true,
        500 if !has_run(refusal) => {
            let said = sentence(&refusal.body, refusal.content_type()).to_lowercase();
            SESSION_GONE.iter().any(|text| said.contains(text))
        }
        _ => false,
    }
}

/// Whether the text of a refusal names a place in a module: then the handler has run, and what it
/// says of sessions and licences are somebody else's.
fn has_run(refusal: &Refusal) -> bool {
    let text =
        decode(&refusal.body[..refusal.body.len().min(MAX_LOOKED_AT)], refusal.content_type());
    ["Модуль(", "Module("].iter().any(|module| {
        text.match_indices(module).any(|(at, _)| {
            let rest = &text[at + module.len()..];
            let digits = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            digits.len() < rest.len() && digits.starts_with(")}")
        })
    })
}

/// The failure for a refusal, by the table.
pub(super) fn failure(refusal: &Refusal) -> Failure {
    let said = sentence(&refusal.body, refusal.content_type());
    let mut failure = refusal.failure_saying(&said);
    let lower = said.to_lowercase();
    let status = refusal.status.as_u16();
    let has_run = has_run(refusal);
    let meaning = MEANINGS.iter().find(|meaning| {
        !has_run
            && (meaning.statuses.is_empty() || meaning.statuses.contains(&status))
            && meaning.texts.iter().any(|text| lower.contains(text))
    });
    if let Some(meaning) = meaning {
        failure.class = meaning.class;
        failure.pace = Some(meaning.pace);
        failure.hint = Some(meaning.hint.to_owned());
        // Whatever the status, these are no questions of rights.
        failure.cause =
            if meaning.class == Class::Final { Cause::Unauthorised } else { Cause::Refused };
        return failure;
    }
    match status {
        300..=399 => {
            let hint = "The name of a published infobase is case sensitive: write it as it was \
                        published. A redirect to a login page means that the publication expects \
                        a browser (OpenID): publish the service with 1C:Enterprise \
                        authentication.";
            failure.hint = Some(hint.to_owned());
        }
        401 => failure.hint = Some(unauthorised(refusal)),
        403 => {
            let hint = "The 1C user has no right to this HTTP service: give it a role that may use \
                        the service.";
            failure.hint = Some(hint.to_owned());
        }
        404 => failure.hint = Some(NOT_PUBLISHED.to_owned()),
        406 => {
            failure.class = Class::Rejected;
            failure.pace = Some(MEANINGS[2].pace);
            failure.hint = Some(MEANINGS[2].hint.to_owned());
        }
        500 => {
            let hint = "The service failed outside of its own error handling: look at the event \
                        log of the infobase.";
            failure.hint = Some(hint.to_owned());
        }
        _ => {}
    }
    failure
}

fn unauthorised(refusal: &Refusal) -> String {
    let offered = offered_schemes(&refusal.headers);
    let is_offered = |scheme: &str| offered.iter().any(|offer| offer.eq_ignore_ascii_case(scheme));
    if !offered.is_empty() && !is_offered("Basic") && !is_offered("Bearer") {
        return format!(
            "The web server offers only {}, which mcpline does not speak: allow Basic \
             authentication for this publication, publish the infobase a second time with Basic, \
             or use an access token (--bearer-file).",
            offered.join(", ")
        );
    }
    let offered = match offered.as_slice() {
        [] => String::new(),
        offered => format!(" The server offers: {}.", offered.join(", ")),
    };
    format!("{WRONG_CREDENTIALS}{offered}")
}

/// What the body of an error has to say to a person, on one line; empty when it says nothing.
pub(super) fn sentence(body: &[u8], content_type: Option<&str>) -> String {
    let text = decode(&body[..body.len().min(MAX_LOOKED_AT)], content_type);
    let text = text.trim_start_matches('\u{feff}').trim();
    let said = if text.starts_with('{') {
        exception(text)
    } else if text.starts_with("<?xml") || text.contains("<exception") {
        xml_descriptions(text)
    } else if text.starts_with('<') {
        Some(page(text))
    } else {
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    };
    match said {
        Some(said) => shorten(&said),
        None => http::excerpt(body, content_type),
    }
}

/// Bytes of a body that are looked at.
const MAX_LOOKED_AT: usize = 64 * 1024;

/// The innermost two descriptions of a platform exception in JSON.
fn exception(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut next = Some(value.get("exception")?);
    let mut descriptions = Vec::new();
    while let Some(exception) = next {
        descriptions.extend(exception.get("descr").and_then(Value::as_str));
        next = exception.get("inner");
    }
    Some(join_innermost(&descriptions))
}

/// The texts of the `descr` elements of a platform exception in XML.
fn xml_descriptions(text: &str) -> Option<String> {
    let mut descriptions = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<descr") {
        let (_, content) = after.split_once('>')?;
        let (content, after) = content.split_once('<').unwrap_or((content, ""));
        descriptions.push(without_tags(content));
        rest = after;
    }
    let descriptions: Vec<_> = descriptions.iter().map(String::as_str).collect();
    (!descriptions.is_empty()).then(|| join_innermost(&descriptions))
}

fn join_innermost(descriptions: &[&str]) -> String {
    let telling: Vec<_> = descriptions
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty() && !text.starts_with("HTTP:"))
        .collect();
    let innermost = &telling[telling.len().saturating_sub(2)..];
    let mut said: Vec<&str> = Vec::new();
    for text in innermost {
        if !said.iter().any(|known| known.contains(text)) {
            said.push(text);
        }
    }
    if said.is_empty() {
        return descriptions.first().copied().unwrap_or_default().to_owned();
    }
    said.join(": ")
}

/// The text of a page without its title where the body says the same.
fn page(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let body = lower.find("<body").map_or(text, |at| &text[at..]);
    let said = without_tags(body);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let headings = ["1C:Enterprise 8 application error:", "Ошибка приложения 1С:Предприятие 8:"];
    let said = headings.iter().fold(said.as_str(), |said, heading| {
        said.strip_prefix(heading).map_or(said, str::trim_start)
    });
    if said.is_empty() { without_tags(text).trim().to_owned() } else { said.to_owned() }
}

/// Characters of a message that a chat window shows at a glance.
const SHORT: usize = 300;

/// The prefix that the service puts in front of an exception's text.
const PREFIXES: [&str; 2] = ["Внутренняя ошибка сервера:", "Internal server error:"];

/// What joins an exception to its cause.
const REASONS: [&str; 2] = ["по причине:", "by reason:"];

/// A JSON-RPC error whose message is a page of stack text, with the cause as its message and the
/// whole text in `data.details`; `None` when the message is fit to be shown.
pub(super) fn compact_error(error: &str, note: Option<&str>) -> Option<String> {
    let mut object = Object::read(error)?;
    let message = object.string("message")?;
    let cause = cause(&message);
    let is_stack = cause != message.trim();
    if !is_stack && note.is_none() {
        return None;
    }
    let data = object.get("data").filter(|data| *data != "null").map(str::to_owned);
    let mut details = match data.as_deref().and_then(Object::read) {
        Some(members) => members,
        None => {
            let mut members = Object::default();
            if let Some(data) = &data {
                members.set("data", data.clone());
            }
            members
        }
    };
    if is_stack {
        details.set_string("details", &message);
    }
    if let Some(note) = note {
        details.set_string("hint", note);
    }
    let details = details.text();
    object.set("message", to_json(&cause));
    object.set("data", details);
    object.changed()
}

/// The sentence that names what went wrong in the detailed text of a 1C exception: the last of a
/// chain of causes, without where it was thrown and the source line that threw it.
fn cause(message: &str) -> String {
    let mut text = message.trim();
    for prefix in PREFIXES {
        text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
    }
    for reason in REASONS {
        // Within a sentence the words mean what they say.
        let chained = text.rmatch_indices(reason).find_map(|(at, _)| {
            let cause = text[at + reason.len()..].trim_start();
            let begins_line = text[..at].ends_with(['\n', '\r']);
            (begins_line || cause.starts_with('{')).then_some(cause)
        });
        text = chained.unwrap_or(text);
    }
    while text.starts_with('{')
        && let Some((_, rest)) = text.split_once("}:")
    {
        text = rest.trim_start();
    }
    // The source line is set off by a line break and tabs.
    let lines = text.lines().take_while(|line| !line.starts_with('\t'));
    let said = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let said = if said.trim().is_empty() { message } else { &said };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHORT {
        return line;
    }
    let mut cut: String = line.chars().take(SHORT - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            url: "http://srv/base/hs/mcp/rpc".into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn a_sentence_is_found_in_every_layers_format() {
        let cases = [
            (
                "\u{feff}{\"#exception\":\"x\",\"exception\":{\"reason\":403,\"descr\":\"HTTP: Forbidden\\nОшибка при выполнении запроса\",\"inner\":{\"descr\":\"Начало сеанса с информационной базой запрещено.\\nВедутся технические работы\",\"inner\":{\"descr\":\"Начало сеанса с информационной базой запрещено.\",\"creationStack\":\"core83.dll:0x1\",\"data\":\"77u/\"}}}}",
                "Начало сеанса с информационной базой запрещено. Ведутся технические работы",
            ),
            (
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><exception xmlns=\"http://v8.1c.ru/8.2/virtual-resource-system\" reason=\"406\"><descr xmlns=\"http://v8.1c.ru/8.1/data/core\">Истекло время ожидания сеанса</descr></exception>",
                "Истекло время ожидания сеанса",
            ),
            (
                "<html><head><title>1C:Enterprise 8 application error</title></head><body><h2>1C:Enterprise 8 application error:</h2>Не найден HTTP-сервис<br><b>by reason: </b><br>Нет &quot;mcp&quot;</body></html>",
                "Не найден HTTP-сервис by reason: Нет \"mcp\"",
            ),
            ("Ошибка\r\nвторая строка", "Ошибка"),
            ("{\"detail\":\"x\"}", "x"),
            ("", ""),
        ];
        for (body, said) in cases {
            assert_eq!(sentence(body.as_bytes(), None), said, "{body}");
        }
    }

    #[test]
    fn every_row_of_the_table_has_its_class() {
        let cases = [
            (403, "Начало сеанса с информационной базой запрещено", Class::Rejected),
            (500, "Startup of infobase session is not allowed", Class::Rejected),
            (500, "Не обнаружено свободной лицензии!", Class::Rejected),
            (500, "License not found", Class::Rejected),
            (406, "Истекло время ожидания сеанса", Class::Rejected),
            (406, "", Class::Rejected),
            (500, "Database server not found", Class::Rejected),
            (500, "База данных не обнаружена", Class::Rejected),
            (500, "Деление на 0", Class::Final),
            (500, "{ОбщийМодуль.Заказы.Модуль(41)}: записан. Не найдена лицензия", Class::Final),
            (401, "", Class::Final),
            (403, "", Class::Final),
            (404, "", Class::Final),
            (302, "", Class::Final),
            (502, "", Class::Ambiguous),
            (503, "", Class::Rejected),
        ];
        for (status, body, class) in cases {
            let failure = failure(&refusal(status, body));
            assert_eq!(failure.class, class, "{status} {body}");
            assert!(failure.hint.is_some(), "{status} {body}");
        }
    }

    #[test]
    fn a_gone_session_is_told_from_a_failed_call() {
        for (status, body, gone) in [
            (404, "", true),
            (400, "", true),
            (500, "Ошибка работы сеанса", true),
            (500, "Деление на 0", false),
            (500, "{М.Module(9)}: Session error", false),
            (406, "Истекло время ожидания сеанса", false),
        ] {
            assert_eq!(is_session_gone(&refusal(status, body)), gone, "{status} {body}");
        }
    }

    #[test]
    fn a_server_that_offers_only_windows_logins_is_named() {
        let mut refusal = refusal(401, "");
        for scheme in ["Negotiate", "NTLM"] {
            refusal.headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        let hint = failure(&refusal).hint.unwrap();
        assert!(hint.contains("only Negotiate, NTLM"), "{hint}");
    }

    #[test]
    fn stack_text_becomes_its_cause() {
        let stack = "Внутренняя ошибка сервера: {MCP_Сервер HTTPСервис.mcp_APIBackend.Модуль(228)}: \
            Инструмент 'нет' не найден\n\t\tВызватьИсключение СтрШаблон(\"x\");\n";
        let chained = "{Модуль(1)}: Ошибка вызова\n\t\tА();\nпо причине:\n{Модуль(2)}: {Б(3)}: Деление на 0\n\t\tБ();";
        let cases = [
            (stack, "Инструмент 'нет' не найден"),
            (chained, "Деление на 0"),
            ("Неизвестный метод: ping", "Неизвестный метод: ping"),
            ("{не место", "{не место"),
            ("Заказ отклонён по причине: нет остатка", "Заказ отклонён по причине: нет остатка"),
        ];
        for (message, expected) in cases {
            assert_eq!(cause(message), expected);
        }
        assert_eq!(cause(&"щ ".repeat(1000)).chars().count(), SHORT);
        let error = format!(r#"{{"code":-32603,"message":{},"data":[1]}}"#, to_json(&stack));
        let compacted = compact_error(&error, None).unwrap();
        let value: Value = serde_json::from_str(&compacted).unwrap();
        assert_eq!(value["message"], "Инструмент 'нет' не найден");
        assert_eq!(value["data"]["details"], stack);
        assert_eq!(value["data"]["data"], serde_json::json!([1]));
        assert_eq!(
            compact_error(r#"{"code":-32601,"message":"Неизвестный метод: x"}"#, None),
            None
        );
    }
}
