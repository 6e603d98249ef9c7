//! The queue nodes as this scheduler sees them: which can be published to, which are lost.

mod traffic;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::discovery::{DiscoveryError, LookupClient};
use punctual_queue_client::pool::NodePool;
use punctual_queue_client::producer::{NotSent, ProducerOptions, PublishOutcome, UnknownReason};
use punctual_queue_client::wire::name::TopicName;
use punctual_service::health::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::traffic::Traffic;
use self::watch::Watch;
use crate::store::{NodeId, Store};

/// Between two looks at the lookups.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
    traffic: Traffic,
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
            traffic: Traffic::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Nodes that can be published to now. One that kept a publish waiting is left out for a while, as long as there
    /// is another.
    pub fn usable(&self) -> Vec<NodeId> {
        let usable = self.inner.view.load().usable.clone();
        self.inner.traffic.prompt(usable, Instant::now())
    }

    /// Nodes that this scheduler fails to reach, lost or not.
    pub fn unreachable(&self) -> Vec<NodeId> {
        self.inner.view.load().unreachable.clone()
    }

    /// Publishes to one node, and waits for its answer that long. A node that is not known any more is not connected;
    /// one that has its fill of unanswered publishes is sent no more.
    pub async fn publish(
        &self,
        node: NodeId,
        topic: &TopicName,
        bodies: Vec<Bytes>,
        patience: Duration,
    ) -> PublishOutcome {
        let Some(address) = self.inner.view.load().addresses.get(&node).cloned() else {
            return PublishOutcome::NotSent(NotSent::NotConnected);
        };
        let Some(under_way) = self.inner.traffic.begin(node) else {
            return PublishOutcome::NotSent(NotSent::TimedOut);
        };
        let publish = self.inner.pool.publish(&address, topic, bodies);
        let outcome = tokio::time::timeout(patience, publish).await;
        let outcome = outcome.unwrap_or(PublishOutcome::Unknown(UnknownReason::TimedOut));
        under_way.ended(&outcome, Instant::now());
        outcome
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
