//! Reads points in time as people and models write them, into the Unix seconds that amoCRM wants.

use serde_json::Value;
use time::{Date, Month};

/// Unix seconds of `value`: a number or digits unchanged, else an ISO 8601 date or date-time. UTC
/// and midnight are the defaults; fractions of a second are dropped.
pub(super) fn unix_seconds(value: &Value) -> Option<i64> {
    let Some(text) = value.as_str().map(str::trim) else {
        return value.as_i64();
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => Some(midnight(date)? + second_of_day(time)?),
        None => midnight(text),
    }
}

/// The first second of `date`, which is YYYY-MM-DD.
fn midnight(date: &str) -> Option<i64> {
    let (year, rest) = date.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let year = i32::try_from(digits(year, 4)?).ok().filter(|year| *year > 0)?;
    let month = Month::try_from(u8::try_from(digits(month, 2)?).ok()?).ok()?;
    let day = u8::try_from(digits(day, 2)?).ok()?;
    let date = Date::from_calendar_date(year, month, day).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp())
}

/// Seconds since midnight UTC of `time`: HH:MM, then optional seconds, fraction and offset.
fn second_of_day(time: &str) -> Option<i64> {
    let (time, offset) = if let Some(time) = time.strip_suffix(['Z', 'z']) {
        (time, 0)
    } else if let Some(sign) = time.find(['+', '-']) {
        let (hours, minutes) = match &time[sign + 1..] {
            hours if hours.len() == 2 => (hours, "00"),
            zone => zone.split_once(':').or_else(|| zone.split_at_checked(2))?,
        };
        let offset = minutes_of(hours, minutes)? * 60;
        (&time[..sign], if time[sign..].starts_with('-') { -offset } else { offset })
    } else {
        (time, 0)
    };
    let (hours, rest) = time.trim_end().split_once(':')?;
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "00"));
    let (seconds, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
    digits(fraction, fraction.len())?;
    let seconds = digits(seconds, 2).filter(|seconds| *seconds <= 60)?;
    Some(minutes_of(hours, minutes)? * 60 + seconds - offset)
}

fn minutes_of(hours: &str, minutes: &str) -> Option<i64> {
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// The number in `text`, which must be exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_unix_seconds() {
        let times = [
            ("0", 0),
            ("1735689600", 1_735_689_600),
            ("1970-01-01", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2025-01-01", 1_735_689_600),
            ("2024-02-29", 1_709_164_800),
            ("2000-02-29T00:00", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2100-03-01", 4_107_542_400),
            ("0001-01-01", -62_135_596_800),
            (" 2025-01-01T03:00:00+03:00 ", 1_735_689_600),
            ("2025-01-01 03:00 +0300", 1_735_689_600),
            ("2024-12-31t19:30:00.999-04:30", 1_735_689_600),
            ("2025-01-01T02:00:00,5+02", 1_735_689_600),
            ("2025-12-31T23:59:60z", 1_767_225_600),
        ];
        for (text, seconds) in times {
            assert_eq!(unix_seconds(&Value::from(text)), Some(seconds), "{text}");
        }
        assert_eq!(unix_seconds(&Value::from(1_735_689_600)), Some(1_735_689_600));
    }

    #[test]
    fn anything_else_is_refused() {
        let texts = [
            "",
            "завтра",
            "2025-1-1",
            "2025-13-01",
            "2025-00-10",
            "2025-04-31",
            "2025-02-29",
            "1900-02-29",
            "2025-01-00",
            "0000-01-01",
            "+2025-01-01",
            "2025-01-01T",
            "2025-01-01T24:00",
            "2025-01-01T10:60",
            "2025-01-01T10",
            "2025-01-01T10:00:61",
            "2025-01-01T10:00:00.",
            "2025-01-01T10:00+3",
            "2025-01-01T10:00+é0",
            "2025-01-01T10:00+03:00Z",
            "99999999999999999999",
        ];
        for text in texts {
            assert_eq!(unix_seconds(&Value::from(text)), None, "{text}");
        }
        for value in [Value::Null, Value::from(true), Value::from(1.5)] {
            assert_eq!(unix_seconds(&value), None, "{value}");
        }
    }
}
