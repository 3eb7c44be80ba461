//! HTTP answers of the sample service.

use ::http::StatusCode;
use ::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use http_body_util::Full;

use crate::loopback::Answer;

/// A body of the given media type.
pub(super) fn content(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Answer::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// A page such as a web server shows for a status that is not a success.
pub(super) fn page(status: StatusCode, text: &str) -> Answer {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n\
         <body>\n<h1>{status}</h1>\n<p>{text}.</p>\n</body></html>\n"
    );
    content(status, "text/html; charset=utf-8", page)
}
