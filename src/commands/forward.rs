//! Forwards between one client and one upstream: puts the parts together and runs them.

use std::sync::Arc;

use crate::config::UpstreamSettings;
use crate::conversation::{self, Conversation, Outcome};
use crate::era::AnyEra;
use crate::http::Http;
use crate::link::Link;
use crate::setup::SetupError;
use crate::upstream::Client;
use crate::{signals, stdio, terminal};

/// Forwards between stdin/stdout and the upstream until the conversation ends.
///
/// # Errors
/// A part cannot be set up, or stdin or stdout fails. Nothing that the upstream does ends the
/// conversation; with `fail` a request that was answered with an error is an error at its end.
pub(super) async fn run(
    upstream: UpstreamSettings,
    conversation: conversation::Settings,
    fail: bool,
) -> Result<(), SetupError> {
    let UpstreamSettings { endpoint, kind, era, http, sign_in, warnings } = upstream;
    tracing::info!("mcpline {} forwards to {}", env!("CARGO_PKG_VERSION"), endpoint.shown);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    terminal::greet_person(&http.secrets.redact(&endpoint.shown));

    let stop = signals::stop_requested()
        .map_err(|error| SetupError::failed(format!("no signal handler: {error}")))?;
    let no_thread = |error| SetupError::failed(format!("cannot start a thread: {error}"));
    let input = stdio::Stdin::open(conversation.max_message).map_err(no_thread)?;
    let writer = stdio::Writer::open().map_err(no_thread)?;

    let http = Arc::new(Http::new(&http, &endpoint.url)?);
    let upstream = AnyEra::at(&endpoint.url, http, &kind, era)?;
    let client = Client::new(writer.outlet());
    let link = Link::new(Box::new(upstream), client.clone(), conversation.policy);
    if let Some(sign_in) = sign_in.clone() {
        let opened = link.clone();
        link.spawn(async move {
            loop {
                sign_in.over().await;
                opened.end_invitation().await;
                opened.credentials_changed().await;
            }
        });
    }
    let conversation = Conversation::new(conversation, link, client, &writer);
    let client_gone = stdio::client_gone(input.ended());
    let outcome = conversation.run(input, writer, Box::pin(stop), Box::pin(client_gone)).await;
    if let Some(sign_in) = sign_in {
        sign_in.settle().await;
    }
    let Outcome { has_failed, input, output } = outcome;
    if let Some(why) = output {
        return Err(SetupError::failed(format!("a reply could not be written to stdout: {why}")));
    }
    if let Some(why) = input {
        return Err(SetupError::failed(format!("standard input cannot be read: {why}")));
    }
    if fail && has_failed {
        return Err(SetupError::failed("a request was answered with an error (--fail)"));
    }
    Ok(())
}
