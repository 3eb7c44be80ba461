//! Cutting the stack text of a 1C exception down to its cause.

use crate::jsonrpc::to_json;
use crate::upstream::json::Object;

/// Characters of a message that a chat window shows at a glance.
const SHORT: usize = 300;

/// The prefix that the service puts in front of an exception's text.
const PREFIXES: [&str; 2] = ["Внутренняя ошибка сервера:", "Internal server error:"];

/// What joins an exception to its cause.
const REASONS: [&str; 2] = ["по причине:", "by reason:"];

/// A JSON-RPC error whose message is a page of stack text, with the cause as its message and the
/// whole text in `data.details`; `None` when the message is fit to be shown.
pub(in crate::upstream::onec) fn compact_error(error: &str, note: Option<&str>) -> Option<String> {
    let mut object = Object::read(error)?;
    let message = object.string("message")?;
    let cause = cause(&message);
    let is_stack = cause != message.trim();
    if !is_stack && note.is_none() {
        return None;
    }
    let data = object.get("data").filter(|data| *data != "null");
    let mut details = data.and_then(Object::read).unwrap_or_else(|| {
        let mut details = Object::default();
        if let Some(data) = data {
            details.set("data", data.to_owned());
        }
        details
    });
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
    use serde_json::Value;

    use super::*;

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
