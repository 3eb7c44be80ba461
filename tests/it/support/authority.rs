//! A small authorization server, the MCP server that trusts it, and the person who signs in.
//!
//! It checks what a client must do (PKCE, redirect, resource, client id) and fails the test where a
//! request breaks a rule of the specification. A test bends it by [`Rules`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::Url;

use super::board::Board;
use super::exchange::{Answered, Exchange};
use super::http::Reply;
use super::script::after_handshake;
use super::upstream::Upstream;

/// What a test may bend.
pub(crate) struct Rules {
    /// Changes the metadata of the authorization server.
    pub(crate) server: fn(&mut Value),
    /// Changes the metadata of the resource; `null` stands for none.
    pub(crate) resource: fn(&mut Value),
    /// `iss` in the authorization response, where it is another one.
    pub(crate) iss: Option<&'static str>,
    /// The status of registration.
    pub(crate) registration: u16,
    /// Seconds that an access token lives.
    pub(crate) life: u64,
    /// The scope that `tools/call` needs.
    pub(crate) needed: Option<&'static str>,
    /// Whether the person refuses.
    pub(crate) denies: bool,
    /// Whether only `tools/…` need a token.
    pub(crate) is_open: bool,
    /// Whether refusals carry a challenge.
    pub(crate) challenges: bool,
    /// Changes the answer that holds tokens.
    pub(crate) tokens: fn(&mut Value),
    /// How long the token endpoint takes to answer.
    pub(crate) token_takes: Duration,
    /// The status of a revocation of a refresh token.
    pub(crate) revocation: u16,
    /// Changes the answer that holds a device code.
    pub(crate) device: fn(&mut Value),
    /// Where the metadata of the authorization server redirects to.
    pub(crate) moved: Option<&'static str>,
    /// The path of the issuer that the MCP server itself has below its well-known place.
    pub(crate) inserted: Option<&'static str>,
    /// The status with which a gateway answers when a token is to be renewed.
    pub(crate) gateway: Option<u16>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            server: |_| (),
            resource: |_| (),
            iss: None,
            registration: 201,
            life: 3600,
            needed: None,
            denies: false,
            is_open: false,
            challenges: true,
            tokens: |_| (),
            token_takes: Duration::ZERO,
            revocation: 200,
            device: |_| (),
            moved: None,
            inserted: None,
            gateway: None,
        }
    }
}

#[derive(Default)]
struct Desk {
    clients: BTreeMap<String, Value>,
    /// Codes with what they were asked for by.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    /// Good access tokens with their scopes.
    access: BTreeMap<String, String>,
    /// Good refresh tokens with their scopes.
    refresh: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
    given: usize,
    /// Whether the person has approved the device.
    is_approved: bool,
    /// Whether a spent refresh token has come again.
    was_replayed: bool,
    /// The issuer that the MCP server trusts, where it is another one.
    moved_to: Option<String>,
    /// Whether the person refuses from now on.
    denies: bool,
}

impl Desk {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// New tokens for `scope`.
    fn tokens(&mut self, scope: &str, life: u64) -> Value {
        self.given += 1;
        let (access, refresh) =
            (format!("access-s3cret-{}", self.given), format!("refresh-s3cret-{}", self.given));
        self.access.insert(access.clone(), scope.to_owned());
        self.refresh.insert(refresh.clone(), scope.to_owned());
        json!({"access_token": access, "token_type": "bearer", "expires_in": life,
               "refresh_token": refresh, "scope": scope})
    }
}

/// An MCP server and its authorization server.
pub(crate) struct Authority {
    pub(crate) server: Upstream,
    pub(crate) issuer: Upstream,
    desk: Arc<Board<Desk>>,
}

