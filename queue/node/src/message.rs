//! Messages as a topic numbers and stores them.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use punctual_queue_log::position::Position;
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::message::MessageId;
use uuid::Uuid;

/// A message's number within its topic: counts up from where the topic began and is never reused. Its hex digits are
/// the message's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    #[cfg(test)]
    pub(crate) const FIRST: Self = Self(1);

    /// What precedes all numbers.
    pub(crate) const ZERO: Self = Self(0);

    /// Where a topic begins to count: anywhere, so that no two topics give the same ids, be they of one name on two
    /// nodes, or made one after the other on the same. There is room for 2^62 numbers more above any of them.
    pub(crate) fn anywhere() -> Self {
        let (_, random) = Uuid::new_v4().as_u64_pair(); // but for the first two bits
        Self((random & u64::MAX >> 2).max(1))
    }

    pub(crate) fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    pub(crate) fn id(self) -> MessageId {
        MessageId::from_number(self.0)
    }

    /// The number behind an id of ours.
    pub(crate) fn from_id(id: MessageId) -> Option<Self> {
        id.to_number().map(Self)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Messages that were published together and stand in one record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) position: Position,
    pub(crate) first: Sequence,
    /// When they were published: nanoseconds since the Unix epoch.
    pub(crate) timestamp_ns: i64,
    /// Not to be delivered before; `None` for at once.
    pub(crate) due: Option<Instant>,
    pub(crate) bodies: Bodies,
}

impl Batch {
    /// The number after the last message's.
    pub(crate) fn end(&self) -> Sequence {
        self.first.plus(self.bodies.len() as u64)
    }

    /// Its messages, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = StoredMessage> + '_ {
        self.bodies.iter().zip(self.first.0..).map(|(body, number)| StoredMessage {
            sequence: Sequence(number),
            position: self.position,
            timestamp_ns: self.timestamp_ns,
            body,
        })
    }
}

/// One message as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub(crate) sequence: Sequence,
    /// Where the record is that holds it.
    pub(crate) position: Position,
    pub(crate) timestamp_ns: i64,
    pub(crate) body: Bytes,
}
