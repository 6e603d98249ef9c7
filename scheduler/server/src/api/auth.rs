//! Lets in who shows a token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};
use punctual_service::token::TokenSet;
use tonic::Status;

use super::error::ApiError;
use super::http::is_grpc;

/// What needs no token: whether this process lives and serves, which tells nothing else.
const OPEN: &[&str] = &["/livez", "/readyz"];
/// The same over gRPC.
const OPEN_SERVICE: &str = "/grpc.health.v1.Health/";

/// Who may call. Without tokens, anybody who can reach the port.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    tokens: Option<Arc<TokenSet>>,
}

impl Gate {
    pub(super) fn new(tokens: Option<TokenSet>) -> Self {
        Self { tokens: tokens.map(Arc::new) }
    }

    fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        match &self.tokens {
            None => true,
            Some(_) if OPEN.contains(&path) || path.starts_with(OPEN_SERVICE) => true,
            Some(tokens) => presented(headers).is_some_and(|token| tokens.accepts(token)),
        }
    }
}

/// The token of `authorization: Bearer TOKEN`. The scheme's case does not matter.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Stands before every route.
pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if gate.admits(request.uri().path(), request.headers()) {
        return next.run(request).await;
    }
    metrics::counter!("punctual_rpc_unauthenticated_total").increment(1);
    let status = Status::from(ApiError::Unauthenticated);
    if is_grpc(request.headers()) { status.into_http() } else { super::http::to_response(&status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use punctual_service::token::Token;

    #[track_caller]
    fn check(path: &str, authorization: Option<&str>, expect: bool) {
        let token = Token::new("correct-horse-battery").unwrap();
        let gate = Gate::new(Some(TokenSet::of(&[token])));
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(gate.admits(path, &headers), expect, "{path} {authorization:?}");
    }

    #[test]
    fn only_health_is_open_and_the_rest_wants_a_known_token() {
        let job = "/punctual.v1.JobService/GetJob";
        check(job, Some("Bearer correct-horse-battery"), true);
        check(job, Some("bearer  correct-horse-battery"), true);
        check(job, Some("Bearer wrong-horse-battery-x"), false);
        check(job, Some("Basic correct-horse-battery"), false);
        check(job, Some("correct-horse-battery"), false);
        check(job, Some("Bearer "), false);
        check(job, None, false);
        check("/v1/jobs", None, false);
        check("/metrics", None, false);
        check("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", None, false);
        check("/grpc.health.v1.Health/Check", None, true);
        check("/livez", None, true);
        check("/readyz", None, true);
        check("/readyz/../v1/jobs", None, false);
    }

    #[test]
    fn without_tokens_everybody_is_let_in() {
        assert!(Gate::default().admits("/v1/jobs", &HeaderMap::new()));
    }
}
