//! Consuming one channel from every node that has it.

use std::{sync::Arc, time::Duration};

use punctual_queue_wire::name::{ChannelName, TopicName};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    address::NodeAddress,
    connection::ConnectionOptions,
    discovery::{DiscoveryError, LookupClient},
};

mod command_queue;
mod delivery;
mod membership;
mod pace;
mod ready;
mod roster;
mod session;

pub use delivery::Delivery;
pub use pace::BackoffOptions;

use membership::Membership;
use ready::Demand;
use roster::Roster;

/// Which of the nodes that lookups know a consumer connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiscoveryMode {
    /// Those that have the topic, as NSQ's own clients do.
    #[default]
    Topic,
    /// All of them, so that the consumer is there before the first message is published. Subscribing creates topic and
    /// channel.
    AllNodes,
}

/// What to consume, and how.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// The topic.
    pub topic: TopicName,
    /// The channel.
    pub channel: ChannelName,
    /// Nodes to connect to whatever lookups say.
    pub nodes: Vec<NodeAddress>,
    /// HTTP addresses of lookups, or their URLs.
    pub lookups: Vec<String>,
    /// Which of the nodes they know.
    pub discovery: DiscoveryMode,
    /// How often lookups are asked, give or take 30 %.
    pub discovery_interval: Duration,
    /// How to connect to nodes.
    pub connection: ConnectionOptions,
    /// Messages that may wait for [`Consumer::recv`]. Once it is full, nothing more is read, so it should be no less
    /// than what may be in flight.
    pub buffered_messages: usize,
    /// How to back off when messages [`fail`](Delivery::fail); `None` to go on as if nothing were.
    pub backoff: Option<BackoffOptions>,
    /// With fewer messages [in flight](Consumer::set_max_in_flight) than connections, the connections take turns. One
    /// without messages gives its turn up after this time, one with messages after three times as long.
    pub idle_timeout: Duration,
    /// How long [`Consumer::close`] waits for the nodes, and for what is in hand.
    pub close_timeout: Duration,
}

impl ConsumerOptions {
    /// Consumes a channel as NSQ's clients do; where from is to be added.
    pub fn new(topic: TopicName, channel: ChannelName) -> Self {
        Self {
            topic,
            channel,
            nodes: Vec::new(),
            lookups: Vec::new(),
            discovery: DiscoveryMode::default(),
            discovery_interval: Duration::from_secs(60),
            connection: ConnectionOptions::default(),
            buffered_messages: 1_024,
            backoff: Some(BackoffOptions::default()),
            idle_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// Subscribed to one channel at every node, existing and to come.
///
/// Nothing is delivered until [`set_max_in_flight`](Self::set_max_in_flight) or [`set_ready`](Self::set_ready); the
/// later of these calls holds. Dropping it closes the connections at once: what is in
/// flight is then delivered again, to whomever.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Delivery>,
    roster: Arc<Roster>,
    stages: Stages,
    close_timeout: Duration,
    /// Holds the task that keeps the connections, so that it ends with this.
    tasks: JoinSet<()>,
}

/// The two steps of closing.
#[derive(Debug, Clone, Default)]
struct Stages {
    /// Connections ask for no more deliveries.
    stopping: CancellationToken,
    /// Connections write what they still have to and close.
    ending: CancellationToken,
}

impl Consumer {
    /// Starts to connect. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// The address of a lookup cannot be used. Nodes and lookups that do not answer are tried again until they do.
    pub fn start(options: ConsumerOptions) -> Result<Self, DiscoveryError> {
        let lookups = LookupClient::with_tls(&options.lookups, options.connection.transport.tls.as_ref())?;
        let (sender, deliveries) = mpsc::channel(options.buffered_messages.max(1));
        let roster = Arc::new(Roster::new(options.backoff, options.idle_timeout));
        let stages = Stages::default();
        let close_timeout = options.close_timeout;
        let membership = Membership::new(options, lookups, roster.clone(), sender, stages.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(membership.run());
        tasks.spawn(roster.clone().keep_time(stages.stopping.clone()));
        Ok(Self { deliveries, roster, stages, close_timeout, tasks })
    }

    /// Sets how many messages may be in flight on each connection, from now on and for connections to come: a
    /// ceiling, not a budget. Nodes bound it, to 2,500 by default.
    ///
    /// On every connection this takes effect before whatever is asked of a [`Delivery`] afterwards: a ready count of
    /// zero reaches the node before a `finish` called later.
    pub fn set_ready(&self, count: u32) {
        self.roster.demand(Demand::Each(count));
    }

    /// Sets how many messages may be in flight in all, from now on: they are spread evenly over the connections, and
    /// spread anew when one comes or goes. With fewer messages than connections, the connections take turns; see
    /// [`ConsumerOptions::idle_timeout`]. With 0, nothing more is delivered.
    ///
    /// Nodes bound what each may have, to 2,500 by default.
    ///
    /// While counts move from one connection to another, messages that were on their way can exceed it.
    pub fn set_max_in_flight(&self, count: u32) {
        self.roster.demand(Demand::Total(count));
    }

    /// How deep in backing off the consumer is: how many messages in a row must succeed, each after a rest, before
    /// it asks for all that it may again. 0 when it is not backing off.
    pub fn backoff_level(&self) -> u32 {
        self.roster.backoff_level()
    }

    /// Whether a connection has next to all in hand that it may, so that soon nothing more comes from its node until
    /// messages are answered. A user that answers them in batches should do so then.
    pub fn is_starved(&self) -> bool {
        self.roster.is_starved()
    }

    /// A handle that sets the ready count from elsewhere.
    pub fn ready_handle(&self) -> ReadyHandle {
        ReadyHandle(self.roster.clone())
    }

    /// The next message; `None` only once the consumer's task is gone. Nothing is lost when this is dropped before it
    /// is done.
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }

    /// A message that is there already.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        self.deliveries.try_recv().ok()
    }

    /// How many nodes the consumer is subscribed at.
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.roster.connections()
    }

    /// Asks every node for no more messages, gives back those that [`recv`](Self::recv) has not handed out, waits for
    /// those it has until they are answered or dropped, and closes the connections once all that was asked of
    /// deliveries is written. Takes no longer than [`ConsumerOptions::close_timeout`]; what is still in hand then is
    /// delivered again.
    pub async fn close(mut self) {
        self.stages.stopping.cancel();
        let limit = self.close_timeout;
        let closed = timeout(limit, async {
            self.give_back().await;
            self.roster.emptied().await;
            self.stages.ending.cancel();
            while self.tasks.join_next().await.is_some() {}
        });
        if closed.await.is_err() {
            tracing::warn!(limit_ms = limit.as_millis(), "queue nodes did not let go of a consumer in time");
        }
    }

    /// Gives back what is waiting, and what still comes, until every node has said that it was the last.
    async fn give_back(&mut self) {
        let mut connections = self.roster.connections();
        loop {
            tokio::select! {
                biased;
                Some(delivery) = self.deliveries.recv() => delivery.requeue(Duration::ZERO),
                _ = connections.wait_for(|count| *count == 0) => return,
            }
        }
    }
}

/// Sets a [`Consumer`]'s ready count. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadyHandle(Arc<Roster>);

impl ReadyHandle {
    /// See [`Consumer::set_ready`].
    pub fn set_ready(&self, count: u32) {
        self.0.demand(Demand::Each(count));
    }

    /// See [`Consumer::set_max_in_flight`].
    pub fn set_max_in_flight(&self, count: u32) {
        self.0.demand(Demand::Total(count));
    }
}
