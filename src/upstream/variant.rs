//! What an upstream has turned out to be.

use std::sync::{Mutex, PoisonError};

use crate::hint::Words;

/// Which variant of its kind an upstream has turned out to be, in words; nothing before a session was
/// opened.
#[derive(Debug, Default)]
pub(super) struct Variant(Mutex<Option<Words>>);

impl Variant {
    /// Takes note of it, and logs it.
    pub(super) fn found(&self, what: Words) {
        tracing::info!("{what}");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// What was found last.
    pub(super) fn get(&self) -> Option<Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
