//! Where a record stands in a log.

use std::fmt;

/// The number of a segment; counts up from 1 and is never reused within a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

/// The place of a record in a log: its segment and the byte it starts at. Later records compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment the record is in.
    pub segment: SegmentId,
    /// Bytes from the start of the segment's file.
    pub offset: u32,
}

impl Position {
    /// Before every record of every log.
    pub const START: Self = Self { segment: SegmentId(0), offset: 0 };

    /// As one number that orders the same way; for storing.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        u64::from(self.segment.0) << 32 | u64::from(self.offset)
    }

    /// The inverse of [`to_u64`](Self::to_u64).
    #[must_use]
    pub fn from_u64(packed: u64) -> Self {
        let [s0, s1, s2, s3, o0, o1, o2, o3] = packed.to_be_bytes();
        Self {
            segment: SegmentId(u32::from_be_bytes([s0, s1, s2, s3])),
            offset: u32::from_be_bytes([o0, o1, o2, o3]),
        }
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment.0, self.offset)
    }
}
