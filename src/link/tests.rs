//! The link with an upstream in memory, under paused time.

use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::jsonrpc::Message;
use crate::upstream::stub::{INITIALIZED, Reply, Stub};
use crate::upstream::{Pending, Sink};

const SECOND: Duration = Duration::from_secs(1);

/// Keeps what the client is told.
struct Told(mpsc::UnboundedSender<String>);

impl Sink for Told {
    fn put(&self, message: Message) -> Pending<'_, ()> {
        let _ = self.0.send(message.method().to_owned());
        Box::pin(std::future::ready(()))
    }
}

fn link(stub: &Stub) -> (Arc<Link>, mpsc::UnboundedReceiver<String>) {
    let (sender, told) = mpsc::unbounded_channel();
    let policy = Policy { retry_for: 50 * SECOND, enabled: true };
    (Link::new(Box::new(stub.clone()), Client::new(Told(sender)), policy), told)
}

fn request(method: &str, params: &str) -> Request {
    let id = RequestId::number(1);
    Request::new(Message::request(id.clone(), method, params), id)
}

async fn begin(link: &Arc<Link>) -> Result<Response, Failure> {
    link.initialize(request("initialize", "{}"), 8 * SECOND).await
}

fn initialized() -> Message {
    Message::notification(method::INITIALIZED, "{}")
}

#[tokio::test(start_paused = true)]
async fn many_requests_open_one_session() {
    let stub = Stub::new(|_, _| Reply::After(SECOND, Box::new(Reply::Result(INITIALIZED))));
    let (link, _told) = link(&stub);
    link.begin_with(&request("tools/list", "{}").message, RequestId::number(1));
    let lives = [(); 5].map(|()| {
        let link = link.clone();
        tokio::spawn(async move { link.live().await.is_ok() })
    });
    for live in lives {
        assert!(live.await.unwrap());
    }
    assert_eq!(stub.arrivals("initialize").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_reported_many_times_and_opened_once() {
    let stub = Stub::open(|_, _| Reply::Result("{}"));
    let (link, mut told) = link(&stub);
    begin(&link).await.unwrap();
    link.initialized(initialized()).await;
    link.learn(
        &request("logging/setLevel", r#"{"level":"info"}"#),
        &Response::with_result("{}".into()),
    );
    let live = link.current().unwrap();
    for _ in 0..5 {
        link.lost(&live, false);
    }
    let next = link.live().await.unwrap();
    link.lost(&live, false);
    assert!(Arc::ptr_eq(&link.live().await.unwrap(), &next));
    let expected = [
        "initialize",
        "notifications/initialized",
        "initialize",
        "notifications/initialized",
        "logging/setLevel",
    ];
    assert_eq!(stub.methods(), expected);
    assert_eq!(told.recv().await.unwrap(), method::TOOLS_CHANGED);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_starts_over_gets_a_session_of_its_own() {
    let stub = Stub::new(|arrival, before| match (arrival.method.as_str(), before) {
        // Still under way when the client begins again.
        ("initialize", 0) => Reply::After(9 * SECOND, Box::new(Reply::Result(INITIALIZED))),
        ("initialize", _) => Reply::Result(INITIALIZED),
        _ => Reply::Result("{}"),
    });
    let (link, _told) = link(&stub);
    begin(&link).await.unwrap();
    begin(&link).await.unwrap();
    let live = link.current().unwrap();
    tokio::time::sleep(10 * SECOND).await;
    assert!(Arc::ptr_eq(&link.current().unwrap(), &live), "the first opening came too late");
    assert_eq!((stub.arrivals("initialize").len(), stub.closed()), (2, 1));
    begin(&link).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(stub.closed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_unnoticed_is_opened_again_within_its_spread() {
    let stub = Stub::open(|_, _| Reply::Result("{}"));
    let (link, mut told) = link(&stub);
    begin(&link).await.unwrap();
    link.initialized(initialized()).await;
    stub.end_session(1);
    assert_eq!(told.recv().await.unwrap(), method::TOOLS_CHANGED);
    let openings = stub.arrivals("initialize");
    assert_eq!(openings.iter().map(|it| it.session).collect::<Vec<_>>(), [1, 2]);
    assert!(openings[1].at <= 4 * SECOND, "{:?}", openings[1].at);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_to_all_who_wait_and_the_next_request_tries_again() {
    let stub = Stub::new(|_, before| match before {
        0 => Reply::Fails(Class::Final),
        _ => Reply::Result(INITIALIZED),
    });
    let (link, _told) = link(&stub);
    assert!(begin(&link).await.is_err());
    assert!(link.live().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_out_a_delay_that_grew_for_others() {
    let stub = Stub::new(|arrival, _| {
        if arrival.at < 300 * SECOND {
            Reply::Fails(Class::NotSent)
        } else {
            Reply::Result(INITIALIZED)
        }
    });
    let (link, _told) = link(&stub);
    begin(&link).await.unwrap();
    tokio::time::sleep(292 * SECOND).await;
    let before = Instant::now();
    assert!(link.live().await.is_ok());
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn closed_means_closed() {
    let stub = Stub::open(|_, _| Reply::Result("{}"));
    let (link, _told) = link(&stub);
    begin(&link).await.unwrap();
    let live = link.current().unwrap();
    let (sender, dropped) = tokio::sync::oneshot::channel::<()>();
    link.spawn(async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    });
    link.close(SECOND).await;
    assert!(dropped.await.is_err(), "a task goes on after the end");
    link.lost(&live, false);
    assert!(link.live().await.is_err());
    assert_eq!((stub.arrivals("initialize").len(), stub.closed()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_waits_for_is_opened_unattended() {
    let attended = Arc::new(Mutex::new(Vec::new()));
    let noted = attended.clone();
    let stub = Stub::new(move |_, before| {
        noted.lock().unwrap().push(crate::attended::is_attended());
        if before < 2 { Reply::Fails(Class::Rejected) } else { Reply::Result(INITIALIZED) }
    });
    let (link, _told) = link(&stub);
    begin(&link).await.unwrap();
    link.initialized(initialized()).await;
    assert_eq!(*attended.lock().unwrap(), [true, true, true]);
    stub.end_session(1);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(*attended.lock().unwrap(), [true, true, true, false]);
    link.lost(&link.current().unwrap(), false);
    link.live().await.unwrap();
    assert_eq!(attended.lock().unwrap().last(), Some(&true));
}
