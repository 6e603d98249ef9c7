//! Looking at a channel's messages without taking them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Channel;
use crate::message::Sequence;

/// A message that a channel is not done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glimpse {
    pub(crate) sequence: Sequence,
    /// How often it was delivered.
    pub(crate) attempts: u16,
    pub(crate) state: MessageState,
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageState {
    Waiting,
    InFlight,
    /// Put off until then.
    Deferred(Instant),
}

impl Channel {
    /// The first `count` messages, in the order of their numbers. Of a message with a delay that was not read from the
    /// log since the start, it is only known that it waits.
    pub(crate) fn peek(&self, count: usize) -> Vec<Glimpse> {
        let mut glimpses = BTreeMap::new();
        let mut next = self.progress.first_open(self.progress.floor());
        while glimpses.len() < count && next < self.end {
            let in_flight = self.in_flight.attempts(next);
            let attempts = in_flight.or_else(|| self.attempts.get(&next).copied()).unwrap_or(0);
            let state = if in_flight.is_some() { MessageState::InFlight } else { MessageState::Waiting };
            glimpses.insert(next, Glimpse { sequence: next, attempts, state });
            next = self.progress.first_open(next.plus(1));
        }
        for (until, sequence) in self.deferred.keys() {
            if let Some(glimpse) = glimpses.get_mut(sequence) {
                glimpse.state = MessageState::Deferred(*until);
            }
        }
        glimpses.into_values().collect()
    }
}
