//! One scheduler: every part wired together, started and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;

use punctual_queue_client::discovery::DiscoveryError;
use punctual_queue_client::producer::ProducerOptions;
use punctual_scheduler_domain::id::ReplicaId;
use punctual_service::bind::{self, BindError};
use punctual_service::health::Health;
use punctual_service::metrics;
use punctual_service::parts::Parts;
use punctual_service::tls::TlsError;
use punctual_service::token::{TokenFileError, TokenSet};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::Api;
use crate::database_clock::DatabaseClock;
use crate::gauges;
use crate::nodes::Nodes;
use crate::options::{DatabaseUrl, SchedulerOptions};
use crate::planner::Planner;
use crate::publisher::Publisher;
use crate::reaper::Reaper;
use crate::reconciler::Reconciler;
use crate::store::{PostgresStore, Replica, Store, StoreError};
use crate::wake::Wake;

/// The flag that names the scheduler's address, for errors about it.
const ADDRESS_FLAG: &str = "--grpc-address";

/// Why a scheduler did not start.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The address cannot be listened on, or must not be without tokens.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be used.
    #[error("cannot use the database {url}: {advice}")]
    Database {
        /// Where it should be.
        url: DatabaseUrl,
        /// What to look at.
        advice: &'static str,
        /// What went wrong.
        #[source]
        source: StoreError,
    },
    /// The database has another schema than this release works with.
    #[error("cannot use the database {url}")]
    Schema {
        /// Where it is.
        url: DatabaseUrl,
        /// What it has and what is needed, and what to do.
        #[source]
        source: StoreError,
    },
    /// An address of a lookup or a queue node cannot be used.
    #[error("cannot look for queue nodes")]
    Nodes(#[from] DiscoveryError),
    /// Nothing could ever be delivered.
    #[error(
        "no queue is named: give the HTTP address of a lookup (--lookup-http-address 127.0.0.1:4161), or the TCP \
         address of a queue node (--queue-tcp-address 127.0.0.1:4150)"
    )]
    NoQueue,
}

/// A scheduler that listens and has found its database. Nothing runs before [`run`](Self::run).
pub struct Scheduler {
    address: SocketAddr,
    listener: TcpListener,
    health: Health,
    store: Arc<dyn Store>,
    clock: DatabaseClock,
    api: Api,
    nodes: Nodes,
    planner: Planner,
    publisher: Publisher,
    reaper: Reaper,
    reconciler: Reconciler,
}

impl Scheduler {
    /// Checks the options, connects to the database and opens the port.
    ///
    /// # Errors
    /// Says what is wrong, where, and what to do about it.
    pub async fn start(options: SchedulerOptions) -> Result<Self, SchedulerError> {
        let tokens = options.token_file.as_deref().map(TokenSet::load).transpose()?;
        let tls = options.tls.load()?;
        bind::refuse_exposed(
            options.grpc_address,
            ADDRESS_FLAG,
            tokens.is_some(),
            options.allow_unauthenticated,
        )?;
        if options.lookup_http_address.is_empty() && options.queue_tcp_address.is_empty() {
            return Err(SchedulerError::NoQueue);
        }
        let listener = bind::listen(options.grpc_address, ADDRESS_FLAG).await?;
        let address = listener.local_addr().unwrap_or(options.grpc_address);
        let (store, clock) = open(&options).await?;

        let health = Health::new();
        health.set_ready("queue_nodes", false, "no queue node was looked for yet");
        health.set_ready("shards", false, "no shard was taken yet");
        let replica = Replica { id: ReplicaId(Uuid::new_v4()), name: address.to_string() };
        let wake = Wake::default();
        let nodes = Nodes::new(
            Arc::clone(&store),
            &options.lookup_http_address,
            &options.queue_tcp_address,
            ProducerOptions::default(),
        )?;
        let planner = Planner::new(Arc::clone(&store), wake.clone());
        let publisher = Publisher::new(
            Arc::clone(&store),
            clock.clone(),
            nodes.clone(),
            replica.clone(),
            wake.clone(),
            health.clone(),
        );
        let reaper = Reaper::new(Arc::clone(&store), nodes.clone(), publisher.owned(), wake);
        let reconciler = Reconciler::new(Arc::clone(&store), publisher.owned());
        let api = Api {
            store: Arc::clone(&store),
            doorbells: publisher.doorbells(),
            clock: clock.clone(),
            replica: replica.id,
            health: health.clone(),
            metrics: metrics::install(),
            tokens,
            tls,
        };
        Ok(Self {
            address,
            listener,
            health,
            store,
            clock,
            api,
            nodes,
            planner,
            publisher,
            reaper,
            reconciler,
        })
    }

