//! The daemon: one registry behind two ports.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header::HeaderName},
    response::Response,
};
use punctual_queue_wire::{identify::NSQ_VERSION, lookup::LookupIdentity};
use punctual_service::{
    bind::{BindError, listen, refuse_exposed},
    clock::{Clock, SystemClock},
    health::{self, Health},
    http,
    metrics::install,
};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    endpoints::{self, Answer, Request},
    options::{LookupOptions, LookupTlsError},
    registration::Registrations,
    registry::{Bounds, Moment, Registry},
};

const TCP_FLAG: &str = "--tcp-address";
const HTTP_FLAG: &str = "--http-address";

/// No connection is closed for a shorter silence: nodes ping every 15 s, and one that is listed again with its next
/// ping is better off than one that has to connect and register anew.
const SHORTEST_SILENCE: Duration = Duration::from_secs(60);

/// Why the daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS cannot be set up, or is half configured.
    #[error(transparent)]
    Tls(#[from] LookupTlsError),
    /// A listener has no address.
    #[error("could not read a listener's address")]
    LocalAddress(#[source] io::Error),
    /// The interface for nodes ended by itself.
    #[error("the interface for queue nodes failed")]
    Accept(#[source] io::Error),
    /// The HTTP interface ended by itself.
    #[error("the HTTP interface failed")]
    Http(#[source] io::Error),
}

/// The discovery daemon, listening but not yet serving.
#[derive(Debug)]
pub struct Lookup {
    options: LookupOptions,
    tls: Option<Arc<ServerConfig>>,
    tcp: TcpListener,
    tcp_address: SocketAddr,
    http: TcpListener,
    http_address: SocketAddr,
}

impl Lookup {
    /// Opens both ports. Who connects from now on is served once [`run`](Self::run) is.
    ///
    /// # Errors
    /// An address is in use or not ours, others could reach it and the options do not allow that, or TLS cannot be set
    /// up.
    pub async fn bind(options: LookupOptions) -> Result<Self, LookupError> {
        let tls = options.tls.load()?;
        let nodes_show_who_they_are = options.tls.authenticates();
        for (address, flag, authenticated) in [
            (options.tcp_address, TCP_FLAG, nodes_show_who_they_are),
            (options.http_address, HTTP_FLAG, false),
        ] {
            refuse_exposed(address, flag, authenticated, options.allow_unauthenticated)?;
        }
        let tcp = listen(options.tcp_address, TCP_FLAG).await?;
        let http = listen(options.http_address, HTTP_FLAG).await?;
        let tcp_address = tcp.local_addr().map_err(LookupError::LocalAddress)?;
        let http_address = http.local_addr().map_err(LookupError::LocalAddress)?;
        Ok(Self { options, tls, tcp, tcp_address, http, http_address })
    }

    /// Where nodes register.
    pub fn tcp_address(&self) -> SocketAddr {
        self.tcp_address
    }

    /// Where clients ask.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// A listener broke; what happens on one connection ends that connection only.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), LookupError> {
        let shutdown = shutdown.child_token();
        let identity = self.identity();
        let registry = SharedRegistry::new(Registry::new(
            self.options.inactive_producer_timeout,
            self.options.tombstone_lifetime,
            Bounds { of_node: self.options.max_names_per_node, of_all: self.options.max_names },
        ));
        let app = router(registry.clone());
        let silence = self.options.inactive_producer_timeout.max(SHORTEST_SILENCE);
        let registrations = Registrations::new(registry, identity, silence).over(self.tls);
        let http = async {
            let end = http::serve(self.http, app, shutdown.clone()).await;
            // Nodes should not go on registering where no one can ask.
            shutdown.cancel();
            end
        };
        let registering = async {
            let end = registrations.serve(self.tcp.into(), shutdown.clone()).await;
            shutdown.cancel(); // nor should anyone ask where no node can register
            end
        };
        let (asked, registered) = tokio::join!(http, registering);
        asked.map_err(LookupError::Http)?;
        registered.map_err(LookupError::Accept)
    }

    fn identity(&self) -> LookupIdentity {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let listening = self.http_address.ip();
        let reachable_at =
            || if listening.is_unspecified() { hostname.clone() } else { listening.to_string() };
        LookupIdentity {
            broadcast_address: self.options.broadcast_address.clone().unwrap_or_else(reachable_at),
            hostname: hostname.clone(),
            http_port: self.http_address.port(),
            tcp_port: self.tcp_address.port(),
            version: NSQ_VERSION.to_owned(),
        }
    }
}

/// The registry, shared by all connections. Every use is short and does not wait for anything.
#[derive(Debug, Clone)]
pub(crate) struct SharedRegistry(Arc<Mutex<Registry>>);

impl SharedRegistry {
    pub(crate) fn new(registry: Registry) -> Self {
        Self(Arc::new(Mutex::new(registry)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the number of nodes in the metrics.
    pub(crate) fn count(&self, registry: &Registry) {
        // Lookups are asked to list thousands of nodes, not more than a float can count.
        metrics::gauge!("punctual_lookup_nodes").set(registry.connected() as f64);
    }
}

fn router(registry: SharedRegistry) -> Router {
    health::router(Health::new(), install()).fallback(async move |request: axum::extract::Request| {
        let request = Request {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
        };
        // Nanoseconds since the Unix epoch end in the year 2262.
        let unix_ns = SystemClock.now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let now = Moment { instant: Instant::now(), unix_ns };
        into_response(endpoints::answer(&request, &mut registry.lock(), now))
    })
}

fn into_response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        // Only a redirect's location comes from outside, and then from a request that was itself valid HTTP.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
