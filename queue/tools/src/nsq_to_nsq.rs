//! `nsq_to_nsq`: publishes the messages of some topics at other nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::consumer::Delivery;
use punctual_queue_client::pool::NodePool;
use punctual_queue_client::producer::{NotSent, ProducerOptions, PublishOutcome};
use punctual_queue_wire::name::TopicName;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::client_settings::ClientSettings;
use crate::consuming::{ConsumingArgs, channel_name, topic_name};
use crate::destinations::Destinations;
use crate::error::{ToolError, UsageError};
use crate::host_pool::Mode;
use crate::producing::ProducingArgs;
use crate::work::work;

mod filter;

use filter::{Filter, Required, Verdict};

const NAME: &str = "nsq_to_nsq";

/// The largest message that is passed on; the destination's own limit decides.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// How long a message waits for a destination while none is connected: one that restarts is back within moments, and to
/// put messages off takes minutes.
const RECONNECT: Duration = Duration::from_secs(5);

/// The flags of `nsq_to_nsq`.
#[derive(Debug, Clone, Args)]
pub struct NsqToNsq {
    #[command(flatten)]
    consuming: ConsumingArgs,

    #[command(flatten)]
    producing: ProducingArgs,

    /// A topic to pass on; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// The channel
    #[arg(long, default_value = NAME)]
    channel: String,

    /// The TCP address of a node to publish at; may be repeated
    #[arg(long = "destination-nsqd-tcp-address", value_name = "HOST:PORT")]
    destinations: Vec<String>,

    /// The topic to publish to; by default the one a message comes from
    #[arg(long, value_name = "TOPIC", default_value = "", hide_default_value = true)]
    destination_topic: String,

    /// Which of several nodes gets a message: one that is well in turn (hostpool), the next (round-robin), or a quick
    /// one (epsilon-greedy)
    #[arg(long, default_value = "hostpool")]
    mode: Mode,

    /// Log how long publishes took after every so many; 0 for never
    #[arg(long, value_name = "N", default_value_t = 250)]
    status_every: usize,

    /// Of messages that are JSON objects, pass on only those with this field
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    require_json_field: String,

    /// Of messages that are JSON objects, pass on only those in which the required field has this value
    #[arg(long, value_name = "VALUE", default_value = "", hide_default_value = true)]
    require_json_value: String,

    /// Of messages that are JSON objects, pass on only this field; may be repeated
    #[arg(long = "whitelist-json-field", value_name = "FIELD")]
    whitelist_json_fields: Vec<String>,
}

/// What every message needs.
#[derive(Debug)]
struct Forwarder {
    nodes: Vec<NodeAddress>,
    pool: NodePool,
    destinations: Destinations,
    filter: Filter,
    settings: ClientSettings,
}

