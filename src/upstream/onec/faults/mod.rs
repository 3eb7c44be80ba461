//! What a refusal by 1C:Enterprise, or by the web server in front of it, means for a call.
//!
//! A table decides (`meaning`), by parts of the error text in both languages of the platform and by
//! the structure of what the platform says of its connections. `text` finds the message in an error
//! body, `stack` finds the cause in the stack text of an exception.

mod meaning;
mod stack;
mod text;

use self::meaning::{
    Broken, LOGIN_REFUSED, MEANINGS, NO_CLUSTER, NO_RIGHTS, NO_SERVICE, POOL_BUSY,
    broken_connection,
};
pub(super) use self::stack::compact_error;
pub(super) use self::text::{is_page_of_platform, message};
use crate::failure::{Class, Failure};
use crate::hint::Hint;
use crate::http::{OFFERED, Refusal, offered_schemes};

/// Error texts that say, with a 500, that the session is gone.
const SESSION_GONE: [&str; 3] = ["ошибка работы сеанса", "session error", "сеанс отсутствует"];

/// Whether the refusal of a call in a managed session says that this session is gone.
pub(super) fn is_session_gone(refusal: &Refusal) -> bool {
    match refusal.status.as_u16() {
        400 | 404 => true,
        500 if !has_run(refusal) => {
            let said = message(&refusal.body, refusal.content_type()).to_lowercase();
            SESSION_GONE.iter().any(|text| said.contains(text))
        }
        _ => false,
    }
}

/// Whether a refusal names a place in a module, as in `{ОбщийМодуль.Заказы.Модуль(41)}`. The handler
/// has run then, and sessions or licences in the text are part of what the handler says.
fn has_run(refusal: &Refusal) -> bool {
    let text = text::beginning(&refusal.body, refusal.content_type());
    text.match_indices(")}").any(|(end, _)| {
        let before = text[..end].trim_end_matches(|c: char| c.is_ascii_digit() || ", ".contains(c));
        let numbers = &text[before.len()..end];
        numbers.starts_with(|digit: char| digit.is_ascii_digit())
            && before.strip_suffix('(').is_some_and(|place| {
                place.rfind(['{', '}', '"', '\n']).is_some_and(|at| place[at..].starts_with('{'))
            })
    })
}

/// Whether `failure` says that the infobase answers and has no such service.
pub(super) fn tells_no_service(failure: &Failure) -> bool {
    failure.hint.as_deref() == Some(&NO_SERVICE.hint)
}

/// The failure for a refusal: by its text, else by its structure, else by its status.
pub(super) fn failure(refusal: &Refusal) -> Failure {
    let said = message(&refusal.body, refusal.content_type());
    let failure = refusal.failure_saying(&said);
    let status = refusal.status.as_u16();
    let whole = text::beginning(&refusal.body, refusal.content_type()).to_lowercase();
    if !has_run(refusal) {
        match broken_connection(&whole) {
            Some(Broken::BeforeCall) => {
                let named = MEANINGS.iter().find(|meaning| meaning.matches(status, &whole, true));
                return named.unwrap_or(&&NO_CLUSTER).apply(failure);
            }
            Some(Broken::Perhaps) => {
                let why = "the connection inside the cluster broke";
                return failure.reclassed(Class::Ambiguous, why).hint(CONNECTION_BROKE);
            }
            None => {}
        }
        let (lower, is_page) = (said.to_lowercase(), text::is_of_platform(&whole));
        if let Some(meaning) =
            MEANINGS.iter().find(|meaning| meaning.matches(status, &lower, is_page))
        {
            return meaning.apply(failure);
        }
    }
    match status {
        300..=399 if wants_https(&refusal.url, &failure.what) => failure.hint(WANTS_HTTPS),
        300..=399 => failure.hint(REDIRECTED),
        401 => failure.hint(unauthorised(refusal)),
        403 => failure.hint(NO_RIGHTS.hint.clone()),
        404 => failure.hint(NOT_FOUND),
        406 => POOL_BUSY.apply(failure),
        500 => failure.hint(OUTSIDE),
        _ => failure,
    }
}

const CONNECTION_BROKE: Hint = Hint::both(
    "The web server's connection to the 1C server broke, perhaps in the middle of the call: look at \
     the event log of the infobase.",
    "Соединение веб-сервера с сервером 1С оборвалось, возможно, во время вызова: посмотрите журнал \
     регистрации базы.",
);

