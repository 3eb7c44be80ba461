//! Conversations in memory, under paused time: a wait of a minute takes no time here, and each wait
//! is as long as it says.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::failure::Class;
use crate::hint::Readers;
use crate::upstream::stub::{INITIALIZED, Reply, Stub};

const SECOND: Duration = Duration::from_secs(1);

/// A conversation with its two ends.
struct Rig {
    input: Option<mpsc::Sender<Vec<Input>>>,
    output: mpsc::UnboundedReceiver<Bytes>,
    stop: Option<oneshot::Sender<()>>,
    conversation: JoinHandle<Outcome>,
    born: Instant,
}

fn settings() -> Settings {
    Settings {
        url: "http://stub/mcp".to_owned(),
        secrets: Arc::default(),
        readers: Readers::OfEnglish,
        max_in_flight: 4,
        max_message: 1024 * 1024,
        start_timeout: 4 * SECOND,
        max_time: None,
        drain: 60 * SECOND,
        policy: Policy { retry_for: 50 * SECOND, enabled: true },
    }
}

impl Rig {
    fn start(stub: &Stub) -> Self {
        Self::with(settings(), stub)
    }

    fn with(settings: Settings, stub: &Stub) -> Self {
        let (input, stdin) = Stdin::memory();
        let (writer, output) = Writer::memory();
        let (stop, stopped) = oneshot::channel();
        let client = Client::new(writer.outlet());
        let link = Link::new(Box::new(stub.clone()), client.clone(), settings.policy);
        let conversation = Conversation::new(settings, link, client, &writer);
        let stopped = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let run =
            conversation.run(stdin, writer, Box::pin(stopped), Box::pin(std::future::pending()));
        let conversation = tokio::spawn(run);
        let born = Instant::now();
        Self { input: Some(input), output, stop: Some(stop), conversation, born }
    }

    /// A conversation whose handshake is over.
    async fn ready(stub: &Stub) -> Self {
        Self::ready_with(settings(), stub).await
    }

    async fn ready_with(settings: Settings, stub: &Stub) -> Self {
        let mut rig = Self::with(settings, stub);
        rig.request(0, "initialize", json!({"protocolVersion": "2025-11-25"})).await;
        assert!(rig.hear().await["result"].is_object());
        rig.notify("notifications/initialized", json!({})).await;
        rig
    }

    async fn say(&self, message: &Value) {
        let line = Input::Line(message.to_string().into());
        self.input.as_ref().unwrap().send(vec![line]).await.unwrap();
    }

    async fn request(&self, id: u64, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.say(&message).await;
    }

    async fn call(&self, id: u64, tool: &str) {
        self.request(id, "tools/call", json!({"name": tool, "arguments": {}})).await;
    }

