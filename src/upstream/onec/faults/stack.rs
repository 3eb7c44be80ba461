//! Finding the cause in the stack text of a 1C exception.

use crate::jsonrpc::to_json;
use crate::upstream::json::Object;

/// The most characters of a cause: what a chat window shows at a glance.
const SHORT: usize = 300;

/// What services write in front of an exception's text.
const PREFIXES: [&str; 2] = ["Внутренняя ошибка сервера:", "Internal server error:"];

/// What joins an exception to its cause.
const REASONS: [&str; 2] = ["по причине:", "by reason:"];

/// Replaces the stack text in the message of a JSON-RPC error by its cause, keeps the whole text in
/// `data.details`, and adds `hint`. `None` when the message is not stack text and there is no hint.
pub(in crate::upstream::onec) fn compact_error(error: &str, hint: Option<&str>) -> Option<String> {
    let mut object = Object::read(error)?;
    let message = object.string("message")?;
    let cause = cause(&message);
    let is_stack = cause != message.trim();
    if !is_stack && hint.is_none() {
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
    if let Some(hint) = hint {
        details.set_string("hint", hint);
    }
    let details = details.text();
    object.set("message", to_json(&cause));
    object.set("data", details);
    object.changed()
}

/// The sentence that says what went wrong: the last cause in the chain, without its place in the
/// code and without the source line.
fn cause(message: &str) -> String {
    let mut text = message.trim();
    for prefix in PREFIXES {
        text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
    }
    for reason in REASONS {
        // Inside a sentence these words are part of the message.
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
    // The source line follows a line break and tabs.
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
