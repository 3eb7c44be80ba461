//! Tables of records, as the sample CRMs keep them: arrays of objects with an id each.

use std::cmp::Ordering;

use serde_json::Value;

use super::shape::{items, members, set, text};

/// Operators of a rule. The longer ones stand first because they are looked for in this order.
const OPERATORS: [&str; 8] = [">=", "<=", "!=", ">", "<", "=", "!", "%"];

/// Which records to take: rules such as `{">=DATE_CREATE": "2026-11-01"}` all of which have to
/// hold, an order such as `{"ID": "DESC"}`, and a page of the outcome.
pub(super) struct Query<'a> {
    pub(super) filter: &'a Value,
    pub(super) order: &'a Value,
    pub(super) start: usize,
    pub(super) limit: usize,
}

impl Query<'_> {
    /// The records of the page, and how many there are on all pages.
    pub(super) fn run(&self, records: &Value) -> (Vec<Value>, usize) {
        let mut found: Vec<&Value> = Vec::new();
        for record in items(records) {
            if members(self.filter).all(|(rule, wanted)| satisfies(record, rule, wanted)) {
                let after = |other: &&Value| self.compared(record, other).is_lt();
                let place = found.iter().position(after).unwrap_or(found.len());
                found.insert(place, record);
            }
        }
        let total = found.len();
        let page = found.into_iter().skip(self.start).take(self.limit);
        (page.cloned().collect(), total)
    }

    fn compared(&self, one: &Value, other: &Value) -> Ordering {
        for (name, direction) in members(self.order) {
            let order = compared(&field(one, name), &field(other, name));
            if order.is_ne() {
                let descending = text(direction).eq_ignore_ascii_case("desc");
                return if descending { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }
}

/// The position of the record with that id.
pub(super) fn position(records: &Value, id: &str) -> Option<usize> {
    items(records).iter().position(|record| field(record, "id") == id)
}

pub(super) fn next_id(records: &Value) -> u64 {
    let ids = items(records).iter().filter_map(|record| field(record, "id").parse().ok());
    ids.max().unwrap_or(0) + 1
}

/// Lays the fields over a record.
pub(super) fn merge(record: &mut Value, fields: &Value) {
    for (name, value) in members(fields) {
        set(record, name, value.clone());
    }
}

/// Whether a record has what one rule asks for. A rule without a field is about the whole record.
fn satisfies(record: &Value, rule: &str, wanted: &Value) -> bool {
    let rule = rule.trim_start_matches('@');
    let operator = OPERATORS.into_iter().find(|operator| rule.starts_with(operator));
    let operator = operator.unwrap_or_default();
    let name = &rule[operator.len()..];
    let have = if name.is_empty() { text(record) } else { field(record, name) };
    let mut any = wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice).iter();
    let is = |wanted: &Value| compared(&have, &text(wanted));
    match operator {
        ">=" => any.all(|wanted| is(wanted).is_ge()),
        "<=" => any.all(|wanted| is(wanted).is_le()),
        ">" => any.all(|wanted| is(wanted).is_gt()),
        "<" => any.all(|wanted| is(wanted).is_lt()),
        "%" => any.any(|wanted| have.to_lowercase().contains(&text(wanted).to_lowercase())),
        "!" | "!=" => any.all(|wanted| is(wanted).is_ne()),
        _ => any.any(|wanted| is(wanted).is_eq()),
    }
}

/// The text of a field, of the first value where there are several, as with phone numbers. Its
/// name may be asked for in capitals or in camel case.
pub(super) fn field(record: &Value, name: &str) -> String {
    let letters = |name: &str| {
        let letters = name.bytes().filter(|letter| *letter != b'_');
        letters.map(|letter| letter.to_ascii_lowercase()).collect::<Vec<u8>>()
    };
    let name = letters(name);
    let found = members(record).find(|(other, _)| letters(other) == name);
    match found {
        Some((_, Value::Array(values))) => values.first().map(|first| text(&first["VALUE"])),
        found => found.map(|(_, value)| text(value)),
    }
    .unwrap_or_default()
}

/// Compares as numbers what are numbers, and everything else as text. That is right for dates as
/// long as they are all of one time zone.
fn compared(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn records() -> Value {
        json!([
            {"id": 1, "TITLE": "Лейка", "PRICE": "320.50", "made": "2026-11-03T10:00:00", "new": false},
            {"id": 2, "TITLE": "Бочка", "PRICE": "2990", "made": "2026-11-05T12:00:00", "new": true},
            {"id": 10, "TITLE": "Тачка", "PRICE": "2990.00", "made": "2026-11-05T09:00:00",
                "PHONE": [{"VALUE": "+7000"}]}
        ])
    }

    fn found(filter: &Value, order: &Value, start: usize, limit: usize) -> Vec<u64> {
        let (page, _) = Query { filter, order, start, limit }.run(&records());
        page.iter().map(|record| record["id"].as_u64().unwrap()).collect()
    }

    #[test]
    fn rules_know_the_operators() {
        for (filter, ids) in [
            (json!({}), &[1, 2, 10][..]),
            (json!({"TITLE": "Бочка"}), &[2]),
            (json!({"=title": ["Лейка", "Тачка"]}), &[1, 10]),
            (json!({"@ID": [2]}), &[2]),
            (json!({"!TITLE": "Бочка"}), &[1, 10]),
            (json!({"!=TITLE": ["Бочка", "Лейка"]}), &[10]),
            (json!({">PRICE": 320.5}), &[2, 10]),
            (json!({">=PRICE": "320.5"}), &[1, 2, 10]),
            (json!({"<PRICE": 2990}), &[1]),
            (json!({"%TITLE": "ЧКА"}), &[2, 10]),
            (json!({"%": "лейка"}), &[1]),
            (json!({">=MADE": "2026-11-05", "<=MADE": "2026-11-05T10"}), &[10]),
            (json!({"=PHONE": "+7000"}), &[10]),
            (json!({"=new": 0}), &[1]),
            (json!({"=NO_SUCH_FIELD": "1"}), &[]),
        ] {
            assert_eq!(found(&filter, &Value::Null, 0, 9), ids, "{filter}");
        }
    }

    #[test]
    fn order_and_pages() {
        assert_eq!(found(&Value::Null, &json!({"id": "DESC"}), 0, 9), [10, 2, 1]);
        // What is equal keeps its order.
        assert_eq!(found(&Value::Null, &json!({"PRICE": "desc"}), 0, 9), [2, 10, 1]);
        assert_eq!(found(&Value::Null, &json!({"PRICE": "ASC", "made": "ASC"}), 1, 1), [10]);
        let all = Query { filter: &Value::Null, order: &Value::Null, start: 2, limit: 5 };
        let (page, total) = all.run(&records());
        assert_eq!((page.len(), total), (1, 3));
    }

    #[test]
    fn ids_are_numbers_however_they_are_written() {
        assert_eq!(next_id(&records()), 11);
        assert_eq!(next_id(&json!([{"ID": "9"}, {"ID": "11"}])), 12);
        assert_eq!(position(&records(), "10"), Some(2));
        assert_eq!(position(&records(), "3"), None);
    }
}
