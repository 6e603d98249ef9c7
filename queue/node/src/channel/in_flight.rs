//! The messages at a channel's consumers, and when they come back.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use punctual_queue_wire::error::NotHeld;

use super::ConnectionId;
use super::given::Given;
use crate::message::Sequence;

/// Deadlines are looked through once so many more than needed are known.
const STALE_DEADLINES: usize = 256;

/// A message at a consumer.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) given: Given,
    pub(super) owner: ConnectionId,
    pub(super) deadline: Instant,
    /// No touch moves the deadline beyond this.
    pub(super) latest_deadline: Instant,
    pub(super) attempts: u16,
}

/// All of them. Deadlines of messages that are here no more are forgotten now and then, not one by one.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    held: HashMap<Sequence, Held, RandomState>,
    deadlines: BinaryHeap<Reverse<(Instant, Sequence)>>,
}

impl InFlight {
    pub(super) fn insert(&mut self, held: Held) {
        self.note_deadline(held.deadline, held.given.sequence);
        self.held.insert(held.given.sequence, held);
    }

    /// Takes out a message that `owner` must hold.
    pub(super) fn take(&mut self, owner: ConnectionId, sequence: Sequence) -> Result<Held, NotHeld> {
        match self.held.entry(sequence) {
            Entry::Vacant(_) => Err(NotHeld::NotInFlight),
            Entry::Occupied(held) if held.get().owner != owner => Err(NotHeld::OtherOwner),
            Entry::Occupied(held) => Ok(held.remove()),
        }
    }

    /// Gives `owner` another `timeout` for a message.
    pub(super) fn touch(
        &mut self,
        owner: ConnectionId,
        sequence: Sequence,
        timeout: Duration,
        now: Instant,
    ) -> Result<(), NotHeld> {
        let held = self.held.get_mut(&sequence).ok_or(NotHeld::NotInFlight)?;
        if held.owner != owner {
            return Err(NotHeld::OtherOwner);
        }
        let deadline = (now + timeout).min(held.latest_deadline);
        // Else the same one would be noted with each touch, for as long as it is ahead.
        if deadline != held.deadline {
            held.deadline = deadline;
            self.note_deadline(deadline, sequence);
        }
        Ok(())
    }

    /// Takes out the message whose deadline has passed longest ago.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Held> {
        while let Some(&Reverse((deadline, sequence))) = self.deadlines.peek()
            && deadline <= now
        {
            self.deadlines.pop();
            if self.is_current(deadline, sequence) {
                return self.held.remove(&sequence);
            }
        }
        None
    }

    /// Takes out all that `owner` holds, in the order of their numbers.
    pub(super) fn take_all_of(&mut self, owner: ConnectionId) -> Vec<Held> {
        let mut taken: Vec<_> =
            self.held.extract_if(|_, held| held.owner == owner).map(|(_, held)| held).collect();
        taken.sort_unstable_by_key(|held| held.given.sequence);
        taken
    }

    /// The first deadline; a little work the first time after many messages are done.
    pub(super) fn first_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, sequence))) = self.deadlines.peek() {
            if self.is_current(deadline, sequence) {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// No later than the first deadline, and no work.
    pub(super) fn before_first_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    pub(super) fn attempts(&self, sequence: Sequence) -> Option<u16> {
        self.held.get(&sequence).map(|held| held.attempts)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    pub(super) fn all_given_mut(&mut self) -> impl Iterator<Item = &mut Given> {
        self.held.values_mut().map(|held| &mut held.given)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    #[cfg(test)]
    pub(super) fn known_deadlines(&self) -> usize {
        self.deadlines.len()
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.deadlines.clear();
    }

    fn is_current(&self, deadline: Instant, sequence: Sequence) -> bool {
        self.held.get(&sequence).is_some_and(|held| held.deadline == deadline)
    }

    /// Deadlines mostly come in order, which costs a heap nothing.
    fn note_deadline(&mut self, deadline: Instant, sequence: Sequence) {
        if self.deadlines.len() > 2 * self.held.len() + STALE_DEADLINES {
            let held = &self.held;
            self.deadlines.retain(|Reverse((deadline, sequence))| {
                held.get(sequence).is_some_and(|held| held.deadline == *deadline)
            });
        }
        self.deadlines.push(Reverse((deadline, sequence)));
    }
}
