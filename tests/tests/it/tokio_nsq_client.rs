//! The node and the lookup with a client that others wrote, in Rust. Those in other languages are `other_clients`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_tests::queue_node::QueueNode;
use tokio::time::timeout;
use tokio_nsq::{
    NSQChannel, NSQConfigShared, NSQConsumer, NSQConsumerConfig, NSQConsumerConfigSources,
    NSQConsumerLookupConfig, NSQEvent, NSQMessage, NSQProducer, NSQProducerConfig, NSQRequeueDelay, NSQTopic,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A topic's two ends.
struct Ends {
    topic: Arc<NSQTopic>,
    producer: NSQProducer,
    consumer: NSQConsumer,
}

impl Ends {
    async fn connect(node: &QueueNode, name: &str, shared: NSQConfigShared) -> anyhow::Result<Self> {
        let sources = NSQConsumerConfigSources::Daemons(vec![node.address()?.to_owned()]);
        Self::connect_through(node, name, shared, sources).await
    }

    async fn connect_through(
        node: &QueueNode,
        name: &str,
        shared: NSQConfigShared,
        sources: NSQConsumerConfigSources,
    ) -> anyhow::Result<Self> {
        let topic = NSQTopic::new(name).context("not a topic")?;
        let channel = NSQChannel::new("c").context("not a channel")?;
        let mut producer = NSQProducerConfig::new(node.address()?).set_shared(shared.clone()).build();
        let healthy = timeout(PATIENCE, producer.consume()).await?;
        ensure!(matches!(healthy, Some(NSQEvent::Healthy())), "{healthy:?}");
        let consumer = NSQConsumerConfig::new(Arc::clone(&topic), channel)
            .set_max_in_flight(10)
            .set_sources(sources)
            .set_shared(shared)
            .build();
        Ok(Self { topic, producer, consumer })
    }

    async fn acknowledged(&mut self, publishes: usize) -> anyhow::Result<()> {
        for _ in 0..publishes {
            let answer = timeout(PATIENCE, self.producer.consume()).await?;
            ensure!(matches!(answer, Some(NSQEvent::Ok())), "{answer:?} in place of OK");
        }
        Ok(())
    }

    async fn message(&mut self) -> anyhow::Result<NSQMessage> {
        let message = timeout(PATIENCE, self.consumer.consume_filtered()).await.context("no message came")?;
        message.context("the consumer ended")
    }

    /// PUB, MPUB and DPUB; small and large, alone and one after the other.
    async fn cycle(&mut self) -> anyhow::Result<()> {
        let large = vec![7; 1024 * 1024];
        let mut expected: Vec<Vec<u8>> =
            (0..200_u8).map(|n| vec![b'a' + n % 20; usize::from(n) + 1]).collect();
        for body in &expected {
            self.producer.publish(&self.topic, body.clone()).await?;
        }
        self.producer.publish(&self.topic, large.clone()).await?;
        let several = vec![b"alice".to_vec(), b"bob".to_vec()];
        self.producer.publish_multiple(&self.topic, several.clone()).await?;
        self.producer.publish_deferred(&self.topic, b"later".to_vec(), 1).await?;
        self.acknowledged(expected.len() + 3).await?;
        expected.extend([large, b"later".to_vec()].into_iter().chain(several));
        for _ in 0..expected.len() {
            let message = self.message().await?;
            let place = expected.iter().position(|body| *body == message.body);
            expected.swap_remove(place.context("a message that is not expected, or not again")?);
            ensure!(message.attempt == 1, "attempt {}", message.attempt);
            message.finish().await;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_nsq_publishes_and_consumes() -> anyhow::Result<()> {
    let node = QueueNode::start().await?;
    Ends::connect(&node, "plain", NSQConfigShared::new()).await?.cycle().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_nsq_finds_a_node_through_the_lookup() -> anyhow::Result<()> {
    let node = QueueNode::start().await?;
    node.create("listed", &["c"]).await?;
    let lookup = NSQConsumerLookupConfig::new()
        .set_addresses(HashSet::from([format!("http://{}", node.lookup_address()?)]))
        .set_poll_interval(Duration::from_millis(50));
    let sources = NSQConsumerConfigSources::Lookup(lookup);
    Ends::connect_through(&node, "listed", NSQConfigShared::new(), sources).await?.cycle().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tokio_nsq_gives_back_comes_again_and_what_it_touches_stays() -> anyhow::Result<()> {
    let node = QueueNode::start().await?;
    let mut ends = Ends::connect(&node, "again", NSQConfigShared::new()).await?;
    ends.producer.publish(&ends.topic, b"x".to_vec()).await?;
    ends.acknowledged(1).await?;
    for attempt in 1..4 {
        let message = ends.message().await?;
        ensure!(message.attempt == attempt, "attempt {} in place of {attempt}", message.attempt);
        message.touch().await;
        message.requeue(NSQRequeueDelay::CustomDelay(Duration::from_millis(20))).await;
    }
    ends.message().await?.finish().await;
    punctual_tests::wait::until("the channel to be done with it", PATIENCE, async || {
        let stats = node.channel_stats("again", "c").await.map_err(|error| error.to_string())?;
        let left = ["depth", "in_flight_count", "deferred_count"].map(|key| stats[key].as_u64());
        if left == [Some(0); 3] { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await?;
    node.stop().await
}
