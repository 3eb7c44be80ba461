//! A hostile authorization server, or one that is broken in the same ways: each row is what one place
//! answers, and what the person is told. Whatever it is, the client is answered in time, no token is
//! used, nothing of the MCP server's goes elsewhere, and nothing that could act on a terminal is shown.

use serde_json::json;

use super::authority::{
    Answers, ENDLESS, ISSUER, METADATA, RESOURCE, Servers, html, json, metadata, moved, prove, text,
};
use crate::support::{INITIALIZE, Line, Reply, Upstream, request};

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
    let device = |changes: &serde_json::Value| {
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
