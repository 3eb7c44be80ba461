//! Which addresses an upstream may send us to.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::problem::Problem;
use crate::hint::Hint;
use crate::redact;

/// Endings of host names that belong to one network, and so do their servers.
const LOCAL_NAMES: [&str; 7] =
    [".local", ".localhost", ".lan", ".internal", ".corp", ".intranet", ".home.arpa"];

/// Which addresses are within reach of one upstream. A public server must not make us ask services
/// of the network that we are in.
pub(super) struct Reach {
    is_local: bool,
    /// Whether the upstream itself has an address that belongs to one link.
    is_on_link: bool,
    /// The upstream's host, if it is reached without encryption.
    clear_host: Option<String>,
    /// The authorization server that the user has named.
    given: Option<Url>,
}

impl Reach {
    /// The reach of `upstream`, and of the issuer that the user has `given`.
    pub(super) fn of(upstream: &Url, given: Option<&str>) -> Self {
        let is_clear = upstream.scheme() == "http";
        let clear_host = upstream.host_str().filter(|_| is_clear).map(str::to_owned);
        Self {
            is_local: is_local(upstream),
            is_on_link: is_on_link(upstream),
            clear_host,
            given: given.and_then(|given| Url::parse(given).ok()),
        }
    }

    /// `text` as an address within reach; `what` names it in an error.
    ///
    /// # Errors
    /// It is no https address, or leads into a network of which the upstream is no part.
    pub(super) fn url(&self, text: &str, what: &str) -> Result<Url, Problem> {
        let refuse = |why: &str| {
            let shown = redact::without_secrets(text);
            Problem::new(
                format!("{what} is `{shown}`, which {why}"),
                Hint::both(
                    "This is a fault of the server: tell its administrator.",
                    "Это ошибка сервера: сообщите его администратору.",
                ),
            )
        };
        let url = Url::parse(text).map_err(|_| refuse("is not a URL"))?;
        let is_clear = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(refuse("is not an https:// address")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("holds a user name"));
        }
        let given = self.given.as_ref().filter(|given| given.host_str() == url.host_str());
        let is_open = given.is_some() || self.is_local && (!is_on_link(&url) || self.is_on_link);
        if is_local_literal(&url) && !is_open {
            return Err(refuse("leads into a private network"));
        }
        let may_be_clear = self.clear_host.as_deref() == url.host_str()
            || given.is_some_and(|given| given.scheme() == "http")
            || is_loopback(&url) && self.is_local;
        if is_clear && !may_be_clear {
            return Err(refuse("is not encrypted (https://)"));
        }
        Ok(url)
    }
}

fn is_loopback(url: &Url) -> bool {
    crate::http::is_loopback(url) || is_name(url, "localhost")
}

fn is_name(url: &Url, name: &str) -> bool {
    matches!(url.host(), Some(Host::Domain(host)) if host.trim_end_matches('.') == name)
}

/// Whether the host is one of a private network, as far as its name or address tells.
fn is_local(url: &Url) -> bool {
    let is_local_name = |name: &str| {
        let name = name.trim_end_matches('.');
        !name.contains('.') || LOCAL_NAMES.iter().any(|ending| name.ends_with(ending))
    };
    is_local_literal(url) || matches!(url.host(), Some(Host::Domain(name)) if is_local_name(name))
}

/// Whether the host is written as an address that is none of the public network, or is `localhost`.
fn is_local_literal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_special(address),
        Some(Host::Ipv6(address)) => is_special_v6(address),
        Some(Host::Domain(name)) => {
            is_loopback(url) || name.trim_end_matches('.').ends_with(".localhost")
        }
        None => false,
    }
}

/// Whether the host is written as an address of one link, where clouds have the service that knows
/// their machines' secrets.
fn is_on_link(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_unicast_link_local()
                || embedded(address).is_some_and(|address| address.is_link_local())
        }
        _ => false,
    }
}

/// IPv4 ranges that are not public (IANA, Special-Purpose Address Registry), with the length of each
/// prefix.
const SPECIAL: [([u8; 4], u32); 12] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    // Multicast, reserved, broadcast.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([192, 88, 99, 0], 24),
];

