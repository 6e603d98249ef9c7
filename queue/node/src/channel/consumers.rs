//! The consumers of a channel, and whose turn it is.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::Nearness;

/// What a consumer is given and has not been sent, at most, and one message more. A connection that is not read from
/// does not make the node hold all that its RDY allows.
pub(crate) const UNWRITTEN_BYTES: usize = 2 * 1024 * 1024;

/// A connection, for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What a channel knows of one consumer.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) ready_count: u32,
    pub(crate) in_flight: u32,
    pub(crate) message_timeout: Duration,
    /// Percentage of messages it wants; 0 for all.
    pub(crate) sample_rate: u8,
    nearness: Nearness,
    pub(crate) message_count: u64,
    pub(crate) finish_count: u64,
    pub(crate) requeue_count: u64,
    /// Bodies that were delivered and not written yet, in bytes, as far as is known.
    unwritten: usize,
    /// Whether it stands in the queue of those that may be served.
    queued: bool,
}

impl Consumer {
    pub(crate) fn new(message_timeout: Duration, sample_rate: u8) -> Self {
        Self {
            ready_count: 0,
            in_flight: 0,
            message_timeout,
            sample_rate,
            nearness: Nearness::default(),
            message_count: 0,
            finish_count: 0,
            requeue_count: 0,
            unwritten: 0,
            queued: false,
        }
    }

    /// The same, so near to the node.
    pub(crate) fn near(self, nearness: Nearness) -> Self {
        Self { nearness, ..self }
    }

    /// It finished or requeued a message, or held one too long.
    pub(super) fn gave_back_one(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
    }

    fn wants_more(&self) -> bool {
        self.in_flight < self.ready_count && self.unwritten < UNWRITTEN_BYTES
    }
}

/// All consumers of a channel. Those that want messages are served in turn, the nearest before the others.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    by_id: HashMap<ConnectionId, Consumer, RandomState>,
    /// Everyone that may want a message, once, by how near they are; some may not any more when their turn comes.
    turns: [VecDeque<ConnectionId>; Nearness::COUNT],
}

impl Consumers {
    pub(crate) fn add(&mut self, id: ConnectionId, consumer: Consumer) {
        self.by_id.insert(id, consumer);
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Consumer> {
        let removed = self.by_id.remove(&id)?;
        self.turns[removed.nearness as usize].retain(|turn| *turn != id);
        Some(removed)
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Consumer> {
        self.by_id.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Consumer)> {
        self.by_id.iter().map(|(id, consumer)| (*id, consumer))
    }

    /// Changes a consumer, if it is there, and gives it a turn if it now wants messages.
    pub(crate) fn update(&mut self, id: ConnectionId, change: impl FnOnce(&mut Consumer)) {
        let Some(consumer) = self.by_id.get_mut(&id) else { return };
        change(consumer);
        if consumer.wants_more() && !consumer.queued {
            consumer.queued = true;
            self.turns[consumer.nearness as usize].push_back(id);
        }
    }

    /// Nothing is in flight any more, at anyone.
    pub(crate) fn clear_in_flight(&mut self) {
        let ids: Vec<_> = self.by_id.keys().copied().collect();
        for id in ids {
            self.update(id, |consumer| consumer.in_flight = 0);
        }
    }

    /// Whose turn it is; `None` while nobody wants a message.
    pub(crate) fn next(&mut self) -> Option<(ConnectionId, &Consumer)> {
        for turns in &mut self.turns {
            while let Some(&id) = turns.front() {
                if self.by_id.get(&id).is_some_and(Consumer::wants_more) {
                    return Some((id, self.by_id.get(&id)?));
                }
                if let Some(consumer) = self.by_id.get_mut(&id) {
                    consumer.queued = false;
                }
                turns.pop_front();
            }
        }
        None
    }

    /// The one whose turn it is, as [`next`](Self::next) has just said, gets a message of so many bytes; the next one
    /// follows. Says how near it is.
    pub(crate) fn serve(&mut self, bytes: usize) -> Option<Nearness> {
        let turns = self.turns.iter_mut().find(|turns| !turns.is_empty())?;
        let id = turns.pop_front()?;
        turns.push_back(id);
        let consumer = self.by_id.get_mut(&id)?;
        consumer.in_flight += 1;
        consumer.unwritten += bytes;
        consumer.message_count += 1;
        Some(consumer.nearness)
    }
}
