//! The sample account: the data, and as much of the API v4 of amoCRM as the tools and the REST
//! part of the service need. `records.json` is the state at the start.

use serde_json::{Map, Value};

use super::super::records::{Query, merge, next_id, position};
use super::super::shape::{fill, items, load, members, object, set, text};
use super::DATA;

/// The records by their kind.
///
/// The account's notion of today is 20.11.2026. The clock is not asked, so that the answers of the
/// demo are the same every day.
pub(super) struct Crm(Value);

/// An answer of amoCRM, which is a document whatever it says, or the text of the exception that
/// the service ends in before it asks.
pub(super) type Outcome = Result<Value, String>;

impl Crm {
    pub(super) fn new() -> Self {
        Self(load(include_str!("records.json")))
    }

    /// One request to the API. The path is what follows `/api/v4/`.
    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        params: &Value,
        body: &Value,
    ) -> Outcome {
        let steps: Vec<&str> = path.split('/').collect();
        let step = |place: usize| steps.get(place).copied().unwrap_or_default();
        let (mut kind, mut id, part) = (step(0), step(1), step(2));
        if kind == "account" {
            return Ok(DATA["documents"]["/api/account"].clone());
        }
        if id == "pipelines" {
            (kind, id) = (id, part);
        }
        let Some(records) = self.0.get_mut(kind) else {
            return Ok(problem(404, "Not Found"));
        };
        let template = DATA["new"].get(kind);
        Ok(match (method, template) {
            ("GET", _) if part == "notes" => {
                let mut filter = filter(params)?;
                set(&mut filter, "entity_type", kind.into());
                set(&mut filter, "entity_id", id.into());
                list(&self.0[part], part, params, &filter)
            }
            ("GET", _) if id.is_empty() => list(records, kind, params, &filter(params)?),
            ("GET", _) => {
                let found = position(records, id).map(|place| &items(records)[place]);
                found.unwrap_or(&DATA["no_content"]).clone()
            }
            ("POST", Some(template)) if id.is_empty() => create(records, kind, template, body),
            _ => problem(405, "Method Not Allowed"),
        })
    }
}

fn list(records: &Value, kind: &str, params: &Value, filter: &Value) -> Value {
    let number = |name: &str| text(&params[name]).parse::<usize>().ok();
    let (page, limit) = (number("page").unwrap_or(1), number("limit").unwrap_or(50));
    let start = page.saturating_sub(1).saturating_mul(limit);
    let (found, _) = Query { filter, order: &Value::Null, start, limit }.run(records);
    if found.is_empty() {
        return DATA["no_content"].clone();
    }
    shown(kind, Some(page), found)
}

fn shown(kind: &str, page: Option<usize>, records: Vec<Value>) -> Value {
    let mut values = object("kind", kind.into());
    set(&mut values, "page", page.into());
    set(&mut values, "embedded", object(kind, records.into()));
    fill(&DATA["page"], &values)
}

/// Creates records, one or a list of them.
fn create(records: &mut Value, kind: &str, template: &Value, body: &Value) -> Value {
    let required = if kind == "tasks" { "complete_till" } else { "name" };
    let mut created = Vec::new();
    for fields in body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice) {
        if fields[required].is_null() {
            return problem(400, "Bad Request");
        }
        let id = Value::from(next_id(records));
        let mut record = template.clone();
        merge(&mut record, fields);
        set(&mut record, "id", id.clone());
        if let Some(records) = records.as_array_mut() {
            records.push(record);
        }
        let mut values = object("kind", kind.into());
        set(&mut values, "id", id);
        set(&mut values, "request_id", created.len().to_string().into());
        created.push(fill(&DATA["written"], &values));
    }
    shown(kind, None, created)
}

fn problem(status: u16, title: &str) -> Value {
    let mut values = object("status", status.into());
    set(&mut values, "title", title.into());
    fill(&DATA["problem"], &values)
}

