//! What a journal holds, read back.

use std::collections::BTreeMap;
use std::io;

use super::block::{ALIGNMENT, BlockHeader, FILE_HEADER_BYTES, FIRST_BLOCK, HEADER_BYTES, Salt, file_salt};
use crate::disk::{DiskFile, read_full_at};

/// See the module's words.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// The entries of each commit that is to be applied, in order: where they are.
    commits: Vec<std::ops::Range<usize>>,
    /// Commits that had been synced and cannot be read any more.
    pub(super) damaged_commits: u64,
}

/// A block that is whole.
#[derive(Debug, Clone, Copy)]
struct Block {
    header: BlockHeader,
    /// Where its entries begin.
    from: usize,
}

impl Content {
    /// Reads a journal. What the disk cannot read of it counts as damaged, and hides nothing behind it.
    pub(super) fn read(journal: &dyn DiskFile) -> io::Result<Self> {
        let (bytes, is_unreadable) = read_all(journal)?;
        let none = |damaged_commits| Self { bytes: Vec::new(), commits: Vec::new(), damaged_commits };
        let first = bytes.first_chunk().copied().unwrap_or([0; FILE_HEADER_BYTES]);
        match file_salt(&first) {
            Salt::Known(salt) => {
                let (commits, missing) = in_order(whole(&bytes, salt));
                Ok(Self { bytes, commits, damaged_commits: missing.max(u64::from(is_unreadable)) })
            }
            // A sector is written whole: where nothing is in front of the blocks, they were never synced.
            Salt::Nothing => Ok(none(u64::from(is_unreadable))),
            Salt::Unreadable => Ok(none(u64::from(bytes.len() as u64 > FIRST_BLOCK))),
            Salt::OfAnotherVersion => Err(io::Error::other("it is of another release")),
        }
    }

    /// The entries of each commit.
    pub(super) fn commits(&self) -> impl Iterator<Item = &[u8]> {
        self.commits.iter().map(|range| &self.bytes[range.clone()])
    }
}

/// All of the file, with zeros where the disk fails; says whether it did.
fn read_all(journal: &dyn DiskFile) -> io::Result<(Vec<u8>, bool)> {
    let length = usize::try_from(journal.length()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    if let Ok(read) = read_full_at(journal, &mut bytes, 0) {
        bytes.truncate(read);
        return Ok((bytes, false));
    }
    let mut is_unreadable = false;
    for (number, part) in bytes.chunks_mut(ALIGNMENT as usize).enumerate() {
        if read_full_at(journal, part, number as u64 * ALIGNMENT).is_err() {
            part.fill(0);
            is_unreadable = true;
        }
    }
    Ok((bytes, is_unreadable))
}

/// All blocks that are whole, by their numbers.
fn whole(bytes: &[u8], salt: u64) -> BTreeMap<u64, Block> {
    let mut blocks = BTreeMap::new();
    let mut offset = FIRST_BLOCK as usize;
    while let Some(header) = bytes.get(offset..).and_then(<[u8]>::first_chunk::<HEADER_BYTES>) {
        let from = offset + HEADER_BYTES;
        let block = BlockHeader::decode(header, salt).filter(|header| {
            let entries = bytes.get(from..).and_then(|rest| rest.get(..header.length as usize));
            entries.is_some_and(|entries| crc32fast::hash(entries) == header.checksum)
        });
        let end = block.map_or(offset + 1, |header| from + header.length as usize);
        blocks.extend(block.map(|header| (header.number, Block { header, from })));
        offset = end.next_multiple_of(ALIGNMENT as usize);
    }
    blocks
}

/// The entries of those that are to be applied, and how many commits are missing that had been synced.
///
/// What was written before the journal last began anew is of no use any more. Behind a gap stands what was never synced,
/// unless a block says of the missing one that it was.
fn in_order(blocks: BTreeMap<u64, Block>) -> (Vec<std::ops::Range<usize>>, u64) {
    let all = || blocks.values().map(|block| block.header);
    let synced_before = all().map(|header| header.synced_before).max().unwrap_or(0);
    let begun_with = all().map(|header| header.begun_with).max().unwrap_or(0);
    let (mut expected, mut missing, mut applied) = (begun_with, 0, Vec::new());
    for (number, Block { header, from }) in blocks.range(begun_with..) {
        if *number > expected && expected >= synced_before {
            break;
        }
        missing += number - expected;
        expected = number + 1;
        applied.push(*from..from + header.length as usize);
    }
    (applied, missing)
}
