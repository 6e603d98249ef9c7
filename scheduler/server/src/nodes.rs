//! The queue nodes as this scheduler sees them: which can be published to, which are lost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::discovery::{DiscoveryError, LookupClient};
use punctual_queue_client::pool::{NodePool, NodeState};
use punctual_queue_client::producer::{ProducerOptions, PublishOutcome};
use punctual_queue_client::wire::name::TopicName;
use punctual_service::health::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{NodeId, NodeIdentity, Store, StoreError};

/// Between two looks at the lookups.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often every node that answers is written down anew, which clears a mark that another scheduler set in error.
const CONFIRM_EVERY: Duration = Duration::from_secs(5);
/// Two dials that fail within this time make a node unreachable for this scheduler.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(2);

/// Finds nodes, keeps connections to them and knows their numbers. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    lookups: LookupClient,
    fixed: Vec<NodeAddress>,
    pool: NodePool,
    view: ArcSwap<View>,
}

/// What one look found.
#[derive(Default)]
struct View {
    usable: Vec<NodeId>,
    unreachable: Vec<NodeId>,
    addresses: HashMap<NodeId, NodeAddress>,
}

impl Nodes {
    /// Nodes listed by these lookups, and the fixed ones.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn new(
        store: Arc<dyn Store>,
        lookups: &[String],
        fixed: &[String],
        options: ProducerOptions,
    ) -> Result<Self, DiscoveryError> {
        let inner = Inner {
            store,
            lookups: LookupClient::new(lookups)?,
            fixed: fixed.iter().map(NodeAddress::new).collect(),
            pool: NodePool::new(options)?,
            view: ArcSwap::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Nodes that can be published to now.
    pub fn usable(&self) -> Vec<NodeId> {
        self.inner.view.load().usable.clone()
    }

    /// Nodes that this scheduler fails to reach, lost or not.
    pub fn unreachable(&self) -> Vec<NodeId> {
        self.inner.view.load().unreachable.clone()
    }

    /// Publishes to one node. A node that is not known any more is not connected.
    pub async fn publish(&self, node: NodeId, topic: &TopicName, bodies: Vec<Bytes>) -> PublishOutcome {
        let address = self.inner.view.load().addresses.get(&node).cloned();
        match address {
            Some(address) => self.inner.pool.publish(&address, topic, bodies).await,
            None => PublishOutcome::NotSent(punctual_queue_client::producer::NotSent::NotConnected),
        }
    }

    /// Looks, dials and judges until `shutdown`. Keeps the condition `queue_nodes` of `health`.
    pub async fn run(self, health: Health, shutdown: CancellationToken) {
        let mut changes = self.inner.pool.changes();
        let mut watch = Watch::default();
        let mut next_look = Instant::now();
        while !shutdown.is_cancelled() {
            if Instant::now() >= next_look {
                watch.look(&self.inner).await;
                next_look = Instant::now() + LOOK_EVERY;
            }
            if let Err(error) = watch.judge(&self.inner).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "could not record the queue nodes");
            }
            let usable = self.inner.view.load().usable.len();
            metrics::gauge!("punctual_queue_nodes_usable").set(usable as f64);
            health.set_ready("queue_nodes", usable > 0, "no queue node can be reached");
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep_until(next_look) => {}
                // The pool goes with this value; it always answers.
                _ = changes.changed() => {}
            }
        }
    }
}

/// What the looks so far add up to.
#[derive(Default)]
struct Watch {
    /// Whether some lookup answered the last look.
    answered: bool,
    listed: HashSet<NodeAddress>,
    known: HashMap<NodeIdentity, NodeId>,
    confirm_at: Option<Instant>,
    /// The number that an address went by last.
    numbers: HashMap<NodeAddress, NodeId>,
}

impl Watch {
    async fn look(&mut self, inner: &Inner) {
        if inner.lookups.has_lookups() {
            let listing = inner.lookups.nodes().await;
            for error in &listing.failed {
                tracing::debug!(%error, "a lookup did not answer");
            }
            self.answered = !listing.answered.is_empty();
            if self.answered {
                self.listed = listing.nodes.into_iter().collect();
            }
        }
        // A node that is no longer listed is still dialled until it counts as lost: only both together say so.
        let nodes: HashSet<_> =
            inner.fixed.iter().chain(&self.listed).chain(self.numbers.keys()).cloned().collect();
        inner.pool.set_nodes(nodes);
    }

    /// Records who answered, and who is lost, and shows the result.
    async fn judge(&mut self, inner: &Inner) -> Result<(), StoreError> {
        if self.confirm_at.is_none_or(|at| at <= Instant::now()) {
            self.known.clear();
            self.confirm_at = Some(Instant::now() + CONFIRM_EVERY);
        }
        let states = inner.pool.states();
        self.number(inner, &states).await?;
        let mut view = View::default();
        for state in &states {
            let Some(number) = self.numbers.get(&state.node).copied() else { continue };
            view.addresses.insert(number, state.node.clone());
            if state.connected {
                view.usable.push(number);
            } else if self.is_lost(inner, state) {
                if inner.store.node_lost(number).await? {
                    tracing::warn!(node = %state.node, "queue node lost: its queued runs are published again elsewhere");
                }
                self.numbers.remove(&state.node);
                self.known.retain(|_, known| *known != number);
            } else if is_unreachable(state) {
                view.unreachable.push(number);
            }
        }
        inner.view.store(Arc::new(view));
        Ok(())
    }

    /// Gives numbers to nodes that answer under an identity not seen before. A changed identity makes the store
    /// take the older one for lost.
    async fn number(&mut self, inner: &Inner, states: &[NodeState]) -> Result<(), StoreError> {
        let connected = states.iter().filter(|state| state.connected).filter_map(|state| {
            let identity = NodeIdentity {
                address: state.node.tcp().to_owned(),
                identity: state.identity.as_ref()?.to_string(),
            };
            Some((state.node.clone(), identity))
        });
        let (unknown, known): (Vec<_>, Vec<_>) =
            connected.partition(|(_, identity)| !self.known.contains_key(identity));
        for (address, identity) in known {
            self.numbers.insert(address, self.known[&identity]);
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let (addresses, identities): (Vec<_>, Vec<_>) = unknown.into_iter().unzip();
        let numbers = inner.store.nodes_seen(&identities).await?;
        for ((address, identity), number) in addresses.into_iter().zip(identities).zip(numbers) {
            if self.numbers.get(&address) != Some(&number) {
                tracing::info!(node = %address, identity = identity.identity, "queue node found");
            }
            self.numbers.insert(address, number);
            self.known.insert(identity, number);
        }
        Ok(())
    }

    /// Lost for all: lookups that answer do not list it, and a dial failed. A fixed node without lookups is never
    /// lost, only unreachable.
    fn is_lost(&self, inner: &Inner, state: &NodeState) -> bool {
        inner.lookups.has_lookups()
            && self.answered
            && !self.listed.contains(&state.node)
            && !inner.fixed.contains(&state.node)
            && state.failures > 0
    }
}

fn is_unreachable(state: &NodeState) -> bool {
    state.failures >= 2 && state.failing_since.is_some_and(|since| since.elapsed() >= UNREACHABLE_AFTER)
}
