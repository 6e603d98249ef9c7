//! Consumers that tell the history what they get.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::connection::ConnectionOptions;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions, Delivery};

use super::{History, channel};

/// Messages in flight. Small, so that what was finished is soon known to be taken.
const READY: u32 = 32;

/// One in so many messages is given back when it comes for the first time.
const REQUEUED: u64 = 16;

/// How long to wait for a message that must come.
const PATIENCE: Duration = Duration::from_secs(20);

struct Reader {
    consumer: Consumer,
    channel: &'static str,
    history: Arc<History>,
}

/// Consumes a channel for as long as it is polled: finishes most messages and gives the others back once.
///
/// # Errors
/// When something is delivered that must not be.
pub async fn consume(
    address: String,
    channel: &'static str,
    history: Arc<History>,
    connection: ConnectionOptions,
) -> anyhow::Result<()> {
    let mut reader = Reader::start(&address, channel, history, connection)?;
    loop {
        let delivery = reader.consumer.recv().await.context("the consumer ended")?;
        reader.judge(delivery, true)?;
    }
}

/// Consumes a channel until every acknowledged message was delivered, finishing all it gets.
///
/// # Errors
/// When one does not come, or something is delivered that must not be.
pub async fn drain(address: &str, channel: &'static str, history: &Arc<History>) -> anyhow::Result<()> {
    let mut reader = Reader::start(address, channel, Arc::clone(history), ConnectionOptions::default())?;
    let mut missing: HashSet<u64> = history.missing(channel).into_iter().collect();
    while !missing.is_empty() {
        let delivery = tokio::time::timeout(PATIENCE, reader.consumer.recv()).await;
        let delivery = delivery.with_context(|| {
            let some: Vec<&u64> = missing.iter().take(5).collect();
            format!("{} acknowledged messages did not come back on {channel}: {some:?} …", missing.len())
        })?;
        missing.remove(&reader.judge(delivery.context("the consumer ended")?, false)?);
    }
    reader.consumer.close().await;
    Ok(())
}

impl Reader {
    fn start(
        address: &str,
        name: &'static str,
        history: Arc<History>,
        connection: ConnectionOptions,
    ) -> anyhow::Result<Self> {
        let mut options = ConsumerOptions::new(history.topic().clone(), channel(name)?);
        options.nodes = vec![NodeAddress::new(address)];
        options.connection = connection;
        let consumer = Consumer::start(options)?;
        history.connected(name);
        consumer.set_ready(READY);
        Ok(Self { consumer, channel: name, history })
    }

    fn judge(&self, delivery: Delivery, gives_back: bool) -> anyhow::Result<u64> {
        let (number, is_first) = self.history.delivered(self.channel, &delivery.message().body, READY)?;
        if gives_back && is_first && number.is_multiple_of(REQUEUED) {
            self.history.requeued(self.channel);
            delivery.requeue(Duration::ZERO);
        } else {
            self.history.finished(self.channel, number);
            delivery.finish();
        }
        Ok(number)
    }
}
