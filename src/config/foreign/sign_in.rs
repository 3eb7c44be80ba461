//! How `mcp-remote` signs in, in our options: the parts of its redirect URI, and what it is told of its
//! client as JSON.

use serde::Deserialize;

/// A part of the redirect URI, which is put together of several options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Host,
    Port,
    Path,
}

/// The redirect URI of a command line.
#[derive(Default)]
pub(super) struct Redirect {
    parts: Vec<(Part, String)>,
}

impl Redirect {
    pub(super) fn set(&mut self, part: Part, value: String) {
        self.parts.push((part, value));
    }

    fn part(&self, part: Part) -> Option<&str> {
        self.parts.iter().rfind(|(known, _)| *known == part).map(|(_, value)| value.as_str())
    }

    /// The URI, if the command line says anything of it.
    pub(super) fn uri(&self) -> Option<String> {
        if self.parts.is_empty() {
            return None;
        }
        let host = self.part(Part::Host).unwrap_or("localhost");
        let port = self.part(Part::Port).map(|port| format!(":{port}")).unwrap_or_default();
        let path = self.part(Part::Path).unwrap_or("/oauth/callback").trim_start_matches('/');
        Some(format!("http://{host}{port}/{path}"))
    }
}

/// A client that was registered by hand.
#[derive(Deserialize)]
pub(super) struct ClientInfo {
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
}

/// What a client would register itself with.
#[derive(Deserialize)]
pub(super) struct ClientMetadata {
    pub(super) scope: String,
}

/// Reads JSON, or the file of it whose name stands behind `@`.
pub(super) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let file = text.strip_prefix('@').map(std::fs::read_to_string);
    let file = file.transpose().ok()?;
    serde_json::from_str(file.as_deref().unwrap_or(text)).ok()
}
