//! What the statuses of refusals mean: their classes, their names, and what to do about them. Many
//! come from what stands before a server: load balancers, Cloudflare, nginx.

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, PROXY_AUTHENTICATE, WWW_AUTHENTICATE};

use super::challenge::schemes;
use super::sayings;
use crate::failure::{Cause, Class};
use crate::hint::Hint;

/// Cloudflare marks its challenge pages with it.
const CF_MITIGATED: HeaderName = HeaderName::from_static("cf-mitigated");

/// One status in words.
struct Row {
    status: u16,
    /// For statuses that the standards do not name.
    name: &'static str,
    hint: Hint,
}

const fn row(status: u16, name: &'static str, hint: Hint) -> Row {
    Row { status, name, hint }
}

/// A status that the standards name.
const fn met(status: u16, hint: Hint) -> Row {
    row(status, "", hint)
}

const ORIGIN: Hint = Hint::both(
    "Cloudflare could not reach the server behind it, so nothing ran: its \
                      administrator must look at the server and at Cloudflare's settings for it.",
    "Cloudflare не достучался до сервера за ним, поэтому ничего не выполнено: администратор должен проверить сервер и \
     настройки Cloudflare для него.",
);

const BUSY: Hint = Hint::both(
    "The server behind the proxy is down, starting or overloaded: try again in a while.",
    "Сервер за прокси остановлен, запускается или перегружен: повторите попытку позже.",
);

const SLOW: Hint = Hint::both(
    "The server did not answer the proxy before it in time: look at the server, or \
                    have the proxy's time limit raised.",
    "Сервер не успел ответить стоящему перед ним прокси: проверьте сервер или попросите увеличить время ожидания \
     прокси.",
);

const GAVE_UP: Hint = Hint::both(
    "A proxy in between gave the request up: look at its log.",
    "Прокси на пути прервал запрос: посмотрите его журнал.",
);

const ROWS: &[Row] = &[
    met(
        403,
        Hint::both(
            "The server knows who asks and refuses: check the rights of this user or key.",
            "Сервер знает, кто обращается, и отказывает: проверьте права этого пользователя или ключа.",
        ),
    ),
    met(
        404,
        Hint::both(
            "Nothing is served at this path: check the path in the URL.",
            "По этому пути ничего нет: проверьте путь в адресе.",
        ),
    ),
    met(
        405,
        Hint::both(
            "This path takes no POST: check that the URL is the MCP endpoint itself.",
            "По этому пути не принимают POST: проверьте, что в адресе указана сама точка входа MCP.",
        ),
    ),
    row(
        408,
        "",
        Hint::both(
            "The server got the request too slowly: check the network on the way to it.",
            "Сервер слишком медленно получает запрос: проверьте сеть на пути к нему.",
        ),
    ),
    met(
        413,
        Hint::both(
            "The request is too large for the server or a proxy in between.",
            "Запрос слишком велик для сервера или прокси перед ним.",
        ),
    ),
    row(
        419,
        "Page Expired",
        Hint::both(
            "The server expects a browser's form: its administrator must except \
                              this path from the protection against CSRF.",
            "Сервер ждёт форму из браузера: администратор должен исключить этот путь из защиты от CSRF.",
        ),
    ),
    row(
        420,
        "Enhance Your Calm",
        Hint::both(
            "The server limits how often it may be asked: wait, or ask for less at once.",
            "Сервер ограничивает частоту обращений: подождите или запрашивайте меньше за раз.",
        ),
    ),
    row(
        421,
        "",
        Hint::both(
            "The server does not serve this host name: check the host in the URL.",
            "Сервер не обслуживает это имя узла: проверьте имя в адресе.",
        ),
    ),
    row(425, "", BUSY),
    met(
        429,
        Hint::both(
            "The server limits how often it may be asked: wait, or ask for less at once.",
            "Сервер ограничивает частоту обращений: подождите или запрашивайте меньше за раз.",
        ),
    ),
    row(
        440,
        "Login Time-out",
        Hint::both(
            "The login at the server has expired: log in again.",
            "Вход на сервере истёк: войдите заново.",
        ),
    ),
    row(444, "No Response", GAVE_UP),
    row(460, "Client Closed Connection", GAVE_UP),
    row(
        498,
        "Invalid Token",
        Hint::both(
            "The token has expired or is wrong: give a new one (`--bearer-file`).",
            "Токен истёк или неверен: задайте новый (`--bearer-file`).",
        ),
    ),
    row(499, "Client Closed Request", GAVE_UP),
    met(
        500,
        Hint::both(
            "The server failed inside: look at its log.",
            "Внутренняя ошибка сервера: посмотрите его журнал.",
        ),
    ),
    met(502, BUSY),
    met(503, BUSY),
    met(504, BUSY),
    row(
        507,
        "",
        Hint::both(
            "The server has no space left: its administrator must make room.",
            "На сервере нет места: администратор должен его освободить.",
        ),
    ),
    row(
        509,
        "Bandwidth Limit Exceeded",
        Hint::both(
            "The server has used up what its provider allows: try later, or ask its administrator.",
            "Сервер исчерпал то, что позволяет его поставщик: повторите позже или обратитесь к администратору.",
        ),
    ),
    row(
        511,
        "",
        Hint::both(
            "The network wants a login: open any page in a browser and log in.",
            "Сеть требует входа: откройте любую страницу в браузере и войдите.",
        ),
    ),
    row(
        520,
        "Web Server Returned an Unknown Error",
        Hint::both(
            "The server behind Cloudflare gave no usable \
                                                      answer: look at the server's log.",
            "Сервер за Cloudflare ответил непригодно: посмотрите журнал сервера.",
        ),
    ),
    row(521, "Web Server Is Down", ORIGIN),
    row(522, "Connection Timed Out", ORIGIN),
    row(523, "Origin Is Unreachable", ORIGIN),
    row(524, "A Timeout Occurred", SLOW),
    row(525, "SSL Handshake Failed", ORIGIN),
    row(526, "Invalid SSL Certificate", ORIGIN),
    row(
        527,
        "Railgun Error",
        Hint::both(
            "The server behind Cloudflare broke off: look at the server's log.",
            "Сервер за Cloudflare оборвал связь: посмотрите журнал сервера.",
        ),
    ),
    row(529, "Site Is Overloaded", BUSY),
    row(530, "Origin Error", ORIGIN),
    row(
        561,
        "Unauthorized",
        Hint::both(
            "The load balancer could not check the login with the identity provider: look at its log.",
            "Балансировщик не смог проверить вход у поставщика удостоверений: посмотрите его журнал.",
        ),
    ),
    row(598, "Network Read Timeout", SLOW),
    row(599, "Network Connect Timeout", SLOW),
];

