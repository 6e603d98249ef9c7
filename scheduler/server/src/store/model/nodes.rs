//! Queue nodes and whether they are lost.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::run::RunState;

use super::live::span;
use super::state::State;
use crate::store::{NODE_SILENT_AFTER, NodeId, NodeIdentity};

/// A queue node under one identity.
#[derive(Debug)]
pub(super) struct Node {
    identity: NodeIdentity,
    seen_at: DateTime<Utc>,
    lost_at: Option<DateTime<Utc>>,
}

impl State {
    /// When a node was marked lost.
    pub(super) fn lost_at(&self, node: NodeId) -> Option<DateTime<Utc>> {
        let place = usize::try_from(node.0 - 1).ok()?;
        self.nodes.get(place)?.lost_at
    }
}

/// Where a node is.
pub(super) fn address(state: &State, node: NodeId) -> Option<String> {
    let place = usize::try_from(node.0 - 1).ok()?;
    Some(state.nodes.get(place)?.identity.address.clone())
}

pub(super) fn seen(state: &mut State, seen: &[NodeIdentity]) -> Vec<NodeId> {
    let numbers = seen.iter().map(|identity| {
        let place = state.nodes.iter().position(|known| known.identity == *identity).unwrap_or_else(|| {
            state.nodes.push(Node { identity: identity.clone(), seen_at: state.now, lost_at: None });
            state.nodes.len() - 1
        });
        (state.nodes[place].seen_at, state.nodes[place].lost_at) = (state.now, None);
        number(place)
    });
    let numbers = numbers.collect();
    // Another identity at the same address: the older one's messages are gone.
    for identity in seen {
        for known in &mut state.nodes {
            if known.identity.address == identity.address && known.identity != *identity {
                known.lost_at = known.lost_at.or(Some(state.now));
            }
        }
    }
    numbers
}

pub(super) fn silent_with_queued_runs(state: &State) -> Vec<(NodeId, NodeIdentity)> {
    let used: BTreeSet<_> =
        state.live.in_state(RunState::Queued).filter_map(|run| run.dispatch).map(|(node, ..)| node).collect();
    let silent_since = state.now - span(NODE_SILENT_AFTER);
    let kept = |node: &Node| node.lost_at.is_none() && node.seen_at < silent_since;
    let silent = state.nodes.iter().enumerate().filter(|(_, node)| kept(node));
    silent
        .map(|(place, node)| (number(place), node.identity.clone()))
        .filter(|(number, _)| used.contains(number))
        .collect()
}

pub(super) fn lost(state: &mut State, node: NodeId) -> bool {
    let now = state.now;
    let place = usize::try_from(node.0 - 1).ok();
    let known = place.and_then(|place| state.nodes.get_mut(place));
    known.is_some_and(|known| known.lost_at.is_none() && known.lost_at.replace(now).is_none())
}

fn number(place: usize) -> NodeId {
    NodeId(i32::try_from(place + 1).unwrap_or(i32::MAX))
}
