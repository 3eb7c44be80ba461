//! A hostile authorization server, or one that is broken in the same ways: each row is what one place
//! answers, and what the person is told. Whatever it is, the client is answered in time, no token is
//! used, nothing of the MCP server's goes elsewhere, and nothing that could act on a terminal is shown.

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
enum Answers {
    This(Reply),
    /// Never ends.
    Endless(&'static str, &'static str),
    /// Comes a byte at a time.
    Slowly,
    /// Closes the connection.
    Nothing,
}

const ISSUER: &str = "ISSUER";
const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
const METADATA: &str = "/.well-known/oauth-authorization-server";

fn text(status: u16, kind: &str, body: &str) -> Answers {
    Answers::This(Reply::status(status).body(kind, body))
}

fn html(status: u16) -> Answers {
    text(status, "text/html", "<!doctype html><title>Shop</title><script>alert(1)</script>")
}

fn json(body: &Value) -> Answers {
    text(200, "application/json", &body.to_string())
}

/// Metadata of the authorization server with `changes`.
fn metadata(changes: &Value) -> Answers {
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

fn moved(status: u16, to: &str) -> Answers {
    Answers::This(Reply::status(status).header("Location", to))
}

/// The servers of one row; `places` go before what a good server would answer.
struct Servers {
    mcp: Upstream,
    issuer: Upstream,
    /// Must never be asked anything.
    stranger: Upstream,
}

impl Servers {
    fn start(places: BTreeMap<&'static str, Answers>) -> Self {
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

const ENDLESS: Answers = Answers::Endless("HTTP/1.1 200 OK\r\n\r\n{\"issuer\":\"", "x");

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
type Row = (&'static str, Vec<(&'static str, Answers)>, &'static str);

fn prove(rows: Vec<Row>, arguments: &str) {
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

#[test]
fn what_is_published_is_not_believed() {
    let deep = "[".repeat(100_000);
    let large = format!(r#"{{"issuer":"{ISSUER}","x":"{}"}}"#, "x".repeat(1024 * 1024));
    let rows = vec![
        ("a page for the server's metadata", vec![(METADATA, html(200))], "publishes no metadata"),
        ("an error page", vec![(METADATA, html(500))], "HTTP 500"),
        ("a list", vec![(METADATA, text(200, "application/json", "[]"))], "publishes no metadata"),
        (
            "deep nesting",
            vec![(METADATA, text(200, "application/json", &deep))],
            "publishes no metadata",
        ),
        ("a large document", vec![(METADATA, text(200, "application/json", &large))], "more than"),
        ("an endless document", vec![(METADATA, ENDLESS)], "more than"),
        ("an endless resource", vec![(RESOURCE, ENDLESS)], "more than"),
        ("no answer", vec![(METADATA, Answers::Nothing)], "cannot sign in"),
        (
            "another issuer",
            vec![(METADATA, metadata(&json!({"issuer": "https://a.example"})))],
            "another issuer",
        ),
        (
            "an issuer with control characters",
            vec![(METADATA, metadata(&json!({"issuer": "https://a\u{1b}[31m\u{7}"})))],
            "another issuer",
        ),
        ("a redirect to a stranger", vec![(METADATA, moved(302, "STRANGER/x"))], "another server"),
        ("a redirect to itself", vec![(METADATA, moved(302, METADATA))], "redirects more than"),
        (
            "a page that is a script",
            vec![(METADATA, metadata(&json!({"authorization_endpoint": "javascript:alert(1)"})))],
            "not an https://",
        ),
        (
            "a page that is a file",
            vec![(METADATA, metadata(&json!({"authorization_endpoint": "file:///etc/passwd"})))],
            "not an https://",
        ),
        (
            "a page that is data",
            vec![(METADATA, metadata(&json!({"authorization_endpoint": "data:text/html,x"})))],
            "not an https://",
        ),
        (
            "a token endpoint that is a file",
            vec![(METADATA, metadata(&json!({"token_endpoint": "file:///etc/passwd"})))],
            "not an https://",
        ),
        (
            "a token endpoint without encryption",
            vec![(METADATA, metadata(&json!({"token_endpoint": "http://a.example/token"})))],
            "not encrypted",
        ),
        (
            "a resource that is another",
            vec![(
                RESOURCE,
                json(&json!({"resource": "https://a.example/mcp",
                             "authorization_servers": ["https://a.example"]})),
            )],
            "another server",
        ),
        (
            "no authorization server",
            vec![(RESOURCE, json(&json!({"resource": "OWN/mcp"})))],
            "name no authorization server",
        ),
        (
            "metadata of the challenge that are a file",
            vec![(
                "/mcp",
                Answers::This(Reply::status(401).header(
                    "WWW-Authenticate",
                    r#"Bearer resource_metadata="file:///etc/passwd""#,
                )),
            )],
            "not an https://",
        ),
    ];
    prove(rows, "");
}

#[test]
fn what_comes_slowly_is_given_up() {
    let rows = vec![
        ("the resource", vec![(RESOURCE, Answers::Slowly)], "has not answered within"),
        ("the metadata", vec![(METADATA, Answers::Slowly)], "has not answered within"),
    ];
    prove(rows, "");
}

#[test]
fn what_registration_answers_is_not_believed() {
    let created = |body: &str| text(201, "application/json", body);
    let rows = vec![
        ("a page", vec![("/register", html(200))], "cannot sign in"),
        ("a failure", vec![("/register", html(502))], "HTTP 502"),
        ("no id", vec![("/register", created("{}"))], "cannot sign in"),
        (
            "a secret and no id",
            vec![("/register", created(r#"{"client_secret":"s3cret"}"#))],
            "cannot sign in",
        ),
        (
            "an id that is a number",
            vec![("/register", created(r#"{"client_id":5,"client_secret":"s3cret"}"#))],
            "cannot sign in",
        ),
        ("a redirect", vec![("/register", moved(307, "STRANGER/register"))], "cannot sign in"),
        ("endless", vec![("/register", ENDLESS)], "more than"),
        (
            "an error with control characters",
            vec![(
                "/register",
                text(
                    400,
                    "application/json",
                    r#"{"error":"x","error_description":"\u001b[2J\u0007 no <b>"}"#,
                ),
            )],
            "refuses to register",
        ),
    ];
    prove(rows, "");
}

#[test]
fn what_the_token_endpoint_answers_is_not_believed() {
    let tokens = |body: &str| text(200, "application/json", body);
    let rows = vec![
        ("a page", vec![("/token", html(200))], "You are not signed in"),
        ("a failure", vec![("/token", html(500))], "You are not signed in"),
        ("a refusal in HTML", vec![("/token", html(400))], "You are not signed in"),
        ("no token", vec![("/token", tokens("{}"))], "You are not signed in"),
        (
            "a token of another type",
            vec![("/token", tokens(r#"{"access_token":"a-s3cret","token_type":"mac"}"#))],
            "You are not signed in",
        ),
        (
            "a token that is no text",
            vec![("/token", tokens(r#"{"access_token":["a-s3cret"],"token_type":"Bearer"}"#))],
            "You are not signed in",
        ),
        (
            "a token with a line break",
            vec![(
                "/token",
                tokens(r#"{"access_token":"a-s3cret\r\nX-Evil: 1","token_type":"Bearer"}"#),
            )],
            "You are not signed in",
        ),
        ("an empty token", vec![("/token", tokens(r#"{"access_token":""}"#))], "You are not"),
        (
            "a redirect with the code",
            vec![("/token", moved(307, "STRANGER/token"))],
            "You are not signed in",
        ),
        ("an endless answer", vec![("/token", ENDLESS)], "You are not signed in"),
        (
            "an error with markup and control characters",
            vec![(
                "/token",
                text(
                    400,
                    "application/json",
                    r#"{"error":"invalid_grant","error_description":"<script>x</script><b>\u001b[2J"}"#,
                ),
            )],
            "&lt;script&gt;",
        ),
        (
            // What it gives is refused again and again.
            "tokens that are of no use",
            vec![],
            "refuses the tokens",
        ),
    ];
    prove(rows, "");
}

#[test]
fn what_a_device_endpoint_answers_is_not_believed() {
    let with_device =
        metadata(&json!({"device_authorization_endpoint": format!("{ISSUER}/device")}));
    let device = |changes: &Value| {
        let mut answer = json!({"device_code": "device-s3cret", "user_code": "AB",
                                "verification_uri": format!("{ISSUER}/approve"), "expires_in": 60});
        let changes = changes.as_object().unwrap().clone();
        answer.as_object_mut().unwrap().extend(changes);
        vec![(METADATA, with_device.clone()), ("/device", json(&answer))]
    };
    let rows = vec![
        ("a page", vec![(METADATA, with_device.clone()), ("/device", html(200))], "cannot sign in"),
        (
            "an address that is a script",
            device(&json!({"verification_uri_complete": "javascript:alert(1)"})),
            "not an https://",
        ),
        (
            "an address that is a file",
            device(&json!({"verification_uri": "file:///etc/passwd"})),
            "not an https://",
        ),
        ("no device code", device(&json!({"device_code": null})), "cannot sign in"),
    ];
    prove(rows, "--oauth-grant device");
}

#[test]
fn a_code_for_a_device_acts_on_no_terminal() {
    let places = vec![
        (METADATA, metadata(&json!({"device_authorization_endpoint": format!("{ISSUER}/device")}))),
        (
            "/device",
            json(&json!({"device_code": "device-s3cret", "user_code": "A\u{1b}[2J\u{7}\nB",
                         "verification_uri": format!("{ISSUER}/approve"), "expires_in": 60})),
        ),
        ("/token", text(400, "application/json", r#"{"error":"authorization_pending"}"#)),
    ];
    let servers = Servers::start(places.into_iter().collect());
    let state = tempfile::tempdir().unwrap();
    let mut line = Line::to(&servers.mcp.url())
        .args("--oauth-grant device")
        .env("MCPLINE_STATE_DIR", state.path().to_str().unwrap())
        .ready();
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    reply.failure(-33011);
    assert!(!reply.error_text().contains('\u{1b}'), "{reply}");
    line.close_stdin();
    let ended = line.wait();
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\u{7}'));
}

/// An upstream that names any number of authorization servers keeps nobody busy.
#[test]
fn many_authorization_servers_are_not_all_asked() {
    let asked = Upstream::serve(|exchange| exchange.status(404));
    let issuers: Vec<_> = (0..500).map(|number| asked.url_of(&format!("/{number}"))).collect();
    let mcp = Upstream::serve(move |exchange| {
        let own = format!("http://{}", exchange.request.header("host").unwrap());
        match exchange.request.path.as_str() {
            RESOURCE => exchange.json(
                json!({"resource": format!("{own}/mcp"), "authorization_servers": issuers})
                    .to_string(),
            ),
            _ => exchange.send(&Reply::status(401).header("WWW-Authenticate", "Bearer")),
        }
    });
    let mut line = Line::to(&mcp.url()).spawn();
    line.send(INITIALIZE);
    assert!(line.recv_id("\"init\"").error_text().contains("publishes no metadata"));
    line.finish();
    assert!(asked.requests().len() < 50, "{}", asked.requests().len());
}
