//! Addresses that people give instead of that of an MCP server: of what the server works for. They
//! are told what to give.

use url::Url;

use super::{Client, Greeting, Opened, Pending, Upstream};
use crate::failure::{Cause, Class, Failure};
use crate::hint::{Hint, Words};
use crate::jsonrpc::Message;
use crate::redact;

/// What an address is instead.
struct Place {
    is_at: fn(&Url) -> bool,
    /// What it is called.
    name: Words,
    /// What to do.
    hint: Hint,
    /// Whether a request could make the service act, so that none is sent.
    acts: bool,
}

const WEBHOOK: Hint = Hint::both(
    "A webhook belongs into the settings of the server b24-mcp, as BITRIX_BASE_URL; give mcpline \
     the address of b24-mcp. Or use Bitrix24's own MCP server, https://mcp.bitrix24.tech/mcp/, with \
     a connection token in MCPLINE_BEARER, which needs no webhook.",
    "Вебхук указывают в настройках сервера b24-mcp, в BITRIX_BASE_URL, а mcpline — адрес самого b24-mcp. Либо \
     используйте собственный сервер MCP Битрикс24, https://mcp.bitrix24.tech/mcp/, с токеном подключения в \
     MCPLINE_BEARER: ему вебхук не нужен.",
);

const PORTAL: Hint = Hint::both(
    "This is the address of a Bitrix24 portal, not of an MCP server. Use Bitrix24's own MCP server, \
     https://mcp.bitrix24.tech/mcp/ (https://mcp.bitrix24.com/mcp/ outside of Russia), with a \
     connection token in MCPLINE_BEARER, or give the address of a server such as b24-mcp.",
    "Это адрес портала Битрикс24, а не сервера MCP. Используйте собственный сервер MCP Битрикс24, \
     https://mcp.bitrix24.tech/mcp/, с токеном подключения в MCPLINE_BEARER или укажите адрес такого \
     сервера, как b24-mcp.",
);

const OFFICIAL: Hint = Hint::both(
    "The endpoint of Bitrix24's MCP server has the path `/mcp/`, with the slash at \
                        its end: https://mcp.bitrix24.tech/mcp/, or https://mcp.bitrix24.com/mcp/; \
                        that of its documentation server is https://mcp-dev.bitrix24.tech/mcp.",
    "Путь сервера MCP Битрикс24 — `/mcp/`, с косой чертой в конце: https://mcp.bitrix24.tech/mcp/; адрес его \
     сервера документации — https://mcp-dev.bitrix24.tech/mcp.",
);

const ACCOUNT: Hint = Hint::both(
    "This is the address of an amoCRM account, not of an MCP server. Run an MCP server for amoCRM, \
     such as mcp-amocrm-server, put this address and the account's token into its settings, and \
     give mcpline the address of that server.",
    "Это адрес аккаунта amoCRM, а не сервера MCP. Запустите сервер MCP для amoCRM, например \
     mcp-amocrm-server, укажите этот адрес и токен аккаунта в его настройках, а mcpline дайте адрес того \
     сервера.",
);

const A_WEBHOOK: Words = Words::both("a webhook of Bitrix24", "вебхук Битрикс24");
const THE_OFFICIAL: Words = Words::both("Bitrix24's MCP server", "сервер MCP Битрикс24");
const A_PORTAL: Words = Words::both("a portal of Bitrix24", "портал Битрикс24");
const THE_API: Words = Words::both("the API of amoCRM", "API amoCRM");
const AN_ACCOUNT: Words = Words::both("an account of amoCRM", "аккаунт amoCRM");

/// The first that fits counts.
static PLACES: [Place; 6] = [
    Place { is_at: is_webhook_call, name: A_WEBHOOK, hint: WEBHOOK, acts: true },
    Place { is_at: is_webhook, name: A_WEBHOOK, hint: WEBHOOK, acts: false },
    Place { is_at: is_official, name: THE_OFFICIAL, hint: OFFICIAL, acts: false },
    Place { is_at: is_portal, name: A_PORTAL, hint: PORTAL, acts: false },
    Place { is_at: is_account_api, name: THE_API, hint: ACCOUNT, acts: true },
    Place { is_at: is_account, name: AN_ACCOUNT, hint: ACCOUNT, acts: false },
];

/// Such an address.
pub(super) struct Misplaced {
    place: &'static Place,
    shown: String,
}

impl Misplaced {
    /// What is at `url` instead of an MCP server, if anything.
    pub(super) fn at(url: &Url) -> Option<Self> {
        let place = PLACES.iter().find(|place| (place.is_at)(url))?;
        Some(Self { place, shown: redact::shown(url) })
    }

    /// `inner` with what to do added to its failures.
    pub(super) fn before(self, inner: Box<dyn Upstream>) -> impl Upstream {
        Explained { inner, misplaced: self }
    }
}

/// What `url` is instead of the address of an MCP server, and what to do, if it is such a place.
pub(crate) fn misplaced(url: &Url) -> Option<(Words, Hint)> {
    Misplaced::at(url).map(|misplaced| (misplaced.place.name.clone(), misplaced.place.hint.clone()))
}

struct Explained {
    inner: Box<dyn Upstream>,
    misplaced: Misplaced,
}

impl Explained {
    async fn open(&self, greeting: &Greeting, client: &Client) -> Result<Opened, Failure> {
        let Misplaced { place: Place { name, hint, acts, .. }, shown } = &self.misplaced;
        if *acts {
            let what = format!("{shown} is {name}, so nothing was sent to it");
            return Err(Failure::new(Class::Final, Cause::Refused, what).hint(hint.clone()));
        }
        self.inner.open(greeting, client).await.map_err(|failure| match failure.answer {
            // An MCP server is there all the same.
            Some(_) => failure,
            None => failure.hint(hint.clone()),
        })
    }
}

