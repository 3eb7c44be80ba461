//! Redirects: which are followed, which are remembered, and what is said of the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::auth::is_same_origin;
use super::excerpt::excerpt;
use super::failure;
use crate::hint::Hint;
use crate::redact;

/// URLs whose target is remembered. An upstream has one or two.
const REMEMBERED: usize = 8;

/// The target of a redirect that keeps method, body and origin: a POST must not become a GET, and no
/// header of ours may reach another origin. Every other redirect is returned as the answer, for the
/// error.
pub(super) fn target_within_origin(
    response: &Response,
    from: &Url,
    method: &Method,
) -> Option<Url> {
    let location = response.headers().get(LOCATION)?;
    let target = from.join(&failure::location(location)).ok()?;
    if !is_same_origin(&target, from) {
        return None;
    }
    let keeps_method = match response.status() {
        status if moves_all(status) => true,
        // Some clients make a GET of a POST after these, so they say nothing of a POST. Any other
        // page than the one with the slash may be a login.
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => {
            method == Method::GET && differ_by_slash(&target, from)
        }
        _ => false,
    };
    keeps_method.then_some(target)
}

/// Whether the status sends every method elsewhere.
pub(super) fn moves_all(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

/// Whether a path is the same but for a slash at its end.
fn differ_by_slash(one: &Url, other: &Url) -> bool {
    one.path() != other.path()
        && one.path().trim_end_matches('/') == other.path().trim_end_matches('/')
}

/// Where requests have been redirected to with success, so that the next one takes no detour.
#[derive(Debug, Default)]
pub(super) struct Moved {
    is_any: AtomicBool,
    known: Mutex<Vec<(Url, Url)>>,
}

impl Moved {
    /// The target for `url`, if it is remembered.
    pub(super) fn target(&self, url: &Url) -> Option<Url> {
        if !self.is_any.load(Ordering::Relaxed) {
            return None;
        }
        let known = self.known();
        let (_, target) = known.iter().find(|(from, _)| from == url)?;
        Some(target.clone())
    }

    /// Remembers that a request to `from` succeeded at `target`.
    pub(super) fn remember(&self, from: &Url, target: &Url) {
        let mut known = self.known();
        known.retain(|(known, _)| known != from);
        if known.len() == REMEMBERED {
            known.remove(0);
        }
        known.push((from.clone(), target.clone()));
        self.is_any.store(true, Ordering::Relaxed);
    }

    /// Forgets the target for `url`, which is not there, or not well, any more.
    pub(super) fn forget(&self, url: &Url) {
        self.known().retain(|(from, _)| from != url);
    }

    /// Every update is complete, so what a poisoned lock holds is sound.
    fn known(&self) -> MutexGuard<'_, Vec<(Url, Url)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A redirect that is not followed: where it leads, and what to do about it.
pub(super) struct NotFollowed {
    /// The target as it may be shown.
    pub(super) target: String,
    pub(super) hint: Hint,
}

impl NotFollowed {
    /// The redirect of `url`, as it may be shown, to `location`.
    pub(super) fn new(url: &str, location: &str) -> Self {
        let from = Url::parse(url);
        let target = from.as_ref().map_err(|error| *error).and_then(|from| from.join(location));
        match (from, target) {
            (Ok(from), Ok(target)) => {
                // Masked as `from` is, so that the two can be compared.
                let shown = redact::shown(&target);
                let hint = hint(&from, &Url::parse(&shown).unwrap_or(target));
                Self { target: shown, hint }
            }
            _ => Self { target: excerpt(location.as_bytes(), None), hint: GENERAL },
        }
    }
}

const GENERAL: Hint = Hint::both(
    "Redirects are followed only to the same host and with the same method: put the address that the service is \
     really at into the configuration.",
    "По перенаправлениям mcpline идёт только на тот же узел и тем же методом: укажите в настройке адрес, по \
     которому служба находится на самом деле.",
);

const TO_HTTP: Hint = Hint::both(
    "(That the target begins with `http://` is a fault of the server, which does not know that a proxy before it \
     speaks HTTPS.)",
    "(То, что он начинается с `http://`, — ошибка сервера: он не знает, что прокси перед ним принимает HTTPS.)",
);

const KNOWS_NO_HTTPS: Hint = Hint::both(
    "The server does not know that a proxy before it speaks HTTPS: its administrator must let the proxy tell it \
     (X-Forwarded-Proto), or turn this redirect off.",
    "Сервер не знает, что прокси перед ним принимает HTTPS: администратор должен настроить передачу этого \
     (X-Forwarded-Proto) или отключить перенаправление.",
);

const LOGIN_PAGE: Hint = Hint::both(
    "The server leads to a login page for browsers: give it a token or a password for this address \
     (`--bearer-file`, `--user`), or ask its administrator for the address that programs use.",
    "Сервер направляет на страницу входа для браузеров: задайте для этого адреса токен или пароль \
     (`--bearer-file`, `--user`) или узнайте у администратора адрес для программ.",
);

const USE_IT: Hint = Hint::both("put {} into the configuration.", "укажите в настройке {}.");

const HTTPS: Hint = Hint::both("Use `https://`", "Нужно `https://`");

/// What to do about a redirect from `from` to `target`.
fn hint(from: &Url, target: &Url) -> Hint {
    let is_same_page = from.host_str() == target.host_str()
        && from.path().trim_end_matches('/') == target.path().trim_end_matches('/');
    let gets_slash = from.path() != target.path();
    let put = |why: Hint, url: &Url| why.colon(&USE_IT.naming(&shown(url)));
    match (from.scheme(), target.scheme()) {
        ("http", "https") if is_same_page => put(HTTPS, target),
        ("https", "http") if is_same_page && gets_slash => {
            let mut right = from.clone();
            right.set_path(target.path());
            put(spelling(target), &right).and(&TO_HTTP)
        }
        ("https", "http") if is_same_page => KNOWS_NO_HTTPS,
        _ if is_same_page && gets_slash => put(spelling(target), target),
        _ if is_login(target) => LOGIN_PAGE,
        _ => GENERAL,
    }
}

fn spelling(target: &Url) -> Hint {
    if target.path().ends_with('/') {
        Hint::both("The address ends with a slash", "Адрес заканчивается косой чертой")
    } else {
        Hint::both("The address has no slash at its end", "В конце адреса нет косой черты")
    }
}

fn shown(url: &Url) -> String {
    redact::shown(url)
}

/// Whether a URL is that of a login page.
fn is_login(url: &Url) -> bool {
    const WORDS: [&str; 8] =
        ["login", "log-in", "signin", "sign-in", "sign_in", "sso", "saml", "oauth2"];
    let host = url.host_str().unwrap_or_default().split('.');
    url.path()
        .split(['/', '.'])
        .chain(host)
        .any(|part| WORDS.iter().any(|word| part.eq_ignore_ascii_case(word)))
}

/// Whether a status says that what is asked for is not at this address, and so has not run.
pub(super) fn is_elsewhere(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 404 | 410 | 421)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_that_is_not_followed_names_the_address_to_configure() {
        let cases = [
            ("http://h/mcp", "/mcp/", "ends with a slash: put http://h/mcp/ into"),
            ("http://h/mcp/", "/mcp", "no slash at its end: put http://h/mcp into"),
            ("http://h/mcp", "https://h/mcp", "Use `https://`: put https://h/mcp into"),
            ("http://h:80/mcp", "https://h/mcp/", "Use `https://`: put https://h/mcp/ into"),
            ("https://h/mcp", "http://h/mcp/", "ends with a slash: put https://h/mcp/ into"),
            ("https://h:8443/mcp", "http://h/mcp/", "put https://h:8443/mcp/ into"),
            ("https://h/mcp", "http://h/mcp", "X-Forwarded-Proto"),
            ("https://h/mcp", "/Account/Login?ReturnUrl=x", "login page"),
            ("https://h/mcp", "https://login.microsoftonline.com/x", "login page"),
            ("https://h/mcp", "https://other/mcp", "really at"),
            ("https://h/mcp", "/blog", "really at"),
            ("https://h/mcp", "http://[", "really at"),
            ("https://h/mcp?…", "https://h/mcp/?key=s3cret", "put https://h/mcp/?… into"),
        ];
        for (from, location, told) in cases {
            let NotFollowed { target, hint } = NotFollowed::new(from, location);
            assert!(hint.contains(told), "{from} {location}: {hint}");
            assert!(!format!("{target} {hint}").contains("s3cret"), "{target} {hint}");
        }
    }
}
