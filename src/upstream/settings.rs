//! The settings of the kinds beyond the URL.

#![expect(clippy::doc_markdown, reason = "the doc comments are the help's text")]

use clap::ValueEnum;

use super::Kind;

/// Settings of all kinds; each kind uses its own.
#[derive(Debug, Clone)]
pub(crate) struct KindSettings {
    /// How the upstream is reached.
    pub kind: Kind,
    /// 1C: the root URL of the HTTP service (`--service-root`).
    pub service_root: String,
    /// 1C: the number of managed sessions; with `None` the publication reuses sessions.
    pub managed_sessions: Option<usize>,
    /// Repairs that are turned off.
    pub keep: Vec<Keep>,
    /// Things to do that are off by default.
    pub with: Vec<With>,
    /// amoCRM: calls of the REST API a second; 0 for no limit.
    pub rate: u32,
    /// amoCRM: a tool catalogue in JSON, to add to the embedded one.
    pub catalogue: Option<String>,
    /// amoCRM: values for created leads where the call has none.
    pub lead_defaults: LeadDefaults,
}

/// Values for created amoCRM leads where the call has none (`AMO_PIPELINE_ID` and its like).
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_field_names, reason = "the names of amoCRM")]
pub(crate) struct LeadDefaults {
    /// `pipeline_id`
    pub pipeline_id: Option<u64>,
    /// `status_id`
    pub status_id: Option<u64>,
    /// `responsible_user_id`
    pub responsible_id: Option<u64>,
}

/// Repairs that can be turned off (`--keep`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// 1C: tool and prompt names that clients or models refuse
    Names,
    /// Resource URIs that some clients refuse
    Uris,
    /// AmoCRM: failures that come as successful results
    Errors,
}

/// Things that are off by default (`--with`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum With {
    /// No effect any more: 1C services that know notifications get them
    #[value(hide = true)]
    Notifications,
    /// Bitrix24: listen to the stream on which the server tells everybody everything
    Stream,
    /// AmoCRM over MCP: offer the resources of the REST API too
    Resources,
    /// AmoCRM over REST: offer the tool `amocrm_request`, which can do anything
    RequestTool,
}

impl KindSettings {
    pub(super) fn keeps(&self, what: Keep) -> bool {
        self.keep.contains(&what)
    }

    pub(super) fn does(&self, what: With) -> bool {
        self.with.contains(&what)
    }
}
