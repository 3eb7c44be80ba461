//! What the texts of refusals mean: one table, in both languages of the platform.

use std::time::Duration;

use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;

/// What an error text means.
pub(super) struct Meaning {
    /// Texts in lower case; `…` stands for whatever is between two parts.
    texts: &'static [&'static str],
    /// Texts that a handler may write as well: they count on the platform's own pages alone.
    on_pages: &'static [&'static str],
    /// The statuses that the row applies to; empty for all.
    statuses: &'static [u16],
    class: Class,
    cause: Cause,
    /// How long the condition takes to pass at least.
    pace: Duration,
    pub(super) hint: Hint,
}

/// The first row that applies decides. All of these are said before any handler runs, so no call has
/// run. The rows of class [`Class::Rejected`] may pass: the call is sent again.
pub(super) const MEANINGS: [&Meaning; 11] = [
    &LOCKED,
    &EXCLUSIVE,
    &NO_LICENCE,
    &SESSION_LIMIT,
    &POOL_BUSY,
    &LOGIN_REFUSED,
    &NO_INFOBASE,
    &NO_DATABASE,
    &NO_CLUSTER,
    &NO_SERVICE,
    &NO_RIGHTS,
];

const LOCKED: Meaning = Meaning {
    texts: &[
        "начало сеанса с информационной базой запрещено",
        "начало сеансов с информационной базой запрещено",
        "работа с информационной базой запрещена",
        "startup of infobase session is not allowed",
        "infobase session startup is not allowed",
        "session start is not allowed",
        "session start is forbidden",
    ],
    on_pages: &[],
    statuses: &[],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(5),
    hint: Hint::both(
        "The infobase is locked, usually for maintenance: wait until the administrator unlocks it.",
        "Вход в базу закрыт, обычно на время обслуживания: дождитесь, пока администратор снимет \
         блокировку.",
    ),
};

const EXCLUSIVE: Meaning = Meaning {
    texts: &[
        "исключительной блокировки",
        "исключительная блокировка",
        "блокировки информационной базы для конфигурирования",
        "открыта в исключительном режиме",
        "opened in exclusive mode",
        "open in exclusive mode",
    ],
    on_pages: &["установлен монопольный режим", "открыта в монопольном режиме", "exclusive lock"],
    statuses: &[],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(5),
    hint: Hint::both(
        "Somebody has the infobase open exclusively (an update, the Designer, a backup): wait until \
         that is done, or ask the administrator.",
        "База открыта монопольно (обновление, Конфигуратор, резервное копирование): дождитесь \
         окончания или обратитесь к администратору.",
    ),
};

const NO_LICENCE: Meaning = Meaning {
    texts: &[
        "не обнаружено свободной лицензии",
        "не найдена лицензия",
        "не найдено лицензи",
        "не обнаружена лицензия",
        "лицензия не обнаружена",
        "лицензия не найдена",
        "лицензия на…не обнаружена",
        "лицензия на…не найдена",
        "не обнаружен ключ защиты",
        "нет свободных лицензий",
        "no free license",
        "license not found",
        "license is not found",
        "license for…not found",
        "no license found",
    ],
    on_pages: &["превышен…лицензи"],
    statuses: &[],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(2),
    hint: Hint::both(
        "All 1C client licences are taken: close another session, or lower `--managed-sessions` or \
         `--max-in-flight` to 1.",
        "Свободных клиентских лицензий 1С нет: закройте другой сеанс или уменьшите \
         `--managed-sessions` или `--max-in-flight` до 1.",
    ),
};

const SESSION_LIMIT: Meaning = Meaning {
    texts: &[
        "превышено…количество сеансов",
        "превышено…число сеансов",
        "превышено…количество соединений",
        "превышено…количество активных сеансов",
        "превышено…количество одновременных",
        "maximum…sessions exceeded",
        "session limit exceeded",
    ],
    on_pages: &[
        "превышено максимальное количество",
        "превышено допустимое количество",
        "превышено максимальное число",
        "превышено предельное количество",
        "maximum number of…exceeded",
    ],
    statuses: &[],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(2),
    hint: Hint::both(
        "The limit on sessions of the infobase or the server is reached: close other sessions, or \
         have the limit raised; fewer calls at once (`--max-in-flight`) need fewer sessions.",
        "Достигнут предел числа сеансов базы или сервера: закройте лишние сеансы или увеличьте \
         предел; чем меньше вызовов одновременно (`--max-in-flight`), тем меньше нужно сеансов.",
    ),
};

