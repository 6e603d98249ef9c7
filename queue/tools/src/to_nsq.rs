//! `to_nsq`: publishes what it reads, record by record.

use std::io::{BufReader, Read};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::future::try_join_all;
use punctual_queue_client::{
    address::NodeAddress,
    producer::{Producer, ProducerOptions, PublishOutcome},
};
use punctual_queue_wire::name::TopicName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::consuming::topic_name;
use crate::error::{ToolError, UsageError};
use crate::producing::ProducingArgs;

mod records;

use records::Records;

const NAME: &str = "to_nsq";

/// Records that are published at once when they are there already, and no rate is asked for.
const BATCH: usize = 100;

/// How far publishing may lag behind its rate and then catch up: timers have milliseconds, and rates may be above 1,000.
const LAG: Duration = Duration::from_millis(20);

/// The flags of `to_nsq`.
#[derive(Debug, Clone, Args)]
pub struct ToNsq {
    #[command(flatten)]
    producing: ProducingArgs,

    /// The topic to publish to
    #[arg(long, default_value = "", hide_default_value = true)]
    topic: String,

    /// The TCP address of a node to publish to; may be repeated, and then each node gets every record
    #[arg(long = "nsqd-tcp-address", value_name = "HOST:PORT")]
    nsqd_tcp_addresses: Vec<String>,

    /// The byte that ends a record
    #[arg(long, default_value = "\n")]
    delimiter: String,

    /// How many records to publish per second at most; 0 for no limit
    #[arg(long, default_value_t = 0)]
    rate: u64,
}

impl ToNsq {
    /// Publishes the records of `input` until its end, or until `stop`.
    ///
    /// # Errors
    /// The flags do not say what to do, the input cannot be read, or a node does not take a record: those after it
    /// are then not published anywhere.
    pub async fn run(
        self,
        input: impl Read + Send + 'static,
        stop: CancellationToken,
    ) -> Result<(), ToolError> {
        if self.topic.is_empty() {
            return Err(UsageError::Missing("topic").into());
        }
        let &[delimiter] = self.delimiter.as_bytes() else { return Err(UsageError::BadDelimiter.into()) };
        if self.nsqd_tcp_addresses.is_empty() {
            return Err(UsageError::Missing("nsqd-tcp-address").into());
        }
        let topic = topic_name(&self.topic)?;
        let options = self.producing.settings(NAME)?.producer();
        let connect = self.nsqd_tcp_addresses.iter().map(|address| Destination::connect(address, &options));
        let connected = stop.run_until_cancelled(try_join_all(connect)).await;
        let Some(mut destinations) = connected.transpose()? else { return Ok(()) };
        let mut records = Records::read(BufReader::new(input), delimiter).map_err(ToolError::Input)?;
        let mut pace = Pace::new(self.rate);
        loop {
            let batch = stop.run_until_cancelled(async {
                pace.wait().await;
                records.next(pace.batch()).await
            });
            let Some(batch) = batch.await.transpose().map_err(ToolError::Input)? else { return Ok(()) };
            if batch.is_empty() {
                return Ok(()); // the end of the input
            }
            let publish = destinations.iter_mut().map(|node| node.publish(&topic, &batch));
            try_join_all(publish).await?;
        }
    }
}

/// A node that gets every record.
#[derive(Debug)]
struct Destination {
    node: NodeAddress,
    options: ProducerOptions,
    producer: Producer,
}

impl Destination {
    async fn connect(address: &str, options: &ProducerOptions) -> Result<Self, ToolError> {
        let node = NodeAddress::new(address);
        let producer = Producer::connect(&node, options.clone()).await?;
        Ok(Self { node, options: options.clone(), producer })
    }

    /// Publishes over the connection that there is, or over a new one where nothing went over that.
    async fn publish(&mut self, topic: &TopicName, records: &[Bytes]) -> Result<(), ToolError> {
        let mut outcome = self.producer.publish(topic, records.to_vec()).await;
        if matches!(outcome, PublishOutcome::NotSent(_)) && !self.producer.is_connected() {
            self.producer = Producer::connect(&self.node, self.options.clone()).await?;
            outcome = self.producer.publish(topic, records.to_vec()).await;
        }
        match outcome {
            PublishOutcome::Acknowledged => Ok(()),
            outcome => Err(ToolError::NotPublished { node: self.node.clone(), outcome }),
        }
    }
}

/// Keeps to a rate.
#[derive(Debug)]
struct Pace {
    /// Between two records; `None` for no limit.
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    fn new(per_second: u64) -> Self {
        let interval = (per_second > 0).then(|| Duration::from_nanos(1_000_000_000 / per_second));
        Self { interval, next: Instant::now() }
    }

    /// How many records may be published at once.
    fn batch(&self) -> usize {
        if self.interval.is_some() { 1 } else { BATCH }
    }

    /// Waits until it is time for one more.
    async fn wait(&mut self) {
        let Some(interval) = self.interval else { return };
        tokio::time::sleep_until(self.next).await;
        let earliest = Instant::now().checked_sub(LAG).unwrap_or(self.next);
        self.next = (self.next + interval).max(earliest);
    }
}
