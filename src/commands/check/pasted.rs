//! Addresses that people paste although no MCP server is there, by their form alone. What the named
//! services work for (a webhook, a portal, an account) is known to the kinds.

use url::Url;

use crate::hint::Words;
use crate::upstream::misplaced;

/// An address of a known form that leads to something else.
struct Paste {
    is: fn(&str, &str) -> bool,
    /// What it is.
    what: Words,
    /// What to do.
    hint: Words,
}

/// The host and path in small letters decide; the first row that fits counts.
static PASTES: [Paste; 6] = [
    Paste {
        is: |host, _| {
            let pages = [
                "github.com",
                "gitlab.com",
                "smithery.ai",
                "glama.ai",
                "mcp.so",
                "www.pulsemcp.com",
                "hub.docker.com",
            ];
            pages.contains(&host)
        },
        what: Words::both(
            "this is a page about a server, not the server",
            "это страница о сервере, а не сам сервер",
        ),
        hint: Words::both(
            "Look there for the address at which the server takes requests. A server that is started by a \
             command (npx, uvx, docker) needs no mcpline.",
            "Найдите там адрес, по которому сервер принимает запросы. Серверу, который запускают командой \
             (npx, uvx, docker), mcpline не нужен.",
        ),
    },
    Paste {
        is: |_, path| {
            ["/health", "/healthz", "/ping", "/status"].iter().any(|end| path.ends_with(end))
        },
        what: Words::both(
            "this looks like the address that tells whether a service runs",
            "похоже на адрес, который сообщает, работает ли служба",
        ),
        hint: Words::both(
            "Leave out the last part of the path, or put `mcp` in its place.",
            "Уберите последнюю часть пути или замените её на `mcp`.",
        ),
    },
    Paste {
        is: |_, path| {
            let ends = ["/manifest", "/openapi.json", "/docs", "/redoc", "/swagger", "/swagger-ui"];
            ends.iter().any(|end| path.ends_with(end)) || path.contains("/.well-known/")
        },
        what: Words::both(
            "this looks like the description of a service",
            "похоже на описание службы",
        ),
        hint: Words::both(
            "Give the address at which the service takes requests: often `/mcp` instead of the last part.",
            "Укажите адрес, по которому служба принимает запросы: часто вместо последней части `/mcp`.",
        ),
    },
    Paste {
        is: |_, path| path.contains("/odata/") || path.contains("/ws/"),
        what: Words::both(
            "this looks like another service of 1C (OData or SOAP)",
            "похоже на другой сервис 1С (OData или SOAP)",
        ),
        hint: Words::both(
            "Give the address of the infobase, up to the name under which it is published \
             (http://server/base), with `--kind 1c`.",
            "Укажите адрес информационной базы до имени, под которым она опубликована \
             (http://server/base), и `--kind 1c`.",
        ),
    },
    Paste {
        is: |_, path| {
            path.trim_end_matches('/')
                .rsplit('/')
                .next()
                .is_some_and(|end| matches!(end, "ru" | "en" | "ru_ru" | "en_us" | "e1cib"))
        },
        what: Words::both(
            "this looks like the page of an infobase for people",
            "похоже на страницу информационной базы для людей",
        ),
        hint: Words::both(
            "Leave out the part behind the name of the infobase (http://server/base), and use `--kind 1c`.",
            "Уберите всё после имени информационной базы (http://server/base) и укажите `--kind 1c`.",
        ),
    },
    Paste {
        is: |_, path| {
            ["login", "signin", "sign-in"]
                .iter()
                .any(|word| path.split('/').any(|part| part == *word))
        },
        what: Words::both(
            "this looks like a login page for people",
            "похоже на страницу входа для людей",
        ),
        hint: Words::both(
            "Ask the server's administrator for the address that programs use.",
            "Узнайте у администратора сервера адрес для программ.",
        ),
    },
];

/// What `url` seems to be, and what to do, if it is of such a form.
pub(super) fn recognised(url: &Url) -> Option<(Words, Words)> {
    if let Some((name, hint)) = misplaced(url) {
        return Some((Words::both("this is", "это").joined(" ", &name), hint));
    }
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let path = url.path().to_ascii_lowercase();
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { &path };
    let slashed = format!("{path}/");
    let fits = |paste: &&Paste| (paste.is)(&host, path) || (paste.is)(&host, &slashed);
    PASTES.iter().find(fits).map(|paste| (paste.what.clone(), paste.hint.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_is_recognised() {
        let cases = [
            ("https://firma.bitrix24.ru/", "a portal of Bitrix24"),
            ("https://github.com/owner/server", "a page about"),
            ("http://srv:8000/health", "whether a service runs"),
            ("http://srv:8000/openapi.json", "description"),
            ("http://srv/base/odata/standard.odata/", "OData"),
            ("http://srv/base/ru_RU/", "for people"),
            ("http://srv/base/", ""),
            ("https://srv/Login", "login page"),
            ("https://mcp.example.com/mcp", ""),
        ];
        for (url, what) in cases {
            let recognised = recognised(&Url::parse(url).unwrap());
            let found = recognised.map(|(what, _)| what.to_string()).unwrap_or_default();
            assert!(found.contains(what) && found.is_empty() == what.is_empty(), "{url}: {found}");
        }
    }
}
