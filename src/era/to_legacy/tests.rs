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

const ROOTS: &str = r#"{"roots":{}}"#;

fn request(id: u64, method: &str, params: &str) -> Request {
    request_with(id, method, params, &format!(r#""progressToken":"t{id}""#), ROOTS)
}

/// A request with more in its `_meta`, by a client with these `capabilities`.
fn request_with(id: u64, method: &str, params: &str, more: &str, capabilities: &str) -> Request {
    let id = RequestId::number(id);
    let comma = if params.is_empty() { "" } else { "," };
    let params = format!(
        r#"{{{params}{comma}"_meta":{{{more},"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}"#
    );
    Request::new(Message::request(id.clone(), method, &params), id)
}

async fn open(stub: &Stub) -> (Arc<dyn Session>, mpsc::UnboundedReceiver<Message>) {
    open_for(stub, &Arc::default(), ROOTS).await
}

/// Opens a session for a client with these `capabilities`.
async fn open_for(
    stub: &Stub,
    bridge: &Arc<Bridge>,
    capabilities: &str,
) -> (Arc<dyn Session>, mpsc::UnboundedReceiver<Message>) {
    let (sender, told) = mpsc::unbounded_channel();
    let client = Client::new(Told(sender));
    let id = RequestId::of_ours(1);
    let params = format!(
        r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{{}}}}"#
    );
    let initialize = Request::new(Message::request(id.clone(), method::INITIALIZE, &params), id);
    let greeting = Greeting::Stateless(initialize);
    let opened = super::open(stub, bridge, &greeting, &client).await;
    let Ok(opened) = opened else { panic!("no session") };
    (opened.session, told)
}

/// The state in a result that asks for input.
fn state_in(response: &Response) -> String {
    let result = Object::read(local::text(response.result().unwrap())).unwrap();
    assert_eq!(result.string("resultType").as_deref(), Some("input_required"));
    result.string("requestState").unwrap()
}

/// Starts a call, lets the upstream ask, and returns the state that the client gets.
async fn asked(stub: &Stub, session: &Arc<dyn Session>) -> String {
    asked_by(stub, session, ROOTS).await
}

