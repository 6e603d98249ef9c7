//! The node as a whole: opened, served, stopped.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use punctual_queue_log::committer::{Commit, Committer, Observer};
use punctual_queue_log::disk::{Disk, RealDisk};
use punctual_queue_log::error::SyncFailure;
use punctual_queue_log::journal::{Journal, JournalOptions};
use punctual_queue_wire::command::Limits;
use punctual_queue_wire::identify::IdentifyLimits;
use punctual_service::bind;
use punctual_service::clock::{Clock, SystemClock};
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
use crate::drain::Drain;
use crate::error::NodeError;
use crate::health::DiskHealth;
use crate::http;
use crate::lookup::{Advertised, KnownLookups, Registering};
use crate::metrics::NodeMetrics;
use crate::options::NodeOptions;
use crate::statsd;
use crate::tcp;
use crate::tls::NodeTls;
use crate::topics::{self, Topics};

const TCP_FLAG: &str = "--tcp-address";
const HTTP_FLAG: &str = "--http-address";
const HTTPS_FLAG: &str = "--https-address";

/// How long the lookups may take to hear that the node leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// A queue node: recovered, its ports open, and serving once it [`run`](Self::run)s.
#[derive(Debug)]
pub struct Node {
    tcp: Listener,
    http: Listener,
    https: Option<TcpListener>,
    tcp_address: Address,
    http_address: Address,
    https_address: Option<SocketAddr>,
    advertised: Advertised,
    lookup_tls: Option<Arc<ClientConfig>>,
    shared: Arc<tcp::Shared>,
    failure: watch::Receiver<Option<SyncFailure>>,
    health: Health,
    lock: DirLock,
}

/// What every part of the node may need.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: NodeOptions,
    pub(crate) limits: Limits,
    pub(crate) identify_limits: IdentifyLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committer: Committer,
    pub(crate) health: DiskHealth,
    pub(crate) metrics: NodeMetrics,
    pub(crate) node_id: Uuid,
    pub(crate) drain: Drain,
    pub(crate) started_at: chrono::DateTime<chrono::Utc>,
    /// `None` without a certificate.
    pub(crate) tls: Option<NodeTls>,
    /// `None` where anyone may do anything.
    pub(crate) auth: Option<AuthServers>,
    topology: watch::Sender<u64>,
    lookups: watch::Sender<Vec<String>>,
    pub(crate) known_lookups: KnownLookups,
}

impl Context {
    /// A topic or channel was made or deleted: the lookups must hear of it.
    pub(crate) fn topology_changed(&self) {
        self.topology.send_modify(|version| *version += 1);
    }

    /// Sees a change with every [`topology_changed`](Self::topology_changed).
    pub(crate) fn topology(&self) -> watch::Receiver<u64> {
        self.topology.subscribe()
    }

    /// The TCP addresses of the lookups to register with.
    pub(crate) fn lookups(&self) -> watch::Receiver<Vec<String>> {
        self.lookups.subscribe()
    }

    /// Registers with these lookups from now on, and no others.
    pub(crate) fn set_lookups(&self, addresses: Vec<String>) {
        self.known_lookups.set(&addresses);
        self.lookups.send_replace(addresses);
    }

    /// Nanoseconds since the Unix epoch, which end in the year 2262.
    pub(crate) fn unix_ns(&self) -> i64 {
        self.clock.now().timestamp_nanos_opt().unwrap_or(i64::MAX)
    }
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
        let (topics, context, lock, failure) = recovered.await.map_err(|e| NodeError::Io {
            action: "recover",
            path: options.data_path.clone(),
            source: e.into(),
        })??;
        let tcp = bind::listen_at(&options.tcp_address, TCP_FLAG).await?;
        let http = bind::listen_at(&options.http_address, HTTP_FLAG).await?;
        let https = match &context.tls {
            Some(_) => Some(bind::listen(options.tls.https_address, HTTPS_FLAG).await?),
            None => None,
        };
        let local = |listener: &Listener| listener.local_address().map_err(NodeError::Accept);
        let (tcp_address, http_address) = (local(&tcp)?, local(&http)?);
        let https_address = https.as_ref().map(TcpListener::local_addr).transpose();
        let https_address = https_address.map_err(NodeError::Accept)?;
        let advertised = Advertised::new(&options, &tcp_address, &http_address);
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

