//! Our own node and lookup.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_lookup::{lookup::Lookup, options::LookupOptions};
use punctual_queue_node::{node::Node, options::NodeOptions};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::node::PATIENCE;

/// A server that runs until it is stopped or dropped.
struct Running {
    shutdown: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    fn new(run: impl FnOnce(CancellationToken) -> JoinSet<anyhow::Result<()>>) -> Self {
        let shutdown = CancellationToken::new();
        Self { tasks: run(shutdown.clone()), shutdown }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = timeout(PATIENCE, self.tasks.join_next()).await? {
            ended??;
        }
        Ok(())
    }

    async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The tests' HTTP clients want a crypto provider, with TLS or without.
fn provide_crypto() {
    let _there_already = rustls::crypto::ring::default_provider().install_default();
}

/// A lookup, which keeps its ports over restarts.
pub(crate) struct RealLookup {
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    running: Running,
}

#[derive(Parser)]
struct LookupCommand {
    #[command(flatten)]
    options: LookupOptions,
}

impl RealLookup {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(any, any).await
    }

    /// Starts where another has been.
    pub(crate) async fn start_at(tcp: SocketAddr, http: SocketAddr) -> anyhow::Result<Self> {
        Self::start_with(&[&format!("--tcp-address={tcp}"), &format!("--http-address={http}")]).await
    }

    pub(crate) async fn start_with(flags: &[&str]) -> anyhow::Result<Self> {
        provide_crypto();
        let command = LookupCommand::parse_from(["lookup"].iter().chain(flags));
        let lookup = Lookup::bind(command.options).await?;
        let (tcp, http) = (lookup.tcp_address(), lookup.http_address());
        let running = Running::new(|shutdown| {
            let mut tasks = JoinSet::new();
            tasks.spawn(async move { Ok(lookup.run(shutdown).await?) });
            tasks
        });
        Ok(Self { tcp, http, running })
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.running.stop().await
    }

    /// The body of a GET.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<String> {
        Ok(reqwest::get(format!("http://{}{path}", self.http)).await?.text().await?)
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn wait_for(&self, path: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let wait = async {
            while !wanted(&self.get(path).await?) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            anyhow::Ok(())
        };
        match timeout(PATIENCE, wait).await {
            Ok(seen) => seen,
            Err(_) => anyhow::bail!("{path} still answers {}", self.get(path).await?),
        }
    }
}

/// A node with a directory of its own.
pub(crate) struct RealNode {
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) dir: Arc<TempDir>,
    running: Running,
}

impl RealNode {
    pub(crate) async fn start(lookups: &[&RealLookup]) -> anyhow::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(any, Arc::new(TempDir::new()?), lookups).await
    }

    /// Starts where another has been, with what it had.
    pub(crate) async fn start_at(
        tcp_address: SocketAddr,
        dir: Arc<TempDir>,
        lookups: &[&RealLookup],
    ) -> anyhow::Result<Self> {
        let tcp_address = tcp_address.into();
        Self::open(dir, lookups, |options| options.tcp_address = tcp_address).await
    }

    /// Starts with other options.
    pub(crate) async fn start_with(
        lookups: &[&RealLookup],
        change: impl FnOnce(&mut NodeOptions),
    ) -> anyhow::Result<Self> {
        Self::open(Arc::new(TempDir::new()?), lookups, change).await
    }

    async fn open(
        dir: Arc<TempDir>,
        lookups: &[&RealLookup],
        change: impl FnOnce(&mut NodeOptions),
    ) -> anyhow::Result<Self> {
        provide_crypto();
        let mut options = NodeOptions {
            tcp_address: ([127, 0, 0, 1], 0).into(),
            http_address: ([127, 0, 0, 1], 0).into(),
            data_path: dir.path().join("data"),
            lookupd_tcp_addresses: lookups.iter().map(|lookup| lookup.tcp.to_string()).collect(),
            ..NodeOptions::default()
        };
        change(&mut options);
        let node = Node::open(options).await?;
        let (tcp, http) = (node.tcp_address().tcp(), node.http_address().and_then(|address| address.tcp()));
        let (tcp, http) = (tcp.context("a port")?, http.context("a port")?);
        let running = Running::new(|shutdown| {
            let mut tasks = JoinSet::new();
            tasks.spawn(async move { Ok(node.run(shutdown).await?) });
            tasks
        });
        Ok(Self { tcp, http, dir, running })
    }

    pub(crate) fn address(&self) -> NodeAddress {
        NodeAddress::new(self.tcp.to_string())
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.running.stop().await
    }

    /// Drops everything where it stands.
    pub(crate) async fn kill(self) {
        self.running.kill().await;
    }

    /// The body of a GET.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<String> {
        Ok(reqwest::get(format!("http://{}{path}", self.http)).await?.text().await?)
    }

    pub(crate) async fn post(&self, path: &str) -> anyhow::Result<()> {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.http));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    pub(crate) async fn put(&self, path: &str, body: String) -> anyhow::Result<String> {
        let request = reqwest::Client::new().put(format!("http://{}{path}", self.http)).body(body);
        Ok(request.send().await?.text().await?)
    }
}