pub(super) const POOL_BUSY: Meaning = Meaning {
    texts: &["истекло время ожидания сеанса", "session timeout", "session wait time"],
    on_pages: &[],
    statuses: &[406],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(1),
    hint: Hint::both(
        "All sessions of the service's pool were busy: lower `--max-in-flight`, or raise poolSize in \
         the publication's default.vrd.",
        "Все сеансы пула службы были заняты: уменьшите `--max-in-flight` или увеличьте poolSize в \
         default.vrd публикации.",
    ),
};

pub(super) const LOGIN_REFUSED: Meaning = Meaning {
    texts: &[
        "неправильное имя или пароль",
        "неверное имя или пароль",
        "идентификация пользователя не выполнена",
        "аутентификация пользователя не выполнена",
        "user identification failed",
        "user is not authenticated",
        "invalid user name or password",
        "incorrect user name or password",
        "wrong user name or password",
    ],
    on_pages: &[
        "неверное имя пользователя",
        "неправильное имя пользователя",
        "неверный логин или пароль",
        "user authentication failed",
    ],
    statuses: &[],
    class: Class::Final,
    cause: Cause::Unauthorised,
    pace: Duration::ZERO,
    hint: Hint::both(
        "The 1C user name or password is wrong, or the user may not log in with \"1C:Enterprise \
         authentication\": set --user (MCP_ONEC_USERNAME) and MCPLINE_PASSWORD (MCP_ONEC_PASSWORD), \
         and look at the user's card in the Designer.",
        "Имя пользователя 1С или пароль неверны, либо ему не разрешена «Аутентификация \
         1С:Предприятия»: задайте --user (MCP_ONEC_USERNAME) и MCPLINE_PASSWORD \
         (MCP_ONEC_PASSWORD) и проверьте карточку пользователя в Конфигураторе.",
    ),
};

const NO_INFOBASE: Meaning = Meaning {
    texts: &[
        "информационная база не обнаружена",
        "информационная база не найдена",
        "информационная база…не обнаружена",
        "infobase not found",
        "infobase is not found",
    ],
    on_pages: &["infobase…not found"],
    statuses: &[],
    class: Class::Final,
    cause: Cause::Refused,
    pace: Duration::ZERO,
    hint: Hint::both(
        "The publication names an infobase that the 1C server does not have: check `ib=` (Srvr, Ref) \
         in the publication's default.vrd, and the list of infobases in the cluster.",
        "Публикация ссылается на базу, которой нет на сервере 1С: проверьте `ib=` (Srvr, Ref) в \
         default.vrd публикации и список баз в кластере.",
    ),
};

const NO_DATABASE: Meaning = Meaning {
    texts: &[
        "база данных не обнаружена",
        "сервер баз данных не обнаружен",
        "сервер субд не обнаружен",
        "database server not found",
        "database server is not found",
    ],
    on_pages: &["database not found"],
    statuses: &[],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(2),
    hint: Hint::both(
        "The 1C server cannot reach its database server: ask the administrator.",
        "Сервер 1С не может подключиться к серверу баз данных: обратитесь к администратору.",
    ),
};

pub(super) const NO_CLUSTER: Meaning = Meaning {
    texts: &[
        "сервер 1с:предприятия не обнаружен",
        "сервер 1c:предприятия не обнаружен",
        "соединения с сервером 1с:предприятия",
        "соединения с сервером 1c:предприятия",
        "соединение с рабочим процессом",
        "рабочий процесс не обнаружен",
        "нет доступных рабочих процессов",
        "1c:enterprise server not found",
        "1c:enterprise server is not found",
        "connecting to 1c:enterprise server",
        "connection with…working process",
        "connection to…working process",
        "no available working process",
    ],
    on_pages: &[],
    statuses: &[],
    class: Class::Rejected,
    cause: Cause::Refused,
    pace: Duration::from_secs(2),
    hint: Hint::both(
        "The web server cannot reach the 1C server: check that the 1C:Enterprise server agent runs, \
         and the server's address and ports (`ib=` in the publication's default.vrd, 1540, 1541, \
         1560-1591).",
        "Веб-сервер не может подключиться к серверу 1С: проверьте, что агент сервера \
         1С:Предприятия запущен, а адрес и порты верны (`ib=` в default.vrd публикации, 1540, 1541, \
         1560–1591).",
    ),
};

