//! The servers of the tables in [`super::sign_in`]: an MCP server, an authorization server, of which a
//! row changes what some places answer, and a stranger that must not be asked; and the person.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Answered, Exchange, INITIALIZE, Line, Reply, Upstream, address_in, at_once, get, request,
};

/// Longer than every bound on a sign-in, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(45);

/// What a place answers; [`ISSUER`] in it stands for the server's own address.
#[derive(Clone)]
pub(super) enum Answers {
    This(Reply),
    /// Never ends.
    Endless(&'static str, &'static str),
    /// Comes a byte at a time.
    Slowly,
    /// Closes the connection.
    Nothing,
}

pub(super) const ISSUER: &str = "ISSUER";
pub(super) const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
pub(super) const METADATA: &str = "/.well-known/oauth-authorization-server";

pub(super) fn text(status: u16, kind: &str, body: &str) -> Answers {
    Answers::This(Reply::status(status).body(kind, body))
}

pub(super) fn html(status: u16) -> Answers {
    text(status, "text/html", "<!doctype html><title>Shop</title><script>alert(1)</script>")
}

pub(super) fn json(body: &Value) -> Answers {
    text(200, "application/json", &body.to_string())
}

/// Metadata of the authorization server with `changes`.
pub(super) fn metadata(changes: &Value) -> Answers {
    let mut document = json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "registration_endpoint": format!("{ISSUER}/register"),
        "code_challenge_methods_supported": ["S256"],
    });
    let changes = changes.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(changes);
    json(&document)
}

pub(super) fn moved(status: u16, to: &str) -> Answers {
    Answers::This(Reply::status(status).header("Location", to))
}

/// The servers of one row; `places` go before what a good server would answer.
pub(super) struct Servers {
    pub(super) mcp: Upstream,
    issuer: Upstream,
    /// Must never be asked anything.
    stranger: Upstream,
}

impl Servers {
    pub(super) fn start(places: BTreeMap<&'static str, Answers>) -> Self {
        let stranger = Upstream::serve(|exchange| exchange.status(200));
        let bases = [("STRANGER", stranger.url_of(""))];
        let of_issuer = places.clone();
        let strangers = bases.clone();
        let issuer = Upstream::serve(move |exchange| {
            let own = format!("http://{}", exchange.request.header("host").unwrap());
            let path = exchange.request.path.split('?').next().unwrap().to_owned();
            let answer = of_issuer.get(path.as_str()).cloned();
            let answer = answer.unwrap_or_else(|| good(&path, &exchange.request.path));
            let names = [(ISSUER, own), strangers[0].clone()];
            answer.send(exchange, &names)
        });
        let issuer_url = issuer.url_of("");
        let mcp = Upstream::serve(move |exchange| {
            let own = format!("http://{}", exchange.request.header("host").unwrap());
            let path = exchange.request.path.clone();
            let document =
                json!({"resource": format!("{own}/mcp"), "authorization_servers": [ISSUER]});
            let answer = match places.get(path.as_str()) {
                Some(answer) => answer.clone(),
                None if path == RESOURCE => json(&document),
                None if path == "/mcp" => Answers::This(
                    Reply::status(401)
                        .header("WWW-Authenticate", "Bearer")
                        .header("Set-Cookie", "session=cookie-s3cret"),
                ),
                None => Answers::This(Reply::status(404)),
            };
            let names = [(ISSUER, issuer_url.clone()), ("OWN", own), bases[0].clone()];
            answer.send(exchange, &names)
        });
        Self { mcp, issuer, stranger }
    }
}