    /// Where the HTTP interface listens.
    #[must_use]
    pub fn http_address(&self) -> &Address {
        &self.http_address
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
        let Self { tcp, http, https, https_address, lookup_tls, advertised, .. } = self;
        let Self { shared, mut failure, health, lock, .. } = self;
        let (leave, stop) = (CancellationToken::new(), CancellationToken::new());
        shared.topics.start();

        let mut lookups = JoinSet::new();
        let registering =
            Registering { advertised: advertised.clone(), tls: lookup_tls, shared: Arc::clone(&shared) };
        lookups.spawn(registering.with_all(leave.clone()));
        let mut servers = JoinSet::new();
        servers.spawn(tcp::serve(tcp, Arc::clone(&shared), stop.clone()));
        servers.spawn(statsd::push(Arc::clone(&shared), advertised.clone(), stop.clone()));
        let served = http::Served::new(Arc::clone(&shared), advertised, https_address.map(|it| it.port()));
        let app = http::router(served, health.clone());
        if let (Some(https), Some(tls)) = (https, &shared.context.tls) {
            let config = Arc::clone(&tls.https);
            servers.spawn(punctual_service::http::serve_tls(https, config, app.clone(), stop.clone()));
        }
        servers.spawn(punctual_service::http::serve(http, app, stop.clone()));
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
        (options.http_address.tcp(), HTTP_FLAG, http_asks),
        (Some(options.tls.https_address), HTTPS_FLAG, http_asks || !with_https),
    ] {
        if let Some(address) = address {
            bind::refuse_exposed(address, flag, authenticated, options.allow_unauthenticated)?;
        }
    }
    let unreachable = options.tcp_address.tcp().is_none() && options.broadcast_tcp_port.is_none();
    if unreachable && !options.lookupd_tcp_addresses.is_empty() {
        return Err(NodeError::NothingToRegister);
    }
    Ok(())
}

type Recovered = (Arc<Topics>, Arc<Context>, DirLock, watch::Receiver<Option<SyncFailure>>);

fn recover(
    disk: Arc<dyn Disk>,
    options: NodeOptions,
    tls: Option<NodeTls>,
    auth: Option<AuthServers>,
) -> Result<Recovered, NodeError> {
    let dir = std::path::absolute(&options.data_path).map_err(|source| NodeError::Io {
        action: "find",
        path: options.data_path.clone(),
        source,
    })?;
    create_durably(disk.as_ref(), &dir).map_err(|source| NodeError::Io {
        action: "create",
        path: dir.clone(),
        source,
    })?;
    let lock = DirLock::acquire(&dir)?;
    let node_id = crate::identity::load_or_create(disk.as_ref(), &dir)?;
    punctual_service::metrics::install(); // before the first counter is looked up, or that would count nowhere
    let metrics = NodeMetrics::new();
    let (failed, failure) = watch::channel(None);
    let observer = Watch { metrics: metrics.clone(), failed };
    let journal = open_journal(&disk, &dir)?;
    let committer = Committer::start(disk, Some(journal), Arc::new(observer)).map_err(NodeError::Thread)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let context = Arc::new(Context {
        limits: options.limits(),
        identify_limits: options.identify_limits(),
        lookups: watch::Sender::new(options.lookupd_tcp_addresses.clone()),
        known_lookups: KnownLookups::new(&options.lookupd_tcp_addresses),
        options,
        started_at: clock.now(),
        clock,
        committer,
        health: DiskHealth::default(),
        metrics,
        node_id,
        drain: Drain::default(),
        tls,
        auth,
        topology: watch::Sender::new(0),
    });
    let topics = Topics::open(dir.join(topics::DIR_NAME), Arc::clone(&context))?;
    Ok((topics, context, lock, failure))
}

/// Puts what the last process left in the journal into the topics' logs.
fn open_journal(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Journal, NodeError> {
    let options = JournalOptions::default();
    let (journal, replayed) = Journal::open(Arc::clone(disk), dir, options).map_err(NodeError::Journal)?;
    if replayed.commits > 0 {
        tracing::info!(
            journal.commits = replayed.commits,
            journal.bytes = replayed.bytes,
            "put into the topics' logs what the last process had only synced in the journal",
        );
    }
    if let Some(kept) = &replayed.kept {
        tracing::error!(journal.path = %kept.display(), "a part of the journal cannot be read; it is kept");
    }
    Ok(journal)
}

/// Makes `dir` and what is missing above it, and syncs the directories that name them: without its own name, all that
/// is synced in `dir` would be lost with the power.
fn create_durably(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let is_missing = |dir: &&Path| matches!(disk.list(dir), Err(e) if e.kind() == io::ErrorKind::NotFound);
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    disk.create_dir_all(dir)?;
    // The node's own directory also when it was there: it may have been made just before a kill.
    let made = if missing.is_empty() { vec![dir] } else { missing };
    for parent in made.into_iter().filter_map(Path::parent) {
        match disk.sync_dir(parent) {
            // Then somebody else made the directory, and saw to it.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Notes what the committer does.
#[derive(Debug)]
struct Watch {
    metrics: NodeMetrics,
    failed: watch::Sender<Option<SyncFailure>>,
}

impl Observer for Watch {
    fn committed(&self, commit: &Commit) {
        self.metrics.committed(commit);
    }

    fn failed(&self, failure: &SyncFailure) {
        tracing::error!(error = crate::health::reason(failure), "a sync failed; the node stops");
        self.failed.send_replace(Some(failure.clone()));
    }
}
