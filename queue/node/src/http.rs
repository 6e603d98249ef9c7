//! The HTTP interface, as nsqd has it, with `/metrics`, `/livez` and `/readyz` beside.

mod answer;
mod config;
mod dead_letters;
mod debug;
mod drain;
mod endpoint;
mod gate;
mod manage;
mod peek;
mod publish;
mod seek;
mod stats;
mod topic_settings;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use punctual_queue_wire::http::{HttpError, Query};
use punctual_queue_wire::identify::NSQ_VERSION;
use punctual_service::health::{self, Health};
use punctual_service::socket::Address;
use serde_json::json;

use crate::auth::Granted;
use crate::lookup::Advertised;
use crate::metrics::exposition;
use crate::node::Context;
use crate::stats::StatsFilter;
use crate::tcp::Shared;
use answer::Answer;
use endpoint::Endpoint;

/// What the handlers work on.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    shared: Arc<Shared>,
    advertised: Arc<Advertised>,
    granted: Arc<Granted>,
    ports: Ports,
}

/// Where the node listens itself, whatever lookups are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// As Go says it: -1 for a socket file.
    tcp: i32,
    /// The same; 0 where there is none.
    http: i32,
    /// `None` without a certificate.
    https: Option<u16>,
}

impl Ports {
    pub(crate) fn of(tcp: &Address, http: Option<&Address>, https: Option<SocketAddr>) -> Self {
        let port = |address: &Address| address.tcp().map_or(-1, |address| address.port().into());
        Self { tcp: port(tcp), http: http.map_or(0, port), https: https.map(|address| address.port()) }
    }
}

impl Served {
    pub(crate) fn new(shared: Arc<Shared>, advertised: Advertised, ports: Ports) -> Self {
        Self { shared, advertised: Arc::new(advertised), granted: Arc::default(), ports }
    }
}

/// All paths of the node.
pub(crate) fn router(served: Served, health: Health) -> Router {
    let metrics = punctual_service::metrics::install();
    let measured = served.clone();
    let shown = move || {
        let topics = measured.topics(&StatsFilter { without_clients: true, ..StatsFilter::default() });
        metrics.render() + &exposition::render(&topics.unwrap_or_default())
    };
    let gate = axum::middleware::from_fn_with_state(served.clone(), gate::pass);
    let ours = Router::new().fallback(dispatch).with_state(served);
    health::router_showing(health, shown).merge(ours).layer(gate)
}

async fn dispatch(State(served): State<Served>, request: Request) -> Response {
    let path = request.uri().path();
    if let Some(shorter) = path.strip_suffix('/').filter(|shorter| Endpoint::of(shorter).is_some()) {
        return redirect(&request, shorter);
    }
    let Some(endpoint) = Endpoint::of(path) else {
        return answer::failure(&HttpError::NOT_FOUND);
    };
    let (methods, allow) = endpoint.methods();
    let allow = HeaderValue::from_static(allow);
    if request.method() == Method::OPTIONS {
        return ([(header::ALLOW, allow)], Body::empty()).into_response();
    }
    if !methods.contains(request.method()) {
        let mut refused = answer::failure(&HttpError::METHOD_NOT_ALLOWED);
        refused.headers_mut().insert(header::ALLOW, allow);
        return refused;
    }
    answered(served.handle(endpoint, request)).await
}

/// The answer that `work` comes to, also if it panics.
async fn answered(work: impl Future<Output = Result<Answer, HttpError>>) -> Response {
    // What a panic leaves behind is no worse than what it leaves to any other task: locks here are not poisoned.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(answer)) => answer.into_response(),
        Ok(Err(error)) => answer::failure(&error),
        Err(_reported) => answer::failure(&HttpError::INTERNAL_ERROR),
    }
}

fn redirect(request: &Request, path: &str) -> Response {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let status = if request.method() == Method::GET {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    (status, [(header::LOCATION, format!("{path}{query}"))]).into_response()
}

impl Served {
    async fn handle(&self, endpoint: Endpoint, request: Request) -> Result<Answer, HttpError> {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        match endpoint {
            Endpoint::Ping => Ok(self.ping().await),
            Endpoint::Info => Ok(self.info()),
            Endpoint::Stats => self.stats(&query?),
            Endpoint::Publish => self.publish(query, request.into_body()).await,
            Endpoint::PublishMany => self.publish_many(query, request.into_body()).await,
            Endpoint::Topic(action) => self.manage_topic(action, &query?).await,
            Endpoint::Channel(action) => self.manage_channel(action, &query?).await,
            Endpoint::Retain => self.set_retain(&query?).await,
            Endpoint::Keep => self.set_keep(&query?).await,
            Endpoint::Seek => self.seek(&query?).await,
            Endpoint::Limit => self.set_limit(&query?).await,
            Endpoint::Drain(on) => Ok(self.set_draining(on)),
            Endpoint::DeadLetters => self.set_dead_letters(&query?).await,
            Endpoint::Profile | Endpoint::ProfileSymbol => debug::profile(),
            Endpoint::BlockRate => Ok(debug::set_block_rate(&query?)),
            Endpoint::PeekChannel => self.peek_channel(&query?).await,
            Endpoint::PeekTopic => self.peek_topic(&query?).await,
            Endpoint::FreeMemory => Ok(Answer::Empty),
            Endpoint::Config => self.config(request).await,
        }
    }

    async fn ping(&self) -> Answer {
        if self.shared.context.health.wants_probe(Instant::now()) {
            let context = Arc::clone(&self.shared.context);
            let probe = move || {
                // As much as the largest message takes.
                let Context { health, committer, options, .. } = &*context;
                health.probe(committer.disk().as_ref(), &options.data_path, options.max_msg_size as usize);
            };
            // One that panicked has changed nothing.
            let _probed = tokio::task::spawn_blocking(probe).await;
        }
        match self.shared.context.health.problem() {
            None => Answer::Ping("OK".to_owned()),
            Some(problem) => Answer::Unhealthy(format!("NOK - {problem}")),
        }
    }

    fn info(&self) -> Answer {
        let (context, peer) = (&self.shared.context, &self.advertised.0);
        let limits = &context.identify_limits;
        let nanoseconds = |duration: std::time::Duration| duration.as_nanos() as u64;
        let mut info = json!({
            "version": NSQ_VERSION,
            "broadcast_address": peer.broadcast_address,
            "hostname": peer.hostname,
            "http_port": self.ports.http,
            "tcp_port": self.ports.tcp,
            "start_time": context.started_at.timestamp(),
            "max_heartbeat_interval": nanoseconds(limits.max_heartbeat_interval),
            "max_output_buffer_size": limits.max_output_buffer_bytes,
            "max_output_buffer_timeout": nanoseconds(limits.max_output_buffer_timeout),
            "max_deflate_level": limits.max_deflate_level,
            "topology_zone": peer.topology_zone,
            "topology_region": peer.topology_region,
            "node_id": context.node_id,
        });
        if let Some(drain) = self.draining() {
            info["drain"] = drain;
        }
        Answer::Json(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_answered() {
        let response = answered(async { panic!("this is a test") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(body, r#"{"message":"INTERNAL_ERROR"}"#);
    }
}
