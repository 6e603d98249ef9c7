//! Messages in memory that wait to be delivered for the first time.

use std::collections::VecDeque;

use crate::message::{Sequence, StoredMessage};

/// Held while consumers want more than they get. Enough to keep a consumer with a full RDY busy while the next are read.
const FULL_MESSAGES: usize = 4096;

/// The same for messages that are large: so many bytes keep a connection busy for longer than a read takes.
const FULL_BYTES: usize = 4 * 1024 * 1024;

/// Once there are fewer than this of both, the next are read.
const LOW_MESSAGES: usize = FULL_MESSAGES / 4;
const LOW_BYTES: usize = FULL_BYTES / 4;

/// In the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Ready {
    messages: VecDeque<StoredMessage>,
    /// Those of their bodies.
    bytes: usize,
}

impl Ready {
    pub(super) fn push(&mut self, message: StoredMessage) {
        self.bytes += message.body.len();
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<StoredMessage> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.body.len();
        Some(message)
    }

    pub(super) fn front(&self) -> Option<&StoredMessage> {
        self.messages.front()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether more would be too much.
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= FULL_MESSAGES || self.bytes >= FULL_BYTES
    }

    /// Whether it is time for more.
    pub(super) fn is_low(&self) -> bool {
        self.messages.len() < LOW_MESSAGES && self.bytes < LOW_BYTES
    }

    /// Drops those before a number.
    pub(super) fn drop_before(&mut self, before: Sequence) {
        while self.front().is_some_and(|message| message.sequence < before) {
            self.pop();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut StoredMessage> {
        self.messages.iter_mut()
    }
}
