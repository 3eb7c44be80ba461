//! The arguments of a tool, read with complaints in Russian: they end up in front of the model
//! that has to put the call right.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::values::Date;

/// Why a call is refused, as one sentence.
pub(super) type Complaint = String;

#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Models often write `null` for what they leave out, so it means just that.
    fn given(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Complaint> {
        let Some(value) = self.given(name) else {
            return Ok(None);
        };
        let text = value.as_str().map(str::trim);
        text.map(Some).ok_or_else(|| format!("Параметр '{name}' должен быть строкой"))
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&str, Complaint> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Complaint> {
        match self.given(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("Параметр '{name}' должен быть true или false")),
        }
    }

    pub(super) fn integer(
        &self,
        name: &str,
        range: &RangeInclusive<u32>,
    ) -> Result<Option<u32>, Complaint> {
        let Some(value) = self.given(name) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            format!("Параметр '{name}' должен быть целым числом от {from} до {to}")
        })
    }

    pub(super) fn required_integer(
        &self,
        name: &str,
        range: &RangeInclusive<u32>,
    ) -> Result<u32, Complaint> {
        self.integer(name, range)?.ok_or_else(|| missing(name))
    }

    /// A number of seconds, not necessarily whole. Not given, it is none.
    pub(super) fn seconds(&self, name: &str, most: u32) -> Result<Duration, Complaint> {
        let Some(value) = self.given(name) else {
            return Ok(Duration::ZERO);
        };
        let seconds = value.as_f64().filter(|seconds| *seconds <= f64::from(most));
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        duration.ok_or_else(|| format!("Параметр '{name}' должен быть числом от 0 до {most}"))
    }

    pub(super) fn date(&self, name: &str) -> Result<Option<Date>, Complaint> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let date = Date::parse(text);
        date.map(Some).ok_or_else(|| {
            format!("Параметр '{name}' должен быть датой вида 2026-11-20, получено '{text}'")
        })
    }

    /// A list of objects, each of which is read like arguments.
    pub(super) fn required_rows(&self, name: &str) -> Result<Vec<Self>, Complaint> {
        let rows = self.given(name).ok_or_else(|| missing(name))?;
        Vec::deserialize(rows)
            .map_err(|_| format!("Параметр '{name}' должен быть массивом объектов"))
    }
}

fn missing(name: &str) -> Complaint {
    format!("Не указан обязательный параметр '{name}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(json: &str) -> Arguments {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn null_is_not_given() {
        let none = arguments(r#"{"text": null, "rows": null}"#);
        assert_eq!(none.text("text"), Ok(None));
        assert_eq!(none.integer("text", &(1..=5)), Ok(None));
        assert_eq!(none.seconds("text", 30), Ok(Duration::ZERO));
        assert_eq!(none.flag("text"), Ok(false));
        assert!(none.required_rows("rows").unwrap_err().contains("Не указан"));
    }

    #[test]
    fn wrong_values_are_named() {
        let wrong = arguments(
            r#"{"number": 1.5, "text": 7, "date": "вчера", "flag": "да", "rows": [1], "long": 31}"#,
        );
        for complaint in [
            wrong.integer("number", &(1..=5)).unwrap_err(),
            wrong.required_integer("text", &(1..=5)).unwrap_err(),
            wrong.required_text("text").unwrap_err(),
            wrong.date("date").unwrap_err(),
            wrong.flag("flag").unwrap_err(),
            wrong.seconds("long", 30).unwrap_err(),
            wrong.seconds("flag", 30).unwrap_err(),
            wrong.required_rows("rows").map(|_| ()).unwrap_err(),
        ] {
            assert!(complaint.starts_with("Параметр '"), "{complaint}");
        }
        assert!(arguments(r#"{"s": -1}"#).seconds("s", 30).is_err());
    }

    #[test]
    fn right_values_are_read() {
        let right =
            arguments(r#"{"text": " а ", "number": 5, "seconds": 0.25, "rows": [{"n": 1}]}"#);
        assert_eq!(right.required_text("text"), Ok("а"));
        assert_eq!(right.integer("number", &(1..=5)), Ok(Some(5)));
        assert_eq!(right.seconds("seconds", 30), Ok(Duration::from_millis(250)));
        let rows = right.required_rows("rows").unwrap();
        assert_eq!(rows[0].required_integer("n", &(1..=5)), Ok(1));
    }
}
