//! Calls that ask the client, with an upstream in memory, under paused time.

use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::upstream::Sink;
use crate::upstream::stub::{Reply, Stub};

/// Keeps what the client is told.
struct Told(mpsc::UnboundedSender<Message>);

impl Sink for Told {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        let _ = self.0.send(message);
        Box::pin(std::future::ready(()))
    }
}

const META: &str = r#""_meta":{"progressToken":"t","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}}}"#;

fn request(id: u64, method: &str, params: &str) -> Request {
    let id = RequestId::number(id);
    let comma = if params.is_empty() { "" } else { "," };
    let params = format!("{{{params}{comma}{META}}}");
    Request::new(Message::request(id.clone(), method, &params), id)
}

async fn open(stub: &Stub) -> (Arc<dyn Session>, mpsc::UnboundedReceiver<Message>) {
    let (sender, told) = mpsc::unbounded_channel();
    let client = Client::new(Told(sender));
    let id = RequestId::of_ours(1);
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{}}"#;
    let initialize = Request::new(Message::request(id.clone(), method::INITIALIZE, params), id);
    let greeting = Greeting::Stateless(initialize);
    let opened = super::open(stub, &Arc::default(), &greeting, &client).await;
    let Ok(opened) = opened else { panic!("no session") };
    (opened.session, told)
}

/// Starts a call, lets the upstream ask, and returns the state that the client gets.
async fn asked(stub: &Stub, session: &Arc<dyn Session>) -> String {
    let (session, call) = (session.clone(), request(1, method::TOOLS_CALL, r#""name":"any""#));
    let calling = tokio::spawn(async move { session.exchange(&call).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let question = Message::request(RequestId::number(7), method::ROOTS, "{}");
    stub.send(1, question).await;
    let result = calling.await.unwrap().unwrap();
    let result = Object::read(local::text(result.result().unwrap())).unwrap();
    assert_eq!(result.string("resultType").as_deref(), Some("input_required"));
    result.string("requestState").unwrap()
}

fn answer(id: u64, state: &str) -> Request {
    let params = format!(
        r#""name":"any","inputResponses":{{"roots-list-1":{{"roots":[]}}}},"requestState":"{state}""#
    );
    request(id, method::TOOLS_CALL, &params)
}

#[tokio::test(start_paused = true)]
async fn a_state_expires_and_the_upstream_hears_of_it() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let (session, _told) = open(&stub).await;
    let state = asked(&stub, &session).await;
    tokio::time::sleep(Duration::from_mins(11)).await;
    let late = session.exchange(&answer(2, &state)).await.unwrap();
    assert_eq!(late.error_code(), Some(code::INVALID_PARAMS));
    let cancelled = stub.arrivals(method::CANCELLED);
    assert_eq!(local::params(&cancelled[0].message), r#"{"requestId":1}"#);
    let refused = stub.arrivals("(response)");
    assert!(local::text(refused[0].message.text()).contains(r#""error""#));
}

#[tokio::test(start_paused = true)]
async fn an_answer_reaches_the_upstream_and_the_call_goes_on() {
    let done = Reply::After(Duration::from_mins(5), Box::new(Reply::Result(r#"{"content":[]}"#)));
    let done = Mutex::new(Some(done));
    let stub = Stub::open(move |_, _| done.lock().unwrap().take().unwrap_or(Reply::Hangs));
    let (session, _told) = open(&stub).await;
    let state = asked(&stub, &session).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    let result = session.exchange(&answer(2, &state)).await.unwrap();
    let result = local::text(result.result().unwrap()).to_owned();
    assert_eq!(result, r#"{"content":[],"resultType":"complete"}"#);
    let answered = stub.arrivals("(response)");
    assert!(local::text(answered[0].message.text()).contains(r#""result":{"roots":[]}"#));
    assert_eq!(stub.arrivals(method::TOOLS_CALL).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_before_any_call_waits_for_the_first() {
    let stub = Stub::open(|_, _| Reply::Result(r#"{"content":[]}"#));
    let (session, _told) = open(&stub).await;
    stub.send(1, Message::request(RequestId::number(7), method::ROOTS, "{}")).await;
    let first = session.exchange(&request(1, method::TOOLS_CALL, r#""name":"any""#)).await.unwrap();
    assert!(stub.arrivals(method::TOOLS_CALL).is_empty(), "the call waits for the answer");
    let result = Object::read(local::text(first.result().unwrap())).unwrap();
    let state = result.string("requestState").unwrap();
    let result = session.exchange(&answer(2, &state)).await.unwrap();
    assert!(result.result().is_some());
    assert_eq!(stub.arrivals(method::TOOLS_CALL).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_gives_its_call_up() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let (session, _told) = open(&stub).await;
    let state = asked(&stub, &session).await;
    // The client takes the request up and cancels it.
    let retry = answer(2, &state);
    let waiting = session.exchange(&retry);
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
    let again = session.exchange(&answer(3, &state)).await.unwrap();
    assert_eq!(again.error_code(), Some(code::INVALID_PARAMS));
}
