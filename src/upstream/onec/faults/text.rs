//! Finding the message in an error body, in the formats of the platform and the web servers.

use serde_json::Value;

use crate::http::{self, decode, shorten, without_tags};

/// Bytes of a body that are searched: the message is near the beginning.
const MAX_SEARCHED: usize = 64 * 1024;

/// The beginning of a body as text.
pub(super) fn beginning(body: &[u8], content_type: Option<&str>) -> String {
    decode(&body[..body.len().min(MAX_SEARCHED)], content_type)
}

/// Whether a text in lower case is a page of the platform itself, by its heading or its namespace.
pub(super) fn is_of_platform(lower: &str) -> bool {
    const MARKS: [&str; 5] = [
        "1c:enterprise 8 application error",
        "ошибка приложения 1с:предприятие",
        "ошибка приложения 1c:предприятие",
        "http://v8.1c.ru/",
        "\"#exception\"",
    ];
    MARKS.iter().any(|mark| lower.contains(mark))
}

/// Whether `body` is a page of the platform: an error page, or its web client.
pub(in crate::upstream::onec) fn is_page_of_platform(
    body: &[u8],
    content_type: Option<&str>,
) -> bool {
    const OF_CLIENT: [&str; 5] = [
        "/e1cib/",
        "/e1csys/",
        "<title>1с:предприятие",
        "<title>1c:предприятие",
        "<title>1c:enterprise",
    ];
    let text = beginning(body, content_type).to_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_client = || text.starts_with('<') && OF_CLIENT.iter().any(|mark| text.contains(mark));
    text.starts_with(['<', '{']) && is_of_platform(text) || is_client()
}

/// The message in the body of an error, on one line; empty when the body holds none.
pub(in crate::upstream::onec) fn message(body: &[u8], content_type: Option<&str>) -> String {
    let text = beginning(body, content_type);
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

/// The text of a page, without the title and the heading.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_in_the_format_of_every_layer() {
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
            assert_eq!(message(body.as_bytes(), None), said, "{body}");
        }
    }
}
