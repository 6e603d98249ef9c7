//! Our own node and lookup.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::producer::{Producer, ProducerOptions, PublishOutcome};
use punctual_queue_lookup::{lookup::Lookup, options::LookupOptions};
use punctual_queue_node::{node::Node, options::NodeOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long to wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Makes ring the crypto provider of this process; again is harmless.
pub(crate) fn install_crypto_provider() {
    // An error says that a provider is installed already, which is what is wanted.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}

/// Asks again and again until the answer is as wanted.
pub(crate) async fn wait_until<T: std::fmt::Debug>(
    mut ask: impl AsyncFnMut() -> anyhow::Result<T>,
    wanted: impl Fn(&T) -> bool,
) -> anyhow::Result<T> {
    let wait = async {
        loop {
            let answer = ask().await?;
            if wanted(&answer) {
                return anyhow::Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match timeout(PATIENCE, wait).await {
        Ok(answer) => answer,
        Err(_) => anyhow::bail!("it is still {:?}", ask().await?),
    }
}

/// A lookup that runs until it is dropped.
pub(crate) struct RealLookup {
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    _tasks: JoinSet<anyhow::Result<()>>,
}

#[derive(Parser)]
struct LookupCommand {
    #[command(flatten)]
    options: LookupOptions,
}

impl RealLookup {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        install_crypto_provider();
        let flags = ["lookup", "--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];
        let lookup = Lookup::bind(LookupCommand::parse_from(flags).options).await?;
        let (tcp, http) = (lookup.tcp_address(), lookup.http_address());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { Ok(lookup.run(CancellationToken::new()).await?) });
        Ok(Self { tcp, http, _tasks: tasks })
    }
}

/// A node with a directory of its own, that runs until it is dropped.
pub(crate) struct RealNode {
    pub(crate) tcp: SocketAddr,
    http: SocketAddr,
    _dir: TempDir,
    _tasks: JoinSet<anyhow::Result<()>>,
}

impl RealNode {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_at(([127, 0, 0, 1], 0).into(), &[]).await
    }

    pub(crate) async fn known_to(lookup: &RealLookup) -> anyhow::Result<Self> {
        Self::start_at(([127, 0, 0, 1], 0).into(), &[lookup]).await
    }

    /// Starts where another was, of which nothing is left, once that one is gone.
    pub(crate) async fn start_again_at(tcp_address: SocketAddr) -> anyhow::Result<Self> {
        let mut started = None;
        let start = async || {
            started = Self::start_at(tcp_address, &[]).await.ok();
            Ok(started.is_some())
        };
        wait_until(start, |is_started| *is_started).await?;
        Ok(started.expect("it was waited for"))
    }

    async fn start_at(tcp_address: SocketAddr, lookups: &[&RealLookup]) -> anyhow::Result<Self> {
        install_crypto_provider();
        let dir = TempDir::new()?;
        let options = NodeOptions {
            tcp_address: tcp_address.into(),
            http_address: ([127, 0, 0, 1], 0).into(),
            data_path: dir.path().join("data"),
            lookupd_tcp_addresses: lookups.iter().map(|lookup| lookup.tcp.to_string()).collect(),
            ..NodeOptions::default()
        };
        let node = Node::open(options).await?;
        let (tcp, http) = (node.tcp_address().tcp().unwrap(), node.http_address().unwrap().tcp().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { Ok(node.run(CancellationToken::new()).await?) });
        Ok(Self { tcp, http, _dir: dir, _tasks: tasks })
    }

    /// The flag that says to consume from here.
    pub(crate) fn flag(&self) -> String {
        format!("--nsqd-tcp-address={}", self.tcp)
    }

    /// Has a channel before there is a message for it.
    pub(crate) async fn create_channel(&self, topic: &str, channel: &str) -> anyhow::Result<()> {
        for path in
            [format!("topic/create?topic={topic}"), format!("channel/create?topic={topic}&channel={channel}")]
        {
            let request = reqwest::Client::new().post(format!("http://{}/{path}", self.http));
            request.send().await?.error_for_status()?;
        }
        Ok(())
    }

    pub(crate) async fn publish(&self, topic: &str, bodies: &[&str]) -> anyhow::Result<()> {
        let address = NodeAddress::new(self.tcp.to_string());
        let producer = Producer::connect(&address, ProducerOptions::default()).await?;
        let bodies = bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect();
        anyhow::ensure!(producer.publish(&topic.parse()?, bodies).await == PublishOutcome::Acknowledged);
        Ok(())
    }

    /// How many of a topic's messages its one channel has finished.
    pub(crate) async fn finished(&self, topic: &str, channel: &str) -> anyhow::Result<u64> {
        let url = format!("http://{}/stats?format=json&topic={topic}&channel={channel}", self.http);
        let stats: Value = reqwest::get(url).await?.json().await?;
        let topic = &stats["topics"][0];
        let figure = |name: &str| topic["channels"][0][name].as_u64();
        let (Some(published), Some(depth)) = (topic["message_count"].as_u64(), figure("depth")) else {
            return Ok(0); // there is no such channel yet
        };
        let elsewhere = figure("in_flight_count").unwrap_or(0) + figure("deferred_count").unwrap_or(0);
        Ok(published.saturating_sub(depth + elsewhere))
    }

    /// Waits until so many of a channel's messages are finished.
    pub(crate) async fn wait_finished(&self, topic: &str, channel: &str, count: u64) -> anyhow::Result<()> {
        wait_until(async || self.finished(topic, channel).await, |finished| *finished == count).await?;
        Ok(())
    }
}
