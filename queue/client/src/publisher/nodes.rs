//! Which nodes a publisher keeps connections to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::debug;

use crate::{address::NodeAddress, backoff::jittered, discovery::LookupClient, pool::NodePool};

/// The nodes that lookups know, and those that are given.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) lookups: LookupClient,
    pub(super) fixed: Vec<NodeAddress>,
    pub(super) interval: Duration,
}

impl Nodes {
    /// Keeps the pool's nodes up to date, for ever.
    pub(super) async fn follow(self, pool: Arc<NodePool>) {
        loop {
            let listing = self.lookups.nodes().await;
            for error in &listing.failed {
                debug!(%error, "a lookup could not be asked");
            }
            // A lookup that is silent says nothing about the nodes it does not list, and one that has just started does
            // not know them yet: a connection that stands is kept in any case.
            let is_complete = listing.is_complete();
            let stay = pool.states().into_iter().filter(|state| state.connected || !is_complete);
            // Last come those of which HTTP addresses may be known.
            let all = stay.map(|state| state.node).chain(self.fixed.iter().cloned()).chain(listing.nodes);
            let by_address: BTreeMap<String, NodeAddress> = all
                .map(|node| (node.tcp().to_owned(), node))
                .fold(BTreeMap::new(), |mut nodes, (tcp, node)| {
                    if node.http().is_some() || !nodes.contains_key(&tcp) {
                        nodes.insert(tcp, node);
                    }
                    nodes
                });
            pool.set_nodes(by_address.into_values());
            sleep(jittered(self.interval)).await;
        }
    }
}
