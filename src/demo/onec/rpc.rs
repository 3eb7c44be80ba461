//! JSON-RPC as the service speaks it: one message a body, no sessions, and every failure that is
//! not a tool's own comes as an exception of the platform.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::arguments::Arguments;
use super::{Service, json, prompts, resources, tools};

/// The revision that is spoken with clients that ask for one of which we know nothing.
pub(super) const DEFAULT_REVISION: &str = "2025-03-26";

/// Revisions in which these methods look the same.
const REVISIONS: [&str; 4] = ["2024-11-05", DEFAULT_REVISION, "2025-06-18", "2025-11-25"];

pub(super) const CAPABILITIES: Capabilities = Capabilities {
    tools: Unchanging { list_changed: false },
    resources: Unchanging { list_changed: false },
    prompts: Unchanging { list_changed: false },
};

/// A successful result, or the error to answer with.
pub(super) type Outcome = Result<Box<RawValue>, Failure>;

#[derive(Debug, Serialize)]
pub(super) struct Failure {
    code: i32,
    message: String,
}

impl Failure {
    fn invalid_request(message: &str) -> Self {
        Self { code: -32600, message: message.to_owned() }
    }

    fn unknown_method(method: &str) -> Self {
        Self { code: -32601, message: format!("Неизвестный метод: {method}") }
    }

