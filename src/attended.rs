//! Whether somebody waits for what is being done: what nobody waits for must not ask a person for
//! anything. Where it is begun is many layers above where a person is asked, and only few things are
//! done unattended, so it is a property of the running task.

use crate::upstream::Pending;

tokio::task_local! {
    static UNATTENDED: ();
}

/// `doing`, for which nobody waits if it `is_unattended`.
pub(crate) fn unattended_if<'a, T: Send + 'a>(
    is_unattended: bool,
    doing: Pending<'a, T>,
) -> Pending<'a, T> {
    if is_unattended { Box::pin(UNATTENDED.scope((), doing)) } else { doing }
}

/// Whether somebody waits for what the current task does.
pub(crate) fn is_attended() -> bool {
    UNATTENDED.try_with(|()| ()).is_err()
}
