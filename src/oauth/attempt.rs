//! A sign-in by a person, as this process sees it: how far it has come, and what it came to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::callback::Arrival;
use super::problem::Problem;

/// A browser is opened at most once in this time, unless a person has signed in meanwhile.
const BETWEEN_BROWSERS: Duration = Duration::from_hours(1);

/// What a person is to open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) url: String,
    /// The code to enter there, where it is no part of the address.
    pub(super) code: Option<String>,
}

impl Place {
    /// What to do, as a part of a sentence.
    pub(super) fn task(&self) -> String {
        match &self.code {
            None => format!("open {} in a browser", self.url),
            Some(code) => format!("open {} in a browser and enter the code {code}", self.url),
        }
    }
}

/// What a sign-in came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Ending {
    SignedIn,
    /// The person has refused.
    Denied(Problem),
    Failed(Problem),
    /// Nobody came back, or somebody else has stopped it.
    Unused,
}

impl Ending {
    /// Why nobody is signed in, as far as that is known.
    pub(super) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Denied(problem) | Self::Failed(problem) => Some(problem),
            Self::SignedIn | Self::Unused => None,
        }
    }
}

/// How far a sign-in has come.
#[derive(Clone, Default)]
pub(super) enum Stage {
    /// None is under way, and nothing is known of the last one.
    #[default]
    Idle,
    Waiting {
        place: Place,
        arrivals: Option<mpsc::Sender<Arrival>>,
    },
    /// The last one ended, at this time.
    Ended(Ending, Instant),
}

/// The sign-in that is under way, or was the last one.
#[derive(Default)]
pub(super) struct Attempt {
    stage: watch::Sender<Stage>,
    page: Mutex<Page>,
    /// Notified when a browser has got the page that tells how it went.
    pub(super) page_shown: Arc<Notify>,
    over: Notify,
}

#[derive(Default)]
struct Page {
    /// The task that waits for the browser, and shows the last page for a while.
    hosting: Option<JoinHandle<()>>,
    /// When a browser was opened last, if nobody has signed in since.
    opened: Option<Instant>,
}

impl Attempt {
    pub(super) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// What a person is to open, while one is waited for.
    pub(super) fn place(&self) -> Option<Place> {
        match &*self.stage.borrow() {
            Stage::Waiting { place, .. } => Some(place.clone()),
            Stage::Idle | Stage::Ended(..) => None,
        }
    }

    /// Waits until no person is waited for.
    pub(super) async fn not_waiting(&self) {
        let mut stage = self.stage.subscribe();
        // The sender lives as long as `self`.
        let _ = stage.wait_for(|stage| !matches!(stage, Stage::Waiting { .. })).await;
    }

    /// A person is waited for at `place`; `arrivals` takes what a person pastes.
    pub(super) fn wait_at(&self, place: Place, arrivals: Option<mpsc::Sender<Arrival>>) {
        self.stage.send_replace(Stage::Waiting { place, arrivals });
    }

    /// The person is to open `now`; returns whether that is news.
    pub(super) fn move_to(&self, now: &Place) -> bool {
        self.stage.send_if_modified(|stage| match stage {
            Stage::Waiting { place, .. } if place != now => {
                place.clone_from(now);
                true
            }
            _ => false,
        })
    }

    /// The sign-in is over.
    pub(super) fn end(&self, ending: Ending) {
        if let Ending::SignedIn = ending {
            self.page().opened = None;
        }
        self.stage.send_replace(Stage::Ended(ending, Instant::now()));
        self.over.notify_one();
    }

    /// There is a token: what the last sign-in came to does not count any more.
    pub(super) fn forget_ending(&self) {
        self.stage.send_if_modified(|stage| match stage {
            Stage::Ended(Ending::SignedIn, _) | Stage::Idle | Stage::Waiting { .. } => false,
            Stage::Ended(..) => {
                *stage = Stage::Idle;
                true
            }
        });
    }

    /// Waits until a sign-in by a person is over, whatever came of it.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }

    /// Whether a browser may be opened now, in which case it counts as opened.
    pub(super) fn may_open_browser(&self) -> bool {
        let opened = &mut self.page().opened;
        let may_open = opened.is_none_or(|opened| opened.elapsed() >= BETWEEN_BROWSERS);
        if may_open {
            *opened = Some(Instant::now());
        }
        may_open
    }

    /// Takes over the task that waits for the browser.
    pub(super) fn host(&self, hosting: JoinHandle<()>) {
        self.page().hosting = Some(hosting);
    }

    /// Ends the task that waits for the browser, and with it the use of its port.
    pub(super) async fn stop_hosting(&self) {
        let hosting = self.page().hosting.take();
        if let Some(hosting) = hosting {
            hosting.abort();
            let _ = hosting.await;
        }
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
