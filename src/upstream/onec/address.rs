//! The URLs of an infobase's MCP service.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::http::Endpoint;

/// The path segment above every published HTTP service.
const SERVICES: &str = "hs";

/// The addresses of one service.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// POST: JSON-RPC.
    pub(super) rpc: Endpoint,
    /// GET: the manifest of early versions.
    pub(super) manifest: Endpoint,
    /// GET: whether the service runs.
    pub(super) health: Endpoint,
    /// The name under which the infobase is published.
    pub(super) publication: String,
}

/// Whether `url` leads to a published HTTP service of 1C.
pub(crate) fn is_service(url: &Url) -> bool {
    url.path().contains("/hs/")
}

impl Address {
    /// From the URL of an infobase or of the service, in any form. `root` is the service's root
    /// URL, for URLs that do not name it.
    pub(super) fn new(url: &Url, root: &str) -> Self {
        let segments: Vec<_> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        let services = segments.iter().position(|part| *part == SERVICES);
        let (base, service) = match services {
            Some(at) => (&segments[..at], &segments[at + 1..]),
            None => (&segments[..], &[][..]),
        };
        // A service may itself be called `rpc`.
        let service = match service {
            [root @ .., "rpc"] if !root.is_empty() => root,
            service => service,
        };
        let service = match service {
            [] => root.split('/').filter(|part| !part.is_empty()).collect(),
            service => service.to_vec(),
        };
        let at = |last| {
            let mut url = url.clone();
            url.set_fragment(None);
            url.set_path(&[base, &[SERVICES], &service[..], &[last]].concat().join("/"));
            Endpoint::new(url)
        };
        let publication = base.last().map_or_else(
            || url.host_str().unwrap_or_default().to_owned(),
            |name| percent_decode_str(name).decode_utf8_lossy().into_owned(),
        );
        Self { rpc: at("rpc"), manifest: at("manifest"), health: at("health"), publication }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_url_leads_to_the_service() {
        let cases = [
            ("http://srv/base", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp/rpc", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/other", "http://srv/base/hs/other/rpc", "base"),
            (
                "https://srv:8443/a/app/7/hs/mcp/rpc?x=1#y",
                "https://srv:8443/a/app/7/hs/mcp/rpc?x=1",
                "7",
            ),
            (
                "http://srv/База/hs/сервис",
                "http://srv/%D0%91%D0%B0%D0%B7%D0%B0/hs/%D1%81%D0%B5%D1%80%D0%B2%D0%B8%D1%81/rpc",
                "База",
            ),
            ("http://srv", "http://srv/hs/mcp/rpc", "srv"),
        ];
        for (url, rpc, publication) in cases {
            let address = Address::new(&Url::parse(url).unwrap(), "mcp");
            assert_eq!(address.rpc.url.as_str(), rpc, "{url}");
            assert_eq!(address.publication, publication, "{url}");
        }
        let address = Address::new(&Url::parse("http://srv/b").unwrap(), "мой сервис");
        assert!(
            address
                .health
                .url
                .path()
                .ends_with("%D0%B9%20%D1%81%D0%B5%D1%80%D0%B2%D0%B8%D1%81/health")
        );
    }
}
