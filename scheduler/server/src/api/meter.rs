//! Counts calls and how long they take.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::http::is_grpc;
use super::status::code_name;

/// Stands before every route. `punctual_rpc_seconds{method,code}` is until the answer begins, which for a stream is
/// not its end.
pub(super) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let grpc = is_grpc(request.headers());
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let response = next.run(request).await;
    let code = if grpc { grpc_code(response.headers()) } else { http_code(&response) };
    let method = match route {
        // Paths that callers invent must not become series.
        _ if grpc && code == Code::Unimplemented => "unknown".to_owned(),
        _ if grpc => path,
        Some(route) => route,
        None => "unknown".to_owned(),
    };
    metrics::histogram!("punctual_rpc_seconds", "method" => method, "code" => code_name(code))
        .record(started.elapsed());
    response
}

/// A call that failed carries its code in the head of its answer, since it has no body.
fn grpc_code(headers: &HeaderMap) -> Code {
    Status::from_header_map(headers).map_or(Code::Ok, |status| status.code())
}

/// Our answers over HTTP are translations of codes; what else there is comes from the router.
fn http_code(response: &Response) -> Code {
    match response.status().as_u16() {
        200..=399 => Code::Ok,
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        404 => Code::NotFound,
        405 => Code::Unimplemented,
        409 => Code::AlreadyExists,
        412 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        _ => Code::Internal,
    }
}
