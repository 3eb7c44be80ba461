//! Forwards to a sample service of 1C inside the process.

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::forward;
use crate::cli::Cli;
use crate::config::{self, Target, UpstreamSettings};
use crate::demo::{self, Demo};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::upstream::Kind;

/// How the sample is reached.
pub(super) const KIND: Kind = Kind::OneC;

/// Refuses a kind other than the sample's.
pub(super) fn check_kind(kind: Kind) -> Result<(), SetupError> {
    if matches!(kind, Kind::Auto | KIND) {
        return Ok(());
    }
    Err(SetupError::usage("the demo is a service of 1C")
        .hint("leave --kind out (and MCPLINE_KIND), or set it to 1c"))
}

/// Starts the sample service, which runs until it is dropped.
///
/// # Errors
/// It cannot be started.
pub(super) async fn start() -> Result<(Demo, Url), SetupError> {
    let no_demo = |why: &dyn fmt::Display| SetupError::failed(format!("no demo: {why}"));
    let service = demo::start().await.map_err(|error| no_demo(&error))?;
    let url = Url::parse(service.url()).map_err(|error| no_demo(&error))?;
    Ok((service, url))
}

/// Starts the sample service and forwards to it until the conversation ends.
///
/// # Errors
/// The service cannot be started, or as for [`forward::run`].
pub(super) async fn run(cli: &Cli, secrets: &Arc<Secrets>) -> Result<(), SetupError> {
    let options = &cli.options;
    let (_service, url) = start().await?;
    let mut upstream = UpstreamSettings::new(options, Target { kind: KIND, url }, secrets)?;
    upstream.warnings.extend(cli.warnings.iter().cloned());
    let conversation = config::conversation(options, &upstream);
    forward::run(upstream, conversation, options.logs.fail).await
}
