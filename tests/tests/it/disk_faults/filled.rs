//! A disk that the queue filled by itself: what consumers finish makes room again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions};
use punctual_queue_client::producer::{Producer, ProducerOptions, PublishOutcome};
use punctual_tests::programs;
use punctual_tests::queue_load::{self, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

/// Room for some segments of the largest size, 64 MiB: one that is written to cannot go.
const DISK: &str = "size=200m";

const BODY_BYTES: usize = 100_000;

/// A small file system in memory. It says nothing of durability, and everything of room.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("small-disk-").tempdir_in(programs::scratch()?)?;
        mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some(DISK))
            .context("cannot mount a tmpfs, which takes root")?;
        Ok(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The test has failed before this can.
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

async fn publish(producer: &Producer) -> anyhow::Result<PublishOutcome> {
    let bodies = vec![Bytes::from(vec![b'x'; BODY_BYTES]); 10];
    Ok(producer.publish(&queue_load::topic()?, bodies).await)
}

async fn producer(node: &QueueNode) -> anyhow::Result<Producer> {
    Ok(Producer::connect(&NodeAddress::new(node.address()?), ProducerOptions::default()).await?)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root; `cargo xtask test --full` runs it"]
async fn a_disk_that_the_queue_filled_has_room_again_once_all_is_consumed() -> anyhow::Result<()> {
    let disk = SmallDisk::mount()?;
    let node = QueueNode::start_on(disk.path()).await?;
    node.create(TOPIC, &[WORK]).await?;
    for _ in 0..3 {
        let filling = producer(&node).await?;
        let mut acknowledged = 0;
        while let PublishOutcome::Acknowledged = publish(&filling).await? {
            acknowledged += 10;
            if acknowledged * BODY_BYTES > 400 << 20 {
                bail!("{DISK} held {acknowledged} messages of {BODY_BYTES} bytes");
            }
        }
        ensure!(acknowledged > 0, "nothing was freed");
        consume(&node, acknowledged).await?;
        until("room to publish", PATIENCE, async || match publish(&producer(&node).await?).await? {
            PublishOutcome::Acknowledged => Ok(()),
            other => Err(anyhow::anyhow!("{other:?}")),
        })
        .await?;
        consume(&node, 10).await?;
    }
    node.stop().await
}

async fn consume(node: &QueueNode, messages: usize) -> anyhow::Result<()> {
    let mut options = ConsumerOptions::new(queue_load::topic()?, queue_load::channel(WORK)?);
    options.nodes = vec![NodeAddress::new(node.address()?)];
    let mut consumer = Consumer::start(options)?;
    consumer.set_ready(100);
    for _ in 0..messages {
        let delivery = tokio::time::timeout(PATIENCE, consumer.recv()).await?;
        delivery.context("the consumer ended")?.finish();
    }
    consumer.close().await;
    Ok(())
}
