//! What the segments of a topic's log hold of messages.

use std::collections::BTreeMap;

use punctual_queue_log::position::{Position, SegmentId};
use serde::{Deserialize, Serialize};

use crate::message::{Batch, Sequence};

/// Bytes a record of messages takes beside their bodies, about.
const RECORD_BYTES: u64 = 41;

/// The segments with messages in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Segments(BTreeMap<SegmentId, Contents>);

/// The messages of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// The number of the first there was.
    pub(crate) first: u64,
    /// The number after that of the last.
    pub(crate) end: u64,
    /// How many are in it; after it was rewritten fewer than there were.
    pub(crate) messages: u64,
    /// What they take, about.
    pub(crate) bytes: u64,
}

impl Segments {
    /// Notes a batch that stands behind all others. One that was noted before changes nothing.
    pub(crate) fn note(&mut self, batch: &Batch) {
        let contents = self.0.entry(batch.position.segment).or_insert(Contents {
            first: batch.first.0,
            end: batch.first.0,
            messages: 0,
            bytes: 0,
        });
        if batch.first.0 >= contents.end {
            contents.end = batch.end().0;
            contents.add(batch);
        }
    }

    pub(crate) fn get(&self, segment: SegmentId) -> Option<Contents> {
        self.0.get(&segment).copied()
    }

    pub(crate) fn set(&mut self, segment: SegmentId, contents: Contents) {
        self.0.insert(segment, contents);
    }

    /// Forgets what lies before the segment of `position`.
    pub(crate) fn forget_before(&mut self, position: Position) {
        self.0.retain(|segment, _| *segment >= position.segment);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SegmentId, Contents)> {
        self.0.iter().map(|(segment, contents)| (*segment, *contents))
    }
}

impl Contents {
    /// The same numbers, and no messages yet.
    pub(crate) fn emptied(self) -> Self {
        Self { messages: 0, bytes: 0, ..self }
    }

    pub(crate) fn add(&mut self, batch: &Batch) {
        self.first = self.first.min(batch.first.0);
        self.end = self.end.max(batch.end().0);
        self.messages += batch.bodies.len() as u64;
        self.bytes += batch.bodies.packed().len() as u64 + RECORD_BYTES;
    }

    /// What of it would be left of `bytes` when only `live` of its numbers are wanted.
    pub(crate) fn live_bytes(self, live: u64) -> u64 {
        let share = u128::from(self.bytes) * u128::from(live.min(self.messages));
        u64::try_from(share / u128::from(self.messages.max(1))).unwrap_or(u64::MAX)
    }

    pub(crate) fn numbers(self) -> std::ops::Range<Sequence> {
        Sequence(self.first)..Sequence(self.end)
    }
}

impl FromIterator<(SegmentId, Contents)> for Segments {
    fn from_iter<I: IntoIterator<Item = (SegmentId, Contents)>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}
