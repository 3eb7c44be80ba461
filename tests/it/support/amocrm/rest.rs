//! The REST API of mcp-amocrm-server in its generations.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::super::board::Board;
use super::super::http::{Reply, Request};
use super::super::json::json_reply;
use super::crm::{Crm, Outcome, Refusal};

/// The releases of the server, which all have the same version number. The last two speak MCP and
/// have the current REST API as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// `/api/entities` alone.
    EarlyRest,
    /// Endpoints such as `/api/contacts/get-or-create` besides.
    SmartRest,
    /// An early API whose `/mcp/sse` answers 501.
    StreamlessRest,
    CurrentRest,
    /// MCP by POST, without sessions.
    Sessionless,
    /// MCP on an event stream, with sessions.
    Streamed,
}

#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// What a proxy puts in front of every path. The server does not know of it.
    pub(crate) prefix: &'static str,
    /// Whether the description of the API is served.
    pub(crate) openapi: bool,
    /// What `X-API-Key` must be.
    pub(crate) key: Option<&'static str>,
    /// What the bearer token must be.
    pub(crate) bearer: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self { prefix: "", openapi: true, key: None, bearer: None }
    }
}

pub(crate) struct Rest {
    pub(crate) generation: Generation,
    pub(super) options: Options,
    pub(crate) crm: Board<Crm>,
}

impl Rest {
    pub(crate) fn new(generation: Generation, options: Options) -> Self {
        Self { generation, options, crm: Board::new(Crm::new()) }
    }

    /// Whether it is from before the answers of amoCRM were passed on as they are.
    fn is_old(&self) -> bool {
        matches!(
            self.generation,
            Generation::EarlyRest | Generation::SmartRest | Generation::StreamlessRest
        )
    }