impl Upstream for Explained {
    fn open<'a>(
        &'a self,
        greeting: &'a Greeting,
        client: &'a Client,
    ) -> Pending<'a, Result<Opened, Failure>> {
        Box::pin(self.open(greeting, client))
    }

    fn is_repeatable(&self, message: &Message) -> bool {
        self.inner.is_repeatable(message)
    }

    fn variant(&self) -> Option<Words> {
        self.inner.variant()
    }

    /// Some of these places act on whatever they are sent.
    fn wants_handshake_first(&self) -> bool {
        true
    }
}

/// The path of `url` in its segments, without those that are empty.
fn segments(url: &Url) -> Vec<&str> {
    url.path().split('/').filter(|segment| !segment.is_empty()).collect()
}

/// What follows the key in the path of a webhook, `/rest/USER/KEY/METHOD`. Newer ones begin with
/// `/rest/api`.
fn after_webhook(url: &Url) -> Option<Vec<String>> {
    let segments = segments(url);
    let at = redact::webhook_key(&segments)?;
    Some(segments[at + 1..].iter().map(|segment| (*segment).to_owned()).collect())
}

fn is_webhook(url: &Url) -> bool {
    after_webhook(url).is_some()
}

/// Whether a request to `url` is a call of Bitrix24's REST API, which takes parameters in any form.
fn is_webhook_call(url: &Url) -> bool {
    const WITHOUT_DOT: [&str; 5] = ["batch", "events", "methods", "profile", "scope"];
    let is_method = |name: &str| name.contains('.') || WITHOUT_DOT.contains(&name);
    let called = match after_webhook(url) {
        Some(rest) => rest,
        None if is_portal(url) => match segments(url).as_slice() {
            ["rest", rest @ ..] => rest.iter().map(|segment| (*segment).to_owned()).collect(),
            _ => return false,
        },
        None => return false,
    };
    matches!(called.as_slice(), [method] if is_method(method))
}

/// Whether the host of `url` is one of Bitrix24's MCP servers.
fn is_official(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    ["mcp.bitrix24.", "mcp-dev.bitrix24."].iter().any(|start| host.starts_with(start))
}

/// Whether the host of `url` is a portal in Bitrix24's cloud, `NAME.bitrix24.ru` and the like.
fn is_portal(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let (before, after) = host.rsplit_once("bitrix24.").unwrap_or((host, ""));
    let is_whole = before.is_empty() || before.ends_with('.');
    let is_zone = matches!(after.len(), 2..=6) && after.split('.').all(|label| label.len() >= 2);
    is_whole && is_zone && !is_official(url)
}

/// Whether the host of `url` is an account of amoCRM or Kommo.
fn is_account(url: &Url) -> bool {
    const ZONES: [&str; 4] = ["amocrm.ru", "amocrm.com", "kommo.com", "amocrm.kz"];
    let host = url.host_str().unwrap_or_default();
    ZONES.iter().any(|zone| {
        host.strip_suffix(zone).is_some_and(|name| name.is_empty() || name.ends_with('.'))
    })
}

fn is_account_api(url: &Url) -> bool {
    is_account(url) && matches!(segments(url).as_slice(), ["api" | "ajax" | "oauth2", ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_their_addresses() {
        let call = "a webhook of Bitrix24, calling";
        let webhook = "a webhook of Bitrix24";
        let portal = "a portal of Bitrix24";
        let account = "an account of amoCRM";
        let cases = [
            ("https://p.bitrix24.ru/rest/1/abcdefgh12345678/", webhook),
            ("https://p.bitrix24.ru/rest/1/abcdefgh12345678", webhook),
            ("http://crm.firma.local/rest/12/abcdefgh12345678/", webhook),
            ("https://p.bitrix24.ru/rest/1/abcdefgh12345678/crm.deal.list.json", call),
            ("https://crm.firma.ru/rest/1/abcdefgh12345678/crm.deal.add", call),
            ("https://crm.firma.ru/rest/1/abcdefgh12345678/profile", call),
            ("https://p.bitrix24.ru/rest/api/1/abcdefgh12345678/tasks.task.get", call),
            ("https://p.bitrix24.ru/rest/crm.deal.list?auth=x", call),
            ("https://h/rest/1/abcdefgh12345678/mcp", webhook),
            ("https://p.bitrix24.ru/", portal),
            ("https://p.bitrix24.com.br/marketplace/", portal),
            ("https://p.bitrix24.eu/company/personal/user/1/", portal),
            ("https://mcp.bitrix24.tech/mcp", "Bitrix24's MCP server"),
            ("https://mcp-dev.bitrix24.com/", "Bitrix24's MCP server"),
            ("https://firma.amocrm.ru", account),
            ("https://firma.kommo.com/leads/list/", account),
            ("https://firma.amocrm.ru/api/v4/leads", "the API of amoCRM, calling"),
            ("https://h/rest/1/mcp", ""),
            ("https://h/rest/orders.list", ""),
            ("https://h/mcp", ""),
            ("https://notbitrix24.ru/", ""),
            ("https://bitrix24.example.com/mcp", ""),
            ("https://myamocrm.ru/mcp", ""),
            ("https://amocrm.ru.example/mcp", ""),
        ];
        for (url, expected) in cases {
            let parsed = Url::parse(url).unwrap();
            let place = PLACES.iter().find(|place| (place.is_at)(&parsed));
            let told = place.map_or_else(String::new, |place| {
                format!("{}{}", place.name, if place.acts { ", calling" } else { "" })
            });
            assert_eq!(told, expected, "{url}");
        }
    }
}
