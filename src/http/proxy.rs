//! Which proxy leads to a URL, decided in one place, and what a proxy says that refuses.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

use super::challenge::{distinct_schemes, parse};
use super::excerpt::excerpt;
use super::system_proxy;
use crate::redact;

/// The variables that name a proxy.
pub(crate) const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that name what is reached without one.
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Time to ask a proxy why it refuses.
const ASKING_PATIENCE: Duration = Duration::from_secs(3);

/// Bytes read of what it says.
const MAX_REFUSAL: u64 = 64 * 1024;

/// A proxy, and who has named it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) url: Url,
    /// An option, a variable, or the system.
    pub(crate) source: String,
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = redact::shown(&self.url);
        write!(formatter, "{} (from {})", shown.trim_end_matches('/'), self.source)
    }
}

impl fmt::Debug for Proxy {
    /// Without its login.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The proxy for `url`: the one that the person has `given`, else that of the environment, else the
/// system's. None leads to this machine.
pub(super) fn for_url(given: Option<&Url>, url: &Url) -> Option<Proxy> {
    let variable = |name: &str| std::env::var(name).ok();
    if let Some(given) = given {
        return Some(Proxy { url: given.clone(), source: "--proxy or MCPLINE_PROXY".to_owned() });
    }
    if is_loopback(url) || is_exempt(url, variable) {
        return None;
    }
    of_environment(url, variable).or_else(|| {
        let url = system_proxy::for_url(url)?;
        Some(Proxy { url, source: "the system's settings".to_owned() })
    })
}

fn of_environment(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
    let of_scheme: [&str; 2] = match url.scheme() {
        "https" => ["HTTPS_PROXY", "https_proxy"],
        // Names have no case there, and people write capitals.
        _ if cfg!(windows) => ["HTTP_PROXY", "http_proxy"],
        _ => ["http_proxy", "HTTP_PROXY"],
    };
    of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]).find_map(|name| {
        let text = variable(name)?;
        let url = address(&text);
        if url.is_none() && !text.trim().is_empty() {
            let shown = redact::without_secrets(&text);
            tracing::warn!("{name} is ignored: `{shown}` is not a proxy's address");
        }
        Some(Proxy { url: url?, source: name.to_owned() })
    })
}

/// Reads a proxy's address as people write it: in quotes, between spaces, without a scheme.
pub(crate) fn address(text: &str) -> Option<Url> {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    if text.is_empty() {
        return None;
    }
    // HOST:PORT parses as a URL with the scheme HOST.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok()?;
    let is_known =
        matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h");
    (is_known && url.has_host()).then_some(url)
}

/// Whether `NO_PROXY` names `url`.
fn is_exempt(url: &Url, variable: impl Fn(&str) -> Option<String>) -> bool {
    let list = NO_PROXY_VARIABLES.into_iter().find_map(variable).unwrap_or_default();
    let list = list.trim().trim_matches(['"', '\'']);
    list.split([',', ';', ' ', '\t', '|']).any(|entry| exempts(entry, url))
}

/// Whether an entry of `NO_PROXY` names `url`, in the forms that curl, Go, Python, undici and Windows
/// know: a domain with all below it (`corp.test`, `.corp.test`, `*.corp.test`), an address, a
/// network (`10.0.0.0/8`), a pattern (`10.*`, `mcp.*.test`), each with or without a port; a URL; `*` and
/// `<local>`.
fn exempts(entry: &str, url: &Url) -> bool {
    let entry = entry.trim().to_lowercase();
    let entry = entry.split_once("://").map_or(entry.as_str(), |(_, authority)| authority);
    let entry = entry.trim_end_matches('/');
    let Some(host) = url.host() else { return false };
    let name = match host {
        Host::Domain(name) => name.trim_end_matches('.').to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    match entry {
        "" => return false,
        "*" => return true,
        "<local>" => return matches!(host, Host::Domain(name) if !name.contains('.')),
        _ => {}
    }
    let (entry, port) = without_port(entry);
    if port.is_some_and(|port| Some(port) != url.port_or_known_default()) {
        return false;
    }
    let address: Option<IpAddr> = name.parse().ok();
    if let (Some(address), Some((network, bits))) = (address, entry.split_once('/')) {
        return is_in_network(address, network, bits).unwrap_or(false);
    }
    if let Some(address) = address {
        return entry.parse() == Ok(address) || entry.contains('*') && fits(&name, entry);
    }
    let domain = entry.trim_start_matches('*').trim_matches('.');
    if domain.contains('*') {
        return fits(&name, entry);
    }
    // A name in Cyrillic stands in the URL as it travels.
    let domain = Host::parse(domain).map_or_else(|_| domain.to_owned(), |host| host.to_string());
    !domain.is_empty()
        && name
            .strip_suffix(domain.as_str())
            .is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// Whether `name` is what `pattern` says, in which `*` stands for anything.
pub(super) fn fits(name: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return name == pattern };
    name.strip_prefix(start).is_some_and(|name| {
        (0..=name.len()).filter_map(|at| name.get(at..)).any(|name| fits(name, rest))
    })
}

/// An entry without its port and without the brackets of an IPv6 address.
fn without_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (address, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        // With another colon it is an IPv6 address.
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_in_network(address: IpAddr, network: &str, bits: &str) -> Option<bool> {
    let bits: u32 = bits.parse().ok()?;
    let masked = |value: u128, width: u32| value.checked_shr(width.checked_sub(bits)?).or(Some(0));
    Some(match (address, network.parse().ok()?) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            masked(u128::from(one.to_bits()), 32)? == masked(u128::from(other.to_bits()), 32)?
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            masked(one.to_bits(), 128)? == masked(other.to_bits(), 128)?
        }
        _ => false,
    })
}

