//! What mcp-amocrm-server tells of itself by its documents and its REST API.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::rest::json_headers;
use crate::http::Http;
use crate::upstream::endpoint_at;
use crate::upstream::json::Object;
use crate::upstream::local;

/// Time for an answer that tells the generation.
const PATIENCE: Duration = Duration::from_secs(2);

/// The documents below one base URL.
pub(super) struct Documents {
    http: Arc<Http>,
    base: Url,
}

impl Documents {
    pub(super) fn new(http: Arc<Http>, base: Url) -> Self {
        Self { http, base }
    }

    /// The generation of the REST API that answers, in words.
    pub(super) async fn generation(&self) -> Option<&'static str> {
        if let Some(text) = self.document("/openapi.json").await {
            let document = Object::read(local::text(&text))?;
            let paths = document.get("paths").and_then(Object::read)?;
            let has = |path| paths.get(path).is_some();
            return if has("/api/contacts/get-or-create") {
                Some("with the smart endpoints")
            } else if has("/api/v4-proxy/{path}") {
                Some("current")
            } else if has("/api/entities") {
                Some("early")
            } else {
                None
            };
        }
        let is_here = self.names_itself().await || self.takes_entities().await;
        is_here.then_some("of an unknown generation")
    }

    /// Whether the root is the document of mcp-amocrm-server.
    pub(super) async fn names_itself(&self) -> bool {
        let Some(text) = self.document("/").await else { return false };
        let service = Object::read(local::text(&text)).and_then(|about| about.string("service"));
        service.is_some_and(|service| service.to_lowercase().contains("amocrm"))
    }

    /// Whether the universal endpoint of the REST API answers: with the complaint that the type of
    /// the entities is missing. A health like any other tells nothing, but keeps this from servers
    /// that cannot be the one.
    async fn takes_entities(&self) -> bool {
        let healthy = |text: Bytes| {
            Object::read(local::text(&text))?.string("status").filter(|status| status == "healthy")
        };
        if self.document("/health").await.and_then(healthy).is_none() {
            return false;
        }
        let asked = async {
            let endpoint = endpoint_at(&self.base, "/api/entities");
            let answer = self.http.post(&endpoint, json_headers(), "{}".into()).await.ok()?;
            let refusal = (answer.status().as_u16() == 422).then(|| answer.refusal())?;
            let body = refusal.await.body;
            Some(local::text(&body).contains("entity_type"))
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        matches!(asked, Ok(Some(true)))
    }

    /// A JSON document of the server, where it exists.
    async fn document(&self, path: &str) -> Option<Bytes> {
        let read = async {
            let endpoint = endpoint_at(&self.base, path);
            let answer = self.http.get(&endpoint, json_headers()).await.ok()?;
            if !answer.status().is_success() || answer.is_event_stream() {
                return None;
            }
            Some(answer.beginning().await)
        };
        tokio::time::timeout(PATIENCE, read).await.ok()?
    }
}