impl NsqToNsq {
    /// Passes messages on until `stop`, and then finishes what is under way. Nothing is consumed before a destination
    /// is connected.
    ///
    /// # Errors
    /// The flags do not say what to do.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ToolError> {
        let routes = self.routes()?;
        let channel = channel_name(&self.channel)?;
        let settings = self.consuming.settings(NAME)?;
        let forwarder = Arc::new(self.forwarder(settings.clone())?);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = forwarder.connected() => {}
        }
        let at_once = usize::try_from(self.consuming.max_in_flight).unwrap_or(usize::MAX);
        let mut topics = JoinSet::new();
        for (topic, destination) in routes {
            let options = self.consuming.options(&settings, topic, channel.clone());
            let consumer = self.consuming.start(options)?;
            let (forwarder, stop) = (Arc::clone(&forwarder), stop.clone());
            topics.spawn(async move {
                let handle = |delivery| Arc::clone(&forwarder).handle(destination.clone(), delivery);
                work(consumer, at_once, stop, handle).await;
            });
        }
        while let Some(ended) = topics.join_next().await {
            // Nothing aborts them.
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        Ok(())
    }

    /// The topics, and where to publish what comes from each.
    fn routes(&self) -> Result<Vec<(TopicName, TopicName)>, UsageError> {
        self.consuming.check()?;
        if self.topics.is_empty() {
            return Err(UsageError::Missing("topic"));
        } else if self.destinations.is_empty() {
            return Err(UsageError::Missing("destination-nsqd-tcp-address"));
        }
        let route = |topic: &String| {
            let destination = if self.destination_topic.is_empty() { topic } else { &self.destination_topic };
            Ok((topic_name(topic)?, topic_name(destination)?))
        };
        self.topics.iter().map(route).collect()
    }

    fn forwarder(&self, settings: ClientSettings) -> Result<Forwarder, ToolError> {
        let nodes: Vec<_> = self.destinations.iter().map(NodeAddress::new).collect();
        let producer = ProducerOptions {
            max_message_bytes: MAX_MESSAGE_BYTES,
            ..self.producing.settings(NAME)?.producer()
        };
        let pool = NodePool::new(producer)?;
        pool.set_nodes(nodes.iter().cloned());
        let filter = Filter {
            required: Required::new(&self.require_json_field, &self.require_json_value),
            fields: self.whitelist_json_fields.clone(),
        };
        let destinations = Destinations::new(self.destinations.clone(), self.mode, self.status_every);
        Ok(Forwarder { nodes, pool, destinations, filter, settings })
    }
}

impl Forwarder {
    /// Waits until a destination is connected.
    async fn connected(&self) {
        let mut changes = self.pool.changes();
        while !self.pool.states().iter().any(|state| state.connected) {
            // The pool is ours, and so is what tells of its changes.
            let _never_fails = changes.changed().await;
        }
    }

    async fn handle(self: Arc<Self>, topic: TopicName, delivery: Delivery) {
        let (id, attempts) = (delivery.message().id, delivery.message().attempts);
        if self.settings.gives_up(attempts) {
            error!(message.id = %id, attempts, "giving up on a message");
            return delivery.finish();
        }
        let body = match self.filter.judge(&delivery.message().body) {
            Verdict::Pass(body) => body,
            Verdict::Filtered => return delivery.finish(),
            Verdict::Unusable => {
                error!(message.id = %id, "a message is not a JSON object, and dropped");
                return delivery.finish();
            }
        };
        match delivery.touch_during(self.publish(&topic, body)).await {
            Ok(()) => delivery.finish(),
            Err(outcome) => {
                warn!(message.id = %id, attempts, ?outcome, "a message could not be passed on");
                delivery.fail(self.settings.requeue_delay(attempts));
            }
        }
    }

    /// Publishes a message to the node whose turn it is; to another only if it is certain that the first has nothing.
    async fn publish(&self, topic: &TopicName, body: Bytes) -> Result<(), PublishOutcome> {
        let started = Instant::now();
        let _still_away = timeout(RECONNECT, self.connected()).await;
        let mut outcome = PublishOutcome::NotSent(NotSent::NotConnected);
        for _ in 0..self.nodes.len() {
            let place = self.destinations.choose();
            let sent = Instant::now();
            outcome = self.pool.publish(&self.nodes[place], topic, vec![body.clone()]).await;
            match &outcome {
                PublishOutcome::Acknowledged => {
                    self.destinations.succeeded(place, sent.elapsed());
                    self.destinations.delivered(started.elapsed());
                    return Ok(());
                }
                // It is the message that is at fault.
                PublishOutcome::NotSent(NotSent::EmptyMessage | NotSent::MessageTooBig { .. }) => break,
                PublishOutcome::Refused { code, .. } if code.starts_with("E_BAD_") => break,
                PublishOutcome::NotSent(NotSent::NotConnected | NotSent::TimedOut)
                | PublishOutcome::Refused { .. } => {
                    debug!(address = self.destinations.name(place), ?outcome, "a destination takes nothing");
                    self.destinations.failed(place);
                }
                PublishOutcome::Unknown(_) => {
                    self.destinations.failed(place);
                    break;
                }
            }
        }
        Err(outcome)
    }
}
