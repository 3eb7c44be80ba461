//! The methods and the members of results that the schemas of MCP define, for the tests of the
//! translators' tables. `scripts/schema` writes `schema.json` out of the official files.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
struct Revision {
    client: Vec<String>,
    server: Vec<String>,
    results: BTreeMap<String, Vec<String>>,
}

/// Who sends a message.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Client,
    Server,
}

fn revisions() -> BTreeMap<String, Revision> {
    serde_json::from_str(include_str!("schema.json")).unwrap()
}

/// Whether a revision has a handshake.
pub(super) fn is_legacy(revision: &str) -> bool {
    revision <= "2025-11-25"
}

/// The methods that `side` sends in the revisions that `is_meant`.
pub(super) fn methods(side: Side, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let meant = revisions().into_iter().filter(|(name, _)| is_meant(name));
    let mut methods: Vec<_> = meant
        .flat_map(|(_, revision)| match side {
            Side::Client => revision.client,
            Side::Server => revision.server,
        })
        .collect();
    methods.sort();
    methods.dedup();
    assert!(methods.len() > 5, "{methods:?}");
    methods
}

/// The members of results in the revisions that `is_meant`: the name of the result, the member.
pub(super) fn members(is_meant: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let meant = revisions().into_iter().filter(|(name, _)| is_meant(name));
    let of = |(_, revision): (String, Revision)| {
        revision.results.into_iter().flat_map(|(result, members)| {
            members.into_iter().map(move |member| (result.clone(), member))
        })
    };
    let mut members: Vec<_> = meant.flat_map(of).collect();
    members.sort();
    members.dedup();
    members
}
