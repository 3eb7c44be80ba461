//! The event stream of an answer, resumed where it breaks off ("Resumability and Redelivery").

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::reading::Reading;
use super::Connection;
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::http::sse::Event;
use crate::http::{self, Answer, Events, StreamBroke};
use crate::patience::within;
use crate::retry::Resumption;

/// A stream that is being read.
pub(super) struct Resumable<'a> {
    connection: &'a Connection,
    url: Arc<str>,
    /// The longest time without any sign of life.
    patience: Duration,
    events: Events,
    resume_from: Option<String>,
    last_life: Instant,
    resumption: Resumption,
}

impl<'a> Resumable<'a> {
    pub(super) fn new(connection: &'a Connection, answer: Answer) -> Self {
        let (url, patience) = (answer.url().clone(), answer.idle_timeout());
        Self {
            connection,
            url,
            patience,
            events: answer.events(),
            resume_from: None,
            last_life: Instant::now(),
            resumption: Resumption::default(),
        }
    }

    /// The next event, from the stream or from the one that goes on where it broke off; `reading`
    /// is what the events so far have come to.
    ///
    /// # Errors
    /// The stream cannot be read on.
    pub(super) async fn next(&mut self, reading: &mut Reading<'_>) -> Result<Event, Failure> {
        loop {
            let why = match self.events.next().await {
                Ok(event) => {
                    self.note_life();
                    return Ok(event);
                }
                Err(StreamBroke::Ended) => {
                    let failure = reading.ended_without_response(&self.url);
                    if failure.cause == Cause::Unusable {
                        return Err(failure);
                    }
                    failure.what
                }
                Err(StreamBroke::Failed(failure)) if failure.cause == Cause::Interrupted => {
                    failure.what
                }
                Err(StreamBroke::Failed(failure)) => return Err(failure),
            };
            // An event without data is a sign of life as well: it moves the place to resume from.
            if let Some(id) = self.events.last_event_id()
                && self.resume_from.as_deref() != Some(id)
            {
                self.resume_from = Some(id.to_owned());
                self.note_life();
            }
            let Some(id) = self.resume_from.clone() else { return Err(lost(&why)) };
            self.read_on(&id, &why).await?;
        }
    }

    /// Lets the stream end in the background, so that its connection can be used again.
    pub(super) fn finish(self) {
        self.events.finish();
    }

    fn note_life(&mut self) {
        self.last_life = Instant::now();
        self.resumption.note_life();
    }

    /// Opens the stream again behind the event `id`, after it broke off because of `why`.
    async fn read_on(&mut self, id: &str, why: &str) -> Result<(), Failure> {
        tracing::debug!("the answer's stream broke off; resuming it");
        let left = self.patience.saturating_sub(self.last_life.elapsed());
        let budget = self.connection.http.retry_for();
        let for_retries = budget.saturating_sub(self.last_life.elapsed());
        let delay = self.resumption.after_break(self.events.retry());
        let resumed = resume(self.connection, &mut self.resumption, id, delay);
        match within(left.min(for_retries), pin!(resumed)).await {
            Some(Ok(answer)) => {
                self.events = answer.events();
                Ok(())
            }
            Some(Err(failure)) => {
                Err(lost(&format!("{why}; resuming it failed: {}", failure.what)))
            }
            None if for_retries < left => {
                Err(lost(&format!("{why}; it could not be read on in time")))
            }
            None => Err(http::timed_out(&self.url, self.patience)),
        }
    }
}

/// Opens the stream behind the event `id`, after `delay`.
async fn resume(
    connection: &Connection,
    resumption: &mut Resumption,
    id: &str,
    mut delay: Duration,
) -> Result<Answer, Failure> {
    loop {
        tokio::time::sleep(delay).await;
        let failure = match connection.open_stream(Some(id)).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        match resumption.after_refusal(&failure) {
            Some(next) => delay = next,
            None => return Err(failure),
        }
    }
}

fn lost(what: &str) -> Failure {
    Failure::new(Class::Ambiguous, Cause::Interrupted, what).hint(Hint::both(
        "The server or a proxy in between closed the connection: look at the server's log.",
        "Соединение закрыл сервер или прокси перед ним: посмотрите журнал сервера.",
    ))
}