    /// Where gRPC and HTTP are served; the port is known even when port 0 was asked for.
    pub fn grpc_address(&self) -> SocketAddr {
        self.address
    }

    /// Whether this scheduler can do its work: database, queue nodes and shards.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `shutdown`. Then it stops in order: takes no new calls, finishes those in hand, then ends the
    /// parts behind them, and gives up its shards last.
    ///
    /// # Errors
    /// Names the part that failed.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            address,
            listener,
            health,
            store,
            clock,
            api,
            nodes,
            planner,
            publisher,
            reaper,
            reconciler,
        } = self;
        tracing::info!(%address, "scheduler serves");
        // Cancelled by the end of the API, and by the failure of any part.
        let background = CancellationToken::new();
        let stop = || background.clone();
        let mut parts = Parts::new(background.clone());
        parts.add("database clock", done(clock.run(Arc::clone(&store), health.clone(), stop())));
        parts.add("gauges", done(gauges::keep(store, stop())));
        parts.add("queue nodes", done(nodes.run(health, stop())));
        parts.add("planner", done(planner.run(stop())));
        parts.add("publisher", done(publisher.run(stop())));
        parts.add("reaper", done(reaper.run(stop())));
        parts.add("reconciler", done(reconciler.run(stop())));
        parts.add("metrics", done(api.metrics.clone().upkeep(stop())));

        let stop_calls = background.child_token();
        let until_shutdown = shutdown.run_until_cancelled_owned(std::future::pending::<()>());
        parts.add("api", {
            let stop_calls = stop_calls.clone();
            async move {
                let serve = api.serve(listener, stop_calls.clone());
                tokio::pin!(serve);
                tokio::select! {
                    served = &mut serve => return Ok(served?),
                    _ = until_shutdown => stop_calls.cancel(),
                }
                Ok(serve.await?)
            }
        });
        parts.run().await?;
        tracing::info!("scheduler stopped");
        Ok(())
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn done(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

/// The ledger and its clock, if this release can work with it.
async fn open(options: &SchedulerOptions) -> Result<(Arc<dyn Store>, DatabaseClock), SchedulerError> {
    let url = &options.database_url;
    let unusable = |source| SchedulerError::Database { url: url.clone(), advice: advice(&source), source };
    let store = PostgresStore::connect(url.reveal(), options.database_connections).await.map_err(unusable)?;
    let store = store.keeping(options.retention());
    store.check_schema().await.map_err(|source| match source {
        StoreError::SchemaVersion { .. } => SchedulerError::Schema { url: url.clone(), source },
        source => unusable(source),
    })?;
    let clock = DatabaseClock::start(&store).await.map_err(unusable)?;
    Ok((Arc::new(store), clock))
}

/// What to look at first, by what Postgres or the network said.
fn advice(error: &StoreError) -> &'static str {
    let StoreError::Database(error) = error else { return "see below" };
    match error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => "it refuses this user: check user and password in --database-url",
            Some("3D000") => "there is no such database: create it, then run `punctual migrate`",
            Some("42501") => {
                "this user may not do what a scheduler does: run `punctual migrate` as the same user"
            }
            Some("53300") => {
                "it has no connection left: raise its max_connections, or lower --database-connections"
            }
            _ => "it refused a statement",
        },
        sqlx::Error::Configuration(_) => "--database-url is not understood",
        sqlx::Error::Tls(_) => "TLS with it failed: check sslmode and sslrootcert in --database-url",
        _ => {
            "it does not answer: check that Postgres runs there, and that --database-url names its host and port"
        }
    }
}
