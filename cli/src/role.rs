//! The long-running roles, one per process.

mod migrate;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use punctual_queue_lookup::lookup::Lookup;
use punctual_queue_lookup::options::LookupOptions;
use punctual_queue_node::node::Node;
use punctual_queue_node::options::NodeOptions;
use punctual_scheduler::{Scheduler, SchedulerOptions};
use punctual_service::health::Health;
use punctual_service::log::{self, LogArgs};
use punctual_service::notify;
use punctual_service::parts::{DEFAULT_DRAIN, Parts};
use punctual_worker::{Runner, WorkerOptions};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::nsq;

pub(crate) use self::migrate::MigrateArgs;

/// How often a role's conditions of readiness are looked at.
const HEALTH_EVERY: Duration = Duration::from_millis(20);

/// A role's own flags, and those of its log.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs<O: Args> {
    #[command(flatten)]
    pub(crate) options: O,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

impl RoleArgs<SchedulerOptions> {
    /// Runs a scheduler until a signal.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        log::init(&self.log);
        let scheduler = Scheduler::start(self.options).await.map_err(anyhow::Error::from)?;
        let ready = healthy(scheduler.health());
        serve("scheduler", DEFAULT_DRAIN, ready, |stop| scheduler.run(stop)).await
    }
}

impl RoleArgs<NodeOptions> {
    /// Runs a queue node until a signal.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        log::init(&self.log);
        nsq::refuse_undelivered(&self.options.data_path)?;
        let node = Node::open(self.options).await.map_err(anyhow::Error::from)?;
        // Recovered, and its ports are open.
        let ready = std::future::ready(());
        let run = |stop| async move {
            // Said once signals are heard, so that who reads it may stop the node.
            let http = node.http_address().map(tracing::field::display);
            tracing::info!(tcp.address = %node.tcp_address(), http.address = http, "listening");
            Ok(node.run(stop).await?)
        };
        serve("queue node", DEFAULT_DRAIN, ready, run).await
    }
}

impl RoleArgs<LookupOptions> {
    /// Runs a lookup until a signal.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        log::init(&self.log);
        let lookup = Lookup::bind(self.options).await.map_err(anyhow::Error::from)?;
        // Its ports are open, and it needs nobody else.
        let ready = std::future::ready(());
        let run = |stop| async move {
            tracing::info!(tcp.address = %lookup.tcp_address(), http.address = %lookup.http_address(), "listening");
            Ok(lookup.run(stop).await?)
        };
        serve("lookup", DEFAULT_DRAIN, ready, run).await
    }
}

impl RoleArgs<WorkerOptions> {
    /// Runs a worker until a signal, then until it has drained.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        log::init(&self.log);
        let drain = self.options.stops_within();
        let worker = Runner::bind(self.options).await.map_err(anyhow::Error::from)?;
        let ready = worker.ready();
        serve("worker", drain, ready, |stop| async move { Ok(worker.run(stop).await?) }).await
    }
}

/// Runs one part until it ends or a signal stops it, and tells the service manager how it stands.
async fn serve<R>(
    name: &'static str,
    drain: Duration,
    ready: impl Future<Output = ()> + Send + 'static,
    run: impl FnOnce(CancellationToken) -> R,
) -> Result<(), Failure>
where
    R: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let shutdown = CancellationToken::new();
    let mut parts = Parts::new(shutdown.clone()).drain_within(drain);
    parts.add(name, run(shutdown.clone()));
    parts.add("service manager", async move {
        if shutdown.run_until_cancelled(ready).await.is_some() {
            notify::ready();
            shutdown.cancelled().await;
        }
        notify::stopping();
        Ok(())
    });
    Ok(parts.run_until_signalled().await.with_context(|| format!("the {name} stopped"))?)
}

/// Completes when every condition holds for the first time.
pub(crate) async fn healthy(health: Health) {
    let mut ticks = tokio::time::interval(HEALTH_EVERY);
    while !health.is_ready() {
        ticks.tick().await;
    }
}