impl Authority {
    pub(crate) fn start(rules: Rules) -> Self {
        let (desk, rules) = (Arc::new(Board::new(Desk::default())), Arc::new(rules));
        let issuer = {
            let (desk, rules) = (desk.clone(), rules.clone());
            Upstream::serve(move |exchange| authorize(exchange, &desk, &rules))
        };
        let issuer_url = issuer.url_of("");
        let server = {
            let desk = desk.clone();
            let calls = after_handshake(|exchange| exchange.result(r#"{"tools":[],"content":[]}"#));
            Upstream::serve(move |exchange| match guard(exchange, &desk, &rules, &issuer_url) {
                Some(refusal) => exchange.send(&refusal),
                None => calls(exchange),
            })
        };
        Self { server, issuer, desk }
    }

    /// How often the authorization server was asked for this: `register`, `authorize`, `code`,
    /// `refresh`, `revoke`, `client`.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.desk.read(|desk| desk.counts.get(what).copied().unwrap_or(0))
    }

    /// Ends all access tokens.
    pub(crate) fn end_tokens(&self) {
        self.desk.update(|desk| desk.access.clear());
    }

    /// Ends all refresh tokens.
    pub(crate) fn end_sign_ins(&self) {
        self.desk.update(|desk| desk.refresh.clear());
    }

    /// From now on the MCP server trusts `issuer`.
    pub(crate) fn move_to(&self, issuer: String) {
        self.desk.update(|desk| desk.moved_to = Some(issuer));
    }

    /// From now on the person refuses.
    pub(crate) fn deny(&self) {
        self.desk.update(|desk| desk.denies = true);
    }

    /// How often the authorization server got a request for `path`.
    pub(crate) fn requests_for(&self, path: &str) -> usize {
        self.issuer.requests().iter().filter(|request| request.path == path).count()
    }

    pub(crate) fn was_replayed(&self) -> bool {
        self.desk.read(|desk| desk.was_replayed)
    }

    /// The client that was registered last.
    pub(crate) fn client(&self) -> Value {
        self.desk.read(|desk| desk.clients.values().last().cloned()).expect("a registered client")
    }
}

/// The refusal of the MCP server, if there is one.
fn guard(
    exchange: &Exchange<'_>,
    desk: &Board<Desk>,
    rules: &Rules,
    issuer: &str,
) -> Option<Reply> {
    let host = exchange.request.header("host").expect("a host").to_owned();
    let moved_to = desk.read(|desk| desk.moved_to.clone());
    let issuer = moved_to.as_deref().unwrap_or(issuer);
    let mut document = json!({"resource": format!("http://{host}/mcp"),
                              "authorization_servers": [issuer], "scopes_supported": ["all"]});
    (rules.resource)(&mut document);
    let is_published = !document.is_null();
    if exchange.request.path == "/.well-known/oauth-protected-resource/mcp" && is_published {
        return Some(Reply::json(document.to_string()));
    }
    if let Some(path) = rules.inserted
        && exchange.request.path == "/.well-known/oauth-authorization-server/mcp"
    {
        let document = json!({"issuer": format!("http://{host}{path}"),
                              "authorization_endpoint": format!("{issuer}/authorize?kept=1"),
                              "token_endpoint": format!("{issuer}/token"),
                              "registration_endpoint": format!("{issuer}/register"),
                              "code_challenge_methods_supported": ["S256"]});
        return Some(Reply::json(document.to_string()));
    }
    if exchange.request.path.split('?').next() != Some("/mcp") {
        return Some(Reply::status(404));
    }
    let given = exchange.request.header("authorization").unwrap_or_default();
    let granted = given
        .strip_prefix("Bearer ")
        .and_then(|token| desk.read(|desk| desk.access.get(token).cloned()));
    let name = exchange.name();
    if rules.is_open && !name.starts_with("tools/") {
        return None;
    }
    let metadata = format!("http://{host}/.well-known/oauth-protected-resource/mcp");
    let Some(granted) = granted else {
        let refusal = Reply::status(401).body("text/plain", "sign in first");
        let place = format!(", resource_metadata=\"{metadata}\"");
        let place = if is_published { place } else { String::new() };
        let challenge = format!("Bearer realm=\"it\"{place}");
        return Some(if rules.challenges {
            refusal.header("WWW-Authenticate", challenge)
        } else {
            refusal
        });
    };
    let needed = rules.needed.filter(|_| name == "tools/call")?;
    let has = granted.split(' ').any(|scope| scope == needed);
    let challenge = format!(
        "Bearer error=\"insufficient_scope\", scope=\"{needed}\", resource_metadata=\"{metadata}\""
    );
    (!has).then(|| Reply::status(403).header("WWW-Authenticate", challenge))
}

fn authorize(exchange: &mut Exchange<'_>, desk: &Board<Desk>, rules: &Rules) -> Answered {
    let host = exchange.request.header("host").expect("a host").to_owned();
    let issuer = format!("http://{host}");
    assert_eq!(exchange.request.header("mcp-session-id"), None);
    let url = Url::parse(&format!("{issuer}{}", exchange.request.path)).unwrap();
    match url.path() {
        "/.well-known/oauth-authorization-server" if rules.moved.is_some() => {
            exchange.send(&Reply::status(302).header("Location", rules.moved.unwrap_or_default()))
        }
        "/.well-known/oauth-authorization-server" => {
            let mut document = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize?kept=1"),
                "token_endpoint": format!("{issuer}/token"),
                "registration_endpoint": format!("{issuer}/register"),
                "revocation_endpoint": format!("{issuer}/revoke"),
                "scopes_supported": ["all", "more", "offline_access"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
            });
            (rules.server)(&mut document);
            exchange.json(document.to_string())
        }
        "/register" => register(exchange, desk, rules),
        "/authorize" => {
            let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
            let answer = desk.update(|desk| approve(desk, &query, rules, &issuer));
            exchange.send(&Reply::status(302).header("Location", answer))
        }
        "/token" => {
            let fields = form(exchange);
            if let Some(status) = rules.gateway.filter(|_| fields.contains_key("refresh_token")) {
                let blocked = Reply::status(status).body("text/html", "<h1>Blocked here</h1>");
                return exchange.send(&blocked);
            }
            let login = exchange.request.header("authorization").map(str::to_owned);
            let answer = desk.update(|desk| grant(desk, &fields, login.as_deref(), rules, &issuer));
            std::thread::sleep(rules.token_takes);
            match answer {
                Ok(mut tokens) => {
                    (rules.tokens)(&mut tokens);
                    exchange.json(tokens.to_string())
                }
                Err(error) => {
                    let body = json!({"error": error, "error_description": "as <b>scripted</b>"});
                    exchange.send(&Reply::status(400).body("application/json", body.to_string()))
                }
            }
        }
        "/device" => {
            let fields = form(exchange);
            assert!(fields.contains_key("client_id") && fields.contains_key("resource"));
            let page = format!("{issuer}/approve?user_code=ABCD");
            let mut answer = json!({"device_code": "device-s3cret", "user_code": "ABCD",
                                    "verification_uri": format!("{issuer}/approve"), "interval": 1,
                                    "expires_in": 600, "verification_uri_complete": page});
            (rules.device)(&mut answer);
            exchange.json(answer.to_string())
        }
        "/approve" => {
            desk.update(|desk| desk.is_approved = true);
            exchange.send(&Reply::status(200).body("text/plain", "approved"))
        }
        "/revoke" => {
            let mut fields = form(exchange);
            let token = fields.remove("token").expect("a token");
            let status = match fields["token_type_hint"].as_str() {
                "refresh_token" => rules.revocation,
                _ => 200,
            };
            desk.update(|desk| {
                desk.count("revoke");
                desk.access.remove(&token);
                desk.refresh.remove(&token);
            });
            exchange.status(status)
        }
        _ => exchange.status(404),
    }
}

