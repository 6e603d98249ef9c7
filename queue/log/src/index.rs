//! Which segments a log has, and what is known of each.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::position::{Position, SegmentId};
use crate::reader::DamagedRange;

/// Which segments there are.
#[derive(Debug)]
pub(crate) struct SegmentIndex {
    segments: BTreeMap<SegmentId, SegmentInfo>,
    /// Where the next record will be written; all before it can be read.
    pub(crate) end: Position,
    /// All before this is on the disk.
    pub(crate) synced_end: Position,
}

/// One segment.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentInfo {
    /// Where the segment before ended, as this one's header says; 0 where there was none or the header is damaged.
    pub(crate) previous_end: u32,
    /// Where the last record ends, of a segment that was rewritten; 0 of one that is as it was appended.
    pub(crate) rewritten_end: u32,
    /// Bytes in the file; of the segment that is written to, those planned or found.
    pub(crate) bytes: u32,
    /// What of it was found to be unreadable.
    pub(crate) damage: Vec<DamagedRange>,
}

impl SegmentIndex {
    pub(crate) fn new(segments: BTreeMap<SegmentId, SegmentInfo>, end: Position) -> Self {
        Self { segments, end, synced_end: end }
    }

    /// `segment` follows the last one, which ended at `previous_end`.
    pub(crate) fn begin_segment(&mut self, segment: SegmentId, previous_end: u32, capacity: u32) {
        if let Some((_, last)) = self.segments.iter_mut().next_back().filter(|_| previous_end > 0) {
            last.bytes = previous_end;
        }
        self.segments
            .insert(segment, SegmentInfo { previous_end, bytes: capacity, ..SegmentInfo::default() });
    }

    pub(crate) fn first(&self) -> Option<SegmentId> {
        self.segments.keys().next().copied()
    }

    pub(crate) fn get(&self, segment: SegmentId) -> Option<&SegmentInfo> {
        self.segments.get(&segment)
    }

    pub(crate) fn remove(&mut self, segment: SegmentId) {
        self.segments.remove(&segment);
    }

    /// `segment` has a new file, which ends at `end`.
    pub(crate) fn rewritten(&mut self, segment: SegmentId, end: u32) {
        if let Some(info) = self.segments.get_mut(&segment) {
            (info.rewritten_end, info.bytes) = (end, end);
        }
    }

    /// The segments before `end`'s, which are not written to any more, and their sizes.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = (SegmentId, u32)> {
        let before = self.segments.range(..self.end.segment);
        before.map(|(segment, info)| (*segment, info.bytes))
    }

    /// Bytes the segment that is written to is planned to hold.
    pub(crate) fn capacity(&self) -> u32 {
        self.segments.get(&self.end.segment).map_or(0, |info| info.bytes)
    }

    /// Notes what cannot be read; says whether that is news.
    pub(crate) fn note_damage(&mut self, range: DamagedRange) -> bool {
        let Some(info) = self.segments.get_mut(&range.segment) else { return false };
        let is_new = !info.damage.contains(&range);
        if is_new {
            info.damage.push(range);
        }
        is_new
    }

    pub(crate) fn is_damaged(&self, segment: SegmentId) -> bool {
        self.segments.get(&segment).is_some_and(|info| !info.damage.is_empty())
    }

    /// All that is known to be damaged, in the order of the segments.
    pub(crate) fn damage(&self) -> Vec<DamagedRange> {
        self.segments.values().flat_map(|info| info.damage.iter().copied()).collect()
    }

    /// The first segment at or after `from`.
    pub(crate) fn at_or_after(&self, from: SegmentId) -> Option<SegmentId> {
        self.segments.range(from..).next().map(|(segment, _)| *segment)
    }

    /// The first segment after `segment`, and where `segment` should end; 0 where nothing says.
    pub(crate) fn after(&self, segment: SegmentId) -> Option<(SegmentId, u32)> {
        let after = (Bound::Excluded(segment), Bound::Unbounded);
        let (next, info) = self.segments.range(after).next()?;
        let rewritten_end = self.segments.get(&segment).map_or(0, |info| info.rewritten_end);
        let end = match rewritten_end {
            0 if next.0 == segment.0 + 1 => info.previous_end,
            0 => 0, // the one that knew is gone
            end => end,
        };
        Some((*next, end))
    }
}
