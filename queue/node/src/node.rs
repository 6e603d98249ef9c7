//! The node as a whole: opened, served, stopped.

mod context;
mod recovery;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use punctual_queue_log::disk::{Disk, RealDisk};
use punctual_queue_log::error::SyncFailure;
use punctual_service::bind;
use punctual_service::dir_lock::DirLock;
use punctual_service::health::Health;
use punctual_service::socket::{Address, Listener};
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::AuthServers;
use crate::error::NodeError;
use crate::http;
use crate::lookup::{Advertised, Registering};
use crate::options::NodeOptions;
use crate::statsd;
use crate::tcp;
use crate::tls::NodeTls;
pub(crate) use context::Context;
use recovery::{Recovered, recover};

const TCP_FLAG: &str = "--tcp-address";
const HTTP_FLAG: &str = "--http-address";
const HTTPS_FLAG: &str = "--https-address";

/// How long the lookups may take to hear that the node leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// A queue node: recovered, its ports open, and serving once it [`run`](Self::run)s.
#[derive(Debug)]
pub struct Node {
    tcp: Listener,
    http: Option<Listener>,
    https: Option<TcpListener>,
    tcp_address: Address,
    http_address: Option<Address>,
    https_address: Option<SocketAddr>,
    advertised: Advertised,
    lookup_tls: Option<Arc<ClientConfig>>,
    shared: Arc<tcp::Shared>,
    failure: watch::Receiver<Option<SyncFailure>>,
    health: Health,
    lock: DirLock,
}

impl Node {
    /// Takes the data directory, recovers what is in it, and opens the ports. Nothing is served before
    /// [`run`](Self::run). Dropped without that, the node leaves everything as after a kill.
    ///
    /// # Errors
    /// The directory is in use or cannot be read, or a port cannot be opened.
    pub async fn open(options: NodeOptions) -> Result<Self, NodeError> {
        Self::open_on(Arc::new(RealDisk), options).await
    }

