//! A load on a queue node that knows what must come of it: publishers and a consumer under way while faults happen,
//! and a history that judges every delivery.

mod body;
mod channel_history;
mod consumer;
mod history;
mod publisher;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use punctual_queue_client::connection::ConnectionOptions;
use punctual_queue_client::wire::name::{ChannelName, TopicName};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::queue_node::QueueNode;
use crate::wait::until;
pub use channel_history::CameBack;
pub use consumer::{consume, drain};
pub use history::{History, Publish};
pub use publisher::PublisherEnd;

/// The topic of a load that has no more than one.
pub const TOPIC: &str = "orders";

/// The channel that is consumed while faults happen.
pub const WORK: &str = "work";

/// The channel that is consumed between the faults, to its end.
pub const AUDIT: &str = "audit";

/// How long the last messages may take to be consumed.
const EMPTY_WITHIN: Duration = Duration::from_secs(30);

/// The topic's name as the client's type.
///
/// # Errors
/// Never: it is a name.
pub fn topic() -> anyhow::Result<TopicName> {
    Ok(TOPIC.parse()?)
}

/// A channel's name as the client's type.
///
/// # Errors
/// When it is not a name.
pub fn channel(name: &str) -> anyhow::Result<ChannelName> {
    Ok(name.parse()?)
}

/// Publishers, each with one publish under way at a time, and a consumer of [`WORK`] that finishes most of what it
/// gets. Dropped, it ends at once.
#[derive(Debug)]
pub struct Load {
    publishers: JoinSet<anyhow::Result<PublisherEnd>>,
    goes_on: watch::Sender<bool>,
    consumer: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Starts so many publishers, and the consumer.
    pub fn start(address: &str, history: &Arc<History>, publishers: u64) -> Self {
        Self::start_with(address, history, publishers, &ConnectionOptions::default())
    }

    /// The same with other than the usual connections.
    pub fn start_with(
        address: &str,
        history: &Arc<History>,
        publishers: u64,
        connection: &ConnectionOptions,
    ) -> Self {
        let goes_on = watch::Sender::new(true);
        let mut load = Self { publishers: JoinSet::new(), goes_on, consumer: JoinSet::new() };
        let (address, history) = (|| address.to_owned(), || Arc::clone(history));
        for _ in 0..publishers {
            let goes_on = load.goes_on.subscribe();
            load.publishers.spawn(publisher::publish(address(), history(), connection.clone(), goes_on));
        }
        load.consumer.spawn(consume(address(), WORK, history(), connection.clone()));
        load
    }

    /// Waits for all publishers to end by themselves, or to have ended, and ends the consumer.
    ///
    /// # Errors
    /// When a publisher could not connect, or the consumer was given what it must not be.
    pub async fn ended(mut self) -> anyhow::Result<Vec<PublisherEnd>> {
        let mut ends = Vec::new();
        while let Some(ended) = self.publishers.join_next().await {
            ends.push(ended??);
        }
        self.consumer.abort_all();
        while let Some(ended) = self.consumer.join_next().await {
            match ended {
                Ok(outcome) => outcome?,
                Err(error) if error.is_cancelled() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ends)
    }

    /// The same once each publisher has the outcome of what it has under way.
    ///
    /// # Errors
    /// As [`ended`](Self::ended).
    pub async fn end(self) -> anyhow::Result<Vec<PublisherEnd>> {
        self.goes_on.send_replace(false);
        self.ended().await
    }
}

/// Makes a topic with both channels, and the history of it.
///
/// # Errors
/// When the node refuses.
pub async fn prepare(node: &QueueNode, topic: &str) -> anyhow::Result<Arc<History>> {
    node.create(topic, &[WORK, AUDIT]).await?;
    Ok(Arc::new(History::of(topic.parse()?)))
}

/// Judges the whole of a history: empties both channels, and looks for what is missing, in parts, or made up.
///
/// # Errors
/// When a promise was broken, with the messages it was broken for.
pub async fn settle(node: &QueueNode, history: &Arc<History>) -> anyhow::Result<()> {
    for name in [WORK, AUDIT] {
        drain(node.address()?, name, history).await?;
        let rest =
            consume(node.address()?.to_owned(), name, Arc::clone(history), ConnectionOptions::default());
        tokio::select! {
            outcome = rest => outcome?,
            empty = until_empty(node, history.topic(), name) => empty?,
        }
        let missing = history.missing(name);
        ensure!(missing.is_empty(), "{name} has lost {missing:?}");
    }
    history.batches_are_whole()
}

async fn until_empty(node: &QueueNode, topic: &TopicName, name: &str) -> anyhow::Result<()> {
    until(&format!("{name} to be empty"), EMPTY_WITHIN, async || {
        let stats = node.channel_stats(topic.as_ref(), name).await.map_err(|error| error.to_string())?;
        let count = |key| stats.get(key).and_then(Value::as_u64);
        match ["depth", "in_flight_count", "deferred_count"].map(count) {
            [Some(0), Some(0), Some(0)] => Ok(()),
            counts => Err(format!("{counts:?}")),
        }
    })
    .await
}
