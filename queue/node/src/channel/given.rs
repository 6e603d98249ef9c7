//! Messages that were given out, and may have to be given out again.
//!
//! A body is a slice of what it came with, which is up to a mebibyte of other messages and more: a few slow messages
//! would hold on to much. So bodies are kept only of messages that came into memory lately, and the others are read
//! from the log again when they are wanted. "Lately" is counted in bytes that came after them: what is held on to is
//! then no more than that, whoever shares a buffer with whom, and a message costs no book-keeping while it is given
//! out and finished. Who gives a message back soon has it again without a read; who keeps it long waits for one.

use std::collections::HashMap;

use bytes::Bytes;
use punctual_queue_log::position::Position;

use super::Channel;
use super::in_flight::Held;
use crate::message::{Sequence, StoredMessage};

/// Bodies are kept until this much came into memory after them: about what is read ahead, and several times what a
/// consumer with a large RDY holds of small messages.
pub(super) const KEPT_BYTES: u64 = 2 * 1024 * 1024;

/// Where the log holds a message, and when it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    /// Nanoseconds since the Unix epoch.
    pub(super) timestamp_ns: i64,
}

/// A message that was given out before.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) sequence: Sequence,
    pub(super) position: Position,
    /// When it was published: nanoseconds since the Unix epoch.
    pub(super) timestamp_ns: i64,
    content: Option<Content>,
}

/// The rest of it, while that is in memory.
#[derive(Debug)]
struct Content {
    body: Bytes,
    /// How much had come into memory then.
    arrived: u64,
}

impl Given {
    /// One that is to be read from the log.
    pub(super) fn unread(sequence: Sequence, Place { position, timestamp_ns }: Place) -> Self {
        Self { sequence, position, timestamp_ns, content: None }
    }

    pub(super) fn place(&self) -> Place {
        Place { position: self.position, timestamp_ns: self.timestamp_ns }
    }

    pub(super) fn is_unread(&self) -> bool {
        self.content.is_none()
    }

    /// All of it, if that is in memory.
    pub(super) fn take(&mut self) -> Option<StoredMessage> {
        let Content { body, .. } = self.content.take()?;
        let Self { sequence, position, timestamp_ns, .. } = *self;
        Some(StoredMessage { sequence, position, timestamp_ns, body })
    }
}

/// What came into memory for a channel, in bytes.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    total: u64,
    /// The same when bodies were last forgotten.
    forgot_at: u64,
}

impl Arrivals {
    /// The message as of now, given out.
    pub(super) fn given(&self, message: &StoredMessage) -> Given {
        let StoredMessage { sequence, position, timestamp_ns, ref body } = *message;
        let content = Content { body: body.clone(), arrived: self.total };
        Given { sequence, position, timestamp_ns, content: Some(content) }
    }
}

impl Channel {
    /// So many bytes come into memory; older bodies go. Not every time, so that a message is seldom looked at for it.
    pub(super) fn arrive(&mut self, bytes: u64) {
        self.arrivals.total += bytes;
        let total = self.arrivals.total;
        if total - self.arrivals.forgot_at < KEPT_BYTES / 2 {
            return;
        }
        self.arrivals.forgot_at = total;
        for given in self.in_flight.all_given_mut().chain(&mut self.again) {
            given.content = given.content.take().filter(|content| total - content.arrived < KEPT_BYTES / 2);
        }
    }

    pub(super) fn give_again(&mut self, held: Held) {
        self.attempts.insert(held.given.sequence, held.attempts);
        self.again.push_back(held.given);
    }

    /// What was read of messages that are to be given out again.
    pub(super) fn take_in_again(&mut self, messages: Vec<StoredMessage>) {
        self.arrive(messages.iter().map(|message| message.body.len() as u64).sum());
        let mut read: HashMap<_, _> =
            messages.into_iter().map(|message| (message.sequence, message)).collect();
        for given in self.again.iter_mut().filter(|given| given.is_unread()) {
            if let Some(message) = read.remove(&given.sequence) {
                *given = self.arrivals.given(&message);
            }
        }
    }
}
