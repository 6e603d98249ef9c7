//! A queue node alone, but for the lookup that lists it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::programs;
use crate::topology::{Member, Role, Topology};
use crate::wait::until;

const NODE: Member = Member { role: Role::Queue, number: 1 };
const LOOKUP: Member = Member { role: Role::Lookup, number: 1 };

/// A debug build on a busy machine: far above what starting takes.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A node answers what it has accepted, waiting for the disk for some seconds at most.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// A `punctual queue` and a `punctual lookup`. Dropped without [`stop`](Self::stop), it takes the test for failed: it
/// shows the end of the node's log and keeps the files.
#[derive(Debug)]
pub struct QueueNode {
    topology: Topology,
    node: Process,
    _lookup: Process,
    http: reqwest::Client,
    dir: Option<TempDir>,
}

impl QueueNode {
    /// Starts both; the messages are on the disk that the build is on.
    ///
    /// # Errors
    /// When one of them does not start or become ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(None, &[]).await
    }

    /// The same with more arguments for the node.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(arguments: &[String]) -> anyhow::Result<Self> {
        Self::start_in(None, arguments).await
    }

    /// The same with the messages under `dir`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_on(dir: &Path) -> anyhow::Result<Self> {
        Self::start_in(Some(dir.join("queue")), &[]).await
    }

    async fn start_in(data_path: Option<PathBuf>, arguments: &[String]) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("queue-node-").tempdir_in(programs::scratch()?)?;
        let topology = Topology::local(&BTreeMap::from([(Role::Queue, 1), (Role::Lookup, 1)]))?;
        let data_path = data_path.unwrap_or_else(|| dir.path().join("queue"));
        let own = |member, interface| topology.address(member, interface).map(str::to_owned);
        let lookup_args = ["lookup".to_owned(), "--tcp-address".to_owned(), own(LOOKUP, "TCP")?]
            .into_iter()
            .chain(["--http-address".to_owned(), own(LOOKUP, "HTTP")?]);
        let node_args = ["queue".to_owned(), "--tcp-address".to_owned(), own(NODE, "TCP")?]
            .into_iter()
            .chain(["--http-address".to_owned(), own(NODE, "HTTP")?])
            .chain(["--lookupd-tcp-address".to_owned(), own(LOOKUP, "TCP")?])
            .chain(["--data-path".to_owned(), data_path.to_string_lossy().into_owned()])
            .chain(arguments.iter().cloned());
        let program = programs::punctual()?;
        let lookup = Process::start(&LOOKUP.to_string(), &program, lookup_args, dir.path())?;
        let node = Process::start(&NODE.to_string(), &program, node_args, dir.path())?;
        let http = crate::http::client(Duration::from_secs(10))?;
        let mut started = Self { topology, node, _lookup: lookup, http, dir: Some(dir) };
        started.ready().await?;
        Ok(started)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let url = self.url("ping")?;
        let (node, http) = (&mut self.node, &self.http);
        let ended = until("the node to be ready", STARTS_WITHIN, async || {
            if let Ok(Some(status)) = node.exited() {
                return Ok(Some(status));
            }
            let answer = http.get(&url).send().await.and_then(reqwest::Response::error_for_status);
            answer.map(|_| None).map_err(|error| error.to_string())
        })
        .await?;
        ensure!(ended.is_none(), "the node ended at its start: {ended:?}");
        Ok(())
    }

    /// Where producers and consumers connect.
    ///
    /// # Errors
    /// Never, once it has started.
    pub fn address(&self) -> anyhow::Result<&str> {
        self.topology.address(NODE, "TCP")
    }

    /// Where the HTTP interface listens.
    ///
    /// # Errors
    /// Never, once it has started.
    pub fn http_address(&self) -> anyhow::Result<&str> {
        self.topology.address(NODE, "HTTP")
    }

    /// Where the lookup is asked.
    ///
    /// # Errors
    /// Never, once it has started.
    pub fn lookup_address(&self) -> anyhow::Result<&str> {
        self.topology.address(LOOKUP, "HTTP")
    }

    /// Memory that the node has in use, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.node.pid().context("the node does not run")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kilobytes.context("no VmRSS")?.trim().parse::<u64>()? * 1024)
    }

    fn url(&self, path: &str) -> anyhow::Result<String> {
        Ok(format!("http://{}/{path}", self.topology.address(NODE, "HTTP")?))
    }

    /// Posts to the node's HTTP interface; gives status and answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<(u16, String)> {
        let answer = self.http.post(self.url(path)?).body(body).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Reads from the node's HTTP interface; gives status and answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let answer = self.http.get(self.url(path)?).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Makes a topic and its channels.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn create(&self, topic: &str, channels: &[&str]) -> anyhow::Result<()> {
        let topic_path = format!("topic/create?topic={topic}");
        let channel_paths =
            channels.iter().map(|name| format!("channel/create?topic={topic}&channel={name}"));
        for path in std::iter::once(topic_path).chain(channel_paths) {
            let (status, answer) = self.post(&path, Vec::new()).await?;
            ensure!(status == 200, "{path}: {status} {answer}");
        }
        Ok(())
    }

    /// What `/stats` says of a channel.
    ///
    /// # Errors
    /// When there is no such channel.
    pub async fn channel_stats(&self, topic: &str, channel: &str) -> anyhow::Result<Value> {
        let path = format!("stats?format=json&topic={topic}&channel={channel}");
        let stats: Value = serde_json::from_str(&self.get(&path).await?.1)?;
        let stats = stats.pointer("/topics/0/channels/0").cloned();
        stats.with_context(|| format!("/stats does not know {topic}/{channel}"))
    }

    /// Whether the lookup lists the node.
    ///
    /// # Errors
    /// When the lookup does not answer.
    pub async fn is_listed(&self) -> anyhow::Result<bool> {
        let url = format!("http://{}/nodes", self.topology.address(LOOKUP, "HTTP")?);
        let nodes: Value = serde_json::from_str(&self.http.get(url).send().await?.text().await?)?;
        let producers = nodes.get("producers").and_then(Value::as_array).context("no list of producers")?;
        Ok(!producers.is_empty())
    }

    /// Kills the node with -9.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.node.kill()
    }

    /// Waits for the node to end by itself.
    ///
    /// # Errors
    /// When it runs longer than `within`.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.node.ended(within).await
    }

    /// Starts the node anew on the same data and waits until it serves.
    ///
    /// # Errors
    /// When it does not start or become ready.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.node.start_again()?;
        self.ready().await
    }

    /// What the node has printed so far.
    pub fn printed(&self) -> String {
        self.node.printed()
    }

    /// Asks the node to stop, and removes everything.
    ///
    /// # Errors
    /// When it does not stop in time or not with 0.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.node.stop(STOPS_WITHIN).await?;
        if let Some(dir) = self.dir.take() {
            dir.close()?;
        }
        Ok(())
    }
}

impl Drop for QueueNode {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take() {
            eprintln!("--- the last of the node\n{}", self.node.last_lines(25));
            eprintln!("--- everything is kept in {}", dir.keep().display());
        }
    }
}
