//! A producer for each of a changing set of nodes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use punctual_queue_wire::name::TopicName;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};
use tracing::{debug, info, warn};

use crate::{
    address::NodeAddress,
    backoff::Backoff,
    connection::ConnectionError,
    discovery::{DiscoveryError, HttpClient},
    identity::NodeIdentity,
    producer::{NotSent, Producer, ProducerOptions, PublishOutcome},
};

/// The first wait after a connection was lost or could not be made.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest such wait, short enough that a node that is back is used within a second.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How a node of a pool is doing.
#[derive(Debug, Clone)]
pub struct NodeState {
    /// The node.
    pub node: NodeAddress,
    /// Whether it can be published to now.
    pub connected: bool,
    /// Who answered there last: by its id, or for a stock nsqd whose HTTP address is known by its start time.
    pub identity: Option<NodeIdentity>,
    /// When a connection last ended or could not be made.
    pub last_failure: Option<Instant>,
    /// Connections in a row that could not be made, the loss of the last one included; zero while connected.
    pub failures: u32,
    /// The first of those.
    pub failing_since: Option<Instant>,
}

/// Keeps a connection to each of its nodes, dialling again with growing pauses. Dropping it closes them all.
#[derive(Debug)]
pub struct NodePool {
    options: ProducerOptions,
    http: HttpClient,
    inner: Mutex<Inner>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    members: HashMap<NodeAddress, (Arc<Member>, AbortHandle)>,
    keepers: JoinSet<()>,
}

impl NodePool {
    /// An empty pool.
    ///
    /// # Errors
    /// The HTTP client, which asks a stock nsqd for its identity, could not be set up.
    pub fn new(options: ProducerOptions) -> Result<Self, DiscoveryError> {
        let (changes, _) = watch::channel(());
        let http = HttpClient::new(options.connection.transport.tls.as_ref())?;
        Ok(Self { options, http, inner: Mutex::default(), changes })
    }

    /// Makes these the pool's nodes: new ones are dialled at once, the others' connections are closed.
    pub fn set_nodes(&self, nodes: impl IntoIterator<Item = NodeAddress>) {
        let mut inner = self.lock();
        let mut former = std::mem::take(&mut inner.members);
        for node in nodes {
            if inner.members.contains_key(&node) {
                continue; // named twice
            }
            let known = former.remove(&node).filter(|(member, keeper)| {
                // One of which only now is known whom to ask who it is, is dialled anew to ask.
                let stays = node.http().is_none() || member.state().node.http().is_some();
                if !stays {
                    keeper.abort();
                    member.set_producer(None);
                }
                stays
            });
            let member = known.unwrap_or_else(|| {
                let member = Arc::new(Member::new(node.clone(), self.changes.clone()));
                let keeper = member.clone().keep(self.options.clone(), self.http.clone());
                (member, inner.keepers.spawn(keeper))
            });
            inner.members.insert(node, member);
        }
        for (member, keeper) in former.into_values() {
            keeper.abort();
            member.set_producer(None);
        }
        while inner.keepers.try_join_next().is_some() {}
        drop(inner);
        self.changes.send_replace(());
    }

    /// How every node is doing now, by address.
    pub fn states(&self) -> Vec<NodeState> {
        let mut states: Vec<_> = self.lock().members.values().map(|(member, _)| member.state()).collect();
        states.sort_by(|one, other| one.node.cmp(&other.node));
        states
    }

    /// Changes whenever [`states`](Self::states) does.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Publishes to one node; see [`Producer::publish`]. A node that is not in the pool is not connected.
    pub async fn publish(&self, node: &NodeAddress, topic: &TopicName, bodies: Vec<Bytes>) -> PublishOutcome {
        let producer = self.lock().members.get(node).and_then(|(member, _)| member.producer());
        match producer {
            Some(producer) => producer.publish(topic, bodies).await,
            None => PublishOutcome::NotSent(NotSent::NotConnected),
        }
    }

    /// Those that can be published to now, by address.
    pub(crate) fn producers(&self) -> Vec<Arc<Producer>> {
        let mut producers: Vec<_> =
            self.lock().members.values().filter_map(|(member, _)| member.producer()).collect();
        producers.sort_by(|one, other| one.node().cmp(other.node()));
        producers
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One node of a pool.
#[derive(Debug)]
struct Member {
    current: Mutex<(NodeState, Option<Arc<Producer>>)>,
    changes: watch::Sender<()>,
}

impl Member {
    fn new(node: NodeAddress, changes: watch::Sender<()>) -> Self {
        let state = NodeState {
            node,
            connected: false,
            identity: None,
            last_failure: None,
            failures: 0,
            failing_since: None,
        };
        Self { current: Mutex::new((state, None)), changes }
    }

    /// Dials, waits for the end, and dials again, for ever.
    async fn keep(self: Arc<Self>, options: ProducerOptions, http: HttpClient) {
        let node = self.state().node;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            match Producer::connect(&node, options.clone()).await {
                Ok(producer) => {
                    let producer = Arc::new(producer);
                    let identity = identify(&producer, &http).await;
                    info!(node.address = %node, "connected to a queue node");
                    backoff.reset();
                    self.connected(producer.clone(), identity);
                    let end = producer.ended().await;
                    warn!(node.address = %node, error = ?end, "lost the connection to a queue node");
                }
                Err(error) => self.report(&error),
            }
            self.failed();
            sleep(backoff.next()).await;
        }
    }

    /// A node that stays away is worth one line, not one for each attempt.
    fn report(&self, error: &ConnectionError) {
        let state = self.state();
        if state.failures == 0 {
            warn!(node.address = %state.node, %error, "could not connect to a queue node");
        } else {
            debug!(node.address = %state.node, failures = state.failures, %error, "could not connect to a queue node");
        }
    }

    fn connected(&self, producer: Arc<Producer>, identity: Option<NodeIdentity>) {
        self.change(|(state, current)| {
            *current = Some(producer);
            *state =
                NodeState { connected: true, identity, failures: 0, failing_since: None, ..state.clone() };
        });
    }

    fn failed(&self) {
        self.change(|(state, current)| {
            *current = None;
            state.connected = false;
            let now = Instant::now();
            state.last_failure = Some(now);
            state.failing_since.get_or_insert(now);
            state.failures = state.failures.saturating_add(1);
        });
    }

    fn set_producer(&self, producer: Option<Arc<Producer>>) {
        self.change(|(state, current)| {
            state.connected = producer.is_some();
            *current = producer;
        });
    }

    fn state(&self) -> NodeState {
        self.lock().0.clone()
    }

    fn producer(&self) -> Option<Arc<Producer>> {
        self.lock().1.clone()
    }

    fn change(&self, change: impl FnOnce(&mut (NodeState, Option<Arc<Producer>>))) {
        change(&mut self.lock());
        self.changes.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, (NodeState, Option<Arc<Producer>>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn identify(producer: &Producer, http: &HttpClient) -> Option<NodeIdentity> {
    if let Some(identity) = producer.identity() {
        return Some(identity.clone());
    }
    let address = producer.node().http()?;
    let asked = http.identity(address).await;
    asked
        .inspect_err(|error| warn!(node.http_address = address, %error, "could not ask a node who it is"))
        .ok()
}
