//! Classes what goes wrong with a request, in one place.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, percent_encode};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use url::Url;

use super::handshake;
use super::journal::Stage;
use super::proxy::{Proxy, Refusal};
use super::redirects::NotFollowed;
use super::status::{Meaning, Named, proxy_login};
use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;
use crate::redact;

/// The innermost error: the one that names what happened.
pub(super) fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error: &'a (dyn StdError + 'static) = next?;
        // `io::Error` hides the error that it wraps from `source`.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
        Some(error)
    })
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(<dyn StdError>::downcast_ref)
}

/// A request that got no answer.
pub(super) fn of_request(error: &reqwest::Error, url: &Url, proxy: Option<&Proxy>) -> Failure {
    let shown = redact::shown(url);
    let host = url.host_str().unwrap_or_default();
    let of_tls = |error| handshake::refusal(error, host, &shown);
    // With TLS 1.3 it comes after the handshake, when the request is on its way: nothing has run.
    if let Some(refused) = find::<rustls::Error>(error).and_then(of_tls) {
        return refused;
    }
    if error.is_connect() {
        return unreachable(error, url, &shown, proxy);
    }
    if error.is_builder() {
        let what = format!("the request to {shown} cannot be made: {}", root_cause(error));
        return Failure::new(Class::Final, Cause::Refused, what);
    }
    let what = format!("the connection to {shown} broke before it answered: {}", root_cause(error));
    Failure::new(Class::Ambiguous, Cause::Interrupted, what).hint(Hint::both(
        "The server or a proxy in between closed it: look at the server's log.",
        "Соединение закрыл сервер или прокси перед ним: посмотрите журнал сервера.",
    ))
}

/// How far a request came that got no answer.
pub(super) fn stage(error: &reqwest::Error, url: &Url, proxy: Option<&Proxy>) -> Stage {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = find::<io::Error>(error).map(io::Error::kind);
    // Only a connection that is there can end.
    let has_ended = matches!(kind, Some(ConnectionAborted | ConnectionReset | UnexpectedEof));
    let is_https = url.scheme() == "https";
    if find::<rustls::Error>(error).is_some() || error.is_connect() && is_https && has_ended {
        Stage::Tls
    } else if !error.is_connect() {
        Stage::Answer
    } else if proxy.is_some() {
        Stage::Proxy
    } else if is_dns(error) {
        Stage::Name
    } else {
        Stage::Connection
    }
}

/// Whether the port may speak another protocol than was asked for: there was a connection, and what
/// came of it made no sense, or nothing came.
pub(super) fn may_be_another_protocol(error: &reqwest::Error) -> bool {
    // A refusal in words of TLS is one.
    let is_refused = error.is_builder() || find::<rustls::Error>(error).is_some();
    let kind = find::<io::Error>(error).map(io::Error::kind);
    let has_none = kind == Some(io::ErrorKind::ConnectionRefused)
        || kind == Some(io::ErrorKind::TimedOut)
        || error.is_timeout()
        || is_dns(error);
    !is_refused && !has_none
}

fn is_dns(error: &reqwest::Error) -> bool {
    error.is_dns() || chain(error).any(|error| error.to_string().contains("dns error"))
}

/// An answer whose body could not be read to its end.
pub(super) fn of_body(error: &reqwest::Error, url: &str) -> Failure {
    broke_off(url, root_cause(error))
}

/// A packed body that cannot be unpacked.
pub(super) fn of_packed_body(error: &io::Error, url: &str) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return broke_off(url, &"it ended too early");
    }
    let what = format!("the answer of {url} is not compressed as it claims: {error}");
    Failure::new(Class::Final, Cause::Unusable, what).hint(Hint::both(
        "Look at the server, or at a proxy in between that compresses.",
        "Проверьте сервер или прокси перед ним, который сжимает ответы.",
    ))
}

fn broke_off(url: &str, why: &dyn fmt::Display) -> Failure {
    let what = format!("the answer of {url} broke off: {why}");
    Failure::new(Class::Ambiguous, Cause::Interrupted, what).hint(Hint::both(
        "The server or a proxy in between closed the connection: look at the server's log.",
        "Соединение закрыл сервер или прокси перед ним: посмотрите журнал сервера.",
    ))
}

