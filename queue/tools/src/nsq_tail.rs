//! `nsq_tail`: prints messages as they come.

use std::io::Write;

use clap::Args;
use futures::future::select_all;
use punctual_queue_client::consumer::{Consumer, Delivery};
use punctual_queue_wire::name::TopicName;
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use crate::consuming::{ConsumingArgs, channel_name, topic_name};
use crate::error::{ToolError, UsageError};

const NAME: &str = "nsq_tail";

/// The flags of `nsq_tail`.
#[derive(Debug, Clone, Args)]
pub struct NsqTail {
    #[command(flatten)]
    consuming: ConsumingArgs,

    /// The topic to print; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// The channel; by default one of its own that goes with it
    #[arg(long, default_value = "", hide_default_value = true)]
    channel: String,

    /// How many messages to print before it ends; 0 for no end
    #[arg(short, long = "n", default_value_t = 0)]
    count: u64,

    /// Print each message's topic before it
    #[arg(long)]
    print_topic: bool,
}

impl NsqTail {
    /// Prints messages to `output` until `stop`, or as many as were asked for.
    ///
    /// # Errors
    /// The flags do not say what to print, or the output cannot be written.
    pub async fn run(
        self,
        output: &mut (impl Write + Send),
        stop: CancellationToken,
    ) -> Result<(), ToolError> {
        self.consuming.check()?;
        if self.topics.is_empty() {
            return Err(UsageError::Missing("topic").into());
        }
        let mut consumers = self.start()?;
        let printed = self.print(&mut consumers, output, &stop).await;
        for (_, consumer) in consumers {
            consumer.close().await;
        }
        printed
    }
}

impl NsqTail {
    fn start(&self) -> Result<Vec<(TopicName, Consumer)>, ToolError> {
        let settings = self.consuming.settings(NAME)?;
        let channel = match self.channel.as_str() {
            "" => format!("tail{:06}#ephemeral", rand::rng().random_range(0..1_000_000)),
            given => given.to_owned(),
        };
        let channel = channel_name(&channel)?;
        let start = |topic: &String| {
            let topic = topic_name(topic)?;
            let options = self.consuming.options(&settings, topic.clone(), channel.clone());
            let consumer = self.consuming.start(options)?;
            if let Some(count) = u32::try_from(self.count).ok().filter(|count| *count > 0) {
                consumer.set_max_in_flight(self.consuming.max_in_flight.min(count));
            }
            Ok((topic, consumer))
        };
        self.topics.iter().map(start).collect()
    }

    async fn print(
        &self,
        consumers: &mut [(TopicName, Consumer)],
        output: &mut impl Write,
        stop: &CancellationToken,
    ) -> Result<(), ToolError> {
        let mut printed = 0;
        while let Some((topic, delivery)) = stop.run_until_cancelled(next(consumers)).await {
            self.print_one(&topic, &delivery, output).map_err(ToolError::Output)?;
            delivery.finish();
            printed += 1;
            if printed == self.count {
                break;
            }
        }
        Ok(())
    }

    fn print_one(
        &self,
        topic: &TopicName,
        delivery: &Delivery,
        output: &mut impl Write,
    ) -> std::io::Result<()> {
        if self.print_topic {
            write!(output, "{topic} | ")?;
        }
        output.write_all(&delivery.message().body)?;
        output.write_all(b"\n")?;
        output.flush()
    }
}

/// The next message of any topic; nothing is lost when this is dropped before it is done.
async fn next(consumers: &mut [(TopicName, Consumer)]) -> (TopicName, Delivery) {
    consumers.rotate_left(1); // the first that has a message is served, so each is the first in turn
    let each = consumers.iter_mut().map(|(topic, consumer)| {
        Box::pin(async move {
            match consumer.recv().await {
                Some(delivery) => (topic.clone(), delivery),
                // Its task is gone; the other topics go on.
                None => std::future::pending().await,
            }
        })
    });
    select_all(each).await.0
}
