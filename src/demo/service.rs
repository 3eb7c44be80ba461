//! MCP as services of 1C:Enterprise speak it: one message a body, no sessions, JSON with a byte
//! order mark and line breaks between its tokens. A client that works with this has a chance with
//! a real one. `service.json` is what it says of itself and lists.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::header::{ALLOW, HeaderValue};
use ::http::{Request, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer;
use super::infobase::Infobase;
use crate::loopback::Answer;

/// Where messages are sent to.
pub(super) const PATH: &str = "/demo/hs/mcp/rpc";

const ABOUT: &str = include_str!("about.md");
const MEDIA_TYPE: &str = "application/json; charset=utf-8";

/// The revision for clients that ask for one that the service does not know.
const DEFAULT_REVISION: &str = "2025-03-26";

/// Revisions in which these methods look the same.
const REVISIONS: [&str; 4] = ["2024-11-05", DEFAULT_REVISION, "2025-06-18", "2025-11-25"];

/// The longest that `sales_report` may be told to take.
const LONGEST_REPORT: Duration = Duration::from_secs(30);

/// The infobase and its service.
pub(super) struct Service {
    infobase: Mutex<Infobase>,
    /// Its lists by method, and its manifest.
    listed: Value,
}

/// A result, or an error.
type Outcome = Result<Value, Failure>;

#[derive(Debug, Serialize)]
struct Failure {
    code: i32,
    message: String,
}

impl Failure {
    /// An exception as the platform words it: with the place where it was thrown, and its source line.
    fn exception(why: impl std::fmt::Display) -> Self {
        let message = format!(
            "Внутренняя ошибка сервера (internal error): {{HTTPСервис.ДемоMCP.Модуль(41)}}: {why}\n\
             \t\tВызватьИсключение ТекстОшибки;\n"
        );
        Self { code: -32603, message }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::exception(error)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    /// `null` counts as an id.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Value,
}

/// Reads a member so that `null` differs from its absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[derive(Serialize)]
struct Reply<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Service {
    /// Loads the infobase as it was shipped.
    pub(super) fn new() -> serde_json::Result<Self> {
        let mut listed: Value = serde_json::from_str(include_str!("service.json"))?;
        listed["manifest"]["version"] = env!("CARGO_PKG_VERSION").into();
        Ok(Self { infobase: Mutex::new(Infobase::load()?), listed })
    }

    fn infobase(&self) -> MutexGuard<'_, Infobase> {
        // After a panic the data may hold half a sample order: no reason to fail for ever.
        self.infobase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn answer(&self, request: &Request<Vec<u8>>) -> Answer {
        let path = request.uri().path();
        let allowed = match path {
            PATH | "/demo/hs/mcp/" => "POST",
            "/demo/hs/mcp/health" | "/demo/hs/mcp/manifest" => "GET",
            _ => return not_published(),
        };
        if request.method() != allowed {
            let text = format!("Only {allowed} can be used here");
            let mut answer = answer::page(StatusCode::METHOD_NOT_ALLOWED, &text);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return answer;
        }
        match path {
            "/demo/hs/mcp/health" => document(&json!({"status": "ok"})),
            "/demo/hs/mcp/manifest" => document(&self.listed["manifest"]),
            _ => self.reply(request.body()).await,
        }
    }

    async fn reply(&self, body: &[u8]) -> Answer {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        let body = String::from_utf8_lossy(body);
        let (id, outcome) = match serde_json::from_str::<Message<'_>>(&body) {
            Err(error) => (RawValue::NULL, Err(error.into())),
            Ok(Message { id: None, .. }) => {
                let mut answer = Answer::default();
                *answer.status_mut() = StatusCode::NO_CONTENT;
                return answer;
            }
            Ok(Message { id: Some(id), method, params }) => {
                (id, self.result(&method, &params).await)
            }
        };
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(failure) => (None, Some(failure)),
        };
        document(&Reply { jsonrpc: "2.0", id, result, error })
    }

    async fn result(&self, method: &str, params: &Value) -> Outcome {
        let text = |name: &str| params[name].as_str().unwrap_or_default();
        match method {
            "initialize" => {
                let manifest = &self.listed["manifest"];
                let asked = text("protocolVersion");
                let known = REVISIONS.into_iter().find(|revision| *revision == asked);
                Ok(json!({
                    "protocolVersion": known.unwrap_or(DEFAULT_REVISION),
                    "capabilities": manifest["capabilities"],
                    "serverInfo": {"name": manifest["name"], "version": manifest["version"]},
                    "instructions": manifest["instructions"],
                }))
            }
            "ping" => Ok(json!({})),
            "tools/list" | "resources/list" | "prompts/list" => Ok(self.listed[method].clone()),
            "tools/call" => self.call(text("name"), &params["arguments"]).await,
            "resources/read" => self.read(text("uri")),
            "prompts/get" if text("name") == "debt_letter" => {
                let letter = self.infobase().debt_letter(&params["arguments"]);
                let text = letter.map_err(Failure::exception)?;
                let content = json!({"type": "text", "text": text});
                Ok(json!({"messages": [{"role": "user", "content": content}]}))
            }
            "prompts/get" => Err(Failure::exception("there is no such prompt")),
            _ => Err(Failure {
                code: -32601,
                message: format!("Неизвестный метод (unknown method): {method}"),
            }),
        }
    }

    async fn call(&self, name: &str, arguments: &Value) -> Outcome {
        if name == "sales_report"
            && let Some(seconds) = arguments["seconds"].as_f64()
        {
            // Imitates a long query. The data are locked afterwards, so that other calls go on.
            let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            tokio::time::sleep(duration.min(LONGEST_REPORT)).await;
        }
        let outcome = self.infobase().call(name, arguments);
        let outcome =
            outcome.ok_or_else(|| Failure::exception(format!("there is no tool '{name}'")))?;
        let is_error = outcome.is_err();
        let text = outcome.unwrap_or_else(|why| format!("Ошибка (error) in '{name}': {why}"));
        Ok(json!({"content": [{"type": "text", "text": text}], "isError": is_error}))
    }

    fn read(&self, uri: &str) -> Outcome {
        let (media_type, text) = match uri {
            "demo://catalog/customers" => ("application/json", self.infobase().customers_json()),
            "demo://docs/about" => ("text/markdown", ABOUT.to_owned()),
            _ => return Err(Failure::exception(format!("there is no resource '{uri}'"))),
        };
        Ok(json!({"contents": [{"uri": uri, "mimeType": media_type, "text": text}]}))
    }
}