    /// The answer to wrong credentials.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Reply> {
        let refuse = |body: Value| Some(json_reply(401, &body));
        if matches!(path_of(request), "/openapi.json" | "/docs" | "/redoc") {
            return None;
        }
        if self.options.key.is_some_and(|key| request.header("x-api-key") != Some(key)) {
            return refuse(json!({ "error": "Invalid API key" }));
        }
        let token = self.options.bearer?;
        let given = request.header("authorization");
        match given.and_then(|value| value.strip_prefix("Bearer ")) {
            None => refuse(json!({ "detail": "Missing Bearer token" })),
            Some(given) if given != token => refuse(json!({ "detail": "Invalid token" })),
            Some(_) => None,
        }
    }

    /// The answer to a request, or `None` where the connection breaks instead.
    pub(crate) fn reply(&self, request: &Request) -> Option<Reply> {
        if let Some(refusal) = self.refusal(request) {
            return Some(refusal);
        }
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let query: Value = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let segments: Vec<&str> = path_of(request).split('/').skip(1).collect();
        let outcome = match (request.method.as_str(), segments.as_slice()) {
            ("GET", [""]) => return Some(done(&Self::status())),
            ("GET", ["health"]) => return Some(done(&json!({ "status": "healthy" }))),
            ("GET", ["openapi.json"]) if self.options.openapi => {
                return Some(done(&self.openapi()));
            }
            ("POST", ["api", "entities"]) => match self.entities(&body) {
                Ok(outcome) => outcome,
                Err(reply) => return Some(reply),
            },
            (
                "GET",
                ["api", "account" | "pipelines" | "users"]
                | ["api", "custom_fields", _]
                | ["api", "report", "deals"],
            ) => self.look_up(request, &query),
            ("GET", ["api", "leads", "loss-reasons"]) | (_, ["api", "v4-proxy", ..])
                if !self.is_old() =>
            {
                self.look_up(request, &query)
            }
            ("DELETE", ["api", "entities", kind, id]) if !self.is_old() => {
                self.perform(kind, "delete", id.parse().ok(), &[], &Value::Null)
            }
            (method, ["api", rest @ ..]) if self.generation == Generation::SmartRest => {
                match self.smart(method, rest, &query, &body) {
                    Some(outcome) => outcome,
                    None => return Some(not_found()),
                }
            }
            ("POST", ["" | "health" | "openapi.json"]) => {
                let detail = json!({ "detail": "Method Not Allowed" });
                return Some(json_reply(405, &detail));
            }
            _ => return Some(not_found()),
        };
        self.render(outcome)
    }

    fn status() -> Value {
        json!({
            "status": "active",
            "service": "AmoCRM MCP Server",
            "version": "3.0.0",
            "subdomain": "garden",
            "token_status": "настроен",
            "endpoints": { "universal": "/api/entities" },
        })
    }

    fn openapi(&self) -> Value {
        let mut paths = vec!["/", "/health", "/api/account", "/api/entities", "/api/users"];
        match self.generation {
            Generation::EarlyRest => {}
            Generation::SmartRest => {
                paths.extend([
                    "/api/contacts/search",
                    "/api/contacts/check-exists",
                    "/api/contacts/get-or-create",
                    "/api/leads/create-with-contact",
                    "/api/smart/client-and-lead",
                ]);
            }
            Generation::StreamlessRest => {
                paths.extend(["/mcp/sse", "/api/entities/{entity_type}/{entity_id}/delete"]);
            }
            _ => paths.extend(["/api/v4-proxy/{path}", "/api/leads/loss-reasons"]),
        }
        let paths: Value = paths.iter().map(|path| ((*path).to_owned(), json!({}))).collect();
        json!({
            "openapi": "3.1.0",
            "info": { "title": "AmoCRM MCP Server", "version": "3.0.0" },
            "paths": paths,
        })
    }

    fn entities(&self, body: &Value) -> Result<Outcome, Reply> {
        for member in ["entity_type", "method"] {
            if !body[member].is_string() {
                return Err(invalid("missing", member, "Field required"));
            }
        }
        let (kind, method) = (body["entity_type"].as_str(), body["method"].as_str());
        let (kind, method) = (kind.unwrap_or_default(), method.unwrap_or_default());
        let (id, data) = (body["entity_id"].as_u64(), &body["data"]);
        if self.is_old() && data.is_array() {
            return Err(invalid("dict_type", "data", "Input should be a valid dictionary"));
        }
        let method = match method {
            "post" if !self.is_old() => "create",
            "patch" if !self.is_old() => "update",
            "get" | "create" | "update" | "delete" => method,
            _ if self.is_old() => return Err(bad_request("Неподдерживаемый метод")),
            _ => {
                let said = json!({ "error": "400: Неподдерживаемый метод", "status": "error" });
                return Err(done(&said));
            }
        };
        if self.is_old() && matches!(method, "update" | "delete") && id.is_none() {
            return Err(bad_request("Не указан entity_id"));
        }
        if !self.is_old() && method == "update" && id.is_some() {
            // A list at the address of one entity, which amoCRM does not take.
            self.crm.update(|crm| crm.begin(&format!("{kind} update")));
            return Ok(Outcome::Refused(Refusal::Status(400)));
        }
        let data = match data {
            Value::Array(data) => data.clone(),
            Value::Null => Vec::new(),
            data => vec![data.clone()],
        };
        Ok(self.perform(kind, method, id, &data, &body["params"]))
    }

    pub(crate) fn perform(
        &self,
        kind: &str,
        method: &str,
        id: Option<u64>,
        data: &[Value],
        params: &Value,
    ) -> Outcome {
        self.crm.update(|crm| crm.perform(kind, method, id, data, params))
    }

    /// The endpoints that only show something: it names itself and what it was asked with.
    fn look_up(&self, request: &Request, query: &Value) -> Outcome {
        let action = format!("{} {}", request.method, path_of(request));
        match self.crm.update(|crm| crm.begin(&action)) {
            Some(refusal) => Outcome::Refused(refusal),
            None => Outcome::Done(json!({ "of": action, "query": query, "price": 1.5 })),
        }
    }

    /// What only the smart API has. `None` is a route that does not exist.
    fn smart(&self, method: &str, path: &[&str], query: &Value, body: &Value) -> Option<Outcome> {
        let find = |query: &Value| {
            let params = json!({ "query": query, "limit": 1 });
            match self.perform("contacts", "get", None, &[], &params) {
                Outcome::Done(found) => found["_embedded"]["contacts"][0].clone(),
                _ => Value::Null,
            }
        };
        let make = |kind: &str, data: Value| match self.perform(
            kind,
            "create",
            None,
            &[data],
            &Value::Null,
        ) {
            Outcome::Done(made) => made["_embedded"][kind][0].clone(),
            _ => Value::Null,
        };
        let answer = match (method, path) {
            ("GET", ["contacts", "search"]) => json!({ "contacts": [find(&query["query"])] }),
            ("POST", ["contacts", "check-exists"]) => {
                let found = find(&query["query"]);
                json!({ "exists": !found.is_null(), "contact": found })
            }
            ("POST", ["contacts", "get-or-create"]) => match find(&body["query"]) {
                Value::Null => {
                    let contact = make("contacts", json!({ "name": body["name"] }));
                    json!({ "created": true, "contact": contact })
                }
                found => json!({ "created": false, "contact": found }),
            },
            ("POST", ["leads", "create-with-contact"] | ["smart", "client-and-lead"]) => {
                let contact = make("contacts", json!({ "name": body["contact_name"] }));
                let lead = make("leads", json!({ "name": body["lead_name"] }));
                json!({ "contact": contact, "lead": lead })
            }
            _ => return None,
        };
        Some(Outcome::Done(answer))
    }

    fn render(&self, outcome: Outcome) -> Option<Reply> {
        if !self.is_old() {
            return match outcome {
                Outcome::Refused(Refusal::Said(reply)) => Some(reply),
                Outcome::Refused(Refusal::Broken) => None,
                outcome => Some(done(&passed_on(outcome))),
            };
        }
        let refuse = |status, detail: &str| json_reply(status, &json!({ "detail": detail }));
        Some(match outcome {
            Outcome::Done(body) => done(&body),
            Outcome::Nothing | Outcome::Deleted => done(&json!({ "status": "success" })),
            Outcome::Refused(Refusal::Status(401)) => refuse(401, "Токен недействителен или истёк"),
            Outcome::Refused(Refusal::Status(status) | Refusal::Page(status)) => {
                refuse(status, &format!("Ошибка AmoCRM: {}", title(status)))
            }
            Outcome::Refused(Refusal::Unreachable) => refuse(500, "Ошибка запроса к AmoCRM"),
            Outcome::Refused(Refusal::Said(reply)) => reply,
            Outcome::Refused(Refusal::Broken) => return None,
        })
    }
}

