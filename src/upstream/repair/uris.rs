//! URIs that some clients refuse: without a scheme, or with one that is not in Latin letters. They
//! are offered below a scheme of ours, and translated back when the client uses them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::upstream::settings::{Keep, KindSettings};

/// Characters that the path of a URI cannot hold.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The most URIs that are remembered. Beyond that, those are not translated back that a client
/// writes in another way.
const MAX_KNOWN: usize = 10_000;

/// The translation of one service's URIs.
pub(in crate::upstream) struct Uris {
    /// Our scheme, without its colon.
    scheme: &'static str,
    /// The service's URIs by what clients make of them: some normalize what they read.
    known: Mutex<HashMap<String, String>>,
}

impl Uris {
    /// Offers what needs it as `scheme:///…`.
    pub(super) fn new(scheme: &'static str) -> Self {
        Self { scheme, known: Mutex::default() }
    }

    /// The same, unless `settings` leave URIs as they are.
    pub(in crate::upstream) fn of(scheme: &'static str, settings: &KindSettings) -> Option<Self> {
        (!settings.keeps(Keep::Uris)).then(|| Self::new(scheme))
    }

    /// What clients get in place of the service's `uri`; `None` where all take it.
    pub(super) fn offered(&self, uri: &str) -> Option<String> {
        let offered = match Url::parse(uri) {
            Ok(url) => {
                // One in our own scheme must not be taken for an offered one.
                if url.as_str() != uri || url.scheme() == self.scheme {
                    self.remember(url.as_str(), uri);
                }
                return None;
            }
            Err(_) => format!("{}:///{}", self.scheme, utf8_percent_encode(uri, NOT_IN_PATH)),
        };
        if let Ok(url) = Url::parse(&offered)
            && url.as_str() != offered
        {
            self.remember(url.as_str(), uri);
        }
        Some(offered)
    }

    /// The same for a template of URIs (RFC 6570).
    pub(super) fn offered_template(&self, template: &str) -> Option<String> {
        let (mut sample, mut offered) = (String::new(), format!("{}:///", self.scheme));
        let mut rest = template;
        while let Some((literal, (expression, after))) = rest
            .split_once('{')
            .and_then(|(literal, inner)| Some((literal, inner.split_once('}')?)))
        {
            sample.push_str(literal);
            sample.push('x');
            offered.extend(utf8_percent_encode(literal, NOT_IN_PATH));
            offered.push_str(&format!("{{{expression}}}"));
            rest = after;
        }
        sample.push_str(rest);
        offered.extend(utf8_percent_encode(rest, NOT_IN_PATH));
        Url::parse(&sample).is_err().then_some(offered)
    }

    /// The service's own URI, where `uri` is what a client makes of it; else `None`.
    pub(super) fn original(&self, uri: &str) -> Option<String> {
        let normal = Url::parse(uri).ok();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(uri).or_else(|| known.get(normal.as_ref()?.as_str()));
        if let Some(original) = found {
            return (original != uri).then(|| original.clone());
        }
        let path = uri.strip_prefix(self.scheme)?.strip_prefix("://")?;
        let path = path.strip_prefix('/').unwrap_or(path);
        Some(percent_decode_str(path).decode_utf8_lossy().into_owned())
    }

    fn remember(&self, seen: &str, uri: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN {
            known.insert(seen.to_owned(), uri.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_clients_refuse_goes_there_and_back() {
        let uris = Uris::new("onec");
        for (own, offered) in [
            ("crm/deals", "onec:///crm/deals"),
            ("1c://metadata", "onec:///1c://metadata"),
            ("мои дела", "onec:///%D0%BC%D0%BE%D0%B8%20%D0%B4%D0%B5%D0%BB%D0%B0"),
            ("a?b#c%20{d}", "onec:///a%3Fb%23c%2520%7Bd%7D"),
            ("/metadata", "onec:////metadata"),
            ("../up", "onec:///../up"),
        ] {
            assert_eq!(uris.offered(own).as_deref(), Some(offered));
            assert_eq!(uris.original(offered).as_deref(), Some(own));
            let normal = Url::parse(offered).unwrap();
            assert_eq!(uris.original(normal.as_str()).as_deref(), Some(own));
            assert_eq!(uris.original(own), None);
        }
        assert_eq!(uris.original("onec://crm/deals").as_deref(), Some("crm/deals"));
    }

    #[test]
    fn what_all_clients_take_stays_and_is_known_as_they_write_it() {
        let uris = Uris::new("onec");
        let own = ["file:///x", "http://srv", "x://Справочник/Валюты", "onec:///own", "onec:own"];
        for uri in own {
            assert_eq!(uris.offered(uri), None);
            let normal = Url::parse(uri).unwrap();
            let seen = uris.original(normal.as_str());
            assert_eq!(seen.as_deref().unwrap_or(normal.as_str()), uri);
        }
    }

    #[test]
    fn a_template_keeps_its_expressions() {
        let uris = Uris::new("onec");
        assert_eq!(uris.offered_template("file:///{path}"), None);
        assert_eq!(uris.offered_template("x:{+path}"), None);
        for (own, offered) in [
            ("1c://metadata/{type}/a", "onec:///1c://metadata/{type}/a"),
            ("{+path}", "onec:///{+path}"),
            ("Вид/{имя", "onec:///%D0%92%D0%B8%D0%B4/%7B%D0%B8%D0%BC%D1%8F"),
        ] {
            assert_eq!(uris.offered_template(own).as_deref(), Some(offered));
        }
    }
}