    /// An exception of the platform with its usual trimmings: where it was thrown, and the source
    /// line that did it.
    pub(super) fn exception(message: &str) -> Self {
        Self {
            code: -32603,
            message: format!(
                "Внутренняя ошибка сервера: {{HTTPСервис.ДемоMCP.Модуль(41)}}: {message}\n\
                 \t\tВызватьИсключение ТекстОшибки;\n"
            ),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::exception(&format!("Ошибка при чтении или записи JSON\nпо причине:\n{error}"))
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    /// Present and `null` is an id all the same.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    method: Option<Value>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

/// Reads a member so that `null` differs from its absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// Answers one message; `None` for one that expects no answer.
pub(super) async fn answer(service: &Service, body: &[u8]) -> Option<Vec<u8>> {
    let message = match read(body) {
        Ok(message) => message,
        Err(failure) => return Some(written(RawValue::NULL, Err(failure))),
    };
    let id = message.id?;
    Some(written(id, dispatch(service, &message).await))
}

/// Takes the text between the outermost braces, as such services do: whatever stands around it,
/// such as a byte order mark, is ignored.
fn read(body: &[u8]) -> Result<Message<'_>, Failure> {
    let start = body.iter().position(|byte| *byte == b'{');
    let end = body.iter().rposition(|byte| *byte == b'}');
    let before = &body[..start.unwrap_or(body.len())];
    if before.contains(&b'[') {
        return Err(Failure::invalid_request("Пакетные запросы не поддерживаются"));
    }
    match (start, end) {
        (Some(start), Some(end)) if start < end => Ok(serde_json::from_slice(&body[start..=end])?),
        _ => Err(Failure::exception("Тело запроса не содержит объекта JSON")),
    }
}

fn written(id: &RawValue, outcome: Outcome) -> Vec<u8> {
    let (result, error) = match outcome {
        Ok(result) => (Some(result), None),
        Err(failure) => (None, Some(failure)),
    };
    let answer = Answer { jsonrpc: "2.0", id, result, error };
    // All parts are JSON already or plain text, so there is nothing here that could fail.
    json::write(&answer).unwrap_or_default()
}

async fn dispatch(service: &Service, message: &Message<'_>) -> Outcome {
    if message.jsonrpc.is_some_and(|version| version.get() != "\"2.0\"") {
        return Err(Failure::invalid_request("Неподдерживаемая версия JSON-RPC"));
    }
    let Some(method) = message.method.as_ref().and_then(Value::as_str) else {
        return Err(Failure::invalid_request("Не указан метод"));
    };
    let params = message.params.map_or("{}", RawValue::get);
    if !params.starts_with('{') {
        return Err(Failure::exception("Параметры запроса должны быть структурой"));
    }
    match method {
        "initialize" => initialize(params),
        "ping" => result(&Empty {}),
        "tools/list" => list("tools", tools::LIST),
        "tools/call" => call_tool(service, params).await,
        "resources/list" => list("resources", resources::LIST),
        "resources/read" => {
            let ReadParams { uri } = serde_json::from_str(params)?;
            resources::read(&service.catalogue(), &uri)
        }
        "prompts/list" => list("prompts", prompts::LIST),
        "prompts/get" => {
            let NamedParams { name, arguments } = serde_json::from_str(params)?;
            prompts::get(&service.catalogue(), &name, &arguments.unwrap_or_default())
        }
        _ => Err(Failure::unknown_method(method)),
    }
}

pub(super) fn result(value: &impl Serialize) -> Outcome {
    Ok(to_raw_value(value)?)
}

/// A list that is kept as the JSON text that answers it.
fn list(member: &str, items: &str) -> Outcome {
    Ok(RawValue::from_string(format!("{{\"{member}\":{items}}}"))?)
}

#[derive(Serialize)]
struct Empty {}

#[derive(Deserialize)]
struct ReadParams {
    uri: String,
}

#[derive(Deserialize)]
struct NamedParams {
    name: String,
    arguments: Option<Arguments>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams {
    protocol_version: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult<'a> {
    protocol_version: &'a str,
    capabilities: Capabilities,
    server_info: Implementation,
    instructions: &'static str,
}

/// What is offered.
#[derive(Serialize)]
pub(super) struct Capabilities {
    tools: Unchanging,
    resources: Unchanging,
    prompts: Unchanging,
}

/// A list that stays as it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unchanging {
    list_changed: bool,
}

#[derive(Serialize)]
struct Implementation {
    name: &'static str,
    version: &'static str,
}

fn initialize(params: &str) -> Outcome {
    let params: InitializeParams = serde_json::from_str(params)?;
    let asked = params.protocol_version.as_deref().unwrap_or_default();
    let known = REVISIONS.into_iter().find(|revision| *revision == asked);
    result(&InitializeResult {
        protocol_version: known.unwrap_or(DEFAULT_REVISION),
        capabilities: CAPABILITIES,
        server_info: Implementation { name: super::NAME, version: super::VERSION },
        instructions: super::INSTRUCTIONS,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    content: [TextContent<'a>; 1],
    is_error: bool,
}

/// A piece of text in a result or a prompt.
#[derive(Serialize)]
#[serde(tag = "type", rename = "text")]
pub(super) struct TextContent<'a> {
    pub(super) text: &'a str,
}

async fn call_tool(service: &Service, params: &str) -> Outcome {
    let NamedParams { name, arguments } = serde_json::from_str(params)?;
    let Some(outcome) = tools::call(service, &name, &arguments.unwrap_or_default()).await else {
        return Err(Failure::exception(&format!("Инструмент '{name}' не найден")));
    };
    let is_error = outcome.is_err();
    let text = outcome
        .unwrap_or_else(|complaint| format!("Ошибка выполнения инструмента '{name}': {complaint}"));
    result(&CallResult { content: [TextContent { text: &text }], is_error })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn ask(body: &str) -> Value {
        let service = Service::new().unwrap();
        let answer = answer(&service, body.as_bytes()).await.unwrap();
        let answer = answer.strip_prefix("\u{FEFF}".as_bytes()).unwrap();
        serde_json::from_slice(answer).unwrap()
    }

    /// The result of a method that is expected to succeed.
    async fn result_of(method: &str, params: &Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer = ask(&request.to_string()).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    async fn check_error(body: &str, code: i32, part: &str) {
        let answer = ask(body).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
    }

    #[tokio::test]
    async fn the_handshake_keeps_known_revisions() {
        for (asked, spoken) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-11-25", "2025-11-25"),
            ("2026-07-28", "2025-03-26"),
            ("", "2025-03-26"),
        ] {
            let result = result_of("initialize", &json!({"protocolVersion": asked})).await;
            assert_eq!(result["protocolVersion"], spoken);
            assert_eq!(result["serverInfo"]["name"], "Демо 1С");
            assert_eq!(result["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
            assert!(result["instructions"].is_string());
            for capability in ["tools", "resources", "prompts"] {
                assert_eq!(result["capabilities"][capability]["listChanged"], false);
            }
        }
    }

    #[tokio::test]
    async fn ids_come_back_as_they_were_written() {
        let service = Service::new().unwrap();
        for id in ["1", "\"1\"", "9007199254740993", "1.0", "null"] {
            let ping = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let answer = answer(&service, ping.as_bytes()).await.unwrap();
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.contains(&format!("\"id\": {id},\r\n")), "{answer}");
        }
    }

    #[tokio::test]
    async fn notifications_are_silent_and_do_nothing() {
        let service = Service::new().unwrap();
        for method in ["notifications/initialized", "tools/call", "нет/такого"] {
            let body = json!({"jsonrpc": "2.0", "method": method, "params": {
                "name": "cancel_order", "arguments": {"number": "НФ-000123"}}});
            assert!(answer(&service, body.to_string().as_bytes()).await.is_none(), "{method}");
        }
        let orders = &service.catalogue().orders;
        assert!(orders.last().is_some_and(|order| order.status.name() == "Новый"));
    }

    #[tokio::test]
    async fn messages_that_cannot_be_served_are_refused() {
        check_error(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, "Пакетные").await;
        check_error(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, "версия").await;
        check_error(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600, "метод").await;
        check_error(r#"{"id":1,"method":"logging/setLevel"}"#, -32601, ": logging/setLevel").await;
        check_error(r#"{"id":1,"method":"ping","params":null}"#, -32603, "структурой").await;
        check_error(r#"{"id":1,"method":"tools/call","params":{}}"#, -32603, "по причине").await;
        check_error(r#"{"id":1,"#, -32603, "Внутренняя ошибка сервера: {").await;
        check_error(r#"{"id":1,}"#, -32603, "JSON").await;
        check_error("", -32603, "JSON").await;
        check_error(
            r#"{"id":1,"method":"tools/call","params":{"name":"нет"}}"#,
            -32603,
            "}: Инструмент 'нет' не найден\n\t\tВызватьИсключение",
        )
        .await;
    }

    #[tokio::test]
    async fn a_byte_order_mark_in_front_is_ignored() {
        let answer = ask("\u{FEFF}{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}\r\n").await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 5, "result": {}}));
    }

    #[tokio::test]
    async fn tools_are_listed_and_called() {
        let tools = result_of("tools/list", &json!({})).await;
        assert_eq!(tools["tools"][0]["name"], "find_customers");

        let call = json!({"name": "get_stock", "arguments": {"query": "лейка"}});
        let result = result_of("tools/call", &call).await;
        assert_eq!(result["isError"], false);
        assert_eq!(result["content"][0]["type"], "text");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("LK-010"), "{text}");

        let result = result_of("tools/call", &json!({"name": "get_order"})).await;
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("Ошибка выполнения инструмента 'get_order': Не указан"), "{text}");
    }
}
