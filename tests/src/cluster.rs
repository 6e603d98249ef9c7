//! A whole system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::client::Client;
use crate::database::Database;
use crate::process::Process;
use crate::programs;
use crate::topology::{Member, Role, Topology};
use crate::wait::until;

/// A debug build on a busy machine: far above what starting takes.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A worker drains for 30 s by default.
const STOPS_WITHIN: Duration = Duration::from_secs(45);

/// What to start.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Schedulers.
    pub schedulers: u32,
    /// Queue nodes.
    pub nodes: u32,
    /// Lookups.
    pub lookups: u32,
    /// Workers, which may run any program and the no-op handler.
    pub workers: u32,
    /// Attempts that each worker executes at once.
    pub places: u32,
    /// More arguments, by role.
    pub extra: Vec<(Role, Vec<String>)>,
    /// More variables of the environment, by process.
    pub environment: Vec<(Member, Vec<(OsString, OsString)>)>,
    /// The certificate (PEM) of schedulers that `extra` makes speak TLS.
    pub scheduler_certificate: Option<String>,
}

impl Shape {
    /// One of each, with no worker.
    pub fn small() -> Self {
        Self {
            schedulers: 1,
            nodes: 1,
            lookups: 1,
            workers: 0,
            places: 10,
            extra: Vec::new(),
            environment: Vec::new(),
            scheduler_certificate: None,
        }
    }

    /// What `deploy/` has: three schedulers, two nodes, two lookups, three workers.
    pub fn deployed() -> Self {
        Self { schedulers: 3, nodes: 2, lookups: 2, workers: 3, places: 40, ..Self::small() }
    }

    fn counts(&self) -> BTreeMap<Role, u32> {
        BTreeMap::from([
            (Role::Scheduler, self.schedulers),
            (Role::Queue, self.nodes),
            (Role::Lookup, self.lookups),
            (Role::Worker, self.workers),
        ])
    }
}

/// A whole system: its processes, its database and its files. Dropped without [`stop`](Self::stop), it takes the test
/// for failed: it shows the ends of all logs and keeps the files.
#[derive(Debug)]
pub struct Cluster {
    shape: Shape,
    topology: Topology,
    processes: BTreeMap<Member, Process>,
    database: Option<Database>,
    dir: Option<TempDir>,
}

impl Cluster {
    /// Starts everything and returns when all of it serves.
    ///
    /// # Errors
    /// When something does not start or become ready.
    pub async fn start(shape: Shape) -> anyhow::Result<Self> {
        Self::start_on(Database::migrated().await?, shape).await
    }

