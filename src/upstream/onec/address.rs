//! Where an infobase's MCP service may be: the URL as given, and the usual places around it.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::http::Endpoint;

/// The path segment above every published HTTP service.
const SERVICES: &str = "hs";

/// What browsers and documents show below an infobase, besides its HTTP services.
const OTHER_PARTS: [&str; 4] = ["odata", "ws", "e1cib", "e1csys"];

/// What services have besides JSON-RPC at `rpc`, and people copy from a browser.
const ENDINGS: [&str; 3] = ["rpc", "health", "manifest"];

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
    let path = url.path();
    path.to_ascii_lowercase().contains("/hs/")
}

/// The places where a service may answer JSON-RPC, the likeliest first. `root` is the service's root
/// URL, for URLs that do not name it.
pub(super) fn places(url: &Url, root: &str) -> Vec<Address> {
    let given = Given::read(url);
    let named: Vec<&str> = match &given.service[..] {
        [] => root.split('/').filter(|part| !part.is_empty()).collect(),
        named => named.to_vec(),
    };
    let root = [&given.base[..], &[SERVICES], &named].concat();
    let below = |last: &'static str| [&root[..], &[last]].concat();
    let mut paths = vec![below("rpc"), root.clone(), below(""), below("mcp")];
    if named.len() > 1 && !given.ends_as_usual {
        // Whoever writes out so much means it.
        paths.swap(0, 1);
    }
    let mut places: Vec<Address> = Vec::new();
    let mut add = |url: Url, is_root: bool| {
        if places.iter().all(|known| known.rpc.url != url) {
            places.push(Address::at(&url, is_root, given.publication()));
        }
    };
    for path in paths {
        let is_root = path.len() <= given.base.len() + 2 || path.ends_with(&[""]);
        add(given.url_of(&path), is_root);
    }
    let mut as_given = url.clone();
    as_given.set_fragment(None);
    add(as_given, false);
    places
}

/// What a URL says of an infobase.
struct Given<'a> {
    url: &'a Url,
    /// The path of the infobase.
    base: Vec<&'a str>,
    /// The path below `hs`, without what every service has there.
    service: Vec<&'a str>,
    /// Whether the path ended with what every service has.
    ends_as_usual: bool,
    /// Whether the query is one of the web client, and none of the service.
    has_foreign_query: bool,
}

impl<'a> Given<'a> {
    fn read(url: &'a Url) -> Self {
        let segments: Vec<_> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        let is = |part: &&str, name: &str| part.eq_ignore_ascii_case(name);
        if let Some(at) = segments.iter().position(|part| is(part, SERVICES)) {
            let (service, ends_as_usual) = without_ending(&segments[at + 1..]);
            let base = without_language(&segments[..at]);
            let service = service.to_vec();
            return Self { url, base, service, ends_as_usual, has_foreign_query: false };
        }
        // A publication may itself be called `ws`.
        let other = segments.iter().enumerate().position(|(at, part)| {
            (at > 0 || segments.len() > 1) && OTHER_PARTS.iter().any(|name| is(part, name))
        });
        let above = other.map_or(&segments[..], |at| &segments[..at]);
        let base = without_language(above);
        let has_foreign_query = base.len() < segments.len();
        let (base, ends_as_usual) = match without_ending(&base) {
            (base, true) if other.is_none() => (base.to_vec(), true),
            _ => (base, false),
        };
        Self { url, base, service: Vec::new(), ends_as_usual, has_foreign_query }
    }

    fn url_of(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        url.set_fragment(None);
        if self.has_foreign_query {
            url.set_query(None);
        }
        url.set_path(&path.join("/"));
        url
    }

    fn publication(&self) -> String {
        self.base.last().map_or_else(
            || self.url.host_str().unwrap_or_default().to_owned(),
            |name| percent_decode_str(name).decode_utf8_lossy().into_owned(),
        )
    }
}

/// The segments without what every service has below its root. A service may itself be called so.
fn without_ending<'a, 'b>(segments: &'b [&'a str]) -> (&'b [&'a str], bool) {
    match segments {
        [root @ .., last]
            if !root.is_empty() && ENDINGS.iter().any(|name| last.eq_ignore_ascii_case(name)) =>
        {
            (root, true)
        }
        segments => (segments, false),
    }
}

/// The segments without the language that the web client adds: `ru_RU`, and `ru` below a name.
fn without_language<'a>(segments: &[&'a str]) -> Vec<&'a str> {
    match segments {
        [base @ .., last] if is_locale(last) || !base.is_empty() && ["ru", "en"].contains(last) => {
            base.to_vec()
        }
        segments => segments.to_vec(),
    }
}