/// Whether `url` leads to this machine, to which no proxy applies.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What an HTTP proxy says that refuses a tunnel.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The status line without the version.
    pub(super) status: String,
    /// What the body says to a person.
    pub(super) said: String,
    /// The schemes by which it wants a login.
    pub(super) schemes: Vec<String>,
}

/// Asks `proxy` for a tunnel to `url` once more, for the answer that the HTTP client does not show.
/// `None` when there is none, or when it takes long.
pub(super) async fn refusal(proxy: &Proxy, url: &Url) -> Option<Refusal> {
    let asking = async {
        let (host, port) = (proxy.url.host_str()?, proxy.url.port_or_known_default()?);
        if proxy.url.scheme() != "http" {
            return None;
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut stream = TcpStream::connect((host, port)).await.ok()?;
        let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        let login = login(&proxy.url)
            .map_or_else(String::new, |login| format!("Proxy-Authorization: Basic {login}\r\n"));
        let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        let read = stream.take(MAX_REFUSAL);
        read_answer(read, &mut answer).await;
        parsed(&answer)
    };
    tokio::time::timeout(ASKING_PATIENCE, asking).await.ok().flatten()
}

/// Reads until the body is whole, as far as its length is told, or the proxy closes.
async fn read_answer(mut from: impl AsyncReadExt + Unpin, answer: &mut Vec<u8>) {
    while let Ok(1..) = from.read_buf(answer).await {
        let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: Option<usize> = length.and_then(|length| length.trim().parse().ok());
        // A tunnel that is there after all has no body, and no end.
        let is_open = head.split_whitespace().nth(1) == Some("200");
        if is_open || length.is_some_and(|length| answer.len() >= end + 4 + length) {
            return;
        }
    }
}

fn parsed(answer: &[u8]) -> Option<Refusal> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.lines();
    let (version, status) = lines.next()?.split_once(' ')?;
    if !version.starts_with("HTTP/") || status.starts_with('2') {
        return None;
    }
    let fields = || head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let named = |wanted: &'static str| {
        fields()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let challenges = named("proxy-authenticate").flat_map(|value| parse(value.as_bytes()));
    Some(Refusal {
        status: super::shorten(status),
        said: excerpt(&answer[end + 4..], named("content-type").next()),
        schemes: distinct_schemes(challenges.collect()),
    })
}

