//! Which addresses an upstream may send us to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::problem::Problem;
use crate::redact;

/// Endings of host names that belong to one network, and so do their servers.
const LOCAL_NAMES: [&str; 7] =
    [".local", ".localhost", ".lan", ".internal", ".corp", ".intranet", ".home.arpa"];

/// Which addresses are within reach of one upstream. A public server must not make us ask services
/// of the network that we are in.
pub(super) struct Reach {
    is_local: bool,
    /// The upstream's host, if it is reached without encryption.
    clear_host: Option<String>,
}

impl Reach {
    /// The reach of `upstream`.
    pub(super) fn of(upstream: &Url) -> Self {
        let is_clear = upstream.scheme() == "http";
        let clear_host = upstream.host_str().filter(|_| is_clear).map(str::to_owned);
        Self { is_local: is_local(upstream), clear_host }
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
                "This is a fault of the server: tell its administrator.",
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
        let is_own_host = self.clear_host.as_deref() == url.host_str();
        if is_local_literal(&url) && !self.is_local {
            return Err(refuse("leads into a private network"));
        }
        if is_clear && !is_own_host && !(is_loopback(&url) && self.is_local) {
            return Err(refuse("is not encrypted (https://)"));
        }
        Ok(url)
    }
}

fn is_loopback(url: &Url) -> bool {
    crate::http::is_loopback(url)
}

/// Whether the host is one of a private network, as far as its name or address tells.
fn is_local(url: &Url) -> bool {
    let is_local_name =
        |name: &str| !name.contains('.') || LOCAL_NAMES.iter().any(|ending| name.ends_with(ending));
    is_local_literal(url) || matches!(url.host(), Some(Host::Domain(name)) if is_local_name(name))
}

/// Whether the host is written as an address of a private network, or is `localhost`.
fn is_local_literal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private(IpAddr::V6(address)),
        Some(Host::Domain(_)) => is_loopback(url),
        None => false,
    }
}

fn is_private(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| {
        address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_unspecified()
            // Shared address space of providers (RFC 6598).
            || (address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64)
    };
    let v6 = |address: Ipv6Addr| {
        address.is_loopback()
            || address.is_unspecified()
            || address.is_unique_local()
            || address.is_unicast_link_local()
            || address.to_ipv4_mapped().is_some_and(v4)
    };
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
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
        ];
        for (upstream, target, allowed) in rows {
            let reach = Reach::of(&Url::parse(upstream).unwrap());
            assert_eq!(reach.url(target, "it").is_ok(), allowed, "{upstream} {target}");
        }
    }
}
