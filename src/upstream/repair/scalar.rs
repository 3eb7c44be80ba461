//! Strings, numbers and booleans that stand where the schema wants another of these. What can mean
//! one thing only is converted.

use super::fit::Fit;
use crate::jsonrpc::to_json;
use crate::upstream::json::string;

/// The most digits that every client reads without a loss.
const MAX_DIGITS: usize = 15;

/// A string.
pub(super) fn text(value: &str) -> Fit {
    match value.as_bytes().first() {
        Some(b'"') => Fit::Fits,
        Some(b'-' | b'0'..=b'9' | b't' | b'f') => Fit::Becomes(to_json(&value)),
        _ => Fit::Unfit,
    }
}

/// A string that is not empty.
pub(super) fn name(value: &str) -> Fit {
    let is_empty = || string(value).is_some_and(|text| text.trim().is_empty());
    // A long one is not decoded to find out.
    if value.len() < 256 && is_empty() { Fit::Unfit } else { text(value) }
}

/// What services write for the two booleans: their own languages, and 1C's two ways to turn one into
/// a text.
const FLAGS: [(&str, bool); 12] = [
    ("true", true),
    ("1", true),
    ("yes", true),
    ("on", true),
    ("истина", true),
    ("да", true),
    ("false", false),
    ("0", false),
    ("no", false),
    ("off", false),
    ("ложь", false),
    ("нет", false),
];

/// `true` or `false`.
pub(super) fn flag(value: &str) -> Fit {
    if matches!(value, "true" | "false") {
        return Fit::Fits;
    }
    let word = string(value).unwrap_or_else(|| value.to_owned());
    let word = word.trim().to_lowercase();
    match FLAGS.iter().find(|(known, _)| *known == word) {
        Some((_, flag)) => Fit::Becomes(flag.to_string()),
        None => Fit::Unfit,
    }
}

/// The text of a number as people and 1C write it: digits in groups, a comma before the fraction.
fn plain_number(value: &str) -> Option<String> {
    let text = string(value)?;
    let is_filler = |letter: char| letter.is_whitespace() || letter == '\'';
    let plain: String = text.chars().filter(|letter| !is_filler(*letter)).collect();
    Some(plain.replace(',', "."))
}

/// An integer that is not negative.
pub(super) fn count(value: &str) -> Fit {
    if value.starts_with(|first: char| first.is_ascii_digit()) {
        let is_integer = value.bytes().all(|byte| byte.is_ascii_digit())
            || value.parse().is_ok_and(|number: f64| number.fract() == 0.0);
        return if is_integer { Fit::Fits } else { Fit::Unfit };
    }
    let Some(plain) = plain_number(value) else { return Fit::Unfit };
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let is_count = (1..=MAX_DIGITS).contains(&whole.len())
        && whole.bytes().all(|byte| byte.is_ascii_digit())
        // Three zeros may be thousands, or a fraction.
        && fraction.len() < 3
        && fraction.bytes().all(|byte| byte == b'0');
    match whole.parse::<u64>() {
        Ok(count) if is_count => Fit::Becomes(count.to_string()),
        _ => Fit::Unfit,
    }
}

/// A number from 0 to 1.
pub(super) fn fraction(value: &str) -> Fit {
    let is_in_range = |number: &f64| (0.0..=1.0).contains(number);
    if let Ok(number) = value.parse::<f64>() {
        return if is_in_range(&number) { Fit::Fits } else { Fit::Unfit };
    }
    let number = plain_number(value).and_then(|plain| plain.parse::<f64>().ok());
    match number.filter(is_in_range) {
        Some(number) => Fit::Becomes(number.to_string()),
        None => Fit::Unfit,
    }
}

/// A string or an integer.
pub(super) fn token(value: &str) -> Fit {
    let is_integer = value.parse::<i64>().is_ok();
    if value.starts_with('"') || is_integer { Fit::Fits } else { Fit::Unfit }
}

/// One of the strings `known`.
pub(super) fn one_of(value: &str, known: &[&str]) -> Fit {
    let Some(text) = string(value) else { return Fit::Unfit };
    if known.contains(&text.as_str()) {
        return Fit::Fits;
    }
    let small = text.trim().to_lowercase();
    match known.iter().find(|known| **known == small) {
        Some(known) => Fit::Becomes(to_json(known)),
        None => Fit::Unfit,
    }
}

/// A date with a time and an offset (RFC 3339). Without an offset it may mean any hour of a day.
pub(super) fn moment(value: &str) -> Fit {
    if string(value).is_some_and(|text| is_moment(&text)) { Fit::Fits } else { Fit::Unfit }
}

fn is_moment(text: &str) -> bool {
    let number = |part: &str| {
        let is_digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if is_digits { part.parse::<u32>().ok() } else { None }
    };
    let Some((date, rest)) = text.split_once('T') else { return false };
    let (time, offset) = match rest.strip_suffix('Z') {
        Some(time) => (time, "00:00"),
        None => match rest.rfind(['+', '-']) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => return false,
        },
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let date: Vec<_> = date.split('-').map(number).collect();
    let clock: Vec<_> = clock.split(':').map(number).collect();
    let offset: Vec<_> = offset.split(':').map(number).collect();
    let is_date = match date.as_slice() {
        [Some(year), Some(month), Some(day)] => {
            text.as_bytes().get(4) == Some(&b'-')
                && text.as_bytes().get(7) == Some(&b'-')
                && (1..=days(*year, *month)).contains(day)
        }
        _ => false,
    };
    let is_clock = |parts: &[Option<u32>]| match parts {
        [Some(hour), Some(minute), rest @ ..] => {
            *hour < 24 && *minute < 60 && matches!(rest, [] | [Some(..60)])
        }
        _ => false,
    };
    is_date && is_clock(&clock) && is_clock(&offset) && number(fraction).is_some()
}

/// The days of a month; 0 for what is not a month.
fn days(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Bytes in Base64, in one line, with the standard alphabet and padding.
pub(super) fn base64(value: &str) -> Fit {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return Fit::Unfit;
    };
    if is_base64(inner) {
        return Fit::Fits;
    }
    let Some(text) = string(value) else { return Fit::Unfit };
    if is_base64(&text) {
        return Fit::Fits;
    }
    let (_, data) = data_url(&text).unwrap_or(("", &text));
    let mut data: String = data.split_whitespace().collect();
    data = data.replace('-', "+").replace('_', "/");
    while data.len() % 4 > 1 {
        data.push('=');
    }
    if is_base64(&data) { Fit::Becomes(to_json(&data)) } else { Fit::Unfit }
}

/// The media type and the data of a URL that holds both.
pub(super) fn data_url(text: &str) -> Option<(&str, &str)> {
    let (head, data) = text.trim_start().strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

fn is_base64(text: &str) -> bool {
    let data = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && data.bytes().all(is_digit)
}
