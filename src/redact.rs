//! Keeps secrets out of logs and error texts, by value. Every text that leaves the process, except
//! the request itself, goes through [`Secrets::redact`].

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use url::Url;

/// Shorter values are not masked: they occur in ordinary words.
const MIN_LENGTH: usize = 4;

/// Values of letters or digits only that are shorter than this may be a part of a word or number.
const MIN_LONG: usize = 12;

/// The most values that come while the process runs, of each [`Origin`]: an upstream may set a new
/// cookie with every answer, and each value makes every line slower. The oldest go.
const MAX_PASSING: usize = 64;

/// Words of our own texts behind a number that counts something.
const UNITS: &str = "ms s seconds minutes hours days bytes kb kib mib times attempts requests \
                     messages lines tools characters";

/// Words of our own texts before a number that is none of a secret.
const COUNTED: &str = "line column http status port limit than within after about in of";

/// Stands for a secret.
const MASK: &str = "***";

/// Words of our own texts, of URLs and of protocols. To mask one of them everywhere would spoil the
/// text and tell the secret.
const OUR_WORDS: &str = "\
    about access accept accepted address again agent all allow amocrm answer answered answers api \
    application attempt attempts auth authorization auto basic bearer bitrix bitrix24 body bridge \
    broke call called calls cannot carried certificate change changed charset check class client \
    client-cert client-key close closed code command config connect connection content content-type \
    cookie count credentials crm data date days debug default delete demo detail details drain elapsed \
    elapsedms empty encoding environment error errors event example expired failed failure false file \
    final found from future gateway given global header headers hello help hint host hosts http https \
    httpstatus info initialize input insecure internal invalid json jsonrpc key keys kind kinds late \
    length level limit line lines link list local localhost login long longer mask master mayhaverun \
    mcp mcpline message messages method missing name named names network none nothing notification \
    notifications null number object open option options output params parse pass passed password \
    path ping please pong port post progress prompt prompts protocol proxy query rate read reason \
    refused reply request requests resource resources response rest result results retry root \
    running script seconds secret send sent server service services session sessions setting settings \
    shared show size skip socket source spec standard start started status stderr stdin stdout stop \
    stream string system take tell test text that this time timed timeout token tokens tool tools \
    tried true type unknown unreachable upstream user username user-agent uses value variable version \
    wait waited waiting warn warning when with word words work working write written wrong your";

/// Whether `secret` cannot be told from ordinary text, and so is masked only where it stands as a
/// value: in quotes, or behind `=`.
pub(crate) fn is_ordinary(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    secret.len() < MIN_LENGTH || OUR_WORDS.split_whitespace().any(|word| word == lower)
}

/// Where a secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The person has configured it.
    Given,
    /// A token that has replaced another.
    Token,
    /// The id of a session.
    Session,
    /// A cookie of the upstream.
    Cookie,
}

/// A value to mask.
struct Value {
    text: String,
    origin: Origin,
    /// When it was added last, by the count of additions.
    added: u64,
    /// Where it is masked.
    place: Place,
}

enum Place {
    Anywhere,
    /// Not inside of a word or number.
    Whole,
    /// In quotes or behind `=`.
    AsValue,
}

impl Value {
    fn new(text: &str, origin: Origin, added: u64) -> Self {
        let is_short = text.chars().count() < MIN_LONG;
        let is_one_word = text.chars().all(char::is_alphabetic);
        let is_number = text.chars().all(|character| character.is_ascii_digit());
        let place = if is_ordinary(text) {
            Place::AsValue
        } else if is_short && (is_one_word || is_number) {
            Place::Whole
        } else {
            Place::Anywhere
        };
        Self { text: text.to_owned(), origin, added, place }
    }

    /// `shown` with the value masked, if it is there.
    fn masked(&self, shown: &str) -> Option<String> {
        let mut masked = String::new();
        let mut end = 0;
        for (start, _) in shown.match_indices(&self.text) {
            let after = start + self.text.len();
            if self.is_masked_between(&shown[..start], &shown[after..]) {
                masked.push_str(&shown[end..start]);
                masked.push_str(MASK);
                end = after;
            }
        }
        masked.push_str(&shown[end..]);
        (end > 0).then_some(masked)
    }

    fn is_masked_between(&self, before: &str, after: &str) -> bool {
        let (last, next) = (before.chars().next_back(), after.chars().next());
        let is_joined = |character: char| character.is_alphanumeric() || "-_".contains(character);
        match self.place {
            Place::Anywhere => true,
            Place::Whole => {
                // A port, a version or a part of an address.
                let is_number = self.text.starts_with(|character: char| character.is_ascii_digit());
                let joins =
                    |character| is_joined(character) || is_number && ".:".contains(character);
                let is_part = last.is_some_and(joins) || next.is_some_and(is_joined);
                !is_part && (!is_number || !counts(before, after))
            }
            Place::AsValue => {
                let opens = |character| "\"'=".contains(character);
                let closes =
                    |character: char| "\"'&;,)".contains(character) || character.is_whitespace();
                last.is_some_and(opens) && next.is_none_or(closes)
            }
        }
    }
}

