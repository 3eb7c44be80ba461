//! Opens the person's browser, where there is one to be seen.

use url::Url;

/// Browsers that draw into a terminal: they would write to our stdout, which is the protocol.
const TEXT_BROWSERS: [&str; 5] = ["lynx", "links", "elinks", "w3m", "www-browser"];

/// Opens `url` in a browser, in a thread of its own. What comes of it cannot be known.
pub(super) fn open(url: &str) {
    let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_web || !is_seen() {
        return;
    }
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut options = webbrowser::BrowserOptions::new();
        options.with_suppress_output(true);
        if let Err(why) =
            webbrowser::open_browser_with_options(webbrowser::Browser::Default, &url, &options)
        {
            tracing::info!("no browser was opened: {why}");
        }
    });
}

/// Whether somebody is there to see a browser.
fn is_seen() -> bool {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(browsers) = variable("BROWSER") {
        return !names_text_browser(&browsers);
    }
    if variable("SSH_CONNECTION").is_some() {
        return false;
    }
    if cfg!(any(windows, target_os = "macos")) {
        return true;
    }
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].iter().any(|name| variable(name).is_some())
}

/// Whether a text browser is among `browsers`: commands with arguments, between which are colons.
fn names_text_browser(browsers: &str) -> bool {
    let mut words = browsers.split(|letter: char| letter == ':' || letter.is_whitespace());
    words.any(|word| word.rsplit('/').next().is_some_and(|name| TEXT_BROWSERS.contains(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_browser_is_not_opened() {
        for (browsers, is_text) in [
            ("firefox", false),
            ("/usr/bin/w3m", true),
            ("w3m %s", true),
            ("firefox:lynx", true),
            ("/opt/links2/chrome --new-window %s", false),
        ] {
            assert_eq!(names_text_browser(browsers), is_text, "{browsers}");
        }
    }
}
