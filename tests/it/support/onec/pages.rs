//! What the four layers before and in a 1C service answer when they refuse: web server, the
//! platform's web extension in its three formats, and the service itself.

use encoding_rs::WINDOWS_1251;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::support::http::Reply;

/// What the platform says when an infobase is locked, before the administrator's own words.
pub(crate) const LOCKED: &str = "Начало сеанса с информационной базой запрещено.";

const IN_PATH: &AsciiSet = &CONTROLS.add(b' ');

/// How a web page tells its charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    InHeader,
    InMeta,
    Nowhere,
    /// Says UTF-8 and is not.
    Wrongly,
}

/// A body with a byte order mark, as the platform sends text.
pub(super) fn platform_body(status: u16, text: &str) -> Reply {
    Reply::status(status)
        .header("Access-Control-Allow-Origin", "*")
        .body("application/json; charset=utf-8", format!("\u{feff}{text}"))
}

/// Apache, for a path that nothing is published at.
pub(crate) fn not_found() -> Reply {
    let page = include_str!("apache-404.html");
    Reply::status(404).body("text/html; charset=iso-8859-1", page)
}

/// nginx, when the server behind it does not answer.
pub(crate) fn bad_gateway() -> Reply {
    Reply::status(502).body("text/html", include_str!("nginx-502.html"))
}

/// Apache, for a name in the wrong case.
pub(super) fn moved(to: &str) -> Reply {
    let escaped = utf8_percent_encode(to, IN_PATH);
    Reply::status(302).header("Location", escaped.to_string()).body("text/html", "<h1>Found</h1>")
}

/// A Russian IIS, whose pages are in windows-1251.
pub(crate) fn iis(status: u16, title: &str, detail: &str, declared: Declared) -> Reply {
    let meta = match declared {
        Declared::InMeta => {
            r#"<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"/>"#
        }
        _ => "",
    };
    let page = include_str!("iis.html")
        .replace("@META@", meta)
        .replace("@STATUS@", &status.to_string())
        .replace("@TITLE@", title)
        .replace("@DETAIL@", detail);
    let content_type = match declared {
        Declared::InHeader => "text/html; charset=windows-1251",
        Declared::Wrongly => "text/html; charset=utf-8",
        Declared::InMeta | Declared::Nowhere => "text/html",
    };
    Reply::status(status).body(content_type, WINDOWS_1251.encode(&page).0.into_owned())
}

/// 401 with a challenge for each scheme.
pub(crate) fn unauthorized(schemes: &[&str]) -> Reply {
    let refused = iis(
        401,
        "Несанкционированный доступ",
        "Доступ запрещен из-за неправильных учетных данных.",
        Declared::InHeader,
    );
    schemes.iter().fold(refused, |reply, scheme| reply.header("WWW-Authenticate", *scheme))
}

/// The platform's exception as a web page: what failed, and why.
pub(crate) fn platform_html(status: u16, what: &str, why: &str) -> Reply {
    let page = include_str!("platform.html").replace("@FIRST@", what).replace("@SECOND@", why);
    Reply::status(status).body("text/html; charset=utf-8", format!("\u{feff}{page}"))
}

/// The platform's exception as XML.
pub(crate) fn platform_xml(status: u16, why: &str) -> Reply {
    let page = include_str!("platform.xml")
        .replace("@STATUS@", &status.to_string())
        .replace("@DESCR@", why);
    Reply::status(status).body("application/xml", format!("\u{feff}{page}"))
}

/// The platform's exception as JSON, with its inner exceptions.
pub(crate) fn platform_json(status: u16, what: &str, why: &str) -> Reply {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let page = include_str!("platform.json")
        .replace("@STATUS@", &status.to_string())
        .replace("@FIRST@", &quoted(what))
        .replace("@SECOND@", &quoted(why));
    platform_body(status, &page)
}

/// The service's own words.
pub(crate) fn plain(status: u16, text: &str) -> Reply {
    Reply::status(status).body("text/plain; charset=utf-8", text)
}

/// No session became free within the pool's time.
pub(crate) fn pool_exhausted() -> Reply {
    platform_xml(406, "Истекло время ожидания сеанса")
}

/// No client licence is left.
pub(crate) fn no_licence() -> Reply {
    platform_html(500, "Ошибка при создании сеанса", "Не обнаружено свободной лицензии!")
}

/// The infobase is locked; `words` are the administrator's.
pub(crate) fn locked(words: &str) -> Reply {
    let text = format!("{LOCKED}\n{words}");
    platform_json(403, &text, &text)
}

/// The managed session has gone, in the words of the platform.
pub(crate) fn session_error() -> Reply {
    platform_html(500, "Ошибка работы сеанса", "Сеанс отсутствует или удален")
}
