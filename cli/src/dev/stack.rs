use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Command};
use punctual_queue_lookup::lookup::Lookup;
use punctual_queue_node::node::Node;
use punctual_scheduler::Scheduler;
use punctual_service::health::Health;
use punctual_service::parts::Parts;
use punctual_worker::Runner;
use tokio_util::sync::CancellationToken;

use super::DevArgs;
use super::database::Database;
use super::stages::Stages;
use crate::role::healthy;

/// How long it may take until everything serves before somebody should know what is missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every role, its ports open, not yet running.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) lookup: Lookup,
    pub(super) node: Node,
    pub(super) database: Database,
    pub(super) scheduler: Scheduler,
    pub(super) worker: Runner,
}

impl Stack {
    /// Opens what may be refused first, and Postgres, which takes longest, after that.
    pub(super) async fn open(args: &DevArgs) -> anyhow::Result<Self> {
        let open = args.allow_unauthenticated.then(|| "--allow-unauthenticated".to_owned());
        let lookup = Lookup::bind(options([
            Some(format!("--tcp-address={}", args.lookup_tcp_address)),
            Some(format!("--http-address={}", args.lookup_http_address)),
            open.clone(),
        ])?)
        .await
        .context("the lookup cannot start")?;
        let node = Node::open(options([
            Some(format!("--tcp-address={}", args.queue_tcp_address)),
            Some(format!("--http-address={}", args.queue_http_address)),
            Some(format!("--data-path={}", args.data_dir.join("queue").display())),
            Some(format!("--lookupd-tcp-address={}", dialled(lookup.tcp_address()))),
            open.clone(),
        ])?)
        .await
        .context("the queue node cannot start")?;
        let database = Database::open(&args.data_dir.join("postgres"), args.database_url.as_ref()).await?;
        let lookup_http = format!("--lookup-http-address={}", dialled(lookup.http_address()));
        let scheduler = Scheduler::start(options([
            Some(format!("--database-url={}", database.url())),
            Some(format!("--grpc-address={}", args.grpc_address)),
            Some(lookup_http.clone()),
            open,
        ])?)
        .await
        .context("the scheduler cannot start")?;
        let worker = Runner::bind(options([
            Some(format!("--server=http://{}", dialled(scheduler.grpc_address()))),
            Some(lookup_http),
            Some("--allow-exec=*".to_owned()),
            Some("--places=10".to_owned()),
            Some("--drain-timeout=10s".to_owned()),
        ])?)
        .await
        .context("the worker cannot start")?;
        Ok(Self { lookup, node, database, scheduler, worker })
    }

    /// Completes when all of it serves. Says what is missing when that takes long.
    pub(super) fn ready(&self) -> impl Future<Output = ()> + use<> {
        // Lookup and queue node serve from the moment they run; that they do, the other two find out.
        let each = [("scheduler", self.scheduler.health()), ("worker", self.worker.health())];
        let worker = self.worker.ready();
        async move {
            let all = async {
                for (_, health) in &each {
                    healthy(health.clone()).await;
                }
                worker.await;
            };
            tokio::pin!(all);
            while tokio::time::timeout(PATIENCE, &mut all).await.is_err() {
                tracing::warn!(missing = missing(&each), "still starting");
            }
        }
    }

    /// Runs all of it. It stops from the outside in, so that nothing loses what it still needs.
    pub(super) fn add_to(self, parts: &mut Parts, shutdown: CancellationToken) {
        let Self { lookup, node, database, scheduler, worker } = self;
        let mut stages = Stages::new(shutdown);
        stages.add(parts, "worker", |stop| async move { Ok(worker.run(stop).await?) });
        stages.add(parts, "scheduler", |stop| async move { scheduler.run(stop).await });
        stages.add(parts, "queue node", |stop| async move { Ok(node.run(stop).await?) });
        stages.add(parts, "lookup", |stop| async move { Ok(lookup.run(stop).await?) });
        stages.add(parts, "Postgres", |stop| database.run(stop));
    }
}

fn missing(each: &[(&str, Health)]) -> String {
    let reasons = each.iter().flat_map(|(part, health)| {
        let unmet: BTreeMap<&str, String> = health.unmet();
        unmet.into_values().map(move |reason| format!("{part}: {reason}"))
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// The options of a role that is given only these flags. All else has its default, whatever the environment says:
/// that is meant for roles that run alone.
fn options<O: Args>(flags: impl IntoIterator<Item = Option<String>>) -> anyhow::Result<O> {
    let command =
        O::augment_args(Command::new("dev").no_binary_name(true)).mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from(flags.into_iter().flatten())?;
    Ok(O::from_arg_matches(&matches)?)
}

/// The address under which to dial who listens at `address`.
pub(super) fn dialled(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(host, address.port())
}