/// As [`asked`], for a client with these `capabilities`.
async fn asked_by(stub: &Stub, session: &Arc<dyn Session>, capabilities: &str) -> String {
    let more = r#""progressToken":"t1""#;
    let call = request_with(1, method::TOOLS_CALL, r#""name":"any""#, more, capabilities);
    let session = session.clone();
    let calling = tokio::spawn(async move { session.exchange(&call).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let question = Message::request(RequestId::number(7), method::ROOTS, "{}");
    stub.send(1, question).await;
    state_in(&calling.await.unwrap().unwrap())
}

fn answer(id: u64, state: &str) -> Request {
    request(id, method::TOOLS_CALL, &answers(state, "roots-list-1", r#"{"roots":[]}"#))
}

/// The params of a call that comes back with the answer to the question `key`.
fn answers(state: &str, key: &str, answer: &str) -> String {
    format!(r#""name":"any","inputResponses":{{"{key}":{answer}}},"requestState":"{state}""#)
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
    let state = state_in(&first);
    let result = session.exchange(&answer(2, &state)).await.unwrap();
    assert!(result.result().is_some());
    assert_eq!(stub.arrivals(method::TOOLS_CALL).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_gives_its_call_up() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let (session, _told) = open(&stub).await;
    let state = asked(&stub, &session).await;
    // The client takes the request up, and its time is over.
    let retry = answer(2, &state);
    let waiting = session.exchange(&retry);
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
    let cancelled = Message::notification(method::CANCELLED, r#"{"requestId":2}"#);
    session.send(&cancelled).await.unwrap();
    let told = stub.arrivals(method::CANCELLED);
    assert_eq!(local::params(&told[0].message), r#"{"requestId":1}"#, "as the upstream knows it");
    let again = session.exchange(&answer(3, &state)).await.unwrap();
    assert_eq!(again.error_code(), Some(code::INVALID_PARAMS));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_there_is_no_room_to_keep_is_given_up_at_once() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let bridge = Bridge { held: Arc::new(Held::up_to(1)), ..Bridge::default() };
    let (session, _told) = open_for(&stub, &Arc::new(bridge), ROOTS).await;
    asked(&stub, &session).await;
    let call = request(2, method::TOOLS_CALL, r#""name":"any""#);
    let calling = tokio::spawn(async move { session.exchange(&call).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    stub.send(1, Message::request(RequestId::number(8), method::ROOTS, "{}")).await;
    let refused = calling.await.unwrap().unwrap();
    assert!(refused.error().is_some(), "{refused:?}");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let cancelled = stub.arrivals(method::CANCELLED);
    assert_eq!(local::params(&cancelled[0].message), r#"{"requestId":2}"#);
    assert!(local::text(stub.arrivals("(response)")[0].message.text()).contains(r#""error""#));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_superseded_session_is_logged_and_cancelled_there() {
    let capabilities = r#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{}},"serverInfo":{"name":"s","version":"1"}}"#;
    let stub = Stub::new(move |arrival, _| match arrival.method.as_str() {
        method::INITIALIZE => Reply::Result(capabilities),
        method::SET_LEVEL => Reply::Result("{}"),
        _ => Reply::Hangs,
    });
    let bridge = Arc::default();
    let (first, mut told) = open_for(&stub, &bridge, ROOTS).await;
    let state = asked(&stub, &first).await;
    let first_client = stub.client();
    let more = request_with(2, method::TOOLS_CALL, "", r#""x/y":1"#, r#"{"sampling":{}}"#);
    let failure = first.exchange(&more).await.unwrap_err();
    assert_eq!(failure.class(), Class::WrongForm);
    first.ended().cancel();
    let (second, _) = open_for(&stub, &bridge, ROOTS).await;
    let params = answers(&state, "roots-list-1", r#"{"roots":[]}"#);
    let level = r#""io.modelcontextprotocol/logLevel":"error""#;
    let retry = request_with(3, method::TOOLS_CALL, &params, level, ROOTS);
    let waiting = tokio::spawn(async move { second.exchange(&retry).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(stub.arrivals(method::SET_LEVEL)[0].session, 1);
    let log = Message::notification(method::LOG, r#"{"level":"error","data":1}"#);
    first_client.notify_during(log, Some(&RequestId::number(1))).await;
    assert_eq!(told.try_recv().unwrap().method(), method::LOG);
    waiting.abort();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let cancelled = stub.arrivals(method::CANCELLED);
    assert_eq!(cancelled[0].session, 1);
    assert_eq!(local::params(&cancelled[0].message), r#"{"requestId":1}"#);
}

#[tokio::test(start_paused = true)]
async fn progress_goes_on_after_a_page_had_to_be_opened_in_a_later_round() {
    const CAPABILITIES: &str = r#"{"roots":{},"elicitation":{"url":{}}}"#;
    let stub = Stub::open(|_, before| match before {
        0 => Reply::After(
            Duration::from_secs(1),
            Box::new(Reply::ErrorWith(
                r#"{"code":-32042,"message":"open","data":{"elicitations":[{"mode":"url","url":"https://x/","message":"?"}]}}"#,
            )),
        ),
        _ => Reply::Hangs,
    });
    let (session, mut told) = open_for(&stub, &Arc::default(), CAPABILITIES).await;
    let state = asked_by(&stub, &session, CAPABILITIES).await;
    let second = session.exchange(&answer(2, &state)).await.unwrap();
    let opened = answers(&state_in(&second), "elicitation-create-2", r#"{"action":"accept"}"#);
    let third = request(3, method::TOOLS_CALL, &opened);
    let waiting = tokio::spawn(async move { session.exchange(&third).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let sent = stub.arrivals(method::TOOLS_CALL)[1].message.clone();
    let progress = |token: &str| format!(r#"{{"progressToken":"{token}","progress":1}}"#);
    assert!(local::params(&sent).contains(r#""progressToken":"t2""#), "{sent:?}");
    let known = Message::notification(method::PROGRESS, &progress("t2"));
    stub.client().notify_during(known, sent.id()).await;
    assert_eq!(local::params(&told.try_recv().unwrap()), progress("t3"));
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_listens_again_at_once_stays_subscribed() {
    let stub = Stub::new(|arrival, _| match arrival.method.as_str() {
        method::INITIALIZE => Reply::Result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}"#,
        ),
        _ => Reply::Result("{}"),
    });
    let (session, _told) = open(&stub).await;
    let filter = r#""notifications":{"resourceSubscriptions":["a:1"]}"#;
    let listen = |id: u64| {
        let (session, request) = (session.clone(), request(id, method::LISTEN, filter));
        async move { session.exchange(&request).await }
    };
    let mut first = Box::pin(listen(1));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut first).await.is_err());
    drop(first);
    let mut second = Box::pin(listen(2));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut second).await.is_err());
    let methods = stub.methods();
    assert_eq!(methods.last().unwrap(), method::RESOURCES_SUBSCRIBE, "{methods:?}");
    drop(second);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(stub.methods().last().unwrap(), method::RESOURCES_UNSUBSCRIBE);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_half_way_leaves_nothing_behind() {
    let stub = Stub::new(|arrival, before| match arrival.method.as_str() {
        method::INITIALIZE => Reply::Result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}"#,
        ),
        method::RESOURCES_SUBSCRIBE if before == 1 => Reply::Fails(Class::Final),
        _ => Reply::Result("{}"),
    });
    let (session, _told) = open(&stub).await;
    let filter = r#""notifications":{"resourceSubscriptions":["a:1","a:2"]}"#;
    assert!(session.exchange(&request(1, method::LISTEN, filter)).await.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let taken_back = stub.arrivals(method::RESOURCES_UNSUBSCRIBE);
    assert_eq!(local::params(&taken_back[0].message), r#"{"uri":"a:1"}"#);
}