/// What a refusal means, and what to do about it.
pub(super) struct Meaning {
    pub(super) class: Class,
    pub(super) cause: Cause,
    pub(super) hint: Option<Hint>,
}

impl Meaning {
    /// The meaning of `status` with what the answer `said`.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, said: &str) -> Self {
        let code = status.as_u16();
        if headers.get(CF_MITIGATED).is_some_and(|value| value == "challenge") {
            return Self::final_refusal(Cause::Refused, sayings::CHALLENGE);
        }
        if let Some((class, cause, hint)) = sayings::meaning(code, said) {
            return Self { class, cause, hint: Some(hint) };
        }
        let (class, cause) = class(code);
        Self { class, cause, hint: hint(code, headers) }
    }

    fn final_refusal(cause: Cause, hint: Hint) -> Self {
        Self { class: Class::Final, cause, hint: Some(hint) }
    }
}

/// The class of a status by itself (docs/reliability.md).
fn class(status: u16) -> (Class, Cause) {
    match status {
        401 | 403 | 498 | 561 => (Class::Final, Cause::Unauthorised),
        // 420 is what 429 was before it had a number.
        420 | 429 | 509 => (Class::Rejected, Cause::RateLimited),
        // The origin never saw it, or says that it did nothing.
        425 | 503 | 521..=523 | 525 | 526 | 529 | 530 => (Class::Rejected, Cause::Refused),
        // A login page of the network: nothing has reached the server, and waiting does not help.
        500 | 501 | 505 | 511 => (Class::Final, Cause::Refused),
        // Whatever says that it failed without saying when may have failed after the call ran.
        408 | 444 | 460 | 499 | 500.. => (Class::Ambiguous, Cause::Refused),
        _ => (Class::Final, Cause::Refused),
    }
}

/// A status with its name, where it has one.
#[derive(Clone, Copy)]
pub(crate) struct Named(pub(crate) StatusCode);

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.as_u16();
        let name = self.0.canonical_reason().or_else(|| find(code).map(|row| row.name));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => write!(formatter, "{code} {name}"),
            None => write!(formatter, "{code}"),
        }
    }
}

fn find(status: u16) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.status == status)
}

/// What to do about a status.
fn hint(status: u16, headers: &HeaderMap) -> Option<Hint> {
    match status {
        300..=399 => Some(REDIRECT),
        401 => {
            let offered = offered_schemes(headers);
            Some(if offered.is_empty() {
                CREDENTIALS
            } else {
                CREDENTIALS.and(&OFFERED.naming(&offered.join(", ")))
            })
        }
        407 => Some(proxy_login(&schemes(headers, &PROXY_AUTHENTICATE))),
        _ => match find(status) {
            Some(row) => Some(row.hint.clone()),
            None if status >= 500 => Some(FAILED),
            None => None,
        },
    }
}

const REDIRECT: Hint = Hint::both(
    "Put the address that the service is really at into the configuration.",
    "Укажите в настройке адрес, по которому служба находится на самом деле.",
);

