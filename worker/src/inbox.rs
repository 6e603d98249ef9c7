//! Where the doorbells of a task queue arrive.

use std::time::Duration;

use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::connection::ConnectionOptions;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions, Delivery, DiscoveryMode};
use punctual_queue_client::wire::name::{ChannelName, TopicName};
use tokio::sync::watch;

use crate::worker::{BuildError, WorkerError};

/// The one channel of a task queue's topic.
const CHANNEL: &str = "workers";

/// How often the lookups are asked for new nodes: runs wait at one that no worker is connected to.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(5);

/// Which task queue to listen to, and where.
#[derive(Debug)]
pub(crate) struct Source(ConsumerOptions);

impl Source {
    /// A task queue of a namespace, both checked to be names, at the nodes named or listed by the lookups named.
    pub(crate) fn new(
        namespace: &str,
        task_queue: &str,
        lookups: &[String],
        nodes: &[String],
        places: u32,
    ) -> Result<Self, BuildError> {
        if lookups.is_empty() && nodes.is_empty() {
            return Err(BuildError::NoQueue);
        }
        for lookup in lookups {
            check_address(lookup.strip_prefix("http://").unwrap_or(lookup).trim_end_matches('/'))?;
        }
        nodes.iter().try_for_each(|node| check_address(node))?;

        let topic: TopicName = format!("task.{namespace}.{task_queue}")
            .parse()
            .expect("both parts were checked, and fit a topic");
        let channel: ChannelName = CHANNEL.parse().expect("a plain word is a channel name");
        let mut options = ConsumerOptions::new(topic, channel);
        options.lookups = lookups.to_vec();
        options.nodes = nodes.iter().map(NodeAddress::new).collect();
        options.discovery = DiscoveryMode::AllNodes;
        options.discovery_interval = DISCOVERY_INTERVAL;
        // As many as all connections together may have in flight, and those that come while RDY 0 is on its way.
        options.buffered_messages = (places as usize * 2).max(1_024);
        options.connection = ConnectionOptions {
            hostname: crate::worker::host_name(),
            user_agent: concat!("punctual-worker/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..ConnectionOptions::default()
        };
        Ok(Self(options))
    }
}

fn check_address(address: &str) -> Result<(), BuildError> {
    let good = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok());
    if good { Ok(()) } else { Err(BuildError::QueueAddress { address: address.to_owned() }) }
}

/// The messages of one task queue, from every node.
#[derive(Debug)]
pub(crate) struct Inbox {
    consumer: Consumer,
    connections: watch::Receiver<usize>,
}

impl Inbox {
    /// Begins to connect. Nothing arrives before a ready count is set.
    pub(crate) fn open(source: Source) -> Result<Self, WorkerError> {
        let consumer = Consumer::start(source.0).map_err(WorkerError::Queue)?;
        Ok(Self { connections: consumer.connections(), consumer })
    }

    /// The next message; `None` when the client has stopped. Loses nothing when dropped.
    pub(crate) async fn recv(&mut self) -> Option<Delivery> {
        self.consumer.recv().await
    }

    /// A message that is there already.
    pub(crate) fn try_recv(&mut self) -> Option<Delivery> {
        self.consumer.try_recv()
    }

    /// Sets what every node may have in flight here, ahead of whatever is asked of a message later.
    pub(crate) fn set_ready(&self, count: u32) {
        self.consumer.set_ready(count);
    }

    /// How many nodes are connected.
    pub(crate) fn connections(&self) -> watch::Receiver<usize> {
        self.connections.clone()
    }

    /// Gives whatever arrives back at once. Ends only when the client stops.
    pub(crate) async fn send_back(&mut self) {
        while let Some(message) = self.consumer.recv().await {
            message.requeue(Duration::ZERO);
        }
    }

    /// Writes what was asked of messages, gives back what nobody took, and disconnects.
    pub(crate) async fn close(self) {
        self.consumer.close().await;
    }
}