/// Whether a number between these texts is one of our own: a time, a size, a line.
fn counts(before: &str, after: &str) -> bool {
    let is_in = |words: &str, word: &str| {
        words.split_whitespace().any(|known| known.eq_ignore_ascii_case(word))
    };
    let ends_word = |letter: char| !letter.is_alphanumeric();
    let unit = after.strip_prefix(' ').and_then(|after| after.split(ends_word).next());
    let counted = before.strip_suffix(' ').and_then(|before| before.rsplit(ends_word).next());
    unit.is_some_and(|word| is_in(UNITS, word))
        || counted.is_some_and(|word| is_in(COUNTED, word)) && !after.starts_with(['"', '\''])
}

/// The secret values of this process: passwords, tokens, header values. A token may be replaced
/// while the process runs.
#[derive(Default)]
pub struct Secrets {
    /// Longest first, so that a secret that contains another is masked whole.
    values: RwLock<Vec<Value>>,
}

impl Secrets {
    /// Adds a value of the configuration that must never be shown. Very short ones are left out.
    pub fn add(&self, value: &str) {
        self.add_of(Origin::Given, value);
    }

    /// Adds a value that must never be shown, unless it is very short. If too many have come from
    /// there, the one that was added longest ago is not masked any more.
    pub fn add_of(&self, origin: Origin, value: &str) {
        let value = value.trim();
        if value.len() < MIN_LENGTH {
            return;
        }
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let added = values.iter().map(|value| value.added).max().unwrap_or(0) + 1;
        if let Some(known) = values.iter_mut().find(|known| known.text == value) {
            known.added = added;
            if origin == Origin::Given {
                known.origin = origin;
            }
            return;
        }
        let of_origin = || values.iter().filter(|value| value.origin == origin);
        if origin != Origin::Given && of_origin().count() == MAX_PASSING {
            let oldest = of_origin().map(|value| value.added).min();
            values.retain(|value| value.origin != origin || Some(value.added) != oldest);
        }
        // The longest go first: one may be a part of another.
        let place = values.partition_point(|other| other.text.len() >= value.len());
        values.insert(place, Value::new(value, origin, added));
    }

    fn values(&self) -> RwLockReadGuard<'_, Vec<Value>> {
        self.values.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `text` with every known secret masked.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in self.values().iter() {
            if let Some(masked) = value.masked(&text) {
                text = Cow::Owned(masked);
            }
        }
        text
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({} values)", self.values().len())
    }
}

/// A URL as it may be shown: without its credentials, and without its query, which may hold API
/// keys and session ids.
pub(crate) fn shown(url: &Url) -> String {
    let mut safe = url.clone();
    // Neither can fail for a URL that has a host, and only such URLs are accepted.
    let _ = safe.set_username("");
    let _ = safe.set_password(None);
    safe.set_fragment(None);
    for secret in secrets_in_path(url) {
        safe.set_path(&safe.path().replace(secret, MASK));
    }
    if safe.query().is_some() {
        safe.set_query(Some("…"));
        return safe.to_string().replace("%E2%80%A6", "…");
    }
    safe.into()
}

/// The segments of the path that look like secrets, as webhooks have them.
pub(crate) fn secrets_in_path(url: &Url) -> impl Iterator<Item = &str> {
    let segments: Vec<&str> = url.path().split('/').collect();
    let secret = move |at: usize| is_webhook_secret(&segments, at).then_some(segments[at]);
    (0..url.path().split('/').count()).filter_map(secret)
}

/// Whether the segment `at` is random, or the key of a webhook.
fn is_webhook_secret(segments: &[&str], at: usize) -> bool {
    is_webhook_key(segments, at) || is_random(segments[at])
}

/// Where the key stands in the path of a webhook of Bitrix24.
pub(crate) fn webhook_key(segments: &[&str]) -> Option<usize> {
    (0..segments.len()).find(|at| is_webhook_key(segments, *at))
}

/// Whether the segment `at` is the key in Bitrix24's `/rest/USER/KEY/` or `/rest/api/USER/KEY/`.
fn is_webhook_key(segments: &[&str], at: usize) -> bool {
    let is = |back: usize, name: &str| {
        at.checked_sub(back).is_some_and(|at| segments[at].eq_ignore_ascii_case(name))
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_user = at >= 1 && is_number(segments[at - 1]);
    is_user && (is(2, "rest") || is(2, "api") && is(3, "rest")) && segments[at].len() >= 8
}

/// Whether `text` is long and changes between letters, capitals and digits as no name does.
fn is_random(text: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 1,
        b'A'..=b'Z' => 2,
        b'a'..=b'z' => 3,
        _ => 0,
    };
    let classes: Vec<u8> = text.bytes().map(class).filter(|class| *class > 0).collect();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    classes.len() >= 16 && digits >= 2 && changes >= 4
}

