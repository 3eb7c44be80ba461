//! The challenges of `WWW-Authenticate` and `Proxy-Authenticate` (RFC 9110 section 11.6): what a
//! server wants to be shown before it answers.
//!
//! Servers send one field for each challenge, proxies join them to one list, and 1C writes a Cyrillic
//! realm in UTF-8 or windows-1251 between the quotes. All of it is read; what breaks the grammar
//! costs no more than itself.

use reqwest::header::{HeaderMap, HeaderName};

use super::charset::decode;

/// One challenge: an authentication scheme and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as it is written, such as `Basic` or `Bearer`.
    pub scheme: String,
    /// The data of schemes that send no parameters, such as a token of `Negotiate`.
    pub token68: Option<String>,
    /// The parameters, in order: names in lower case, values without their quotes.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// Whether this is a challenge of `scheme`, whose case does not count.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of the parameter `name`, which is in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges in all fields `name` of `headers`.
pub fn challenges(headers: &HeaderMap, name: &HeaderName) -> Vec<Challenge> {
    headers.get_all(name).iter().flat_map(|value| parse(value.as_bytes())).collect()
}

/// The schemes in the fields `name` of `headers`, each once.
pub(super) fn schemes(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    distinct_schemes(challenges(headers, name))
}

/// The schemes of `challenges`, each once.
pub(super) fn distinct_schemes(challenges: Vec<Challenge>) -> Vec<String> {
    let mut schemes: Vec<String> = Vec::new();
    for Challenge { scheme, .. } in challenges {
        if !schemes.iter().any(|known| known.eq_ignore_ascii_case(&scheme)) {
            schemes.push(scheme);
        }
    }
    schemes
}

/// The challenges in one field value.
pub fn parse(value: &[u8]) -> Vec<Challenge> {
    let text = decode(value, None);
    let mut scanner = Scanner { rest: &text };
    let mut challenges: Vec<Challenge> = Vec::new();
    // A scheme begins the value or follows a comma: a word elsewhere goes on with an unquoted value.
    let mut may_begin = true;
    loop {
        may_begin |= scanner.skip_separators();
        let word = scanner.word();
        if word.is_empty() {
            if !scanner.skip_garbage() {
                return challenges;
            }
            may_begin = false;
            continue;
        }
        if scanner.takes_equals() {
            let value = scanner.value();
            if let Some(challenge) = challenges.last_mut() {
                challenge.params.push((word.to_ascii_lowercase(), value));
            }
        } else if may_begin && is_scheme(word) {
            let token68 = scanner.token68();
            challenges.push(Challenge { scheme: word.to_owned(), token68, params: Vec::new() });
        } else if let Some((_, value)) =
            challenges.last_mut().and_then(|last| last.params.last_mut())
        {
            value.push(' ');
            value.push_str(word);
        }
        may_begin = false;
    }
}

