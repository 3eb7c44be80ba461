//! Puts the parts together and runs them: one process is one line between one client and one
//! upstream.

use std::sync::Arc;

use crate::client::Client;
use crate::config::{Config, Target};
use crate::conversation::Conversation;
use crate::demo::Demo;
use crate::http::Http;
use crate::link::Link;
use crate::{demo, redact, signals, stdio, terminal, upstream};

/// Forwards between stdin/stdout and the upstream until the conversation ends.
///
/// # Errors
/// The line cannot be set up, in words for a person. Once it runs, nothing that the upstream does
/// ends it.
pub async fn run(config: Config) -> Result<(), String> {
    // Kept for as long as the line runs: dropping it ends the sample service.
    let (url, _demo) = match config.target {
        Target::Url(url) => (url, None),
        Target::Demo => {
            let demo = demo::start().await.map_err(|error| format!("no demo: {error}"))?;
            (parse(&demo)?, Some(demo))
        }
    };
    let shown = redact::shown(&url);
    tracing::info!("mcpline {} forwards to {shown}", env!("CARGO_PKG_VERSION"));
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    terminal::greet_person(&shown);

    let stop = signals::stop_requested().map_err(|error| format!("no signal handler: {error}"))?;
    let no_thread = |error| format!("cannot start a thread: {error}");
    let input = stdio::Stdin::open(config.conversation.max_message).map_err(no_thread)?;
    let writer = stdio::Writer::open().map_err(no_thread)?;

    let http = Arc::new(Http::new(&config.http, &url)?);
    let client = Client::new(writer.outlet());
    let settings = crate::conversation::Settings { url: shown, ..config.conversation };
    let upstream = upstream::upstream(http, url, &config.kind)?;
    let link = Link::new(upstream, client.clone(), settings.policy);
    let conversation = Conversation::new(settings, link, client, &writer);
    conversation.run(input, writer, stop, stdio::stdout_closed()).await;
    Ok(())
}

fn parse(demo: &Demo) -> Result<url::Url, String> {
    url::Url::parse(demo.url()).map_err(|error| format!("no demo: {error}"))
}