pub(super) const NO_SERVICE: Meaning = Meaning {
    texts: &[
        "не найден http-сервис",
        "обработчик запроса не найден",
        "шаблон url не найден",
        "http service not found",
        "http service is not found",
        "web service not found",
        "request handler not found",
        "request handler is not found",
        "url template not found",
    ],
    on_pages: &[
        "сервис не найден",
        "сервис не обнаружен",
        "не найден обработчик",
        "не найден шаблон",
        "service not found",
        "handler not found",
        "service is not found",
        "handler is not found",
    ],
    statuses: &[],
    class: Class::Final,
    cause: Cause::Refused,
    pace: Duration::ZERO,
    hint: Hint::both(
        "The infobase answers, but has no such HTTP service: check that the extension with it is \
         added and active for this infobase (restart the sessions afterwards), its root URL \
         (--service-root) and the URL template (/rpc, POST).",
        "База отвечает, но такого HTTP-сервиса в ней нет: проверьте, что расширение с ним добавлено \
         и активно (после этого нужны новые сеансы), а корневой URL (--service-root) и шаблон URL \
         (/rpc, POST) верны.",
    ),
};

pub(super) const NO_RIGHTS: Meaning = Meaning {
    texts: &[
        "недостаточно прав",
        "нет прав на использование",
        "insufficient rights",
        "insufficient access rights",
        "not enough rights",
    ],
    on_pages: &[],
    statuses: &[401, 403],
    class: Class::Final,
    cause: Cause::Unauthorised,
    pace: Duration::ZERO,
    hint: Hint::both(
        "The 1C user has no right to this method of the HTTP service: give it a role in which the \
         right \"Use\" is set for the method of the URL template (rpc: POST, health: GET); a tick at \
         the service alone is not enough. Then start a new session.",
        "У пользователя 1С нет права на этот метод HTTP-сервиса: дайте ему роль, в которой право \
         «Использование» отмечено у метода шаблона URL (rpc → POST, health → GET); галочки только \
         у самого сервиса мало. После этого нужен новый сеанс.",
    ),
};

impl Meaning {
    /// Whether the row applies to a refusal of `status` whose text in lower case is `lower`, on a
    /// page of the platform or elsewhere.
    pub(super) fn matches(&self, status: u16, lower: &str, is_page: bool) -> bool {
        let on_pages = if is_page { self.on_pages } else { &[] };
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && self.texts.iter().chain(on_pages).any(|text| holds(lower, text))
    }

    /// `failure` with what the row knows.
    pub(super) fn apply(&self, failure: Failure) -> Failure {
        let mut failure = failure.reclassed(self.class, "1C says so");
        failure.pace = Some(self.pace);
        // 1C sends 401 and 403 for locked infobases too: only the text tells the cause.
        failure.cause = self.cause;
        failure.never_ran = true;
        failure.hint(self.hint.clone())
    }
}

/// Whether `text` holds the parts of `pattern` in their order.
fn holds(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// How a connection inside the cluster failed, by the code behind `descr=` (Windows, Linux).
pub(super) enum Broken {
    /// It was never made: refused, no such host, no way, no answer. No handler has run.
    BeforeCall,
    /// It broke, perhaps while a handler was running.
    Perhaps,
}

/// Reads how the web server's connection to the cluster failed, which the platform describes by
/// `server_addr=` and `descr=`, in any language.
pub(super) fn broken_connection(lower: &str) -> Option<Broken> {
    const RESET: [&str; 6] = ["10053", "10054", "103", "104", "32", "108"];
    let (_, after) = lower.split_once("server_addr=")?;
    let (_, description) = after.split_once("descr=")?;
    let end = description.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(description.len());
    Some(if RESET.contains(&&description[..end]) { Broken::Perhaps } else { Broken::BeforeCall })
}
