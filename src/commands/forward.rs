//! Forwards between one client and one upstream: puts the parts together and runs them.

use std::sync::Arc;

use crate::config::UpstreamSettings;
use crate::conversation::{self, Conversation};
use crate::http::Http;
use crate::link::Link;
use crate::setup::SetupError;
use crate::upstream::Client;
use crate::{signals, stdio, terminal, upstream};

/// Forwards between stdin/stdout and the upstream until the conversation ends.
///
/// # Errors
/// A part cannot be set up. Once all run, nothing that the upstream does ends them.
pub(super) async fn run(
    upstream: UpstreamSettings,
    conversation: conversation::Settings,
) -> Result<(), SetupError> {
    let UpstreamSettings { endpoint, kind, http, warnings } = upstream;
    tracing::info!("mcpline {} forwards to {}", env!("CARGO_PKG_VERSION"), endpoint.shown);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    terminal::greet_person(&endpoint.shown);

    let stop = signals::stop_requested()
        .map_err(|error| SetupError::failed(format!("no signal handler: {error}")))?;
    let no_thread = |error| SetupError::failed(format!("cannot start a thread: {error}"));
    let input = stdio::Stdin::open(conversation.max_message).map_err(no_thread)?;
    let writer = stdio::Writer::open().map_err(no_thread)?;

    let http = Http::new(&http, &endpoint.url)?;
    let upstream = upstream::upstream(Arc::new(http), endpoint.url, &kind)?;
    let client = Client::new(writer.outlet());
    let link = Link::new(upstream, client.clone(), conversation.policy);
    let conversation = Conversation::new(conversation, link, client, &writer);
    conversation.run(input, writer, stop, stdio::stdout_closed()).await;
    Ok(())
}
