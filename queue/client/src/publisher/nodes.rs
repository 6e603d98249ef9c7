//! Which nodes a publisher keeps connections to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::debug;

use crate::{
    address::NodeAddress,
    backoff::jittered,
    discovery::{Listing, LookupClient},
    pool::{NodePool, NodeState},
};

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
            pool.set_nodes(self.wanted(listing, pool.states()));
            sleep(jittered(self.interval)).await;
        }
    }

    /// A lookup that is silent says nothing about the nodes it does not list, and one that has just started does not
    /// know them yet: a connection that stands is kept in any case, and as it is.
    fn wanted(&self, listing: Listing, states: Vec<NodeState>) -> Vec<NodeAddress> {
        let is_complete = listing.is_complete();
        let (connected, others): (Vec<_>, Vec<_>) = states.into_iter().partition(|state| state.connected);
        let doubtful = others.into_iter().filter(|_| !is_complete).map(|state| state.node);
        // Of an address that is there twice, the later counts: lookups also know where HTTP is spoken.
        let all = self.fixed.iter().cloned().chain(doubtful).chain(listing.nodes);
        let all = all.chain(connected.into_iter().map(|state| state.node));
        let by_address: BTreeMap<_, _> = all.map(|node| (node.tcp().to_owned(), node)).collect();
        by_address.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::DiscoveryError;

    fn state(node: &str, connected: bool) -> NodeState {
        let node = NodeAddress::new(node);
        NodeState { node, connected, identity: None, last_failure: None, failures: 0, failing_since: None }
    }

    #[track_caller]
    fn check(is_complete: bool, expect: &[(&str, Option<&str>)]) {
        let nodes = Nodes {
            lookups: LookupClient::new(["127.0.0.1:1"]).unwrap(),
            fixed: vec![NodeAddress::new("fixed")],
            interval: Duration::ZERO,
        };
        let listed = ["fixed", "listed", "used"].map(|node| NodeAddress::new(node).with_http("http"));
        let failed = DiscoveryError::BadAddress { address: String::new() };
        let listing = Listing {
            nodes: listed.to_vec(),
            answered: vec![String::new()],
            failed: if is_complete { vec![] } else { vec![failed] },
        };
        let wanted =
            nodes.wanted(listing, vec![state("away", false), state("unlisted", true), state("used", true)]);
        let wanted: Vec<_> = wanted.iter().map(|node| (node.tcp(), node.http())).collect();
        assert_eq!(wanted, expect);
    }

    #[test]
    fn what_is_not_listed_is_let_go_unless_it_is_connected_or_a_lookup_is_silent() {
        let known = Some("http");
        check(true, &[("fixed", known), ("listed", known), ("unlisted", None), ("used", None)]);
        check(
            false,
            &[("away", None), ("fixed", known), ("listed", known), ("unlisted", None), ("used", None)],
        );
    }
}
