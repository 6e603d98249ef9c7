//! Clients that mean harm, or behave as if they did: the others' deliveries go on, and memory stays bounded.

mod bombs;
mod idle;
mod lies;
mod slow_readers;
mod slow_senders;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use punctual_tests::queue_load::{self, History, Load, PublisherEnd, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

const MIB: u64 = 1024 * 1024;

/// How long the others may take for some hundred messages: a debug build on a busy machine.
const GO_ON_WITHIN: Duration = Duration::from_secs(30);

/// How long the node may take to stop, whatever its clients do: a debug build on a busy machine.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

/// A node under the eyes of those who use it as they should.
struct Victim {
    node: QueueNode,
    history: Arc<History>,
    load: Load,
    /// What it had in use before the attack.
    before: u64,
}

impl Victim {
    async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more arguments for the node.
    async fn start_with(arguments: &[String]) -> anyhow::Result<Self> {
        let node = QueueNode::start_with(arguments).await?;
        let history = queue_load::prepare(&node, TOPIC).await?;
        let load = Load::start(node.address()?, &history, 2);
        let mut victim = Self { node, history, load, before: 0 };
        victim.others_go_on().await?; // whatever is made once is made by then
        victim.before = victim.node.resident_bytes()?;
        Ok(victim)
    }

    /// The others publish and finish so many messages more.
    async fn others_go_on(&self) -> anyhow::Result<()> {
        let count = || (self.history.acknowledged_count(), self.history.finished_for(WORK, Duration::ZERO));
        let enough = (count().0 + 300, count().1 + 300);
        until("the others to go on", GO_ON_WITHIN, async || match count() {
            (published, finished) if published >= enough.0 && finished >= enough.1 => Ok(()),
            now => Err(format!("{now:?} of {enough:?}")),
        })
        .await
    }

    /// What is in use now, with the others at work, is what counts as before the attack.
    async fn settles(&mut self) -> anyhow::Result<()> {
        for _ in 0..3 {
            self.others_go_on().await?;
        }
        self.before = self.node.resident_bytes()?;
        Ok(())
    }

    /// The node has taken no more than `most` bytes since the attack began.
    fn has_taken_at_most(&self, most: u64) -> anyhow::Result<u64> {
        let taken = self.node.resident_bytes()?.saturating_sub(self.before);
        ensure!(taken <= most, "the node has taken {} kB, {} kB are enough", taken / 1024, most / 1024);
        Ok(taken)
    }

    /// All that the others published has arrived, and the node stops when it is asked to.
    async fn end(self) -> anyhow::Result<()> {
        self.others_go_on().await?;
        let ends = self.load.end().await?;
        ensure!(ends.iter().all(|end| *end == PublisherEnd::Told), "{ends:?}");
        queue_load::settle(&self.node, &self.history).await?;
        let stopping = Instant::now();
        self.node.stop().await?;
        ensure!(stopping.elapsed() < STOPS_WITHIN, "the node took {:?} to stop", stopping.elapsed());
        Ok(())
    }
}

/// Waits for the node to close a connection, whatever it says before.
async fn is_closed(stream: &mut TcpStream, within: Duration) -> anyhow::Result<()> {
    let mut said = [0; 4096];
    let end = async { while stream.read(&mut said).await.is_ok_and(|bytes| bytes > 0) {} };
    ensure!(
        tokio::time::timeout(within, end).await.is_ok(),
        "the node keeps a connection it should have cut"
    );
    Ok(())
}
