//! Sums and dates: exact, compared by value, and written the way a Russian reader expects.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

use serde::de::Error;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A sum in kopecks. In JSON it is a number of roubles, taken by its digits: a floating-point
/// number in between would lose kopecks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Money(i64);

impl Money {
    fn parse(text: &str) -> Option<Self> {
        let (roubles, kopecks) = text.split_once('.').unwrap_or((text, "00"));
        if kopecks.len() != 2 || !kopecks.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let roubles: u32 = roubles.parse().ok()?;
        let kopecks: u32 = kopecks.parse().ok()?;
        Some(Self(i64::from(roubles) * 100 + i64::from(kopecks)))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kopecks = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let roubles = (kopecks / 100).to_string();
        for (index, digit) in roubles.char_indices() {
            if index > 0 && (roubles.len() - index).is_multiple_of(3) {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, ",{:02}", kopecks % 100)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<u32> for Money {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self(self.0 * i64::from(times))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), Add::add)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).ok_or_else(|| D::Error::custom("a sum in roubles is expected"))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        let kopecks = self.0.unsigned_abs();
        let text = format!("{sign}{}.{:02}", kopecks / 100, kopecks % 100);
        let raw = RawValue::from_string(text).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// A day. The fields stand in the order in which dates compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Reads `2026-11-20`, also with a time after a `T`, as the platform writes a date.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let day = text.split('T').next()?;
        let mut parts = day.splitn(3, '-');
        let mut part = |width: usize| {
            let digits = parts.next()?;
            let all = digits.len() == width && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| all)
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(())?;
        Some(Self { year, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()? })
    }

    pub(super) fn first_of_month(self) -> Self {
        Self { day: 1, ..self }
    }
}

impl TryFrom<String> for Date {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a date like 2026-11-20 is expected")
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{:02}.{:04}", self.day, self.month, self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_grouped() {
        for (text, written) in [
            ("0.00", "0,00"),
            ("48.90", "48,90"),
            ("999.99", "999,99"),
            ("1150.00", "1 150,00"),
            ("1234567.05", "1 234 567,05"),
            ("42", "42,00"),
        ] {
            assert_eq!(Money::parse(text).unwrap().to_string(), written);
        }
        assert_eq!((Money(0) - Money(123_456)).to_string(), "-1 234,56");
        assert_eq!((Money(4_890) * 400).to_string(), "19 560,00");
    }

    #[test]
    fn sums_are_numbers_in_json() {
        let sum: Money = serde_json::from_str("320.50").unwrap();
        assert_eq!(serde_json::to_string(&sum).unwrap(), "320.50");
        for wrong in ["-1.00", "1.5", "1.505", "\"1.00\"", "1e3", "1.+5"] {
            assert!(serde_json::from_str::<Money>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_checked() {
        for right in ["2026-11-20", "2026-11-20T10:15:00", "2024-02-29", "2000-02-29"] {
            assert!(Date::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "2026-11",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-02-29",
            "1900-02-29",
            "20.11.2026",
            "26-11-20",
            "2026-11-+1",
            "2026-1-01",
            "2026-11-20-1",
            "2026-11-00",
        ] {
            assert!(Date::parse(wrong).is_none(), "{wrong}");
        }
        let date = Date::parse("2026-11-20").unwrap();
        assert_eq!(date.to_string(), "20.11.2026");
        assert!(date.first_of_month() < date);
    }
}
