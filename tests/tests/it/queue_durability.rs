//! What the queue acknowledged survives.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions};
use punctual_queue_client::producer::{Producer, ProducerOptions, PublishOutcome};
use punctual_queue_client::wire::name::{ChannelName, TopicName};
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::until;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const KILLS: u64 = 20;
const PUBLISHERS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_message_is_delivered_after_twenty_kills_of_the_node() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { schedulers: 0, ..Shape::small() }).await?;
    let node = Member { role: Role::Queue, number: 1 };
    let address = cluster.topology().address(node, "TCP")?.to_owned();
    let topic: TopicName = "orders".parse()?;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));

    for cycle in 0..KILLS {
        let mut publishers = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let (address, topic, acknowledged) = (address.clone(), topic.clone(), acknowledged.clone());
            let prefix = format!("{cycle}-{publisher}");
            publishers
                .spawn(async move { publish_until_cut(&address, &topic, &prefix, &acknowledged).await });
        }
        let before = acknowledged.lock().await.len();
        let enough = before + 200 + 37 * cycle as usize;
        until("messages to be acknowledged", Duration::from_secs(20), async || {
            let now = acknowledged.lock().await.len();
            if now >= enough { Ok(()) } else { Err(now - before) }
        })
        .await?;
        cluster.kill(node)?;
        while let Some(ended) = publishers.join_next().await {
            ended??;
        }
        cluster.restart(node).await?;
    }

    let acknowledged = acknowledged.lock().await.clone();
    let mut options = ConsumerOptions::new(topic, "audit".parse::<ChannelName>()?);
    options.nodes = vec![NodeAddress::new(address)];
    let mut consumer = Consumer::start(options)?;
    consumer.set_ready(500);
    let mut missing = acknowledged.clone();
    while !missing.is_empty() {
        let delivery = tokio::time::timeout(Duration::from_secs(20), consumer.recv()).await;
        let delivery =
            delivery.with_context(|| lost(&missing, &acknowledged))?.context("the consumer ended")?;
        missing.remove(&String::from_utf8(delivery.message().body.to_vec())?);
        delivery.finish();
    }
    consumer.close().await;
    ensure!(acknowledged.len() > 4_000, "only {} were acknowledged", acknowledged.len());
    cluster.stop().await
}

fn lost(missing: &HashSet<String>, acknowledged: &HashSet<String>) -> String {
    let some: Vec<&String> = missing.iter().take(5).collect();
    format!("{} of {} acknowledged messages did not come back: {some:?} …", missing.len(), acknowledged.len())
}

/// Publishes numbered messages, alone and in batches, and notes which were acknowledged.
async fn publish_until_cut(
    address: &str,
    topic: &TopicName,
    prefix: &str,
    acknowledged: &Mutex<HashSet<String>>,
) -> anyhow::Result<()> {
    let producer = Producer::connect(&NodeAddress::new(address), ProducerOptions::default()).await?;
    for number in 0_u64.. {
        let count = if number % 5 == 0 { 20 } else { 1 };
        let names: Vec<String> = (0..count).map(|part| format!("{prefix}-{number}-{part}")).collect();
        let bodies = names.iter().map(|name| Bytes::from(name.clone())).collect();
        match producer.publish(topic, bodies).await {
            PublishOutcome::Acknowledged => acknowledged.lock().await.extend(names),
            PublishOutcome::Refused { code, text } => anyhow::bail!("refused: {code} {text}"),
            // Cut: whether they are there is not known, and nobody may complain.
            PublishOutcome::NotSent(_) | PublishOutcome::Unknown(_) => break,
        }
    }
    Ok(())
}