/// Whether `segment` is a language and a country, as in `ru_RU`.
pub(super) fn is_locale(segment: &str) -> bool {
    match segment.as_bytes() {
        [a, b, b'_', c, d] => {
            [a, b].iter().all(|letter| letter.is_ascii_lowercase())
                && [c, d].iter().all(|letter| letter.is_ascii_uppercase())
        }
        _ => false,
    }
}

impl Address {
    /// The addresses around JSON-RPC at `rpc`, which may be the root of the service.
    fn at(rpc: &Url, is_root: bool, publication: String) -> Self {
        let beside = |name: &str| {
            let mut url = rpc.clone();
            let path = rpc.path().trim_end_matches('/');
            let above = if is_root { path } else { path.rsplit_once('/').map_or("", |(a, _)| a) };
            url.set_path(&format!("{above}/{name}"));
            Endpoint::new(url)
        };
        let (manifest, health) = (beside("manifest"), beside("health"));
        Self { rpc: Endpoint::new(rpc.clone()), manifest, health, publication }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(url: &str) -> Vec<String> {
        let places = places(&Url::parse(url).unwrap(), "mcp");
        places.iter().map(|place| place.rpc.url.as_str().replace("http://srv", "")).collect()
    }

    #[test]
    fn every_form_of_the_url_leads_to_the_service() {
        let cases = [
            ("http://srv/base", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/rpc", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp/rpc", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp/health", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/mcp/manifest/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/HS/mcp/RPC", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/hs/other", "http://srv/base/hs/other/rpc", "base"),
            ("http://srv/base/hs/rpc", "http://srv/base/hs/rpc/rpc", "base"),
            ("http://srv/base/ru_RU/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/en_US", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/ru/", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/ru/", "http://srv/ru/hs/mcp/rpc", "ru"),
            ("http://srv/bp", "http://srv/bp/hs/mcp/rpc", "bp"),
            ("http://srv/base/ru_RU/?N=a#e1cib/list/x", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/ru_RU/hs/mcp/rpc", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/odata/standard.odata", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/ws/name.1cws?wsdl", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/base/e1cib/start", "http://srv/base/hs/mcp/rpc", "base"),
            ("http://srv/ws", "http://srv/ws/hs/mcp/rpc", "ws"),
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
            let address = places(&Url::parse(url).unwrap(), "mcp").remove(0);
            assert_eq!(address.rpc.url.as_str(), rpc, "{url}");
            assert_eq!(address.publication, publication, "{url}");
        }
        let address = places(&Url::parse("http://srv/b").unwrap(), "мой сервис").remove(0);
        let health = address.health.url.path();
        assert!(health.ends_with("%D0%B9%20%D1%81%D0%B5%D1%80%D0%B2%D0%B8%D1%81/health"));
    }

    #[test]
    fn the_given_url_and_the_usual_places_are_tried() {
        assert_eq!(
            paths("http://srv/b"),
            ["/b/hs/mcp/rpc", "/b/hs/mcp", "/b/hs/mcp/", "/b/hs/mcp/mcp", "/b"]
        );
        assert_eq!(
            paths("http://srv/b/hs/mcp/"),
            ["/b/hs/mcp/rpc", "/b/hs/mcp", "/b/hs/mcp/", "/b/hs/mcp/mcp"]
        );
        assert_eq!(
            paths("http://srv/b/hs/ai/v1/jsonrpc")[..2],
            ["/b/hs/ai/v1/jsonrpc", "/b/hs/ai/v1/jsonrpc/rpc"]
        );
        assert_eq!(paths("http://srv/b/hs/mcp/mcp")[0], "/b/hs/mcp/mcp");
        let last = paths("http://srv/HS/mcp/health");
        assert_eq!(last.last().unwrap(), "/HS/mcp/health");
    }

    #[test]
    fn the_health_is_beside_json_rpc() {
        let health = |url: &str, at: usize| {
            places(&Url::parse(url).unwrap(), "mcp")[at].health.url.path().to_owned()
        };
        for at in 0..4 {
            assert_eq!(health("http://srv/b", at), "/b/hs/mcp/health", "{at}");
        }
        assert_eq!(health("http://srv/b/hs/ai/jsonrpc", 0), "/b/hs/ai/health");
    }

    #[test]
    fn a_service_is_known_by_its_path() {
        for (url, is) in [
            ("http://srv/b/hs/mcp", true),
            ("http://srv/b/HS/mcp", true),
            ("http://srv/hs", false),
            ("http://srv/hst/mcp", false),
        ] {
            assert_eq!(is_service(&Url::parse(url).unwrap()), is, "{url}");
        }
    }
}
