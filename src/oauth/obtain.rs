//! Looking for a token after a refusal, in the order of what it costs: in memory, in the store, by
//! renewing, by asking a person.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::SignIn;
use super::attempt::{Ending, Stage};
use super::clock::unix_millis;
use super::discovery::{Discovery, Found};
use super::flow::resource_for;
use super::hints::{Hints, add_scopes, scopes_in};
use super::problem::Problem;
use super::settings::Grant;
use crate::hint::Hint;

/// What was found out of a refusal holds for this time for the next one of the same kind: a problem
/// for a person, one that may pass, and that there is no way to sign in.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
const AFTER_PASSING: Duration = Duration::from_secs(10);
const AFTER_NOTHING: Duration = Duration::from_mins(1);

/// Sign-ins for more scopes, for the same ones in [`STEP_UP_SPAN`] and for others altogether: a server
/// that is never content must not lead a person in circles.
const MAX_STEP_UPS: usize = 2;
const MAX_STEP_UPS_IN_ALL: usize = 12;
const STEP_UP_SPAN: Duration = Duration::from_hours(1);

/// What looking for a token has come to.
pub(super) enum Outcome {
    /// There is another one than was refused.
    Token,
    /// A person is to sign in.
    Waiting,
    /// A person would have to be asked, and must not.
    Person,
    /// There is none to be had.
    None,
}

/// What one refusal leaves behind for the next.
#[derive(Default)]
pub(super) struct Memory {
    /// What was found out last: a problem, or that there is no sign-in; and until when it holds.
    recent: Option<(Hints, Option<Problem>, Instant)>,
    /// The scopes that a person was asked for beyond the first ones, and when.
    step_ups: Vec<(Vec<String>, Instant)>,
    /// Whether the token that was refused last had just been got.
    was_refused_fresh: bool,
}

impl SignIn {
    /// Looks for another token than `sent`, which was refused with `hints`.
    pub(super) async fn obtain(
        self: Arc<Self>,
        sent: Option<HeaderValue>,
        hints: Hints,
        may_ask: bool,
    ) -> Result<Outcome, Problem> {
        let _turn = self.turn.lock().await;
        let outcome = self.look(sent.as_ref(), &hints, may_ask).await;
        if let Ok(Outcome::Token) = outcome {
            self.attempt.forget_ending();
        }
        outcome
    }

    async fn look(
        self: &Arc<Self>,
        sent: Option<&HeaderValue>,
        hints: &Hints,
        may_ask: bool,
    ) -> Result<Outcome, Problem> {
        if self.credentials.differs_from(sent) || self.credentials.reload(sent)? {
            return Ok(Outcome::Token);
        }
        let can_renew = self.credentials.held().is_some_and(|held| held.can_renew);
        let can_renew = can_renew && !hints.is_insufficient;
        if !can_renew && let Some(known) = self.known(may_ask) {
            return known;
        }
        if let Some((known, problem, until)) = &self.memory().recent
            && known == hints
            && Instant::now() < *until
        {
            return problem.clone().map_or(Ok(Outcome::None), Err);
        }
        let outcome = self.search(hints, may_ask, can_renew).await;
        let (problem, span) = match &outcome {
            Err(problem) if problem.passes() => (Some(problem.clone()), AFTER_PASSING),
            Err(problem) => (Some(problem.clone()), AFTER_FAILURE),
            Ok(Outcome::None) => (None, AFTER_NOTHING),
            Ok(_) => return outcome,
        };
        self.memory().recent = Some((hints.clone(), problem, Instant::now() + span));
        outcome
    }

    /// What is known of a person who signs in, or has refused to, here or in another process.
    fn known(&self, may_ask: bool) -> Option<Result<Outcome, Problem>> {
        let stage = self.attempt.stage();
        if let Stage::Waiting { .. } = stage {
            return Some(Ok(if may_ask { Outcome::Waiting } else { Outcome::Person }));
        }
        let shared = self.credentials.store.shared().unwrap_or_default();
        // Somebody has begun again.
        if shared.place().is_some() {
            return None;
        }
        let of_others = shared.ended.filter(|ended| ended.at >= self.started).map(|ended| {
            let age = unix_millis().saturating_sub(ended.at);
            (ended.ending, Duration::from_millis(age))
        });
        let own = match stage {
            Stage::Ended(ending, at) => Some((ending, at.elapsed())),
            Stage::Idle | Stage::Waiting { .. } => None,
        };
        [own, of_others].into_iter().flatten().find_map(|(ending, age)| match ending {
            // Not again until a person asks for it.
            Ending::Denied(problem) => Some(Err(problem)),
            Ending::Failed(problem) if age < AFTER_FAILURE => Some(Err(problem)),
            _ => None,
        })
    }

