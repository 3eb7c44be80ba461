//! The cookies of the upstream's origin, in memory: load balancers find the right node by them.
//!
//! A jar of our own: `cookie_store` keeps many origins, public suffixes and a file format, and brings
//! `time`'s parsing and `idna` tables; one origin needs a list.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

/// The most cookies kept: more than any load balancer sets. The oldest go first.
const MAX_COOKIES: usize = 32;

/// The longest cookie kept, in bytes.
const MAX_COOKIE: usize = 4096;

/// The cookies of one origin.
#[derive(Default)]
pub(super) struct Jar {
    cookies: Vec<Cookie>,
}

impl fmt::Debug for Jar {
    /// Without the values.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.cookies.iter().map(|cookie| &cookie.name)).finish()
    }
}

/// RFC 6265 section 5.3, for one origin.
struct Cookie {
    name: String,
    value: String,
    path: String,
    is_secure: bool,
    expires: Option<SystemTime>,
}

impl Jar {
    /// Takes over what an answer from `url` sets, and tells `conceal` the values.
    pub(super) fn take(&mut self, headers: &HeaderMap, url: &Url, conceal: impl Fn(&str)) {
        for value in headers.get_all(SET_COOKIE) {
            let Some(cookie) = str::from_utf8(value.as_bytes()).ok().and_then(|v| parse(v, url))
            else {
                continue;
            };
            self.cookies.retain(|known| (&known.name, &known.path) != (&cookie.name, &cookie.path));
            if cookie.is_expired(SystemTime::now()) {
                continue;
            }
            conceal(&cookie.value);
            if self.cookies.len() == MAX_COOKIES {
                self.cookies.remove(0);
            }
            self.cookies.push(cookie);
        }
    }

    /// Adds the cookies for `url` to `headers`, except those that these name themselves.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, url: &Url) {
        if self.cookies.is_empty() {
            return;
        }
        let own: Vec<_> =
            headers.get_all(COOKIE).iter().filter_map(|own| own.to_str().ok()).collect();
        let own = own.join("; ");
        let is_own = |name: &str| {
            own.split(';').any(|pair| pair.split('=').next().is_some_and(|own| own.trim() == name))
        };
        let now = SystemTime::now();
        let fits = |cookie: &&Cookie| {
            !cookie.is_expired(now)
                && (!cookie.is_secure || url.scheme() == "https")
                && is_below(url.path(), &cookie.path)
                && !is_own(&cookie.name)
        };
        // The longest paths first, and among equals the oldest cookie, as section 5.4 has it.
        let mut sent: Vec<&Cookie> = Vec::new();
        for cookie in self.cookies.iter().filter(fits) {
            let place = sent.partition_point(|other| other.path.len() >= cookie.path.len());
            sent.insert(place, cookie);
        }
        let sent = sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let all: Vec<_> =
            Some(own.clone()).filter(|own| !own.is_empty()).into_iter().chain(sent).collect();
        if let Ok(mut value) = HeaderValue::try_from(all.join("; "))
            && !all.is_empty()
        {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

impl Cookie {
    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Reads a `Set-Cookie` of `url`; `None` for one that is not for this host or that cannot be kept.
fn parse(text: &str, url: &Url) -> Option<Cookie> {
    let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
    if name.is_empty() || pair.len() > MAX_COOKIE {
        return None;
    }
    let parent = url.path().rsplit_once('/').map_or("", |(parent, _)| parent);
    let path = if parent.is_empty() { "/" } else { parent }.to_owned();
    let mut cookie = Cookie { name, value, path, is_secure: false, expires: None };
    let (mut max_age, mut expires) = (None, None);
    for attribute in attributes.split(';') {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.is_secure = true,
            "domain" if !is_domain_of(value, url.host_str()?) => return None,
            "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
            "expires" => expires = date(value).or(expires),
            _ => {}
        }
    }
    cookie.expires = match max_age {
        Some(seconds) => {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            // No end within the clock's range is no end.
            SystemTime::now().checked_add(Duration::from_secs(seconds))
        }
        None => expires,
    };
    Some(cookie)
}

/// The date of `Expires`, with the dashes of old servers too.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text)
        .or_else(|_| httpdate::parse_http_date(&text.replace('-', " ")))
        .ok()
}

/// Whether `domain` names `host` or a domain above it (section 5.1.3).
fn is_domain_of(domain: &str, host: &str) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    domain.is_empty()
        || host.strip_suffix(domain.as_str()).is_some_and(|above| {
            above.is_empty() || above.ends_with('.') && host.parse::<std::net::IpAddr>().is_err()
        })
}

