//! Aliases for the names of tools and prompts in 1C that clients or models refuse.
//!
//! Model APIs want `[a-zA-Z0-9_-]{1,64}`, the client's own prefix included, and refuse a whole
//! conversation otherwise. Some clients drop one of two names that differ only in Cyrillic letters.
//! An alias is the same in every run, and no two names share one.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA256, digest};

use crate::upstream::json::Object;

/// The longest name that needs no alias.
const MAX_NAME: usize = 64;

/// The longest transliteration. With the tail an alias has at most 49 characters, which leaves room
/// for the prefixes that clients add.
const MAX_BASE: usize = 40;

/// The aliases of all tools, or of all prompts.
#[derive(Default)]
pub(super) struct Names {
    assigned: Mutex<Assigned>,
}

/// Nothing is ever removed: an offered name keeps its meaning for the life of the process.
#[derive(Default)]
struct Assigned {
    /// Names that need no alias.
    plain: HashSet<String>,
    originals: HashMap<String, String>,
    aliases: HashMap<String, String>,
    /// Plain names and aliases in lower case: some clients ignore case.
    taken: HashSet<String>,
    was_listed: bool,
}

impl Assigned {
    fn assign(&mut self, name: &str, alias: String) {
        self.taken.insert(alias.to_lowercase());
        self.originals.insert(alias.clone(), name.to_owned());
        self.aliases.insert(name.to_owned(), alias);
    }
}

impl Names {
    /// Learns the names of a listing, or of one page of it. Names with the same transliteration all
    /// get a tail, whatever their order.
    pub(super) fn learn(&self, names: &[String]) {
        let mut assigned = self.assigned();
        assigned.was_listed = true;
        let (plain, other): (Vec<_>, Vec<_>) = names.iter().partition(|name| is_plain(name));
        for name in plain {
            assigned.plain.insert(name.clone());
            assigned.taken.insert(name.to_lowercase());
            // A plain name means itself, even where it was an alias before.
            if let Some(original) = assigned.originals.remove(name) {
                assigned.assign(&original, format!("{}_{}", base(&original), tail(&original)));
            }
        }
        let bases: Vec<_> = other.into_iter().map(|name| (name, base(name))).collect();
        let mut counts: HashMap<String, usize> = HashMap::new();
        for (_, base) in &bases {
            *counts.entry(base.to_lowercase()).or_default() += 1;
        }
        for (name, base) in bases {
            if assigned.aliases.contains_key(name) {
                continue;
            }
            let lower = base.to_lowercase();
            let is_shared = counts.get(&lower).is_some_and(|count| *count > 1);
            let is_cut = name.chars().count() > MAX_NAME || base.len() >= MAX_BASE;
            let needs_tail =
                is_shared || is_cut || base.is_empty() || assigned.taken.contains(&lower);
            let alias = if needs_tail { format!("{base}_{}", tail(name)) } else { base };
            assigned.assign(name, alias);
        }
    }

    /// Replaces the name of `item`, a tool or prompt of a listing, by its alias. The original name
    /// goes into the title and in front of the description.
    pub(super) fn apply_to(&self, item: &mut Object<'_>) {
        let Some(name) = item.string("name").filter(|name| !is_plain(name)) else { return };
        let Some(alias) = self.assigned().aliases.get(&name).cloned() else { return };
        tracing::debug!(name, alias, "offered under an alias");
        item.set_string("name", &alias);
        if item.string("title").is_none_or(|title| title.is_empty()) {
            item.set_string("title", &name);
        }
        let description = match item.string("description") {
            Some(text) if !text.is_empty() => format!("{name}\n{text}"),
            _ => name,
        };
        item.set_string("description", &description);
    }

    /// The original name, where `name` is an alias.
    pub(super) fn original(&self, name: &str) -> Option<String> {
        self.assigned().originals.get(name).cloned()
    }

    /// Whether `name` may be an alias from a listing that this process has not seen.
    pub(super) fn may_be_unknown_alias(&self, name: &str) -> bool {
        !self.assigned().was_listed && is_plain(name) && name.len() <= MAX_BASE + 9
    }

    fn assigned(&self) -> MutexGuard<'_, Assigned> {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether every client takes `name`.
pub(in crate::upstream) fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The first part of an alias: `name` in Latin letters, cut to [`MAX_BASE`].
fn base(name: &str) -> String {
    let mut base = String::new();
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().and_then(|next| next.to_lowercase().next());
        match transliterated(letter, next) {
            Some(latin) => base.push_str(&latin),
            None => base.push('_'),
        }
    }
    base.truncate(MAX_BASE);
    base
}