/// Whether what failed at `url` is a redirect to the same host by HTTPS.
fn wants_https(url: &str, what: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        what.contains(&format!("a redirect to https://{host}"))
    })
}

const WANTS_HTTPS: Hint = Hint::both(
    "The web server wants HTTPS: write `https://` in the URL.",
    "Веб-сервер требует HTTPS: напишите в адресе `https://`.",
);

const REDIRECTED: Hint = Hint::both(
    "The name of a published infobase is case sensitive: write it as it was published. A redirect to \
     a login page means that the publication expects a browser (OpenID): publish the service with \
     1C:Enterprise authentication.",
    "Регистр букв в имени опубликованной базы важен: напишите его так, как при публикации. \
     Перенаправление на страницу входа значит, что публикация рассчитана на браузер (OpenID): \
     опубликуйте сервис с аутентификацией 1С:Предприятия.",
);

const NOT_FOUND: Hint = Hint::both(
    "Check four things: the name of the infobase in the URL (its case counts), the root URL of the \
     HTTP service (--service-root), that the service is published (for an extension: \
     publishExtensionsByDefault or its own entry in default.vrd), and that the 1C server is running.",
    "Проверьте четыре вещи: имя базы в адресе (регистр букв важен), корневой URL HTTP-сервиса \
     (--service-root), опубликован ли сервис (для расширения — publishExtensionsByDefault или \
     отдельная запись в default.vrd) и запущен ли сервер 1С.",
);

const OUTSIDE: Hint = Hint::both(
    "The service failed outside of its own error handling: look at the event log of the infobase.",
    "В сервисе произошла необработанная ошибка: посмотрите журнал регистрации базы.",
);

const WINDOWS_LOGIN: Hint = Hint::both(
    "The web server itself asks for a login by {}, which mcpline does not support. On IIS turn \
     anonymous authentication on and Basic and Windows authentication off for this publication: then \
     1C checks the name and password. Or use an access token (--bearer-file).",
    "Веб-сервер сам требует входа через {}, а mcpline этого не поддерживает. В IIS для этой \
     публикации включите анонимную проверку подлинности и выключите обычную (Basic) и проверку \
     Windows: тогда имя и пароль проверит 1С. Либо используйте токен доступа (--bearer-file).",
);

const IIS_LOGIN: Hint = Hint::both(
    "If the name and password are right, IIS may check them itself: turn anonymous authentication on \
     and Basic and Windows authentication off for this publication.",
    "Если имя и пароль верны, их, возможно, проверяет сам IIS: включите для публикации анонимную \
     проверку подлинности и выключите обычную (Basic) и проверку Windows.",
);

