//! How a record stands in a segment: a header of twelve bytes, then the record.
//!
//! ```text
//! length u32 | checksum u32: CRC-32 of the record | mark u32: CRC-32 of salt, segment, offset, length, checksum
//! ```
//!
//! The mark ties the header to its place and to this log: a block that belongs elsewhere, or bytes inside a record
//! that look like a frame, do not have it. Numbers are big-endian. A length of 0 is what was never written.

use crate::position::SegmentId;

/// Bytes in front of a record.
pub(crate) const HEADER_BYTES: usize = 12;

/// What a mark depends on besides the header itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameKey {
    pub(crate) salt: u32,
    pub(crate) segment: SegmentId,
}

/// A header that belongs where it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHeader {
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

impl FrameKey {
    fn mark(self, offset: u32, length: u32, checksum: u32) -> u32 {
        let mut input = [0; 20];
        for (place, number) in
            input.chunks_exact_mut(4).zip([self.salt, self.segment.0, offset, length, checksum])
        {
            place.copy_from_slice(&number.to_be_bytes());
        }
        crc32fast::hash(&input)
    }

    /// The header of a frame at `offset`.
    pub(crate) fn encode(self, offset: u32, header: FrameHeader) -> [u8; HEADER_BYTES] {
        let mark = self.mark(offset, header.length, header.checksum);
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&header.length.to_be_bytes());
        bytes[4..8].copy_from_slice(&header.checksum.to_be_bytes());
        bytes[8..].copy_from_slice(&mark.to_be_bytes());
        bytes
    }

    /// The header in `bytes`, if it was written for `offset`.
    pub(crate) fn decode(self, offset: u32, bytes: [u8; HEADER_BYTES]) -> Option<FrameHeader> {
        let [l0, l1, l2, l3, c0, c1, c2, c3, m0, m1, m2, m3] = bytes;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let checksum = u32::from_be_bytes([c0, c1, c2, c3]);
        let mark = u32::from_be_bytes([m0, m1, m2, m3]);
        (length > 0 && mark == self.mark(offset, length, checksum))
            .then_some(FrameHeader { length, checksum })
    }
}
