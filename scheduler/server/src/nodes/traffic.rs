//! What is under way to each node, and which nodes keep it waiting.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use punctual_queue_client::producer::{NotSent, PublishOutcome, UnknownReason};
use tokio::time::Instant;

use crate::store::NodeId;

/// Publishes to one node at a time. One that is stuck takes up no more than this of what is in hand for all.
const MOST_UNDER_WAY: usize = 256;
/// How long a node that kept a publish waiting is passed over, before one publish tries it again.
const PASSED_OVER_FOR: Duration = Duration::from_secs(5);

/// Publishes that wait for an answer, by node.
#[derive(Default)]
pub(super) struct Traffic {
    nodes: Mutex<HashMap<NodeId, Node>>,
}

#[derive(Default)]
struct Node {
    under_way: usize,
    /// It kept a publish waiting and has acknowledged none since.
    slow_until: Option<Instant>,
}

impl Node {
    /// Once the time is over, one publish finds out; the others wait for what it says.
    fn is_passed_over(&self, now: Instant) -> bool {
        self.slow_until.is_some_and(|until| now < until || self.under_way > 0)
    }
}

impl Traffic {
    /// Those of `nodes`, which are all that are connected, that answer in time; all of them where none does.
    pub(super) fn prompt(&self, nodes: Vec<NodeId>, now: Instant) -> Vec<NodeId> {
        let mut known = self.lock();
        // Nodes that are gone for good must not pile up.
        known.retain(|node, of_node| of_node.under_way > 0 || nodes.contains(node));
        let is_slow = |node: &NodeId| known.get(node).is_some_and(|node| node.is_passed_over(now));
        let prompt: Vec<_> = nodes.iter().copied().filter(|node| !is_slow(node)).collect();
        if prompt.is_empty() { nodes } else { prompt }
    }

    /// A publish to `node` begins; `None` when as many as may be are under way.
    pub(super) fn begin(&self, node: NodeId) -> Option<UnderWay<'_>> {
        let mut nodes = self.lock();
        let of_node = nodes.entry(node).or_default();
        if of_node.under_way >= MOST_UNDER_WAY {
            return None;
        }
        of_node.under_way += 1;
        Some(UnderWay { traffic: self, node })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One publish. It is over when this is dropped.
pub(super) struct UnderWay<'a> {
    traffic: &'a Traffic,
    node: NodeId,
}

impl UnderWay<'_> {
    /// Learns from how it ended.
    pub(super) fn ended(self, outcome: &PublishOutcome, now: Instant) {
        let mut nodes = self.traffic.lock();
        let node = nodes.entry(self.node).or_default();
        match outcome {
            PublishOutcome::Acknowledged | PublishOutcome::Refused { .. } => node.slow_until = None,
            PublishOutcome::Unknown(UnknownReason::TimedOut) | PublishOutcome::NotSent(NotSent::TimedOut) => {
                node.slow_until = Some(now + PASSED_OVER_FOR);
            }
            // It is gone, which shows elsewhere.
            PublishOutcome::NotSent(_) | PublishOutcome::Unknown(_) => {}
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut nodes = self.traffic.lock();
        if let Some(node) = nodes.get_mut(&self.node) {
            node.under_way -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);
    const LATE: PublishOutcome = PublishOutcome::Unknown(UnknownReason::TimedOut);

    #[track_caller]
    fn end(traffic: &Traffic, node: NodeId, outcome: &PublishOutcome, now: Instant) {
        traffic.begin(node).expect("there is room").ended(outcome, now);
    }

    #[test]
    fn a_node_that_keeps_a_publish_waiting_is_passed_over_until_it_answers_or_a_while_has_passed() {
        let (traffic, start) = (Traffic::default(), Instant::now());
        let prompt = |at| traffic.prompt(vec![ONE, TWO], at);
        end(&traffic, ONE, &LATE, start);
        assert_eq!(prompt(start), [TWO]);
        end(&traffic, ONE, &PublishOutcome::Unknown(UnknownReason::ConnectionLost), start);
        assert_eq!(prompt(start + PASSED_OVER_FOR - Duration::from_millis(1)), [TWO]);
        let over = start + PASSED_OVER_FOR;
        assert_eq!(prompt(over), [ONE, TWO]);
        let trial = traffic.begin(ONE);
        assert_eq!(prompt(over), [TWO], "one publish finds out");
        drop(trial);
        end(&traffic, TWO, &LATE, start);
        assert_eq!(prompt(start), [ONE, TWO], "when all are slow, all are used");
        end(&traffic, ONE, &PublishOutcome::Acknowledged, start);
        assert_eq!(prompt(start), [ONE]);
    }

    #[test]
    fn a_node_that_has_its_fill_leaves_room_for_the_others() {
        let traffic = Traffic::default();
        let mut filled: Vec<_> = (0..MOST_UNDER_WAY).map(|_| traffic.begin(ONE).expect("room")).collect();
        assert!(traffic.begin(ONE).is_none());
        assert!(traffic.begin(TWO).is_some());
        filled.pop();
        assert!(traffic.begin(ONE).is_some());
    }
}