fn unauthorised(refusal: &Refusal) -> Hint {
    let schemes = offered_schemes(&refusal.headers);
    let offers = |scheme: &str| schemes.iter().any(|offer| offer.eq_ignore_ascii_case(scheme));
    let hint = LOGIN_REFUSED.hint.clone();
    if schemes.is_empty() {
        return hint;
    }
    let listed = schemes.join(", ");
    if !offers("Basic") && !offers("Bearer") {
        return WINDOWS_LOGIN.naming(&listed);
    }
    let hint = hint.and(&OFFERED.naming(&listed));
    if offers("Negotiate") || offers("NTLM") { hint.and(&IIS_LOGIN) } else { hint }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};

    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            url: "http://srv/base/hs/mcp/rpc".into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn page(said: &str) -> String {
        format!(
            "\u{feff}<html><body><h2>1C:Enterprise 8 application error:</h2>{said}</body></html>"
        )
    }

    #[test]
    fn refusals_before_any_handler_ran_have_their_class() {
        let address = "server_addr=tcp://srv1c:1541 descr=10061(0x0000274D): нет подключения";
        let rows = [
            (403, "Начало сеанса с информационной базой запрещено".into(), Class::Rejected),
            (500, "Startup of infobase session is not allowed".into(), Class::Rejected),
            (500, "Не обнаружено свободной лицензии!".into(), Class::Rejected),
            (500, "License not found".into(), Class::Rejected),
            (503, page("Лицензия не обнаружена"), Class::Rejected),
            (500, page("Не обнаружен ключ защиты программы"), Class::Rejected),
            (500, page("Превышено максимальное количество сеансов"), Class::Rejected),
            (500, page("Превышено максимальное количество подключений"), Class::Rejected),
            (500, page("Ошибка исключительной блокировки информационной базы"), Class::Rejected),
            (406, "Истекло время ожидания сеанса".into(), Class::Rejected),
            (406, String::new(), Class::Rejected),
            (500, "Database server not found".into(), Class::Rejected),
            (500, "База данных не обнаружена".into(), Class::Rejected),
            (500, page("Сервер баз данных не обнаружен"), Class::Rejected),
            (
                500,
                page(&format!("Сервер 1С:Предприятия не обнаружен<br>{address}")),
                Class::Rejected,
            ),
            (404, page(address), Class::Rejected),
            (500, format!("Fehler {address}"), Class::Rejected),
            (500, page("Ошибка соединения с сервером 1С:Предприятия"), Class::Rejected),
            (500, page("1C:Enterprise server not found"), Class::Rejected),
            (500, page("Не удалось установить соединение с рабочим процессом"), Class::Rejected),
            (500, page("Информационная база не обнаружена"), Class::Final),
            (404, page("Infobase not found"), Class::Final),
            (500, page("Неправильное имя или пароль"), Class::Final),
            (404, page("Сервис не найден"), Class::Final),
            (500, page("Обработчик запроса не найден"), Class::Final),
            (
                403,
                "Недостаточно прав для использования ресурса с данным HTTP методом".into(),
                Class::Final,
            ),
        ];
        for (status, body, class) in rows {
            let failure = failure(&refusal(status, &body));
            assert_eq!(failure.class(), class, "{status} {body}");
            assert!(failure.never_ran && failure.hint.is_some(), "{status} {body}");
        }
    }

    #[test]
    fn other_refusals_go_by_their_status() {
        let reset = "server_addr=tcp://srv1c:1541 descr=10054(0x00002746): соединение разорвано";
        let rows = [
            (500, "Деление на 0".into(), Class::Final),
            (
                500,
                "{ОбщийМодуль.Заказы.Модуль(41)}: записан. Не найдена лицензия".into(),
                Class::Final,
            ),
            (500, "{mcp Обработка.X(7, 12)}: записан. Не найдена лицензия".into(), Class::Final),
            (500, page("{ОбщийМодуль.Обмен.Модуль(4)}: server_addr=a:1 descr=10061"), Class::Final),
            (500, page(reset), Class::Ambiguous),
            (500, "Превышено максимальное количество строк заказа".into(), Class::Final),
            (500, "Заказ записан. Курьерский сервис не найден".into(), Class::Final),
            (401, String::new(), Class::Final),
            (403, String::new(), Class::Final),
            (404, String::new(), Class::Final),
            (302, String::new(), Class::Final),
            (502, String::new(), Class::Ambiguous),
            (503, String::new(), Class::Rejected),
        ];
        for (status, body, class) in rows {
            let failure = failure(&refusal(status, &body));
            assert_eq!(failure.class(), class, "{status} {body}");
            assert!(!failure.never_ran && failure.hint.is_some(), "{status} {body}");
        }
    }

    #[test]
    fn a_redirect_to_https_is_told_from_others() {
        for (target, hint) in [
            ("https://srv/base/hs/mcp/rpc", "https://"),
            ("/Base/hs/mcp/rpc", "case sensitive"),
            ("https://login.test/", "case sensitive"),
        ] {
            let mut refusal = refusal(301, "");
            refusal.headers.append(LOCATION, HeaderValue::from_static(target));
            let told = failure(&refusal).hint.unwrap();
            assert!(told.contains(hint), "{target}: {told}");
        }
    }

    #[test]
    fn a_gone_session_differs_from_a_failed_call() {
        for (status, body, gone) in [
            (404, "", true),
            (400, "", true),
            (500, "Ошибка работы сеанса", true),
            (500, "Деление на 0", false),
            (500, "{М.Module(9)}: Session error", false),
            (406, "Истекло время ожидания сеанса", false),
        ] {
            assert_eq!(is_session_gone(&refusal(status, body)), gone, "{status} {body}");
        }
    }

    #[test]
    fn a_server_that_offers_only_windows_logins_is_named() {
        let mut refusal = refusal(401, "");
        for scheme in ["Negotiate", "NTLM"] {
            refusal.headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        let hint = failure(&refusal).hint.unwrap();
        assert!(hint.contains("Negotiate, NTLM") && hint.contains("anonymous"), "{hint}");
        refusal.headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"x\""));
        let hint = failure(&refusal).hint.unwrap();
        let offered = "The server offers: Negotiate, NTLM, Basic.";
        assert!(hint.contains("password is wrong") && hint.contains(offered), "{hint}");
    }
}