fn document(value: &impl Serialize) -> Answer {
    // All values of the service serialize.
    answer::content(StatusCode::OK, MEDIA_TYPE, written(value).unwrap_or_default())
}

/// What 1C's web server module says about an address without a service.
fn not_published() -> Answer {
    let page = "\u{FEFF}<html><head><title>1C:Enterprise 8 application error</title></head>\r\n\
        <body><h2>1C:Enterprise 8 application error:</h2>\r\n\
        Не найден HTTP-сервис или шаблон URL (no such HTTP service)\r\n</body></html>\r\n";
    answer::content(StatusCode::NOT_FOUND, "text/html; charset=utf-8", page)
}

/// JSON as the platform writes it: a byte order mark, and each member on a line of its own.
fn written(value: &impl Serialize) -> serde_json::Result<String> {
    let mut text = Vec::new();
    let layout = PrettyFormatter::with_indent(b"");
    value.serialize(&mut Serializer::with_formatter(&mut text, layout))?;
    // Within a string a line break is escaped, so these are all between tokens.
    Ok(format!("\u{feff}{}", String::from_utf8_lossy(&text).replace('\n', "\r\n")))
}

#[cfg(test)]
mod tests {
    use ::http::Method;
    use http_body_util::BodyExt;

    use super::*;