fn register(exchange: &mut Exchange<'_>, desk: &Board<Desk>, rules: &Rules) -> Answered {
    if rules.registration != 201 {
        let body = r#"{"error":"access_denied","error_description":"not from here"}"#;
        return exchange.send(&Reply::status(rules.registration).body("application/json", body));
    }
    let mut client: Value = serde_json::from_slice(&exchange.request.body).unwrap();
    let id = desk.update(|desk| {
        desk.count("register");
        let id = format!("client-{}", desk.clients.len() + 1);
        client["client_id"] = json!(id);
        desk.clients.insert(id.clone(), client.clone());
        id
    });
    assert!(!id.is_empty());
    exchange.send(&Reply::status(201).body("application/json", client.to_string()))
}

/// Where the browser is sent by the authorization request.
fn approve(
    desk: &mut Desk,
    query: &BTreeMap<String, String>,
    rules: &Rules,
    issuer: &str,
) -> String {
    desk.count("authorize");
    assert_eq!(query["kept"], "1", "the endpoint's own query is kept");
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["code_challenge_method"], "S256");
    if let Some(client) = desk.clients.get(&query["client_id"]) {
        let redirects = client["redirect_uris"].as_array().unwrap();
        assert!(redirects.iter().any(|uri| *uri == query["redirect_uri"].as_str()));
    }
    let mut back = Url::parse(&query["redirect_uri"]).unwrap();
    back.query_pairs_mut().append_pair("state", &query["state"]);
    let iss = rules.iss.map_or(issuer.to_owned(), str::to_owned);
    back.query_pairs_mut().append_pair("iss", &iss);
    if rules.denies || desk.denies {
        back.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_description", "<script>no</script>");
    } else {
        let code = format!("code-s3cret-{}", desk.codes.len() + 1);
        desk.codes.insert(code.clone(), query.clone());
        back.query_pairs_mut().append_pair("code", &code);
    }
    back.into()
}