/// A text with malformed URLs, without the parts of them that may be secret: what stands in front
/// of an `@`, and what follows a `?`.
pub(crate) fn without_secrets(text: &str) -> String {
    let safe = |word: &str| {
        let word = word.rsplit_once('@').map_or(word, |(_, rest)| rest);
        let segments: Vec<&str> = word.split('/').collect();
        let segment = |at| if is_webhook_secret(&segments, at) { MASK } else { segments[at] };
        let word = (0..segments.len()).map(segment).collect::<Vec<_>>().join("/");
        match word.split_once('?') {
            Some((url, query)) if !query.is_empty() => format!("{url}?…"),
            _ => word,
        }
    };
    text.split_whitespace().map(safe).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_every_place() {
        let secrets = Secrets::default();
        for value in ["t0ken", "token-long", "abc"] {
            secrets.add(value);
        }
        assert_eq!(secrets.redact("a token-long b t0ken abc"), "a *** b *** abc");
        assert_eq!(format!("{secrets:?}"), "Secrets(2 values)");
    }

    #[test]
    fn what_passes_displaces_only_what_came_from_there() {
        let secrets = Secrets::default();
        secrets.add("configured");
        secrets.add_of(Origin::Session, "session-1");
        for number in 0..1000 {
            secrets.add_of(Origin::Cookie, &format!("cookie-{number:04}"));
            secrets.add_of(Origin::Cookie, "cookie-kept");
        }
        let shown = secrets.redact("configured session-1 cookie-kept cookie-0999 cookie-0000");
        assert_eq!(shown, "*** *** *** *** cookie-0000");
        assert_eq!(format!("{secrets:?}"), format!("Secrets({} values)", MAX_PASSING + 2));
    }

    #[test]
    fn a_number_that_counts_is_no_secret() {
        let secrets = Secrets::default();
        secrets.add("1234");
        for ours in ["in 1234 ms", "1234 bytes", "line 1234", "than 1234", "elapsed=1234ms"] {
            assert_eq!(secrets.redact(ours), ours);
        }
        for echo in ["password 1234 is wrong", "(1234)", "\"1234\"", "1234", "login: 1234."] {
            assert!(!secrets.redact(echo).contains("1234"), "{echo}");
        }
    }

    #[test]
    fn our_own_words_stay_whole() {
        let ours = "--password-file http://127.0.0.1:1234/mcp error MCPLINE_PASSWORD 12345 ms";
        for secret in ["password", "http", "1234", "error", "file"] {
            let secrets = Secrets::default();
            secrets.add(secret);
            assert_eq!(secrets.redact(ours), ours, "{secret}");
            let echo = format!("said key={secret}&x \"{secret}\"");
            assert!(!secrets.redact(&echo).contains(secret), "{secret}");
        }
        let secrets = Secrets::default();
        secrets.add("form");
        assert_eq!(secrets.redact("information of form."), "information of ***.");
    }

    #[test]
    fn a_secret_in_the_path_of_a_url_is_masked() {
        let cases = [
            ("https://p.example/rest/1/abcdefghij/mcp", "https://p.example/rest/1/***/mcp"),
            ("https://p.example/rest/api/1/abcdefghij/x", "https://p.example/rest/api/1/***/x"),
            ("https://h/hook/0f8e1c2d3b4a5968/x", "https://h/hook/***/x"),
            ("https://h/3f2504e0-4f89-41d3-9a0c-0305e82c3301", "https://h/***"),
            ("https://h/base-2024-production-mcp/v1", "https://h/base-2024-production-mcp/v1"),
            ("http://srv/buhgalteria_corp/hs/mcp", "http://srv/buhgalteria_corp/hs/mcp"),
        ];
        for (url, expected) in cases {
            assert_eq!(shown(&Url::parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn a_malformed_url_shows_no_secret_either() {
        let cases = [
            ("user:pw@host/mcp is", "host/mcp is"),
            ("'http://u:p@h:99999/x?key=1' found", "h:99999/x?… found"),
            ("what is this? nothing", "what is this? nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_secrets(text), expected);
        }
    }

    #[test]
    fn a_shown_url_has_no_credentials_and_no_query() {
        let shown = |url: &str| shown(&Url::parse(url).unwrap());
        assert_eq!(shown("http://user:pw@host/mcp?key=1#x"), "http://host/mcp?…");
        assert_eq!(shown("https://host:8443/a"), "https://host:8443/a");
    }
}
