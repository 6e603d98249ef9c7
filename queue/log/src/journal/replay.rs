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
    pub commits: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Commits that had been synced and cannot be read any more. What they held is lost where the logs lack it too.
    pub damaged_commits: u64,
}

/// Puts what the journal in `dir` holds into the logs below, makes that durable, and removes the journal; a damaged one
/// stays as `journal.damaged`. No log below `dir` may be open. Nothing happens where there is no journal.
///
/// # Errors
/// Fails when something cannot be read, or put where it belongs; tried again, it goes on from the start.
pub fn replay(disk: &dyn Disk, dir: &Path) -> Result<Replayed, LogError> {
    let path = dir.join(FILE_NAME);
    let Some(journal) = open(disk, &path)? else { return Ok(Replayed::default()) };
    let failed = || LogError::io("read", &path);
    let (blocks, replayed) = find(journal.as_ref()).map_err(failed())?;
    let mut logs = Logs { disk, dir, files: BTreeMap::new() };
    for (offset, header) in blocks {
        let content = read_block(journal.as_ref(), offset, header).map_err(failed())?;
        for entry in entries(content.as_deref().unwrap_or_default()) {
            logs.put(&entry)?;
        }
    }
    logs.sync()?;
    if replayed.damaged_commits > 0 {
        let aside = path.with_extension("damaged");
        disk.rename(&path, &aside).map_err(LogError::io("set aside", &path))?;
    } else {
        disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
    }
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    Ok(replayed)
}

/// What [`replay`] would do; it is not done.
///
/// # Errors
/// Fails when the journal cannot be read.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Replayed, LogError> {
    let path = dir.join(FILE_NAME);
    let Some(journal) = open(disk, &path)? else { return Ok(Replayed::default()) };
    let (_, replayed) = find(journal.as_ref()).map_err(LogError::io("read", &path))?;
    Ok(replayed)
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Option<Arc<dyn DiskFile>>, LogError> {
    match disk.open(path, OpenMode::Existing) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(LogError::io("open", path)),
    }
}

/// Where a block is, and what its header says.
type Block = (u64, BlockHeader);

fn find(journal: &dyn DiskFile) -> io::Result<(Vec<Block>, Replayed)> {
    let mut first = [0; FILE_HEADER_BYTES];
    read_full_at(journal, &mut first, 0)?;
    let Some(salt) = file_salt(&first) else {
        // A sector is written whole: where nothing is in front of the blocks, they were never synced.
        let is_damaged = journal.length()? > FIRST_BLOCK && first != [0; FILE_HEADER_BYTES];
        let damaged_commits = u64::from(is_damaged);
        return Ok((Vec::new(), Replayed { damaged_commits, ..Replayed::default() }));
    };
    let (blocks, damaged_commits) = unbroken(whole(journal, salt)?);
    let bytes = blocks.iter().map(|(_, header)| u64::from(header.length)).sum();
    let replayed = Replayed { commits: blocks.len() as u64, bytes, damaged_commits };
    Ok((blocks, replayed))
}

/// The blocks that are whole, without the older ones that stand behind those of since the journal began anew: their
/// numbers are lower.
fn whole(journal: &dyn DiskFile, salt: u64) -> io::Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let length = journal.length()?;
    let mut offset = FIRST_BLOCK;
    while offset + (HEADER_BYTES as u64) <= length {
        let Some(header) = header_at(journal, salt, offset)? else {
            offset += ALIGNMENT;
            continue;
        };
        if blocks.last().is_none_or(|(_, last)| last.number < header.number) {
            blocks.push((offset, header));
        }
        offset = (offset + HEADER_BYTES as u64 + u64::from(header.length)).next_multiple_of(ALIGNMENT);
    }
    Ok(blocks)
}

/// Those of `blocks` that are to be applied, and how many are missing that had been synced. Behind a gap stands what was
/// never synced, unless a block says of the missing one that it was.
fn unbroken(blocks: Vec<Block>) -> (Vec<Block>, u64) {
    let synced_before = blocks.iter().map(|(_, header)| header.synced_before).max().unwrap_or(0);
    let mut expected = blocks.first().map_or(0, |(_, first)| first.number);
    let mut missing = 0;
    let mut applied = Vec::new();
    for (offset, header) in blocks {
        if header.number > expected && expected >= synced_before {
            break;
        }
        missing += header.number - expected;
        expected = header.number + 1;
        applied.push((offset, header));
    }
    (applied, missing)
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