/// A body in a coding that we did not ask for and cannot read.
pub(super) fn of_coding(coding: &str, url: &str) -> Failure {
    let what = format!(
        "the answer of {url} is compressed as `{}`, which was not asked for",
        super::shorten(coding)
    );
    Failure::new(Class::Final, Cause::Unusable, what).hint(Hint::both("The server or a proxy in between ignores Accept-Encoding (gzip): turn that compression \
         off there.", "Сервер или прокси перед ним не учитывает Accept-Encoding (gzip): отключите там это сжатие."))
}

/// An event stream that ended regularly, without the answer that it was opened for.
pub(crate) fn stream_lost(url: &str) -> Failure {
    let what = format!("the answer of {url} was lost: its stream ended without it");
    Failure::new(Class::Ambiguous, Cause::Interrupted, what).hint(Hint::both(
        "The server or a proxy in between closed the connection: look at the server's log.",
        "Соединение закрыл сервер или прокси перед ним: посмотрите журнал сервера.",
    ))
}

/// Nothing has come from the upstream for `patience`.
pub(crate) fn timed_out(url: &str, patience: Duration) -> Failure {
    let seconds = patience.as_secs_f64();
    let what = format!("{url} gave no sign of life for {seconds} s");
    Failure::new(Class::Ambiguous, Cause::TimedOut, what).hint(
        Hint::both(
"The server is overloaded or the call takes long: look at the server, or raise \
         `--timeout`.",
"Сервер перегружен или вызов выполняется долго: проверьте сервер или увеличьте `--timeout`."),
    )
}

/// Whether a proxy has refused the tunnel that a request was to go through.
pub(super) fn is_refused_tunnel(error: &reqwest::Error) -> bool {
    let text = |part: &str| chain(error).any(|error| error.to_string().contains(part));
    error.is_connect()
        && (text("proxy authentication required")
            || text("proxy authorization required")
            || text("unsuccessful tunnel")
            || text("tunnel error"))
        // There is no proxy to refuse anything.
        && !text("tunnel error: failed to create underlying connection")
}

/// The failure when `proxy` refuses the tunnel to `shown`, with its own words where it has some.
pub(super) fn of_tunnel(proxy: &Proxy, refusal: Option<Refusal>, shown: &str) -> Failure {
    let mut what =
        format!("could not connect to {shown}: the proxy {proxy} refused the connection");
    let Some(Refusal { status, said, schemes }) = refusal else {
        return Failure::new(Class::NotSent, Cause::Unreachable, what).hint(ALLOW);
    };
    what.push_str(&format!(" with HTTP {status}"));
    if !said.is_empty() && !status.ends_with(&said) {
        what.push_str(&format!(": {said}"));
    }
    let failure = |class| Failure::new(class, Cause::Unreachable, what.clone());
    if status.starts_with("407") {
        return failure(Class::Final).hint(proxy_login(&schemes));
    }
    // Of a gateway, it passes; a policy does not.
    let class = if status.starts_with('4') { Class::Final } else { Class::NotSent };
    failure(class).hint(ALLOW)
}

const ALLOW: Hint = Hint::both(
    "Ask who runs the proxy to allow this host, or set NO_PROXY for it.",
    "Попросите администратора прокси разрешить этот узел или добавьте его в NO_PROXY.",
);

