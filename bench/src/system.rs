//! The system that is measured: one process of each role and a Postgres.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use punctual_postgres::ThrowAway;
use punctual_proto::v1::job_service_client::JobServiceClient;
use punctual_proto::v1::run_service_client::RunServiceClient;
use punctual_proto::v1::worker_service_client::WorkerServiceClient;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::{cpu, machine};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A running system. Ends when dropped.
pub(crate) struct System {
    processes: Vec<(&'static str, Child)>,
    pub(crate) grpc: String,
    /// Where the queue node speaks NSQ's protocol.
    pub(crate) queue: String,
    lookup: String,
    database: Database,
    dir: TempDir,
}

struct Database {
    server: ThrowAway,
    pool: PgPool,
}

/// Processor time by part, to be subtracted from a later one.
#[derive(Debug, Clone)]
pub(crate) struct CpuUse(Vec<(&'static str, Duration)>);

impl System {
    /// Starts it, with a worker of so many `places`, and returns when all of it serves.
    pub(crate) async fn start(places: u32) -> anyhow::Result<Self> {
        let mut system = Self::without_worker().await?;
        let [http] = free_addresses()?;
        let (server, lookup, places) = (system.grpc.clone(), system.lookup.clone(), places.to_string());
        let args = ["--server", &server, "--lookup-http-address", &lookup, "--http-address", &http];
        system.launch("worker", &[&args[..], &["--places", &places, "--allow-noop"]].concat())?;
        ready(&format!("http://{http}/readyz")).await?;
        Ok(system)
    }

    /// Starts all the rest of it.
    pub(crate) async fn without_worker() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("system-").tempdir_in(machine::scratch()?)?;
        let [lookup_tcp, lookup, queue_tcp, queue_http, grpc] = free_addresses()?;
        let database = Database::start().await?;
        let url = database.server.postgres().url("postgres");
        let mut system = Self {
            processes: Vec::new(),
            grpc: format!("http://{grpc}"),
            queue: queue_tcp.clone(),
            lookup: lookup.clone(),
            database,
            dir,
        };
        let data = system.dir.path().join("queue").to_string_lossy().into_owned();

        system.launch("lookup", &["--tcp-address", &lookup_tcp, "--http-address", &lookup])?;
        let listen = ["--tcp-address", &queue_tcp, "--http-address", &queue_http];
        let rest = ["--data-path", &data, "--lookupd-tcp-address", &lookup_tcp];
        system.launch("queue", &[listen, rest].concat())?;
        ready(&format!("http://{lookup}/ping")).await?;
        ready(&format!("http://{queue_http}/ping")).await?;

        system.run("migrate", &["--database-url", &url])?;
        let args = ["--database-url", &url, "--grpc-address", &grpc, "--lookup-http-address", &lookup];
        system.launch("scheduler", &args)?;
        ready(&format!("http://{grpc}/readyz")).await?;
        Ok(system)
    }

    /// Calls on jobs.
    pub(crate) async fn jobs(&self) -> anyhow::Result<JobServiceClient<Channel>> {
        Ok(JobServiceClient::new(Endpoint::from_shared(self.grpc.clone())?.connect().await?))
    }

    /// Calls on runs, on a connection of their own.
    pub(crate) async fn runs(&self) -> anyhow::Result<RunServiceClient<Channel>> {
        Ok(RunServiceClient::new(Endpoint::from_shared(self.grpc.clone())?.connect().await?))
    }

    /// Calls of workers.
    pub(crate) async fn workers(&self) -> anyhow::Result<WorkerServiceClient<Channel>> {
        Ok(WorkerServiceClient::new(Endpoint::from_shared(self.grpc.clone())?.connect().await?))
    }

    /// The most memory that a process has had so far, in bytes.
    pub(crate) fn most_memory(&self, role: &str) -> anyhow::Result<u64> {
        let found = self.processes.iter().find(|(name, _)| *name == role);
        let (_, child) = found.with_context(|| format!("no {role} runs"))?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
        Ok(1_024 * kilobytes.parse::<u64>()?)
    }

    /// The database.
    pub(crate) fn database(&self) -> &PgPool {
        &self.database.pool
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> CpuUse {
        let mut used: Vec<_> =
            self.processes.iter().map(|(name, child)| (*name, cpu::used_by_tree(child.id()))).collect();
        used.push(("Postgres", cpu::used_by_tree(self.database.server.postgres().pid())));
        CpuUse(used)
    }

    fn run(&self, role: &str, args: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(machine::punctual()?).arg(role).args(args).output()?;
        if output.status.success() {
            return Ok(());
        }
        bail!("punctual {role} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
    }

    fn launch(&mut self, role: &'static str, args: &[&str]) -> anyhow::Result<()> {
        let log = File::create(self.dir.path().join(format!("{role}.log")))?;
        let mut command = Command::new(machine::punctual()?);
        command.arg(role).args(args).args(["--log-level", "warn"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start punctual {role}"))?;
        self.processes.push((role, child));
        Ok(())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Workers first, so that nothing complains about what has gone before it.
        for (_, child) in self.processes.iter_mut().rev() {
            let asked = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            if asked.is_ok() {
                let _reaped = child.wait();
            }
        }
        for (role, _) in &self.processes {
            complaints(role, &self.dir.path().join(format!("{role}.log")));
        }
    }
}

/// A figure that was reached with errors in the log is not one.
fn complaints(role: &str, log: &Path) {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    if !lines.is_empty() {
        let last: String = lines[lines.len() - 1].chars().take(300).collect();
        eprintln!("  {role} logged {} warnings, the last: {last}", lines.len());
    }
}

impl CpuUse {
    /// By part, in microseconds for each of `count` runs or messages, and their sum.
    pub(crate) fn per_item_since(&self, before: &Self, count: usize) -> (String, f64) {
        let each: Vec<(&str, f64)> = self
            .0
            .iter()
            .map(|(name, used)| {
                let earlier = before
                    .0
                    .iter()
                    .find(|(other, _)| other == name)
                    .map_or(Duration::ZERO, |(_, used)| *used);
                (*name, used.saturating_sub(earlier).as_micros() as f64 / count.max(1) as f64)
            })
            .collect();
        let total = each.iter().map(|(_, us)| us).sum();
        let text: Vec<String> = each.iter().map(|(name, us)| format!("{name} {us:.0}")).collect();
        (text.join(", "), total)
    }
}

impl Database {
    async fn start() -> anyhow::Result<Self> {
        let parent = machine::scratch()?.join("postgres");
        // With the extension where it is installed, without it elsewhere.
        let counting = vec![("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned())];
        let server =
            ThrowAway::start(&parent, counting).or_else(|_| ThrowAway::start(&parent, Vec::new()))?;
        let url = server.postgres().url("postgres");
        let pool = PgPoolOptions::new().max_connections(2).connect(&url).await?;
        Ok(Self { server, pool })
    }
}

async fn ready(url: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match reqwest::get(url).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            _ if started.elapsed() > STARTS_WITHIN => bail!("nothing serves {url}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Free at this moment; the bench is alone on its machine.
fn free_addresses<const N: usize>() -> anyhow::Result<[String; N]> {
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    let addresses: Vec<String> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.to_string()))
        .collect::<std::io::Result<_>>()?;
    addresses.try_into().map_err(|_| anyhow::anyhow!("as many addresses as listeners"))
}
