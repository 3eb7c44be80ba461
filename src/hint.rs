//! What a person can do about a failure, in the language of the person.
//!
//! A hint is English, and Russian as well where the administrators of Russian companies meet it. The
//! sentence that says what failed stays English: people search for it, and programs match it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Words for a person that are no hint: a heading, or what was found.
pub type Words = Hint;

/// A [`Hint`] made of the same values in both languages, as `format!` has it.
macro_rules! words {
    ($english:literal, $russian:literal $(, $value:expr)* $(,)?) => {
        $crate::hint::Hint::texts(format!($english $(, $value)*), format!($russian $(, $value)*))
    };
}
pub(crate) use words;

/// Sentences for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    english: Cow<'static, str>,
    russian: Option<Cow<'static, str>>,
}

impl Hint {
    /// A hint in both languages.
    pub const fn both(english: &'static str, russian: &'static str) -> Self {
        Self { english: Cow::Borrowed(english), russian: Some(Cow::Borrowed(russian)) }
    }

    /// A hint in English alone.
    pub const fn english(english: &'static str) -> Self {
        Self { english: Cow::Borrowed(english), russian: None }
    }

    /// Texts in both languages.
    pub(crate) fn texts(english: String, russian: String) -> Self {
        Self { english: english.into(), russian: Some(russian.into()) }
    }

    /// The text for a person who has chosen the language.
    pub(crate) fn in_language(&self, language: Language) -> &str {
        match (language, &self.russian) {
            (Language::Russian, Some(russian)) => russian,
            _ => &self.english,
        }
    }

    /// The text for the person at this computer.
    pub(crate) fn for_person(&self) -> &str {
        self.in_language(Language::of_person())
    }

    /// Whether `text` holds this, in whichever language.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.contains(&*self.english)
            || self.russian.as_deref().is_some_and(|own| text.contains(own))
    }

    /// Each text replaced.
    pub(crate) fn map(&self, text: impl Fn(&str) -> String) -> Self {
        let russian = self.russian.as_ref().map(|russian| text(russian).into());
        Self { english: text(&self.english).into(), russian }
    }

    /// The hint with a further sentence, which is in both languages if this one is.
    #[must_use]
    pub fn and(self, more: &Self) -> Self {
        self.joined(" ", more)
    }

    /// The words, and behind a colon what they are about.
    pub(crate) fn colon(self, more: &Self) -> Self {
        self.joined(": ", more)
    }

    /// This, `by` what they are joined, and `more`.
    pub(crate) fn joined(self, by: &str, more: &Self) -> Self {
        let english = format!("{}{by}{}", self.english, more.english).into();
        let russian = match (self.russian, &more.russian) {
            (Some(russian), Some(more)) => Some(format!("{russian}{by}{more}").into()),
            _ => None,
        };
        Self { english, russian }
    }

    /// The hint with `name` in the place of `{}`, in both languages.
    #[must_use]
    pub fn naming(&self, name: &str) -> Self {
        let named = |text: &Cow<'static, str>| Cow::Owned(text.replace("{}", name));
        Self { english: named(&self.english), russian: self.russian.as_ref().map(named) }
    }

    /// The hint for `readers`, where `said` is what the failure tells of the upstream's words.
    pub fn text(&self, readers: Readers, said: &str) -> &str {
        match &self.russian {
            Some(russian) if readers.read_russian(said) => russian,
            _ => &self.english,
        }
    }
}

/// The English text.
impl Deref for Hint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.english
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.english)
    }
}

impl From<&'static str> for Hint {
    fn from(english: &'static str) -> Self {
        Self::english(english)
    }
}

impl From<String> for Hint {
    fn from(english: String) -> Self {
        Self { english: Cow::Owned(english), russian: None }
    }
}

/// The text in English, which programs and support read.
impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.english)
    }
}

