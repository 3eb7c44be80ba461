//! The proxy of the system's settings, where Windows and macOS keep it.

#[cfg(not(windows))]
pub(super) use other::for_url;
#[cfg(windows)]
pub(super) use windows::for_url;

#[cfg(not(windows))]
mod other {
    use hyper_util::client::proxy::matcher::Matcher;
    use url::Url;

    /// The proxy for `url`.
    pub(in super::super) fn for_url(url: &Url) -> Option<Url> {
        let uri = url.as_str().parse().ok()?;
        let found = Matcher::from_system().intercept(&uri)?;
        Url::parse(&found.uri().to_string()).ok()
    }
}

/// The settings of Windows ("Internet options"), which browsers and most programs follow. Reading
/// what they mean needs no Windows.
#[cfg(any(windows, test))]
mod windows {
    use std::sync::Once;

    use url::{Host, Url};

    use super::super::proxy::{address, fits};
    use crate::redact;

    /// The values in the registry.
    #[derive(Debug, Default)]
    struct Settings {
        /// `HOST:PORT` for all protocols, or `http=HOST:PORT;https=HOST:PORT`. Empty if switched
        /// off.
        server: String,
        /// Patterns for what is reached without it: `*.corp.example;10.*;<local>`.
        bypass: String,
        /// The address of a script that names the proxy (PAC).
        script: Option<String>,
    }

    /// The proxy for `url`. Warns once of a script, which would have to be run.
    #[cfg(windows)]
    pub(in super::super) fn for_url(url: &Url) -> Option<Url> {
        Settings::read()?.for_url(url)
    }

    impl Settings {
        #[cfg(windows)]
        fn read() -> Option<Self> {
            use windows_registry::{CURRENT_USER, LOCAL_MACHINE};
            const POLICY: &str =
                r"Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings";
            const SETTINGS: &str = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings";
            // Administrators can make one setting count for everybody on the computer.
            let per_user = LOCAL_MACHINE
                .open(POLICY)
                .and_then(|policy| policy.get_u32("ProxySettingsPerUser"))
                .unwrap_or(1);
            let root = if per_user == 0 { LOCAL_MACHINE } else { CURRENT_USER };
            let settings = root.open(SETTINGS).ok()?;
            let text = |name: &str| settings.get_string(name).unwrap_or_default();
            let is_on = settings.get_u32("ProxyEnable").is_ok_and(|on| on != 0);
            let server = if is_on { text("ProxyServer") } else { String::new() };
            let script = Some(text("AutoConfigURL")).filter(|script| !script.is_empty());
            Some(Self { server, bypass: text("ProxyOverride"), script })
        }

        fn for_url(&self, url: &Url) -> Option<Url> {
            if self.bypass.split([';', ' ', ',']).any(|pattern| is_bypassed(pattern, url)) {
                return None;
            }
            let proxy = self.server(url);
            if let Some(script) = &self.script {
                warn_of_script(script, proxy.as_ref());
            }
            proxy
        }

        fn server(&self, url: &Url) -> Option<Url> {
            let entries = || {
                self.server.split([';', ' ']).map(|entry| match entry.split_once('=') {
                    Some((protocol, server)) => (protocol.trim(), server.trim()),
                    None => ("", entry.trim()),
                })
            };
            let of = |wanted: &str| {
                let mut entries = entries();
                entries.find_map(|(protocol, server)| {
                    (protocol.eq_ignore_ascii_case(wanted) && !server.is_empty()).then_some(server)
                })
            };
            // Windows speaks version 4 to what it calls `socks`.
            let socks = || address(&format!("socks4://{}", of("socks")?));
            of(url.scheme()).or_else(|| of("")).and_then(address).or_else(socks)
        }
    }

