//! A slow disk: publishers wait longer and share what they wait for; nobody is cut off.

use std::time::Duration;

use anyhow::ensure;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::connection::ConnectionOptions;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions};
use punctual_tests::lossy_disk::LossyDisk;
use punctual_tests::queue_load::{self, Load, PublisherEnd, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;

const DELAY: Duration = Duration::from_millis(150);
const PUBLISHERS: u64 = 64;

/// Publishes of each publisher: enough for many heartbeats to be due meanwhile.
const ROUNDS: u64 = 12;

/// Of five publishes of a publisher four are of one message and one of twenty.
const MESSAGES: usize = (PUBLISHERS * ROUNDS * 24 / 5) as usize;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and /dev/fuse; `cargo xtask test --full` runs it"]
async fn publishers_on_a_slow_disk_share_syncs_and_no_client_misses_a_heartbeat() -> anyhow::Result<()> {
    let disk = LossyDisk::mount()?;
    let node = QueueNode::start_on(disk.path()).await?;
    let history = queue_load::prepare(&node, TOPIC).await?;
    // A client that hears nothing for two of these takes the node for dead.
    let impatient =
        ConnectionOptions { heartbeat_interval: Duration::from_secs(1), ..ConnectionOptions::default() };

    let mut options = ConsumerOptions::new(queue_load::topic()?, queue_load::channel("idle")?);
    options.nodes = vec![NodeAddress::new(node.address()?)];
    options.connection = impatient.clone();
    let idle = Consumer::start(options)?;
    let mut connections = idle.connections();
    tokio::time::timeout(Duration::from_secs(10), connections.wait_for(|count| *count == 1)).await??;

    disk.set_delay(DELAY);
    let before = disk.syncs();
    let load = Load::start_with(node.address()?, &history, PUBLISHERS, &impatient);
    until("messages to be acknowledged", Duration::from_secs(100), async || {
        let now = history.acknowledged_count();
        if now >= MESSAGES { Ok(()) } else { Err(format!("{now} of {MESSAGES}")) }
    })
    .await?;
    let (acknowledged, syncs) = (history.acknowledged_count() as u64, disk.syncs() - before);
    let ends = load.end().await?;
    ensure!(ends.iter().all(|end| *end == PublisherEnd::Told), "publishers ended: {ends:?}");
    ensure!(!connections.has_changed()?, "the idle consumer was cut off");
    eprintln!("{acknowledged} messages and {syncs} syncs of {DELAY:?}");
    ensure!(acknowledged > 64 * syncs, "{acknowledged} messages took {syncs} syncs");
    ensure!(history.finished_for(WORK, Duration::ZERO) > 100, "too few messages were consumed meanwhile");

    disk.set_delay(Duration::ZERO);
    idle.close().await;
    queue_load::settle(&node, &history).await?;
    node.stop().await
}
