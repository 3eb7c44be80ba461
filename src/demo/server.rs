//! The HTTP server that all sample services share: connections, bodies, and the few shapes that
//! an answer has. What is answered is decided in the module of the service.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Service;

/// The largest request body in bytes. Far above any sensible call of a sample service, and small
/// enough to be kept in memory for each of many calls at once.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;

/// How long to wait before accepting again when that failed: the usual reason, too many open
/// files, does not go away at once, and the thread has other work to do.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a service answers with.
pub(super) type Answer = Response<Full<Bytes>>;

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
            // Taken out as they end, or the set would grow with every connection.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. When the client closes it, a call that is being answered is dropped
/// where it waits: this is how a long call is cancelled.
async fn converse(stream: TcpStream, service: Arc<Service>) {
    let served = async {
        // Answers are written whole; waiting to fill a packet would only delay them.
        stream.set_nodelay(true)?;
        let answer = service_fn(|request| answer(&service, request));
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await
            .map_err(io::Error::other)
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the sample service broke");
    }
}

async fn answer(service: &Service, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match read(body).await {
        Ok(Some(body)) => service.answer(&Request::from_parts(head, body)).await,
        Ok(None) => refused(StatusCode::PAYLOAD_TOO_LARGE, "Слишком большой запрос"),
        Err(error) => {
            tracing::debug!(%error, "a request to the sample service was cut short");
            refused(StatusCode::BAD_REQUEST, "Запрос получен не полностью")
        }
    };
    Ok(answer)
}

/// The whole body, or `None` when it is larger than [`MAX_BODY`]. Such a body is still read to its
/// end, without being kept, because a client that is still sending would miss the answer.
async fn read(mut body: Incoming) -> Result<Option<Vec<u8>>, hyper::Error> {
    let mut read = Some(Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        read = read.filter(|read: &Vec<u8>| read.len() + data.len() <= MAX_BODY);
        if let Some(read) = &mut read {
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

/// A status without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

/// A body with status 200 and the given media type.
pub(super) fn content(media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(Full::new(body.into()));
    let media_type = HeaderValue::from_static(media_type);
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    answer
}

/// A page such as a web server shows for a status that is not a success.
pub(super) fn refused(status: StatusCode, text: &str) -> Answer {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n\
         <body>\n<h1>{status}</h1>\n<p>{text}.</p>\n</body></html>\n"
    );
    let mut answer = content("text/html; charset=utf-8", page);
    *answer.status_mut() = status;
    answer
}

/// The refusal of a method on a path where only `allowed` is known.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let text = format!("Здесь можно использовать только метод {allowed}");
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, &text);
    let allowed = HeaderValue::from_static(allowed);
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}