/// What a good authorization server answers.
fn good(path: &str, target: &str) -> Answers {
    match path {
        METADATA => metadata(&json!({})),
        "/register" => text(201, "application/json", r#"{"client_id":"client-1"}"#),
        "/authorize" => {
            let query: BTreeMap<_, _> =
                url::form_urlencoded::parse(target.split_once('?').unwrap().1.as_bytes())
                    .into_owned()
                    .collect();
            let (redirect, state) = (&query["redirect_uri"], &query["state"]);
            moved(302, &format!("{redirect}?code=code-s3cret&state={state}"))
        }
        "/token" => json(
            &json!({"access_token": "access-s3cret", "token_type": "Bearer", "expires_in": 60}),
        ),
        _ => Answers::This(Reply::status(404)),
    }
}

impl Answers {
    fn send(&self, exchange: &mut Exchange<'_>, names: &[(&str, String)]) -> Answered {
        let filled = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        };
        match self {
            Self::This(reply) => {
                let text = String::from_utf8_lossy(&reply.to_bytes()).into_owned();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let body = filled(body);
                let mut whole = String::new();
                for line in head.lines().filter(|line| !line.starts_with("Content-Length")) {
                    whole.push_str(&format!("{}\r\n", filled(line)));
                }
                whole.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
                exchange.raw_and_close(whole)
            }
            Self::Endless(head, again) => {
                exchange.raw_and_close(head)?;
                let bytes = again.repeat(1000);
                loop {
                    exchange.raw_and_close(&bytes)?;
                }
            }
            Self::Slowly => {
                exchange
                    .raw_and_close("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
                loop {
                    exchange.raw_and_close(" ")?;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            Self::Nothing => exchange.close(),
        }
    }
}

pub(super) const ENDLESS: Answers = Answers::Endless("HTTP/1.1 200 OK\r\n\r\n{\"issuer\":\"", "x");

/// Everything that the client and the person are told until the sign-in is over or has failed.
fn told(servers: &Servers, arguments: &str) -> String {
    let begun = Instant::now();
    let state = tempfile::tempdir().unwrap();
    let mut line = Line::to(&servers.mcp.url())
        .args("--start-timeout 1 --retry-for 2")
        .args(arguments)
        .env("MCPLINE_STATE_DIR", state.path().to_str().unwrap())
        .spawn();
    let mut told = String::new();
    line.send(INITIALIZE);
    let mut reply = line.recv_id("\"init\"");
    for id in 1.. {
        let is_error = reply.raw("error").is_some();
        if is_error {
            told.push_str(reply.error_text());
            told.push('\n');
            if reply.error_text().contains("sign in, then try again") {
                // The browser goes where it is sent, and ends on the last page.
                let back = get(&address_in(reply.error_text()), "");
                if let Some(back) = back.location() {
                    let done = get(back, "");
                    assert_eq!(done.status, 303, "{}", done.body);
                    let page = url::Url::parse(back).unwrap().join("/done").unwrap();
                    let page = get(page.as_str(), "");
                    assert!(!page.body.contains("<script>") && !page.body.contains("<b>"));
                    told.push_str(&page.body);
                }
            } else if !reply.error_text().contains("has not opened a session") {
                break;
            }
        }
        assert!(id < 30, "it comes to no end: {told}");
        line.send(request(id, "tools/list", "{}"));
        reply = line.recv_id(&id.to_string());
    }
    assert!(begun.elapsed() < IN_TIME, "{:?}: {told}", begun.elapsed());
    line.close_stdin();
    told.push_str(&line.wait().stderr);
    told
}

/// A name, places with what they answer, and what the person is told.
pub(super) type Row = (&'static str, Vec<(&'static str, Answers)>, &'static str);

pub(super) fn prove(rows: Vec<Row>, arguments: &str) {
    at_once(rows, |(name, places, expected)| {
        let servers = Servers::start(places.into_iter().collect());
        let told = told(&servers, arguments);
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains("s3cret"), "{name}: {told}");
        assert!(!told.contains('\u{1b}') && !told.contains('\u{7}'), "{name}: {told:?}");
        assert!(servers.stranger.requests().is_empty(), "{name}: a stranger was asked");
        for request in servers.issuer.requests() {
            assert_eq!(request.header("cookie"), None, "{name}");
            assert_eq!(request.header("x-key"), None, "{name}");
        }
        let sent = servers.mcp.requests();
        let mut sent = sent.iter().filter_map(|request| request.header("authorization"));
        assert!(sent.all(|value| value == "Bearer access-s3cret"), "{name}");
    });
}
