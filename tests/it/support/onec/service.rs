//! The service itself: JSON-RPC as its handler reads it and as the platform writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{Map, Value, json};

use super::infobase::{Place, State};
use super::{Generation, default_results, pages};
use crate::support::board::Board;
use crate::support::http::{Reply, Request};
use crate::support::message::Message;
use crate::support::upstream::Life;

pub(super) struct OnecService {
    pub(super) generation: Generation,
    pub(super) manifest: Option<Reply>,
    pub(super) unknown: BTreeSet<String>,
    /// By method, or by method, a space, and the name or URI in the params.
    pub(super) said: BTreeMap<String, Said>,
}

/// What a script answers.
#[derive(Clone)]
pub(super) enum Said {
    /// The text of a result.
    Result(String),
    /// The text of an error.
    Error(String),
    Reply(Reply),
}

impl OnecService {
    pub(super) fn new(generation: Generation) -> Self {
        Self { generation, manifest: None, unknown: BTreeSet::new(), said: default_results() }
    }

    pub(super) fn answer(
        &self,
        place: Place,
        request: &Request,
        state: &Board<State>,
        life: &Life,
    ) -> io::Result<Reply> {
        Ok(match (place, request.method.as_str()) {
            (Place::Rpc, "POST") => self.rpc(&request.body, state, life)?,
            (Place::Rpc, _) => Reply::status(405).header("Allow", "POST"),
            (Place::Health, "GET") => {
                pages::platform_body(200, &platform_style(r#"{"status":"ok"}"#))
            }
            (Place::Manifest, "GET") => match (&self.manifest, self.generation) {
                (Some(manifest), _) => manifest.clone(),
                (None, Generation::Stub) => Reply::status(200),
                (None, _) => pages::not_found(),
            },
            (Place::Health | Place::Manifest, _) => Reply::status(405).header("Allow", "GET"),
        })
    }

    fn rpc(&self, body: &[u8], state: &Board<State>, life: &Life) -> io::Result<Reply> {
        if self.generation == Generation::Stub {
            return Ok(Reply::status(200));
        }
        let message = match self.read(body) {
            Ok(message) => message,
            Err(why) => return Ok(self.write(self.id_of(None), &exception(&why))),
        };
        if message.value.get("id").is_none() && self.generation != Generation::NoHandshake {
            let foreign = self.generation == Generation::Foreign;
            return Ok(Reply::status(if foreign { 202 } else { 204 }));
        }
        let said = self.perform(&message, state, life)?;
        Ok(self.write(self.id_of(Some(&message)), &said))
    }

    /// The service reads from the first brace to the last, into structures whose keys must be
    /// identifiers.
    fn read(&self, body: &[u8]) -> Result<Message, String> {
        let text = String::from_utf8_lossy(body);
        let (Some(first), Some(last)) = (text.find('{'), text.rfind('}')) else {
            return Err("Тело запроса не содержит JSON".to_owned());
        };
        let text = text.get(first..=last).unwrap_or_default();
        let mut message = Message::parse(text)?;
        match self.generation {
            Generation::LenientKeys => message.value = with_identifiers(message.value),
            Generation::Foreign => {}
            _ => {
                if let Some(key) = foreign_key(&message.value) {
                    return Err(format!(
                        "Ошибка при вызове метода контекста (Вставить): Неправильное имя \
                         атрибута структуры: {key}"
                    ));
                }
            }
        }
        Ok(message)
    }

    fn perform(&self, message: &Message, state: &Board<State>, life: &Life) -> io::Result<Said> {
        let value = &message.value;
        if value.get("jsonrpc").is_some_and(|version| *version != "2.0") {
            return Ok(error(-32600, "Неподдерживаемая версия JSON-RPC"));
        }
        if value.get("params") == Some(&Value::Null) {
            return Ok(exception("Значение не является значением объектного типа (params)"));
        }
        let (method, params) = (message.method(), &value["params"]);
        let known = match method {
            "initialize" => self.generation != Generation::NoHandshake,
            "ping" => self.generation == Generation::Foreign,
            "tools/list" | "tools/call" | "resources/list" | "resources/read" | "prompts/list"
            | "prompts/get" => true,
            _ => self.said.contains_key(method),
        };
        if !known || self.unknown.contains(method) {
            return Ok(error(-32601, &format!("Неизвестный метод: {method}")));
        }
        if method == "tools/call" {
            return self.call(message, state, life);
        }
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default();
        Ok(match self.scripted(method, name) {
            Some(said) => said,
            None if method == "initialize" => self.initialize(params),
            None if method == "ping" => Said::Result("{}".to_owned()),
            None => exception(&format!("Не найдено: {name}")),
        })
    }

    fn initialize(&self, params: &Value) -> Said {
        let result = include_str!("initialize.json");
        if self.generation != Generation::Foreign {
            return Said::Result(platform_style(result));
        }
        let mut result: Value = serde_json::from_str(result).expect("a data file of ours");
        result["protocolVersion"] = params["protocolVersion"].clone();
        result["serverInfo"]["name"] = json!("Foreign service");
        Said::Result(result.to_string())
    }

    fn call(&self, message: &Message, state: &Board<State>, life: &Life) -> io::Result<Said> {
        let params = &message.value["params"];
        let name = params["name"].as_str().unwrap_or_default();
        let scripted = self.scripted("tools/call", name);
        if scripted.is_none() && !self.lists_tool(name) {
            return Ok(exception(&format!("Инструмент '{name}' не найден")));
        }
        state.update(|state| state.begin_call(name));
        let passed = match params["arguments"]["gate"].as_str() {
            Some(gate) => life.pass(gate),
            None => Ok(()),
        };
        state.update(State::end_call);
        passed?;
        Ok(scripted.unwrap_or_else(|| {
            let text = format!("{name} {}", params["arguments"]);
            let result = json!({ "content": [{ "type": "text", "text": text }], "isError": false });
            Said::Result(platform_style(&result.to_string()))
        }))
    }

    fn scripted(&self, method: &str, name: &str) -> Option<Said> {
        let said = self.said.get(&format!("{method} {name}")).or_else(|| self.said.get(method));
        said.cloned()
    }

    fn lists_tool(&self, name: &str) -> bool {
        let Some(Said::Result(list)) = self.said.get("tools/list") else {
            return false;
        };
        let list: Value = serde_json::from_str(list).unwrap_or_default();
        let tools = list["tools"].as_array();
        tools.is_some_and(|tools| tools.iter().any(|tool| tool["name"] == *name))
    }

    /// The id of the answer: numbers go through the platform, which writes `1.0` as `1`; without a handshake it takes
    /// 1 where there is none.
    fn id_of(&self, message: Option<&Message>) -> String {
        let id = message.and_then(|message| message.raw("id"));
        let default = if self.generation == Generation::NoHandshake { "1" } else { "null" };
        let id = id.unwrap_or(default);
        id.strip_suffix(".0").unwrap_or(id).to_owned()
    }

    fn write(&self, id: String, said: &Said) -> Reply {
        let (member, text) = match said {
            Said::Result(result) => ("result", result),
            Said::Error(error) => ("error", error),
            Said::Reply(reply) => return reply.clone(),
        };
        if self.generation == Generation::Foreign {
            return Reply::json(format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{text}}}"#));
        }
        let internal = member == "error" && text.contains("-32603");
        let id = if internal && self.generation == Generation::NoHandshake {
            "1".to_owned()
        } else {
            id
        };
        let body = format!("{{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": {id},\r\n\"{member}\": {text}");
        pages::platform_body(200, &format!("{body}\r\n}}"))
    }
}

fn error(code: i64, message: &str) -> Said {
    Said::Error(platform_style(&json!({ "code": code, "message": message }).to_string()))
}

/// An error as the service makes it of an exception: place, reason, source line.
fn exception(why: &str) -> Said {
    let message = format!(
        "Внутренняя ошибка сервера: {{МодульСервиса HTTPСервис.АПИ.Модуль(228)}}: {why}\n\
         \t\tВызватьИсключение ТекстОшибки;\n"
    );
    error(-32603, &message)
}

fn starts_identifier(one: char) -> bool {
    matches!(one, 'a'..='z' | 'A'..='Z' | 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё' | '_')
}

fn is_identifier(key: &str) -> bool {
    key.starts_with(starts_identifier)
        && key.chars().all(|one| starts_identifier(one) || one.is_ascii_digit())
}

fn foreign_key(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(key, value)| {
            if is_identifier(key) { foreign_key(value) } else { Some(key.clone()) }
        }),
        Value::Array(items) => items.iter().find_map(foreign_key),
        _ => None,
    }
}

fn with_identifiers(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (as_identifier(&key), with_identifiers(value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => items.into_iter().map(with_identifiers).collect(),
        other => other,
    }
}

fn as_identifier(key: &str) -> String {
    let fits = |at, one: char| starts_identifier(one) || (at > 0 && one.is_ascii_digit());
    key.chars().enumerate().map(|(at, one)| if fits(at, one) { one } else { '_' }).collect()
}

/// JSON as the platform writes it: CR LF between tokens, a space after a colon, no indentation.
pub(super) fn platform_style(json: &str) -> String {
    let (mut out, mut in_string, mut escaped, mut opened) = (String::new(), false, false, false);
    for one in json.chars() {
        if in_string {
            out.push(one);
            in_string = escaped || one != '"';
            escaped = one == '\\' && !escaped;
            continue;
        }
        if one.is_ascii_whitespace() {
            continue;
        }
        // What is empty stays together.
        if opened != matches!(one, '}' | ']') {
            out.push_str("\r\n");
        }
        out.push(one);
        match one {
            ',' => out.push_str("\r\n"),
            ':' => out.push(' '),
            _ => {}
        }
        opened = matches!(one, '{' | '[');
        in_string = one == '"';
    }
    out
}
