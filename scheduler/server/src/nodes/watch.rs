//! Finding out which nodes there are, and which are lost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::pool::NodeState;
use tokio::time::Instant;

use super::{Inner, View};
use crate::store::{NodeId, NodeIdentity, StoreError};

/// How often every node that answers is written down anew, which clears a mark that another scheduler set in error.
/// Well within [`NODE_SILENT_AFTER`](crate::store::NODE_SILENT_AFTER).
const CONFIRM_EVERY: Duration = Duration::from_secs(5);
/// How often the database is asked for nodes that hold runs and that nobody sees.
const REMEMBER_EVERY: Duration = Duration::from_secs(2);
/// Two dials that fail within this time make a node unreachable for this scheduler.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(2);

/// What the looks so far add up to.
#[derive(Default)]
pub(super) struct Watch {
    /// Whether some lookup answered the last look.
    answered: bool,
    listed: HashSet<NodeAddress>,
    known: HashMap<NodeIdentity, NodeId>,
    confirm_at: Option<Instant>,
    remember_at: Option<Instant>,
    /// The number that an address went by last.
    numbers: HashMap<NodeAddress, NodeId>,
}

impl Watch {
    /// Asks the lookups, and has every node dialled that they name or that was known before.
    pub(super) async fn look(&mut self, inner: &Inner) {
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
        if self.remember_at.is_none_or(|at| at <= Instant::now()) {
            match self.remember(inner).await {
                Ok(()) => self.remember_at = Some(Instant::now() + REMEMBER_EVERY),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "could not read which queue nodes hold runs");
                }
            }
        }
        // A node that is no longer listed is still dialled until it counts as lost: only both together say so.
        let nodes: HashSet<_> =
            inner.fixed.iter().chain(&self.listed).chain(self.numbers.keys()).cloned().collect();
        inner.pool.set_nodes(nodes);
    }

    /// Takes in the nodes that runs are queued on though no scheduler sees them: one that went for good while none was
    /// there to notice is dialled too, and found lost like any other.
    async fn remember(&mut self, inner: &Inner) -> Result<(), StoreError> {
        for (number, node) in inner.store.silent_nodes_with_queued_runs().await? {
            self.numbers.entry(NodeAddress::new(node.address)).or_insert(number);
        }
        Ok(())
    }

    /// Records who answered, and who is lost, and shows the result.
    pub(super) async fn judge(&mut self, inner: &Inner) -> Result<(), StoreError> {
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
