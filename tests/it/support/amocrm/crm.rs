//! The amoCRM account behind every variant of the server: what is in it, what has been done to
//! it, and how it refuses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::http::Reply;

/// A contact and his lead, which are there from the beginning.
const SEED: &str = include_str!("seed.json");

pub(crate) struct Crm {
    entities: BTreeMap<String, Vec<Value>>,
    next_id: u64,
    /// How many entities of a type have been made.
    pub(crate) created: BTreeMap<String, usize>,
    /// How often each action has been asked for, refused ones included.
    pub(crate) asked: BTreeMap<String, usize>,
    refusals: Vec<(String, Refusal, usize)>,
}

/// How an action can fail.
#[derive(Clone)]
pub(crate) enum Refusal {
    /// amoCRM says no, in JSON.
    Status(u16),
    /// amoCRM says no, with a web page.
    Page(u16),
    /// The server does not reach amoCRM.
    Unreachable,
    /// The server, or what stands before it, says this.
    Said(Reply),
    /// It is done, but the connection breaks before the answer.
    Broken,
}

pub(crate) enum Outcome {
    Done(Value),
    /// amoCRM has answered 204: there is nothing of the kind, or no more.
    Nothing,
    Deleted,
    Refused(Refusal),
}

impl Crm {
    pub(crate) fn new() -> Self {
        Self {
            entities: serde_json::from_str(SEED).unwrap(),
            next_id: 601,
            created: BTreeMap::new(),
            asked: BTreeMap::new(),
            refusals: Vec::new(),
        }
    }

    /// Refuses the next `times` of an action, such as `contacts get` or `GET /api/account`.
    pub(crate) fn refuse(&mut self, action: &str, refusal: Refusal, times: usize) {
        self.refusals.push((action.to_owned(), refusal, times));
    }

    /// Takes note of an action, and gives how it is to fail if it is.
    pub(crate) fn begin(&mut self, action: &str) -> Option<Refusal> {
        *self.asked.entry(action.to_owned()).or_default() += 1;
        let due = self.refusals.iter_mut().find(|(of, _, times)| of == action && *times > 0)?;
        due.2 -= 1;
        Some(due.1.clone())
    }

    /// Does what `POST /api/entities` is for; `data` is a list for all that write.
    pub(crate) fn perform(
        &mut self,
        kind: &str,
        method: &str,
        id: Option<u64>,
        data: &[Value],
        params: &Value,
    ) -> Outcome {
        let refusal = self.begin(&format!("{kind} {method}"));
        if let Some(refusal) = &refusal
            && !matches!(refusal, Refusal::Broken)
        {
            return Outcome::Refused(refusal.clone());
        }
        let outcome = match method {
            "get" => self.get(kind, id, params),
            "create" => self.create(kind, data),
            "update" => self.update(kind, id, data),
            _ => self.delete(kind, id),
        };
        refusal.map_or(outcome, Outcome::Refused)
    }

    fn get(&self, kind: &str, id: Option<u64>, params: &Value) -> Outcome {
        let all = self.entities.get(kind).map(Vec::as_slice).unwrap_or_default();
        if let Some(id) = id {
            let Some(found) = all.iter().find(|entity| entity["id"] == id) else {
                return Outcome::Nothing;
            };
            let mut found = found.clone();
            if params["with"].as_str().is_some_and(|with| with.contains("leads")) {
                found["_embedded"]["leads"] = self.leads_of(id);
            }
            return Outcome::Done(found);
        }
        let query = params["query"].as_str().unwrap_or_default();
        let limit = params["limit"].as_u64().unwrap_or(50);
        let found = all.iter().filter(|entity| entity.to_string().contains(query));
        let found: Vec<&Value> = found.take(usize::try_from(limit).unwrap()).collect();
        if found.is_empty() {
            return Outcome::Nothing;
        }
        Outcome::Done(json!({ "_page": 1, "_links": {}, "_embedded": { kind: found } }))
    }

    fn leads_of(&self, contact: u64) -> Value {
        let leads = self.entities.get("leads").map(Vec::as_slice).unwrap_or_default();
        let theirs = leads.iter().filter(|lead| lead["_embedded"]["contacts"][0]["id"] == contact);
        theirs.map(|lead| json!({ "id": lead["id"], "_links": {} })).collect()
    }

    fn create(&mut self, kind: &str, data: &[Value]) -> Outcome {
        let mut made = Vec::new();
        for (number, entity) in data.iter().enumerate() {
            let mut entity = entity.clone();
            entity["id"] = self.next_id.into();
            made.push(json!({
                "id": self.next_id,
                "request_id": number.to_string(),
                "_links": {},
            }));
            self.next_id += 1;
            *self.created.entry(kind.to_owned()).or_default() += 1;
            self.entities.entry(kind.to_owned()).or_default().push(entity);
        }
        Outcome::Done(json!({ "_links": {}, "_embedded": { kind: made } }))
    }

    fn update(&mut self, kind: &str, id: Option<u64>, data: &[Value]) -> Outcome {
        let mut changed = Vec::new();
        for change in data {
            let id = id.or_else(|| change["id"].as_u64());
            let all = self.entities.entry(kind.to_owned()).or_default();
            let found = all.iter_mut().find(|entity| entity["id"].as_u64() == id);
            let (Some(entity), Some(members)) = (found, change.as_object()) else {
                return Outcome::Refused(Refusal::Status(400));
            };
            for (name, value) in members {
                entity[name] = value.clone();
            }
            changed.push(json!({ "id": id, "updated_at": 1_795_248_000, "_links": {} }));
        }
        Outcome::Done(json!({ "_links": {}, "_embedded": { kind: changed } }))
    }

    fn delete(&mut self, kind: &str, id: Option<u64>) -> Outcome {
        if let Some(all) = self.entities.get_mut(kind) {
            all.retain(|entity| entity["id"].as_u64() != id);
        }
        Outcome::Deleted
    }
}
