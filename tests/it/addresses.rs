//! What an address turns out to be: moved, of another protocol, of another transport.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::{
    AnswerIn, INITIALIZE, Line, Message, Reply, TlsServer, Upstream, call, handshake, notification,
    request, serve_tls,
};

/// What becomes of `initialize`, which is not answered without the upstream.
fn initialized(url: &str) -> Message {
    let mut line = Line::to(url).args("--start-timeout 600 --retry-for 5").spawn();
    line.send(INITIALIZE);
    let reply = line.recv_id(r#""init""#);
    drop(line.finish());
    reply
}

#[test]
fn a_redirect_within_the_origin_costs_one_request_in_all() {
    for status in [307, 308] {
        let upstream = Upstream::serve(move |exchange| match exchange.request.path.as_str() {
            "/mcp" => exchange.send(&Reply::status(status).header("Location", "/other/")),
            _ => match exchange.name().as_str() {
                "initialize" => handshake(exchange, None),
                "notifications/initialized" => exchange.accepted(),
                "GET" => exchange.status(405),
                _ => exchange.result("{}"),
            },
        });
        let mut line = Line::ready(&upstream.url());
        for id in 1..=5 {
            line.send(call(id, "any", "{}"));
            line.recv_id(&id.to_string()).result();
        }
        line.finish_with_nothing_left();
        let detours = upstream.requests().iter().filter(|request| request.path == "/mcp").count();
        assert_eq!(detours, 1, "{status}: {:?}", upstream.names());
    }
}

#[test]
fn a_target_that_is_gone_is_asked_for_again_where_it_was_told() {
    // The last are those of a proxy before a node that is down.
    for gone in [404, 410, 503, 529] {
        let target = std::sync::atomic::AtomicUsize::new(1);
        let upstream = Upstream::serve(move |exchange| {
            let now = format!("/node{}", target.load(std::sync::atomic::Ordering::SeqCst));
            let path = exchange.request.path.clone();
            match exchange.name().as_str() {
                "GET" => exchange.status(405),
                _ if path == "/mcp" => exchange.send(&Reply::status(307).header("Location", now)),
                _ if path != now => exchange.status(gone),
                "initialize" => handshake(exchange, None),
                "notifications/initialized" => exchange.accepted(),
                "notifications/message" => {
                    target.store(2, std::sync::atomic::Ordering::SeqCst);
                    exchange.accepted()
                }
                _ => exchange.result("{}"),
            }
        });
        let mut line = Line::to(&upstream.url()).args("--retry-for 20").ready();
        line.send(call(1, "any", "{}"));
        line.recv_id("1").result();
        line.send(notification("notifications/message", "{}"));
        upstream.nth("notifications/message", 1);
        line.send(call(2, "any", "{}"));
        line.recv_id("2").result();
        line.finish_with_nothing_left();
    }
}

/// A server of web pages puts the slash behind what a browser asks for. That says nothing of a POST.
#[test]
fn where_a_get_is_sent_says_nothing_of_a_post() {
    let upstream = Upstream::serve(|exchange| {
        match (exchange.request.method.as_str(), exchange.request.path.as_str()) {
            ("GET", "/mcp") => exchange.send(&Reply::status(301).header("Location", "/mcp/")),
            (_, "/mcp/") => exchange.send(&Reply::status(200).body("text/html", "<p>A page</p>")),
            _ => match exchange.name().as_str() {
                "initialize" => handshake(exchange, None),
                "notifications/initialized" => exchange.accepted(),
                _ => exchange.result("{}"),
            },
        }
    });
    let mut line = Line::ready(&upstream.url());
    // The second is that behind the slash.
    upstream.nth("GET", 2);
    for id in 1..=3 {
        line.send(call(id, "any", "{}"));
        line.recv_id(&id.to_string()).result();
    }
    line.finish_with_nothing_left();
}

#[test]
fn a_redirect_that_is_not_followed_tells_the_address_to_configure() {
    for (status, path, location, told) in [
        (301, "/mcp", "/mcp/", "put {origin}/mcp/ into the configuration"),
        (302, "/mcp", "{origin}/mcp/", "put {origin}/mcp/ into the configuration"),
        (301, "/mcp/", "/mcp", "put {origin}/mcp into the configuration"),
        (301, "/mcp", "https://{authority}/mcp", "Use `https://`"),
        (308, "/mcp", "https://{authority}/mcp", "Use `https://`"),
        (302, "/mcp", "/login?next=/mcp", "login page"),
        (302, "/mcp", "https://elsewhere.test/mcp", "elsewhere.test"),
    ] {
        let upstream = Upstream::serve(move |exchange| {
            let authority = exchange.request.header("host").unwrap().to_owned();
            let location = location
                .replace("{origin}", &format!("http://{authority}"))
                .replace("{authority}", &authority);
            exchange.send(&Reply::status(status).header("Location", location))
        });
        let reply = initialized(&upstream.url_of(path));
        let told = told.replace("{origin}", &format!("http://{}", upstream.authority()));
        assert_eq!(reply.failure(-33003)["httpStatus"], status, "{reply}");
        assert!(reply.error_text().contains(&told), "{location}: {reply}");
    }
}

/// Behind a proxy that speaks TLS, a server may name itself with `http://`.
#[test]
fn a_redirect_from_https_to_http_tells_the_slash() {
    for status in [301, 302, 307, 308] {
        let url = serve_tls(move |request| {
            let authority = request.header("host").unwrap();
            Some(Reply::status(status).header("Location", format!("http://{authority}/mcp/")))
        });
        let mut line = Line::to(&format!("{url}/mcp"))
            .args("--insecure --start-timeout 600 --retry-for 5")
            .spawn();
        line.send(INITIALIZE);
        let reply = line.recv_id(r#""init""#);
        drop(line.finish());
        let told = format!("ends with a slash: put {url}/mcp/ into");
        assert!(reply.error_text().contains(&told), "{reply}");
    }
}

#[test]
fn the_stream_of_the_older_transport_is_found_behind_its_slash() {
    for status in [301, 302, 307, 308] {
        let upstream = Upstream::serve(move |exchange| {
            let name = exchange.name();
            match (name.as_str(), exchange.request.path.as_str()) {
                ("GET", "/sse") => {
                    exchange.send(&Reply::status(status).header("Location", "/sse/"))
                }
                ("GET", "/sse/") => {
                    let mut events = exchange.events()?;
                    // Relative to where the stream is.
                    events.raw("event: endpoint\ndata: messages\n\n")?;
                    events.until_closed()
                }
                ("initialize", "/sse/messages") => handshake(exchange, None),
                (_, "/sse/messages") => exchange.accepted(),
                _ => exchange.status(405),
            }
        });
        let line = Line::to(&upstream.url_of("/sse")).ready();
        line.finish_with_nothing_left();
    }
}

#[test]
fn plain_http_to_a_port_of_https_is_told() {
    let serves = TlsServer::with("cert.pem").serve(|_| Some(Reply::status(405)));
    for url in [serves.replace("https", "http"), alerting(), resetting()] {
        let reply = initialized(&format!("{url}/mcp"));
        let data = reply.failure(-33001);
        assert!(data["mayHaveRun"].is_null(), "{reply}");
        assert!(reply.error_text().contains("Use `https://`"), "{reply}");
    }
}

/// A server of TLS that answers what is no TLS with an alert.
fn alerting() -> String {
    speaking_tls(|socket| drop(socket.write_all(b"\x15\x03\x01\x00\x02\x02\x46")))
}

/// A server of TLS that answers what is no TLS with a reset.
fn resetting() -> String {
    speaking_tls(|socket| {
        drop(socket2::SockRef::from(&*socket).set_linger(Some(std::time::Duration::ZERO)));
    })
}

fn speaking_tls(refuse: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut first = [0; 4096];
            let _ = socket.read(&mut first);
            match first[0] {
                0x16 => drop(socket.write_all(b"\x15\x03\x03\x00\x02\x02\x28")),
                _ => refuse(&mut socket),
            }
        }
    });
    format!("http://{address}")
}

