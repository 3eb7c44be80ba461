//! Why there is no token: words for the person who has to do something about it.

use serde::{Deserialize, Serialize};

use crate::failure::{Cause, Class, Failure};
use crate::hint::{Hint, Readers};

/// What to do about a server that is not well.
pub(super) const AGAIN_LATER: Hint =
    Hint::both("Try again in a while.", "Повторите попытку позже.");

/// What keeps us from signing in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// A sentence without its period.
    what: String,
    /// What to do about it.
    #[serde(with = "crate::hint::in_both_languages")]
    hint: Hint,
    /// Whether it may pass by itself.
    passes: bool,
}

impl Problem {
    /// A problem that stays until somebody does something about it.
    pub(super) fn new(what: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Self { what: what.into(), hint: hint.into(), passes: false }
    }

    /// An authorization server that cannot be reached, or fails.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        let passes =
            failure.class() != Class::Final || failure.status.is_some_and(|code| code >= 500);
        Self {
            what: failure.what.clone(),
            hint: failure.hint.as_deref().cloned().unwrap_or(Hint::english("")),
            passes,
        }
    }

    /// A problem that may pass by itself.
    pub(super) fn passing(what: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Self { passes: true, ..Self::new(what, hint) }
    }

    /// The same problem, which may pass by itself.
    #[must_use]
    pub(super) fn that_passes(self) -> Self {
        Self { passes: true, ..self }
    }

    /// Whether it may pass by itself.
    pub(super) fn passes(&self) -> bool {
        self.passes
    }

    /// What is wrong, in one sentence without its period.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it; may be empty.
    pub(crate) fn hint(&self) -> &Hint {
        &self.hint
    }

    /// The problem in full, for the person who signs in to `upstream`.
    pub(super) fn text(&self, upstream: &str) -> String {
        format!("cannot sign in to {upstream}: {}. {}", self.what, &*self.hint)
            .trim_end()
            .to_owned()
    }

    /// The same in Russian, but for what is wrong, which people search for.
    pub(super) fn text_in_russian(&self, upstream: &str) -> String {
        let hint = self.hint.text(Readers::OfRussian, "");
        format!("Не удалось войти на {upstream}: {}. {hint}", self.what).trim_end().to_owned()
    }

    /// The failure of a request that `upstream` refused for want of a token.
    pub(super) fn to_failure(&self, upstream: &str) -> Failure {
        let class = if self.passes { Class::Rejected } else { Class::Final };
        let what = format!("cannot sign in to {upstream}: {}", self.what);
        let mut failure = Failure::new(class, Cause::Unauthorised, what);
        failure.status = Some(401);
        let hint = Some(&self.hint).filter(|hint| !hint.is_empty());
        failure.hint = hint.cloned().map(Box::new);
        failure
    }
}
