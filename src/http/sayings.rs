//! Refusals that mean something of their own by what they say, whatever their status: of load balancers,
//! Cloudflare, nginx, and servers that look at names.

use crate::failure::{Cause, Class};
use crate::hint::Hint;

/// What a refusal says, whatever its status, that has a meaning of its own. Each word must occur.
struct Saying {
    statuses: &'static [u16],
    words: &'static [&'static str],
    meaning: (Class, Cause, Hint),
}

const HOSTS: Hint = Hint::both(
    "The server answers only host names that it knows: use such a name in the URL, \
                     add this one to the server's allowed hosts, or send the name that it expects \
                     with `--header Host:NAME`.",
    "Сервер отвечает только на известные ему имена узлов: укажите в адресе такое имя, добавьте это в разрешённые на \
     сервере или отправьте нужное через `--header Host:ИМЯ`.",
);

pub(super) const CHALLENGE: Hint = Hint::both(
    "A page that only browsers get past (a challenge of Cloudflare) stands \
                         before the server: its administrator must let this path through without \
                         it, or give an address that does not pass it.",
    "Перед сервером стоит страница, которую проходят только браузеры (проверка Cloudflare): администратор должен \
     пропускать этот путь без неё или дать адрес в обход.",
);

const PLAIN: Hint = Hint::both(
    "This port speaks HTTPS: use `https://` in the URL.",
    "Этот порт принимает HTTPS: укажите в адресе `https://`.",
);

const CERTIFICATE: Hint = Hint::both(
    "The server wants a client certificate: give it with `--client-cert FILE` \
                           and its key with `--client-key FILE`.",
    "Сервер требует сертификат клиента: укажите его через `--client-cert ФАЙЛ`, а ключ — через `--client-key ФАЙЛ`.",
);

const SAYINGS: &[Saying] = &[
    said(&[403, 429, 503], &["just a moment"], Cause::Refused, CHALLENGE),
    said(&[403, 503], &["attention required", "cloudflare"], Cause::Refused, CHALLENGE),
    said(&[400, 403, 421], &["invalid", "host"], Cause::Refused, HOSTS),
    said(&[400, 403, 421], &["host", "not allowed"], Cause::Refused, HOSTS),
    said(
        &[400, 403, 421],
        &["invalid", "origin"],
        Cause::Refused,
        Hint::both(
            "The server takes only requests \
        of origins that it knows: send one with `--header Origin:https://NAME`, or add it to the \
        server's allowed origins.",
            "Сервер принимает запросы только с известных ему источников (Origin): отправьте такой через `--header Origin:https://ИМЯ` или добавьте его в разрешённые на сервере.",
        ),
    ),
    said(&[400, 403, 496], &["required", "certificate"], Cause::Unauthorised, CERTIFICATE),
    said(&[400, 403, 496], &["requires", "certificate"], Cause::Unauthorised, CERTIFICATE),
    said(
        &[400, 495],
        &["certificate", "error"],
        Cause::Unauthorised,
        Hint::both(
            "The server does not accept \
        the client certificate: check `--client-cert`, and that the server trusts its issuer.",
            "Сервер не принимает сертификат клиента: проверьте `--client-cert` и доверяет ли сервер тому, кто его выдал.",
        ),
    ),
    said(&[400, 426, 497], &["plain http"], Cause::Refused, PLAIN),
    said(&[400], &["http request to an https"], Cause::Refused, PLAIN),
];

const fn said(
    statuses: &'static [u16],
    words: &'static [&'static str],
    cause: Cause,
    hint: Hint,
) -> Saying {
    Saying { statuses, words, meaning: (Class::Final, cause, hint) }
}

/// What a refusal with `status` means that has `said` this.
pub(super) fn meaning(status: u16, said: &str) -> Option<(Class, Cause, Hint)> {
    let said = said.to_lowercase();
    let means = |saying: &&Saying| {
        saying.statuses.contains(&status) && saying.words.iter().all(|word| said.contains(word))
    };
    SAYINGS.iter().find(means).map(|saying| saying.meaning.clone())
}
