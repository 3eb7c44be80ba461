//! Any era to any era: a client of either before an upstream of either.

mod hostile;
mod interrupted;
mod pair;
mod to_legacy;
mod to_legacy_kinds;
mod to_modern;

use std::io;

use crate::support::{
    Answered, Events, Exchange, Line, Message, Reply, Upstream, handshake, request,
};

/// What a modern client says of itself in each request.
pub(crate) const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{},"roots":{}}"#;

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// A request of a modern client; `params` are the members beside `_meta`.
pub(crate) fn modern(id: impl std::fmt::Display, method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    request(id, method, &format!(r#"{{{params}{comma}"_meta":{{{META}}}}}"#))
}

/// A call by a modern client.
pub(crate) fn modern_call(id: impl std::fmt::Display, tool: &str, arguments: &str) -> String {
    modern(id, "tools/call", &format!(r#""name":"{tool}","arguments":{arguments}"#))
}

/// The result of `server/discover`.
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"instructions":"be kind","ttlMs":1,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"modern","version":"2"}}}"#;

/// How a server of the stateless revision alone refuses what comes without it.
fn refuse_legacy(exchange: &mut Exchange<'_>) -> Answered {
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2026-07-28"],"requested":""}}}"#;
    exchange.send(&Reply::status(400).body("application/json", body))
}

/// Answers as a server of the stateless revision alone, and leaves all but `server/discover` to the
/// script.
pub(crate) fn modern_service(
    script: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static {
    move |exchange| {
        if exchange.request.method != "POST" {
            return exchange.status(405);
        }
        if exchange.request.header("mcp-protocol-version") != Some("2026-07-28") {
            return refuse_legacy(exchange);
        }
        if exchange.name() == "server/discover" {
            return exchange.result(DISCOVERED);
        }
        script(exchange)
    }
}

/// A server of the stateless revision alone.
pub(crate) fn modern_alone(
    script: impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static,
) -> Upstream {
    Upstream::serve(modern_service(script))
}

/// A complete result of `tools/call` that says `text`.
pub(crate) fn said(text: &str) -> String {
    format!(r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#)
}

/// A stream that answers `subscriptions/listen`.
pub(crate) struct Stream<'e, 'a> {
    events: Events<'e, 'a>,
    id: String,
}

impl<'e, 'a> Stream<'e, 'a> {
    /// Acknowledges all that is asked for.
    fn acknowledge(exchange: &'e mut Exchange<'a>) -> io::Result<Self> {
        let rpc = exchange.rpc();
        let params = Message::parse(rpc.raw("params").unwrap()).unwrap();
        Self::acknowledge_only(exchange, params.raw("notifications").unwrap())
    }

    /// Acknowledges what `filter` names.
    fn acknowledge_only(exchange: &'e mut Exchange<'a>, filter: &str) -> io::Result<Self> {
        let id = exchange.rpc().id().to_owned();
        let mut stream = Self { events: exchange.events()?, id };
        let granted = format!(r#""notifications":{filter},"#);
        stream.tell("notifications/subscriptions/acknowledged", &granted)?;
        Ok(stream)
    }

    fn tag(&self) -> String {
        format!(r#""_meta":{{"{SUBSCRIPTION_ID}":{}}}"#, self.id)
    }

    /// Sends a notification; `more` are the members of `params` before `_meta`.
    fn tell(&mut self, method: &str, more: &str) -> io::Result<()> {
        let tag = self.tag();
        self.events
            .message(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{more}{tag}}}}}"#))
    }

    /// Ends the subscription in good order.
    fn complete(mut self) -> Answered {
        let (id, tag) = (&self.id, self.tag());
        let result = format!(r#"{{"resultType":"complete",{tag}}}"#);
        self.events.message(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))?;
        self.events.end()
    }
}

/// Answers `subscriptions/listen`: acknowledges what it asks for, and gives the stream to `rest`.
pub(crate) fn acknowledge(
    exchange: &mut Exchange<'_>,
    rest: impl FnOnce(&mut dyn FnMut(&str, &str) -> io::Result<()>) -> io::Result<()>,
) -> Answered {
    let mut stream = Stream::acknowledge(exchange)?;
    rest(&mut |method, more| stream.tell(method, more))
}

/// A result that asks for the client's roots.
const ASKS_FOR_ROOTS: &str =
    r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}"#;

/// Waits for a question of the upstream and answers it with `outcome`, a member of the response.
/// Returns the question.
fn answer_question(line: &mut Line, outcome: &str) -> Message {
    let question = line.recv_where("a question", Message::is_request);
    line.send(format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, question.id()));
    question
}

/// The retry of a call of `tool` with `arguments`, which answers what `asked` asks.
fn answered(id: u64, tool: &str, arguments: &str, asked: &Message, answer: &str) -> String {
    let state = Message::parse(asked.raw_result()).unwrap().raw("requestState").unwrap().to_owned();
    let key = asked.result()["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let params = format!(
        r#""name":"{tool}","arguments":{arguments},"inputResponses":{{"{key}":{answer}}},"requestState":{state}"#
    );
    modern(id, "tools/call", &params)
}

/// A server with a handshake and sessions, which refuses calls without one; its result is `result`.
fn with_sessions(exchange: &mut Exchange<'_>, result: &str) -> Answered {
    match exchange.name().as_str() {
        "initialize" | "notifications/initialized" => handshake(exchange, Some("s")),
        _ if exchange.request.header("mcp-session-id").is_none() => {
            exchange.send(&Reply::status(400).body(
                "application/json",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#,
            ))
        }
        "tools/call" => exchange.result(result),
        _ => exchange.status(405),
    }
}
