//! HTTP for the sample service: connections and bodies. `service` decides what is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answer::page;
use super::service::Service;

/// The largest request body in bytes: far above any sensible call.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;

/// The wait after a failed `accept`: too many open files, the usual reason, last a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until it is dropped, which drops all that it accepted as well.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&service)));
                }
                Err(error) => {
                    tracing::debug!(%error, "the sample service cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // Without this the set would grow with every connection.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. When the client closes it, the call in progress is dropped: this is how a
/// long call is cancelled.
async fn converse(stream: TcpStream, service: Arc<Service>) {
    // Answers are written whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let answer = |request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        Ok::<_, Infallible>(match read(body).await {
            Ok(Some(body)) => service.answer(&Request::from_parts(head, body)).await,
            Ok(None) => page(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Err(_) => page(StatusCode::BAD_REQUEST, "The request cannot be read"),
        })
    };
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the sample service broke");
    }
}

/// A whole body, or `None` when it is larger than [`MAX_BODY`]. A larger one is read to its end and
/// dropped, because a client that is still sending would miss the answer.
async fn read(mut body: Incoming) -> hyper::Result<Option<Vec<u8>>> {
    let mut whole = Some(Vec::new());
    while let Some(frame) = body.frame().await.transpose()? {
        let Some(data) = frame.data_ref() else { continue };
        whole = whole.filter(|whole| whole.len() + data.len() <= MAX_BODY);
        if let Some(whole) = &mut whole {
            whole.extend_from_slice(data);
        }
    }
    Ok(whole)
}
