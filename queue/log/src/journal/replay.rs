//! Puts what a journal holds where it belongs.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::FILE_NAME;
use super::block::{
    ALIGNMENT, BlockHeader, Entry, FILE_HEADER_BYTES, FIRST_BLOCK, HEADER_BYTES, entries, file_salt,
};
use crate::disk::{Disk, DiskFile, OpenMode, read_full_at, write_all_at};
use crate::error::LogError;
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};

/// What a journal held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Commits that were put where they belong.
    pub blocks: u64,
    /// The bytes of their batches.
    pub bytes: u64,
    /// Commits that had been synced and cannot be read any more. What they held is lost where the logs lack it too.
    pub damaged_blocks: u64,
}

/// Puts what the journal in `dir` holds into the logs below, makes that durable, and removes the journal. No log below
/// `dir` may be open. Nothing happens where there is no journal.
///
/// # Errors
/// Fails when something cannot be read, or put where it belongs; tried again, it goes on from the start.
pub fn replay(disk: &dyn Disk, dir: &Path) -> Result<Replayed, LogError> {
    let path = dir.join(FILE_NAME);
    let journal = match disk.open(&path, OpenMode::Existing) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Replayed::default()),
        opened => opened.map_err(LogError::io("open", &path))?,
    };
    let replayed = apply(disk, dir, journal.as_ref(), &path)?;
    disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    Ok(replayed)
}

fn apply(disk: &dyn Disk, dir: &Path, journal: &dyn DiskFile, path: &Path) -> Result<Replayed, LogError> {
    let failed = || LogError::io("read", path);
    let mut first = [0; FILE_HEADER_BYTES];
    read_full_at(journal, &mut first, 0).map_err(failed())?;
    let Some(salt) = file_salt(&first) else {
        // A sector is written whole: where nothing is in front of the blocks, they were never synced.
        let has_blocks = journal.length().map_err(failed())? > FIRST_BLOCK;
        let damaged_blocks = u64::from(has_blocks && first != [0; FILE_HEADER_BYTES]);
        return Ok(Replayed { damaged_blocks, ..Replayed::default() });
    };
    let (blocks, damaged_blocks) = find(journal, salt).map_err(failed())?;
    let mut replayed = Replayed { damaged_blocks, ..Replayed::default() };
    let mut logs = Logs { disk, dir, files: BTreeMap::new() };
    for (offset, header) in blocks {
        let content = read_block(journal, offset, header).map_err(failed())?;
        for entry in entries(content.as_deref().unwrap_or_default()) {
            logs.put(&entry)?;
            replayed.bytes += entry.bytes.len() as u64;
        }
        replayed.blocks += 1;
    }
    logs.sync()?;
    Ok(replayed)
}

/// Where the blocks are that are to be applied, and how many are missing that had been synced.
///
/// They are numbered without gaps from the journal's start. Behind them stand older ones, of before it began anew, whose
/// numbers are lower. Behind a gap stands what was never synced, unless a block says of the missing one that it was.
fn find(journal: &dyn DiskFile, salt: u64) -> io::Result<(Vec<(u64, BlockHeader)>, u64)> {
    let mut ascending: Vec<(u64, BlockHeader)> = Vec::new();
    let length = journal.length()?;
    let mut offset = FIRST_BLOCK;
    while offset + (HEADER_BYTES as u64) <= length {
        let Some(header) = header_at(journal, salt, offset)? else {
            offset += ALIGNMENT;
            continue;
        };
        if ascending.last().is_none_or(|(_, last)| last.number < header.number) {
            ascending.push((offset, header));
        }
        offset = (offset + HEADER_BYTES as u64 + u64::from(header.length)).next_multiple_of(ALIGNMENT);
    }
    let synced_before = ascending.iter().map(|(_, header)| header.synced_before).max().unwrap_or(0);
    let mut expected = ascending.first().map_or(0, |(_, first)| first.number);
    let mut missing = 0;
    let mut blocks = Vec::new();
    for (offset, header) in ascending {
        if header.number > expected && expected >= synced_before {
            break;
        }
        missing += header.number - expected;
        expected = header.number + 1;
        blocks.push((offset, header));
    }
    Ok((blocks, missing))
}

/// The header at `offset`, if a whole block stands there.
fn header_at(journal: &dyn DiskFile, salt: u64, offset: u64) -> io::Result<Option<BlockHeader>> {
    let mut bytes = [0; HEADER_BYTES];
    read_full_at(journal, &mut bytes, offset)?;
    let Some(header) = BlockHeader::decode(&bytes, salt) else { return Ok(None) };
    Ok(read_block(journal, offset, header)?.map(|_| header))
}

/// The entries of the block at `offset`; `None` when they are not what was written.
fn read_block(journal: &dyn DiskFile, offset: u64, header: BlockHeader) -> io::Result<Option<Vec<u8>>> {
    let from = offset + HEADER_BYTES as u64;
    if from + u64::from(header.length) > journal.length()? {
        return Ok(None);
    }
    let mut content = vec![0; header.length as usize];
    let read = read_full_at(journal, &mut content, from)?;
    let is_whole = read == content.len() && crc32fast::hash(&content) == header.checksum;
    Ok(is_whole.then_some(content))
}

/// The segments that are written to.
struct Logs<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// `None` of those that nothing is to be put into.
    files: BTreeMap<PathBuf, Option<Segment>>,
}

#[derive(Clone)]
struct Segment {
    salt: u32,
    file: Arc<dyn DiskFile>,
}

impl Logs<'_> {
    fn put(&mut self, entry: &Entry<'_>) -> Result<(), LogError> {
        if !Path::new(entry.dir).components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(()); // no log is there
        }
        let path = segment::path(&self.dir.join(entry.dir), entry.position.segment);
        let found = match self.files.get(&path) {
            Some(found) => found.clone(),
            None => {
                let found = self.open(&path).map_err(LogError::io("open", &path))?;
                self.files.entry(path.clone()).insert_entry(found).get().clone()
            }
        };
        match found {
            Some(Segment { salt, file }) if salt == entry.salt => {
                let offset = u64::from(entry.position.offset);
                write_all_at(file.as_ref(), &mut [IoSlice::new(entry.bytes)], offset)
                    .map_err(LogError::io("put back what the journal holds of", &path))
            }
            // A topic that was deleted, or one that took its name.
            Some(_) | None => Ok(()),
        }
    }

    /// The segment at `path`, unless it is gone or was rewritten: then all of it had been synced.
    fn open(&self, path: &Path) -> io::Result<Option<Segment>> {
        let file = match self.disk.open(path, OpenMode::Existing) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        read_full_at(file.as_ref(), &mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes).filter(|header| header.rewritten_end == 0);
        Ok(header.map(|header| Segment { salt: header.salt, file }))
    }

    fn sync(&self) -> Result<(), LogError> {
        for (path, found) in &self.files {
            if let Some(Segment { file, .. }) = found {
                file.sync_data().map_err(LogError::io("sync", path))?;
            }
        }
        Ok(())
    }
}
