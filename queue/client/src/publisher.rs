//! Publishing to whichever of many nodes is well.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use punctual_queue_wire::name::TopicName;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    address::NodeAddress,
    discovery::{DiscoveryError, LookupClient},
    pool::{NodePool, NodeState},
    producer::{Producer, ProducerOptions, PublishOutcome},
};

mod nodes;
mod rotation;
mod tally;

pub use tally::{Publication, Repeat};

use nodes::Nodes;
use rotation::Rotation;
use tally::{Attempt, Tally};

/// Where and how to publish.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// Nodes to publish to whatever lookups say.
    pub nodes: Vec<NodeAddress>,
    /// HTTP addresses of lookups, or their URLs: every node they know is published to, whether it has the topic or not.
    pub lookups: Vec<String>,
    /// How often lookups are asked, give or take 30 %.
    pub discovery_interval: Duration,
    /// How to publish to one node. Its time-out is that of one attempt.
    pub producer: ProducerOptions,
    /// After this time no further node is tried, and none waited for. With the attempt that is then under way, a
    /// publish takes no longer than this and [`ProducerOptions::publish_timeout`] together.
    pub patience: Duration,
    /// What to do when it is not known whether a node has the messages.
    pub repeat: Repeat,
    /// How long a node that refused something, or left something in doubt, is passed over while others are well.
    pub rest: Duration,
}

impl Default for PublisherOptions {
    /// Where to publish is to be added.
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            lookups: Vec::new(),
            discovery_interval: Duration::from_secs(60),
            producer: ProducerOptions::default(),
            patience: Duration::from_secs(15),
            repeat: Repeat::default(),
            rest: Duration::from_secs(5),
        }
    }
}

/// Keeps a connection to every node and publishes to one after another.
///
/// What one node does not take is tried elsewhere, each node once, unless it is the message that is at fault. Dropping
/// this closes all connections; what is under way is then unknown.
#[derive(Debug)]
pub struct Publisher {
    pool: Arc<NodePool>,
    rotation: Mutex<Rotation>,
    patience: Duration,
    repeat: Repeat,
    /// Holds the task that asks lookups, so that it ends with this.
    _tasks: JoinSet<()>,
}

impl Publisher {
    /// Starts to connect. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// The address of a lookup cannot be used, or the HTTP client could not be set up. Nodes and lookups that do not
    /// answer are tried again until they do.
    pub fn start(options: PublisherOptions) -> Result<Self, DiscoveryError> {
        let lookups =
            LookupClient::with_tls(&options.lookups, options.producer.connection.transport.tls.as_ref())?;
        let pool = Arc::new(NodePool::new(options.producer)?);
        pool.set_nodes(options.nodes.iter().cloned());
        let mut tasks = JoinSet::new();
        if lookups.has_lookups() {
            let nodes = Nodes { lookups, fixed: options.nodes, interval: options.discovery_interval };
            tasks.spawn(nodes.follow(pool.clone()));
        }
        let rotation = Mutex::new(Rotation::new(options.rest));
        Ok(Self { pool, rotation, patience: options.patience, repeat: options.repeat, _tasks: tasks })
    }

    /// Publishes messages to a topic at one node, which takes all or none of them unless they exceed
    /// [`ProducerOptions::max_body_bytes`]. While no node is connected, one is waited for.
    ///
    /// Dropping the call does not take back what is written.
    pub async fn publish(&self, topic: &TopicName, bodies: Vec<Bytes>) -> Publication {
        self.publish_as(&What::Now(topic, bodies), Tally::new(1, self.repeat)).await
    }

    /// Publishes a message to be delivered after `delay`; see [`Producer::publish_deferred`].
    pub async fn publish_deferred(&self, topic: &TopicName, delay: Duration, body: Bytes) -> Publication {
        self.publish_as(&What::Later(topic, delay, body), Tally::new(1, self.repeat)).await
    }

    /// Publishes the same messages to so many different nodes, so that the loss of one less loses nothing. Consumers
    /// get every copy: see [`Deduplicator`](crate::deduplicator::Deduplicator). A copy that is in doubt is made up for
    /// elsewhere, whatever [`PublisherOptions::repeat`] says.
    ///
    /// With fewer nodes connected, there are fewer copies; [`Publication::acknowledged`] tells.
    pub async fn publish_copies(&self, topic: &TopicName, bodies: Vec<Bytes>, copies: usize) -> Publication {
        self.publish_as(&What::Now(topic, bodies), Tally::new(copies, Repeat::WhenUnknown)).await
    }

    /// How every node is doing now, by address.
    pub fn states(&self) -> Vec<NodeState> {
        self.pool.states()
    }

    /// Changes whenever [`states`](Self::states) does.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.pool.changes()
    }

    async fn publish_as(&self, what: &What<'_>, mut tally: Tally) -> Publication {
        let deadline = Instant::now() + self.patience;
        let mut changes = self.pool.changes();
        loop {
            changes.mark_unchanged();
            let chosen = self.choose(&tally);
            if chosen.is_empty() {
                if !tally.may_wait() || timeout_at(deadline, changes.changed()).await.is_err() {
                    return tally.end();
                }
                tally.start_over();
                continue;
            }
            let outcomes = join_all(chosen.iter().map(|producer| what.publish_to(producer))).await;
            let now = Instant::now();
            for (producer, outcome) in chosen.iter().zip(outcomes) {
                self.rotation().note(producer.node(), &outcome, now);
                tally.note(Attempt {
                    node: producer.node(),
                    outcome,
                    in_part: what.may_be_kept_in_part(producer),
                });
            }
            if tally.is_over() || now >= deadline {
                return tally.end();
            }
        }
    }

    fn choose(&self, tally: &Tally) -> Vec<Arc<Producer>> {
        let mut untried = self.pool.producers();
        untried.retain(|producer| !tally.was_tried(producer.node()));
        let mut chosen = Vec::new();
        let now = Instant::now();
        let mut rotation = self.rotation();
        while chosen.len() < tally.missing() && !untried.is_empty() {
            let place = rotation.next(untried.iter().map(|producer| producer.node()), now);
            chosen.push(untried.remove(place));
        }
        chosen
    }

    fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is published.
enum What<'a> {
    Now(&'a TopicName, Vec<Bytes>),
    Later(&'a TopicName, Duration, Bytes),
}

impl What<'_> {
    async fn publish_to(&self, producer: &Producer) -> PublishOutcome {
        match self {
            Self::Now(topic, bodies) => producer.publish(topic, bodies.clone()).await,
            Self::Later(topic, delay, body) => producer.publish_deferred(topic, *delay, body.clone()).await,
        }
    }

    /// Whether a node that refuses may still have the first few: a stock nsqd, when there are several.
    fn may_be_kept_in_part(&self, producer: &Producer) -> bool {
        match self {
            Self::Now(_, bodies) => bodies.len() > 1 && producer.identity().is_none(),
            Self::Later(..) => false,
        }
    }
}