#[test]
fn https_to_a_port_of_plain_http_is_told() {
    // It closes without a word, as some do.
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closing.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in closing.incoming().flatten() {
            let mut first = [0; 4096];
            let _ = socket.read(&mut first);
            if first[0] == b'O' {
                drop(socket.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"));
            }
        }
    });
    let reply = initialized(&format!("https://{address}/mcp"));
    reply.failure(-33001);
    assert!(reply.error_text().contains("Use `http://`"), "{reply}");
}

/// A firewall or a server that starts cuts the handshake; web servers answer plain HTTP there with a
/// 400 all the same. Nobody is told to send passwords in the clear.
#[test]
fn a_port_of_https_that_cuts_the_handshake_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut first = [0; 4096];
            let _ = socket.read(&mut first);
            if first[0] != 0x16 {
                drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
            }
        }
    });
    let url = format!("https://{address}/mcp");
    let mut line = Line::to(&url).args("--start-timeout 1").spawn();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    let data = reply.failure(-33001);
    assert!(data["attempts"].as_u64() > Some(1), "{reply}");
    assert!(!reply.error_text().contains("`http://`"), "{reply}");
}

#[test]
fn a_stream_of_the_older_transport_is_found_whatever_refuses_the_post() {
    for status in [403, 406, 409, 410, 415, 419, 422, 444, 451, 500, 501] {
        let upstream =
            Upstream::http_sse_with("/messages?session={session}", AnswerIn::Stream, status);
        let mut line = Line::to(&upstream.url()).ready();
        line.send(call(1, "any", "{}"));
        line.recv_id("1");
        assert_eq!(upstream.count("initialize"), 2, "{status}");
        drop(line.finish());
    }
}

#[test]
fn a_refusal_without_such_a_stream_is_what_is_told() {
    for (status, body) in [(403, "no rights"), (422, "wrong form"), (500, "no base"), (418, "tea")]
    {
        for get in [200, 405, 500] {
            let upstream = Upstream::serve(move |exchange| match exchange.name().as_str() {
                "GET" => exchange.send(&Reply::status(get).body("text/html", "<p>page</p>")),
                _ => exchange.send(&Reply::status(status).body("text/plain", body)),
            });
            let reply = initialized(&upstream.url());
            let text = reply.error_text();
            assert!(text.contains(body) && text.contains(&status.to_string()), "{text}");
            assert!(!text.contains("--kind sse"), "{text}");
            assert_eq!(upstream.count("initialize"), 1, "{status}");
        }
    }
}

#[test]
fn what_wants_a_login_or_answers_in_json_rpc_is_not_asked_for_a_stream() {
    let error = r#"{"jsonrpc":"2.0","id":"init","error":{"code":-32600,"message":"no"}}"#;
    for reply in [
        Reply::status(401).header("WWW-Authenticate", "Bearer"),
        Reply::status(403).body("application/json", error),
        Reply::status(422).body("application/json", error),
    ] {
        let sent = reply.clone();
        let upstream = Upstream::serve(move |exchange| exchange.send(&sent));
        initialized(&upstream.url());
        // How to sign in is asked for elsewhere.
        let requests = upstream.requests();
        let is_stream = |path: &str| !path.starts_with("/.well-known/");
        let mut gets = requests.iter().filter(|request| request.method == "GET");
        assert!(!gets.any(|request| is_stream(&request.path)), "{reply:?}");
    }
}