/// The rules that parameters such as `query`, `filter[created_at][from]` and `filter[type][0]`
/// stand for. Of several values for one field, any will do.
fn filter(params: &Value) -> Outcome {
    let mut rules = Map::new().into();
    for (name, wanted) in members(params) {
        if name == "query" {
            set(&mut rules, "%", wanted.clone());
        }
        let Some(name) = name.strip_prefix("filter[") else { continue };
        let (field, part) = name.split_once(']').unwrap_or((name, ""));
        let bound = match part {
            "[from]" => ">=",
            "[to]" => "<=",
            _ => "",
        };
        let rule = format!("{bound}{field}");
        let mut any = items(&rules[&rule]).to_vec();
        let given = wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice);
        for one in given.iter().map(text) {
            if bound.is_empty() {
                any.extend(one.split(',').map(|one| Value::from(one.trim())));
            } else {
                any.push(unix_time(&one)?.into());
            }
        }
        set(&mut rules, &rule, any.into());
    }
    Ok(rules)
}

/// Seconds since 1970, from a number or from an ISO 8601 date with or without a time. Whatever
/// stands behind the seconds is ignored: everything is in the time zone of the account.
fn unix_time(date: &str) -> Result<i64, String> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let parts = || Some((number(0, 4)?, number(5, 7)?, number(8, 10)?));
    if let Ok(seconds) = date.parse() {
        return Ok(seconds);
    }
    let Some((mut year, month @ 1..=12, day @ 1..=31)) = parts() else {
        return Err(format!("Invalid isoformat string: '{date}'"));
    };
    // Counted from 1 March, leap days come last; 719468 days lie before 1970.
    year -= i64::from(month < 3);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let two = |from: usize| number(from, from + 2).unwrap_or(0);
    Ok(days * 86_400 + two(11) * 3600 + two(14) * 60 + two(17) - 3 * 3600)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn get(path: &str, params: &Value) -> Value {
        Crm::new().request("GET", path, params, &Value::Null).unwrap()
    }

    fn ids(kind: &str, answer: &Value) -> Vec<String> {
        items(&answer["_embedded"][kind]).iter().map(|record| text(&record["id"])).collect()
    }

    #[test]
    fn lists_are_searched_filtered_and_cut() {
        for (kind, params, found) in [
            ("leads", json!({}), &["11", "12", "13", "14"][..]),
            ("leads", Value::Null, &["11", "12", "13", "14"]),
            ("leads", json!({"query": "ЛЕЙКИ"}), &["12"]),
            ("leads", json!({"limit": 2, "page": "2"}), &["13", "14"]),
            ("leads", json!({"filter[pipeline_id]": 72}), &["13"]),
            ("leads", json!({"filter[id][]": [11, 14]}), &["11", "14"]),
            ("contacts", json!({"query": "+70000000103"}), &["504"]),
            ("tasks", json!({"filter[is_completed]": 0}), &["801", "803"]),
            (
                "events",
                json!({"filter[type][0]": "outgoing_call", "filter[type][1]": "incoming_call"}),
                &["ev-2", "ev-5"],
            ),
            (
                "events",
                json!({"filter[created_at][from]": "1794486000",
                    "filter[created_at][to]": 1_794_984_300}),
                &["ev-2", "ev-3"],
            ),
            ("leads", json!({"page": 2}), &[]),
        ] {
            let answer = get(kind, &params);
            assert_eq!(ids(kind, &answer), found, "{params}");
            let nothing = json!({"status": "no_content", "code": 204});
            assert_eq!(answer == nothing, found.is_empty(), "{answer}");
        }
        let answer = get("leads", &json!({"page": 2, "limit": 3}));
        assert_eq!(answer["_page"], 2);
        assert_eq!(answer["_links"]["self"]["href"], "https://demo.amocrm.ru/api/v4/leads");
    }

    #[test]
    fn single_things_are_found_by_their_path() {
        let none = &Value::Null;
        assert_eq!(get("account", none)["subdomain"], "demo");
        assert_eq!(get("leads/12", none)["name"], "Лейки и шланги, опт");
        assert_eq!(get("leads/77", none)["code"], 204);
        assert_eq!(get("leads/pipelines/72", none)["name"], "Повторные продажи");
        assert_eq!(ids("pipelines", &get("leads/pipelines", none)), ["71", "72"]);
        assert_eq!(ids("notes", &get("leads/12/notes", none)), ["702"]);
        assert_eq!(ids("notes", &get("contacts/504/notes", &json!({"limit": 5}))), ["703"]);
    }

    #[test]
    fn what_is_created_stays() {
        let mut crm = Crm::new();
        let none = &Value::Null;
        let mut post = |kind: &str, body: Value| crm.request("POST", kind, none, &body).unwrap();
        let answer = post("leads", json!([{"name": "А"}, {"name": "Б", "price": 5}]));
        assert_eq!(ids("leads", &answer), ["15", "16"]);
        assert_eq!(answer["_embedded"]["leads"][1]["request_id"], "1");
        assert!(answer.get("_page").is_none());
        let task = json!({"text": "В", "complete_till": 1});
        assert_eq!(ids("tasks", &post("tasks", task)), ["804"]);

        let lead = crm.request("GET", "leads/16", none, none).unwrap();
        assert_eq!((&lead["name"], &lead["price"]), (&json!("Б"), &json!(5)));
        assert_eq!(lead["status_id"], 711, "a new lead begins at the first stage");
    }

    #[test]
    fn what_cannot_be_done_is_a_document_with_a_status() {
        for (method, path, body, status) in [
            ("GET", "nonsense", Value::Null, 404),
            ("DELETE", "leads/11", Value::Null, 405),
            ("POST", "users", json!([{"name": "А"}]), 405),
            ("POST", "leads", json!([{"name": null}]), 400),
            ("POST", "leads", json!(null), 400),
            ("POST", "leads/11", json!([{"name": "А"}]), 405),
            ("POST", "tasks", json!([{"text": "А"}]), 400),
            ("PATCH", "leads", json!([{"id": 11, "price": 1}]), 405),
        ] {
            let answer = Crm::new().request(method, path, &Value::Null, &body).unwrap();
            assert_eq!(answer["status"], status, "{method} {path}");
            assert_eq!(answer["type"], format!("https://httpstatus.es/{status}"));
        }
    }

    #[test]
    fn dates_are_read() {
        for (date, seconds) in [
            ("1970-01-01T03:00", 0),
            ("2024-02-29", 1_709_164_800 - 10_800),
            ("2024-03-01T00:00:00+03:00", 1_709_251_200 - 10_800),
            ("2026-11-20T12:00:00", 1_795_165_200),
            ("2026-11-20 12:00:01.250", 1_795_165_201),
            ("1795165200", 1_795_165_200),
        ] {
            assert_eq!(unix_time(date), Ok(seconds), "{date}");
        }
        for wrong in ["", "вчера", "2026-13-01", "2026-11-32", "20.11.2026"] {
            let exception = format!("Invalid isoformat string: '{wrong}'");
            assert_eq!(unix_time(wrong), Err(exception));
        }
    }

    #[test]
    fn the_shipped_data_are_consistent() {
        let Crm(data) = Crm::new();
        let records = |kind: &str| items(&data[kind]);
        let has = |kind: &str, id: &Value| records(kind).iter().any(|record| record["id"] == *id);
        for lead in records("leads") {
            assert!(has("pipelines", &lead["pipeline_id"]), "{lead}");
            assert!(has("users", &lead["responsible_user_id"]), "{lead}");
            assert!(has("contacts", &lead["_embedded"]["contacts"][0]["id"]), "{lead}");
        }
        for record in records("tasks").iter().chain(records("notes")) {
            let owner = record["entity_type"].as_str().unwrap();
            assert!(has(owner, &record["entity_id"]), "{record}");
        }
    }
}
