//! What an endpoint answers, and how that looks.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use punctual_queue_wire::http::{CONTENT_TYPE_HEADER, CONTENT_TYPE_VALUE, HttpError, JSON, TEXT};

/// A success.
#[derive(Debug)]
pub(super) enum Answer {
    Empty,
    Text(String),
    Json(serde_json::Value),
    /// The answer to `/ping`, which has no header of NSQ's.
    Ping(String),
    /// The same when the node is not well.
    Unhealthy(String),
    /// What is wrong with a request, in words.
    Refusal(String),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Empty => with_nsq_header(Body::empty().into_response(), None),
            Self::Text(text) => with_nsq_header(text.into_response(), Some(TEXT)),
            Self::Json(json) => with_nsq_header(json.to_string().into_response(), Some(JSON)),
            Self::Ping(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
            Self::Unhealthy(text) => {
                (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, TEXT)], text).into_response()
            }
            Self::Refusal(text) => {
                (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, TEXT)], text).into_response()
            }
        }
    }
}

/// An error answer. One to a body that is too large closes the connection, because the rest of it may still come.
pub(super) fn failure(error: &HttpError) -> Response {
    let mut response = with_nsq_header(error.body().into_response(), Some(JSON));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn with_nsq_header(mut response: Response, content_type: Option<&'static str>) -> Response {
    let headers = response.headers_mut();
    headers
        .insert(HeaderName::from_static(CONTENT_TYPE_HEADER), HeaderValue::from_static(CONTENT_TYPE_VALUE));
    match content_type {
        Some(content_type) => headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        None => headers.remove(header::CONTENT_TYPE),
    };
    response
}