fn grant(
    desk: &mut Desk,
    fields: &BTreeMap<String, String>,
    login: Option<&str>,
    rules: &Rules,
    issuer: &str,
) -> Result<Value, &'static str> {
    match fields["grant_type"].as_str() {
        "authorization_code" => {
            desk.count("code");
            let asked = desk.codes.remove(&fields["code"]).ok_or("invalid_grant")?;
            let digest =
                ring::digest::digest(&ring::digest::SHA256, fields["code_verifier"].as_bytes());
            assert_eq!(URL_SAFE_NO_PAD.encode(digest), asked["code_challenge"]);
            assert_eq!(fields["redirect_uri"], asked["redirect_uri"]);
            assert_eq!(fields.get("resource"), asked.get("resource"));
            Ok(desk.tokens(asked.get("scope").map_or("", String::as_str), rules.life))
        }
        "refresh_token" => {
            desk.count("refresh");
            let Some(scope) = desk.refresh.remove(&fields["refresh_token"]) else {
                // The whole family dies, as with strict servers.
                desk.was_replayed = true;
                desk.access.clear();
                desk.refresh.clear();
                return Err("invalid_grant");
            };
            assert!(fields.contains_key("resource"));
            Ok(desk.tokens(&scope, rules.life))
        }
        device if device.ends_with(":device_code") => {
            desk.count("device");
            assert_eq!(fields["device_code"], "device-s3cret");
            if !desk.is_approved {
                return Err("authorization_pending");
            }
            Ok(desk.tokens("all", rules.life))
        }
        "client_credentials" => {
            desk.count("client");
            if let Some(assertion) = fields.get("client_assertion") {
                check_assertion(fields, assertion, issuer);
                return Ok(desk.tokens("", rules.life));
            }
            let expected = format!("Basic {}", STANDARD.encode("robot:client-s3cret"));
            assert_eq!(login, Some(expected.as_str()));
            Ok(desk.tokens(fields.get("scope").map_or("", String::as_str), rules.life))
        }
        other => panic!("the grant {other}"),
    }
}

/// What an assertion says; that its signature is good is proved elsewhere.
fn check_assertion(fields: &BTreeMap<String, String>, assertion: &str, issuer: &str) {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(fields["client_assertion_type"], kind);
    assert!(!fields.contains_key("client_secret"));
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("robot"), &json!("robot")));
    assert_eq!(claims["aud"], issuer);
}

fn form(exchange: &Exchange<'_>) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&exchange.request.body).into_owned().collect()
}
