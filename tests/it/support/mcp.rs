//! A small correct MCP server, less its transport.
//!
//! Tools: `echo` gives its arguments back byte for byte; `slow` does so once the gate that its
//! argument `gate` names is open; `ask` asks the client a question while the call is open and
//! gives back what it said; `progress` reports twice and logs once before its result.

use std::collections::BTreeMap;
use std::io;

use super::board::Board;
use super::message::{Message, initialize_result, request};
use super::upstream::Life;

#[derive(Default)]
pub(crate) struct State {
    /// Live sessions by id.
    pub(crate) sessions: BTreeMap<String, Session>,
    /// How many sessions there have been.
    pub(crate) born: usize,
    pub(crate) executions: BTreeMap<String, usize>,
    /// The client's responses to questions of ours, by id.
    answers: BTreeMap<String, Message>,
    questions: usize,
}

#[derive(Default)]
pub(crate) struct Session {
    /// All that was sent on the listening stream; an index into it is an event id.
    pub(crate) outbox: Vec<String>,
    /// Listening streams of an earlier epoch end.
    pub(crate) epoch: usize,
    pub(crate) log_level: Option<String>,
    pub(crate) subscriptions: Vec<String>,
}

pub(crate) struct Mcp {
    pub(crate) board: Board<State>,
}

impl Mcp {
    pub(crate) fn new() -> Self {
        Self { board: Board::new(State::default()) }
    }

    pub(crate) fn begin_session(&self) -> String {
        self.board.update(|state| {
            state.born += 1;
            let id = format!("session-{}", state.born);
            state.sessions.insert(id.clone(), Session::default());
            id
        })
    }

    pub(crate) fn take_answer(&self, answer: Message) {
        self.board.update(|state| {
            state.answers.insert(answer.id().to_owned(), answer);
        });
    }

    /// Whether a request is answered by more than its response.
    pub(crate) fn is_chatty(request: &Message) -> bool {
        let tool = request.value["params"]["name"].as_str();
        request.method() == "tools/call" && matches!(tool, Some("ask" | "progress"))
    }

    /// Carries out a request. `tell` sends what goes before the response, which is returned.
    pub(crate) fn perform(
        &self,
        life: &Life,
        session: &str,
        request: &Message,
        tell: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<String> {
        let params = &request.value["params"];
        let result = match request.method() {
            "initialize" => {
                initialize_result(params["protocolVersion"].as_str().unwrap_or("2025-11-25"))
            }
            "ping" => "{}".to_owned(),
            "tools/list" => tools_list(),
            "logging/setLevel" => self.in_session(session, |session| {
                session.log_level = params["level"].as_str().map(str::to_owned);
            }),
            "resources/subscribe" => self.in_session(session, |session| {
                let uri = params["uri"].as_str().unwrap_or_default();
                session.subscriptions.push(uri.to_owned());
            }),
            "resources/unsubscribe" => self.in_session(session, |session| {
                session.subscriptions.retain(|uri| params["uri"] != **uri);
            }),
            "tools/call" => self.call(life, request, tell)?,
            method => {
                return Ok(format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no {method} here"}}}}"#,
                    request.id()
                ));
            }
        };
        Ok(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id()))
    }

    fn in_session(&self, id: &str, change: impl FnOnce(&mut Session)) -> String {
        self.board.update(|state| {
            let session = state.sessions.get_mut(id);
            change(session.expect("a live session"));
        });
        "{}".to_owned()
    }

    fn call(
        &self,
        life: &Life,
        request: &Message,
        tell: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<String> {
        let params = Message::parse(request.raw("params").unwrap_or("{}")).unwrap();
        let tool = params.value["name"].as_str().unwrap_or_default();
        self.board.update(|state| {
            *state.executions.entry(tool.to_owned()).or_default() += 1;
        });
        let arguments = Message::parse(params.raw("arguments").unwrap_or("{}")).unwrap();
        let content = match tool {
            "slow" => {
                life.pass(arguments.value["gate"].as_str().unwrap_or_default())?;
                arguments.text
            }
            "ask" => self.ask(life, &arguments, tell)?,
            "progress" => {
                report(&params, tell)?;
                "{}".to_owned()
            }
            _ => arguments.text,
        };
        Ok(format!(
            r#"{{"content":[{{"type":"text","text":"done"}}],"structuredContent":{content}}}"#
        ))
    }

    /// Asks what `method` says, behind the gate `gate` if the arguments name one.
    fn ask(
        &self,
        life: &Life,
        arguments: &Message,
        tell: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<String> {
        if let Some(gate) = arguments.value["gate"].as_str() {
            life.pass(gate)?;
        }
        let id = self.board.update(|state| {
            state.questions += 1;
            format!(r#""question-{}""#, state.questions)
        });
        let method = arguments.value["method"].as_str();
        tell(&request(&id, method.unwrap_or("sampling/createMessage"), r#"{"n":1.0}"#))?;
        let answer = life.wait(&self.board, |state| state.answers.remove(&id))?;
        Ok(answer.text)
    }
}

/// Two progress notifications with a log message between them.
fn report(params: &Message, tell: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let meta = Message::parse(params.raw("_meta").unwrap_or("{}")).unwrap();
    let token = meta.raw("progressToken").unwrap_or("null");
    for (step, log) in [(1, true), (2, false)] {
        tell(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{step},"total":2.0}}}}"#
        ))?;
        if log {
            tell(
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"between"}}"#,
            )?;
        }
    }
    Ok(())
}

fn tools_list() -> String {
    let tools = ["echo", "slow", "ask", "progress"]
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
    format!(r#"{{"tools":[{}]}}"#, tools.join(","))
}
