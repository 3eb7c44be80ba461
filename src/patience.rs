//! Waiting for at most a time, by a rule that holds everywhere: what has arrived goes before a time
//! limit that has run out.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// Time for the runtime to see what has arrived when a time limit has run out: a process that was
/// frozen for longer (a laptop that slept) meets both at once, and data goes before the limit.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// The output of `future`, unless it takes longer than `patience`. Sets a timer only if `future` is
/// not ready at once: most bodies arrive together with their head.
pub(crate) async fn within<F: Future>(
    patience: Duration,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let now = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    match now {
        Poll::Ready(output) => Some(output),
        // Timers are large, and would be a part of every request's future.
        Poll::Pending => Box::pin(in_time(patience, future)).await,
    }
}

async fn in_time<F: Future>(patience: Duration, mut future: Pin<&mut F>) -> Option<F::Output> {
    match tokio::time::timeout(patience, future.as_mut()).await {
        Ok(output) => Some(output),
        Err(_) => tokio::time::timeout(SECOND_LOOK, future).await.ok(),
    }
}
