//! A sample 1C:Enterprise HTTP service: the infobase `demo` of a small trading firm, published on
//! a web server, with MCP under `/hs/mcp`. It answers as such services do, down to the byte order
//! mark, so that whatever works against it has a chance against a real one.
//!
//! `rpc` reads messages and knows the methods, `tools`, `resources` and `prompts` are what it
//! offers, `text` puts the data into words, `catalogue` holds them, `json` writes the bytes.

mod arguments;
mod catalogue;
mod json;
mod prompts;
mod resources;
mod rpc;
mod text;
mod tools;
mod values;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::http::{Method, Request, StatusCode};
use serde::Serialize;

use self::catalogue::Catalogue;
use super::server::{self, Answer};

/// Where messages are sent to.
pub(super) const PATH: &str = "/demo/hs/mcp/rpc";

const NAME: &str = "Демо 1С";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const INSTRUCTIONS: &str = "Демонстрационная база небольшой торговой фирмы: контрагенты, товары с \
    остатками и заказы покупателей. Все данные выдуманы, рабочая дата базы — 20.11.2026. Сначала \
    найдите контрагента (find_customers) или товар (get_stock), затем пользуйтесь их кодами и \
    артикулами. Изменения живут до завершения программы.";

/// The infobase and its service.
pub(super) struct Service {
    catalogue: Mutex<Catalogue>,
}

impl Service {
    /// Loads the infobase as it was shipped.
    pub(super) fn new() -> io::Result<Self> {
        let catalogue = Mutex::new(Catalogue::load()?);
        Ok(Self { catalogue })
    }

    pub(super) async fn answer(&self, request: &Request<Vec<u8>>) -> Answer {
        let path = request.uri().path();
        match (path, request.method()) {
            (PATH | "/demo/hs/mcp/", &Method::POST) => {
                match rpc::answer(self, request.body()).await {
                    Some(body) => server::content(json::MEDIA_TYPE, body),
                    None => server::empty(StatusCode::NO_CONTENT),
                }
            }
            (PATH | "/demo/hs/mcp/", _) => server::method_not_allowed("POST"),
            ("/demo/hs/mcp/health", &Method::GET) => document(&Health { status: "ok" }),
            ("/demo/hs/mcp/manifest", &Method::GET) => document(&MANIFEST),
            ("/demo/hs/mcp/health" | "/demo/hs/mcp/manifest", _) => {
                server::method_not_allowed("GET")
            }
            _ if path.starts_with("/demo/") => not_published(),
            _ => server::refused(StatusCode::NOT_FOUND, "Такой страницы на сервере нет"),
        }
    }

    fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        // A panic elsewhere leaves at worst half a sample order behind: no reason to fail for ever.
        let locked = self.catalogue.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    name: &'static str,
    version: &'static str,
    protocol_version: &'static str,
    instructions: &'static str,
    capabilities: rpc::Capabilities,
}

const MANIFEST: Manifest = Manifest {
    name: NAME,
    version: VERSION,
    protocol_version: rpc::DEFAULT_REVISION,
    instructions: INSTRUCTIONS,
    capabilities: rpc::CAPABILITIES,
};

fn document(value: &impl Serialize) -> Answer {
    match json::write(value) {
        Ok(body) => server::content(json::MEDIA_TYPE, body),
        Err(_) => server::refused(StatusCode::INTERNAL_SERVER_ERROR, "Ошибка записи JSON"),
    }
}

/// What the module between web server and platform says about an address inside a published
/// infobase that leads to no service.
fn not_published() -> Answer {
    let page = "\u{FEFF}<html><head><title>1C:Enterprise 8 application error</title></head>\r\n\
        <body><h2>1C:Enterprise 8 application error:</h2>\r\n\
        Не найден HTTP-сервис или шаблон URL\r\n</body></html>\r\n";
    let mut answer = server::content("text/html; charset=utf-8", page);
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

#[cfg(test)]
mod tests {
    use ::http::header::ALLOW;
    use serde_json::{Value, json};

    use super::*;

    async fn request(method: Method, path: &str, body: &str) -> (Answer, Vec<u8>) {
        let mut request = Request::new(body.as_bytes().to_vec());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        let service = Service::new().unwrap();
        let answer = service.answer(&request).await;
        let body = answer.body().whole().to_vec();
        (answer, body)
    }

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body.strip_prefix("\u{FEFF}".as_bytes()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn health_and_manifest_are_documents() {
        let (answer, body) = request(Method::GET, "/demo/hs/mcp/health", "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(parsed(&body), json!({"status": "ok"}));

        let (_, body) = request(Method::GET, "/demo/hs/mcp/manifest", "").await;
        let manifest = parsed(&body);
        assert_eq!(manifest["name"], NAME);
        assert_eq!(manifest["protocolVersion"], "2025-03-26");
        assert!(manifest["capabilities"]["tools"].is_object());
    }

    #[tokio::test]
    async fn both_addresses_take_messages() {
        for path in [PATH, "/demo/hs/mcp/"] {
            let ping = r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
            let (answer, body) = request(Method::POST, path, ping).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(parsed(&body)["id"], "a");
        }
    }

    #[tokio::test]
    async fn a_wrong_method_names_the_right_one() {
        for (path, allowed) in
            [(PATH, "POST"), ("/demo/hs/mcp/", "POST"), ("/demo/hs/mcp/health", "GET")]
        {
            let (answer, _) = request(Method::DELETE, path, "").await;
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers()[ALLOW], allowed);
        }
    }

    #[tokio::test]
    async fn other_addresses_are_pages() {
        for path in ["/", "/Demo/hs/mcp/rpc", "/demo/hs/mcp", "/demo/hs/x/rpc"] {
            let (answer, body) = request(Method::POST, path, "{}").await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            let page = String::from_utf8(body).unwrap();
            assert!(page.contains("<html>"), "{page}");
        }
    }
}