/// How the current API passes an outcome on: always as a success of its own.
pub(crate) fn passed_on(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(body) => body,
        Outcome::Nothing => json!({ "status": "no_content", "code": 204 }),
        Outcome::Deleted => json!({ "status": "deleted", "code": 204 }),
        Outcome::Refused(Refusal::Status(status)) => json!({
            "title": title(status),
            "type": format!("https://httpstatus.es/{status}"),
            "status": status,
            "detail": "",
        }),
        Outcome::Refused(Refusal::Page(status)) => {
            json!({ "code": status, "text": "<html><h1>Доступ закрыт</h1></html>" })
        }
        Outcome::Refused(_) => {
            json!({ "error": "500: Ошибка запроса к AmoCRM: timed out", "status": "error" })
        }
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        429 => "Too Many Requests",
        _ => "Error",
    }
}

fn path_of(request: &Request) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

fn done(body: &Value) -> Reply {
    json_reply(200, body)
}

fn not_found() -> Reply {
    json_reply(404, &json!({ "detail": "Not Found" }))
}

fn bad_request(detail: &str) -> Reply {
    json_reply(400, &json!({ "detail": detail }))
}

fn invalid(kind: &str, member: &str, message: &str) -> Reply {
    let detail = json!([{ "type": kind, "loc": ["body", member], "msg": message }]);
    json_reply(422, &json!({ "detail": detail }))
}
