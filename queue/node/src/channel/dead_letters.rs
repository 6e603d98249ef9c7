//! Messages that were delivered as often as they may be: instead of once more, they go to another topic.
//!
//! One is *dying* from when its turn to be delivered came until the other topic has it on the disk. Only then the
//! channel is done with it, so that a crash in between leaves it here, and perhaps there too.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use punctual_queue_wire::name::TopicName;
use serde::{Deserialize, Serialize};

use super::Channel;
use super::given::Place;
use crate::message::{Sequence, StoredMessage};

/// How many are dying at a time, with their bodies in memory.
const MAX_DYING: usize = 64;

/// How long to wait before trying again what the other topic did not take.
const RETRY: Duration = Duration::from_secs(1);

/// Which messages go where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLetters {
    /// Those that were delivered so often, and are to be again.
    pub(crate) max_attempts: NonZeroU16,
    pub(crate) to: TopicName,
}

/// A message to be published to another topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) message: StoredMessage,
    /// How often it was delivered.
    pub(crate) attempts: u16,
    pub(crate) to: TopicName,
}

/// A message on its way to another topic.
#[derive(Debug)]
pub(super) struct Dying {
    pub(super) place: Place,
    /// Until the node has begun to publish it.
    letter: Option<DeadLetter>,
}

impl Channel {
    pub(crate) fn dead_letters(&self) -> Option<&DeadLetters> {
        self.dead_letters.as_ref()
    }

    pub(crate) fn set_dead_letters(&mut self, dead_letters: Option<DeadLetters>) {
        self.dead_letters = dead_letters;
    }

    /// Whether a message that was delivered so often is delivered no more.
    pub(super) fn is_dead_after(&self, attempts: u16) -> bool {
        self.dead_letters.as_ref().is_some_and(|dead_letters| attempts >= dead_letters.max_attempts.get())
    }

    /// Lets the message die, if it is time. Its attempts stay as they are, for a checkpoint to keep.
    pub(super) fn dies(&mut self, message: &StoredMessage, now: Instant) -> bool {
        let Some(DeadLetters { max_attempts, to }) = &self.dead_letters else { return false };
        let attempts = self.attempts.get(&message.sequence).copied().unwrap_or(0);
        if attempts < max_attempts.get() {
            return false;
        }
        let StoredMessage { sequence, position, timestamp_ns, .. } = *message;
        let place = Place { position, timestamp_ns };
        if self.dying.len() < MAX_DYING {
            let letter = DeadLetter { message: message.clone(), attempts, to: to.clone() };
            self.dying.insert(sequence, Dying { place, letter: Some(letter) });
        } else {
            self.deferred.insert((now + RETRY, sequence), Some(place));
        }
        true
    }

    pub(super) fn has_dead(&self) -> bool {
        self.dying.values().any(|dying| dying.letter.is_some())
    }

    /// What is to be published elsewhere now; each is then [`buried`](Self::buried) or
    /// [`not_buried`](Self::not_buried).
    pub(crate) fn take_dead(&mut self) -> Vec<DeadLetter> {
        self.dying.values_mut().filter_map(|dying| dying.letter.take()).collect()
    }

    /// The other topic has it on the disk. Nothing happens to one that was dropped meanwhile.
    pub(crate) fn buried(&mut self, sequence: Sequence, now: Instant) {
        if self.dying.remove(&sequence).is_some() {
            self.attempts.remove(&sequence);
            self.counts.dead_lettered += 1;
            self.done_with(sequence, now);
        }
    }

    /// The other topic did not take it, yet.
    pub(crate) fn not_buried(&mut self, sequence: Sequence, now: Instant) {
        if let Some(Dying { place, .. }) = self.dying.remove(&sequence) {
            self.deferred.insert((now + RETRY, sequence), Some(place));
        }
    }
}
