//! Log lines as JSON, one object a line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::redact::Secrets;

/// Formats events. Values are masked one by one, so that no mask can spoil the syntax.
pub(super) struct Json(pub(super) Arc<Secrets>);

#[derive(Serialize)]
struct Line {
    time: String,
    level: String,
    message: String,
    /// What the line is about, for example the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    within: Vec<String>,
    #[serde(flatten)]
    fields: BTreeMap<&'static str, String>,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let shown = |text: &str| self.0.redact(text).replace(char::is_control, " ");
        let spans = context.event_scope().into_iter().flat_map(Scope::from_root);
        let within = spans.map(|span| {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| &fields.fields);
            shown(&format!("{}{{{fields}}}", span.name()))
        });
        for value in fields.others.values_mut() {
            *value = shown(value);
        }
        let line = Line {
            time: rfc3339(OffsetDateTime::now_utc()),
            level: event.metadata().level().as_str().to_ascii_lowercase(),
            message: shown(&fields.message),
            within: within.collect(),
            fields: fields.others,
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The fields of an event as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<&'static str, String>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            // The members of every line keep their meaning.
            "time" | "level" | "within" => {}
            name => drop(self.others.insert(name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

fn rfc3339(time: OffsetDateTime) -> String {
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond()
    )
}