/// Whether `word` can name a scheme. No registered name begins with anything but a letter.
fn is_scheme(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Reads a field value from its beginning to its end.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Skips blanks and commas; returns whether there was a comma.
    fn skip_separators(&mut self) -> bool {
        let after = self.rest.trim_start_matches([' ', '\t', ',']);
        let skipped = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        skipped.contains(',')
    }

    /// Skips a quoted string or one character; false at the end.
    fn skip_garbage(&mut self) -> bool {
        if self.rest.starts_with('"') {
            self.value();
            return true;
        }
        let mut characters = self.rest.chars();
        let is_there = characters.next().is_some();
        self.rest = characters.as_str();
        is_there
    }

    /// Takes what comes before the next separator.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', '\t', ',', '=', '"']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// Takes an equals sign, with the blanks around it that are allowed.
    fn takes_equals(&mut self) -> bool {
        let Some(after) = self.rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            return false;
        };
        self.rest = after.trim_start_matches([' ', '\t']);
        true
    }

    /// Takes the value of a parameter: a quoted string, or what comes before the next blank or comma.
    fn value(&mut self) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([' ', '\t', ',']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return value.to_owned();
        };
        let (mut value, mut characters) = (String::new(), quoted.chars());
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => value.extend(characters.next()),
                _ => value.push(character),
            }
        }
        self.rest = characters.as_str();
        value
    }

    /// Takes the `token68` that may follow a scheme in the place of its parameters.
    fn token68(&mut self) -> Option<String> {
        let start = self.rest.trim_start_matches([' ', '\t']);
        let is_part =
            |character: char| character.is_ascii_alphanumeric() || "-._~+/".contains(character);
        let after = start.trim_start_matches(is_part);
        if after.len() == start.len() {
            return None;
        }
        let after = after.trim_start_matches('=');
        let follows = after.trim_start_matches([' ', '\t']);
        if !follows.is_empty() && !follows.starts_with(',') {
            return None;
        }
        let token = &start[..start.len() - after.len()];
        self.rest = follows;
        Some(token.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn challenge(scheme: &str, token68: Option<&str>, params: &[(&str, &str)]) -> Challenge {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Challenge {
            scheme: scheme.to_owned(),
            token68: token68.map(str::to_owned),
            params: params.iter().map(owned).collect(),
        }
    }

    #[test]
    fn lists_of_challenges_are_read() {
        let basic = |realm| challenge("Basic", None, &[("realm", realm)]);
        let rows: [(&str, Vec<Challenge>); 18] = [
            ("", vec![]),
            (" , ,", vec![]),
            ("Basic realm=\"simple\"", vec![basic("simple")]),
            // RFC 9110 section 11.6.1.
            (
                "Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
                vec![
                    basic("simple"),
                    challenge(
                        "Newauth",
                        None,
                        &[("realm", "apps"), ("type", "1"), ("title", "Login to \"apps\"")],
                    ),
                ],
            ),
            (
                "Negotiate, NTLM, Basic realm=\"1c\"",
                vec![challenge("Negotiate", None, &[]), challenge("NTLM", None, &[]), basic("1c")],
            ),
            ("Negotiate YII+/x==", vec![challenge("Negotiate", Some("YII+/x=="), &[])]),
            (
                "Negotiate YIIx , Basic realm=x",
                vec![challenge("Negotiate", Some("YIIx"), &[]), basic("x")],
            ),
            ("basic Realm = \"a, b\"", vec![challenge("basic", None, &[("realm", "a, b")])]),
            ("Basic realm=\"unfinished", vec![basic("unfinished")]),
            ("Basic realm=\"\\", vec![basic("")]),
            ("Basic realm=1С:Предприятие 8.3", vec![basic("1С:Предприятие 8.3")]),
            ("Basic realm=Моя база, NTLM", vec![basic("Моя база"), challenge("NTLM", None, &[])]),
            ("realm=\"nobody's\", Basic", vec![challenge("Basic", None, &[])]),
            ("\"x\" Basic", vec![]),
            ("=, Basic realm=\"a\"", vec![basic("a")]),
            ("Basic", vec![challenge("Basic", None, &[])]),
            (
                "Bearer resource_metadata=\"https://h/.well-known/oauth-protected-resource\", scope=\"a b\", error=\"invalid_token\"",
                vec![challenge(
                    "Bearer",
                    None,
                    &[
                        ("resource_metadata", "https://h/.well-known/oauth-protected-resource"),
                        ("scope", "a b"),
                        ("error", "invalid_token"),
                    ],
                )],
            ),
            (
                "Digest qop=\"auth,auth-int\",algorithm=MD5\tstale=true",
                vec![challenge(
                    "Digest",
                    None,
                    &[("qop", "auth,auth-int"), ("algorithm", "MD5"), ("stale", "true")],
                )],
            ),
        ];
        for (value, expected) in rows {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn a_realm_is_read_in_any_bytes() {
        let text = "Basic realm=\"1С:Предприятие 8.3\"";
        let in_1251 = encoding_rs::WINDOWS_1251.encode(text).0;
        for bytes in [text.as_bytes(), &in_1251] {
            let read = parse(bytes);
            assert!(read[0].is("basic") && !read[0].is("Bearer"));
            assert_eq!(read[0].param("realm"), Some("1С:Предприятие 8.3"));
            assert_eq!(read[0].param("charset"), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            for challenge in parse(&value) {
                prop_assert!(is_scheme(&challenge.scheme));
            }
        }
    }
}