    /// The same on a database with the schema.
    ///
    /// # Errors
    /// When something does not start or become ready.
    pub async fn start_on(database: Database, shape: Shape) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("cluster-").tempdir_in(programs::scratch()?)?;
        let mut cluster = Self {
            topology: Topology::local(&shape.counts())?,
            shape,
            processes: BTreeMap::new(),
            database: Some(database),
            dir: Some(dir),
        };
        for member in cluster.topology.members() {
            cluster.launch(member)?;
        }
        for member in cluster.topology.members() {
            cluster.ready(member).await?;
        }
        if cluster.shape.scheduler_certificate.is_none() {
            cluster.schedulers_know_all_nodes().await?;
        }
        Ok(cluster)
    }

    /// A scheduler is ready when it reaches one node: it finds the others a moment later.
    async fn schedulers_know_all_nodes(&self) -> anyhow::Result<()> {
        let all = format!("punctual_queue_nodes_usable {}\n", self.shape.nodes);
        for server in self.servers() {
            until(&format!("{server} to know all nodes"), STARTS_WITHIN, async || {
                match text_of(&format!("{server}/metrics")).await {
                    Ok(metrics) if metrics.contains(&all) => Ok(()),
                    other => Err(other),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The database.
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("it is taken only by stop, which takes the cluster")
    }

    /// The database, to do something to it.
    pub fn database_mut(&mut self) -> &mut Database {
        self.database.as_mut().expect("it is taken only by stop, which takes the cluster")
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it is taken only by stop, which takes the cluster").path()
    }

    /// Who listens where.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// A client of every scheduler.
    ///
    /// # Errors
    /// When an address is not one.
    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.servers())
    }

    /// The schedulers' URLs.
    pub fn servers(&self) -> Vec<String> {
        let addresses = self.topology.addresses(Role::Scheduler, "GRPC");
        addresses.into_iter().map(|address| format!("http://{address}")).collect()
    }

    /// One of the processes.
    ///
    /// # Errors
    /// When there is none.
    pub fn process(&mut self, member: Member) -> anyhow::Result<&mut Process> {
        self.processes.get_mut(&member).with_context(|| format!("there is no {member}"))
    }

    /// Kills a process with -9.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, member: Member) -> anyhow::Result<()> {
        self.process(member)?.kill()
    }

    /// Starts a killed process on its old addresses and data, and waits until it serves.
    ///
    /// # Errors
    /// When it does not start or become ready.
    pub async fn restart(&mut self, member: Member) -> anyhow::Result<()> {
        self.process(member)?.start_again()?;
        self.ready(member).await
    }

    /// Where a queue node keeps its messages.
    pub fn data_path(&self, node: Member) -> PathBuf {
        self.dir().join(node.to_string())
    }

    /// Asks every process to stop, in the order that keeps work safe, and removes everything.
    ///
    /// # Errors
    /// When one of them does not stop in time or not with 0, or had ended before.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        for role in Role::ALL.into_iter().rev() {
            for (_, process) in self.processes.iter_mut().filter(|(member, _)| member.role == role) {
                if process.pid().is_some() {
                    process.stop(STOPS_WITHIN).await?;
                }
            }
        }
        if let Some(database) = self.database.take() {
            database.remove().await?;
        }
        if let Some(dir) = self.dir.take() {
            dir.close()?;
        }
        Ok(())
    }

    /// Starts one more worker, which is not waited for and of which a client of `servers` is all it knows.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn extra_worker(&self, name: &str, servers: &[String]) -> anyhow::Result<Process> {
        Process::start(name, &programs::punctual()?, self.worker_args(servers), self.dir())
    }

    fn worker_args(&self, servers: &[String]) -> Vec<String> {
        let mut args = vec!["worker".to_owned(), "--server".to_owned(), servers.join(",")];
        for lookup in self.topology.addresses(Role::Lookup, "HTTP") {
            args.extend(["--lookup-http-address".to_owned(), lookup]);
        }
        args.extend(["--task-queue", "default", "--allow-exec", "*", "--allow-noop"].map(str::to_owned));
        args.extend(["--places".to_owned(), self.shape.places.to_string()]);
        args
    }

    fn launch(&mut self, member: Member) -> anyhow::Result<()> {
        let args = self.args(member)?;
        let of_member = self.shape.environment.iter().filter(|(of, _)| *of == member);
        let envs = of_member.flat_map(|(_, envs)| envs.clone()).collect();
        let process = Process::start_in(envs, &member.to_string(), &programs::punctual()?, args, self.dir())?;
        self.processes.insert(member, process);
        Ok(())
    }

    async fn ready(&mut self, member: Member) -> anyhow::Result<()> {
        let (interface, path) = match member.role {
            Role::Lookup | Role::Queue => ("HTTP", "ping"),
            Role::Scheduler => ("GRPC", "readyz"),
            Role::Worker => ("HTTP", "readyz"),
        };
        let address = self.topology.address(member, interface)?.to_owned();
        let certificate = self.shape.scheduler_certificate.clone().filter(|_| member.role == Role::Scheduler);
        let process = self.process(member)?;
        let what = format!("{member} to be ready at {address}");
        let outcome = until(&what, STARTS_WITHIN, async || {
            if let Ok(Some(status)) = process.exited() {
                return Ok(Some(status));
            }
            let serves = match &certificate {
                Some(certificate) => serves_over_tls(&address, certificate).await,
                None => text_of(&format!("http://{address}/{path}")).await.map(drop),
            };
            serves.map(|()| None).map_err(|error| format!("{error:#}"))
        })
        .await?;
        match outcome {
            None => Ok(()),
            Some(status) => anyhow::bail!("{member} ended with {status} at its start"),
        }
    }

    fn args(&self, member: Member) -> anyhow::Result<Vec<OsString>> {
        let topology = &self.topology;
        let own = |interface: &str| topology.address(member, interface).map(str::to_owned);
        let mut args: Vec<String> = vec![member.role.as_str().to_owned()];
        let mut flag = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        match member.role {
            Role::Lookup => {
                flag("tcp-address", own("TCP")?);
                flag("http-address", own("HTTP")?);
            }
            Role::Queue => {
                flag("tcp-address", own("TCP")?);
                flag("http-address", own("HTTP")?);
                flag("data-path", self.data_path(member).to_string_lossy().into_owned());
                for lookup in topology.addresses(Role::Lookup, "TCP") {
                    flag("lookupd-tcp-address", lookup);
                }
            }
            Role::Scheduler => {
                flag("database-url", self.database().url().to_owned());
                flag("grpc-address", own("GRPC")?);
                for lookup in topology.addresses(Role::Lookup, "HTTP") {
                    flag("lookup-http-address", lookup);
                }
            }
            Role::Worker => {
                args = self.worker_args(&self.servers());
                args.extend(["--http-address".to_owned(), own("HTTP")?]);
            }
        }
        let extra = self.shape.extra.iter().filter(|(role, _)| *role == member.role);
        args.extend(extra.flat_map(|(_, extra)| extra.clone()));
        Ok(args.into_iter().map(OsString::from).collect())
    }
}

async fn text_of(url: &str) -> anyhow::Result<String> {
    let http = crate::http::client(Duration::from_secs(2))?;
    let answer = http.get(url).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    anyhow::ensure!(status.is_success(), "{status}: {text}");
    Ok(text)
}

async fn serves_over_tls(address: &str, certificate: &str) -> anyhow::Result<()> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    let channel = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await?;
    let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await?.into_inner();
    anyhow::ensure!(health.status() == ServingStatus::Serving, "{health:?}");
    Ok(())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        for (member, process) in &mut self.processes {
            let ended = process
                .exited()
                .ok()
                .flatten()
                .map_or(String::new(), |status| format!(", which ended: {status}"));
            eprintln!("--- the last of {member}{ended}\n{}", process.last_lines(25));
        }
        eprintln!("--- everything is kept in {}", dir.keep().display());
    }
}
