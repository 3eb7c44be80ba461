//! What a refusal by 1C:Enterprise, or by the web server in front of it, means for a call.
//!
//! One table decides, by parts of the error text in both languages of the platform. `text`
//! finds the message in an error body, `stack` finds the cause in the stack text of an exception.

mod stack;
mod text;

use std::time::Duration;

pub(super) use self::stack::compact_error;
pub(super) use self::text::message;
use crate::failure::{Cause, Class, Failure};
use crate::http::{Refusal, offered_schemes};

/// What an error text means.
struct Meaning {
    /// Parts of the text, in lower case.
    texts: &'static [&'static str],
    /// The statuses that the row applies to; empty for all.
    statuses: &'static [u16],
    class: Class,
    pace: Duration,
    hint: &'static str,
}

/// The rows of class [`Class::Rejected`] are refusals before anything ran: any call may be retried.
const MEANINGS: [&Meaning; 5] = [&LOCKED, &NO_LICENCE, &POOL_BUSY, &NO_DATABASE, &LOGIN_REFUSED];

const LOCKED: Meaning = Meaning {
    texts: &[
        "начало сеанса с информационной базой запрещено",
        "startup of infobase session is not allowed",
        "session start is not allowed",
    ],
    statuses: &[],
    class: Class::Rejected,
    pace: Duration::from_secs(5),
    hint: "The infobase is locked, usually for maintenance: wait until the administrator unlocks \
           it.",
};

const NO_LICENCE: Meaning = Meaning {
    texts: &[
        "не обнаружено свободной лицензии",
        "there are no free licenses",
        "no free license",
        "не найдена лицензия",
        "license not found",
    ],
    statuses: &[],
    class: Class::Rejected,
    pace: Duration::from_secs(2),
    hint: "All 1C client licences are taken: close another session, or lower `--managed-sessions` \
           or `--max-in-flight` to 1.",
};

const POOL_BUSY: Meaning = Meaning {
    texts: &["истекло время ожидания сеанса", "session timeout", "session wait time"],
    statuses: &[406],
    class: Class::Rejected,
    pace: Duration::from_secs(1),
    hint: "All sessions of the service's pool were busy: lower `--max-in-flight`, or raise \
           poolSize in the publication's default.vrd.",
};

const NO_DATABASE: Meaning = Meaning {
    texts: &["база данных не обнаружена", "database server not found"],
    statuses: &[500],
    class: Class::Rejected,
    pace: Duration::from_secs(2),
    hint: "The 1C server cannot reach its database server: ask the administrator.",
};

const LOGIN_REFUSED: Meaning = Meaning {
    texts: &[
        "неправильное имя или пароль",
        "идентификация пользователя не выполнена",
        "user identification failed",
        "invalid user name or password",
    ],
    statuses: &[],
    class: Class::Final,
    pace: Duration::ZERO,
    hint: "The 1C user name or password is wrong, or the user may not log in with \
           \"1C:Enterprise authentication\": set --user (MCP_ONEC_USERNAME) and MCPLINE_PASSWORD \
           (MCP_ONEC_PASSWORD), and look at the user's card in the Designer.",
};

/// Error texts that say, with a 500, that the session is gone.
const SESSION_GONE: [&str; 3] = ["ошибка работы сеанса", "session error", "сеанс отсутствует"];

impl Meaning {
    fn matches(&self, status: u16, lower: &str) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && self.texts.iter().any(|text| lower.contains(text))
    }

    fn apply(&self, mut failure: Failure) -> Failure {
        failure = failure.reclassed(self.class, "1C says so in words");
        failure.pace = Some(self.pace);
        // 1C sends 401 and 403 for locked infobases too: only the text tells the cause.
        failure.cause =
            if self.class == Class::Final { Cause::Unauthorised } else { Cause::Refused };
        failure.hint(self.hint)
    }
}

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

