//! The sample portal: the data, and as much of the REST API of Bitrix24 as the tools and the
//! resources need. `records.json` is the state at the start; only `….add` changes it.

use serde_json::{Map, Value};

use super::super::records::{Query, merge, next_id, position};
use super::super::shape::{fill, items, load, members, object, set, text};
use super::DATA;

/// The records by the prefix of the methods that they are reached with.
///
/// The portal's notion of today is 20.11.2026. The clock is not asked, so that a suggested period
/// always holds something.
pub(super) struct Portal(Value);

impl Portal {
    pub(super) fn new() -> Self {
        Self(load(include_str!("records.json")))
    }

    /// Calls a method of the REST API; `None` where the portal answers with an error.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Option<Value> {
        let (entity, verb) = method.rsplit_once('.')?;
        let records = self.0.get_mut(entity)?;
        let select = &params["select"];
        let mut values = Map::new().into();
        let result = match verb {
            "list" | "get" if verb == "list" || entity == "user" => {
                let number = |name: &str| params[name].as_u64().and_then(|it| it.try_into().ok());
                let start = number("start").unwrap_or(0);
                let limit = number("limit").unwrap_or(50);
                let (filter, order) = (&params["filter"], &params["order"]);
                let (found, all) = Query { filter, order, start, limit }.run(records);
                let end = start + found.len();
                set(&mut values, "total", all.into());
                if end < all {
                    set(&mut values, "next", end.into());
                }
                let found = found.iter().map(|record| selected(record, select)).collect();
                // Tasks come inside an object, everything else does not.
                if entity == "tasks.task" { object("tasks", found) } else { found }
            }
            "get" => {
                let place = position(records, &text(&params["ID"]))?;
                selected(&items(records)[place], select)
            }
            "add" if entity.starts_with("crm.") => {
                let id = next_id(records);
                let mut record = DATA["new"].clone();
                merge(&mut record, params.get("fields")?);
                set(&mut record, "ID", id.to_string().into());
                records.as_array_mut()?.push(record);
                id.into()
            }
            _ => return None,
        };
        set(&mut values, "result", result);
        Some(fill(&DATA["listed"], &values))
    }
}

/// The record with the fields asked for; all of them when there is no list or it has a `*`.
fn selected(record: &Value, select: &Value) -> Value {
    let names = items(select);
    let asked = |wanted: &str| names.iter().any(|name| name == wanted);
    let mut selected = Map::new().into();
    for (name, value) in members(record) {
        if name == "ID" || names.is_empty() || asked("*") || asked(name) {
            set(&mut selected, name, value.clone());
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::records::field;
    use super::*;

    fn call(method: &str, params: &Value) -> Option<Value> {
        Portal::new().call(method, params)
    }

    #[test]
    fn lists_have_order_pages_and_fields() {
        let params = json!({"order": {"OPPORTUNITY": "DESC"}, "start": 1, "limit": 2,
            "select": ["TITLE"]});
        let answer = call("crm.deal.list", &params).unwrap();
        assert_eq!(
            answer["result"],
            json!([{"ID": "2", "TITLE": "Полив для питомника"},
                {"ID": "1", "TITLE": "Инвентарь для весеннего сезона"}])
        );
        assert_eq!((&answer["total"], &answer["next"]), (&json!(6), &json!(3)));
        assert!(answer["time"]["start"].is_u64());

        let answer = call("user.get", &json!({"filter": {"%LAST_NAME": "гус"}})).unwrap();
        assert_eq!(answer["result"][0]["NAME"], "Дмитрий");
        assert!(answer.get("next").is_none());
        let answer = call("user.get", &json!({"select": ["*"], "start": 9})).unwrap();
        assert_eq!((&answer["result"], &answer["total"]), (&json!([]), &json!(3)));
    }

    #[test]
    fn tasks_are_inside_an_object_and_asked_for_in_capitals() {
        let params = json!({"filter": {">=CHANGED_DATE": "2026-11-20T00:00:00"}});
        let answer = call("tasks.task.list", &params).unwrap();
        assert_eq!(answer["result"]["tasks"][0]["id"], "53");
        assert_eq!(answer["total"], 1);
    }

    #[test]
    fn what_is_added_is_there_with_an_id_of_its_own() {
        let mut portal = Portal::new();
        let fields = json!({"fields": {"TITLE": "Лейки", "ID": "1"}});
        for id in [7, 8] {
            assert_eq!(portal.call("crm.deal.add", &fields).unwrap()["result"], id);
        }
        let added = portal.call("crm.deal.get", &json!({"ID": 8})).unwrap();
        assert_eq!(added["result"]["TITLE"], "Лейки");
        assert!(field(&added["result"], "DATE_CREATE").starts_with("2026-11-20T"));
    }

    #[test]
    fn what_the_portal_cannot_do_is_nothing() {
        for (method, params) in [
            ("crm.deal.delete", json!({"ID": 1})),
            ("crm.deal.get", json!({"ID": 77})),
            ("crm.deal.get", json!({})),
            ("crm.deal.add", json!({})),
            ("user.add", json!({"fields": {}})),
            ("profile", json!({})),
            ("no.list", json!({})),
        ] {
            assert!(call(method, &params).is_none(), "{method}");
        }
    }

    #[test]
    fn the_shipped_data_are_consistent() {
        let Portal(data) = Portal::new();
        for (entity, records) in members(&data) {
            for record in items(records) {
                for date in ["DATE_CREATE", "DATE_MODIFY", "CREATED_DATE", "CHANGED_DATE"] {
                    assert!(&*field(record, date) < "2026-11-20T12", "{entity}: {record}");
                }
                for (name, other) in [
                    ("COMPANY_ID", "crm.company"),
                    ("CONTACT_ID", "crm.contact"),
                    ("ASSIGNED_BY_ID", "user"),
                    ("RESPONSIBLE_ID", "user"),
                ] {
                    let id = field(record, name);
                    let known = position(&data[other], &id).is_some();
                    assert!(id.is_empty() || known, "{entity}: {record}");
                }
            }
        }
    }
}