    async fn search(
        self: &Arc<Self>,
        hints: &Hints,
        may_ask: bool,
        can_renew: bool,
    ) -> Result<Outcome, Problem> {
        let record = self.credentials.store.load()?.unwrap_or_default();
        let mut found = match self.discover(hints, record.issuer.as_deref()).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Outcome::None),
            // The endpoints that are stored may be well all the same.
            Err(problem) if can_renew && problem.passes() => {
                let is_renewed = self.renew(None).await?;
                return if is_renewed { Ok(Outcome::Token) } else { Err(problem) };
            }
            Err(problem) => return Err(problem),
        };
        let is_same_issuer = record.issuer.as_deref() == Some(found.server.issuer());
        if hints.is_insufficient {
            let Some(scopes) = self.more_scopes(hints) else { return Ok(Outcome::None) };
            found.scopes = scopes;
        } else if is_same_issuer {
            if self.is_refused_again() {
                return Err(refuses_fresh(&found));
            }
            if self.renew(Some(&found.server)).await? {
                return Ok(Outcome::Token);
            }
            if can_renew && let Some(known) = self.known(may_ask) {
                return known;
            }
        }
        if self.settings.grant == Grant::ClientCredentials {
            self.ask_for_itself(&found.server, resource_for(&found), &found.scopes).await?;
            return Ok(Outcome::Token);
        }
        if !may_ask {
            return Ok(Outcome::Person);
        }
        let is_assumed = found.is_assumed;
        let begun = match self.settings.grant {
            Grant::Device => self.begin_on_device(found, false).await,
            _ => self.begin(found, false).await,
        };
        match begun {
            // Where nothing was published there need be nothing: a server that takes a token.
            Err(problem) if is_assumed && !self.settings.is_forced => {
                tracing::debug!("no sign-in: {}", problem.what());
                return Ok(Outcome::None);
            }
            begun => begun?,
        }
        if hints.is_insufficient {
            self.memory().step_ups.push((challenged(hints), Instant::now()));
        }
        Ok(Outcome::Waiting)
    }

    /// What `hints` and the upstream lead to; `known` is the issuer that was used last.
    pub(super) async fn discover(
        &self,
        hints: &Hints,
        known: Option<&str>,
    ) -> Result<Option<Found>, Problem> {
        let discovery = Discovery {
            web: &self.web,
            upstream: &self.upstream,
            reach: &self.reach,
            settings: &self.settings,
            known_issuer: known,
        };
        discovery.run(hints).await
    }

    /// The scopes to sign in again for: all that were asked for or granted before, and those that are
    /// needed now. `None` if these are no more, or were asked for in vain.
    fn more_scopes(&self, hints: &Hints) -> Option<Vec<String>> {
        let held = self.credentials.held();
        let mut scopes = held.map_or_else(Vec::new, |held| held.scopes.clone());
        let challenged = challenged(hints);
        let is_more = add_scopes(&mut scopes, challenged.iter().map(String::as_str));
        let step_ups = &mut self.memory().step_ups;
        step_ups.retain(|(_, at)| at.elapsed() < STEP_UP_SPAN);
        let count = step_ups.iter().filter(|(scopes, _)| *scopes == challenged).count();
        let is_allowed = count < MAX_STEP_UPS && step_ups.len() < MAX_STEP_UPS_IN_ALL;
        (is_more && is_allowed).then_some(scopes)
    }

    /// Takes note that the token is refused. True if it had just been got, and so had the one before,
    /// or there is none but by asking a person again: more of them would be refused too.
    fn is_refused_again(&self) -> bool {
        let fresh = self.credentials.held().filter(|held| held.is_fresh());
        let was_fresh = std::mem::replace(&mut self.memory().was_refused_fresh, fresh.is_some());
        fresh.is_some_and(|held| was_fresh || !held.can_renew)
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scopes that a refusal names, in an order of their own.
fn challenged(hints: &Hints) -> Vec<String> {
    let mut scopes: Vec<_> =
        scopes_in(hints.scope.as_deref().unwrap_or("")).map(str::to_owned).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn refuses_fresh(found: &Found) -> Problem {
    Problem::new(
        format!("it refuses the tokens that {} has just given for it", found.server.issuer()),
        Hint::both(
            "The two are not set up for each other: tell the server's administrator, or set \
             --oauth-resource or --oauth-scope.",
            "Они не настроены друг на друга: сообщите администратору сервера или задайте \
             --oauth-resource либо --oauth-scope.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::http::{ConnectSettings, Tls};
    use crate::oauth::Settings;

    #[test]
    fn more_scopes_are_asked_for_within_limits() {
        let connect =
            ConnectSettings { tls: Tls::new(false), proxy: None, timeout: Duration::from_secs(1) };
        let upstream = Url::parse("https://h/mcp").unwrap();
        let sign_in = SignIn::new(Settings::default(), &upstream, &connect, Arc::default());
        let needs = |scope: &str| Hints {
            scope: Some(scope.to_owned()),
            is_insufficient: true,
            ..Hints::default()
        };
        let begin = |scope: &str| {
            let scopes = sign_in.more_scopes(&needs(scope))?;
            sign_in.memory().step_ups.push((challenged(&needs(scope)), Instant::now()));
            Some(scopes)
        };
        assert_eq!(begin(""), None, "nothing new is asked for");
        assert_eq!(begin("b a"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(begin("a b").is_some());
        assert_eq!(begin("b a"), None, "the server is not content with what it has asked for");
        let others = (0..MAX_STEP_UPS_IN_ALL).filter(|number| begin(&number.to_string()).is_some());
        assert_eq!(others.count(), MAX_STEP_UPS_IN_ALL - MAX_STEP_UPS);
    }
}
