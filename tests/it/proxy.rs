//! Proxies as companies have them: found where people put them, named when they fail.

use crate::support::{Exchange, Line, Reply, Upstream, handshake};

/// A line to `url` with these variables, whose `initialize` fails: the error's text.
fn failing(url: &str, variables: &[(&str, &str)]) -> String {
    let mut setup = Line::to(url).args("--start-timeout 600 --no-retry");
    for (name, value) in variables {
        setup = setup.env(name, value);
    }
    let mut line = setup.spawn();
    let reply = line.handshake();
    let text = reply.error_text().to_owned();
    line.finish_with_nothing_left();
    text
}

#[test]
fn a_dead_proxy_is_named_with_its_source() {
    let dead = Upstream::absent(|exchange: &mut Exchange<'_>| exchange.close());
    let proxy = format!("http://{}", dead.authority());
    for (url, name) in [
        ("https://mcp.corp.test/mcp", "HTTPS_PROXY"),
        ("http://mcp.corp.test/mcp", "HTTP_PROXY"),
        ("http://mcp.corp.test/mcp", "ALL_PROXY"),
        ("http://mcp.corp.test/mcp", "MCPLINE_PROXY"),
    ] {
        let text = failing(url, &[(name, &proxy)]);
        assert!(text.contains(&proxy) && text.contains(name), "{text}");
        assert!(text.contains("mcp.corp.test") && text.contains("connection refused"), "{text}");
    }
}

#[test]
fn a_proxy_that_refuses_is_quoted() {
    let page = "<html><title>Blocked</title><p>Ask the help desk, extension 42</html>";
    for (reply, told) in [
        (Reply::status(403).body("text/html", page), "extension 42"),
        (
            Reply::status(407).header("Proxy-Authenticate", "Negotiate").body("text/plain", ""),
            "Negotiate",
        ),
        (Reply::status(502).body("text/plain", "no route"), "no route"),
    ] {
        let proxy = Upstream::serve(move |exchange| exchange.send(&reply));
        let address = format!("http://{}", proxy.authority());
        let text = failing("https://mcp.corp.test/mcp", &[("HTTPS_PROXY", &address)]);
        assert!(text.contains(told) && text.contains(&address), "{text}");
        assert!(text.contains("HTTPS_PROXY"), "{text}");
    }
}

#[test]
fn a_proxy_is_found_as_people_write_it() {
    let proxy = Upstream::serve(|exchange| match exchange.name().as_str() {
        "initialize" | "notifications/initialized" => handshake(exchange, None),
        _ => exchange.status(405),
    });
    let authority = proxy.authority();
    for written in [format!("\"http://{authority}\""), format!(" {authority} ")] {
        let line = Line::to("http://mcp.corp.test/mcp").env("HTTP_PROXY", &written).ready();
        line.finish_with_nothing_left();
    }
    assert_eq!(proxy.count("initialize"), 2);
}

#[test]
fn what_no_proxy_names_is_reached_without_one() {
    for list in ["*.corp.test", "x;mcp.corp.test", "mcp.corp.test:80"] {
        let proxy = Upstream::serve(|exchange| exchange.status(500));
        let address = format!("http://{}", proxy.authority());
        let variables = [("HTTP_PROXY", address.as_str()), ("NO_PROXY", list)];
        let text = failing("http://mcp.corp.test/mcp", &variables);
        assert!(text.contains("`mcp.corp.test` is not known"), "{list}: {text}");
        assert!(proxy.requests().is_empty(), "{list}");
    }
}
