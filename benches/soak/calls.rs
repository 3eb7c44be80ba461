//! What the calls are: each follows from its number, and so does the one right answer to it.

use crate::chance::draw;

/// What call number so-and-so asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A tool that declares nothing: it must never run twice.
    Add,
    /// A tool with `readOnlyHint`.
    Look,
    /// A tool with `idempotentHint`.
    Set,
    ListTools,
    ReadResource,
    GetPrompt,
    Ping,
}

impl Kind {
    pub(crate) fn of(number: usize, seed: u64) -> Self {
        // The listing comes first: without it every tool counts as one that must not run twice.
        if number == 0 {
            return Self::ListTools;
        }
        match draw(seed, number as u64, 1) % 100 {
            0..45 => Self::Add,
            45..60 => Self::Look,
            60..70 => Self::Set,
            70..73 => Self::ListTools,
            73..85 => Self::ReadResource,
            85..93 => Self::GetPrompt,
            _ => Self::Ping,
        }
    }

    /// Whether doing it twice does no more than doing it once.
    pub(crate) fn is_safe(self) -> bool {
        self != Self::Add
    }
}

/// The id of a call, as the client writes it: every kind that a relay could get wrong.
pub(crate) fn id(number: usize) -> String {
    match number % 6 {
        0 | 1 => format!("{number}"),
        2 => format!("\"{number}\""),
        3 => format!("\"call-{number}\""),
        // Beyond what a float can hold.
        4 => format!("90071992547{number:08}"),
        _ => format!("\"\\u0063\\/{number}\""),
    }
}

/// The call that `id` belongs to.
pub(crate) fn number(text: &str) -> Option<usize> {
    let digits = text.trim_matches('"');
    let digits = digits.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    let digits = match digits.strip_prefix("90071992547") {
        Some(rest) if rest.len() == 8 => rest,
        _ => digits,
    };
    let number = digits.parse().ok()?;
    (id(number) == text).then_some(number)
}

/// The request line of a call, with the line end.
pub(crate) fn line(number: usize, kind: Kind) -> String {
    let id = id(number);
    let meta = format!(r#""_meta":{{"n":{number}}}"#);
    let (method, params) = match kind {
        Kind::Add => ("tools/call", r#""name":"add","arguments":{},"#),
        Kind::Look => ("tools/call", r#""name":"look","arguments":{"deep":[1.0,1e2]},"#),
        Kind::Set => ("tools/call", r#""name":"set","arguments":{"to":"ё"},"#),
        Kind::ListTools => ("tools/list", ""),
        Kind::ReadResource => ("resources/read", r#""uri":"soak://one","#),
        Kind::GetPrompt => ("prompts/get", r#""name":"greet","#),
        Kind::Ping => ("ping", ""),
    };
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{{params}{meta}}}}}\n"
    )
}

/// The one right result of a call, byte for byte.
pub(crate) fn result(number: usize, kind: Kind, seed: u64) -> String {
    if kind == Kind::ListTools {
        return format!(
            concat!(
                r#"{{"tools":[{{"name":"add","inputSchema":{{"type":"object"}}}},"#,
                r#"{{"name":"look","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}}}},"#,
                r#"{{"name":"set","inputSchema":{{"type":"object"}},"annotations":{{"idempotentHint":true}}}}"#,
                r#"],"_meta":{{"n":{}}}}}"#
            ),
            number
        );
    }
    let drawn = draw(seed, number as u64, 2);
    let length = match drawn % 1000 {
        0 => 200_000,
        1..20 => 16_000,
        _ => drawn / 1000 % 200,
    };
    let filling = "xyz ".repeat(usize::try_from(length / 4).unwrap_or_default());
    let text = format!(r#"{{"type":"text","text":"{number} строка\n\u2028{filling}"}}"#);
    format!(r#"{{"n":12345678901234567890,"f":1.0,"content":[{text}],"_meta":{{"n":{number}}}}}"#)
}
