//! Whose turn it is.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{
    address::NodeAddress,
    producer::{NotSent, PublishOutcome},
};

/// One node after another, those that are not well only when there is no other.
#[derive(Debug)]
pub(super) struct Rotation {
    rest: Duration,
    last: Option<NodeAddress>,
    resting: HashMap<NodeAddress, Instant>,
}

impl Rotation {
    pub(super) fn new(rest: Duration) -> Self {
        Self { rest, last: None, resting: HashMap::new() }
    }

    /// The place, among these nodes in the order of their addresses, of the one whose turn it is; there must be one.
    pub(super) fn next<'a>(&mut self, nodes: impl Iterator<Item = &'a NodeAddress>, now: Instant) -> usize {
        self.resting.retain(|_, until| *until > now);
        let turn = |node: &NodeAddress| {
            let has_had = self.last.as_ref().is_some_and(|last| node <= last);
            (self.resting.contains_key(node), has_had)
        };
        let first = nodes.enumerate().min_by_key(|(_, node)| turn(node));
        let (place, node) = first.map_or((0, None), |(place, node)| (place, Some(node.clone())));
        self.last = node;
        place
    }

    /// What became of a publish to a node.
    pub(super) fn note(&mut self, node: &NodeAddress, outcome: &PublishOutcome, now: Instant) {
        match outcome {
            PublishOutcome::Acknowledged => drop(self.resting.remove(node)),
            // The node was not even asked.
            PublishOutcome::NotSent(NotSent::EmptyMessage | NotSent::MessageTooBig { .. }) => {}
            PublishOutcome::NotSent(NotSent::NotConnected | NotSent::TimedOut)
            | PublishOutcome::Refused { .. }
            | PublishOutcome::Unknown(_) => drop(self.resting.insert(node.clone(), now + self.rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::UnknownReason;

    const REST: Duration = Duration::from_secs(5);

    fn nodes(names: &str) -> Vec<NodeAddress> {
        names.split(' ').map(NodeAddress::new).collect()
    }

    /// Who is chosen of these, so many times.
    fn turns(rotation: &mut Rotation, names: &str, now: Instant, count: usize) -> String {
        let nodes = nodes(names);
        let turn = |_| nodes[rotation.next(nodes.iter(), now)].tcp().to_owned();
        (0..count).map(turn).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nodes_take_turns_also_when_they_come_and_go() {
        let (mut rotation, now) = (Rotation::new(REST), Instant::now());
        assert_eq!(turns(&mut rotation, "a b c", now, 4), "a b c a");
        assert_eq!(turns(&mut rotation, "a c", now, 3), "c a c");
        assert_eq!(turns(&mut rotation, "a b c d", now, 3), "d a b");
    }

    #[test]
    fn a_node_that_is_not_well_is_passed_over_for_a_while_if_there_is_another() {
        let (mut rotation, now) = (Rotation::new(REST), Instant::now());
        let [a, b] = nodes("a b").try_into().unwrap();
        rotation.note(&a, &PublishOutcome::Unknown(UnknownReason::TimedOut), now);
        assert_eq!(turns(&mut rotation, "a b c", now, 4), "b c b c");
        assert_eq!(turns(&mut rotation, "a", now, 2), "a a");
        rotation.note(&b, &PublishOutcome::NotSent(NotSent::TimedOut), now);
        assert_eq!(turns(&mut rotation, "a b", now, 4), "b a b a");
        rotation.note(&b, &PublishOutcome::Acknowledged, now);
        assert_eq!(turns(&mut rotation, "a b", now, 2), "b b");
        assert_eq!(turns(&mut rotation, "a b c", now + REST, 3), "c a b");
    }
}
