//! The revisions of MCP: those with an `initialize` handshake, and the stateless one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::jsonrpc::Message;

/// The revision without a handshake that we speak.
pub(crate) const STATELESS_REVISION: &str = "2026-07-28";

/// A revision of the specification with a handshake. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Revision {
    /// HTTP+SSE.
    #[serde(rename = "2024-11-05")]
    V2024_11_05,
    /// Streamable HTTP.
    #[serde(rename = "2025-03-26")]
    V2025_03_26,
    /// Structured results.
    #[serde(rename = "2025-06-18")]
    V2025_06_18,
    #[serde(rename = "2025-11-25")]
    V2025_11_25,
}

impl Revision {
    /// The one that we ask for when the client has left the handshake to us.
    pub(crate) const LATEST: Self = Self::V2025_11_25;

    /// As it is written on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Whether `version` names a revision without a handshake, be it ours or a later one. The names of
/// revisions are dates, of this century.
pub(crate) fn is_stateless_version(version: &str) -> bool {
    let is_date = version.len() == STATELESS_REVISION.len()
        && version.bytes().zip(STATELESS_REVISION.bytes()).all(|(byte, known)| match known {
            b'-' => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_date && version.starts_with("20") && version > Revision::LATEST.as_str()
}

/// The revision that a client asks for in `initialize`; `None` where we do not know it.
pub(crate) fn asked_revision(initialize: &Message) -> Option<Revision> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InitializeParams {
        protocol_version: Revision,
    }
    initialize.read_params().map(|InitializeParams { protocol_version }| protocol_version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::to_json;

    #[test]
    fn a_revision_is_written_as_it_is_read() {
        for revision in [
            Revision::V2024_11_05,
            Revision::V2025_03_26,
            Revision::V2025_06_18,
            Revision::V2025_11_25,
        ] {
            assert_eq!(to_json(&revision), format!("\"{revision}\""));
        }
    }

    #[test]
    fn a_date_after_the_last_handshake_names_a_stateless_revision() {
        for (version, is_stateless) in [
            (STATELESS_REVISION, true),
            ("2027-01-01", true),
            ("2025-11-25", false),
            ("2024-11-05", false),
            ("DRAFT-2026-v1", false),
            ("draft", false),
            ("3.0", false),
            ("9999-12-31", false),
            ("2026-07-28x", false),
        ] {
            assert_eq!(is_stateless_version(version), is_stateless, "{version}");
        }
    }
}
