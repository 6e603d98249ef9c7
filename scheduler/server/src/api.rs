//! The port of a scheduler: gRPC with health and reflection, `/v1` as JSON, and `/metrics`, `/livez`, `/readyz`.

mod actor;
mod audit;
mod auth;
mod backfills;
mod batch;
mod batched;
mod calendars;
mod convert;
mod doorbells;
mod error;
mod etag;
mod http;
mod jobs;
mod listener;
mod meter;
mod namespaces;
mod page;
mod runs;
mod status;
mod task_queues;
mod watch;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use futures::future::BoxFuture;
use punctual_proto::v1::audit_service_server::AuditServiceServer;
use punctual_proto::v1::backfill_service_server::BackfillServiceServer;
use punctual_proto::v1::calendar_service_server::CalendarServiceServer;
use punctual_proto::v1::job_service_server::JobServiceServer;
use punctual_proto::v1::namespace_service_server::NamespaceServiceServer;
use punctual_proto::v1::run_service_server::RunServiceServer;
use punctual_proto::v1::task_queue_service_server::TaskQueueServiceServer;
use punctual_proto::v1::worker_service_server::WorkerServiceServer;
use punctual_scheduler_domain::id::ReplicaId;
use punctual_service::health::{self, Health};
use punctual_service::metrics::MetricsHandle;
use punctual_service::tls::ServerIdentity;
use punctual_service::token::TokenSet;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use self::audit::Audit;
use self::backfills::Backfills;
use self::batched::{Backend, Batched};
use self::calendars::CalendarApi;
pub use self::doorbells::Doorbells;
use self::jobs::Jobs;
use self::namespaces::Namespaces;
use self::runs::Runs;
use self::task_queues::TaskQueues;
use self::workers::Workers;
use crate::database_clock::DatabaseClock;
use crate::store::Store;

/// Bytes of one request.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// How often gRPC's health is brought in line with ours.
const HEALTH_EVERY: Duration = Duration::from_millis(200);

/// The services gRPC's health knows; the empty name is the server as a whole.
const HEALTH_NAMES: [&str; 9] = [
    "",
    "punctual.v1.AuditService",
    "punctual.v1.BackfillService",
    "punctual.v1.CalendarService",
    "punctual.v1.JobService",
    "punctual.v1.NamespaceService",
    "punctual.v1.RunService",
    "punctual.v1.TaskQueueService",
    "punctual.v1.WorkerService",
];

/// What the API answers with.
pub struct Api {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The publisher.
    pub doorbells: Arc<dyn Doorbells>,
    /// The database's time.
    pub clock: DatabaseClock,
    /// Who publishes what the calls queue.
    pub replica: ReplicaId,
    /// Whether this process is ready.
    pub health: Health,
    /// What `/metrics` shows.
    pub metrics: MetricsHandle,
    /// Who may call; `None`: anybody who can reach the port.
    pub tokens: Option<TokenSet>,
    /// Serves TLS when given.
    pub tls: Option<ServerIdentity>,
}

impl Api {
    /// Serves on `listener` until `shutdown`, then completes the calls in hand.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let tls = self.tls.as_ref().map(listener::tls_acceptor);
        let health = self.health.clone();
        let (reporter, app, loops) = self.app(shutdown.clone()).await;
        let mut background = JoinSet::new();
        for each in loops {
            background.spawn(each);
        }
        background.spawn(report_health(reporter, health, shutdown.clone()));
        let served = listener::serve(listener.into(), tls, app, shutdown.clone()).await;
        shutdown.cancel();
        // The services went with the listener's connections, and so did the batchers' last clones.
        while let Some(ended) = background.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the API panicked");
            }
        }
        served
    }

    /// Everything that answers on the port, and what must run beside it.
    async fn app(self, shutdown: CancellationToken) -> (HealthReporter, Router, Vec<BoxFuture<'static, ()>>) {
        let backend = Backend {
            store: Arc::clone(&self.store),
            doorbells: Arc::clone(&self.doorbells),
            clock: self.clock.clone(),
            replica: self.replica,
        };
        let (batched, loops) = Batched::new(&backend);
        let calendars = CalendarApi { store: Arc::clone(&self.store) };
        let namespaces = Namespaces { store: Arc::clone(&self.store) };
        let (store, doorbells) = (Arc::clone(&self.store), Arc::clone(&self.doorbells));
        let task_queues = TaskQueues { store: Arc::clone(&store), doorbells: Arc::clone(&doorbells) };
        let audit = Audit { store: Arc::clone(&store), doorbells: Arc::clone(&doorbells) };
        let backfills = Backfills { store: Arc::clone(&store), doorbells: Arc::clone(&doorbells) };
        let jobs = Jobs { store, doorbells, batched: batched.clone(), clock: self.clock };
        let runs = Runs::new(self.store, self.doorbells, batched.clone(), shutdown);
        let workers = Workers { backend, batched };

        let (reporter, grpc_health) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(punctual_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .expect("the build wrote valid descriptor sets");
        let grpc = Routes::new(grpc_health)
            .add_service(reflection)
            .add_service(AuditServiceServer::new(audit).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(BackfillServiceServer::new(backfills).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(CalendarServiceServer::new(calendars).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(NamespaceServiceServer::new(namespaces).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(JobServiceServer::new(jobs.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(RunServiceServer::new(runs.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(
                TaskQueueServiceServer::new(task_queues).max_decoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(WorkerServiceServer::new(workers).max_decoding_message_size(MAX_MESSAGE_BYTES));

        let app = grpc
            .prepare()
            .into_axum_router()
            .merge(http::router(jobs, runs))
            .merge(health::router(self.health, self.metrics))
            .fallback(http::unknown)
            .layer(middleware::from_fn_with_state(auth::Gate::new(self.tokens), auth::guard))
            .layer(middleware::from_fn(meter::measure));
        (reporter, app, loops)
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("replica", &self.replica).finish_non_exhaustive()
    }
}

/// Keeps gRPC's health in line with ours until `shutdown`, from when on nothing serves.
async fn report_health(mut reporter: HealthReporter, health: Health, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(HEALTH_EVERY);
    let mut reported = None;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let ready = health.is_ready();
        if reported.replace(ready) != Some(ready) {
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            set_health(&reporter, status).await;
        }
    }
    set_health(&reporter, ServingStatus::NotServing).await;
    for name in HEALTH_NAMES {
        // Ends the streams of those who watch, who would hold the stop up.
        reporter.clear_service_status(name).await;
    }
}

async fn set_health(reporter: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        reporter.set_service_status(name, status).await;
    }
}
