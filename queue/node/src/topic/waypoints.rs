//! Where in the log a message stands, roughly.

use std::collections::BTreeMap;

use punctual_queue_log::position::Position;

use crate::message::Sequence;

/// How far apart waypoints are within a segment.
const EVERY_BYTES: u32 = 256 * 1024;

/// The first message of every segment and one of every few hundred kilobytes, with their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waypoints(BTreeMap<Sequence, Position>);

impl Waypoints {
    /// Notes where a batch of messages stands, if the last waypoint is far from it.
    pub(crate) fn note(&mut self, first: Sequence, position: Position) {
        let is_near = self.0.last_key_value().is_some_and(|(_, last)| {
            last.segment == position.segment && position.offset < last.offset.saturating_add(EVERY_BYTES)
        });
        if !is_near {
            self.0.insert(first, position);
        }
    }

    /// A place at or before the message's.
    pub(crate) fn before(&self, sequence: Sequence) -> Position {
        self.0.range(..=sequence).next_back().map_or(Position::START, |(_, position)| *position)
    }

    /// Forgets what lies before the segment of `position`.
    pub(crate) fn forget_before(&mut self, position: Position) {
        self.0.retain(|_, waypoint| waypoint.segment >= position.segment);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Sequence, Position)> {
        self.0.iter().map(|(sequence, position)| (*sequence, *position))
    }
}

impl FromIterator<(Sequence, Position)> for Waypoints {
    fn from_iter<I: IntoIterator<Item = (Sequence, Position)>>(waypoints: I) -> Self {
        Self(waypoints.into_iter().collect())
    }
}
