//! Which revisions an upstream speaks: asked for by `mcpline check`, and never on the way of a request.

use super::signs::{self, Sign};
use super::to_modern::discovery;
use super::{AnyEra, Era, SILENCE};
use crate::jsonrpc::Message;
use crate::mcp::method;
use crate::upstream::{Client, answer_in, has_ours, supported_versions};
use crate::upstream::{json::Object, local};

/// The revisions of an upstream with which a session is open.
#[derive(Debug)]
pub(crate) struct Revisions {
    /// Those that it names itself; none where it knows no `server/discover`, or is not asked.
    pub(crate) named: Vec<String>,
    /// Whether requests without a handshake go to it as they are.
    pub(crate) takes_stateless: bool,
    /// Whether a client with a handshake is translated.
    pub(crate) translates_handshake: bool,
}

impl AnyEra {
    /// Asks which revisions the upstream speaks, for a client that has sent `initialize`. Opens no
    /// session.
    pub(crate) async fn revisions(&self, initialize: &Message, client: &Client) -> Revisions {
        let named = match self.forced {
            Some(Era::Legacy) => None,
            _ => self.named(initialize, client).await,
        };
        let translates_handshake = self.forced.or(self.known.only()) == Some(Era::Modern);
        let takes_stateless =
            translates_handshake || named.as_ref().is_some_and(|named| has_ours(named));
        Revisions { named: named.unwrap_or_default(), takes_stateless, translates_handshake }
    }

    /// The revisions that the upstream names; `None` where it wants a handshake.
    async fn named(&self, initialize: &Message, client: &Client) -> Option<Vec<String>> {
        let wire = self.modern.session(client);
        let ask = discovery(initialize);
        let outcome = tokio::time::timeout(SILENCE, wire.exchange(&ask)).await.ok()?;
        if signs::of_modern_request(method::DISCOVER, &outcome) != Sign::Modern {
            return None;
        }
        let result = answer_in(&outcome)?.result().map(local::text).and_then(Object::read);
        match result {
            Some(result) => serde_json::from_str(result.get("supportedVersions")?).ok(),
            None => Some(supported_versions(&outcome)),
        }
    }
}
