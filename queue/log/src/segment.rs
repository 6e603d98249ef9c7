//! A segment's file: its name and the header it begins with.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, Disk};
use crate::position::SegmentId;

/// Bytes in front of a segment's first frame.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 32;

const MAGIC: [u8; 8] = *b"PNCTLOG2";

/// What a segment says about itself and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) segment: SegmentId,
    /// One random number for the whole log; part of every frame's mark.
    pub(crate) salt: u32,
    /// How many bytes the segment was planned to hold.
    pub(crate) capacity: u32,
    /// Where the last record of the segment before ended, so that one cut short is noticed; 0 for the first.
    pub(crate) previous_end: u32,
    /// Where its own last record ends, once it was rewritten; 0 while it is as it was appended.
    pub(crate) rewritten_end: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        for (place, number) in bytes[8..28].chunks_exact_mut(4).zip([
            self.segment.0,
            self.salt,
            self.capacity,
            self.previous_end,
            self.rewritten_end,
        ]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// The header in `bytes`, though one of its bits has flipped: with it would go the salt, without which nothing in
    /// a log of one segment can be told from garbage.
    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES as usize]) -> Option<Self> {
        Self::decode_whole(bytes).or_else(|| {
            (0..bytes.len() * 8).find_map(|bit| {
                let mut mended = *bytes;
                mended[bit / 8] ^= 1 << (bit % 8);
                Self::decode_whole(&mended)
            })
        })
    }

    fn decode_whole(bytes: &[u8; SEGMENT_HEADER_BYTES as usize]) -> Option<Self> {
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (bytes[..8] == MAGIC && number(28) == crc32fast::hash(&bytes[..28])).then(|| Self {
            segment: SegmentId(number(8)),
            salt: number(12),
            capacity: number(16),
            previous_end: number(20),
            rewritten_end: number(24),
        })
    }
}

/// How the name of a segment ends that is being written anew.
pub(crate) const TEMPORARY: &str = "new";

/// Moves the file of `segment`, a part of which cannot be read, out of the log's way; a person may look at it. The
/// directory is not synced. Returns where it is now.
pub(crate) fn set_aside(disk: &dyn Disk, dir: &Path, segment: SegmentId) -> io::Result<PathBuf> {
    disk::set_aside(disk, &path(dir, segment))
}

/// The file of `segment` in `dir`.
pub(crate) fn path(dir: &Path, segment: SegmentId) -> PathBuf {
    dir.join(format!("{segment}.seg"))
}

/// The segment whose file has this name.
pub(crate) fn from_file_name(name: &str) -> Option<SegmentId> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 10).then(|| digits.parse().ok().map(SegmentId)).flatten()
}