fn is_special(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let is_in = |(net, length): &([u8; 4], u32)| {
        (bits ^ u32::from_be_bytes(*net)).leading_zeros() >= *length
    };
    SPECIAL.iter().any(is_in)
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || embedded(address).is_some_and(is_special)
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, by NAT64
/// (`64:ff9b::/96`), or by 6to4 (`2002::/16`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_sends_us_only_where_it_may() {
        let rows = [
            ("https://h/mcp", "https://auth.example.com/token", true),
            ("https://mcp.example.com/mcp", "https://auth.example.com/token", true),
            ("https://mcp.example.com/mcp", "http://auth.example.com/token", false),
            ("https://mcp.example.com/mcp", "http://mcp.example.com/token", false),
            ("https://mcp.example.com/mcp", "https://10.0.0.1/token", false),
            ("https://mcp.example.com/mcp", "https://169.254.169.254/latest", false),
            ("https://mcp.example.com/mcp", "https://[::1]/token", false),
            ("https://mcp.example.com/mcp", "https://[::ffff:127.0.0.1]/token", false),
            ("https://mcp.example.com/mcp", "http://localhost:1234/token", false),
            ("https://mcp.example.com/mcp", "javascript:alert(1)", false),
            ("https://mcp.example.com/mcp", "file:///etc/passwd", false),
            ("https://mcp.example.com/mcp", "https://user@auth.example.com/token", false),
            ("http://127.0.0.1:1/mcp", "http://127.0.0.1:2/token", true),
            ("http://localhost:1/mcp", "http://localhost:2/token", true),
            ("http://10.0.0.1/mcp", "https://10.0.0.2/token", true),
            ("http://10.0.0.1/mcp", "http://10.0.0.1:8080/token", true),
            ("http://10.0.0.1/mcp", "http://10.0.0.2/token", false),
            ("http://crm.corp/mcp", "https://10.0.0.2/token", true),
            ("http://crm.corp/mcp", "https://169.254.169.254/latest", false),
            ("http://crm.corp/mcp", "https://[::ffff:169.254.169.254]/latest", false),
            ("https://169.254.1.2/mcp", "https://169.254.1.3/token", true),
            ("https://mcp.example.com/mcp", "https://0.1.2.3/token", false),
            ("https://mcp.example.com/mcp", "https://192.0.0.8/token", false),
            ("https://mcp.example.com/mcp", "https://198.19.0.1/token", false),
            ("https://mcp.example.com/mcp", "https://250.0.0.1/token", false),
            ("https://mcp.example.com/mcp", "https://[::10.0.0.1]/token", false),
            ("https://mcp.example.com/mcp", "https://[64:ff9b::10.0.0.1]/token", false),
            ("https://mcp.example.com/mcp", "https://[2002:a00:1::]/token", false),
            ("https://mcp.example.com/mcp", "https://localhost./token", false),
            ("https://mcp.example.com/mcp", "https://it.localhost/token", false),
            ("https://mcp.example.com/mcp", "https://[2606:4700::1]/token", true),
            ("https://mcp.example.com/mcp", "https://172.32.0.1/token", true),
        ];
        for (upstream, target, allowed) in rows {
            let reach = Reach::of(&Url::parse(upstream).unwrap(), None);
            assert_eq!(reach.url(target, "it").is_ok(), allowed, "{upstream} {target}");
        }
    }

    #[test]
    fn the_users_word_opens_the_way_to_one_host() {
        let upstream = Url::parse("https://mcp.example.com/mcp").unwrap();
        let rows = [
            ("https://10.0.0.2", "https://10.0.0.2/token", true),
            ("https://10.0.0.2", "https://10.0.0.3/token", false),
            ("https://10.0.0.2", "http://10.0.0.2/token", false),
            ("http://10.0.0.2:8080", "http://10.0.0.2:8080/token", true),
        ];
        for (given, target, allowed) in rows {
            let reach = Reach::of(&upstream, Some(given));
            assert_eq!(reach.url(target, "it").is_ok(), allowed, "{given} {target}");
        }
    }
}