const CREDENTIALS: Hint = Hint::both(
    "Credentials are missing or wrong: give them with `--bearer-file`, `--user` and \
     `--password-file`, `--api-key-file`, or `--header`.",
    "Учётные данные не указаны или неверны: задайте их через `--bearer-file`, `--user` и \
     `--password-file`, `--api-key-file` или `--header`.",
);

/// The schemes that a server offers.
pub(crate) const OFFERED: Hint = Hint::both("The server offers: {}.", "Сервер предлагает: {}.");

const FAILED: Hint = Hint::both(
    "The server or a proxy in between failed: look at their logs.",
    "Сбой на сервере или на прокси перед ним: посмотрите их журналы.",
);

const LOGIN: Hint = Hint::both(
    "Give a user name and password in the proxy's URL: `--proxy http://USER:PASSWORD@HOST:PORT`, or in \
     MCPLINE_PROXY.",
    "Укажите имя и пароль в адресе прокси: `--proxy http://ИМЯ:ПАРОЛЬ@УЗЕЛ:ПОРТ` или в MCPLINE_PROXY.",
);

const PROXY_OFFERED: Hint = Hint::both("The proxy offers: {}.", "Прокси предлагает: {}.");

const BASIC_ALONE: Hint = Hint::both(
    "mcpline knows only Basic: a local proxy that logs in (px, cntlm) can stand in between.",
    "mcpline умеет только Basic: поставьте между ними локальный прокси, который входит сам (px, cntlm).",
);

/// How to log in to a proxy that offers `schemes`.
pub(super) fn proxy_login(schemes: &[String]) -> Hint {
    if schemes.is_empty() {
        return LOGIN;
    }
    let login = LOGIN.and(&PROXY_OFFERED.naming(&schemes.join(", ")));
    let knows_basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    if knows_basic { login } else { login.and(&BASIC_ALONE) }
}

/// The authentication schemes that a 401 offers (RFC 9110 section 11.6.1).
pub(crate) fn offered_schemes(headers: &HeaderMap) -> Vec<String> {
    schemes(headers, &WWW_AUTHENTICATE)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn meaning(code: u16, said: &str) -> Meaning {
        Meaning::of(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), said)
    }

    #[test]
    fn every_status_has_its_class() {
        let rows: [(&[u16], Class, Cause); 6] = [
            (&[401, 403, 498, 561], Class::Final, Cause::Unauthorised),
            (&[420, 429, 509], Class::Rejected, Cause::RateLimited),
            (&[425, 503, 521, 522, 523, 525, 526, 529, 530], Class::Rejected, Cause::Refused),
            (
                &[408, 444, 460, 499, 502, 504, 506, 507, 520, 524, 527, 528, 531, 598, 599, 999],
                Class::Ambiguous,
                Cause::Refused,
            ),
            (&[302, 400, 404, 405, 413, 421, 422], Class::Final, Cause::Refused),
            (&[500, 501, 505, 511], Class::Final, Cause::Refused),
        ];
        for (codes, class, cause) in rows {
            for code in codes {
                let meaning = meaning(*code, "");
                assert_eq!((meaning.class, meaning.cause), (class, cause), "{code}");
                assert!(*code < 502 || meaning.hint.is_some(), "{code} has no hint");
            }
        }
    }

    #[test]
    fn what_a_refusal_says_can_mean_more_than_its_status() {
        for (code, said, hint) in [
            (403, "Just a moment... Enable JavaScript and cookies to continue", "challenge"),
            (421, "Invalid Host header", "--header Host:"),
            (403, "Blocked request. This host (\"h\") is not allowed.", "--header Host:"),
            (403, "Invalid Origin header", "--header Origin:"),
            (400, "No required SSL certificate was sent", "--client-cert"),
            (403, "Forbidden: this page requires a client certificate", "--client-cert"),
            (400, "The SSL certificate error", "--client-cert"),
            (400, "The plain HTTP request was sent to HTTPS port", "`https://`"),
            (400, "Client sent an HTTP request to an HTTPS server.", "`https://`"),
            (400, "You're speaking plain HTTP to an SSL-enabled server port.", "`https://`"),
        ] {
            let meaning = meaning(code, said);
            assert_eq!(meaning.class, Class::Final, "{said}");
            assert!(meaning.hint.as_ref().unwrap().contains(hint), "{said}: {:?}", meaning.hint);
        }
        assert_eq!(meaning(503, "Just a sec").class, Class::Rejected);
    }

    #[test]
    fn a_status_is_named_and_never_unknown() {
        for (code, name) in
            [(502, "502 Bad Gateway"), (522, "522 Connection Timed Out"), (577, "577")]
        {
            assert_eq!(Named(StatusCode::from_u16(code).unwrap()).to_string(), name);
        }
    }

    #[test]
    fn a_proxy_that_wants_a_login_names_its_schemes() {
        let mut headers = HeaderMap::new();
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("NTLM"));
        let hint = hint(407, &headers).unwrap();
        assert!(hint.contains("offers: NTLM. mcpline knows only Basic"), "{hint}");
    }
}