    async fn answer(body: &str) -> (StatusCode, String) {
        let mut request = Request::new(body.as_bytes().to_vec());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = PATH.parse().unwrap();
        let answer = Service::new().unwrap().answer(&request).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The reply to a message.
    async fn ask(body: &str) -> Value {
        let (_, text) = answer(body).await;
        serde_json::from_str(text.strip_prefix('\u{feff}').unwrap()).unwrap()
    }

    async fn result_of(method: &str, params: &Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        ask(&request.to_string()).await["result"].take()
    }

    #[test]
    fn json_is_laid_out_as_the_platform_does() {
        for (json, expected) in [
            ("{}", "{}"),
            (
                r#"{"a":[1,{"b":null},[]],"c":"x, {y: 1}"}"#,
                "{\n\"a\": [\n1,\n{\n\"b\": null\n},\n[]\n],\n\"c\": \"x, {y: 1}\"\n}",
            ),
            (r"[{},[[]]]", "[\n{},\n[\n[]\n]\n]"),
        ] {
            let text = written(&serde_json::from_str::<Value>(json).unwrap()).unwrap();
            assert_eq!(text, format!("\u{feff}{}", expected.replace('\n', "\r\n")));
        }
    }

    #[tokio::test]
    async fn the_handshake_keeps_known_revisions() {
        for (asked, spoken) in
            [("2025-11-25", "2025-11-25"), ("2026-07-28", DEFAULT_REVISION), ("", DEFAULT_REVISION)]
        {
            let result = result_of("initialize", &json!({"protocolVersion": asked})).await;
            assert_eq!(result["protocolVersion"], spoken);
            assert_eq!(result["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
            assert!(result["instructions"].is_string());
        }
    }

    #[tokio::test]
    async fn ids_come_back_as_they_were_written_and_notifications_are_silent() {
        for id in ["1", "\"1\"", "9007199254740993", "1.0", "null"] {
            let ping = format!("\u{feff}{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
            let (_, text) = answer(&ping).await;
            assert!(text.contains(&format!("\"id\": {id},\r\n")), "{text}");
        }
        for method in ["notifications/initialized", "tools/call", "no/such"] {
            let (status, text) = answer(&json!({"method": method}).to_string()).await;
            assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""), "{method}");
        }
    }

    #[tokio::test]
    async fn what_is_listed_is_there() {
        let listed = result_of("tools/list", &json!({})).await;
        for tool in listed["tools"].as_array().unwrap() {
            let writes = tool["name"] == "create_order" || tool["name"] == "cancel_order";
            assert_eq!(tool["annotations"]["readOnlyHint"], !writes, "{tool}");
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            let result = result_of("tools/call", &json!({"name": tool["name"]})).await;
            let needs = tool["inputSchema"]["required"].is_array();
            assert_eq!(result["isError"], needs, "{result}");
        }
        let listed = result_of("resources/list", &json!({})).await;
        for resource in listed["resources"].as_array().unwrap() {
            let read = result_of("resources/read", &json!({"uri": resource["uri"]})).await;
            assert_eq!(read["contents"][0]["mimeType"], resource["mimeType"]);
            assert!(read["contents"][0]["text"].as_str().is_some_and(|text| text.len() > 500));
        }
        let listed = result_of("prompts/list", &json!({})).await;
        let get = json!({"name": listed["prompts"][0]["name"], "arguments": {"customer": "9"}});
        let prompt = result_of("prompts/get", &get).await;
        let text = prompt["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains("НФ-000119"), "{text}");
    }

    #[tokio::test]
    async fn what_cannot_be_served_is_refused() {
        for (body, code) in [
            (r#"[{"id":1,"method":"ping"}]"#, -32603),
            (r#"{"id":1,"#, -32603),
            ("", -32603),
            (r#"{"id":1,"method":"logging/setLevel"}"#, -32601),
            (r#"{"id":1,"method":"tools/call","params":{"name":"none"}}"#, -32603),
            (r#"{"id":1,"method":"resources/read","params":{"uri":"none"}}"#, -32603),
            (r#"{"id":1,"method":"prompts/get","params":{"name":"none"}}"#, -32603),
            (r#"{"id":1,"method":"prompts/get","params":{"name":"debt_letter"}}"#, -32603),
        ] {
            let reply = ask(body).await;
            assert_eq!(reply["error"]["code"], code, "{body}: {reply}");
            assert!(reply["error"]["message"].as_str().is_some_and(|text| text.contains('(')));
        }
    }
}