/// A hint that is kept for another process, which has readers of its own.
pub(crate) mod in_both_languages {
    use super::{Deserialize, Deserializer, Hint, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(hint: &Hint, serializer: S) -> Result<S::Ok, S::Error> {
        (&hint.english, &hint.russian).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(kept: D) -> Result<Hint, D::Error> {
        let (english, russian): (String, Option<String>) = Deserialize::deserialize(kept)?;
        Ok(Hint { english: english.into(), russian: russian.map(Into::into) })
    }
}

/// A language in which a person is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

impl Language {
    /// The language of the person at this computer.
    pub(crate) fn of_person() -> Self {
        if is_russian(&system_language()) { Self::Russian } else { Self::English }
    }
}

/// Who reads what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readers {
    /// Users of any MCP server.
    #[default]
    OfEnglish,
    /// Users of a service from a Russian-speaking country, on a system in whichever language: what
    /// the service says tells.
    Unknown,
    /// The same, on a system in Russian.
    OfRussian,
}

impl Readers {
    /// The readers of one of the named services' failures.
    pub fn of_named_service() -> Self {
        match Language::of_person() {
            Language::Russian => Self::OfRussian,
            Language::English => Self::Unknown,
        }
    }

    /// The person at this computer, who has run a command that asks a server; else `self`.
    pub(crate) fn or_person(self) -> Self {
        match Language::of_person() {
            Language::Russian => Self::OfRussian,
            Language::English => self,
        }
    }

    fn read_russian(self, said: &str) -> bool {
        match self {
            Self::OfEnglish => false,
            Self::Unknown => has_russian_word(said),
            Self::OfRussian => true,
        }
    }
}

/// Whether `text` holds a word in Cyrillic letters. One letter alone may be a sign, as in `1С`.
fn has_russian_word(text: &str) -> bool {
    let is_cyrillic = |letter: char| ('\u{400}'..='\u{4ff}').contains(&letter);
    text.split(|letter| !is_cyrillic(letter)).any(|word| word.chars().nth(2).is_some())
}

/// The system's language, as `ru_RU.UTF-8` or `ru-RU`. The variables go before the system's settings,
/// and are the only ones that Linux knows.
fn system_language() -> String {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = variables.iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    set.or_else(sys_locale::get_locale).unwrap_or_default()
}

fn is_russian(language: &str) -> bool {
    let name = language.split(['_', '-', '.', '@']).next().unwrap_or_default();
    ["ru", "russian"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_or_the_service_decides_on_the_language() {
        let hint = Hint::both("Ask.", "Спросите.");
        for (readers, said, text) in [
            (Readers::OfEnglish, "Ошибка", "Ask."),
            (Readers::Unknown, "http://srv answered with HTTP 500: error in 1С", "Ask."),
            (Readers::Unknown, "http://srv answered with HTTP 500: Ошибка", "Спросите."),
            (Readers::OfRussian, "error", "Спросите."),
        ] {
            assert_eq!(hint.text(readers, said), text, "{readers:?} {said}");
        }
        assert_eq!(Hint::from("Ask.").text(Readers::OfRussian, ""), "Ask.");
    }

    #[test]
    fn hints_are_put_together_in_both_languages() {
        let more = Hint::both("It offers {}.", "Предлагает {}.").naming("NTLM");
        let both = Hint::both("Ask.", "Спросите.").and(&more);
        assert_eq!(both.text(Readers::OfRussian, ""), "Спросите. Предлагает NTLM.");
        assert_eq!(both.to_string(), "Ask. It offers NTLM.");
        assert_eq!(
            Hint::from("Ask.").and(&more).text(Readers::OfRussian, ""),
            "Ask. It offers NTLM."
        );
    }

    #[test]
    fn a_language_is_told_by_its_first_part() {
        for (language, russian) in [
            ("ru_RU.UTF-8", true),
            ("ru-RU", true),
            ("ru", true),
            ("Russian_Russia.1251", true),
            ("run", false),
            ("en_US.UTF-8", false),
            ("C", false),
            ("", false),
        ] {
            assert_eq!(is_russian(language), russian, "{language}");
        }
    }
}
