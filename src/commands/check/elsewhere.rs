//! Looks for the server at the usual addresses of its origin, where the one that the person gave leads to
//! something else.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::checkup::Checkup;
use super::report::Finding;
use crate::commands::local_client::{LocalClient, RequestError};
use crate::failure::Cause;
use crate::hint::words;
use crate::http::{Endpoint, Http};
use crate::upstream::Kind;

/// Paths at which servers of MCP mostly are.
const USUAL: [&str; 4] = ["/mcp", "/mcp/", "/api/mcp", "/sse"];

/// Longer than a server that is there needs to open a session.
const PATIENCE: Duration = Duration::from_secs(5);

/// `finding` of the step that failed by `error`, with the address at which a server does answer.
pub(super) async fn pointed(
    checkup: &mut Checkup,
    finding: Finding,
    error: &RequestError,
) -> Finding {
    let is_other_thing = matches!(error.status, Some(404 | 405 | 410))
        || error.code == Cause::Unusable.code() && error.is_ours;
    let is_known_elsewhere =
        matches!(checkup.server.upstream.kind.kind, Kind::OneC | Kind::Bitrix | Kind::Amocrm);
    if !is_other_thing || is_known_elsewhere {
        return finding;
    }
    let Some(url) = found(checkup).await else { return finding };
    let url = checkup.server.redacted(Endpoint::new(url).shown.as_ref());
    let hint = words!(
        "An MCP server answers at {url}: give this address.",
        "Сервер MCP отвечает по адресу {url}: укажите этот адрес.",
    );
    Finding { hint: Some(hint), ..finding }.fact("elsewhere", url)
}

/// The first of the usual addresses at which a session can be opened. It is ended at once.
async fn found(checkup: &mut Checkup) -> Option<Url> {
    for path in USUAL {
        let mut url = checkup.url().clone();
        url.set_path(path);
        if url.path() == checkup.url().path() {
            continue;
        }
        let mut client = client_at(checkup, &url)?;
        // What does not answer is left alone: to end it would be to wait for it.
        let Ok(opened) = tokio::time::timeout(PATIENCE, client.initialize()).await else {
            continue;
        };
        client.end().await;
        if opened.is_ok() {
            return Some(url);
        }
    }
    None
}

/// A client of the server at `url`, with the settings of the check.
fn client_at(checkup: &mut Checkup, url: &Url) -> Option<LocalClient> {
    let upstream = &mut checkup.server.upstream;
    let endpoint = std::mem::replace(&mut upstream.endpoint, Endpoint::new(url.clone()));
    let kind = std::mem::replace(&mut upstream.kind.kind, Kind::Mcp);
    let client = Http::new(&upstream.http, url)
        .and_then(|http| LocalClient::start_over(Arc::new(http), &checkup.server));
    checkup.server.upstream.endpoint = endpoint;
    checkup.server.upstream.kind.kind = kind;
    client.ok()
}