/// Whether a refusal names a line of a module, as in `Модуль(41)}`. The handler has run then, and
/// sessions or licences in the text are part of what the handler says.
fn has_run(refusal: &Refusal) -> bool {
    let text = text::beginning(&refusal.body, refusal.content_type());
    ["Модуль(", "Module("].iter().any(|module| {
        text.match_indices(module).any(|(at, _)| {
            let rest = &text[at + module.len()..];
            let digits = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            digits.len() < rest.len() && digits.starts_with(")}")
        })
    })
}

/// The failure for a refusal: by its text, else by its status.
pub(super) fn failure(refusal: &Refusal) -> Failure {
    let said = message(&refusal.body, refusal.content_type());
    let failure = refusal.failure_saying(&said);
    let status = refusal.status.as_u16();
    let lower = said.to_lowercase();
    if !has_run(refusal)
        && let Some(meaning) = MEANINGS.iter().find(|meaning| meaning.matches(status, &lower))
    {
        return meaning.apply(failure);
    }
    match status {
        300..=399 => failure.hint(
            "The name of a published infobase is case sensitive: write it as it was published. A \
             redirect to a login page means that the publication expects a browser (OpenID): \
             publish the service with 1C:Enterprise authentication.",
        ),
        401 => failure.hint(unauthorised(refusal)),
        403 => failure.hint(
            "The 1C user has no right to this HTTP service: give it a role that may use the \
             service.",
        ),
        404 => failure.hint(
            "Check four things: the name of the infobase in the URL (its case counts), the root \
             URL of the HTTP service (--service-root), that the service is published (for an \
             extension: publishExtensionsByDefault or its own entry in default.vrd), and that the \
             1C server is running.",
        ),
        406 => POOL_BUSY.apply(failure),
        500 => failure.hint(
            "The service failed outside of its own error handling: look at the event log of the \
             infobase.",
        ),
        _ => failure,
    }
}

fn unauthorised(refusal: &Refusal) -> String {
    let schemes = offered_schemes(&refusal.headers);
    let offers = |scheme: &str| schemes.iter().any(|offer| offer.eq_ignore_ascii_case(scheme));
    let listed = schemes.join(", ");
    let hint = LOGIN_REFUSED.hint;
    if schemes.is_empty() {
        hint.to_owned()
    } else if offers("Basic") || offers("Bearer") {
        format!("{hint} The server offers: {listed}.")
    } else {
        format!(
            "The web server offers only {listed}, which mcpline does not speak: allow Basic \
             authentication for this publication, publish the infobase a second time with Basic, \
             or use an access token (--bearer-file)."
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            url: "http://srv/base/hs/mcp/rpc".into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn every_row_of_the_table_has_its_class() {
        let cases = [
            (403, "Начало сеанса с информационной базой запрещено", Class::Rejected),
            (500, "Startup of infobase session is not allowed", Class::Rejected),
            (500, "Не обнаружено свободной лицензии!", Class::Rejected),
            (500, "License not found", Class::Rejected),
            (406, "Истекло время ожидания сеанса", Class::Rejected),
            (406, "", Class::Rejected),
            (500, "Database server not found", Class::Rejected),
            (500, "База данных не обнаружена", Class::Rejected),
            (500, "Деление на 0", Class::Final),
            (500, "{ОбщийМодуль.Заказы.Модуль(41)}: записан. Не найдена лицензия", Class::Final),
            (401, "", Class::Final),
            (403, "", Class::Final),
            (404, "", Class::Final),
            (302, "", Class::Final),
            (502, "", Class::Ambiguous),
            (503, "", Class::Rejected),
        ];
        for (status, body, class) in cases {
            let failure = failure(&refusal(status, body));
            assert_eq!(failure.class(), class, "{status} {body}");
            assert!(failure.hint.is_some(), "{status} {body}");
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
        assert!(hint.contains("only Negotiate, NTLM"), "{hint}");
    }
}
