//! HTTP for the sample service: connections and bodies. `service` decides what is answered.

use std::sync::Arc;

use ::http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::answer::page;
use super::service::Service;
use crate::loopback::{self, Answer, Pending};

/// The largest request body in bytes: far above any sensible call.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;

/// Serves connections until it is dropped, which drops all that it accepted as well.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>) {
    let answering = move |request| -> Pending {
        let service = service.clone();
        Box::pin(async move { answer(&service, request).await })
    };
    loopback::serve(listener, Arc::new(answering), None).await;
}

async fn answer(service: &Service, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    match read(body).await {
        Ok(Some(body)) => service.answer(&Request::from_parts(head, body)).await,
        Ok(None) => page(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
        Err(_) => page(StatusCode::BAD_REQUEST, "The request cannot be read"),
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
