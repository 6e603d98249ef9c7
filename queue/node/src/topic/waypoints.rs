//! Where in the log a message stands, and when it was published, roughly.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual_queue_log::position::{Position, SegmentId};

use crate::message::{Batch, Sequence};

/// How far apart waypoints are within a segment.
const EVERY_BYTES: u32 = 256 * 1024;

/// The first message of every segment and one of every few hundred kilobytes, with their places and times. Where
/// messages are kept for a time only, some more, so that their age is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waypoints(BTreeMap<Sequence, Waypoint>);

/// What is known of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waypoint {
    pub(crate) position: Position,
    /// Nanoseconds since the Unix epoch.
    pub(crate) published_ns: i64,
}

impl Waypoints {
    /// Notes where a batch of messages stands, if the last waypoint is far from it or older by `every`.
    pub(crate) fn note(&mut self, batch: &Batch, every: Option<Duration>) {
        let (position, published_ns) = (batch.position, batch.timestamp_ns);
        let every_ns = every.map_or(i64::MAX, |every| i64::try_from(every.as_nanos()).unwrap_or(i64::MAX));
        let is_near = self.0.last_key_value().is_some_and(|(_, last)| {
            last.position.segment == position.segment
                && position.offset < last.position.offset.saturating_add(EVERY_BYTES)
                && published_ns < last.published_ns.saturating_add(every_ns)
        });
        if !is_near {
            self.0.insert(batch.first, Waypoint { position, published_ns });
        }
    }

    /// A place at or before the message's.
    pub(crate) fn before(&self, sequence: Sequence) -> Position {
        self.0.range(..=sequence).next_back().map_or(Position::START, |(_, waypoint)| waypoint.position)
    }

    /// When the message was published, or one somewhat before it.
    pub(crate) fn published_ns(&self, sequence: Sequence) -> i64 {
        self.0.range(..=sequence).next_back().map_or(0, |(_, waypoint)| waypoint.published_ns)
    }

    /// A message before which all were published at `cutoff_ns` or earlier.
    pub(crate) fn older_than(&self, cutoff_ns: i64) -> Option<Sequence> {
        let old = self.0.iter().take_while(|(_, waypoint)| waypoint.published_ns <= cutoff_ns);
        old.last().map(|(sequence, _)| *sequence)
    }

    /// The segment of the last one.
    pub(crate) fn last_segment(&self) -> Option<SegmentId> {
        self.0.last_key_value().map(|(_, waypoint)| waypoint.position.segment)
    }

    /// Of a segment whose records will move, only the first remains, with the segment's start for its place: that
    /// holds before and after.
    pub(crate) fn collapse(&mut self, segment: SegmentId) {
        let is_inside = |waypoint: &Waypoint| waypoint.position.segment == segment;
        let first = self.0.iter().find(|(_, waypoint)| is_inside(waypoint)).map(|(first, _)| *first);
        self.0.retain(|sequence, waypoint| !is_inside(waypoint) || Some(*sequence) == first);
        if let Some(waypoint) = first.and_then(|first| self.0.get_mut(&first)) {
            waypoint.position.offset = 0;
        }
    }

    /// Forgets what lies before the segment of `position`.
    pub(crate) fn forget_before(&mut self, position: Position) {
        self.0.retain(|_, waypoint| waypoint.position.segment >= position.segment);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Sequence, Waypoint)> {
        self.0.iter().map(|(sequence, waypoint)| (*sequence, *waypoint))
    }
}

impl FromIterator<(Sequence, Waypoint)> for Waypoints {
    fn from_iter<I: IntoIterator<Item = (Sequence, Waypoint)>>(waypoints: I) -> Self {
        Self(waypoints.into_iter().collect())
    }
}