    async fn notify(&self, method: &str, params: Value) {
        self.say(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// The next line.
    async fn hear(&mut self) -> Value {
        serde_json::from_slice(&self.output.recv().await.expect("no further line")).unwrap()
    }

    /// The next reply to `id`, passing over everything else.
    async fn reply(&mut self, id: u64) -> Value {
        loop {
            let line = self.hear().await;
            if line["id"] == id && line.get("method").is_none() {
                return line;
            }
        }
    }

    /// Ends the input.
    fn end(&mut self) {
        self.input = None;
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end, and returns the lines that came until then.
    async fn rest(mut self) -> Vec<Value> {
        self.conversation.await.unwrap();
        let lines = std::iter::from_fn(|| self.output.try_recv().ok());
        lines.map(|line| serde_json::from_slice(&line).unwrap()).collect()
    }

    fn elapsed(&self) -> Duration {
        self.born.elapsed()
    }
}

/// Lets every task run until all of them wait.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn ok() -> Reply {
    Reply::Result("{}")
}

fn after(seconds: u32) -> Reply {
    Reply::After(SECOND * seconds, Box::new(ok()))
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_the_handshake() {
    let stub = Stub::new(|arrival, _| match arrival.method.as_str() {
        "initialize" => Reply::After(2 * SECOND, Box::new(Reply::Result(INITIALIZED))),
        _ => ok(),
    });
    let mut rig = Rig::start(&stub);
    rig.request(1, "initialize", json!({})).await;
    rig.call(2, "early").await;
    rig.notify("notifications/initialized", json!({})).await;
    rig.call(3, "late").await;
    for id in 1..=3 {
        rig.reply(id).await;
    }
    // A request that comes too early gets `initialized` sent for it, once.
    let expected = ["initialize", "notifications/initialized", "tools/call", "tools/call"];
    assert_eq!(stub.methods(), expected);
    assert_eq!(stub.arrivals("tools/call")[0].at, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_bound_wait_in_order_and_nothing_else_does() {
    let stub = Stub::open(|arrival, _| match arrival.method.as_str() {
        "tools/call" => after(10),
        _ => ok(),
    });
    let mut rig = Rig::ready(&stub).await;
    for id in 1..=6 {
        rig.call(id, "slow").await;
    }
    rig.request(7, "ping", json!({})).await;
    rig.notify("notifications/progress", json!({})).await;
    assert_eq!(rig.hear().await["id"], 7);
    settle().await;
    assert!(rig.elapsed() < SECOND);
    assert_eq!(stub.arrivals("tools/call").len(), 4);
    assert_eq!(stub.arrivals("notifications/progress").len(), 1);
    rig.reply(5).await;
    assert_eq!(rig.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_stands_takes_no_place_and_holds_no_end_up() {
    let stub = Stub::open(|arrival, _| match arrival.method.as_str() {
        "subscriptions/listen" => Reply::Hangs,
        _ => after(3),
    });
    let mut rig = Rig::ready(&stub).await;
    for id in 1..=9 {
        rig.request(id, "subscriptions/listen", json!({})).await;
    }
    rig.call(10, "any").await;
    settle().await;
    assert_eq!(stub.arrivals("tools/call").len(), 1);
    rig.end();
    let born = rig.born;
    let lines = rig.rest().await;
    assert_eq!(lines[0]["id"], 10);
    assert!(lines[1..].iter().all(|line| line["result"]["resultType"] == "complete"));
    assert_eq!(lines.len(), 10);
    assert!(born.elapsed() < 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_gets_no_reply() {
    let stub = Stub::open(|_, _| after(5));
    let settings = Settings { max_in_flight: 1, ..settings() };
    let mut rig = Rig::ready_with(settings, &stub).await;
    rig.call(1, "in flight").await;
    rig.call(2, "waiting").await;
    rig.call(3, "waiting").await;
    for id in [1, 2] {
        rig.notify("notifications/cancelled", json!({"requestId": id, "reason": "enough"})).await;
    }
    // The places that they held are free.
    assert_eq!(rig.reply(3).await["id"], 3);
    assert!(rig.elapsed() < 6 * SECOND);
    let told = stub.arrivals("notifications/cancelled");
    assert_eq!(told.len(), 1, "what was never sent needs no cancelling");
    let names: Vec<_> = stub.arrivals("tools/call").into_iter().collect();
    assert_eq!(names.len(), 2);
    rig.end();
    assert_eq!(rig.rest().await, [Value::Null; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_input_waits_for_what_is_in_flight() {
    let stub = Stub::open(|_, _| after(30));
    let mut rig = Rig::ready(&stub).await;
    rig.call(1, "any").await;
    settle().await;
    rig.end();
    let lines = rig.rest().await;
    assert_eq!(lines.len(), 1);
    assert!(lines[0]["result"].is_object());
    assert_eq!(stub.closed(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_input_does_not_wait_for_ever() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let mut rig = Rig::ready(&stub).await;
    rig.call(1, "any").await;
    settle().await;
    rig.end();
    let born = rig.born;
    let lines = rig.rest().await;
    assert_eq!(lines[0]["error"]["code"], -33008);
    assert_eq!(lines[0]["error"]["data"]["mayHaveRun"], true);
    assert_eq!(born.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_stop_answers_at_once_and_ends_the_session() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let mut rig = Rig::ready(&stub).await;
    rig.call(1, "any").await;
    settle().await;
    rig.stop();
    let born = rig.born;
    let lines = rig.rest().await;
    assert_eq!((lines.len(), &lines[0]["error"]["code"]), (1, &json!(-33008)));
    assert!(born.elapsed() < SECOND / 2);
    assert_eq!(stub.closed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_ends_the_conversation() {
    let stub = Stub::open(|_, _| ok());
    let rig = Rig::ready(&stub).await;
    let Rig { input, output, conversation, .. } = rig;
    drop(output);
    // The next write notices.
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    input.as_ref().unwrap().send(vec![Input::Line(line.into())]).await.unwrap();
    conversation.await.unwrap();
    assert_eq!(stub.closed(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_the_end_does_not_cost_the_end_of_the_session() {
    type Event = fn(&mut Rig);
    let events: [(&str, Duration, Event); 2] = [
        ("a stop", SECOND * 11 / 10, Rig::stop),
        // The call's error is then what cannot be written.
        ("a client that is gone", SECOND / 2, |rig| rig.output.close()),
    ];
    for (what, at, event) in events {
        let stub = Stub::open(|_, _| Reply::Hangs).closing_in(SECOND / 5);
        let settings = Settings { drain: SECOND, ..settings() };
        let mut rig = Rig::ready_with(settings, &stub).await;
        rig.call(1, "any").await;
        settle().await;
        rig.end();
        sleep(at).await;
        event(&mut rig);
        let born = rig.born;
        rig.rest().await;
        assert_eq!(stub.closed(), 1, "{what}");
        assert!(born.elapsed() < SECOND * 3 / 2, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_long_is_answered_without_the_upstream() {
    let stub = Stub::new(|arrival, before| match (arrival.method.as_str(), before) {
        ("initialize", 0..3) => Reply::Later(10 * SECOND),
        ("initialize", _) => Reply::Result(INITIALIZED),
        _ => ok(),
    });
    let mut rig = Rig::start(&stub);
    rig.request(1, "initialize", json!({"protocolVersion": "2025-06-18"})).await;
    let reply = rig.hear().await;
    assert_eq!(rig.elapsed(), 4 * SECOND);
    assert_eq!(reply["result"]["serverInfo"]["name"], "mcpline");
    assert_eq!(reply["result"]["protocolVersion"], "2025-06-18");
    rig.notify("notifications/initialized", json!({})).await;
    rig.request(2, "tools/list", json!({})).await;
    let mut methods = Vec::new();
    loop {
        let line = rig.hear().await;
        if line["id"] == 2 {
            break;
        }
        methods.push(line["method"].as_str().unwrap().to_owned());
    }
    assert!(methods.contains(&"notifications/tools/list_changed".to_owned()), "{methods:?}");
    assert_eq!(stub.arrivals("initialize").len(), 4);
    assert_eq!(stub.arrivals("notifications/initialized").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_for_which_no_session_came_has_not_run() {
    for class in [Class::Final, Class::Ambiguous, Class::NotSent] {
        let stub = Stub::new(move |_, _| Reply::Fails(class));
        let mut rig = Rig::start(&stub);
        rig.call(1, "any").await;
        let reply = rig.reply(1).await;
        assert_eq!(reply["error"]["data"].get("mayHaveRun"), None, "{class:?}: {reply}");
    }
}

/// The row of a table about retrying: what the upstream answers to the first attempts, the tool's
/// attempts that follow, and the code of the error that the client gets, if any.
#[tokio::test(start_paused = true)]
async fn only_what_may_be_repeated_is_within_its_budget() {
    type Script = fn(usize) -> Reply;
    let rows: [(&str, &str, Script, usize, Option<i64>); 8] = [
        (
            "a rejected call",
            "tools/call",
            |n| [Reply::Later(SECOND), ok()].into_iter().nth(n).unwrap(),
            2,
            None,
        ),
        (
            "a call that was not sent",
            "tools/call",
            |n| if n < 3 { Reply::Fails(Class::NotSent) } else { ok() },
            4,
            None,
        ),
        ("an ambiguous call", "tools/call", |_| Reply::Fails(Class::Ambiguous), 1, Some(-33003)),
        (
            "an ambiguous listing",
            "tools/list",
            |n| if n < 2 { Reply::Fails(Class::Ambiguous) } else { ok() },
            3,
            None,
        ),
        ("a final refusal", "tools/list", |_| Reply::Fails(Class::Final), 1, Some(-33003)),
        (
            "a wait within the budget",
            "tools/call",
            |n| if n < 1 { Reply::Later(20 * SECOND) } else { ok() },
            2,
            None,
        ),
        ("a wait beyond the budget", "tools/call", |_| Reply::Later(60 * SECOND), 1, Some(-33003)),
        (
            "a session that is lost again and again",
            "tools/call",
            |_| Reply::Fails(Class::SessionLost),
            3,
            Some(-33003),
        ),
    ];
    for (what, method, script, attempts, code) in rows {
        let stub = Stub::open(move |_, before| script(before));
        let mut rig = Rig::ready(&stub).await;
        rig.request(1, method, json!({"name": "any"})).await;
        let reply = rig.reply(1).await;
        assert_eq!(reply["error"]["code"].as_i64(), code, "{what}: {reply}");
        assert_eq!(stub.arrivals(method).len(), attempts, "{what}");
        assert!(rig.elapsed() < 50 * SECOND, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_has_never_answered_is_waited_for_a_few_seconds_only() {
    let stub = Stub::new(|arrival, _| match arrival.method.as_str() {
        "initialize" if arrival.at < 100 * SECOND => Reply::Fails(Class::NotSent),
        "initialize" => Reply::Result(INITIALIZED),
        _ => ok(),
    });
    let mut rig = Rig::start(&stub);
    rig.request(1, "initialize", json!({})).await;
    rig.hear().await;
    rig.call(2, "any").await;
    let reply = rig.reply(2).await;
    assert_eq!(reply["error"]["code"], -33003);
    assert_eq!(reply["error"]["data"].get("mayHaveRun"), None);
    let elapsed = rig.elapsed();
    assert_eq!(elapsed.as_secs(), 7);
    sleep(20 * SECOND).await;
    let before = rig.elapsed();
    rig.call(3, "any").await;
    assert_eq!(rig.reply(3).await["error"]["code"], -33003);
    assert_eq!(rig.elapsed().saturating_sub(before).as_secs(), 3);
    // The attempts go on, and the first success is told.
    assert_eq!(rig.hear().await["method"], "notifications/tools/list_changed");
    assert!(rig.elapsed() >= 100 * SECOND);
    rig.call(4, "any").await;
    assert!(rig.reply(4).await["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_has_answered_before_is_waited_for_within_the_budget() {
    let stub = Stub::new(|arrival, before| match arrival.method.as_str() {
        "initialize" if before > 0 => Reply::Fails(Class::NotSent),
        "initialize" => Reply::Result(INITIALIZED),
        _ => Reply::Fails(Class::SessionLost),
    });
    let mut rig = Rig::ready(&stub).await;
    rig.call(1, "any").await;
    let reply = rig.reply(1).await;
    assert_eq!(reply["error"]["data"].get("mayHaveRun"), None);
    assert_eq!(rig.elapsed().as_secs(), 50);
}

#[tokio::test(start_paused = true)]
async fn what_our_own_initialize_promised_is_kept() {
    const TOOLS_ONLY: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}"#;
    let stub = Stub::new(|arrival, before| match (arrival.method.as_str(), before) {
        ("initialize", 0) => Reply::Later(5 * SECOND),
        ("initialize", _) => Reply::Result(TOOLS_ONLY),
        ("tools/list", _) => Reply::Error(-32000),
        ("tools/call", _) => Reply::Error(-32601),
        (_, before) => Reply::Error([-32601, -32600][before % 2]),
    });
    let mut rig = Rig::start(&stub);
    rig.request(0, "initialize", json!({})).await;
    assert_eq!(rig.hear().await["result"]["serverInfo"]["name"], "mcpline");
    for (id, method, member) in [
        (1, "prompts/list", Some("prompts")),
        (2, "resources/list", Some("resources")),
        (3, "resources/templates/list", Some("resourceTemplates")),
        (4, "prompts/list", Some("prompts")),
        (5, "tools/list", None),
        (6, "tools/call", None),
    ] {
        rig.request(id, method, json!({})).await;
        let reply = rig.reply(id).await;
        match member {
            Some(member) => assert_eq!(reply["result"], json!({member: []}), "{reply}"),
            None => assert!(reply["error"].is_object(), "{reply}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn progress_on_a_stream_of_all_passes_only_for_requests_in_flight() {
    let stub = Stub::open(|_, _| after(10));
    let mut rig = Rig::ready(&stub).await;
    let asks = |token: Value| json!({"name": "any", "_meta": {"progressToken": token}});
    rig.request(1, "tools/call", asks(json!("one"))).await;
    rig.request(2, "tools/call", asks(json!(2))).await;
    settle().await;
    let stray = |token: &str| {
        let params = format!(r#"{{"progressToken":{token},"progress":1}}"#);
        stub.client().is_stray_progress(&Message::notification(method::PROGRESS, &params))
    };
    assert!(!stray("\"one\"") && !stray("2") && !stray("2.0"));
    assert!(stray("1") && stray("\"2\"") && stray("null"));
    rig.notify("notifications/cancelled", json!({"requestId": 2})).await;
    settle().await;
    assert!(stray("2") && !stray("\"one\""));
    rig.reply(1).await;
    assert!(stray("\"one\""));
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_bound_as_a_whole() {
    let stub = Stub::open(|_, _| Reply::Hangs);
    let settings = Settings { max_time: Some(7 * SECOND), ..settings() };
    let mut rig = Rig::ready_with(settings, &stub).await;
    rig.call(1, "any").await;
    let reply = rig.reply(1).await;
    assert_eq!(reply["error"]["code"], -33006);
    assert_eq!(reply["error"]["data"]["mayHaveRun"], true);
    assert_eq!(rig.elapsed().as_secs(), 7);
    settle().await;
    assert_eq!(stub.arrivals("notifications/cancelled").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_in_its_session_or_refused_at_the_end() {
    let stub = Stub::open(|arrival, _| match arrival.method.as_str() {
        "tools/call" => after(10),
        _ => ok(),
    });
    let mut rig = Rig::ready(&stub).await;
    rig.call(1, "asks").await;
    settle().await;
    for id in [100, 101] {
        let id = RequestId::number(id);
        stub.send(1, Message::request(id, "roots/list", "{}")).await;
        assert_eq!(rig.hear().await["method"], "roots/list");
    }
    rig.say(&json!({"jsonrpc": "2.0", "id": 100, "result": {"roots": []}})).await;
    rig.say(&json!({"jsonrpc": "2.0", "id": 999, "result": {}})).await;
    settle().await;
    rig.end();
    rig.rest().await;
    let answers: Vec<_> =
        stub.arrivals("(response)").iter().map(|it| it.message.text().clone()).collect();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].ends_with(br#""result":{"roots":[]}}"#), "{answers:?}");
    assert!(answers[1].starts_with(br#"{"jsonrpc":"2.0","id":101,"error""#), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_handshake_gets_one_made() {
    let stub = Stub::open(|_, _| ok());
    let mut rig = Rig::start(&stub);
    rig.notify("notifications/progress", json!({})).await;
    rig.request(2, "tools/list", json!({})).await;
    assert_eq!(rig.hear().await["id"], 2);
    assert_eq!(stub.methods(), ["initialize", "notifications/initialized", "tools/list"]);
}