/// The login in a proxy's URL, as it travels.
fn login(proxy: &Url) -> Option<String> {
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = decoded(proxy.password().unwrap_or_default());
    (!proxy.username().is_empty())
        .then(|| STANDARD.encode(format!("{}:{password}", decoded(proxy.username()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn what_is_reached_without_a_proxy_is_written_in_many_forms() {
        let cases = [
            ("*", "https://mcp.corp.test/mcp", true),
            ("corp.test", "https://mcp.corp.test/mcp", true),
            (".corp.test", "https://mcp.corp.test/mcp", true),
            ("*.corp.test", "https://mcp.corp.test/mcp", true),
            ("*.corp.test", "https://corp.test/mcp", true),
            ("corp.test", "https://notcorp.test/mcp", false),
            ("MCP.Corp.Test", "https://mcp.corp.test./mcp", true),
            ("mcp.corp.test:443", "https://mcp.corp.test/mcp", true),
            ("mcp.corp.test:80", "https://mcp.corp.test/mcp", false),
            ("x;mcp.corp.test", "http://mcp.corp.test/mcp", true),
            ("x mcp.corp.test", "http://mcp.corp.test/mcp", true),
            ("\"x, mcp.corp.test\"", "http://mcp.corp.test/mcp", true),
            ("10.*", "http://10.1.2.3/mcp", true),
            ("10.*", "http://100.1.2.3/mcp", false),
            ("10.0.0.0/8", "http://10.1.2.3/mcp", true),
            ("10.0.0.0/8", "http://11.1.2.3/mcp", false),
            ("0.0.0.0/0", "http://11.1.2.3/mcp", true),
            ("10.1.2.3", "http://10.1.2.3:8080/mcp", true),
            ("[fd00::1]", "http://[fd00::1]/mcp", true),
            ("[fd00::1]:80", "http://[fd00::1]/mcp", true),
            ("fd00::1", "http://[fd00::1]/mcp", true),
            ("fd00::/8", "http://[fd00::1]/mcp", true),
            ("<local>", "http://crm/mcp", true),
            ("http://mcp.corp.test", "http://mcp.corp.test/mcp", true),
            ("https://mcp.corp.test:443/", "https://mcp.corp.test/mcp", true),
            ("mcp.corp.test/", "http://mcp.corp.test/mcp", true),
            ("mcp.*.test", "http://mcp.corp.test/mcp", true),
            ("mcp.*.test", "http://crm.corp.test/mcp", false),
            ("*.corp.*", "http://mcp.corp.test/mcp", true),
            ("10.1.*.*", "http://10.1.2.3/mcp", true),
            ("10.1.*.*", "http://10.2.2.3/mcp", false),
            ("1с.компания.локал", "http://1с.компания.локал/mcp", true),
            (".ЛОКАЛ", "http://1с.компания.локал/mcp", true),
            ("*.локал", "http://1с.компания.локал/mcp", true),
            ("локал", "http://1с.компания.рф/mcp", false),
            ("<local>", "http://crm.corp.test/mcp", false),
            ("", "http://crm/mcp", false),
            ("1с.компания.локал", "http://1с.компания.локал/base", true),
            ("КОМПАНИЯ.локал", "http://1с.компания.локал/base", true),
            ("*.локал", "http://1с.компания.локал/base", true),
            (".локал:80", "http://1с.компания.локал/base", true),
            ("xn--80atbhv", "http://1с.компания.локал/base", false),
            ("другая.локал", "http://1с.компания.локал/base", false),
        ];
        for (list, to, exempt) in cases {
            let variable = |name: &str| (name == "NO_PROXY").then(|| list.to_owned());
            assert_eq!(is_exempt(&url(to), variable), exempt, "{list} {to}");
        }
    }

    #[test]
    fn a_proxy_is_read_as_people_write_it() {
        let cases = [
            ("http://proxy:3128", Some("http://proxy:3128/")),
            ("\"http://proxy:3128\"", Some("http://proxy:3128/")),
            ("  proxy:3128 ", Some("http://proxy:3128/")),
            ("'socks5://proxy:1080'", Some("socks5://proxy:1080")),
            ("ftp://proxy", None),
            ("http://", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = address(text);
            assert_eq!(read.as_ref().map(Url::as_str), expected, "{text}");
        }
    }

    #[test]
    fn the_scheme_decides_on_the_variable() {
        let variables = [
            ("HTTPS_PROXY", "http://secure:1"),
            ("HTTP_PROXY", "http://plain:2"),
            ("ALL_PROXY", "http://all:3"),
        ];
        let source = |to: &str, count: usize, skip: usize| {
            let known = variables.into_iter().skip(skip).take(count);
            let variable = |name: &str| {
                let mut known = known.clone();
                known.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
            };
            of_environment(&url(to), variable).map(|proxy| proxy.source)
        };
        assert_eq!(source("https://h/", 3, 0).as_deref(), Some("HTTPS_PROXY"));
        assert_eq!(source("http://h/", 3, 0).as_deref(), Some("HTTP_PROXY"));
        assert_eq!(source("https://h/", 2, 1).as_deref(), Some("ALL_PROXY"));
        assert_eq!(source("https://h/", 1, 1), None);
    }

    #[test]
    fn a_refused_tunnel_is_read() {
        let answer =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\
            Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Type: text/html\r\n\r\n<p>Log in</p>";
        let refusal = parsed(answer).unwrap();
        assert_eq!(refusal.status, "407 Proxy Authentication Required");
        assert_eq!(
            (refusal.said.as_str(), refusal.schemes.join(" ")),
            ("Log in", "Negotiate Basic".to_owned())
        );
        assert!(parsed(b"HTTP/1.1 200 OK\r\n\r\n").is_none());
        assert!(parsed(b"").is_none());
    }
}