    /// Whether a pattern in the list of exceptions names `url`: a host with `*` anywhere, with or
    /// without a scheme and a port; `<local>` stands for names without a dot.
    fn is_bypassed(pattern: &str, url: &Url) -> bool {
        let pattern = pattern.trim().to_ascii_lowercase();
        if pattern == "<local>" {
            return matches!(url.host(), Some(Host::Domain(name)) if !name.contains('.'));
        }
        let (scheme, pattern) =
            pattern.split_once("://").map_or((None, &*pattern), |(s, p)| (Some(s), p));
        let Some(host) = url.host_str().filter(|_| !pattern.is_empty()) else { return false };
        let port = url.port_or_known_default().unwrap_or_default();
        scheme.is_none_or(|scheme| scheme == url.scheme())
            && (fits(host, pattern) || fits(&format!("{host}:{port}"), pattern))
    }

    fn warn_of_script(script: &str, proxy: Option<&Url>) {
        static SAID: Once = Once::new();
        let how = match proxy {
            Some(proxy) => format!("through {}, which is set beside it", redact::shown(proxy)),
            None => "without a proxy".to_owned(),
        };
        let script = redact::without_secrets(script);
        SAID.call_once(|| {
            tracing::warn!(
                "Windows is set to find its proxy by the script {script}, which mcpline does not \
                 run: connecting {how}. If that fails, give the proxy with `--proxy` or \
                 MCPLINE_PROXY"
            );
        });
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The proxy for `to` with these values in the registry.
        fn found(server: &str, bypass: &str, to: &str) -> Option<String> {
            let settings =
                Settings { server: server.to_owned(), bypass: bypass.to_owned(), script: None };
            settings.for_url(&Url::parse(to).unwrap()).map(String::from)
        }

        #[test]
        fn the_servers_of_windows_are_read() {
            let each = "http=plain:1;https=secure:2;ftp=files:3";
            let cases = [
                ("proxy:3128", "http://h.test/", Some("http://proxy:3128/")),
                ("proxy:3128", "https://h.test/", Some("http://proxy:3128/")),
                ("http://proxy:3128", "https://h.test/", Some("http://proxy:3128/")),
                (each, "http://h.test/", Some("http://plain:1/")),
                (each, "https://h.test/", Some("http://secure:2/")),
                ("HTTPS=secure:2 http=plain:1", "https://h.test/", Some("http://secure:2/")),
                ("http=plain:1", "https://h.test/", None),
                ("http=plain:1;socks=s:4", "http://h.test/", Some("http://plain:1/")),
                ("http=plain:1;socks=s:4", "https://h.test/", Some("socks4://s:4")),
                ("", "https://h.test/", None),
            ];
            for (server, to, expected) in cases {
                assert_eq!(found(server, "", to).as_deref(), expected, "{server} {to}");
            }
        }

        #[test]
        fn the_exceptions_of_windows_are_kept() {
            let cases = [
                ("<local>", "http://srv1c/base", true),
                ("<local>", "http://srv1c.corp.test/base", false),
                ("<local>", "http://10.1.2.3/base", false),
                ("*.corp.test", "https://mcp.corp.test/", true),
                ("*.corp.test", "https://corp.test/", false),
                ("corp.test", "https://mcp.corp.test/", false),
                ("*Corp*", "https://mcp.corp.test/", true),
                ("10.*;192.168.*", "http://192.168.7.1/", true),
                ("10.*;192.168.*", "http://100.1.1.1/", false),
                ("https://*.corp.test", "https://mcp.corp.test/", true),
                ("https://*.corp.test", "http://mcp.corp.test/", false),
                ("mcp.corp.test:8443", "https://mcp.corp.test:8443/", true),
                ("mcp.corp.test:8443", "https://mcp.corp.test/", false),
                ("<-loopback>; ;x.test", "https://mcp.corp.test/", false),
            ];
            for (bypass, to, is_direct) in cases {
                assert_eq!(found("proxy:1", bypass, to).is_none(), is_direct, "{bypass} {to}");
            }
        }
    }
}
