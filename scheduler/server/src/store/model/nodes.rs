//! Queue nodes and whether they are lost.

use super::state::State;
use crate::store::{NodeId, NodeIdentity};

/// A queue node under one identity.
#[derive(Debug)]
pub(super) struct Node {
    identity: NodeIdentity,
    lost: bool,
}

impl State {
    pub(super) fn lost_nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.lost).map(|(place, _)| number(place))
    }
}

pub(super) fn seen(state: &mut State, seen: &[NodeIdentity]) -> Vec<NodeId> {
    let numbers = seen.iter().map(|identity| {
        let place = state.nodes.iter().position(|known| known.identity == *identity).unwrap_or_else(|| {
            state.nodes.push(Node { identity: identity.clone(), lost: false });
            state.nodes.len() - 1
        });
        state.nodes[place].lost = false;
        number(place)
    });
    let numbers = numbers.collect();
    // Another identity at the same address: the older one's messages are gone.
    for identity in seen {
        for known in &mut state.nodes {
            known.lost |= known.identity.address == identity.address && known.identity != *identity;
        }
    }
    numbers
}

pub(super) fn lost(state: &mut State, node: NodeId) -> bool {
    let place = usize::try_from(node.0 - 1).ok();
    let known = place.and_then(|place| state.nodes.get_mut(place));
    known.is_some_and(|known| !std::mem::replace(&mut known.lost, true))
}

fn number(place: usize) -> NodeId {
    NodeId(i32::try_from(place + 1).unwrap_or(i32::MAX))
}