fn unreachable(error: &reqwest::Error, url: &Url, shown: &str, proxy: Option<&Proxy>) -> Failure {
    let io = find::<io::Error>(error).map(io::Error::kind);
    let cause = root_cause(error).to_string();
    // With a proxy, it is the proxy to which there is no connection.
    let host = proxy.map_or(url, |proxy| &proxy.url).host_str().unwrap_or_default();
    let failure = |why: &str| {
        let what = match proxy {
            Some(proxy) => {
                format!("could not connect to the proxy {proxy}, which leads to {shown}: {why}")
            }
            None => format!("could not connect to {shown}: {why}"),
        };
        let mut failure = Failure::new(Class::NotSent, Cause::Unreachable, what);
        if proxy.is_some() {
            failure = failure.hint(Hint::both("Check the proxy's address and that it runs; `NO_PROXY=HOST` reaches this server \
                 without it.", "Проверьте адрес прокси и работает ли он; `NO_PROXY=УЗЕЛ` ведёт к этому серверу в обход него."));
        }
        failure
    };
    if let Some(tls) = find::<rustls::Error>(error) {
        let what = format!("could not connect to {shown}: the TLS handshake failed ({tls})");
        return Failure::new(Class::NotSent, Cause::Unreachable, what)
            .hint(Hint::both(
"Check that this port speaks HTTPS; if it speaks plain HTTP, use `http://`.",
"Проверьте, что порт принимает HTTPS; если он принимает обычный HTTP, укажите `http://`."));
    }
    let is_dns = is_dns(error);
    if proxy.is_some() {
        return failure(&match io {
            _ if is_dns => format!("the host name `{host}` is not known ({cause})"),
            Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
            _ if error.is_timeout() => "no connection within `--connect-timeout`".to_owned(),
            _ => cause,
        });
    }
    if is_dns {
        return failure(&format!("the host name `{host}` is not known ({cause})")).hint(
            Hint::both(
                "Check the spelling, and that the network or VPN that knows the name is connected.",
                "Проверьте имя сервера и подключение к сети или VPN, где это имя известно.",
            ),
        );
    }
    if error.is_timeout() || io == Some(io::ErrorKind::TimedOut) {
        return failure("no connection within the time of `--connect-timeout`").hint(Hint::both(
            "The host does not answer: check host and port, the firewall, and whether a proxy \
             (`--proxy`) is needed.",
            "Сервер не отвечает: проверьте имя и порт, брандмауэр и нужен ли прокси (`--proxy`).",
        ));
    }
    if io == Some(io::ErrorKind::ConnectionRefused) {
        return failure("connection refused").hint(
            Hint::both(
"Nothing listens there: check that the service is running and that host and port are \
             right.",
"По этому адресу никто не отвечает: проверьте, что служба запущена, а имя и порт верны."),
        );
    }
    failure(&cause).hint(Hint::both(
        "Check host and port, the network, and whether a proxy is needed.",
        "Проверьте имя и порт, сеть и нужен ли прокси.",
    ))
}

/// An answer with an unsuccessful status; `said` is what its body says to a person.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap, said: &str, url: &str) -> Failure {
    let Meaning { class, cause, mut hint } = Meaning::of(status, headers, said);
    let mut what = format!("{url} answered with HTTP {}", Named(status));
    if status.is_redirection() {
        if let Some(location) = headers.get(LOCATION).map(location) {
            let NotFollowed { target, hint: about } = NotFollowed::new(url, &location);
            what.push_str(&format!(", a redirect to {target}"));
            hint = Some(about);
        }
    } else if !said.is_empty() && !Named(status).to_string().ends_with(&format!(" {said}")) {
        what.push_str(&format!(": {said}"));
    }
    let mut failure = Failure::new(class, cause, what);
    failure.status = Some(status.as_u16());
    failure.hint = hint.map(Box::new);
    failure.retry_after = header(headers, &RETRY_AFTER).and_then(retry_after);
    failure
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The text of `Location`. Servers write a Cyrillic path into it as raw bytes, of whichever charset:
/// the bytes are what the server knows the path by, so they are kept. All others are left to the
/// parser of URLs, which drops some of them: what it reads decides about the origin.
pub(super) fn location(value: &HeaderValue) -> String {
    percent_encode(value.as_bytes(), &AsciiSet::EMPTY).to_string()
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};

    use super::super::excerpt::excerpt;
    use super::*;

    fn status(code: u16, headers: &[(HeaderName, &'static str)], body: &str) -> Failure {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        let said = excerpt(body.as_bytes(), None);
        refused(StatusCode::from_u16(code).unwrap(), &headers, &said, "http://h/mcp")
    }

    #[test]
    fn the_sentence_names_what_the_upstream_said() {
        let failure = status(502, &[], "<h1>Bad Gateway</h1>");
        assert_eq!(failure.what, "http://h/mcp answered with HTTP 502 Bad Gateway");
        let failure = status(500, &[], "no base");
        assert_eq!(
            failure.what,
            "http://h/mcp answered with HTTP 500 Internal Server Error: no base"
        );
        let failure = status(302, &[(LOCATION, "/login?next=secret")], "");
        assert_eq!(
            failure.what,
            "http://h/mcp answered with HTTP 302 Found, a redirect to http://h/login?…"
        );
        let headers = HeaderMap::from_iter([(
            LOCATION,
            HeaderValue::from_bytes(b"/\xc1\xe0\xe7\xe0/hs").unwrap(),
        )]);
        let raw = refused(StatusCode::FOUND, &headers, "", "http://h/mcp");
        assert!(raw.what.ends_with("a redirect to http://h/%C1%E0%E7%E0/hs"), "{}", raw.what);
        let failure = status(401, &[(WWW_AUTHENTICATE, "Negotiate")], "");
        assert!(failure.hint.unwrap().ends_with("The server offers: Negotiate."));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |value| status(503, &[(RETRY_AFTER, value)], "").retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
