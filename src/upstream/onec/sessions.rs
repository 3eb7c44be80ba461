//! Sessions of the 1C platform, below HTTP and unknown to MCP. Each call runs in one, and each open
//! session takes a client licence.
//!
//! By default the publication reuses sessions by itself, and we keep only the cookies of load
//! balancers. Managed sessions we start and end ourselves with the header `IBSession`; the cookie
//! `ibsession` names them.
//!
//! Invariants: at most one call at a time runs in a managed session. A session whose call was
//! abandoned is not used again, because the platform may still be working in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Starts and ends a managed session.
const IB_SESSION: HeaderName = HeaderName::from_static("ibsession");

/// The most abandoned sessions that we remember.
const MAX_ABANDONED: usize = 16;

/// The most cookies kept: more than any load balancer sets. The oldest go first.
const MAX_COOKIES: usize = 32;

/// The longest cookie kept, in bytes.
const MAX_COOKIE: usize = 4096;

/// The cookie that names a managed session.
const SESSION_COOKIE: &str = "ibsession";

/// The sessions at one service.
pub(super) struct Sessions {
    /// `None` leaves the reuse of sessions to the publication.
    managed: Option<Managed>,
    /// Cookies for calls outside of managed sessions.
    shared: Mutex<Cookies>,
}

struct Managed {
    places: Arc<Semaphore>,
    free: Mutex<Vec<Cookies>>,
    /// Sessions whose calls were abandoned: not used again, and ended with the process.
    abandoned: Mutex<Vec<Cookies>>,
    /// Set once the service turns out not to support managed sessions.
    is_unsupported: AtomicBool,
}

impl Sessions {
    /// At most `managed` sessions, or automatic reuse. `cookie` is the header of the configuration.
    pub(super) fn new(managed: Option<usize>, cookie: Option<&HeaderValue>) -> Self {
        let mut own = Cookies::default();
        for pair in cookie.and_then(|value| value.to_str().ok()).unwrap_or_default().split(';') {
            own.set(pair, "");
        }
        let managed = managed.map(|count| Managed {
            places: Arc::new(Semaphore::new(count)),
            free: Mutex::new(vec![own.clone(); count]),
            abandoned: Mutex::default(),
            is_unsupported: AtomicBool::new(false),
        });
        Self { managed, shared: Mutex::new(own) }
    }

    /// Whether we start and end the sessions.
    pub(super) fn are_managed(&self) -> bool {
        self.managed.is_some()
    }

    /// Waits for a place for one call.
    pub(super) async fn enter(&self) -> Place<'_> {
        let managed =
            self.managed.as_ref().filter(|all| !all.is_unsupported.load(Ordering::Relaxed));
        let Some(managed) = managed else {
            return Place { sessions: self, managed: None, cookies: lock(&self.shared).clone() };
        };
        // Never closed.
        let permit = managed.places.clone().acquire_owned().await.ok();
        let cookies = lock(&managed.free).pop().unwrap_or_default();
        Place { sessions: self, managed: permit, cookies }
    }

    /// Takes the sessions without a call in flight: the header fields that end each of them.
    pub(super) fn take_open(&self) -> Vec<HeaderMap> {
        let Some(managed) = &self.managed else { return Vec::new() };
        let mut open = std::mem::take(&mut *lock(&managed.abandoned));
        for cookies in lock(&managed.free).iter_mut().filter(|cookies| cookies.session.is_some()) {
            open.push(cookies.clone());
            cookies.session = None;
        }
        let finish = |cookies: Cookies| {
            let mut headers = HeaderMap::new();
            cookies.write(&mut headers);
            headers.insert(IB_SESSION, HeaderValue::from_static("finish"));
            headers
        };
        open.into_iter().map(finish).collect()
    }
}

/// A call's place in a session. A place dropped in the middle of the call goes back without the
/// session.
pub(super) struct Place<'a> {
    sessions: &'a Sessions,
    managed: Option<OwnedSemaphorePermit>,
    cookies: Cookies,
}

