//! What a check has found, for a person and for support.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::hint::{Language, Words};
use crate::terminal::{Colour, Style, wrapped};

/// The width of the column with the names of steps.
pub(super) const NAME: usize = 12;

/// The column in which a person reads what a step has found.
const INDENT: usize = 6 + NAME;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    Failed,
    /// It does not apply, or the check did not come so far.
    Skipped,
}

impl Outcome {
    /// What stands in front of a step.
    fn mark(self) -> Words {
        match self {
            Self::Ok => Words::both("ok", "ок"),
            Self::Warning => Words::both("warn", "вним"),
            Self::Failed => Words::both("FAIL", "СБОЙ"),
            Self::Skipped => Words::both("-", "-"),
        }
    }
}

/// What a step has found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    /// One sentence or less.
    pub(super) text: Words,
    /// More lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) details: Vec<Words>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<Words>,
    /// The same for programs.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) facts: Map<String, Value>,
}

impl Finding {
    fn new(outcome: Outcome, text: impl Into<Words>) -> Self {
        let text = text.into();
        Self { outcome, text, details: Vec::new(), hint: None, facts: Map::new() }
    }

    pub(super) fn ok(text: impl Into<Words>) -> Self {
        Self::new(Outcome::Ok, text)
    }

    pub(super) fn warning(text: impl Into<Words>, hint: impl Into<Words>) -> Self {
        Self { hint: Some(hint.into()), ..Self::new(Outcome::Warning, text) }
    }

    pub(super) fn failed(text: impl Into<Words>, hint: Option<Words>) -> Self {
        Self { hint, ..Self::new(Outcome::Failed, text) }
    }

    pub(super) fn skipped(text: impl Into<Words>) -> Self {
        Self::new(Outcome::Skipped, text)
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn details(mut self, lines: impl IntoIterator<Item = Words>) -> Self {
        self.details.extend(lines);
        self
    }

    /// The finding with each of its texts replaced.
    pub(super) fn map(self, text: impl Fn(&str) -> String) -> Self {
        let Self { outcome, text: own, details, hint, facts } = self;
        Self {
            outcome,
            text: own.map(&text),
            details: details.iter().map(|line| line.map(&text)).collect(),
            hint: hint.map(|hint| hint.map(&text)),
            facts: facts.into_iter().map(|(name, value)| (name, map(value, &text))).collect(),
        }
    }

    /// The finding of the step `name` as lines for a person.
    pub(super) fn shown(&self, name: &Words, language: Language, style: Style) -> String {
        let mark = format!("{:<4}", self.outcome.mark().in_language(language));
        let mark = match self.outcome {
            Outcome::Ok => style.in_colour(Colour::Green, &mark),
            Outcome::Warning => style.in_colour(Colour::Yellow, &mark),
            Outcome::Failed => style.in_colour(Colour::Red, &mark),
            Outcome::Skipped => style.dim(&mark),
        };
        let text = self.text.in_language(language).replace('\n', " ");
        let text = wrapped(&text, INDENT);
        let text = if self.outcome == Outcome::Skipped { style.dim(&text) } else { text };
        let mut shown = format!("{mark}  {:<NAME$}{text}\n", name.in_language(language));
        let mut add = |line: String| shown.push_str(&format!("{:INDENT$}{line}\n", ""));
        for line in &self.details {
            add(style.dim(&wrapped(line.in_language(language), INDENT)));
        }
        if let Some(hint) = &self.hint {
            let hint = wrapped(hint.in_language(language), INDENT + 2);
            add(style.bold(&format!("> {hint}")));
        }
        shown
    }
}

fn map(value: Value, text: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(own) => Value::String(text(&own)),
        Value::Array(items) => items.into_iter().map(|item| map(item, text)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, map(value, text))).collect()
        }
        value => value,
    }
}
