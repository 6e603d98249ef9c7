//! What became of a publish that several nodes were asked to take.

use crate::{
    address::NodeAddress,
    producer::{NotSent, PublishOutcome, UnknownReason},
};

/// What to do when it is not known whether a node has the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeat {
    /// Say so: [`PublishOutcome::Unknown`].
    #[default]
    Never,
    /// Publish to another node, so that consumers may get the messages twice.
    WhenUnknown,
}

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a publish that is not acknowledged may be lost"]
pub struct Publication {
    /// [`Acknowledged`](PublishOutcome::Acknowledged) if as many nodes as were to be have every message. Otherwise why
    /// that was not reached. For one copy: [`Refused`](PublishOutcome::Refused) and
    /// [`NotSent`](PublishOutcome::NotSent) mean that no node has any of the messages.
    pub outcome: PublishOutcome,
    /// The nodes that have every message.
    pub acknowledged: Vec<NodeAddress>,
    /// The nodes that may have all, some, or none of them.
    pub in_doubt: Vec<NodeAddress>,
}

impl Publication {
    /// Whether as many nodes as were to be have every message.
    pub fn is_acknowledged(&self) -> bool {
        self.outcome == PublishOutcome::Acknowledged
    }
}

/// What one node did.
pub(super) struct Attempt<'a> {
    pub(super) node: &'a NodeAddress,
    pub(super) outcome: PublishOutcome,
    /// It may have the first few messages although it could not store the rest.
    pub(super) in_part: bool,
}

/// Counts what nodes do until the publish is over.
#[derive(Debug)]
pub(super) struct Tally {
    copies: usize,
    repeat: Repeat,
    tried: Vec<NodeAddress>,
    acknowledged: Vec<NodeAddress>,
    in_doubt: Vec<NodeAddress>,
    unknown: Option<UnknownReason>,
    /// A refusal, or that nothing was sent.
    problem: Option<PublishOutcome>,
    /// No other node would take it either.
    is_hopeless: bool,
}

impl Tally {
    pub(super) fn new(copies: usize, repeat: Repeat) -> Self {
        Self {
            copies,
            repeat,
            tried: Vec::new(),
            acknowledged: Vec::new(),
            in_doubt: Vec::new(),
            unknown: None,
            problem: None,
            is_hopeless: false,
        }
    }

    pub(super) fn note(&mut self, Attempt { node, outcome, in_part }: Attempt<'_>) {
        self.tried.push(node.clone());
        match outcome {
            PublishOutcome::Acknowledged => self.acknowledged.push(node.clone()),
            PublishOutcome::Unknown(reason) => self.doubt(node, reason),
            PublishOutcome::Refused { ref code, .. } => {
                if is_of_storage(code) && in_part {
                    self.doubt(node, UnknownReason::Partly);
                } else {
                    self.is_hopeless |= is_of_the_message(code);
                    self.problem = Some(outcome);
                }
            }
            PublishOutcome::NotSent(NotSent::EmptyMessage | NotSent::MessageTooBig { .. }) => {
                self.is_hopeless = true;
                self.problem = Some(outcome);
            }
            // Anything else says more.
            PublishOutcome::NotSent(NotSent::NotConnected) => {
                self.problem.get_or_insert(outcome);
            }
            PublishOutcome::NotSent(NotSent::TimedOut) => {
                if !self.was_refused() {
                    self.problem = Some(outcome);
                }
            }
        }
    }

    fn doubt(&mut self, node: &NodeAddress, reason: UnknownReason) {
        self.in_doubt.push(node.clone());
        self.unknown = Some(reason);
    }

    pub(super) fn was_tried(&self, node: &NodeAddress) -> bool {
        self.tried.contains(node)
    }

    /// How many copies are still to be made.
    pub(super) fn missing(&self) -> usize {
        self.copies.saturating_sub(self.acknowledged.len())
    }

    /// Whether no further node is to be tried.
    pub(super) fn is_over(&self) -> bool {
        let must_not_repeat = self.unknown.is_some() && self.repeat == Repeat::Never;
        self.missing() == 0 || self.is_hopeless || must_not_repeat
    }

    /// Whether it makes sense to wait for a node that can be reached: only while none has been.
    pub(super) fn may_wait(&self) -> bool {
        let none_was_reached =
            matches!(self.problem, None | Some(PublishOutcome::NotSent(NotSent::NotConnected)));
        self.missing() > 0 && self.acknowledged.is_empty() && self.in_doubt.is_empty() && none_was_reached
    }

    fn was_refused(&self) -> bool {
        matches!(self.problem, Some(PublishOutcome::Refused { .. }))
    }

    /// Nothing was written to those tried so far: they may be tried again.
    pub(super) fn start_over(&mut self) {
        self.tried.clear();
    }

    pub(super) fn end(self) -> Publication {
        let is_done = self.missing() == 0;
        let Self { acknowledged, in_doubt, unknown, problem, .. } = self;
        let outcome = match (unknown, problem) {
            _ if is_done => PublishOutcome::Acknowledged,
            (Some(reason), _) => PublishOutcome::Unknown(reason),
            (None, Some(problem)) => problem,
            (None, None) => PublishOutcome::NotSent(NotSent::NotConnected),
        };
        Publication { outcome, acknowledged, in_doubt }
    }
}

/// Whether the node could not store the messages, as opposed to not wanting them.
fn is_of_storage(code: &str) -> bool {
    matches!(code, "E_PUB_FAILED" | "E_MPUB_FAILED" | "E_DPUB_FAILED")
}

/// Whether any other node would refuse it too: for what is published, or for who publishes it. One whose authority
/// cannot be reached, or that wants to know who speaks, says nothing about the others.
fn is_of_the_message(code: &str) -> bool {
    code.starts_with("E_BAD_") || code == "E_UNAUTHORIZED"
}

#[cfg(test)]
mod tests;
