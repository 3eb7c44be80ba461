//! Tasks that run beside the one that starts them.

use std::pin::Pin;

use tokio::task::JoinHandle;

/// Starts `task`. It is boxed: for each type of task that the runtime is given, its code is there once
/// more, which is some 4 KiB.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(boxed(task))
}

/// `task` as one type, for a set of tasks.
pub(crate) fn boxed(
    task: impl Future<Output = ()> + Send + 'static,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(task)
}