impl Place<'_> {
    /// Whether a managed session must be started before the call or with it.
    pub(super) fn needs_start(&self) -> bool {
        let managed = self.sessions.managed.as_ref().filter(|_| self.managed.is_some());
        managed.is_some_and(|managed| !managed.is_unsupported.load(Ordering::Relaxed))
            && self.cookies.session.is_none()
    }

    /// Whether the call runs in a managed session that is open already.
    pub(super) fn has_session(&self) -> bool {
        self.cookies.session.is_some()
    }

    /// The id of the session, if there is one.
    pub(super) fn session_id(&self) -> Option<&str> {
        self.cookies.session.as_deref()?.split_once('=').map(|(_, id)| id)
    }

    /// Adds the cookies, and with `starts` the request for a new session.
    pub(super) fn write(&self, headers: &mut HeaderMap, starts: bool) {
        self.cookies.write(headers);
        if starts {
            headers.insert(IB_SESSION, HeaderValue::from_static("start"));
        }
    }

    /// Takes over the cookies of an answer. `started`: the request asked for a session.
    pub(super) fn take_cookies(&mut self, headers: &HeaderMap, started: bool, is_success: bool) {
        for value in headers.get_all(SET_COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
            if self.managed.is_some() {
                self.cookies.set(pair, attributes);
            } else if !is_session_cookie(pair) {
                // A session cookie that we send back would make the session a managed one.
                lock(&self.sessions.shared).set(pair, attributes);
            }
        }
        match &self.sessions.managed {
            Some(managed) if started && is_success && self.cookies.session.is_none() => {
                tracing::warn!("the service starts no managed sessions; continuing without them");
                managed.is_unsupported.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Forgets the session, which is gone at the service.
    pub(super) fn forget(&mut self) {
        self.cookies.session = None;
    }

    /// Gives the place back after a call that was answered.
    pub(super) fn leave(mut self) {
        self.give_back(false);
    }

    fn give_back(&mut self, was_abandoned: bool) {
        let mut cookies = std::mem::take(&mut self.cookies);
        if let (Some(managed), Some(permit)) = (&self.sessions.managed, self.managed.take()) {
            if was_abandoned && cookies.session.is_some() {
                let mut abandoned = lock(&managed.abandoned);
                // The platform ends the oldest by itself, after their idle time.
                if abandoned.len() == MAX_ABANDONED {
                    abandoned.remove(0);
                }
                abandoned.push(cookies.clone());
                cookies.session = None;
            }
            lock(&managed.free).push(cookies);
            drop(permit);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.managed.is_some() {
            self.give_back(true);
        }
    }
}

/// The cookies of one session or publication.
#[derive(Default, Clone)]
struct Cookies {
    /// `ibsession=…`
    session: Option<String>,
    /// `NAME=VALUE`, mostly of load balancers.
    other: Vec<String>,
}

impl Cookies {
    /// Sets the cookie `NAME=VALUE`. An empty value, or an expired one, deletes it.
    fn set(&mut self, pair: &str, attributes: &str) {
        let pair = pair.trim();
        let Some((name, value)) = pair.split_once('=') else { return };
        let is_gone = value.is_empty() || attributes.split(';').any(is_expired);
        if is_session_cookie(pair) {
            self.session = (!is_gone).then(|| pair.to_owned());
            return;
        }
        self.other.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
        if !is_gone && pair.len() <= MAX_COOKIE {
            if self.other.len() == MAX_COOKIES {
                self.other.remove(0);
            }
            self.other.push(pair.to_owned());
        }
    }

    fn write(&self, headers: &mut HeaderMap) {
        let all: Vec<_> = self.session.iter().chain(&self.other).map(String::as_str).collect();
        // Without a cookie too: an empty header says that no other cookies belong to the call.
        if let Ok(mut value) = HeaderValue::from_str(&all.join("; ")) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

/// Whether an attribute says that the cookie has expired (RFC 6265 sections 5.2.1 and 5.2.2).
fn is_expired(attribute: &str) -> bool {
    let Some((name, value)) = attribute.split_once('=') else { return false };
    let value = value.trim();
    match name.trim().to_ascii_lowercase().as_str() {
        "max-age" => value.parse::<i64>().is_ok_and(|age| age <= 0),
        "expires" => httpdate::parse_http_date(value).is_ok_and(|date| date <= SystemTime::now()),
        _ => false,
    }
}

fn is_session_cookie(pair: &str) -> bool {
    pair.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(SESSION_COOKIE))
}

/// Every update is complete, so the value behind a poisoned lock is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cookies: &[&'static str]) -> HeaderMap {
        cookies.iter().map(|cookie| (SET_COOKIE, HeaderValue::from_static(cookie))).collect()
    }

    fn sent(place: &Place<'_>) -> String {
        let mut headers = HeaderMap::new();
        place.write(&mut headers, false);
        headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[tokio::test]
    async fn automatic_reuse_keeps_only_the_publications_cookies() {
        let own = HeaderValue::from_static("a=1; b=2");
        let sessions = Sessions::new(None, Some(&own));
        let mut place = sessions.enter().await;
        assert!(!place.needs_start());
        let cookies = [
            "GONE=deleted; expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "ROUTE=x; path=/",
            "ibsession=abc; path=/",
            "a=; path=/",
            "b=3; Max-Age=0",
        ];
        place.take_cookies(&answer(&cookies), false, true);
        place.leave();
        assert_eq!(sent(&sessions.enter().await), "ROUTE=x");
        assert!(sessions.take_open().is_empty());
    }

    #[tokio::test]
    async fn a_managed_session_is_kept_until_it_is_forgotten_or_abandoned() {
        let sessions = Sessions::new(Some(1), None);
        let mut place = sessions.enter().await;
        assert!(place.needs_start());
        place.take_cookies(&answer(&["IBSession=abc; path=/base"]), true, true);
        place.leave();
        let place = sessions.enter().await;
        assert_eq!((sent(&place), place.needs_start()), ("IBSession=abc".to_owned(), false));
        drop(place);
        assert!(sessions.enter().await.needs_start());
        assert_eq!(sessions.take_open().len(), 1, "the abandoned session is not ended");
        let mut place = sessions.enter().await;
        place.take_cookies(&answer(&["ibsession=def"]), true, true);
        place.forget();
        place.take_cookies(&answer(&["ibsession=ghi"]), true, true);
        place.leave();
        assert_eq!(sessions.take_open().len(), 1);
        assert!(sessions.take_open().is_empty());
    }

    #[tokio::test]
    async fn a_service_without_managed_sessions_is_asked_once() {
        let sessions = Sessions::new(Some(2), None);
        let mut place = sessions.enter().await;
        place.take_cookies(&answer(&[]), true, false);
        assert!(place.needs_start());
        place.take_cookies(&answer(&[]), true, true);
        assert!(!place.needs_start());
        place.leave();
        assert!(!sessions.enter().await.needs_start());
    }
}