/// Whether `path` is `above` or below it (section 5.1.4).
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || above.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn sent(jar: &Jar, to: &str, own: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        headers.extend(own.map(|own| (COOKIE, HeaderValue::from_static(own))));
        jar.add_to(&mut headers, &url(to));
        headers.get(COOKIE).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    fn set(jar: &mut Jar, from: &str, cookies: &[&'static str]) {
        let cookies = cookies.iter().map(|cookie| (SET_COOKIE, HeaderValue::from_static(cookie)));
        jar.take(&cookies.collect(), &url(from), |_| {});
    }

    #[test]
    fn cookies_go_back_where_they_belong() {
        let cases: [(&[&str], &str, Option<&str>, &str); 15] = [
            (&["LB=a; Path=/"], "http://h/mcp", None, "LB=a"),
            (&["LB=a; Path=/", "LB=b; Path=/"], "http://h/mcp", None, "LB=b"),
            (&["LB=a"], "http://h/s/other", None, "LB=a"),
            (&["LB=a"], "http://h/other", None, ""),
            (&["LB=a; Path=/s"], "http://h/su", None, ""),
            (&["LB=a; path=/", "X=1; path=/s/"], "http://h/s/x", None, "X=1; LB=a"),
            (&["LB=a; Path=/; Max-Age=0"], "http://h/mcp", None, ""),
            (&["LB=a; Path=/", "LB=; Path=/; Max-Age=-1"], "http://h/mcp", None, ""),
            (&["LB=a; Path=/; Max-Age=99999999999999"], "http://h/mcp", None, "LB=a"),
            (&["LB=a; Path=/; Expires=Thu, 01-Jan-1970 00:00:01 GMT"], "http://h/mcp", None, ""),
            (&["LB=a; Path=/; Secure"], "http://h/mcp", None, ""),
            (&["LB=a; Path=/; Secure; HttpOnly"], "https://h/mcp", None, "LB=a"),
            (&["LB=a; Path=/; Domain=other"], "http://h/mcp", None, ""),
            (&["LB=a; Path=/; Domain=.h"], "http://h/mcp", Some("U=1"), "U=1; LB=a"),
            (
                &["LB=a; Path=/", "Y=2; Path=/"],
                "http://h/mcp",
                Some("U=1; LB=mine"),
                "U=1; LB=mine; Y=2",
            ),
        ];
        for (cookies, to, own, expected) in cases {
            let mut jar = Jar::default();
            let from = format!("{}://h/s/mcp", to.split(':').next().unwrap_or_default());
            set(&mut jar, &from, cookies);
            assert_eq!(sent(&jar, to, own), expected, "{cookies:?} to {to}");
        }
    }

    #[test]
    fn the_oldest_cookies_go_first_and_long_ones_are_not_kept() {
        let mut jar = Jar::default();
        for number in 0..=MAX_COOKIES {
            let cookie = HeaderValue::try_from(format!("c{number}=1; Path=/")).unwrap();
            jar.take(&[(SET_COOKIE, cookie)].into_iter().collect(), &url("http://h/"), |_| {});
        }
        let long = HeaderValue::try_from(format!("long={}; Path=/", "x".repeat(5000))).unwrap();
        jar.take(&[(SET_COOKIE, long)].into_iter().collect(), &url("http://h/"), |_| {});
        let sent = sent(&jar, "http://h/", None);
        assert_eq!(sent.split("; ").count(), MAX_COOKIES);
        assert!(sent.starts_with("c1=1"), "{sent}");
    }
}
