//! Forwards to a sample service inside the process.

use std::sync::Arc;

use url::Url;

use super::forward;
use crate::config::{self, Options, Target, UpstreamSettings};
use crate::demo::{self, Sample};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::upstream::Kind;

/// The kind of the sample, for the kind that the user has `asked` for.
///
/// # Errors
/// There is no such sample.
pub(super) fn kind(asked: Kind) -> Result<Kind, SetupError> {
    match asked {
        Kind::Auto => Ok(Kind::OneC),
        Kind::Mcp | Kind::Sse => {
            Err(SetupError::usage("the demo is of kind 1c, bitrix or amocrm; see `mcpline --help`"))
        }
        kind => Ok(kind),
    }
}

/// Starts the sample service and forwards to it until the conversation ends.
///
/// # Errors
/// The service cannot be started, or as for [`forward::run`].
pub(super) async fn run(
    options: &Options,
    kind: Kind,
    secrets: &Arc<Secrets>,
) -> Result<(), SetupError> {
    let sample = match kind {
        Kind::Bitrix => Sample::Bitrix,
        Kind::Amocrm => Sample::Amocrm,
        _ => Sample::OneC,
    };
    let no_demo = |why: &dyn std::fmt::Display| SetupError::failed(format!("no demo: {why}"));
    // Runs until it is dropped.
    let service = demo::start(sample).await.map_err(|error| no_demo(&error))?;
    let url = Url::parse(service.url()).map_err(|error| no_demo(&error))?;
    let upstream = UpstreamSettings::new(options, Target { kind, url }, secrets)?;
    let conversation = config::conversation(options, &upstream);
    forward::run(upstream, conversation).await
}
