//! What stands in the journal's file: its header, then blocks; in each a header, then one entry for each batch.
//!
//! ```text
//! file:   magic 8 | salt u64 | checksum u32: CRC-32 of both
//! block:  number u64 | begun with u64 | synced before u64 | length u32 | checksum u32: CRC-32 of the entries |
//!         mark u32: CRC-32 of the salt and the header so far
//! entry:  directory's length u16 | directory, below the journal's | salt u32 | segment u32 | offset u32 |
//!         length u32 | bytes
//! ```
//!
//! Numbers are big-endian. Blocks begin at multiples of [`ALIGNMENT`], so that none shares a sector with another, and
//! one that cannot be read hides none behind it. The salt is a random number that no publisher knows, so nothing in a
//! message can pass for a block.

use std::io::IoSlice;
use std::ops::Range;

use crate::batch::Placed;
use crate::position::{Position, SegmentId};

/// Blocks begin at multiples of so many bytes.
pub(super) const ALIGNMENT: u64 = 4096;

/// Bytes of the file's header.
pub(super) const FILE_HEADER_BYTES: usize = 20;

/// Where the first block begins.
pub(super) const FIRST_BLOCK: u64 = ALIGNMENT;

/// Bytes in front of a block's entries.
pub(super) const HEADER_BYTES: usize = 36;

const MAGIC: [u8; 8] = *b"PNCTJRN1";

/// Puts a block together.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    heads: Vec<u8>,
    entries: Vec<(Range<usize>, Placed)>,
    bytes: u64,
}

/// What a block's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Counts up from block to block of one process.
    pub(super) number: u64,
    /// The number of the first block since the journal began anew. Those before it are needed no more.
    pub(super) begun_with: u64,
    /// Blocks before this number were synced when the block was written.
    pub(super) synced_before: u64,
    pub(super) length: u32,
    pub(super) checksum: u32,
}

/// A batch, and where it belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) dir: &'a str,
    pub(super) salt: u32,
    pub(super) position: Position,
    pub(super) bytes: &'a [u8],
}

impl BlockBuilder {
    pub(super) fn push(&mut self, dir: &str, salt: u32, placed: Placed) {
        let start = self.heads.len();
        // A path has 4,096 bytes at most.
        self.heads.extend_from_slice(&(dir.len() as u16).to_be_bytes());
        self.heads.extend_from_slice(dir.as_bytes());
        let Position { segment, offset } = placed.position;
        for number in [salt, segment.0, offset, placed.batch.bytes()] {
            self.heads.extend_from_slice(&number.to_be_bytes());
        }
        self.bytes += (self.heads.len() - start) as u64 + u64::from(placed.batch.bytes());
        self.entries.push((start..self.heads.len(), placed));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many the block takes, its header included.
    pub(super) fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + self.bytes
    }

    /// The entries, one after the other.
    pub(super) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.entries.iter().flat_map(|(head, placed)| {
            std::iter::once(IoSlice::new(&self.heads[head.clone()])).chain(placed.batch.slices())
        })
    }

    /// The header of the block as it is now.
    pub(super) fn header(&self, number: u64, begun_with: u64, synced_before: u64) -> BlockHeader {
        let mut hasher = crc32fast::Hasher::new();
        self.slices().for_each(|slice| hasher.update(&slice));
        // The journal's size, in which a block has to fit, is bounded by far less.
        let length = self.bytes as u32;
        BlockHeader { number, begun_with, synced_before, length, checksum: hasher.finalize() }
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.entries.clear();
        self.bytes = 0;
    }
}

impl BlockHeader {
    pub(super) fn encode(self, salt: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.begun_with.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.synced_before.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.length.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.checksum.to_be_bytes());
        let mark = mark(salt, &bytes[..32]);
        bytes[32..].copy_from_slice(&mark.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES], salt: u64) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (begun_with, rest) = rest.split_first_chunk()?;
        let (synced_before, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (checksum, found) = rest.split_first_chunk()?;
        (found == mark(salt, &bytes[..32]).to_be_bytes()).then(|| Self {
            number: u64::from_be_bytes(*number),
            begun_with: u64::from_be_bytes(*begun_with),
            synced_before: u64::from_be_bytes(*synced_before),
            length: u32::from_be_bytes(*length),
            checksum: u32::from_be_bytes(*checksum),
        })
    }
}

fn mark(salt: u64, header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_be_bytes());
    hasher.update(header);
    hasher.finalize()
}

/// The header of a file whose blocks are marked with `salt`.
pub(super) fn file_header(salt: u64) -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&salt.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// What the blocks of a file are marked with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Salt {
    Known(u64),
    /// Only zeros are there.
    Nothing,
    Unreadable,
    OfAnotherVersion,
}

/// What the blocks of the file with this header are marked with.
pub(super) fn file_salt(bytes: &[u8; FILE_HEADER_BYTES]) -> Salt {
    let [_, _, _, _, _, _, _, _, s0, s1, s2, s3, s4, s5, s6, s7, ..] = *bytes;
    let salt = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    match *bytes {
        whole if whole == file_header(salt) => Salt::Known(salt),
        zeros if zeros == [0; FILE_HEADER_BYTES] => Salt::Nothing,
        other if other[..7] == MAGIC[..7] && other[7] != MAGIC[7] => Salt::OfAnotherVersion,
        _ => Salt::Unreadable,
    }
}

/// The entries of a block that is whole; ends early at one that makes no sense.
pub(super) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (entry, rest) = split_entry(bytes)?;
        bytes = rest;
        Some(entry)
    })
}

fn split_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (dir_bytes, rest) = bytes.split_first_chunk()?;
    let (dir, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*dir_bytes)))?;
    let (salt, rest) = rest.split_first_chunk()?;
    let (segment, rest) = rest.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let position =
        Position { segment: SegmentId(u32::from_be_bytes(*segment)), offset: u32::from_be_bytes(*offset) };
    let dir = std::str::from_utf8(dir).ok()?;
    Some((Entry { dir, salt: u32::from_be_bytes(*salt), position, bytes }, rest))
}
