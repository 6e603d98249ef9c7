//! What is appended: the bytes of one atomic unit.

use bytes::Bytes;

/// Most bytes one record may hold: places in a segment are 32-bit numbers, and one that is that large has a segment to
/// itself.
pub const MAX_RECORD_BYTES: usize = 1088 * 1024 * 1024;

/// The bytes of one append, in the parts they were received in, so that a body need not be copied to join its
/// header. After a crash a record is there whole or not at all.
#[derive(Debug, Clone)]
pub struct Record {
    parts: Vec<Bytes>,
    length: usize,
    checksum: u32,
}

impl Record {
    /// A record of `parts`, one after the other. The checksum is computed here, on the caller's thread.
    #[must_use]
    pub fn new(parts: Vec<Bytes>) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        for part in &parts {
            hasher.update(part);
        }
        let length = parts.iter().map(Bytes::len).sum();
        Self { parts, length, checksum: hasher.finalize() }
    }

    /// How many bytes the record holds, framing excluded.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The bytes in one piece; a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.parts.concat().into()
    }

    pub(crate) fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }
}

impl From<Bytes> for Record {
    fn from(bytes: Bytes) -> Self {
        Self::new(vec![bytes])
    }
}