    /// The same with the files on `disk`; for tests.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(disk: Arc<dyn Disk>, options: NodeOptions) -> Result<Self, NodeError> {
        let (tls, auth) = (NodeTls::load(&options.tls)?, AuthServers::new(&options)?);
        let lookup_tls = options.lookup_tls.load()?;
        refuse_exposed(&options, tls.is_some())?;
        let recovering = options.clone();
        let recovered = tokio::task::spawn_blocking(move || recover(disk, recovering, tls, auth));
        let Recovered { topics, context, lock, failure } = recovered.await.map_err(|e| NodeError::Io {
            action: "recover",
            path: options.data_path.clone(),
            source: e.into(),
        })??;
        let tcp = bind::listen_at(&options.tcp_address, TCP_FLAG).await?;
        let http = match options.http_address.address() {
            Some(address) => Some(bind::listen_at(address, HTTP_FLAG).await?),
            None => None,
        };
        let https = match &context.tls {
            Some(_) => Some(bind::listen(options.tls.https_address, HTTPS_FLAG).await?),
            None => None,
        };
        let local = |listener: &Listener| listener.local_address().map_err(NodeError::Accept);
        let (tcp_address, http_address) = (local(&tcp)?, http.as_ref().map(local).transpose()?);
        let https_address = https.as_ref().map(TcpListener::local_addr).transpose();
        let https_address = https_address.map_err(NodeError::Accept)?;
        let http_port = http_address.as_ref().and_then(Address::tcp).or(https_address).map(|it| it.port());
        let advertised = Advertised::new(&options, &tcp_address, http_port);
        let shared = tcp::Shared { context, topics, clients: Arc::default() };
        let health = Health::new();
        health.set_ready("serving", false, "not started");
        let shared = Arc::new(shared);
        Ok(Self {
            tcp,
            http,
            https,
            tcp_address,
            http_address,
            https_address,
            advertised,
            lookup_tls,
            shared,
            failure,
            health,
            lock,
        })
    }

    /// Where producers and consumers connect.
    #[must_use]
    pub fn tcp_address(&self) -> &Address {
        &self.tcp_address
    }

    /// Where the HTTP interface listens; `None` when it is switched off.
    #[must_use]
    pub fn http_address(&self) -> Option<&Address> {
        self.http_address.as_ref()
    }

    /// Where the HTTP interface listens with TLS; `None` without a certificate.
    #[must_use]
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https_address
    }

    /// Which data directory this is; another one after the directory was deleted.
    #[must_use]
    pub fn node_id(&self) -> Uuid {
        self.shared.context.node_id
    }

    /// Serves until `shutdown`: then leaves the lookups, answers what was accepted, closes every connection and
    /// writes checkpoints.
    ///
    /// # Errors
    /// A sync failed, or a listener broke. After a failed sync nothing is acknowledged any more.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let Self { tcp, http, https, tcp_address, http_address, https_address, .. } = self;
        let Self { lookup_tls, advertised, shared, mut failure, health, lock, .. } = self;
        let (leave, stop) = (CancellationToken::new(), CancellationToken::new());
        shared.topics.start();

        let mut lookups = JoinSet::new();
        let registering =
            Registering { advertised: advertised.clone(), tls: lookup_tls, shared: Arc::clone(&shared) };
        lookups.spawn(registering.with_all(leave.clone()));
        let mut servers = JoinSet::new();
        servers.spawn(tcp::serve(tcp, Arc::clone(&shared), stop.clone()));
        servers.spawn(statsd::push(Arc::clone(&shared), advertised.clone(), stop.clone()));
        let ports = http::Ports::of(&tcp_address, http_address.as_ref(), https_address);
        let served = http::Served::new(Arc::clone(&shared), advertised, ports);
        let app = http::router(served, health.clone());
        if let (Some(https), Some(tls)) = (https, &shared.context.tls) {
            let config = Arc::clone(&tls.https);
            servers.spawn(punctual_service::http::serve_tls(https, config, app.clone(), stop.clone()));
        }
        if let Some(http) = http {
            servers.spawn(punctual_service::http::serve(http, app, stop.clone()));
        }
        let folding = punctual_service::metrics::install().upkeep(stop.clone());
        servers.spawn(async move {
            folding.await; // each commit is a sample that would be kept otherwise
            Ok(())
        });
        health.set_ready("serving", true, "");

        let mut outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            failed = sync_failure(&mut failure) => Err(NodeError::SyncFailed(failed)),
            Some(ended) = servers.join_next() => accepted(ended),
        };
        health.set_ready("serving", false, "stopping");
        leave.cancel();
        let left = async { while lookups.join_next().await.is_some() {} };
        let _left_or_late = tokio::time::timeout(LEAVE_WITHIN, left).await;
        stop.cancel();
        while let Some(ended) = servers.join_next().await {
            outcome = outcome.and(accepted(ended));
        }
        shared.topics.stop().await;
        let stopping = Arc::clone(&shared);
        let stopped = tokio::task::spawn_blocking(move || stopping.context.committer.stop());
        let _panic_was_reported = stopped.await;
        if let Some(failed) = failure.borrow().clone() {
            outcome = outcome.and(Err(NodeError::SyncFailed(failed)));
        }
        drop(lock); // the files are another process's from here on
        outcome
    }
}

/// Waits for the news that a sync failed.
async fn sync_failure(failure: &mut watch::Receiver<Option<SyncFailure>>) -> SyncFailure {
    match failure.wait_for(Option::is_some).await.ok().and_then(|failed| failed.clone()) {
        Some(failed) => failed,
        None => std::future::pending().await, // the committer is gone, and with it what could fail
    }
}

fn accepted(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> Result<(), NodeError> {
    ended.map_err(Into::into).flatten().map_err(NodeError::Accept)
}

/// Refuses what other machines can reach while nothing asks them who they are. A socket file has its permissions.
fn refuse_exposed(options: &NodeOptions, with_https: bool) -> Result<(), NodeError> {
    let asks = !options.auth.auth_http_addresses.is_empty();
    let http_asks = options.auth.http_auth_required;
    for (address, flag, authenticated) in [
        (options.tcp_address.tcp(), TCP_FLAG, asks),
        (options.http_address.address().and_then(Address::tcp), HTTP_FLAG, http_asks),
        (Some(options.tls.https_address), HTTPS_FLAG, http_asks || !with_https),
    ] {
        if let Some(address) = address {
            bind::refuse_exposed(address, flag, authenticated, options.allow_unauthenticated)?;
        }
    }
    let unreachable = options.tcp_address.tcp().is_none() && options.broadcast_tcp_port().is_none();
    if unreachable && !options.lookupd_tcp_addresses.is_empty() {
        return Err(NodeError::NothingToRegister);
    }
    Ok(())
}