/// The letters from `а` to `я`.
const LATIN: [&str; 32] = [
    "a", "b", "v", "g", "d", "e", "zh", "z", "i", "j", "k", "l", "m", "n", "o", "p", "r", "s", "t",
    "u", "f", "x", "cz", "ch", "sh", "shh", "", "y", "", "e", "yu", "ya",
];

/// GOST 7.79-2000, system B, without its apostrophes and accents. `ц` depends on `next`.
fn transliterated(letter: char, next: Option<char>) -> Option<String> {
    if letter.is_ascii() {
        return is_plain_byte(letter as u8).then(|| letter.to_string());
    }
    let small = letter.to_lowercase().next()?;
    let latin = match small {
        'ц' if next.is_some_and(|next| "еёийыэюяії".contains(next)) => "c",
        'а'..='я' => LATIN[small as usize - 'а' as usize],
        'ё' => "yo",
        'ґ' => "g",
        'і' => "i",
        'ў' => "u",
        'є' => "ye",
        'ї' => "yi",
        _ => return None,
    };
    let mut latin = latin.to_owned();
    if letter != small
        && let Some(first) = latin.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    Some(latin)
}

/// Eight hexadecimal digits of a digest of `name`.
fn tail(name: &str) -> String {
    let digest = digest(&SHA256, name.as_bytes());
    let start = digest.as_ref().iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    format!("{start:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(names: &[&str]) -> Vec<String> {
        let all = Names::default();
        let owned: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        all.learn(&owned);
        let alias = |name: &&str| {
            let item = format!(r#"{{"name":"{name}"}}"#);
            let mut item = Object::read(&item).unwrap();
            all.apply_to(&mut item);
            item.string("name").unwrap()
        };
        names.iter().map(alias).collect()
    }

    #[test]
    fn cyrillic_becomes_latin_by_the_standard() {
        let cases = [
            ("ПолучитьОстатки", "PoluchitOstatki"),
            ("Цена", "Cena"),
            ("Цвет", "Czvet"),
            ("Объём", "Obyom"),
            ("ЩукаЭхо", "ShhukaExo"),
            ("get.stock", "get_stock"),
            ("a b", "a_b"),
        ];
        for (name, alias) in cases {
            assert_eq!(aliases(&[name])[0], alias, "{name}");
        }
        assert_eq!(aliases(&["get_stock-1"])[0], "get_stock-1");
    }

    #[test]
    fn no_two_names_share_an_alias() {
        let long = "Очень".repeat(20);
        let longer = format!("{long}2");
        let latin = "x".repeat(65);
        let names = ["Ель", "Елъ", "El", "数", "数据", "ель", "ё", &long, &longer, &latin, "ь"];
        let aliases = aliases(&names);
        let different: HashSet<_> = aliases.iter().map(|alias| alias.to_lowercase()).collect();
        assert_eq!(different.len(), names.len(), "{aliases:?}");
        for alias in &aliases {
            assert!(is_plain(alias) && alias.len() <= 49, "{alias}");
        }
    }

    #[test]
    fn an_alias_means_the_same_from_page_to_page_and_from_list_to_list() {
        let names = Names::default();
        let learn = |page: &[&str]| {
            names.learn(&page.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        };
        learn(&["Мера", "Остатки"]);
        learn(&["Мэра"]);
        assert_eq!(names.original("Mera").as_deref(), Some("Мера"));
        assert_eq!(names.original("Ostatki").as_deref(), Some("Остатки"));
        assert_eq!(names.original(&format!("Mera_{}", tail("Мэра"))).as_deref(), Some("Мэра"));
        learn(&["Мера", "Мэра", "Mera"]);
        assert_eq!(names.original("Mera"), None);
        assert_eq!(names.original(&format!("Mera_{}", tail("Мера"))).as_deref(), Some("Мера"));
    }

    #[test]
    fn thousands_of_names_take_no_time() {
        let names: Vec<_> = (0..20_000).map(|number| format!("Имя{number}")).collect();
        let all = Names::default();
        all.learn(&names);
        assert_eq!(all.original("Imya19999").as_deref(), Some("Имя19999"));
    }

    #[test]
    fn the_original_name_is_shown() {
        let names = Names::default();
        names.learn(&["Остатки".to_owned()]);
        let item = r#"{"name":"Остатки","description":"По складам"}"#;
        let mut item = Object::read(item).unwrap();
        names.apply_to(&mut item);
        assert_eq!(
            item.text(),
            r#"{"name":"Ostatki","description":"Остатки\nПо складам","title":"Остатки"}"#
        );
        assert_eq!(names.original("Ostatki").as_deref(), Some("Остатки"));
        assert_eq!(names.original("Остатки"), None);
    }
}
