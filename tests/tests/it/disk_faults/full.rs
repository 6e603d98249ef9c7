//! A full disk: publishes are refused, consumers go on, and nothing has to be restarted.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions, Delivery};
use punctual_queue_client::producer::{Producer, ProducerOptions, PublishOutcome};
use punctual_tests::lossy_disk::{LossyDisk, Survival};
use punctual_tests::queue_load::{self, History, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// A topic tries each second to write down what it could not, and that is durable a second later.
const WRITTEN_DOWN_AFTER: Duration = Duration::from_millis(2_500);

/// Messages in a consumer's hands.
const IN_HAND: u32 = 20;

async fn producer(node: &QueueNode) -> anyhow::Result<Producer> {
    Ok(Producer::connect(&NodeAddress::new(node.address()?), ProducerOptions::default()).await?)
}

/// Publishes over TCP until refused; the disk has some room left that was written ahead.
async fn publish_until_refused(node: &QueueNode, history: &History) -> anyhow::Result<(String, String)> {
    let producer = producer(node).await?;
    for _ in 0..100_000 {
        let publish = history.publishing(20);
        match producer.publish(&queue_load::topic()?, publish.bodies()).await {
            PublishOutcome::Acknowledged => history.acknowledged(&publish),
            PublishOutcome::Refused { code, text } => {
                history.refused(&publish);
                return Ok((code, text));
            }
            other => bail!("neither acknowledged nor refused: {other:?}"),
        }
    }
    bail!("a full disk takes everything")
}

async fn publish_over_http(node: &QueueNode, history: &History) -> anyhow::Result<(u16, String)> {
    let publish = history.publishing(1);
    let body = publish.bodies().remove(0).to_vec();
    let answer = node.post(&format!("pub?topic={TOPIC}"), body).await?;
    if answer.0 == 200 {
        history.acknowledged(&publish)
    } else {
        history.refused(&publish)
    };
    Ok(answer)
}

async fn receive(consumer: &mut Consumer) -> anyhow::Result<Delivery> {
    tokio::time::timeout(PATIENCE, consumer.recv()).await?.context("the consumer ended")
}

async fn in_flight(node: &QueueNode) -> anyhow::Result<u64> {
    let stats = node.channel_stats(TOPIC, WORK).await?;
    stats.get("in_flight_count").and_then(Value::as_u64).context("no in_flight_count")
}

/// FIN and REQ, with answers that show in what the node says and does.
async fn finish_and_requeue(
    node: &QueueNode,
    consumer: &mut Consumer,
    history: &History,
) -> anyhow::Result<()> {
    let mut held = Vec::new();
    for _ in 0..IN_HAND {
        let delivery = receive(consumer).await?;
        let (number, _) = history.delivered(WORK, &delivery.message().body, IN_HAND)?;
        held.push((number, delivery));
    }
    consumer.set_ready(0);
    let (back, done) = held.split_at(1);
    let (back_number, done_count) = (back[0].0, done.len() as u64);
    for (number, delivery) in held.drain(1..) {
        history.finished(WORK, number);
        delivery.finish();
    }
    until("finished messages to leave the consumer's hands", PATIENCE, async || {
        match in_flight(node).await {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?} are in flight, {done_count} were finished")),
        }
    })
    .await?;
    history.requeued(WORK);
    held.remove(0).1.requeue(Duration::ZERO);
    consumer.set_ready(IN_HAND);
    loop {
        let delivery = receive(consumer).await?;
        let (number, _) = history.delivered(WORK, &delivery.message().body, IN_HAND)?;
        history.finished(WORK, number);
        let attempts = delivery.message().attempts;
        delivery.finish();
        if number == back_number {
            ensure!(attempts == 2, "a requeued message came with {attempts} attempts");
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and /dev/fuse; `cargo xtask test --full` runs it"]
async fn a_full_disk_refuses_publishes_lets_consumers_go_on_and_takes_publishes_again_without_a_restart()
-> anyhow::Result<()> {
    let disk = LossyDisk::mount()?;
    let mut node = QueueNode::start_on(disk.path()).await?;
    let history = queue_load::prepare(&node, TOPIC).await?;
    for _ in 0..200 {
        ensure!(publish_over_http(&node, &history).await?.0 == 200);
    }
    let mut options = ConsumerOptions::new(queue_load::topic()?, queue_load::channel(WORK)?);
    options.nodes = vec![NodeAddress::new(node.address()?)];
    let mut consumer = Consumer::start(options)?;
    history.connected(WORK);
    consumer.set_ready(IN_HAND);

    for _ in 0..3 {
        disk.set_full(true);
        let (code, text) = publish_until_refused(&node, &history).await?;
        ensure!(code == "E_MPUB_FAILED" && text.contains("No space left"), "refused with {code} {text}");
        let (status, text) = publish_over_http(&node, &history).await?;
        ensure!(status == 503 && text.contains("DISK_FULL"), "refused with {status} {text}");
        let (status, text) = node.post("topic/create?topic=other", Vec::new()).await?;
        ensure!(status == 500, "a topic was made on a full disk: {status} {text}");
        let (status, text) = node.get("ping").await?;
        ensure!(status == 500 && text.contains("No space left"), "/ping says {status} {text}");
        ensure!(disk.refusals() > 0, "the disk was never full");
        finish_and_requeue(&node, &mut consumer, &history).await?;

        disk.set_full(false);
        let publish = history.publishing(20);
        let outcome = producer(&node).await?.publish(&queue_load::topic()?, publish.bodies()).await;
        ensure!(outcome == PublishOutcome::Acknowledged, "with room again: {outcome:?}");
        history.acknowledged(&publish);
        ensure!(publish_over_http(&node, &history).await?.0 == 200, "with room again, over HTTP");
        let (status, text) = node.get("ping").await?;
        ensure!(status == 200, "/ping says {status} {text}");
    }
    consumer.close().await;
    let finished = history.finished_for(WORK, Duration::ZERO);
    until("what was finished on the full disk to be written down", PATIENCE, async || {
        let for_good = history.finished_for(WORK, WRITTEN_DOWN_AFTER);
        if for_good >= finished { Ok(()) } else { Err(format!("{for_good} of {finished}")) }
    })
    .await?;
    history.stopping();
    node.kill()?;
    disk.cut_power(&mut Survival::none());
    node.restart().await?;
    queue_load::settle(&node, &history).await?;
    ensure!(history.came_back().count == 0, "finished messages came back: {:?}", history.came_back());
    node.stop().await
}
