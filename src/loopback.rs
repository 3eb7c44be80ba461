//! HTTP servers inside the process, on ports of the loopback interface: the sample service, and the
//! page that a browser comes back to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::background::boxed;

/// The wait after a failed `accept`: too many open files, the usual reason, last a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of the head of a request. Those of browsers have a few thousand at most.
const MAX_HEAD: usize = 32 * 1024;

/// An answer to a request.
pub(crate) type Answer = Response<Full<Bytes>>;

/// What answers requests. It is no type parameter: for each, hyper would be in the program once more.
pub(crate) type Answering = Arc<dyn Fn(Request<Incoming>) -> Pending + Send + Sync>;

/// An answer that is being made.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Serves connections until it is dropped, which drops all that it accepted as well. With
/// `head_patience` a connection serves one request, whose head must be there in that time.
pub(crate) async fn serve(
    listener: TcpListener,
    answering: Answering,
    head_patience: Option<Duration>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // A task for each: one that a browser opened ahead must not hold up the others.
                Ok((stream, _)) => {
                    connections.spawn(boxed(converse(stream, answering.clone(), head_patience)));
                }
                Err(error) => {
                    tracing::debug!(%error, "a loopback port cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // Without this the set would grow with every connection.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. When the peer closes it, the answer in progress is dropped: this is how a
/// long call of the sample service is cancelled.
async fn converse(stream: TcpStream, answering: Answering, head_patience: Option<Duration>) {
    // Answers are written whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let answer = |request| {
        let answer = answering(request);
        async { Ok::<_, Infallible>(answer.await) }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_patience)
        .max_buf_size(MAX_HEAD)
        .keep_alive(head_patience.is_none())
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to a loopback port broke");
    }
}
